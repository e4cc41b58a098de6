//! What a start may rely on: the newest snapshot that is good and the log behind it are the state, and nothing counts twice.

use super::super::tests::{NOW, World, click, clicks, send, send_at};
use super::super::{CatchUp, Ingest};
use super::*;
use crate::live::Items;
use crate::types::time::{DAY, MINUTE};

/// Opens, and says from which record on the log was replayed.
fn open(world: &World) -> (Ingest, u64) {
    let told = CatchUp::default();
    let ingest = Ingest::open_telling(&world.config, &told).unwrap();
    let (_, from, _) = told.standing();
    (ingest, from)
}

fn paths(world: &World) -> Vec<PathBuf> {
    list(&folder(&world.config), None).unwrap().into_iter().map(|(_, path)| path).collect()
}

fn click_anew(ingest: &Ingest, n: u32) {
    assert_eq!(send(ingest, &click(&format!("e{n}"))).accepted, 1);
}

#[test]
fn a_clean_stop_leaves_a_snapshot_and_what_came_before_is_known() {
    let world = World::new();
    let ingest = world.open();
    (0..5).for_each(|n| click_anew(&ingest, n));
    assert_eq!(ingest.snapshots().unwrap().needs_from(), 0);
    ingest.close().unwrap();
    let (ingest, from) = open(&world);
    assert_eq!((from, clicks(ingest.live(), "i1")), (5, 5));
    assert_eq!(ingest.snapshots().unwrap().needs_from(), 6);
    assert_eq!(send_at(&ingest, &click("e3"), NOW + 9 * MINUTE).duplicates, 1);
    click_anew(&ingest, 5);
    let beside = Ingest::read_only(&world.config).unwrap();
    assert_eq!((beside.applied(), clicks(&beside, "i1")), (ingest.live().applied(), 6));
    // A snapshot while it runs has what the log thread remembers.
    ingest.renew_snapshots().unwrap();
    assert_eq!((paths(&world).len(), ingest.snapshots().unwrap().needs_from()), (1, 7));
    drop(ingest);
    let (ingest, from) = open(&world);
    assert_eq!((from, send(&ingest, &click("e5")).duplicates), (6, 1));
    // Nothing came: nothing is written.
    assert_eq!(ingest.snapshots().unwrap().taken().taken.load(Ordering::Relaxed), 0);
}

#[test]
fn a_damaged_snapshot_is_passed_over_for_an_older_one_and_then_for_the_log() {
    let world = World::new();
    for n in 0..4 {
        let (ingest, from) = open(&world);
        assert_eq!(from, u64::from(n));
        click_anew(&ingest, n);
        ingest.close().unwrap();
    }
    assert_eq!(paths(&world).len(), 2, "the newest two are kept");
    for (path, expected) in paths(&world).iter().zip([3, 0]) {
        let whole = std::fs::read(path).unwrap();
        std::fs::write(path, &whole[..whole.len() - 40]).unwrap();
        let live = Ingest::read_only(&world.config).unwrap();
        assert_eq!(clicks(&live, "i1"), 4);
        let told = CatchUp::default();
        let state = super::super::start::state(&world.config, None, 0, &told, None).unwrap();
        assert_eq!((told.standing().1, clicks(&state.live, "i1")), (expected, 4));
    }
    // A file that a process left half written goes with the next start.
    let draft = folder(&world.config).join("1.snapshot.tmp");
    std::fs::write(&draft, b"WEIR").unwrap();
    drop(world.open());
    assert!(!draft.exists());
}

#[test]
fn a_snapshot_of_another_log_or_of_other_rules_does_not_count() {
    let world = World::new();
    let ingest = world.open();
    click_anew(&ingest, 1);
    ingest.close().unwrap();
    let mut other = World::with("[actions]\nclick = 2.0");
    other.config.log.dir.clone_from(&world.config.log.dir);
    other.config.live.dir.clone_from(&world.config.live.dir);
    let before = Ingest::read_only(&other.config).unwrap();
    assert_eq!(clicks(&before, "i1"), 1, "who only reads replays");
    let elsewhere = World::new();
    click_anew(&elsewhere.open(), 1);
    other.config.log.dir.clone_from(&elsewhere.config.log.dir);
    let (ingest, from) = open(&other);
    assert_eq!((from, clicks(ingest.live(), "i1")), (0, 1));
    assert_eq!(
        ingest.snapshots().unwrap().needs_from(),
        0,
        "what another log needs says nothing of this one"
    );
    ingest.close().unwrap();
    assert_eq!(paths(&other).len(), 2, "each log has its own");
}

