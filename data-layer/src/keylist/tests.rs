//! Laws: reader(writer(x)) == x; the same input, the same bytes; damage is noticed; old files stay readable.

mod one_go;
mod properties;
mod version_2;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::*;
use crate::Error;
use crate::types::time::parse_rfc3339;
use xxhash_rust::xxh3::xxh3_64;

type Lists = BTreeMap<String, Vec<(String, f32)>>;

fn spec(keys: KeyKind, scores: ScoreCodec) -> TableSpec {
    let watermark = parse_rfc3339("2026-11-20T03:15:00Z").unwrap();
    TableSpec { keys, scores, schema_hash: 7, ..TableSpec::new("item_cf", watermark) }
}

fn bytes<'a>(
    spec: TableSpec,
    lists: impl IntoIterator<Item = (&'a String, &'a Vec<(String, f32)>)>,
) -> Vec<u8> {
    let mut writer = Writer::new(spec).unwrap();
    for (key, list) in lists {
        let list: Vec<(&str, f32)> = list.iter().map(|(item, score)| (item.as_str(), *score)).collect();
        writer.push(key.as_str(), &list).unwrap();
    }
    writer.into_bytes().unwrap().1
}

fn open(bytes: &[u8], path: &Path, verify: Verify) -> crate::Result<Table> {
    // Another name each time would be needed to rewrite a mapped file; tests drop the table first.
    std::fs::write(path, bytes).unwrap();
    Table::open(path, verify)
}

fn contents(table: &Table, key: &str) -> crate::Result<Option<Vec<(String, f32)>>> {
    let list = table.get(key);
    if let Some(key) = Key::of_kind(key, table.header().keys) {
        one_go::check(table, key, list.as_ref().ok().copied().flatten());
    }
    let list = list?;
    Ok(list.map(|l| l.iter().map(|(item, score)| (table.dictionary(item).to_owned(), score)).collect()))
}

/// Some lists that look like real ones: falling scores, shared items, an empty list, keys of many lengths.
fn sample(keys: usize) -> Lists {
    let list = |k: usize| {
        let places = (k * 7) % 23;
        (0..places)
            .map(|i| (format!("item-{}", (k * 31 + i * 17) % 400), 3.0 / (1 + i + k % 5) as f32))
            .collect()
    };
    let name = |k: usize| match k % 3 {
        0 => format!("用户{k}"),
        1 => format!("{k}{}", "x".repeat(k % 60)),
        _ => format!("u{k}"),
    };
    (0..keys).map(|k| (name(k), list(k))).collect()
}

#[test]
fn what_goes_in_comes_out_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let lists = sample(500);
    let built = {
        let mut writer = Writer::new(spec(KeyKind::String, ScoreCodec::Exact)).unwrap();
        for (key, list) in &lists {
            let list: Vec<(&str, f32)> = list.iter().map(|(item, score)| (item.as_str(), *score)).collect();
            writer.push(key.as_str(), &list).unwrap();
        }
        writer.finish(folder.path()).unwrap()
    };
    assert!(built.generation.starts_with("20261120T031500Z-"), "{}", built.generation);
    let table = Table::open(&built.path, Verify::Full).unwrap();
    assert_eq!(table.header().generation(), built.generation);
    assert_eq!(table.statistics(), &built.statistics);
    assert_eq!(table.statistics().lists, 500);
    for (key, list) in &lists {
        assert_eq!(contents(&table, key).unwrap().as_ref(), Some(list), "{key}");
    }
    for absent in ["", "nobody", "用户", &"x".repeat(300), "a\u{0}b"] {
        assert!(table.get(absent).unwrap().is_none(), "{absent:?}");
    }
    let all: Vec<&str> = lists.keys().map(String::as_str).chain(["nobody", ""]).collect();
    let mut seen = 0;
    table.multi_get(&all, &mut |at, found| {
        assert_eq!(at, seen, "in order");
        let one = table.get(all[at]).unwrap().map(|l| l.iter().collect::<Vec<_>>());
        assert_eq!(found.unwrap().map(|l| l.iter().collect::<Vec<_>>()), one);
        seen += 1;
    });
    assert_eq!(seen, all.len());
    assert_eq!(table.iter().count(), 500);
}

