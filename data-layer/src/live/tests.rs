//! Laws of the live store: order of arrival of attributes, replay, retraction, identity, erasure, personalisation, waiting.

mod kinds;

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::{Calendar, LevelRule, Points};
use crate::log::format;
use crate::types::event::{Erase, Identify, Impression, ItemEvent, Load, Phase, Retraction, Seen, UserEvent};
use crate::types::time::{DAY, HOUR};
use crate::types::{Event, Interaction, Record};
use crate::types::{Id, Millis, Value, ValueType};

pub(super) const NOW: Millis = 20_000 * DAY;

pub(super) fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

pub(crate) fn schema() -> Schema {
    let mut schema = Schema::reserved();
    schema.items.insert("price".into(), ValueType::Float);
    schema.items.insert("title".into(), ValueType::String);
    schema.items.insert("tags".into(), ValueType::Strings);
    schema.users.insert("city".into(), ValueType::String);
    schema
}

pub(crate) fn records(events: &[Event]) -> Vec<Record> {
    let record = |(sequence, event): (u64, &Event)| Record {
        sequence,
        received_ms: NOW,
        partition: event.person().map_or(0, |p| p.partition()),
        past: false,
        event: event.clone(),
    };
    (1..).zip(events).map(record).collect()
}

/// Bounds that no test reaches, and a rule of levels.
pub(crate) fn keep() -> Keep {
    let view = Actions::default().id("view").unwrap();
    let points = vec![(view, Points { each: 5, a_day: Some(10) })];
    let rule = LevelRule { name: "reader".into(), points, thresholds: vec![10] };
    Keep { levels: vec![rule], calendar: Calendar::of("Asia/Shanghai").unwrap(), ..Keep::default() }
}

pub(crate) fn live(events: &[Event]) -> Live {
    let live = Live::with(Actions::default(), schema(), keep());
    live.apply(&records(events)).unwrap();
    live
}

pub(super) fn interaction(id: Option<&str>, who: &Person, item: &str, action: &str, time: Millis) -> Event {
    let (action, value) = (action.to_owned(), 1.0);
    Event::Interaction(Interaction {
        id: id.map(self::id),
        person: who.clone(),
        item: self::id(item),
        action,
        value,
        time,
        request_id: None,
        session: None,
        context: BTreeMap::new(),
    })
}

pub(super) fn impression(who: &Person, item: &str, time: Millis) -> Event {
    let items = vec![Seen { id: id(item), position: Some(0), visible_ms: None }];
    let person = who.clone();
    Event::Impression(Impression { id: None, person, scene: None, request_id: None, items, time })
}

/// All that can be read of a store, without ordinals, and without items and people of whom nothing is known.
pub(crate) fn shown(live: &Live, people: &[Person]) -> BTreeMap<String, String> {
    let items = live.items();
    let mut all = BTreeMap::new();
    for item in 0..items.len() as Ordinal {
        let counters: Vec<_> = counted(items.counters(item));
        let row = items.row(item).0.map(f32::to_bits);
        let serve = [0, NOW - DAY, NOW].map(|now| items.can_serve(item, now));
        let attributes = items.attributes(item);
        if counters.is_empty() && attributes.is_empty() && row == Row::default().0.map(f32::to_bits) {
            continue;
        }
        let said = format!("{} {serve:?} {row:?} {counters:?} {attributes:?}", items.kind(item));
        all.insert(format!("item {}", items.id(item)), said);
    }
    for person in people {
        let Some(state) = live.person(person) else { continue };
        let name = |item: Ordinal| items.id(item).clone();
        let actions: Vec<_> =
            state.actions.iter().map(|a| (name(a.item), a.action, a.value.to_bits(), a.time)).collect();
        let marks = |marks: &Marks| -> BTreeMap<_, _> {
            marks.iter().map(|mark| (name(mark.item), (mark.count, mark.last))).collect()
        };
        let (seen, met) = (marks(&state.seen), marks(&state.met));
        let counters = counted(&state.counters);
        if actions.is_empty() && seen.is_empty() && counters.is_empty() && state.attributes.is_empty() {
            continue;
        }
        let (ties, levels) = (&state.ties, &state.levels);
        let said =
            format!("{actions:?} {seen:?} {met:?} {counters:?} {ties:?} {levels:?} {:?}", state.attributes);
        all.insert(format!("{person:?}"), said);
    }
    for item in 0..items.len() as Ordinal {
        let mut near = Vec::new();
        if live.lists().list("together", items.id(item).as_str(), 50, &mut near) {
            let near: Vec<_> = near.iter().map(|s| (items.id(s.item), s.score.to_bits())).collect();
            all.insert(format!("together {}", items.id(item)), format!("{near:?}"));
        }
    }
    for now in [NOW - DAY, NOW] {
        let mut fresh = Vec::new();
        live.lists().at("fresh", "", now, 500, &mut fresh, None);
        let fresh: Vec<_> = fresh.iter().map(|s| (items.id(s.item), s.score.to_bits())).collect();
        all.insert(format!("fresh {now}"), format!("{fresh:?}"));
    }
    for kind in ["", "item", "k1", "k2"] {
        let mut trending = Vec::new();
        live.lists().list("trending", kind, 500, &mut trending);
        let trending: Vec<_> = trending.iter().map(|s| (items.id(s.item), s.score.to_bits())).collect();
        all.insert(format!("trending {kind}"), format!("{trending:?}"));
    }
    all
}

