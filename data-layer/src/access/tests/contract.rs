//! What everything that reads lists must do, whatever goes around it: a batch is the same as one key at a time, each key is answered
//! once and in its turn, and what can't be read is an error of its own key. Run over the stack, each decorator, and all of them together.

use std::cell::{Cell, RefCell};

use crate::access::*;
use crate::keylist::{Table, TableSpec, Verify, Writer};
use crate::types::Ordinal;
use std::sync::Arc;

/// Keys `k0` … `k199`; list `n` has `n % 7` places.
fn stack(folder: &std::path::Path) -> Stack {
    let mut writer = Writer::new(TableSpec::new("t", 0)).unwrap();
    let items: Vec<String> = (0..10).map(|item| format!("i{item}")).collect();
    for key in 0..200usize {
        let list: Vec<(&str, f32)> =
            (0..key % 7).map(|n| (items[(key + n) % 10].as_str(), (key * 10 - n) as f32)).collect();
        writer.push(format!("k{key}").as_str(), &list).unwrap();
    }
    let table = Table::open(writer.finish(folder).unwrap().path, Verify::Full).unwrap();
    let ordinals: Vec<Ordinal> = (0..table.dictionary_len()).map(|item| item + 100).collect();
    Stack::new(Arc::new(Mapped::new(table, ordinals).unwrap()), Vec::new()).unwrap()
}

/// Breaks the keys that end in 13.
struct Breaking<L>(L);

impl<L: ReadLists> ReadLists for Breaking<L> {
    fn lists(&self, keys: &[&str], at_most: usize, each: &mut EachList<'_>) {
        self.0.lists(keys, at_most, &mut |at, found| {
            let found = if keys[at].ends_with("13") { Err(corrupt()) } else { found };
            each(at, found);
        });
    }
}

fn corrupt() -> Error {
    Error::Corrupt {
        path: "t".into(),
        section: "records".into(),
        offset: 8,
        detail: "the sum differs".into(),
    }
}

type Answer = std::result::Result<Option<Vec<Scored>>, String>;

fn one(lists: &dyn ReadLists, key: &str, at_most: usize) -> Answer {
    let before = Scored { item: 7, score: 7.0 };
    let mut out = vec![before];
    let known = lists.list(key, at_most, &mut out).map_err(|e| e.to_string());
    assert_eq!(out.remove(0), before, "a list is appended");
    if !matches!(known, Ok(true)) {
        assert!(out.is_empty(), "nothing is appended where there is nothing");
    }
    known.map(|known| known.then_some(out))
}

fn many(lists: &dyn ReadLists, keys: &[&str], at_most: usize) -> Vec<Answer> {
    let mut all = Vec::new();
    lists.lists(keys, at_most, &mut |at, found| {
        assert_eq!(at, all.len(), "each key once, in its turn");
        all.push(found.map(|list| list.map(<[Scored]>::to_vec)).map_err(|e| e.to_string()));
    });
    assert_eq!(all.len(), keys.len());
    all
}

/// Holds `lists` to what `plain` says.
fn keeps(plain: &dyn ReadLists, lists: &dyn ReadLists) {
    let names: Vec<String> = (0..700usize).map(|n| format!("k{}", n * 37 % 230)).collect();
    let mut keys: Vec<&str> = names.iter().map(String::as_str).collect();
    (keys[40], keys[41], keys[333]) = ("", "a\nb", "k5");
    for at_most in [3, 0, 1, usize::MAX, 2] {
        for count in [0, 1, 31, 32, 33, 64, 255, 256, 257, 700] {
            let expected: Vec<Answer> = keys[..count].iter().map(|key| one(plain, key, at_most)).collect();
            assert_eq!(many(lists, &keys[..count], at_most), expected, "{count} keys, {at_most} places");
            for key in keys[..count].iter().step_by(7) {
                assert_eq!(one(lists, key, at_most), one(plain, key, at_most), "{key}");
            }
        }
    }
}

