//! `POST /v1/recommend`: all in one. The body is read and checked here; the answer is the flow's.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use data_layer::config::Right;

use super::openapi::RecommendBody;
use super::problem::Problem;
use super::{AnswerId, body, keys};
use crate::error::Result;
use crate::present::Answer;
use crate::request::Request;
use crate::{Engine, flow};

/// Recommends items: a feed, related items, a re-ranking.
#[utoipa::path(
    post, path = "/v1/recommend", tag = "recommend", request_body = RecommendBody,
    responses(
        (status = 200, body = Answer),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "not JSON"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "no known key"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "the key lacks a right"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "unknown scene"),
        (status = 413, body = Problem, content_type = "application/problem+json", description = "body too large"),
        (status = 415, body = Problem, content_type = "application/problem+json", description = "unknown encoding"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "the memory for bodies is used up; `Retry-After` says when to come again"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "a field is wrong"),
    )
)]
pub async fn recommend(engine: Data<Engine>, http: HttpRequest, payload: Payload) -> Result<HttpResponse> {
    keys::allow(&engine, &http, Right::Read)?;
    let body = body::json(&body::read(&engine, &http, payload).await?)?;
    if let Some(name) = Request::scene_of(&body) {
        engine.scenes().scene(name)?;
    }
    let request = Request::read(&body)?;
    if request.needs_debug() {
        keys::allow(&engine, &http, Right::Debug)?;
    }
    let answer = flow::recommend(&engine, &request).await?;
    let mut response = HttpResponse::Ok().json(&answer);
    response.extensions_mut().insert(AnswerId(answer.request_id));
    Ok(response)
}