#[test]
fn an_empty_table_and_an_empty_list_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.keylist");
    let table = open(&bytes(spec(KeyKind::String, ScoreCodec::Affine), &Lists::new()), &path, Verify::Full);
    assert!(table.unwrap().get("a").unwrap().is_none());
    let one = Lists::from([("a".to_owned(), Vec::new())]);
    let table = open(&bytes(spec(KeyKind::String, ScoreCodec::Affine), &one), &path, Verify::Full).unwrap();
    assert!(table.get("a").unwrap().unwrap().is_empty());
    assert_eq!(table.statistics().empty_lists, 1);
}

#[test]
fn nonsense_is_not_taken() {
    let mut writer = Writer::new(spec(KeyKind::String, ScoreCodec::Affine)).unwrap();
    for (key, list) in [
        ("", vec![("a", 1.0)]),
        (&"k".repeat(257), vec![("a", 1.0)]),
        ("k", vec![("", 1.0)]),
        ("k", vec![("a\nb", 1.0)]),
        ("k", vec![("a", f32::NAN)]),
        ("k", vec![("a", f32::INFINITY)]),
        ("k", vec![("a", 1.0), ("b", 1.0), ("a", 0.5)]),
    ] {
        assert!(writer.push(key, &list).is_err(), "{key:?} {list:?}");
    }
    assert!(writer.push(7u64, &[]).is_err(), "a number among texts");
    assert!(writer.is_empty());
    writer.push("k", &[("a", 1.0), ("b", 0.5)]).unwrap();
    writer.push("k", &[("c", 1.0)]).unwrap();
    assert!(writer.into_bytes().unwrap_err().to_string().contains("key k: stands twice"));
    let mut far = Writer::new(spec(KeyKind::String, ScoreCodec::Affine)).unwrap();
    // Refused, never stored as something infinite; and its items are not in the table.
    let error = far.push("k", &[("a", f32::MAX), ("b", f32::MIN)]).unwrap_err();
    assert!(error.to_string().contains("exact"), "{error}");
    far.push("l", &[("c", 1.0)]).unwrap();
    assert_eq!(Header::decode(&far.into_bytes().unwrap().1, Path::new("x")).unwrap().items, 1);
}

#[test]
fn keys_may_be_any_text() {
    let keys =
        ["\0", "a\nb", "\u{feff}", "\t", " ", "\u{202e}x", "é", "e\u{301}", "\u{10ffff}"].map(str::to_owned);
    let keys: Vec<String> = keys.into_iter().chain(["\u{1f600}".repeat(64)]).collect();
    let lists: Lists =
        keys.iter().zip(0..).map(|(key, n)| (key.clone(), vec![(format!("i{n}"), n as f32)])).collect();
    let folder = tempfile::tempdir().unwrap();
    let made = bytes(spec(KeyKind::String, ScoreCodec::Exact), &lists);
    let table = open(&made, &folder.path().join("x.keylist"), Verify::Full).unwrap();
    for (key, list) in &lists {
        assert_eq!(contents(&table, key).unwrap().as_ref(), Some(list), "{key:?}");
    }
}

#[test]
fn a_shard_says_which_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let of = |shard| TableSpec { shard, ..spec(KeyKind::String, ScoreCodec::Affine) };
    let table =
        open(&bytes(of((2, 5)), &sample(20)), &folder.path().join("x.keylist"), Verify::Full).unwrap();
    assert_eq!((table.header().shard, table.header().shards), (2, 5));
    for shard in [(5, 5), (0, 0)] {
        let error = Writer::new(of(shard)).unwrap_err().to_string();
        assert!(error.contains("shard"), "{error}");
    }
}

#[test]
fn the_order_of_input_does_not_show() {
    let lists = sample(300);
    let spec = spec(KeyKind::String, ScoreCodec::Affine);
    let forward = bytes(spec.clone(), &lists);
    assert_eq!(forward, bytes(spec.clone(), lists.iter().rev()));
    let mut with_refused = Writer::new(spec).unwrap();
    assert!(with_refused.push("zz", &[("stray", 1.0), ("stray", 2.0)]).is_err());
    for (key, list) in &lists {
        let list: Vec<(&str, f32)> = list.iter().map(|(item, score)| (item.as_str(), *score)).collect();
        with_refused.push(key.as_str(), &list).unwrap();
    }
    assert_eq!(forward, with_refused.into_bytes().unwrap().1, "what was refused leaves no trace");
}

