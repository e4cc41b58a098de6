//! Rows become lists whatever their form, order and number; bad ones are named.

use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::keylist::{KeyKind, Table, Verify};

fn input(root: &Path, name: &str, text: &str) -> Input {
    let path = root.join(name);
    std::fs::write(&path, text).unwrap();
    Input::new(path, "item", "similar")
}

fn table(root: &Path, input: &Input) -> Table {
    let built = read(input, TableSpec::new("t", 0)).unwrap().finish(root.join("out")).unwrap();
    Table::open(built.path, Verify::Full).unwrap()
}

fn list(table: &Table, key: &str) -> Vec<String> {
    let list = table.get(key).unwrap().unwrap();
    list.iter().map(|(item, _)| table.dictionary(item).to_owned()).collect()
}

#[test]
fn rows_in_any_order_become_ordered_lists() {
    let root = tempfile::tempdir().unwrap();
    let by_score = input(root.path(), "a.csv", "item,similar,score\ni2,x,1\ni1,a,0.5\ni2,y,2\ni1,b,0.9\n");
    let one = table(root.path(), &by_score);
    assert_eq!(
        (list(&one, "i1"), list(&one, "i2")),
        (vec!["b".into(), "a".into()], vec!["y".into(), "x".into()])
    );
    let ranked = input(
        root.path(),
        "b.ndjson",
        "{\"item\":\"i\",\"similar\":\"a\",\"score\":1,\"rank\":2}\n{\"item\":\"i\",\"similar\":\"b\",\"score\":0.1,\"rank\":1}\n",
    );
    assert_eq!(list(&table(root.path(), &ranked), "i"), ["b", "a"], "a rank goes before scores");
    let only_ranks = input(root.path(), "c.tsv", "item\tsimilar\trank\ni\ta\t2\ni\tb\t1\ni\tc\t3\n");
    let cut = Input { top: Some(2), ..only_ranks };
    let table = table(root.path(), &cut);
    let scores: Vec<f32> = table.get("i").unwrap().unwrap().iter().map(|(_, score)| score).collect();
    assert_eq!((list(&table, "i"), scores), (vec!["b".into(), "a".into()], vec![1.0, 0.5]));
}

#[test]
fn equal_scores_break_by_the_hash_of_the_id_whatever_the_order_of_rows() {
    let root = tempfile::tempdir().unwrap();
    let rows: Vec<String> = (0..50).map(|i| format!("k,i{i},1\n")).collect();
    let forward = input(root.path(), "f.csv", &format!("item,similar,score\n{}", rows.concat()));
    let rows: Vec<String> = rows.into_iter().rev().collect();
    let back = input(root.path(), "b.csv", &format!("item,similar,score\n{}", rows.concat()));
    let bytes = |input: &Input| read(input, TableSpec::new("t", 0)).unwrap().into_bytes().unwrap();
    assert_eq!(bytes(&forward), bytes(&back));
    assert_ne!(list(&table(root.path(), &forward), "k")[0], "i0", "not the first that came");
}

#[test]
fn bad_rows_are_named() {
    let root = tempfile::tempdir().unwrap();
    let said = |rows: &str, kind: KeyKind| {
        let input = input(root.path(), "bad.csv", &format!("item,similar,score\n{rows}"));
        let spec = TableSpec { keys: kind, ..TableSpec::new("t", 0) };
        read(&input, spec).map(drop).unwrap_err().to_string()
    };
    for (rows, part) in [
        ("a,b,1\n,b,1\n", "bad.csv:3, column \"item\": expected an id, found nothing"),
        ("a,,1\n", "bad.csv:2, column \"similar\""),
        ("a,b,nan\n", "bad.csv:2, column \"score\": expected a finite number"),
        ("a,b,1e39\n", "bad.csv:2, column \"score\""),
        ("a,b,\n", "expected a score, found nothing"),
        ("a,b,x\n", "expected a number, found \"x\""),
        ("a,b,1\nc,d,1\na,b,2\n", "item \"b\" stands twice under key \"a\"; first in 2"),
        ("a,b\n", "bad.csv:2: expected 3 fields"),
    ] {
        let text = said(rows, KeyKind::String);
        assert!(text.contains(part), "{text} should say {part}");
    }
    assert!(said("7,b,1\na,b,1\n", KeyKind::U64).contains("bad.csv:3, column \"item\""));
    let no_column = Input { item: "simlar".into(), ..input(root.path(), "x.csv", "item,similar,score\n") };
    let text = read(&no_column, TableSpec::new("t", 0)).map(drop).unwrap_err().to_string();
    assert!(text.contains("did you mean \"similar\"?"), "{text}");
    let no_scores = input(root.path(), "y.csv", "item,similar\n");
    assert!(read(&no_scores, TableSpec::new("t", 0)).is_err());
}

