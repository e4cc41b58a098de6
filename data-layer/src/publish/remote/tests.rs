//! What a store can do to a server that follows it, with a folder as the store. `tests/tests/remote.rs` does the same with processes, and
//! with S3.

use std::path::{Path, PathBuf};

use super::*;
use crate::config::Config;
use crate::keylist::Writer;
use crate::publish::{Folder, Gate};

/// A publisher's folder, a store, and servers that follow it.
struct World {
    root: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self { root: tempfile::tempdir().unwrap() };
        std::fs::create_dir(world.store()).unwrap();
        world
    }

    fn store(&self) -> PathBuf {
        self.root.path().join("store")
    }

    fn object(&self, name: &str) -> PathBuf {
        self.store().join("hot").join(name)
    }

    fn publisher(&self) -> Folder {
        Folder::at(self.root.path().join("tables/hot")).unwrap()
    }

    fn remote(&self) -> Remote {
        Remote::open(&Address::Folder(self.store()), &Options::default(), "main").unwrap()
    }

    /// Builds and publishes a generation whose watermark is `second`.
    fn publish(&self, second: i64) -> String {
        let folder = self.publisher();
        let mut writer = Writer::new(folder.spec(second * 1000)).unwrap();
        for key in 0..2000 {
            writer.push(format!("k{key}").as_str(), &[("a", second as f32), ("b", 0.5)]).unwrap();
        }
        let generation = folder.build(writer).unwrap().generation;
        folder.publish(Some(&generation), Gate::Sound).unwrap()
    }

    fn push(&self, again: bool) -> Result<Pushed> {
        self.remote().push(&self.publisher(), again, &mut |_, _| {})
    }

    /// A server's source; `name` is its folder.
    fn source(&self, name: &str) -> Source {
        let config = Config::in_folder(self.root.path().join(name)).unwrap();
        Source::at(&config, &Address::Folder(self.store()), &Options::default()).unwrap()
    }

    fn local(&self, name: &str) -> Folder {
        Folder::at(self.root.path().join(name).join("tables/hot")).unwrap()
    }
}

fn moved(looked: &Looked) -> usize {
    looked.moved.len()
}

/// Looks until a failure's patience is over, and gives back the first look that was one.
fn look(source: &Source) -> Looked {
    let looks = source.standing().looks;
    for _ in 0..100 {
        let looked = source.look(&[]);
        if source.standing().looks > looks && (looked.good || !looked.moved.is_empty()) {
            return looked;
        }
    }
    Looked::default()
}

#[test]
fn what_is_pushed_is_pulled_and_so_is_a_rollback() {
    let world = World::new();
    let source = world.source("one");
    assert!(look(&source).good, "an empty store is no failure");
    let first = world.publish(1);
    let pushed = world.push(false).unwrap();
    assert_eq!((pushed.uploaded, pushed.from), (vec![first.clone()], None));
    assert_eq!(look(&source), Looked { moved: vec!["hot".into()], good: true });
    assert_eq!(world.local("one").current().unwrap().as_ref(), Some(&first));
    assert_eq!(moved(&source.look(&[])), 0, "nothing new");
    let second = world.publish(2);
    let pushed = world.push(false).unwrap();
    assert_eq!((pushed.uploaded, pushed.from.as_ref()), (vec![second.clone()], Some(&first)));
    assert_eq!(world.push(false).unwrap().skipped, [second.as_str()], "it is there");
    assert_eq!(moved(&look(&source)), 1);
    assert_eq!(world.local("one").current().unwrap().as_ref(), Some(&second));
    world.publisher().rollback().unwrap();
    assert_eq!(world.push(false).unwrap().skipped, [first.as_str()]);
    assert_eq!(world.remote().current("hot").unwrap().unwrap().history, [second.as_str()]);
    assert_eq!(moved(&look(&source)), 1);
    assert_eq!(world.local("one").current().unwrap().as_ref(), Some(&first));
    let standing = source.standing();
    assert_eq!((standing.pulls, standing.failures, standing.tables.len()), (2, 0, 0));
    // A new server starts from nothing.
    let late = world.source("two");
    late.folders().unwrap();
    assert!(world.local("two").path().is_dir());
    assert_eq!(moved(&look(&late)), 1);
    assert!(world.local("two").verify(None).unwrap().generation == first);
}

