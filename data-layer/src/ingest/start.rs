//! The start of the way in: the live store and the memory of duplicates, made again from the log. Not for what goes on then.

use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::Mutex;

use super::dedupe::{self, Dedupe};
use crate::archive::{Archivist, Bell, Store, Work};
use crate::config::Config;
use crate::live::Live;
use crate::log::{self, EntryRef, Holds, Stream, format, record};
use crate::{Error, Result};

/// Starts a thread of that name.
pub(super) fn spawn<T: Send + 'static>(
    name: &str,
    config: &Config,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    let thread = std::thread::Builder::new().name(name.to_owned());
    thread.spawn(work).map_err(Error::io(&config.log.dir))
}

/// Applies every record of the event log to an empty live store.
pub(super) fn replay(config: &Config, live: &Live, mut dedupe: Option<&mut Dedupe>) -> Result<()> {
    let folder = config.events_folder();
    let with_keys = dedupe.is_some();
    let decode = |entry: EntryRef<'_>| {
        if entry.kind == format::VOID {
            return Ok(None);
        }
        let record = record(entry, &folder)?;
        // Older versions wrote another payload for the same content.
        let key = match entry.version {
            _ if !with_keys => 0,
            format::RECORD_VERSION => dedupe::key(&record.event, entry.payload),
            _ => {
                let payload = format::encode_event(&record.event);
                dedupe::key(&record.event, &payload.map_err(|detail| Error::invalid("log", detail))?)
            }
        };
        Ok(Some((record, key)))
    };
    let (_, producer) = log::replay::replay(&folder, Stream::Events, 0, decode, |chunk| {
        let mut records = Vec::with_capacity(chunk.len());
        for (record, key) in chunk {
            if let Some(dedupe) = &mut dedupe {
                dedupe.insert(key, record.received_ms);
                dedupe.keep();
            }
            records.push(record);
        }
        live.apply(&records)
    })?;
    live.follow(producer.unwrap_or(live.applied().producer));
    Ok(())
}

/// Starts the thread that archives, where the configuration names an archive.
pub(super) fn archive(
    config: &Config,
    producer: u64,
    holds: &Arc<Mutex<Vec<Arc<dyn Holds>>>>,
    bell: &Arc<Bell>,
) -> Result<Option<Archivist>> {
    let Some(address) = &config.log.archive else { return Ok(None) };
    let work = Work {
        folder: config.log.dir.join(&config.namespace),
        producer,
        store: Store::open(address, &config.log.store, &config.namespace)?,
        retention: config.log.retention,
        holds: Arc::clone(holds),
        bell: Arc::clone(bell),
    };
    Archivist::start(work).map(Some)
}
