//! The log folder of a server, read as an outbox is: what is on the disk, in order, from any sequence on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::outbox::Records;
use crate::log::entries::segments;
use crate::log::{Cursor, Entry, Growth, Stream};
use crate::{Error, Result};

/// A log folder that is forwarded.
#[derive(Debug)]
pub struct Follower {
    folder: PathBuf,
    producer: u64,
    growth: Option<Arc<Growth>>,
    cursor: Cursor,
}

impl Follower {
    /// The events of a log. `growth` is that of the writer where it is in this process.
    #[must_use]
    pub fn new(folder: &Path, producer: u64, growth: Option<Arc<Growth>>) -> Self {
        let cursor = Cursor::new(folder, Stream::Events, 0, growth.clone());
        Self { folder: folder.to_owned(), producer, growth, cursor }
    }

    fn go(&mut self, after: u64) {
        self.cursor = Cursor::new(&self.folder, Stream::Events, after, self.growth.clone());
    }
}

impl Records for Follower {
    fn producer(&self) -> u64 {
        self.producer
    }

    fn seek(&mut self, after: u64) -> Result<()> {
        self.go(after);
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Entry>> {
        match self.cursor.read() {
            Err(Error::NotFound { .. }) => {
                let Some((oldest, _)) = segments(&self.folder)?.into_iter().next() else { return Ok(None) };
                let wanted = self.cursor.position().sequence + 1;
                tracing::error!(
                    from = wanted,
                    to = oldest - 1,
                    "events were removed after [log] retention before Redis had them; what is in Redis lacks them"
                );
                self.go(oldest.saturating_sub(1));
                self.cursor.read()
            }
            read => read,
        }
    }

    fn wait(&mut self, at_most: Duration) {
        self.cursor.wait(at_most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Writer;

    #[test]
    fn a_log_is_read_from_any_sequence_as_it_grows_and_from_its_oldest_record_where_older_are_gone() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer =
            Writer::open(folder.path(), Stream::Events, "main", 7).unwrap().with_segment_bytes(200);
        let mut append = |count: u64| {
            for _ in 0..count {
                writer.append(3, 5, 1, &[9; 100]);
                writer.flush().unwrap();
                writer.sync().unwrap();
            }
        };
        append(5);
        let mut log = Follower::new(folder.path(), 7, None);
        let read = |log: &mut Follower| {
            let mut found = Vec::new();
            while let Some(entry) = log.next().unwrap() {
                found.push(entry.sequence);
            }
            found
        };
        assert_eq!(read(&mut log), [1, 2, 3, 4, 5]);
        append(1);
        assert_eq!(read(&mut log), [6]);
        log.seek(4).unwrap();
        assert_eq!(read(&mut log), [5, 6]);
        let (oldest, path) = segments(folder.path()).unwrap().remove(0);
        std::fs::remove_file(path).unwrap();
        let left = segments(folder.path()).unwrap()[0].0;
        assert!(oldest < left && left < 6);
        log.seek(0).unwrap();
        assert_eq!(read(&mut log), (left..=6).collect::<Vec<_>>());
    }
}
