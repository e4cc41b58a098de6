//! Checks every byte of what is served, slowly, on a thread of its own: files that serve before they were checked, and all of them
//! again from time to time, because disks forget. Not for what a request reads: that is checked as it is read.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::{Mapped, Tables};
use crate::Result;
use crate::types::Millis;

/// Most bytes that are checked in a second, so that requests keep the disk and the memory bus.
pub const RATE: u64 = 256 << 20;

/// What is ahead of the rate by this much waits.
const AHEAD: Duration = Duration::from_millis(5);

/// Which files are checked next, and when they were.
#[derive(Debug)]
pub struct Scrubber {
    rate: u64,
    every: Option<Duration>,
    /// By table and generation; of which file, and when. A mended one is another.
    last: BTreeMap<(String, String), (Weak<Mapped>, Instant)>,
}

impl Scrubber {
    /// One that checks every served file again after so long; where that is `None`, those that were not checked when they were
    /// loaded, once.
    #[must_use]
    pub fn new(every: Option<Millis>) -> Self {
        Self::at_rate(every, RATE)
    }

    /// The same at a rate of so many bytes a second, at least 1.
    #[must_use]
    pub fn at_rate(every: Option<Millis>, rate: u64) -> Self {
        let every = every.map(|span| Duration::from_millis(span.unsigned_abs()));
        Self { rate: rate.max(1), every, last: BTreeMap::new() }
    }

    /// Checks what is due now, one file after another, as long as `go_on` says so; gives back how many. What is damaged is told to
    /// [`Tables::damaged`].
    pub fn round(&mut self, tables: &Tables, go_on: &dyn Fn() -> bool) -> usize {
        let files = tables.files();
        let served = |key: &(String, String)| {
            files.iter().any(|(name, file)| *name == key.0 && file.generation() == key.1)
        };
        self.last.retain(|key, _| served(key));
        let mut checked = 0;
        for (name, file) in &files {
            let key = (name.clone(), file.generation());
            if !self.due(&key, file) {
                continue;
            }
            match self.check(file, go_on) {
                Some(Ok(())) => {
                    tracing::debug!(table = key.0, generation = key.1, "every byte checks");
                    if !file.is_checked() {
                        file.note_checked();
                        tables.reside(name, file);
                    }
                }
                Some(Err(error)) => tables.damaged(&key.0, &key.1, &error.to_string()),
                None => break,
            }
            self.last.insert(key, (Arc::downgrade(file), Instant::now()));
            checked += 1;
        }
        checked
    }

    fn due(&mut self, key: &(String, String), file: &Arc<Mapped>) -> bool {
        let last = self.last.get(key).filter(|(of, _)| std::ptr::eq(of.as_ptr(), Arc::as_ptr(file)));
        match (last, self.every) {
            (None, _) if !file.is_checked() => true,
            // Checked when it was loaded: that was about now.
            (None, _) => {
                self.last.insert(key.clone(), (Arc::downgrade(file), Instant::now()));
                false
            }
            (Some((_, at)), Some(every)) => at.elapsed() >= every,
            (Some(_), None) => false,
        }
    }