/// Small random numbers without a crate: xorshift, seeded.
fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state as usize
}

/// With a damaged file: refused at open, or every answer is right or an error. Returns whether the damage was noticed.
fn check_damaged(damaged: &[u8], path: &Path, verify: Verify, lists: &Lists) -> bool {
    let table = match open(damaged, path, verify) {
        Err(Error::Corrupt { .. } | Error::Newer { .. }) => return true,
        Err(other) => panic!("not the error of a damaged file: {other}"),
        Ok(table) => table,
    };
    let mut noticed = table.scrub(&mut |_, _| true).is_err();
    for (key, list) in lists {
        match contents(&table, key) {
            Ok(found) => assert_eq!(found.as_ref(), Some(list), "a wrong list for {key}"),
            Err(Error::Corrupt { .. }) => noticed = true,
            Err(other) => panic!("not the error of a damaged record: {other}"),
        }
    }
    assert!(
        contents(&table, "nobody").is_ok_and(|found| found.is_none()) || noticed || verify == Verify::Open
    );
    noticed
}

#[test]
fn no_flipped_bit_and_no_cut_gives_a_wrong_list() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.keylist");
    let lists = sample(60);
    let whole = bytes(spec(KeyKind::String, ScoreCodec::Exact), &lists);
    let mut state = 0x9e37_79b9_7f4a_7c15;
    for round in 0..2_000 {
        let (at, bit) = (next(&mut state) % whole.len(), next(&mut state) % 8);
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << bit;
        assert!(check_damaged(&damaged, &path, Verify::Full, &lists), "round {round}: byte {at} bit {bit}");
        check_damaged(&damaged, &path, Verify::Open, &lists);
    }
    for round in 0..500 {
        let cut = next(&mut state) % whole.len();
        assert!(check_damaged(&whole[..cut], &path, Verify::Open, &lists), "round {round}: cut at {cut}");
    }
    let longer: Vec<u8> = whole.iter().copied().chain([0; 64]).collect();
    assert!(check_damaged(&longer, &path, Verify::Open, &lists));
    for zeros in [0, 1, 4096, whole.len()] {
        assert!(check_damaged(&vec![0; zeros], &path, Verify::Full, &lists), "{zeros} zeros");
    }
}

/// Makes the sums of the index, of all blocks, of sections and of the header fit again, as someone would who means harm.
fn mend(bytes: &mut [u8], header: &Header) {
    let sections = &header.sections;
    let index = &mut bytes[sections.index.offset as usize..][..sections.index.length as usize];
    for (number, line) in (0u64..).zip(index.chunks_exact_mut(64)) {
        match header.index {
            IndexKind::Perfect => {
                let sum = hash::sum(&line[..60]) ^ number as u32;
                line[60..].copy_from_slice(&sum.to_le_bytes());
            }
            IndexKind::Open => put(line, 56, xxh3_64(&line[..56]) ^ number),
        }
    }
    let mut at = sections.blocks.offset as usize;
    for (slot, (_, section)) in sections.summed().enumerate() {
        let content = bytes[section.offset as usize..][..section.length as usize].to_vec();
        let start = at;
        for block in content.chunks(64 << 10) {
            put(bytes, at, xxh3_64(block));
            at += 8;
        }
        let sum = xxh3_64(&bytes[start..at]);
        put(bytes, 1024 + 32 * slot + 16, sum);
    }
    let blocks = xxh3_64(&bytes[sections.blocks.offset as usize..][..sections.blocks.length as usize]);
    put(bytes, 1024 + 32 * 6 + 16, blocks);
    put(bytes, 4088, xxh3_64(&bytes[..4088]));
}

fn put(bytes: &mut [u8], at: usize, sum: u64) {
    bytes[at..at + 8].copy_from_slice(&sum.to_le_bytes());
}

