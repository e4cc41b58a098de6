//! Counts what people do with answers, by scene, layer and bucket, as the events come in. For dashboards; reports are made from the log.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use rustc_hash::FxHashMap;
use serde::Deserialize;
use serde::de::IgnoredAny;

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

/// The parts of an event that counting needs.
#[derive(Debug, Deserialize)]
struct Sent<'a> {
    #[serde(rename = "type", borrow, default)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    action: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    request_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    scene: Option<Cow<'a, str>>,
    #[serde(default)]
    items: Option<Vec<IgnoredAny>>,
}

/// Counts the events of a batch that was taken, but for the places that were rejected, in ascending order. What can't be read is not counted.
pub fn count(engine: &Engine, body: &[u8], rejected: &[usize]) {
    let listed = body.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'[');
    if listed {
        let sent: Vec<Sent<'_>> = serde_json::from_slice(body).unwrap_or_default();
        sent.iter()
            .enumerate()
            .filter(|(at, _)| rejected.binary_search(at).is_err())
            .for_each(|(_, sent)| one(engine, sent));
    } else {
        let sent = serde_json::Deserializer::from_slice(body).into_iter::<Sent<'_>>();
        for (_, sent) in
            sent.map_while(Result::ok).enumerate().filter(|(at, _)| rejected.binary_search(at).is_err())
        {
            one(engine, &sent);
        }
    }
}

fn one(engine: &Engine, sent: &Sent<'_>) {
    let (kind, by) = match (&*sent.kind, &sent.action) {
        ("impression", _) => ("impression", sent.items.as_ref().map_or(0, Vec::len) as u64),
        ("interaction", Some(action)) if engine.actions().id(action).is_some() => (&**action, 1),
        _ => return,
    };
    let place = sent.request_id.as_ref().and_then(|id| engine.answers().place(id));
    match (place, &sent.scene) {
        (Some(place), _) => engine.metrics().feedback(kind, &place.0, &place.1, by),
        (None, Some(scene)) if engine.scenes().scene(scene).is_ok() => {
            engine.metrics().feedback(kind, scene, &Buckets::new(), by);
        }
        _ => {}
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
