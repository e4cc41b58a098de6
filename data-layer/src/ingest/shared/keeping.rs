//! What a server does so that the streams of items stay short and it still misses nothing: it says what its oldest snapshot needs, drops what no
//! server's needs, and where Redis lost messages, or no longer has those that come next, it goes back to what fits. Not for reading them.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::runtime::Handle;

use super::standing::Standing;
use crate::archive::Store;
use crate::config::{Config, Parts, Shared};
use crate::ingest::snapshots::{self, Snapshots, Sort, items::good, try_copies};
use crate::live::Live;
use crate::live::snapshot::{self, Loaded, Maker};
use crate::shared::{Fit, Partitions, StreamId, Tail};
use crate::types::Millis;
use crate::types::time::DAY;
use crate::{Error, Result};

/// How long what a server needs stays after it was heard of last, at most.
const LIFE: Millis = 7 * DAY;

/// What a server needs of the streams of items.
pub(super) struct Keeping {
    config: Config,
    partitions: Partitions,
    /// The same while it is decided where to go back to: on what one Redis holds, or on nothing.
    steady: Partitions,
    live: Arc<Live>,
    standing: Arc<Standing>,
    snapshots: Option<Arc<Snapshots>>,
    name: String,
    life: Millis,
    /// What made the items that this server began with, where that is not what makes them now.
    outdated: Option<Maker>,
    /// What was said last.
    said: Option<Vec<StreamId>>,
}

impl Keeping {
    pub(super) fn new(
        (config, shared): (&Config, &Shared),
        partitions: Partitions,
        live: Arc<Live>,
        standing: Arc<Standing>,
        snapshots: Option<Arc<Snapshots>>,
        outdated: Option<Maker>,
    ) -> Self {
        if config.live.snapshots.store.is_none() {
            tracing::info!(
                "no [live.snapshots] store: a new server could not start without all that was said of items, so none of it is trimmed in Redis"
            );
        }
        let name = format!("{:016x}", live.applied().producer);
        let life = LIFE.min(shared.forget_after);
        Self {
            config: config.clone(),
            steady: partitions.clone(),
            partitions,
            live,
            standing,
            snapshots,
            name,
            life,
            outdated,
            said: None,
        }
    }

    fn trims(&self) -> bool {
        self.config.live.snapshots.store.is_some()
    }

    /// What must stay: all, where servers can't start from what others keep; else what comes after the oldest snapshot; nothing, where there is
    /// none, since then the store has others.
    fn needed(&self) -> Option<Vec<StreamId>> {
        if !self.trims() {
            return Some(Tail::beginning());
        }
        Some(self.snapshots.as_ref()?.oldest()?.streams)
            .filter(|streams| streams.len() == Tail::beginning().len())
    }

    /// Whether it needs less than it has said.
    pub(super) fn moved(&self) -> bool {
        self.needed().is_some_and(|needed| self.said.as_ref() != Some(&needed))
    }

    /// Redis may not know any more what this server needs.
    pub(super) fn doubt(&mut self) {
        self.said = None;
    }

    /// Says what it needs, then drops what nobody does.
    pub(super) async fn say(&mut self) -> Result<()> {
        let Some(needed) = self.needed() else { return Ok(()) };
        self.partitions.hold_items(&self.name, &needed, self.life).await?;
        // Not before a new server has something to start from.
        if self.trims() && self.snapshots.as_ref().is_some_and(|snapshots| !snapshots.lacks_copy()) {
            let dropped = self.partitions.trim_items(&needed).await?;
            self.standing.trimmed.fetch_add(dropped, Ordering::Relaxed);
        }
        self.said = Some(needed);
        Ok(())
    }

    /// Before the first read: items that earlier rules made are made anew where all that was said of them is still there.
    pub(super) fn renew(&mut self, runtime: &Handle, tail: &mut Tail) -> Result<()> {
        let Some(made) = &self.outdated else { return Ok(()) };
        self.steady = runtime.block_on(self.partitions.steady());
        if self.fits(runtime, &Tail::beginning())?.iter().all(|fit| *fit == Fit::Next) {
            tracing::info!(
                "what is kept of events has changed since the newest snapshot: items are made anew"
            );
            let fresh = self.live.beside(Parts::ALL);
            *fresh.streams.lock() = Tail::beginning();
            self.live.replace_items(fresh);
            *tail = Tail::new(self.partitions.clone(), Tail::beginning())?;
        } else {
            let now = snapshots::maker(&self.config);
            tracing::warn!(
                before = ?made, ?now,
                "what is kept of events has changed since the newest snapshot, and what was said of items before is no longer in Redis: what was counted by then stays as it is, and what comes is counted by the new rules"
            );
        }
        self.outdated = None;
        self.snapshots.iter().for_each(|snapshots| snapshots.outdate());
        Ok(())
    }

