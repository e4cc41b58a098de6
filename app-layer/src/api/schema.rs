//! `GET` and `PUT /v1/schema`: the types of attributes, changed while the server runs. The log keeps every version; inference is `ingest`'s.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix_web::web::{self, Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use data_layer::config::Right;
use data_layer::ingest::typing::MOST_NAMES;
use data_layer::types::schema::{Owner, RESERVED_ITEM, RESERVED_USER};
use data_layer::types::{Schema, Unknown, ValueType, time};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use utoipa::ToSchema;

use super::events::unwritten;
use super::problem::Problem;
use super::{body, keys};
use crate::Engine;
use crate::error::{Error, FieldError, Refusal, Result};
use crate::scene::Scenes;
use crate::scene::known::Known;

/// A type of attributes.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(dead_code, reason = "a form for the document; `ValueType` is what is read")]
pub enum TypeName {
    /// `true` or `false`.
    Bool,
    /// A 64-bit integer.
    Int,
    /// A 64-bit float.
    Float,
    /// Text.
    String,
    /// A list of texts.
    Strings,
    /// A list of numbers.
    Vector,
    /// A place on earth.
    Geo,
}

/// What happens to attributes without a type.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[allow(dead_code, reason = "a form for the document; `Unknown` is what is read")]
pub enum UnknownName {
    /// The type is inferred from the first value.
    Store,
    /// They are dropped.
    Ignore,
    /// The event is rejected.
    Reject,
}

/// The types of attributes.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SchemaAnswer {
    /// Grows by one with each change.
    pub version: u32,
    /// Attributes of items.
    #[schema(value_type = BTreeMap<String, TypeName>)]
    pub items: BTreeMap<String, ValueType>,
    /// Attributes of users.
    #[schema(value_type = BTreeMap<String, TypeName>)]
    pub users: BTreeMap<String, ValueType>,
    /// What happens to others.
    #[schema(value_type = UnknownName)]
    pub unknown: Unknown,
}

/// What `PUT /v1/schema` takes. What is left out stays as it is; a list that is there replaces the whole list.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SchemaBody {
    /// The version that this was made of; 409 where there is a newer one. Without it, whatever is there is replaced.
    #[schema(nullable = false)]
    version: Option<u32>,
    /// Attributes of items: those left out are dropped, but for the reserved ones.
    #[schema(value_type = Option<BTreeMap<String, TypeName>>, nullable = false)]
    items: Option<BTreeMap<String, Json>>,
    /// Attributes of users: those left out are dropped, but for the reserved ones.
    #[schema(value_type = Option<BTreeMap<String, TypeName>>, nullable = false)]
    users: Option<BTreeMap<String, Json>>,
    /// What happens to others.
    #[schema(value_type = Option<UnknownName>, nullable = false)]
    unknown: Option<Json>,
}

/// Longest wait until a new schema counts on this server.
const COUNTS_WITHIN: Duration = Duration::from_secs(5);
/// How often a schema is made anew where events taught the log a type meanwhile.
const TRIES: u32 = 8;

/// The types of attributes as they are now.
#[utoipa::path(
    get, path = "/v1/schema", tag = "data",
    responses(
        (status = 200, body = SchemaAnswer),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "no known key"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "the key lacks the right read"),
    )
)]
pub async fn schema(engine: Data<Engine>, http: HttpRequest) -> Result<HttpResponse> {
    keys::allow(&engine, &http, Right::Read)?;
    Ok(HttpResponse::Ok().json(answer(&engine.live().schema())))
}

/// Replaces the types of attributes, for all events from now on; no restart is needed.
#[utoipa::path(
    put, path = "/v1/schema", tag = "data", request_body = SchemaBody,
    responses(
        (status = 200, body = SchemaAnswer),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "not JSON"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "no known key"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "the key lacks the right write"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "the schema is newer than the version it was made of"),
        (status = 413, body = Problem, content_type = "application/problem+json", description = "body too large"),
        (status = 415, body = Problem, content_type = "application/problem+json", description = "unknown encoding"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "a type is none, is reserved or fixed by weir.toml, or a scene needs another"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "the memory for bodies is used up; `Retry-After` says when to come again"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "nothing is taken just now"),
    )
)]
pub async fn replace(engine: Data<Engine>, http: HttpRequest, payload: Payload) -> Result<HttpResponse> {
    keys::allow(&engine, &http, Right::Write)?;
    let body = body::json(&body::read(&engine, &http, payload).await?)?;
    let body: SchemaBody = serde_json::from_value(body)
        .map_err(|e| Refusal::new(422, format!("expected version, items, users and unknown: {e}")))?;
    let Some(ingest) = engine.ingest() else {
        return Err(Refusal::new(503, "this server only reads").into());
    };
    for _ in 0..TRIES {
        let now = engine.live().schema();
        if let Some(of) = body.version.filter(|of| *of != now.version) {
            let detail =
                format!("version: expected {}, which is the newest, found {of}; read it again", now.version);
            return Err(Refusal::new(409, detail).into());
        }
        let Some(next) = next(&body, &now, &engine.config().schema)? else {
            return Ok(HttpResponse::Ok().json(answer(&now)));
        };
        fits(&engine, &next).await?;
        let said = answer(&next);
        let receipt = ingest.set_schema(next, time::now()).await.map_err(unwritten)?;
        engine.live().wait_for(receipt.position, COUNTS_WITHIN).await;
        if receipt.rejected.is_empty() {
            return Ok(HttpResponse::Ok().json(said));
        }
    }
    Err(Refusal::new(503, "the schema changes faster than it can be replaced; send it again").into())
}

