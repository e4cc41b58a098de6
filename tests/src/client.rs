//! A client of a running server: JSON in, status and JSON out.

use std::time::Duration;

use serde_json::{Value, json};

/// Speaks to one server.
#[derive(Debug, Clone)]
pub struct Client {
    agent: ureq::Agent,
    /// `http://127.0.0.1:PORT`.
    pub url: String,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status; 0 where there was no answer at all.
    pub status: u16,
    /// `Content-Type`.
    pub kind: String,
    /// Seconds of `Retry-After`.
    pub retry_after: Option<u64>,
    /// The body.
    pub text: String,
}

impl Answer {
    /// The body as JSON; `null` where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// Ids of the items of a recommendation, in order.
    #[must_use]
    pub fn ids(&self) -> Vec<String> {
        let items = self.json()["items"].as_array().cloned().unwrap_or_default();
        items.iter().filter_map(|item| item["id"].as_str().map(str::to_owned)).collect()
    }
}

impl Client {
    /// A client of the server at this address.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self::within(url, Duration::from_secs(20))
    }

    /// One that waits no longer than three seconds for an answer.
    #[must_use]
    pub fn impatient(url: impl Into<String>) -> Self {
        Self::within(url, Duration::from_secs(3))
    }

    fn within(url: impl Into<String>, at_most: Duration) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(at_most));
        Self { agent: config.build().into(), url: url.into() }
    }

    /// GET.
    #[must_use]
    pub fn get(&self, path: &str) -> Answer {
        answer(self.agent.get(format!("{}{path}", self.url)).call())
    }

    /// DELETE.
    #[must_use]
    pub fn delete(&self, path: &str) -> Answer {
        answer(self.agent.delete(format!("{}{path}", self.url)).call())
    }

    /// POST of any bytes as `application/json`.
    #[must_use]
    pub fn post(&self, path: &str, body: impl AsRef<[u8]>) -> Answer {
        self.post_as(path, "application/json", body)
    }

    /// POST of any bytes under any type.
    #[must_use]
    pub fn post_as(&self, path: &str, kind: &str, body: impl AsRef<[u8]>) -> Answer {
        answer(
            self.agent.post(format!("{}{path}", self.url)).header("content-type", kind).send(body.as_ref()),
        )
    }

    /// A recommendation that must succeed.
    ///
    /// # Panics
    /// If it is not answered with 200.
    pub fn recommend(&self, request: Value) -> Answer {
        let answer = self.post("/v1/recommend", request.to_string());
        assert_eq!(answer.status, 200, "{request}\n{}", answer.text);
        answer
    }

    /// Sends events that must all be accepted, and gives back their position.
    ///
    /// # Panics
    /// If one is not.
    pub fn send(&self, events: &[Value]) -> String {
        let answer = self.post("/v1/events", Value::from(events.to_vec()).to_string());
        assert_eq!(answer.status, 200, "{}", answer.text);
        let receipt = answer.json();
        assert_eq!(receipt["rejected"], json!([]), "{}", answer.text);
        receipt["position"].as_str().expect("a position").to_owned()
    }
}

fn answer(result: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Answer {
    match result {
        Err(error) => Answer { status: 0, kind: String::new(), retry_after: None, text: error.to_string() },
        Ok(mut response) => {
            let header = |name| response.headers().get(name).and_then(|v| v.to_str().ok());
            let kind = header("content-type").unwrap_or_default().to_owned();
            let retry_after = header("retry-after").and_then(|seconds| seconds.parse().ok());
            match response.body_mut().read_to_string() {
                Ok(text) => Answer { status: response.status().as_u16(), kind, retry_after, text },
                Err(error) => Answer { status: 0, kind, retry_after, text: error.to_string() },
            }
        }
    }
}