#[test]
fn all_that_reads_lists_passes() {
    let folder = tempfile::tempdir().unwrap();
    let stack = stack(folder.path());
    let broken = Breaking(&stack);
    let (counts, never) = (Counts::default(), || false);
    for plain in [&stack as &dyn ReadLists, &broken] {
        keeps(plain, plain);
        keeps(plain, &Counted::new(plain, &counts));
        keeps(plain, &Timed::new(plain, &never));
        keeps(plain, &Cached::new(plain, None, 1));
        for bytes in [0, 16 << 10, 1 << 20] {
            let cache = Cache::new(bytes);
            keeps(plain, &Cached::new(plain, Some(&cache), 1));
            keeps(plain, &Timed::new(Counted::new(Cached::new(plain, Some(&cache), 1), &counts), &never));
            keeps(plain, &Cached::new(Counted::new(Timed::new(plain, &never), &counts), Some(&cache), 1));
            let stats = cache.stats();
            assert!(stats.bytes <= stats.limit && stats.limit <= bytes as u64, "{stats:?}");
            assert_eq!(stats.hits > 0, bytes > 0, "{stats:?}");
        }
    }
}

#[test]
fn counts_are_what_was_handed_over() {
    let folder = tempfile::tempdir().unwrap();
    let stack = stack(folder.path());
    let counts = Counts::default();
    let passed = Cell::new(false);
    let read = || passed.get();
    let counted = Counted::new(Timed::new(Breaking(&stack), &read), &counts);
    many(&counted, &["k6", "k13", "nobody", "k5"], 5);
    assert!(one(&counted, "k13", 5).is_err());
    let tally = counts.tally();
    assert_eq!((tally.found, tally.absent, tally.corrupt, tally.entries), (2, 1, 2, 10));
    passed.set(true);
    many(&counted, &["k1", "k2"], 5);
    assert!(one(&counted, "k3", 5).unwrap_err().contains("too late"));
    assert_eq!((counts.tally().late, counts.tally().asked()), (3, 8));
}

#[test]
fn what_is_late_is_left_out_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let stack = stack(folder.path());
    let looks = Cell::new(0);
    let passed = || {
        looks.set(looks.get() + 1);
        looks.get() > 2
    };
    let names: Vec<String> = (0..100).map(|n| format!("k{n}")).collect();
    let keys: Vec<&str> = names.iter().map(String::as_str).collect();
    let all = many(&Timed::new(&stack, &passed), &keys, 9);
    assert_eq!(all[..64], many(&stack, &keys[..64], 9), "two blocks of 32 were in time");
    for answer in &all[64..] {
        assert_eq!(answer, &Err("too late: the deadline passed after 64 of 100 lists".to_owned()));
    }
}

#[test]
fn a_cache_reads_once_and_never_hands_over_another_generation() {
    let folder = tempfile::tempdir().unwrap();
    let stack = stack(folder.path());
    let read = RefCell::new(Vec::new());
    struct Noting<'a>(&'a Stack, &'a RefCell<Vec<String>>);
    impl ReadLists for Noting<'_> {
        fn lists(&self, keys: &[&str], at_most: usize, each: &mut EachList<'_>) {
            self.1.borrow_mut().extend(keys.iter().map(|key| (*key).to_owned()));
            self.0.lists(keys, at_most, each);
        }
    }
    let cache = Cache::new(1 << 20);
    let first = Cached::new(Noting(&stack, &read), Some(&cache), 1);
    let keys = ["k6", "nobody", "k5"];
    let answers = many(&first, &keys, 2);
    assert_eq!(many(&first, &keys, 2), answers);
    assert_eq!(one(&first, "k6", 1), Ok(Some(answers[0].clone().unwrap().unwrap()[..1].to_vec())));
    assert_eq!(read.borrow().as_slice(), keys, "a shorter list is a part of the longer one");
    assert_eq!(one(&first, "k6", 9), one(&stack, "k6", 9));
    assert_eq!(read.borrow().len(), 4, "a longer one is not");
    let second = Cached::new(Noting(&stack, &read), Some(&cache), 2);
    many(&second, &keys, 2);
    assert_eq!(read.borrow().len(), 7, "another generation is read anew");
}
