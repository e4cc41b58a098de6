//! Events from streams in Redis that other systems write to: each server reads them as a member of a consumer group, and an entry is
//! acknowledged there once its events are on this server's disk. Not for what servers share among themselves: that is `shared/`.
//!
//! **Invariant:** an entry is acknowledged after its events are durable, never before. So a server that dies in between reads it again,
//! and its events count once: they are dropped by id or content, as any that are sent twice within `[log] dedupe`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures::future::join_all;
use redis::{Cmd, Value};
use tokio::runtime::Runtime;

use super::{Form, Ingest};
use crate::config::{Config, Start, StreamOptions};
use crate::shared::Link;
use crate::shared::link::Ask;
use crate::types::time;
use crate::{Error, Result};

/// Entries read at once.
const MOST_ENTRIES: usize = 256;
/// How long nothing is asked after nothing was found.
const REST: Duration = Duration::from_millis(50);
/// Waits after an error, doubled up to the longest.
const WAITS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(5)];
/// How often entries of servers that died are looked for.
const CLAIM: Duration = Duration::from_secs(30);
/// After so long without an acknowledgement an entry's server is taken for dead, in milliseconds.
const DEAD: u64 = 60_000;

/// The streams of a configuration, each read on a thread of its own. Dropping it ends them.
#[derive(Debug)]
pub struct Streams {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    /// Connections live here; `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Streams {
    /// Begins to read every stream of the configuration. One whose Redis is away is read when it comes.
    ///
    /// # Errors
    /// A configuration that makes no sense, authorities that can't be read, a thread that the system refuses.
    pub fn start(config: &Config, ingest: &Ingest) -> Result<Self> {
        let (stop, mut threads) = (Arc::<AtomicBool>::default(), Vec::new());
        if config.streams.is_empty() {
            return Ok(Self { stop, threads, runtime: None });
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("weir-redis")
            .enable_all()
            .build()
            .map_err(Error::io("the runtime of streams"))?;
        for (name, options) in &config.streams {
            let member = format!("weir-{:016x}", ingest.live().applied().producer);
            let link = Link::open(&options.redis, runtime.handle())?;
            let (name, options, ingest) = (name.clone(), options.clone(), ingest.clone());
            let (handle, stop) = (runtime.handle().clone(), Arc::clone(&stop));
            let claimed = Instant::now();
            let reader =
                Reader { name, options, member, link, ingest, stop, grouped: false, own: true, claimed };
            let thread = std::thread::Builder::new().name("weir-stream".to_owned());
            let thread = thread.spawn(move || reader.run(&handle)).map_err(Error::io("thread"))?;
            threads.push(thread);
        }
        Ok(Self { stop, threads, runtime: Some(runtime) })
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("a thread that reads a stream failed");
            }
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// One stream.
struct Reader {
    name: String,
    options: StreamOptions,
    /// This server in the group: the same after a restart.
    member: String,
    link: Link,
    ingest: Ingest,
    stop: Arc<AtomicBool>,
    /// Whether the group is there.
    grouped: bool,
    /// Whether entries may be its own already: handed to it before a restart or a lost answer.
    own: bool,
    claimed: Instant,
}

/// An entry: its id, and the value of the field.
type Entry = (Vec<u8>, Option<Vec<u8>>);

impl Reader {
    fn run(mut self, runtime: &tokio::runtime::Handle) {
        let (mut wait, mut said) = (WAITS[0], String::new());
        while !self.stop.load(Ordering::Acquire) {
            let rest = match runtime.block_on(self.step()) {
                Ok(count) => {
                    if !said.is_empty() {
                        tracing::info!(stream = self.name, "read again");
                    }
                    (wait, said) = (WAITS[0], String::new());
                    if count > 0 { Duration::ZERO } else { REST }
                }
                Err(error) => {
                    let error = error.to_string();
                    if error != said {
                        tracing::warn!(
                            stream = self.name,
                            error,
                            "not read for now; its entries stay where they are"
                        );
                    }
                    (said, self.own, self.grouped) = (error, true, false);
                    wait = (wait * 2).min(WAITS[1]);
                    wait
                }
            };
            if !rest.is_zero() {
                std::thread::park_timeout(rest);
            }
        }
    }

    /// Reads entries, once; how many there were.
    async fn step(&mut self) -> Result<usize> {
        if !self.grouped {
            self.group().await?;
            self.grouped = true;
        }
        if self.claimed.elapsed() >= CLAIM {
            self.claim().await?;
            self.claimed = Instant::now();
        }
        let mut entries = self.read(if self.own { "0" } else { ">" }).await?;
        if entries.is_empty() && self.own {
            self.own = false;
            entries = self.read(">").await?;
        }
        if entries.is_empty() {
            return Ok(0);
        }
        self.take(&entries).await?;
        let mut command = redis::cmd("XACK");
        command.arg(&self.options.key).arg(&self.options.group);
        entries.iter().for_each(|(id, _)| {
            command.arg(id.as_slice());
        });
        self.ask(command).await?;
        Ok(entries.len())
    }

    /// Makes the group where there is none.
    async fn group(&self) -> Result<()> {
        let mut command = redis::cmd("XGROUP");
        let from = if self.options.from == Start::Oldest { "0" } else { "$" };
        command.arg("CREATE").arg(&self.options.key).arg(&self.options.group).arg(from).arg("MKSTREAM");
        match self.ask(command).await {
            Err(error) if !error.to_string().contains("BUSYGROUP") => Err(error),
            _ => Ok(()),
        }
    }

    /// Entries from an id on: its own (`0`), or new ones (`>`).
    async fn read(&self, from: &str) -> Result<Vec<Entry>> {
        let mut command = redis::cmd("XREADGROUP");
        command.arg("GROUP").arg(&self.options.group).arg(&self.member).arg("COUNT").arg(MOST_ENTRIES);
        command.arg("STREAMS").arg(&self.options.key).arg(from);
        match self.ask(command).await? {
            Value::Nil => Ok(Vec::new()),
            answer => self.entries(&answer).ok_or_else(|| self.strange(&answer)),
        }
    }

    /// Makes entries its own that a server took and did not acknowledge for long.
    async fn claim(&mut self) -> Result<()> {
        let mut command = redis::cmd("XAUTOCLAIM");
        command.arg(&self.options.key).arg(&self.options.group).arg(&self.member).arg(DEAD).arg("0-0");
        command.arg("COUNT").arg(MOST_ENTRIES).arg("JUSTID");
        let answer = self.ask(command).await?;
        if let Value::Array(parts) = &answer
            && let Some(Value::Array(ids)) = parts.get(1)
            && !ids.is_empty()
        {
            tracing::info!(
                stream = self.name,
                entries = ids.len(),
                "taking entries over from a server that is gone"
            );
            self.own = true;
        }
        Ok(())
    }

    /// Gives the events of entries to the log, and waits until they are durable.
    async fn take(&self, entries: &[Entry]) -> Result<()> {
        let mut waiting = Vec::new();
        for (id, event) in entries {
            // Without an event: deleted from the stream after it was handed out, or written by somebody else.
            let Some(event) = event else {
                self.refused(id, &format!("expected a field {:?} with an event", self.options.field));
                continue;
            };
            let receipt = loop {
                match self.ingest.submit(event, Form::Auto, time::now()) {
                    Err(Error::Busy { .. }) if !self.stop.load(Ordering::Acquire) => {
                        self.settle(std::mem::take(&mut waiting)).await?;
                        tokio::time::sleep(WAITS[0]).await;
                    }
                    Err(Error::Invalid { detail, .. }) => {
                        self.refused(id, &detail);
                        break None;
                    }
                    submitted => break Some(submitted?),
                }
            };
            waiting.extend(receipt.map(|receipt| (id, receipt)));
        }
        self.settle(waiting).await
    }

    async fn settle(
        &self,
        waiting: Vec<(&Vec<u8>, impl Future<Output = Result<super::Receipt>>)>,
    ) -> Result<()> {
        let (ids, receipts): (Vec<_>, Vec<_>) = waiting.into_iter().unzip();
        for (id, receipt) in ids.into_iter().zip(join_all(receipts).await) {
            for rejected in receipt?.rejected {
                self.refused(id, &format!("event {}: {}", rejected.index, rejected.detail));
            }
        }
        Ok(())
    }

    /// What can't be taken is said and passed over: it would stop everything behind it.
    fn refused(&self, id: &[u8], detail: &str) {
        let entry = String::from_utf8_lossy(id);
        tracing::warn!(stream = self.name, %entry, detail, "an entry, or an event of it, was not taken");
    }

    async fn ask(&self, command: Cmd) -> Result<Value> {
        self.link.run(Ask { key: self.options.key.clone(), command }).await
    }

    fn entries(&self, answer: &Value) -> Option<Vec<Entry>> {
        let Value::Array(streams) = answer else { return None };
        let [Value::Array(stream)] = streams.as_slice() else { return None };
        let [_, Value::Array(entries)] = stream.as_slice() else { return None };
        entries.iter().map(|entry| self.entry(entry)).collect()
    }

    fn entry(&self, entry: &Value) -> Option<Entry> {
        let Value::Array(parts) = entry else { return None };
        let [Value::BulkString(id), fields] = parts.as_slice() else { return None };
        let Value::Array(fields) = fields else { return Some((id.clone(), None)) };
        let named = fields.chunks(2).find_map(|field| match field {
            [Value::BulkString(name), Value::BulkString(value)]
                if name.as_slice() == self.options.field.as_bytes() =>
            {
                Some(value.clone())
            }
            _ => None,
        });
        Some((id.clone(), named))
    }

    fn strange(&self, found: &Value) -> Error {
        let place = format!("{}: {}", self.link.place(), self.options.key);
        Error::invalid(place, format!("expected entries of a stream, found {found:?}"))
    }
}
