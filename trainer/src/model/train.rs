//! Training: samples and a spec in, a model file and its measures out. The same input and seed give the same bytes.

use std::collections::BTreeMap;

use data_layer::registry::{MODEL_FORMAT, ModelFile};
use ndarray::{Array2, ShapeBuilder};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::By;
use super::{FAMILIES, Family, Spec, metric};
use crate::sample::{About, Samples};
use crate::{Error, Result};

/// What was measured: `metrics.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Rows and positives that the measured model learnt from.
    pub train_rows: u64,
    /// Rows held out.
    pub valid_rows: u64,
    /// Positives held out.
    pub valid_positives: u64,
    /// Held out: chance that a positive scores above a negative.
    pub auc: f64,
    /// The same within requests, which is what ranking needs.
    pub grouped_auc: Option<f64>,
    /// Held out: log loss, negatives weighted back to their number.
    pub log_loss: f64,
    /// Log loss over that of the constant that knows the rate.
    pub normalised_entropy: f64,
    /// Held out: mean prediction over mean label.
    pub calibration: f64,
    /// The best single feature by AUC within requests, and that AUC: what the model must beat.
    pub best_feature: Option<(String, f64)>,
    /// Feature to the weight of its standardised form, largest first: what the model leans on.
    pub importance: Vec<(String, f64)>,
}

/// Trains. First without the held-out requests, to measure; then on all rows, to publish.
///
/// # Errors
/// A feature that the samples do not have, or too few rows of one label.
pub fn train(samples: &Samples, about: &About, spec: &Spec) -> Result<(ModelFile, Metrics)> {
    let family = FAMILIES
        .iter()
        .find(|f| f.name == spec.family)
        .ok_or_else(|| Error::invalid("family", format!("no family {:?}", spec.family)))?;
    let spec = &Spec { features: spec.resolve(&about.features)?, ..spec.clone() };
    let columns = columns(samples, about, &spec.features);
    let held_out = held_out(samples, spec);
    let rows = |out: bool| -> Vec<usize> {
        (0..samples.len()).filter(|r| held_out[samples.request[*r] as usize] == out).collect()
    };
    let metrics = measure(samples, about, spec, family, &columns, (&rows(false), &rows(true)))?;
    let all: Vec<usize> = (0..samples.len()).collect();
    let tensors = (family.fit)(&matrix(&columns, &all), &samples.labels, about.negatives_kept, spec)?;
    let model = ModelFile {
        format: MODEL_FORMAT,
        name: spec.name.clone(),
        family: spec.family.clone(),
        features: spec.features.clone(),
        tensors,
        trained: trained(samples, about, spec),
        metrics: numbers(&metrics),
    };
    model.check().map_err(|e| Error::invalid("model", e))?;
    Ok((model, metrics))
}

fn trained(samples: &Samples, about: &About, spec: &Spec) -> BTreeMap<String, String> {
    let text = |name: &str, value: String| (name.to_owned(), value);
    BTreeMap::from([
        text("samples", about.from.clone()),
        text("scene", about.scene.clone()),
        text("rows", samples.len().to_string()),
        text("positives", samples.positives().to_string()),
        text("requests", about.requests.to_string()),
        text("from_ms", about.from_ms.to_string()),
        text("to_ms", about.to_ms.to_string()),
        text("l2", spec.l2.to_string()),
        text("seed", spec.seed.to_string()),
    ])
}

fn numbers(metrics: &Metrics) -> BTreeMap<String, f64> {
    let mut out = BTreeMap::from([
        ("auc".to_owned(), metrics.auc),
        ("log_loss".to_owned(), metrics.log_loss),
        ("normalised_entropy".to_owned(), metrics.normalised_entropy),
        ("calibration".to_owned(), metrics.calibration),
    ]);
    if let Some(grouped) = metrics.grouped_auc {
        out.insert("grouped_auc".to_owned(), grouped);
    }
    out
}

