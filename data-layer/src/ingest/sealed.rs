//! The threads that work on sealed segments: they archive, erase and compact. Not for what they do: `archive/`, `erase/`, `compact/`.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::admission::{Admission, Lane};
use super::jobs::{Batch, Job};
use super::shared::Sweep;
use super::snapshots::{self, Snapshots};
use super::{closed, prepare};
use crate::archive::{self, Archivist, Bell, Store, Work};
use crate::compact::{self, Compactor};
use crate::config::{Backend, Config};
use crate::erase::{self, Eraser, Erasures, Peers};
use crate::live::Live;
use crate::log::Holds;
use crate::types::{Event, Schema, time};
use crate::{Error, Result};

/// Those threads; they end when this is dropped.
#[derive(Debug)]
pub(super) struct Workers {
    pub archive: Option<Archivist>,
    pub erase: Eraser,
    pub compact: Option<Compactor>,
}

/// How they get on.
#[derive(Debug)]
pub(super) struct Standings {
    pub archive: Option<Arc<archive::Standing>>,
    pub compact: Option<Arc<compact::Standing>>,
}

impl Workers {
    fn standings(&self) -> Standings {
        Standings {
            archive: self.archive.as_ref().map(|archivist| Arc::clone(archivist.standing())),
            compact: self.compact.as_ref().map(|compactor| Arc::clone(compactor.standing())),
        }
    }
}

/// What those who work on sealed segments share.
#[derive(Debug)]
pub(super) struct Sealed {
    pub producer: u64,
    /// Who needs what is in the log.
    pub holds: Arc<Mutex<Vec<Arc<dyn Holds>>>>,
    pub erasures: Arc<Erasures>,
    /// Held by whoever changes the archive, or segments that may come into it.
    pub archiving: Arc<Mutex<()>>,
}

impl Sealed {
    /// Starts the threads; how they get on.
    pub(super) fn start(
        &self,
        config: &Config,
        bell: &Arc<Bell>,
        way_in: (&Sender<Job>, &Arc<Admission>),
        snapshots: &Option<Arc<Snapshots>>,
        live: &Arc<Live>,
    ) -> Result<(Workers, Standings)> {
        let (archive, erase) =
            (self.archive(config, bell)?, self.erase(config, way_in, snapshots.as_ref(), live)?);
        let workers = Workers { archive, erase, compact: self.compact(config)? };
        let standings = workers.standings();
        Ok((workers, standings))
    }

    /// Starts the thread that compacts, where the configuration wants it.
    fn compact(&self, config: &Config) -> Result<Option<Compactor>> {
        let Some(every) = config.log.compact_every else { return Ok(None) };
        let work = compact::Work {
            folder: config.log.dir.join(&config.namespace),
            config: config.clone(),
            producer: self.producer,
            holds: Arc::clone(&self.holds),
            archiving: Arc::clone(&self.archiving),
        };
        Compactor::start(work, Duration::from_millis(every.unsigned_abs())).map(Some)
    }

    /// Starts the thread that archives, where the configuration names an archive.
    fn archive(&self, config: &Config, bell: &Arc<Bell>) -> Result<Option<Archivist>> {
        let Some(address) = &config.log.archive else { return Ok(None) };
        let work = Work {
            folder: config.log.dir.join(&config.namespace),
            producer: self.producer,
            store: Store::open(address, &config.log.store, &config.namespace)?,
            retention: config.log.retention,
            holds: Arc::clone(&self.holds),
            bell: Arc::clone(bell),
            erasures: Arc::clone(&self.erasures),
            archiving: Arc::clone(&self.archiving),
        };
        Archivist::start(work).map(Some)
    }

    /// Starts the thread that erases.
    fn erase(
        &self,
        config: &Config,
        (jobs, admission): (&Sender<Job>, &Arc<Admission>),
        snapshots: Option<&Arc<Snapshots>>,
        live: &Arc<Live>,
    ) -> Result<Eraser> {
        let (own, room) = (jobs.clone(), Arc::clone(admission));
        let peers = match &config.live.backend {
            Backend::Redis(shared) => Some(Peers::open(config, shared, self.producer)?),
            Backend::Embedded => None,
        };
        let (jobs, asked, snapshots) = (jobs.clone(), jobs.clone(), snapshots.cloned());
        let work = erase::Work {
            folder: config.log.dir.join(&config.namespace),
            config: config.clone(),
            producer: self.producer,
            erasures: Arc::clone(&self.erasures),
            holds: Arc::clone(&self.holds),
            archiving: Arc::clone(&self.archiving),
            seal: Box::new(move || {
                let (done, sealed) = channel();
                jobs.send(Job::Seal(done)).map_err(|_| closed())?;
                sealed.recv().map_err(|_| closed())?
            }),
            renew: Box::new(move || match &snapshots {
                Some(snapshots) => snapshots.renew(|| snapshots::ask(&asked)),
                None => Ok(()),
            }),
            append: Box::new(move |event| append(event, &own, &room)),
            peers,
            sweep: sweep(config, live)?,
        };
        Eraser::start(work)
    }
}

/// Takes people out of what servers share, where they share a Redis.
fn sweep(config: &Config, live: &Arc<Live>) -> Result<erase::Sweep> {
    let Backend::Redis(shared) = &config.live.backend else { return Ok(Box::new(|_, _| Ok(()))) };
    let (sweep, live) = (Sweep::open(config, shared, live.actions())?, Arc::clone(live));
    Ok(Box::new(move |gone, upto| {
        let counts = live.applied().sequence;
        if counts < upto {
            let detail = format!("record {upto} asks for it, and records up to {counts} count in redis");
            return Err(Error::invalid("erasure", detail));
        }
        sweep.run(gone)
    }))
}

/// Puts an event that needs no schema into the log, as one of the past, and waits until it is there.
fn append(event: Event, jobs: &Sender<Job>, admission: &Arc<Admission>) -> Result<()> {
    let room = admission.admit(Lane::Backfill, super::TYPED_BYTES)?;
    let (none, mut rejected) = (Arc::new(Schema::reserved()), Vec::new());
    let events = prepare::prepare(vec![(0, event)], &mut rejected, &none, &none);
    let (reply, answer) = oneshot::channel();
    let batch = Batch { events, rejected, received_ms: time::now(), reply, room: Arc::new(room) };
    jobs.send(Job::Batch(batch)).map_err(|_| closed())?;
    let receipt = answer.blocking_recv().map_err(|_| closed())??;
    match receipt.rejected.into_iter().next() {
        None => Ok(()),
        Some(rejected) => Err(Error::invalid("log", rejected.detail)),
    }
}
