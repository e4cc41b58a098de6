//! Metrics of scored rows (a label 0 or 1, a score, and perhaps user, slate and weight), one file each, on the visible list
//! [`SCORED`]. Formulas shared with the trainer are in [`super::binary`].

pub mod auc;
pub mod ece;
pub mod gauc;
pub mod log_loss;
pub mod mrr;
pub mod ndcg;
pub mod ne;
pub mod sample;

pub use sample::Sample;

/// Every metric of scored rows, in the order of reports.
pub const SCORED: [ScoredMetric; 7] =
    [auc::METRIC, gauc::METRIC, log_loss::METRIC, ne::METRIC, ece::METRIC, ndcg::METRIC, mrr::METRIC];

/// One metric.
#[derive(Clone, Copy)]
pub struct ScoredMetric {
    /// Its name; cut ones are reported as `name@k`.
    pub name: &'static str,
    /// Whether it is computed for each cut.
    pub cut: bool,
    /// The figure for rows of these weights (one for each row; weights of the file times how often the row was drawn).
    pub value: fn(&Sample, &[f64], usize) -> Result<f64, Undefined>,
}

/// Why a metric has no value here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Undefined {
    /// No row has label 1, or none has label 0.
    #[error("needs rows of both labels")]
    OneClass,
    /// No user has rows of both labels.
    #[error("needs a user with rows of both labels")]
    NoUser,
    /// No slate has rows of both labels.
    #[error("needs a slate with rows of both labels")]
    NoSlate,
    /// The file has no such column.
    #[error("needs a column {0:?}")]
    NoColumn(&'static str),
    /// Scores are no chances.
    #[error("needs scores from 0 to 1")]
    NoChances,
}
