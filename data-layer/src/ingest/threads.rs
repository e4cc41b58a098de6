//! The threads of the way in, and the order in which they end.

use std::sync::mpsc::Sender;
use std::thread::JoinHandle;

use super::dedupe::Dedupe;
use super::jobs::Job;
use super::past::Past;
use super::rebuild::Rebuild;
use super::sealed::Workers;
use super::shared::Sharing;
use super::snapshots::Clockwork;
use crate::log::Lock;
use crate::{Error, Result};

/// What runs until the end.
#[derive(Debug)]
pub(super) struct Threads {
    /// Gives back what it remembers of events, and the lock of the log.
    pub log: JoinHandle<Result<(Dedupe, Lock)>>,
    pub past: Past,
    pub apply: JoinHandle<()>,
    pub clock: Option<Clockwork>,
    pub rebuild: Option<Rebuild>,
    pub sharing: Option<Sharing>,
    pub workers: Workers,
}

impl Threads {
    /// Ends them: what came is written and synced, then applied, then a last snapshot is taken.
    pub(super) fn close(self, jobs: &Sender<Job>) -> Result<()> {
        let Self { log, past, apply, clock, rebuild, sharing, workers } = self;
        let Workers { archive, erase, compact } = workers;
        // Some of them wait for a snapshot.
        clock.iter().for_each(Clockwork::hurry);
        // It asks the log thread; what it has not sent was not acknowledged.
        drop(past);
        // What they have not rewritten they do at the next start.
        drop((erase, compact));
        // It asks the log thread; what it has not done the next start begins again.
        drop(rebuild);
        // A thread that has ended already has dropped its end; joining tells why.
        let _ = jobs.send(Job::Close);
        let failed = |what| Error::Io {
            path: "log".into(),
            source: std::io::Error::other(format!("the {what} thread failed")),
        };
        let logged = log.join().unwrap_or_else(|_| Err(failed("log")));
        let applied = apply.join().map_err(|_| failed("apply"));
        // What it has not archived it does at the next start.
        drop(archive);
        // What it has not sent it sends at the next start.
        drop(sharing);
        let lock = match logged {
            Ok((dedupe, lock)) => {
                if let Some(clock) = clock {
                    clock.close(dedupe);
                }
                lock
            }
            Err(error) => return Err(error),
        };
        // Until here nobody else may write where this did.
        drop(lock);
        applied
    }
}
