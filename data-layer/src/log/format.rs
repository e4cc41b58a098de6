//! Bytes of a segment: its header, its records, and which payload a kind and version has. Little-endian; described in
//! `docs/formats.md`. Not for files, which are `segment.rs`'s and `writer.rs`'s, nor for the bytes of an event: `codec/`.

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64;

use super::codec;
use crate::types::{Decision, Event, Millis, Partition};

pub use super::codec::kind_of;

/// Version of the segment header that this program writes.
pub const SEGMENT_VERSION: u32 = 1;
/// Version of the record that this program writes. The payload of an event is JSON in version 1 and that of `codec/` in version 2;
/// schemas and decisions are JSON in both.
pub const RECORD_VERSION: u8 = 2;
/// Newest version of the record that this program reads: that of a [`GAP`], which older programs must not take for one record.
pub const NEWEST_VERSION: u8 = 3;
/// Bytes of a segment header.
pub const SEGMENT_HEADER: usize = 64;
/// Bytes before the payload of a record.
pub const RECORD_HEADER: usize = 32;
/// Largest payload of a record.
pub const MOST_PAYLOAD: usize = 16 << 20;

const MAGIC: [u8; 8] = *b"WEIRLOG\0";

/// Which of the two logs a segment belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Events: synced before they are acknowledged.
    Events = 1,
    /// Decisions: appended without waiting.
    Decisions = 2,
}

impl Stream {
    /// Name of its folder under the namespace.
    #[must_use]
    pub fn folder(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::Decisions => "decisions",
        }
    }
}

/// Header of a segment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Which log.
    pub stream: Stream,
    /// Identity of the log folder.
    pub producer: u64,
    /// Sequence of the first record.
    pub first: u64,
    /// XXH3-64 of the namespace.
    pub namespace: u64,
}

/// Why a segment header can't be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderError {
    /// Not what was written.
    Corrupt(String),
    /// Written by a newer program.
    Newer(u32),
}

impl SegmentHeader {
    /// The bytes of a header.
    #[must_use]
    pub fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut bytes = [0; SEGMENT_HEADER];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&SEGMENT_VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&(self.stream as u32).to_le_bytes());
        bytes[16..24].copy_from_slice(&self.producer.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.first.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.namespace.to_le_bytes());
        let sum = xxh3_64(&bytes[..56]);
        bytes[56..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// Reads a header.
    ///
    /// # Errors
    /// [`HeaderError`] with what was expected and found.
    pub fn decode(bytes: &[u8; SEGMENT_HEADER]) -> Result<Self, HeaderError> {
        if bytes[..8] != MAGIC {
            return Err(HeaderError::Corrupt(format!("expected a log segment, found {:02x?}", &bytes[..8])));
        }
        let version = u32_at(bytes, 8);
        if version > SEGMENT_VERSION {
            return Err(HeaderError::Newer(version));
        }
        let (expected, found) = (u64_at(bytes, 56), xxh3_64(&bytes[..56]));
        if expected != found {
            return Err(HeaderError::Corrupt(format!("expected sum {expected:016x}, found {found:016x}")));
        }
        let stream = match u32_at(bytes, 12) {
            1 => Stream::Events,
            2 => Stream::Decisions,
            other => return Err(HeaderError::Corrupt(format!("unknown stream {other}"))),
        };
        let (producer, first, namespace) = (u64_at(bytes, 16), u64_at(bytes, 24), u64_at(bytes, 32));
        Ok(Self { stream, producer, first, namespace })
    }
}

/// The bytes of a record before its payload, as read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordHeader {
    /// Bytes of payload.
    pub len: usize,
    /// XXH3-64 of everything after the sum, payload included.
    pub sum: u64,
    /// Version of this record.
    pub version: u8,
    /// What the payload is; see [`kind_of`].
    pub kind: u8,
    /// Partition of the person concerned, or 0.
    pub partition: Partition,
    /// Number in the log.
    pub sequence: u64,
    /// When the server took it.
    pub received_ms: Millis,
}

impl RecordHeader {
    /// Reads the fields; nothing is checked.
    #[must_use]
    pub fn decode(bytes: &[u8; RECORD_HEADER]) -> Self {
        Self {
            len: u32_at(bytes, 0) as usize,
            sum: u64_at(bytes, 4),
            version: bytes[12],
            kind: bytes[13],
            partition: u16::from_le_bytes([bytes[14], bytes[15]]),
            sequence: u64_at(bytes, 16),
            received_ms: u64_at(bytes, 24) as Millis,
        }
    }

    /// Whether the sum of a record fits its bytes.
    #[must_use]
    pub fn fits(&self, header: &[u8; RECORD_HEADER], payload: &[u8]) -> bool {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        hash.update(&header[12..]);
        hash.update(payload);
        hash.digest() == self.sum
    }
}

/// Appends a record to a buffer.
pub fn encode_record(
    out: &mut Vec<u8>,
    kind: u8,
    partition: Partition,
    sequence: u64,
    received_ms: Millis,
    payload: &[u8],
) {
    encode_version(out, RECORD_VERSION, kind, partition, sequence, received_ms, payload);
}

