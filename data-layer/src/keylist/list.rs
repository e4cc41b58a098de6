//! One list as it stands in the file: a view of item numbers and scores. Nothing is copied until it is iterated.

use std::slice::ChunksExact;

use super::format::ScoreCodec;

/// An ordered list of (dictionary index, score). Holds the file mapped while it lives.
#[derive(Debug, Clone, Copy)]
pub struct List<'a> {
    pub(super) items: &'a [u8],
    pub(super) scores: &'a [u8],
    pub(super) codec: ScoreCodec,
    pub(super) least: f32,
    pub(super) step: f32,
}

impl<'a> List<'a> {
    /// Number of places.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len() / 4
    }

    /// Whether the key is there with nothing in its list.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Dictionary index and score of each place, in the order of the list.
    #[must_use]
    pub fn iter(&self) -> ListIter<'a> {
        let width = match self.codec {
            ScoreCodec::Affine => 2,
            ScoreCodec::Exact => 4,
        };
        ListIter {
            items: self.items.chunks_exact(4),
            scores: self.scores.chunks_exact(width),
            least: self.least,
            step: self.step,
        }
    }
}

/// A stored level as a score. Reader and writer share it, so that the stated error is the true one.
pub(super) fn affine(least: f32, step: f32, level: u16) -> f32 {
    least + step * f32::from(level)
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
    items: ChunksExact<'a, u8>,
    scores: ChunksExact<'a, u8>,
    least: f32,
    step: f32,
}

impl Iterator for ListIter<'_> {
    type Item = (u32, f32);

    #[inline]
    fn next(&mut self) -> Option<(u32, f32)> {
        let item = u32::from_le_bytes(self.items.next()?.try_into().ok()?);
        let score = match *self.scores.next()? {
            [a, b] => affine(self.least, self.step, u16::from_le_bytes([a, b])),
            [a, b, c, d] => f32::from_le_bytes([a, b, c, d]),
            _ => return None,
        };
        Some((item, score))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}

impl ExactSizeIterator for ListIter<'_> {}
