//! One snapshot, one generation everywhere; a bad generation changes nothing; merging does what its policy says.

mod contract;

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::config::Config;
use crate::keylist::Writer;
use crate::live::{Items, Live};
use crate::publish::{Folder, Gate};

/// Builds and publishes a generation: each key's list says which generation it is, by item and by score.
fn publish(config: &Config, name: &str, second: i64, keys: usize) -> String {
    let folder = Folder::of(config, name).unwrap();
    let mut writer = Writer::new(folder.spec(second * 1000)).unwrap();
    let item = format!("of-{second}");
    for key in 0..keys {
        writer.push(format!("k{key}").as_str(), &[(item.as_str(), second as f32), ("shared", 0.0)]).unwrap();
    }
    folder.build(writer).unwrap();
    folder.publish(None, Gate::Sound).unwrap()
}

fn start(folder: &Path) -> (Config, Arc<Live>) {
    let config = Config::in_folder(folder).unwrap();
    let live = Arc::new(Live::of(&config));
    (config, live)
}

fn names(live: &Live, list: &[Scored]) -> Vec<String> {
    list.iter().map(|scored| live.items().id(scored.item).to_string()).collect()
}

#[test]
fn tables_are_found_reloaded_and_read_by_ordinal() {
    let folder = tempfile::tempdir().unwrap();
    let (config, live) = start(folder.path());
    let tables = Tables::open(&config, Arc::clone(&live)).unwrap();
    assert!(tables.reload("hot").unwrap_err().to_string().contains("build and publish"));
    let first = publish(&config, "hot", 1, 3);
    assert_eq!(tables.poll(), [Swap { table: "hot".into(), from: None, to: first.clone() }]);
    assert!(tables.poll().is_empty(), "nothing new");
    let snapshot = tables.snapshot();
    let mut list = Vec::new();
    assert!(snapshot.table("hot").unwrap().list("k1", 10, &mut list).unwrap());
    assert_eq!(names(&live, &list), ["of-1", "shared"]);
    assert!(!snapshot.table("hot").unwrap().list("nobody", 10, &mut list).unwrap());
    assert_eq!(list.len(), 2);
    let second = publish(&config, "hot", 2, 3);
    assert_eq!(tables.reload("hot").unwrap(), second);
    assert_eq!(snapshot.generations()["hot"], first, "a snapshot never changes");
    Folder::of(&config, "hot").unwrap().rollback().unwrap();
    assert_eq!(tables.poll()[0].to, first);
}

#[test]
fn a_generation_copied_in_by_hand_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let (config, live) = start(folder.path());
    let tables = Tables::open(&config, live).unwrap();
    let other = tempfile::tempdir().unwrap();
    let (there, _) = start(other.path());
    let generation = publish(&there, "hot", 1, 3);
    let (from, to) = (Folder::of(&there, "hot").unwrap(), Folder::of(&config, "hot").unwrap());
    std::fs::create_dir_all(to.path()).unwrap();
    let whole = std::fs::read(from.file(&generation)).unwrap();
    std::fs::write(to.file(&generation), &whole[..whole.len() / 2]).unwrap();
    assert!(tables.poll().is_empty(), "half a copy");
    assert_eq!(tables.errors().len(), 1);
    std::fs::write(to.file(&generation), &whole).unwrap();
    assert_eq!(tables.poll()[0].to, generation);
    assert!(tables.errors().is_empty());
}

#[test]
fn an_empty_generation_is_never_served_and_a_table_that_went_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let (config, live) = start(folder.path());
    let table = Folder::of(&config, "hot").unwrap();
    let tables = Tables::open(&config, live).unwrap();
    table.build(Writer::new(table.spec(0)).unwrap()).unwrap();
    assert!(tables.poll().is_empty());
    assert!(tables.errors()[0].detail.contains("no entries"));
    std::fs::remove_dir_all(table.path()).unwrap();
    assert!(tables.poll().is_empty() && tables.errors().is_empty());
}

