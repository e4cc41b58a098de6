//! Takes what partitions send on to the partitions that it is for. The owner of a partition does it for that partition. What was sent on stays
//! for a while, so that it can be sent again where its receiver lost it.
//!
//! **Invariant:** a message arrives once and in order, whoever relays it and how often: it carries its partition's number for it, and a
//! receiver takes no number twice.

use std::collections::{HashMap, HashSet};

use super::items::behind;
use super::message::chained;
use super::partition::Entry;
use super::{Appended, Mark, Message, Packed, Packet, Partitions, Place, Sender, StreamId, Which};
use crate::{Error, Result};

/// Messages read of one partition at once.
const MOST_MESSAGES: usize = 256;
/// Partitions read at once.
const MOST_PLACES: usize = 64;
/// Messages that stay after they were sent on.
const STAY: u64 = 4096;
/// Messages of a partition that may wait before its owner takes nothing more.
pub(super) const MOST_BEHIND: u64 = 8192;

/// Messages of partitions on their way.
#[derive(Debug, Default)]
pub(super) struct Relay {
    /// The last message that arrived, by sender.
    done: HashMap<Place, Done>,
    /// Number of the last message that arrived, by sender and receiver.
    arrived: HashMap<(Place, Place), u64>,
    /// Number before which messages were dropped, by sender.
    trimmed: HashMap<Place, u64>,
}

/// How far the messages of a partition have arrived.
#[derive(Debug, Clone, Copy, Default)]
struct Done {
    number: u64,
    /// What all messages up to it come to, where that is known.
    chain: Option<u64>,
}

impl Relay {
    /// Whether so much of a partition that has sent `sent` messages waits that it should send no more.
    pub(super) fn is_behind(&self, place: Place, sent: u64) -> bool {
        self.done.get(&place).is_some_and(|done| sent.saturating_sub(done.number) > MOST_BEHIND)
    }

    /// Begins anew where a partition has not sent what was sent on, as its mark of just now says: Redis lost it.
    pub(super) fn hold_against(&mut self, place: Place, mark: &Mark) {
        let is_other = self.done.get(&place).is_some_and(|done| {
            let same = || done.chain.is_none_or(|chain| chain == mark.chain);
            mark.sent < done.number || mark.sent == done.number && !same()
        });
        if is_other {
            self.forget(place);
        }
    }

    fn forget(&mut self, place: Place) {
        self.done.remove(&place);
        self.trimmed.remove(&place);
        self.arrived.retain(|(from, _), _| *from != place);
    }

    /// Of partitions that are another's, nothing is known once they come back.
    pub(super) fn keep(&mut self, owned: &HashSet<Place>) {
        self.done.retain(|place, _| owned.contains(place));
        self.trimmed.retain(|place, _| owned.contains(place));
        self.arrived.retain(|(from, _), _| owned.contains(from));
    }

    /// Begins anew with all: what it believes was said by a Redis that may not be the one that is there now.
    pub(super) fn forget_all(&mut self) {
        *self = Self::default();
    }

    /// Sends on what there is of some partitions; how many messages were read.
    ///
    /// # Errors
    /// What Redis said. Nobody knows then what arrived, so it is asked for from the beginning of what stays.
    pub(super) async fn step(&mut self, on: &Partitions, owned: &[Place]) -> Result<usize> {
        let mut count = 0;
        for some in owned.chunks(MOST_PLACES) {
            match self.some(on, some).await {
                Ok(read) => count += read,
                Err(error) => {
                    self.forget_all();
                    return Err(error);
                }
            }
        }
        Ok(count)
    }

    async fn some(&mut self, on: &Partitions, places: &[Place]) -> Result<usize> {
        let after: Vec<(Place, StreamId)> = places
            .iter()
            .map(|place| (*place, behind(self.done.get(place).map_or(0, |done| done.number))))
            .collect();
        let mut found = on.entries(Which::Out, &after, MOST_MESSAGES).await?;
        let mut read = 0;
        found.retain(|(from, entries)| {
            let follows = self.follows(*from, entries);
            if !follows {
                self.forget(*from);
                read += 1;
            }
            follows
        });
        let mut packets = Vec::new();
        for (from, entries) in &found {
            self.pack(*from, entries, &mut packets)?;
        }
        let answers = on.append(&packets).await;
        let (mut failed, mut late, mut full) = (None, Vec::new(), Vec::new());
        for ((sender, to, packet), answer) in packets.iter().zip(answers) {
            let Sender::Place(from) = *sender else { continue };
            match answer {
                Ok(Appended::In(sent)) => drop(self.arrived.insert((from, *to), sent.max(packet.last()))),
                Ok(Appended::Gap(found)) => {
                    // It is another number than was believed: of a relay before this one, or less than that because Redis lost some.
                    self.arrived.insert((from, *to), found);
                    let done = self.done.entry(from).or_default();
                    if found < done.number {
                        *done = Done { number: found, chain: None };
                    }
                    late.push(from);
                }
                Ok(Appended::Full) => full.push(from),
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        for (from, entries) in found.iter().filter(|(from, _)| !full.contains(from)) {
            read += entries.len();
            if let Some(last) = entries.last().filter(|_| !late.contains(from)) {
                self.done.insert(*from, Done { number: last.id.ms, chain: Some(last.id.number) });
                self.trim(on, *from, last.id.ms).await?;
            }
        }
        Ok(read)
    }

    /// Whether messages are those behind what has arrived, as far as that can be told.
    fn follows(&self, from: Place, entries: &[Entry]) -> bool {
        let (Some(Done { number, chain: Some(chain) }), Some(first)) =
            (self.done.get(&from), entries.first())
        else {
            return true;
        };
        first.id.ms != number + 1 || first.id.number == chained(*chain, &first.bytes)
    }

    /// Packs the messages of one partition by receiver.
    fn pack(&self, from: Place, entries: &[Entry], packets: &mut Vec<(Sender, Place, Packet)>) -> Result<()> {
        let mut by_receiver: HashMap<Place, Packet> = HashMap::new();
        for entry in entries {
            let wrong = |detail| Error::invalid(format!("message {} of {from}", entry.id), detail);
            let Message { to: Some(to), kind, payload } = Message::decode(&entry.bytes).map_err(wrong)?
            else {
                continue;
            };
            let arrived = self.arrived.get(&(from, to)).copied().unwrap_or(0);
            if entry.id.ms > arrived {
                let packet = by_receiver.entry(to).or_insert_with(|| Packet::after(arrived));
                let sequence = entry.id.ms;
                packet.push(&Packed { version: 1, kind, sequence, received_ms: 0, payload: &payload });
            }
        }
        packets.extend(by_receiver.into_iter().map(|(to, packet)| (Sender::Place(from), to, packet)));
        Ok(())
    }

    async fn trim(&mut self, on: &Partitions, from: Place, done: u64) -> Result<()> {
        let first = done.saturating_sub(STAY);
        let trimmed = self.trimmed.entry(from).or_default();
        if first < *trimmed + STAY / 4 {
            return Ok(());
        }
        *trimmed = first;
        on.trim(Which::Out, from, StreamId { ms: first, number: 0 }).await.map(drop)
    }
}
