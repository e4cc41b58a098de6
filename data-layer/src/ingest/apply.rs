//! Records onto the live side: who an event is about, whether anything may be learnt of them, what a retraction takes back. Then every
//! consumer sees it, first on the person's side, then on the items'. One record after another, in order of the log; nothing looks at a
//! clock, so that replay equals the first run.

use super::consumer::{self, Around, Change, Effect, Stores};
use crate::Result;
use crate::live::deeds::{Found, id_key};
use crate::live::levels::NO_DAY;
use crate::live::people::Kept;
use crate::live::{Deed, Deeds, ItemTable, Live, Side, Stamp, Tie};
use crate::types::event::{Edge, Identify, Impression, Retraction};
use crate::types::{Event, Interaction, Ordinal, Person, Record};

use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

/// Records whose effects are applied under one write lock.
const CHUNK: usize = 64;

impl Live {
    /// Applies records, in order of their sequence, by every consumer. Sequences must grow; gaps are allowed, so that a
    /// caller without a log may number its own.
    ///
    /// # Errors
    /// None of a store in this process.
    pub fn apply(&self, records: &[Record]) -> Result<()> {
        let mut deeds = self.deeds.lock();
        for chunk in records.chunks(CHUNK) {
            let mut effects = Vec::with_capacity(4);
            let mut items = self.items.write();
            let mut lists = self.lists.write();
            for record in chunk {
                let (deeds, items, lists) = (&mut *deeds, &mut *items, &mut *lists);
                Applying { live: self, deeds, items, effects: &mut effects }.record(record);
                let mut stores = Stores { items, lists, actions: &self.actions, keep: &self.keep };
                for effect in effects.drain(..) {
                    consumer::on_items(&effect, &mut stores);
                }
            }
            drop((lists, items));
            if let Some(last) = chunk.last() {
                self.applied.send_replace(last.sequence);
            }
        }
        Ok(())
    }
}

/// The people's side of a record; what it does to items is gathered in `effects`.
struct Applying<'a, 'e> {
    live: &'a Live,
    deeds: &'a mut Deeds,
    items: &'a mut ItemTable,
    effects: &'a mut Vec<Effect<'e>>,
}

