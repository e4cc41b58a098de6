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

/// Places that stand together. `items` and `scores` may go on behind what belongs to the run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run<'a> {
    pub items: &'a [u8],
    pub scores: &'a [u8],
    pub count: usize,
}

impl Run<'_> {
    pub const EMPTY: Self = Self { items: &[], scores: &[], count: 0 };
}

impl<'a> List<'a> {
    pub(super) fn empty(layout: &Layout, op: Op) -> Self {
        let (bits, codec) = (layout.bits, layout.scores);
        Self { head: Run::EMPTY, tail: Run::EMPTY, bits, codec, least: 0.0, step: 0.0, op }
    }

    /// Number of places.
    #[must_use]
    pub fn len(&self) -> usize {
        self.head.count + self.tail.count
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
        self.head.count = self.head.count.min(n);
        self.tail.count = self.tail.count.min(n - self.head.count);
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
        self.chunks(&mut |items, scores| out.extend(items.iter().copied().zip(scores.iter().copied())));
    }

    /// Calls back with up to 64 items and as many scores at a time, in the order of the list: the fastest way to read one.
    #[inline]
    pub fn chunks(&self, each: &mut impl FnMut(&[u32], &[f32])) {
        for run in [&self.head, &self.tail] {
            let mut at = 0;
            while at < run.count {
                let places = (run.count - at).min(CHUNK);
                let (mut items, mut scores) = ([0; CHUNK], [0.0; CHUNK]);
                self.items(run, at, &mut items[..places]);
                self.scores(run, at, &mut scores[..places]);
                each(&items[..places], &scores[..places]);
                at += places;
            }
        }
    }

    #[inline]
    fn items(&self, run: &Run<'_>, at: usize, out: &mut [u32]) {
        kernel::unpack(&run.items[at / 8 * self.bits as usize..], self.bits, out);
    }

    #[inline]
    fn scores(&self, run: &Run<'_>, at: usize, out: &mut [f32]) {
        match self.codec {
            ScoreCodec::Affine => kernel::dequantise(&run.scores[at * 2..], self.least, self.step, out),
            ScoreCodec::Exact => {
                let exact = run.scores[at * 4..].chunks_exact(4);
                for (score, bytes) in out.iter_mut().zip(exact) {
                    *score = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
                }
            }
        }
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
        if self.at == self.run.count {
            if self.list.tail.count == 0 {
                return None;
            }
            (self.run, self.at) = (self.list.tail, 0);
            self.list.tail = Run::EMPTY;
        }
        let place = self.at % CHUNK;
        if place == 0 {
            let places = (self.run.count - self.at).min(CHUNK);
            self.list.items(&self.run, self.at, &mut self.items[..places]);
            self.list.scores(&self.run, self.at, &mut self.scores[..places]);
        }
        self.at += 1;
        Some((self.items[place], self.scores[place]))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.run.count - self.at + self.list.tail.count;
        (left, Some(left))
    }

    fn fold<B, F: FnMut(B, (u32, f32)) -> B>(mut self, first: B, mut each: F) -> B {
        let mut folded = first;
        // What is left of a chunk that was begun; whole chunks then.
        while !self.at.is_multiple_of(CHUNK) && self.at < self.run.count {
            let Some(place) = self.next() else { return folded };
            folded = each(folded, place);
        }
        let (list, mut at) = (&self.list, self.at);
        for run in [&self.run, &list.tail] {
            while at < run.count {
                let places = (run.count - at).min(CHUNK);
                let (mut items, mut scores) = ([0; CHUNK], [0.0; CHUNK]);
                list.items(run, at, &mut items[..places]);
                list.scores(run, at, &mut scores[..places]);
                folded = items[..places].iter().copied().zip(scores).fold(folded, &mut each);
                at += places;
            }
            at = 0;
        }
        folded
    }
}

impl ExactSizeIterator for ListIter<'_> {}
