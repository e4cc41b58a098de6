//! The people's side of applying: who an event is about, whether anything may be learnt of them, what a retraction takes back. What follows
//! for items is gathered as effects. Needs no items but their ids; what concerns two people is in steps of one person each. Not for servers
//! that share a Redis: `ingest/shared/desk.rs` takes the same steps there, with what it read of a partition, and tells other partitions by letters.
//! The contract suite holds both to the same states.

use std::collections::HashSet;
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use crate::config::{Actions, Keep};
use crate::ingest::consumer::{self, Around, Change, Effect};
use crate::live::deeds::{Found, id_key};
use crate::live::levels::NO_DAY;
use crate::live::people::Kept;
use crate::live::{Deed, Deeds, EmbeddedPeople, Ids, Side, Stamp, Tie, UserState};
use crate::types::event::{Edge, Identify, Impression, Retraction};
use crate::types::{Event, Id, Interaction, Ordinal, Person, Record, UserEvent};

/// People, and what is needed to apply records to them. One at a time works on the same people.
pub(crate) struct PeopleSide<'a> {
    pub people: &'a EmbeddedPeople,
    pub ids: &'a Ids,
    pub deeds: &'a mut Deeds,
    pub actions: &'a Actions,
    pub keep: &'a Keep,
    /// Where it is noted whose state may have changed; who is not among `people` any more was dropped.
    pub touched: Option<&'a mut HashSet<Person>>,
}

