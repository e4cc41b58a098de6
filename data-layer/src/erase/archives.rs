//! Archived segments written again: new files, then the manifest over the old one, then the old files go. Cut off anywhere, the next
//! run removes what no manifest names. Not while the archive is added to: the caller holds its lock.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::plan::{At, Fate, Plan};
use super::secret::{Secret, hex};
use crate::archive::days;
use crate::archive::rows::{self, File};
use crate::archive::{Day, MANIFESTS, Manifest, Store};
use crate::log::Stream;
use crate::types::Record;
use crate::{Error, Result};

/// An archive that is rewritten.
pub(super) struct Archive<'a> {
    pub store: &'a Store,
    /// Identity of the log whose sequences the plan knows.
    pub producer: u64,
    /// A folder for what is fetched and written.
    pub drafts: PathBuf,
}

impl Archive<'_> {
    /// The manifests of a stream with their names, in order.
    pub(super) fn manifests(&self, stream: Stream) -> Result<Vec<(String, Manifest)>> {
        let folder = format!("{}/{MANIFESTS}", stream.folder());
        let mut found = Vec::new();
        for name in self.store.list(&folder)? {
            let name = format!("{folder}/{name}");
            if name.ends_with(".json")
                && let Some(bytes) = self.store.get(&name)?
            {
                found.push((name.clone(), Manifest::parse(&bytes, &self.store.shown(&name))?));
            }
        }
        Ok(found)
    }

    /// The events of this log that are archived before a sequence, segment by segment.
    pub(super) fn events(&self, before: u64, each: &mut dyn FnMut(&Record)) -> Result<()> {
        for (_, manifest) in self.manifests(Stream::Events)? {
            if !self.own(&manifest) || manifest.first >= before {
                continue;
            }
            for day in &manifest.files {
                let path = self.fetch(Stream::Events, day)?;
                rows::events(&path)?.try_for_each(|record| record.map(|record| each(&record)))?;
                remove(&path)?;
            }
        }
        Ok(())
    }

    fn own(&self, manifest: &Manifest) -> bool {
        manifest.producer == format!("{:016x}", self.producer)
    }

    /// Writes the files of a segment again where the plan changes anything in them: files written, records changed.
    pub(super) fn rewrite(
        &self,
        stream: Stream,
        name: &str,
        manifest: &Manifest,
        plan: &Plan,
    ) -> Result<(u64, u64)> {
        let (mut files, mut gone, mut changed) = (Vec::new(), Vec::new(), 0);
        for day in &manifest.files {
            let old = self.fetch(stream, day)?;
            let new = old.with_extension("new");
            let (rows, of_them) = match stream {
                Stream::Events => self.day_of_events(&old, &new, self.own(manifest), plan)?,
                Stream::Decisions => day_of_decisions(&old, &new, plan)?,
            };
            if of_them == 0 {
                files.push(day.clone());
            } else {
                changed += of_them;
                gone.push(format!("{}/{}", stream.folder(), day.name));
                if rows > 0 {
                    files.push(self.put(stream, day, &new, rows)?);
                }
            }
            remove(&old)?;
            remove(&new)?;
        }
        if gone.is_empty() {
            return Ok((0, 0));
        }
        let json = serde_json::to_vec_pretty(&Manifest { files, ..manifest.clone() });
        let json = json.map_err(|error| Error::invalid("the manifest", error.to_string()))?;
        self.store.put(name, json)?;
        gone.iter().try_for_each(|name| self.store.remove(name))?;
        Ok((gone.len() as u64, changed))
    }

    fn day_of_events(&self, old: &Path, new: &Path, own: bool, plan: &Plan) -> Result<(u64, u64)> {
        let fate = |record: &Record| {
            let at = if own { At::Sequence(record.sequence) } else { At::Time(record.received_ms) };
            plan.event(&record.event, at)
        };
        let (mut file, mut changed) = (File::create(new, Stream::Events)?, 0);
        for record in rows::events(old)? {
            let mut record = record?;
            match fate(&record) {
                Fate::Keep => {}
                Fate::Void => {
                    changed += 1;
                    continue;
                }
                Fate::Change(event) => {
                    changed += 1;
                    record.partition = event.person().map_or(0, |person| person.partition());
                    record.event = event;
                }
            }
            file.add_event(&record)?;
        }
        Ok((file.finish()?, changed))
    }

    /// Puts a file there under a name of its own, beside the old one.
    fn put(&self, stream: Stream, day: &Day, path: &Path, rows: u64) -> Result<Day> {
        let (bytes, sum) = days::sum_of(path)?;
        let stem = day.name.split('.').next().unwrap_or_default();
        let drawn = Secret::draw()?.hex();
        let name = format!("{stem}.{}.parquet", drawn.get(..8).unwrap_or_default());
        self.store.put_file(&format!("{}/{name}", stream.folder()), path)?;
        Ok(Day { name, rows, bytes, sum, by_time: day.by_time })
    }

    /// Brings a file here and holds it against its manifest.
    fn fetch(&self, stream: Stream, day: &Day) -> Result<PathBuf> {
        let name = format!("{}/{}", stream.folder(), day.name);
        let missing = || Error::NotFound {
            what: "file of the archive",
            name: self.store.shown(&name),
            hint: "; its manifest names it".to_owned(),
        };
        let bytes = self.store.get(&name)?.ok_or_else(missing)?;
        let sum = format!("{:016x}", xxh3_64(&bytes));
        if sum != day.sum {
            let detail = format!("expected the sum {}, found {sum}", day.sum);
            return Err(Error::Store { place: self.store.shown(&name), detail });
        }
        let path = self.drafts.join(format!("{}.parquet", hex(&xxh3_64(name.as_bytes()).to_le_bytes())));
        std::fs::write(&path, bytes).map_err(Error::io(&path))?;
        Ok(path)
    }

    /// Removes the files of a stream that no manifest names although their segment has one, or that are this log's: what a process that
    /// was killed left behind.
    pub(super) fn sweep(&self, stream: Stream) -> Result<()> {
        let manifests = self.manifests(stream)?;
        let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (_, manifest) in manifests {
            let segment = format!("{}-{:020}", manifest.producer, manifest.first);
            let files = manifest.files.iter().map(|day| format!("{}/{}", stream.folder(), day.name));
            named.insert(segment, files.collect());
        }
        let own = format!("{:016x}-", self.producer);
        for name in self.store.below(stream.folder())? {
            let Some(file) = name.rsplit('/').next().filter(|file| file.ends_with(".parquet")) else {
                continue;
            };
            let segment = file.split('.').next().unwrap_or_default();
            let stray = match named.get(segment) {
                Some(files) => !files.contains(&name),
                None => segment.starts_with(&own),
            };
            if stray {
                tracing::info!(file = self.store.shown(&name), "removing what no manifest names");
                self.store.remove(&name)?;
            }
        }
        Ok(())
    }
}

fn day_of_decisions(old: &Path, new: &Path, plan: &Plan) -> Result<(u64, u64)> {
    let (mut file, mut changed) = (File::create(new, Stream::Decisions)?, 0);
    for row in rows::decisions(old)? {
        let (sequence, decision) = row?;
        if plan.drops(&decision) {
            changed += 1;
        } else {
            file.add_decision(sequence, &decision)?;
        }
    }
    Ok((file.finish()?, changed))
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(path)(error)),
        _ => Ok(()),
    }
}
