//! A log through Redis to the owners of its partitions, while Redis dies, forgets, or stops, and while owners come, go and stop: every record
//! takes effect exactly once, in the order of its partition.

#[path = "../../tests/src/not_run.rs"]
mod not_run;
#[allow(dead_code)]
#[path = "../../tests/src/redis.rs"]
mod redis;

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

#[path = "outbox/items.rs"]
mod items;
#[path = "outbox/losses.rs"]
mod losses;

use data_layer::log::Entry;
use data_layer::shared::{
    Arrived, Begun, Fit, Found, Gather, Lane, Link, Member, Message, Needs, Notes, Options, Outbox, Outcome,
    Overlook, Owner, Packed, Partitions, Place, Records, Sender, StreamId, Sum, Tail, Tailed, Unpacked,
    Which, Work,
};
use data_layer::types::{Id, Person};
use data_layer::{Error, Result};
use not_run::not_run;
use redis::{Cluster, Kind, Redis};
use tokio::runtime::Runtime;

const DAY: i64 = 86_400_000;
const PEOPLE: u64 = 300;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn partitions(options: &Options, runtime: &Runtime) -> Partitions {
    Partitions::new(Link::open(options, runtime.handle()).unwrap(), "main", DAY)
}

fn person(number: u64) -> Person {
    Person::user(Id::new(&format!("u{number}")).unwrap())
}

/// A log whose record `n` says that person `n % PEOPLE` did something, under an id of its own; it grows to `len` while it is read.
struct Log {
    producer: u64,
    at: u64,
    len: Arc<AtomicU64>,
}

impl Log {
    fn new(producer: u64, len: u64) -> Self {
        Self { producer, at: 0, len: Arc::new(AtomicU64::new(len)) }
    }
}

impl Records for Log {
    fn producer(&self) -> u64 {
        self.producer
    }

    fn seek(&mut self, after: u64) -> Result<()> {
        self.at = after;
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Entry>> {
        if self.at == self.len.load(Ordering::Acquire) {
            return Ok(None);
        }
        self.at += 1;
        let who = self.at % PEOPLE;
        let payload = [who.to_le_bytes(), self.at.to_le_bytes()].concat();
        let (sequence, partition) = (self.at, person(who).partition());
        Ok(Some(Entry {
            span: 1,
            version: 1,
            kind: 3,
            partition,
            sequence,
            received_ms: 7,
            payload,
            segment: 1,
            offset: 0,
        }))
    }

    fn wait(&mut self, at_most: Duration) {
        std::thread::sleep(at_most.min(Duration::from_millis(5)));
    }
}

/// Keeps, by person, the numbers of their records in the order in which they were taken, and sends each number on.
struct Diary {
    /// Told before it works, and waited for, where it is to be slow.
    slow: Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>,
}

fn who(record: &Packed<'_>) -> u64 {
    u64::from_le_bytes(record.payload[..8].try_into().unwrap())
}

fn number(record: &Packed<'_>) -> u64 {
    u64::from_le_bytes(record.payload[8..].try_into().unwrap())
}

impl Work for Diary {
    /// Who, and the number of the record.
    type Task = Vec<(u64, u64)>;

    fn id(&self, record: &Packed<'_>) -> Option<u64> {
        Some(number(record))
    }

