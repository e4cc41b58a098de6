//! People act on what a server shows: ask for a page, look at some places, click by the truth, and report it as a client
//! would. Knows the truth and the public API, nothing of the server.

use std::fmt;
use std::time::{Duration, Instant};

use data_layer::types::{Millis, time};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;
use serde_json::{Value, json};

use super::choice::{appeal, click, examined};
use super::client::Client;
use super::draw::{below, poisson, stream};
use super::taste::{Vector, dot};
use super::world::{END, Person, World, draw_person};
use crate::error::Result;

/// Longest that a server may be away.
const PATIENCE: Duration = Duration::from_secs(60);

/// How to act.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Address of the server.
    pub url: String,
    /// Scene to ask for.
    pub scene: String,
    /// Pages a second.
    pub rate: f64,
    /// Seed of all chance here.
    pub seed: u64,
    /// When to stop; `None`: never.
    pub seconds: Option<f64>,
    /// Items on a page.
    pub size: usize,
    /// Chance that a session is that of a newcomer.
    pub new: f64,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Done {
    /// Pages shown.
    pub pages: u64,
    /// Pages without an item.
    pub empty: u64,
    /// Places looked at.
    pub looks: u64,
    /// Clicks.
    pub clicks: u64,
    /// Likes.
    pub likes: u64,
    /// Events that the server rejected.
    pub rejected: u64,
    /// Calls repeated because the server was away or busy.
    pub retries: u64,
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self.clicks as f64 / self.looks.max(1) as f64;
        write!(
            f,
            "{} pages ({} empty), {} looks, {} clicks ({rate:.4} a look), {} likes, {} rejected, {} retries",
            self.pages, self.empty, self.looks, self.clicks, self.likes, self.rejected, self.retries
        )
    }
}

/// An answer, as a client sees it.
#[derive(Debug, Clone)]
pub struct Page {
    /// The server's id of the answer.
    pub request_id: String,
    /// Item ids in order.
    pub items: Vec<String>,
}

/// What became of events.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// New ones taken.
    pub accepted: u64,
    /// Known already.
    pub duplicates: u64,
    /// Refused.
    pub rejected: u64,
    /// The first refusal, as the server words it.
    pub first: Option<String>,
}

/// The public API as the audience needs it.
pub trait Site {
    /// Asks for a page.
    ///
    /// # Errors
    /// Where the server refuses or stays away.
    fn recommend(&mut self, scene: &str, user: &str, size: usize) -> Result<Page>;
    /// Sends events.
    ///
    /// # Errors
    /// Where the server refuses or stays away.
    fn send(&mut self, events: &[Value]) -> Result<Receipt>;
    /// Calls that had to be repeated so far.
    fn retries(&self) -> u64;
}

/// Somebody on the site, with what they remember.
struct Visitor {
    person: Person,
    session: u64,
    pages_left: u32,
    topics: [u32; 16],
    looked: FxHashMap<usize, u32>,
    clicked: FxHashSet<usize>,
}

/// The people of a world and their chance.
pub struct Crowd<'a> {
    world: &'a World,
    items: FxHashMap<&'a str, usize>,
    centres: Vec<Vector>,
    /// Running sums of activity, to choose who comes.
    weights: Vec<f64>,
    visitors: FxHashMap<String, Visitor>,
    /// Who is in the middle of a session.
    active: Vec<String>,
    newcomers: u64,
    rng: ChaCha8Rng,
    seed: u64,
}

