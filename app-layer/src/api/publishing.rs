//! What publishing a table and publishing a model over HTTP share: the small body, the errors, the way to the disk. Not the calls themselves.

use actix_web::web;
use serde_json::{Map, Value as Json};

use super::body;
use crate::error::{Error, Refusal, Result};
use crate::hint::did_you_mean;

/// What a publisher did wrong is told; a corrupt file is theirs, too.
pub(super) fn refused(error: data_layer::Error) -> Error {
    match &error {
        data_layer::Error::Corrupt { .. }
        | data_layer::Error::Newer { .. }
        | data_layer::Error::Invalid { .. } => Refusal::new(422, error.to_string()).into(),
        data_layer::Error::NotFound { what, .. } if what.starts_with("earlier") => {
            Refusal::new(409, error.to_string()).into()
        }
        _ => error.into(),
    }
}

/// A small body: an object with some of these fields; an empty body and null have none.
///
/// # Errors
/// 400 for no JSON, 422 for another field.
pub(super) fn fields(body: &[u8], names: &[&str]) -> Result<Map<String, Json>> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    let fields = match body::json(body)? {
        Json::Null => return Ok(Map::new()),
        Json::Object(fields) => fields,
        _ => return Err(Refusal::field("", "expected an object").into()),
    };
    if let Some(other) = fields.keys().find(|key| !names.contains(&key.as_str())) {
        let hint = did_you_mean(other, names.iter().copied());
        return Err(Refusal::field(format!("/{other}"), format!("unknown field{hint}")).into());
    }
    Ok(fields)
}

/// One of its fields; null is none.
///
/// # Errors
/// 422 for another type.
pub(super) fn option<T>(
    fields: &Map<String, Json>,
    name: &str,
    read: impl FnOnce(&Json) -> Option<T>,
    wanted: &str,
) -> Result<Option<T>> {
    match fields.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(value) => match read(value) {
            Some(value) => Ok(Some(value)),
            None => {
                Err(Refusal::field(format!("/{name}"), format!("expected {wanted}, found {value}")).into())
            }
        },
    }
}

/// Runs what touches the disk where it holds no request up.
///
/// # Errors
/// Its own, or 503 while the server stops.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    web::block(work).await.map_err(|_| Refusal::new(503, "the server is stopping"))?
}
