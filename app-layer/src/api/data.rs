//! Items and users over HTTP: all that is known of one, and its removal with everything derived from it.

use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use data_layer::Actions;
use data_layer::config::{Keep, LevelRule, Right};
use data_layer::erase::Peer;
use data_layer::live::{Counters, Items, Side, UserState};
use data_layer::types::event::{Erase, ItemEvent};
use data_layer::types::time::{DAY, HOUR};
use data_layer::types::{Event, Id, Millis, Person, Position, Value, time};
use serde::Serialize;
use utoipa::ToSchema;

use super::events::unwritten;
use super::keys;
use super::problem::Problem;
use crate::Engine;
use crate::error::{Refusal, Result};

/// All that is known of an item.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ItemAnswer {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// Its attributes.
    pub attributes: BTreeMap<String, AttributeAnswer>,
    /// What people did with it, by action.
    pub counters: BTreeMap<String, Counted>,
}

/// All that is known of a user: the person's export.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct UserAnswer {
    /// Their id.
    pub id: String,
    /// Their attributes.
    pub attributes: BTreeMap<String, AttributeAnswer>,
    /// What they did, by action.
    pub counters: BTreeMap<String, Counted>,
    /// What they did lately, newest first.
    pub recent: Vec<Recent>,
    /// Whom they are tied to, and who is tied to them, by relation.
    pub ties: BTreeMap<String, Tied>,
    /// What they have earned, by rule.
    pub levels: BTreeMap<String, Earned>,
}

/// Points by one rule.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Earned {
    /// All points.
    pub points: i64,
    /// The level that they come to; 0 below the first.
    pub level: usize,
}

/// The other ends of ties by one relation, newest first.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Tied {
    /// Whom the user is tied to.
    pub to: Vec<String>,
    /// Who is tied to the user.
    pub from: Vec<String>,
}

/// One attribute.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AttributeAnswer {
    /// Its value.
    #[schema(value_type = serde_json::Value)]
    pub value: Value,
    /// When it was said, in milliseconds since the Unix epoch.
    pub time: Millis,
}

/// How often something was done.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Counted {
    /// Ever; exact.
    pub total: u64,
    /// Sum of the values, ever.
    pub sum: f64,
    /// In the last hour.
    #[serde(rename = "1h")]
    pub hour: u64,
    /// In the last day.
    #[serde(rename = "1d")]
    pub day: u64,
    /// In the last seven days.
    #[serde(rename = "7d")]
    pub week: u64,
}

/// One thing that a person did.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Recent {
    /// With which item.
    pub item: String,
    /// What.
    pub action: String,
    /// Its value.
    pub value: f64,
    /// When.
    pub time: Millis,
}

/// Something was removed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Deleted {
    /// Its id.
    pub id: String,
    /// The removal counts from this position on.
    pub position: String,
}

/// An erasure was asked for, and is honoured by every reader.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Erased {
    /// The id of the user.
    pub id: String,
    /// The erasure counts from this position on.
    pub position: String,
    /// Its own id: `GET /v1/erasures/{id}` says how far the files are.
    pub erasure: String,
}

/// How far an erasure is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ErasureAnswer {
    /// Its id.
    pub id: String,
    /// `pending`: honoured, the files are not rewritten yet; `rewriting`; `done`: no byte of the id is left in log and archive.
    pub state: &'static str,
    /// When it was asked for, in milliseconds since the Unix epoch.
    pub asked: Millis,
    /// When the rewriting began.
    pub began: Option<Millis>,
    /// When it ended.
    pub ended: Option<Millis>,
    /// While files are rewritten: how many have been looked through.
    pub looked_through: u64,
    /// Of so many.
    pub of: u64,
    /// Files that were written again, for all erasures that were dealt with together.
    pub files: u64,
    /// Records that were changed or emptied, likewise.
    pub records: u64,
    /// All servers that share a Redis, each with its own files; empty where there is one alone.
    pub servers: Vec<ErasureServer>,
}

/// How far one of several servers is with an erasure.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ErasureServer {
    /// Identity of its log, in 16 hex digits.
    pub log: String,
    /// `pending`, `rewriting` or `done`.
    pub state: &'static str,
}

impl ErasureServer {
    fn of(peer: &Peer) -> Self {
        Self { log: format!("{:016x}", peer.producer), state: peer.state.name() }
    }
}

