//! One look through the log, oldest record first, at the items and people of some partitions: which of their records may go. Memory is bounded: where
//! there are more items and people than it holds, it restricts itself to fewer partitions, and the next look takes the others.

use std::ops::Range;

use rustc_hash::{FxHashMap, FxHashSet};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

use super::acting::{self, Acting, FreshItems};
use super::plan::Marks;
use super::sets::{NOTHING, Of, Sets};
use crate::config::Priorities;
use crate::live::Stamp;
use crate::log::EntryRef;
use crate::types::event::{Attributes, Identify};
use crate::types::schema::Owner;
use crate::types::{
    Event, ITEM_PARTITIONS, Id, ItemEvent, Millis, Ordinal, Person, PersonKind, Schema, UserEvent, Value,
};

/// Partitions that items and people are told apart by: those of items, as the list `fresh` has them.
pub(super) const PARTS: u64 = ITEM_PARTITIONS as u64;
/// Items and people that are followed at once, some 300 bytes each.
pub(super) const MOST_KNOWN: usize = 1_000_000;
/// Sources that are known again.
const MOST_SOURCES: usize = 1 << 16;
/// Records of one item or person that may be waited for; of more the oldest stays in the log.
const MOST_WAITING: usize = 8;

/// A record that may go once all it says has been said again.
#[derive(Debug)]
struct Waiting {
    /// Number of its segment, and its own in it.
    at: (u32, u32),
    time: Millis,
    /// Of its bytes.
    digest: u64,
    /// What has not been said again yet.
    left: u32,
    /// Which fields that act it says, until the next record that says any has said them all again.
    acts: u8,
}

/// What is known of one item or person.
#[derive(Debug, Default)]
struct Known {
    part: u64,
    number: Ordinal,
    acting: Acting,
    waiting: Vec<Waiting>,
}

/// What a record says, as far as it matters here.
struct Says {
    key: u128,
    part: u64,
    time: Millis,
    digest: u64,
    /// `None`: there are too many different ones.
    set: Option<u32>,
    acts: u8,
    /// Whether it may go at all.
    may_go: bool,
}

/// The look.
pub(super) struct Scan<'a> {
    /// Partitions that it is restricted to.
    pub parts: Range<u64>,
    most: usize,
    /// Segments before this one may lose records.
    candidates: u32,
    sources: &'a Priorities,
    marks: &'a mut Marks,
    seed: u64,
    schema: Schema,
    sets: Sets,
    known: FxHashMap<u128, Known>,
    /// Sources that have come up: which of them are told apart depends on their order.
    named: FxHashSet<String>,
    fresh: FreshItems,
    numbers: Ordinal,
    /// One partition alone is too much: what is not followed stays.
    full: bool,
}

impl<'a> Scan<'a> {
    pub(super) fn new(
        parts: Range<u64>,
        most: usize,
        candidates: u32,
        sources: &'a Priorities,
        marks: &'a mut Marks,
    ) -> Self {
        Self {
            parts,
            most,
            candidates,
            sources,
            marks,
            seed: rand_seed(),
            schema: Schema::reserved(),
            sets: Sets::default(),
            known: FxHashMap::default(),
            named: FxHashSet::default(),
            fresh: FreshItems::default(),
            numbers: 0,
            full: false,
        }
    }

    /// Takes the next record of the log.
    pub(super) fn take(&mut self, at: (u32, u32), entry: &EntryRef<'_>, event: &Event) {
        match event {
            Event::Schema(schema) => self.schema = schema.clone(),
            Event::Load(load) => drop(self.is_first(&load.source)),
            Event::Item(event) => self.item(at, entry, event),
            Event::User(event) => self.user(at, entry, event),
            Event::Erase(erase) => drop(self.known.remove(&self.person_key(&erase.person))),
            Event::Identify(identify) => self.identify(at.0 < self.candidates, identify),
            _ => {}
        }
    }

    /// Whether a source comes up first here; always where there are very many.
    fn is_first(&mut self, source: &str) -> bool {
        !self.named.contains(source)
            && (self.named.len() >= MOST_SOURCES || self.named.insert(source.to_owned()))
    }

    /// What was known of the guest becomes part of what is known of the user.
    fn identify(&mut self, candidate: bool, Identify { anonymous, user, .. }: &Identify) {
        self.known.remove(&self.person_key(&Person::anonymous(anonymous.clone())));
        let key = self.person_key(&Person::user(user.clone()));
        if let Some(known) = self.known_at(key, key_part(key), candidate) {
            known.acting.contest();
            // What is said at the same time as what they were said to be as a guest comes between.
            known.waiting.retain(|waiting| waiting.acts == 0);
        }
    }

    fn item(&mut self, at: (u32, u32), entry: &EntryRef<'_>, event: &ItemEvent) {
        let source = event.source.as_deref();
        let first = source.is_some_and(|source| self.is_first(source));
        let part = event.id.tie() % PARTS;
        if !self.parts.contains(&part) {
            return;
        }
        let mut names = Vec::with_capacity(event.attributes.len() + 3);
        let mut whole = self.attributes(Owner::Item, &event.attributes, &mut names);
        let own = [("kind", event.kind.is_some()), ("deleted", event.deleted.is_some())];
        let fields = own.into_iter().filter(|(_, said)| *said).map(|(name, _)| (Of::Field, name));
        for (of, name) in fields.chain([(Of::Source, source.unwrap_or_default())]) {
            let name = self.sets.name(of, name);
            whole &= name.is_some();
            names.extend(name);
        }
        let says = Says {
            key: self.key(u8::MAX, &event.id),
            part,
            time: event.time,
            digest: xxh3_64_with_seed(entry.payload, self.seed),
            set: self.sets.of(&mut names),
            acts: acting::acts_of_item(event),
            may_go: whole && !first,
        };
        let stamp = Stamp::new(event.time, source, self.sources);
        self.said(at, &says, |acting, fresh, number| fresh.follow(acting, number, event, stamp));
    }

