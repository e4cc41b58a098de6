//! Samples where no server has run yet: DATA is replayed, and at each request time the scene's own recall and the platform's own
//! feature code say what a server would have seen. Label: taken afterwards, up to the end of the window. Negative: recalled
//! and not taken.
//!
//! The tables must be from before the window: tables that know the labels leak them into the source scores.

use compute_layer::{Deadline, FeatureSet, Query, Stores, compute};
use data_layer::access::Access;
use data_layer::types::{Id, Millis, Ordinal, Person};
use ndarray::Array2;
use rustc_hash::FxHashSet;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{About, Samples, Scene, World};
use crate::data::Data;
use crate::{Error, Result, progress};

/// Features that look at time; left out where the data has no times.
const TIMED: [&str; 7] = [
    "item.recent_1d",
    "item.recent_7d",
    "item.trend",
    "item.age",
    "item.idle",
    "user.recent_7d",
    "user.idle",
];

/// When people ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moments {
    /// Everybody who acts in the window asks once, at its start: like an evaluation on a held-out window.
    Snapshot,
    /// The window is cut in so many equal parts; whoever acts in a part asks once at its start. More rows, fresher state.
    Parts(u32),
    /// Whoever acts after a pause of at least this long asks at that moment: like traffic.
    Sessions(Millis),
}

/// What to sample.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// First moment of the window.
    pub from: Millis,
    /// End of the window.
    pub to: Millis,
    /// When people ask.
    pub moments: Moments,
    /// At most this many requests, drawn evenly.
    pub most: usize,
    /// Share of the negatives to keep, above 0 up to 1.
    pub negatives: f64,
    /// Seed of that draw.
    pub seed: u64,
}

/// One request to come: when, and who (a user code of DATA).
type Ask = (Millis, u32);

/// Replays and samples. `features` are names; all that the scene allows, where empty.
///
/// # Errors
/// An empty window, a feature that does not exist, or data that the platform would not take.
pub fn run(
    data: &Data,
    world: &mut World<'_>,
    scene: &Scene,
    access: &Access<'_>,
    features: &[String],
    plan: Plan,
) -> Result<(Samples, About)> {
    let schema = world.live.schema();
    let mut names = FeatureSet::all_names(&scene.sources(), &schema);
    if !data.report.times {
        names.retain(|name| !TIMED.contains(&name.as_str()));
    }
    if !features.is_empty() {
        names = features.to_vec();
    }
    let set = FeatureSet::bind(&names, &scene.sources(), &schema)
        .map_err(|e| Error::invalid("features", e.to_string()))?;
    let asks = drawn(data, asks(data, plan), plan);
    if asks.is_empty() {
        return Err(Error::Usage("nobody acts between --from and --to; choose another window".into()));
    }
    let mut samples = Samples { features: vec![Vec::new(); names.len()], ..Samples::default() };
    let mut about = About {
        format: 1,
        from: "bootstrap".into(),
        scene: scene.name.clone(),
        features: names,
        negatives_kept: plan.negatives,
        seed: plan.seed,
        from_ms: plan.from,
        to_ms: plan.to,
        ..About::default()
    };
    if !scene.not_applied.is_empty() {
        about.notes.push(format!("filters not applied in sampling: {}", scene.not_applied.join(", ")));
    }
    let later = Later::new(data);
    let bar = progress::bar(asks.len(), "sample");
    let mut taking = Taking {
        data,
        scene,
        access: *access,
        set: &set,
        plan,
        later,
        samples: &mut samples,
        about: &mut about,
    };
    for (time, user) in asks {
        world.advance(time)?;
        taking.request(world, time, user)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    about.rows = samples.len() as u64;
    about.positives = samples.positives() as u64;
    Ok((samples, about))
}

/// Who asks when, in time order.
fn asks(data: &Data, plan: Plan) -> Vec<Ask> {
    let rows = &data.interactions;
    let inside = (0..rows.len()).filter(|r| (plan.from..plan.to).contains(&rows.time[*r]));
    match plan.moments {
        Moments::Snapshot => first_of_each(inside.map(|r| (plan.from, rows.user[r]))),
        Moments::Parts(count) => {
            let (count, span) = (i64::from(count.max(1)), plan.to - plan.from);
            let start = |t: Millis| plan.from + span * ((t - plan.from) * count / span.max(1)) / count;
            first_of_each(inside.map(|r| (start(rows.time[r]), rows.user[r])))
        }
        Moments::Sessions(pause) => {
            let mut last: Vec<Option<Millis>> = vec![None; rows.users.len()];
            let mut out = Vec::new();
            for r in 0..rows.len() {
                let (time, user) = (rows.time[r], rows.user[r]);
                let begins = last[user as usize].is_none_or(|l| time - l >= pause);
                last[user as usize] = Some(time);
                if begins && (plan.from..plan.to).contains(&time) {
                    out.push((time, user));
                }
            }
            out
        }
    }
}

/// At most so many requests, drawn by a hash of user and time, still in time order.
fn drawn(data: &Data, mut asks: Vec<Ask>, plan: Plan) -> Vec<Ask> {
    if asks.len() > plan.most {
        let name = |user: u32| data.interactions.users.text(user);
        asks.sort_by_cached_key(|(time, user)| {
            xxh3_64_with_seed(format!("{time}-{}", name(*user)).as_bytes(), plan.seed ^ 0x5eed)
        });
        asks.truncate(plan.most);
        asks.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| name(a.1).cmp(name(b.1))));
    }
    asks
}

