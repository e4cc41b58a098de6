//! The thread that applies what is in the log to the live store: group by group, in order, and again what failed. Not for what an
//! event does: that is `consumer/`.

use std::sync::Arc;
use std::time::Duration;

use super::backlog::Backlog;
use super::pipeline::Outlet;
use crate::live::Live;

/// How long to wait before a group is tried again, at first and at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// Says at the end of the thread, however it ends, that nobody applies any more.
struct Abandon<'a>(&'a Backlog);

impl Drop for Abandon<'_> {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// Applies until the backlog is closed and empty. Where that is done with what servers share, groups only pass.
pub(super) fn run(out: &Outlet, live: &Arc<Live>) {
    let backlog = &*out.backlog;
    let _abandon = Abandon(backlog);
    while let Some(group) = backlog.pop() {
        let mut pause = PAUSE.0;
        loop {
            if live.reads_elsewhere() {
                break;
            }
            // What a try before this one has applied is not applied again.
            let done = live.applied().sequence;
            let from = group.records.partition_point(|record| record.sequence <= done);
            let Err(error) = live.apply(&group.records[from..]) else { break };
            tracing::error!(%error, "events are in the log but could not be applied; trying again");
            if !backlog.pause(pause) {
                tracing::error!("closing; they will be applied at the next start");
                return;
            }
            pause = (pause * 2).min(PAUSE.1);
        }
        backlog.applied(&group);
        out.tell();
    }
}
