//! What version 2 brought: both indexes, overflow, vectors, deltas, sums by blocks, and the bytes themselves.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::super::*;
use super::{bytes, check_damaged, contents, next, open, sample, spec};
use crate::Error;

/// All that a key has.
#[derive(Debug, Clone, PartialEq)]
struct Has {
    op: Op,
    list: Vec<(String, f32)>,
    vector: Option<Vec<f32>>,
}

type Keyed = BTreeMap<String, Has>;

fn written(spec: &TableSpec, keyed: impl IntoIterator<Item = (String, Has)>) -> Vec<u8> {
    let mut writer = Writer::new(spec.clone()).unwrap();
    for (key, has) in keyed {
        let list: Vec<(&str, f32)> = has.list.iter().map(|(item, score)| (item.as_str(), *score)).collect();
        writer.push_entry(key.as_str(), has.op, &list, has.vector.as_deref()).unwrap();
    }
    writer.into_bytes().unwrap().1
}

fn read(table: &Table) -> Keyed {
    let one = |(key, list): (Key<'_>, List<'_>)| {
        let mut places = Vec::new();
        list.decode(&mut places);
        assert_eq!(places, list.iter().collect::<Vec<_>>(), "one by one or in bulk");
        let mut folded = Vec::new();
        let mut rest = list.iter();
        folded.extend(rest.by_ref().take(list.len() / 3));
        assert_eq!(rest.len(), list.len() - folded.len());
        rest.for_each(|place| folded.push(place));
        assert_eq!(folded, places, "begun and folded");
        assert_eq!(list.first(70).iter().collect::<Vec<_>>(), places[..places.len().min(70)]);
        let mut vector = Vec::new();
        let has = table.vector(key, &mut vector).unwrap();
        let list =
            places.into_iter().map(|(item, score)| (table.dictionary(item).to_owned(), score)).collect();
        let op = table.get_key(key).unwrap().unwrap().op();
        (key.to_string(), Has { op, list, vector: has.then_some(vector) })
    };
    table.iter().map(|found| one(found.unwrap())).collect()
}

fn text_key() -> impl Strategy<Value = String> {
    let any = proptest::collection::vec(any::<char>(), 1..130).prop_map(|text| {
        let mut text: String = text.into_iter().filter(|c| !c.is_control()).collect();
        while text.len() > 256 {
            text.pop();
        }
        text
    });
    any.prop_filter("an id", |text| crate::types::id::check(text).is_ok())
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![4 => Just(0), 4 => Just(1), 8 => 2usize..40, 3 => Just(100), 1 => Just(5_000)]
}

fn has(delta: bool, width: usize) -> impl Strategy<Value = Has> {
    let score = prop_oneof![-1e6f32..1e6, Just(0.0), Just(f32::MIN_POSITIVE)];
    let vector = proptest::option::of(proptest::collection::vec(-1e3f32..1e3, width));
    (0..3u32, length(), any::<u16>(), score, vector).prop_map(move |(op, length, salt, score, vector)| {
        let op = if delta { Op::of(op).unwrap() } else { Op::Replace };
        let place = |i: usize| (format!("i{}", (usize::from(salt) + i * 7) % 40_000), score / (1 + i) as f32);
        match op {
            Op::Delete => Has { op, list: Vec::new(), vector: None },
            _ => Has { op, list: (0..length).map(place).collect(), vector: vector.filter(|_| width > 0) },
        }
    })
}

