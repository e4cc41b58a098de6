//! Which sources name which items, and what follows when a source has named all of its items: those that it did not name are gone for it. An
//! item that no source holds any more is not served. Depends on what was said and not on the order in which it came.

use std::collections::BTreeMap;

use crate::types::event::{Load, Phase};
use crate::types::{Millis, Ordinal};

/// Sources that are told apart; items of others are never gone.
const MOST_SOURCES: usize = 64;
/// Loads of one source that wait for their end, or for their beginning.
const MOST_LOADS: usize = 64;

/// What one source said. Eight bytes for each item up to the last one that it named.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: String,
    /// Newest event time with which it named an item; `Millis::MIN`: never.
    pub(super) named: Vec<Millis>,
    /// When the newest whole load began: what it named before and not since is gone.
    pub(super) cut: Millis,
    /// Beginnings and ends of loads of which the other is missing.
    pub(super) open: BTreeMap<String, Half>,
}

impl Source {
    /// It, but for the items that it named.
    pub(super) fn without_items(&self) -> Self {
        Self { name: self.name.clone(), named: Vec::new(), cut: self.cut, open: self.open.clone() }
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Half {
    Begun(Millis),
    Ended,
}

/// All sources.
#[derive(Debug, Default)]
pub struct Sources {
    pub(super) list: Vec<Source>,
}

impl Sources {
    /// Notes that a source named an item. `false` where this source is not told apart, and so holds its items for ever.
    pub fn say(&mut self, source: &str, item: Ordinal, time: Millis) -> bool {
        let Some(source) = self.source(source) else { return false };
        let at = item as usize;
        if source.named.len() <= at {
            source.named.resize(at + 1, Millis::MIN);
        }
        source.named[at] = source.named[at].max(time);
        true
    }

    /// Takes the beginning or the end of a load, in either order; whether items may have gone or come back by it.
    pub fn load(&mut self, load: &Load) -> bool {
        let Some(source) = self.source(&load.source) else { return false };
        let half = match load.phase {
            Phase::Begin => Half::Begun(load.time),
            Phase::End => Half::Ended,
        };
        let began = match (source.open.get(&load.id), half) {
            (Some(Half::Begun(began)), Half::Ended) => *began,
            (Some(Half::Ended), Half::Begun(began)) => began,
            (Some(Half::Begun(before)), Half::Begun(began)) => {
                let began = Half::Begun(began.max(*before));
                source.open.insert(load.id.clone(), began);
                return false;
            }
            _ => {
                source.open.insert(load.id.clone(), half);
                if source.open.len() > MOST_LOADS {
                    // Ids of loads mostly grow.
                    source.open.pop_first();
                }
                return false;
            }
        };
        source.open.remove(&load.id);
        let later = began > source.cut;
        source.cut = source.cut.max(began);
        later
    }

    /// Whether every source that named an item has left it out of a whole load since.
    #[must_use]
    pub fn gone(&self, item: Ordinal) -> bool {
        let (mut named, mut held) = (false, false);
        for source in &self.list {
            match source.named.get(item as usize) {
                None | Some(&Millis::MIN) => {}
                Some(time) => (named, held) = (true, held || *time >= source.cut),
            }
        }
        named && !held
    }

    /// Bytes on the heap.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.list.iter().map(|source| source.named.capacity() * size_of::<Millis>()).sum()
    }

    fn source(&mut self, name: &str) -> Option<&mut Source> {
        let known = self.list.iter().position(|source| source.name == name);
        let at = match known {
            Some(at) => at,
            None if self.list.len() >= MOST_SOURCES => return None,
            None => {
                let (named, open) = (Vec::new(), BTreeMap::new());
                self.list.push(Source { name: name.to_owned(), named, cut: Millis::MIN, open });
                self.list.len() - 1
            }
        };
        self.list.get_mut(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, Clone)]
    enum Said {
        Named(u8, u32, Millis),
        Load(u8, u8, bool, Millis),
    }

    fn gone(said: &[Said]) -> Vec<bool> {
        let mut sources = Sources::default();
        for said in said {
            match said {
                Said::Named(source, item, time) => drop(sources.say(&format!("s{source}"), *item, *time)),
                Said::Load(source, id, begin, time) => {
                    let phase = if *begin { Phase::Begin } else { Phase::End };
                    let load = Load { source: format!("s{source}"), id: id.to_string(), phase, time: *time };
                    sources.load(&load);
                }
            }
        }
        (0..4).map(|item| sources.gone(item)).collect()
    }

    #[test]
    fn what_a_source_no_longer_names_is_gone_until_it_is_named_again() {
        use Said::{Load, Named};
        let mut said =
            vec![Named(0, 0, 1), Named(0, 1, 1), Named(1, 1, 1), Named(0, 2, 1), Load(0, 7, true, 5)];
        said.push(Named(0, 2, 6));
        assert_eq!(gone(&said), [false; 4], "the load has not ended");
        said.push(Load(0, 7, false, 9));
        assert_eq!(gone(&said), [true, false, false, false], "another source still has the second");
        said.push(Named(0, 0, 10));
        assert_eq!(gone(&said), [false; 4]);
        said.extend([Load(0, 8, true, 20), Load(0, 9, false, 21)]);
        assert_eq!(gone(&said), [false; 4], "the end of another load ends nothing");
    }

    proptest! {
        #[test]
        fn order_does_not_matter(
            named in prop::collection::vec((0u8..2, 0u32..4, 0i64..30).prop_map(|(s, i, t)| Said::Named(s, i, t)), 0..12),
            loads in prop::collection::vec((0u8..2, 0i64..30), 0..4),
            seed in any::<u64>(),
        ) {
            let mut said = named;
            for (id, (source, began)) in loads.into_iter().enumerate() {
                said.push(Said::Load(source, id as u8, true, began));
                said.push(Said::Load(source, id as u8, false, began + 5));
            }
            let mut mixed = said.clone();
            let mut state = seed | 1;
            for at in (1..mixed.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                mixed.swap(at, (state >> 33) as usize % (at + 1));
            }
            prop_assert_eq!(gone(&said), gone(&mixed));
        }
    }
}
