//! What goes on while a snapshot is written is not in it, whatever it is and whenever it comes; and nobody waits for ever.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::types::event::{Edge, Erase, Identify, Load, Phase};
use crate::types::{Schema, ValueType};

const ITEMS: u64 = 1300;
const PEOPLE: u64 = 90;

/// Numbers that follow from a seed.
struct Dice(u64);

impl Dice {
    fn upto(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

fn item_event(dice: &mut Dice, time: i64) -> Event {
    let value = |dice: &mut Dice, name: &str| match name {
        "price" => Value::Float(dice.upto(100) as f64),
        "title" => Value::String(format!("t{}", dice.upto(30)).into()),
        "created" => Value::Int(NOW - dice.upto(1_000_000) as i64),
        _ => Value::Strings((0..dice.upto(3)).map(|n| format!("tag{n}").into()).collect()),
    };
    let mut attributes = std::collections::BTreeMap::new();
    for name in ["price", "title", "created", "tags"] {
        if dice.upto(2) == 0 {
            let value = (dice.upto(9) > 0).then(|| value(dice, name));
            attributes.insert(name.to_owned(), value);
        }
    }
    Event::Item(ItemEvent {
        id: id(&format!("i{}", dice.upto(ITEMS))),
        kind: (dice.upto(5) == 0).then(|| format!("k{}", dice.upto(3))),
        deleted: (dice.upto(20) == 0).then(|| dice.upto(2) == 0),
        time,
        source: (dice.upto(2) == 0).then(|| format!("s{}", dice.upto(4))),
        attributes,
    })
}

fn person(dice: &mut Dice) -> Person {
    let name = id(&format!("p{}", dice.upto(PEOPLE)));
    if dice.upto(3) == 0 { Person::anonymous(name) } else { Person::user(name) }
}

fn event(dice: &mut Dice, n: usize) -> Event {
    let time = NOW - 1_000_000 + n as i64 * 10;
    let who = person(dice);
    match dice.upto(40) {
        0..12 => item_event(dice, time),
        12..16 => super::super::super::tests::impression(&who, &format!("i{}", dice.upto(ITEMS)), time),
        16 => Event::Retraction(Retraction {
            id: id(&format!("e{}", dice.upto(n as u64 + 1))),
            person: None,
            time,
        }),
        17 => Event::Identify(Identify { anonymous: who.id, user: person(dice).id, time }),
        18 => Event::Erase(Erase { person: who, time }),
        19 => {
            let (from, to) = (who.id, person(dice).id);
            let (relation, deleted) = ("follow".to_owned(), dice.upto(4) == 0);
            Event::Edge(Edge { from, to, relation, time, source: None, deleted })
        }
        20 => {
            let phase = if dice.upto(2) == 0 { Phase::Begin } else { Phase::End };
            let (source, id) = (format!("s{}", dice.upto(4)), dice.upto(3).to_string());
            Event::Load(Load { source, id, phase, time })
        }
        _ => {
            let item = format!("i{}", dice.upto(ITEMS));
            let action = ["click", "view", "like"][dice.upto(3) as usize];
            interaction(Some(&format!("e{n}")), &who, &item, action, time)
        }
    }
}

/// So many events of a seed, and one of a source and of an attribute that nobody knew before in the middle.
fn events(seed: u64, count: usize) -> Vec<Record> {
    let mut dice = Dice(seed);
    let mut all: Vec<Event> = (0..count).map(|n| event(&mut dice, n)).collect();
    let mut more = schema();
    (more.version, more.unknown) = (more.version + 1, schema().unknown);
    more.items.insert("colour".into(), ValueType::String);
    let attributes = [("colour".to_owned(), Some(Value::String("red".into())))].into();
    let (id, source) = (id("i7"), Some("late".into()));
    let red = ItemEvent { id, kind: None, deleted: None, time: NOW, source, attributes };
    all.splice(count * 3 / 5..count * 3 / 5, [Event::Schema(Schema::clone(&more)), Event::Item(red)]);
    records(&all)
}

fn everybody() -> Vec<Person> {
    let of = |n: u64| [Person::user(id(&format!("p{n}"))), Person::anonymous(id(&format!("p{n}")))];
    (0..PEOPLE).flat_map(of).collect()
}

/// A disk that has some more applied each time that it is written to.
struct Busy<'a> {
    live: &'a Live,
    rest: &'a [Record],
    each: usize,
    bytes: Vec<u8>,
}

impl io::Write for Busy<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (now, later) = self.rest.split_at(self.each.min(self.rest.len()));
        self.live.apply(now).unwrap();
        self.rest = later;
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn a_snapshot_is_of_its_moment_whatever_comes_while_it_is_written(
        seed in any::<u64>(),
        each in prop::sample::select(vec![1usize, 7, 40, 300]),
    ) {
        let all = events(seed, 4000);
        let (before, after) = all.split_at(2300);
        let live = empty();
        live.apply(before).unwrap();
        let (shown_before, everybody) = (shown(&live, &everybody()), everybody());
        let mut busy = Busy { live: &live, rest: after, each, bytes: Vec::new() };
        let written =
            write(&live, &maker(), || Ok(Vec::new()), &mut busy, "snapshot".as_ref(), Limits::default()).unwrap();
        let (bytes, rest) = (busy.bytes, busy.rest);
        prop_assert_eq!(written.position.sequence, before.len() as u64);
        prop_assert!(rest.len() + 10 * each.min(100) < after.len(), "{} of {} came later", rest.len(), after.len());
        live.apply(rest).unwrap();
        let loaded = read(&bytes).unwrap().live;
        prop_assert_eq!(shown(&loaded, &everybody), shown_before);
        loaded.apply(after).unwrap();
        prop_assert_eq!(shown(&loaded, &everybody), shown(&live, &everybody));
    }
}