    fn fits(&self, runtime: &Handle, at: &[StreamId]) -> Result<Vec<Fit>> {
        if at.len() != Tail::beginning().len() {
            return Ok(vec![Fit::Other]);
        }
        let reach = runtime.block_on(self.steady.reach(at))?;
        Ok(reach.iter().zip(at).map(|(reach, at)| reach.fit(*at)).collect())
    }

    /// Goes back to where what comes next is there: to a snapshot of this server, to the beginning, or to a snapshot in the store. Gives where
    /// it stands then.
    ///
    /// # Errors
    /// What Redis, the disk or the store said; [`Error::NotFound`] where nothing fits and nothing was lost: it is tried again.
    pub(super) fn recover(&mut self, runtime: &Handle, tail: &Tail) -> Result<Tail> {
        self.steady = runtime.block_on(self.partitions.steady());
        let fits = self.fits(runtime, tail.at())?;
        if fits.iter().all(|fit| *fit == Fit::Next) {
            return Tail::new(self.partitions.clone(), tail.at().to_vec());
        }
        for (_, path) in Sort::Items.list(&snapshots::folder(&self.config), None)? {
            if let Some(loaded) = self.fitting(runtime, &path)? {
                return self.go_back(loaded);
            }
        }
        let beginning = Tail::beginning();
        if self.fits(runtime, &beginning)?.iter().all(|fit| *fit == Fit::Next) {
            tracing::error!(
                "redis has lost what it said of items: all of it is counted again as servers' logs say it; attributes stay"
            );
            self.live.forget_counts(beginning.clone());
            return Tail::new(self.partitions.clone(), beginning);
        }
        if let Some(loaded) = self.copy(runtime)? {
            return self.go_back(loaded);
        }
        match fits.contains(&Fit::Other) {
            true => self.go_on(runtime, tail.at()),
            false => Err(Error::NotFound {
                what: "snapshot",
                name: "of items, from which what Redis has goes on".to_owned(),
                hint: self.hint(),
            }),
        }
    }

    fn hint(&self) -> String {
        let store = match self.trims() {
            true => "another server copies one there",
            false => "name the one that the other servers copy theirs to",
        };
        format!(
            "; what was said of items before is no longer in Redis, and [live.snapshots] store has none: {store}"
        )
    }

    /// The newest copy in the store that fits.
    fn copy(&self, runtime: &Handle) -> Result<Option<Loaded>> {
        let Some(to) = &self.config.live.snapshots.store else { return Ok(None) };
        let store = Store::open(to, &self.config.log.store, &self.config.namespace)?;
        try_copies(&snapshots::folder(&self.config), &store, |path, _| self.fitting(runtime, path))
    }

    /// A snapshot that is good, and from which what Redis has goes on.
    fn fitting(&self, runtime: &Handle, path: &Path) -> Result<Option<Loaded>> {
        let Some(head) = good(snapshot::head(path))? else { return Ok(None) };
        match self.fits(runtime, &head.streams)?.iter().all(|fit| *fit == Fit::Next) {
            true => good(snapshot::load_beside(path, &self.live)),
            false => Ok(None),
        }
    }

    /// Puts a snapshot in the place of what is known.
    fn go_back(&mut self, loaded: Loaded) -> Result<Tail> {
        let streams = loaded.head.streams;
        tracing::warn!(
            taken_ms = loaded.head.taken_ms,
            "redis lost what it said of items last, or no longer has what comes next: a snapshot takes the place of what is known"
        );
        self.standing.reloads.fetch_add(1, Ordering::Relaxed);
        self.live.replace_items(loaded.live);
        Tail::new(self.partitions.clone(), streams)
    }

    /// Where what was said before is neither in Redis nor in any snapshot that fits: what is known stays, and what is there is taken on top.
    fn go_on(&self, runtime: &Handle, at: &[StreamId]) -> Result<Tail> {
        tracing::error!(
            "redis has lost what it said of items, and no snapshot is of a time that it still has: what is known stays, and what is said again since then may be counted twice"
        );
        let reach = runtime.block_on(self.steady.reach(at))?;
        let stand = |(reach, at): (&crate::shared::Reach, &StreamId)| match (reach.fit(*at), reach.first()) {
            (Fit::Next, _) => (*at, false),
            (_, Some(first)) => (StreamId { ms: first.ms.saturating_sub(1), number: 0 }, true),
            (_, None) => (reach.last(), false),
        };
        let (at, open): (Vec<_>, Vec<_>) = reach.iter().zip(at).map(stand).unzip();
        self.live.streams.lock().clone_from(&at);
        Tail::opened(self.partitions.clone(), at, open)
    }
}