    fn begin(&mut self, place: Place, records: &[Arrived<'_>]) -> Result<Begun<Self::Task>> {
        let task: Self::Task = records.iter().map(|a| (who(&a.record), number(&a.record))).collect();
        assert!(task.iter().all(|(who, _)| Place::of_person(&person(*who)) == place));
        Ok(Begun { task, ..Begun::default() })
    }

    fn needs(&self, task: &Self::Task, _: &Notes) -> Result<Needs> {
        let people = task.iter().map(|(who, _)| person(*who)).collect();
        Ok(Needs { people, ..Needs::default() })
    }

    fn finish(&mut self, task: Self::Task, found: Found) -> Result<Outcome> {
        if let Some((started, go_on)) = self.slow.take() {
            started.send(()).unwrap();
            go_on.recv().unwrap();
        }
        let mut states = found.states;
        for (who, number) in &task {
            states.entry(person(*who)).or_default().extend(number.to_le_bytes());
        }
        let states = states.into_iter().map(|(person, state)| (person, Some(state))).collect();
        let message = |(_, number): &(u64, u64)| {
            let to = Some(Place { lane: Lane::Items, partition: (number % 64) as u16 });
            Message { to, kind: 1, payload: number.to_le_bytes().to_vec() }
        };
        Ok(Outcome { states, messages: task.iter().map(message).collect(), ..Outcome::default() })
    }
}

/// What is known of everybody: the numbers of their records.
fn diaries(on: &Partitions, runtime: &Runtime) -> BTreeMap<u64, Vec<u64>> {
    let people: Vec<Person> = (0..PEOPLE).map(person).collect();
    let states = loop {
        // Beside many other tests a server may take longer than these let it.
        match runtime.block_on(on.states(&people)) {
            Err(Error::Store { .. }) => std::thread::sleep(Duration::from_millis(100)),
            states => break states.unwrap(),
        }
    };
    let numbers =
        |state: Vec<u8>| state.chunks(8).map(|n| u64::from_le_bytes(n.try_into().unwrap())).collect();
    (0..).zip(states).filter_map(|(number, state)| Some((number, numbers(state?)))).collect()
}

fn expected(len: u64) -> BTreeMap<u64, Vec<u64>> {
    let mut diaries: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    (1..=len).for_each(|number| diaries.entry(number % PEOPLE).or_default().push(number));
    diaries
}

/// Does something at the end of a scope, after a failed assertion too: whoever works beside it would never end.
struct AtEnd<F: Fn()>(F);

impl<F: Fn()> Drop for AtEnd<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Lets an outbox run beside what `during` does, until all is confirmed.
fn forwarding(options: &Options, log: Log, folder: &Path, during: impl FnOnce(&AtomicU64)) {
    let runtime = runtime();
    let len = Arc::clone(&log.len);
    let outbox = Outbox::open(partitions(options, &runtime), log, folder.to_owned()).unwrap();
    let outlook = outbox.outlook();
    std::thread::scope(|scope| {
        let handle = runtime.handle().clone();
        let _stop = AtEnd(|| outlook.stop());
        scope.spawn(move || outbox.run(&handle));
        during(&len);
        let until = Instant::now() + Duration::from_secs(60);
        while outlook.position() < len.load(Ordering::Acquire) {
            assert!(Instant::now() < until, "stuck at {}", outlook.position());
            std::thread::sleep(Duration::from_millis(10));
        }
    });
}

fn owner(options: &Options, runtime: &Runtime, name: &str, work: Diary) -> Owner<Diary> {
    let partitions = partitions(options, runtime);
    let member = Member::new(partitions.link().clone(), "main", Lane::People, name, 1000);
    Owner::new(partitions, member, 1000, work)
}

/// Lets owners work beside what `during` does.
fn working(options: &Options, names: &[&str], during: impl FnOnce(&[Arc<Overlook>])) {
    let runtime = runtime();
    let owners: Vec<Owner<Diary>> =
        names.iter().map(|name| owner(options, &runtime, name, Diary { slow: None })).collect();
    let overlooks: Vec<Arc<Overlook>> = owners.iter().map(Owner::overlook).collect();
    std::thread::scope(|scope| {
        let _stop = AtEnd(|| overlooks.iter().for_each(|overlook| overlook.stop()));
        for owner in owners {
            let handle = runtime.handle().clone();
            scope.spawn(move || owner.run(&handle));
        }
        during(&overlooks);
    });
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until everybody's records are taken, and compares.
fn all_taken_once(options: &Options, len: u64) {
    let runtime = runtime();
    let on = partitions(options, &runtime);
    let expected = expected(len);
    let count = |diaries: &BTreeMap<u64, Vec<u64>>| diaries.values().map(Vec::len).sum::<usize>();
    let mut found = diaries(&on, &runtime);
    wait_until("not all records are taken", || {
        found = diaries(&on, &runtime);
        count(&found) >= len as usize
    });
    assert!(found == expected, "of {len} records {} were taken, or in another order", count(&found));
}

#[test]
fn every_partition_gets_its_records_in_order_and_none_twice_after_a_restart() {
    let (Some(one), Some(cluster)) = (Redis::start(), Cluster::start()) else {
        return not_run("redis-server");
    };
    for options in [Options::of(&one.url()), Options::cluster(&cluster.urls())] {
        let folder = tempfile::tempdir().unwrap();
        forwarding(&options, Log::new(1, 5000), folder.path(), |_| ());
        // What was written down is gone, then older than what Redis has.
        std::fs::copy(folder.path().join("forwarded"), folder.path().join("old")).unwrap();
        std::fs::remove_file(folder.path().join("forwarded")).unwrap();
        forwarding(&options, Log::new(1, 6000), folder.path(), |_| ());
        std::fs::rename(folder.path().join("old"), folder.path().join("forwarded")).unwrap();
        forwarding(&options, Log::new(1, 7000), folder.path(), |_| ());
        let runtime = runtime();
        let on = partitions(&options, &runtime);
        let mut found = BTreeMap::new();
        for place in Lane::People.places() {
            let entries = runtime.block_on(on.entries(Which::Arrived, &[(place, StreamId::default())], 9999));
            for entry in entries.unwrap().into_iter().flat_map(|(_, entries)| entries) {
                let packet = Unpacked::decode(&entry.bytes).unwrap();
                assert_eq!(packet.sender, Sender::Log(1));
                for record in packet.records {
                    found.entry(who(&record)).or_insert_with(Vec::new).push(record.sequence);
                }
            }
        }
        assert!(found == expected(7000));
    }
}

#[test]
fn records_are_taken_once_while_redis_dies_stops_and_forgets() {
    for forgets in [false, true] {
        let Some(mut server) = Redis::of(Kind { forgets, ..Kind::default() }) else {
            return not_run("redis-server");
        };
        let options = Options { timeout: Duration::from_millis(400), ..Options::of(&server.url()) };
        let folder = tempfile::tempdir().unwrap();
        working(&options, &["a", "b"], |_| {
            forwarding(&options, Log::new(1, 2000), folder.path(), |len| {
                for round in 1..=3 {
                    std::thread::sleep(Duration::from_millis(150));
                    server.kill();
                    len.fetch_add(1000, Ordering::Release);
                    std::thread::sleep(Duration::from_millis(100));
                    server.revive();
                    len.fetch_add(1000 * round, Ordering::Release);
                }
                server.pause();
                len.fetch_add(1000, Ordering::Release);
                std::thread::sleep(Duration::from_millis(1500));
                server.resume();
            });
            all_taken_once(&options, 12_000);
        });
    }
}

#[test]
fn records_are_taken_once_while_a_node_of_a_cluster_dies() {
    let Some(mut cluster) = Cluster::start() else { return not_run("redis-server") };
    let options = Options { timeout: Duration::from_millis(400), ..Options::cluster(&cluster.urls()) };
    let folder = tempfile::tempdir().unwrap();
    working(&options, &["a", "b"], |_| {
        forwarding(&options, Log::new(1, 2000), folder.path(), |len| {
            for node in 0..3 {
                std::thread::sleep(Duration::from_millis(150));
                cluster.nodes[node].kill();
                len.fetch_add(1000, Ordering::Release);
                std::thread::sleep(Duration::from_millis(300));
                cluster.nodes[node].revive();
            }
        });
        all_taken_once(&options, 5000);
    });
}

#[test]
fn the_same_events_from_two_servers_are_taken_once() {
    let Some(server) = Redis::start() else { return not_run("redis-server") };
    let options = Options::of(&server.url());
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    working(&options, &["a"], |overlooks| {
        forwarding(&options, Log::new(1, 3000), folders[0].path(), |_| ());
        all_taken_once(&options, 3000);
        overlooks[0].stop();
    });
    // Another owner, which has to learn what was taken, and the same ids in another server's log.
    working(&options, &["b"], |overlooks| {
        forwarding(&options, Log::new(2, 4000), folders[1].path(), |_| ());
        wait_until("the repeated ones are not dropped", || {
            overlooks[0].repeated() == 3000 && overlooks[0].records() == 1000
        });
    });
    all_taken_once(&options, 4000);
}

#[test]
fn an_owner_that_stopped_past_takeover_does_no_harm() {
    let Some(server) = Redis::start() else { return not_run("redis-server") };
    let options = Options::of(&server.url());
    let folder = tempfile::tempdir().unwrap();
    forwarding(&options, Log::new(1, 3000), folder.path(), |_| ());
    let runtime = runtime();
    let ((started, has_started), (go, go_on)) = (mpsc::channel(), mpsc::channel());
    let stopped = owner(&options, &runtime, "stopped", Diary { slow: Some((started, go_on)) });
    let overlook = stopped.overlook();
    let taken_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = AtEnd(|| overlook.stop());
        let handle = runtime.handle().clone();
        scope.spawn(move || stopped.run(&handle));
        // It has read entries and states, and is stopped before it commits.
        has_started.recv().unwrap();
        working(&options, &["other"], |_| {
            all_taken_once(&options, 3000);
            taken_over.store(true, Ordering::Release);
            go.send(()).unwrap();
            wait_until("its commits were not refused", || overlook.refused() > 0);
            std::thread::sleep(Duration::from_millis(300));
        });
        all_taken_once(&options, 3000);
        assert!(taken_over.load(Ordering::Acquire));
    });
    // Each message was sent on once, too.
    let on = partitions(&options, &runtime);
    let mut sent = Vec::new();
    for place in Lane::People.places() {
        let entries =
            runtime.block_on(on.entries(Which::Out, &[(place, StreamId::default())], 9999)).unwrap();
        sent.extend(entries.into_iter().flat_map(|(_, entries)| entries).map(|entry| entry.bytes));
    }
    assert_eq!(sent.len(), 3000);
    assert_eq!(sent.into_iter().collect::<HashSet<_>>().len(), 3000);
}