#[test]
fn a_log_that_ends_before_its_snapshot_is_refused() {
    let world = World::new();
    let ingest = world.open();
    click_anew(&ingest, 1);
    let before = std::fs::read(segment(&world)).unwrap();
    click_anew(&ingest, 2);
    ingest.close().unwrap();
    std::fs::write(segment(&world), before).unwrap();
    std::fs::remove_file(world.config.events_folder().join("SYNCED")).unwrap();
    let said = Ingest::open(&world.config).unwrap_err().to_string();
    assert!(said.contains("record not found: 2") && said.contains("records up to 2"), "{said}");
}

fn segment(world: &World) -> PathBuf {
    crate::log::entries::segments(&world.config.events_folder()).unwrap().remove(0).1
}

/// Positive weight of an item, which follows from the rules.
fn weight(live: &Live) -> f32 {
    let items = live.items();
    items.row(items.ordinal("i1").unwrap()).positive()
}

/// Segments that snapshots don't need any more go, once they are archived; state is made anew from the archive all the same.
#[test]
fn state_of_other_rules_serves_until_it_is_made_anew_from_archive_and_log() {
    let world = World::with("[log]\narchive = \"old\"\nretention = \"1d\"");
    let ingest = world.open();
    for n in 0..3 {
        let body = click(&format!("old {n}")).replace(&NOW.to_string(), &(NOW - DAY).to_string());
        assert_eq!(send_at(&ingest, &body, NOW - DAY).accepted, 1);
    }
    click_anew(&ingest, 0);
    ingest.close().unwrap();
    let ingest = world.open();
    while segment(&world).file_name().unwrap() == "00000000000000000001.seg" {
        std::thread::sleep(Duration::from_millis(1));
    }
    ingest.close().unwrap();
    std::fs::write(
        world.config.file.clone(),
        "[log]\narchive = \"old\"\nretention = \"1d\"\n[actions]\nclick = 2.0",
    )
    .unwrap();
    let config = Config::load_with(&world.config.file, []).unwrap();
    // What only reads has nothing else: the old state, and the rest of the log.
    assert_eq!(weight(&Ingest::read_only(&config).unwrap()), 4.0);
    let ingest = Ingest::open(&config).unwrap();
    click_anew(&ingest, 1);
    while ingest.rebuilding().unwrap().at().is_some() {
        assert!([4.0, 6.0, 8.0, 10.0].contains(&weight(ingest.live())), "{}", weight(ingest.live()));
        assert!(!ingest.rebuilding().unwrap().failed());
        std::thread::sleep(Duration::from_millis(1));
    }
    assert_eq!((weight(ingest.live()), clicks(ingest.live(), "i1")), (10.0, 5));
    click_anew(&ingest, 2);
    assert_eq!((weight(ingest.live()), clicks(ingest.live(), "i1")), (12.0, 6));
    ingest.close().unwrap();
    let again = Ingest::open(&config).unwrap();
    assert!(again.rebuilding().is_none() && weight(again.live()) == 12.0);
}

#[test]
fn a_rule_of_levels_is_made_anew_alone() {
    let world = World::new();
    let ingest = world.open();
    (0..3).for_each(|n| click_anew(&ingest, n));
    ingest.close().unwrap();
    let rule = "[levels.reader]\nthresholds = [10]\n[levels.reader.points]\nclick = 5";
    std::fs::write(world.config.file.clone(), rule).unwrap();
    let config = Config::load_with(&world.config.file, []).unwrap();
    let parts = maker(&world.config).changed(&maker(&config)).to_make();
    assert_eq!(parts.to_string(), "users, recent, levels");
    let ingest = Ingest::open(&config).unwrap();
    while ingest.rebuilding().unwrap().at().is_some() {
        assert!(!ingest.rebuilding().unwrap().failed());
        std::thread::sleep(Duration::from_millis(1));
    }
    click_anew(&ingest, 3);
    let whole = World::with(rule);
    let other = whole.open();
    (0..4).for_each(|n| click_anew(&other, n));
    let shown = |live: &Live| {
        let person = crate::types::Person::user(crate::types::Id::new("u1").unwrap());
        let state = live.person(&person).unwrap();
        (crate::live::codec::encode(&state, live.ids(), live.actions()), weight(live), clicks(live, "i1"))
    };
    assert_eq!(shown(ingest.live()), shown(other.live()));
    assert_eq!(clicks(ingest.live(), "i1"), 4);
}

