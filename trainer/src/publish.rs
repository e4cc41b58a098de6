//! Out of the trainer: candidate lists into the folder of tables, models into the registry, each behind a gate.

use data_layer::config::Config;
use data_layer::keylist::{ScoreCodec, Writer};
use data_layer::publish::{Folder, Gate, Published};
use data_layer::registry::Registry;

use crate::data::Data;
use crate::offline::Lists;
use crate::runs::Run;
use crate::{Error, Result};

/// Builds a generation of a table and makes it the current one, with the limits of `[tables.gate]`; `force` overrides them. The watermark
/// is the last moment of DATA.
///
/// # Errors
/// The table cannot be built or does not pass the gate.
pub fn table(
    config: &Config,
    name: &str,
    data: &Data,
    lists: &Lists,
    ranking: bool,
    force: bool,
) -> Result<Published> {
    let folder = Folder::of(config, name)?.by("trainer");
    let watermark = data.interactions.time.last().copied().unwrap_or(0);
    let mut spec = folder.spec(watermark);
    // One short list costs nothing exact; ties of a ranking would otherwise depend on its range.
    if ranking {
        spec.scores = ScoreCodec::Exact;
    }
    let mut writer = Writer::new(spec)?;
    let mut row: Vec<(&str, f32)> = Vec::new();
    for (key, list) in lists.keys.iter().zip(&lists.lists).filter(|(_, list)| !list.is_empty()) {
        row.clear();
        row.extend(list.iter().map(|(item, score)| (data.interactions.items.text(*item), *score)));
        writer.push(key.as_str(), &row)?;
    }
    if writer.is_empty() {
        return Err(Error::invalid(format!("table {name}"), "there is no list in it; nothing was published"));
    }
    std::fs::create_dir_all(folder.path()).map_err(Error::io(folder.path()))?;
    let built = folder.build(writer)?;
    let gate = if force { Gate::Forced(config.tables.gate) } else { Gate::Within(config.tables.gate) };
    let published = folder.publish_told(Some(&built.generation), gate)?;
    folder.keep(config.tables.keep)?;
    Ok(published)
}

/// How much AUC within requests may fall before the gate says no: what chance alone does.
const TOLERANCE: f64 = 0.005;

/// Publishes a run as the next version of a model. With `gate`, the model must predict better than the constant, and its AUC
/// within requests must not be below that of its best single feature, or of what is served, by more than 0.005.
///
/// # Errors
/// The gate says no, and why; or the registry cannot be written.
pub fn model(config: &Config, name: &str, run: &Run, gate: bool) -> Result<u32> {
    let registry = Registry::of(config);
    if gate {
        let served = registry.served(name)?.map(|version| registry.load(name, Some(version))).transpose()?;
        passes(run, served.as_ref().map(|(_, model)| model))?;
    }
    let mut file = run.model.clone();
    file.name = name.to_owned();
    let version = registry.publish(name, &file)?;
    registry.keep(name, config.models.keep)?;
    Ok(version)
}

fn passes(run: &Run, served: Option<&data_layer::registry::ModelFile>) -> Result<()> {
    let no = |detail: String| Err(Error::invalid(format!("gate: {}", run.path.display()), detail));
    let metrics = &run.metrics;
    let Some(grouped) = metrics.grouped_auc else {
        return no("no held-out request has both labels, so nothing is known of the model".into());
    };
    if let Some((feature, auc)) = metrics.best_feature.as_ref().filter(|(_, auc)| grouped < auc - TOLERANCE) {
        return no(format!("AUC within requests is {grouped:.4}, that of {feature} alone {auc:.4}"));
    }
    if metrics.normalised_entropy >= 1.0 {
        let found = metrics.normalised_entropy;
        return no(format!("log loss is {found:.4} of the constant's; expected less than 1"));
    }
    let before = served.and_then(|model| model.metrics.get("grouped_auc")).copied();
    match before.filter(|before| grouped < before - TOLERANCE) {
        Some(before) => no(format!("AUC within requests is {grouped:.4}, of the served version {before:.4}")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::train::Metrics;
    use crate::runs::Origin;

    fn run(grouped: f64, best: f64, entropy: f64) -> Run {
        let metrics = Metrics {
            train_rows: 1,
            valid_rows: 1,
            valid_positives: 1,
            auc: 0.7,
            grouped_auc: Some(grouped),
            log_loss: 0.1,
            normalised_entropy: entropy,
            calibration: 1.0,
            best_feature: Some(("f".into(), best)),
            importance: Vec::new(),
        };
        let origin = Origin {
            format: 1,
            samples: "s".into(),
            about: crate::sample::About::default(),
            samples_hash: String::new(),
            trainer: String::new(),
        };
        Run { path: "r".into(), model: data_layer::registry::ModelFile::default(), metrics, origin }
    }

    #[test]
    fn the_gate_lets_through_what_helps() {
        let mut served = data_layer::registry::ModelFile::default();
        served.metrics.insert("grouped_auc".into(), 0.8);
        assert!(passes(&run(0.8, 0.7, 0.9), None).is_ok());
        assert!(passes(&run(0.797, 0.7, 0.9), Some(&served)).is_ok());
        for (run, wanted) in [
            (run(0.7, 0.8, 0.9), "that of f alone"),
            (run(0.8, 0.7, 1.1), "log loss"),
            (run(0.7, 0.6, 0.9), "served version"),
        ] {
            let said = passes(&run, Some(&served)).unwrap_err().to_string();
            assert!(said.contains(wanted), "{said}");
        }
    }
}
