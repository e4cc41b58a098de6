//! What every item partition passes on a copy of: schemas and loads. Schemas of several servers become one, by name, and it does not matter
//! which comes first. A load counts when all partitions have passed it on, so that what it names has come before it. Empty where one log is
//! all there is.

use std::collections::{BTreeMap, BTreeSet};

use xxhash_rust::xxh3::xxh3_64;

use super::codec::wire::{Read, Said, Wire};
use crate::types::event::{Load, Phase};
use crate::types::schema::Owner;
use crate::types::{Millis, Schema, ValueType};
use crate::{Error, Result};

/// Beginnings and ends of loads that wait for partitions. Beyond that the first by name of the source are forgotten, and end nothing.
const MOST_LOADS: usize = 1024;
/// Version of the bytes. Those of version 1 know of no names that were dropped.
const VERSION: u8 = 2;
/// Instead of the rank of a name that is dropped.
const GONE: u8 = 0x80;

/// By what something is said. The greatest counts.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Of {
    /// How often the name was dropped before.
    drops: u32,
    /// Whether it is named since.
    held: bool,
    /// 2 for a type that somebody chose, 1 for an inferred one that others widen to, 0 for others.
    rank: u8,
    /// Version of the schema.
    version: u32,
    /// A hash of what it says.
    hash: u64,
}

/// Source and id of a load, whether it is its end, and when.
type Half = (String, String, bool, Millis);

/// Which schemas said what, and which partitions have passed on which loads.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Copies {
    /// What is said of names that no schema has.
    unknown: Of,
    items: BTreeMap<String, Of>,
    users: BTreeMap<String, Of>,
    /// Copies that came and have not counted yet, by partition.
    loads: BTreeMap<Half, Vec<u32>>,
}

impl Copies {
    /// What holds when a schema comes to one that holds; `None` where that is the same. Each name has a type that somebody chose,
    /// else the widest that was inferred; of those, that of the schema of the greatest version, then hash. No name is lost, since servers that add
    /// different names at the same time know nothing of each other, but those that a schema counts as dropped: what was said of one by who did not know
    /// of that counts no more.
    pub fn join(&mut self, holds: &Schema, next: &Schema) -> Option<Schema> {
        if self.items.is_empty() {
            self.unknown = Of { version: holds.version, ..Of::default() };
            self.items = all_of(holds, Owner::Item, 0);
            self.users = all_of(holds, Owner::User, 0);
        }
        let hash = hash(next);
        let mut new = Schema { version: holds.version.max(next.version), ..holds.clone() };
        let unknown = Of { version: next.version, hash, ..Of::default() };
        if unknown > self.unknown {
            (self.unknown, new.unknown) = (unknown, next.unknown);
        }
        for owner in [Owner::Item, Owner::User] {
            let (said, types, chosen, dropped) = match owner {
                Owner::Item => {
                    (&mut self.items, &mut new.items, &mut new.chosen.items, &mut new.dropped.items)
                }
                Owner::User => {
                    (&mut self.users, &mut new.users, &mut new.chosen.users, &mut new.dropped.users)
                }
            };
            for (name, of) in all_of(next, owner, hash) {
                if said.get(&name).is_some_and(|before| *before >= of) {
                    continue;
                }
                match next.of(owner).get(&name) {
                    Some(to) => drop(types.insert(name.clone(), *to)),
                    None => drop(types.remove(&name)),
                }
                set(chosen, &name, of.held && next.chosen.of(owner).contains(&name));
                if of.drops > 0 {
                    dropped.insert(name.clone(), of.drops);
                }
                said.insert(name, of);
            }
        }
        (new != *holds).then_some(new)
    }

    /// Takes the copy of a load that one of `of` partitions passes on; whether with it all have.
    pub fn load(&mut self, load: &Load, partition: usize, of: usize) -> bool {
        let key = (load.source.clone(), load.id.clone(), load.phase == Phase::End, load.time);
        let copies = self.loads.entry(key.clone()).or_default();
        copies.resize(of.max(copies.len()), 0);
        if let Some(count) = copies.get_mut(partition) {
            *count = count.saturating_add(1);
        }
        let whole = copies.iter().all(|count| *count > 0);
        if whole {
            copies.iter_mut().for_each(|count| *count -= 1);
        }
        if copies.iter().all(|count| *count == 0) {
            self.loads.remove(&key);
        }
        if self.loads.len() > MOST_LOADS {
            self.loads.pop_first();
        }
        whole
    }

