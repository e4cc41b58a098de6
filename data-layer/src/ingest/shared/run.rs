//! Starts and ends what a server does in what servers share: the outbox of its log, its share of the partitions, and what it follows. Not for any
//! of that itself.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use tokio::runtime::{Handle, Runtime};

use super::follow::Follow;
use super::keeping::Keeping;
use super::people::PeopleWork;
use super::standing::{Standing, Unsent};
use crate::config::{Config, Shared};
use crate::ingest::delta::Summing;
use crate::ingest::snapshots::Snapshots;
use crate::live::snapshot::Maker;
use crate::live::{Elsewhere, Live, Looks};
use crate::log::{Growth, Holds};
use crate::shared::{Follower, Gather, Lane, Link, Member, Outbox, Owner, Partitions, Work};
use crate::types::Millis;
use crate::{Error, Result};

/// After so many milliseconds of silence others take a server's partitions over.
const SILENCE: Millis = 5_000;

/// A server among others. Dropping it ends its part.
#[derive(Debug)]
pub struct Sharing {
    standing: Arc<Standing>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    /// Connections live here; `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Sharing {
    /// Starts a server's part. Redis may be away: what is to be sent waits in the log.
    ///
    /// # Errors
    /// Authorities that can't be read, a file beside the log, a thread that the system refuses.
    pub fn start(
        config: &Config,
        shared: &Shared,
        live: &Arc<Live>,
        growth: Arc<Growth>,
        snapshots: Option<Arc<Snapshots>>,
        outdated: Option<Maker>,
    ) -> Result<Self> {
        let producer = live.applied().producer;
        let runtime = runtime()?;
        let handle = runtime.handle().clone();
        let partitions = open(config, shared, &handle)?;
        let folder = config.log.dir.join(&config.namespace);
        let records = Follower::new(&config.events_folder(), producer, Some(growth));
        let outbox = Outbox::open(partitions.clone(), records, folder.clone())?;
        let name = format!("{producer:016x}");
        let work = PeopleWork::new(Arc::clone(&live.actions), Arc::clone(&live.keep));
        let people = owner(&partitions, config, Lane::People, &name, work);
        let items = owner(&partitions, config, Lane::Items, &name, Gather(Summing::new(&live.keep)));
        let looks = Arc::<Looks>::default();
        let hasty = open(config, shared, &handle)?.hasty(shared.read_timeout);
        live.read_elsewhere(Elsewhere { partitions: hasty, looks: Arc::clone(&looks) });
        let overlooks = [people.overlook(), items.overlook()];
        let standing = Arc::new(Standing::new(outbox.outlook(), overlooks, looks));
        let nudged = standing.overlooks.clone();
        standing.outlook.ring(move || nudged.iter().for_each(|overlook| overlook.nudge()));
        let stop = Arc::<AtomicBool>::default();
        let (store, told) = (Arc::clone(live), Arc::clone(&standing));
        let keeping = Keeping::new((config, shared), partitions.clone(), store, told, snapshots, outdated);
        let follow =
            Follow::new(partitions, keeping, Arc::clone(live), Arc::clone(&standing), Arc::clone(&stop))?;
        let mut sharing = Self { standing, stop, threads: Vec::new(), runtime: Some(runtime) };
        let of = |work: Box<dyn FnOnce(&Handle) + Send>| (handle.clone(), work);
        for (name, (handle, work)) in [
            ("weir-outbox", of(Box::new(move |handle| outbox.run(handle)))),
            ("weir-people", of(Box::new(move |handle| people.run(handle)))),
            ("weir-items", of(Box::new(move |handle| items.run(handle)))),
            ("weir-follow", of(Box::new(move |handle| follow.run(handle)))),
        ] {
            let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || work(&handle));
            sharing.threads.push(thread.map_err(Error::io(Path::new(name)))?);
        }
        Ok(sharing)
    }

    /// How it gets on.
    #[must_use]
    pub fn standing(&self) -> &Arc<Standing> {
        &self.standing
    }

    /// What must stay in the log.
    #[must_use]
    pub fn holds(&self) -> Arc<dyn Holds> {
        Arc::new(Unsent(Arc::clone(&self.standing.outlook)))
    }
}

impl Drop for Sharing {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.standing.outlook.stop();
        self.standing.overlooks.iter().for_each(|overlook| overlook.stop());
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("a thread of what servers share failed");
            }
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn runtime() -> Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("weir-redis")
        .enable_all()
        .build()
        .map_err(Error::io("the runtime of redis"))
}

/// The partitions of a namespace over a connection of their own.
fn open(config: &Config, shared: &Shared, handle: &Handle) -> Result<Partitions> {
    let link = Link::open(&shared.redis, handle)?;
    let partitions = Partitions::new(link, &config.namespace, shared.forget_after);
    Ok(partitions.with_note_life(shared.retractable_for))
}

fn owner<W: Work>(partitions: &Partitions, config: &Config, lane: Lane, name: &str, work: W) -> Owner<W> {
    let member = Member::new(partitions.link().clone(), &config.namespace, lane, name, SILENCE);
    Owner::new(partitions.clone(), member, SILENCE, work)
}
