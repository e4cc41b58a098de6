//! The servers for which erasures wait, for who runs them: which there are, and that one is gone for good. Not for what a server does in an erasure:
//! that is `peers.rs`.

use serde::Serialize;

use super::{Peers, State};
use crate::config::{Backend, Config};
use crate::types::{Millis, time::MINUTE};
use crate::{Error, Result};

/// Who said within so many milliseconds that it is there is not gone.
const SILENT: Millis = 10 * MINUTE;

/// One of the servers that share a Redis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Server {
    /// Identity of its log, in 16 hex digits.
    pub log: String,
    /// When it last said that it is there, in milliseconds.
    pub said: Millis,
    /// Erasures with which it is not done.
    pub open: usize,
}

/// All servers for which erasures wait, by their logs.
///
/// # Errors
/// [`Error::Invalid`] where none share a Redis; [`Error::Store`].
pub fn servers(config: &Config) -> Result<Vec<Server>> {
    let peers = peers(config)?;
    let told = peers.runtime.block_on(peers.partitions.erasures())?;
    let asked = super::peers::parsed(&peers.partitions, &told)?;
    let open = |producer: u64| {
        let done = |id: &String| {
            told.states.get(&(id.clone(), producer)).map(String::as_str) == Some(State::Done.name())
        };
        asked.iter().filter(|(id, asked)| !asked.people.is_empty() && !done(id)).count()
    };
    let server = |(producer, said): (&u64, &Millis)| Server {
        log: format!("{producer:016x}"),
        said: *said,
        open: open(*producer),
    };
    Ok(told.servers.iter().map(server).collect())
}

/// Waits no longer for a server that is gone for good. What its files hold of erased people stays there; it is on the list again should it come back,
/// and takes up what is open by then.
///
/// # Errors
/// [`Error::NotFound`] for a log that is none of theirs; [`Error::Invalid`] for a server that said within ten minutes before `now` that it is there, and
/// where none share a Redis; [`Error::Store`].
pub fn forget_server(config: &Config, log: &str, now: Millis) -> Result<()> {
    let peers = peers(config)?;
    let told = peers.runtime.block_on(peers.partitions.erasures())?;
    let found = u64::from_str_radix(log, 16).ok().and_then(|log| told.servers.get_key_value(&log));
    let Some((producer, said)) = found else {
        let hint = "; `weir erasures servers` names those there are".to_owned();
        return Err(Error::NotFound { what: "server", name: log.to_owned(), hint });
    };
    if now - said < SILENT {
        let detail = format!(
            "expected a server that is gone, found that it said {} s ago that it is there; stop it, and wait ten minutes",
            (now - said).max(0) / 1000
        );
        return Err(Error::invalid(format!("server {log}"), detail));
    }
    peers.runtime.block_on(peers.partitions.forget_server(*producer))
}

fn peers(config: &Config) -> Result<Peers> {
    match &config.live.backend {
        Backend::Redis(shared) => Peers::open(config, shared, 0),
        Backend::Embedded => {
            let detail = "expected servers that share a Redis (backend = \"redis\"), found one alone";
            Err(Error::invalid("[live]", detail))
        }
    }
}
