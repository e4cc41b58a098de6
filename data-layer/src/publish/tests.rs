//! A reader sees a whole generation or none, whatever the publisher does; bad input says where it is bad.

use std::path::Path;

use super::*;
use crate::keylist::Writer;

fn folder(root: &Path) -> Folder {
    Folder::at(root.join("tables/hot")).unwrap()
}

/// Builds a generation whose watermark is `second`.
fn build(folder: &Folder, second: i64, lists: usize) -> String {
    let mut writer = Writer::new(folder.spec(second * 1000)).unwrap();
    for key in 0..lists {
        writer.push(format!("k{key}").as_str(), &[("a", second as f32), ("b", 0.5)]).unwrap();
    }
    folder.build(writer).unwrap().generation
}

#[test]
fn publish_and_rollback_move_the_pointer() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    assert!(folder.publish(None, Gate::Sound).unwrap_err().to_string().contains("build one first"));
    assert!(folder.rollback().is_err() && folder.list().unwrap().is_empty());
    let names: Vec<String> = (1..=3).map(|second| build(&folder, second, 2)).collect();
    assert_eq!((folder.current().unwrap(), folder.served().unwrap()), (None, Some(names[2].clone())));
    for name in &names {
        assert_eq!(&folder.publish(Some(name), Gate::Sound).unwrap(), name);
    }
    assert_eq!(folder.publish(None, Gate::Sound).unwrap(), names[2], "again changes nothing");
    assert_eq!(folder.rollback().unwrap(), names[1]);
    assert_eq!(folder.rollback().unwrap(), names[0]);
    assert!(folder.rollback().unwrap_err().to_string().contains("first that was published"));
    assert_eq!(folder.current().unwrap().as_ref(), Some(&names[0]));
    let listed: Vec<(String, bool)> =
        folder.list().unwrap().into_iter().map(|g| (g.generation, g.current)).collect();
    let expected = [(names[2].clone(), false), (names[1].clone(), false), (names[0].clone(), true)];
    assert_eq!(listed, expected);
    assert_eq!(folder.stat(None).unwrap().statistics.lists, 2);
    assert!(folder.publish(Some("../evil"), Gate::Sound).is_err());
}

#[test]
fn of_one_second_the_generation_written_last_is_the_newest() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    // More than two, so that the order of their hashes can't be right by chance alone.
    for lists in 1..=6 {
        let last = build(&folder, 7, lists);
        let file = File::options().append(true).open(folder.file(&last)).unwrap();
        let second = std::time::Duration::from_secs(1_000 + lists as u64);
        file.set_modified(std::time::SystemTime::UNIX_EPOCH + second).unwrap();
        assert_eq!(folder.publish(None, Gate::Sound).unwrap(), last);
    }
}

#[test]
fn corrupt_empty_and_foreign_tables_are_never_published() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    let good = build(&folder, 1, 3);
    folder.publish(None, Gate::Sound).unwrap();
    let empty = build(&folder, 2, 0);
    assert!(folder.publish(Some(&empty), Gate::Sound).unwrap_err().to_string().contains("no entries"));
    let bad = build(&folder, 3, 3);
    let mut bytes = std::fs::read(folder.file(&bad)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(folder.file(&bad), &bytes).unwrap();
    assert!(folder.publish(Some(&bad), Gate::Sound).unwrap_err().to_string().contains("corrupt"));
    assert!(folder.verify(Some(&bad)).is_err());
    let other = Folder::at(root.path().join("tables/cold")).unwrap();
    let foreign = build(&other, 4, 3);
    std::fs::copy(other.file(&foreign), folder.file(&foreign)).unwrap();
    let said = folder.publish(Some(&foreign), Gate::Sound).unwrap_err().to_string();
    assert!(said.contains("expected table hot") && said.contains("found cold"), "{said}");
    std::fs::copy(folder.file(&good), folder.file("20990101T000000Z-00000000")).unwrap();
    let said = folder.publish(Some("20990101T000000Z-00000000"), Gate::Sound).unwrap_err().to_string();
    assert!(said.contains(&good), "{said}");
    assert_eq!(folder.current().unwrap(), Some(good));
    let elsewhere = Folder::at(root.path().join("tables/ns=shop/hot")).unwrap();
    assert_eq!((elsewhere.namespace(), elsewhere.name()), ("shop", "hot"));
}

