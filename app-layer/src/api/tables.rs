//! Tables over HTTP: what is served, one list, and the notice that another generation shall be. Files are built elsewhere.

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use data_layer::access::{Access, ReadLists, Stack};
use data_layer::config::Right;
use data_layer::live::{Items, Scored};
use data_layer::publish::{Folder, Gate};
use data_layer::types::{Id, Person, time};
use serde::Serialize;
use serde_json::Value as Json;
use utoipa::ToSchema;

use super::problem::Problem;
use super::publishing::{blocking, fields, option, refused};
use super::{body, keys};
use crate::Engine;
use crate::error::{Error, Refusal, Result};
use crate::hint::did_you_mean;

/// All tables.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TableList {
    /// By name.
    pub tables: Vec<TableBrief>,
}

/// One table in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TableBrief {
    /// Its name.
    pub name: String,
    /// What is served; null where nothing can be.
    pub generation: Option<String>,
}

/// One table.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct TableAnswer {
    /// Its name.
    pub name: String,
    /// What is served; null where nothing can be.
    pub generation: Option<String>,
    /// Lists in it.
    pub keys: u64,
    /// Places in all lists.
    pub entries: u64,
    /// All generations in its folder, newest first.
    pub generations: Vec<GenerationAnswer>,
    /// Why a newer generation is not served: it is bad, was copied in and refused, or can't be pulled; null where all is well.
    pub error: Option<String>,
}

/// One generation.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct GenerationAnswer {
    /// Its name.
    pub generation: String,
    /// Whether it is the published one.
    pub current: bool,
    /// Size of its file.
    pub bytes: u64,
}

/// One list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ListAnswer {
    /// The key.
    pub key: String,
    /// The generation it was read from.
    pub generation: String,
    /// The list, best first; empty where the key has none.
    pub items: Vec<ScoredItem>,
}

/// One place of a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ScoredItem {
    /// Which item.
    pub item: String,
    /// Its score.
    pub score: f32,
}

/// What is served from now on.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Published {
    /// Name of the table.
    pub name: String,
    /// What is served now.
    pub generation: String,
}

/// All tables and what is served of them.
#[utoipa::path(
    get, path = "/v1/tables", tag = "tables",
    responses(
        (status = 200, body = TableList),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "no known key"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "the key lacks the right read"),
    )
)]
pub async fn list(engine: Data<Engine>, http: HttpRequest) -> Result<HttpResponse> {
    keys::allow(&engine, &http, Right::Read)?;
    let generations = engine.tables().snapshot().generations();
    let mut names: Vec<String> = engine.scenes().known().tables.clone();
    names.extend(generations.keys().cloned());
    names.sort();
    names.dedup();
    let brief = |name: String| TableBrief { generation: generations.get(&name).cloned(), name };
    Ok(HttpResponse::Ok().json(TableList { tables: names.into_iter().map(brief).collect() }))
}

/// One table with its generations.
#[utoipa::path(
    get, path = "/v1/tables/{name}", tag = "tables", params(("name" = String, Path, description = "name of the table")),
    responses(
        (status = 200, body = TableAnswer),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "no known key"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "the key lacks the right read"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "unknown table"),
    )
)]
pub async fn one(engine: Data<Engine>, http: HttpRequest, name: Path<String>) -> Result<HttpResponse> {
    keys::allow(&engine, &http, Right::Read)?;
    let answer = blocking(move || describe(&engine, &name)).await?;
    Ok(HttpResponse::Ok().json(answer))
}

fn describe(engine: &Engine, name: &str) -> Result<TableAnswer> {
    let folder = folder(engine, name)?;
    let generations = folder.list()?;
    let snapshot = engine.tables().snapshot();
    let mapped = snapshot.table(name);
    let error = engine.tables().errors().into_iter().find(|e| e.table == name).map(|e| e.detail);
    let refused = || engine.refused().into_iter().find(|r| r.table == name).map(|r| r.to_string());
    let error = error.or_else(refused).or_else(|| engine.source()?.error(name));
    if generations.is_empty() && mapped.is_none() && error.is_none() {
        return Err(unknown(engine, name));
    }
    let statistics =
        mapped.map(|m| (m.table().header().lists, m.table().header().entries)).unwrap_or_default();
    let generation = |g: data_layer::publish::Generation| GenerationAnswer {
        generation: g.generation,
        current: g.current,
        bytes: g.bytes,
    };
    Ok(TableAnswer {
        name: name.to_owned(),
        generation: mapped.map(Stack::generation),
        keys: statistics.0,
        entries: statistics.1,
        generations: generations.into_iter().map(generation).collect(),
        error,
    })
}

