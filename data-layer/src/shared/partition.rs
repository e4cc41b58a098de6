//! One partition in Redis: what arrives is appended to it, its owner reads, and commits effects and mark in one step. Not for who owns
//! it, nor for what a state means.

use std::time::Duration;

use redis::Value;

use super::keys::{Keys, NoteKey};
use super::link::Ask;
use super::message::{Message, chained};
use super::packet::Packet;
use super::script::{self, Call};
use super::states::get;
use super::{Link, Mark, Place, Sender, StreamId, ids};
use crate::types::{Millis, Person};
use crate::{Error, Result};

/// Entries that wait in one partition before no more are taken; senders keep theirs until there is room.
pub const MOST_WAITING: usize = 1000;
/// Streams asked for in one command.
const STREAMS: usize = 64;

/// What became of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// It is in, now or since an earlier try. The sender's last sequence there.
    In(u64),
    /// It does not follow this sequence, the sender's last one there: packets before it are missing, or it overlaps.
    Gap(u64),
    /// Too much waits.
    Full,
}

/// One entry of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands.
    pub id: StreamId,
    /// A packet, or a message.
    pub bytes: Vec<u8>,
}

/// What an owner made of the entries that it took.
#[derive(Debug, Clone)]
pub struct Commit {
    /// Of which partition.
    pub place: Place,
    /// Mark that the partition must have.
    pub expected: Mark,
    /// Mark afterwards. Its token must be new, its `sent` grown by the number of messages.
    pub next: Mark,
    /// New states of people of the partition; `None` deletes.
    pub states: Vec<(Person, Option<Vec<u8>>)>,
    /// New notes of the partition, of at least one byte.
    pub notes: Vec<(NoteKey, Vec<u8>)>,
    /// Messages, in order.
    pub messages: Vec<Message>,
    /// Ids that were taken for the first time.
    pub ids: Vec<u64>,
}

/// What became of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// All of it is in.
    Done,
    /// Nothing of it is in: the partition has this mark.
    Stale(Mark),
}

/// Which stream of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// What arrived.
    Arrived,
    /// What it sends on.
    Out,
}

/// The partitions of one namespace.
#[derive(Debug, Clone)]
pub struct Partitions {
    link: Link,
    keys: Keys,
    /// How long the state of a person stays who is heard of no more.
    life: Millis,
    /// How long a note stays.
    note_life: Millis,
}

/// How long a note stays unless something else is said.
const NOTE_LIFE: Millis = 86_400_000;

impl Partitions {
    /// Those of a namespace. The state of a person stays `life` milliseconds, above 0, after its last change.
    #[must_use]
    pub fn new(link: Link, namespace: &str, life: Millis) -> Self {
        Self { link, keys: Keys::new(namespace), life, note_life: NOTE_LIFE }
    }

    /// The same, with notes that stay so many milliseconds, above 0.
    #[must_use]
    pub fn with_note_life(self, note_life: Millis) -> Self {
        Self { note_life, ..self }
    }

    /// The same for a caller in a hurry: no call takes longer than this.
    #[must_use]
    pub fn hasty(self, at_most: Duration) -> Self {
        Self { link: self.link.within(at_most), ..self }
    }

    /// The same over the connections that there are now: [`Link::steady`].
    pub async fn steady(&self) -> Self {
        Self { link: self.link.steady().await, ..self.clone() }
    }

    /// How long a state and a note stay.
    pub(crate) fn lives(&self) -> (Millis, Millis) {
        (self.life, self.note_life)
    }

    /// The connection.
    #[must_use]
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Names of what is in Redis.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Appends packets, those of one sender for one partition in their order.
    ///
    /// # Errors
    /// Each its own, in its place: after [`Error::Store`] it may be in or not; the same packet can be appended again.
    pub async fn append(&self, packets: &[(Sender, Place, Packet)]) -> Vec<Result<Appended>> {
        let most = MOST_WAITING.to_string();
        let calls: Vec<Call> = packets
            .iter()
            .map(|(sender, place, packet)| {
                Call::new(&script::APPEND, vec![self.keys.arrived(*place), self.keys.sent(*place)])
                    .arg(sender.to_string())
                    .arg(packet.previous().to_string())
                    .arg(packet.last().to_string())
                    .arg(packet.encode(*sender))
                    .arg(most.as_str())
            })
            .collect();
        let answers = self.link.call_all(&calls).await;
        let read = |answer: &Value| match pair(answer)? {
            (0 | 1, Value::Int(sent)) => Some(Appended::In(*sent as u64)),
            (2, Value::Int(sent)) => Some(Appended::Gap(*sent as u64)),
            (3, _) => Some(Appended::Full),
            _ => None,
        };
        let answers = answers.into_iter().zip(packets);
        answers.map(|(answer, (_, place, _))| self.read(&answer?, *place, read)).collect()
    }

