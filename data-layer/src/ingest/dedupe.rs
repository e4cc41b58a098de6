//! Which events came before: by the client's id, else by content, within a window of receipt times. Rebuilt from the log at
//! start. About 50 bytes for each event of the window.

use std::collections::VecDeque;

use rustc_hash::FxHashMap;
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::types::time::MINUTE;
use crate::types::{Event, Millis};

/// How long an event is remembered where the configuration does not say.
pub const WINDOW: Millis = 10 * MINUTE;

/// What makes two events the same.
pub type Key = u128;

/// The key of an event; `payload` is what the log holds of it.
#[must_use]
pub fn key(event: &Event, payload: &[u8]) -> Key {
    let by_id = match event {
        Event::Interaction(e) => e.id.as_ref().map(|id| of_id(b'i', id.as_str())),
        Event::Impression(e) => e.id.as_ref().map(|id| of_id(b'v', id.as_str())),
        Event::Retraction(e) => Some(of_id(b'r', e.id.as_str())),
        // The receipt may have given it its time.
        Event::Load(e) => Some(of_id(b'l', &format!("{}\0{}\0{:?}", e.source, e.id, e.phase))),
        _ => None,
    };
    by_id.unwrap_or_else(|| xxh3_128(payload))
}

fn of_id(class: u8, id: &str) -> Key {
    let mut hash = Xxh3::new();
    hash.update(&[class, 0]);
    hash.update(id.as_bytes());
    hash.digest128()
}

/// Keys of the window.
#[derive(Debug)]
pub struct Dedupe {
    window: Millis,
    seen: FxHashMap<Key, Millis>,
    order: VecDeque<(Millis, Key)>,
}

impl Dedupe {
    /// Nothing remembered yet.
    #[must_use]
    pub fn new(window: Millis) -> Self {
        Self { window, seen: FxHashMap::default(), order: VecDeque::new() }
    }

    /// Remembers an event; `false` where it came before, within the window.
    pub fn insert(&mut self, key: Key, received_ms: Millis) -> bool {
        self.forget_before(received_ms - self.window);
        if let Some(before) = self.seen.get(&key)
            && (received_ms - before).abs() <= self.window
        {
            return false;
        }
        self.seen.insert(key, received_ms);
        self.order.push_back((received_ms, key));
        true
    }

    /// Takes back the newest so many that were remembered.
    pub fn take_back(&mut self, newest: usize) {
        for _ in 0..newest {
            if let Some((received, key)) = self.order.pop_back()
                && self.seen.get(&key) == Some(&received)
            {
                self.seen.remove(&key);
            }
        }
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    fn forget_before(&mut self, oldest: Millis) {
        while let Some((received, key)) = self.order.front().copied()
            && received < oldest
        {
            self.order.pop_front();
            // It may have come again since; then the later entry forgets it.
            if self.seen.get(&key) == Some(&received) {
                self.seen.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_forgets_and_a_failed_group_is_taken_back() {
        let mut dedupe = Dedupe::new(100);
        assert!(dedupe.insert(1, 1000));
        assert!(!dedupe.insert(1, 1100));
        assert!(dedupe.insert(1, 1101));
        assert!(dedupe.insert(2, 1101));
        dedupe.take_back(1);
        assert!(dedupe.insert(2, 1101));
        assert!(dedupe.insert(3, 2000));
        assert_eq!(dedupe.len(), 1);
    }
}