/// As [`encode_record`], with a payload that an older version may have written.
pub(crate) fn encode_version(
    out: &mut Vec<u8>,
    version: u8,
    kind: u8,
    partition: Partition,
    sequence: u64,
    received_ms: Millis,
    payload: &[u8],
) {
    let start = out.len();
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(&[version, kind]);
    out.extend_from_slice(&partition.to_le_bytes());
    out.extend_from_slice(&sequence.to_le_bytes());
    out.extend_from_slice(&received_ms.to_le_bytes());
    out.extend_from_slice(payload);
    let sum = xxh3_64(&out[start + 12..]);
    out[start + 4..start + 12].copy_from_slice(&sum.to_le_bytes());
}

/// Appends a record that stands for `count` which say nothing any more, from the sequence `first` on; one alone is a [`VOID`].
pub fn encode_gap(out: &mut Vec<u8>, first: u64, count: u64, received_ms: Millis) {
    match count {
        0 => {}
        1 => encode_record(out, VOID, 0, first, received_ms, &[]),
        _ => encode_version(out, NEWEST_VERSION, GAP, 0, first, received_ms, &count.to_le_bytes()),
    }
}

/// How many records a record stands for; 1 but for a [`GAP`].
///
/// # Errors
/// A sentence for a gap that is none.
pub(super) fn span(version: u8, kind: u8, payload: &[u8]) -> Result<u64, String> {
    if version != NEWEST_VERSION {
        return Ok(1);
    }
    let count = payload.try_into().map_or(0, u64::from_le_bytes);
    if kind != GAP || count < 2 {
        return Err(format!(
            "expected a gap of some records, found kind {kind} with {} bytes",
            payload.len()
        ));
    }
    Ok(count)
}

/// Kind of a decision's record. Those of events are given by [`kind_of`].
pub const DECISION: u8 = 32;

/// Kind of the record of an identification.
pub(crate) const IDENTIFY: u8 = 6;
/// Kind of the records that ask for somebody to be erased.
pub(crate) const ERASE: u8 = 8;

/// Kind of a record that was erased: it keeps its sequence, says nothing, and readers pass it over.
pub const VOID: u8 = 11;

/// Kind of a record that stands for many which say nothing any more: it has the first of their sequences, the newest of their times of receipt, and
/// as payload how many they are, in 8 bytes. Readers get a [`VOID`] that spans all of them.
pub const GAP: u8 = 12;

/// Bit of the kind of an event's record that came by the lane of the past.
pub const PAST: u8 = 0x80;

/// The payload of an event in the version that this program writes.
///
/// # Errors
/// A sentence for one that is too long for a record.
pub fn encode_event(event: &Event) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(96);
    codec::encode(event, &mut bytes)?;
    bounded(bytes)
}

/// Reads an event of a kind from the payload of a record of a version.
///
/// # Errors
/// A sentence for an unknown kind or a payload that does not fit it.
pub fn decode_event(version: u8, kind: u8, payload: &[u8]) -> Result<Event, String> {
    let kind = kind & !PAST;
    if version >= 2 {
        return codec::decode(kind, payload);
    }
    match kind {
        1 => parse(payload).map(Event::Item),
        2 => parse(payload).map(Event::User),
        3 => parse(payload).map(Event::Interaction),
        4 => parse(payload).map(Event::Retraction),
        5 => parse(payload).map(Event::Impression),
        6 => parse(payload).map(Event::Identify),
        7 => parse(payload).map(Event::Schema),
        8 => parse(payload).map(Event::Erase),
        9 => parse(payload).map(Event::Edge),
        10 => parse(payload).map(Event::Load),
        other => Err(format!("expected the kind of an event, 1 to 10, found {other}")),
    }
}

/// JSON of a decision.
///
/// # Errors
/// A number that is not finite, which JSON can't hold: one such record would make the log unreadable. What the serialiser says.
pub fn encode_decision(decision: &Decision) -> Result<Vec<u8>, String> {
    for (item, at) in decision.items.iter().zip(0..) {
        let mut numbers =
            item.features.iter().chain([&item.score]).chain(item.sources.iter().map(|s| &s.score));
        let finite = numbers.all(|n| n.is_finite()) && item.propensity.is_none_or(f64::is_finite);
        if !finite {
            return Err(format!("items[{at}]: expected finite numbers, found {item:?}"));
        }
    }
    json(decision)
}

/// Reads a decision.
///
/// # Errors
/// A sentence for another kind or JSON that does not fit.
pub fn decode_decision(kind: u8, payload: &[u8]) -> Result<Decision, String> {
    if kind == DECISION { parse(payload) } else { Err(format!("expected kind {DECISION}, found {kind}")) }
}

fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, String> {
    bounded(serde_json::to_vec(value).map_err(|e| e.to_string())?)
}

fn bounded(bytes: Vec<u8>) -> Result<Vec<u8>, String> {
    check_payload(bytes.len()).map(|()| bytes)
}

/// Whether a payload of so many bytes fits a record.
///
/// # Errors
/// A sentence where it doesn't.
pub fn check_payload(bytes: usize) -> Result<(), String> {
    if bytes > MOST_PAYLOAD {
        return Err(format!("expected at most {MOST_PAYLOAD} bytes in the log, found {bytes}"));
    }
    Ok(())
}

fn parse<T: DeserializeOwned>(payload: &[u8]) -> Result<T, String> {
    serde_json::from_slice(payload).map_err(|e| e.to_string())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut four = [0; 4];
    four.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(four)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut eight = [0; 8];
    eight.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(eight)
}
