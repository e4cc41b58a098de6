//! Laws of the form: what is written is read, in another process too; nonsense is an error; what is newer is refused.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::config::{Keep, LevelRule, Points, Weight};
use crate::live::levels::day;
use crate::live::{Acted, Field, Mark, Side, Stamp, Tie};
use crate::types::{Id, Value};

fn ids(names: impl Iterator<Item = u32>) -> Ids {
    let ids = Ids::default();
    for n in names {
        ids.intern(&Id::new(&format!("i{n}")).unwrap());
    }
    ids
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-1e9..1e9).prop_map(Value::Float),
        "[a-z]{0,9}".prop_map(|t| Value::String(t.into())),
        prop::collection::vec("[a-z]{0,3}", 0..4)
            .prop_map(|t| Value::Strings(t.into_iter().map(Into::into).collect())),
        prop::collection::vec(-9f32..9.0, 1..4).prop_map(Value::Vector),
        (-90.0..90.0, -180.0..180.0).prop_map(|(lat, lon)| Value::Geo { lat, lon }),
    ]
}

/// A state of items 0..50 with small bounds, so that some went beyond them.
fn state() -> impl Strategy<Value = UserState> {
    let act = (0u32..50, 0u8..6, -50i8..50, prop_oneof![Just(1.0), -1e9..1e9], 0i64..1 << 45, any::<u64>());
    let mark = (0u32..50, any::<bool>(), 0i64..1 << 45);
    let attribute = ("[a-z]{1,6}", any::<i64>(), 0u8..3, prop::option::of(value()));
    let tie = ("[a-c]", 0u8..9, any::<bool>(), any::<i64>(), any::<bool>());
    let lists = (
        prop::collection::vec(act, 0..20),
        prop::collection::vec(mark, 0..30),
        prop::collection::vec(attribute, 0..4),
        prop::collection::vec(tie, 0..9),
    );
    lists.prop_map(|(acts, marks, attributes, ties)| {
        let (keep, ids) = (Keep { actions: 12, ..Keep::default() }, ids(0..50));
        let mut state = UserState::default();
        for (item, action, offset, value, time, key) in acts {
            let action = ActionId(action);
            state.act(Acted { item, action, offset, value, time, key }, &keep);
            state.counters.add(action, value, time);
            let points = vec![(action, Points { each: 1, a_day: None })];
            let rule =
                LevelRule { name: ["a", "b"][usize::from(action.0 % 2)].into(), points, thresholds: vec![] };
            state.levels.entry(rule.name.clone()).or_default().count(&rule, action, day(time, offset), false);
        }
        for (item, seen, time) in marks {
            if seen { &mut state.seen } else { &mut state.met }.add(item, time, 8, &ids);
        }
        for (name, time, priority, value) in attributes {
            let stamp = Stamp { time, priority, present: value.is_some() };
            state.set(&name, &Field { value, stamp });
        }
        for (relation, other, to, time, present) in ties {
            let (side, stamp) =
                (if to { Side::To } else { Side::From }, Stamp { time, priority: 0, present });
            let other = Id::new(&format!("u{other}")).unwrap();
            state.ties.say(&relation, side, Tie { other, stamp }, 3);
        }
        state
    })
}

proptest! {
    #[test]
    fn a_state_is_read_back_and_is_the_same_bytes_in_every_process(state in state()) {
        let other = ids((0..50).rev());
        let (actions, ids) = (Actions::default(), ids(0..50));
        let bytes = encode(&state, &ids, &actions);
        let here = decode(&bytes, "here", &actions, &mut |id| Ok(ids.ordinal(id).unwrap())).unwrap();
        prop_assert_eq!(&here, &state);
        let there = decode(&bytes, "there", &actions, &mut |id| Ok(other.intern(&Id::new(id).unwrap()))).unwrap();
        prop_assert_eq!(encode(&there, &other, &actions), bytes);
    }

    #[test]
    fn other_numbers_of_actions_change_nothing_but_the_numbers(state in state()) {
        let (before, ids) = (Actions::default(), ids(0..50));
        let more = BTreeMap::from([("add".to_owned(), Weight::Fixed(1.0))]);
        let after = Actions::over_defaults(&more).unwrap();
        let bytes = encode(&state, &ids, &before);
        let moved = decode(&bytes, "moved", &after, &mut |id| Ok(ids.ordinal(id).unwrap())).unwrap();
        let names: Vec<&str> = moved.actions.iter().map(|a| after.name(a.action)).collect();
        prop_assert_eq!(names, state.actions.iter().map(|a| before.name(a.action)).collect::<Vec<_>>());
        prop_assert_eq!(encode(&moved, &ids, &after), bytes);
    }

    #[test]
    fn whatever_is_broken_is_an_error_or_a_state_and_never_a_panic(
        state in state(),
        at in any::<prop::sample::Index>(),
        to in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let (actions, ids) = (Actions::default(), ids(0..50));
        let mut bytes = encode(&state, &ids, &actions);
        let known = &mut |id: &str| Ok(ids.ordinal(id).unwrap_or(0));
        let cut = cut.index(bytes.len());
        let _ = decode(&bytes[..cut], "cut", &actions, known);
        let at = at.index(bytes.len());
        bytes[at] = to;
        let _ = decode(&bytes, "broken", &actions, known);
    }
}

#[test]
fn what_is_newer_is_refused_with_both_versions() {
    let actions = Actions::default();
    let said = decode(&[VERSION + 1, 0], "u1", &actions, &mut |_| Ok(0)).unwrap_err().to_string();
    assert!(said.contains("u1") && said.contains("version 2") && said.contains("newer than 1"), "{said}");
    for bytes in [&[][..], &[0, 0], &[VERSION], &[VERSION, 0, 9, 0], &[VERSION, 0, ACTIONS, 5, 1]] {
        let said = decode(bytes, "u1", &actions, &mut |_| Ok(0)).unwrap_err().to_string();
        assert!(said.contains("corrupt user state at byte"), "{said}");
    }
}

#[test]
fn what_actions_that_are_gone_did_is_left_out() {
    let more = BTreeMap::from([("share".to_owned(), Weight::Fixed(1.0))]);
    let (before, after, ids) = (Actions::over_defaults(&more).unwrap(), Actions::default(), ids(0..3));
    let mut state = UserState::default();
    for (item, name) in [(0, "share"), (1, "click")] {
        let action = before.id(name).unwrap();
        let acted = Acted { item, action, offset: 0, value: 1.0, time: 5, key: u64::from(item) };
        state.act(acted, &Keep::default());
        state.counters.add(action, 1.0, 5);
    }
    state.met.add(2, 5, 10, &ids);
    let mut named = Vec::new();
    let read = decode(&encode(&state, &ids, &before), "u1", &after, &mut |id| {
        named.push(id.to_owned());
        Ok(ids.ordinal(id).unwrap())
    });
    let read = read.unwrap();
    assert_eq!((read.actions.len(), read.counters.all()), (1, 1));
    assert_eq!(read.met.iter().copied().collect::<Vec<_>>(), [Mark { item: 2, count: 1, last: 5 }]);
    named.sort();
    assert_eq!(named, ["i1", "i2"]);
}
