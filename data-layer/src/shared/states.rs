//! What partitions keep, read: states of people, and notes. What changes it is a commit, in `partition.rs`.

use redis::Value;

use super::link::Ask;
use super::{NoteKey, Partitions, Place};
use crate::types::Person;
use crate::{Error, Result};

impl Partitions {
    /// States of people, in order of asking; `None` where there is none. One pipelined read.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn states(&self, who: &[Person]) -> Result<Vec<Option<Vec<u8>>>> {
        self.blobs(who.iter().map(|person| self.keys().person(person)).collect()).await
    }

    /// Notes of partitions, in order of asking; `None` where there is none. One pipelined read.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn notes(&self, which: &[(Place, NoteKey)]) -> Result<Vec<Option<Vec<u8>>>> {
        self.blobs(which.iter().map(|(place, key)| self.keys().note(*place, *key)).collect()).await
    }

    async fn blobs(&self, keys: Vec<String>) -> Result<Vec<Option<Vec<u8>>>> {
        let answers = self.link().run_all(keys.into_iter().map(get).collect()).await;
        answers
            .into_iter()
            .map(|answer| match answer? {
                Value::Nil => Ok(None),
                Value::BulkString(bytes) => Ok(Some(bytes)),
                other => Err(Error::invalid(self.link().place(), format!("expected bytes, found {other:?}"))),
            })
            .collect()
    }
}

/// Asks for what stands under a key.
pub(super) fn get(key: String) -> Ask {
    let mut command = redis::cmd("GET");
    command.arg(&key);
    Ask { key, command }
}