impl<'e> Applying<'_, 'e> {
    fn record(&mut self, record: &'e Record) {
        match &record.event {
            Event::Schema(schema) => {
                self.items.set_schema(schema);
                self.live.schema.store(Arc::new(schema.clone()));
            }
            Event::Item(event) => self.effects.push(Effect::Item(event)),
            Event::User(event) => {
                let around = around(self.live, self.items);
                let change = Change::Said(event);
                self.live.people.change(&event.person, |kept| {
                    consumer::on_person(&change, Arc::make_mut(&mut kept.state), &around, self.effects);
                });
            }
            Event::Interaction(event) => self.did(event, record.past),
            Event::Retraction(event) => self.undo(event),
            Event::Impression(event) => self.saw(event),
            Event::Identify(event) => self.identify(event),
            Event::Erase(event) => self.erase(&event.person),
            Event::Edge(event) => self.tie(event),
            Event::Load(load) => self.effects.push(Effect::Load(load)),
        }
    }

    fn did(&mut self, event: &Interaction, past: bool) {
        let id = event.id.as_ref().map(id_key);
        if id.is_some_and(|id| self.deeds.knows(id)) {
            return;
        }
        let mut deed = Deed {
            item: self.items.intern_id(&event.item),
            action: self.live.actions.id(&event.action),
            offset: if past { NO_DAY } else { 0 },
            value: event.value,
            time: event.time,
            key: id.map_or_else(|| content_key(event), |id| id[0]),
        };
        let around = around(self.live, self.items);
        // What is no longer configured counts nowhere.
        let owner = deed.action.and_then(|_| {
            self.live.people.change(&event.person, |kept| {
                if !kept.state.personalize() {
                    return None;
                }
                if !past && counts_by_day(&deed, &around) {
                    let zone = kept.state.attribute("timezone");
                    deed.offset = around.keep.calendar.offset(zone, deed.time);
                }
                consumer::on_person(
                    &Change::Did(&deed),
                    Arc::make_mut(&mut kept.state),
                    &around,
                    self.effects,
                );
                id.map(|_| number(kept, &event.person, self.deeds))
            })
        });
        if let Some(id) = id {
            self.deeds.remember(id, &deed, owner);
        }
        self.effects.push(Effect::Did(deed));
    }

    fn undo(&mut self, event: &Retraction) {
        let key = id_key(&event.id);
        let (deed, owner) = match self.deeds.retract(key) {
            Found::Done(deed, owner) => (deed, owner.and_then(|number| self.deeds.owner(number))),
            Found::Retracted => return,
            Found::Unknown => match event.person.as_ref().and_then(|person| self.recall(person, key[0])) {
                Some(deed) => (deed, event.person.as_ref()),
                None => return,
            },
        };
        if let Some(person) = owner {
            let around = around(self.live, self.items);
            self.live.people.change_known(person, |kept| {
                consumer::on_person(
                    &Change::Undone(&deed),
                    Arc::make_mut(&mut kept.state),
                    &around,
                    self.effects,
                );
            });
        }
        self.effects.push(Effect::Undone(deed));
    }

    /// An edge is kept with both of its ends. It is a statement, as an attribute is: it is kept of who wants nothing learnt, too.
    fn tie(&mut self, edge: &Edge) {
        let said = Stamp::new(edge.time, edge.source.as_deref(), &self.live.keep.sources);
        let stamp = Stamp { present: !edge.deleted, ..said };
        let ends = [(&edge.from, &edge.to, Side::To), (&edge.to, &edge.from, Side::From)];
        for (who, other, side) in ends {
            let tie = Tie { other: other.clone(), stamp };
            let around = around(self.live, self.items);
            let change = Change::Tied { relation: &edge.relation, side, tie: &tie };
            self.live.people.change(&Person::user(who.clone()), |kept| {
                consumer::on_person(&change, Arc::make_mut(&mut kept.state), &around, self.effects);
            });
        }
    }

    /// Drops all that is known of a person, and their name from where others hold it.
    fn erase(&mut self, person: &Person) {
        let Some(kept) = self.live.people.forget(person) else { return };
        if let Some(number) = kept.number {
            self.deeds.erase(number);
        }
        let drop_name = |kept: &mut Kept| {
            if kept.state.ties.name(&person.id) {
                Arc::make_mut(&mut kept.state).ties.forget(&person.id);
            }
        };
        if kept.state.ties.more() {
            // Who was left out here by a bound may hold the name all the same.
            return self.live.people.change_all(drop_name);
        }
        for other in kept.state.ties.others() {
            self.live.people.change_known(&Person::user(other.clone()), drop_name);
        }
    }

    /// What somebody's recent actions still know of a deed that the directory has forgotten.
    fn recall(&self, person: &Person, key: u64) -> Option<Deed> {
        let state = self.live.people.get(person)?;
        let acted = state.actions.iter().find(|acted| acted.key == key)?;
        Some(Deed {
            item: acted.item,
            action: Some(acted.action),
            offset: acted.offset,
            value: acted.value,
            time: acted.time,
            key,
        })
    }

    fn saw(&mut self, event: &Impression) {
        let items: Vec<Ordinal> = event.items.iter().map(|seen| self.items.intern_id(&seen.id)).collect();
        let around = around(self.live, self.items);
        let change = Change::Saw { items: &items, time: event.time };
        self.live.people.change(&event.person, |kept| {
            if kept.state.personalize() {
                consumer::on_person(&change, Arc::make_mut(&mut kept.state), &around, self.effects);
            }
        });
        self.effects.extend(items.iter().map(|item| Effect::Saw { item: *item, time: event.time }));
    }

    fn identify(&mut self, event: &Identify) {
        let from = Person::anonymous(event.anonymous.clone());
        let into = Person::user(event.user.clone());
        let Some(guest) = self.live.people.forget(&from) else { return };
        let around = around(self.live, self.items);
        let user = self.live.people.change(&into, |kept| {
            if !kept.state.personalize() {
                return None;
            }
            let change = Change::Joined(&guest.state);
            consumer::on_person(&change, Arc::make_mut(&mut kept.state), &around, self.effects);
            guest.number.map(|_| number(kept, &into, self.deeds))
        });
        match (guest.number, user) {
            (Some(guest), Some(user)) => self.deeds.merge(guest, user),
            // Nothing of it entered the user's state, so no retraction may take it out of there.
            (Some(guest), None) => self.deeds.erase(guest),
            (None, _) => {}
        }
    }
}

fn around<'a>(live: &'a Live, items: &'a ItemTable) -> Around<'a> {
    Around { ids: items.ids(), actions: &live.actions, keep: &live.keep }
}

/// Whether a rule asks on which calendar day something was done.
fn counts_by_day(deed: &Deed, around: &Around<'_>) -> bool {
    deed.action.is_some_and(|action| around.keep.levels.iter().any(|rule| rule.points(action).is_some()))
}

/// The number under which it is known what somebody did.
fn number(kept: &mut Kept, person: &Person, deeds: &mut Deeds) -> u32 {
    *kept.number.get_or_insert_with(|| deeds.number(person))
}

/// Key of an interaction without an id: of its content.
fn content_key(event: &Interaction) -> u64 {
    let mut hash = Xxh3::new();
    for part in [event.item.as_str().as_bytes(), event.action.as_bytes()] {
        hash.update(part);
        hash.update(b"\0");
    }
    hash.update(&event.value.to_le_bytes());
    hash.update(&event.time.to_le_bytes());
    hash.digest()
}
