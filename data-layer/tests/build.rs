//! Building tables in bounded memory: the same bytes whatever the budget and the order, nothing left behind, errors that say what
//! to do. What tables hold is tested in `src/keylist/tests.rs`.

#[path = "../../tests/src/not_run.rs"]
mod not_run;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use data_layer::Error;
use data_layer::keylist::{IndexKind, KeyKind, Op, ScoreCodec, Table, TableSpec, Verify, Writer};
use data_layer::publish::Folder;
use data_layer::publish::fault::VARIABLE;

const LISTS: u64 = 6_000;
const ITEMS: u64 = 5_000;
/// Budgets: less than there is (1 MiB is then taken), 1 MiB, enough for a part of the input, enough for all.
const BUDGETS: [usize; 4] = [0, 1 << 20, 3 << 20, usize::MAX];

fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// About 80 places, a few lists of thousands, some of none.
fn list(key: u64) -> impl Iterator<Item = (u64, f32)> {
    let length = match key % 50 {
        0 => 0,
        1 => 2_000 + mix(key) % 1_000,
        _ => mix(key) % 120,
    };
    (0..length).map(move |i| ((mix(key) + i * 7) % ITEMS, 1.0 / (i + 1 + key % 7) as f32))
}

fn spec(memory: usize, scratch: &Path) -> TableSpec {
    TableSpec { memory, scratch: scratch.to_owned(), ..TableSpec::new("t", 1_000) }
}

/// Pushes all lists in an order of its own, by text and by number in turn.
fn filled(spec: TableSpec, order: u64) -> data_layer::Result<Writer> {
    let mut writer = Writer::new(spec)?;
    let mut keys: Vec<u64> = (0..LISTS).collect();
    keys.sort_by_key(|key| mix(key ^ order));
    for key in keys {
        let texts: Vec<(String, f32)> = list(key).map(|(item, score)| (format!("i{item}"), score)).collect();
        let key = format!("key-{key}");
        if order.is_multiple_of(2) {
            let texts: Vec<(&str, f32)> = texts.iter().map(|(item, score)| (item.as_str(), *score)).collect();
            writer.push(key.as_str(), &texts)?;
        } else {
            let numbered: data_layer::Result<Vec<(u32, f32)>> =
                texts.iter().map(|(item, score)| Ok((writer.item(item)?, *score))).collect();
            writer.push_numbered(key.as_str(), &numbered?)?;
        }
    }
    Ok(writer)
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn the_bytes_depend_on_neither_memory_nor_order() {
    let folder = tempfile::tempdir().unwrap();
    let (scratch, out) = (folder.path().join("scratch"), folder.path().join("out"));
    let mut expected: Option<Vec<u8>> = None;
    for (order, memory) in BUDGETS.into_iter().enumerate() {
        let writer = filled(spec(memory, &scratch), order as u64).unwrap();
        assert_eq!(writer.len(), LISTS as usize);
        let mut told = Vec::new();
        let built = writer.finish_watched(&out, &mut |done, of| told.push((done, of))).unwrap();
        assert_eq!(told.first(), Some(&(0, LISTS)));
        assert_eq!(told.last(), Some(&(LISTS, LISTS)));
        assert_eq!(names(&out), [format!("{}.keylist", built.generation)], "nothing beside the file");
        assert!(!scratch.exists() || names(&scratch).is_empty(), "nothing is left");
        let bytes = std::fs::read(&built.path).unwrap();
        assert!(bytes == *expected.get_or_insert_with(|| bytes.clone()), "budget {memory}");
        let in_memory = filled(spec(memory, &scratch), order as u64 + 7).unwrap().into_bytes().unwrap();
        assert!(in_memory == (built.generation, bytes));
    }
    let path = out.join(&names(&out)[0]);
    let table = Table::open(path, Verify::Full).unwrap();
    assert!(table.statistics().longest > 2_000 && table.statistics().empty_lists > 0);
    for key in 0..LISTS {
        let found = table.get(&format!("key-{key}")).unwrap().unwrap();
        let items: Vec<String> = found.iter().map(|(item, _)| table.dictionary(item).to_owned()).collect();
        assert_eq!(items, list(key).map(|(item, _)| format!("i{item}")).collect::<Vec<_>>());
    }
}

#[test]
fn number_keys_vectors_and_open_addressing_spill_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = |index: IndexKind, memory: usize, order: u64| {
        let spec = TableSpec {
            keys: KeyKind::U64,
            scores: ScoreCodec::Exact,
            index,
            vector: 5,
            ..spec(memory, folder.path())
        };
        let mut writer = Writer::new(spec).unwrap();
        let mut keys: Vec<u64> = (0..30_000).collect();
        keys.sort_by_key(|key| mix(key ^ order));
        for key in keys {
            let item = format!("i{}", key % 100);
            let vector = [key as f32; 5];
            let vector = (key % 3 == 0).then_some(&vector[..]);
            writer.push_entry(key, Op::Replace, &[(&item, key as f32)], vector).unwrap();
        }
        writer.into_bytes().unwrap().1
    };
    let expected = bytes(IndexKind::Perfect, usize::MAX, 0);
    assert!(expected == bytes(IndexKind::Perfect, 0, 1), "spilled");
    assert!(bytes(IndexKind::Open, usize::MAX, 0) == bytes(IndexKind::Open, 0, 1), "open, spilled");
    let path = folder.path().join("x.keylist");
    std::fs::write(&path, &expected).unwrap();
    let table = Table::open(&path, Verify::Full).unwrap();
    let mut vector = Vec::new();
    assert!(table.vector(29_997u64, &mut vector).unwrap());
    assert_eq!(vector, [29_997.0; 5]);
    let (item, score) = table.get("29999").unwrap().unwrap().iter().next().unwrap();
    assert_eq!((table.dictionary(item), score), ("i99", 29_999.0));
}

