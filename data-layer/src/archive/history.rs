//! What an archive holds of a log from before the segments that are still there, record by record, wherever the archive is. For making state
//! anew; programs that ask questions read the Parquet itself.

use super::{Manifest, Store, read, rows};
use crate::config::Config;
use crate::log::Stream;
use crate::types::Record;
use crate::{Error, Result};

/// Records that are handed over together.
const CHUNK: usize = 1024;

/// Gives the archived events of a log before the sequence `before` to `take`, in order, some at a time. Those of a segment are fetched
/// into a folder that goes afterwards.
///
/// # Errors
/// [`Error::NotFound`] where there is no archive, or it does not begin with the first record; what the store and the files say; what `take` says.
pub(crate) fn before(
    config: &Config,
    producer: u64,
    before: u64,
    take: &mut dyn FnMut(Vec<Record>) -> Result<()>,
) -> Result<()> {
    let missing = |from: u64| Error::NotFound {
        what: "record",
        name: format!("{from} of log {producer:016x}"),
        hint:
            "; it is neither in the log nor in [log] archive, so state can't be made anew from the beginning"
                .to_owned(),
    };
    let Some(address) = &config.log.archive else { return Err(missing(1)) };
    let store = Store::open(address, &config.log.store, &config.namespace)?;
    let events = Stream::Events.folder();
    let own = format!("{producer:016x}-");
    let mut next = 1;
    for name in store.list(&format!("{events}/{}", super::MANIFESTS))? {
        let first = name.strip_prefix(&own).and_then(|rest| rest.strip_suffix(".json"));
        let Some(first) = first.and_then(|first| first.parse::<u64>().ok()).filter(|first| *first < before)
        else {
            continue;
        };
        if first != next {
            return Err(missing(next));
        }
        let place = format!("{events}/{}/{name}", super::MANIFESTS);
        let Some(bytes) = store.get(&place)? else { return Err(missing(next)) };
        let manifest = Manifest::parse(&bytes, &store.shown(&place))?;
        next = manifest.last + 1;
        segment(&store, events, manifest, take)?;
    }
    if next < before { Err(missing(next)) } else { Ok(()) }
}

fn segment(
    store: &Store,
    events: &str,
    manifest: Manifest,
    take: &mut dyn FnMut(Vec<Record>) -> Result<()>,
) -> Result<()> {
    let folder = tempfile::tempdir().map_err(Error::io("the folder for temporary files"))?;
    for day in &manifest.files {
        let path = folder.path().join(&day.name);
        let parent = path.parent().unwrap_or(folder.path());
        std::fs::create_dir_all(parent).map_err(Error::io(parent))?;
        let name = format!("{events}/{}", day.name);
        if !store.get_file(&name, &path)? {
            return Err(Error::Store { place: store.shown(&name), detail: "it is not there".to_owned() });
        }
    }
    let mut chunk = Vec::with_capacity(CHUNK);
    for record in read::segment(folder.path(), manifest, |path| {
        Ok(Box::new(rows::events(path)?.map(|row| row.map(|record| (record.sequence, record)))))
    }) {
        chunk.push(record?);
        if chunk.len() == CHUNK {
            take(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK)))?;
        }
    }
    take(chunk)
}