#[test]
fn bad_objects_are_refused_and_the_old_generation_stays() {
    let world = World::new();
    let source = world.source("one");
    let first = world.publish(1);
    world.push(false).unwrap();
    look(&source);
    let second = world.publish(2);
    world.push(false).unwrap();
    let object = world.object(&format!("{second}.keylist"));
    let good = std::fs::read(&object).unwrap();
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    let other = std::fs::read(world.object(&format!("{first}.keylist"))).unwrap();
    for (bytes, part) in [
        (Some(flipped), "corrupt"),
        (Some(good[..good.len() / 2].to_vec()), "hot"),
        (Some(vec![0; good.len()]), "hot"),
        (Some(Vec::new()), "hot"),
        (Some(other), "expected generation"),
        (None, "push it again"),
    ] {
        match bytes {
            Some(bytes) => std::fs::write(&object, bytes).unwrap(),
            None => std::fs::remove_file(&object).unwrap(),
        }
        assert!(!look(&source).good);
        let said = source.error("hot").unwrap();
        assert!(said.contains(part) && said.contains(&second), "{said} should say {part}");
        let local = world.local("one");
        assert_eq!(local.current().unwrap().as_ref(), Some(&first));
        assert_eq!((local.list().unwrap().len(), files(local.path())), (1, 3), "nothing is left behind");
    }
    // Pushing mends it: what is missing, and with `again` what is damaged.
    world.push(false).unwrap();
    assert!(look(&source).good && source.error("hot").is_none());
    assert_eq!(world.local("one").current().unwrap().as_ref(), Some(&second));
}

/// Files of a folder: CURRENT, .lock, generations, and what should not be there; a journal does not count.
fn files(folder: &Path) -> usize {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name != "journal.ndjson").count()
}

#[test]
fn a_damaged_object_is_fetched_once_and_mended_by_pushing_again() {
    let world = World::new();
    let source = world.source("one");
    let first = world.publish(1);
    world.push(false).unwrap();
    let object = world.object(&format!("{first}.keylist"));
    let mut bytes = std::fs::read(&object).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&object, &bytes).unwrap();
    for _ in 0..200 {
        source.look(&[]);
    }
    assert_eq!(source.standing().pulls, 0);
    let said = source.error("hot").unwrap();
    assert_eq!(world.push(false).unwrap().uploaded, Vec::<String>::new(), "its header is right");
    assert_eq!(world.push(true).unwrap().uploaded, [first.as_str()]);
    assert!(look(&source).good, "{said}");
    // The same on this side: a file that was damaged here is fetched again.
    let local = world.local("one").file(&first);
    bytes[middle] ^= 2;
    std::fs::remove_file(&local).unwrap();
    std::fs::write(&local, &bytes).unwrap();
    assert_eq!(moved(&source.look(&[])), 0, "nobody reads whole files without a reason");
    assert_eq!(moved(&world.source("one").look(&["hot".to_owned()])), 1);
    world.local("one").verify(None).unwrap();
}

#[test]
fn a_store_that_is_away_is_told_once_and_followed_when_it_is_back() {
    let world = World::new();
    let source = world.source("one");
    let away = world.root.path().join("away");
    std::fs::rename(world.store(), &away).unwrap();
    assert!(source.folders().is_err());
    for _ in 0..20 {
        assert!(!source.look(&[]).good);
    }
    let standing = source.standing();
    assert!(standing.error.is_some() && standing.looks < 20, "ever less often: {standing:?}");
    assert!(source.error("anything").is_some() && standing.since_good.is_none());
    std::fs::rename(&away, world.store()).unwrap();
    let first = world.publish(1);
    world.push(false).unwrap();
    assert_eq!(moved(&look(&source)), 1);
    assert!(source.standing().error.is_none());
    assert_eq!(world.local("one").current().unwrap(), Some(first));
}

