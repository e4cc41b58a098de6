//! Whether the streams of items reach back to where somebody stands, and what stays in them for whom: each server holds what its oldest snapshot
//! needs, and drops what nobody holds. Not for reading them: that is [`super::Tail`].

use redis::Value;

use super::message::chained;
use super::partition::entry;
use super::script::{self, Call};
use super::{Entry, Lane, Mark, Partitions, Place, StreamId, Which};
use crate::Result;
use crate::types::Millis;

/// What a stream of items is to a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fit {
    /// What comes next in it is what comes next.
    Next,
    /// It begins later.
    Later,
    /// It is another one, or it ends before.
    Other,
}

/// What a partition has sent and still holds.
#[derive(Debug, Clone)]
pub struct Reach {
    mark: Mark,
    first: Option<Entry>,
    /// Whether it holds the entry that was asked for.
    has: bool,
}

impl Reach {
    /// The first message that is there.
    #[must_use]
    pub fn first(&self) -> Option<StreamId> {
        self.first.as_ref().map(|first| first.id)
    }

    /// Behind the last message that was sent.
    #[must_use]
    pub fn last(&self) -> StreamId {
        StreamId { ms: self.mark.sent, number: self.mark.chain }
    }

    /// What the stream is to the position that was asked for.
    #[must_use]
    pub fn fit(&self, at: StreamId) -> Fit {
        if self.has || at == self.last() {
            return Fit::Next;
        }
        if self.mark.sent <= at.ms {
            return Fit::Other;
        }
        match &self.first {
            Some(first) if first.id.ms == at.ms + 1 => {
                match chained(at.number, &first.bytes) == first.id.number {
                    true => Fit::Next,
                    false => Fit::Other,
                }
            }
            Some(first) if first.id.ms <= at.ms => Fit::Other,
            _ => Fit::Later,
        }
    }
}

impl Partitions {
    /// What the streams of items hold, asked with the messages of these positions, by partition.
    ///
    /// # Errors
    /// [`crate::Error::Store`], [`crate::Error::Invalid`].
    pub async fn reach(&self, at: &[StreamId]) -> Result<Vec<Reach>> {
        // Each with its mark in one step: a message that comes between would look like others that are gone.
        let calls = Lane::Items.places().zip(at).map(|(place, at)| {
            let keys = vec![self.keys().mark(place), self.stream(Which::Out, place)];
            Call::new(&script::REACH, keys).arg(at.to_string())
        });
        let answers = self.link().call_all(&calls.collect::<Vec<_>>()).await;
        let read = |(place, answer): (Place, Result<Value>)| {
            let answer = answer?;
            let Value::Array(parts) = &answer else { return Err(self.strange(place, &answer)) };
            let [Value::BulkString(mark), Value::Int(has), Value::Array(first)] = parts.as_slice() else {
                return Err(self.strange(place, &answer));
            };
            let first = first.first().map(|first| entry(first).ok_or_else(|| self.strange(place, first)));
            Ok(Reach { mark: self.mark(place, mark)?, first: first.transpose()?, has: *has > 0 })
        };
        Lane::Items.places().zip(answers).map(read).collect()
    }

    /// Says for `life` milliseconds, under a name that stands for whoever needs it, that the streams of items are needed from these messages on:
    /// in a stream that has not the message that is meant, all are.
    ///
    /// # Errors
    /// [`crate::Error::Store`].
    pub async fn hold_items(&self, name: &str, at: &[StreamId], life: Millis) -> Result<()> {
        let calls = Lane::Items.places().zip(at).map(|(place, at)| {
            let keys = vec![self.keys().holds(place), self.stream(Which::Out, place)];
            Call::new(&script::HOLD, keys)
                .arg(format!("{}:{name}", Which::Out.name()))
                .arg(from(*at).to_string())
                .arg(life.to_string())
                .arg(at.to_string())
        });
        self.link()
            .call_all(&calls.collect::<Vec<_>>())
            .await
            .into_iter()
            .try_for_each(|answer| answer.map(drop))
    }

    /// Drops what the streams of items hold before these messages, save what somebody holds; nothing of a stream that has not the message that
    /// is meant. Gives how many were dropped.
    ///
    /// # Errors
    /// [`crate::Error::Store`].
    pub async fn trim_items(&self, at: &[StreamId]) -> Result<u64> {
        let calls = Lane::Items.places().zip(at).map(|(place, at)| {
            Call::new(&script::TRIM, vec![self.stream(Which::Out, place), self.keys().holds(place)])
                .arg(format!("{}:", Which::Out.name()))
                .arg(from(*at).ms.to_string())
                .arg("0")
                .arg(at.to_string())
        });
        let answers = self.link().call_all(&calls.collect::<Vec<_>>()).await;
        let mut dropped = 0;
        for (place, answer) in Lane::Items.places().zip(answers) {
            match answer? {
                Value::Int(count) => dropped += count as u64,
                other => return Err(self.strange(place, &other)),
            }
        }
        Ok(dropped)
    }
}

/// From a message on, itself included: by it the stream is known again.
fn from(at: StreamId) -> StreamId {
    StreamId { ms: at.ms, number: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(sent: u64, chain: u64, first: Option<(u64, u64)>, has: bool) -> Reach {
        let mark = Mark { sent, chain, ..Mark::default() };
        let first = first.map(|(ms, number)| Entry { id: StreamId { ms, number }, bytes: b"m".to_vec() });
        Reach { mark, first, has }
    }

    fn at(ms: u64, number: u64) -> StreamId {
        StreamId { ms, number }
    }

    #[test]
    fn a_position_is_known_by_its_message_the_next_one_or_the_end() {
        let next = chained(7, b"m");
        let begun = chained(0, b"m");
        for (reach, position, fit) in [
            (reach(0, 0, None, false), at(0, 0), Fit::Next),
            (reach(5, 1, Some((1, begun)), false), at(0, 0), Fit::Next),
            (reach(5, 1, Some((3, 9)), false), at(0, 0), Fit::Later),
            (reach(5, 1, Some((3, 9)), true), at(4, 7), Fit::Next),
            (reach(5, 1, Some((3, 9)), false), at(4, 7), Fit::Other),
            (reach(5, 1, Some((3, next)), false), at(2, 7), Fit::Next),
            (reach(5, 1, Some((3, next)), false), at(2, 8), Fit::Other),
            (reach(5, 1, Some((3, 9)), false), at(1, 8), Fit::Later),
            (reach(5, 1, Some((5, 1)), false), at(5, 1), Fit::Next),
            (reach(5, 1, Some((5, 1)), false), at(5, 2), Fit::Other),
            (reach(5, 1, Some((5, 1)), false), at(6, 1), Fit::Other),
            (reach(0, 0, None, false), at(6, 1), Fit::Other),
        ] {
            assert_eq!(reach.fit(position), fit, "{reach:?} {position}");
        }
    }
}