#[test]
fn a_file_that_lies_with_sums_that_fit_is_no_panic_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.keylist");
    let lists = sample(40);
    let keys: Vec<&str> = lists.keys().map(String::as_str).collect();
    let mut state = 0x2545_f491_4f6c_dd1d;
    for (codec, index) in [
        (ScoreCodec::Exact, IndexKind::Perfect),
        (ScoreCodec::Affine, IndexKind::Open),
        (ScoreCodec::Affine, IndexKind::Perfect),
    ] {
        let whole = bytes(TableSpec { index, ..spec(KeyKind::String, codec) }, &lists);
        let header = Header::decode(&whole, &path).unwrap();
        for _ in 0..1_500 {
            let mut lying = whole.clone();
            // Half of the lies are in the header, where the lengths are.
            let within = if next(&mut state).is_multiple_of(2) { 1200 } else { whole.len() };
            for _ in 0..1 + next(&mut state) % 4 {
                let value = [0, 1, 0x7f, 0x80, 0xff, next(&mut state) as u8][next(&mut state) % 6];
                lying[next(&mut state) % within] = value;
            }
            mend(&mut lying, &header);
            for verify in [Verify::Open, Verify::Full] {
                let Ok(table) = open(&lying, &path, verify) else { continue };
                table.multi_get(&keys, &mut |_, found| {
                    found.into_iter().flatten().for_each(|list| assert!(list.iter().count() <= MAX_LIST));
                });
                for found in table.iter().take_while(Result::is_ok).flatten() {
                    assert!(found.1.iter().all(|(item, _)| table.dictionary(item).len() <= 256));
                }
            }
        }
    }
}

#[test]
fn a_newer_version_is_refused_as_such() {
    let folder = tempfile::tempdir().unwrap();
    let mut newer = bytes(spec(KeyKind::String, ScoreCodec::Affine), &sample(3));
    newer[8] = 3;
    let error = open(&newer, &folder.path().join("x.keylist"), Verify::Full).unwrap_err();
    assert!(matches!(error, Error::Newer { found: 3, known: 2, .. }), "{error}");
}

#[test]
fn number_keys_are_exact_texts() {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::new(spec(KeyKind::U64, ScoreCodec::Exact)).unwrap();
    for key in [0, 1, 42, u64::MAX] {
        writer.push(key, &[("a", key as f32)]).unwrap();
    }
    writer.push("77", &[("b", 1.0)]).unwrap();
    assert!(writer.push("077", &[]).is_err() && writer.push("x", &[]).is_err());
    let table = Table::open(writer.finish(folder.path()).unwrap().path, Verify::Full).unwrap();
    for key in ["0", "1", "42", "77", "18446744073709551615"] {
        assert!(table.get(key).unwrap().is_some(), "{key}");
    }
    for key in ["2", "01", "+1", "-1", "18446744073709551616", "4 2", ""] {
        assert!(table.get(key).unwrap().is_none(), "{key}");
    }
    let keys: BTreeSet<Key<'_>> = table.iter().map(|found| found.unwrap().0).collect();
    assert_eq!(keys, [0, 1, 42, 77, u64::MAX].map(Key::U64).into());
    assert!(table.get_key(42u64).unwrap().is_some() && table.get_key("42").unwrap().is_none());
    let asked = [42u64, 43, u64::MAX, 0];
    let mut found = [false; 4];
    table.multi_get_keys(&asked, |at, list| found[at] = list.unwrap().is_some());
    assert_eq!(found, [true, false, true, true]);
}

/// The file that version 1 wrote: no program writes it any more, every program reads it.
#[test]
fn the_golden_file_of_version_1_is_still_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/version-1.keylist");
    let lists = sample(20);
    let table = Table::open(&path, Verify::Full).unwrap();
    assert_eq!(table.header().generation(), "20261120T031500Z-de3a7d9e");
    assert_eq!((table.header().version, table.header().schema_hash), (1, 7));
    assert_eq!(table.iter().count(), 20);
    let keys: Vec<&str> = lists.keys().map(String::as_str).chain(["nobody"]).collect();
    table.multi_get(&keys, &mut |at, found| {
        assert_eq!(found.unwrap().map(|l| l.len()), lists.get(keys[at]).map(Vec::len));
    });
    table.scrub(&mut |_, _| true).unwrap();
    let bound = table.statistics().score_error;
    for (key, list) in &lists {
        let found = contents(&table, key).unwrap().unwrap();
        assert_eq!(found.len(), list.len());
        for ((item, score), (expected_item, expected)) in found.iter().zip(list) {
            assert_eq!(item, expected_item);
            assert!((score - expected).abs() <= bound);
        }
    }
}
