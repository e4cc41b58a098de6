//! One list as it stands in the file: a view of item numbers and scores. Nothing is copied until it is read.

use super::format::ScoreCodec;
use super::kernel::{self, Packed};
use super::record::Layout;

/// Places that are unpacked at once; a multiple of 8, so that each chunk starts at a byte.
const CHUNK: usize = 64;
/// Places that are read together.
const GROUP: usize = 8;

/// What a delta does with the list of a key; a whole table has [`Op::Replace`] only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Op {
    /// The list takes the place of the one below.
    #[default]
    Replace = 0,
    /// The items of the list are added to the one below, or take their places in it.
    Merge = 1,
    /// The key is gone.
    Delete = 2,
}

impl Op {
    pub(super) fn of(number: u32) -> Option<Self> {
        [Self::Replace, Self::Merge, Self::Delete].get(number as usize).copied()
    }

    /// The word for it: `replace`, `merge` or `delete`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Replace => "replace",
            Self::Merge => "merge",
            Self::Delete => "delete",
        }
    }

    /// What a word stands for.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Replace, Self::Merge, Self::Delete].into_iter().find(|op| op.word() == word)
    }
}

impl std::fmt::Display for Op {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

/// An ordered list of (dictionary index, score). Holds the file mapped while it lives.
#[derive(Debug, Clone, Copy)]
pub struct List<'a> {
    pub(super) head: Run<'a>,
    pub(super) tail: Run<'a>,
    least: f32,
    step: f32,
    form: Form,
}

/// Bits of an item, whether scores are exact, and the [`Op`], in one word: with fields of a few bits each, a list that is handed on
/// is copied in pieces that the processor can't take from where they were just written.
#[derive(Debug, Clone, Copy)]
struct Form(u64);

impl Form {
    #[inline]
    fn new(bits: u32, codec: ScoreCodec, op: Op) -> Self {
        Self(u64::from(bits) | u64::from(codec == ScoreCodec::Exact) << 8 | (op as u64) << 16)
    }

    #[inline]
    fn bits(self) -> u32 {
        (self.0 & 0xff) as u32
    }

    #[inline]
    fn is_exact(self) -> bool {
        self.0 & 1 << 8 != 0
    }

    #[inline]
    fn op(self) -> Op {
        match self.0 >> 16 {
            0 => Op::Replace,
            1 => Op::Merge,
            _ => Op::Delete,
        }
    }
}

/// Places that stand together: small, because it is copied for every list that is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run<'a> {
    /// Items, then scores, then whatever follows them: where there is as much as a group of eight, the last one is read as all
    /// others are.
    bytes: &'a [u8],
    /// Where the scores start.
    scores: u32,
    count: u32,
}

impl<'a> Run<'a> {
    pub const EMPTY: Self = Self { bytes: &[], scores: 0, count: 0 };

    /// So many places, whose items start where the bytes do and whose scores start at `scores`.
    #[inline]
    pub fn new(bytes: &'a [u8], scores: usize, count: usize) -> Self {
        Self { bytes, scores: scores as u32, count: count as u32 }
    }

    #[inline]
    fn len(&self) -> usize {
        self.count as usize
    }

    /// Where the run starts in memory.
    pub fn start(&self) -> *const u8 {
        self.bytes.as_ptr()
    }
}

impl<'a> List<'a> {
    /// A run of so many bits an item, and what its levels are: the score of level 0, and from one to the next.
    #[inline(always)]
    pub(super) fn new(head: Run<'a>, bits: u32, codec: ScoreCodec, levels: (f32, f32), op: Op) -> Self {
        Self { head, tail: Run::EMPTY, least: levels.0, step: levels.1, form: Form::new(bits, codec, op) }
    }

    pub(super) fn empty(layout: &Layout, op: Op) -> Self {
        Self::new(Run::EMPTY, layout.bits, layout.scores, (0.0, 0.0), op)
    }

    /// Number of places.
    #[must_use]
    pub fn len(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Whether the key is there with nothing in its list.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What a delta does with it.
    #[must_use]
    pub fn op(&self) -> Op {
        self.form.op()
    }

    /// The first `n` places, or all where there are fewer.
    #[must_use]
    pub fn first(mut self, n: usize) -> Self {
        let head = self.head.len().min(n);
        self.tail.count = self.tail.len().min(n - head) as u32;
        self.head.count = head as u32;
        self
    }

    /// Dictionary index and score of each place, in the order of the list. [`List::decode`] and `fold` (so also `for_each` and
    /// `sum`) are faster than a loop over `next`.
    #[must_use]
    pub fn iter(&self) -> ListIter<'a> {
        ListIter { list: *self, at: 0, run: self.head, items: [0; CHUNK], scores: [0.0; CHUNK] }
    }

    /// Appends all places.
    pub fn decode(&self, out: &mut Vec<(u32, f32)>) {
        out.reserve(self.len());
        let mut room = Room::default();
        let (items, scores) = self.columns(&mut room);
        out.extend(items.iter().copied().zip(scores.iter().copied()));
    }