#[test]
fn the_gate_refuses_what_shrank_unless_forced_and_the_journal_tells() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path()).by("trainer");
    let first = build(&folder, 1, 10);
    folder.publish(None, Gate::default()).unwrap();
    let small = build(&folder, 2, 4);
    let said = folder.publish(None, Gate::default()).unwrap_err().to_string();
    for part in
        ["0.4 of 10 sampled keys", "at least 0.5 (least_coverage)", "--force", "{\"force\": true}", &first]
    {
        assert!(said.contains(part), "{said} should say {part}");
    }
    assert_eq!(folder.current().unwrap(), Some(first.clone()));
    let lenient = Limits { least_coverage: 0.4, ..Limits::default() };
    assert!(!folder.publish_told(None, Gate::Within(lenient)).unwrap().forced);
    folder.rollback().unwrap();
    let forced = folder.clone().by("http:shop").publish_told(None, Gate::Forced(Limits::default())).unwrap();
    assert!(forced.forced && forced.warnings[0].contains("overridden: it has 0.4 of 10"), "{forced:?}");
    assert_eq!((forced.generation.as_str(), forced.from.as_ref()), (small.as_str(), Some(&first)));
    let entries = Journal::story(folder.path()).unwrap().entries;
    let told: Vec<(What, &str, &str, bool)> =
        entries.iter().map(|e| (e.what, e.generation.as_str(), e.by.as_str(), e.forced)).collect();
    assert_eq!(
        told,
        [
            (What::Build, first.as_str(), "trainer", false),
            (What::Publish, &first, "trainer", false),
            (What::Build, &small, "trainer", false),
            (What::Refuse, &small, "trainer", false),
            (What::Publish, &small, "trainer", false),
            (What::Rollback, &first, "trainer", false),
            (What::Publish, &small, "http:shop", true),
        ]
    );
    assert_eq!((&entries[6].gate, &entries[3].gate), (&forced.gate, &forced.gate));
    assert_eq!(entries[6].gate.as_ref().map(|figures| figures.coverage), Some(0.4));
}

#[test]
fn a_damaged_generation_before_keeps_no_sound_one_out() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    let first = build(&folder, 1, 10);
    folder.publish(None, Gate::default()).unwrap();
    for (damage, second) in [(vec![0; 9_000], 2), (Vec::new(), 3)] {
        let good = build(&folder, second, 10);
        std::fs::write(folder.file(&first), damage).unwrap();
        std::fs::write(Pointer::path(folder.path()), format!("{first}\n")).unwrap();
        let told = folder.publish_told(Some(&good), Gate::default()).unwrap();
        assert!(told.gate.is_none() && told.warnings[0].contains("not compared"), "{told:?}");
    }
    std::fs::remove_file(folder.file(&first)).unwrap();
    std::fs::write(Pointer::path(folder.path()), format!("{first}\n")).unwrap();
    assert!(folder.publish_told(None, Gate::default()).unwrap().warnings[0].contains("not found"));
}

#[test]
fn a_journal_that_cannot_be_written_blocks_nothing() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    std::fs::create_dir_all(Journal::path(folder.path())).unwrap();
    let first = build(&folder, 1, 10);
    let told = folder.publish_told(None, Gate::Sound).unwrap();
    assert_eq!(folder.current().unwrap(), Some(first.clone()));
    assert!(told.warnings[0].contains("journal does not tell"), "{told:?}");
    build(&folder, 2, 10);
    folder.publish(None, Gate::Sound).unwrap();
    assert_eq!(folder.rollback().unwrap(), first);
    std::fs::remove_dir(Journal::path(folder.path())).unwrap();
    std::fs::write(Journal::path(folder.path()), [0xff, 0, b'\n', b'{']).unwrap();
    let next = build(&folder, 3, 10);
    assert!(folder.publish_told(None, Gate::Sound).unwrap().warnings.is_empty());
    let story = Journal::story(folder.path()).unwrap();
    assert_eq!(story.last_of(&next).map(|entry| entry.what), Some(What::Publish));
    assert_eq!(story.damaged.len(), 2);
}

