//! Operations: alive, ready, and counts.

use std::collections::BTreeMap;

use actix_web::http::header::ContentType;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use data_layer::config::Right;
use data_layer::ingest::Ingest;
use data_layer::publish::remote::Source;
use serde::Serialize;
use utoipa::ToSchema;

use super::keys;
use super::problem::Problem;
use crate::Engine;
use crate::error::{FieldError, Refusal, Result};

/// The server runs.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Health {
    /// Always `ok`.
    pub status: &'static str,
    /// Version of the program.
    pub version: &'static str,
}

/// Everything that scenes need is there.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Ready {
    /// Always true.
    pub ready: bool,
    /// Table to generation.
    pub tables: BTreeMap<String, String>,
    /// Model to version.
    pub models: BTreeMap<String, u32>,
    /// Position of the log that counts.
    pub position: String,
    /// What does not keep it from serving: generations that are not served, not published, not pulled, or damaged, state that is made anew, a
    /// Redis that is away or may drop keys, and why. Left out where all is well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub degraded: Vec<FieldError>,
}

/// Alive.
#[utoipa::path(get, path = "/healthz", tag = "operations", responses((status = 200, body = Health)))]
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(Health { status: "ok", version: env!("CARGO_PKG_VERSION") })
}

/// Ready to serve every scene as it is written.
#[utoipa::path(
    get, path = "/readyz", tag = "operations",
    responses(
        (status = 200, body = Ready),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "something is missing; it is named"),
    )
)]
pub async fn readyz(engine: Data<Engine>) -> HttpResponse {
    let missing = missing(&engine);
    if !missing.is_empty() {
        let detail = "not ready; scenes run without what is missing".to_owned();
        return Problem::from(&Refusal { status: 503, detail, errors: missing }).answer();
    }
    HttpResponse::Ok().json(Ready {
        ready: true,
        tables: engine.tables().snapshot().generations(),
        models: engine.models().snapshot().versions(),
        position: engine.live().applied().to_string(),
        degraded: degraded(&engine),
    })
}

/// What is wrong with generations, although something is served, and with the store that tables are pulled from.
fn degraded(engine: &Engine) -> Vec<FieldError> {
    let at = |place: &str, name: &str, detail| FieldError { pointer: format!("/{place}/{name}"), detail };
    let mut all = Vec::new();
    all.extend(engine.tables().errors().into_iter().map(|error| at("tables", &error.table, error.detail)));
    all.extend(engine.refused().iter().map(|refused| at("tables", &refused.table, refused.to_string())));
    if let Some(rebuilding) = engine.ingest().and_then(Ingest::rebuilding) {
        let detail = match rebuilding.at() {
            _ if rebuilding.failed() => {
                Some("state of other rules serves; it could not be made anew".to_owned())
            }
            Some(at) => {
                Some(format!("state of other rules serves; it is made anew, up to record {at} so far"))
            }
            None => None,
        };
        all.extend(detail.map(|detail| FieldError { pointer: "/live".to_owned(), detail }));
    }
    if let Some(standing) = engine.source().map(Source::standing) {
        all.extend(standing.error.map(|detail| FieldError { pointer: "/source".to_owned(), detail }));
        all.extend(standing.tables.into_iter().map(|(name, detail)| at("source", &name, detail)));
    }
    if let Some(shared) = engine.ingest().and_then(Ingest::shared) {
        all.extend(shared.unfit().map(|detail| at("live", "redis", detail)));
        let away = "Redis takes no events; they wait in the log".to_owned();
        all.extend(shared.is_away().then(|| at("live", "redis", away)));
        all.extend(shared.stuck().map(|detail| at("live", "items", detail)));
    }
    all
}

/// Tables and models that a scene or a bucket names and that can't be served, and why.
fn missing(engine: &Engine) -> Vec<FieldError> {
    let snapshot = engine.tables().snapshot();
    let errors = engine.tables().errors();
    let mut missing = BTreeMap::new();
    if let Some(faults) = engine.unfit() {
        missing.insert("/scenes".to_owned(), format!("what runs is older than what is published: {faults}"));
    }
    if let Some(shared) = engine.ingest().and_then(Ingest::shared).filter(|shared| !shared.caught_up()) {
        let unread = || "what servers share through Redis has not been read since the start".to_owned();
        missing.insert("/live/redis".to_owned(), shared.stuck().unwrap_or_else(unread));
    }
    for work in engine.scenes().every_work() {
        for table in work.tables.iter().filter(|name| snapshot.table(name).is_none()) {
            let why =
                errors.iter().find(|e| e.table == *table).map_or("no generation is published", |e| &e.detail);
            missing.insert(format!("/tables/{table}"), why.to_owned());
        }
        if let Some(model) = &work.rank_missing {
            missing.insert(format!("/models/{model}"), "no version is published".to_owned());
        }
    }
    missing.into_iter().map(|(pointer, detail)| FieldError { pointer, detail }).collect()
}

/// Counts and latencies for Prometheus.
#[utoipa::path(
    get, path = "/metrics", tag = "operations",
    responses(
        (status = 200, body = String, content_type = "text/plain"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "no known key"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "the key lacks the right read"),
    )
)]
pub async fn metrics(engine: Data<Engine>, http: HttpRequest) -> Result<HttpResponse> {
    keys::allow(&engine, &http, Right::Read)?;
    Ok(HttpResponse::Ok().content_type(ContentType::plaintext()).body(engine.metrics().render(&engine)))
}
