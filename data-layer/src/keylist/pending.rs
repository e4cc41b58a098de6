//! Lists that wait for their file: each as a run of 32-bit words in large blocks, so that a list is copied, written out and read
//! back as it stands. Not for reading tables.
//!
//! A list is: hash (two words); bytes of the key, operation and whether there is a vector (one word); count; key; vector; items, by
//! the numbers of the writer; scores as they will be stored, their parameters first.

use super::format::{KeyKind, ScoreCodec};
use super::levels::Stored;
use super::list::Op;
use super::record::Entry;
use super::spec::TableSpec;
use super::{Key, map};

/// Words before the key.
pub(super) const HEAD: usize = 4;
/// Word with the key's length (bits 0–15), the operation (16–17) and the vector's mark.
const SHAPE: usize = 2;
const COUNT: usize = 3;
const OP_AT: u32 = 16;
const VECTOR: u32 = 1 << 20;
/// Bytes that a list's place costs, the copy in order of parts included.
const PLACE: usize = 32;
/// Words of a block, least and most. Large ones may have large pages.
const BLOCK: (usize, usize) = (16 << 10, 16 << 20);
/// Blocks of a budget.
const BLOCKS: usize = 16;
/// Cache lines of a list that are asked for ahead.
const AHEAD: usize = 8;

/// Where a list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub hash: u64,
    block: u32,
    at: u32,
}

/// A list to be added: what [`Entry`] is, with the writer's own numbers for items.
#[derive(Debug, Clone, Copy)]
pub(super) struct Raw<'a> {
    pub hash: u64,
    pub key: Key<'a>,
    pub op: Op,
    pub items: &'a [u32],
    pub scores: Stored<'a>,
    pub vector: &'a [f32],
}

/// What the lists of a table have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form {
    /// Whether keys are numbers.
    numbers: bool,
    /// Numbers of a vector.
    vector: usize,
    codec: ScoreCodec,
}

impl Form {
    pub fn of(spec: &TableSpec) -> Self {
        Self { numbers: spec.keys == KeyKind::U64, vector: spec.vector as usize, codec: spec.scores }
    }

    /// Words of the scores of so many places.
    fn scores(self, count: usize) -> usize {
        match self.codec {
            ScoreCodec::Exact => count,
            ScoreCodec::Affine if count == 0 => 0,
            ScoreCodec::Affine => 2 + count.div_ceil(2),
        }
    }

    /// Words of the list that starts here, by its first [`HEAD`] words.
    pub fn length(self, head: &[u32]) -> usize {
        let vector = if head[SHAPE] & VECTOR == 0 { 0 } else { self.vector };
        let count = head[COUNT] as usize;
        HEAD + key_words(head[SHAPE]) + vector + count + self.scores(count)
    }
}

/// Lists in memory.
#[derive(Debug)]
pub(super) struct Lists {
    form: Form,
    blocks: Vec<Vec<u32>>,
    /// Empty blocks.
    free: Vec<Vec<u32>>,
    /// Words of a block, unless one list has more.
    block: usize,
    /// Bytes of all blocks that are not empty.
    held: usize,
    places: Vec<Place>,
}

impl Lists {
    /// No lists; `memory` is what they are meant to take, in bytes.
    pub fn new(form: Form, memory: usize) -> Self {
        let block = (memory / BLOCKS / size_of::<u32>()).clamp(BLOCK.0, BLOCK.1);
        Self { form, blocks: Vec::new(), free: Vec::new(), block, held: 0, places: Vec::new() }
    }

    pub fn places(&self) -> &[Place] {
        &self.places
    }

    /// Where the lists are, to be put into another order. It must be given back before the next list is added.
    pub fn take_places(&mut self) -> Vec<Place> {
        std::mem::take(&mut self.places)
    }

    /// Bytes in use once a list of so many words is added.
    pub fn bytes_with(&self, words: usize) -> usize {
        let more = if self.fits(words) { 0 } else { self.block.max(words) * 4 };
        self.held + more + (self.places.len() + 1) * PLACE
    }

