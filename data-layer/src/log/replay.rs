//! Reads a whole log in order with its payloads decoded on other threads, a segment each, so that whoever applies the records
//! waits for the disk and nothing else. Not for a log that grows: that is `cursor.rs`'s.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::entries::{Entries, segments};
use super::format::Stream;
use super::segment::{EntryRef, corrupt};
use crate::{Error, Result};

/// Records that are handed over together.
const CHUNK: usize = 1024;
/// Chunks of one segment that may wait to be taken: as many as are applied together.
const CHUNKS: usize = 64;
/// Threads that decode, at most.
const MOST_THREADS: usize = 4;

/// What a decoding thread sends: a part of a segment, or how the segment ended.
enum Part<T> {
    Chunk(Vec<T>),
    /// Sequence of the last record, and the log's identity where the segment had a header.
    End(u64, Option<u64>),
    Failed(Error),
}

/// Gives every record of a folder from the segment that holds `from` on to `decode`, on threads of its own, and what that made of
/// them to `take`, on this thread, in order, some at a time; `None` is left out. Returns the sequence of the last record and the log's
/// identity, where there is any segment.
///
/// # Errors
/// Those of [`Entries`] and of the two functions; nothing behind the first is taken.
pub fn replay<T: Send>(
    folder: &Path,
    stream: Stream,
    from: u64,
    decode: impl Fn(EntryRef<'_>) -> Result<Option<T>> + Sync,
    mut take: impl FnMut(Vec<T>) -> Result<()>,
) -> Result<(u64, Option<u64>)> {
    let mut list = segments(folder)?;
    let before = list.partition_point(|(first, _)| *first <= from).saturating_sub(1);
    list.drain(..before);
    if let Some((first, _)) = list.first()
        && *first > from.max(1)
    {
        return Err(Error::NotFound {
            what: "record",
            name: format!("{} of {}", from.max(1), folder.display()),
            hint: format!(
                "; the log begins with {first}: restore a snapshot, or bring its segments back from a backup"
            ),
        });
    }
    let (senders, receivers): (Vec<_>, Vec<_>) = list.iter().map(|_| sync_channel(CHUNKS)).unzip();
    let senders: Vec<parking_lot::Mutex<Option<SyncSender<Part<T>>>>> =
        senders.into_iter().map(|sender| parking_lot::Mutex::new(Some(sender))).collect();
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(sender) = senders.get(at).and_then(|sender| sender.lock().take()) else { return };
            let entries = Entries::over(folder, stream, [list[at].clone()].into(), at + 1 == list.len());
            // Nobody takes any more where an earlier segment failed.
            if send(entries, &decode, &sender).is_err() {
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..cores.saturating_sub(1).clamp(1, MOST_THREADS).min(list.len()) {
            scope.spawn(work);
        }
        in_order(&list, receivers, &mut take)
    })
}

/// Sends all of a segment; an error says that nobody takes it.
fn send<T>(
    mut entries: Entries,
    decode: &(impl Fn(EntryRef<'_>) -> Result<Option<T>> + Sync),
    to: &SyncSender<Part<T>>,
) -> std::result::Result<(), ()> {
    let mut chunk = Vec::with_capacity(CHUNK);
    loop {
        let decoded = match entries.next_ref() {
            Ok(Some(entry)) => decode(entry),
            Ok(None) => break,
            Err(error) => Err(error),
        };
        match decoded {
            Ok(decoded) => chunk.extend(decoded),
            Err(error) => {
                to.send(Part::Chunk(chunk)).map_err(drop)?;
                return to.send(Part::Failed(error)).map_err(drop);
            }
        }
        if chunk.len() == CHUNK {
            let full = std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK));
            to.send(Part::Chunk(full)).map_err(drop)?;
        }
    }
    to.send(Part::Chunk(chunk)).map_err(drop)?;
    to.send(Part::End(entries.last_sequence(), entries.producer())).map_err(drop)
}

/// Takes the segments one after the other and makes sure that each goes on where the one before ended.
fn in_order<T>(
    list: &[(u64, PathBuf)],
    receivers: Vec<Receiver<Part<T>>>,
    take: &mut impl FnMut(Vec<T>) -> Result<()>,
) -> Result<(u64, Option<u64>)> {
    let (mut last, mut producer) = (list.first().map_or(0, |(first, _)| first.saturating_sub(1)), None);
    for ((first, path), parts) in list.iter().zip(receivers) {
        if *first != last + 1 {
            let detail = format!("expected record {}, found record {first}; a segment is missing", last + 1);
            return Err(corrupt(path, "header", 0, detail));
        }
        loop {
            match parts.recv() {
                Ok(Part::Chunk(chunk)) => take(chunk)?,
                Ok(Part::End(end, of)) => {
                    if let (Some(known), Some(found)) = (producer, of)
                        && known != found
                    {
                        let detail = format!("expected log {known:016x}, found log {found:016x}");
                        return Err(corrupt(path, "header", 0, detail));
                    }
                    (last, producer) = (end, producer.or(of));
                    break;
                }
                Ok(Part::Failed(error)) => return Err(error),
                Err(_) => {
                    let detail = "a thread that decodes records has ended; this is a defect of the program";
                    return Err(Error::invalid(path.display().to_string(), detail));
                }
            }
        }
    }
    Ok((last, producer))
}
