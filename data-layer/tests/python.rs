//! The proof of docs/formats.md: a reader in another language (tests/python/keylist.py), written from it alone, checks every sum of the
//! golden files and of small tables of every shape, and finds what this crate finds, value by value.

#[path = "../../tests/src/not_run.rs"]
mod not_run;
#[path = "hostile_tables/shapes.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod shapes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use data_layer::keylist::{Op, Verify};
use serde::Deserialize;
use shapes::{ABSENT, Said, Shape, all, large, open, said, shapes};

#[derive(Deserialize)]
struct Found {
    op: u32,
    list: Vec<(String, u32)>,
    vector: Vec<u32>,
}

impl Found {
    fn said(self) -> Said {
        let op = [Op::Replace, Op::Merge, Op::Delete][self.op as usize];
        Said { op, list: self.list, vector: self.vector }
    }
}

fn reader() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/python/keylist.py")
}

/// What the reader prints; `None` where there is no Python.
fn python(file: &Path, keys: &[&str]) -> Option<Output> {
    let ran = Command::new("python3").arg("-B").arg(reader()).arg(file).args(keys).output();
    match ran {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        ran => Some(ran.unwrap()),
    }
}

fn found(name: &str, output: &Output) -> BTreeMap<String, Option<Said>> {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {error}");
    let found: BTreeMap<String, Option<Found>> = serde_json::from_slice(&output.stdout).unwrap();
    found.into_iter().map(|(key, found)| (key, found.map(Found::said))).collect()
}

#[test]
fn a_reader_written_from_the_document_finds_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.keylist");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/version-2.keylist");
    let golden = Shape { name: "version 2", bytes: std::fs::read(golden).unwrap() };
    for Shape { name, bytes } in shapes().into_iter().chain([golden]) {
        let table = open(&bytes, &path, Verify::Full).unwrap();
        let Some(output) = python(&path, &[]) else { return not_run::not_run("python3") };
        let expected: BTreeMap<_, _> = all(&table).into_iter().map(|(key, said)| (key, Some(said))).collect();
        assert_eq!(found(name, &output), expected, "{name}");
        let absent = found(name, &python(&path, &ABSENT).unwrap());
        assert!(absent.len() == ABSENT.len() && absent.values().all(Option::is_none), "{name}: {absent:?}");
    }
    // Keys in both parts of a table.
    let table = open(&large().bytes, &path, Verify::Open).unwrap();
    let keys: Vec<String> = (0..80_000u64).step_by(1_999).map(|key| key.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let output = python(&path, &keys).unwrap();
    let expected: BTreeMap<_, _> =
        keys.iter().map(|key| ((*key).to_owned(), said(&table, key).unwrap())).collect();
    assert!(expected.values().any(Option::is_none) && expected.values().any(Option::is_some));
    assert_eq!(found("two parts", &output), expected);
}

#[test]
fn the_reader_notices_a_flipped_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.keylist");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/version-2.keylist");
    let whole = std::fs::read(golden).unwrap();
    for at in [20, 4_096 + 77, whole.len() / 2, whole.len() - 60] {
        let mut damaged = whole.clone();
        damaged[at] ^= 4;
        std::fs::write(&path, &damaged).unwrap();
        let Some(output) = python(&path, &[]) else { return not_run::not_run("python3") };
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains("Damaged"), "byte {at}: {error}");
    }
}