#[test]
fn parquet_becomes_a_table() {
    use crate::tabular::{Cells, ColumnType};
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("sim.parquet");
    let columns = [("item", ColumnType::Int), ("similar", ColumnType::Text), ("score", ColumnType::Float)];
    let mut writer = crate::tabular::Writer::create(&path, &columns).unwrap();
    writer
        .write(&[Cells::Int(&[1, 1, 2]), Cells::Text(&["2", "3", "1"]), Cells::Float(&[0.1, 0.2, 0.3])])
        .unwrap();
    writer.finish().unwrap();
    let table = table(root.path(), &Input::new(path, "item", "similar"));
    assert_eq!((list(&table, "1"), list(&table, "2")), (vec!["3".into(), "2".into()], vec!["1".into()]));
}

#[test]
fn a_row_may_be_a_key_with_lists() {
    let root = tempfile::tempdir().unwrap();
    let lines = "{\"item\":\"i1\",\"similar\":[\"b\",\"a\"],\"score\":[0.5,0.75]}\n{\"item\":\"i2\",\"similar\":[],\"score\":[]}\n";
    let one = table(root.path(), &input(root.path(), "w.ndjson", lines));
    assert_eq!(list(&one, "i1"), ["b", "a"], "the order of the list is the order");
    assert!(one.get("i2").unwrap().unwrap().is_empty(), "known to have nothing");
    let big = "{\"item\":9007199254740993,\"similar\":[9007199254740993,18446744073709551615]}\n";
    let one = table(root.path(), &input(root.path(), "n.ndjson", big));
    assert_eq!(list(&one, "9007199254740993"), ["9007199254740993", "18446744073709551615"]);
    let scores: Vec<f32> = one.get("9007199254740993").unwrap().unwrap().iter().map(|(_, s)| s).collect();
    assert_eq!(scores, [1.0, 0.5], "1 / place where there are no scores");
    let text = input(root.path(), "w.csv", "item,similar,score\ni1,b|a|c,3|2|1\n");
    let text = Input { separator: Some('|'), top: Some(2), ..text };
    assert_eq!(list(&table(root.path(), &text), "i1"), ["b", "a"]);
}

#[test]
fn bad_rows_with_lists_are_named() {
    let root = tempfile::tempdir().unwrap();
    for (row, part) in [
        ("i2,a|b,1\n", "w.csv:3, column \"score\": expected as many scores as items, 2, found 1"),
        ("i2,a||b,1|2|3\n", "w.csv:3, column \"similar\": item \"\""),
        ("i2,a|a,1|2\n", "stands twice"),
        ("i2,a|b,1|x\n", "column \"score\": expected a number, found \"x\""),
        ("i2,a|b,1|inf\n", "expected finite numbers"),
        (",a|b,1|2\n", "column \"item\": expected an id"),
    ] {
        let bad = input(root.path(), "w.csv", &format!("item,similar,score\ni1,a,1\n{row}"));
        let bad = Input { separator: Some('|'), ..bad };
        let said = read(&bad, TableSpec::new("t", 0)).map(drop).unwrap_err().to_string();
        assert!(said.contains(part) && said.contains("w.csv:3"), "{said} should say {part}");
    }
    let mixed = "{\"item\":\"a\",\"similar\":[\"b\"]}\n{\"item\":\"c\",\"similar\":\"b\"}\n";
    let mixed = input(root.path(), "m.ndjson", mixed);
    let said = read(&mixed, TableSpec::new("t", 0)).map(drop).unwrap_err().to_string();
    assert!(said.contains("m.ndjson:2, column \"similar\": expected a list of ids, found string"), "{said}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn memory_changes_nothing(rows in proptest::collection::btree_set((0u8..40, 0u16..300), 1..600), memory in 0usize..60_000) {
        let root = tempfile::tempdir().unwrap();
        // In an order that is neither that of keys nor of items.
        let mut rows: Vec<_> = rows.into_iter().collect();
        rows.sort_by_key(|(key, item)| (u64::from(*key) * 7 + u64::from(*item) * 31) % 101);
        let text: String = rows.iter().map(|(key, item)| format!("k{key},i{item},{}\n", item % 7)).collect();
        let whole = input(root.path(), "m.csv", &format!("item,similar,score\n{text}"));
        let tight = Input { memory, scratch: root.path().to_owned(), ..whole.clone() };
        let bytes = |input: &Input| read(input, TableSpec::new("t", 0)).unwrap().into_bytes().unwrap();
        prop_assert_eq!(bytes(&whole), bytes(&tight));
        prop_assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1, "runs have no names");
    }
}

