//! A body of events as typed events and sentences for those that are none, in room that was taken for it. Nothing is in the log yet.

use std::sync::atomic::Ordering;

use super::admission::{Lane, Reservation};
use super::check::Checker;
use super::decode::{self, Form};
use super::fields::Fields;
use super::{Ingest, Rejected, tree};
use crate::types::{Event, Millis};
use crate::{Error, Result};

/// Bytes of sentences on what is wrong with single events; from there on only the places are named.
const MOST_SENTENCES: usize = 4 << 20;
/// Bytes that a value of a typed event may take beside its text.
const VALUE_BYTES: usize = 48;
/// What the rest of many mistakes is told.
const AND_SO_ON: &str = "wrong; too many are, and those before say how";

/// When a body came, and what its sender says of its own clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// The server's clock.
    pub received_ms: Millis,
    /// The client's clock when it sent the body; an envelope's own counts before it.
    pub sent_at: Option<Millis>,
}

impl From<Millis> for Arrival {
    fn from(received_ms: Millis) -> Self {
        Self { received_ms, sent_at: None }
    }
}

/// Events that were read and checked, and wait to be sent to the log.
#[derive(Debug)]
pub struct Taken {
    /// Place in the call, and event.
    pub(super) events: Vec<(usize, Event)>,
    pub(super) rejected: Vec<Rejected>,
    pub(super) received_ms: Millis,
    pub(super) room: Reservation,
}

impl Taken {
    /// The events that are sound so far; types of attributes are looked at when their turn in the log comes.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.events.iter().map(|(_, event)| event)
    }

    /// Gives the room of the body back, once its bytes are gone.
    pub fn give_back(&mut self, bytes: usize) {
        self.room.give_back(bytes);
    }

    /// For whom they are.
    #[must_use]
    pub fn lane(&self) -> Lane {
        self.room.lane()
    }
}

/// Reads a body into room that the caller took for the body itself; more is taken for what becomes of it.
///
/// # Errors
/// [`Error::Invalid`] where nothing could be read, [`Error::Busy`] where there is no room.
pub(super) fn read(
    ingest: &Ingest,
    body: &[u8],
    form: Form,
    arrival: Arrival,
    mut room: Reservation,
) -> Result<Taken> {
    let opened = decode::open(body, form, &mut room)?;
    let received_ms = arrival.received_ms;
    let sent_at = match opened.sent_at.clone() {
        Some(said) => sent_at(said)?,
        None => arrival.sent_at,
    };
    let checker =
        Checker { ahead: ingest.inner.ahead, sent_at, ..Checker::new(&ingest.inner.actions, received_ms) };
    let (mut events, mut rejected, mut ignored) = (Vec::new(), Vec::new(), opened.ignored);
    let (mut index, mut sentences) = (0, 0);
    opened.each(&mut room, |decoded, cost, room| {
        match decoded.and_then(|event| checker.check(event)) {
            Ok((event, left)) => {
                ignored += left;
                room.grow(cost.bytes + cost.values * VALUE_BYTES)?;
                push(&mut events, (index, event), room)?;
            }
            Err(mut detail) => {
                if sentences + detail.len() > MOST_SENTENCES {
                    AND_SO_ON.clone_into(&mut detail);
                }
                sentences += detail.len();
                room.grow(detail.capacity())?;
                push(&mut rejected, Rejected { index, detail }, room)?;
            }
        }
        index += 1;
        Ok(())
    })?;
    ingest.inner.stats.ignored_fields.fetch_add(ignored, Ordering::Relaxed);
    Ok(Taken { events, rejected, received_ms, room })
}

/// Appends, with room for the list while it is moved to where it can grow.
fn push<T>(list: &mut Vec<T>, one: T, room: &mut Reservation) -> Result<()> {
    if list.len() == list.capacity() {
        let (old, more) = (list.capacity(), list.capacity().max(4));
        room.grow((old + more) * size_of::<T>())?;
        list.reserve_exact(more);
        room.give_back(old * size_of::<T>());
    }
    list.push(one);
    Ok(())
}

fn sent_at(said: serde_json::Value) -> Result<Option<Millis>> {
    let fields = serde_json::Map::from_iter([("sent_at".to_owned(), said)]);
    Fields::new(fields).time("sent_at").map_err(|detail| Error::invalid("body", detail))
}

/// Reads `sent_at` as it stands in a query: milliseconds or RFC 3339.
///
/// # Errors
/// [`Error::Invalid`] with what was found.
pub fn parse_sent_at(text: &str) -> Result<Millis> {
    let said = text.parse().map_or_else(|_| serde_json::Value::from(text), |ms: Millis| ms.into());
    sent_at(said)?.ok_or_else(|| Error::invalid("sent_at", "expected milliseconds since 1970 or RFC 3339"))
}

/// Reads a JSON text of at most [`decode::MOST_VALUES`] values, so that it takes a bounded amount of memory, whatever it holds.
///
/// # Errors
/// What is not JSON, or too much.
pub fn read_json(text: &[u8]) -> std::result::Result<serde_json::Value, serde_json::Error> {
    tree::read(text, &mut 0)
}
