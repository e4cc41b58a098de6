//! People's partitions rid of what they keep for a while only: packets that were taken, messages that have arrived; and one value put in the place of
//! another. Not for what is to go from states and notes: that is who calls it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use redis::Value;

use super::link::Ask;
use super::script::{self, Call};
use super::whole::places;
use super::{Kept, Lane, Partitions, Place, StreamId, Which};
use crate::types::Millis;
use crate::types::time;
use crate::{Error, Result};

/// How often is looked whether something has arrived.
const LOOK: Duration = Duration::from_millis(20);

impl Partitions {
    /// Drops from people's partitions what had been sent on and what had arrived when this was called, once all of it has arrived and was taken.
    /// What Redis loses of that by an election within the last moments is not sent again.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::Invalid`] where something does not arrive, or is not taken, within `at_most`.
    pub(crate) async fn trim_people(&self, at_most: Duration) -> Result<()> {
        let until = Instant::now() + at_most;
        let late = |what: &str| {
            let detail = format!("{what} within {} s; it is tried again", at_most.as_secs());
            if Instant::now() < until { Ok(()) } else { Err(Error::invalid(self.link().place(), detail)) }
        };
        let all: Vec<Place> = places().collect();
        let marks = self.marks(&all).await.into_iter().collect::<Result<Vec<_>>>()?;
        let awaited = self.awaited(&all, &marks).await?;
        while !self.are_there(&awaited).await? {
            late("what partitions tell each other does not arrive")?;
            tokio::time::sleep(LOOK).await;
        }
        let mut last: BTreeMap<Place, u64> = BTreeMap::new();
        for (from, _, number) in &awaited {
            let known = last.entry(*from).or_insert(0);
            *known = (*number).max(*known);
        }
        let sent = last.iter().map(|(place, last)| (*place, StreamId { ms: last + 1, number: 0 }));
        self.trim_all(Which::Out, sent).await?;
        let (people, now) = (Lane::People.places().collect::<Vec<_>>(), self.time().await?);
        loop {
            let marks = self.marks(&people).await.into_iter().collect::<Result<Vec<_>>>()?;
            let at: Vec<(Place, StreamId)> =
                people.iter().copied().zip(marks.iter().map(|mark| mark.at)).collect();
            let waiting = self.entries(Which::Arrived, &at, 1).await?;
            if !waiting.iter().flat_map(|(_, entries)| entries).any(|entry| entry.id.ms <= now) {
                let behind =
                    |(place, at): (Place, StreamId)| (place, StreamId { number: at.number + 1, ..at });
                return self.trim_all(Which::Arrived, at.into_iter().map(behind)).await;
            }
            late("what arrived in partitions is not taken")?;
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn trim_all(&self, which: Which, first: impl Iterator<Item = (Place, StreamId)>) -> Result<()> {
        let call = |(place, first): (Place, StreamId)| {
            Call::new(&script::TRIM, vec![self.stream(which, place), self.keys().holds(place)])
                .arg(format!("{}:", which.name()))
                .arg(first.ms.to_string())
                .arg(first.number.to_string())
        };
        let calls: Vec<Call> = first.map(call).collect();
        self.link().call_all(&calls).await.into_iter().try_for_each(|answer| answer.map(drop))
    }

    /// The time of Redis, or of this machine where that is later.
    async fn time(&self) -> Result<u64> {
        let answer = self.link().run(Ask { key: self.keys().pause(), command: redis::cmd("TIME") }).await?;
        let seconds = super::pause::texts(&answer).first().and_then(|text| text.parse::<u64>().ok());
        let seconds = seconds.ok_or_else(|| {
            Error::invalid(self.link().place(), format!("expected a time, found {answer:?}"))
        })?;
        let own: Millis = time::now();
        Ok(((seconds + 1) * 1000).max(own.unsigned_abs()))
    }

    /// Puts another state or note in the place of one that is still as it was found, for as long as that would have stayed; `None` drops it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub(crate) async fn swap(&self, found: &Kept, next: Option<&[u8]>) -> Result<bool> {
        let (key, old) = match found {
            Kept::Person(person, bytes) => (self.keys().person(person), bytes),
            Kept::Note(place, key, bytes) => (self.keys().note(*place, *key), bytes),
        };
        let call = Call::new(&script::SWAP, vec![key]).arg(old.as_slice()).arg(next.unwrap_or_default());
        Ok(self.link().call(call).await? == Value::Int(1))
    }
}
