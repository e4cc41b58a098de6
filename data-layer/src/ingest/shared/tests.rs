//! People in Redis keep the contract of those in this process, and agree with them on the same log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures::executor::block_on;
use parking_lot::Mutex;
use tokio::runtime::Runtime;

use super::*;
use crate::Result;
use crate::config::{Backend, Config, Shared};
use crate::live::contract::{Subject, suite};
use crate::live::{Items, Live, UserState, codec};
use crate::log::{Stream, Writer, format};
use crate::shared::routes::route;
use crate::shared::{Lane, Link, Mark, Options, Partitions};
use crate::types::event::{Edge, Erase, Identify, Impression, Retraction, Seen, UserEvent};
use crate::types::{Event, Id, Interaction, Person, Record, Value};
use not_run::not_run;
use redis::{Kind, Redis};

mod streams;
mod types;

#[path = "../../../../tests/src/not_run.rs"]
pub(crate) mod not_run;
#[allow(dead_code)]
#[path = "../../../../tests/src/redis.rs"]
pub(crate) mod redis;

/// A server of its own namespace, that takes from a log of its own.
struct Server {
    live: Arc<Live>,
    log: Mutex<Writer>,
    /// Records that are on their way, with those for all partitions counted in each.
    routed: Mutex<u64>,
    sharing: Sharing,
    /// For looking at marks.
    on: Partitions,
    runtime: Runtime,
    folder: tempfile::TempDir,
}

