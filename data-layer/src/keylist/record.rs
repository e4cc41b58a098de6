//! One record of version 2 as bytes, both ways: the layout that `docs/formats.md` describes. Not for finding records.

use super::format::{KeyKind, ScoreCodec, u32_at, u64_at};
use super::levels::Stored;
use super::list::{List, Op, Run};
use super::{Key, hash, kernel};

/// Bits of the word behind the sum: the count of the whole list, and flags.
const COUNT: u32 = (1 << 21) - 1;
const OCCUPIED: u32 = 1 << 24;
const TAIL: u32 = 1 << 25;
const ELSEWHERE: u32 = 1 << 26;
const OP_AT: u32 = 27;
const VECTOR: u32 = 1 << 29;
/// Bits that mean something.
const KNOWN: u32 = COUNT | OCCUPIED | TAIL | ELSEWHERE | 3 << OP_AT | VECTOR;

/// Sum and word.
pub(super) const HEAD: usize = 8;
/// Bits of a place in the overflow section, in units of 8 bytes; above them stands how much of the list is in the record.
const PLACE_BITS: u32 = 40;
/// Most places of a list in a record whose list goes on elsewhere.
const MOST_HEAD: usize = (1 << 24) - 1;

/// What the records of a table have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    pub keys: KeyKind,
    pub scores: ScoreCodec,
    /// Bits of an item.
    pub bits: u32,
    /// Numbers of a vector.
    pub vector: u32,
    /// Bytes from one record to the next.
    pub stride: usize,
}

/// A key and all it has, items as numbers of the dictionary.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    pub key: Key<'a>,
    pub op: Op,
    pub items: &'a [u32],
    pub scores: Stored<'a>,
    /// Empty, or as long as the layout says.
    pub vector: &'a [f32],
}

/// The overflow section as it grows; what was written out already is counted only.
#[derive(Debug, Default)]
pub(super) struct Overflow {
    /// Not written out yet.
    pub bytes: Vec<u8>,
    /// Bytes that went before.
    pub before: u64,
    /// Lists that have a part here.
    pub lists: u64,
    /// Memory that is used for one record after the other.
    room: Vec<u8>,
}

impl Layout {
    /// Bytes of a score.
    pub fn width(&self) -> usize {
        match self.scores {
            ScoreCodec::Affine => 2,
            ScoreCodec::Exact => 4,
        }
    }

    fn parameters(&self, count: usize) -> usize {
        if self.scores == ScoreCodec::Affine && count > 0 { 8 } else { 0 }
    }

    fn places(&self, count: usize) -> usize {
        (count * self.bits as usize).div_ceil(8) + count * self.width()
    }

    /// Bytes of a record that holds its whole list.
    pub fn whole(&self, key: Key<'_>, vector: usize, count: usize) -> usize {
        let key = match key {
            Key::U64(_) => 8,
            Key::Str(text) => 2 + text.len(),
        };
        self.sized(key + vector * 4, count)
    }

    /// [`Layout::whole`] by the bytes of key, its length and vector.
    pub fn sized(&self, base: usize, count: usize) -> usize {
        HEAD + base + self.parameters(count) + self.places(count)
    }

    /// How much of a list fits beside a pointer to the rest; `None` where not even key, pointer and vector fit.
    fn head(&self, key: Key<'_>, vector: usize, count: usize) -> Option<usize> {
        let room = self.stride.checked_sub(self.whole(key, vector, 0) + 8 + self.parameters(count))?;
        let mut head = (room * 8 / (self.bits as usize + self.width() * 8)).min(count).min(MOST_HEAD);
        while self.places(head) > room {
            head -= 1;
        }
        Some(head)
    }
}

/// Writes the record of an empty slot into its stride of zeros.
pub(super) fn vacant(out: &mut [u8], slot: u64) {
    seal(out, HEAD, inside(slot));
}