fn counted(counters: &Counters) -> Vec<(ActionNumber, u64, u64, Vec<u64>)> {
    let windows = |a| counters::WINDOWS.map(|(_, span)| counters.window(a, span, NOW).0).to_vec();
    counters.actions().map(|a| (a.0, counters.total(a), counters.sum(a).to_bits(), windows(a))).collect()
}

type ActionNumber = u8;

pub(crate) fn people() -> Vec<Person> {
    let of = |n: &str| [Person::user(id(n)), Person::anonymous(id(n))];
    ["p0", "p1", "p2"].iter().flat_map(|n| of(n)).collect()
}

#[test]
fn a_retraction_takes_nothing_from_a_user_who_never_learnt_the_deed() {
    let (guest, user) = (Person::anonymous(id("g")), Person::user(id("u")));
    let opt_out = UserEvent {
        person: user.clone(),
        time: NOW,
        source: None,
        attributes: [("personalize".to_owned(), Some(Value::Bool(false)))].into(),
    };
    let live = live(&[
        interaction(Some("own"), &user, "i", "click", NOW),
        interaction(Some("guest"), &guest, "i", "click", NOW),
        Event::User(opt_out),
        Event::Identify(Identify { anonymous: id("g"), user: id("u"), time: NOW }),
        Event::Retraction(Retraction { id: id("guest"), person: None, time: NOW }),
    ]);
    let state = live.person(&user).unwrap();
    assert_eq!((state.actions.len(), state.met.len(), state.counters.all()), (1, 1, 1));
    assert_eq!(live.items().counters(0).all(), 1);
}

pub(super) fn attribute_events() -> impl Strategy<Value = Vec<Event>> {
    let value = prop_oneof![
        Just(("price", None)),
        (0..3i32).prop_map(|p| ("price", Some(Value::Float(f64::from(p))))),
        (0..3u8).prop_map(|t| ("title", Some(Value::String(format!("t{t}").into())))),
        (0..3u8).prop_map(|t| ("tags", Some(Value::Strings(vec![format!("t{t}").into()])))),
        any::<bool>().prop_map(|h| ("hidden", Some(Value::Bool(h)))),
        (-1..2i64).prop_map(|d| ("available_from", Some(Value::Int(NOW + d * DAY)))),
        (0..2i64).prop_map(|d| ("created", Some(Value::Int(NOW - d * DAY)))),
    ];
    let item = (0..3u8, 0..4i64, prop::option::of(value), prop::option::of(any::<bool>()), 0..3u8, 0..4u8);
    let event = item.prop_map(|(item, time, value, deleted, kind, source)| {
        let source = (source < 2).then(|| format!("s{source}"));
        let attributes = value.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let kind = (kind > 0).then(|| format!("k{kind}"));
        Event::Item(ItemEvent { id: id(&format!("i{item}")), kind, time, source, attributes, deleted })
    });
    let whole = (0..2u8, 0..4i64).prop_map(|(source, time)| {
        let half = |phase, time| {
            Event::Load(Load { source: format!("s{source}"), id: format!("{source} {time}"), phase, time })
        };
        [half(Phase::Begin, time), half(Phase::End, time + 1)]
    });
    let loads = prop::collection::vec(whole, 0..3);
    (prop::collection::vec(event, 1..30), loads).prop_map(|(mut events, loads)| {
        events.extend(loads.into_iter().flatten());
        events
    })
}

