//! What was copied into the folders of tables: "copy it there" is a deployment. A generation that nobody built or published here is
//! verified, gated and published by the server. Not for noticing that something changed (`watch.rs`), nor for a folder's own steps.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;
use serde::Serialize;

use super::folder::Folder;
use super::gate::Gate;
use super::journal::{Journal, names_in};
use super::line::Line;
use super::pointer::Pointer;
use crate::config::{Config, check_name};
use crate::{Error, Result};

/// Who the journal names.
const WATCH: &str = "watch";
/// How long a file must stay as it is before it is read: whoever copies it may not be done.
pub const SETTLE: Duration = Duration::from_millis(100);

/// Looks for what was copied in, and remembers what was refused, so that it is told once and tried again only when it changes.
#[derive(Debug)]
pub struct Arrivals {
    config: Config,
    tables: Mutex<BTreeMap<String, Seen>>,
}

/// A generation that was copied in and is not published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// Which table.
    pub table: String,
    /// Which generation.
    pub generation: String,
    /// Why.
    pub detail: String,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} was copied in and is not published: {}", self.generation, self.detail)
    }
}

/// What one look did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arrived {
    /// Tables with the generation that is published now.
    pub published: Vec<(String, String)>,
    /// Whether a file is there that may still be written: worth another look after [`SETTLE`].
    pub unsettled: bool,
}

/// What is known of a table's files.
#[derive(Debug, Default)]
struct Seen {
    current: Option<String>,
    files: BTreeMap<String, File>,
}

#[derive(Debug, Clone, PartialEq)]
struct File {
    /// Length and time.
    state: (u64, SystemTime),
    since: Instant,
    verdict: Verdict,
    /// What the log says of it already: half a copy grows, and is told once.
    told: String,
}

#[derive(Debug, Clone, PartialEq)]
enum Verdict {
    /// It was not looked into yet.
    Open,
    /// It was built here, or published before: not ours to publish.
    Known,
    /// It is not newer than all that was ever published here.
    Old,
    /// Why it is not published, and whether that may be otherwise the next time although the file is the same.
    Refused { detail: String, passing: bool },
}

impl Seen {
    /// Takes note of what `CURRENT` names: where that is another one than before, the gate compares with another one, too.
    fn settle(&mut self, current: Option<&String>) {
        if self.current.as_ref() == current {
            return;
        }
        self.current = current.cloned();
        for file in self.files.values_mut().filter(|file| matches!(file.verdict, Verdict::Refused { .. })) {
            file.verdict = Verdict::Open;
        }
    }
}