#[test]
fn what_is_configured_is_checked() {
    let default = World::new();
    assert_eq!(default.config.live.snapshots, crate::config::Snapshots::default());
    let never = World::with("[live.snapshots]\nevery = \"never\"\nkeep = 5\nstore = \"copies\"");
    let store = never.folder.path().join("copies");
    assert_eq!(never.config.live.snapshots.every, None);
    let ingest = never.open();
    click_anew(&ingest, 1);
    ingest.close().unwrap();
    assert!(paths(&never).is_empty() && !store.exists());
    for (text, key) in [("every = \"1ms\"", "every"), ("keep = 0", "keep"), ("store = \"gs://x\"", "store")] {
        let file = never.folder.path().join("weir.toml");
        std::fs::write(&file, format!("[live.snapshots]\n{text}")).unwrap();
        let said = Config::load_with(&file, []).unwrap_err().to_string();
        assert!(said.contains(&format!("live.snapshots.{key}")), "{said}");
    }
}

#[test]
fn copies_go_to_the_store_and_the_old_ones_out_of_it() {
    let world = World::with("[live.snapshots]\nkeep = 1\nstore = \"copies\"");
    for n in 0..2 {
        let ingest = world.open();
        click_anew(&ingest, n);
        ingest.close().unwrap();
    }
    let copies = list(&world.folder.path().join("copies/snapshots"), None).unwrap();
    assert_eq!(copies.iter().map(|(sequence, _)| *sequence).collect::<Vec<_>>(), [2]);
    assert_eq!(std::fs::read(&copies[0].1).unwrap(), std::fs::read(&paths(&world)[0]).unwrap());
    // A server whose own are gone fetches it.
    std::fs::remove_dir_all(folder(&world.config)).unwrap();
    let (ingest, from) = open(&world);
    assert_eq!((from, clicks(ingest.live(), "i1")), (2, 2));
}

#[test]
fn while_the_store_is_away_no_more_stay_here_than_are_kept() {
    let world = World::with("[live.snapshots]\nstore = \"copies\"");
    let ingest = world.open();
    let copies = world.folder.path().join("copies/snapshots");
    std::fs::write(&copies, b"in the way").unwrap();
    for n in 0..4 {
        click_anew(&ingest, n);
        assert!(ingest.renew_snapshots().is_err());
    }
    assert_eq!(paths(&world).len(), 2);
    assert_eq!(ingest.snapshots().unwrap().needs_from(), 4, "the oldest that stays is of the third record");
    std::fs::remove_file(&copies).unwrap();
    // Nothing came since, and the newest is still to be copied.
    ingest.renew_snapshots().unwrap();
    let names = |folder: &std::path::Path| {
        list(folder, None).unwrap().into_iter().map(|(number, _)| number).collect::<Vec<_>>()
    };
    assert_eq!((names(&copies), names(&folder(&world.config))), (vec![4], vec![4]));
    // One that was left there goes with the next.
    let left = file_name(Position { producer: ingest.live().applied().producer, sequence: 1 });
    std::fs::write(copies.join(left), b"old").unwrap();
    click_anew(&ingest, 4);
    ingest.renew_snapshots().unwrap();
    assert_eq!(names(&copies), [5]);
}

#[test]
fn a_folder_that_can_not_be_made_stops_nothing_and_is_tried_again() {
    let world = World::new();
    let (folder, elsewhere) = (folder(&world.config), world.folder.path().join("elsewhere"));
    std::fs::create_dir_all(folder.parent().unwrap()).unwrap();
    // As where the disk is full: it is not there, and can't be made.
    std::os::unix::fs::symlink(&elsewhere, &folder).unwrap();
    let ingest = world.open();
    click_anew(&ingest, 1);
    assert!(ingest.renew_snapshots().is_err());
    std::fs::create_dir(&elsewhere).unwrap();
    ingest.renew_snapshots().unwrap();
    assert_eq!(paths(&world).len(), 1);
}

#[test]
fn a_copy_of_another_log_is_not_fetched() {
    let world = World::with("[live.snapshots]\nstore = \"copies\"");
    let ingest = world.open();
    click_anew(&ingest, 1);
    let producer = ingest.live().applied().producer;
    ingest.close().unwrap();
    let copies = world.folder.path().join("copies/snapshots");
    let [own, other] = [(producer, 1), (producer ^ 1, 9)]
        .map(|(producer, sequence)| copies.join(file_name(Position { producer, sequence })));
    std::fs::copy(&own, &other).unwrap();
    std::fs::remove_dir_all(folder(&world.config)).unwrap();
    let (ingest, from) = open(&world);
    assert_eq!((from, clicks(ingest.live(), "i1")), (1, 1));
}
