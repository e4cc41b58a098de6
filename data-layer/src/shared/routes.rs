//! Where a record of a log goes: what is about a person to that person's partition, what is about an item to the item's, what is about all
//! items to all of them.

use crate::log::format;
use crate::types::{Event, ITEM_PARTITIONS, Id, Partition, Person};

use super::{Lane, Place};

/// Partitions that a record goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// One.
    To(Place),
    /// Every item partition.
    AllItems,
    /// Every people's partition.
    AllPeople,
    /// None: it is of this log alone.
    Nowhere,
}

impl Route {
    /// Its partitions.
    pub fn places(self) -> impl Iterator<Item = Place> {
        let (one, all) = match self {
            Self::To(place) => (Some(place), None),
            Self::AllItems => (None, Some(Lane::Items)),
            Self::AllPeople => (None, Some(Lane::People)),
            Self::Nowhere => (None, None),
        };
        one.into_iter().chain(all.into_iter().flat_map(Lane::places))
    }
}

impl Place {
    /// The partition of an item.
    #[must_use]
    pub fn of_item(id: &Id) -> Self {
        Self { lane: Lane::Items, partition: (id.tie() % u64::from(ITEM_PARTITIONS)) as Partition }
    }

    /// The partition of a person.
    #[must_use]
    pub fn of_person(person: &Person) -> Self {
        Self { lane: Lane::People, partition: person.partition() }
    }
}

/// Where an event goes. An identification goes to the anonymous person, who sends what is known of them on to the user; an edge to its
/// first end, who tells the other; a retraction that names nobody to all people, since only whose it was knows the event's id.
#[must_use]
pub fn route(event: &Event) -> Route {
    match event {
        Event::Item(item) => Route::To(Place::of_item(&item.id)),
        Event::Schema(_) | Event::Load(_) => Route::AllItems,
        Event::Identify(e) => Route::To(Place::of_person(&Person::anonymous(e.anonymous.clone()))),
        Event::Retraction(e) => {
            e.person.as_ref().map_or(Route::AllPeople, |whose| Route::To(Place::of_person(whose)))
        }
        Event::User(_) | Event::Interaction(_) | Event::Impression(_) | Event::Erase(_) | Event::Edge(_) => {
            let partition = event.person().map_or(0, |person| person.partition());
            Route::To(Place { lane: Lane::People, partition })
        }
    }
}

/// [`route`] of a record as it stands in a log, reading its payload only where its header does not say enough.
///
/// # Errors
/// What is wrong with the payload.
pub fn route_of(version: u8, kind: u8, partition: Partition, payload: &[u8]) -> Result<Route, String> {
    match kind & !format::PAST {
        // Another server was asked for it, and has sent it.
        8 if kind & format::PAST != 0 => Ok(Route::Nowhere),
        // User, interaction, impression, erase, edge: the header has the person's.
        2 | 3 | 5 | 8 | 9 => Ok(Route::To(Place { lane: Lane::People, partition })),
        7 | 10 => Ok(Route::AllItems),
        _ => format::decode_event(version, kind, payload).map(|event| route(&event)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(value: serde_json::Value) -> Event {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn the_header_and_the_event_say_the_same() {
        let person = json!({"kind": "user", "id": "u1"});
        let events = [
            json!({"type": "item", "id": "i1", "time": 1, "attributes": {}}),
            json!({"type": "user", "person": person, "time": 1}),
            json!({"type": "interaction", "person": person, "item": "i1", "action": "click", "value": 1.0, "time": 1}),
            json!({"type": "retraction", "id": "e1", "time": 1}),
            json!({"type": "retraction", "id": "e1", "person": person, "time": 1}),
            json!({"type": "impression", "person": person, "items": [], "time": 1}),
            json!({"type": "identify", "anonymous": "a1", "user": "u1", "time": 1}),
            json!({"type": "schema", "version": 1, "items": {}, "users": {}, "unknown": "store"}),
            json!({"type": "erase", "person": person, "time": 1}),
            json!({"type": "edge", "from": "u1", "to": "u2", "relation": "follow", "time": 1}),
            json!({"type": "load", "source": "s", "id": "1", "phase": "begin", "time": 1}),
        ];
        for event in events.map(event) {
            let kind = crate::log::codec::kind_of(&event);
            let payload = format::encode_event(&event).unwrap();
            let partition = event.person().map_or(0, |person| person.partition());
            assert_eq!(
                route_of(format::RECORD_VERSION, kind, partition, &payload),
                Ok(route(&event)),
                "{event:?}"
            );
        }
        assert!(route_of(1, 1, 0, b"{").is_err());
        assert_eq!(route_of(format::RECORD_VERSION, 8 | format::PAST, 7, b""), Ok(Route::Nowhere));
    }

    #[test]
    fn what_is_about_one_person_is_in_one_partition_and_what_is_about_all_items_in_all() {
        let person = Person::user(Id::new("u1").unwrap());
        let took_back = event(
            json!({"type": "retraction", "id": "e1", "person": {"kind": "user", "id": "u1"}, "time": 1}),
        );
        assert_eq!(route(&took_back), Route::To(Place::of_person(&person)));
        let identify = event(json!({"type": "identify", "anonymous": "a1", "user": "u1", "time": 1}));
        let anonymous = Person::anonymous(Id::new("a1").unwrap());
        assert_eq!(route(&identify), Route::To(Place::of_person(&anonymous)));
        assert_eq!(Route::AllItems.places().count(), 64);
        let nobodys = event(json!({"type": "retraction", "id": "e1", "time": 1}));
        assert_eq!(route(&nobodys).places().count(), 1024);
        assert_eq!(Route::To(Place::of_person(&person)).places().count(), 1);
    }
}
