//! One list as it stands in the file: a view of item numbers and scores. Nothing is copied until it is read.

use super::format::ScoreCodec;
use super::kernel;
use super::record::Layout;

/// Places that are unpacked at once; a multiple of 8, so that each chunk starts at a byte.
const CHUNK: usize = 64;

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
    pub(super) bits: u32,
    pub(super) codec: ScoreCodec,
    pub(super) least: f32,
    pub(super) step: f32,
    pub(super) op: Op,
}

/// Places that stand together: small, because it is copied for every list that is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run<'a> {
    /// Items, then scores.
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
    pub(super) fn empty(layout: &Layout, op: Op) -> Self {
        let (bits, codec) = (layout.bits, layout.scores);
        Self { head: Run::EMPTY, tail: Run::EMPTY, bits, codec, least: 0.0, step: 0.0, op }
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
        self.op
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
        let len = self.len();
        // The last group of eight is unpacked whole.
        let (head, enough) = (self.head.len(), len.next_multiple_of(8));
        if room.items.len() < enough {
            room.items.resize(enough, 0);
            room.scores.resize(enough, 0.0);
        }
        self.fill(&self.head, 0, &mut room.items, &mut room.scores[..head]);
        if self.tail.count > 0 {
            let (items, scores) = (&mut room.items[head..], &mut room.scores[head..len]);
            self.fill(&self.tail, 0, items, scores);
        }
        (&room.items[..len], &room.scores[..len])
    }

    /// Calls back with up to 64 items and as many scores at a time, in the order of the list.
    #[inline]
    pub fn chunks(&self, each: &mut impl FnMut(&[u32], &[f32])) {
        let (mut items, mut scores) = ([0; CHUNK], [0.0; CHUNK]);
        for run in [&self.head, &self.tail] {
            let mut at = 0;
            while at < run.len() {
                let places = (run.len() - at).min(CHUNK);
                self.fill(run, at, &mut items, &mut scores[..places]);
                each(&items[..places], &scores[..places]);
                at += places;
            }
        }
    }

    /// As many places from `at` on as there are scores to fill; of the items a whole group of eight where there is room.
    fn fill(&self, run: &Run<'_>, at: usize, items: &mut [u32], scores: &mut [f32]) {
        let whole = scores.len().next_multiple_of(8).min(items.len());
        let levels = run.scores as usize;
        kernel::unpack(&run.bytes[at / 8 * self.bits as usize..], self.bits, &mut items[..whole]);
        match self.codec {
            ScoreCodec::Affine => {
                kernel::dequantise(&run.bytes[levels + at * 2..], self.least, self.step, scores)
            }
            ScoreCodec::Exact => kernel::exact(&run.bytes[levels + at * 4..], scores),
        }
    }
}

/// Where [`List::columns`] puts what it reads; grows to the longest list, and is used again.
#[derive(Debug, Clone, Default)]
pub struct Room {
    items: Vec<u32>,
    scores: Vec<f32>,
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
            let places = (self.run.len() - self.at).min(CHUNK);
            self.list.fill(&self.run, self.at, &mut self.items, &mut self.scores[..places]);
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
                let places = (run.len() - at).min(CHUNK);
                list.fill(run, at, &mut items, &mut scores[..places]);
                folded = items[..places].iter().copied().zip(scores).fold(folded, &mut each);
                at += places;
            }
            at = 0;
        }
        folded
    }
}

impl ExactSizeIterator for ListIter<'_> {}