/// All that is known of an item.
#[utoipa::path(
    get, path = "/v1/items/{id}", tag = "data", params(("id" = String, Path, description = "id of the item")),
    responses(
        (status = 200, body = ItemAnswer),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "no known key"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "the key lacks the right read"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "unknown or deleted item"),
    )
)]
pub async fn item(engine: Data<Engine>, http: HttpRequest, id: Path<String>) -> Result<HttpResponse> {
    keys::allow(&engine, &http, Right::Read)?;
    let items = engine.live().items();
    let item = items.ordinal(&id).filter(|item| !items.deleted(*item)).ok_or_else(|| unknown("item", &id))?;
    let attributes = items.attributes(item).into_iter();
    Ok(HttpResponse::Ok().json(ItemAnswer {
        id: id.to_string(),
        kind: items.kind(item).to_owned(),
        attributes: attributes
            .map(|(name, value, time)| (name.to_owned(), AttributeAnswer { value, time }))
            .collect(),
        counters: counted(items.counters(item), engine.actions(), time::now()),
    }))
}

/// Deletes an item: it is never recommended again, unless a newer event says `"deleted": false`.
#[utoipa::path(
    delete, path = "/v1/items/{id}", tag = "data", params(("id" = String, Path, description = "id of the item")),
    responses(
        (status = 200, body = Deleted),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "no known key"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "the key lacks the right write"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "unknown or deleted item"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "the memory for events is used up; `Retry-After` says when to come again"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "nothing is taken just now"),
    )
)]
pub async fn delete_item(engine: Data<Engine>, http: HttpRequest, id: Path<String>) -> Result<HttpResponse> {
    keys::allow(&engine, &http, Right::Write)?;
    let known = {
        let items = engine.live().items();
        let item = items.ordinal(&id).filter(|item| !items.deleted(*item));
        item.map(|item| (items.id(item).clone(), items.deleted_time(item)))
    };
    let (known, said) = known.ok_or_else(|| unknown("item", &id))?;
    let event = ItemEvent {
        id: known.clone(),
        kind: None,
        // A client's clock may be ahead: its "deleted": false must not outlive this.
        time: time::now().max(said.saturating_add(1)),
        source: None,
        attributes: BTreeMap::new(),
        deleted: Some(true),
    };
    remove(&engine, &known, Event::Item(event)).await
}

/// All that is known of a user: the person's export.
#[utoipa::path(
    get, path = "/v1/users/{id}", tag = "data", params(("id" = String, Path, description = "id of the user")),
    responses(
        (status = 200, body = UserAnswer),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "no known key"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "the key lacks the right read"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "unknown user"),
    )
)]
pub async fn user(engine: Data<Engine>, http: HttpRequest, id: Path<String>) -> Result<HttpResponse> {
    keys::allow(&engine, &http, Right::Read)?;
    let who = [Person::user(Id::new(&id).map_err(|_| unknown("user", &id))?)];
    let state =
        engine.live().people().read(&who).await?.pop().flatten().ok_or_else(|| unknown("user", &id))?;
    let items = engine.live().items();
    let said = state.attributes.iter().filter_map(|(name, field)| {
        Some((name.clone(), AttributeAnswer { value: field.value.clone()?, time: field.stamp.time }))
    });
    let recent = state.actions.iter().map(|a| Recent {
        item: items.id(a.item).to_string(),
        action: engine.actions().name(a.action).to_owned(),
        value: a.value,
        time: a.time,
    });
    Ok(HttpResponse::Ok().json(UserAnswer {
        id: id.to_string(),
        attributes: said.collect(),
        counters: counted(&state.counters, engine.actions(), time::now()),
        recent: recent.collect(),
        ties: ties(&state),
        levels: levels(&state, engine.live().keep()),
    }))
}

fn levels(state: &UserState, keep: &Keep) -> BTreeMap<String, Earned> {
    let earned = |rule: &LevelRule| {
        let points = state.levels.get(&rule.name).map_or(0, |tally| tally.points(rule));
        (rule.name.to_string(), Earned { points, level: rule.level(points) })
    };
    keep.levels.iter().map(earned).collect()
}

