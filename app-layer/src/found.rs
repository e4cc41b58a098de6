//! What scenes may name just now: the tables and models that have a folder. Not for what is served of them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use compute_layer::Model;
use data_layer::Config;
use data_layer::config::check_name;
use data_layer::live::Live;
use data_layer::registry::{ModelFile, Models};

use crate::scene::Known;

/// What scenes may name now: every table and model that has a folder.
pub(crate) fn known(config: &Config, live: &Live, models: &Models) -> Known {
    let folders = |root: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
        let names = entries.filter(|e| e.path().is_dir()).filter_map(|e| e.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| check_name(name).is_ok()).collect();
        names.sort();
        names
    };
    let names = folders(&config.models_root());
    let mut known = BTreeMap::new();
    for name in &names {
        let snapshot = models.snapshot();
        known.insert(
            name.clone(),
            snapshot.model(name).and_then(|loaded| usable(&loaded.label(), &loaded.model)),
        );
        for version in models.registry().list(name).unwrap_or_default() {
            let label = format!("{name}@{}", version.version);
            let model = models.registry().load(name, Some(version.version)).ok();
            known.insert(label.clone(), model.and_then(|(_, file)| usable(&label, &file)));
        }
    }
    Known { schema: live.schema(), tables: folders(&config.tables_root()), models: known, model_names: names }
}

fn usable(label: &str, file: &ModelFile) -> Option<(String, Arc<Model>)> {
    match Model::load(file) {
        Ok(model) => Some((label.to_owned(), Arc::new(model))),
        Err(error) => {
            tracing::error!(model = label, %error, "model can't be used");
            None
        }
    }
}