/// The columns of these features.
fn columns<'a>(samples: &'a Samples, about: &About, features: &[String]) -> Vec<&'a [f32]> {
    let find = |name: &String| about.features.iter().position(|f| f == name);
    features.iter().filter_map(find).map(|at| samples.features[at].as_slice()).collect()
}

/// For each request whether it is held out.
fn held_out(samples: &Samples, spec: &Spec) -> Vec<bool> {
    let requests = samples.requests.len();
    let share = spec.validation.share;
    match spec.validation.by {
        By::Request => {
            let draw = |name: &String| {
                (xxh3_64_with_seed(name.as_bytes(), spec.seed) >> 11) as f64 / (1_u64 << 53) as f64
            };
            samples.requests.iter().map(|name| draw(name) < share).collect()
        }
        By::Time => {
            let first = (requests as f64 * (1.0 - share)) as usize;
            let cut = samples.times.get(first).copied().unwrap_or(i64::MAX);
            samples.times.iter().map(|t| *t >= cut).collect()
        }
    }
}

fn matrix(columns: &[&[f32]], rows: &[usize]) -> Array2<f64> {
    let mut x = Array2::zeros((rows.len(), columns.len()).f());
    for (c, column) in columns.iter().enumerate() {
        for (to, r) in x.column_mut(c).iter_mut().zip(rows) {
            *to = f64::from(column[*r]);
        }
    }
    x
}

fn measure(
    samples: &Samples,
    about: &About,
    spec: &Spec,
    family: &Family,
    columns: &[&[f32]],
    (train, valid): (&[usize], &[usize]),
) -> Result<Metrics> {
    let labels = |rows: &[usize]| rows.iter().map(|r| samples.labels[*r]).collect::<Vec<u8>>();
    let y = labels(valid);
    if !y.contains(&1) || !y.contains(&0) {
        return Err(Error::invalid(
            "validation",
            "the held-out requests lack one of the labels; raise validation.share",
        ));
    }
    let tensors = (family.fit)(&matrix(columns, train), &labels(train), about.negatives_kept, spec)?;
    let x = matrix(columns, valid);
    let scores = (family.score)(&tensors, &x);
    let weights: Vec<f64> =
        y.iter().map(|l| if *l == 1 { 1.0 } else { 1.0 / about.negatives_kept }).collect();
    let groups: Vec<u32> = valid.iter().map(|r| samples.request[*r]).collect();
    let rate =
        y.iter().zip(&weights).map(|(l, w)| f64::from(*l) * w).sum::<f64>() / weights.iter().sum::<f64>();
    let log_loss = metric::log_loss(&scores, &y, &weights);
    let best_feature = spec
        .features
        .iter()
        .enumerate()
        .filter_map(|(c, name)| {
            let auc = metric::grouped_auc(&x.column(c).to_vec(), &y, &groups)?;
            Some((name.clone(), auc))
        })
        .max_by(|a, b| a.1.total_cmp(&b.1));
    Ok(Metrics {
        train_rows: train.len() as u64,
        valid_rows: valid.len() as u64,
        valid_positives: y.iter().filter(|l| **l == 1).count() as u64,
        auc: metric::auc(&scores, &y),
        grouped_auc: metric::grouped_auc(&scores, &y, &groups),
        log_loss,
        normalised_entropy: log_loss / metric::log_loss(&vec![rate; y.len()], &y, &weights),
        calibration: metric::calibration(&scores, &y, &weights),
        best_feature,
        importance: importance(spec, &tensors, &x),
    })
}

fn importance(spec: &Spec, tensors: &super::Tensors, x: &Array2<f64>) -> Vec<(String, f64)> {
    let none = Vec::new();
    let weights = tensors.get("weights").unwrap_or(&none);
    let mut out: Vec<(String, f64)> = spec
        .features
        .iter()
        .zip(weights)
        .enumerate()
        .map(|(c, (name, w))| (name.clone(), w * x.column(c).std(0.0)))
        .collect();
    out.sort_by(|a, b| b.1.abs().total_cmp(&a.1.abs()));
    out
}