    /// Items and scores of all places, in the order of the list, side by side in a room that is used again and again: the fastest
    /// way to read one.
    #[must_use]
    pub fn columns<'r>(&self, room: &'r mut Room) -> (&'r [u32], &'r [f32]) {
        let (len, head) = (self.len(), self.head.len());
        let (items, scores) = room.groups(head + self.tail.len().next_multiple_of(GROUP));
        let whole = head.next_multiple_of(GROUP);
        self.fill(&self.head, 0, &mut items[..whole], &mut scores[..whole]);
        if self.tail.count > 0 {
            let whole = self.tail.len().next_multiple_of(GROUP);
            self.fill(&self.tail, 0, &mut items[head..head + whole], &mut scores[head..head + whole]);
        }
        room.first(len)
    }

    /// Calls back with up to 64 items and as many scores at a time, in the order of the list.
    #[inline]
    pub fn chunks(&self, each: &mut impl FnMut(&[u32], &[f32])) {
        let (mut items, mut scores) = ([0; CHUNK], [0.0; CHUNK]);
        for run in [&self.head, &self.tail] {
            let mut at = 0;
            while at < run.len() {
                let places = self.fill_chunk(run, at, &mut items, &mut scores);
                each(&items[..places], &scores[..places]);
                at += places;
            }
        }
    }

    /// Up to a chunk's places from `at` on; how many there are.
    #[inline]
    fn fill_chunk(
        &self,
        run: &Run<'_>,
        at: usize,
        items: &mut [u32; CHUNK],
        scores: &mut [f32; CHUNK],
    ) -> usize {
        let places = (run.len() - at).min(CHUNK);
        let whole = places.next_multiple_of(GROUP);
        self.fill(run, at, &mut items[..whole], &mut scores[..whole]);
        places
    }

    /// Places from `at` on, a multiple of eight; as many groups of eight as both slices have.
    #[inline]
    fn fill(&self, run: &Run<'_>, at: usize, items: &mut [u32], scores: &mut [f32]) {
        let bits = self.form.bits();
        let from = at / GROUP * bits as usize;
        let bytes = run.bytes.get(from..).unwrap_or(&[]);
        let levels = run.scores as usize - from;
        if self.form.is_exact() {
            kernel::unpack(bytes, bits, items);
            kernel::exact(bytes.get(levels + at * 4..).unwrap_or(&[]), scores);
        } else {
            let levels = levels + at * 2;
            kernel::places(
                &Packed { bytes, bits, levels, least: self.least, step: self.step },
                items,
                scores,
            );
        }
    }
}

/// Where [`List::columns`] puts what it reads; grows to the longest list, and is used again.
#[derive(Debug, Clone, Default)]
pub struct Room {
    items: Vec<u32>,
    scores: Vec<f32>,
}

impl Room {
    /// Room for so many places, in whole groups of eight.
    #[inline]
    pub(super) fn groups(&mut self, places: usize) -> (&mut [u32], &mut [f32]) {
        let enough = places.next_multiple_of(GROUP);
        if self.items.len() < enough {
            self.items.resize(enough, 0);
            self.scores.resize(enough, 0.0);
        }
        (&mut self.items[..enough], &mut self.scores[..enough])
    }

    /// The places that were put here.
    #[inline]
    pub(super) fn first(&self, places: usize) -> (&[u32], &[f32]) {
        (&self.items[..places], &self.scores[..places])
    }
}

impl<'a> IntoIterator for &List<'a> {
    type Item = (u32, f32);
    type IntoIter = ListIter<'a>;
    fn into_iter(self) -> ListIter<'a> {
        self.iter()
    }
}

/// Iterator over a [`List`].
#[derive(Debug, Clone)]
pub struct ListIter<'a> {
    list: List<'a>,
    /// Next place of the run.
    at: usize,
    run: Run<'a>,
    /// The chunk that `at` is in, once its first place was taken.
    items: [u32; CHUNK],
    scores: [f32; CHUNK],
}

impl Iterator for ListIter<'_> {
    type Item = (u32, f32);

    #[inline]
    fn next(&mut self) -> Option<(u32, f32)> {
        if self.at == self.run.len() {
            if self.list.tail.count == 0 {
                return None;
            }
            (self.run, self.at) = (self.list.tail, 0);
            self.list.tail = Run::EMPTY;
        }
        let place = self.at % CHUNK;
        if place == 0 {
            self.list.fill_chunk(&self.run, self.at, &mut self.items, &mut self.scores);
        }
        self.at += 1;
        Some((self.items[place], self.scores[place]))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.run.len() - self.at + self.list.tail.len();
        (left, Some(left))
    }

    fn fold<B, F: FnMut(B, (u32, f32)) -> B>(mut self, first: B, mut each: F) -> B {
        let mut folded = first;
        // What is left of a chunk that was begun; whole chunks then.
        while !self.at.is_multiple_of(CHUNK) && self.at < self.run.len() {
            let Some(place) = self.next() else { return folded };
            folded = each(folded, place);
        }
        let (list, mut at) = (&self.list, self.at);
        let (mut items, mut scores) = ([0; CHUNK], [0.0; CHUNK]);
        for run in [&self.run, &list.tail] {
            while at < run.len() {
                let places = list.fill_chunk(run, at, &mut items, &mut scores);
                folded = items[..places].iter().copied().zip(scores).fold(folded, &mut each);
                at += places;
            }
            at = 0;
        }
        folded
    }
}

impl ExactSizeIterator for ListIter<'_> {}
