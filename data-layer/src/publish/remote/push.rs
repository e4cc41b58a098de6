//! A publisher's side: uploads what a table's folder serves, then moves `CURRENT` in the store. Not for choosing what is good enough: what is
//! pushed was published, so it passed the gate.

use std::fs::File;
use std::io::Read;

use object_store::path::Path as Place;
use object_store::{Error as Said, GetOptions, ObjectStoreExt, PutMode, PutPayload, WriteMultipart};
use serde::Serialize;

use super::{CURRENT, Found, PARTS, Remote, Store, cause};
use crate::keylist::Verify;
use crate::publish::pointer::HISTORY;
use crate::publish::{Folder, Lock, Pointer, fault};
use crate::{Error, Result};

/// Bytes up to which a file is uploaded in one request, and least bytes of a part of a longer one.
const PART: u64 = 16 << 20;
/// Most parts of one upload that stores allow.
const MOST_PARTS: u64 = 10_000;
/// The header of a generation: its sums cover the whole file.
const HEADER: u64 = 4096;
/// Times that `CURRENT` is moved again because somebody else moved it meanwhile.
const TRIES: usize = 10;

/// What a push did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Pushed {
    /// Where to.
    pub to: String,
    /// Name of the table.
    pub table: String,
    /// What `CURRENT` in the store names now.
    pub generation: String,
    /// What it named before; `None` where there was none.
    pub from: Option<String>,
    /// Generations that were uploaded.
    pub uploaded: Vec<String>,
    /// Generations that were there.
    pub skipped: Vec<String>,
    /// Bytes that were uploaded.
    pub bytes: u64,
}

/// Told of bytes uploaded, and of how many, from time to time.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

impl Remote {
    /// Uploads what a folder serves, and makes it what the store's `CURRENT` names. A generation that is there with the same length and the
    /// same header is not uploaded again, unless `again`. Each is verified whole before, and by length and header afterwards.
    ///
    /// # Errors
    /// Nothing was ever published, a generation does not verify, or what the store said; its `CURRENT` then stays.
    pub fn push(&self, folder: &Folder, again: bool, progress: Progress<'_>) -> Result<Pushed> {
        if folder.namespace() != self.namespace {
            let detail = format!(
                "is of namespace {}, the store was opened for {}",
                folder.namespace(),
                self.namespace
            );
            return Err(Error::invalid(folder.path().display().to_string(), detail));
        }
        let local = Pointer::read(folder.path())?.ok_or_else(|| Error::NotFound {
            what: "generation",
            name: format!("published of table {}", folder.name()),
            hint: "; `weir table publish` one first, so that it has passed the gate".to_owned(),
        })?;
        // A folder that is not there may be one that is not mounted: it is not made.
        self.store()?;
        if let Store::Folder(path) = &self.store {
            let path = path.join(self.root.as_ref()).join(folder.name());
            std::fs::create_dir_all(&path).map_err(Error::io(&path))?;
        }
        let mut pushed = Pushed {
            to: self.address.to_string(),
            table: folder.name().to_owned(),
            generation: local.current.clone(),
            from: None,
            uploaded: Vec::new(),
            skipped: Vec::new(),
            bytes: 0,
        };
        for generation in
            super::pull::generations(&local.current).map_err(|detail| Error::invalid(CURRENT, detail))?
        {
            let table = folder.open(Some(&generation), Verify::Full)?;
            let bytes = table.header().file_length;
            drop(table);
            let sent = self.wait(self.put_generation(folder, &generation, bytes, again, progress))?;
            if sent {
                pushed.uploaded.push(generation)
            } else {
                pushed.skipped.push(generation)
            }
            pushed.bytes += if sent { bytes } else { 0 };
        }
        fault::point("push: checked");
        pushed.from = self.advance(folder.name(), &local)?;
        fault::point("push: done");
        Ok(pushed)
    }

    /// Uploads one file, if it is not there; whether it did.
    async fn put_generation(
        &self,
        folder: &Folder,
        generation: &str,
        bytes: u64,
        again: bool,
        progress: Progress<'_>,
    ) -> Result<bool> {
        let path = folder.file(generation);
        let mut file = File::open(&path).map_err(Error::io(&path))?;
        let mut header = vec![0; HEADER as usize];
        file.read_exact(&mut header).map_err(Error::io(&path))?;
        if !again && self.holds(folder.name(), generation, bytes, &header).await? {
            return Ok(false);
        }
        let place = self.file(folder.name(), generation);
        self.upload(&place, header.clone(), file, bytes, progress).await?;
        fault::point("push: uploaded");
        if self.holds(folder.name(), generation, bytes, &header).await? {
            return Ok(true);
        }
        let detail = format!("is not what was uploaded, {bytes} bytes; push it again");
        Err(Error::Store { place: self.shown(&place), detail })
    }

    /// Whether the store holds a generation of this length that starts with these bytes.
    async fn holds(&self, table: &str, generation: &str, bytes: u64, start: &[u8]) -> Result<bool> {
        let Some(found) = self.head(table, generation).await?.filter(|found| found.size == bytes) else {
            return Ok(false);
        };
        let said = |said| self.said(found.location.as_ref(), &said);
        let range = Some((0..start.len() as u64).into());
        let options = GetOptions { range, if_match: found.e_tag.clone(), ..GetOptions::default() };
        let there = self.store()?.get_opts(&found.location, options).await.map_err(said)?;
        Ok(there.bytes().await.map_err(said)? == *start)
    }

