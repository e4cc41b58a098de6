//! Sealed segments written again, with what the plan makes of their records and the same sequences, and put in the place of the old ones
//! by rename. Whoever has the old one open reads it to its end and goes on by sequence. Not for the segment that is being written.

use std::path::Path;

use super::plan::{At, Fate, Plan};
use crate::log::{Anew, Entries, EntryRef, Stream, decision, format, record};
use crate::types::Partition;
use crate::{Error, Result};

/// Ending of a segment that is being written.
const DRAFT: &str = "erasing";

/// What becomes of a record of the log.
enum Becomes {
    Same,
    Void,
    Other(u8, Partition, Vec<u8>),
}

/// Writes a segment again where the plan changes anything in it; how many records that were. `ended` says to stop.
///
/// # Errors
/// Those of the log; the segment is then as it was.
pub(super) fn rewrite(
    folder: &Path,
    stream: Stream,
    (first, path): (u64, &Path),
    plan: &Plan,
    ended: &dyn Fn() -> bool,
) -> Result<u64> {
    let mut entries = Entries::sealed(folder, stream, first, path);
    let mut any = false;
    while let Some(entry) = entries.next_ref()? {
        any = !matches!(becomes(entry, folder, stream, plan)?, Becomes::Same);
        if any || ended() {
            break;
        }
    }
    if !any {
        return Ok(0);
    }
    let (mut anew, mut bytes, mut changed) = (Anew::begin(path, DRAFT)?, Vec::new(), 0);
    let mut entries = Entries::sealed(folder, stream, first, path);
    while let Some(entry) = entries.next_ref()? {
        let EntryRef { sequence, received_ms, .. } = entry;
        bytes.clear();
        match becomes(entry, folder, stream, plan)? {
            Becomes::Same => entry.encode_again(&mut bytes),
            Becomes::Void => {
                changed += 1;
                format::encode_record(&mut bytes, format::VOID, 0, sequence, received_ms, &[]);
            }
            Becomes::Other(kind, partition, payload) => {
                changed += 1;
                format::encode_record(&mut bytes, kind, partition, sequence, received_ms, &payload);
            }
        }
        anew.put(&bytes)?;
        if ended() {
            return Ok(0);
        }
    }
    anew.put_in_place()?;
    Ok(changed)
}

fn becomes(entry: EntryRef<'_>, folder: &Path, stream: Stream, plan: &Plan) -> Result<Becomes> {
    if entry.kind == format::VOID {
        return Ok(Becomes::Same);
    }
    if stream == Stream::Decisions {
        let gone = plan.drops(&decision(entry, folder)?);
        return Ok(if gone { Becomes::Void } else { Becomes::Same });
    }
    Ok(match plan.event(&record(entry, folder)?.event, At::Sequence(entry.sequence)) {
        Fate::Keep => Becomes::Same,
        Fate::Void => Becomes::Void,
        Fate::Change(event) => {
            let payload = format::encode_event(&event).map_err(|detail| Error::invalid("erasure", detail))?;
            let partition = event.person().map_or(0, |person| person.partition());
            Becomes::Other(format::kind_of(&event) | entry.kind & format::PAST, partition, payload)
        }
    })
}

/// Removes what lies beside the segments of a folder: drafts of a process that was killed, and bytes of torn groups, of which nobody
/// can say whom they are about.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn sweep(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(Error::io(folder))? {
        let path = entry.map_err(Error::io(folder))?.path();
        if path
            .extension()
            .is_some_and(|ending| ending == DRAFT || ending == "compacting" || ending == "torn")
        {
            tracing::info!(path = %path.display(), "removing it for an erasure");
            std::fs::remove_file(&path).map_err(Error::io(&path))?;
        }
    }
    Ok(())
}