#[test]
fn pointers_of_a_store_are_not_trusted() {
    let world = World::new();
    let source = world.source("one");
    std::fs::create_dir(world.store().join("hot")).unwrap();
    std::fs::create_dir(world.store().join("not a name")).unwrap();
    for (text, part) in [
        ("", "push one to mend it"),
        ("../../etc/passwd\n", "push one to mend it"),
        ("20260101T000000Z-00000001 +x\n", "found \"x\""),
        ("passwd\n", "found \"passwd\""),
        (&"x".repeat(100_000), "at most 65536 bytes"),
    ] {
        std::fs::write(world.object("CURRENT"), text).unwrap();
        assert!(!look(&source).good);
        let said = source.error("hot").unwrap();
        assert!(said.contains(part), "{said} should say {part}");
    }
    let first = world.publish(1);
    world.push(false).unwrap();
    assert!(look(&source).good);
    assert_eq!(world.local("one").current().unwrap(), Some(first));
}

#[test]
fn what_a_killed_fetch_left_behind_is_removed_and_what_another_fetches_is_not() {
    let world = World::new();
    world.publish(1);
    world.push(false).unwrap();
    let folder = world.local("one");
    std::fs::create_dir_all(folder.path()).unwrap();
    let [left, held] = ["left", "held"].map(|name| folder.path().join(format!(".{name}.tmp")));
    std::fs::write(&left, b"half of a table").unwrap();
    let other = File::create(&held).unwrap();
    other.lock().unwrap();
    assert_eq!(moved(&look(&world.source("one"))), 1);
    assert!(!left.exists() && held.exists());
}

#[test]
fn two_servers_may_share_a_folder_and_two_publishers_a_store() {
    let world = World::new();
    let names: Vec<String> = (1..=4).map(|second| world.publish(second)).collect();
    let sources = [world.source("one"), world.source("one")];
    std::thread::scope(|scope| {
        for name in &names {
            let world = &world;
            scope.spawn(move || {
                let mut folder = world.root.path().join(format!("of {name}"));
                folder.push("hot");
                let folder = Folder::at(folder).unwrap();
                std::fs::create_dir_all(folder.path()).unwrap();
                std::fs::copy(world.publisher().file(name), folder.file(name)).unwrap();
                folder.publish(None, Gate::Sound).unwrap();
                world.remote().push(&folder, false, &mut |_, _| {}).unwrap();
            });
        }
        for source in &sources {
            scope.spawn(|| (0..50).for_each(|_| drop(source.look(&[]))));
        }
    });
    let pointer = world.remote().current("hot").unwrap().unwrap();
    let mut all: Vec<String> = std::iter::once(pointer.current.clone()).chain(pointer.history).collect();
    all.sort();
    assert_eq!(all, names, "no step is lost");
    for source in &sources {
        look(source);
    }
    assert_eq!(world.local("one").verify(None).unwrap().generation, pointer.current);
}

#[test]
fn nothing_is_pushed_that_was_not_published_or_is_damaged() {
    let world = World::new();
    let folder = world.publisher();
    let mut writer = Writer::new(folder.spec(1000)).unwrap();
    writer.push("k", &[("a", 1.0)]).unwrap();
    let built = folder.build(writer).unwrap();
    assert!(world.push(false).unwrap_err().to_string().contains("weir table publish"));
    folder.publish(None, Gate::Sound).unwrap();
    let mut bytes = std::fs::read(&built.path).unwrap();
    bytes[4110] ^= 1;
    std::fs::write(&built.path, bytes).unwrap();
    assert!(matches!(world.push(false), Err(Error::Corrupt { .. })));
    assert_eq!(world.remote().tables().unwrap().len() + usize::from(world.object("CURRENT").exists()), 1);
    let other = Remote::open(&Address::Folder(world.store()), &Options::default(), "shop").unwrap();
    assert!(other.push(&folder, false, &mut |_, _| {}).is_err(), "another namespace");
}

#[test]
fn a_stopped_store_ends_at_once() {
    let world = World::new();
    let source = world.source("one");
    source.stop();
    assert!(!source.look(&[]).good);
    assert!(source.standing().error.unwrap().contains("stopped"));
}