#[test]
fn a_step_that_was_cut_short_never_happened_and_one_by_hand_did() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    let (first, second) = (build(&folder, 1, 10), build(&folder, 2, 10));
    folder.publish(Some(&first), Gate::Sound).unwrap();
    let set_back = |seconds| {
        let at = std::time::SystemTime::now() - std::time::Duration::from_secs(seconds);
        File::options().append(true).open(Pointer::path(folder.path())).unwrap().set_modified(at).unwrap();
    };
    // What a kill between the journal and the pointer leaves: CURRENT is older than the journal's last line.
    journal::append(folder.path(), &[Entry::new(What::Publish, &second, "watch")]).unwrap();
    set_back(10);
    let story = Journal::story(folder.path()).unwrap();
    assert_eq!(story.last_of(&second).map(|entry| entry.what), Some(What::Build));
    let third = build(&folder, 3, 10);
    folder.publish(Some(&third), Gate::Sound).unwrap();
    let whats = |story: &Journal| story.entries.iter().map(|entry| entry.what).collect::<Vec<_>>();
    let read = Journal::read(folder.path()).unwrap();
    assert_eq!(whats(&read)[3..], [What::Publish, What::Build, What::CutShort, What::Publish]);
    let story = Journal::story(folder.path()).unwrap();
    assert_eq!(whats(&story)[2..], [What::Publish, What::Build, What::Publish], "the second never was");
    // Somebody writes CURRENT: that is what counts, and what was there before was there.
    std::fs::write(Pointer::path(folder.path()), format!("{first}\n")).unwrap();
    let story = Journal::story(folder.path()).unwrap();
    assert_eq!(story.last_of(&first).map(|entry| entry.what), Some(What::Found));
    assert_eq!(story.last_of(&third).map(|entry| entry.what), Some(What::Publish));
    folder.publish(Some(&second), Gate::Sound).unwrap();
    let story = Journal::story(folder.path()).unwrap();
    assert_eq!(whats(&story)[4..], [What::Publish, What::Found, What::Publish]);
}

#[test]
fn old_generations_go_and_those_that_count_stay() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    let names: Vec<String> = (1..=6).map(|second| build(&folder, second, 1)).collect();
    assert!(folder.keep(1).unwrap().is_empty(), "nothing was published yet");
    for name in [&names[0], &names[1], &names[3], &names[4]] {
        folder.publish(Some(name), Gate::Sound).unwrap();
    }
    let mut removed = folder.keep(2).unwrap();
    removed.sort();
    assert_eq!(removed, [names[0].clone(), names[1].clone(), names[2].clone()]);
    let left: Vec<String> = folder.list().unwrap().into_iter().map(|g| g.generation).collect();
    assert_eq!(left, [names[5].clone(), names[4].clone(), names[3].clone()], "the newer one is not touched");
    assert_eq!(folder.rollback().unwrap(), names[3]);
}

#[test]
fn a_publish_that_was_killed_leaves_the_old_one() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    let good = build(&folder, 1, 1);
    folder.publish(None, Gate::Sound).unwrap();
    // What a kill leaves behind at each step: part of a table, part of a pointer, a lock that nobody holds.
    std::fs::write(folder.path().join(".20990101T000000Z-00000000.keylist.1.tmp"), b"WEIRKL").unwrap();
    std::fs::write(folder.path().join(".CURRENT.1.tmp"), b"2099").unwrap();
    // And what people leave behind: copies that sort after every time.
    for name in ["backup", "z-00000000", &format!("old {good}"), &format!("{good}-x")] {
        std::fs::copy(folder.file(&good), folder.file(name)).unwrap();
    }
    assert_eq!(folder.served().unwrap(), Some(good.clone()));
    assert_eq!(folder.list().unwrap().len(), 1);
    let next = build(&folder, 2, 1);
    assert_eq!(folder.publish(None, Gate::Sound).unwrap(), next);
    std::fs::write(folder.path().join("CURRENT"), b"").unwrap();
    assert!(folder.current().unwrap_err().to_string().contains("CURRENT:1"));
    assert_eq!(folder.publish(Some(&good), Gate::Sound).unwrap(), good, "publishing mends it");
}
