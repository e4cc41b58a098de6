//! The second stream: what happens to items is gathered by item partition, made less by adding up what adds up, and read by every server from
//! where it stands. Not for what adds up to what: that is a [`Sum`].

use std::time::{Duration, Instant};

use super::message::chained;
use super::work::{Begun, Found, Needs, Notes};
use super::{Arrived, Lane, Message, Outcome, Packed, Partitions, Place, StreamId, Which, Work};
use crate::{Error, Result};

/// Entries read of one partition at once.
const MOST_ENTRIES: usize = 64;
/// How often it is looked at whether Redis still has what was read, if no connection was made anew.
const CHECK: Duration = Duration::from_secs(1);

/// Makes many records about items into fewer that come to the same, in whatever order partitions are read.
pub trait Sum: Send {
    /// Identity of the event in a record of a log; `None` where it has none.
    fn id(&self, record: &Packed<'_>) -> Option<u64>;

    /// What the records of one batch come to: kinds and payloads, in order.
    ///
    /// # Errors
    /// What is wrong with a record. Nothing of the partition is taken until it is mended.
    fn sum(&mut self, records: &[Arrived<'_>]) -> Result<Vec<(u8, Vec<u8>)>>;
}

/// The work of an owner of item partitions: what a [`Sum`] makes of what arrived is for every server.
#[derive(Debug)]
pub struct Gather<S>(pub S);

impl<S: Sum> Work for Gather<S> {
    type Task = Vec<Message>;

    fn id(&self, record: &Packed<'_>) -> Option<u64> {
        self.0.id(record)
    }

    fn begin(&mut self, _: Place, records: &[Arrived<'_>]) -> Result<Begun<Self::Task>> {
        let sums = self.0.sum(records)?;
        let messages = sums.into_iter().map(|(kind, payload)| Message { to: None, kind, payload });
        Ok(Begun { task: messages.collect(), ..Begun::default() })
    }

    fn needs(&self, _: &Self::Task, _: &Notes) -> Result<Needs> {
        Ok(Needs::default())
    }

    fn finish(&mut self, messages: Self::Task, _: Found) -> Result<Outcome> {
        Ok(Outcome { messages, ..Outcome::default() })
    }
}

/// One thing that every server learns about items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delta {
    /// From which partition.
    pub place: Place,
    /// Its number there.
    pub number: u64,
    /// What the payload is.
    pub kind: u8,
    /// Its bytes.
    pub payload: Vec<u8>,
}

/// Where one server stands in the item partitions.
#[derive(Debug)]
pub struct Tail {
    partitions: Partitions,
    /// The last message taken, by partition: its number, and what all messages up to it come to.
    at: Vec<StreamId>,
    /// The last message read.
    read: Vec<StreamId>,
    /// Partitions of which nobody knows what came before the next message.
    open: Vec<bool>,
    /// Whether there may have been more when it was read.
    more: bool,
    /// When that was looked at, and how many connections had been made by then.
    checked: Option<(Instant, u64)>,
}

/// What a [`Tail`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tailed {
    /// What came, in order within each partition; nothing where all was read.
    Came(Vec<Delta>),
    /// Redis has not what was read before, or other messages: it lost some.
    Lost,
    /// What comes next was trimmed: a newer snapshot is needed.
    Trimmed,
}

impl Tail {
    /// Behind these messages, by partition: those of a snapshot, or [`Tail::beginning`].
    ///
    /// # Errors
    /// [`Error::Invalid`] where they are not as many as there are item partitions.
    pub fn new(partitions: Partitions, at: Vec<StreamId>) -> Result<Self> {
        let expected = usize::from(Lane::Items.partitions());
        if at.len() != expected {
            let detail = format!("expected positions of {expected} item partitions, found {}", at.len());
            return Err(Error::invalid("snapshot", detail));
        }
        Ok(Self { partitions, read: at.clone(), open: vec![false; expected], more: true, at, checked: None })
    }

    /// As [`Tail::new`], where what comes next is taken as it is in some partitions, whatever came before it.
    ///
    /// # Errors
    /// As [`Tail::new`].
    pub fn opened(partitions: Partitions, at: Vec<StreamId>, open: Vec<bool>) -> Result<Self> {
        let mut tail = Self::new(partitions, at)?;
        tail.open.iter_mut().zip(open).for_each(|(to, open)| *to = open);
        Ok(tail)
    }

    /// Before the first message of every partition.
    #[must_use]
    pub fn beginning() -> Vec<StreamId> {
        vec![StreamId::default(); Lane::Items.partitions().into()]
    }

    /// The last message taken, by partition.
    #[must_use]
    pub fn at(&self) -> &[StreamId] {
        &self.at
    }

    /// The last message read, by partition.
    #[must_use]
    pub fn upto(&self) -> &[StreamId] {
        &self.read
    }

    /// What came since the last call of [`Tail::take`].
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::Invalid`] for a message that can't be read.
    pub async fn read(&mut self) -> Result<Tailed> {
        let places: Vec<Place> = Lane::Items.places().collect();
        let after = places.iter().zip(&self.at).map(|(place, at)| (*place, behind(at.ms)));
        let found = self.partitions.entries(Which::Out, &after.collect::<Vec<_>>(), MOST_ENTRIES).await?;
        if self.has_lost(&places).await? {
            return Ok(Tailed::Lost);
        }
        self.more = found.iter().any(|(_, entries)| entries.len() >= MOST_ENTRIES);
        let mut deltas = Vec::new();
        self.read.clone_from(&self.at);
        for (place, entries) in found {
            let at = usize::from(place.partition);
            let (last, first) = (&mut self.read[at], self.at[at]);
            for entry in entries {
                let wrong = |detail| Error::invalid(format!("message {} of {place}", entry.id), detail);
                if entry.id.ms != last.ms + 1 {
                    return Ok(Tailed::Trimmed);
                }
                let open = self.open[at] && *last == first;
                if !open && entry.id.number != chained(last.number, &entry.bytes) {
                    return Ok(Tailed::Lost);
                }
                let Message { kind, payload, .. } = Message::decode(&entry.bytes).map_err(wrong)?;
                deltas.push(Delta { place, number: entry.id.ms, kind, payload });
                *last = entry.id;
            }
        }
        Ok(Tailed::Came(deltas))
    }

    /// Whether the last read left something: it takes so many messages of a partition at once. Where servers write all the time the next one
    /// is seldom empty, though all that was there at some moment was read.
    #[must_use]
    pub fn more(&self) -> bool {
        self.more
    }

    /// Moves behind what was read last.
    pub fn take(&mut self) {
        for ((at, read), open) in self.at.iter_mut().zip(&self.read).zip(&mut self.open) {
            *open &= at == read;
            *at = *read;
        }
    }

    /// Whether partitions have not sent what was taken; looked at now and then.
    async fn has_lost(&mut self, places: &[Place]) -> Result<bool> {
        let made = self.partitions.link().made();
        if self.checked.is_some_and(|(checked, by)| checked.elapsed() < CHECK && by == made) {
            return Ok(false);
        }
        for (mark, at) in self.partitions.marks(places).await.into_iter().zip(&self.at) {
            let mark = mark?;
            if mark.sent < at.ms || mark.sent == at.ms && mark.chain != at.number {
                return Ok(true);
            }
        }
        self.checked = Some((Instant::now(), made));
        Ok(false)
    }
}

/// Behind a message, whatever it and those before it come to.
pub(super) fn behind(number: u64) -> StreamId {
    StreamId { ms: number, number: u64::MAX }
}
