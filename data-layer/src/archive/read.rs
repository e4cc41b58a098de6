//! Reads an archive in a folder as the log it was: the records in order, each file checked against its manifest. A folder that is a log is
//! read as one. Not for archives in object storage: bring those to a folder first.

use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::{MANIFESTS, Manifest, rows};
use crate::config::namespace_root;
use crate::log::{self, Stream};
use crate::types::{Decision, Record};
use crate::{Error, Result};

/// An iterator over what a log holds of one kind.
pub type Records<T> = Box<dyn Iterator<Item = Result<T>>>;

/// Every event of a namespace, oldest first. `dir` is `[log].dir`, or a folder with an archive.
///
/// # Errors
/// [`Error::NotFound`] where there is neither; then per record those of the log or of its files, after which nothing follows.
pub fn events(dir: &Path, namespace: &str) -> Result<Records<Record>> {
    match archived(dir, namespace, Stream::Events)? {
        None => Ok(Box::new(log::Reader::events(dir, namespace)?)),
        Some(archived) => Ok(Box::new(Merged::new(archived, |path| {
            let rows = rows::events(path)?;
            Ok(Box::new(rows.map(|row| row.map(|record| (record.sequence, record)))))
        }))),
    }
}

/// Every decision of a namespace, oldest first; as [`events`].
///
/// # Errors
/// As [`events`].
pub fn decisions(dir: &Path, namespace: &str) -> Result<Records<Decision>> {
    match archived(dir, namespace, Stream::Decisions)? {
        None => Ok(Box::new(log::Reader::decisions(dir, namespace)?)),
        Some(archived) => Ok(Box::new(Merged::new(archived, |path| Ok(Box::new(rows::decisions(path)?))))),
    }
}

/// The records of one segment whose days are in a folder, each held against its sum.
pub(super) fn segment<T: 'static>(
    folder: &Path,
    manifest: Manifest,
    open: Open<T>,
) -> impl Iterator<Item = Result<T>> {
    Merged::new(vec![(folder.to_owned(), manifest)], open)
}

/// The manifests of an archive in `dir`, in order; `None` where it is a log, or nothing.
fn archived(dir: &Path, namespace: &str, stream: Stream) -> Result<Option<Vec<(PathBuf, Manifest)>>> {
    let root = namespace_root(dir, namespace);
    // Either stream may have nothing yet.
    let is_archive = |stream: Stream| root.join(stream.folder()).join(MANIFESTS).is_dir();
    let is_log = log::is_log(dir, namespace);
    if is_log || !(is_archive(Stream::Events) || is_archive(Stream::Decisions)) {
        return Ok(None);
    }
    let folder = root.join(stream.folder());
    let manifests = folder.join(MANIFESTS);
    let mut found = Vec::new();
    if !manifests.is_dir() {
        return Ok(Some(found));
    }
    for entry in std::fs::read_dir(&manifests).map_err(Error::io(&manifests))? {
        let path = entry.map_err(Error::io(&manifests))?.path();
        if path.extension().is_some_and(|ending| ending == "json") {
            let bytes = std::fs::read(&path).map_err(Error::io(&path))?;
            found.push((folder.clone(), Manifest::parse(&bytes, &path.display().to_string())?));
        }
    }
    found.sort_by(|(_, a), (_, b)| (&a.producer, a.first).cmp(&(&b.producer, b.first)));
    for pair in found.windows(2) {
        let (before, after) = (&pair[0].1, &pair[1].1);
        if before.producer == after.producer && before.last + 1 != after.first {
            let detail =
                format!("expected a segment from record {}, found one from {}", before.last + 1, after.first);
            return Err(Error::Corrupt { path: manifests, section: "segments".into(), offset: 0, detail });
        }
    }
    Ok(Some(found))
}

/// Opens the rows of one file, with their sequences.
pub(super) type Open<T> = fn(&Path) -> Result<Records<(u64, T)>>;

/// The records of segments, one segment after the other, those of its days by their sequence.
struct Merged<T> {
    waiting: std::vec::IntoIter<(PathBuf, Manifest)>,
    open: Open<T>,
    /// Of the segment that is read.
    days: Vec<DayRows<T>>,
    failed: bool,
}

/// The rows of one day that have not been given out.
struct DayRows<T> {
    next: (u64, T),
    rest: Records<(u64, T)>,
}

impl<T: 'static> Merged<T> {
    fn new(archived: Vec<(PathBuf, Manifest)>, open: Open<T>) -> Self {
        Self { waiting: archived.into_iter(), open, days: Vec::new(), failed: false }
    }

    fn read(&mut self) -> Result<Option<T>> {
        while self.days.is_empty() {
            let Some((folder, manifest)) = self.waiting.next() else { return Ok(None) };
            for day in &manifest.files {
                let path = folder.join(&day.name);
                check(&path, day)?;
                let mut rows = (self.open)(&path)?;
                if day.by_time {
                    // Back to the order of the log. What a segment holds fits into memory.
                    let mut all = rows.collect::<Result<Vec<_>>>()?;
                    all.sort_unstable_by_key(|(sequence, _)| *sequence);
                    rows = Box::new(all.into_iter().map(Ok));
                }
                if let Some(next) = rows.next().transpose()? {
                    self.days.push(DayRows { next, rest: rows });
                }
            }
        }
        let least = self.days.iter().enumerate().min_by_key(|(_, day)| day.next.0);
        let Some(at) = least.map(|(at, _)| at) else { return Ok(None) };
        let following = self.days[at].rest.next().transpose()?;
        Ok(Some(match following {
            Some(following) => std::mem::replace(&mut self.days[at].next, following).1,
            None => self.days.swap_remove(at).next.1,
        }))
    }
}

impl<T: 'static> Iterator for Merged<T> {
    type Item = Result<T>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.read().transpose();
        self.failed = matches!(next, Some(Err(_)));
        next
    }
}

/// Holds a file against its manifest.
fn check(path: &Path, day: &super::Day) -> Result<()> {
    let bytes = std::fs::read(path).map_err(Error::io(path))?;
    let sum = format!("{:016x}", xxh3_64(&bytes));
    if bytes.len() as u64 != day.bytes || sum != day.sum {
        let detail = format!(
            "expected {} bytes with the sum {}, found {} with {sum}; fetch it again from where it was archived",
            day.bytes,
            day.sum,
            bytes.len()
        );
        return Err(Error::Corrupt { path: path.to_owned(), section: "file".into(), offset: 0, detail });
    }
    Ok(())
}
