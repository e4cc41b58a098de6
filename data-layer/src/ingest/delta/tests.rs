//! Laws of what travels between servers: sums give what one by one gives, interleavings of partitions give the same, what can't be read changes
//! nothing.

mod cut;
mod ops;

use proptest::prelude::*;

use self::ops::{KINDS, NOW, Op, Step, event, name, op, schema, steps};
use super::*;
use crate::config::{Keep, Pairing};
use crate::live::{Items, LiveLists};
use crate::log::{codec, format};
use crate::shared::{Arrived, Packed, Sender, Sum};
use crate::types::time::DAY;

fn live(neighbours: usize) -> Live {
    let pairing = Pairing { neighbours, ..Pairing::default() };
    Live::with(Actions::default(), schema(0), Keep { together: Some(pairing), ..Keep::default() })
}

/// Everything that can be seen of items, by id.
fn picture(live: &Live) -> Vec<String> {
    let items = live.items();
    let mut all = Vec::new();
    for item in 0..items.len() as Ordinal {
        let serves: Vec<bool> = (-4..5).map(|day| items.can_serve(item, NOW + day * DAY)).collect();
        let row = items.row(item).0.map(f32::to_bits);
        let said = (items.kind(item), items.deleted(item), items.deleted_time(item), items.attributes(item));
        all.push(format!(
            "{} {said:?} {serves:?} {row:?} {} {:?}",
            items.id(item),
            items.impressions(item),
            items.counters(item)
        ));
    }
    all.sort();
    let keys: Vec<String> = (0..5).map(|item| name(item).to_string()).collect();
    let keys = keys.iter().map(String::as_str).chain(KINDS).chain([""]);
    for (list, key) in keys.flat_map(|key| ["trending", "together", "fresh"].map(|list| (list, key))) {
        let (mut out, mut times) = (Vec::new(), Vec::new());
        let known = live.at(list, key, NOW + DAY, 500, &mut out, Some(&mut times));
        let named: Vec<_> = out.iter().map(|s| (items.id(s.item), s.score.to_bits())).collect();
        all.push(format!("{list} {key:?} {known} {named:?} {times:?}"));
    }
    all.push(format!("{:?}", live.schema()));
    all
}

/// The steps as a server in one process takes them.
fn direct(ops: &[Op], neighbours: usize) -> Vec<String> {
    let live = live(neighbours);
    for step in steps(ops, &live) {
        let (mut items, mut lists) = (live.items.write(), live.lists.write());
        match step {
            Step::Schema(schema) => {
                items.set_schema(&schema);
                live.schema.store(Arc::new(schema));
            }
            Step::Effect(effect) => {
                let (actions, keep) = (&live.actions, &live.keep);
                consumer::on_items(
                    &effect,
                    &mut Stores { items: &mut items, lists: &mut lists, actions, keep },
                );
            }
        }
    }
    picture(&live)
}

/// A record as it arrives in a partition of items.
struct Record {
    place: Place,
    kind: u8,
    payload: Vec<u8>,
}

/// The steps as records, in order, of all partitions.
fn records(ops: &[Op]) -> Vec<Record> {
    let live = live(50);
    let mut all = Vec::new();
    for step in steps(ops, &live) {
        let event = match step {
            Step::Effect(Effect::Item(event)) => Event::Item(event.clone()),
            Step::Effect(Effect::Load(load)) => Event::Load(load.clone()),
            Step::Schema(schema) => Event::Schema(schema),
            Step::Effect(effect) => {
                let messages = encode(&[effect], live.items().ids(), &live.actions).unwrap();
                all.extend(messages.into_iter().map(|m| Record {
                    place: m.to.unwrap(),
                    kind: m.kind,
                    payload: m.payload,
                }));
                continue;
            }
        };
        let payload = format::encode_event(&event).unwrap();
        let (version, kind) = (format::RECORD_VERSION, codec::kind_of(&event));
        for place in crate::shared::routes::route_of(version, kind, 0, &payload).unwrap().places() {
            all.push(Record { place, kind, payload: payload.clone() });
        }
    }
    all
}

/// Numbers that look random, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % most.max(1)
    }
}

/// What owners of the partitions publish, each in batches of random length.
fn deltas(records: &[Record], most: usize, dice: &mut Dice) -> Vec<Vec<Delta>> {
    let mut all = Vec::new();
    for place in Lane::Items.places() {
        let mut rest: Vec<&Record> = records.iter().filter(|record| record.place == place).collect();
        let mut deltas = Vec::new();
        while !rest.is_empty() {
            let batch: Vec<&Record> = rest.drain(..rest.len().min(1 + dice.below(most))).collect();
            let arrived: Vec<Arrived<'_>> = batch.iter().map(|record| arrived(record)).collect();
            let sums = Summing::new(&live(50).keep).sum(&arrived).unwrap();
            for (kind, payload) in sums {
                deltas.push(Delta { place, number: deltas.len() as u64 + 1, kind, payload });
            }
        }
        all.push(deltas);
    }
    all
}

fn arrived(record: &Record) -> Arrived<'_> {
    let version = format::RECORD_VERSION;
    let record = Packed { version, kind: record.kind, sequence: 1, received_ms: 0, payload: &record.payload };
    Arrived { sender: Sender::Log(1), record }
}

