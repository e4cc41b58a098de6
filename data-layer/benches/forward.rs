//! What forwarding a log to Redis costs: reading records, packing them by partition, appending behind the sender's last sequence, waiting
//! for the answers. Peer, in the same run: plain `XADD` of the very same packets to the same streams, in pipelines of the same size.
//!
//! Data: 400,000 interactions of some 170 bytes over 20,000 people in 1,024 partitions. Redis is `redis-server` on this machine, without a
//! file; client and server share its cores.

#[allow(dead_code)]
#[path = "../../tests/src/redis.rs"]
mod redis_server;

use std::time::{Duration, Instant};

use data_layer::Result;
use data_layer::log::Entry;
use data_layer::shared::{Link, Options, Outbox, Partitions, Records, StreamId, Which};
use data_layer::types::{Id, Person};
use redis_server::{Kind, Redis};

const EVENTS: u64 = 400_000;
const ROUNDS: usize = 5;

struct Log {
    records: Vec<Entry>,
    at: usize,
}

impl Log {
    fn new() -> Self {
        let record = |n: u64| {
            let who = format!("u{}", n * 7919 % 20_000);
            let payload = format!(
                r#"{{"type":"interaction","id":"e-{n}","person":{{"kind":"user","id":"{who}"}},"item":"i{}","action":"click","value":1.0,"time":{}}}"#,
                n * n % 100_003,
                1_770_000_000_000_u64 + n
            );
            let partition = Id::new(&who).map(Person::user).map_or(0, |person| person.partition());
            let received_ms = 1_770_000_000_000 + n as i64;
            Entry {
                version: 1,
                kind: 3,
                partition,
                span: 1,
                sequence: n,
                received_ms,
                payload: payload.into_bytes(),
                segment: 1,
                offset: 0,
            }
        };
        Self { records: (1..=EVENTS).map(record).collect(), at: 0 }
    }
}

impl Records for Log {
    fn producer(&self) -> u64 {
        1
    }
    fn seek(&mut self, after: u64) -> Result<()> {
        self.at = after as usize;
        Ok(())
    }
    fn next(&mut self) -> Result<Option<Entry>> {
        // A log's records are read from its pages; here they are copied.
        let record = self.records.get(self.at).cloned();
        self.at += usize::from(record.is_some());
        Ok(record)
    }
    fn wait(&mut self, _: Duration) {}
}

fn main() {
    let Some(server) = Redis::of(Kind { forgets: true, ..Kind::default() }) else {
        println!("forward: not run: needs redis-server");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let options = Options { timeout: Duration::from_secs(20), ..Options::of(&server.url()) };
    let link = Link::open(&options, runtime.handle()).expect("a link");
    let partitions = Partitions::new(link, "main", 86_400_000);
    let mut plain = plain::Plain::open(server.port());
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let _ = server.say("FLUSHALL");
        let folder = tempfile::tempdir().expect("a folder");
        let outbox = Outbox::open(partitions.clone(), Log::new(), folder.path().to_owned());
        let mut outbox = outbox.expect("an outbox");
        let mut packets: Vec<Vec<(String, Vec<u8>)>> = Vec::new();
        let mut took = Duration::ZERO;
        let mut seen = vec![StreamId::default(); 1024];
        let mut any = true;
        while any {
            let start = Instant::now();
            any = runtime.block_on(outbox.step()).expect("Redis takes it");
            took += start.elapsed();
            packets.push(collect(&partitions, &runtime, &mut seen));
        }
        ours.push(took);
        let bytes: usize = packets.iter().flatten().map(|(_, bytes)| bytes.len()).sum();
        let count: usize = packets.iter().map(Vec::len).sum();
        let _ = server.say("FLUSHALL");
        let start = Instant::now();
        packets.iter().for_each(|group| plain.append(group));
        theirs.push(start.elapsed());
        if round == 0 {
            println!(
                "{EVENTS} events, {count} packets, {:.1} MB, {} groups",
                bytes as f64 / 1e6,
                packets.len() - 1
            );
        }
    }
    ours.sort();
    theirs.sort();
    let (ours, theirs) = (ours[ROUNDS / 2].as_secs_f64(), theirs[ROUNDS / 2].as_secs_f64());
    let rate = |seconds: f64| EVENTS as f64 / seconds / 1e6;
    println!("forwarded   {:.2} M events/s", rate(ours));
    println!("plain XADD  {:.2} M events/s", rate(theirs));
    println!("forwarded / plain XADD: {:.2}", theirs / ours);
}

/// What a step has added, by stream.
fn collect(
    partitions: &Partitions,
    runtime: &tokio::runtime::Runtime,
    seen: &mut [StreamId],
) -> Vec<(String, Vec<u8>)> {
    let after: Vec<_> = data_layer::shared::Lane::People
        .places()
        .map(|place| (place, seen[usize::from(place.partition)]))
        .collect();
    let found = runtime.block_on(partitions.entries(Which::Arrived, &after, 1000)).expect("entries");
    let mut packets = Vec::new();
    for (place, entries) in found {
        let key = partitions.keys().arrived(place);
        seen[usize::from(place.partition)] = entries.last().map_or_else(StreamId::default, |entry| entry.id);
        packets.extend(entries.into_iter().map(|entry| (key.clone(), entry.bytes)));
    }
    packets
}

/// The same entries as a plain client would add them.
mod plain {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpStream;

    pub struct Plain {
        stream: BufReader<TcpStream>,
    }

    impl Plain {
        pub fn open(port: u16) -> Self {
            let stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
            stream.set_nodelay(true).expect("a socket");
            Self { stream: BufReader::new(stream) }
        }

        /// One pipeline, then all its answers.
        pub fn append(&mut self, group: &[(String, Vec<u8>)]) {
            let mut bytes = Vec::new();
            for (key, packet) in group {
                let _ =
                    write!(bytes, "*5\r\n$4\r\nXADD\r\n${}\r\n{key}\r\n$1\r\n*\r\n$1\r\nb\r\n", key.len());
                let _ = write!(bytes, "${}\r\n", packet.len());
                bytes.extend_from_slice(packet);
                bytes.extend_from_slice(b"\r\n");
            }
            // Written beside the reading, as a client does: neither side may wait for the other.
            let mut writer = self.stream.get_ref().try_clone().expect("a socket");
            std::thread::scope(|scope| {
                scope.spawn(move || writer.write_all(&bytes).expect("a server"));
                let mut line = String::new();
                for _ in 0..group.len() * 2 {
                    line.clear();
                    self.stream.read_line(&mut line).expect("an answer");
                    assert!(!line.starts_with('-'), "{line}");
                }
            });
        }
    }
}