#[test]
fn a_corrupt_generation_leaves_the_old_one_serving() {
    let folder = tempfile::tempdir().unwrap();
    let (config, live) = start(folder.path());
    let first = publish(&config, "hot", 1, 3);
    let tables = Tables::open(&config, live).unwrap();
    let second = publish(&config, "hot", 2, 3);
    let file = Folder::of(&config, "hot").unwrap().file(&second);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[4100] ^= 4;
    std::fs::write(&file, &bytes).unwrap();
    for _ in 0..3 {
        assert!(tables.poll().is_empty());
    }
    let errors = tables.errors();
    assert_eq!((errors.len(), errors[0].serving.as_ref()), (1, Some(&first)));
    assert!(errors[0].detail.contains("corrupt") && errors[0].generation == second, "{errors:?}");
    assert!(tables.reload("hot").is_err());
    assert_eq!(tables.snapshot().generations()["hot"], first);
    Folder::of(&config, "hot").unwrap().rollback().unwrap();
    tables.poll();
    assert!(tables.errors().is_empty());
}

fn scored(list: &[(u32, f32)]) -> Vec<Scored> {
    list.iter().map(|(item, score)| Scored { item: *item, score: *score }).collect()
}

struct Fixed(&'static [(u32, f32)]);

impl LiveLists for Fixed {
    fn list(&self, name: &str, key: &str, at_most: usize, out: &mut Vec<Scored>) -> bool {
        let known = name == "trending" && key.is_empty();
        if known {
            out.extend(scored(self.0).into_iter().take(at_most));
        }
        known
    }
}

#[test]
fn one_path_reads_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let (config, live) = start(folder.path());
    let table = Folder::of(&config, "hot").unwrap();
    let mut writer = Writer::new(table.spec(0)).unwrap();
    writer.push("all", &[("a", 1.0), ("b", 0.5)]).unwrap();
    table.build(writer).unwrap();
    let tables = Tables::open(&config, Arc::clone(&live)).unwrap();
    let snapshot = tables.snapshot();
    let lists = Fixed(&[(7, 2.0), (8, 0.8)]);
    let access = Access { snapshot: &snapshot, live: &lists, now_ms: 0 };
    let read = |toml: &str, key: &str, at_most: usize| {
        let spec: ListSpec = toml::from_str(toml).unwrap();
        let mut out = Vec::new();
        access.list(&spec, key, at_most, &mut out).map(|known| (known, out))
    };
    assert_eq!(read("table = 'hot'", "all", 1).unwrap(), (true, scored(&[(0, 1.0)])));
    let both = "table = 'hot'\nlive = 'trending'\nlive_weight = 0.5\n";
    let merged = scored(&[(0, 1.0), (7, 1.0), (1, 0.5), (8, 0.4)]);
    assert_eq!(read(both, "all", 9).unwrap(), (true, merged));
    let replaced = read(&format!("{both}merge = 'replace'"), "all", 9).unwrap();
    assert_eq!(replaced, (true, scored(&[(7, 1.0), (8, 0.4)])));
    assert_eq!(read(both, "other", 9).unwrap(), (false, Vec::new()));
    let cold = Access { snapshot: &snapshot, live: &Fixed(&[]), now_ms: 0 };
    let (spec, mut list) = (toml::from_str(&format!("{both}merge = 'replace'")).unwrap(), Vec::new());
    assert!(cold.list(&spec, "all", 9, &mut list).unwrap());
    assert_eq!(list, scored(&[(0, 1.0), (1, 0.5)]), "an empty live list replaces nothing");
    for weight in ["nan", "inf", "1e300"] {
        let text = format!("table = 'hot'\nlive_weight = {weight}");
        assert!(toml::from_str::<ListSpec>(&text).is_err(), "{weight}");
    }
    assert!(read("table = 'none'", "all", 9).is_err());
    assert!(read("table = 'none'\nlive = 'trending'", "all", 9).unwrap().0);
    assert!(toml::from_str::<ListSpec>("table = 'hot'\nlife = 'x'").is_err());
}

/// The live list `new`, whose items have times: 100 and 0 ms.
struct Dated;

