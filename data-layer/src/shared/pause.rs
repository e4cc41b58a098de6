//! All outboxes stand still for a while, so that what is in Redis is as of one position of each log. Servers go on taking events, into their
//! logs, and answering. A pause ends by itself when whoever asked for it says nothing any more. Not for what is done meanwhile: `whole.rs`.

use std::collections::BTreeMap;

use redis::Value;

use super::link::Ask;
use super::script::{self, Call};
use super::{Lane, Partitions};
use crate::types::Millis;
use crate::{Error, Result};

/// A pause ends by itself after so many milliseconds without [`Partitions::prolong`].
pub const PAUSE: Millis = 10_000;

impl Partitions {
    /// Asks all outboxes to stand still, under a name that no other has; `false` where somebody else does so just now.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn pause(&self, token: &str) -> Result<bool> {
        let (key, mut command) = (self.keys().pause(), redis::cmd("SET"));
        command.arg(&key).arg(token).arg("NX").arg("PX").arg(PAUSE);
        Ok(self.link().run(Ask { key, command }).await? != Value::Nil)
    }

    /// Lets a pause last on.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::Invalid`] where it has ended by itself.
    pub async fn prolong(&self, token: &str) -> Result<()> {
        if self.paused().await?.as_deref() != Some(token) {
            let detail = "the pause has ended by itself: Redis or this machine was too slow; try again";
            return Err(Error::invalid(self.link().place(), detail));
        }
        let (key, mut command) = (self.keys().pause(), redis::cmd("PEXPIRE"));
        command.arg(&key).arg(PAUSE);
        self.link().run(Ask { key, command }).await.map(drop)
    }

    /// Ends a pause; one that has ended, or another one, is left as it is.
    ///
    /// # Errors
    /// [`Error::Store`]; it ends by itself then.
    pub async fn unpause(&self, token: &str) -> Result<()> {
        let keys = vec![self.keys().pause(), self.keys().still()];
        self.link().call(Call::new(&script::UNPAUSE, keys).arg(token)).await.map(drop)
    }

    /// The name of the pause that outboxes are asked for, if any.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn paused(&self) -> Result<Option<String>> {
        let (key, mut command) = (self.keys().pause(), redis::cmd("GET"));
        command.arg(&key);
        match self.link().run(Ask { key, command }).await? {
            Value::BulkString(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            _ => Ok(None),
        }
    }

    /// Says that every partition has a log up to a record, and none anything behind it, for as long as the pause of this name lasts.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn say_still(&self, token: &str, producer: u64, position: u64) -> Result<()> {
        let ask = |name: &str| (self.keys().still(), redis::cmd(name));
        let (key, mut set) = ask("HSET");
        set.arg(&key).arg(format!("{producer:016x}")).arg(format!("{position} {token}"));
        let (same, mut live) = ask("PEXPIRE");
        live.arg(&same).arg(PAUSE);
        let asks = vec![Ask { key, command: set }, Ask { key: same, command: live }];
        self.link().run_all(asks).await.into_iter().try_for_each(|answer| answer.map(drop))
    }

    /// Who stands still in a pause, with the last record that was sent of each log.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn still(&self, token: &str) -> Result<BTreeMap<u64, u64>> {
        let (key, mut command) = (self.keys().still(), redis::cmd("HGETALL"));
        command.arg(&key);
        let fields = texts(&self.link().run(Ask { key, command }).await?);
        let said = fields.chunks_exact(2).filter_map(|pair| {
            let (position, of) = pair[1].split_once(' ')?;
            let producer = u64::from_str_radix(&pair[0], 16).ok()?;
            (of == token).then_some((producer, position.parse().ok()?))
        });
        Ok(said.collect())
    }

    /// Producers of the servers that are at work.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn at_work(&self) -> Result<Vec<u64>> {
        let mut all = Vec::new();
        for lane in [Lane::People, Lane::Items] {
            let (key, mut command) = (self.keys().members(lane), redis::cmd("ZRANGE"));
            command.arg(&key).arg(0).arg(-1);
            let names = texts(&self.link().run(Ask { key, command }).await?);
            all.extend(names.iter().filter_map(|name| u64::from_str_radix(name, 16).ok()));
        }
        all.sort_unstable();
        all.dedup();
        Ok(all)
    }
}

/// The texts of a list, or of the pairs of a map.
pub(super) fn texts(answer: &Value) -> Vec<String> {
    match answer {
        Value::Array(all) => all.iter().flat_map(texts).collect(),
        Value::Map(pairs) => {
            pairs.iter().flat_map(|(key, value)| [texts(key), texts(value)].concat()).collect()
        }
        Value::BulkString(bytes) => vec![String::from_utf8_lossy(bytes).into_owned()],
        Value::SimpleString(text) => vec![text.clone()],
        Value::Int(number) => vec![number.to_string()],
        _ => Vec::new(),
    }
}