impl Arrivals {
    /// Of the tables of a configuration.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self { config: config.clone(), tables: Mutex::default() }
    }

    /// What was copied in and is refused, by table, newest first.
    #[must_use]
    pub fn refused(&self) -> Vec<Refused> {
        let tables = self.tables.lock();
        let all = tables.iter().flat_map(|(table, seen)| {
            seen.files.iter().rev().filter_map(|(generation, file)| match &file.verdict {
                Verdict::Refused { detail, .. } => {
                    let (table, generation) = (table.clone(), generation.clone());
                    Some(Refused { table, generation, detail: detail.clone() })
                }
                _ => None,
            })
        });
        all.collect()
    }

    /// Looks through all tables once, and publishes what was copied in, is newer than all that was ever published, sound and within the
    /// gate.
    pub fn look(&self) -> Arrived {
        let mut tables = self.tables.lock();
        let mut arrived = Arrived::default();
        let names = names(&self.config);
        tables.retain(|name, _| names.contains(name));
        for name in names {
            let seen = tables.entry(name.clone()).or_default();
            let Ok(folder) = Folder::of(&self.config, &name) else { continue };
            match self.look_at(&folder.by(WATCH), seen, &mut arrived.unsettled) {
                Ok(Some(generation)) => arrived.published.push((name, generation)),
                Ok(None) => {}
                // What can't be listed or names nothing is reported by who serves it.
                Err(error) => tracing::debug!(table = name, %error, "not looked through for copies"),
            }
        }
        arrived
    }

    fn look_at(&self, folder: &Folder, seen: &mut Seen, unsettled: &mut bool) -> Result<Option<String>> {
        let pointer = Pointer::read(folder.path())?;
        let current = pointer.as_ref().map(|pointer| &pointer.current);
        seen.settle(current);
        let line = pointer.as_ref().and_then(|pointer| Line::parse(&pointer.current).ok());
        let listed: Vec<String> = folder.list()?.into_iter().map(|found| found.generation).collect();
        seen.files.retain(|name, _| listed.contains(name));
        let mut past = None;
        for generation in listed {
            let Some(file) = look_into(folder, &generation, seen) else { continue };
            if matches!(file.verdict, Verdict::Open | Verdict::Refused { passing: true, .. }) {
                if past.is_none() {
                    past = Some(Past::read(folder, pointer.as_ref())?);
                }
                if past.as_ref().is_some_and(|past| past.knows(&generation)) {
                    file.verdict = Verdict::Known;
                }
            }
            match file.verdict {
                // Without a pointer the newest is served as it is; what is older than one of ours does not go before it.
                Verdict::Known if current.is_none() => break,
                Verdict::Known | Verdict::Old | Verdict::Refused { passing: false, .. } => continue,
                _ => {}
            }
            if let Some(newest) = past.as_ref().and_then(|past| past.not_before(&generation)) {
                file.verdict = Verdict::Old;
                if file.told.is_empty() {
                    let table = folder.name();
                    tracing::warn!(
                        table,
                        generation,
                        newest,
                        "copied in, and not published: it is not newer than what was published here; publish it by its name if that is meant"
                    );
                }
            } else if file.since.elapsed() < SETTLE {
                *unsettled = true;
            } else if self.take(folder, &generation, line.as_ref(), file) {
                return Ok(Some(generation));
            }
        }
        Ok(None)
    }

    /// Publishes a generation, or remembers why not. Says so once.
    fn take(&self, folder: &Folder, generation: &str, over: Option<&Line>, file: &mut File) -> bool {
        let table = folder.name();
        match folder.publish_over(Some(generation), Gate::Within(self.config.tables.gate), Some(over)) {
            Ok(told) => {
                tracing::info!(table, generation, from = ?told.from, gate = ?told.gate, "published what was copied in");
                told.warnings.iter().for_each(|warning| tracing::warn!(table, generation, warning));
                if let Err(error) = folder.keep(self.config.tables.keep) {
                    tracing::warn!(table, %error, "old generations stay");
                }
                true
            }
            // Somebody else moved it meanwhile: the next look sees where to.
            Err(_) if folder.current_line().ok().flatten().as_ref() != over => false,
            Err(error) => {
                // What the system refused it may allow the next time.
                let passing = matches!(error, Error::Io { .. });
                let detail = error.to_string();
                let kind = match error {
                    Error::Corrupt { section, .. } => section,
                    _ => detail.clone(),
                };
                if file.told != kind {
                    tracing::warn!(
                        table,
                        generation,
                        detail,
                        "copied in, and not published; what is served stays, and the file is tried again when it changes"
                    );
                    file.told = kind;
                }
                file.verdict = Verdict::Refused { detail, passing };
                false
            }
        }
    }
}

/// What is remembered of a file, as it is now; `None` where it is gone.
fn look_into<'a>(folder: &Folder, generation: &str, seen: &'a mut Seen) -> Option<&'a mut File> {
    let state = state(folder, generation)?;
    let fresh = |told| File { state, since: Instant::now(), verdict: Verdict::Open, told };
    let file = seen.files.entry(generation.to_owned()).or_insert_with(|| fresh(String::new()));
    if file.state != state && file.verdict != Verdict::Known {
        *file = fresh(std::mem::take(&mut file.told));
    }
    Some(file)
}

/// What was published in a folder before, and what is known to have come otherwise than as a copy.
struct Past {
    story: Journal,
    published: BTreeSet<String>,
}

impl Past {
    fn read(folder: &Folder, pointer: Option<&Pointer>) -> Result<Self> {
        let story = Journal::story(folder.path())?;
        let lines =
            pointer.into_iter().flat_map(|pointer| std::iter::once(&pointer.current).chain(&pointer.history));
        let told = story.entries.iter().filter(|entry| entry.moves()).map(|entry| &entry.generation);
        let published = lines.chain(told).flat_map(|line| names_in(line)).map(str::to_owned).collect();
        Ok(Self { story, published })
    }

    fn knows(&self, generation: &str) -> bool {
        self.published.contains(generation) || self.story.knows(generation)
    }

