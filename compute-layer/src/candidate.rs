//! A candidate, and all candidates of a request with what each source said about them. Not for attributes: those are looked up by ordinal.

use crate::Error;
use data_layer::types::Ordinal;
use rustc_hash::FxHashMap;

use data_layer::live::Scored;

/// Most sources (recalls) of a scene: a candidate has a bit for each.
pub const MAX_SOURCES: usize = 64;

/// One item under consideration. Small and `Copy`.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C)]
pub struct Candidate {
    /// Which item.
    pub item: Ordinal,
    /// The score so far: 0 after recall, the model's or the blend's after ranking. Always finite.
    pub score: f32,
    /// Bit `s` is set when source `s` holds the item in its list.
    pub sources: u64,
}

/// What one source said, row by row beside the candidates.
#[derive(Debug, Clone, Default, PartialEq)]
struct Column {
    score: Vec<f32>,
    rank: Vec<u32>,
    best: f32,
}

/// The candidates of one request, each item once, with a column of scores and ranks per source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Candidates {
    list: Vec<Candidate>,
    names: Vec<String>,
    columns: Vec<Column>,
    rows: FxHashMap<Ordinal, u32>,
}

impl Candidates {
    /// No candidates yet, from these sources.
    ///
    /// # Errors
    /// [`Error::TooManySources`] beyond 64.
    pub fn new(names: impl IntoIterator<Item = String>) -> Result<Self, Error> {
        let names: Vec<String> = names.into_iter().collect();
        if names.len() > MAX_SOURCES {
            return Err(Error::TooManySources(names.len()));
        }
        let columns = vec![Column::default(); names.len()];
        Ok(Self { list: Vec::new(), names, columns, rows: FxHashMap::default() })
    }

    /// Candidates from these sources, given by the caller, in its order, each once.
    ///
    /// # Errors
    /// As [`Candidates::new`].
    pub fn given(
        names: impl IntoIterator<Item = String>,
        items: impl IntoIterator<Item = Ordinal>,
    ) -> Result<Self, Error> {
        let mut made = Self::new(names)?;
        for item in items {
            made.row_of(item);
        }
        Ok(made)
    }

    /// The candidates.
    #[must_use]
    pub fn list(&self) -> &[Candidate] {
        &self.list
    }

    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Names of the sources; the place in it is the bit.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The row of an item.
    #[must_use]
    pub fn find(&self, item: Ordinal) -> Option<usize> {
        self.rows.get(&item).map(|&row| row as usize)
    }

    /// Score of the candidate in row `row` in the list of `source`; 0 where it is not in it.
    #[must_use]
    pub fn source_score(&self, source: usize, row: usize) -> f32 {
        self.columns[source].score[row]
    }

    /// Rank of the candidate in row `row` in the list of `source`, from 1; 0 where it is not in it.
    #[must_use]
    pub fn source_rank(&self, source: usize, row: usize) -> u32 {
        self.columns[source].rank[row]
    }

    /// All scores of one source, row by row.
    #[must_use]
    pub fn scores_of(&self, source: usize) -> &[f32] {
        &self.columns[source].score
    }

    /// All ranks of one source, row by row.
    #[must_use]
    pub fn ranks_of(&self, source: usize) -> &[u32] {
        &self.columns[source].rank
    }

    /// The best score of the source's whole list (in or out of the candidates); 0 for an empty one.
    #[must_use]
    pub fn best_of(&self, source: usize) -> f32 {
        self.columns[source].best
    }

