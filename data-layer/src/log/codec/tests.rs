//! What the codec promises: every event comes back as it was, one event has one form, and no bytes make it panic.

use proptest::prelude::*;

use super::*;
use crate::types::{Id, Person, PersonKind};

fn id() -> impl Strategy<Value = Id> {
    "[a-zé书]{1,40}".prop_map(|text| Id::new(&text).unwrap())
}

fn person() -> impl Strategy<Value = Person> {
    let kind = prop::sample::select(vec![PersonKind::User, PersonKind::Anonymous, PersonKind::Session]);
    (kind, id()).prop_map(|(kind, id)| Person { kind, id })
}

/// Every form, with floats of every kind that can be compared.
fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        prop_oneof![prop::num::f64::NORMAL, Just(-0.0), Just(5e-324)].prop_map(Value::Float),
        ".{0,300}".prop_map(|s| Value::String(s.into())),
        prop::collection::vec(".{0,5}".prop_map(Into::into), 0..4).prop_map(Value::Strings),
        prop::collection::vec(prop::num::f32::NORMAL, 0..5).prop_map(Value::Vector),
        (-90.0..90.0, -180.0..180.0).prop_map(|(lat, lon)| Value::Geo { lat, lon }),
    ]
}

fn attributes() -> impl Strategy<Value = Attributes> {
    prop::collection::btree_map(".{0,20}", prop::option::of(value()), 0..6)
}

fn text() -> impl Strategy<Value = String> {
    ".{0,20}"
}

fn seen_item() -> impl Strategy<Value = Seen> {
    (id(), any::<Option<u32>>(), any::<Option<u64>>()).prop_map(|(id, position, visible_ms)| Seen {
        id,
        position,
        visible_ms,
    })
}

/// Every kind of event, with every part there or not.
fn event() -> impl Strategy<Value = Event> {
    let maybe = || prop::option::of(text());
    let time = any::<i64>;
    prop_oneof![
        (id(), maybe(), time(), maybe(), attributes(), any::<Option<bool>>()).prop_map(
            |(id, kind, time, source, attributes, deleted)| {
                Event::Item(ItemEvent { id, kind, time, source, attributes, deleted })
            }
        ),
        (person(), time(), maybe(), attributes()).prop_map(|(person, time, source, attributes)| {
            Event::User(UserEvent { person, time, source, attributes })
        }),
        (
            (prop::option::of(id()), person(), id(), text(), prop_oneof![Just(1.0), prop::num::f64::NORMAL]),
            (time(), maybe(), maybe(), prop::collection::btree_map(text(), value(), 0..4)),
        )
            .prop_map(|((id, person, item, action, value), (time, request_id, session, context))| {
                Event::Interaction(Interaction {
                    id,
                    person,
                    item,
                    action,
                    value,
                    time,
                    request_id,
                    session,
                    context,
                })
            }),
        (id(), prop::option::of(person()), time())
            .prop_map(|(id, person, time)| Event::Retraction(Retraction { id, person, time })),
        (
            prop::option::of(id()),
            person(),
            maybe(),
            maybe(),
            prop::collection::vec(seen_item(), 0..5),
            time()
        )
            .prop_map(|(id, person, scene, request_id, items, time)| {
                Event::Impression(Impression { id, person, scene, request_id, items, time })
            }),
        (id(), id(), time()).prop_map(|(anonymous, user, time)| Event::Identify(Identify {
            anonymous,
            user,
            time
        })),
        Just(Event::Schema(Schema::reserved())),
        (person(), time()).prop_map(|(person, time)| Event::Erase(Erase { person, time })),
        (id(), id(), text(), time(), maybe(), any::<bool>()).prop_map(
            |(from, to, relation, time, source, deleted)| {
                Event::Edge(Edge { from, to, relation, time, source, deleted })
            }
        ),
        (text(), text(), any::<bool>(), time()).prop_map(|(source, id, end, time)| {
            let phase = if end { Phase::End } else { Phase::Begin };
            Event::Load(Load { source, id, phase, time })
        }),
    ]
}

fn encoded(event: &Event) -> Vec<u8> {
    let mut out = Vec::new();
    encode(event, &mut out).unwrap();
    out
}

proptest! {
    #[test]
    fn every_event_comes_back_as_it_was_and_has_one_form(event in event()) {
        let bytes = encoded(&event);
        let back = decode(kind_of(&event), &bytes).unwrap();
        prop_assert_eq!(&back, &event);
        prop_assert_eq!(encoded(&back), bytes);
    }

    /// A cut or changed payload is an error or another event that has a form of its own; it never panics.
    #[test]
    fn no_bytes_make_it_panic(event in event(), at in any::<prop::sample::Index>(), to in any::<u8>(), kind in 0..14u8) {
        let mut bytes = encoded(&event);
        let at = at.index(bytes.len());
        prop_assert!(decode(kind_of(&event), &bytes[..at]).is_err());
        bytes[at] = to;
        for kind in [kind, kind_of(&event)] {
            if let Ok(other) = decode(kind, &bytes) {
                prop_assert_eq!(kind_of(&other), kind);
            }
        }
    }

    #[test]
    fn random_bytes_make_nothing_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0..14u8) {
        let _ = decode(kind, &bytes);
    }

    #[test]
    fn numbers_come_back(number in any::<u64>(), signed in any::<i64>()) {
        let mut out = Vec::new();
        put_number(&mut out, number);
        put_signed(&mut out, signed);
        let mut bytes = Bytes::new(&out);
        prop_assert_eq!((bytes.number().unwrap(), bytes.signed().unwrap()), (number, signed));
        bytes.end().unwrap();
    }
}

#[test]
fn what_a_newer_program_wrote_and_what_no_program_writes_is_refused() {
    let mut bytes = encoded(&Event::Identify(Identify {
        anonymous: Id::new("a").unwrap(),
        user: Id::new("u").unwrap(),
        time: 7,
    }));
    assert_eq!(bytes, [0, 1, b'a', 1, b'u', 14]);
    bytes[0] = 4;
    assert!(decode(6, &bytes).unwrap_err().contains("found 0x04, of a newer program"));
    bytes[0] = 0;
    bytes.push(0);
    assert_eq!(decode(6, &bytes).unwrap_err(), "byte 6: expected the end, found 1 bytes more");
    assert!(decode(11, &[]).unwrap_err().contains("found 11"));
    // 65 bits.
    assert!(Bytes::new(&[0xff; 10]).number().is_err());
    // A list that is said to be longer than all there is.
    assert!(Bytes::new(&[6, 0xff, 0xff, 0xff, 0xff, 0x0f]).value().is_err());
    // Names out of order, or twice.
    for names in [[b'b', b'a'], [b'a', b'a']] {
        let user = [0, 0, 1, b'u', 14, 2, 1, names[0], 0, 1, names[1], 0];
        assert!(decode(2, &user).unwrap_err().contains("ascending"), "{names:?}");
    }
}