/// Writes a record into its stride of zeros, and what does not fit into the overflow.
///
/// # Errors
/// An overflow of more than 8 TiB; as a text for the place where the key is known.
pub(super) fn write(
    layout: &Layout,
    entry: &Entry<'_>,
    slot: u64,
    out: &mut [u8],
    overflow: &mut Overflow,
) -> Result<(), String> {
    let count = entry.items.len();
    let mut bytes = std::mem::take(&mut overflow.room);
    bytes.clear();
    let word = count as u32
        | OCCUPIED
        | (entry.op as u32) << OP_AT
        | if entry.vector.is_empty() { 0 } else { VECTOR };
    let whole = layout.whole(entry.key, entry.vector.len(), count);
    if whole <= layout.stride {
        start(layout, entry, word, None, count, &mut bytes);
        places(layout, entry, 0..count, &mut bytes);
    } else if let Some(head) = layout.head(entry.key, entry.vector.len(), count) {
        let pointer = overflow.place()? | (head as u64) << PLACE_BITS;
        start(layout, entry, word | TAIL, Some(pointer), count, &mut bytes);
        places(layout, entry, 0..head, &mut bytes);
        let mut tail = vec![0; 4];
        tail.extend_from_slice(&((count - head) as u32).to_le_bytes());
        places(layout, entry, head..count, &mut tail);
        overflow.push(tail);
    } else {
        let pointer = overflow.place()?;
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&(word | ELSEWHERE).to_le_bytes());
        bytes.extend_from_slice(&pointer.to_le_bytes());
        let mut body = Vec::with_capacity(whole);
        start(layout, entry, word, None, count, &mut body);
        places(layout, entry, 0..count, &mut body);
        overflow.push(body);
    }
    out[..bytes.len()].copy_from_slice(&bytes);
    seal(out, bytes.len(), inside(slot));
    overflow.room = bytes;
    Ok(())
}

impl Overflow {
    /// Where the next block will be, in units of 8 bytes.
    fn place(&self) -> Result<u64, String> {
        let place = (self.before + self.bytes.len() as u64) / 8;
        if place >> PLACE_BITS == 0 { Ok(place) } else { Err("the overflow of a file is below 8 TiB".into()) }
    }

    fn push(&mut self, mut block: Vec<u8>) {
        let (used, at) = (block.len(), self.before + self.bytes.len() as u64);
        seal(&mut block, used, outside(at));
        self.bytes.extend_from_slice(&block);
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        self.lists += 1;
    }
}

/// Sums what stands behind the first four bytes. The sum is bound to the place, so that a sound record at another one is damage, too.
fn seal(bytes: &mut [u8], used: usize, place: u32) {
    let sum = hash::sum(&bytes[4..used]) ^ place;
    bytes[..4].copy_from_slice(&sum.to_le_bytes());
}

/// The place of a record by its slot, for its sum.
#[inline]
pub(super) fn inside(slot: u64) -> u32 {
    slot as u32
}

/// The place of a block by its byte of the overflow section, for its sum; other than that of any slot nearby.
#[inline]
pub(super) fn outside(at: u64) -> u32 {
    !((at / 8) as u32)
}

/// All of a record that stands before its places.
fn start(
    layout: &Layout,
    entry: &Entry<'_>,
    word: u32,
    pointer: Option<u64>,
    count: usize,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&word.to_le_bytes());
    match entry.key {
        Key::U64(number) => out.extend_from_slice(&number.to_le_bytes()),
        Key::Str(text) => {
            out.extend_from_slice(&(text.len() as u16).to_le_bytes());
            out.extend_from_slice(text.as_bytes());
        }
    }
    if let Some(pointer) = pointer {
        out.extend_from_slice(&pointer.to_le_bytes());
    }
    entry.vector.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
    if layout.parameters(count) > 0 {
        out.extend_from_slice(&entry.scores.least.to_le_bytes());
        out.extend_from_slice(&entry.scores.step.to_le_bytes());
    }
}