fn answer(schema: &Schema) -> SchemaAnswer {
    let Schema { version, items, users, unknown, .. } = schema.clone();
    SchemaAnswer { version, items, users, unknown }
}

/// The schema that a body asks for; `None` where it is the one there is. `fixed` is what weir.toml says.
fn next(body: &SchemaBody, now: &Schema, fixed: &Schema) -> Result<Option<Schema>> {
    let mut errors = Vec::new();
    let mut next = Schema { version: now.version + 1, ..now.clone() };
    if let Some(types) = &body.items {
        let chosen = &mut next.chosen.items;
        replace_types(types, Owner::Item, &RESERVED_ITEM, fixed, &mut next.items, chosen, &mut errors);
    }
    if let Some(types) = &body.users {
        let chosen = &mut next.chosen.users;
        replace_types(types, Owner::User, &RESERVED_USER, fixed, &mut next.users, chosen, &mut errors);
    }
    if let Some(said) = &body.unknown {
        match serde_json::from_value(said.clone()) {
            Ok(unknown) => next.unknown = unknown,
            Err(_) => {
                errors.push(wrong("/unknown", format!("expected store, ignore or reject, found {said}")))
            }
        }
    }
    if !errors.is_empty() {
        return Err(Refusal::fields(errors).into());
    }
    let same = Schema { version: now.version, ..next.clone() } == *now;
    Ok((!same).then_some(next))
}

/// Replaces the types of one owner. Those that are new or other than before are chosen, and never widen by themselves.
fn replace_types(
    types: &BTreeMap<String, Json>,
    owner: Owner,
    reserved: &[(&str, ValueType)],
    fixed: &Schema,
    into: &mut BTreeMap<String, ValueType>,
    chosen: &mut std::collections::BTreeSet<String>,
    errors: &mut Vec<FieldError>,
) {
    let list = if owner == Owner::Item { "items" } else { "users" };
    let pointer = |name: &str| format!("/{list}/{}", name.replace('~', "~0").replace('/', "~1"));
    let mut read = BTreeMap::new();
    for (name, said) in types {
        if name.is_empty() || name.len() > 128 || name.chars().any(char::is_control) {
            let detail = "expected a name of 1 to 128 bytes without control characters".to_owned();
            errors.push(wrong(pointer(name), detail));
            continue;
        }
        match serde_json::from_value::<ValueType>(said.clone()) {
            Ok(to) => drop(read.insert(name.clone(), to)),
            Err(_) => errors.push(wrong(
                pointer(name),
                format!("expected one of bool, int, float, string, strings, vector, geo, found {said}"),
            )),
        }
    }
    for (name, to) in fixed.of(owner) {
        let is_reserved = reserved.iter().any(|(reserved, _)| reserved == name);
        match read.get(name) {
            Some(found) if found == to => {}
            None if is_reserved => drop(read.insert(name.clone(), *to)),
            Some(found) if is_reserved => {
                errors.push(wrong(pointer(name), format!("is reserved and of type {to}, found {found}")));
            }
            found => {
                let found = found.map_or("none".to_owned(), ToString::to_string);
                let detail =
                    format!("weir.toml says {to}, found {found}; change it there, or leave it as it is");
                errors.push(wrong(pointer(name), detail));
            }
        }
    }
    if read.len() > MOST_NAMES {
        let detail = format!("expected at most {MOST_NAMES} attributes, found {}", read.len());
        errors.push(wrong(format!("/{list}"), detail));
    }
    let fresh = read.iter().filter(|(name, to)| into.get(*name) != Some(*to)).map(|(name, _)| name.clone());
    chosen.extend(fresh);
    chosen.retain(|name| read.contains_key(name));
    *into = read;
}

fn wrong(pointer: impl Into<String>, detail: String) -> FieldError {
    FieldError { pointer: pointer.into(), detail }
}

/// Whether every scene runs with a schema.
async fn fits(engine: &Data<Engine>, schema: &Schema) -> Result<()> {
    let (engine, schema) = (engine.clone(), Arc::new(schema.clone()));
    let checked = web::block(move || {
        let scenes = engine.scenes();
        let known = Known { schema, ..scenes.known().clone() };
        Scenes::compile(scenes.files().clone(), known).map(drop).map_err(|faults| {
            let faults = Error::Files(faults);
            Refusal::new(422, format!("a scene needs what would be gone: {faults}"))
        })
    });
    Ok(checked.await.map_err(|_| Refusal::new(503, "the server is stopping"))??)
}
