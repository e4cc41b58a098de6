//! Small tables of every shape that the format knows, and what they say, for tests that damage them or read them otherwise.

use std::path::Path;

use data_layer::keylist::{IndexKind, Key, KeyKind, Op, ScoreCodec, Table, TableSpec, Verify, Writer};
use data_layer::types::Millis;

/// 2026-11-20T03:15:00Z.
const WATERMARK: Millis = 1_795_144_500_000;

/// A table as bytes.
pub struct Shape {
    pub name: &'static str,
    pub bytes: Vec<u8>,
}

/// All that a table says of a key.
#[derive(Debug, Clone, PartialEq)]
pub struct Said {
    pub op: Op,
    /// Items by their ids, scores by their bits.
    pub list: Vec<(String, u32)>,
    /// Bits; empty where the key has no vector.
    pub vector: Vec<u32>,
}

/// Keys that no shape has, of both kinds.
pub const ABSENT: [&str; 6] = ["nobody", "999999999", "18446744073709551615", "k", "", "007"];

/// Small random numbers without a crate: xorshift, seeded.
pub fn next(state: &mut u64) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state as usize
}

fn list(key: usize, places: usize) -> Vec<(String, f32)> {
    let place =
        |i: usize| (format!("item-{}", (key * 31 + i * 17) % 1_009), 3.0 / (1 + i + key % 5) as f32 - 0.25);
    (0..places).map(place).collect()
}

/// One table: `keys` keys, of which every 20th has a long list and every 21st a long key.
fn made(spec: TableSpec, keys: usize, longest: usize) -> Vec<u8> {
    let (kind, width, delta) = (spec.keys, spec.vector as usize, spec.delta.is_some());
    let mut writer = Writer::new(spec).unwrap();
    for key in 0..keys {
        let places = if key % 20 == 7 { longest } else { key * 7 % 13 };
        let op = match key % 9 {
            3 if delta => Op::Delete,
            4 if delta => Op::Merge,
            _ => Op::Replace,
        };
        let list = list(key, if op == Op::Delete { 0 } else { places });
        let list: Vec<(&str, f32)> = list.iter().map(|(item, score)| (item.as_str(), *score)).collect();
        let vector: Vec<f32> = (0..width).map(|i| (key * 3 + i) as f32 / 7.0).collect();
        let vector = (width > 0 && key % 4 != 1 && op != Op::Delete).then_some(vector.as_slice());
        let text = match key % 3 {
            _ if key % 21 == 5 => format!("{key}{}", "长".repeat(80)),
            0 => format!("用户{key}"),
            1 => format!("{key}{}", "x".repeat(key % 30)),
            _ => format!("u{key}"),
        };
        let key = match kind {
            KeyKind::U64 if key % 2 == 0 => Key::U64(key as u64),
            KeyKind::U64 => Key::U64((key as u64).wrapping_mul(0x1234_5678_9abc_def1)),
            KeyKind::String => Key::Str(&text),
        };
        writer.push_entry(key, op, &list, vector).unwrap();
    }
    writer.into_bytes().unwrap().1
}

/// Keys × scores × index, with and without vectors, long lists, deltas; an empty one; and what version 1 wrote.
pub fn shapes() -> Vec<Shape> {
    let spec = |keys, scores, index| TableSpec {
        keys,
        scores,
        index,
        schema_hash: 7,
        ..TableSpec::new("shapes", WATERMARK)
    };
    use {IndexKind::*, KeyKind::*, ScoreCodec::*};
    let texts = spec(String, Exact, Perfect);
    let golden = |name| std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name));
    let shape = |name, bytes| Shape { name, bytes };
    vec![
        shape("text, u16, perfect", made(spec(String, Affine, Perfect), 60, 12)),
        shape("text, exact, open", made(spec(String, Exact, Open), 60, 12)),
        shape("numbers, exact, perfect", made(spec(U64, Exact, Perfect), 60, 12)),
        shape("numbers, u16, open", made(spec(U64, Affine, Open), 60, 12)),
        shape("long lists, u16", made(spec(String, Affine, Perfect), 60, 700)),
        shape("long lists, exact, numbers", made(spec(U64, Exact, Perfect), 60, 700)),
        shape("vectors", made(TableSpec { vector: 9, ..texts.clone() }, 60, 300)),
        shape(
            "delta",
            made(TableSpec { delta: Some(77), vector: 2, ..spec(String, Affine, Perfect) }, 60, 200),
        ),
        shape("one key", made(texts.clone(), 1, 1)),
        shape("nothing", made(texts, 0, 0)),
        shape("version 1", golden("version-1.keylist").unwrap()),
    ]
}

/// So many lists that the perfect hash has two parts.
pub fn large() -> Shape {
    let spec = TableSpec { keys: KeyKind::U64, ..TableSpec::new("shapes", WATERMARK) };
    let mut writer = Writer::new(spec).unwrap();
    for key in 0..70_000u64 {
        writer.push(key, &[("a", key as f32), ("b", 1.0)]).unwrap();
    }
    Shape { name: "two parts", bytes: writer.into_bytes().unwrap().1 }
}

/// Writes the bytes and opens them. No table that was opened there before may be left.
pub fn open(bytes: &[u8], path: &Path, verify: Verify) -> data_layer::Result<Table> {
    std::fs::write(path, bytes).unwrap();
    Table::open(path, verify)
}

/// What a table says of a key, if anything.
pub fn said(table: &Table, key: &str) -> data_layer::Result<Option<Said>> {
    let Some(list) = table.get(key)? else { return Ok(None) };
    let mut vector = Vec::new();
    if let Some(key) = Key::of_kind(key, table.header().keys) {
        table.vector(key, &mut vector)?;
    }
    let vector = vector.into_iter().map(f32::to_bits).collect();
    let places = list.iter().map(|(item, score)| (table.dictionary(item).to_owned(), score.to_bits()));
    Ok(Some(Said { op: list.op(), list: places.collect(), vector }))
}

/// All that a sound table says.
pub fn all(table: &Table) -> Vec<(String, Said)> {
    let keys = table.iter().map(|found| found.unwrap().0.to_string());
    let mut all: Vec<_> = keys.map(|key| (key.clone(), said(table, &key).unwrap().unwrap())).collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all
}