fn table_of() -> impl Strategy<Value = (TableSpec, Vec<(String, Has)>)> {
    let shape = (any::<bool>(), any::<bool>(), prop_oneof![Just(0usize), 1usize..9], any::<bool>());
    shape.prop_flat_map(|(numbers, open, width, delta)| {
        let mut spec = spec(if numbers { KeyKind::U64 } else { KeyKind::String }, ScoreCodec::Exact);
        spec.index = if open { IndexKind::Open } else { IndexKind::Perfect };
        spec.vector = width as u32;
        spec.delta = delta.then_some(77);
        let key =
            if numbers { any::<u64>().prop_map(|key| key.to_string()).boxed() } else { text_key().boxed() };
        let keyed = prop::collection::btree_map(key, has(delta, width), 0..40);
        (Just(spec), keyed.prop_map(|keyed| keyed.into_iter().collect::<Vec<_>>()).prop_shuffle())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_was_written_is_read((spec, keyed) in table_of()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.keylist");
        let made = written(&spec, keyed.clone());
        let sorted: Keyed = keyed.into_iter().collect();
        prop_assert_eq!(&made, &written(&spec, sorted.clone()), "in any order");
        let table = open(&made, &path, Verify::Full).unwrap();
        prop_assert_eq!(read(&table), sorted.clone());
        prop_assert_eq!(table.header().base, spec.delta);
        prop_assert_eq!(table.statistics().lengths.iter().sum::<u64>(), sorted.len() as u64);
        let keys: Vec<&str> = sorted.keys().map(String::as_str).chain(["0", "nobody"]).collect();
        let mut many = Vec::new();
        table.multi_get(&keys, &mut |_, found| many.push(found.unwrap().map(|l| l.iter().collect::<Vec<_>>())));
        let single: Vec<_> =
            keys.iter().map(|key| table.get(key).unwrap().map(|l| l.iter().collect::<Vec<_>>())).collect();
        prop_assert_eq!(many, single);
        drop(table);
        // Sixteen bits: the same items in the same order.
        let affine = TableSpec { scores: ScoreCodec::Affine, ..spec };
        let table = open(&written(&affine, sorted.clone()), &path, Verify::Full).unwrap();
        for (key, has) in &sorted {
            let found = contents(&table, key).unwrap().unwrap();
            prop_assert!(found.iter().map(|(item, _)| item).eq(has.list.iter().map(|(item, _)| item)));
            let bound = table.header().score_error;
            prop_assert!(found.iter().zip(&has.list).all(|((_, a), (_, b))| (a - b).abs() <= bound));
        }
    }
}

/// Lists of very different lengths, so that some overflow.
fn uneven(keys: usize) -> super::Lists {
    let mut lists = sample(keys);
    for (number, list) in lists.values_mut().enumerate().filter(|(number, _)| number % 17 == 3) {
        *list = (0..400 + number * 13).map(|i| (format!("item-{i}"), 1.0 / (1 + i) as f32)).collect();
    }
    lists
}

/// The file that version 2 writes. Other bytes mean another format: give it a new version and keep reading this one.
#[test]
fn the_golden_file_of_version_2_is_still_written_and_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/version-2.keylist");
    let lists = uneven(60);
    let now = bytes(spec(KeyKind::String, ScoreCodec::Affine), &lists);
    if std::env::var_os("WEIR_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    assert_eq!(std::fs::read(&path).unwrap(), now, "the bytes of format version 2 changed");
    let table = Table::open(&path, Verify::Full).unwrap();
    assert_eq!((table.header().version, table.header().index), (2, IndexKind::Perfect));
    assert!(table.header().overflowing > 0 && table.statistics().empty_lists > 0);
    for (key, list) in &lists {
        let found = contents(&table, key).unwrap().unwrap();
        assert!(found.iter().map(|(item, _)| item).eq(list.iter().map(|(item, _)| item)), "{key}");
    }
}

#[test]
fn a_flipped_bit_is_never_a_wrong_list_nor_a_false_miss() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.keylist");
    let lists = uneven(40);
    let mut state = 0x1234_5678_9abc_def1;
    for index in [IndexKind::Perfect, IndexKind::Open] {
        let whole = bytes(TableSpec { index, ..spec(KeyKind::String, ScoreCodec::Exact) }, &lists);
        let header = Header::decode(&whole, &path).unwrap();
        for (name, section) in header.sections.named() {
            for round in 0..60 {
                let at = section.offset as usize + next(&mut state) % (section.length.max(1) as usize);
                let mut damaged = whole.clone();
                let Some(byte) = damaged.get_mut(at) else { continue };
                *byte ^= 1 << (round % 8);
                assert!(check_damaged(&damaged, &path, Verify::Open, &lists), "{name}: byte {at} unnoticed");
            }
            for cut in [section.offset, section.offset + section.length] {
                let cut = &whole[..cut as usize];
                assert!(
                    cut.len() == whole.len() || check_damaged(cut, &path, Verify::Open, &lists),
                    "{name}"
                );
            }
        }
    }
    let sums = [hash::sum(&[0; 4]), hash::sum(&[0; 60])];
    assert!(!sums.contains(&0), "zeros in the place of a record or of a line are noticed");
}

#[test]
fn scrubbing_names_the_block() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.keylist");
    let lists: super::Lists =
        (0..5_000).map(|k| (format!("k{k}"), vec![(format!("i{k}"), 1.0), ("i".into(), 0.5)])).collect();
    let whole = bytes(spec(KeyKind::String, ScoreCodec::Exact), &lists);
    let records = Header::decode(&whole, &path).unwrap().sections.records;
    assert!(records.length > 128 << 10, "several blocks");
    let mut damaged = whole.clone();
    damaged[records.offset as usize + (64 << 10) + 77] ^= 4;
    let table = open(&damaged, &path, Verify::Open).unwrap();
    let Error::Corrupt { section, offset, .. } = table.scrub(&mut |_, _| true).unwrap_err() else {
        panic!("another error")
    };
    assert_eq!((section.as_str(), offset), ("records", records.offset + (64 << 10)));
    let mut calls = 0;
    table
        .scrub(&mut |done, of| {
            calls += 1;
            assert!(done <= of);
            calls < 2
        })
        .unwrap();
    assert_eq!(calls, 2, "it stops when told");
    drop(table);
    let table = open(&whole, &path, Verify::Open).unwrap();
    let mut last = (0, 1);
    table
        .scrub(&mut |done, of| {
            last = (done, of);
            true
        })
        .unwrap();
    assert_eq!(last.0, last.1, "to the end");
    assert_eq!(table.reside(Residency::Lazy), None);
    assert_eq!(table.reside(Residency::Warm), None);
    // Locking may be refused; the table works all the same.
    drop(table.reside(Residency::Locked));
    assert!(table.get("k7").unwrap().is_some());
}

