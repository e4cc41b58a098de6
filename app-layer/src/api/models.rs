//! Models over HTTP: what is served, publish, roll back. Training is the trainer's.

use actix_web::web::{Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use data_layer::config::Right;
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

use super::problem::Problem;
use super::publishing::{blocking, fields, option, refused};
use super::{body, keys};
use crate::Engine;
use crate::error::{Error, Refusal, Result};
use crate::hint::did_you_mean;

/// All models.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ModelList {
    /// By name.
    pub models: Vec<ModelBrief>,
}

/// One model in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ModelBrief {
    /// Its name.
    pub name: String,
    /// What is served; null where nothing can be.
    pub version: Option<u32>,
}

/// One model.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ModelAnswer {
    /// Its name.
    pub name: String,
    /// What is served; null where nothing can be.
    pub version: Option<u32>,
    /// Its family.
    pub family: Option<String>,
    /// Its features.
    pub features: Vec<String>,
    /// How good it was when trained.
    pub metrics: BTreeMap<String, f64>,
    /// All versions, newest first.
    pub versions: Vec<VersionAnswer>,
}

/// One version.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct VersionAnswer {
    /// Its number.
    pub version: u32,
    /// Whether it is the published one.
    pub current: bool,
}

/// What is served from now on.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PublishedModel {
    /// Name of the model.
    pub name: String,
    /// What is served now.
    pub version: u32,
}

/// All models and what is served of them.
#[utoipa::path(
    get, path = "/v1/models", tag = "models",
    responses(
        (status = 200, body = ModelList),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "no known key"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "the key lacks the right read"),
    )
)]
pub async fn list(engine: Data<Engine>, http: HttpRequest) -> Result<HttpResponse> {
    keys::allow(&engine, &http, Right::Read)?;
    let answer = blocking(move || {
        let versions = engine.models().snapshot().versions();
        let mut names = engine.models().registry().names()?;
        names.extend(versions.keys().cloned());
        names.sort();
        names.dedup();
        let brief = |name: String| ModelBrief { version: versions.get(&name).copied(), name };
        Ok(ModelList { models: names.into_iter().map(brief).collect() })
    });
    Ok(HttpResponse::Ok().json(answer.await?))
}

/// One model with its versions.
#[utoipa::path(
    get, path = "/v1/models/{name}", tag = "models", params(("name" = String, Path, description = "name of the model")),
    responses(
        (status = 200, body = ModelAnswer),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "no known key"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "the key lacks the right read"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "unknown model"),
    )
)]
pub async fn one(engine: Data<Engine>, http: HttpRequest, name: Path<String>) -> Result<HttpResponse> {
    keys::allow(&engine, &http, Right::Read)?;
    let answer = blocking(move || {
        known(&engine, &name)?;
        let versions = engine.models().registry().list(&name)?;
        let snapshot = engine.models().snapshot();
        let loaded = snapshot.model(&name);
        Ok(ModelAnswer {
            version: loaded.map(|l| l.version),
            family: loaded.map(|l| l.model.family.clone()),
            features: loaded.map(|l| l.model.features.clone()).unwrap_or_default(),
            metrics: loaded.map(|l| l.model.metrics.clone()).unwrap_or_default(),
            versions: versions
                .iter()
                .map(|v| VersionAnswer { version: v.version, current: v.current })
                .collect(),
            name: name.into_inner(),
        })
    });
    Ok(HttpResponse::Ok().json(answer.await?))
}

/// Publishes a version that lies in the registry: the named one, else the newest.
#[utoipa::path(
    post, path = "/v1/models/{name}/publish", tag = "models", params(("name" = String, Path, description = "name of the model")),
    request_body = Option<super::openapi::PublishModel>,
    responses(
        (status = 200, body = PublishedModel),
        (status = 400, body = Problem, content_type = "application/problem+json", description = "not JSON"),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "no known key"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "the key lacks the right admin"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "unknown model or version"),
        (status = 413, body = Problem, content_type = "application/problem+json", description = "body too large"),
        (status = 415, body = Problem, content_type = "application/problem+json", description = "unknown encoding"),
        (status = 429, body = Problem, content_type = "application/problem+json", description = "the memory for bodies is used up; `Retry-After` says when to come again"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "the version does not check or does not fit a scene, or a field is wrong"),
    )
)]
pub async fn publish(
    engine: Data<Engine>,
    http: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Result<HttpResponse> {
    keys::allow(&engine, &http, Right::Admin)?;
    let body = body::read(&engine, &http, payload).await?;
    let number = |v: &serde_json::Value| v.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0);
    let version = option(&fields(&body, &["version"])?, "version", number, "the number of a version")?;
    let published = blocking(move || {
        known(&engine, &name)?;
        let registry = engine.models().registry();
        let version = version.or(registry.list(&name)?.first().map(|newest| newest.version));
        if let Some(version) = version {
            engine.would_run(&name, version).map_err(told)?;
        }
        let version = registry.activate(&name, version).map_err(refused)?;
        engine.refresh();
        Ok(PublishedModel { name: name.into_inner(), version })
    });
    Ok(HttpResponse::Ok().json(published.await?))
}

/// Goes back to the version that was published before.
#[utoipa::path(
    post, path = "/v1/models/{name}/rollback", tag = "models", params(("name" = String, Path, description = "name of the model")),
    responses(
        (status = 200, body = PublishedModel),
        (status = 401, body = Problem, content_type = "application/problem+json", description = "no known key"),
        (status = 403, body = Problem, content_type = "application/problem+json", description = "the key lacks the right admin"),
        (status = 404, body = Problem, content_type = "application/problem+json", description = "unknown model"),
        (status = 409, body = Problem, content_type = "application/problem+json", description = "there is no earlier version"),
        (status = 422, body = Problem, content_type = "application/problem+json", description = "the earlier version does not check"),
    )
)]
pub async fn rollback(engine: Data<Engine>, http: HttpRequest, name: Path<String>) -> Result<HttpResponse> {
    keys::allow(&engine, &http, Right::Admin)?;
    let rolled = blocking(move || {
        known(&engine, &name)?;
        let version = engine.models().registry().rollback(&name).map_err(refused)?;
        engine.refresh();
        Ok(PublishedModel { name: name.into_inner(), version })
    });
    Ok(HttpResponse::Ok().json(rolled.await?))
}

/// What is wrong with the file of a model is the publisher's matter.
fn told(error: Error) -> Error {
    match error {
        Error::Data(error) => refused(error),
        other => other,
    }
}

/// 404 for a model that the registry does not have.
fn known(engine: &Engine, name: &str) -> Result<()> {
    let names = engine.models().registry().names()?;
    if names.iter().any(|n| n == name) {
        return Ok(());
    }
    let hint = did_you_mean(name, names.iter().map(String::as_str));
    Err(Error::from(Refusal::new(404, format!("unknown model {name:?}{hint}"))))
}
