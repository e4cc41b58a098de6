//! All of a namespace in Redis at once, while its outboxes stand still: whether everything that was sent has been taken, what there is of people,
//! and the same put back or removed. Not for what a state or a note means.

use std::collections::{BTreeMap, HashMap};

use redis::Value;

use super::keys::Stored;
use super::link::Ask;
use super::pause::texts;
use super::script::{self, Call};
use super::states::get;
use super::{Lane, Mark, NoteKey, Partitions, Place, StreamId, Which};
use crate::types::{Millis, Person};
use crate::{Error, Result};

/// Keys that are asked for in one call of a scan.
const PAGE: usize = 2_000;
/// Values that are written in one call.
const WRITES: usize = 1_000;

/// Something that partitions of people keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// The state of a person, with its lives.
    Person(Person, Vec<u8>),
    /// A note of a partition.
    Note(Place, NoteKey, Vec<u8>),
}

/// All partitions: people's, then items'.
pub fn places() -> impl Iterator<Item = Place> {
    Lane::People.places().chain(Lane::Items.places())
}

impl Partitions {
    /// The marks of all partitions, people's first, where everything that was sent has been taken, messages between people's partitions too;
    /// `None` where something is under way. True only while nothing new is sent.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn settled(&self) -> Result<Option<Vec<Mark>>> {
        let all: Vec<Place> = places().collect();
        let marks = self.marks(&all).await.into_iter().collect::<Result<Vec<Mark>>>()?;
        let after: Vec<(Place, StreamId)> =
            all.iter().zip(&marks).map(|(place, mark)| (*place, mark.at)).collect();
        if !self.entries(Which::Arrived, &after, 1).await?.is_empty()
            || !self.have_arrived(&all, &marks).await?
        {
            return Ok(None);
        }
        let again = self.marks(&all).await.into_iter().collect::<Result<Vec<Mark>>>()?;
        Ok((again == marks).then_some(marks))
    }

    /// Whether the last message of each partition of people to each other has arrived there.
    async fn have_arrived(&self, all: &[Place], marks: &[Mark]) -> Result<bool> {
        self.are_there(&self.awaited(all, marks).await?).await
    }

    /// From whom to whom partitions of people have sent messages, and the number of the last one for each, of those that stay.
    pub(super) async fn awaited(&self, all: &[Place], marks: &[Mark]) -> Result<Vec<(Place, Place, u64)>> {
        let senders: Vec<Place> = all
            .iter()
            .zip(marks)
            .filter(|(place, mark)| place.lane == Lane::People && mark.sent > 0)
            .map(|(place, _)| *place)
            .collect();
        let calls: Vec<Call> =
            senders.iter().map(|from| Call::new(&script::LAST, vec![self.keys().out(*from)])).collect();
        let mut awaited = Vec::new();
        for (from, answer) in senders.iter().zip(self.link().call_all(&calls).await) {
            let answer = answer?;
            let Value::Array(flat) = &answer else { return Err(self.strange(*from, &answer)) };
            for pair in flat.chunks_exact(2) {
                let (to, last) =
                    receiver(&pair[0]).zip(number(&pair[1])).ok_or_else(|| self.strange(*from, &answer))?;
                awaited.extend(to.map(|to| (*from, to, last)));
            }
        }
        Ok(awaited)
    }

    /// Whether messages up to these numbers have arrived.
    pub(super) async fn are_there(&self, awaited: &[(Place, Place, u64)]) -> Result<bool> {
        let asks = awaited.iter().map(|(from, to, _)| {
            let (key, mut command) = (self.keys().sent(*to), redis::cmd("HGET"));
            command.arg(&key).arg(from.to_string());
            Ask { key, command }
        });
        let answers = self.link().run_all(asks.collect()).await;
        for ((_, _, last), answer) in awaited.iter().zip(answers) {
            let arrived: u64 = texts(&answer?).first().and_then(|text| text.parse().ok()).unwrap_or(0);
            if arrived < *last {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Gives all states and notes to a function, in no order, some of them more than once; `between` is awaited now and then.
    ///
    /// # Errors
    /// [`Error::Store`]; what the functions say.
    pub async fn each_kept(
        &self,
        each: &mut dyn FnMut(Kept) -> Result<()>,
        between: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()> {
        self.each_kept_that(&|_| true, each, between).await
    }

    /// As [`Partitions::each_kept`], only those that are wanted.
    ///
    /// # Errors
    /// As there.
    pub(crate) async fn each_kept_that(
        &self,
        wanted: &dyn Fn(&Stored) -> bool,
        each: &mut dyn FnMut(Kept) -> Result<()>,
        between: &mut dyn FnMut() -> Result<()>,
    ) -> Result<()> {
        let pattern = format!("{}{{p*", self.keys().prefix());
        for node in self.nodes().await? {
            let mut cursor = "0".to_owned();
            loop {
                let (next, keys) = self.page(&node, &cursor, &pattern).await?;
                let stored: Vec<(String, Stored)> = keys
                    .into_iter()
                    .filter_map(|key| Some((key.clone(), self.keys().stored(&key)?)))
                    .filter(|(_, stored)| wanted(stored))
                    .collect();
                let asks = stored.iter().map(|(key, _)| get(key.clone())).collect();
                for ((_, stored), answer) in stored.into_iter().zip(self.link().run_all(asks).await) {
                    // What has run out of time meanwhile is gone.
                    let Value::BulkString(bytes) = answer? else { continue };
                    each(match stored {
                        Stored::Person(person) => Kept::Person(person, bytes),
                        Stored::Note(partition, key) => {
                            Kept::Note(Place { lane: Lane::People, partition }, key, bytes)
                        }
                    })?;
                }
                between()?;
                cursor = next;
                if cursor == "0" {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Whether the namespace has anything, save that it is paused, and of which servers it is.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn is_empty(&self) -> Result<bool> {
        Ok(self.all(true).await?.is_empty())
    }

    /// Removes everything that the namespace has, save that it is paused, and of which servers it is; how many keys that were.
    ///
    /// # Errors
    /// [`Error::Store`]; it can be done again.
    pub async fn remove_all(&self) -> Result<usize> {
        let keys = self.all(false).await?;
        for some in keys.chunks(WRITES) {
            let ask = |key: &String| {
                let mut command = redis::cmd("UNLINK");
                command.arg(key);
                Ask { key: key.clone(), command }
            };
            self.done(some.iter().map(ask).collect()).await?;
        }
        Ok(keys.len())
    }

    /// Puts states and notes into a namespace on which nobody works.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn put(&self, kept: impl IntoIterator<Item = Kept>) -> Result<()> {
        let (life, note_life) = self.lives();
        let mut asks = Vec::new();
        for one in kept {
            let (key, bytes, life) = match one {
                Kept::Person(person, bytes) => (self.keys().person(&person), bytes, life),
                Kept::Note(place, key, bytes) => (self.keys().note(place, key), bytes, note_life),
            };
            asks.push(set(key, bytes, Some(life)));
            if asks.len() == WRITES {
                self.done(std::mem::take(&mut asks)).await?;
            }
        }
        self.done(asks).await
    }

    /// Puts the marks of all partitions, and what each sender sent to them, into a namespace on which nobody works.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn put_marks(&self, marks: &BTreeMap<Place, Mark>) -> Result<()> {
        let mut asks = Vec::new();
        for (place, mark) in marks {
            if !mark.taken.is_empty() {
                let (key, mut command) = (self.keys().sent(*place), redis::cmd("HSET"));
                command.arg(&key);
                for (sender, sequence) in &mark.taken {
                    command.arg(sender.to_string()).arg(*sequence);
                }
                asks.push(Ask { key, command });
            }
            asks.push(set(self.keys().mark(*place), mark.encode(), None));
        }
        self.done(asks).await
    }

    async fn done(&self, asks: Vec<Ask>) -> Result<()> {
        self.link().run_all(asks).await.into_iter().try_for_each(|answer| answer.map(drop))
    }

    /// Keys of the namespace but those of the pause, and who has files of the namespace: all, or some.
    async fn all(&self, some: bool) -> Result<Vec<String>> {
        let (pattern, pause) = (format!("{}*", self.keys().prefix()), self.keys().pause());
        let servers = self.keys().erasures("servers");
        let mut all = Vec::new();
        for node in self.nodes().await? {
            let mut cursor = "0".to_owned();
            loop {
                let (next, keys) = self.page(&node, &cursor, &pattern).await?;
                all.extend(keys.into_iter().filter(|key| !key.starts_with(&pause) && *key != servers));
                cursor = next;
                if cursor == "0" || some && !all.is_empty() {
                    break;
                }
            }
        }
        Ok(all)
    }

    /// A key of each server: one alone, or those of a cluster that have partitions.
    async fn nodes(&self) -> Result<Vec<String>> {
        if !self.link().is_cluster() {
            return Ok(vec![self.keys().pause()]);
        }
        let keys: Vec<String> =
            places().map(|place| self.keys().mark(place)).chain([self.keys().pause()]).collect();
        let ask = |key: &String| {
            let mut command = redis::cmd("CLUSTER");
            command.arg("MYID");
            Ask { key: key.clone(), command }
        };
        let answers = self.link().run_all(keys.iter().map(ask).collect()).await;
        let mut nodes = HashMap::new();
        for (key, answer) in keys.into_iter().zip(answers) {
            nodes.insert(texts(&answer?), key);
        }
        Ok(nodes.into_values().collect())
    }

    /// One page of the keys of a server, and where the next begins; the last says `0`.
    async fn page(&self, node: &str, cursor: &str, pattern: &str) -> Result<(String, Vec<String>)> {
        let mut command = redis::cmd("SCAN");
        command.arg(cursor).arg("MATCH").arg(pattern).arg("COUNT").arg(PAGE);
        let answer = self.link().run(Ask { key: node.to_owned(), command }).await?;
        let Value::Array(two) = &answer else {
            let detail = format!("expected a page of keys, found {answer:?}");
            return Err(Error::invalid(self.link().place(), detail));
        };
        let next = two.first().map(texts).and_then(|mut next| next.pop()).unwrap_or_else(|| "0".to_owned());
        Ok((next, two.get(1).map(texts).unwrap_or_default()))
    }
}

fn set(key: String, bytes: Vec<u8>, life: Option<Millis>) -> Ask {
    let mut command = redis::cmd("SET");
    command.arg(&key).arg(bytes);
    if let Some(life) = life {
        command.arg("PX").arg(life);
    }
    Ask { key, command }
}

/// Whom a message is for, by its first bytes; within, `None` for every server.
fn receiver(head: &Value) -> Option<Option<Place>> {
    let Value::BulkString(head) = head else { return None };
    let [lane, low, high] = head.as_slice() else { return None };
    let partition = u16::from_le_bytes([*low, *high]);
    match lane {
        b'p' => Some(Some(Place { lane: Lane::People, partition })),
        b'i' => Some(Some(Place { lane: Lane::Items, partition })),
        b'*' => Some(None),
        _ => None,
    }
}

fn number(id: &Value) -> Option<u64> {
    texts(id).first()?.parse::<StreamId>().ok().map(|id| id.ms)
}