/// Items and scores of some places.
fn places(layout: &Layout, entry: &Entry<'_>, range: std::ops::Range<usize>, out: &mut Vec<u8>) {
    let width = layout.width();
    kernel::pack(&entry.items[range.clone()], layout.bits, out);
    out.extend_from_slice(&entry.scores.bytes[range.start * width..range.end * width]);
}

/// A record as it stands, its sum checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record<'a> {
    /// The text, or the number's eight bytes; empty where `next` is the whole record's place.
    pub key: &'a [u8],
    pub vector: &'a [u8],
    pub list: List<'a>,
    /// Whether there is a key here.
    pub occupied: bool,
    pub next: Next,
}

/// What of a record stands in the overflow section, and at which byte of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Nothing,
    /// So many more places of the list.
    Tail {
        at: u64,
        count: usize,
    },
    /// The record itself.
    Record {
        at: u64,
    },
}

/// What may be wrong with a record.
pub(super) type Wrong = &'static str;

/// Where the overflow of a record starts, read without any check: good for asking ahead, and for nothing else.
#[inline]
pub(super) fn peek(layout: &Layout, bytes: &[u8]) -> Option<u64> {
    let word = u32_at(bytes, 4);
    let at = match (word & (TAIL | ELSEWHERE), layout.keys) {
        (0, _) => return None,
        (ELSEWHERE, _) => HEAD,
        (_, KeyKind::U64) => HEAD + 8,
        (_, KeyKind::String) => HEAD + 2 + key_length(bytes),
    };
    Some(pointed(u64_at(bytes, at)))
}

#[inline]
fn pointed(pointer: u64) -> u64 {
    (pointer & ((1 << PLACE_BITS) - 1)) * 8
}

#[inline]
fn key_length(bytes: &[u8]) -> usize {
    bytes.get(HEAD..HEAD + 2).map_or(0, |two| usize::from(u16::from_le_bytes([two[0], two[1]])))
}

/// Places of a record by its word, where it is taken, holds its whole list, replaces, and has no vector.
#[inline]
pub(super) fn plain(word: u32) -> Option<usize> {
    (word & !COUNT == OCCUPIED).then_some((word & COUNT) as usize)
}

/// The list of a key where its record is as most are: this key's, all of it in its place, the sum right. `None` says only that it is
/// not; [`read`] finds out what there is. `bytes` start where the record does and go on as far as may be read. Nothing is put
/// together here that the caller does not ask for.
#[inline(always)]
pub(super) fn usual<'a>(layout: &Layout, bytes: &'a [u8], place: u32, key: Key<'_>) -> Option<List<'a>> {
    let start = u64_at(bytes, 0);
    let word = (start >> 32) as u32;
    if word & (OCCUPIED | TAIL | ELSEWHERE | !KNOWN) != OCCUPIED {
        return None;
    }
    let key_end = match (key, layout.keys) {
        (Key::U64(number), KeyKind::U64) if u64_at(bytes, HEAD) == number => HEAD + 8,
        (Key::Str(text), KeyKind::String) => {
            let end = HEAD + 2 + key_length(bytes);
            (bytes.get(HEAD + 2..end)? == text.as_bytes()).then_some(end)?
        }
        _ => return None,
    };
    let count = (word & COUNT) as usize;
    let vector = if word & VECTOR == 0 { 0 } else { layout.vector as usize * 4 };
    let parameters = layout.parameters(count);
    let items = key_end + vector + parameters;
    let packed = (count * layout.bits as usize).div_ceil(8);
    let end = items + packed + count * layout.width();
    if end > layout.stride || end > bytes.len() || hash::sum(&bytes[4..end]) ^ place != start as u32 {
        return None;
    }
    let scale = if parameters > 0 { u64_at(bytes, items - 8) } else { 0 };
    let levels = (f32::from_bits(scale as u32), f32::from_bits((scale >> 32) as u32));
    let head = Run::new(&bytes[items..], packed, count);
    Some(List::new(head, layout.bits, layout.scores, levels, Op::of(word >> OP_AT & 3)?))
}

