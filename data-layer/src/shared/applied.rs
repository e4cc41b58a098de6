//! How far servers' logs have been taken by all partitions, told to the other servers, so that a request can wait for an event that another
//! server took; and what a Redis must be like. Not for how far one partition has come: that is its mark.

use redis::Value;

use super::link::Ask;
use super::{Link, Partitions};
use crate::types::Millis;
use crate::{Error, Result};

/// How long it is known after it was said last, in milliseconds.
const LIFE: Millis = 86_400_000;

impl Partitions {
    /// Says that all partitions have taken what a producer's log holds up to a sequence.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn say_applied(&self, producer: u64, sequence: u64) -> Result<()> {
        let (key, mut command) = (self.keys().applied(producer), redis::cmd("SET"));
        command.arg(&key).arg(sequence).arg("PX").arg(LIFE);
        self.link().run(Ask { key, command }).await.map(drop)
    }

    /// What was said last of a producer; 0 where nothing is known.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn applied(&self, producer: u64) -> Result<u64> {
        let (key, mut command) = (self.keys().applied(producer), redis::cmd("GET"));
        command.arg(&key);
        match self.link().run(Ask { key, command }).await? {
            Value::Nil => Ok(0),
            Value::BulkString(bytes) => std::str::from_utf8(&bytes)
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| Error::invalid(self.link().place(), "expected a sequence".to_owned())),
            other => {
                Err(Error::invalid(self.link().place(), format!("expected a sequence, found {other:?}")))
            }
        }
    }
}

impl Link {
    /// What keeps this Redis from being one that servers can share, if anything: it must not drop keys when it is full. In a cluster one
    /// server is asked.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn unfit(&self) -> Result<Option<String>> {
        let mut command = redis::cmd("INFO");
        command.arg("memory");
        let answer = self.run(Ask { key: "weir".to_owned(), command }).await?;
        let text = match answer {
            Value::BulkString(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Value::VerbatimString { text, .. } | Value::SimpleString(text) => text,
            _ => return Ok(None),
        };
        let policy = text.lines().find_map(|line| line.strip_prefix("maxmemory_policy:")).map(str::trim);
        Ok(policy.filter(|policy| *policy != "noeviction").map(|policy| {
            format!(
                "maxmemory-policy is {policy}: when Redis is full it drops what is known of people; set noeviction"
            )
        }))
    }
}