    fn user(&mut self, at: (u32, u32), entry: &EntryRef<'_>, event: &UserEvent) {
        let key = self.person_key(&event.person);
        let part = key_part(key);
        if !self.parts.contains(&part) {
            return;
        }
        let mut names = Vec::with_capacity(event.attributes.len());
        let whole = self.attributes(Owner::User, &event.attributes, &mut names);
        let says = Says {
            key,
            part,
            time: event.time,
            digest: xxh3_64_with_seed(entry.payload, self.seed),
            set: self.sets.of(&mut names),
            acts: acting::acts_of_person(event),
            may_go: whole,
        };
        self.said(at, &says, |acting, _, _| acting::follow_person(acting, event));
    }

    /// The names of attributes that take effect; `false` where there are too many names.
    fn attributes(&mut self, owner: Owner, said: &Attributes, names: &mut Vec<u32>) -> bool {
        let mut whole = true;
        for (name, value) in said {
            if owner == Owner::Item && !fits(&self.schema, name, value.as_ref()) {
                continue;
            }
            let name = self.sets.name(Of::Attribute, name);
            whole &= name.is_some();
            names.extend(name);
        }
        whole
    }

    /// Something was said: what is waited for may go, and this may be waited for from now on.
    fn said(
        &mut self,
        at: (u32, u32),
        says: &Says,
        follow: impl FnOnce(&mut Acting, &mut FreshItems, Ordinal) -> bool,
    ) {
        let candidate = at.0 < self.candidates;
        if self.known_at(says.key, says.part, candidate).is_none() {
            return;
        }
        let Some(known) = self.known.get_mut(&says.key) else { return };
        let (sets, marks) = (&mut self.sets, &mut *self.marks);
        known.waiting.retain_mut(|waiting| {
            let (stays, goes) = again(waiting, says, sets);
            if goes {
                marks.mark(waiting.at);
            }
            stays && !goes
        });
        if !candidate {
            return;
        }
        let same = follow(&mut known.acting, &mut self.fresh, known.number) && !self.full;
        let Some(left) = says.set.filter(|_| says.may_go && (says.acts == 0 || same)) else { return };
        if known.waiting.len() == MOST_WAITING {
            known.waiting.remove(0);
        }
        known.waiting.reserve_exact(1);
        let Says { time, digest, acts, .. } = *says;
        known.waiting.push(Waiting { at, time, digest, left, acts });
    }

    /// What is known of an item or a person, new where `may_be_new`; `None` where it is not followed.
    fn known_at(&mut self, key: u128, part: u64, may_be_new: bool) -> Option<&mut Known> {
        if !self.known.contains_key(&key) {
            if !may_be_new || !self.parts.contains(&part) {
                return None;
            }
            while self.known.len() >= self.most && !self.full {
                self.restrict();
            }
            if self.full || !self.parts.contains(&part) {
                return None;
            }
            self.numbers += 1;
            let number = self.numbers;
            self.known.insert(key, Known { part, number, ..Known::default() });
        }
        self.known.get_mut(&key)
    }

    /// Leaves the upper half of the partitions for another look.
    fn restrict(&mut self) {
        let half = self.parts.start + (self.parts.end - self.parts.start) / 2;
        if half == self.parts.start {
            self.full = true;
            return;
        }
        self.parts.end = half;
        self.known.retain(|_, known| known.part < half);
        self.known.shrink_to(self.most / 2);
    }

    fn person_key(&self, person: &Person) -> u128 {
        let kind = match person.kind {
            PersonKind::User => 0,
            PersonKind::Anonymous => 1,
            PersonKind::Session => 2,
        };
        self.key(kind, &person.id)
    }

    fn key(&self, kind: u8, id: &Id) -> u128 {
        xxh3_128_with_seed(id.as_str().as_bytes(), self.seed ^ u64::from(kind))
    }
}

fn key_part(key: u128) -> u64 {
    (key >> 64) as u64 % PARTS
}

/// Takes off what is said again: whether the record is still to be waited for, and whether it may go.
fn again(waiting: &mut Waiting, says: &Says, sets: &mut Sets) -> (bool, bool) {
    let newer = says.time > waiting.time || (says.time == waiting.time && says.digest == waiting.digest);
    if waiting.acts != 0 && says.acts != 0 {
        // What came between them would have met another state.
        if !newer || says.acts & waiting.acts != waiting.acts {
            return (false, false);
        }
        waiting.acts = 0;
    }
    if newer && let Some(set) = says.set {
        waiting.left = sets.without(waiting.left, set);
    }
    (true, waiting.left == NOTHING && waiting.acts == 0)
}

/// Whether an attribute of an item takes effect under a schema.
fn fits(schema: &Schema, name: &str, value: Option<&Value>) -> bool {
    schema.items.get(name).is_some_and(|to| match value {
        None => true,
        Some(value) => value.value_type() == *to || value.clone().widen(*to).is_some(),
    })
}

/// A number that nobody can know who chooses ids.
fn rand_seed() -> u64 {
    use std::hash::BuildHasher;

    std::collections::hash_map::RandomState::new().hash_one("compact")
}
