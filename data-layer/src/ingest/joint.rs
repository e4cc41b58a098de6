//! Types of attributes that servers which share a Redis have come to, for the log of one of them: its events are checked by what all said, and what it
//! says next is said with all of that in mind. Not for how they come to it: that is [`crate::live::Copies`].

use std::sync::Arc;

use arc_swap::ArcSwap;

use crate::live::Live;
use crate::log::format;
use crate::types::{Event, Schema};

/// By which types events are prepared: those of the log, or where a Redis is shared and that has others, those which the log is about to say.
pub(super) fn current(settled: &ArcSwap<Schema>, live: &Live, is_shared: bool) -> Arc<Schema> {
    let (settled, joint) = (settled.load_full(), live.schema());
    if is_shared && *joint != *settled { joint } else { settled }
}

/// What this server has learnt of types from all.
pub(super) struct Joint {
    live: Arc<Live>,
    /// The newest record of its own log that may say any.
    said: u64,
}

impl Joint {
    /// Of a live side, where the log holds records up to a sequence.
    pub(super) fn new(live: &Arc<Live>, said: u64) -> Self {
        Self { live: Arc::clone(live), said }
    }

    /// The log says types by this record.
    pub(super) fn says(&mut self, sequence: u64) {
        self.said = sequence;
    }

    /// What the log has to say next, as a record and its payload, where that is something else than it says. Nothing while what it said last is not
    /// among what all have come to. Said as it is, under the same version, it is news to nobody, so servers do not answer each other for ever.
    pub(super) fn next(&self, own: &Schema) -> Option<(Event, Vec<u8>)> {
        let joint = self.live.schema();
        if *joint == *own || self.live.applied().sequence < self.said {
            return None;
        }
        let event = Event::Schema(Schema::clone(&joint));
        match format::encode_event(&event) {
            Ok(payload) => Some((event, payload)),
            Err(error) => {
                tracing::error!(error, "the types of attributes that servers have come to can't be written");
                None
            }
        }
    }
}
