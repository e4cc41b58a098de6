//! The world: its recipe, its laws, and what is true of its topics, items and people. How the past is played is in `play`.

use data_layer::types::Millis;
use data_layer::types::time::{DAY, HOUR};
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::draw::{below, normal, stream, unit};
use super::taste::{Vector, direction, near, taste};
use super::words::{TOPICS, tags, title};

/// The last moment of every world's past: 2026-11-01T00:00:00Z. Fixed, so that a seed gives the same bytes on any day.
pub const END: Millis = 1_793_491_200_000;

/// What to make. Everything follows from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Seed of all chance.
    pub seed: u64,
    /// People.
    pub users: usize,
    /// Items.
    pub items: usize,
    /// Length of the past in days.
    pub days: usize,
    /// The laws of choice.
    pub laws: Laws,
}

/// The numbers in the formulas of `docs/audience.md`. Logits, days and chances.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Laws {
    /// Logit of a click on an item of no appeal by somebody indifferent.
    pub base: f64,
    /// Weight of taste.
    pub taste: f64,
    /// Weight of quality.
    pub quality: f64,
    /// Weight of the heat of a topic.
    pub heat: f64,
    /// Bonus of a brand-new item.
    pub freshness: f64,
    /// Days in which the bonus falls by e.
    pub fresh_days: f64,
    /// Exponent of the position bias.
    pub position_bias: f64,
    /// Logits lost for each place of the same topic in a session.
    pub topic_fatigue: f64,
    /// Logits lost for each earlier look at the same item.
    pub item_fatigue: f64,
    /// Random daily step of tastes.
    pub drift: f32,
    /// Chance a day that a taste turns to another facet.
    pub fad: f64,
    /// Share of items that arrive during the past instead of being there from the start.
    pub arriving_items: f64,
    /// Share of people who arrive during the past.
    pub arriving_people: f64,
}

impl Default for Laws {
    fn default() -> Self {
        Self {
            base: -3.8,
            taste: 6.0,
            quality: 0.5,
            heat: 0.6,
            freshness: 1.2,
            fresh_days: 6.0,
            position_bias: 0.6,
            topic_fatigue: 0.25,
            item_fatigue: 0.6,
            drift: 0.05,
            fad: 0.01,
            arriving_items: 0.4,
            arriving_people: 0.4,
        }
    }
}

impl Laws {
    /// The world without taste: nothing depends on who looks or when. Quality, position bias and fatigue of items stay.
    #[must_use]
    pub fn null() -> Self {
        Self {
            base: -1.8,
            taste: 0.0,
            heat: 0.0,
            freshness: 0.0,
            topic_fatigue: 0.0,
            drift: 0.0,
            fad: 0.0,
            arriving_items: 0.0,
            ..Self::default()
        }
    }
}

/// A topic and its facets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Topic {
    /// Its name, as items carry it.
    pub name: String,
    /// Centres of its facets.
    pub facets: Vec<Vector>,
    /// Heat at the end of the past.
    pub heat: f64,
}

/// An item and what is true of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Its public id.
    pub id: String,
    /// Index of its topic.
    pub topic: usize,
    /// Its place in the space of tastes.
    pub vector: Vector,
    /// What it has for everybody, standard normal.
    pub quality: f64,
    /// When it appeared.
    pub created: Millis,
    /// Words, public.
    pub title: String,
    /// Public, close to the facet but not always right.
    pub tags: Vec<String>,
}

/// A person and what is true of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Person {
    /// Public id.
    pub id: String,
    /// What they like.
    pub taste: Vector,
    /// What they say they like: the topic nearest to their taste, three times in five.
    pub interest: usize,
    /// Mean sessions a day.
    pub activity: f64,
    /// First day on which they may come.
    pub joined: Millis,
}