pub(crate) fn any_event() -> impl Strategy<Value = Event> {
    let who = (0..3u8, any::<bool>()).prop_map(|(n, known)| {
        let id = id(&format!("p{n}"));
        if known { Person::user(id) } else { Person::anonymous(id) }
    });
    let time = NOW - 5 * DAY..NOW;
    let act =
        (who.clone(), 0..4u8, prop::sample::select(vec!["click", "view", "dislike", "rate"]), time.clone());
    prop_oneof![
        6 => (act, prop::option::of(0..8u8)).prop_map(|((who, item, action, time), key)| {
            let key = key.map(|k| format!("e{k}"));
            interaction(key.as_deref(), &who, &format!("i{item}"), action, time)
        }),
        2 => (who.clone(), 0..4u8, time.clone()).prop_map(|(who, item, time)| impression(&who, &format!("i{item}"), time)),
        1 => (0..8u8).prop_map(|k| Event::Retraction(Retraction { id: id(&format!("e{k}")), person: None, time: NOW })),
        1 => (0..3u8, 0..3u8).prop_map(|(a, u)| Event::Identify(Identify {
            anonymous: id(&format!("p{a}")), user: id(&format!("p{u}")), time: NOW,
        })),
        1 => who.clone().prop_map(|person| Event::Erase(Erase { person, time: NOW })),
        1 => (who, any::<bool>(), time).prop_map(|(person, yes, time)| Event::User(UserEvent {
            person, time, source: None,
            attributes: BTreeMap::from([("personalize".to_owned(), Some(Value::Bool(yes)))]),
        })),
    ]
}

proptest! {
    #[test]
    fn attributes_in_any_order_and_repeated_give_the_same_columns(
        (events, mixed) in attribute_events().prop_flat_map(|events| {
            let twice: Vec<Event> = events.iter().chain(&events).cloned().collect();
            (Just(events), Just(twice).prop_shuffle())
        }),
    ) {
        prop_assert_eq!(shown(&live(&events), &[]), shown(&live(&mixed), &[]));
    }

    #[test]
    fn a_replayed_log_is_the_first_run_however_it_is_cut(
        events in prop::collection::vec(any_event(), 1..40),
        cut in any::<prop::sample::Index>(),
    ) {
        let first = live(&events);
        let logged: Vec<Event> = events.iter().map(|event| {
            let payload = format::encode_event(event).unwrap();
            format::decode_event(format::RECORD_VERSION, format::kind_of(event), &payload).unwrap()
        }).collect();
        prop_assert_eq!(&logged, &events);
        let replayed = Live::with(Actions::default(), schema(), keep());
        let (one, two) = (records(&logged), cut.index(logged.len()));
        replayed.apply(&one[..two]).unwrap();
        replayed.apply(&one[two..]).unwrap();
        prop_assert_eq!(shown(&first, &people()), shown(&replayed, &people()));
        prop_assert_eq!(first.applied(), replayed.applied());
    }

    #[test]
    fn a_retracted_interaction_never_was(
        events in prop::collection::vec(any_event(), 0..30),
        at in any::<prop::sample::Index>(),
        time in NOW - 5 * DAY..NOW,
        early in any::<bool>(),
    ) {
        let mut with = events.clone();
        let at = at.index(events.len() + 1);
        let extra = interaction(Some("extra"), &people()[0], "i1", "click", time);
        let undo = Event::Retraction(Retraction { id: id("extra"), person: None, time: NOW });
        with.insert(at, if early { undo.clone() } else { extra.clone() });
        with.push(if early { extra } else { undo });
        let (mut with, mut without) = (shown(&live(&with), &people()), shown(&live(&events), &people()));
        // Where what was around it is forgotten, nobody knows which pairs it made.
        let forgets = |event: &Event| matches!(event, Event::Erase(_) | Event::User(_));
        if events.iter().any(forgets) {
            for shown in [&mut with, &mut without] {
                shown.retain(|name, _| !name.starts_with("together"));
            }
        }
        prop_assert_eq!(with, without);
    }
}

#[test]
fn what_an_identified_person_did_is_their_users_and_can_be_retracted() {
    let (guest, user) = (Person::anonymous(id("p0")), Person::user(id("p1")));
    let identify = Event::Identify(Identify { anonymous: id("p0"), user: id("p1"), time: NOW });
    let acts = |who: &Person| {
        vec![
            interaction(Some("a"), who, "x", "click", NOW - 5),
            interaction(Some("b"), who, "y", "like", NOW - 4),
        ]
    };
    let mut events = acts(&guest);
    events.push(identify);
    assert_eq!(shown(&live(&events), &people()), shown(&live(&acts(&user)), &people()));
    events.push(Event::Retraction(Retraction { id: id("a"), person: None, time: NOW }));
    assert_eq!(shown(&live(&events), &people()), shown(&live(&acts(&user)[1..]), &people()));
    // The same device later is somebody new.
    events.push(interaction(None, &guest, "z", "click", NOW));
    let live = live(&events);
    assert_eq!(live.person(&guest).unwrap().actions.len(), 1);
    assert_eq!(live.person(&user).unwrap().actions.len(), 1);
}

