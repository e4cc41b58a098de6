//! Which items one person met, how often and when last: exact for the newest, then a bounded filter that says "perhaps". For actions of
//! positive weight and for impressions. Not for what was done in which order, which is `user.rs`'s list of actions.

use super::ids::Ids;
use super::sieve::Sieve;
use crate::types::{Millis, Ordinal};

/// What one item comes to. 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Which item.
    pub item: Ordinal,
    /// How many times.
    pub count: u32,
    /// The newest time.
    pub last: Millis,
}

/// Items with count and newest time; of those that are more than a limit, the ones whose newest time is oldest go into a filter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Marks {
    /// In order of the ordinal, for finding; the order is never shown.
    list: Vec<Mark>,
    passed: Option<Box<Passed>>,
}

/// What went beyond the limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// The newest time of anything in it.
    pub newest: Millis,
    /// Hashes of the ids.
    pub sieve: Sieve,
}

impl Marks {
    /// Counts an item once more. At most `most` items are held exactly.
    pub fn add(&mut self, item: Ordinal, time: Millis, most: usize, ids: &Ids) {
        self.put(Mark { item, count: 1, last: time });
        self.bound(most, ids);
    }

    /// Takes one count back, as far as the item is held exactly; gives back what is left of it.
    pub fn take(&mut self, item: Ordinal) -> Option<&mut Mark> {
        let at = self.find(item).ok()?;
        self.list[at].count = self.list[at].count.saturating_sub(1);
        if self.list[at].count == 0 {
            self.list.remove(at);
            return None;
        }
        self.list.get_mut(at)
    }

    /// Adds all of another's, as if it had happened here.
    pub fn merge(&mut self, other: &Self, most: usize, ids: &Ids) {
        other.list.iter().for_each(|mark| self.put(*mark));
        if let Some(theirs) = &other.passed {
            match &mut self.passed {
                Some(ours) => {
                    ours.newest = ours.newest.max(theirs.newest);
                    ours.sieve.merge(&theirs.sieve);
                }
                None => self.passed = Some(theirs.clone()),
            }
        }
        self.bound(most, ids);
    }

    /// What is held exactly of an item.
    #[must_use]
    pub fn get(&self, item: Ordinal) -> Option<Mark> {
        self.find(item).ok().map(|at| self.list[at])
    }

    /// Whether an item (and the hash of its id) was met at or after `since` (`Millis::MIN`: ever). Where `since` reaches back further than
    /// what is held exactly, about one strange item in a hundred is taken for one that was met.
    #[must_use]
    pub fn has(&self, item: Ordinal, tie: u64, since: Millis) -> bool {
        if let Some(mark) = self.get(item)
            && mark.last >= since
        {
            return true;
        }
        self.passed.as_ref().is_some_and(|p| since <= p.newest && p.sieve.has(tie))
    }