    /// Gives memory back until at most so many bytes are kept for the next lists.
    pub fn shrink(&mut self, memory: usize) {
        self.free.truncate(memory / 4 / self.block);
        self.free.shrink_to_fit();
    }

    /// Forgets the lists, and keeps their memory for the next ones.
    pub fn clear(&mut self) {
        self.places.clear();
        for mut block in self.blocks.drain(..).filter(|block| block.capacity() == self.block) {
            block.clear();
            self.free.push(block);
        }
        self.held = 0;
    }

    /// Words of a list of this shape.
    pub fn words_of(&self, key: Key<'_>, vector: usize, count: usize) -> usize {
        let key = match key {
            Key::U64(_) => 2,
            Key::Str(text) => text.len().div_ceil(4),
        };
        HEAD + key + vector + count + self.form.scores(count)
    }

    /// Adds a list.
    pub fn push(&mut self, raw: &Raw<'_>) {
        let words = self.words_of(raw.key, raw.vector.len(), raw.items.len());
        let (number, at) = self.room(words);
        let Some(block) = self.blocks.last_mut() else { return };
        let vector = if raw.vector.is_empty() { 0 } else { VECTOR };
        let length = match raw.key {
            Key::U64(_) => 8,
            Key::Str(text) => text.len() as u32,
        };
        let shape = length | (raw.op as u32) << OP_AT | vector;
        block.extend_from_slice(&[raw.hash as u32, (raw.hash >> 32) as u32, shape, raw.items.len() as u32]);
        match raw.key {
            Key::U64(key) => block.extend_from_slice(&[key as u32, (key >> 32) as u32]),
            Key::Str(text) => {
                let start = block.len();
                block.resize(start + text.len().div_ceil(4), 0);
                words::bytes_mut(&mut block[start..])[..text.len()].copy_from_slice(text.as_bytes());
            }
        }
        block.extend_from_slice(words::bits(raw.vector));
        block.extend_from_slice(raw.items);
        if self.form.codec == ScoreCodec::Affine && !raw.items.is_empty() {
            block.extend_from_slice(&[raw.scores.least.to_bits(), raw.scores.step.to_bits()]);
        }
        let (start, bytes) = (block.len(), raw.scores.bytes);
        block.resize(start + bytes.len().div_ceil(4), 0);
        words::bytes_mut(&mut block[start..])[..bytes.len()].copy_from_slice(bytes);
        self.places.push(Place { hash: raw.hash, block: number, at });
    }

    /// Adds a list as [`Lists::words`] gave it.
    pub fn push_words(&mut self, list: &[u32]) {
        let (block, at) = self.room(list.len());
        if let Some(block) = self.blocks.last_mut() {
            block.extend_from_slice(list);
        }
        self.places.push(Place { hash: hash(list), block, at });
    }

    fn fits(&self, words: usize) -> bool {
        self.blocks.last().is_some_and(|block| block.capacity() - block.len() >= words)
    }

    /// Makes room for so many words in the last block; its number and the place in it.
    fn room(&mut self, words: usize) -> (u32, u32) {
        if !self.fits(words) {
            let free = if words <= self.block { self.free.pop() } else { None };
            let block = free.unwrap_or_else(|| words::large(self.block.max(words)));
            self.held += block.capacity() * 4;
            self.blocks.push(block);
        }
        let at = self.blocks.last().map_or(0, Vec::len);
        (self.blocks.len() as u32 - 1, at as u32)
    }

    /// The words of a list.
    pub fn words(&self, place: &Place) -> &[u32] {
        let rest = &self.blocks[place.block as usize][place.at as usize..];
        &rest[..self.form.length(rest)]
    }