#[test]
fn a_key_that_stands_twice_is_found_and_named_wherever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    for memory in BUDGETS {
        let mut writer = filled(spec(memory, folder.path()), 3).unwrap();
        writer.push("key-77", &[("i1", 1.0)]).unwrap();
        let out = folder.path().join("out");
        let error = writer.finish(&out).unwrap_err().to_string();
        assert!(error.contains("key key-77: stands twice in the table"), "{error}");
        assert!(names(&out).is_empty(), "nothing is left");
    }
}

#[test]
fn scratch_that_cannot_be_written_is_named_when_it_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let scratch = file.join("below");
    let error = filled(spec(0, &scratch), 0).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    assert!(error.to_string().contains("scratch space of a build"), "{error}");
    filled(spec(usize::MAX, &scratch), 0).unwrap().into_bytes().unwrap();
}

/// Where a process of its own builds, and how much memory it may use for lists.
const CHILD: &str = "WEIR_TEST_BUILD";

/// Runs the test of this name in a process of its own.
fn child(test: &str, folder: &Path, memory: usize) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env(CHILD, format!("{memory}:{}", folder.display()));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn asked() -> Option<(usize, std::path::PathBuf)> {
    let text = std::env::var(CHILD).ok()?;
    let (memory, folder) = text.split_once(':').unwrap();
    Some((memory.parse().unwrap(), folder.into()))
}