    /// Its bytes, for a snapshot.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut wire = Wire(vec![VERSION]);
        write_of(&mut wire, self.unknown);
        for said in [&self.items, &self.users] {
            wire.count(said.len());
            for (name, of) in said {
                wire.text(name);
                write_of(&mut wire, *of);
            }
        }
        wire.count(self.loads.len());
        for ((source, id, end, time), copies) in &self.loads {
            wire.text(source);
            wire.text(id);
            wire.0.push(u8::from(*end));
            wire.signed((*time).into());
            wire.count(copies.len());
            copies.iter().for_each(|count| wire.unsigned((*count).into()));
        }
        wire.0
    }

    /// Reads what [`Copies::encode`] wrote.
    ///
    /// # Errors
    /// [`Error::Corrupt`] under the name `place` for other bytes.
    pub fn decode(bytes: &[u8], place: &str) -> Result<Self> {
        let mut read = Read::new(bytes);
        Self::read(&mut read).map_err(|detail| Error::Corrupt {
            path: place.into(),
            section: "copies".to_owned(),
            offset: read.at() as u64,
            detail,
        })
    }

    fn read(read: &mut Read<'_>) -> Said<Self> {
        let version = read.byte()?;
        if !(1..=VERSION).contains(&version) {
            return Err(format!("expected a version up to {VERSION}, found {version}"));
        }
        let mut copies = Self { unknown: read_of(read, version)?, ..Self::default() };
        copies.unknown.held = false;
        for said in [&mut copies.items, &mut copies.users] {
            for _ in 0..read.count(11)? {
                said.insert(read.text()?.to_owned(), read_of(read, version)?);
            }
        }
        for _ in 0..read.count(5)? {
            let (source, id) = (read.text()?.to_owned(), read.text()?.to_owned());
            let key = (source, id, read.byte()? != 0, read.signed()?);
            let counts = (0..read.count(1)?).map(|_| read.number()).collect::<Said<_>>()?;
            copies.loads.insert(key, counts);
        }
        if read.is_at_end() { Ok(copies) } else { Err("expected the end".to_owned()) }
    }
}

/// By what a schema says each of its types, and what it dropped.
fn all_of(schema: &Schema, owner: Owner, hash: u64) -> BTreeMap<String, Of> {
    let rank = |name: &str, to: ValueType| match to {
        _ if schema.chosen.of(owner).contains(name) => 2,
        ValueType::Float | ValueType::Strings => 1,
        _ => 0,
    };
    let (types, dropped) = (schema.of(owner), schema.dropped.of(owner));
    let held = types.iter().map(|(name, to)| {
        let drops = dropped.get(name).copied().unwrap_or(0);
        (name.clone(), Of { drops, held: true, rank: rank(name, *to), version: schema.version, hash })
    });
    let gone = dropped.iter().filter(|(name, _)| !types.contains_key(*name));
    let gone = gone.map(|(name, drops)| (name.clone(), Of { drops: *drops, ..Of::default() }));
    held.chain(gone).collect()
}

fn set(chosen: &mut BTreeSet<String>, name: &str, is: bool) {
    if is {
        chosen.insert(name.to_owned());
    } else {
        chosen.remove(name);
    }
}

fn hash(schema: &Schema) -> u64 {
    // A schema is names and numbers, which JSON holds.
    serde_json::to_vec(schema).map_or(0, |bytes| xxh3_64(&bytes))
}

fn write_of(wire: &mut Wire, Of { drops, held, rank, version, hash }: Of) {
    wire.0.push(if held { rank } else { GONE });
    wire.unsigned(version.into());
    wire.word(hash);
    wire.unsigned(drops.into());
}

