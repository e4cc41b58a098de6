//! Wave 1: what is known of who asks. One awaited read, under a deadline; the only place where a request waits.

use std::sync::Arc;
use std::time::Duration;

use data_layer::live::UserState;
use data_layer::types::Person;

use crate::engine::Engine;
use crate::request::Request;
use crate::trip::Trip;

/// Longest wait for `min_position`.
const POSITION_WAIT: Duration = Duration::from_millis(20);

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

/// Waits for the position that the request wants to see, then reads the person's state.
pub async fn wave(engine: &Engine, request: &Request, trip: &mut Trip) -> Reader {
    if let Some(position) = request.min_position
        && !engine.live().wait_for(position, POSITION_WAIT).await
    {
        let detail = format!("{position} does not count yet; the answer is without it");
        trip.left_out("read.position", "position", detail);
    }
    let Some(person) = request.person() else {
        return Reader { person: None, state: None, personal: true };
    };
    let who = [person];
    let state = match engine.live().people().read(&who).await {
        Ok(mut found) => found.pop().flatten(),
        Err(error) => {
            trip.left_out("read.person", "error", error.to_string());
            None
        }
    };
    let [person] = who;
    match state {
        Some(state) if !state.personalize() => Reader { person: None, state: None, personal: false },
        state => Reader { person: Some(person), state, personal: true },
    }
}