#[test]
fn threads_that_apply_and_read_go_on_while_little_may_wait() {
    let all = events(5, 6000);
    let (live, done) = (empty(), AtomicBool::new(false));
    live.apply(&all[..2500]).unwrap();
    let bytes: Vec<Vec<u8>> = std::thread::scope(|scope| {
        scope.spawn(|| {
            all[2500..].chunks(50).for_each(|some| live.apply(some).unwrap());
            done.store(true, Ordering::Release);
        });
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                let items = live.items();
                std::hint::black_box(items.row(items.len() as u32 / 2));
            }
        });
        let one = || {
            let (mut bytes, limits) = (Vec::new(), Limits { waiting: 1, ..Limits::default() });
            write(&live, &maker(), || Ok(Vec::new()), &mut bytes, "snapshot".as_ref(), limits).unwrap();
            bytes
        };
        let mut taken = vec![one()];
        while !done.load(Ordering::Acquire) {
            taken.push(one());
        }
        taken
    });
    for bytes in [bytes.first(), bytes.last()].into_iter().flatten() {
        let loaded = read(bytes).unwrap().live;
        let whole = empty();
        whole.apply(&all[..loaded.applied().sequence as usize]).unwrap();
        assert_eq!(shown(&loaded, &everybody()), shown(&whole, &everybody()));
    }
}

#[test]
fn who_answers_what_is_carried_may_wait_for_those_who_apply() {
    let all = events(6, 3000);
    let live = empty();
    live.apply(&all[..1500]).unwrap();
    // As the log thread does while there is no room behind it. Nothing is written before it has answered, so nothing may be waited for.
    let carried = || {
        live.apply(&all[1500..]).unwrap();
        Ok(Vec::new())
    };
    let limits = Limits { waiting: 1, ..Limits::default() };
    let mut bytes = Vec::new();
    let written = write(&live, &maker(), carried, &mut bytes, "snapshot".as_ref(), limits).unwrap();
    assert_eq!((written.position.sequence, read(&bytes).unwrap().live.applied().sequence), (1500, 1500));
}

#[test]
fn one_that_is_to_stop_is_given_up_and_nothing_is_held_for_it() {
    let all = events(7, 3000);
    let live = empty();
    live.apply(&all[..2000]).unwrap();
    let stop = std::sync::Arc::new(AtomicBool::new(false));
    let carried = || {
        stop.store(true, Ordering::Release);
        Ok(Vec::new())
    };
    let limits = Limits { stop: Some(std::sync::Arc::clone(&stop)), ..Limits::default() };
    let said = write(&live, &maker(), carried, &mut Vec::new(), "snapshot".as_ref(), limits)
        .unwrap_err()
        .to_string();
    assert!(said.contains("given up: this server ends"), "{said}");
    live.apply(&all[2000..]).unwrap();
    assert_eq!(live.people.held(), 0);
    assert_eq!(shown(&read(&written(&live)).unwrap().live, &everybody()), shown(&live, &everybody()));
}