impl PeopleSide<'_> {
    /// All that a record does, where everybody whom it concerns is here.
    pub fn record<'e>(&mut self, record: &'e Record, effects: &mut Vec<Effect<'e>>) {
        match &record.event {
            Event::Schema(schema) => effects.push(Effect::Schema(schema)),
            Event::Item(event) => effects.push(Effect::Item(event)),
            Event::Load(load) => effects.push(Effect::Load(load)),
            Event::User(event) => self.said(event, effects),
            Event::Interaction(event) => self.did(event, record.past, effects),
            Event::Impression(event) => self.saw(event, effects),
            Event::Retraction(event) => self.retract(event, effects),
            Event::Identify(event) => self.identify(event, effects),
            Event::Edge(event) => self.tie(event, effects),
            Event::Erase(event) => self.erase(&event.person),
        }
    }

    /// Attributes of a person.
    pub fn said(&mut self, event: &UserEvent, effects: &mut Vec<Effect<'_>>) {
        let around = self.around();
        self.change(&event.person, |kept| {
            consumer::on_person(&Change::Said(event), Arc::make_mut(&mut kept.state), &around, effects);
        });
    }

    /// Something that a person did with an item; what is loaded as past earns no points. An id that is known does nothing.
    pub fn did(&mut self, event: &Interaction, past: bool, effects: &mut Vec<Effect<'_>>) {
        let id = event.id.as_ref().map(id_key);
        if id.is_some_and(|id| self.deeds.knows(id)) {
            return;
        }
        let mut deed = Deed {
            item: self.ids.intern(&event.item),
            action: self.actions.id(&event.action),
            offset: if past { NO_DAY } else { 0 },
            value: event.value,
            time: event.time,
            key: id.map_or_else(|| content_key(event), |id| id[0]),
        };
        let around = self.around();
        // What is no longer configured counts nowhere.
        let owner = deed.action.and_then(|_| {
            self.note(&event.person);
            self.people.change(&event.person, |kept| {
                if !kept.state.personalize() {
                    return None;
                }
                if !past && counts_by_day(&deed, &around) {
                    let zone = kept.state.attribute("timezone");
                    deed.offset = around.keep.calendar.offset(zone, deed.time);
                }
                let state = Arc::make_mut(&mut kept.state);
                consumer::on_person(&Change::Did(&deed), state, &around, effects);
                id.map(|_| number(kept, &event.person, self.deeds))
            })
        });
        if let Some(id) = id {
            self.deeds.remember(id, &deed, owner);
        }
        effects.push(Effect::Did(deed));
    }

    /// Items that a person saw.
    pub fn saw(&mut self, event: &Impression, effects: &mut Vec<Effect<'_>>) {
        let items: Vec<Ordinal> = event.items.iter().map(|seen| self.ids.intern(&seen.id)).collect();
        let around = self.around();
        let change = Change::Saw { items: &items, time: event.time };
        self.change(&event.person, |kept| {
            if kept.state.personalize() {
                consumer::on_person(&change, Arc::make_mut(&mut kept.state), &around, effects);
            }
        });
        effects.extend(items.iter().map(|item| Effect::Saw { item: *item, time: event.time }));
    }

    fn retract(&mut self, event: &Retraction, effects: &mut Vec<Effect<'_>>) {
        let Some((deed, owner)) = self.take_back(event) else { return };
        if let Some(owner) = owner {
            self.undo(&owner, &deed, effects);
        }
        effects.push(Effect::Undone(deed));
    }

    /// First step of a retraction, where the interaction is known: what it did, if nothing took it back before, and whose state learnt it.
    /// Of one that is forgotten here, what the recent actions of whom the retraction names still know.
    pub fn take_back(&mut self, event: &Retraction) -> Option<(Deed, Option<Person>)> {
        let key = id_key(&event.id);
        match self.deeds.retract(key) {
            Found::Done(deed, owner) => {
                Some((deed, owner.and_then(|number| self.deeds.owner(number)).cloned()))
            }
            Found::Retracted => None,
            Found::Unknown => {
                let person = event.person.as_ref()?;
                Some((self.recall(person, key[0])?, Some(person.clone())))
            }
        }
    }

    /// Second step of a retraction, where the person is: takes from their state what it learnt.
    pub fn undo(&mut self, person: &Person, deed: &Deed, effects: &mut Vec<Effect<'_>>) {
        let around = self.around();
        self.note(person);
        self.people.change_known(person, |kept| {
            consumer::on_person(&Change::Undone(deed), Arc::make_mut(&mut kept.state), &around, effects);
        });
    }

    /// What somebody's recent actions still know of a deed that the directory has forgotten.
    fn recall(&self, person: &Person, key: u64) -> Option<Deed> {
        let state = self.people.get(person)?;
        recalled(&state, key)
    }

    /// An edge is kept with both of its ends. It is a statement, as an attribute is: it is kept of who wants nothing learnt, too.
    fn tie(&mut self, edge: &Edge, effects: &mut Vec<Effect<'_>>) {
        self.tie_end(edge, Side::To, effects);
        self.tie_end(edge, Side::From, effects);
    }

    /// One step of an edge: [`Side::To`] with the person whose tie it is, [`Side::From`] with the other.
    pub fn tie_end(&mut self, edge: &Edge, side: Side, effects: &mut Vec<Effect<'_>>) {
        let (who, other) = match side {
            Side::To => (&edge.from, &edge.to),
            Side::From => (&edge.to, &edge.from),
        };
        let said = Stamp::new(edge.time, edge.source.as_deref(), &self.keep.sources);
        let tie = Tie { other: other.clone(), stamp: Stamp { present: !edge.deleted, ..said } };
        let around = self.around();
        let change = Change::Tied { relation: &edge.relation, side, tie: &tie };
        self.change(&Person::user(who.clone()), |kept| {
            consumer::on_person(&change, Arc::make_mut(&mut kept.state), &around, effects);
        });
    }

    fn identify(&mut self, event: &Identify, effects: &mut Vec<Effect<'_>>) {
        let Some(guest) = self.leave(&Person::anonymous(event.anonymous.clone())) else { return };
        let into = Person::user(event.user.clone());
        let learnt = self.join(&into, &guest.state, effects);
        let Some(from) = guest.number else { return };
        let user = learnt.then(|| self.people.change(&into, |kept| number(kept, &into, self.deeds)));
        match user {
            Some(user) => self.deeds.merge(from, user),
            // Nothing of it entered the user's state, so no retraction may take it out of there.
            None => self.deeds.erase(from),
        }
    }

    /// First step of an identification, where the anonymous person is: drops them; what was known.
    pub fn leave(&mut self, anonymous: &Person) -> Option<Kept> {
        self.note(anonymous);
        self.people.forget(anonymous)
    }

    /// Second step of an identification, where the user is: adds what was known of who they turn out to be. `false` where the user wants
    /// nothing learnt, and nothing was.
    pub fn join(&mut self, user: &Person, guest: &UserState, effects: &mut Vec<Effect<'_>>) -> bool {
        let around = self.around();
        self.change(user, |kept| {
            let learns = kept.state.personalize();
            if learns {
                let state = Arc::make_mut(&mut kept.state);
                consumer::on_person(&Change::Joined(guest), state, &around, effects);
            }
            learns
        })
    }

    /// Drops all that is known of a person, and their name from where others hold it.
    fn erase(&mut self, person: &Person) {
        let Some(kept) = self.forget(person) else { return };
        if kept.state.ties.more() {
            // Who was left out there by a bound may hold the name all the same.
            return self.drop_name_everywhere(&person.id);
        }
        for other in kept.state.ties.others() {
            self.drop_name(&Person::user(other.clone()), &person.id);
        }
    }

    /// First step of an erasure, where the person is: drops them; what was known. Then [`PeopleSide::drop_name`] is due of everybody among
    /// their ties, or of all people where [`crate::live::Ties::more`] says that there were more.
    pub fn forget(&mut self, person: &Person) -> Option<Kept> {
        self.note(person);
        let kept = self.people.forget(person)?;
        if let Some(number) = kept.number {
            self.deeds.erase(number);
        }
        Some(kept)
    }

    /// Second step of an erasure: drops a name from the ties of one person.
    pub fn drop_name(&mut self, holder: &Person, name: &Id) {
        self.note(holder);
        self.people.change_known(holder, |kept| drop_tie(kept, name));
    }

    /// As [`PeopleSide::drop_name`], of everybody.
    pub fn drop_name_everywhere(&mut self, name: &Id) {
        let touched = &mut self.touched;
        self.people.change_all(|person, kept| {
            if drop_tie(kept, name)
                && let Some(touched) = touched
            {
                touched.insert(person.clone());
            }
        });
    }

    fn change<R>(&mut self, person: &Person, change: impl FnOnce(&mut Kept) -> R) -> R {
        self.note(person);
        self.people.change(person, change)
    }

    fn note(&mut self, person: &Person) {
        if let Some(touched) = &mut self.touched
            && !touched.contains(person)
        {
            touched.insert(person.clone());
        }
    }
}

