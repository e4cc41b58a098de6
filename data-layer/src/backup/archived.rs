//! What an archive has of a log behind the end of a backup that is put back: the log goes on under its old identity, so those segments would stand
//! for others. Not for what was archived before that, which stays.

use super::Backup;
use crate::archive::{MANIFESTS, Manifest, Store};
use crate::config::Config;
use crate::log::{Entries, Stream};
use crate::{Error, Result};

/// Segments of an archive that reach behind the end of a log.
pub(super) struct Later {
    store: Option<Store>,
    /// Stream, name of the manifest, and what it says.
    segments: Vec<(Stream, String, Manifest)>,
}

impl Later {
    /// Those behind the log that was fetched into `drafts`, where the configuration names an archive.
    pub(super) fn than(config: &Config, drafts: &Config, backup: &Backup) -> Result<Self> {
        let Some(address) = &config.log.archive else {
            return Ok(Self { store: None, segments: Vec::new() });
        };
        let store = Store::open(address, &config.log.store, &config.namespace)?;
        let mut segments = Vec::new();
        for (stream, folder) in
            [(Stream::Events, drafts.events_folder()), (Stream::Decisions, drafts.decisions_folder())]
        {
            let mut entries = Entries::open(&folder, stream, 0)?;
            while entries.next_ref()?.is_some() {}
            let end = entries.last_sequence();
            let place = format!("{}/{MANIFESTS}", stream.folder());
            for name in store.list(&place)?.iter().filter(|name| name.starts_with(&backup.producer)) {
                let name = format!("{place}/{name}");
                let Some(bytes) = store.get(&name)? else { continue };
                let manifest = Manifest::parse(&bytes, &store.shown(&name))?;
                if manifest.last > end {
                    segments.push((stream, name, manifest));
                }
            }
        }
        Ok(Self { store: Some(store), segments })
    }

    /// Refuses where there are any, without `force`.
    pub(super) fn must_be_none(&self, force: bool) -> Result<()> {
        let (Some(store), Some((_, name, manifest)), false) = (&self.store, self.segments.first(), force)
        else {
            return Ok(());
        };
        let detail = format!(
            "expected an archive that ends where the backup does, found {} segments behind it (this one holds records {} to {}), which the log \
             that goes on would contradict; name another archive, or --force removes them",
            self.segments.len(),
            manifest.first,
            manifest.last
        );
        Err(Error::invalid(store.shown(name), detail))
    }

    /// Removes them, manifests first; how many there were.
    pub(super) fn remove(self) -> Result<usize> {
        let Some(store) = &self.store else { return Ok(0) };
        self.segments.iter().try_for_each(|(_, name, _)| store.remove(name))?;
        for (stream, _, manifest) in &self.segments {
            let files = manifest.files.iter().map(|day| format!("{}/{}", stream.folder(), day.name));
            files.into_iter().try_for_each(|name| store.remove(&name))?;
        }
        Ok(self.segments.len())
    }
}
