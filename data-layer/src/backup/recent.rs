//! The newest records of a log, for what is remembered of events for a while only. Not for a replay.

use std::path::Path;

use crate::Result;
use crate::ingest::dedupe;
use crate::log::{Entries, Stream, entries::segments, format, record};
use crate::types::{Millis, Record};

/// Gives the records of a log that were received within `span` of the newest one, and older ones of their segment, in order, each with that by
/// which it is known for a repeat.
pub(super) fn recent(folder: &Path, span: Millis, each: &mut dyn FnMut(&Record, dedupe::Key)) -> Result<()> {
    let list = segments(folder)?;
    let mut newest = Millis::MIN;
    if let Some((last, _)) = list.last() {
        let mut entries = Entries::open(folder, Stream::Events, *last)?;
        while let Some(entry) = entries.next_ref()? {
            newest = newest.max(entry.received_ms);
        }
    }
    let since = newest.saturating_sub(span);
    let mut from = list.len().saturating_sub(1);
    while from > 0 {
        let mut entries = Entries::open(folder, Stream::Events, list[from].0)?;
        let first = entries.next_ref()?.map(|entry| entry.received_ms);
        if first.is_some_and(|first| first < since) {
            break;
        }
        from -= 1;
    }
    let Some((first, _)) = list.get(from) else { return Ok(()) };
    let mut entries = Entries::open(folder, Stream::Events, *first)?;
    while let Some(entry) = entries.next_ref()? {
        if entry.kind == format::VOID {
            continue;
        }
        let record = record(entry, folder)?;
        let key = crate::ingest::key_of(&entry, &record)?;
        each(&record, key);
    }
    Ok(())
}
