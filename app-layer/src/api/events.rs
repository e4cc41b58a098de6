//! `POST /v1/events`: the standard input. Forms, checks and durability are `ingest`'s; here are encodings and limits.

use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER};
use actix_web::web::{self, Data, Payload, Query};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use data_layer::config::Right;
use data_layer::error::Busy;
use data_layer::ingest::{Arrival, Form, Ingest, Lane, Taken, parse_sent_at};
use data_layer::types::{Millis, time};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::problem::Problem;
use super::{body, keys};
use crate::Engine;
use crate::error::{Error, Refusal, Result};
use crate::feedback::Said;

/// What became of a batch of events.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Receipt {
    /// New events taken.
    pub accepted: u32,
    /// Events that were known already.
    pub duplicates: u32,
    /// Events that were not taken.
    pub rejected: Vec<Rejected>,
    /// Send it as `min_position` to see their effect.
    pub position: String,
}

/// One event that was not taken.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Rejected {
    /// Its place in the batch, from 0.
    pub index: usize,
    /// What was expected and found.
    pub detail: String,
}

/// Bodies beyond this are read on the blocking pool, so that they hold nobody up.
const LARGE: usize = 32 << 10;

/// What a call says besides its body.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct How {
    sent_at: Option<String>,
    #[serde(default)]
    lane: HowLane,
}

/// How urgent it is.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum HowLane {
    #[default]
    Live,
    Backfill,
}

/// Takes events: one JSON object, a JSON array, `{"sent_at": …, "events": […]}`, or one object a line. Accepted means durable.
#[utoipa::path(
    post, path = "/v1/events", tag = "events",
    params(
        ("sent_at" = Option<String>, Query, example = "2026-11-20T03:15:00Z",
            description = "the client's clock when it sent this, in milliseconds since 1970 or RFC 3339; what the server's shows besides is added to the times of all events. What an envelope says counts before this"),
        ("lane" = Option<String>, Query, example = "backfill",
            description = "`backfill` for events of the past: they let those of the present (`live`, the default) go first, and have half of the memory")
    ),
    request_body(
        description = "an event, a list of events, or one event a line; see the event contract",
        content(
            (serde_json::Value = "application/json", example = json!([{"type": "interaction", "user": "u1", "item": "i1", "action": "click", "time": 1770000000000_u64}])),
            (String = "application/x-ndjson"),
            (String = "text/plain"),
        )
    ),
    responses(
        (status = 200, body = Receipt),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "nothing could be read"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "no known key"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "the key lacks the right ingest"),
        (status = 413, body = Problem, content_type = "application/problem+json", description = "body too large, unpacked"),
        (status = 415, body = Problem, content_type = "application/problem+json", description = "unknown encoding"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "the query does not check"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "the memory for events is used up; `Retry-After` says when to come again"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "the log takes nothing just now; `Retry-After` says when to come again"),
    )
)]
pub async fn events(engine: Data<Engine>, http: HttpRequest, payload: Payload) -> Result<HttpResponse> {
    let taken = take(&engine, http, payload).await;
    let Err(error @ Error::Data(data_layer::Error::Busy { why: Busy::Behind })) = &taken else {
        return taken;
    };
    let waited = engine.ingest().map_or(0, |ingest| ingest.stats().lag.millis());
    let mut answer = error.error_response();
    answer.headers_mut().insert(RETRY_AFTER, come_again(waited).into());
    Ok(answer)
}

/// Seconds after which there is room again, where the oldest record that is not applied has waited so long: what waits is to become half
/// of what it is, and is applied as fast as it was.
fn come_again(waited_ms: u64) -> u64 {
    waited_ms.div_ceil(2_000).clamp(1, 30)
}

async fn take(engine: &Data<Engine>, http: HttpRequest, payload: Payload) -> Result<HttpResponse> {
    keys::allow(engine, &http, Right::Ingest)?;
    let received_ms = time::now();
    let Some(ingest) = engine.ingest().cloned() else {
        return Err(Refusal::new(503, "this server only reads").into());
    };
    let (sent_at, lane) = how(&http)?;
    let room = ingest.admission().admit(lane, 0)?;
    let (body, room) = body::read_into(engine, &http, payload, room).await?;
    let (form, large) = (form(&http), body.len() > LARGE);
    let arrival = Arrival { received_ms, sent_at };
    let read = move |ingest: &Ingest| {
        let mut taken = ingest.read(&body, form, arrival, room).map_err(unreadable)?;
        let bytes = body.capacity();
        drop(body);
        taken.give_back(bytes);
        Ok::<Taken, Error>(taken)
    };
    let taken = if large {
        let ingest = ingest.clone();
        let read = web::block(move || read(&ingest)).await;
        read.map_err(|_| Refusal::new(503, "the server is stopping"))??
    } else {
        read(&ingest)?
    };
    // What happened long ago is nothing for a dashboard of what happens.
    let said = if lane == Lane::Live { Said::of(engine, taken.events()) } else { Said::default() };
    let receipt = ingest.take(taken).await.map_err(unwritten)?;
    said.count(engine);
    Ok(HttpResponse::Ok().json(receipt))
}

fn how(http: &HttpRequest) -> Result<(Option<Millis>, Lane)> {
    let wrong = |detail: String| Refusal::new(422, format!("the query does not check: {detail}"));
    let how = Query::<How>::from_query(http.query_string()).map_err(|e| wrong(e.to_string()))?;
    let sent_at = how.sent_at.as_deref().map(parse_sent_at).transpose().map_err(|e| wrong(e.to_string()))?;
    let lane = match how.lane {
        HowLane::Live => Lane::Live,
        HowLane::Backfill => Lane::Backfill,
    };
    Ok((sent_at, lane))
}

fn form(http: &HttpRequest) -> Form {
    let kind = http.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/x-ndjson") { Form::Ndjson } else { Form::Auto }
}

/// A body that can't be read is the client's fault, one for which there is no room is not.
fn unreadable(error: data_layer::Error) -> Error {
    match error {
        data_layer::Error::Invalid { .. } => Refusal::new(400, error.to_string()).into(),
        other => other.into(),
    }
}

/// What a client is told of a log that could not be written: nothing was taken, and it may try again.
pub(super) fn unwritten(error: data_layer::Error) -> Error {
    match error {
        data_layer::Error::Io { .. } => {
            tracing::error!(%error, "events could not be taken");
            data_layer::Error::Busy { why: Busy::Failed }.into()
        }
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_turned_away_is_told_about_how_long() {
        assert_eq!([0, 900, 2_000, 2_001, 7_000, 1 << 40].map(come_again), [1, 1, 1, 2, 4, 30]);
    }
}