fn ties(state: &UserState) -> BTreeMap<String, Tied> {
    let mut all: BTreeMap<String, Tied> = BTreeMap::new();
    for (relation, side, _) in state.ties.iter() {
        let others = state.ties.of(relation, side).iter().map(ToString::to_string).collect();
        let tied = all.entry(relation.to_owned()).or_default();
        match side {
            Side::To => tied.to = others,
            Side::From => tied.from = others,
        }
    }
    all
}

/// Erases a user: at once for every reader, and some time later from the files. Totals of items stay.
#[utoipa::path(
    delete, path = "/v1/users/{id}", tag = "data", params(("id" = String, Path, description = "id of the user")),
    responses(
        (status = 200, body = Erased),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "no known key"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "the key lacks the right write"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "unknown user"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "the memory for events is used up; `Retry-After` says when to come again"),
        (status = 503, body = Problem, content_type = "application/problem+json", description = "nothing is taken just now"),
    )
)]
pub async fn delete_user(engine: Data<Engine>, http: HttpRequest, id: Path<String>) -> Result<HttpResponse> {
    keys::allow(&engine, &http, Right::Write)?;
    let known = Id::new(&id).map_err(|_| unknown("user", &id))?;
    let who = [Person::user(known.clone())];
    if engine.live().people().read(&who).await?.pop().flatten().is_none() {
        return Err(unknown("user", &id).into());
    }
    let [person] = who;
    let position = submit(&engine, Event::Erase(Erase { person: person.clone(), time: time::now() })).await?;
    // Asked for twice at the same moment, it is one erasure.
    let own = engine.erasures().and_then(|all| all.newest(&person).map(|(at, _)| all.position(at)));
    let erasure = own.unwrap_or(position).to_string();
    Ok(HttpResponse::Ok().json(Erased { id: known.to_string(), position: position.to_string(), erasure }))
}

/// How far an erasure is.
#[utoipa::path(
    get, path = "/v1/erasures/{id}", tag = "data", params(("id" = String, Path, description = "id of the erasure")),
    responses(
        (status = 200, body = ErasureAnswer),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "no known key"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "the key lacks the right read"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "unknown erasure"),
    )
)]
pub async fn erasure(engine: Data<Engine>, http: HttpRequest, id: Path<String>) -> Result<HttpResponse> {
    keys::allow(&engine, &http, Right::Read)?;
    let found = engine.erasures().and_then(|all| all.status(id.parse().ok()?));
    let found = found.ok_or_else(|| unknown("erasure", &id))?;
    let [looked_through, of] = found.looked_through;
    Ok(HttpResponse::Ok().json(ErasureAnswer {
        id: id.to_string(),
        state: found.state.name(),
        asked: found.asked,
        began: found.began,
        ended: found.ended,
        looked_through,
        of,
        files: found.files,
        records: found.records,
        servers: found.servers.iter().map(ErasureServer::of).collect(),
    }))
}

/// Longest wait until a removal counts for every reader of this server.
const COUNTS_WITHIN: Duration = Duration::from_secs(5);

async fn remove(engine: &Engine, id: &Id, event: Event) -> Result<HttpResponse> {
    let position = submit(engine, event).await?;
    Ok(HttpResponse::Ok().json(Deleted { id: id.to_string(), position: position.to_string() }))
}

/// Puts an event into the log and waits until it counts for every reader.
async fn submit(engine: &Engine, event: Event) -> Result<Position> {
    let Some(ingest) = engine.ingest() else {
        return Err(Refusal::new(503, "this server only reads").into());
    };
    let receipt = ingest.submit_events(vec![event], time::now()).await.map_err(unwritten)?;
    if let Some(rejected) = receipt.rejected.first() {
        return Err(Refusal::new(503, rejected.detail.clone()).into());
    }
    engine.live().wait_for(receipt.position, COUNTS_WITHIN).await;
    Ok(receipt.position)
}

fn counted(counters: &Counters, actions: &Actions, now_ms: Millis) -> BTreeMap<String, Counted> {
    let one = |action| {
        let window = |span| counters.window(action, span, now_ms).0;
        let (total, sum) = (counters.total(action), counters.sum(action));
        (
            actions.name(action).to_owned(),
            Counted { total, sum, hour: window(HOUR), day: window(DAY), week: window(7 * DAY) },
        )
    };
    counters.actions().map(one).collect()
}

fn unknown(what: &str, id: &str) -> Refusal {
    let short: String = id.chars().take(64).collect();
    Refusal::new(404, format!("unknown {what} {short:?}"))
}
