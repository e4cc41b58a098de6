//! The past: people come to a simple front page for some days, look, click, and move on. Gives the rows that a site would
//! have logged, and the world as it is at the end. The page mixes what is hot, what is new, and what people look for.

use data_layer::types::Millis;
use data_layer::types::time::{DAY, HOUR, SECOND};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rustc_hash::{FxHashMap, FxHashSet};

use super::choice::{appeal, click, examined};
use super::draw::{below, gumbel, normal, poisson, stream};
use super::taste::{Vector, dot, drift};
use super::world::{Recipe, World, streams};

/// Places on a page.
const PAGE: usize = 10;
/// Items that a search draws before the person picks one.
const SEARCH: usize = 24;
/// Half-life of a click in the hot list, in days.
const HOT_HALF_LIFE: f64 = 2.0;
/// Length of the hot list.
const HOT: usize = 200;

/// One logged interaction, by index of person and item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    /// When, a whole second.
    pub time: Millis,
    /// Index into the people of the world.
    pub person: u32,
    /// Index into its items.
    pub item: u32,
    /// `click`, or `like` (which follows a click).
    pub like: bool,
}

/// What happened, in time order, and what is true at its end.
#[derive(Debug, Clone)]
pub struct Past {
    /// The world at the end of the past.
    pub world: World,
    /// Interactions by time, person, item.
    pub rows: Vec<Row>,
}

/// What a person carries through the past.
struct Life {
    rng: ChaCha8Rng,
    clicked: FxHashSet<u32>,
    looked: FxHashMap<u32, u32>,
}

/// What everybody finds on one day.
struct Day {
    start: Millis,
    /// Index of the items that exist, oldest first.
    there: Vec<u32>,
    /// How many of the last of `there` count as new.
    new: usize,
    hot: Vec<u32>,
}

/// Plays the past of a recipe. `tick` is called after each day.
#[must_use]
pub fn make(recipe: &Recipe, mut tick: impl FnMut()) -> Past {
    let mut world = World::draw(recipe);
    let centres = world.centres();
    let mut lives: Vec<Life> = (0..recipe.users).map(|n| Life::new(recipe.seed, n)).collect();
    let mut heat_rng = stream(recipe.seed, streams::HEAT);
    let mut warmth = vec![0.0; recipe.items];
    let mut rows = Vec::new();
    for day in 0..recipe.days {
        for topic in &mut world.topics {
            let heat = 0.9 * topic.heat + 0.436 * normal(&mut heat_rng);
            topic.heat = (heat * 1e4).round() / 1e4;
        }
        let today = Day::open(&world, day, &warmth);
        let before = rows.len();
        for (n, life) in lives.iter_mut().enumerate() {
            live_a_day(&world, &today, n, life, &mut rows);
            let laws = &world.recipe.laws;
            let taste = &world.people[n].taste;
            world.people[n].taste = drift(&mut life.rng, taste, &centres, laws.drift, laws.fad);
        }
        cool(&mut warmth, &rows[before..]);
        tick();
    }
    rows.sort_unstable();
    rows.dedup();
    Past { world, rows }
}

impl Life {
    fn new(seed: u64, n: usize) -> Self {
        let rng = stream(seed, streams::PEOPLE + (1 << 31) + n as u64);
        Self { rng, clicked: FxHashSet::default(), looked: FxHashMap::default() }
    }
}

impl Day {
    fn open(world: &World, day: usize, warmth: &[f64]) -> Self {
        let start = world.start() + day as Millis * DAY;
        let mut there: Vec<u32> =
            (0..world.items.len() as u32).filter(|&i| world.items[i as usize].created <= start).collect();
        there.sort_unstable_by_key(|&i| (world.items[i as usize].created, i));
        let new = there
            .iter()
            .rev()
            .take_while(|&&i| start - world.items[i as usize].created < 3 * DAY)
            .count()
            .max(there.len().min(20));
        let mut hot = there.clone();
        hot.sort_unstable_by(|&a, &b| warmth[b as usize].total_cmp(&warmth[a as usize]).then(a.cmp(&b)));
        hot.truncate(HOT);
        Self { start, there, new, hot }
    }
}