/// Acts over HTTP until the plan's time is up.
///
/// # Errors
/// A server that refuses, or that stays away for a minute.
pub fn act(world: &World, plan: &Plan) -> Result<Done> {
    let mut site = Client::new(&plan.url, PATIENCE);
    let mut crowd = Crowd::new(world, plan.seed);
    let (began, pause) = (Instant::now(), Duration::from_secs_f64(1.0 / plan.rate));
    let mut done = Done::default();
    let mut next = began;
    while plan.seconds.is_none_or(|s| began.elapsed().as_secs_f64() < s) {
        crowd.page(&mut site, plan, time::now, &mut done)?;
        // Time lost while the server was away is not made up for: no burst on a server that has just come back.
        next = (next + pause).max(Instant::now().checked_sub(pause).unwrap_or(began));
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(done)
}

impl<'a> Crowd<'a> {
    /// The people of a world, before anybody has come.
    #[must_use]
    pub fn new(world: &'a World, seed: u64) -> Self {
        let items = world.items.iter().enumerate().map(|(n, i)| (i.id.as_str(), n)).collect();
        let weights = world.people.iter().scan(0.0, |sum, p| {
            *sum += p.activity;
            Some(*sum)
        });
        Self {
            world,
            items,
            centres: world.centres(),
            weights: weights.collect(),
            visitors: FxHashMap::default(),
            active: Vec::new(),
            newcomers: 0,
            rng: stream(seed, 0),
            seed,
        }
    }

    /// One page for somebody: asked for, looked at, clicked, reported.
    ///
    /// # Errors
    /// The site's.
    pub fn page(
        &mut self,
        site: &mut impl Site,
        plan: &Plan,
        clock: impl Fn() -> Millis,
        done: &mut Done,
    ) -> Result<()> {
        let who = self.choose(plan.new);
        let page = site.recommend(&plan.scene, &who, plan.size)?;
        let events = self.look(&who, &page, plan, clock(), done);
        done.pages += 1;
        if page.items.is_empty() {
            done.empty += 1;
        }
        if !events.is_empty() {
            let receipt = site.send(&events)?;
            done.rejected += receipt.rejected;
            if let Some(first) = receipt.first {
                eprintln!("weir-eval: the server rejected an event: {first}");
            }
        }
        done.retries = site.retries();
        Ok(())
    }

    /// Somebody in a session three times in five, else a session begins, with chance `new` a newcomer's.
    fn choose(&mut self, new: f64) -> String {
        if !self.active.is_empty() && self.rng.random::<f64>() < 0.6 {
            let at = below(&mut self.rng, self.active.len());
            let who = self.active[at].clone();
            if let Some(visitor) = self.visitors.get_mut(&who) {
                visitor.pages_left -= 1;
                if visitor.pages_left == 0 {
                    self.active.swap_remove(at);
                }
            }
            return who;
        }
        let person = if self.rng.random::<f64>() < new || self.weights.is_empty() {
            self.newcomers += 1;
            let id = format!("n{}-{:05}", self.seed, self.newcomers);
            draw_person(&mut self.rng, &self.centres, id, END)
        } else {
            let total = self.weights[self.weights.len() - 1];
            let at = self.rng.random::<f64>() * total;
            let n = self.weights.partition_point(|w| *w <= at).min(self.world.people.len() - 1);
            self.world.people[n].clone()
        };
        self.begin(person)
    }

    fn begin(&mut self, person: Person) -> String {
        let who = person.id.clone();
        let more = poisson(&mut self.rng, 0.8);
        let visitor = self.visitors.entry(who.clone()).or_insert_with(|| Visitor {
            person,
            session: 0,
            pages_left: 0,
            topics: [0; 16],
            looked: FxHashMap::default(),
            clicked: FxHashSet::default(),
        });
        if visitor.pages_left == 0 {
            visitor.session += 1;
            visitor.topics = [0; 16];
            visitor.pages_left = more;
            if more > 0 {
                self.active.push(who.clone());
            }
        }
        who
    }

    /// Looks at a page by the truth, and words it as events. Their ids follow from the answer's id: sent twice, they count once.
    fn look(&mut self, who: &str, page: &Page, plan: &Plan, now: Millis, done: &mut Done) -> Vec<Value> {
        let laws = &self.world.recipe.laws;
        let Some(visitor) = self.visitors.get_mut(who) else { return Vec::new() };
        let session = format!("{who}.{}.{}", self.seed, visitor.session);
        let (mut seen, mut acts) = (Vec::new(), Vec::new());
        for (place, id) in page.items.iter().enumerate() {
            if self.rng.random::<f64>() >= examined(laws, place) {
                continue;
            }
            let visible = 300 + below(&mut self.rng, 2500);
            seen.push(json!({ "id": id, "position": place, "visible_ms": visible }));
            // What the world does not know, nobody wants.
            let Some(&n) = self.items.get(id.as_str()) else { continue };
            let item = &self.world.items[n];
            let looks = visitor.looked.entry(n).or_insert(0);
            let heat = self.world.topics[item.topic].heat;
            let chance = click(
                laws,
                dot(&visitor.person.taste, &item.vector),
                appeal(laws, item, heat, END),
                visitor.topics[item.topic],
                *looks,
            );
            *looks += 1;
            visitor.topics[item.topic] += 1;
            if visitor.clicked.contains(&n) || self.rng.random::<f64>() >= chance {
                continue;
            }
            visitor.clicked.insert(n);
            let act = |action: &str| {
                json!({
                    "type": "interaction", "id": format!("{}-{action}-{place}", page.request_id), "user": who,
                    "item": id, "action": action, "time": now, "request_id": page.request_id, "session": session,
                })
            };
            acts.push(act("click"));
            done.clicks += 1;
            if self.rng.random::<f64>() < chance * 0.3 {
                acts.push(act("like"));
                done.likes += 1;
            }
        }
        done.looks += seen.len() as u64;
        if seen.is_empty() {
            return Vec::new();
        }
        let mut events = vec![json!({
            "type": "impression", "id": format!("{}-seen", page.request_id), "user": who, "scene": plan.scene,
            "request_id": page.request_id, "items": seen, "time": now,
        })];
        events.append(&mut acts);
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audience::{Laws, Recipe};

    /// A site that shows fixed items and keeps what it is told.
    struct Fixed {
        items: Vec<String>,
        users: Vec<String>,
        events: Vec<Value>,
    }

    impl Site for Fixed {
        fn recommend(&mut self, _: &str, user: &str, size: usize) -> Result<Page> {
            self.users.push(user.to_owned());
            let items = self.items.iter().take(size).cloned().collect();
            Ok(Page { request_id: format!("r{}", self.users.len()), items })
        }
        fn send(&mut self, events: &[Value]) -> Result<Receipt> {
            self.events.extend_from_slice(events);
            Ok(Receipt { accepted: events.len() as u64, duplicates: 0, rejected: 0, first: None })
        }
        fn retries(&self) -> u64 {
            0
        }
    }

    fn plan(seed: u64) -> Plan {
        let url = String::new();
        Plan { url, scene: "home".into(), rate: 1.0, seed, seconds: None, size: 10, new: 0.1 }
    }

    fn run(world: &World, items: Vec<String>, seed: u64) -> (Fixed, Done) {
        let mut site = Fixed { items, users: vec![], events: vec![] };
        let (mut crowd, mut done) = (Crowd::new(world, seed), Done::default());
        for n in 0..800 {
            crowd.page(&mut site, &plan(seed), || 1_800_000_000_000 + n, &mut done).unwrap();
        }
        (site, done)
    }

    #[test]
    fn the_same_seed_acts_the_same_and_ids_are_unique() {
        let recipe = Recipe { seed: 3, users: 60, items: 60, days: 5, laws: Laws::default() };
        let world = World::draw(&recipe);
        let items: Vec<String> = world.items.iter().map(|i| i.id.clone()).take(10).collect();
        let (a, done) = run(&world, items.clone(), 9);
        let (b, again) = run(&world, items, 9);
        assert_eq!((a.events.clone(), done), (b.events, again));
        let mut ids: Vec<&str> = a.events.iter().map(|e| e["id"].as_str().unwrap()).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all);
        assert!(a.users.iter().any(|u| u.starts_with('n')) && a.users.iter().any(|u| u.starts_with('u')));
        assert_eq!(done.pages, 800);
    }

    #[test]
    fn first_places_are_seen_more_and_unknown_items_are_not_clicked() {
        let recipe = Recipe { seed: 3, users: 60, items: 60, days: 5, laws: Laws::default() };
        let world = World::draw(&recipe);
        let (site, done) = run(&world, (0..10).map(|n| format!("stranger-{n}")).collect(), 1);
        assert_eq!(done.clicks, 0);
        let mut looks = [0; 10];
        for event in &site.events {
            for seen in event["items"].as_array().unwrap() {
                looks[seen["position"].as_u64().unwrap() as usize] += 1;
            }
        }
        assert_eq!(looks[0], 800);
        assert!(looks[0] > looks[3] && looks[3] > looks[9], "{looks:?}");
    }
}
