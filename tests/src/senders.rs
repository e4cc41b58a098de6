//! Clients that click without a pause while servers die and come back: each sends a batch, and the same batch again until somebody has
//! acknowledged it, to whichever server answers. What all of it must come to is known; [`Senders::stop`] gives it back.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::site::{NOW, click};

/// Clicks in one batch.
const BATCH: u64 = 10;
/// Items and users of the clicks.
const ITEMS: u64 = 5;
const USERS: u64 = 7;

/// Numbers that look random, the same for the same seed.
#[derive(Debug)]
pub struct Dice(pub u64);

impl Dice {
    /// Dice of a seed that is printed, so that a failure can be run again: that of the variable `WEIR_SEED`, else a new one.
    #[must_use]
    pub fn thrown(test: &str) -> Self {
        let given = std::env::var("WEIR_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| {
            std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), "a seed") >> 1
        });
        eprintln!("{test}: WEIR_SEED={seed}");
        Self(seed)
    }

    /// A number below `most`.
    pub fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most.max(1)
    }
}

/// Clicks by item and by user.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Clicks {
    /// By path: `/v1/items/i0`, `/v1/users/u0`.
    pub totals: BTreeMap<String, u64>,
}

impl Clicks {
    fn add(&mut self, item: u64, user: u64) {
        for path in [format!("/v1/items/i{item}"), format!("/v1/users/u{user}")] {
            *self.totals.entry(path).or_default() += 1;
        }
    }

    /// What a server counts of these; nothing of what it can't say.
    #[must_use]
    pub fn seen(&self, client: &Client) -> Self {
        let total = |path: &String| client.get(path).json()["counters"]["click"]["total"].as_u64();
        let seen = self.totals.keys().map(|path| (path.clone(), total(path).unwrap_or(0)));
        Self { totals: seen.collect() }
    }

    /// Waits until a server counts exactly these.
    ///
    /// # Panics
    /// If it ever counts more of one, or after a minute still less.
    pub fn must_be_seen(&self, client: &Client) {
        let until = Instant::now() + Duration::from_secs(60);
        loop {
            let seen = self.seen(client);
            if seen == *self {
                return;
            }
            for (path, count) in &seen.totals {
                assert!(*count <= self.totals[path], "{path}: {count} clicks, sent {}", self.totals[path]);
            }
            assert!(Instant::now() < until, "after a minute {seen:?}, sent {self:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Clients at work.
#[derive(Debug)]
pub struct Senders {
    urls: Arc<RwLock<Vec<String>>>,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    threads: Vec<JoinHandle<Clicks>>,
}

impl Senders {
    /// So many clients, which send to nobody yet.
    #[must_use]
    pub fn start(clients: u64) -> Self {
        let (urls, stop) = (Arc::new(RwLock::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let acknowledged = Arc::new(AtomicU64::new(0));
        let one = |client: u64| {
            let (urls, stop, acknowledged) =
                (Arc::clone(&urls), Arc::clone(&stop), Arc::clone(&acknowledged));
            std::thread::spawn(move || send(client, &urls, &stop, &acknowledged))
        };
        let threads = (0..clients).map(one).collect();
        Self { urls, stop, acknowledged, threads }
    }

    /// From now on they send to these servers.
    ///
    /// # Panics
    /// If a client has.
    pub fn to(&self, servers: &[&Client]) {
        let urls = servers.iter().map(|client| client.url.clone()).collect();
        *self.urls.write().expect("no client panics") = urls;
    }

    /// Batches that were acknowledged so far.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    /// Waits until so many batches more than now are acknowledged.
    ///
    /// # Panics
    /// If that takes more than a minute.
    pub fn wait_for(&self, more: u64) {
        let (from, until) = (self.acknowledged(), Instant::now() + Duration::from_secs(60));
        while self.acknowledged() < from + more {
            assert!(Instant::now() < until, "nothing was acknowledged for a minute");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Lets each finish its batch; what was acknowledged altogether. Somebody must answer by now.
    ///
    /// # Panics
    /// If a client did.
    #[must_use]
    pub fn stop(self) -> Clicks {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Clicks::default();
        for thread in self.threads {
            for (path, count) in thread.join().expect("no client panics").totals {
                *all.totals.entry(path).or_default() += count;
            }
        }
        all
    }
}

/// One batch of a client: item, user and event of each click.
fn batch(client: u64, number: u64) -> Vec<(u64, u64, Value)> {
    let one = |place: u64| {
        let (item, user) = ((number + place) % ITEMS, (client + number * 3 + place) % USERS);
        let id = format!("c{client}-{number}-{place}");
        let time = NOW - 1_000_000 + (number * BATCH + place) as i64;
        (item, user, click(&id, &format!("u{user}"), &format!("i{item}"), time))
    };
    (0..BATCH).map(one).collect()
}

fn send(client: u64, urls: &RwLock<Vec<String>>, stop: &AtomicBool, acknowledged: &AtomicU64) -> Clicks {
    let mut clicks = Clicks::default();
    let mut turn = client;
    for number in 0.. {
        let batch = batch(client, number);
        let body = json!(batch.iter().map(|(_, _, event)| event).collect::<Vec<_>>()).to_string();
        loop {
            let urls = urls.read().expect("nobody panics").clone();
            // Nothing was acknowledged and nobody is there: the test ends before it has begun.
            if urls.is_empty() && stop.load(Ordering::Relaxed) {
                return clicks;
            }
            let url = urls.get(turn as usize % urls.len().max(1));
            if url.is_some_and(|url| is_taken(&Client::impatient(url.clone()), &body)) {
                break;
            }
            turn += 1;
            std::thread::sleep(Duration::from_millis(10));
        }
        batch.iter().for_each(|(item, user, _)| clicks.add(*item, *user));
        acknowledged.fetch_add(1, Ordering::Relaxed);
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    clicks
}

/// Whether all of a batch was acknowledged, now or before.
fn is_taken(client: &Client, body: &str) -> bool {
    let answer = client.post("/v1/events", body);
    let (receipt, all) = (answer.json(), answer.status == 200);
    let count = |name: &str| receipt[name].as_u64().unwrap_or(0);
    assert!(!all || count("accepted") + count("duplicates") == BATCH, "{}", answer.text);
    all
}
