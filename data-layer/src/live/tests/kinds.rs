//! What single kinds of event do to the live side: loads, levels, lists of what is new and what goes together.

use super::*;

#[test]
fn an_item_is_new_when_it_may_be_shown_and_without_another_event() {
    let say = |name: &str, deleted, attributes: &[(&str, i64)]| {
        let attributes = attributes.iter().map(|(n, t)| ((*n).to_owned(), Some(Value::Int(*t)))).collect();
        Event::Item(ItemEvent {
            id: id(name),
            kind: Some("k1".into()),
            time: 1,
            source: None,
            attributes,
            deleted,
        })
    };
    let live = live(&[
        say("a", None, &[("created", NOW - DAY)]),
        say("b", None, &[("created", NOW - 2 * DAY), ("available_from", NOW)]),
        say("c", Some(true), &[("created", NOW - DAY)]),
        say("d", None, &[]),
    ]);
    let fresh = |now| {
        let (mut out, mut times) = (Vec::new(), Vec::new());
        assert!(live.lists().at("fresh", "k1", now, 9, &mut out, Some(&mut times)));
        let items = live.items();
        out.iter().zip(times).map(|(s, t)| (items.id(s.item).to_string(), t)).collect::<Vec<_>>()
    };
    assert_eq!(fresh(NOW - 1), [("a".to_owned(), Some(NOW - DAY))]);
    assert_eq!(fresh(NOW), [("b".to_owned(), Some(NOW)), ("a".to_owned(), Some(NOW - DAY))]);
}

#[test]
fn points_follow_the_day_where_the_person_is_and_what_is_taken_back() {
    let who = Person::user(id("p0"));
    let attributes =
        BTreeMap::from([("timezone".to_owned(), Some(Value::String("America/New_York".into())))]);
    let moved = Event::User(UserEvent { person: who.clone(), time: 1, source: None, attributes });
    let view = |n: i64, time| interaction(Some(&format!("e{n}")), &who, "x", "view", time);
    let points = |events: &[Event]| {
        let live = live(events);
        let state = live.person(&who).unwrap();
        state.levels.get("reader").map_or(0, |tally| tally.points(&keep().levels[0]))
    };
    // Midnight in Shanghai is noon in New York, where it is one day all along.
    let midnight = NOW - 8 * HOUR;
    let day =
        |from: i64| (from..from + 3).map(|n| view(n, midnight + n * HOUR - 3 * HOUR)).collect::<Vec<_>>();
    let mut events = [day(0), day(3)].concat();
    assert_eq!(points(&events), 20);
    let there: Vec<Event> = std::iter::once(moved.clone()).chain(events.clone()).collect();
    assert_eq!(points(&there), 10);
    // Taken back on the day on which it counted, wherever they are by then.
    events.push(moved);
    let undo = |n: i64| Event::Retraction(Retraction { id: id(&format!("e{n}")), person: None, time: NOW });
    events.extend([undo(0), undo(1)]);
    assert_eq!(points(&events), 15);
    events.extend([undo(2), undo(3), undo(4), undo(5)]);
    assert_eq!(points(&events), 0);
}

#[test]
fn what_a_source_leaves_out_of_a_whole_load_is_not_served() {
    let item = |name: &str, source: Option<&str>, time| {
        let (kind, attributes, deleted) = (None, BTreeMap::new(), None);
        Event::Item(ItemEvent {
            id: id(name),
            kind,
            time,
            source: source.map(Into::into),
            attributes,
            deleted,
        })
    };
    let load = |phase, time| Event::Load(Load { source: "shop".into(), id: "1".into(), phase, time });
    let named = |name: &str, events: &[Event]| {
        let live = live(events);
        let items = live.items();
        let at = items.ordinal(name).unwrap();
        assert_eq!(items.deleted(at), !items.can_serve(at, NOW));
        items.can_serve(at, NOW)
    };
    let mut events = vec![item("a", Some("shop"), 1), item("b", Some("shop"), 1), item("c", None, 1)];
    events.extend([load(Phase::Begin, 10), item("b", Some("shop"), 11), load(Phase::End, 12)]);
    assert_eq!(["a", "b", "c"].map(|name| named(name, &events)), [false, true, true]);
    events.push(item("a", Some("shop"), 13));
    assert!(named("a", &events));
}

#[test]
fn what_one_person_acts_on_in_turn_stands_together() {
    let (one, two) = (people()[0].clone(), people()[2].clone());
    let mut events: Vec<Event> = (0..9)
        .map(|n| interaction(Some(&format!("e{n}")), &one, &format!("i{n}"), "click", NOW - 9000 + n * 1000))
        .collect();
    events.push(interaction(Some("far"), &two, "i0", "click", NOW - 9 * DAY));
    events.push(interaction(Some("bad"), &two, "i1", "dislike", NOW));
    events.push(interaction(Some("now"), &two, "i2", "click", NOW));
    let near = |events: &[Event], id: &str| {
        let live = live(events);
        let mut out = Vec::new();
        live.lists().list("together", id, 50, &mut out);
        let items = live.items();
        let mut names: Vec<_> = out.iter().map(|s| items.id(s.item).to_string()).collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(near(&events, "i0"), "i1 i2 i3 i4 i5");
    assert_eq!(near(&events, "i6"), "i1 i2 i3 i4 i5 i7 i8");
    // Without one of them, those around it come closer.
    events.push(Event::Retraction(Retraction { id: id("e3"), person: None, time: NOW }));
    assert_eq!(near(&events, "i0"), "i1 i2 i4 i5 i6");
    assert_eq!(near(&events, "i3"), "");
}

#[test]
fn a_retyped_attribute_keeps_what_widens() {
    let say = |item: &str, value| {
        let attributes = BTreeMap::from([("stock".to_owned(), Some(value))]);
        Event::Item(ItemEvent { id: id(item), kind: None, time: 1, source: None, attributes, deleted: None })
    };
    let typed = |to| {
        let mut schema = schema();
        schema.items.insert("stock".into(), to);
        Event::Schema(schema)
    };
    let value = |events: &[Event]| {
        let live = live(events);
        let items = live.items();
        items.field("stock").and_then(|field| items.value(field, items.ordinal("x").unwrap()))
    };
    let events = [typed(ValueType::Int), say("x", Value::Int(2)), typed(ValueType::Float)];
    assert_eq!(value(&events), Some(Value::Float(2.0)));
    let events = [typed(ValueType::Float), say("x", Value::Float(2.5)), typed(ValueType::Int)];
    assert_eq!(value(&events), None);
    let events = [typed(ValueType::Int), say("x", Value::Int(2)), Event::Schema(schema())];
    assert_eq!(value(&events), None);
}
