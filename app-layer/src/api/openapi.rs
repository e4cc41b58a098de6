//! The OpenAPI 3.1 document, made from the handlers. Forms that are read by hand are described here.

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use serde::Deserialize;
use utoipa::{OpenApi, ToSchema};

use super::{data, events, models, ops, recommend, schema, tables};
use crate::present::LeftOut;

/// What `POST /v1/recommend` takes. Unknown fields are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "a form for the document; `request.rs` reads it")]
pub struct RecommendBody {
    /// Which scene.
    #[schema(example = "home", min_length = 1)]
    scene: String,
    /// Who asks.
    #[schema(example = "u1", min_length = 1, max_length = 256, nullable = false)]
    user: Option<String>,
    /// Who asks, unknown.
    #[schema(min_length = 1, max_length = 256, nullable = false)]
    anonymous: Option<String>,
    /// Session of who asks.
    #[schema(min_length = 1, max_length = 256, nullable = false)]
    session_id: Option<String>,
    /// Recent items of this session, newest first.
    #[schema(max_items = 200, nullable = false)]
    session: Option<Vec<ItemId>>,
    /// Anchors: the page being read, the cart.
    #[schema(max_items = 50, nullable = false)]
    items: Option<Vec<ItemId>>,
    /// Rank only these; no recall.
    #[schema(max_items = 5000, nullable = false)]
    candidates: Option<Vec<ItemId>>,
    /// How many; default from the scene.
    #[schema(minimum = 1, maximum = 500, nullable = false)]
    size: Option<u32>,
    /// Never return these.
    #[schema(max_items = 5000, nullable = false)]
    exclude: Option<Vec<ItemId>>,
    /// A rule that every item must pass.
    #[schema(
        example = "price < 300.0 && category in ['book', 'music']",
        max_length = 4096,
        nullable = false
    )]
    filter: Option<String>,
    /// The next page, as an answer gave it.
    #[schema(nullable = false)]
    cursor: Option<String>,
    /// Attributes to return with each item.
    #[schema(max_items = 64, nullable = false)]
    fields: Option<Vec<String>>,
    /// The whole story; needs the right `debug`.
    #[schema(nullable = false)]
    explain: Option<bool>,
    /// Pins chance; needs the right `debug`.
    #[schema(minimum = 0, nullable = false)]
    seed: Option<u64>,
    /// Pins time, in milliseconds since the Unix epoch; needs the right `debug`.
    #[schema(minimum = 0, maximum = 253402300799999_i64, nullable = false)]
    now_ms: Option<i64>,
    /// Wait (at most 20 ms) until this position counts, as `/v1/events` gave it.
    #[schema(example = "1.00c0ffee00c0ffee.42", pattern = "^1\\.[0-9a-f]{16}\\.[0-9]+$", nullable = false)]
    min_position: Option<String>,
}

/// An item's id.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(min_length = 1, max_length = 256)]
#[allow(dead_code, reason = "a form for the document")]
pub struct ItemId(String);

/// Which generation to publish; without one the newest.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "a form for the document")]
pub struct PublishTable {
    /// Name of a generation in the table's folder.
    generation: Option<String>,
    /// Publish although it is too far from the one before; what is corrupt, empty or another table's is never published.
    force: Option<bool>,
}

/// Where to go back to; without a name to the generation that was published before.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "a form for the document")]
pub struct RollbackTable {
    /// Name of a generation that was published before.
    generation: Option<String>,
}

/// Which version to publish; without one the newest.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code, reason = "a form for the document")]
pub struct PublishModel {
    /// Number of a version in the registry.
    #[schema(minimum = 1)]
    version: Option<u32>,
}

/// The document.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Weir",
        description = "A layered recommendation platform: one recommend call, one way in for events."
    ),
    paths(
        recommend::recommend,
        events::events,
        schema::schema,
        schema::replace,
        tables::list,
        tables::one,
        tables::entry,
        tables::publish,
        tables::rollback,
        models::list,
        models::one,
        models::publish,
        models::rollback,
        data::item,
        data::delete_item,
        data::user,
        data::delete_user,
        data::erasure,
        ops::healthz,
        ops::readyz,
        ops::metrics,
        document,
    ),
    components(schemas(LeftOut))
)]
struct Document;

/// This document.
#[utoipa::path(get, path = "/openapi.json", tag = "operations", responses((status = 200, body = serde_json::Value)))]
pub async fn document() -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::json())
        .body(Document::openapi().to_json().unwrap_or_default())
}
