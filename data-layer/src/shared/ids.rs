//! Ids of events that a partition has taken, so that the same event sent to two servers acts once. Kept by the owner, appended to Redis with the
//! commit, read again by whoever takes over. Forgotten after ten to twenty minutes of the stream's time.

use redis::Value;
use rustc_hash::FxHashSet;

use super::link::Ask;
use super::{Partitions, Place, StreamId};
use crate::types::Millis;
use crate::{Error, Result};

/// Milliseconds of one window. Ids of the current one and of the one before are known.
const WINDOW: u64 = 600_000;
/// How long a window's ids stay after the last one was added, in milliseconds.
pub(super) const LIFE: Millis = 3 * WINDOW as Millis;

/// The window in which an entry arrived.
pub(super) fn window_of(at: StreamId) -> u64 {
    at.ms / WINDOW
}

/// Ids that one partition knows: 8 bytes each in Redis, some 12 here.
#[derive(Debug, Clone, Default)]
pub(super) struct Ids {
    window: u64,
    current: FxHashSet<u64>,
    before: FxHashSet<u64>,
}

impl Ids {
    /// Whether an id was taken lately.
    pub(super) fn knows(&self, id: u64) -> bool {
        self.current.contains(&id) || self.before.contains(&id)
    }

    /// Remembers ids that were committed up to an entry.
    pub(super) fn add(&mut self, ids: &[u64], at: StreamId) {
        self.turn(window_of(at));
        self.current.extend(ids);
    }

    /// Forgets what is older than the window before this one.
    fn turn(&mut self, window: u64) {
        if window <= self.window {
            return;
        }
        self.before =
            if window == self.window + 1 { std::mem::take(&mut self.current) } else { FxHashSet::default() };
        self.current.clear();
        self.window = window;
    }
}

impl Partitions {
    /// Ids that partitions know, which have come as far as these entries.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(super) async fn ids(&self, places: &[(Place, StreamId)]) -> Result<Vec<Ids>> {
        let windows = |at: StreamId| [window_of(at), window_of(at).saturating_sub(1)];
        let asks =
            places.iter().flat_map(|(place, at)| windows(*at).map(|window| self.keys().ids(*place, window)));
        let asks = asks.map(|key| {
            let mut command = redis::cmd("GET");
            command.arg(&key);
            Ask { key, command }
        });
        let mut answers = self.link().run_all(asks.collect()).await.into_iter();
        let mut found = Vec::with_capacity(places.len());
        for (place, at) in places {
            let mut next = || match answers.next() {
                Some(Ok(Value::BulkString(bytes))) => Ok(read(&bytes)),
                Some(Ok(Value::Nil)) | None => Ok(FxHashSet::default()),
                Some(Ok(other)) => {
                    Err(Error::invalid(place.to_string(), format!("expected ids, found {other:?}")))
                }
                Some(Err(error)) => Err(error),
            };
            found.push(Ids { window: window_of(*at), current: next()?, before: next()? });
        }
        Ok(found)
    }
}

/// Eight bytes each.
fn read(bytes: &[u8]) -> FxHashSet<u64> {
    bytes.as_chunks::<8>().0.iter().map(|id| u64::from_le_bytes(*id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_known_in_its_window_and_the_next() {
        let at = |window: u64| StreamId { ms: window * WINDOW, number: 0 };
        let mut ids = Ids::default();
        ids.add(&[1, 2], at(5));
        assert!(ids.knows(1) && ids.knows(2) && !ids.knows(3));
        ids.add(&[3], at(6));
        assert!(ids.knows(1) && ids.knows(3));
        // What it was two windows ago is forgotten; so is all after a long rest.
        ids.add(&[], at(7));
        assert!(!ids.knows(1) && ids.knows(3));
        ids.add(&[4], at(20));
        assert!(!ids.knows(3) && ids.knows(4));
    }
}
