//! A gentle client of the public API: one call at a time, retries with backoff while the server is away, gives up after a
//! bounded time. What is sent again carries the same ids, so that nothing counts twice.

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Value, json};
use ureq::Agent;

use super::act::{Page, Receipt, Site};
use crate::error::{Error, Result};

/// First wait before a call is repeated; doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// A server by its address.
pub struct Client {
    agent: Agent,
    url: String,
    patience: Duration,
    retries: u64,
}

/// One place of an answer, as far as it matters here.
#[derive(Deserialize)]
struct Shown {
    id: String,
}

#[derive(Deserialize)]
struct Answer {
    request_id: String,
    items: Vec<Shown>,
}

#[derive(Deserialize)]
struct Taken {
    accepted: u64,
    duplicates: u64,
    rejected: Vec<Value>,
}

impl Client {
    /// A client that waits at most `patience` for a server that is away.
    #[must_use]
    pub fn new(url: &str, patience: Duration) -> Self {
        let config = Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(10)))
            .http_status_as_error(false)
            .build();
        Self { agent: config.into(), url: url.trim_end_matches('/').to_owned(), patience, retries: 0 }
    }

    /// Posts a body until there is an answer below 500 that is not 429.
    fn post<T: for<'de> Deserialize<'de>>(&mut self, path: &str, body: &Value) -> Result<T> {
        let url = format!("{}{path}", self.url);
        let text = body.to_string();
        let (since, mut wait) = (Instant::now(), FIRST_WAIT);
        loop {
            let detail = match self.once(&url, &text) {
                Ok((200, answer)) => {
                    return serde_json::from_str(&answer).map_err(|e| Error::Server {
                        url,
                        detail: format!("expected the answer of the contract: {e}"),
                    });
                }
                Ok((status, answer)) if status < 500 && status != 429 => {
                    return Err(Error::Server { url, detail: format!("status {status}: {}", answer.trim()) });
                }
                Ok((status, _)) => format!("status {status}"),
                Err(detail) => detail,
            };
            if since.elapsed() + wait > self.patience {
                let detail = format!("no answer for {} s, the last was: {detail}", self.patience.as_secs());
                return Err(Error::Server { url, detail });
            }
            self.retries += 1;
            sleep(wait);
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    fn once(&self, url: &str, body: &str) -> std::result::Result<(u16, String), String> {
        let sent = self.agent.post(url).header("content-type", "application/json").send(body);
        let mut answer = sent.map_err(|e| e.to_string())?;
        let text = answer.body_mut().read_to_string().map_err(|e| e.to_string())?;
        Ok((answer.status().as_u16(), text))
    }
}

impl Site for Client {
    fn recommend(&mut self, scene: &str, user: &str, size: usize) -> Result<Page> {
        let body = json!({ "scene": scene, "user": user, "size": size });
        let answer: Answer = self.post("/v1/recommend", &body)?;
        let items = answer.items.into_iter().map(|i| i.id).collect();
        Ok(Page { request_id: answer.request_id, items })
    }

    fn send(&mut self, events: &[Value]) -> Result<Receipt> {
        let taken: Taken = self.post("/v1/events", &Value::Array(events.to_vec()))?;
        let rejected = taken.rejected.len() as u64;
        let first = taken.rejected.first().map(Value::to_string);
        Ok(Receipt { accepted: taken.accepted, duplicates: taken.duplicates, rejected, first })
    }

    fn retries(&self) -> u64 {
        self.retries
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::TcpListener;

    /// Answers each connection with the next of `answers`, then stops.
    fn server(answers: Vec<&'static str>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                let mut buffer = [0; 4096];
                let _ = stream.read(&mut buffer).unwrap();
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        url
    }

    const BUSY: &str = "HTTP/1.1 503 busy\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    const EMPTY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 31\r\nconnection: close\r\n\r\n{\"request_id\":\"r1\",\"items\":[] }";
    const TYPO: &str = "HTTP/1.1 404 no\r\ncontent-length: 13\r\nconnection: close\r\n\r\nunknown scene";

    #[test]
    fn waits_for_a_server_that_comes_back() {
        let mut client = Client::new(&server(vec![BUSY, BUSY, EMPTY]), Duration::from_secs(20));
        let page = client.recommend("home", "u1", 3).unwrap();
        assert_eq!((page.request_id.as_str(), page.items.len(), client.retries()), ("r1", 0, 2));
    }

    #[test]
    fn refusals_are_not_repeated_and_patience_ends() {
        let mut client = Client::new(&server(vec![TYPO]), Duration::from_secs(20));
        let refused = client.recommend("nowhere", "u1", 3).unwrap_err().to_string();
        assert!(refused.contains("unknown scene"), "{refused}");
        let mut away = Client::new("http://127.0.0.1:1", Duration::from_millis(250));
        assert!(away.send(&[]).unwrap_err().to_string().contains("no answer for"));
    }
}