    /// Streams a file, whose start was read already, to a place; long ones in parts, [`PARTS`] of them at a time.
    async fn upload(
        &self,
        place: &Place,
        start: Vec<u8>,
        mut file: File,
        bytes: u64,
        progress: Progress<'_>,
    ) -> Result<()> {
        let store = self.store()?;
        let said = |said| self.said(place.as_ref(), &said);
        let read = |file: &mut File, first: Vec<u8>, most: u64| -> Result<Vec<u8>> {
            let (mut part, left) = (first, most);
            let wanted = left.saturating_sub(part.len() as u64);
            file.take(wanted).read_to_end(&mut part).map_err(Error::io(self.shown(place)))?;
            Ok(part)
        };
        if bytes <= PART {
            let whole = read(&mut file, start, bytes)?;
            store.put(place, PutPayload::from(whole)).await.map_err(said)?;
            progress(bytes, bytes);
            return Ok(());
        }
        let part = PART.max(bytes.div_ceil(MOST_PARTS).next_multiple_of(1 << 20));
        let upload = store.put_multipart(place).await.map_err(said)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, part as usize);
        let (mut first, mut done) = (start, 0);
        let sent = loop {
            let piece = match read(&mut file, std::mem::take(&mut first), part.min(bytes - done)) {
                Ok(piece) => piece,
                Err(error) => break Err(error),
            };
            if piece.is_empty() {
                break Ok(());
            }
            if let Err(error) = upload.wait_for_capacity(PARTS).await {
                break Err(said(error));
            }
            done += piece.len() as u64;
            upload.put(piece.into());
            progress(done, bytes);
        };
        match sent {
            Ok(()) => upload.finish().await.map(drop).map_err(said),
            Err(error) => {
                // Parts that can't be taken back are never read; a rule of the bucket for unfinished uploads removes them.
                let _ = upload.abort().await;
                Err(error)
            }
        }
    }

    /// Puts a pointer on top of the store's; what was there becomes history. Gives back what was current before.
    fn advance(&self, table: &str, local: &Pointer) -> Result<Option<String>> {
        // A folder can't compare and swap, so that is done under the same lock as by everybody else.
        let _lock = match &self.store {
            Store::Folder(path) => Some(Lock::take(&path.join(self.root.as_ref()).join(table))?),
            Store::S3(_) => None,
        };
        for _ in 0..TRIES {
            let found = match self.wait(self.pointer(table)) {
                // A pointer that names nothing is mended by moving it.
                Err(Error::Invalid { .. }) => None,
                other => other?,
            };
            let before = found.as_ref().map(|found| found.pointer.current.clone());
            let next = on_top(found.as_ref().map(|found| &found.pointer), local);
            if found.as_ref().is_some_and(|found| found.pointer == next) {
                return Ok(before);
            }
            if self.wait(self.put_pointer(table, &next, found))? {
                return Ok(before);
            }
        }
        let detail = format!("was moved by somebody else {TRIES} times in a row; push again");
        Err(Error::Store { place: self.shown(&self.root.clone().join(table).join(CURRENT)), detail })
    }

    /// Writes `CURRENT` if it still is what was found; whether it was.
    async fn put_pointer(&self, table: &str, next: &Pointer, found: Option<Found>) -> Result<bool> {
        let place = self.root.clone().join(table).join(CURRENT);
        let store = self.store()?;
        let mode = match (&self.store, found) {
            (Store::Folder(_), _) => PutMode::Overwrite,
            (Store::S3(_), Some(found)) if found.version.e_tag.is_some() => PutMode::Update(found.version),
            (Store::S3(_), Some(_)) => PutMode::Overwrite,
            (Store::S3(_), None) => PutMode::Create,
        };
        let text = next.text();
        let put = store.put_opts(&place, PutPayload::from(text.clone().into_bytes()), mode.into()).await;
        let put = match put {
            // A store that can't compare and swap: the last one wins.
            Err(Said::NotImplemented { .. }) => store.put(&place, PutPayload::from(text.into_bytes())).await,
            other => other,
        };
        match put {
            Ok(_) => Ok(true),
            Err(Said::Precondition { .. } | Said::AlreadyExists { .. } | Said::NotModified { .. }) => {
                Ok(false)
            }
            Err(said) => Err(cause::error(self.shown(&place), &said)),
        }
    }
}

/// The pointer with `local`'s current one on top, and all that either remembers below it.
fn on_top(store: Option<&Pointer>, local: &Pointer) -> Pointer {
    let below = store.into_iter().flat_map(|p| std::iter::once(&p.current).chain(&p.history));
    let mut history: Vec<String> = Vec::new();
    for line in below.chain(&local.history) {
        if *line != local.current && !history.contains(line) {
            history.push(line.clone());
        }
    }
    history.truncate(HISTORY);
    Pointer { current: local.current.clone(), history }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pointer(lines: &[&str]) -> Pointer {
        let history = lines[1..].iter().map(|line| (*line).to_owned()).collect();
        Pointer { current: lines[0].to_owned(), history }
    }

    #[test]
    fn a_push_goes_on_top_and_loses_no_step() {
        assert_eq!(on_top(None, &pointer(&["b", "a"])), pointer(&["b", "a"]));
        assert_eq!(on_top(Some(&pointer(&["x", "a"])), &pointer(&["b", "a"])), pointer(&["b", "x", "a"]));
        assert_eq!(on_top(Some(&pointer(&["b", "a"])), &pointer(&["a"])), pointer(&["a", "b"]), "a rollback");
    }
}
