//! The two waves of a request, the only places where it waits: what is known of who asks, and then the lists of tables that are not in
//! memory. Each is one awaited read under a deadline.

use std::sync::Arc;
use std::time::Duration;

use compute_layer::recall::ahead;
use compute_layer::{Deadline, Query, Stores};
use data_layer::access::{Ahead, Source, read_here};
use data_layer::config::Keep;
use data_layer::live::UserState;
use data_layer::types::{Millis, Person};

use crate::ask::Named;
use crate::engine::Engine;
use crate::request::Request;
use crate::scene::Work;
use crate::trip::Trip;

/// Longest wait for `min_position`.
const POSITION_WAIT: Duration = Duration::from_millis(20);

/// Share of the time left that reading lazy tables may take.
const LISTS_SHARE: f64 = 0.5;

/// Who asks, as far as it may be known.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    /// Whose state it is; `None` where nobody is named or nothing personal may be used.
    pub person: Option<Person>,
    /// What is known.
    pub state: Option<Arc<UserState>>,
    /// `false` for a person who asked not to be personalised.
    pub personal: bool,
}

impl Reader {
    /// How many of the person's newest actions count: so many at most, and none that is too old.
    #[must_use]
    pub fn history(&self, keep: &Keep, most: usize, now_ms: Millis) -> usize {
        self.state.as_ref().map_or(most, |state| most.min(state.recent(keep, now_ms)))
    }
}

/// Wave 1: waits for the position that the request wants to see, then reads the person's state.
pub async fn person(engine: &Engine, request: &Request, trip: &mut Trip) -> Reader {
    if let Some(position) = request.min_position
        && !engine.live().wait_for(position, POSITION_WAIT).await
    {
        let detail = format!("{position} does not count yet; the answer is without it");
        trip.left_out("read.position", "position", detail);
    }
    let found = known(engine, request, trip).await;
    trip.done("read", 0);
    found
}

async fn known(engine: &Engine, request: &Request, trip: &mut Trip) -> Reader {
    let Some(person) = request.person() else {
        return Reader { person: None, state: None, personal: true };
    };
    let who = [person];
    let state = match engine.live().people().read(&who).await {
        Ok(mut found) => found.pop().flatten(),
        Err(error) => {
            trip.left_out(
                "read.person",
                "error",
                format!("{error}; what is known of the person is left out"),
            );
            None
        }
    };
    let [person] = who;
    match state {
        Some(state) if !state.personalize() => Reader { person: None, state: None, personal: false },
        state => Reader { person: Some(person), state, personal: true },
    }
}

/// Wave 2: the lists of lazy tables that the recalls will ask for, read on the readers' threads. Nothing for scenes without such tables.
pub async fn lists(
    engine: &Engine,
    work: &Work,
    named: &Named,
    query: &Query<'_>,
    until: &Deadline<'_>,
    trip: &mut Trip,
) -> Ahead {
    let lazy = engine.lazy();
    if lazy.is_empty() || !work.tables.iter().any(|table| lazy.contains(table)) {
        return Ahead::none();
    }
    let (source, wanted) = {
        let world = engine.world();
        let stores = Stores { items: &*world.items, access: &world.access(query.now_ms) };
        let source = Source {
            snapshot: Arc::clone(&world.snapshot),
            live: Arc::clone(engine.live()),
            now_ms: query.now_ms,
        };
        (source, ahead::wanted(work.plans(named), query, &stores, lazy))
    };
    let read = match engine.readers() {
        Some(readers) => {
            let within = Duration::from_micros(until.share(LISTS_SHARE).left_us());
            readers.read(source, wanted, within).await
        }
        None => read_here(source, wanted),
    };
    trip.done("lists", read.read());
    read
}