/// A figure of this process in KiB, as Linux tells it.
fn status(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// 120,000 lists of 100: 76 MB of them, in two parts of the file.
fn large(memory: usize, folder: &Path) -> Writer {
    let spec = TableSpec { keys: KeyKind::U64, ..spec(memory, folder) };
    let mut writer = Writer::new(spec).unwrap();
    let items: Vec<u32> = (0..ITEMS).map(|item| writer.item(&format!("i{item}")).unwrap()).collect();
    let mut list = Vec::new();
    for key in 0..120_000u64 {
        list.clear();
        list.extend(
            (0..100u64).map(|i| (items[((mix(key) + i * 7) % ITEMS) as usize], 1.0 / (i + 1) as f32)),
        );
        writer.push_numbered(mix(key), &list).unwrap();
    }
    writer
}

#[test]
fn memory_is_bounded_by_the_budget() {
    const SELF: &str = "memory_is_bounded_by_the_budget";
    if let Some((memory, folder)) = asked() {
        let before = status("VmRSS:");
        let built = large(memory, &folder).finish(folder.join("out")).unwrap();
        println!("grew {} {}", status("VmHWM:") - before, built.generation);
        return;
    }
    if !Path::new("/proc/self/status").exists() {
        return not_run::not_run("Linux (to ask how much memory a process had)");
    }
    let folder = tempfile::tempdir().unwrap();
    let peak = |memory: usize| {
        let output = child(SELF, folder.path(), memory).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let words: Vec<&str> = text.split_whitespace().skip_while(|word| *word != "grew").collect();
        assert!(words.len() > 2, "{text}\n{}", String::from_utf8_lossy(&output.stderr));
        (words[1].parse::<u64>().unwrap() >> 10, words[2].to_owned())
    };
    let ((all, one), (tight, other)) = (peak(usize::MAX), peak(8 << 20));
    assert_eq!(one, other, "the same bytes");
    assert!(all > 70, "76 MB of lists were to be held, {all} MiB were");
    assert!(tight < 28, "{tight} MiB, with 8 MiB for lists");
}

#[test]
fn what_a_killed_build_left_is_gone_after_the_next() {
    const SELF: &str = "what_a_killed_build_left_is_gone_after_the_next";
    if let Some((memory, folder)) = asked() {
        let folder = Folder::at(folder).unwrap();
        let spec = TableSpec { memory, ..folder.spec(1_000) };
        folder.build(filled(spec, 0).unwrap()).unwrap();
        return;
    }
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("t");
    // Its folder, its file, its content: three places to stop before anything has a name.
    for stop in 1..=3 {
        let mut build = child(SELF, &path, 0).env(VARIABLE, stop.to_string()).spawn().unwrap();
        let mut lines = BufReader::new(build.stderr.take().unwrap()).lines().map_while(Result::ok);
        let stopped = lines.find(|line| line.starts_with("stopped "));
        let left = names(&path);
        build.kill().unwrap();
        build.wait().unwrap();
        assert!(stopped.is_some() && left.len() == 1, "{stopped:?}: {left:?}");
        assert!(left[0].starts_with(".build.") && left[0].ends_with(".tmp"), "{left:?}");
    }
    let folder = Folder::at(&path).unwrap();
    let built = folder.build(filled(folder.spec(1_000), 0).unwrap()).unwrap();
    assert_eq!(folder.list().unwrap().len(), 1);
    let mut left = names(&path);
    left.retain(|name| name.ends_with(".tmp") || name.contains("build"));
    assert!(built.path.exists() && left.is_empty(), "{left:?}");
}

/// A file system of its own, unmounted when dropped; `None` where that is not allowed.
struct Small(std::path::PathBuf);

impl Small {
    fn mount(at: &Path) -> Option<Self> {
        let mount = |command: &mut Command| command.output().is_ok_and(|out| out.status.success());
        mount(Command::new("mount").args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"]).arg(at))
            .then(|| Self(at.to_owned()))
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).output();
    }
}

#[test]
fn a_disk_that_is_full_is_an_error_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let Some(small) = Small::mount(folder.path()) else {
        return not_run::not_run("root (to mount a small file system)");
    };
    let error = filled(spec(0, &small.0), 0).unwrap_err().to_string();
    assert!(error.contains("scratch space of a build") && error.contains("No space left"), "{error}");
    assert!(names(&small.0).is_empty());
    let elsewhere = tempfile::tempdir().unwrap();
    let error = filled(spec(0, elsewhere.path()), 0).unwrap().finish(&small.0).unwrap_err().to_string();
    assert!(error.contains("No space left"), "{error}");
    assert!(names(&small.0).is_empty(), "{:?}", names(&small.0));
    let writer = Writer::new(spec(0, &small.0)).unwrap();
    writer.finish(&small.0).unwrap();
}