/// All of it in some order that keeps each partition's.
fn interleaved(mut deltas: Vec<Vec<Delta>>, dice: &mut Dice) -> Vec<Delta> {
    deltas.iter_mut().for_each(|of_one| of_one.reverse());
    let mut all = Vec::new();
    while deltas.iter().any(|of_one| !of_one.is_empty()) {
        let at = dice.below(deltas.len());
        // Now and then one partition is far ahead.
        for _ in 0..1 + dice.below(6) {
            all.extend(deltas[at].pop());
        }
    }
    all
}

fn tailed(deltas: Vec<Delta>, neighbours: usize) -> Vec<String> {
    let live = live(neighbours);
    for some in deltas.chunks(3) {
        live.apply_deltas(some).unwrap();
    }
    picture(&live)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sums_and_interleavings_come_to_what_one_by_one_comes_to(
        ops in prop::collection::vec(op(), 1..80),
        seed in any::<u64>(),
    ) {
        let expected = direct(&ops, 50);
        let (records, dice) = (records(&ops), &mut Dice(seed));
        for most in [1, 4, usize::MAX] {
            let deltas = deltas(&records, most, dice);
            prop_assert_eq!(&expected, &tailed(interleaved(deltas, dice), 50));
        }
    }

    #[test]
    fn servers_come_to_the_same_beyond_bounds(ops in prop::collection::vec(op(), 1..80), seed in any::<u64>()) {
        let (records, dice) = (records(&ops), &mut Dice(seed));
        let deltas = deltas(&records, 5, dice);
        let one = tailed(interleaved(deltas.clone(), dice), 1);
        prop_assert_eq!(&one, &tailed(interleaved(deltas.clone(), dice), 1));
        // Or where what was read is forgotten and read again.
        let again = live(1);
        again.apply_deltas(&interleaved(deltas.clone(), dice)).unwrap();
        again.forget_counts(Vec::new());
        again.apply_deltas(&interleaved(deltas, dice)).unwrap();
        prop_assert_eq!(one, picture(&again));
    }

    #[test]
    fn nonsense_is_an_error_and_changes_nothing(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let live = live(50);
        let place = Place { lane: Lane::Items, partition: 3 };
        let mut payload = vec![wire::VERSION];
        payload.extend(bytes);
        if wire::read(&payload).is_err() {
            let delta = Delta { place, number: 7, kind: HAPPENED, payload };
            let error = live.apply_deltas(&[delta]).unwrap_err().to_string();
            prop_assert!(error.starts_with("message 7 of i3: "), "{}", error);
            prop_assert_eq!(live.items().len(), 0);
        }
    }
}

#[test]
fn many_of_the_same_become_one() {
    let ops = vec![Op::Did { item: 1, action: 0, value: 7, hour: -1 }; 1000];
    let records = records(&ops);
    let arrived: Vec<Arrived<'_>> = records.iter().map(arrived).collect();
    let sums = Summing::new(&Keep::default()).sum(&arrived).unwrap();
    assert!(sums.len() == 1 && sums[0].1.len() < 40, "{} bytes", sums[0].1.len());
}

#[test]
fn values_that_are_replaced_are_left_out() {
    let said = |time: i64| Op::Item {
        item: 1,
        attribute: 0,
        value: Some(1),
        time,
        source: None,
        kind: None,
        deleted: None,
    };
    let ops: Vec<Op> = (0..9).chain((0..5).rev()).map(said).collect();
    let records = records(&ops);
    let arrived: Vec<Arrived<'_>> = records.iter().map(arrived).collect();
    let sums = Summing::new(&Keep::default()).sum(&arrived).unwrap();
    let left = wire::read(&sums[0].1).unwrap();
    let [Happened::Event(event)] = &left[..] else { panic!("{left:?}") };
    assert!(matches!(&**event, Event::Item(event) if event.time == 8));
}

#[test]
fn what_cannot_be_read_is_named_and_nothing_of_the_call_is_applied() {
    let records = records(&[Op::Saw(1), Op::Saw(2)]);
    let delta = |number: usize, payload: Vec<u8>| Delta {
        place: records[number].place,
        number: number as u64,
        kind: HAPPENED,
        payload,
    };
    let good = delta(0, records[0].payload.clone());
    let newer = delta(1, vec![wire::VERSION + 1, 0]);
    let other = Delta { kind: 9, ..good.clone() };
    for (wrong, says) in
        [(newer, "newer"), (other, "kind 9"), (delta(1, records[1].payload[..3].to_vec()), "byte")]
    {
        let live = live(50);
        let error = live.apply_deltas(&[good.clone(), wrong.clone()]).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains(&wrong.place.to_string()), "{error}");
        assert_eq!(live.items().len(), 0);
        live.apply_deltas(std::slice::from_ref(&good)).unwrap();
        assert_eq!(live.items().impressions(0), 1);
    }
    let (payload, place) = (
        format::encode_event(&Event::Item(event(
            &Op::Item {
                item: 1,
                attribute: 0,
                value: None,
                time: 0,
                source: None,
                kind: None,
                deleted: None,
            },
            0,
        )))
        .unwrap(),
        records[0].place,
    );
    let wrong = [
        Record { place, kind: 3, payload: payload.clone() },
        Record { place, kind: 1, payload: payload[1..].to_vec() },
    ];
    for record in &wrong {
        assert!(Summing::new(&Keep::default()).sum(&[arrived(record)]).is_err());
    }
}
