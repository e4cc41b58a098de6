//! Many records as one entry of a stream: a packet of one sender, numbered, with a sum. Described in `docs/formats.md`. What the
//! records' payloads mean is not known here: those of a log's records are as in its segments.

use xxhash_rust::xxh3::xxh3_64;

use super::{Lane, Place, Sender};
use crate::types::Millis;

/// Version that this program writes.
const VERSION: u8 = 1;
/// Bytes before what the sum covers.
const HEAD: usize = 1 + 8;
/// Payload bytes after which a packet is full; a longer record is a packet of its own.
pub const FULL: usize = 64 << 10;

/// One record in a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed<'a> {
    /// Version of the record.
    pub version: u8,
    /// What the payload is.
    pub kind: u8,
    /// Number given by the sender; greater than that of the record before, not always by one.
    pub sequence: u64,
    /// When the server took it.
    pub received_ms: Millis,
    /// Its bytes.
    pub payload: &'a [u8],
}

/// A packet while it is filled.
#[derive(Debug, Clone)]
pub struct Packet {
    previous: u64,
    last: u64,
    count: u64,
    received_ms: Millis,
    body: Vec<u8>,
}

impl Packet {
    /// An empty packet that follows a sender's record of this sequence for the same partition; 0 for the first.
    #[must_use]
    pub fn after(previous: u64) -> Self {
        Self { previous, last: previous, count: 0, received_ms: 0, body: Vec::new() }
    }

    /// Adds a record. Its sequence must be greater than the last one.
    pub fn push(&mut self, record: &Packed<'_>) {
        self.body.push(record.version);
        self.body.push(record.kind);
        put(&mut self.body, record.sequence.wrapping_sub(self.last));
        let later = record.received_ms.wrapping_sub(self.received_ms);
        put(&mut self.body, ((later << 1) ^ (later >> 63)) as u64);
        put(&mut self.body, record.payload.len() as u64);
        self.body.extend_from_slice(record.payload);
        (self.last, self.received_ms, self.count) = (record.sequence, record.received_ms, self.count + 1);
    }

    /// Whether it should be sent.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.body.len() >= FULL
    }

    /// Whether it holds no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many records it holds.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.count
    }

    /// Sequence that it follows.
    #[must_use]
    pub fn previous(&self) -> u64 {
        self.previous
    }

    /// Sequence of its last record.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Its bytes, from this sender.
    #[must_use]
    pub fn encode(&self, sender: Sender) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + 32 + self.body.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(&[0; 8]);
        let (kind, number) = match sender {
            Sender::Log(producer) => (b'l', producer),
            Sender::Place(Place { lane: Lane::People, partition }) => (b'p', partition.into()),
            Sender::Place(Place { lane: Lane::Items, partition }) => (b'i', partition.into()),
        };
        bytes.push(kind);
        for number in [number, self.previous, self.count] {
            put(&mut bytes, number);
        }
        bytes.extend_from_slice(&self.body);
        let sum = xxh3_64(&bytes[HEAD..]);
        bytes[1..HEAD].copy_from_slice(&sum.to_le_bytes());
        bytes
    }
}

/// A packet as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked<'a> {
    /// Who numbered the records.
    pub sender: Sender,
    /// Sequence that it follows.
    pub previous: u64,
    /// The records, in order; at least one.
    pub records: Vec<Packed<'a>>,
}

