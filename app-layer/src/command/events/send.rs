//! `weir events send`, and the client that the other commands send with: what a server can't take just now is sent again.

use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::{CHUNK_BYTES, Format, Tally, chunks, line_of};
use crate::error::{Error, Result};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// NDJSON; `-` for standard input.
    file: PathBuf,
    /// Where the server is.
    #[arg(long, default_value = "http://127.0.0.1:8080")]
    url: String,
    /// A key with the right `ingest`.
    #[arg(long, env = "WEIR_KEY", hide_env_values = true)]
    key: Option<String>,
    /// For how many seconds it is tried again where the server takes nothing just now, or is away.
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    patience: u64,
    /// How the result is written.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// Longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// First wait where the server does not say for how long.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// A server, and how long it is waited for.
#[derive(Debug)]
pub(super) struct Client {
    agent: ureq::Agent,
    url: String,
    key: Option<String>,
    /// `None`: for ever.
    patience: Option<Duration>,
}

/// Why a call was not answered with a receipt.
enum Failed {
    /// It may be answered later, after so long where the server says so.
    Later(String, Option<Duration>),
    /// It will not.
    Never(String),
}

impl Client {
    /// A client of `/v1/events` of a server; `query` is appended to it.
    pub(super) fn new(url: &str, query: &str, key: Option<String>, patience: Option<Duration>) -> Self {
        let url = format!("{}/v1/events{query}", url.trim_end_matches('/'));
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(120)))
            .build()
            .into();
        Self { agent, url, key, patience }
    }

    /// Sends some lines until they were taken, and counts what became of them. What was taken although the answer was lost counts as a
    /// duplicate.
    ///
    /// # Errors
    /// What the server says of a call that it will not take; that it was away for too long.
    pub(super) fn send(
        &self,
        lines: &[u8],
        tally: &mut Tally,
        mut place: impl FnMut(usize) -> String,
    ) -> Result<()> {
        let (start, mut wait) = (Instant::now(), FIRST_WAIT);
        let receipt = loop {
            let (why, said) = match self.once(lines) {
                Ok(receipt) => break receipt,
                Err(Failed::Never(detail)) => return Err(Error::Io { place: self.url.clone(), detail }),
                Err(Failed::Later(why, said)) => (why, said),
            };
            let pause = said.unwrap_or(wait).min(LONGEST_WAIT);
            if self.patience.is_some_and(|patience| start.elapsed() + pause > patience) {
                let tried = start.elapsed().as_secs();
                let detail = format!("{why}; tried for {tried} s; what was not taken can be sent again");
                return Err(Error::Io { place: self.url.clone(), detail });
            }
            if wait == FIRST_WAIT {
                tracing::warn!(url = self.url, why, "it is sent again");
            }
            tally.retries += 1;
            std::thread::sleep(pause);
            wait = (2 * wait).min(LONGEST_WAIT);
        };
        let count = |name: &str| receipt[name].as_u64().unwrap_or_default();
        tally.accepted += count("accepted");
        tally.duplicates += count("duplicates");
        for rejected in receipt["rejected"].as_array().into_iter().flatten() {
            let index = rejected["index"].as_u64().unwrap_or_default() as usize;
            tally.reject(&place(index), rejected["detail"].as_str().unwrap_or_default());
        }
        Ok(())
    }

    fn once(&self, lines: &[u8]) -> std::result::Result<serde_json::Value, Failed> {
        let mut request = self.agent.post(&self.url).header("Content-Type", "application/x-ndjson");
        if let Some(key) = &self.key {
            request = request.header("Authorization", format!("Bearer {key}"));
        }
        // A server that is away or breaks off may have taken it or not; sent again, it counts once.
        let away = |error: ureq::Error| Failed::Later(error.to_string(), None);
        let mut answer = request.send(lines).map_err(away)?;
        let status = answer.status().as_u16();
        let after = answer.headers().get("retry-after").and_then(|v| v.to_str().ok()?.parse().ok());
        let body = answer.body_mut().with_config().limit(64 << 20).read_to_string().map_err(away)?;
        match status {
            200 => serde_json::from_str(&body).map_err(|e| Failed::Never(format!("expected a receipt: {e}"))),
            429 | 502 | 503 | 504 => {
                Err(Failed::Later(format!("{status}: {body}"), after.map(Duration::from_secs)))
            }
            _ => Err(Failed::Never(format!("{status}: {body}"))),
        }
    }
}

pub(super) fn run(args: &Args) -> Result<()> {
    let patience = Some(Duration::from_secs(args.patience));
    let client = Client::new(&args.url, "", args.key.clone(), patience);
    let place = args.file.display().to_string();
    let mut tally = Tally::default();
    let post = |text: &str, first: usize| {
        client.send(text.as_bytes(), &mut tally, |index| format!("{place}:{}", line_of(text, first, index)))
    };
    let sent = if args.file == Path::new("-") {
        chunks(std::io::stdin().lock(), &place, CHUNK_BYTES, post)
    } else {
        let file = std::fs::File::open(&args.file).map_err(Error::io(&place))?;
        chunks(BufReader::new(file), &place, CHUNK_BYTES, post)
    };
    if sent.is_err() {
        tally.print(args.format);
        return sent;
    }
    tally.end(args.format)
}
