//! Counts what people do with answers, by scene, layer and bucket, as the events come in. For dashboards; reports are made from the log.

use std::collections::VecDeque;
use std::sync::Arc;

use data_layer::types::Event;
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::Engine;
use crate::scene::Buckets;

/// Answers that are remembered; feedback on older ones is counted by reports only.
const REMEMBERED: usize = 1 << 16;

/// Where an answer was given, and under which buckets.
type Place = Arc<(String, Buckets)>;

/// The newest answers by their ids. Bounded.
#[derive(Debug, Default)]
pub struct Answers {
    inner: Mutex<Newest>,
}

#[derive(Debug, Default)]
struct Newest {
    places: FxHashMap<Arc<str>, Place>,
    order: VecDeque<Arc<str>>,
}

impl Answers {
    /// Remembers an answer.
    pub fn remember(&self, request_id: &str, scene: &str, buckets: &Buckets) {
        let (id, place): (Arc<str>, Place) =
            (request_id.into(), Arc::new((scene.to_owned(), buckets.clone())));
        let mut newest = self.inner.lock();
        if newest.order.len() >= REMEMBERED
            && let Some(oldest) = newest.order.pop_front()
        {
            newest.places.remove(&oldest);
        }
        newest.order.push_back(Arc::clone(&id));
        newest.places.insert(id, place);
    }

    fn place(&self, request_id: &str) -> Option<Place> {
        self.inner.lock().places.get(request_id).cloned()
    }
}

/// What the events of a batch count for: where, what, how often. Made before they go to the log, counted once they are in it.
#[derive(Debug, Default)]
pub struct Said {
    /// By whether it is an answer or a scene, its id or name, and the kind.
    counts: FxHashMap<(bool, String, String), (Place, u64)>,
}

impl Said {
    /// Looks through events. An answer that is remembered counts before the scene that an impression names.
    pub fn of<'a>(engine: &Engine, events: impl Iterator<Item = &'a Event>) -> Self {
        let mut said = Self::default();
        for event in events {
            match event {
                Event::Interaction(e) => said.add(engine, &e.action, 1, e.request_id.as_deref(), None),
                Event::Impression(e) => {
                    let (by, scene) = (e.items.len() as u64, e.scene.as_deref());
                    said.add(engine, "impression", by, e.request_id.as_deref(), scene);
                }
                _ => {}
            }
        }
        said
    }

    fn add(&mut self, engine: &Engine, kind: &str, by: u64, request_id: Option<&str>, scene: Option<&str>) {
        let answer = request_id.and_then(|id| Some((true, id, engine.answers().place(id)?)));
        let named = || {
            let scene = scene.filter(|scene| engine.scenes().scene(scene).is_ok())?;
            Some((false, scene, Arc::new((scene.to_owned(), Buckets::new()))))
        };
        let Some((answered, name, place)) = answer.or_else(named) else { return };
        let key = (answered, name.to_owned(), kind.to_owned());
        self.counts.entry(key).or_insert((place, 0)).1 += by;
    }

    /// Counts them.
    pub fn count(self, engine: &Engine) {
        for ((_, _, kind), (place, by)) in self.counts {
            engine.metrics().feedback(&kind, &place.0, &place.1, by);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_newest_answers_are_remembered() {
        let answers = Answers::default();
        for n in 0..=REMEMBERED {
            answers.remember(&n.to_string(), "home", &Buckets::new());
        }
        assert!(answers.place("0").is_none());
        assert!(answers.place("1").is_some());
        assert_eq!(answers.inner.lock().places.len(), REMEMBERED);
    }
}
