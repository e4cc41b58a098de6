//! Files are written, renamed, copied, truncated and removed as programs and logrotate do it; every line is given once, in order
//! within its file, or again where a restart may not know.

use std::fs::{self, OpenOptions};
use std::io::Write;

use super::*;

struct World {
    folder: tempfile::TempDir,
    pattern: String,
}

impl World {
    fn new(pattern: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("logs")).unwrap();
        let pattern = folder.path().join("logs").join(pattern).display().to_string();
        Self { folder, pattern }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("logs").join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn open(&self) -> Follower {
        Follower::open(std::slice::from_ref(&self.pattern), &self.folder.path().join("at.json")).unwrap()
    }
}

/// Everything there is, remembered.
fn all(follower: &mut Follower) -> String {
    let mut text = String::new();
    // What was rotated away is given to its end after some looks that find nothing new.
    for _ in 0..2 * PATIENCE {
        while let Some(piece) = follower.next(64).unwrap() {
            text.push_str(std::str::from_utf8(&piece.text).unwrap());
            follower.done(piece).unwrap();
        }
    }
    assert_eq!(follower.warnings(), Vec::<String>::new());
    text
}

/// Lines from one number to another.
fn lines(from: u32, to: u32) -> String {
    (from..to).map(|n| format!("{{\"n\":{n}}}\n")).collect()
}

#[test]
fn lines_are_given_whole_and_once_across_restarts() {
    let world = World::new("*.ndjson");
    let mut follower = world.open();
    assert_eq!(all(&mut follower), "");
    world.append("a.ndjson", &lines(0, 50));
    world.append("b.ndjson", "{\"half");
    world.append("c.txt", "not ours\n");
    assert_eq!(all(&mut follower), lines(0, 50));
    world.append("b.ndjson", "\":1}\n\n");
    assert_eq!(all(&mut follower), "{\"half\":1}\n\n");
    let piece = {
        world.append("a.ndjson", &lines(50, 53));
        follower.next(1 << 20).unwrap().unwrap()
    };
    assert_eq!((piece.first_line, piece.path.clone()), (51, world.path("a.ndjson")));
    // It was taken, and the program ends before it is remembered: it is given again.
    drop(follower);
    let mut follower = world.open();
    assert_eq!(all(&mut follower), lines(50, 53));
    drop(follower);
    assert_eq!(all(&mut world.open()), "");
}

#[test]
fn renaming_loses_nothing_and_repeats_nothing() {
    for (pattern, restart) in [("*.ndjson", false), ("*.ndjson", true), ("a*", false), ("a*", true)] {
        let world = World::new(pattern);
        let mut follower = world.open();
        world.append("a.ndjson", &lines(0, 10));
        assert_eq!(all(&mut follower), lines(0, 10));
        world.append("a.ndjson", &lines(10, 12));
        fs::rename(world.path("a.ndjson"), world.path("a.ndjson.1")).unwrap();
        // Whoever writes still has the old file open, and its last line never ends.
        world.append("a.ndjson.1", "{\"n\":12}\n{\"last\":1}");
        world.append("a.ndjson", &lines(20, 22));
        if restart {
            drop(follower);
            follower = world.open();
        }
        let found = all(&mut follower);
        let mut sorted: Vec<&str> = found.split_inclusive('\n').collect();
        sorted.sort_unstable();
        let last = if pattern == "a*" { "" } else { "{\"last\":1}" };
        let wanted = lines(10, 13) + &lines(20, 22) + last;
        let mut wanted: Vec<&str> = wanted.split_inclusive('\n').collect();
        wanted.sort_unstable();
        assert_eq!(sorted, wanted, "{pattern} {restart}");
        // Once more, and the oldest is removed.
        fs::rename(world.path("a.ndjson.1"), world.path("a.ndjson.2")).unwrap();
        fs::rename(world.path("a.ndjson"), world.path("a.ndjson.1")).unwrap();
        assert_eq!(all(&mut follower), "", "{pattern} {restart}");
        fs::remove_file(world.path("a.ndjson.2")).unwrap();
        world.append("a.ndjson", &lines(30, 31));
        // Where the name of what is removed was still looked for, its last line might have gone on until now.
        let found = all(&mut follower);
        let rest = if pattern == "a*" { "{\"last\":1}" } else { "" };
        assert!(
            found.contains(&lines(30, 31)) && found.len() == 9 + rest.len(),
            "{pattern} {restart}: {found}"
        );
    }
}