/// One list, static merged with live as the scenes declare it.
#[utoipa::path(
    get, path = "/v1/tables/{name}/{key}", tag = "tables",
    params(("name" = String, Path, description = "name of the table"), ("key" = String, Path, description = "key of the list")),
    responses(
        (status = 200, body = ListAnswer),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "no known key"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "the key lacks the right read"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "unknown table"),
    )
)]
pub async fn entry(
    engine: Data<Engine>,
    http: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse> {
    keys::allow(&engine, &http, Right::Read)?;
    let (name, key) = path.into_inner();
    let answer = match engine.lazy().contains(&name) {
        // Its pages may have to come from the disk; that holds up a thread for such, not this one.
        true => blocking(move || one_list(&engine, &name, key)).await?,
        false => one_list(&engine, &name, key)?,
    };
    Ok(HttpResponse::Ok().json(answer))
}

fn one_list(engine: &Engine, name: &str, key: String) -> Result<ListAnswer> {
    let snapshot = engine.tables().snapshot();
    let Some(mapped) = snapshot.table(name) else { return Err(unknown(engine, name)) };
    let mut list: Vec<Scored> = Vec::new();
    if is_of_erased(engine, name, mapped, &key) {
        return Ok(ListAnswer { generation: mapped.generation(), items: Vec::new(), key });
    }
    // Without a lock on the items: who waits for the disk must not make others wait.
    match engine.scenes().list_spec(name) {
        Some(spec) => {
            let live = engine.live().lists();
            Access { snapshot: &snapshot, live, now_ms: time::now() }.list(&spec, &key, MOST, &mut list)?
        }
        None => mapped.list(&key, MOST, &mut list)?,
    };
    let table = engine.live().items();
    let items = list.iter().map(|s| ScoredItem { item: table.id(s.item).to_string(), score: s.score });
    Ok(ListAnswer { generation: mapped.generation(), items: items.collect(), key })
}

/// Whether a list was made of what somebody did who was erased since.
fn is_of_erased(engine: &Engine, name: &str, table: &Stack, key: &str) -> bool {
    let user = || Id::new(key).ok().map(Person::user);
    engine.scenes().is_of_users(name)
        && user()
            .and_then(|user| engine.erased(&user))
            .is_some_and(|erased| table.table().header().watermark <= erased)
}

/// Longest list that is shown.
const MOST: usize = 10_000;

/// Publishes a generation that lies in the table's folder: the named one, else the newest.
#[utoipa::path(
    post, path = "/v1/tables/{name}/publish", tag = "tables", params(("name" = String, Path, description = "name of the table")),
    request_body = Option<super::openapi::PublishTable>,
    responses(
        (status = 200, body = Published),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "not JSON"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "no known key"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "the key lacks the right admin"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "unknown table or generation"),
        (status = 413, body = Problem, content_type = "application/problem+json", description = "body too large"),
        (status = 415, body = Problem, content_type = "application/problem+json", description = "unknown encoding"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "the memory for bodies is used up; `Retry-After` says when to come again"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "the generation does not verify, is too far from the one before, or a field is wrong"),
    )
)]
pub async fn publish(
    engine: Data<Engine>,
    http: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Result<HttpResponse> {
    let by = keys::allow(&engine, &http, Right::Admin)?;
    let body = body::read(&engine, &http, payload).await?;
    let fields = fields(&body, &["generation", "force"])?;
    let generation =
        option(&fields, "generation", |v| v.as_str().map(str::to_owned), "the name of a generation")?;
    let force = option(&fields, "force", Json::as_bool, "true or false")?.unwrap_or(false);
    let published = blocking(move || {
        let folder = folder(&engine, &name)?.by(by);
        let limits = engine.config().tables.gate;
        let gate = if force { Gate::Forced(limits) } else { Gate::Within(limits) };
        folder.publish(generation.as_deref(), gate).map_err(refused)?;
        swap_in(&engine, &folder, &name)
    });
    Ok(HttpResponse::Ok().json(published.await?))
}

/// Goes back to the generation that was published before, or to an earlier one by its name.
#[utoipa::path(
    post, path = "/v1/tables/{name}/rollback", tag = "tables", params(("name" = String, Path, description = "name of the table")),
    request_body = Option<super::openapi::RollbackTable>,
    responses(
        (status = 200, body = Published),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "not JSON"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "no known key"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "the key lacks the right admin"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "unknown table"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "there is no earlier generation, or not this one"),
        (status = 413, body = Problem, content_type = "application/problem+json", description = "body too large"),
        (status = 415, body = Problem, content_type = "application/problem+json", description = "unknown encoding"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "the memory for bodies is used up; `Retry-After` says when to come again"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "the earlier generation does not verify, or a field is wrong"),
    )
)]
pub async fn rollback(
    engine: Data<Engine>,
    http: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Result<HttpResponse> {
    let by = keys::allow(&engine, &http, Right::Admin)?;
    let body = body::read(&engine, &http, payload).await?;
    let fields = fields(&body, &["generation"])?;
    let generation =
        option(&fields, "generation", |v| v.as_str().map(str::to_owned), "the name of a generation")?;
    let rolled = blocking(move || {
        let folder = folder(&engine, &name)?.by(by);
        folder.rollback_to(generation.as_deref()).map_err(refused)?;
        swap_in(&engine, &folder, &name)
    });
    Ok(HttpResponse::Ok().json(rolled.await?))
}

fn swap_in(engine: &Engine, folder: &Folder, name: &str) -> Result<Published> {
    let generation = engine.tables().reload(name).map_err(refused)?;
    if let Err(error) = folder.keep(engine.config().tables.keep) {
        tracing::warn!(table = name, %error, "old generations stay");
    }
    engine.refresh();
    Ok(Published { name: name.to_owned(), generation })
}

fn folder(engine: &Engine, name: &str) -> Result<Folder> {
    let folder = Folder::of(engine.config(), name).map_err(|_| unknown(engine, name))?;
    if folder.path().is_dir() { Ok(folder) } else { Err(unknown(engine, name)) }
}

fn unknown(engine: &Engine, name: &str) -> Error {
    let hint = did_you_mean(name, engine.scenes().known().tables.iter().map(String::as_str));
    Refusal::new(404, format!("unknown table {name:?}{hint}")).into()
}