#[test]
fn twice_is_found_across_runs() {
    let root = tempfile::tempdir().unwrap();
    let twice = input(root.path(), "t.csv", "item,similar,score\na,b,1\nc,d,1\na,b,2\n");
    let tight = Input { memory: 1, scratch: root.path().to_owned(), ..twice };
    let said = read(&tight, TableSpec::new("t", 0)).map(drop).unwrap_err().to_string();
    assert!(said.contains("item \"b\" stands twice under key \"a\"; first in 2"), "{said}");
    let nowhere = Input { scratch: root.path().join("none"), ..tight };
    assert!(read(&nowhere, TableSpec::new("t", 0)).map(drop).unwrap_err().to_string().contains("none"));
}

#[test]
fn progress_counts_rows() {
    let root = tempfile::tempdir().unwrap();
    let rows: String = (0..20_000).map(|n| format!("k{},i{n},1\n", n % 9)).collect();
    let input = input(root.path(), "p.csv", &format!("item,similar,score\n{rows}"));
    let mut seen = Vec::new();
    read_watched(&input, TableSpec::new("t", 0), &mut |step| seen.push(step)).unwrap();
    let rows = |rows: &[u64]| rows.iter().map(|rows| Step::Read(*rows)).collect::<Vec<_>>();
    assert_eq!(seen[..3], rows(&[0, 8192, 16384]));
    assert!(matches!(seen[3..], [Step::Group(8192.., 20_000), Step::Group(16_384.., 20_000)]), "{seen:?}");
}

#[test]
fn parquet_with_lists_becomes_a_table() {
    let root = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/lists.parquet");
    let numbers = Input { score: Some("scores".into()), ..Input::new(&golden, "key", "items") };
    let one = table(root.path(), &numbers);
    assert_eq!(list(&one, "k1"), ["9007199254740993", "7"], "64-bit ids keep every digit");
    assert!(list(&one, "k2").is_empty());
    let texts = Input { score: Some("scores".into()), ..Input::new(&golden, "key", "names") };
    assert_eq!(list(&table(root.path(), &texts), "k3"), ["c"]);
}

#[test]
fn vectors_stand_beside_lists_or_alone() {
    let root = tempfile::tempdir().unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/lists.parquet");
    let vectors = |item: &str| Input { vector: Some("vector".into()), ..Input::new(&golden, "key", item) };
    let (mut both, mut alone) = (Vec::new(), Vec::new());
    let one = table(root.path(), &vectors("names"));
    assert!(one.vector("k2", &mut both).unwrap());
    assert_eq!((both, list(&one, "k1")), (vec![3.0, 4.0], vec!["b".into(), "a".into()]));
    let other = table(root.path(), &vectors("nothing of this name"));
    assert!(other.vector("k3", &mut alone).unwrap());
    assert_eq!((alone, list(&other, "k3")), (vec![5.0, 6.0], Vec::new()));
    for (rows, part) in [
        ("a,1|2\nb,1\n", "v.csv:3, column \"v\": expected 2 numbers as in the first row, found 1"),
        ("a,\nb,1\n", "v.csv:2, column \"v\": expected a vector"),
        ("a,1|x\n", "expected a number, found \"x\""),
    ] {
        let path = root.path().join("v.csv");
        std::fs::write(&path, format!("k,v\n{rows}")).unwrap();
        let bad = Input { vector: Some("v".into()), separator: Some('|'), ..Input::new(&path, "k", "item") };
        let said = read(&bad, TableSpec::new("t", 0)).map(drop).unwrap_err().to_string();
        assert!(said.contains(part), "{said} should say {part}");
    }
}