    /// Last sequences of a sender, by partition.
    ///
    /// # Errors
    /// Each its own, in its place.
    pub async fn sent(&self, sender: Sender, places: &[Place]) -> Vec<Result<u64>> {
        let ask = |place: &Place| {
            let (mut command, key) = (redis::cmd("HGET"), self.keys.sent(*place));
            command.arg(&key).arg(sender.to_string());
            Ask { key, command }
        };
        let answers = self.link.run_all(places.iter().map(ask).collect()).await;
        let read = |answer: &Value| match answer {
            Value::Nil => Some(0),
            Value::BulkString(bytes) => std::str::from_utf8(bytes).ok()?.parse().ok(),
            _ => None,
        };
        answers.into_iter().zip(places).map(|(answer, place)| self.read(&answer?, *place, read)).collect()
    }

    /// Marks, by partition.
    ///
    /// # Errors
    /// Each its own, in its place; [`Error::Invalid`] for a mark that a newer server made.
    pub async fn marks(&self, places: &[Place]) -> Vec<Result<Mark>> {
        let asked = places.iter().map(|place| get(self.keys.mark(*place))).collect();
        let answers = self.link.run_all(asked).await;
        answers
            .into_iter()
            .zip(places)
            .map(|(answer, place)| match answer? {
                Value::Nil => Ok(Mark::default()),
                Value::BulkString(bytes) => self.mark(*place, &bytes),
                other => Err(self.strange(*place, &other)),
            })
            .collect()
    }

