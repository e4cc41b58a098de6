//! The snapshot that a server among others starts from: the newest of its own, else the newest that any of them copied to the store. Not for
//! whether what servers share reaches back to it: that is `ingest/shared/`'s.

use super::files::{self, Sort};
use super::{folder, maker, remembered, store};
use crate::config::Config;
use crate::ingest::dedupe::Dedupe;
use crate::live::snapshot::{self, Loaded, Maker};
use crate::types::Position;
use crate::{Error, Result, log};

/// What a server begins with.
pub(in crate::ingest) struct Begun {
    pub loaded: Loaded,
    /// Its name, where it is of this log: the number in it, and the log.
    pub own: Option<Position>,
    /// What made it, where that is not what makes state now.
    pub outdated: Option<Maker>,
}

/// The newest snapshot of items that is good, with what it remembers of the events of this log.
pub(in crate::ingest) fn begin(config: &Config, dedupe: &mut Dedupe) -> Result<Option<Begun>> {
    let producer = log::producer(&config.events_folder())?.unwrap_or_default();
    let own = match config.live.snapshots.every {
        Some(_) => {
            let (actions, keep) = (&config.actions, &config.live.keep);
            files::newest_good(&folder(config), Sort::Items, producer, actions, keep)?
        }
        None => None,
    };
    let own = own.map(|(number, loaded)| (Position { producer, sequence: number }, loaded));
    let found = match own {
        Some(own) => Some(own),
        None => given(config)?.or_else(|| copy(config)),
    };
    let Some((name, mut loaded)) = found else { return Ok(None) };
    let own = (name.producer == producer).then_some(name);
    let known = match own {
        // The log is read from the beginning for what it says of repeats: it is another one.
        None => false,
        Some(_) => match remembered(&mut loaded, dedupe) {
            Ok(()) => true,
            Err(detail) => {
                tracing::warn!(
                    detail,
                    "what a snapshot remembers of events can't be read: replaying the log"
                );
                *dedupe = Dedupe::new(config.log.dedupe);
                false
            }
        },
    };
    if !known {
        loaded.live.follow(producer);
        loaded.live.applied.send_replace(0);
    }
    let outdated = Some(loaded.head.maker.clone()).filter(|made| *made != maker(config));
    tracing::info!(position = %loaded.head.position(), items = loaded.head.items, "loaded a snapshot of items");
    Ok(Some(Begun { loaded, own, outdated }))
}

/// The newest that somebody put here of another log, as after a restore.
fn given(config: &Config) -> Result<Option<(Position, Loaded)>> {
    for (number, path) in Sort::Items.list(&folder(config), None)? {
        if let Some(loaded) = good(snapshot::load(&path, &config.actions, &config.live.keep))? {
            return Ok(Some((Position { sequence: number, ..loaded.head.position() }, loaded)));
        }
    }
    Ok(None)
}

/// The newest copy in the store; one that is away is told of, and there is none then.
fn copy(config: &Config) -> Option<(Position, Loaded)> {
    let fetched = store(config).and_then(|store| match store {
        None => Ok(None),
        Some(store) => files::try_copies(&folder(config), &store, |path, name| {
            let loaded = good(snapshot::load(path, &config.actions, &config.live.keep))?;
            Ok(loaded.map(|loaded| (name, loaded)))
        }),
    });
    fetched.unwrap_or_else(|error| {
        tracing::warn!(%error, "no snapshot could be fetched");
        None
    })
}

/// What can't be read is left out with a warning.
pub(in crate::ingest) fn good<T>(loaded: Result<T>) -> Result<Option<T>> {
    match loaded {
        Ok(loaded) => Ok(Some(loaded)),
        Err(error @ Error::Newer { .. }) => Err(error),
        Err(error) => {
            tracing::warn!(%error, "a snapshot can't be used; another one must do");
            Ok(None)
        }
    }
}