impl Server {
    fn start(redis: &Redis) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::in_folder(folder.path()).unwrap();
        config.namespace = format!("test{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let shared = Shared {
            redis: Options::of(&redis.url()),
            read_timeout: Duration::from_secs(2),
            retractable_for: 3_600_000,
            forget_after: 3_600_000,
        };
        config.live.backend = Backend::Redis(shared.clone());
        std::fs::create_dir_all(config.log.dir.join(&config.namespace)).unwrap();
        let log = Writer::open(&config.events_folder(), Stream::Events, &config.namespace, 7).unwrap();
        let live = Arc::new(Live::of(&config));
        live.follow(7);
        let sharing = Sharing::start(&config, &shared, &live, log.growth(), None, None).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let link = Link::open(&shared.redis, runtime.handle()).unwrap();
        let on = Partitions::new(link, &config.namespace, 1000);
        let (log, routed) = (Mutex::new(log), Mutex::default());
        Self { live, log, routed, sharing, on, runtime, folder }
    }

    /// Waits until all that was logged, and what partitions told each other, was taken.
    fn settle(&self) {
        let until = Instant::now() + Duration::from_secs(60);
        let last = self.log.lock().last();
        let places: Vec<_> = Lane::People.places().collect();
        loop {
            // First what was taken: what that has sent is in the marks that are read after it.
            let of = |lane| self.sharing.standing().of(lane);
            let taken = [Lane::People, Lane::Items].map(|lane| of(lane).records() + of(lane).repeated());
            let taken: u64 = taken.into_iter().sum();
            let marks = self.runtime.block_on(self.on.marks(&places));
            // On a busy machine Redis may answer late.
            let Ok(marks) = marks.into_iter().collect::<Result<Vec<Mark>>>() else { continue };
            let sent: u64 = marks.iter().map(|mark| mark.sent).sum();
            if taken == *self.routed.lock() + sent && self.live.applied().sequence == last {
                return block_on(self.sharing.standing().looks.next());
            }
            assert!(
                Instant::now() < until,
                "{taken} taken, {sent} sent, {:?} of {last}",
                self.live.applied()
            );
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Subject for Server {
    fn apply(&self, records: &[Record]) {
        let mut log = self.log.lock();
        for record in records {
            let payload = format::encode_event(&record.event).unwrap();
            let kind = format::kind_of(&record.event);
            assert_eq!(log.append(kind, record.partition, record.received_ms, &payload), record.sequence);
            *self.routed.lock() += route(&record.event).places().count() as u64;
        }
        log.flush().unwrap();
        log.sync().unwrap();
        drop(log);
        self.settle();
    }

    fn read(&self, who: &[Person]) -> Vec<Option<Arc<UserState>>> {
        block_on(self.live.people().read(who)).unwrap()
    }

    fn live(&self) -> &Live {
        &self.live
    }
}

#[test]
fn people_in_redis_keep_the_contract() {
    let Some(redis) = Redis::start() else { return not_run("redis-server") };
    suite(|| Server::start(&redis));
}

/// What is known of people by ids, the same in every process.
fn bytes(store: &impl Subject, who: &[Person]) -> Vec<Option<Vec<u8>>> {
    let states = store.read(who);
    let items = store.live().items();
    let encode =
        |state: Option<Arc<UserState>>| Some(codec::encode(&*state?, items.ids(), store.live().actions()));
    states.into_iter().map(encode).collect()
}

fn id(text: String) -> Id {
    Id::new(&text).unwrap()
}

/// Events of few people on few items, in an order that a number decides; and who did what.
struct Made(u64, BTreeMap<u64, Person>);

impl Made {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }

    fn person(&mut self) -> Person {
        match self.below(3) {
            0 => Person::anonymous(id(format!("g{}", self.below(4)))),
            _ => Person::user(id(format!("u{}", self.below(4)))),
        }
    }

    fn event(&mut self, number: u64) -> Event {
        let (person, time) = (self.person(), number as i64 * 10);
        match self.below(20) {
            0..8 => Event::Interaction(Interaction {
                id: Some(id(format!("e{number}"))),
                person: self.1.entry(number).or_insert(person).clone(),
                item: id(format!("i{}", self.below(9))),
                action: ["view", "click", "like", "dislike"][self.below(4) as usize].to_owned(),
                value: 1.0 + self.below(4) as f64,
                time,
                request_id: None,
                session: None,
                context: BTreeMap::new(),
            }),
            8..11 => {
                let seen = |n| Seen { id: id(format!("i{n}")), position: None, visible_ms: None };
                let items = (0..3).map(|_| seen(self.below(9))).collect();
                Event::Impression(Impression { id: None, person, scene: None, request_id: None, items, time })
            }
            11..15 => {
                let which = self.below(number + 3);
                let person = self.1.get(&which).filter(|_| which.is_multiple_of(2)).cloned();
                Event::Retraction(Retraction { id: id(format!("e{which}")), person, time })
            }
            15 => {
                let value = Value::String(format!("c{}", self.below(3)).into());
                let attributes = BTreeMap::from([("city".to_owned(), Some(value))]);
                Event::User(UserEvent { person, time, source: None, attributes })
            }
            16 => Event::Identify(Identify {
                anonymous: id(format!("g{}", self.below(4))),
                user: id(format!("u{}", self.below(4))),
                time,
            }),
            17..19 => Event::Edge(Edge {
                from: id(format!("u{}", self.below(4))),
                to: id(format!("u{}", self.below(4))),
                relation: "follow".to_owned(),
                time,
                source: None,
                deleted: self.below(3) == 0,
            }),
            _ => Event::Erase(Erase { person, time }),
        }
    }
}

/// What is counted of items, by ids.
fn counted(store: &impl Subject) -> Vec<String> {
    let items = store.live().items();
    let of = |item| format!("{} {} {:?}", items.id(item), items.impressions(item), items.counters(item));
    let mut all: Vec<String> = (0..items.len() as u32).map(of).collect();
    all.sort();
    all
}

#[test]
fn redis_and_this_process_agree_on_the_same_log() {
    let Some(redis) = Redis::of(Kind { forgets: true, ..Kind::default() }) else {
        return not_run("redis-server");
    };
    let kinds = [Person::user as fn(Id) -> Person, Person::anonymous];
    let who = kinds.into_iter().zip(["u", "g"]);
    let who: Vec<Person> =
        who.flat_map(|(kind, name)| (0..4).map(move |n| kind(id(format!("{name}{n}"))))).collect();
    for seed in 0..3 {
        let (mut made, server) = (Made(seed, BTreeMap::new()), Server::start(&redis));
        let here = Live::of(&Config::in_folder(server.folder.path()).unwrap());
        for round in 0..4 {
            let record = |n: u64| {
                let (sequence, event) = (round * 20 + n, made.event(round * 20 + n));
                let partition = event.person().map_or(0, |person| person.partition());
                Record { sequence, received_ms: sequence as i64, partition, past: false, event }
            };
            let records: Vec<Record> = (1..=20).map(record).collect();
            Subject::apply(&here, &records);
            // One after another where people become others: what comes of that depends on the order.
            records.chunks(1).for_each(|one| Subject::apply(&server, one));
            assert_eq!(counted(&here), counted(&server), "seed {seed}, round {round}");
            for ((who, here), there) in who.iter().zip(bytes(&here, &who)).zip(bytes(&server, &who)) {
                let said: Vec<String> = records.iter().map(|record| format!("{:?}", record.event)).collect();
                assert!(here == there, "{who:?}, seed {seed}, round {round}:\n{}", said.join("\n"));
            }
        }
    }
}