    /// Items that are held exactly.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether nothing was met.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty() && self.passed.is_none()
    }

    /// All that is held exactly, in no order that means anything.
    pub fn iter(&self) -> impl Iterator<Item = &Mark> {
        self.list.iter()
    }

    /// What went beyond the limit.
    #[must_use]
    pub fn passed(&self) -> Option<&Passed> {
        self.passed.as_deref()
    }

    /// Puts together what [`Marks::iter`] and [`Marks::passed`] gave; of an item named twice the counts are added.
    #[must_use]
    pub fn of(mut list: Vec<Mark>, passed: Option<Passed>) -> Self {
        list.sort_by_key(|mark| mark.item);
        let mut marks = Self { list: Vec::with_capacity(list.len()), passed: passed.map(Box::new) };
        list.into_iter().for_each(|mark| marks.put(mark));
        marks
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let sieve = |p: &Passed| p.sieve.parts().1.iter().flatten().map(|w| size_of_val(*w)).sum::<usize>();
        let passed = self.passed.as_deref().map_or(0, |p| size_of::<Passed>() + sieve(p));
        self.list.capacity() * size_of::<Mark>() + passed
    }

    fn put(&mut self, mark: Mark) {
        match self.find(mark.item) {
            Ok(at) => {
                let old = &mut self.list[at];
                old.count = old.count.saturating_add(mark.count);
                old.last = old.last.max(mark.last);
            }
            Err(at) => self.list.insert(at, mark),
        }
    }

    fn find(&self, item: Ordinal) -> Result<usize, usize> {
        // What comes last is often what was made last.
        match self.list.last() {
            Some(last) if last.item < item => Err(self.list.len()),
            _ => self.list.binary_search_by_key(&item, |mark| mark.item),
        }
    }

    /// Moves the oldest into the filter where there are too many: an eighth of the limit at once, so that it is seldom done. Which ones
    /// depends on times and ids only.
    fn bound(&mut self, most: usize, ids: &Ids) {
        if self.list.len() <= most {
            return;
        }
        let gone = self.list.len() - most + most / 8;
        let mut oldest: Vec<Mark> = self.list.clone();
        oldest.sort_unstable_by(|a, b| a.last.cmp(&b.last).then_with(|| ids.order(a.item, b.item)));
        oldest.truncate(gone);
        let passed = self
            .passed
            .get_or_insert_with(|| Box::new(Passed { newest: Millis::MIN, sieve: Sieve::default() }));
        for mark in &oldest {
            passed.newest = passed.newest.max(mark.last);
            passed.sieve.add(ids.tie(mark.item));
        }
        oldest.sort_unstable_by_key(|mark| mark.item);
        self.list.retain(|mark| oldest.binary_search_by_key(&mark.item, |m| m.item).is_err());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Id;
    use proptest::prelude::*;

    fn ids(n: u32) -> Ids {
        let ids = Ids::default();
        for n in 0..n {
            ids.intern(&Id::new(&format!("i{n}")).unwrap());
        }
        ids
    }

    #[test]
    fn what_is_too_much_is_still_known_and_what_is_newest_is_exact() {
        let ids = ids(2000);
        let mut marks = Marks::default();
        for n in 0..1000u32 {
            marks.add(n, i64::from(n), 64, &ids);
            assert!(marks.len() <= 64);
        }
        assert!((0..1000).all(|n| marks.has(n, ids.tie(n), Millis::MIN)));
        // Within what is exact there are no strangers.
        let since = marks.passed().unwrap().newest + 1;
        assert!((0..2000).all(|n| marks.has(n, ids.tie(n), since) == (n < 1000 && i64::from(n) >= since)));
        let strangers = (1000..2000).filter(|n| marks.has(*n, ids.tie(*n), Millis::MIN)).count();
        assert!(strangers < 30, "{strangers} of 1,000");
    }

    proptest! {
        #[test]
        fn which_ones_stay_does_not_depend_on_ordinals(
            events in prop::collection::vec((0u32..40, 0i64..6), 1..120),
        ) {
            let (ids, reversed) = (ids(40), Ids::default());
            for n in (0..40).rev() {
                reversed.intern(ids.id(n));
            }
            let run = |ids: &Ids, number: &dyn Fn(u32) -> u32| {
                let mut marks = Marks::default();
                events.iter().for_each(|(item, time)| marks.add(number(*item), *time, 8, ids));
                let mut all: Vec<_> = marks.iter().map(|m| (ids.id(m.item).clone(), m.count, m.last)).collect();
                all.sort();
                (all, marks.passed().cloned())
            };
            prop_assert_eq!(run(&ids, &|n| n), run(&reversed, &|n| 39 - n));
        }

        #[test]
        fn what_is_taken_back_never_was(events in prop::collection::vec((0u32..9, 0i64..6), 0..20), extra in 0u32..9) {
            let ids = ids(9);
            let mut marks = Marks::default();
            events.iter().for_each(|(item, time)| marks.add(*item, *time, 100, &ids));
            let before = marks.clone();
            marks.add(extra, 0, 100, &ids);
            marks.take(extra);
            prop_assert_eq!(marks, before);
        }
    }
}
