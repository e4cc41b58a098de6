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

/// Records whose effects on items are applied at once, and are seen then.
const CHUNK: usize = 512;
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
        if !self.keep.parts.of_items() {
            self.people_only(records, &mut deeds);
            return Ok(());
        }
        if records.len() > MANY {
            self.side_by_side(records, &mut deeds);
            return Ok(());
        }
        let (mut effects, mut pairs) = (Vec::new(), ByItem::default());
        for chunk in records.chunks(CHUNK) {
            self.apply_people(chunk, &mut deeds, &mut effects);
            self.apply_effects(&effects, &mut pairs);
            effects.clear();
            if let Some(last) = chunk.last() {
                self.applied.send_replace(last.sequence);
            }
        }
        Ok(())
    }

    /// Where nothing is kept of items, nobody asks what follows for them.
    fn people_only(&self, records: &[Record], deeds: &mut Deeds) {
        let mut effects = Vec::new();
        for chunk in records.chunks(CHUNK) {
            self.apply_people(chunk, deeds, &mut effects);
            effects.clear();
        }
        if let Some(last) = records.last() {
            self.applied.send_replace(last.sequence);
        }
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
                    self.apply_effects(&effects, &mut pairs);
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
        self.room();
        let (people, ids, actions, keep) = (&self.people, &*self.ids, &*self.actions, &*self.keep);
        let mut side = PeopleSide { people, ids, deeds, actions, keep, touched: None };
        records.iter().for_each(|record| side.record(record, effects));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Actions, Keep};
    use crate::live::snapshot::{self, Limits, Maker, configured_parts};
    use crate::live::tests::keep;
    use crate::live::{Items, Scored, codec};
    use crate::types::event::{Edge, Impression, Interaction, Retraction, Seen};
    use crate::types::{Event, Id, Person, Schema};
    use std::collections::BTreeMap;

    fn id(kind: &str, n: usize) -> Id {
        Id::new(&format!("{kind}{n}")).unwrap()
    }

    fn event(n: usize) -> Event {
        let (person, time) = (Person::user(id("u", n * 7919 % 400)), (n * 1000) as i64);
        if n.is_multiple_of(11) {
            let (from, to) = (person.id, id("u", n * 31 % 397));
            return Event::Edge(Edge {
                from,
                to,
                relation: "follow".to_owned(),
                time,
                source: None,
                deleted: false,
            });
        }
        match n % 10 {
            0 => {
                let items = vec![Seen { id: id("i", n % 90), position: None, visible_ms: None }];
                Event::Impression(Impression { id: None, person, scene: None, request_id: None, items, time })
            }
            9 => Event::Retraction(Retraction { id: id("e", n / 4), person: None, time }),
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

    fn records() -> Vec<Record> {
        let record = |n: usize| Record {
            sequence: n as u64,
            received_ms: 0,
            partition: 0,
            past: false,
            event: event(n),
        };
        (1..=3 * MANY + 100).map(record).collect()
    }

    #[test]
    fn two_threads_come_to_what_one_does() {
        let records = records();
        let [at_once, in_parts] = [records.len(), 77].map(|size| {
            let live = Live::new(Actions::default(), Schema::reserved());
            records.chunks(size).for_each(|part| live.apply(part).unwrap());
            picture(&live)
        });
        assert_eq!(at_once, in_parts);
    }

    /// The bounds of [`keep`] with one of them changed, and the parts that are then made anew.
    fn changes() -> Vec<(Keep, &'static str)> {
        let with = |change: &dyn Fn(&mut Keep)| {
            let mut keep = keep();
            change(&mut keep);
            keep
        };
        let click = Actions::default().id("click").unwrap();
        vec![
            (with(&|keep| keep.levels[0].points[0].0 = click), "users, recent, levels"),
            (with(&|keep| keep.actions = 4), "users, recent, together, met"),
            (with(&|keep| keep.together.as_mut().unwrap().reach = 2), "users, recent, together"),
            (with(&|keep| keep.met = 3), "users, recent, met"),
            (with(&|keep| keep.seen = 3), "items, users, seen, counters"),
            (with(&|keep| keep.ties = 1), "users, ties"),
            (
                with(&|keep| keep.deeds = 5000),
                "items, users, recent, together, met, seen, counters, levels, trending",
            ),
        ]
    }

    /// A state made under other bounds and read under these, as a start does it.
    fn reread(live: &Live, keep: &Keep) -> Live {
        let (folder, mut bytes) = (tempfile::tempdir().unwrap(), Vec::new());
        let path = folder.path().join("snapshot");
        let none = || Ok(Vec::new());
        snapshot::write(live, &Maker::default(), none, &mut bytes, &path, Limits::default()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        snapshot::load(&path, &Actions::default(), keep).unwrap().live
    }

    #[test]
    fn parts_made_anew_beside_the_others_come_to_what_all_of_it_does() {
        let (records, actions) = (records(), Actions::default());
        let made = |keep: &Keep| Maker { parts: configured_parts(&actions, keep), ..Maker::default() };
        let old = Live::with(actions.clone(), Schema::reserved(), keep());
        old.apply(&records).unwrap();
        let keep_before = keep();
        for (keep, expected) in changes() {
            let live = reread(&old, &keep);
            let parts = made(&keep_before).changed(&made(&keep)).to_make();
            assert_eq!(parts.to_string(), expected);
            let fresh = live.beside(parts);
            let half = records.len() / 2;
            records[..half].chunks(1000).for_each(|part| fresh.apply(part).unwrap());
            live.replace(fresh, |fresh, to| {
                assert_eq!(to, records.len() as u64);
                fresh.apply(&records[half..])
            })
            .unwrap();
            let whole = Live::with(actions.clone(), Schema::reserved(), keep.clone());
            whole.apply(&records).unwrap();
            assert!(picture(&live) == picture(&whole), "{expected}");
            assert!(picture(&live) != picture(&old), "{expected} is not in the picture");
            // And what comes later acts on both alike.
            let later = |n: usize| Record { sequence: (records.len() + n) as u64, ..records[n * 37].clone() };
            let later: Vec<Record> = (1..300).map(later).collect();
            [&live, &whole].iter().for_each(|live| live.apply(&later).unwrap());
            assert!(picture(&live) == picture(&whole), "{expected}, later");
        }
    }
}