impl LiveLists for Dated {
    fn list(&self, _: &str, _: &str, _: usize, out: &mut Vec<Scored>) -> bool {
        out.extend(scored(&[(1, 1.0), (9, 0.8)]));
        true
    }

    fn dated(
        &self,
        name: &str,
        key: &str,
        at_most: usize,
        out: &mut Vec<Scored>,
        times: &mut Vec<Option<Millis>>,
    ) -> bool {
        times.extend([Some(0), Some(100)]);
        self.list(name, key, at_most, out)
    }
}

#[test]
fn a_live_list_fades_as_declared() {
    let snapshot = Snapshot::default();
    let read = |toml: &str, now_ms: Millis| {
        let spec: ListSpec = toml::from_str(&format!("table = 'none'\nlive = 'new'\n{toml}")).unwrap();
        let mut out = Vec::new();
        assert!(Access { snapshot: &snapshot, live: &Dated, now_ms }.list(&spec, "k", 9, &mut out).unwrap());
        out
    };
    assert_eq!(read("", 100), scored(&[(1, 1.0), (9, 0.8)]));
    assert_eq!(read("live_half_life = '100ms'", 100), scored(&[(9, 0.8), (1, 0.5)]));
    assert_eq!(read("live_half_life = '100ms'\nlive_weight = 2.0", 200), scored(&[(9, 0.8), (1, 0.5)]));
    for bad in ["0s", "soon", "-1d"] {
        let text = format!("table = 't'\nlive_half_life = '{bad}'");
        assert!(
            toml::from_str::<ListSpec>(&text).unwrap_err().to_string().contains("live_half_life"),
            "{bad}"
        );
    }
}

#[test]
fn many_keys_are_read_as_each_alone_whatever_is_merged() {
    let folder = tempfile::tempdir().unwrap();
    let (config, live) = start(folder.path());
    publish(&config, "hot", 3, 40);
    let tables = Tables::open(&config, Arc::clone(&live)).unwrap();
    let snapshot = tables.snapshot();
    struct Some41;
    impl LiveLists for Some41 {
        fn list(&self, _: &str, key: &str, at_most: usize, out: &mut Vec<Scored>) -> bool {
            // Of every third key; the empty list of one; one that no table has.
            let number: usize = key.strip_prefix('k').and_then(|n| n.parse().ok()).unwrap_or(1);
            let list = if number == 6 { Vec::new() } else { scored(&[(0, 9.0), (1, 2.0), (5, 1.0)]) };
            let known = number.is_multiple_of(3) || number == 41;
            out.extend(list.into_iter().take(if known { at_most } else { 0 }));
            known
        }
    }
    let access = Access { snapshot: &snapshot, live: &Some41, now_ms: 0 };
    let names: Vec<String> = (0..45).map(|n| format!("k{n}")).collect();
    let keys: Vec<&str> = names.iter().map(String::as_str).collect();
    for table in ["hot", "none"] {
        for merge in ["", "live = 'l'", "live = 'l'\nmerge = 'sum'", "live = 'l'\nmerge = 'replace'"] {
            let spec: ListSpec = toml::from_str(&format!("table = '{table}'\n{merge}")).unwrap();
            for at_most in [0, 1, 2, 9] {
                let mut at = 0;
                access.lists(&spec, &keys, at_most, &|| false, &mut |place, found| {
                    assert_eq!(place, at);
                    at += 1;
                    let mut list = Vec::new();
                    let known = access.list(&spec, keys[place], at_most, &mut list);
                    match (known, found) {
                        (Ok(known), Ok(found)) => assert_eq!(known.then_some(list.as_slice()), found),
                        (Err(one), Err(other)) => assert_eq!(one.to_string(), other.to_string()),
                        (one, other) => panic!("{one:?} alone, {other:?} among many"),
                    }
                });
                assert_eq!(at, keys.len());
            }
        }
    }
    let live_only: ListSpec = toml::from_str("table = 'hot'\nlive = 'l'").unwrap();
    let mut late = 0;
    access.lists(&live_only, &keys, 9, &|| true, &mut |_, found| {
        late += usize::from(matches!(found, Err(Error::Late { .. })));
    });
    assert_eq!(late, keys.len());
}
