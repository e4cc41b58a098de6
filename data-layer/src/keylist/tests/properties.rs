//! Tables of any content read back as they were written.

use proptest::prelude::*;

use super::*;

fn key() -> impl Strategy<Value = String> {
    let text =
        proptest::string::string_regex("[a-z0-9\u{e9}\u{4e00}-\u{4e20}\u{1f600}-\u{1f610} /.:-]{1,64}");
    text.unwrap().prop_filter("an id", |t| crate::types::id::check(t).is_ok())
}

fn lists() -> impl Strategy<Value = Lists> {
    let scores = prop_oneof![-1e6f32..1e6, Just(0.0), Just(-0.0), Just(f32::MIN_POSITIVE), Just(3.4e38)];
    let list = prop::collection::btree_map(key(), scores, 0..40)
        .prop_map(|list| list.into_iter().collect::<Vec<_>>())
        .prop_shuffle();
    prop::collection::btree_map(key(), list, 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn exact_tables_read_back_bit_for_bit(lists in lists()) {
        let folder = tempfile::tempdir().unwrap();
        let made = bytes(spec(KeyKind::String, ScoreCodec::Exact), &lists);
        let table = open(&made, &folder.path().join("x.keylist"), Verify::Full).unwrap();
        let read: Lists = table
            .iter()
            .map(|found| found.unwrap())
            .map(|(key, list)| {
                let list = list.iter().map(|(item, score)| (table.dictionary(item).to_owned(), score));
                (key.to_string(), list.collect())
            })
            .collect();
        let bits = |lists: &Lists| -> Vec<u32> {
            lists.values().flatten().map(|(_, score)| score.to_bits()).collect()
        };
        prop_assert_eq!(bits(&read), bits(&lists));
        prop_assert_eq!(&read, &lists);
        for (key, list) in &lists {
            let found = contents(&table, key).unwrap();
            prop_assert_eq!(found.as_ref(), Some(list));
        }
    }

    #[test]
    fn affine_tables_keep_order_and_their_word_about_the_error(lists in lists()) {
        let folder = tempfile::tempdir().unwrap();
        let mut lists = lists;
        lists.values_mut().for_each(|list| list.sort_by(|a, b| b.1.total_cmp(&a.1)));
        let made = bytes(spec(KeyKind::String, ScoreCodec::Affine), &lists);
        let table = open(&made, &folder.path().join("x.keylist"), Verify::Full).unwrap();
        let bound = table.header().score_error;
        for (key, list) in &lists {
            let found = contents(&table, key).unwrap().unwrap();
            prop_assert!(found.windows(2).all(|pair| pair[0].1 >= pair[1].1), "order is kept");
            let range = list.first().map_or(0.0, |f| f64::from(f.1)) - list.last().map_or(0.0, |l| f64::from(l.1));
            prop_assert_eq!(found.len(), list.len());
            for ((item, score), (expected_item, expected)) in found.iter().zip(list) {
                prop_assert_eq!(item, expected_item);
                let error = (score - expected).abs();
                prop_assert!(error <= bound);
                // Half a level, and what f32 itself can't hold of the sum.
                let slack = (f64::from(expected.abs()) + range) * 2.4e-7 + 1e-30;
                prop_assert!(f64::from(error) <= range / 65535.0 * 0.5 + slack, "{error} of {range}");
            }
        }
    }

    #[test]
    fn keys_of_any_length_are_found(lengths in prop::collection::btree_set(1usize..=256, 1..30)) {
        let folder = tempfile::tempdir().unwrap();
        let lists: Lists =
            lengths.iter().map(|n| ("k".repeat(*n), vec![("i".repeat(*n), *n as f32)])).collect();
        let made = bytes(spec(KeyKind::String, ScoreCodec::Affine), &lists);
        let table = open(&made, &folder.path().join("x.keylist"), Verify::Full).unwrap();
        for (key, list) in &lists {
            let found = contents(&table, key).unwrap();
            prop_assert_eq!(found.as_ref(), Some(list));
        }
    }
}
