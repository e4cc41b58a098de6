//! The second stream: what happens to items is gathered by item partition, made less by adding up what adds up, and read by every server from
//! where it stands. Not for what adds up to what: that is a [`Sum`].

use super::work::{Begun, Found, Needs, Notes};
use super::{Arrived, Lane, Message, Outcome, Packed, Partitions, Place, StreamId, Which, Work};
use crate::types::Millis;
use crate::{Error, Result};

/// Entries read of one partition at once.
const MOST_ENTRIES: usize = 64;

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
    /// The last message read, by partition.
    at: Vec<u64>,
}

impl Tail {
    /// Behind these messages, by partition: those of a snapshot, or zeros.
    ///
    /// # Errors
    /// [`Error::Invalid`] where they are not as many as there are item partitions.
    pub fn new(partitions: Partitions, at: Vec<u64>) -> Result<Self> {
        let expected = usize::from(Lane::Items.partitions());
        if at.len() != expected {
            let detail = format!("expected positions of {expected} item partitions, found {}", at.len());
            return Err(Error::invalid("snapshot", detail));
        }
        Ok(Self { partitions, at })
    }

    /// The last message read, by partition.
    #[must_use]
    pub fn at(&self) -> &[u64] {
        &self.at
    }

    /// What came since the last call, in order within each partition; nothing where all was read.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::Invalid`] for a message that can't be read, and where messages between are missing: they were
    /// trimmed, or Redis lost them, and a newer snapshot is needed. Nothing is taken then.
    pub async fn read(&mut self) -> Result<Vec<Delta>> {
        let after: Vec<(Place, StreamId)> = Lane::Items
            .places()
            .zip(&self.at)
            .map(|(place, at)| (place, StreamId { ms: *at, number: 1 }))
            .collect();
        let found = self.partitions.entries(Which::Out, &after, MOST_ENTRIES).await?;
        let (mut deltas, mut at) = (Vec::new(), self.at.clone());
        for (place, entries) in found {
            let last = &mut at[usize::from(place.partition)];
            for entry in entries {
                let wrong = |detail| Error::invalid(format!("message {} of {place}", entry.id), detail);
                if entry.id.ms != *last + 1 {
                    let detail = format!(
                        "expected {}: those between were trimmed, start from a newer snapshot",
                        *last + 1
                    );
                    return Err(wrong(detail));
                }
                let Message { kind, payload, .. } = Message::decode(&entry.bytes).map_err(wrong)?;
                deltas.push(Delta { place, number: entry.id.ms, kind, payload });
                *last = entry.id.ms;
            }
        }
        self.at = at;
        Ok(deltas)
    }

    /// Says that a snapshot of these positions needs what came after it, for `life` milliseconds.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn hold(&self, name: &str, life: Millis) -> Result<()> {
        for (place, at) in Lane::Items.places().zip(&self.at) {
            let from = StreamId { ms: *at + 1, number: 0 };
            self.partitions.hold(Which::Out, place, name, from, life).await?;
        }
        Ok(())
    }
}