fn read_of(read: &mut Read<'_>, version: u8) -> Said<Of> {
    let rank = read.byte()?;
    let held = rank != GONE;
    let (rank, said, hash) = (if held { rank } else { 0 }, read.number()?, read.word()?);
    let drops = if version == 1 { 0 } else { read.number()? };
    Ok(Of { drops, held, rank, version: said, hash })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Unknown;
    use proptest::prelude::*;

    fn load(id: &str, phase: Phase) -> Load {
        Load { source: "s".into(), id: id.into(), phase, time: 5 }
    }

    #[test]
    fn a_load_counts_once_when_all_partitions_have_passed_it_on() {
        let mut copies = Copies::default();
        let begin = load("1", Phase::Begin);
        assert!(!copies.load(&begin, 0, 3) && !copies.load(&begin, 0, 3) && !copies.load(&begin, 2, 3));
        assert!(!copies.load(&load("1", Phase::End), 1, 3));
        assert!(copies.load(&begin, 1, 3));
        let kept = Copies::decode(&copies.encode(), "here").unwrap();
        assert_eq!(kept, copies);
        // The second of it from the first partition still waits for the others.
        assert!(!copies.load(&begin, 1, 3) && copies.load(&begin, 2, 3));
        assert!(
            Copies::decode(b"\x09", "here").is_err() && Copies::decode(&kept.encode()[..9], "here").is_err()
        );
    }

    fn schema() -> impl Strategy<Value = Schema> {
        let types = prop::sample::select(vec![ValueType::Int, ValueType::Float, ValueType::String]);
        let names = || prop::collection::btree_map("[a-c]", types.clone(), 0..4);
        (0u32..4, names(), names(), any::<bool>()).prop_map(|(version, items, users, chosen)| {
            let mut schema = Schema { version, items, users, unknown: Unknown::Store, ..Schema::default() };
            if chosen {
                schema.chosen.items = schema.items.keys().cloned().collect();
                schema.unknown = Unknown::Ignore;
                schema.dropped.items = ["a", "b"].map(|name| (name.to_owned(), version)).into();
            }
            schema
        })
    }

    #[test]
    fn what_one_drops_is_gone_until_somebody_who_knows_says_it_again() {
        let say = |version: u32, names: &[&str], before: &Schema| {
            let mut next = Schema { version, items: BTreeMap::new(), ..before.clone() };
            next.items.extend(names.iter().map(|name| ((*name).to_owned(), ValueType::Int)));
            next.drop_since(before);
            next
        };
        let first = say(1, &["a", "b"], &Schema::reserved());
        let dropped = say(2, &["b"], &first);
        // Of one who knows nothing of it yet, and goes on for some time.
        let other = say(3, &["a", "b", "c"], &first);
        let again = say(3, &["a", "b"], &dropped);
        let names = |all: &[&Schema]| {
            let (mut copies, mut holds) = (Copies::default(), Schema::reserved());
            for next in all {
                holds = copies.join(&holds, next).unwrap_or(holds);
                assert_eq!(Copies::decode(&copies.encode(), "here").unwrap(), copies);
            }
            let named = holds.items.into_keys().filter(|name| name.len() == 1);
            named.collect::<Vec<_>>().join("")
        };
        for all in [[&first, &dropped, &other], [&other, &dropped, &first], [&dropped, &first, &other]] {
            assert_eq!(names(&all), "bc");
        }
        assert_eq!(names(&[&again, &other, &dropped, &first]), "abc");
    }

    #[test]
    fn bytes_of_version_1_are_read() {
        let mut wire = Wire(vec![1]);
        let of = |wire: &mut Wire, rank: u8| {
            wire.0.push(rank);
            wire.unsigned(7);
            wire.word(9);
        };
        of(&mut wire, 0);
        wire.count(1);
        wire.text("a");
        of(&mut wire, 2);
        wire.count(0);
        wire.count(0);
        let read = Copies::decode(&wire.0, "here").unwrap();
        let said = Of { drops: 0, held: true, rank: 2, version: 7, hash: 9 };
        assert_eq!(
            (read.items, read.unknown),
            ([("a".to_owned(), said)].into(), Of { held: false, rank: 0, ..said })
        );
    }

    proptest! {
        #[test]
        fn schemas_come_to_the_same_in_any_order_and_repeated(
            schemas in prop::collection::vec(schema(), 1..6),
            seed in any::<u64>(),
        ) {
            let run = |schemas: &[Schema]| {
                let (mut copies, mut holds) = (Copies::default(), Schema::reserved());
                for next in schemas {
                    holds = copies.join(&holds, next).unwrap_or(holds);
                    prop_assert_eq!(copies.join(&holds, next), None);
                }
                Ok((copies, holds))
            };
            let mut mixed = schemas.clone();
            mixed.sort_by_key(|schema| hash(schema) ^ seed);
            prop_assert_eq!(run(&schemas)?, run(&mixed)?);
        }
    }
}
