//! Who may do what. Keys come from the configuration, are compared in constant time, and appear in no log.

use actix_web::HttpRequest;
use actix_web::http::header::AUTHORIZATION;
use data_layer::config::{ApiKey, Right};
use subtle::ConstantTimeEq;

use crate::Engine;
use crate::error::Refusal;

/// Checks that the request may use a right, and says who asks: `http:<name of the key>`, or `http`. Without configured keys every call has
/// every right.
///
/// # Errors
/// 401 without a known key, 403 without the right.
pub fn allow(engine: &Engine, request: &HttpRequest, right: Right) -> Result<String, Refusal> {
    let keys = &engine.config().server.keys;
    if keys.is_empty() {
        return Ok("http".to_owned());
    }
    let header = request.headers().get(AUTHORIZATION).and_then(|v| v.to_str().ok());
    let secret =
        header.and_then(|v| v.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let Some((_, secret)) = secret else {
        return Err(Refusal::new(401, "expected a key: Authorization: Bearer <secret>"));
    };
    let Some(key) = find(keys, secret.trim()) else {
        return Err(Refusal::new(401, "unknown key"));
    };
    // An admin may do everything.
    if key.rights.contains(&right) || key.rights.contains(&Right::Admin) {
        Ok(format!("http:{}", key.name))
    } else {
        let wanted = format!("{right:?}").to_lowercase();
        Err(Refusal::new(403, format!("key {:?} lacks the right {wanted:?}", key.name)))
    }
}

/// Looks at every key, so that the time says nothing about which one was near.
fn find<'a>(keys: &'a [ApiKey], secret: &str) -> Option<&'a ApiKey> {
    let mut found = None;
    for key in keys {
        if bool::from(key.secret.expose().as_bytes().ct_eq(secret.as_bytes())) {
            found = Some(key);
        }
    }
    found
}