/// Reads a record that starts where `bytes` do and ends within them; `place` is [`inside`] or [`outside`].
pub(super) fn read<'a>(layout: &Layout, bytes: &'a [u8], place: u32) -> Result<Record<'a>, Wrong> {
    const LONG: Wrong = "a length is too large";
    let word = u32_at(bytes, 4);
    let count = (word & COUNT) as usize;
    if word & OCCUPIED == 0 {
        let vacant = bytes.get(..HEAD).ok_or(LONG)?;
        check(vacant, place)?;
        let list = List::empty(layout, Op::Replace);
        return Ok(Record { key: &[], vector: &[], list, occupied: false, next: Next::Nothing });
    }
    let op = Op::of(word >> OP_AT & 3).filter(|_| word & !KNOWN == 0);
    if word & ELSEWHERE != 0 {
        let stub = bytes.get(..HEAD + 8).ok_or(LONG)?;
        check(stub, place)?;
        let list = List::empty(layout, Op::Replace);
        let next = Next::Record { at: pointed(u64_at(stub, HEAD)) };
        return Ok(Record { key: &[], vector: &[], list, occupied: true, next });
    }
    let (key_at, key_end) = match layout.keys {
        KeyKind::U64 => (HEAD, HEAD + 8),
        KeyKind::String => (HEAD + 2, HEAD + 2 + key_length(bytes)),
    };
    let (mut at, mut head, mut next) = (key_end, count, Next::Nothing);
    if word & TAIL != 0 {
        let pointer = u64_at(bytes, at);
        head = (pointer >> PLACE_BITS) as usize;
        next = Next::Tail { at: pointed(pointer), count: count.checked_sub(head).ok_or(LONG)? };
        at += 8;
    }
    let vector_at = at;
    if word & VECTOR != 0 {
        at += layout.vector as usize * 4;
    }
    let vector_end = at;
    at += layout.parameters(count);
    let items = at;
    let scores = items + (head * layout.bits as usize).div_ceil(8);
    let end = scores + head * layout.width();
    let used = bytes.get(..end).ok_or(LONG)?;
    check(used, place)?;
    let parameter = |from: usize| f32::from_bits(u32_at(used, from));
    let (least, step) =
        if items > vector_end { (parameter(items - 8), parameter(items - 4)) } else { (0.0, 0.0) };
    let run = Run::new(&used[items..], scores - items, head);
    let list = List::new(run, layout.bits, layout.scores, (least, step), op.ok_or("unknown flags")?);
    let (key, vector) = (&used[key_at..key_end], &used[vector_at..vector_end]);
    Ok(Record { key, vector, list, occupied: true, next })
}

/// Reads the rest of a list from where `bytes` start.
pub(super) fn read_tail<'a>(
    layout: &Layout,
    bytes: &'a [u8],
    place: u32,
    count: usize,
) -> Result<Run<'a>, Wrong> {
    let scores = HEAD + (count * layout.bits as usize).div_ceil(8);
    let used = bytes.get(..scores + count * layout.width()).ok_or("a length is too large")?;
    check(used, place)?;
    if u32_at(used, 4) as usize != count {
        return Err("the rest of a list is that of another");
    }
    Ok(Run::new(&used[HEAD..], scores - HEAD, count))
}

#[inline]
fn check(used: &[u8], place: u32) -> Result<(), Wrong> {
    if hash::sum(&used[4..]) ^ place == u32_at(used, 0) { Ok(()) } else { Err("the sum of a record differs") }
}

/// Copies a vector out.
pub(super) fn numbers(bytes: &[u8], out: &mut Vec<f32>) {
    out.extend(bytes.chunks_exact(4).map(|four| f32::from_bits(u32_at(four, 0))));
}
