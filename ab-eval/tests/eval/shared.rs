//! Figures on data that is not in the repository: `WEIR_SHARED_DATA`, else `shared/data` beside it. Skipped with a message
//! where it is absent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::line::weir_eval;

fn data(name: &str) -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let root = std::env::var_os("WEIR_SHARED_DATA").map_or(beside, PathBuf::from);
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is not there (set WEIR_SHARED_DATA)", path.display());
    None
}

fn pairs(path: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(path).unwrap();
    let pair = |line: &str| line.split_once('\t').map(|(u, i)| (u.to_owned(), i.to_owned())).unwrap();
    text.lines().skip(1).map(pair).collect()
}

/// The figures of popularity on this split are known: Recall@20 .0416, NDCG@20 .0317.
#[test]
fn popularity_on_gowalla_is_as_published() {
    let Some(folder) = data("gowalla") else { return };
    let (train, test) = (pairs(&folder.join("train.inter")), pairs(&folder.join("test.inter")));
    let (mut met, mut counts) = (BTreeMap::<&str, BTreeSet<&str>>::new(), BTreeMap::<&str, u32>::new());
    for (user, item) in &train {
        met.entry(user).or_default().insert(item);
        *counts.entry(item).or_default() += 1;
    }
    let mut order: Vec<(&str, u32)> = counts.into_iter().collect();
    order.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let mut recs = String::from("user,item,score\n");
    for user in test.iter().map(|(u, _)| u.as_str()).collect::<BTreeSet<_>>() {
        let known = met.get(user);
        for (item, count) in order.iter().filter(|(i, _)| known.is_none_or(|k| !k.contains(i))).take(20) {
            recs.push_str(&format!("{user},{item},{count}\n"));
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("recs.csv");
    std::fs::write(&path, recs).unwrap();
    let truth = folder.join("test.inter");
    let (recs, truth) = (path.display().to_string(), truth.display().to_string());
    let line =
        ["ranking", "--recs", &recs, "--truth", &truth, "--k", "20", "--resamples", "10", "--format", "json"];
    let found = weir_eval(&line).json();
    assert_eq!(found["users"], 29_858);
    let of = |name: &str| found["metrics"][name]["value"].as_f64().unwrap();
    assert!((of("recall@20") - 0.0416).abs() < 5e-5 && (of("ndcg@20") - 0.0317).abs() < 5e-5, "{found}");
}