#[test]
fn an_erased_person_is_gone_and_totals_stay() {
    let user = Person::user(id("p0"));
    let erase = Event::Erase(Erase { person: user.clone(), time: NOW });
    let mut events = vec![interaction(Some("a"), &user, "x", "click", NOW - 5), erase];
    let erased = live(&events);
    assert!(erased.person(&user).is_none());
    let click = erased.actions().id("click").unwrap();
    let item = erased.items().ordinal("x").unwrap();
    assert_eq!(erased.items().counters(item).total(click), 1);
    // Taking back what an erased person did touches the totals and not the one who has the id now.
    events.push(interaction(Some("b"), &user, "y", "click", NOW));
    events.push(Event::Retraction(Retraction { id: id("a"), person: None, time: NOW }));
    let live = live(&events);
    assert_eq!(live.items().counters(item).total(click), 0);
    assert_eq!(live.person(&user).unwrap().counters.total(click), 1);
}

#[test]
fn who_does_not_want_to_be_known_is_not_learnt() {
    let user = Person::user(id("p0"));
    let wish = |yes, time| {
        let attributes = BTreeMap::from([("personalize".to_owned(), Some(Value::Bool(yes)))]);
        Event::User(UserEvent { person: user.clone(), time, source: None, attributes })
    };
    let events = [
        wish(false, 1),
        interaction(Some("a"), &user, "x", "click", 2),
        impression(&user, "x", 2),
        wish(true, 3),
        interaction(Some("b"), &user, "x", "click", 4),
        Event::Retraction(Retraction { id: id("a"), person: None, time: 5 }),
    ];
    let live = live(&events);
    let state = live.person(&user).unwrap();
    assert_eq!((state.actions.len(), state.counters.all(), state.seen.len()), (1, 1, 0));
    let x = live.items().ordinal("x").unwrap();
    assert!(state.has_met(x, live.items().tie(x), 4));
    assert!(state.personalize());
    assert!(!self::live(&events[..3]).person(&user).unwrap().personalize());
}

#[test]
fn a_repeated_id_acts_once_however_late() {
    let user = Person::user(id("p0"));
    let event = interaction(Some("a"), &user, "x", "click", NOW);
    let live = live(&[event.clone(), event]);
    assert_eq!(live.person(&user).unwrap().counters.all(), 1);
}

#[test]
fn rows_follow_counters() {
    let user = Person::user(id("p0"));
    let live = live(&[
        interaction(None, &user, "x", "like", NOW - 26 * HOUR),
        interaction(None, &user, "x", "dislike", NOW - HOUR),
        interaction(None, &user, "x", "view", NOW - 20 * DAY),
        impression(&user, "x", NOW),
    ]);
    let items = live.items();
    let row = items.row(items.ordinal("x").unwrap());
    assert_eq!((row.positive(), row.interactions(), row.impressions()), (3.1, 3.0, 1.0));
    assert_eq!((row.count_within(1, NOW), row.count_within(2, NOW)), (1.0, 2.0));
    assert_eq!(row.last_days(), Some(((NOW - HOUR) as f64 / DAY as f64) as f32));
}

#[test]
fn named_items_exist_and_bad_ids_are_refused() {
    let live = live(&[]);
    assert_eq!(live.intern(["a", "b", "a"].into_iter()).unwrap(), [0, 1, 0]);
    assert!(live.items().can_serve(0, NOW));
    assert!(live.intern(["", "c"].into_iter()).is_err());
}

#[tokio::test]
async fn waiting_ends_when_the_position_counts_or_time_is_up() {
    let live = Arc::new(live(&[]));
    live.follow(7);
    let position = Position { producer: 7, sequence: 2 };
    assert!(!live.wait_for(position, Duration::from_millis(5)).await);
    assert!(!live.wait_for(Position { producer: 8, sequence: 0 }, Duration::from_secs(60)).await);
    let writer = Arc::clone(&live);
    let events = [impression(&people()[0], "x", 1), impression(&people()[0], "x", 2)];
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        writer.apply(&records(&events)).unwrap();
    });
    assert!(live.wait_for(position, Duration::from_secs(60)).await);
    thread.join().unwrap();
    assert_eq!(live.applied(), position);
}