#[test]
fn what_the_first_line_does_not_say_a_later_one_may() {
    let root = tempfile::tempdir().unwrap();
    let lines = "{\"item\":\"i1\",\"similar\":[]}\n{\"item\":\"i2\",\"similar\":[\"a\",\"b\"],\"score\":[0.25,0.5]}\n";
    let table = table(root.path(), &input(root.path(), "k.ndjson", lines));
    let scores: Vec<f32> = table.get("i2").unwrap().unwrap().iter().map(|(_, score)| score).collect();
    assert_eq!(scores, [0.25, 0.5]);
    assert!(table.get("i1").unwrap().unwrap().is_empty());
}

fn delta_of(text: &str, name: &str, ops: Ops) -> std::result::Result<Vec<(String, Op, usize)>, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    let input = Input {
        ops: Some(ops),
        separator: Some('|').filter(|_| text.contains('|')),
        ..Input::new(&path, "key", "item")
    };
    let spec = TableSpec { delta: Some(7), ..TableSpec::new("t", 0) };
    let writer = read(&input, spec).map_err(|e| e.to_string())?;
    let built = writer.finish(folder.path()).unwrap();
    let table = Table::open(built.path, Verify::Full).unwrap();
    let mut all: Vec<(String, Op, usize)> = table
        .iter()
        .map(|entry| entry.map(|(key, list)| (key.to_string(), list.op(), list.len())).unwrap())
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(all)
}

#[test]
fn rows_of_a_delta_say_what_is_done_with_their_key() {
    let expected = |list: &[(&str, Op, usize)]| -> Vec<(String, Op, usize)> {
        list.iter().map(|(key, op, count)| ((*key).to_owned(), *op, *count)).collect()
    };
    let three = expected(&[("a", Op::Delete, 0), ("b", Op::Merge, 2), ("c", Op::Replace, 1)]);
    let long = "key,item,score,op\na,,,delete\nb,i1,1,merge\nb,i2,2,merge\nc,i1,1,\n";
    assert_eq!(delta_of(long, "d.csv", Ops::Column).unwrap(), three);
    let wide = "key,item,score,op\na,,,delete\nb,i1|i2,1|2,merge\nc,i1,1,replace\n";
    assert_eq!(delta_of(wide, "d.csv", Ops::Column).unwrap(), three);
    let json = "{\"key\":\"a\",\"op\":\"delete\"}\n{\"key\":\"b\",\"item\":[\"i1\",\"i2\"],\"op\":\"merge\"}\n{\"key\":\"c\",\"item\":[\"i1\"]}\n";
    assert_eq!(delta_of(json, "d.ndjson", Ops::Column).unwrap(), three);
    let all = delta_of("key,item,score\nb,i1,1\n", "d.csv", Ops::All(Op::Merge)).unwrap();
    assert_eq!(all, expected(&[("b", Op::Merge, 1)]));
    let gone = delta_of("key\na\nb\n", "d.csv", Ops::All(Op::Delete)).unwrap();
    assert_eq!(gone, expected(&[("a", Op::Delete, 0), ("b", Op::Delete, 0)]));
    for (text, said) in [
        ("key,item,score,op\na,i1,1,drop\n", "expected replace, merge or delete, found \"drop\""),
        (
            "key,item,score,op\na,i1,1,merge\na,i2,1,replace\n",
            "is replace of key \"a\", but a row before says merge",
        ),
    ] {
        let error = delta_of(text, "d.csv", Ops::Column).unwrap_err();
        assert!(error.contains(said) && error.contains("d.csv:"), "{error}");
    }
}
