//! Experiments: layers of buckets, and who is in which. One TOML per layer. Assignment is a pure function of the layer and the unit's
//! id; what a bucket changes is applied by the scene's room, not here.
//!
//! A unit's slot is XXH3-64 of salt, layer and id, modulo 10,000. The first bucket takes the slots that the others leave. The second
//! grows from slot 0 up, the third from the last slot down, the fourth from the middle up, the fifth from below the middle down,
//! and so on at quarters and eighths. So a bucket that grows keeps who is in it, whichever others grow too, as long as
//! neighbours do not meet: always with up to three buckets.

mod file;
mod layers;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use xxhash_rust::xxh3::Xxh3;

use crate::types::{Id, Millis, Person, PersonKind};

pub use layers::Layers;

/// Slots that units fall into. A share is a whole number of them.
pub const SLOTS: u32 = 10_000;

/// Most buckets of a layer.
pub const MOST_BUCKETS: usize = 64;

/// One layer: independent of all others.
#[derive(Debug, Clone, PartialEq)]
pub struct Layer {
    /// Its name.
    pub name: String,
    /// What is assigned.
    pub unit: PersonKind,
    /// What makes its assignment unlike that of others; another one draws anew.
    pub salt: String,
    /// Nobody but the whitelist is assigned before this.
    pub start: Millis,
    /// The buckets, in order of the file. The first is what the others are compared with.
    pub buckets: Vec<Bucket>,
    /// Units that are in a bucket whatever their slot, by its place.
    pub whitelist: BTreeMap<Id, usize>,
    /// Another one whenever anything of the layer changes; reports split on it.
    pub epoch: String,
    /// The file, for messages.
    pub file: String,
    slots: Vec<u8>,
}

/// One arm of a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Its number of slots.
    pub slots: u32,
    /// Path (`home.rank.model`) to the value it is set to.
    pub set: BTreeMap<String, toml::Value>,
    /// Paths (`home.recall.hot`) that are taken out.
    pub remove: Vec<String>,
}

/// The bucket of a unit in a layer at `now_ms`: by the whitelist, else by its slot; `None` before the start.
#[must_use]
pub fn assign<'a>(layer: &'a Layer, unit: &str, now_ms: Millis) -> Option<&'a Bucket> {
    if let Some(at) = layer.whitelist.get(unit) {
        return layer.buckets.get(*at);
    }
    if now_ms < layer.start {
        return None;
    }
    let at = layer.slots.get(layer.slot(unit) as usize)?;
    layer.buckets.get(usize::from(*at))
}

impl Layer {
    /// The slot of a unit, `0..10_000`.
    #[must_use]
    pub fn slot(&self, unit: &str) -> u32 {
        let mut hash = Xxh3::new();
        for part in [&self.salt, &self.name] {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        hash.update(unit.as_bytes());
        (hash.digest() % u64::from(SLOTS)) as u32
    }

    /// The one of these people that the layer assigns: the user, the anonymous visitor or the session.
    pub fn unit_of<'p>(&self, people: impl IntoIterator<Item = &'p Person>) -> Option<&'p Id> {
        people.into_iter().find(|person| person.kind == self.unit).map(|person| &person.id)
    }

    /// The bucket of this name.
    #[must_use]
    pub fn bucket(&self, name: &str) -> Option<&Bucket> {
        self.buckets.iter().find(|bucket| bucket.name == name)
    }

    /// Paths that some bucket sets or removes: what this layer owns. May repeat.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.buckets.iter().flat_map(|b| b.set.keys().chain(&b.remove).map(String::as_str))
    }
}

impl Bucket {
    /// Its share of all units, 0..=1.
    #[must_use]
    pub fn share(&self) -> f64 {
        f64::from(self.slots) / f64::from(SLOTS)
    }
}

/// Gives each slot to a bucket, by the rule at the top of this file.
fn lay_out(buckets: &[Bucket]) -> Vec<u8> {
    let mut owners = vec![0_u8; SLOTS as usize];
    for (nth, bucket) in buckets.iter().skip(1).enumerate() {
        let (mut at, up) = anchor(nth);
        let mut left = bucket.slots;
        while left > 0 {
            if owners[at as usize] == 0 {
                owners[at as usize] = (nth + 1) as u8;
                left -= 1;
            }
            at = (at + if up { 1 } else { SLOTS - 1 }) % SLOTS;
        }
    }
    owners
}

/// Where the bucket after `nth` others (the first one left out) starts, and whether it grows upwards.
fn anchor(nth: usize) -> (u32, bool) {
    // 0, 1/2, 1/4, 3/4, 1/8, … : the van der Corput sequence, each point used upwards and then downwards.
    let (mut point, mut part, mut digits) = (0.0, 0.5, nth / 2);
    while digits > 0 {
        point += part * (digits % 2) as f64;
        part /= 2.0;
        digits /= 2;
    }
    let at = (point * f64::from(SLOTS)) as u32;
    match nth % 2 {
        0 => (at, true),
        _ => ((at + SLOTS - 1) % SLOTS, false),
    }
}