/// Yesterday's clicks into the warmth of items.
fn cool(warmth: &mut [f64], rows: &[Row]) {
    let keep = 0.5_f64.powf(1.0 / HOT_HALF_LIFE);
    warmth.iter_mut().for_each(|w| *w *= keep);
    for row in rows {
        warmth[row.item as usize] += 1.0;
    }
}

fn live_a_day(world: &World, today: &Day, n: usize, life: &mut Life, rows: &mut Vec<Row>) {
    let person = &world.people[n];
    if person.joined > today.start {
        return;
    }
    for _ in 0..poisson(&mut life.rng, person.activity) {
        // Mornings are quiet: the later of two uniform hours, kept clear of midnight so that sessions end on their day.
        let hour = life.rng.random::<f64>().max(life.rng.random::<f64>()) * 23.0;
        let at = today.start + (hour * HOUR as f64) as Millis / SECOND * SECOND;
        session(world, today, n, life, at, rows);
    }
}

fn session(world: &World, today: &Day, n: usize, life: &mut Life, mut at: Millis, rows: &mut Vec<Row>) {
    let laws = &world.recipe.laws;
    let taste = &world.people[n].taste;
    let mut topics = [0_u32; 16];
    let pages = 1 + poisson(&mut life.rng, 0.8);
    for _ in 0..pages {
        for place in 0..PAGE {
            at += SECOND * 2;
            if life.rng.random::<f64>() >= examined(laws, place) {
                continue;
            }
            let Some(i) = offer(world, today, taste, life) else { continue };
            let item = &world.items[i as usize];
            let seen = life.looked.entry(i).or_insert(0);
            let chance = click(
                laws,
                dot(taste, &item.vector),
                appeal(laws, item, world.topics[item.topic].heat, at),
                topics[item.topic],
                *seen,
            );
            *seen += 1;
            topics[item.topic] += 1;
            if life.rng.random::<f64>() < chance {
                life.clicked.insert(i);
                rows.push(Row { time: at, person: n as u32, item: i, like: false });
                at += SECOND * (5 + below(&mut life.rng, 90) as Millis);
                if life.rng.random::<f64>() < chance * 0.3 {
                    rows.push(Row { time: at, person: n as u32, item: i, like: true });
                }
            }
        }
    }
}

/// What stands at one place of the old front page: something hot, something new, what the person looks for, or anything.
/// Nothing that the person has clicked before.
fn offer(world: &World, today: &Day, taste: &Vector, life: &mut Life) -> Option<u32> {
    let kind = life.rng.random::<f64>();
    let item = if kind < 0.25 {
        // The head of the list is shown more often: rank = HOT · u².
        let u = life.rng.random::<f64>();
        today.hot.get((u * u * today.hot.len() as f64) as usize).copied()
    } else if kind < 0.35 {
        let from = today.there.len() - today.new.min(today.there.len());
        today.there.get(from + below(&mut life.rng, today.new)).copied()
    } else if kind < 0.90 {
        search(world, today, taste, &mut life.rng)
    } else {
        today.there.get(below(&mut life.rng, today.there.len())).copied()
    };
    item.filter(|i| !life.clicked.contains(i))
}

/// A search: of some items drawn at random, the one that taste and appeal put first, with Gumbel noise.
fn search(world: &World, today: &Day, taste: &Vector, rng: &mut ChaCha8Rng) -> Option<u32> {
    let laws = &world.recipe.laws;
    let mut best: Option<(f64, u32)> = None;
    for _ in 0..SEARCH {
        let i = *today.there.get(below(rng, today.there.len()))?;
        let item = &world.items[i as usize];
        let pull = laws.taste * f64::from(dot(taste, &item.vector))
            + appeal(laws, item, world.topics[item.topic].heat, today.start)
            + gumbel(rng);
        if best.is_none_or(|(most, _)| pull > most) {
            best = Some((pull, i));
        }
    }
    best.map(|(_, item)| item)
}