impl<'a> PeopleSide<'a> {
    fn around(&self) -> Around<'a> {
        Around { ids: self.ids, actions: self.actions, keep: self.keep }
    }
}

fn drop_tie(kept: &mut Kept, name: &Id) -> bool {
    let named = kept.state.ties.name(name);
    if named {
        Arc::make_mut(&mut kept.state).ties.forget(name);
    }
    named
}

/// What recent actions still know of what was done under a key.
pub(in crate::ingest) fn recalled(state: &UserState, key: u64) -> Option<Deed> {
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

/// Whether a rule asks on which calendar day something was done.
pub(in crate::ingest) fn counts_by_day(deed: &Deed, around: &Around<'_>) -> bool {
    deed.action.is_some_and(|action| around.keep.levels.iter().any(|rule| rule.points(action).is_some()))
}

/// The number under which it is known what somebody did.
fn number(kept: &mut Kept, person: &Person, deeds: &mut Deeds) -> u32 {
    *kept.number.get_or_insert_with(|| deeds.number(person))
}

/// Key of an interaction without an id: of its content.
pub(in crate::ingest) fn content_key(event: &Interaction) -> u64 {
    let mut hash = Xxh3::new();
    for part in [event.item.as_str().as_bytes(), event.action.as_bytes()] {
        hash.update(part);
        hash.update(b"\0");
    }
    hash.update(&event.value.to_le_bytes());
    hash.update(&event.time.to_le_bytes());
    hash.digest()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::{Live, codec};
    use crate::types::{Schema, Value};
    use std::collections::BTreeMap;

    fn id(text: &str) -> Id {
        Id::new(text).unwrap()
    }

    fn act(who: &Person, key: &str, item: &str, time: i64) -> Event {
        Event::Interaction(Interaction {
            id: Some(id(key)),
            person: who.clone(),
            item: id(item),
            action: "click".to_owned(),
            value: 1.0,
            time,
            request_id: None,
            session: None,
            context: BTreeMap::new(),
        })
    }

    fn records<const N: usize>(events: [Event; N]) -> [Record; N] {
        let mut sequence = 0;
        events.map(|event| {
            sequence += 1;
            Record { sequence, received_ms: 0, partition: 0, past: false, event }
        })
    }

    /// One partition of people, with item numbers of its own.
    struct Place {
        people: EmbeddedPeople,
        ids: Ids,
        deeds: Deeds,
        touched: HashSet<Person>,
    }

    impl Place {
        fn new() -> Self {
            let ids = Ids::default();
            ids.intern(&id("another"));
            Self { people: EmbeddedPeople::default(), ids, deeds: Deeds::new(1), touched: HashSet::new() }
        }

        fn on<R>(
            &mut self,
            actions: &Actions,
            keep: &Keep,
            what: impl FnOnce(&mut PeopleSide<'_>) -> R,
        ) -> (R, HashSet<Person>) {
            let (people, ids, deeds) = (&self.people, &self.ids, &mut self.deeds);
            let touched = Some(&mut self.touched);
            let out = what(&mut PeopleSide { people, ids, deeds, actions, keep, touched });
            (out, std::mem::take(&mut self.touched))
        }

        fn bytes(&self, who: &Person, actions: &Actions) -> Option<Vec<u8>> {
            self.people.get(who).map(|state| codec::encode(&state, &self.ids, actions))
        }
    }

    #[test]
    fn steps_in_two_places_come_to_what_one_place_does() {
        let (guest, user, friend) =
            (Person::anonymous(id("g")), Person::user(id("u")), Person::user(id("f")));
        let edge = Edge {
            from: id("u"),
            to: id("f"),
            relation: "follow".to_owned(),
            time: 5,
            source: None,
            deleted: false,
        };
        let retraction = Retraction { id: id("e1"), person: None, time: 6 };
        let events = records([
            act(&guest, "e1", "i1", 1),
            act(&guest, "e2", "i2", 2),
            act(&user, "e3", "i3", 3),
            Event::Identify(Identify { anonymous: id("g"), user: id("u"), time: 4 }),
            Event::Edge(edge.clone()),
            Event::Retraction(retraction.clone()),
        ]);
        let live = Live::new(Actions::default(), Schema::reserved());
        live.apply(&events).unwrap();

        let (actions, keep) = (live.actions().clone(), live.keep().clone());
        let (mut there, mut here, mut effects) = (Place::new(), Place::new(), Vec::new());
        let (_, touched) = there.on(&actions, &keep, |side| {
            events[..2].iter().for_each(|event| side.record(event, &mut effects))
        });
        assert_eq!(touched, HashSet::from([guest.clone()]));
        here.on(&actions, &keep, |side| side.record(&events[2], &mut effects));
        let (left, touched) = there.on(&actions, &keep, |side| side.leave(&guest).unwrap());
        assert_eq!((touched, there.bytes(&guest, &actions)), (HashSet::from([guest.clone()]), None));
        let bytes = codec::encode(&left.state, &there.ids, &actions);
        let known = &mut |text: &str| Ok(here.ids.intern(&id(text)));
        let moved = codec::decode(&bytes, "guest", &actions, known).unwrap();
        let (learnt, touched) = here.on(&actions, &keep, |side| side.join(&user, &moved, &mut effects));
        assert_eq!((learnt, touched), (true, HashSet::from([user.clone()])));
        here.on(&actions, &keep, |side| side.tie_end(&edge, Side::To, &mut effects));
        there.on(&actions, &keep, |side| side.tie_end(&edge, Side::From, &mut effects));
        let (found, _) = there.on(&actions, &keep, |side| side.take_back(&retraction).unwrap());
        let mut deed = found.0;
        deed.item = here.ids.intern(there.ids.id(deed.item));
        here.on(&actions, &keep, |side| side.undo(&user, &deed, &mut effects));
        let one = |who: &Person| live.person(who).map(|state| codec::encode(&state, live.ids(), &actions));
        assert_eq!(here.bytes(&user, &actions), one(&user));
        assert_eq!(there.bytes(&friend, &actions), one(&friend));
        assert!(one(&user).is_some() && one(&friend).is_some() && one(&guest).is_none());
    }

    #[test]
    fn an_erased_name_is_dropped_where_it_was_and_those_are_noted() {
        let (actions, keep) = (Actions::default(), Keep::default());
        let mut place = Place::new();
        let edge = |to: &str| {
            Event::Edge(Edge {
                from: id("u"),
                to: id(to),
                relation: "follow".to_owned(),
                time: 5,
                source: None,
                deleted: false,
            })
        };
        let events = records([edge("a"), edge("b")]);
        place.on(&actions, &keep, |side| events.iter().for_each(|event| side.record(event, &mut Vec::new())));
        let erase = Event::Erase(crate::types::event::Erase { person: Person::user(id("u")), time: 6 });
        let erase = records([erase]);
        let (_, touched) = place.on(&actions, &keep, |side| side.record(&erase[0], &mut Vec::new()));
        assert_eq!(touched, ["u", "a", "b"].map(|name| Person::user(id(name))).into());
        assert!(
            touched.iter().all(|who| place.people.get(who).is_none_or(|state| !state.ties.name(&id("u"))))
        );
        assert_eq!((place.people.len(), place.people.get(&Person::user(id("u"))).is_none()), (2, true));
        let said = UserEvent {
            person: Person::user(id("u")),
            time: 7,
            source: None,
            attributes: BTreeMap::from([("personalize".to_owned(), Some(Value::Bool(false)))]),
        };
        place.on(&actions, &keep, |side| side.said(&said, &mut Vec::new()));
        let (learnt, _) = place.on(&actions, &keep, |side| {
            side.join(&Person::user(id("u")), &UserState::default(), &mut Vec::new())
        });
        assert!(!learnt);
    }
}