    /// Sources of one row: (source, score, rank), in the order of the scene.
    pub fn sources_of(&self, row: usize) -> impl Iterator<Item = (usize, f32, u32)> + '_ {
        let bits = self.list[row].sources;
        (0..self.names.len())
            .filter(move |s| bits >> s & 1 == 1)
            .map(move |s| (s, self.source_score(s, row), self.source_rank(s, row)))
    }

    /// Sets every score, in order of the rows. What is not finite becomes 0.
    pub fn set_scores(&mut self, scores: impl IntoIterator<Item = f32>) {
        for (candidate, score) in self.list.iter_mut().zip(scores) {
            candidate.score = if score.is_finite() { score } else { 0.0 };
        }
    }

    /// Keeps the rows whose bit is set; scores and ranks move with them.
    pub fn retain(&mut self, keep: &Bitmask) {
        fn cut<T: Copy>(column: &mut Vec<T>, keep: &Bitmask) {
            let mut row = 0;
            column.retain(|_| {
                row += 1;
                keep.get(row - 1)
            });
        }
        cut(&mut self.list, keep);
        for column in &mut self.columns {
            cut(&mut column.score, keep);
            cut(&mut column.rank, keep);
        }
        self.rows = self.list.iter().enumerate().map(|(row, c)| (c.item, row as u32)).collect();
    }

    /// Adds the first `quota` items of a source's list that `serve` lets through as candidates. A candidate that another source
    /// brought counts towards the quota.
    pub(crate) fn nominate(&mut self, list: &[Scored], quota: usize, serve: impl Fn(Ordinal) -> bool) {
        let servable = list.iter().filter(|scored| serve(scored.item)).take(quota);
        for scored in servable {
            self.row_of(scored.item);
        }
    }

    /// Writes a source's whole list into its column, for the items that are candidates.
    pub(crate) fn credit(&mut self, source: usize, list: &[Scored]) {
        let column = &mut self.columns[source];
        column.best = list.iter().map(|s| s.score).fold(0.0, f32::max);
        for (at, scored) in list.iter().enumerate() {
            if let Some(&row) = self.rows.get(&scored.item) {
                let row = row as usize;
                column.score[row] = scored.score;
                column.rank[row] = at as u32 + 1;
                self.list[row].sources |= 1 << source;
            }
        }
    }

    fn row_of(&mut self, item: Ordinal) -> usize {
        let next = self.list.len() as u32;
        let row = *self.rows.entry(item).or_insert(next);
        if row == next {
            self.list.push(Candidate { item, score: 0.0, sources: 0 });
            for column in &mut self.columns {
                column.score.push(0.0);
                column.rank.push(0);
            }
        }
        row as usize
    }
}

/// One bit per candidate: what a filter keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bitmask {
    words: Vec<u64>,
    len: usize,
}

impl Bitmask {
    /// All bits set.
    #[must_use]
    pub fn all(len: usize) -> Self {
        Self { words: vec![u64::MAX; len.div_ceil(64)], len }
    }

    /// How many bits.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no bits at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether bit `at` is set; `false` beyond the end.
    #[must_use]
    pub fn get(&self, at: usize) -> bool {
        at < self.len && self.words[at / 64] >> (at % 64) & 1 == 1
    }

    /// Clears bit `at`; nothing beyond the end.
    pub fn clear(&mut self, at: usize) {
        if at < self.len {
            self.words[at / 64] &= !(1 << (at % 64));
        }
    }

    /// How many bits are set.
    #[must_use]
    pub fn count(&self) -> usize {
        (0..self.len).filter(|&at| self.get(at)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scored(items: &[(Ordinal, f32)]) -> Vec<Scored> {
        items.iter().map(|&(item, score)| Scored { item, score }).collect()
    }

    #[test]
    fn a_candidate_has_16_bytes() {
        assert_eq!(size_of::<Candidate>(), 16);
    }

    #[test]
    fn a_candidate_carries_the_score_of_every_list_it_is_in() {
        let mut all = Candidates::new(["cf".to_owned(), "hot".to_owned()]).unwrap();
        let (cf, hot) = (scored(&[(7, 0.5), (3, 0.4)]), scored(&[(1, 9.0), (2, 8.0), (7, 1.0)]));
        all.nominate(&cf, 10, |_| true);
        all.nominate(&hot, 1, |_| true);
        all.credit(0, &cf);
        all.credit(1, &hot);
        let items: Vec<_> = all.list().iter().map(|c| c.item).collect();
        assert_eq!(items, [7, 3, 1]);
        assert_eq!(all.sources_of(0).collect::<Vec<_>>(), [(0, 0.5, 1), (1, 1.0, 3)]);
        assert_eq!((all.list()[1].sources, all.list()[2].sources), (0b01, 0b10));
        assert_eq!(all.best_of(1), 9.0);
    }

    #[test]
    fn columns_move_with_their_candidates() {
        let mut all = Candidates::new(["a".to_owned()]).unwrap();
        let list = scored(&[(0, 3.0), (1, 2.0), (2, 1.0)]);
        all.nominate(&list, 3, |_| true);
        all.credit(0, &list);
        let mut keep = Bitmask::all(3);
        keep.clear(1);
        all.retain(&keep);
        assert_eq!(all.scores_of(0), [3.0, 1.0]);
        assert_eq!(all.ranks_of(0), [1, 3]);
        assert_eq!((all.find(2), all.find(1)), (Some(1), None));
    }

    #[test]
    fn what_cannot_be_served_costs_no_quota() {
        let mut all = Candidates::new(["a".to_owned()]).unwrap();
        all.nominate(&scored(&[(0, 3.0), (1, 2.0), (2, 1.0)]), 2, |item| item != 0);
        assert_eq!(all.list().iter().map(|c| c.item).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn more_than_64_sources_are_refused() {
        assert!(Candidates::new((0..64).map(|i| i.to_string())).is_ok());
        assert!(matches!(Candidates::new((0..65).map(|i| i.to_string())), Err(Error::TooManySources(65))));
    }
}