    /// The key of a list.
    pub fn key(&self, place: &Place) -> Key<'_> {
        let list = self.words(place);
        key(&list[HEAD..], list[SHAPE] & 0xffff, self.form.numbers)
    }

    /// A list as an entry; its items are put into `items` under their new numbers.
    pub fn entry<'a>(&'a self, place: &Place, renumber: &[u32], items: &'a mut Vec<u32>) -> Entry<'a> {
        let list = self.words(place);
        let (shape, count) = (list[SHAPE], list[COUNT] as usize);
        let after_key = HEAD + key_words(shape);
        let scores = list.len() - self.form.scores(count);
        let places = &list[scores - count..scores];
        items.clear();
        items.extend(places.iter().map(|item| renumber.get(*item as usize).copied().unwrap_or(0)));
        Entry {
            key: key(&list[HEAD..after_key], shape & 0xffff, self.form.numbers),
            op: Op::of(shape >> OP_AT & 3).unwrap_or(Op::Replace),
            items,
            scores: self.stored(&list[scores..], count),
            vector: words::floats(&list[after_key..scores - count]),
        }
    }

    fn stored<'a>(&self, scores: &'a [u32], count: usize) -> Stored<'a> {
        match (self.form.codec, scores) {
            (ScoreCodec::Affine, [least, step, levels @ ..]) => Stored {
                least: f32::from_bits(*least),
                step: f32::from_bits(*step),
                bytes: &words::bytes(levels)[..count * 2],
            },
            _ => Stored { least: 0.0, step: 0.0, bytes: words::bytes(scores) },
        }
    }

    /// Asks for the memory of a list.
    pub fn ask(&self, place: &Place) {
        let block = words::bytes(&self.blocks[place.block as usize]);
        (0..AHEAD).for_each(|line| map::prefetch(block, place.at as usize * 4 + line * 64));
    }
}

/// The hash of a list, from its words.
pub(super) fn hash(list: &[u32]) -> u64 {
    u64::from(list[0]) | u64::from(list[1]) << 32
}

fn key_words(shape: u32) -> usize {
    (shape as usize & 0xffff).div_ceil(4)
}

fn key(words: &[u32], length: u32, numbers: bool) -> Key<'_> {
    if numbers {
        return Key::U64(u64::from(words[0]) | u64::from(words[1]) << 32);
    }
    // The bytes were those of a `&str`, so the fallback never happens.
    Key::Str(std::str::from_utf8(&words::bytes(words)[..length as usize]).unwrap_or_default())
}

/// Words as other things of the same bits, and room for them.
pub(super) mod words {
    /// Bytes of a large page, and of an ordinary one.
    #[cfg(target_os = "linux")]
    const PAGE: (usize, usize) = (2 << 20, 4 << 10);

    /// Room for so many words, in large pages where the system has some: lists are read in another order than they came in, and
    /// then most of the time goes into finding out where a page is.
    pub fn large(words: usize) -> Vec<u32> {
        let mut room = Vec::with_capacity(words);
        #[cfg(target_os = "linux")]
        {
            let range = room.spare_capacity_mut().as_mut_ptr_range();
            let skip = range.start.addr().wrapping_neg() % PAGE.1;
            let length = (words * 4).saturating_sub(skip) / PAGE.1 * PAGE.1;
            if length >= PAGE.0 {
                // SAFETY: whole pages within memory that the vector owns; the advice changes no content, and refusal no meaning.
                unsafe { libc::madvise(range.start.byte_add(skip).cast(), length, libc::MADV_HUGEPAGE) };
            }
        }
        room
    }

    /// As bytes, in the order of this machine.
    pub fn bytes(words: &[u32]) -> &[u8] {
        // SAFETY: any four bytes are a word and the other way round, and bytes need no alignment.
        unsafe { words.align_to().1 }
    }

    /// As bytes that can be written.
    pub fn bytes_mut(words: &mut [u32]) -> &mut [u8] {
        // SAFETY: any four bytes are a word and the other way round, and bytes need no alignment.
        unsafe { words.align_to_mut().1 }
    }

    /// As numbers of the same bits.
    pub fn floats(words: &[u32]) -> &[f32] {
        // SAFETY: `f32` has the size and the alignment of `u32`, and any bits are an `f32`.
        unsafe { words.align_to().1 }
    }

    /// The bits of numbers.
    pub fn bits(floats: &[f32]) -> &[u32] {
        // SAFETY: `u32` has the size and the alignment of `f32`, and any bits are a `u32`.
        unsafe { floats.align_to().1 }
    }
}
