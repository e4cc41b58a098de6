//! Records onto the live side, in order of the log: first the side of people (`people.rs`), which says what follows for items, then the side
//! of items (`items.rs`). Nothing looks at a clock, so that replay equals the first run. Not for what an event does: that is `consumer/`.

mod items;
pub(crate) mod people;

use std::sync::mpsc::{channel, sync_channel};

use super::consumer::Effect;
use super::consumer::together::ByItem;
use crate::Result;
use crate::live::{Deeds, Live};
use crate::types::Record;
use people::PeopleSide;

/// Records whose effects on items are applied under one write lock.
const CHUNK: usize = 64;
/// Of so many records and more, a start from the log for one, the two sides are done on two threads.
const MANY: usize = 4096;
/// Records that are handed from side to side at once then.
const LARGE: usize = 4096;

impl Live {
    /// Applies records, in order of their sequence, by every consumer. Sequences must grow; gaps are allowed, so that a
    /// caller without a log may number its own.
    ///
    /// # Errors
    /// None of a store in this process.
    pub fn apply(&self, records: &[Record]) -> Result<()> {
        let mut deeds = self.deeds.lock();
        if records.len() > MANY {
            self.side_by_side(records, &mut deeds);
            return Ok(());
        }
        let mut effects = Vec::new();
        for chunk in records.chunks(CHUNK) {
            self.apply_people(chunk, &mut deeds, &mut effects);
            self.apply_effects(&effects);
            effects.clear();
            if let Some(last) = chunk.last() {
                self.applied.send_replace(last.sequence);
            }
        }
        Ok(())
    }

    /// While one thread changes items by what followed from some records, this one changes people by the next ones.
    fn side_by_side(&self, records: &[Record], deeds: &mut Deeds) {
        // One waits, one is being applied, one is being made.
        let (to_items, from_people) = sync_channel::<(Vec<Effect<'_>>, u64)>(1);
        let (to_people, spare) = channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                let mut pairs = ByItem::default();
                for (mut effects, last) in from_people {
                    self.apply_many(&effects, &mut pairs);
                    self.applied.send_replace(last);
                    effects.clear();
                    // Nobody wants it back after the last one.
                    let _ = to_people.send(effects);
                }
            });
            for chunk in records.chunks(LARGE) {
                let mut effects = spare.try_recv().unwrap_or_default();
                self.apply_people(chunk, deeds, &mut effects);
                let last = chunk.last().map_or(0, |record| record.sequence);
                if to_items.send((effects, last)).is_err() {
                    // That thread has panicked, and so does this one where it is waited for.
                    return;
                }
            }
            drop(to_items);
        });
    }

    fn apply_people<'e>(&self, records: &'e [Record], deeds: &mut Deeds, effects: &mut Vec<Effect<'e>>) {
        let (people, ids, actions, keep) = (&self.people, &*self.ids, &*self.actions, &*self.keep);
        let mut side = PeopleSide { people, ids, deeds, actions, keep, touched: None };
        records.iter().for_each(|record| side.record(record, effects));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Actions;
    use crate::live::{Items, Scored, codec};
    use crate::types::event::{Impression, Interaction, Retraction, Seen};
    use crate::types::{Event, Id, Person, Schema};
    use std::collections::BTreeMap;

    fn id(kind: &str, n: usize) -> Id {
        Id::new(&format!("{kind}{n}")).unwrap()
    }

    fn event(n: usize) -> Event {
        let (person, time) = (Person::user(id("u", n * 7919 % 400)), (n * 1000) as i64);
        match n % 10 {
            0 => {
                let items = vec![Seen { id: id("i", n % 90), position: None, visible_ms: None }];
                Event::Impression(Impression { id: None, person, scene: None, request_id: None, items, time })
            }
            9 => Event::Retraction(Retraction { id: id("e", n * 31 % n), person: None, time }),
            _ => Event::Interaction(Interaction {
                id: Some(id("e", n)),
                person,
                item: id("i", n * n % 97),
                action: ["view", "click", "like"][n % 3].to_owned(),
                value: 1.0,
                time,
                request_id: None,
                session: None,
                context: BTreeMap::new(),
            }),
        }
    }

    /// What readers see of items, lists and people.
    fn picture(live: &Live) -> Vec<String> {
        let items = live.items();
        let list = |name: &str, key: &str| {
            let mut out: Vec<Scored> = Vec::new();
            live.lists().list(name, key, 100, &mut out);
            out.iter().map(|s| format!("{} {:x}", items.id(s.item), s.score.to_bits())).collect::<Vec<_>>()
        };
        let mut all = vec![format!("{} {:?}", live.applied().sequence, list("trending", ""))];
        for n in 0..100 {
            let (item, near) = (id("i", n), list("together", &format!("i{n}")));
            let known = items.ordinal(item.as_str()).map(|at| (*items.row(at), items.counters(at).clone()));
            all.push(format!("{item} {known:?} {near:?}"));
        }
        for n in 0..400 {
            let state = live.person(&Person::user(id("u", n)));
            all.push(format!("{:?}", state.map(|state| codec::encode(&state, live.ids(), live.actions()))));
        }
        all
    }

    #[test]
    fn two_threads_come_to_what_one_does() {
        let record = |n: usize| Record {
            sequence: n as u64,
            received_ms: 0,
            partition: 0,
            past: false,
            event: event(n),
        };
        let records: Vec<Record> = (1..=3 * MANY + 100).map(record).collect();
        let [at_once, in_parts] = [records.len(), 77].map(|size| {
            let live = Live::new(Actions::default(), Schema::reserved());
            records.chunks(size).for_each(|part| live.apply(part).unwrap());
            picture(&live)
        });
        assert_eq!(at_once, in_parts);
    }
}
