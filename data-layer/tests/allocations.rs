//! Look-ups take no memory: not one allocation in `get`, `multi_get`, `columns`, or reading a list into a room that was used before.

#[path = "kernel/counting.rs"]
mod counting;

use counting::allocations;
use data_layer::keylist::{Columns, Key, KeyKind, Room, ScoreCodec, Table, TableSpec, Verify, Writer};

/// 3,000 keys, every 50th with a list that overflows.
fn table(folder: &std::path::Path, keys: KeyKind, scores: ScoreCodec) -> Table {
    let mut writer = Writer::new(TableSpec { keys, scores, ..TableSpec::new("t", 0) }).unwrap();
    let items: Vec<u32> = (0..900).map(|item| writer.item(&format!("item-{item}")).unwrap()).collect();
    for key in 0..3_000usize {
        let places = if key % 50 == 7 { 900 } else { key % 23 };
        let list: Vec<(u32, f32)> =
            items[..places].iter().map(|item| (*item, 1.0 / (1 + key) as f32)).collect();
        let key = key.to_string();
        writer.push_numbered(Key::of_kind(&key, keys).unwrap(), &list).unwrap();
    }
    Table::open(writer.finish(folder).unwrap().path, Verify::Open).unwrap()
}

#[test]
fn look_ups_take_no_memory() {
    for (keys, scores) in [(KeyKind::U64, ScoreCodec::Affine), (KeyKind::String, ScoreCodec::Exact)] {
        let folder = tempfile::tempdir().unwrap();
        let table = table(folder.path(), keys, scores);
        assert!(table.header().overflowing > 0);
        // Every 4th key is not there.
        let numbers: Vec<u64> = (0..4_000).collect();
        let texts: Vec<String> = numbers.iter().map(u64::to_string).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut room = Room::default();
        if let Some(list) = table.get("7").unwrap() {
            let _ = list.columns(&mut room);
        }
        let (mut lists, mut places) = (0, 0);
        let taken = allocations(|| {
            for key in &texts {
                if let Some(list) = table.get(key).unwrap() {
                    lists += 1;
                    places += list.columns(&mut room).0.len();
                }
            }
        });
        assert_eq!((taken, lists), (0, 3_000), "get");
        let mut sum = 0;
        let taken = allocations(|| {
            for keys in texts.chunks(256) {
                table.multi_get(keys, &mut |_, list| {
                    sum += list.unwrap().map_or(0, |list| list.iter().count())
                });
            }
        });
        assert_eq!((taken, sum), (0, places), "multi_get");
        if keys == KeyKind::U64 {
            let mut sum = 0;
            let taken = allocations(|| {
                table.multi_get_keys(&numbers, |_, list| sum += list.unwrap().map_or(0, |list| list.len()));
            });
            assert_eq!((taken, sum), (0, places), "multi_get_keys");
            let (mut one, mut many) = (0, 0);
            let taken = allocations(|| {
                let length = |columns: Option<Columns<'_>>| columns.map_or(0, |(items, _)| items.len());
                for key in &numbers {
                    one += length(table.columns(*key, &mut room).unwrap());
                }
                table.multi_columns(&numbers, &mut room, |_, columns| many += length(columns.unwrap()));
            });
            assert_eq!((taken, one, many), (0, places, places), "columns and multi_columns");
        }
    }
    assert!(allocations(|| drop(std::hint::black_box(vec![1u8]))) > 0, "allocations are counted");
}
