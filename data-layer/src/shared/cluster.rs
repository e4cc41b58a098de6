//! Which server of a cluster has a key, and asking all of them at once: one pipeline a server. What moves meanwhile is followed; a server
//! that is away takes nobody else's answers with it. Not for what is asked.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::{join_all, select_ok};
use parking_lot::RwLock;
use redis::{ConnectionAddr, ConnectionInfo, ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::sync::Mutex;

use super::line::{Answer, Line};
use super::link::{Ask, Reach};

/// Slots of every cluster.
const SLOTS: usize = 16384;
/// How often the same question is asked elsewhere before its answer is an error.
const MOVES: usize = 4;

/// A cluster.
pub(super) struct Cluster {
    seeds: Vec<ConnectionInfo>,
    reach: Reach,
    view: RwLock<Arc<View>>,
    /// Held while the view is made anew.
    looking: Mutex<()>,
    /// Whether a server did not answer since the view was made.
    doubted: AtomicBool,
}

/// Who has which slots, as far as is known.
#[derive(Default)]
struct View {
    /// By slot, an index of `nodes`.
    owners: Vec<Option<usize>>,
    nodes: Vec<Node>,
}

struct Node {
    host: String,
    port: u16,
    line: Line,
}

impl Cluster {
    /// A cluster of which some nodes are named. Asks nothing yet.
    pub(super) fn new(seeds: Vec<ConnectionInfo>, reach: Reach) -> Self {
        let (view, looking) = (RwLock::default(), Mutex::default());
        Self { seeds, reach, view, looking, doubted: AtomicBool::new(false) }
    }

    /// Connects to all servers that can be reached.
    pub(super) async fn open(self: &Arc<Self>) {
        if let Ok(view) = self.view().await {
            join_all(view.nodes.iter().map(|node| node.line.open())).await;
        }
    }

    /// Asks every question where its key is; answers in order. With `since`, none over a connection that was made after so many others.
    pub(super) async fn ask_all(self: &Arc<Self>, asks: Vec<Ask>, since: Option<u64>) -> Vec<Answer> {
        let mut answers: Vec<Answer> = asks.iter().map(|ask| Err(nobody(slot_of(&ask.key)))).collect();
        let mut open: Vec<usize> = (0..asks.len()).collect();
        for turn in 0..MOVES {
            let view = self.view().await;
            let view = match view {
                Ok(view) => view,
                Err(error) => {
                    open.iter().for_each(|at| answers[*at] = Err(error.clone()));
                    return answers;
                }
            };
            for (at, answer) in view.ask(&asks, &open, since).await {
                answers[at] = answer;
            }
            if open.iter().any(|at| answers[*at].as_ref().is_err_and(RedisError::is_io_error)) {
                self.doubted.store(true, Ordering::Relaxed);
            }
            open.retain(|at| answers[*at].as_ref().is_err_and(elsewhere));
            if open.is_empty() || turn + 1 == MOVES {
                break;
            }
            for at in &open {
                if let Err(error) = &answers[*at]
                    && let Some(answer) = self.asking(&asks[*at], error).await
                {
                    answers[*at] = answer;
                }
            }
            open.retain(|at| answers[*at].as_ref().is_err_and(elsewhere));
            if !open.is_empty() {
                // What does not answer now may a moment later: an election, or a slot that is being moved.
                tokio::time::sleep(std::time::Duration::from_millis(20 * turn as u64)).await;
                let _ = self.look(&view).await;
            }
        }
        answers
    }

    /// The view, made if there is none. One that is in doubt is made anew beside.
    async fn view(self: &Arc<Self>) -> Result<Arc<View>, RedisError> {
        let view = Arc::clone(&self.view.read());
        if view.nodes.is_empty() {
            return self.look(&view).await;
        }
        if self.doubted.swap(false, Ordering::Relaxed) {
            let this = Arc::clone(self);
            let old = Arc::clone(&view);
            tokio::spawn(async move { this.look(&old).await.map(drop) });
        }
        Ok(view)
    }

    /// Makes the view anew, unless somebody has since `old`.
    async fn look(&self, old: &Arc<View>) -> Result<Arc<View>, RedisError> {
        let _looking = self.looking.lock().await;
        let current = Arc::clone(&self.view.read());
        if !Arc::ptr_eq(&current, old) {
            return Ok(current);
        }
        let mut known = Vec::new();
        for node in &old.nodes {
            known.push((node.host.clone(), node.line.clone()));
        }
        for seed in &self.seeds {
            known.push((host_of(seed), self.reach.aside().connect(seed.clone())?));
        }
        let asked = known.into_iter().map(|(host, line)| {
            Box::pin(async move {
                let mut command = redis::cmd("CLUSTER");
                command.arg("SLOTS");
                let answer = line.ask(vec![command], None).await.pop().unwrap_or(Ok(Value::Nil))?;
                let ranges = ranges(&answer, &host);
                ranges.filter(|ranges| !ranges.is_empty()).ok_or_else(|| {
                    RedisError::from((ErrorKind::Parse, "expected slots of a cluster", format!("{answer:?}")))
                })
            })
        });
        let (ranges, _) = select_ok(asked).await?;
        let view = Arc::new(self.made(old, &ranges)?);
        *self.view.write() = Arc::clone(&view);
        Ok(view)
    }

    /// The view of these ranges; connections that there are stay.
    fn made(&self, old: &View, ranges: &[Range]) -> Result<View, RedisError> {
        let mut view = View { owners: vec![None; SLOTS], nodes: Vec::new() };
        let mut at = HashMap::new();
        for range in ranges {
            let key = (range.host.as_str(), range.port);
            let number = match at.get(&key) {
                Some(number) => *number,
                None => {
                    let same = old.nodes.iter().find(|node| (node.host.as_str(), node.port) == key);
                    let line = match same {
                        Some(node) => node.line.clone(),
                        None => self.reach.connect(self.info(&range.host, range.port))?,
                    };
                    view.nodes.push(Node { host: range.host.clone(), port: range.port, line });
                    at.insert(key, view.nodes.len() - 1);
                    view.nodes.len() - 1
                }
            };
            let slots = view.owners.get_mut(range.first..=range.last.min(SLOTS - 1));
            slots.into_iter().flatten().for_each(|owner| *owner = Some(number));
        }
        Ok(view)
    }

    /// A node is reached as the first seed is.
    fn info(&self, host: &str, port: u16) -> ConnectionInfo {
        let seed = self.seeds[0].clone();
        let address = match seed.addr() {
            ConnectionAddr::TcpTls { insecure, tls_params, .. } => ConnectionAddr::TcpTls {
                host: host.to_owned(),
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => ConnectionAddr::Tcp(host.to_owned(), port),
        };
        seed.set_addr(address)
    }

    /// The answer of the server to which a key is just being moved, if that is what the error says.
    async fn asking(&self, ask: &Ask, error: &RedisError) -> Option<Answer> {
        if error.kind() != ErrorKind::Server(ServerErrorKind::Ask) {
            return None;
        }
        let (address, _) = error.redirect_node()?;
        let (host, port) = address.rsplit_once(':')?;
        let commands = vec![redis::cmd("ASKING"), ask.command.clone()];
        match self.reach.aside().connect(self.info(host, port.parse().ok()?)) {
            Ok(line) => line.ask(commands, None).await.pop(),
            Err(error) => Some(Err(error)),
        }
    }
}

impl View {
    /// Asks some of the questions, one pipeline a server; gives their answers in any order.
    async fn ask(&self, asks: &[Ask], some: &[usize], since: Option<u64>) -> Vec<(usize, Answer)> {
        let mut by_node: Vec<Vec<usize>> = vec![Vec::new(); self.nodes.len()];
        let mut answers = Vec::with_capacity(some.len());
        for at in some {
            let slot = slot_of(&asks[*at].key);
            match self.owners.get(slot).copied().flatten() {
                Some(node) => by_node[node].push(*at),
                None => answers.push((*at, Err(nobody(slot)))),
            }
        }
        let asked = by_node.into_iter().zip(&self.nodes).filter(|(some, _)| !some.is_empty());
        let asked = asked.map(|(some, node)| async move {
            let commands = some.iter().map(|at| asks[*at].command.clone()).collect();
            some.into_iter().zip(node.line.ask(commands, since).await).collect::<Vec<_>>()
        });
        answers.extend(join_all(asked).await.into_iter().flatten());
        answers
    }
}

/// Whether the question was not taken there, and may be elsewhere or later.
fn elsewhere(error: &RedisError) -> bool {
    let ErrorKind::Server(kind) = error.kind() else { return false };
    matches!(
        kind,
        ServerErrorKind::Moved
            | ServerErrorKind::Ask
            | ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::ReadOnly
    )
}

fn nobody(slot: usize) -> RedisError {
    (
        ErrorKind::Server(ServerErrorKind::ClusterDown),
        "no server of the cluster has the slot",
        slot.to_string(),
    )
        .into()
}

/// Slots that a server has.
#[derive(Debug, PartialEq, Eq)]
struct Range {
    first: usize,
    last: usize,
    host: String,
    port: u16,
}

/// Reads an answer to `CLUSTER SLOTS`; a node without a host is the one that was asked.
fn ranges(answer: &Value, asked: &str) -> Option<Vec<Range>> {
    let Value::Array(ranges) = answer else { return None };
    let read = |range: &Value| {
        let Value::Array(parts) = range else { return None };
        let [Value::Int(first), Value::Int(last), Value::Array(master), ..] = parts.as_slice() else {
            return None;
        };
        let (host, port) = match master.as_slice() {
            [Value::BulkString(host), Value::Int(port), ..] => (String::from_utf8(host.clone()).ok()?, *port),
            [Value::Nil, Value::Int(port), ..] => (String::new(), *port),
            _ => return None,
        };
        let host = if host.is_empty() || host == "?" { asked.to_owned() } else { host };
        Some(Range {
            first: usize::try_from(*first).ok()?,
            last: usize::try_from(*last).ok()?,
            host,
            port: u16::try_from(port).ok()?,
        })
    };
    ranges.iter().map(read).collect()
}

fn host_of(info: &ConnectionInfo) -> String {
    match info.addr() {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host.clone(),
        _ => String::new(),
    }
}

/// The slot of a key: CRC-16 (XMODEM) of what stands in the first braces, of all where there is nothing in them.
fn slot_of(key: &str) -> usize {
    let tag = key.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(tag, _)| tag);
    let bytes = tag.filter(|tag| !tag.is_empty()).unwrap_or(key).as_bytes();
    let mut crc = 0_u16;
    for byte in bytes {
        crc ^= u16::from(*byte) << 8;
        for _ in 0..8 {
            crc = if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 };
        }
    }
    usize::from(crc) % SLOTS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis() {
        // From the specification, and CLUSTER KEYSLOT.
        assert_eq!(slot_of("123456789"), 0x31c3 % SLOTS);
        assert_eq!(slot_of("foo"), 12182);
        assert_eq!(slot_of("a{foo}b{bar}"), 12182);
        assert_eq!(slot_of("foo{}{bar}"), 8363);
        assert_eq!(slot_of("foo{{bar}}zap"), slot_of("{bar"));
    }

    #[test]
    fn slots_that_a_node_tells_are_read() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let range = |first, last, host: Value, port| {
            let node = Value::Array(vec![host, Value::Int(port), text("id"), Value::Array(Vec::new())]);
            Value::Array(vec![Value::Int(first), Value::Int(last), node.clone(), node])
        };
        let answer = Value::Array(vec![range(0, 99, text("a"), 1), range(100, 16383, Value::Nil, 2)]);
        let wanted = |first, last, host: &str, port| Range { first, last, host: host.to_owned(), port };
        assert_eq!(ranges(&answer, "me"), Some(vec![wanted(0, 99, "a", 1), wanted(100, 16383, "me", 2)]));
        assert_eq!(ranges(&Value::Array(vec![range(-1, 5, text("a"), 1)]), "me"), None);
        assert_eq!(ranges(&Value::Okay, "me"), None);
    }
}