impl<'a> Unpacked<'a> {
    /// Reads a packet.
    ///
    /// # Errors
    /// What was expected and found.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, String> {
        match bytes.first() {
            Some(&VERSION) if bytes.len() > HEAD => {}
            Some(&newer) if newer > VERSION => {
                return Err(format!("packet version {newer} is newer than {VERSION}; upgrade this server"));
            }
            _ => return Err(format!("expected a packet of version {VERSION}, found {} bytes", bytes.len())),
        }
        let mut sum = [0; 8];
        sum.copy_from_slice(&bytes[1..HEAD]);
        let (expected, found) = (u64::from_le_bytes(sum), xxh3_64(&bytes[HEAD..]));
        if expected != found {
            return Err(format!("expected sum {expected:016x}, found {found:016x}"));
        }
        let mut rest = &bytes[HEAD..];
        Self::parse(&mut rest)
            .filter(|packet| rest.is_empty() && !packet.records.is_empty())
            .ok_or_else(|| "expected whole records and nothing behind them".to_owned())
    }

    fn parse(rest: &mut &'a [u8]) -> Option<Self> {
        let kind = take(rest, 1)?[0];
        let number = get(rest)?;
        let place = |lane| Some(Sender::Place(Place { lane, partition: u16::try_from(number).ok()? }));
        let sender = match kind {
            b'l' => Sender::Log(number),
            b'p' => place(Lane::People)?,
            b'i' => place(Lane::Items)?,
            _ => return None,
        };
        let (previous, count) = (get(rest)?, get(rest)?);
        let (mut last, mut received_ms, mut records) = (previous, 0 as Millis, Vec::new());
        for _ in 0..count {
            let head = take(rest, 2)?;
            let step = get(rest)?;
            last = last.checked_add(step).filter(|_| step > 0)?;
            let later = get(rest)?;
            received_ms = received_ms.wrapping_add((later >> 1) as i64 ^ -((later & 1) as i64));
            let len = usize::try_from(get(rest)?).ok()?;
            let payload = take(rest, len)?;
            records.push(Packed { version: head[0], kind: head[1], sequence: last, received_ms, payload });
        }
        Some(Self { sender, previous, records })
    }

    /// Sequence of its last record.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.records.last().map_or(self.previous, |record| record.sequence)
    }
}

/// Appends a number in base 128, least first.
fn put(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn get(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let byte = take(from, 1)?[0];
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        number |= bits << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn take<'a>(from: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, rest) = from.split_at_checked(len)?;
    *from = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Plain = (u8, u8, u64, Millis, Vec<u8>);

    fn records() -> impl Strategy<Value = Vec<Plain>> {
        let step = prop_oneof![1..5_u64, 1..1_u64 << 40];
        let one =
            (any::<u8>(), any::<u8>(), step, any::<i64>(), proptest::collection::vec(any::<u8>(), 0..40));
        proptest::collection::vec(one, 1..20)
    }

    fn packet(previous: u64, steps: &[Plain]) -> Packet {
        let (mut packet, mut sequence) = (Packet::after(previous), previous);
        for (version, kind, step, received_ms, payload) in steps {
            sequence += step;
            let (version, kind, received_ms) = (*version, *kind, *received_ms);
            packet.push(&Packed { version, kind, sequence, received_ms, payload });
        }
        packet
    }

    proptest! {
        #[test]
        fn packets_are_what_was_packed(
            previous in 0..1_u64 << 40, steps in records(), producer in any::<u64>(), partition in 0..1024_u16
        ) {
            let packet = packet(previous, &steps);
            for sender in [
                Sender::Log(producer),
                Sender::Place(Place { lane: Lane::People, partition }),
                Sender::Place(Place { lane: Lane::Items, partition }),
            ] {
                let bytes = packet.encode(sender);
                let read = Unpacked::decode(&bytes).unwrap();
                prop_assert_eq!((read.sender, read.previous, read.last()), (sender, previous, packet.last()));
                let mut sequence = previous;
                prop_assert_eq!(read.records.len(), steps.len());
                for (found, (version, kind, step, received_ms, payload)) in read.records.iter().zip(&steps) {
                    sequence += step;
                    let (version, kind, received_ms) = (*version, *kind, *received_ms);
                    prop_assert_eq!(*found, Packed { version, kind, sequence, received_ms, payload });
                }
            }
        }

        #[test]
        fn no_bytes_make_it_panic_and_no_change_goes_unseen(
            steps in records(), noise in proptest::collection::vec(any::<u8>(), 0..200), at in any::<usize>(), flip in 1..=255_u8
        ) {
            let _ = Unpacked::decode(&noise);
            // Behind a sum that fits, too.
            let mut summed = vec![VERSION];
            summed.extend_from_slice(&xxh3_64(&noise).to_le_bytes());
            summed.extend_from_slice(&noise);
            let _ = Unpacked::decode(&summed);
            let mut bytes = packet(3, &steps).encode(Sender::Log(1));
            let at = at % bytes.len();
            bytes[at] ^= flip;
            prop_assert!(Unpacked::decode(&bytes).is_err());
            prop_assert!(Unpacked::decode(&bytes[..at]).is_err());
        }
    }

    #[test]
    fn an_empty_packet_and_a_newer_one_are_refused() {
        let mut bytes = Packet::after(1).encode(Sender::Log(1));
        assert!(Unpacked::decode(&bytes).is_err());
        bytes[0] = VERSION + 1;
        assert!(Unpacked::decode(&bytes).unwrap_err().contains("upgrade"));
    }
}