/// Everything true.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct World {
    /// Version of this form.
    pub format: u32,
    /// How it was made.
    pub recipe: Recipe,
    /// Topics.
    pub topics: Vec<Topic>,
    /// Items, by id.
    pub items: Vec<Item>,
    /// People, by id; tastes as of the end of the past.
    pub people: Vec<Person>,
}

/// Streams of chance, one for each thing that is drawn.
pub mod streams {
    /// Topics and facets.
    pub const TOPICS: u64 = 1;
    /// Items.
    pub const ITEMS: u64 = 2;
    /// Heat of topics, day by day.
    pub const HEAT: u64 = 3;
    /// First stream of people: person `n` draws from `PEOPLE + n`.
    pub const PEOPLE: u64 = 1 << 32;
}

impl World {
    /// Draws the world as it is on the first day.
    #[must_use]
    pub fn draw(recipe: &Recipe) -> Self {
        let topics = draw_topics(recipe);
        let items = draw_items(recipe, &topics);
        let mut world = Self { format: 1, recipe: recipe.clone(), topics, items, people: Vec::new() };
        let centres = world.centres();
        world.people = (0..recipe.users)
            .map(|n| {
                let mut rng = stream(recipe.seed, streams::PEOPLE + n as u64);
                let late = rng.random::<f64>() < recipe.laws.arriving_people;
                let day = if late { below(&mut rng, recipe.days) } else { 0 };
                let joined = world.start() + day as Millis * DAY;
                draw_person(&mut rng, &centres, format!("u{n:05}"), joined)
            })
            .collect();
        world
    }

    /// The first moment of the past.
    #[must_use]
    pub fn start(&self) -> Millis {
        END - self.recipe.days as Millis * DAY
    }

    /// All facet centres; facet `f` of topic `t` is number `4 t + f`.
    #[must_use]
    pub fn centres(&self) -> Vec<Vector> {
        self.topics.iter().flat_map(|t| t.facets.iter().copied()).collect()
    }
}

/// A person of the same public as everybody else. Shared with those who first come while a server runs.
pub fn draw_person(rng: &mut impl Rng, centres: &[Vector], id: String, joined: Millis) -> Person {
    let (taste, home) = taste(rng, centres);
    let honest = rng.random::<f64>() < 0.6;
    let interest = if honest { home / 4 } else { below(rng, TOPICS.len()) };
    let activity = (0.50 * (0.8 * normal(rng) - 0.32).exp()).min(3.0);
    Person { id, taste, interest, activity, joined }
}

fn draw_topics(recipe: &Recipe) -> Vec<Topic> {
    let mut rng = stream(recipe.seed, streams::TOPICS);
    TOPICS
        .iter()
        .map(|(name, facets, _)| {
            let centre = direction(&mut rng);
            let facets = facets.iter().map(|_| near(&mut rng, &centre, 0.7)).collect();
            Topic { name: (*name).to_owned(), facets, heat: 0.0 }
        })
        .collect()
}

fn draw_items(recipe: &Recipe, topics: &[Topic]) -> Vec<Item> {
    let mut rng = stream(recipe.seed, streams::ITEMS);
    let start = END - recipe.days as Millis * DAY;
    (0..recipe.items)
        .map(|n| {
            let topic = below(&mut rng, topics.len());
            let facet = below(&mut rng, 4);
            let vector = near(&mut rng, &topics[topic].facets[facet], 0.6);
            let back = if rng.random::<f64>() < recipe.laws.arriving_items {
                start + (unit(&mut rng) * recipe.days as f64 * DAY as f64) as Millis
            } else {
                start - (unit(&mut rng) * 60.0 * DAY as f64) as Millis
            };
            Item {
                id: format!("i{n:05}"),
                topic,
                vector,
                quality: (normal(&mut rng) * 1e4).round() / 1e4,
                created: back - back.rem_euclid(HOUR),
                title: title(&mut rng, topic, facet),
                tags: tags(&mut rng, topic, facet).into_iter().map(str::to_owned).collect(),
            }
        })
        .collect()
}
