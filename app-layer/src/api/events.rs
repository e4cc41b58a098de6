//! `POST /v1/events`: the standard input. Forms, checks and durability are `ingest`'s; here are encodings and limits.

use std::sync::Arc;

use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::{self, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use data_layer::config::Right;
use data_layer::ingest::Form;
use data_layer::types::time;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::Problem;
use super::{body, keys};
use crate::error::{Refusal, Result};
use crate::{Engine, feedback};

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
const LARGE: usize = 128 << 10;

/// Takes events: one JSON object, a JSON array, or one object a line. Accepted means durable.
#[utoipa::path(
    post, path = "/v1/events", tag = "events",
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
        (status = 503, body = Problem, content_type = "application/problem+json", description = "nothing is taken just now"),
    )
)]
pub async fn events(engine: Data<Engine>, http: HttpRequest, payload: Payload) -> Result<HttpResponse> {
    keys::allow(&engine, &http, Right::Ingest)?;
    let received_ms = time::now();
    let body = body::read(&engine, &http, payload).await?;
    let kind = http.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let form = if kind.eq_ignore_ascii_case("application/x-ndjson") { Form::Ndjson } else { Form::Auto };
    let Some(ingest) = engine.ingest().cloned() else {
        return Err(Refusal::new(503, "this server only reads").into());
    };
    let large = body.len() > LARGE;
    let body = Arc::new(body);
    let waiting = if large {
        let body = Arc::clone(&body);
        let read = web::block(move || ingest.submit(&body, form, received_ms)).await;
        read.map_err(|_| Refusal::new(503, "the server is stopping"))?
    } else {
        ingest.submit(&body, form, received_ms)
    };
    let receipt = waiting.map_err(|e| Refusal::new(400, e.to_string()))?.await?;
    if !large && receipt.accepted > 0 {
        let mut rejected: Vec<usize> = receipt.rejected.iter().map(|r| r.index).collect();
        rejected.sort_unstable();
        feedback::count(&engine, &body, &rejected);
    }
    Ok(HttpResponse::Ok().json(receipt))
}
