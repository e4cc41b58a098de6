//! What is read in one go is what the list says; `contents` of these tests asks it for every key.

use super::*;

/// Columns are the list's, one key at a time and many; where the list can't be read, neither can they.
pub(super) fn check(table: &Table, key: Key<'_>, list: Option<List<'_>>) {
    let places = list.map(|list| list.iter().collect::<Vec<_>>());
    let bits = |(items, scores): Columns<'_>| -> Vec<(u32, u32)> {
        items.iter().zip(scores).map(|(item, score)| (*item, score.to_bits())).collect()
    };
    let expected =
        places.map(|places| places.iter().map(|(i, score)| (*i, score.to_bits())).collect::<Vec<_>>());
    let mut room = Room::default();
    assert_eq!(table.columns(key, &mut room).ok().flatten().map(bits), expected, "{key}");
    let mut seen = 0;
    table.multi_columns(&[key, key], &mut room, |_, columns| {
        seen += 1;
        assert_eq!(columns.ok().flatten().map(bits), expected, "{key}");
    });
    assert_eq!(seen, 2);
}

#[test]
fn numbers_are_found_as_texts_are_and_damage_is_no_list() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.keylist");
    for (scores, keys) in [(ScoreCodec::Affine, 400), (ScoreCodec::Exact, 40)] {
        // Halves survive sixteen bits: what goes in comes out.
        let lists: Lists = (0..keys as u64)
            .map(|k| {
                let places = if k % 40 == 11 { 300 } else { k * 5 % 40 };
                let list = (0..places).map(|i| (format!("item-{}", (k * 31 + i) % 400), (k + i % 2) as f32));
                (k.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_string(), list.collect())
            })
            .collect();
        let whole = bytes(spec(KeyKind::U64, scores), &lists);
        let table = open(&whole, &path, Verify::Full).unwrap();
        assert!(table.header().overflowing > 0);
        for (key, list) in &lists {
            assert_eq!(contents(&table, key).unwrap().as_ref(), Some(list), "{key}");
        }
        assert_eq!(contents(&table, "5").unwrap(), None);
        drop(table);
        let mut state = 0x1234_5678_9abc_def1;
        for _ in 0..300 {
            let mut damaged = whole.clone();
            damaged[next(&mut state) % whole.len()] ^= 1 << (next(&mut state) % 8);
            check_damaged(&damaged, &path, Verify::Open, &lists);
        }
    }
}
