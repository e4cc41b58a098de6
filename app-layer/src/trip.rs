//! The notes of one request on its way through the flow: stages with times and counts, what was left out, who took items away.

use std::time::Instant;

use data_layer::types::{Degraded, Ordinal};

use crate::filter::Removed;

/// One stage of the flow, as it went.
#[derive(Debug, Clone, serde::Serialize, utoipa::ToSchema)]
pub struct Stage {
    /// Its name: work, read, lists, recall, filter, features, score, strategies, present.
    pub name: &'static str,
    /// How long it took, in microseconds.
    pub took_us: u64,
    /// Candidates after it.
    pub count: usize,
}

/// One candidate as recalled, before the filters.
#[derive(Debug, Clone, PartialEq)]
pub struct Recalled {
    /// The item.
    pub item: Ordinal,
    /// Source (its place in the scene), score and rank.
    pub sources: Vec<(usize, f32, u32)>,
}

/// Notes of one request.
#[derive(Debug)]
pub struct Trip {
    started: Instant,
    last: Instant,
    /// Stages so far.
    pub stages: Vec<Stage>,
    /// What was left out.
    pub degraded: Vec<Degraded>,
    /// Whether everything is noted, not only what an answer needs.
    pub whole: bool,
    /// What the sources brought, where everything is noted.
    pub recalled: Vec<Recalled>,
    /// What the filters took out, where everything is noted.
    pub removed: Vec<Removed>,
}

impl Trip {
    /// Sets out.
    #[must_use]
    pub fn start(whole: bool) -> Self {
        let now = Instant::now();
        let (stages, degraded) = (Vec::with_capacity(8), Vec::new());
        Self { started: now, last: now, stages, degraded, whole, recalled: Vec::new(), removed: Vec::new() }
    }

    /// Notes that a stage is over.
    pub fn done(&mut self, name: &'static str, count: usize) {
        let now = Instant::now();
        let took = now.duration_since(self.last);
        self.last = now;
        self.stages.push(Stage { name, took_us: micros(took), count });
    }

    /// Notes that something was left out.
    pub fn left_out(&mut self, stage: impl Into<String>, cause: &str, detail: impl Into<String>) {
        self.degraded.push(Degraded { stage: stage.into(), cause: cause.to_owned(), detail: detail.into() });
    }

    /// Microseconds since it set out.
    #[must_use]
    pub fn took_us(&self) -> u64 {
        micros(self.started.elapsed())
    }
}

fn micros(span: std::time::Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