fn first_of_each(asks: impl Iterator<Item = Ask>) -> Vec<Ask> {
    let mut seen = FxHashSet::default();
    asks.filter(|ask| seen.insert(*ask)).collect()
}

/// Rows of each user, in time order, so that what comes after a moment is found at once.
struct Later {
    rows: Vec<Vec<u32>>,
}

impl Later {
    fn new(data: &Data) -> Self {
        let mut rows = vec![Vec::new(); data.interactions.users.len()];
        for (r, user) in data.interactions.user.iter().enumerate() {
            rows[*user as usize].push(r as u32);
        }
        Self { rows }
    }
}

struct Taking<'a> {
    data: &'a Data,
    scene: &'a Scene,
    access: Access<'a>,
    set: &'a FeatureSet,
    plan: Plan,
    later: Later,
    samples: &'a mut Samples,
    about: &'a mut About,
}

impl Taking<'_> {
    fn request(&mut self, world: &World<'_>, now_ms: Millis, user: u32) -> Result<()> {
        let name = self.data.interactions.users.text(user);
        let person = Id::new(name).map(Person::user).map_err(|e| Error::invalid(name, e.to_string()))?;
        let state = world.live.person(&person);
        let items = world.live.items();
        let taken = self.taken(user, now_ms, world, &*items);
        if taken.is_empty() {
            return Ok(());
        }
        let context = std::collections::BTreeMap::new();
        let query = Query {
            now_ms,
            seed: self.plan.seed,
            person: Some(&person),
            state: state.as_deref(),
            session: &[],
            anchors: &[],
            history: self.scene.history,
            actions: world.live.actions(),
            size: 20,
            context: &context,
        };
        let access = Access { now_ms, ..self.access };
        let stores = Stores { items: &*items, access: &access };
        let (mut found, trouble) =
            compute::recall_all(&self.scene.plans, &query, &stores, &Deadline::never())
                .map_err(|e| Error::invalid("recall", e.to_string()))?;
        if let Some(first) = trouble.first() {
            return Err(Error::invalid(first.stage.clone(), first.detail.clone()));
        }
        if let (Some(since), Some(state)) = (self.scene.seen_since(now_ms), &state) {
            let mut keep = compute_layer::Bitmask::all(found.len());
            for (row, candidate) in found.list().iter().enumerate() {
                let tie = data_layer::live::Items::tie(&*items, candidate.item);
                if state.has_met(candidate.item, tie, since) {
                    keep.clear(row);
                }
            }
            found.retain(&keep);
        }
        let mut block = Array2::zeros((0, 0));
        self.set.fill(&query, &stores, &found, &mut block);
        self.about.requests += 1;
        self.about.cold_requests += u64::from(state.is_none_or(|s| s.actions.is_empty()));
        let request = format!("{now_ms}-{name}");
        for (row, candidate) in found.list().iter().enumerate() {
            let label = taken.contains(&candidate.item);
            let id = data_layer::live::Items::id(&*items, candidate.item).as_str();
            if label || self.draws(&request, id) {
                self.push(&request, name, now_ms, id, label, block.row(row));
            }
        }
        Ok(())
    }

    /// What the user takes (with positive weight) from now to the end of the window.
    fn taken(
        &self,
        user: u32,
        now: Millis,
        world: &World<'_>,
        items: &dyn data_layer::live::Items,
    ) -> FxHashSet<Ordinal> {
        let rows = &self.data.interactions;
        let actions = world.live.actions();
        let positive = |r: &u32| {
            let r = *r as usize;
            let action = actions.id(rows.actions.text(rows.action[r]));
            (now..self.plan.to).contains(&rows.time[r])
                && action.is_some_and(|a| actions.weight(a, rows.value[r]) > 0.0)
        };
        let item = |r: &u32| items.ordinal(rows.items.text(rows.item[*r as usize]));
        self.later.rows[user as usize].iter().filter(|r| positive(r)).filter_map(item).collect()
    }

    /// Whether a negative is kept: drawn by a hash, so that one row never decides about another.
    fn draws(&self, request: &str, item: &str) -> bool {
        let hash = xxh3_64_with_seed(format!("{request}\u{1f}{item}").as_bytes(), self.plan.seed);
        ((hash >> 11) as f64 / (1_u64 << 53) as f64) < self.plan.negatives
    }

    fn push(
        &mut self,
        request: &str,
        user: &str,
        time: i64,
        item: &str,
        label: bool,
        row: ndarray::ArrayView1<'_, f32>,
    ) {
        let to = &mut *self.samples;
        if to.requests.last().is_none_or(|last| last != request) {
            to.requests.push(request.to_owned());
            to.users.push(user.to_owned());
            to.times.push(time);
        }
        to.request.push(to.requests.len() as u32 - 1);
        to.items.push(item.to_owned());
        to.labels.push(u8::from(label));
        for (column, value) in to.features.iter_mut().zip(row) {
            column.push(*value);
        }
    }
}
