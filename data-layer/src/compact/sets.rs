//! Which things records say, as numbered sets: many records say the same ones, and what is left of one when another has said some of them
//! again is asked often. Bounded, so that no sender of ever new names can fill the memory.

use rustc_hash::FxHashMap;

/// Number of the set of nothing.
pub(super) const NOTHING: u32 = 0;
/// Names and sets that are told apart.
const MOST: usize = 1 << 16;
/// Answers that are remembered.
const MOST_ANSWERS: usize = 1 << 18;

/// What a name is the name of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Of {
    /// An attribute.
    Attribute,
    /// A source, which names an item by saying anything of it.
    Source,
    /// A field beside the attributes: kind, deletion.
    Field,
}

/// All sets that have come up.
#[derive(Debug)]
pub(super) struct Sets {
    names: [FxHashMap<String, u32>; 3],
    named: u32,
    numbers: FxHashMap<Box<[u32]>, u32>,
    sets: Vec<Box<[u32]>>,
    without: FxHashMap<(u32, u32), u32>,
}

impl Default for Sets {
    fn default() -> Self {
        let nothing: Box<[u32]> = Box::default();
        let numbers = FxHashMap::from_iter([(nothing.clone(), NOTHING)]);
        Self {
            names: Default::default(),
            named: 0,
            numbers,
            sets: vec![nothing],
            without: FxHashMap::default(),
        }
    }
}

impl Sets {
    /// The number of a name; `None` where there are too many.
    pub(super) fn name(&mut self, of: Of, name: &str) -> Option<u32> {
        let names = &mut self.names[of as usize];
        if let Some(known) = names.get(name) {
            return Some(*known);
        }
        if self.named as usize >= MOST {
            return None;
        }
        self.named += 1;
        names.insert(name.to_owned(), self.named);
        Some(self.named)
    }

    /// The number of a set of names; `None` where there are too many.
    pub(super) fn of(&mut self, names: &mut Vec<u32>) -> Option<u32> {
        names.sort_unstable();
        names.dedup();
        if let Some(known) = self.numbers.get(names.as_slice()) {
            return Some(*known);
        }
        if self.sets.len() >= MOST {
            return None;
        }
        let (number, set) = (self.sets.len() as u32, Box::<[u32]>::from(names.as_slice()));
        self.sets.push(set.clone());
        self.numbers.insert(set, number);
        Some(number)
    }

    /// What is left of a set without those of another; all of it where there are too many sets.
    pub(super) fn without(&mut self, set: u32, other: u32) -> u32 {
        if set == other {
            return NOTHING;
        }
        if let Some(known) = self.without.get(&(set, other)) {
            return *known;
        }
        let (all, gone) = (&self.sets[set as usize], &self.sets[other as usize]);
        let mut left: Vec<u32> =
            all.iter().copied().filter(|name| gone.binary_search(name).is_err()).collect();
        let left = self.of(&mut left).unwrap_or(set);
        if self.without.len() >= MOST_ANSWERS {
            self.without.clear();
        }
        self.without.insert((set, other), left);
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_what_the_other_lacks() {
        let mut sets = Sets::default();
        let [a, b, c] = ["a", "b", "c"].map(|name| sets.name(Of::Attribute, name).unwrap());
        assert_ne!(sets.name(Of::Source, "a"), Some(a));
        let [ab, abc, only_c] = [vec![b, a, b], vec![c, a, b], vec![c]].map(|mut s| sets.of(&mut s).unwrap());
        assert_eq!(
            (sets.without(abc, ab), sets.without(ab, abc), sets.without(ab, only_c)),
            (only_c, NOTHING, ab)
        );
        assert_eq!((sets.without(abc, ab), sets.without(ab, ab)), (only_c, NOTHING));
    }

    #[test]
    fn names_and_sets_are_bounded() {
        let mut sets = Sets::default();
        let all: Vec<u32> = (0..2 * MOST).filter_map(|n| sets.name(Of::Source, &n.to_string())).collect();
        assert_eq!(all.len(), MOST);
        let made = (1..2 * MOST).filter_map(|n| sets.of(&mut vec![all[0], n as u32])).count();
        assert!(made < MOST && sets.of(&mut vec![3, 4, 5]).is_none());
        let known = sets.of(&mut vec![all[0], 7]).unwrap();
        assert_eq!(sets.without(known, 1), known, "what can't be numbered is not taken off");
    }
}
