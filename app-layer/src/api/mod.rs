//! HTTP and JSON: the all-in-one interface. One file per group of calls; what a call does is the engine's and the flow's.

pub mod body;
pub mod data;
pub mod events;
pub mod keys;
pub mod models;
pub mod openapi;
pub mod ops;
pub mod problem;
mod publishing;
pub mod recommend;
pub mod schema;
pub mod tables;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{ALLOW, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::{self, Data, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Resource};

use crate::Engine;
use crate::error::Refusal;
use problem::Problem;

/// Header that names a request for the client; echoed.
static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Header of distributed traces; echoed.
static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The server's own id of an answer, for the header where the client sent none.
#[derive(Debug, Clone)]
pub struct AnswerId(pub String);

/// All calls there are. The engine is the application's data.
pub fn routes(service: &mut ServiceConfig) {
    service
        .app_data(
            web::PathConfig::default()
                .error_handler(|error, _| Refusal::new(404, format!("no such resource: {error}")).into()),
        )
        .app_data(
            web::QueryConfig::default().error_handler(|error, _| {
                Refusal::new(422, format!("the query does not check: {error}")).into()
            }),
        )
        .service(at("/v1/recommend", "POST").post(recommend::recommend))
        .service(at("/v1/events", "POST").post(events::events))
        .service(at("/v1/schema", "GET, HEAD, PUT").get(schema::schema).put(schema::replace))
        .service(at("/v1/tables", "GET, HEAD").get(tables::list))
        .service(at("/v1/tables/{name}/publish", "POST").post(tables::publish))
        .service(at("/v1/tables/{name}/rollback", "POST").post(tables::rollback))
        .service(at("/v1/tables/{name}/{key}", "GET, HEAD").get(tables::entry))
        .service(at("/v1/tables/{name}", "GET, HEAD").get(tables::one))
        .service(at("/v1/models", "GET, HEAD").get(models::list))
        .service(at("/v1/models/{name}/publish", "POST").post(models::publish))
        .service(at("/v1/models/{name}/rollback", "POST").post(models::rollback))
        .service(at("/v1/models/{name}", "GET, HEAD").get(models::one))
        .service(at("/v1/items/{id}", "GET, HEAD, DELETE").get(data::item).delete(data::delete_item))
        .service(at("/v1/users/{id}", "GET, HEAD, DELETE").get(data::user).delete(data::delete_user))
        .service(at("/v1/erasures/{id}", "GET, HEAD").get(data::erasure))
        .service(at("/healthz", "GET, HEAD").get(ops::healthz))
        .service(at("/readyz", "GET, HEAD").get(ops::readyz))
        .service(at("/metrics", "GET, HEAD").get(ops::metrics))
        .service(at("/openapi.json", "GET, HEAD").get(openapi::document))
        .default_service(web::to(nowhere));
}

/// A resource under construction: other methods than its own are answered 405 with the list.
struct At {
    resource: Resource,
}

fn at(path: &'static str, allowed: &'static str) -> At {
    let resource = web::resource(path).default_service(web::to(move |request: HttpRequest| async move {
        let detail = format!("{} takes {allowed}, found {}", request.path(), request.method());
        let mut answer = Problem::from(&Refusal::new(405, detail)).answer();
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        answer
    }));
    At { resource }
}

impl At {
    fn get<F, A>(self, handler: F) -> Resource
    where
        F: actix_web::Handler<A>,
        A: actix_web::FromRequest + 'static,
        F::Output: actix_web::Responder + 'static,
        F: Clone,
    {
        self.resource.route(web::get().to(handler.clone())).route(web::head().to(handler))
    }

    fn post<F, A>(self, handler: F) -> Resource
    where
        F: actix_web::Handler<A>,
        A: actix_web::FromRequest + 'static,
        F::Output: actix_web::Responder + 'static,
    {
        self.resource.route(web::post().to(handler))
    }
}

async fn nowhere(request: HttpRequest) -> HttpResponse {
    let detail = format!("there is nothing at {}; GET /openapi.json lists what there is", request.path());
    Problem::from(&Refusal::new(404, detail)).answer()
}

/// Counts every answer and echoes the ids that the client sent.
///
/// # Errors
/// Those of the handler.
pub async fn around(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let echo: Vec<(HeaderName, HeaderValue)> = [&REQUEST_ID, &TRACEPARENT]
        .into_iter()
        .filter_map(|name| Some((name.clone(), request.headers().get(name)?.clone())))
        .collect();
    let engine = request.app_data::<Data<Engine>>().cloned();
    let path = request.match_pattern().unwrap_or_else(|| "other".to_owned());
    let mut answer = next.call(request).await?;
    if let Some(engine) = engine {
        let status = answer.status();
        let labels = [("path", path.as_str()), ("status", status.as_str())];
        engine.metrics().count("weir_http_requests_total", &labels, 1);
    }
    let own = answer.response().extensions().get::<AnswerId>().map(|id| id.0.clone());
    let own = own.unwrap_or_else(|| ulid::Ulid::generate().to_string());
    if let Ok(own) = HeaderValue::from_str(&own) {
        answer.headers_mut().insert(REQUEST_ID.clone(), own);
    }
    for (name, value) in echo {
        answer.headers_mut().insert(name, value);
    }
    Ok(answer)
}