fn inverse(odd: u64) -> u64 {
    (0..6).fold(odd, |x, _| x.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(x))))
}

fn unshift(x: u64, by: u32) -> u64 {
    (0..64 / by).fold(x, |y, _| x ^ y >> by)
}

/// The number whose hash this is.
fn unhash(hash: u64) -> u64 {
    let y = unshift(hash, 31).wrapping_mul(inverse(0x94d0_49bb_1331_11eb));
    unshift(unshift(y, 27).wrapping_mul(inverse(0xbf58_476d_1ce4_e5b9)), 30)
}

/// The hash that a perfect hash mixes to this.
fn unmix(mixed: u64) -> u64 {
    let y = unshift(mixed, 32).wrapping_mul(inverse(0xbf58_476d_1ce4_e5b9));
    unshift(unshift(y, 29).wrapping_mul(inverse(0x9e37_79b9_7f4a_7c15)), 32)
}

#[test]
fn keys_that_no_perfect_hash_fits_are_found_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(hash::number(unhash(77)), 77);
    let mut writer = Writer::new(spec(KeyKind::U64, ScoreCodec::Exact)).unwrap();
    let item = writer.item("a").unwrap();
    assert!(writer.push_numbered(1u64, &[(item + 1, 1.0)]).is_err(), "a number that was never given");
    // All in the first bucket, which holds 255 at most.
    let key = |n: u64| unhash(unmix(n));
    for n in 0..300 {
        writer.push_numbered(key(n), &[(item, n as f32)][..usize::from(n % 3 == 0)]).unwrap();
    }
    let table = Table::open(writer.finish(folder.path()).unwrap().path, Verify::Full).unwrap();
    assert_eq!(table.header().index, IndexKind::Open);
    for n in 0..300 {
        let expected = (n % 3 == 0).then_some((0, n as f32));
        assert_eq!(table.get_key(key(n)).unwrap().unwrap().iter().next(), expected);
    }
    assert!(table.get_key(key(300)).unwrap().is_none());
}

#[test]
fn many_parts_work() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::new(spec(KeyKind::U64, ScoreCodec::Affine)).unwrap();
    let items: Vec<u32> = (0..10).map(|i| writer.item(&format!("i{i}")).unwrap()).collect();
    for key in 0..200_000u64 {
        writer.push_numbered(key * 3, &[(items[key as usize % 10], 1.0)]).unwrap();
    }
    let table = Table::open(writer.finish(folder.path()).unwrap().path, Verify::Open).unwrap();
    assert_eq!((table.header().index, table.header().parts), (IndexKind::Perfect, 4));
    let keys: Vec<u64> = (0..600_000).step_by(7).collect();
    table.multi_get_keys(&keys, |at, found| {
        let expected = keys[at].is_multiple_of(3).then(|| (keys[at] / 3 % 10) as u32);
        assert_eq!(found.unwrap().map(|l| l.iter().next().unwrap().0), expected, "{}", keys[at]);
    });
}

#[test]
fn what_a_delta_may_say_a_whole_table_may_not() {
    let mut whole = Writer::new(TableSpec { vector: 2, ..spec(KeyKind::String, ScoreCodec::Exact) }).unwrap();
    for (op, list, vector) in [
        (Op::Merge, vec![("a", 1.0)], None),
        (Op::Delete, vec![], None),
        (Op::Replace, vec![], Some(vec![1.0])),
        (Op::Replace, vec![], Some(vec![1.0, f32::NAN])),
    ] {
        assert!(whole.push_entry("k", op, &list, vector.as_deref()).is_err(), "{op:?} {vector:?}");
    }
    let delta = TableSpec { delta: Some(1), ..spec(KeyKind::String, ScoreCodec::Exact) };
    assert!(Writer::new(delta).unwrap().push_entry("k", Op::Delete, &[("a", 1.0)], None).is_err());
}
