//! What a caller does for the log on its own thread: types settled, payload encoded, key computed. The log thread then has only to
//! put things in order. Not for what needs that order: duplicates, and types that no schema names yet.

use std::ops::Range;
use std::sync::Arc;

use super::dedupe::{self, Key};
use super::{Rejected, typing};
use crate::log::{codec, format};
use crate::types::{Event, Partition, Schema};

/// Events of one call, ready for the log.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    /// In order of their place in the call.
    pub events: Vec<Ready>,
    /// Payloads, one after the other.
    pub bytes: Vec<u8>,
    /// The schema that they were settled under.
    pub schema: Arc<Schema>,
}

/// One event.
#[derive(Debug)]
pub(super) struct Ready {
    /// Place in the call.
    pub index: usize,
    /// The event.
    pub event: Event,
    /// Its bytes; `None` where it needs a schema that does not exist yet.
    pub encoded: Option<Encoded>,
}

/// What the log needs of an event.
#[derive(Debug, Clone)]
pub(super) struct Encoded {
    /// Where its payload stands.
    pub payload: Range<usize>,
    /// What makes it the same as another.
    pub key: Key,
    /// Partition of its person, or 0.
    pub partition: Partition,
}

impl Prepared {
    /// The same events, to be taken a piece at a time.
    pub fn pieces(self) -> Pieces {
        Pieces { events: self.events.into_iter(), bytes: self.bytes, schema: self.schema }
    }
}

/// What is left of the events of one call.
pub(super) struct Pieces {
    events: std::vec::IntoIter<Ready>,
    bytes: Vec<u8>,
    schema: Arc<Schema>,
}

impl Pieces {
    pub fn is_empty(&self) -> bool {
        self.events.len() == 0
    }

    /// The next events, at most so many.
    pub fn next_of(&mut self, at_most: usize) -> Prepared {
        let (mut events, mut bytes) = (Vec::with_capacity(at_most.min(self.events.len())), Vec::new());
        for mut ready in self.events.by_ref().take(at_most) {
            if let Some(encoded) = &mut ready.encoded {
                let start = bytes.len();
                bytes.extend_from_slice(&self.bytes[encoded.payload.clone()]);
                encoded.payload = start..bytes.len();
            }
            events.push(ready);
        }
        Prepared { events, bytes, schema: Arc::clone(&self.schema) }
    }
}

/// Prepares the events of a call; those that the schema does not allow join the rejected ones. `fixed` is as in [`typing::settle`].
pub(super) fn prepare(
    events: Vec<(usize, Event)>,
    rejected: &mut Vec<Rejected>,
    schema: &Arc<Schema>,
    fixed: &Schema,
) -> Prepared {
    let mut bytes = Vec::with_capacity(events.len() * 64);
    let mut ready = Vec::with_capacity(events.len());
    for (index, mut event) in events {
        let settled = typing::settle(&mut event, schema, fixed);
        let encoded = settled.and_then(|new| match new {
            None => encode(&event, &mut bytes).map(Some),
            Some(_) => Ok(None),
        });
        match encoded {
            Ok(encoded) => ready.push(Ready { index, event, encoded }),
            Err(detail) => rejected.push(Rejected { index, detail }),
        }
    }
    Prepared { events: ready, bytes, schema: Arc::clone(schema) }
}

/// Appends the payload of an event, and says what the log needs beside it.
///
/// # Errors
/// A sentence for one that is too long for a record; nothing is appended then.
pub(super) fn encode(event: &Event, bytes: &mut Vec<u8>) -> Result<Encoded, String> {
    let start = bytes.len();
    let result = codec::encode(event, bytes).and_then(|()| format::check_payload(bytes.len() - start));
    if let Err(detail) = result {
        bytes.truncate(start);
        return Err(detail);
    }
    let payload = start..bytes.len();
    let key = dedupe::key(event, &bytes[payload.clone()]);
    Ok(Encoded { payload, key, partition: event.person().map_or(0, |person| person.partition()) })
}