    /// Entries of one stream of partitions after those named, at most so many of each; partitions without any are left out.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn entries(
        &self,
        which: Which,
        after: &[(Place, StreamId)],
        at_most: usize,
    ) -> Result<Vec<(Place, Vec<Entry>)>> {
        // In a cluster every partition may be on another server.
        let streams = if self.link.is_cluster() { 1 } else { STREAMS };
        let ask = |some: &[(Place, StreamId)]| {
            let mut command = redis::cmd("XREAD");
            command.arg("COUNT").arg(at_most).arg("STREAMS");
            for (place, _) in some {
                command.arg(self.stream(which, *place));
            }
            for (_, id) in some {
                command.arg(id.to_string());
            }
            Ask { key: self.stream(which, some[0].0), command }
        };
        let answers = self.link.run_all(after.chunks(streams).map(ask).collect()).await;
        let mut found = Vec::new();
        for (answer, some) in answers.into_iter().zip(after.chunks(streams)) {
            let (place, answer) = (some[0].0, answer?);
            let streams = match answer {
                Value::Nil => continue,
                Value::Array(streams) => streams,
                other => return Err(self.strange(place, &other)),
            };
            for stream in streams {
                let entries = self.stream_of(&stream, which, some);
                found.push(entries.ok_or_else(|| self.strange(place, &stream))?);
            }
        }
        Ok(found)
    }

    /// Puts commits in, each whole or not at all; at most one of a partition.
    ///
    /// # Errors
    /// Each its own, in its place. After [`Error::Store`] it may be in or not: the mark tells. [`Error::Invalid`] for a commit that is
    /// wrong in itself.
    pub async fn commit(&self, commits: &[Commit]) -> Vec<Result<Committed>> {
        let calls: Result<Vec<Call>> = commits.iter().map(|commit| self.call_of(commit)).collect();
        let calls = match calls {
            Ok(calls) => calls,
            Err(error) => {
                let detail = error.to_string();
                return commits.iter().map(|_| Err(Error::invalid("commit", detail.clone()))).collect();
            }
        };
        let answers = self.link.call_all(&calls).await;
        answers
            .into_iter()
            .zip(commits)
            .map(|(answer, commit)| {
                let answer = answer?;
                match pair(&answer) {
                    Some((0, _)) => Ok(Committed::Done),
                    Some((1, Value::BulkString(found))) => {
                        Ok(Committed::Stale(self.mark(commit.place, found)?))
                    }
                    _ => Err(self.strange(commit.place, &answer)),
                }
            })
            .collect()
    }

    fn call_of(&self, commit: &Commit) -> Result<Call> {
        let Commit { place, expected, next, states, notes, messages, ids } = commit;
        let wrong = |detail: String| Err(Error::invalid(format!("commit of {place}"), detail));
        if next.token == expected.token || next.at < expected.at {
            return wrong("expected a new token and an entry that is not before the last one".to_owned());
        }
        if next.sent != expected.sent + messages.len() as u64 {
            let detail =
                format!("expected {} + {} messages, found {}", expected.sent, messages.len(), next.sent);
            return wrong(detail);
        }
        let mut chain = expected.chain;
        let numbered = (expected.sent + 1..).zip(messages).map(|(ms, message)| {
            let bytes = message.encode();
            chain = chained(chain, &bytes);
            (StreamId { ms, number: chain }, bytes)
        });
        let numbered: Vec<(StreamId, Vec<u8>)> = numbered.collect();
        if next.chain != chain {
            return wrong("expected a mark behind its messages".to_owned());
        }
        let mut keys = vec![
            self.keys.mark(*place),
            self.keys.out(*place),
            self.keys.ids(*place, ids::window_of(next.at)),
        ];
        for (person, state) in states {
            if *place != (Place { lane: super::Lane::People, partition: person.partition() }) {
                return wrong(format!("expected its own people, found one of p{}", person.partition()));
            }
            if state.as_ref().is_some_and(Vec::is_empty) {
                return wrong("expected a state of at least one byte, found none".to_owned());
            }
            keys.push(self.keys.person(person));
        }
        if notes.iter().any(|(_, note)| note.is_empty()) {
            return wrong("expected a note of at least one byte, found none".to_owned());
        }
        keys.extend(notes.iter().map(|(key, _)| self.keys.note(*place, *key)));
        let mut call = Call::new(&script::COMMIT, keys)
            .arg(expected.encode())
            .arg(next.encode())
            .arg(self.life.to_string())
            .arg(ids.iter().flat_map(|id| id.to_le_bytes()).collect::<Vec<u8>>())
            .arg(ids::LIFE.to_string())
            .arg(states.len().to_string())
            .arg(self.note_life.to_string())
            .arg(messages.len().to_string());
        for (id, bytes) in numbered {
            call.push(id.to_string());
            call.push(bytes);
        }
        for (_, state) in states {
            call.push(state.as_deref().unwrap_or_default());
        }
        notes.iter().for_each(|(_, note)| call.push(note.as_slice()));
        Ok(call)
    }

    pub(super) fn stream(&self, which: Which, place: Place) -> String {
        match which {
            Which::Arrived => self.keys.arrived(place),
            Which::Out => self.keys.out(place),
        }
    }

    fn stream_of(
        &self,
        stream: &Value,
        which: Which,
        asked: &[(Place, StreamId)],
    ) -> Option<(Place, Vec<Entry>)> {
        let Value::Array(named) = stream else { return None };
        let [Value::BulkString(name), Value::Array(entries)] = named.as_slice() else { return None };
        let place = asked
            .iter()
            .map(|(place, _)| *place)
            .find(|place| self.stream(which, *place).as_bytes() == name)?;
        Some((place, entries.iter().map(entry).collect::<Option<_>>()?))
    }

    pub(super) fn mark(&self, place: Place, bytes: &[u8]) -> Result<Mark> {
        Mark::decode(bytes).map_err(|detail| Error::invalid(self.place(&self.keys.mark(place)), detail))
    }

    fn read<T>(&self, answer: &Value, place: Place, read: impl Fn(&Value) -> Option<T>) -> Result<T> {
        read(answer).ok_or_else(|| self.strange(place, answer))
    }

    pub(super) fn strange(&self, place: Place, found: &Value) -> Error {
        Error::invalid(self.place(&place.to_string()), format!("did not expect the answer {found:?}"))
    }

    fn place(&self, what: &str) -> String {
        format!("{}: {what}", self.link.place())
    }
}

impl Which {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Arrived => "in",
            Self::Out => "out",
        }
    }
}

fn pair(answer: &Value) -> Option<(i64, &Value)> {
    let Value::Array(two) = answer else { return None };
    let [Value::Int(number), value] = two.as_slice() else { return None };
    Some((*number, value))
}

pub(super) fn entry(entry: &Value) -> Option<Entry> {
    let Value::Array(parts) = entry else { return None };
    let [Value::BulkString(id), Value::Array(fields)] = parts.as_slice() else { return None };
    let [Value::BulkString(_), Value::BulkString(bytes)] = fields.as_slice() else { return None };
    Some(Entry { id: std::str::from_utf8(id).ok()?.parse().ok()?, bytes: bytes.clone() })
}
