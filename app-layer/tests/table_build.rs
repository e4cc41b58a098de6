//! `weir table build` from outside: files of rows that are larger than its memory. What becomes of rows is tested in
//! `data-layer/src/publish/input`.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const KEYS: u64 = 15_000;
const ITEMS: u64 = 20_000;
const PLACES: u64 = 40;

fn mix(n: u64) -> u64 {
    let mut z = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// 600,000 rows, the keys' rows far apart; about 29 MB once they are grouped, and as lists 5 MB more.
fn long_form(path: &Path) {
    let mut text = "key,item,score\n".to_owned();
    for place in 0..PLACES {
        for key in 0..KEYS {
            let item = (mix(key) + place * 331) % ITEMS;
            writeln!(text, "user-{key},i{item},{}", mix(key ^ place) % 1000).unwrap();
        }
    }
    std::fs::write(path, text).unwrap();
}

/// The same lists, a row each.
fn lists(path: &Path) {
    let mut text = String::new();
    for key in 0..KEYS {
        let items: Vec<String> =
            (0..PLACES).map(|place| format!("\"i{}\"", (mix(key) + place * 331) % ITEMS)).collect();
        writeln!(text, "{{\"key\":\"user-{key}\",\"item\":[{}]}}", items.join(",")).unwrap();
    }
    std::fs::write(path, text).unwrap();
}

/// Builds with at most 64 MB of data in the process, buffers of all kinds included.
fn build(input: &Path, out: &Path, memory: &str) -> Output {
    Command::new("bash")
        .args(["-c", "ulimit -d 64000; exec \"$@\"", "bash", env!("CARGO_BIN_EXE_weir")])
        .args(["table", "build", "--watermark", "1000", "--memory", memory, "--input"])
        .arg(input)
        .arg("--out")
        .arg(out)
        .output()
        .expect("bash")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The files of the generations in a folder; there must be nothing else but the journal and the lock.
fn generations(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.collect();
    files.retain(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        assert!(!name.ends_with(".tmp"), "{name} was left");
        name.ends_with(".keylist")
    });
    files
}

#[test]
fn a_table_larger_than_memory_is_the_same_table() {
    let root = tempfile::tempdir().unwrap();
    for (name, write) in [("long.csv", long_form as fn(&Path)), ("lists.ndjson", lists)] {
        let input = root.path().join(name);
        write(&input);
        let out = |memory: &str| root.path().join(memory).join(name.split('.').next().unwrap());
        let tight = build(&input, &out("2MiB"), "2MiB");
        assert!(tight.status.success(), "{}", said(&tight));
        let again = build(&input, &out("5MiB"), "5MiB");
        assert!(again.status.success(), "{}", said(&again));
        let (one, other) = (generations(&out("2MiB")), generations(&out("5MiB")));
        assert_eq!((one.len(), one[0].file_name()), (1, other[0].file_name()));
        assert!(std::fs::read(&one[0]).unwrap() == std::fs::read(&other[0]).unwrap(), "{name}");
        // All at once does not fit into 64 MB; without that limit it makes the same file.
        let whole = out("1GiB");
        assert!(!build(&input, &whole, "1GiB").status.success(), "the limit must bite, or nothing was shown");
        let free = Command::new(env!("CARGO_BIN_EXE_weir"))
            .args(["table", "build", "--watermark", "1000", "--input"])
            .arg(&input)
            .arg("--out")
            .arg(&whole)
            .output()
            .unwrap();
        assert!(free.status.success(), "{}", said(&free));
        let whole = generations(&whole);
        assert!(std::fs::read(&one[0]).unwrap() == std::fs::read(&whole[0]).unwrap(), "{name}");
    }
}

#[test]
fn memory_that_is_none_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let input = root.path().join("x.csv");
    std::fs::write(&input, "key,item,score\na,b,1\n").unwrap();
    for (memory, part) in [("64", "64MiB"), ("100KiB", "1MiB or more"), ("lots", "64MiB")] {
        let output = build(&input, &root.path().join("t"), memory);
        assert!(!output.status.success() && said(&output).contains(part), "{}", said(&output));
    }
}
