//! Erasures that all servers of a namespace take up, each in the files of its own log: who asked, which servers there are, and how far each of them is.
//! As texts; what they say is `crate::erase`'s.

use std::collections::BTreeMap;

use redis::Value;

use super::Partitions;
use super::link::Ask;
use super::pause::texts;
use crate::types::Millis;
use crate::{Error, Result};

/// What servers have told each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// What is to be erased, by the position of the record that asks for it.
    pub asked: BTreeMap<String, String>,
    /// Producers of all servers that ever were there, and when they last said so.
    pub servers: BTreeMap<u64, Millis>,
    /// How far which server is with which of them.
    pub states: BTreeMap<(String, u64), String>,
}

impl Partitions {
    /// Says that a server is there, and has files of its own.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn say_server(&self, producer: u64, now: Millis) -> Result<()> {
        let key = self.keys().erasures("servers");
        self.put_field("HSET", key, format!("{producer:016x}"), now.to_string()).await
    }

    /// Takes a server off the list; it is on it again once it says that it is there.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn forget_server(&self, producer: u64) -> Result<()> {
        self.drop_fields("servers", [format!("{producer:016x}")]).await
    }

    /// Drops what was told of an erasure, and how far servers are with it.
    ///
    /// # Errors
    /// [`Error::Store`]; it can be done again.
    pub async fn forget_erasure(&self, id: &str, told: &Told) -> Result<()> {
        let states = told.states.keys().filter(|(of, _)| of == id);
        let states = states.map(|(id, producer)| format!("{id} {producer:016x}"));
        self.drop_fields("states", states).await?;
        self.drop_fields("asked", [id.to_owned()]).await
    }

    /// Tells all servers of an erasure, unless they have been told.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn tell_erasure(&self, id: &str, what: String) -> Result<()> {
        self.put_field("HSETNX", self.keys().erasures("asked"), id.to_owned(), what).await
    }

    /// Says another thing of an erasure in the place of what was told.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn retell_erasure(&self, id: &str, what: String) -> Result<()> {
        self.put_field("HSET", self.keys().erasures("asked"), id.to_owned(), what).await
    }

    /// Says how far a server is with an erasure.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn say_erasing(&self, id: &str, producer: u64, state: &str) -> Result<()> {
        let key = self.keys().erasures("states");
        self.put_field("HSET", key, format!("{id} {producer:016x}"), state.to_owned()).await
    }

    /// All that was told.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Invalid`].
    pub async fn erasures(&self) -> Result<Told> {
        let servers = self.fields("servers").await?.into_iter();
        let states = self.fields("states").await?.into_iter().filter_map(|(key, state)| {
            let (id, producer) = key.split_once(' ')?;
            Some(((id.to_owned(), u64::from_str_radix(producer, 16).ok()?), state))
        });
        Ok(Told {
            asked: self.fields("asked").await?,
            servers: servers
                .filter_map(|(log, said)| {
                    Some((u64::from_str_radix(&log, 16).ok()?, said.parse().unwrap_or(0)))
                })
                .collect(),
            states: states.collect(),
        })
    }

    async fn fields(&self, what: &str) -> Result<BTreeMap<String, String>> {
        let (key, mut command) = (self.keys().erasures(what), redis::cmd("HGETALL"));
        command.arg(&key);
        let answer = self.link().run(Ask { key, command }).await?;
        if let Value::Array(_) | Value::Map(_) | Value::Nil = answer {
            let all = texts(&answer);
            return Ok(all.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect());
        }
        Err(Error::invalid(self.link().place(), format!("expected a hash, found {answer:?}")))
    }

    async fn drop_fields(&self, what: &str, fields: impl IntoIterator<Item = String>) -> Result<()> {
        let fields: Vec<String> = fields.into_iter().collect();
        if fields.is_empty() {
            return Ok(());
        }
        let (key, mut command) = (self.keys().erasures(what), redis::cmd("HDEL"));
        command.arg(&key).arg(fields);
        self.link().run(Ask { key, command }).await.map(drop)
    }

    async fn put_field(&self, name: &str, key: String, field: String, value: String) -> Result<()> {
        let mut command = redis::cmd(name);
        command.arg(&key).arg(field).arg(value);
        self.link().run(Ask { key, command }).await.map(drop)
    }
}