    /// `None` where it was stopped on the way.
    fn check(&self, file: &Mapped, go_on: &dyn Fn() -> bool) -> Option<Result<()>> {
        let start = Instant::now();
        let mut stopped = false;
        let outcome = file.table().scrub(&mut |done, _| {
            let due = Duration::from_secs_f64(done as f64 / self.rate as f64);
            let ahead = due.saturating_sub(start.elapsed());
            if ahead > AHEAD {
                std::thread::sleep(ahead);
            }
            stopped = !go_on();
            !stopped
        });
        if stopped && outcome.is_ok() { None } else { Some(outcome) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};
    use std::path::Path;

    use super::*;
    use crate::Error;
    use crate::access::ReadLists;
    use crate::config::Config;
    use crate::keylist::Writer;
    use crate::live::Live;
    use crate::publish::{Folder, Gate, Journal, What};

    const KEYS: usize = 200;
    const HASTE: u64 = u64::MAX;

    fn publish(config: &Config, second: i64) -> String {
        let folder = Folder::of(config, "hot").unwrap();
        let mut writer = Writer::new(folder.spec(second * 1_000)).unwrap();
        for key in 0..KEYS {
            writer.push(format!("k{key}").as_str(), &[("a", second as f32)]).unwrap();
        }
        folder.build(writer).unwrap();
        folder.publish(None, Gate::Sound).unwrap()
    }

    fn config(root: &Path, verify: &str, residency: &str) -> Config {
        let text = format!("[tables.hot]\nverify = \"{verify}\"\nresidency = \"{residency}\"\n");
        std::fs::write(root.join("weir.toml"), text).unwrap();
        Config::load_with(root.join("weir.toml"), []).unwrap()
    }

    fn open(config: &Config) -> Tables {
        Tables::open(config, Arc::new(Live::of(config))).unwrap()
    }

    /// Flips bits of ten records in place, as a disk would; of so many slots almost all are taken.
    fn damage(file: &Path) {
        let stride = u64::from(
            crate::keylist::Table::open(file, crate::keylist::Verify::Open).unwrap().header().stride,
        );
        let mut whole = std::fs::read(file).unwrap();
        let mut open = std::fs::OpenOptions::new().write(true).open(file).unwrap();
        for slot in 0..10 {
            let at = 4096 + slot * stride + 9;
            whole[at as usize] ^= 0x10;
            open.seek(SeekFrom::Start(at)).unwrap();
            open.write_all(&whole[at as usize..][..1]).unwrap();
        }
        open.sync_all().unwrap();
    }

    /// Keys whose list is right, and whose record is reported corrupt. There is nothing else.
    fn read(tables: &Tables, second: i64) -> (usize, usize) {
        let snapshot = tables.snapshot();
        let stack = snapshot.table("hot").unwrap();
        let (mut right, mut corrupt) = (0, 0);
        for key in 0..KEYS {
            let mut list = Vec::new();
            match stack.list(&format!("k{key}"), 10, &mut list) {
                Ok(true) if list.len() == 1 && list[0].score == second as f32 => right += 1,
                Err(Error::Corrupt { .. }) => corrupt += 1,
                other => panic!("k{key}: {other:?}, {list:?}"),
            }
        }
        (right, corrupt)
    }

    #[test]
    fn what_is_damaged_after_opening_gives_way_to_the_generation_before() {
        let root = tempfile::tempdir().unwrap();
        let config = config(root.path(), "load", "warm");
        let folder = Folder::of(&config, "hot").unwrap();
        let (first, second) = (publish(&config, 1), publish(&config, 2));
        let tables = open(&config);
        let mut scrubber = Scrubber::at_rate(Some(0), HASTE);
        assert_eq!(scrubber.round(&tables, &|| true), 0, "it was checked when it was loaded");
        assert_eq!(scrubber.round(&tables, &|| true), 1, "the time has come again");
        assert!(tables.damage().is_empty() && tables.errors().is_empty());
        damage(&folder.file(&second));
        assert_eq!(scrubber.round(&tables, &|| true), 1);
        assert_eq!((read(&tables, 1), folder.current().unwrap()), ((KEYS, 0), Some(first.clone())));
        assert_eq!(tables.damage(), [("hot".to_owned(), second.clone())]);
        let errors = tables.errors();
        assert_eq!(
            (errors.len(), &errors[0].generation, errors[0].serving.as_ref()),
            (1, &second, Some(&first))
        );
        assert!(
            errors[0].detail.contains("corrupt records")
                && errors[0].detail.contains("the one before is served")
        );
        let story = Journal::story(folder.path()).unwrap();
        let told = story.entries.last().unwrap();
        assert_eq!((told.what, told.by.as_str(), &told.generation), (What::Rollback, "scrub", &first));
        assert_eq!(told.from.as_ref(), Some(&second));
        assert!(told.detail.as_ref().unwrap().contains(&second), "{told:?}");
        // Once is enough, and what is newer settles it.
        assert_eq!((0..3).map(|_| scrubber.round(&tables, &|| true)).collect::<Vec<_>>(), [0, 1, 1]);
        assert!(tables.poll().is_empty());
        publish(&config, 3);
        tables.poll();
        tables.poll();
        assert_eq!((read(&tables, 3), tables.errors()), ((KEYS, 0), Vec::new()));
    }

    #[test]
    fn what_is_damaged_before_opening_is_served_as_far_as_it_is_whole() {
        let root = tempfile::tempdir().unwrap();
        for residency in ["lazy", "warm", "locked"] {
            let _ = std::fs::remove_dir_all(root.path().join("tables"));
            let config = config(root.path(), "background", residency);
            let folder = Folder::of(&config, "hot").unwrap();
            let only = publish(&config, 1);
            let whole = std::fs::read(folder.file(&only)).unwrap();
            damage(&folder.file(&only));
            let tables = open(&config);
            assert!(tables.errors().is_empty(), "nobody knows yet");
            let (right, corrupt) = read(&tables, 1);
            assert!(right >= KEYS - 10 && corrupt >= 1, "{right} right, {corrupt} corrupt");
            let mut scrubber = Scrubber::at_rate(None, HASTE);
            assert_eq!((scrubber.round(&tables, &|| false), tables.errors().len()), (0, 0), "it was stopped");
            assert_eq!(scrubber.round(&tables, &|| true), 1);
            let error = &tables.errors()[0];
            assert_eq!((error.generation.as_str(), error.serving.as_ref()), (only.as_str(), Some(&only)));
            assert!(error.detail.contains("what is whole of it is served"), "{error:?}");
            assert_eq!((read(&tables, 1), folder.current().unwrap()), ((right, corrupt), Some(only.clone())));
            assert_eq!(
                (scrubber.round(&tables, &|| true), tables.poll().len()),
                (0, 0),
                "it stays like that"
            );
            // Put in order: a whole file by the same name.
            std::fs::write(folder.path().join("new"), &whole).unwrap();
            std::fs::rename(folder.path().join("new"), folder.file(&only)).unwrap();
            assert_eq!(tables.poll().len(), 1);
            assert_eq!(
                (read(&tables, 1), tables.errors(), tables.poll()),
                ((KEYS, 0), Vec::new(), Vec::new())
            );
            let checked: Vec<bool> = tables.files().iter().map(|(_, file)| file.is_checked()).collect();
            assert_eq!((checked, scrubber.round(&tables, &|| true)), (vec![false], 1), "it is checked, too");
            assert!(tables.files()[0].1.is_checked() && tables.damage().is_empty());
        }
    }

    #[test]
    fn a_damaged_generation_is_not_gone_back_to() {
        let root = tempfile::tempdir().unwrap();
        let config = config(root.path(), "background", "warm");
        let folder = Folder::of(&config, "hot").unwrap();
        let all: Vec<String> = (1..=3).map(|second| publish(&config, second)).collect();
        let tables = open(&config);
        damage(&folder.file(&all[2]));
        damage(&folder.file(&all[1]));
        assert_eq!(Scrubber::at_rate(None, HASTE).round(&tables, &|| true), 1);
        assert_eq!((read(&tables, 1), folder.current().unwrap()), ((KEYS, 0), Some(all[0].clone())));
        // By hand back to what is known to be damaged: it is not followed.
        let whole = std::fs::read_to_string(folder.path().join("CURRENT")).unwrap();
        std::fs::write(folder.path().join("CURRENT"), &all[2]).unwrap();
        assert!(tables.poll().is_empty());
        assert_eq!((read(&tables, 1), tables.damage().len()), ((KEYS, 0), 1));
        // Once its file is another one, nobody needs to know any more.
        std::fs::write(folder.path().join("CURRENT"), whole).unwrap();
        std::fs::copy(folder.file(&all[2]), folder.path().join("new")).unwrap();
        std::fs::rename(folder.path().join("new"), folder.file(&all[2])).unwrap();
        assert!(tables.poll().is_empty() && tables.damage().is_empty() && tables.errors().is_empty());
    }
}