#[test]
fn copying_and_truncating_loses_nothing_and_repeats_nothing() {
    for (pattern, restart) in [("*.ndjson", false), ("*.ndjson", true), ("a*", false), ("a*", true)] {
        let world = World::new(pattern);
        let mut follower = world.open();
        world.append("a.ndjson", &lines(0, 200));
        assert_eq!(all(&mut follower), lines(0, 200));
        world.append("a.ndjson", &lines(200, 203));
        if restart {
            drop(follower);
            follower = world.open();
        }
        fs::copy(world.path("a.ndjson"), world.path("a.ndjson.1")).unwrap();
        fs::write(world.path("a.ndjson"), "").unwrap();
        world.append("a.ndjson", &lines(300, 302));
        let found = all(&mut follower);
        assert!(found.contains(&lines(200, 203)) && found.contains(&lines(300, 302)), "{found}");
        assert_eq!(found.len(), (lines(200, 203) + &lines(300, 302)).len(), "{pattern} {restart}: {found}");
        // The copy is gone over while it is made.
        fs::write(world.path("a.ndjson.2"), "{\"n\"").unwrap();
        assert_eq!(all(&mut follower), "");
        fs::rename(world.path("a.ndjson.2"), world.folder.path().join("away")).unwrap();
        // A longer file than before under the same number, while nobody looks.
        drop(follower);
        fs::write(world.path("a.ndjson"), lines(400, 500)).unwrap();
        let mut follower = world.open();
        let mut found = String::new();
        while let Some(piece) = follower.next(1 << 20).unwrap() {
            found.push_str(std::str::from_utf8(&piece.text).unwrap());
            follower.done(piece).unwrap();
        }
        assert_eq!(found, lines(400, 500), "{pattern} {restart}");
    }
}

#[test]
fn what_is_lost_is_said() {
    let world = World::new("*.ndjson");
    let mut follower = world.open();
    world.append("a.ndjson", &lines(0, 10));
    assert_eq!(all(&mut follower), lines(0, 10));
    drop(follower);
    fs::remove_file(world.path("a.ndjson")).unwrap();
    world.append("other", "x\n");
    let mut follower = world.open();
    let said = follower.warnings();
    assert!(said.len() == 1 && said[0].contains("is gone") && said[0].contains("byte 80"), "{said:?}");
    let long = "x".repeat(MOST_LINE + 10);
    world.append("b.ndjson", &format!("{long}\n{}", lines(0, 1)));
    assert_eq!(follower.next(64).unwrap().unwrap().text, lines(0, 1).into_bytes());
    let said = follower.warnings();
    assert!(
        said.len() == 1 && said[0].contains("b.ndjson:1: expected a line of at most 8388608 bytes"),
        "{said:?}"
    );
}

#[test]
fn a_checkpoint_is_one_follower_s_and_checked() {
    let world = World::new("*.ndjson");
    let path = world.folder.path().join("at.json");
    let open = || Follower::open(std::slice::from_ref(&world.pattern), &path);
    let first = open().unwrap();
    assert!(matches!(open().unwrap_err(), Error::Locked { .. }));
    drop(first);
    for (text, said) in [
        ("{}", "expected a checkpoint of followed files: missing field"),
        ("nonsense", "expected a checkpoint"),
        ("{\"version\":2,\"files\":[]}", "format version 2 is newer than 1"),
    ] {
        fs::write(&path, text).unwrap();
        let found = open().unwrap_err().to_string();
        assert!(found.contains(said), "{found}");
    }
    assert!(
        Follower::open(&["a[".to_owned()], &path).unwrap_err().to_string().contains("expected a pattern")
    );
}
