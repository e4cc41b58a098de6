//! A partition's mark: the entry of its stream up to which everything was taken, and from each sender the last sequence. What
//! `commit.lua` compares and sets, as bytes.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Message;
use super::message::chained;

/// Version of the bytes that this program writes.
const VERSION: u8 = 1;
/// Bytes of one sender.
const SENDER: usize = 17;
/// Bytes before the senders.
const HEAD: usize = 1 + 8 + 16 + 8 + 8;

/// Number of an entry in a stream, as Redis gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct StreamId {
    /// Milliseconds of Redis's clock.
    pub ms: u64,
    /// Number among those of one millisecond.
    pub number: u64,
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms, self.number)
    }
}

impl FromStr for StreamId {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected the id of a stream's entry such as 1770000000000-0, found {text:?}");
        let (ms, number) = text.split_once('-').ok_or_else(wrong)?;
        Ok(Self { ms: ms.parse().map_err(|_| wrong())?, number: number.parse().map_err(|_| wrong())? })
    }
}

impl From<StreamId> for String {
    fn from(id: StreamId) -> Self {
        id.to_string()
    }
}

impl TryFrom<String> for StreamId {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Who numbers what arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sender {
    /// The log of a server, by its producer: sequences are those of its records.
    Log(u64),
    /// A partition: sequences are those of its messages.
    Place(super::Place),
}

impl Sender {
    fn bytes(self) -> (u8, u64) {
        match self {
            Self::Log(producer) => (b'l', producer),
            Self::Place(place) => {
                let lane = if place.lane == super::Lane::People { b'p' } else { b'i' };
                (lane, place.partition.into())
            }
        }
    }

    fn of(kind: u8, number: u64) -> Option<Self> {
        let place = |lane| {
            let partition = u16::try_from(number).ok()?;
            Some(Self::Place(super::Place { lane, partition }))
        };
        match kind {
            b'l' => Some(Self::Log(number)),
            b'p' => place(super::Lane::People),
            b'i' => place(super::Lane::Items),
            _ => None,
        }
    }
}

/// As in the hash of what was sent: `l00c0ffee00c0ffee`, `p17`.
impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Log(producer) => write!(f, "l{producer:016x}"),
            Self::Place(place) => write!(f, "{place}"),
        }
    }
}

/// How far a partition has come.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mark {
    /// Drawn anew for each commit: two commits are never taken for one another, even where Redis forgot some between them.
    pub token: u64,
    /// The last entry taken.
    pub at: StreamId,
    /// Number of the last message sent on; 0 before the first.
    pub sent: u64,
    /// What all messages sent on come to: the hash of each is seeded with that of those before it.
    pub chain: u64,
    /// Last sequence taken, by sender.
    pub taken: BTreeMap<Sender, u64>,
}

impl Mark {
    /// The last sequence taken from a sender; 0 where none was.
    #[must_use]
    pub fn taken_of(&self, sender: Sender) -> u64 {
        self.taken.get(&sender).copied().unwrap_or(0)
    }

    /// Moves behind messages that are sent on.
    pub fn send(&mut self, messages: &[Message]) {
        self.sent += messages.len() as u64;
        self.chain = messages.iter().fold(self.chain, |chain, message| chained(chain, &message.encode()));
    }

    /// Its bytes; none for the mark of a partition where nothing was committed yet.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        if *self == Self::default() {
            return Vec::new();
        }
        let mut bytes = Vec::with_capacity(HEAD + SENDER * self.taken.len());
        bytes.push(VERSION);
        for number in [self.token, self.at.ms, self.at.number, self.sent, self.chain] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for (sender, sequence) in &self.taken {
            let (kind, number) = sender.bytes();
            bytes.push(kind);
            bytes.extend_from_slice(&number.to_le_bytes());
            bytes.extend_from_slice(&sequence.to_le_bytes());
        }
        bytes
    }

    /// Reads bytes.
    ///
    /// # Errors
    /// What was expected and found.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let Some((version, rest)) = bytes.split_first() else { return Ok(Self::default()) };
        if *version > VERSION {
            return Err(format!("mark version {version} is newer than {VERSION}; upgrade this server"));
        }
        let wrong = || format!("expected a mark of {HEAD} + n × {SENDER} bytes, found {}", bytes.len());
        if *version == 0 || bytes.len() < HEAD || !(bytes.len() - HEAD).is_multiple_of(SENDER) {
            return Err(wrong());
        }
        let (head, senders) = rest.split_at(HEAD - 1);
        let (token, sent, chain) = (u64_at(head, 0), u64_at(head, 24), u64_at(head, 32));
        let at = StreamId { ms: u64_at(head, 8), number: u64_at(head, 16) };
        let mut taken = BTreeMap::new();
        for one in senders.chunks_exact(SENDER) {
            let sender = Sender::of(one[0], u64_at(one, 1));
            let sender = sender.ok_or_else(|| format!("unknown kind of sender {} in a mark", one[0]))?;
            taken.insert(sender, u64_at(one, 9));
        }
        Ok(Self { token, at, sent, chain, taken })
    }
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(eight)
}

#[cfg(test)]
mod tests {
    use super::super::{Lane, Place};
    use super::*;

    fn mark() -> Mark {
        let place = Place { lane: Lane::People, partition: 17 };
        let taken = [(Sender::Log(0xc0ffee), 42), (Sender::Place(place), 7)];
        Mark {
            token: 9,
            at: StreamId { ms: 1_770_000_000_000, number: 3 },
            sent: 5,
            chain: 6,
            taken: taken.into(),
        }
    }

    #[test]
    fn marks_are_what_was_written() {
        assert_eq!(Mark::decode(&mark().encode()), Ok(mark()));
        assert_eq!(Mark::decode(&Mark::default().encode()), Ok(Mark::default()));
        assert!(Mark::default().encode().is_empty());
    }

    #[test]
    fn other_bytes_are_refused() {
        let bytes = mark().encode();
        for cut in 1..bytes.len() {
            let at_sender = cut >= HEAD && (cut - HEAD).is_multiple_of(SENDER);
            assert_eq!(Mark::decode(&bytes[..cut]).is_ok(), at_sender, "{cut}");
        }
        let newer: Vec<u8> = std::iter::once(VERSION + 1).chain(bytes[1..].iter().copied()).collect();
        assert!(Mark::decode(&newer).unwrap_err().contains("upgrade"));
        let mut unknown = bytes;
        unknown[HEAD] = b'?';
        assert!(Mark::decode(&unknown).is_err());
    }

    #[test]
    fn ids_of_entries_keep_their_order() {
        let ids = ["5-0", "5-1", "12-0"].map(|text| text.parse::<StreamId>().unwrap());
        assert!(ids.is_sorted());
        assert_eq!(ids[1].to_string(), "5-1");
        for bad in ["", "5", "5-", "-1", "5-1-2", "a-1"] {
            assert!(bad.parse::<StreamId>().is_err(), "{bad}");
        }
    }
}
