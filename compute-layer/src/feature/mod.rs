//! Features: the only code that makes them, online and offline. One file per kind, one line in [`KINDS`]; `docs/features.md` lists them all.
//!
//! A feature is named `kind.of.it`; the same name means the same formula in the trainer and in the server.

pub mod attribute;
pub mod context;
pub mod matching;
pub mod popularity;
pub mod recency;
pub mod source;
pub mod user;

use data_layer::types::Schema;
use ndarray::{Array2, ArrayViewMut1, Axis};

use crate::params::did_you_mean;
use crate::{Candidates, Error, Query, Result, Stores};

/// Every kind of feature there is. A name belongs to the first kind that claims it.
pub const KINDS: &[Kind] = &[
    source::KIND, // what the recalls said: source.X.score, .relative, .rank, .log_rank, .present; source.count
    popularity::KIND, // item.popularity, item.rate, item.recent_1d, item.recent_7d, item.trend
    recency::KIND, // item.age, item.idle
    user::KIND,   // user.activity, user.recent_7d, user.idle
    matching::KIND, // match.ATTRIBUTE, anchor.match.ATTRIBUTE, session.match.ATTRIBUTE
    context::KIND, // context.NAME
    attribute::KIND, // item.ATTRIBUTE, item.ATTRIBUTE.known
];

/// Largest size of a feature value; larger ones count as this.
pub const LIMIT: f32 = 1e9;

/// What a kind says to a name: not mine (`None`), or the feature, or what is wrong with it.
pub type Claim = Option<Result<Box<dyn Feature>>>;

/// A kind of feature.
#[derive(Clone, Copy)]
pub struct Kind {
    /// How `docs/features.md` calls it.
    pub name: &'static str,
    /// The feature of this name, if the name is of this kind.
    pub bind: fn(&str, &Scope<'_>) -> Claim,
    /// The names of this kind that exist in a scope.
    pub names: fn(&Scope<'_>) -> Vec<String>,
}

/// What names may refer to.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// Names of the sources, in order of the scene.
    pub sources: &'a [String],
    /// Types of attributes.
    pub schema: &'a Schema,
}

/// One feature: a column of numbers.
pub trait Feature: Send + Sync {
    /// Writes the value of each candidate into the column, which has their number and starts as zeros. A value depends on the query, the
    /// stores and its own candidate only. What is not finite becomes 0 afterwards.
    fn fill(
        &self,
        query: &Query<'_>,
        stores: &Stores<'_>,
        candidates: &Candidates,
        column: ArrayViewMut1<'_, f32>,
    );
}

/// The features of one model over the sources of one scene.
pub struct FeatureSet {
    names: Vec<String>,
    features: Vec<Box<dyn Feature>>,
    absent: Vec<String>,
}

impl std::fmt::Debug for FeatureSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FeatureSet").field("names", &self.names).finish_non_exhaustive()
    }
}

impl FeatureSet {
    /// Resolves names. `source.X.…` of a source that the scene does not have is 0 and listed in [`FeatureSet::absent`], so that a
    /// bucket may remove a recall and keep its model.
    ///
    /// # Errors
    /// A name of no kind, or of an attribute that the schema does not have, with the nearest that exists.
    pub fn bind<S: AsRef<str>>(names: &[S], sources: &[String], schema: &Schema) -> Result<Self> {
        Self::bind_with(KINDS, names, sources, schema)
    }

    /// [`FeatureSet::bind`] with kinds of one's own.
    ///
    /// # Errors
    /// As [`FeatureSet::bind`].
    pub fn bind_with<S: AsRef<str>>(
        kinds: &[Kind],
        names: &[S],
        sources: &[String],
        schema: &Schema,
    ) -> Result<Self> {
        let scope = Scope { sources, schema };
        let mut set = Self { names: Vec::new(), features: Vec::new(), absent: Vec::new() };
        for name in names.iter().map(AsRef::as_ref) {
            let feature = kinds.iter().find_map(|kind| (kind.bind)(name, &scope));
            set.features.push(feature.unwrap_or_else(|| Err(unknown(name, &scope)))?);
            set.names.push(name.to_owned());
            if source::names_absent(name, sources) {
                set.absent.push(name.to_owned());
            }
        }
        Ok(set)
    }

    /// Every feature that these sources and attributes allow, in a fixed order: a starting point for training.
    #[must_use]
    pub fn all_names(sources: &[String], schema: &Schema) -> Vec<String> {
        let scope = Scope { sources, schema };
        KINDS.iter().flat_map(|kind| (kind.names)(&scope)).collect()
    }

    /// Names of the features, in order of the columns.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Features of sources that this scene does not have; always 0.
    #[must_use]
    pub fn absent(&self) -> &[String] {
        &self.absent
    }

    /// Makes `block` n × k (candidates × features), row-major, and fills it. All values are finite, at most [`LIMIT`] in size.
    pub fn fill(
        &self,
        query: &Query<'_>,
        stores: &Stores<'_>,
        candidates: &Candidates,
        block: &mut Array2<f32>,
    ) {
        let shape = (candidates.len(), self.features.len());
        if block.dim() == shape && block.is_standard_layout() {
            block.fill(0.0);
        } else {
            *block = Array2::zeros(shape);
        }
        for (feature, column) in self.features.iter().zip(block.axis_iter_mut(Axis(1))) {
            feature.fill(query, stores, candidates, column);
        }
        block.mapv_inplace(tame);
    }
}

fn tame(x: f32) -> f32 {
    if x.is_nan() { 0.0 } else { x.clamp(-LIMIT, LIMIT) }
}

/// `sign(x) · ln(1 + |x|)`: keeps order and sign, and makes heavy tails short.
#[must_use]
pub(crate) fn log_size(x: f32) -> f32 {
    x.abs().ln_1p().copysign(x)
}

/// `ln(1 + days)` with days clamped to 0..=[`MOST_DAYS`].
#[must_use]
pub(crate) fn log_days(days: f64) -> f32 {
    days.clamp(0.0, MOST_DAYS).ln_1p() as f32
}

/// Ages beyond ten years count as ten years; so does "never" and "unknown".
pub const MOST_DAYS: f64 = 3_650.0;

fn unknown(name: &str, scope: &Scope<'_>) -> Error {
    let known = FeatureSet::all_names(scope.sources, scope.schema);
    let words: Vec<&str> = known.iter().map(String::as_str).collect();
    let near = did_you_mean(name, &words);
    Error::invalid(format!("feature {name}"), format!("no such feature{near}; docs/features.md lists them"))
}