    /// The newest generation that was ever published here, where this one is not newer.
    fn not_before(&self, generation: &str) -> Option<&str> {
        let newest = self.published.iter().map(String::as_str).max_by_key(|name| watermark(name))?;
        (watermark(generation) <= watermark(newest)).then_some(newest)
    }
}

/// Tables that have a folder.
fn names(config: &Config) -> Vec<String> {
    let entries = std::fs::read_dir(config.tables_root()).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.path().is_dir());
    folders.filter_map(|e| e.file_name().into_string().ok()).filter(|name| check_name(name).is_ok()).collect()
}

/// What generations are ordered by.
fn watermark(generation: &str) -> &str {
    generation.rsplit_once('-').map_or(generation, |(watermark, _)| watermark)
}

fn state(folder: &Folder, generation: &str) -> Option<(u64, SystemTime)> {
    let data = std::fs::metadata(folder.file(generation)).ok()?;
    Some((data.len(), data.modified().ok()?))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::keylist::Writer;
    use crate::publish::What;

    /// A generation of second `second`, built in a folder of its own: its name and its bytes.
    fn elsewhere(second: i64, lists: usize) -> (String, Vec<u8>) {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::at(root.path().join("hot")).unwrap();
        let mut writer = Writer::new(folder.spec(second * 1_000)).unwrap();
        for key in 0..lists {
            writer.push(format!("k{key}").as_str(), &[("a", second as f32)]).unwrap();
        }
        let built = folder.build(writer).unwrap();
        (built.generation, std::fs::read(built.path).unwrap())
    }

    fn put(folder: &Folder, generation: &str, bytes: &[u8]) {
        std::fs::create_dir_all(folder.path()).unwrap();
        std::fs::write(folder.file(generation), bytes).unwrap();
    }

    /// Looks until nothing is unsettled.
    fn look(arrivals: &Arrivals) -> Vec<(String, String)> {
        let mut published = Vec::new();
        loop {
            let arrived = arrivals.look();
            published.extend(arrived.published);
            if !arrived.unsettled {
                return published;
            }
            std::thread::sleep(SETTLE);
        }
    }

    fn start(root: &Path) -> (Folder, Arrivals) {
        let config = Config::in_folder(root).unwrap();
        (Folder::of(&config, "hot").unwrap(), Arrivals::new(&config))
    }

    #[test]
    fn what_is_copied_in_is_published_and_told() {
        let root = tempfile::tempdir().unwrap();
        let (folder, arrivals) = start(root.path());
        assert!(look(&arrivals).is_empty(), "there is no folder of tables yet");
        let (first, bytes) = elsewhere(1, 10);
        put(&folder, &first, &bytes);
        assert_eq!(look(&arrivals), [("hot".to_owned(), first.clone())], "also the first one of a table");
        let (second, bytes) = elsewhere(2, 10);
        put(&folder, &second, &bytes[..bytes.len() / 2]);
        assert!(look(&arrivals).is_empty());
        let refused = arrivals.refused();
        assert!(
            refused[0].generation == second && refused[0].detail.contains("corrupt header"),
            "{refused:?}"
        );
        put(&folder, &second, &bytes);
        assert_eq!(look(&arrivals), [("hot".to_owned(), second.clone())], "whole, it is tried again");
        assert_eq!((folder.current().unwrap(), arrivals.refused().len()), (Some(second.clone()), 0));
        let story = Journal::story(folder.path()).unwrap();
        let told = story.last_of(&second).unwrap();
        assert_eq!((told.what, told.by.as_str(), told.from.as_ref()), (What::Publish, "watch", Some(&first)));
    }

    #[test]
    fn what_is_not_newer_than_all_that_was_published_stays_where_it_is() {
        let root = tempfile::tempdir().unwrap();
        let (folder, arrivals) = start(root.path());
        let names: Vec<(String, Vec<u8>)> = [1, 3, 2, 4].into_iter().map(|s| elsewhere(s, 10)).collect();
        for (name, bytes) in &names[..2] {
            put(&folder, name, bytes);
            look(&arrivals);
        }
        put(&folder, &names[2].0, &names[2].1);
        assert!(look(&arrivals).is_empty() && arrivals.refused().is_empty(), "older than what is served");
        assert_eq!(folder.rollback().unwrap(), names[0].0);
        let (_, fresh) = start(root.path());
        for arrivals in [&arrivals, &fresh] {
            assert!(look(arrivals).is_empty(), "what is between the two does not undo a rollback");
        }
        put(&folder, &names[3].0, &names[3].1);
        assert_eq!(look(&arrivals), [("hot".to_owned(), names[3].0.clone())]);
    }

    #[test]
    fn who_looks_too_late_does_not_go_back() {
        let root = tempfile::tempdir().unwrap();
        let (folder, arrivals) = start(root.path());
        let (first, bytes) = elsewhere(1, 10);
        put(&folder, &first, &bytes);
        let (second, bytes) = elsewhere(2, 10);
        put(&folder, &second, &bytes);
        folder.publish(Some(&second), Gate::Sound).unwrap();
        // As another server does, which saw the first while nothing was published.
        let error = folder.publish_over(Some(&first), Gate::Sound, Some(None)).unwrap_err().to_string();
        assert!(error.contains(&second), "{error}");
        assert!(look(&arrivals).is_empty());
        assert_eq!(folder.current().unwrap(), Some(second));
    }

    #[test]
    fn what_was_built_here_or_rolled_back_from_is_left_alone() {
        let root = tempfile::tempdir().unwrap();
        let (folder, arrivals) = start(root.path());
        for second in 1..=3 {
            let mut writer = Writer::new(folder.spec(second * 1_000)).unwrap();
            writer.push("k0", &[("a", second as f32)]).unwrap();
            folder.build(writer).unwrap();
            if second < 3 {
                folder.publish(None, Gate::Sound).unwrap();
            }
        }
        let second = folder.current().unwrap();
        assert!(look(&arrivals).is_empty(), "the third was built, and waits");
        folder.rollback().unwrap();
        assert!(look(&arrivals).is_empty(), "the second was rolled back from");
        let (copied, bytes) = elsewhere(9, 1);
        put(&folder, &copied, &bytes);
        assert_eq!(look(&arrivals), [("hot".to_owned(), copied.clone())]);
        folder.rollback().unwrap();
        assert!(look(&arrivals).is_empty(), "so is what was copied in");
        // Also with a journal that nobody can read any more, as long as it holds the name.
        let damaged = std::fs::read_to_string(Journal::path(folder.path())).unwrap().replace('{', "(");
        std::fs::write(Journal::path(folder.path()), damaged).unwrap();
        let (_, fresh) = start(root.path());
        assert!(look(&fresh).is_empty());
        assert!(folder.current().unwrap() < second);
    }

    #[test]
    fn a_copy_does_not_go_before_what_was_built_later() {
        let root = tempfile::tempdir().unwrap();
        let (folder, arrivals) = start(root.path());
        let (copied, bytes) = elsewhere(1, 10);
        put(&folder, &copied, &bytes);
        let mut writer = Writer::new(folder.spec(2_000)).unwrap();
        writer.push("k", &[("a", 1.0)]).unwrap();
        let built = folder.build(writer).unwrap().generation;
        for _ in 0..2 {
            assert!(look(&arrivals).is_empty());
        }
        assert_eq!((folder.current().unwrap(), folder.served().unwrap()), (None, Some(built)));
    }

    #[test]
    fn the_gate_holds_for_copies_and_each_refusal_is_remembered() {
        let root = tempfile::tempdir().unwrap();
        let (folder, arrivals) = start(root.path());
        let (first, bytes) = elsewhere(1, 10);
        put(&folder, &first, &bytes);
        look(&arrivals);
        let (small, bytes) = elsewhere(3, 2);
        put(&folder, &small, &bytes);
        let (middle, bytes) = elsewhere(2, 9);
        put(&folder, &middle, &bytes);
        assert_eq!(look(&arrivals), [("hot".to_owned(), middle.clone())], "the newest that may be");
        assert!(look(&arrivals).is_empty());
        let refused = arrivals.refused();
        assert_eq!((refused.len(), &refused[0].generation), (1, &small));
        assert!(refused[0].detail.contains("least_coverage") && refused[0].detail.contains("--force"));
        folder.publish(Some(&small), Gate::Forced(crate::publish::Limits::default())).unwrap();
        assert!(look(&arrivals).is_empty() && arrivals.refused().is_empty(), "settled by hand");
        std::fs::remove_dir_all(folder.path()).unwrap();
        assert!(look(&arrivals).is_empty() && arrivals.refused().is_empty());
    }
}
