//! Errors as problem documents (RFC 9457): every answer that is not a success has this form.

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use actix_web::{HttpResponse, ResponseError};
use data_layer::error::Busy;
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{Error, FieldError, Refusal};

/// A problem document.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// Kind of problem, as a relative reference: `/problems/` and the status.
    #[serde(rename = "type")]
    pub kind: String,
    /// The status in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What was expected and found in this request.
    pub detail: String,
    /// Field by field, where that helps.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<FieldError>,
}

/// Most errors that are told; who has more wrong will ask again.
const MOST_ERRORS: usize = 100;
/// Longest sentence: what was found is shown, but not all of a body.
const LONGEST: usize = 2_000;

fn short(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

impl From<&Refusal> for Problem {
    fn from(refusal: &Refusal) -> Self {
        let status = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let errors = refusal.errors.iter().take(MOST_ERRORS);
        Self {
            kind: format!("/problems/{}", status.as_u16()),
            title: status.canonical_reason().unwrap_or("Error").to_owned(),
            status: status.as_u16(),
            detail: short(&refusal.detail),
            errors: errors
                .map(|e| FieldError { pointer: short(&e.pointer), detail: short(&e.detail) })
                .collect(),
        }
    }
}

impl Problem {
    /// The answer that carries this document.
    #[must_use]
    pub fn answer(&self) -> HttpResponse {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut answer = HttpResponse::build(status);
        answer.insert_header((CONTENT_TYPE, HeaderValue::from_static("application/problem+json")));
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            answer.insert_header((RETRY_AFTER, HeaderValue::from_static("1")));
        }
        if status == StatusCode::UNAUTHORIZED {
            answer.insert_header((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        }
        answer.body(serde_json::to_vec(self).unwrap_or_default())
    }
}

impl Error {
    /// The refusal a client sees. What is the server's own fault is said in one sentence and logged.
    #[must_use]
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Refused(refusal) => refusal.clone(),
            Self::Data(data_layer::Error::NotFound { .. }) => Refusal::new(404, self.to_string()),
            Self::Data(data_layer::Error::Invalid { .. }) => Refusal::new(422, self.to_string()),
            Self::Data(data_layer::Error::Busy { why: Busy::Full }) => Refusal::new(429, self.to_string()),
            Self::Data(data_layer::Error::Busy { .. } | data_layer::Error::Store { .. }) => {
                Refusal::new(503, self.to_string())
            }
            other => {
                tracing::error!(error = %other, "a request failed");
                Refusal::new(500, "the server failed; its log says why")
            }
        }
    }
}

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.refusal().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        Problem::from(&self.refusal()).answer()
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        Problem::from(self).answer()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_have_the_standard_members() {
        let problem = Problem::from(&Refusal::field("/size", "expected 1"));
        let json = serde_json::to_value(&problem).unwrap();
        assert_eq!(json["type"], "/problems/422");
        assert_eq!(json["title"], "Unprocessable Entity");
        assert_eq!(json["errors"][0]["pointer"], "/size");
        let answer = Problem::from(&Refusal::new(503, "busy")).answer();
        assert_eq!(answer.headers().get(RETRY_AFTER).unwrap(), "1");
        assert_eq!(answer.headers().get(CONTENT_TYPE).unwrap(), "application/problem+json");
        for (why, status) in [(Busy::Full, 429), (Busy::Behind, 503), (Busy::Failed, 503)] {
            let refusal = Error::Data(data_layer::Error::Busy { why }).refusal();
            assert_eq!(refusal.status, status);
            assert!(Problem::from(&refusal).answer().headers().contains_key(RETRY_AFTER));
        }
    }

    #[test]
    fn what_was_found_is_told_within_bounds() {
        let error = FieldError { pointer: "/é".repeat(5_000), detail: "é".repeat(5_000) };
        let refusal = Refusal { detail: "x".repeat(1 << 20), ..Refusal::fields(vec![error; 5_000]) };
        assert!(serde_json::to_vec(&Problem::from(&refusal)).unwrap().len() < 1 << 20);
    }

    #[test]
    fn faults_of_the_server_are_not_told_to_clients() {
        let error = Error::Io { place: "/secret/path".into(), detail: "gone".into() };
        let refusal = error.refusal();
        assert_eq!(refusal.status, 500);
        assert!(!refusal.detail.contains("secret"));
    }
}
