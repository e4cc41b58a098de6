//! A reader sees a whole generation or none, whatever the publisher does; bad input says where it is bad.

use std::path::Path;

use super::input::{Input, read};
use super::*;
use crate::keylist::{KeyKind, Table, TableSpec, Verify, Writer};

fn folder(root: &Path) -> Folder {
    Folder::at(root.join("tables/hot")).unwrap()
}

/// Builds a generation whose watermark is `second`.
fn build(folder: &Folder, second: i64, lists: usize) -> String {
    let mut writer = Writer::new(folder.spec(second * 1000)).unwrap();
    for key in 0..lists {
        writer.push(format!("k{key}").as_str(), &[("a", second as f32), ("b", 0.5)]).unwrap();
    }
    folder.build(writer).unwrap().generation
}

#[test]
fn publish_and_rollback_move_the_pointer() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    assert!(folder.publish(None, Gate::Sound).unwrap_err().to_string().contains("build one first"));
    assert!(folder.rollback().is_err() && folder.list().unwrap().is_empty());
    let names: Vec<String> = (1..=3).map(|second| build(&folder, second, 2)).collect();
    assert_eq!((folder.current().unwrap(), folder.served().unwrap()), (None, Some(names[2].clone())));
    for name in &names {
        assert_eq!(&folder.publish(Some(name), Gate::Sound).unwrap(), name);
    }
    assert_eq!(folder.publish(None, Gate::Sound).unwrap(), names[2], "again changes nothing");
    assert_eq!(folder.rollback().unwrap(), names[1]);
    assert_eq!(folder.rollback().unwrap(), names[0]);
    assert!(folder.rollback().unwrap_err().to_string().contains("first that was published"));
    assert_eq!(folder.current().unwrap().as_ref(), Some(&names[0]));
    let listed: Vec<(String, bool)> =
        folder.list().unwrap().into_iter().map(|g| (g.generation, g.current)).collect();
    let expected = [(names[2].clone(), false), (names[1].clone(), false), (names[0].clone(), true)];
    assert_eq!(listed, expected);
    assert_eq!(folder.stat(None).unwrap().statistics.lists, 2);
    assert!(folder.publish(Some("../evil"), Gate::Sound).is_err());
}

#[test]
fn of_one_second_the_generation_written_last_is_the_newest() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    // More than two, so that the order of their hashes can't be right by chance alone.
    for lists in 1..=6 {
        let last = build(&folder, 7, lists);
        let file = File::options().append(true).open(folder.file(&last)).unwrap();
        let second = std::time::Duration::from_secs(1_000 + lists as u64);
        file.set_modified(std::time::SystemTime::UNIX_EPOCH + second).unwrap();
        assert_eq!(folder.publish(None, Gate::Sound).unwrap(), last);
    }
}

#[test]
fn corrupt_empty_and_foreign_tables_are_never_published() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    let good = build(&folder, 1, 3);
    folder.publish(None, Gate::Sound).unwrap();
    let empty = build(&folder, 2, 0);
    assert!(folder.publish(Some(&empty), Gate::Sound).unwrap_err().to_string().contains("no entries"));
    let bad = build(&folder, 3, 3);
    let mut bytes = std::fs::read(folder.file(&bad)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(folder.file(&bad), &bytes).unwrap();
    assert!(folder.publish(Some(&bad), Gate::Sound).unwrap_err().to_string().contains("corrupt"));
    assert!(folder.verify(Some(&bad)).is_err());
    let other = Folder::at(root.path().join("tables/cold")).unwrap();
    let foreign = build(&other, 4, 3);
    std::fs::copy(other.file(&foreign), folder.file(&foreign)).unwrap();
    let said = folder.publish(Some(&foreign), Gate::Sound).unwrap_err().to_string();
    assert!(said.contains("expected table hot") && said.contains("found cold"), "{said}");
    std::fs::copy(folder.file(&good), folder.file("20990101T000000Z-00000000")).unwrap();
    let said = folder.publish(Some("20990101T000000Z-00000000"), Gate::Sound).unwrap_err().to_string();
    assert!(said.contains(&good), "{said}");
    assert_eq!(folder.current().unwrap(), Some(good));
    let elsewhere = Folder::at(root.path().join("tables/ns=shop/hot")).unwrap();
    assert_eq!((elsewhere.namespace(), elsewhere.name()), ("shop", "hot"));
}

#[test]
fn the_gate_refuses_what_shrank() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    let gate = Gate::Similar { least_share: 0.5 };
    build(&folder, 1, 10);
    folder.publish(None, gate).unwrap();
    let small = build(&folder, 2, 4);
    let said = folder.publish(None, gate).unwrap_err().to_string();
    assert!(said.contains("has 4 lists, the one before 10"), "{said}");
    assert_eq!(folder.publish(None, Gate::Sound).unwrap(), small);
}

#[test]
fn old_generations_go_and_those_that_count_stay() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    let names: Vec<String> = (1..=6).map(|second| build(&folder, second, 1)).collect();
    assert!(folder.keep(1).unwrap().is_empty(), "nothing was published yet");
    for name in [&names[0], &names[1], &names[3], &names[4]] {
        folder.publish(Some(name), Gate::Sound).unwrap();
    }
    let mut removed = folder.keep(2).unwrap();
    removed.sort();
    assert_eq!(removed, [names[0].clone(), names[1].clone(), names[2].clone()]);
    let left: Vec<String> = folder.list().unwrap().into_iter().map(|g| g.generation).collect();
    assert_eq!(left, [names[5].clone(), names[4].clone(), names[3].clone()], "the newer one is not touched");
    assert_eq!(folder.rollback().unwrap(), names[3]);
}

#[test]
fn a_publish_that_was_killed_leaves_the_old_one() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    let good = build(&folder, 1, 1);
    folder.publish(None, Gate::Sound).unwrap();
    // What a kill leaves behind at each step: part of a table, part of a pointer, a lock that nobody holds.
    std::fs::write(folder.path().join(".20990101T000000Z-00000000.keylist.1.tmp"), b"WEIRKL").unwrap();
    std::fs::write(folder.path().join(".CURRENT.1.tmp"), b"2099").unwrap();
    // And what people leave behind: copies that sort after every time.
    for name in ["backup", "z-00000000", &format!("old {good}"), &format!("{good}-x")] {
        std::fs::copy(folder.file(&good), folder.file(name)).unwrap();
    }
    assert_eq!(folder.served().unwrap(), Some(good.clone()));
    assert_eq!(folder.list().unwrap().len(), 1);
    let next = build(&folder, 2, 1);
    assert_eq!(folder.publish(None, Gate::Sound).unwrap(), next);
    std::fs::write(folder.path().join("CURRENT"), b"").unwrap();
    assert!(folder.current().unwrap_err().to_string().contains("CURRENT:1"));
    assert_eq!(folder.publish(Some(&good), Gate::Sound).unwrap(), good, "publishing mends it");
}

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
