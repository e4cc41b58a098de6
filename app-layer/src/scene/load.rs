//! Reads scene and experiment files, applies buckets to scenes, and blames the right line of the right file for what is wrong.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_layer::Config;
use data_layer::config::toml_file;
use data_layer::experiment::Layer;
use toml::Table;

use super::edit;
use super::locate::line_of;
use super::work::Wrong;
use super::{Buckets, Experiment, Scene};
use crate::error::{Error, Fault, Result};
use crate::hint::did_you_mean;

/// All files of a namespace, parsed but not yet compiled.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// The scenes, by file name.
    pub scenes: Vec<Scene>,
    /// The experiments, by file name.
    pub experiments: Vec<Experiment>,
}

/// What one bucket changes in a scene.
#[derive(Debug)]
pub struct Change {
    /// Path without the scene.
    path: String,
    /// Where it is written.
    file: PathBuf,
    /// Its line.
    line: usize,
}

/// Reads the folders of scenes and experiments. Folders that are not there are empty.
///
/// # Errors
/// Every file that is no TOML, names no scene or no layer, or names one twice; all at once.
pub fn files(config: &Config) -> Result<Files> {
    let mut faults = Vec::new();
    let mut files = Files::default();
    for (path, text) in texts(&config.scenes)? {
        match scene(&path, text) {
            Ok(scene) => files.scenes.push(scene),
            Err(fault) => faults.push(fault),
        }
    }
    for (path, text) in texts(&config.experiments)? {
        match Layer::parse(&text, &path.display().to_string()) {
            Ok(layer) => {
                files.experiments.push(Experiment { file: path, text: text.into(), layer: Arc::new(layer) })
            }
            Err(error) => faults.push(placed(&path, &error)),
        }
    }
    faults.extend(twice(files.scenes.iter().map(|s| (s.name.as_str(), &s.file, &*s.text, "scene"))));
    faults
        .extend(twice(files.experiments.iter().map(|e| (e.layer.name.as_str(), &e.file, &*e.text, "layer"))));
    if faults.is_empty() { Ok(files) } else { Err(Error::Files(faults)) }
}

/// Reads one scene's text.
///
/// # Errors
/// When it is no TOML, or names no scene.
pub fn scene(path: &Path, text: String) -> std::result::Result<Scene, Fault> {
    let tree: Table = toml_file::parse(&text, path).map_err(|error| placed(path, &error))?;
    let wrong = |detail: String| Fault {
        file: path.to_owned(),
        line: line_of(&text, "scene").max(1),
        path: "scene".to_owned(),
        detail,
    };
    let Some(name) = tree.get("scene").and_then(|v| v.as_str()) else {
        return Err(wrong("every scene file starts with its name: scene = \"home\"".to_owned()));
    };
    data_layer::config::check_name(name).map_err(&wrong)?;
    if name.contains('.') {
        return Err(wrong(format!("a scene's name must not have dots, found {name:?}")));
    }
    Ok(Scene { name: name.to_owned(), file: path.to_owned(), tree: Arc::new(tree), text: text.into() })
}

/// Whether a layer concerns a scene: it changes it, or it changes nothing at all (A/A).
#[must_use]
pub fn concerns(layer: &Layer, scene: &str) -> bool {
    let mut paths = paths(layer).peekable();
    paths.peek().is_none() || paths.any(|(_, path)| split(path).0 == scene)
}

/// Paths of scenes that do not exist, and keys that two layers change.
#[must_use]
pub fn conflicts(files: &Files) -> Vec<Fault> {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    let mut faults = Vec::new();
    for experiment in &files.experiments {
        let layer = &*experiment.layer;
        for (place, path) in paths(layer) {
            let fault = |detail: String| Fault {
                file: experiment.file.clone(),
                line: line_of(&experiment.text, &place),
                path: place.clone(),
                detail,
            };
            let (scene, _) = split(path);
            if !files.scenes.iter().any(|s| s.name == scene) {
                let hint = did_you_mean(scene, files.scenes.iter().map(|s| s.name.as_str()));
                faults.push(fault(format!("unknown scene {scene:?} in {path:?}{hint}")));
            }
            let other = owners.iter().find(|(key, owner)| **owner != layer.name && overlap(key, path));
            if let Some((key, owner)) = other {
                faults
                    .push(fault(format!("layer {owner:?} changes {key:?} too; a key belongs to one layer")));
            }
            owners.entry(path).or_insert(&layer.name);
        }
    }
    faults
}

/// A scene's tree with the changes of these buckets, and what they were.
///
/// # Errors
/// Paths that lead nowhere in this scene.
pub fn changed(
    files: &Files,
    scene: &Scene,
    buckets: &Buckets,
) -> std::result::Result<(Table, Vec<Change>), Vec<Fault>> {
    let mut tree = (*scene.tree).clone();
    let (mut changes, mut faults) = (Vec::new(), Vec::new());
    for experiment in &files.experiments {
        let chosen = buckets.get(&experiment.layer.name);
        let Some(bucket) = experiment.layer.buckets.iter().find(|b| Some(&b.name) == chosen) else {
            continue;
        };
        let sets = bucket.set.iter().map(|(path, value)| (path, Some(value)));
        for (path, value) in sets.chain(bucket.remove.iter().map(|path| (path, None))) {
            let (of, inner) = split(path);
            if of != scene.name {
                continue;
            }
            let place = match value {
                Some(_) => format!("bucket.{}.set.{path}", bucket.name),
                None => format!("bucket.{}.remove", bucket.name),
            };
            let line = line_of(&experiment.text, &place);
            let done = match value {
                Some(value) => edit::set(&mut tree, inner, value),
                None => edit::remove(&mut tree, inner),
            };
            if let Err(detail) = done {
                faults.push(Fault { file: experiment.file.clone(), line, path: place, detail });
            }
            changes.push(Change { path: inner.to_owned(), file: experiment.file.clone(), line });
        }
    }
    if faults.is_empty() { Ok((tree, changes)) } else { Err(faults) }
}

/// What is wrong at a place of a changed scene, blamed on the change that reaches it, else on the scene's file.
#[must_use]
pub fn fault(scene: &Scene, changes: &[Change], wrong: Wrong) -> Fault {
    let Wrong { place, detail } = wrong;
    match changes.iter().find(|change| overlap(&change.path, &place)) {
        Some(change) => Fault { file: change.file.clone(), line: change.line, path: place, detail },
        None => Fault { file: scene.file.clone(), line: line_of(&scene.text, &place), path: place, detail },
    }
}

/// Every path of a layer, with its place in the file.
fn paths(layer: &Layer) -> impl Iterator<Item = (String, &str)> {
    layer.buckets.iter().flat_map(|bucket| {
        let sets =
            bucket.set.keys().map(move |path| (format!("bucket.{}.set.{path}", bucket.name), path.as_str()));
        let removes =
            bucket.remove.iter().map(move |path| (format!("bucket.{}.remove", bucket.name), path.as_str()));
        sets.chain(removes)
    })
}

/// Scene and the path in it.
fn split(path: &str) -> (&str, &str) {
    path.split_once('.').unwrap_or((path, ""))
}

/// Whether one path is the other or leads to it.
fn overlap(a: &str, b: &str) -> bool {
    let leads = |short: &str, long: &str| {
        long.strip_prefix(short).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    leads(a, b) || leads(b, a)
}

/// The TOML files of a folder in order of their names.
fn texts(folder: &Path) -> Result<Vec<(PathBuf, String)>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(Error::io(folder.display())(e)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(Error::io(folder.display()))?.path();
        if path.extension().is_some_and(|e| e == "toml") && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    let read = |path: PathBuf| match std::fs::read_to_string(&path) {
        Ok(text) => Ok((path, text)),
        Err(e) => Err(Error::io(path.display())(e)),
    };
    paths.into_iter().map(read).collect()
}

/// A data-layer error whose place is `file:line:column`, as a fault.
fn placed(path: &Path, error: &data_layer::Error) -> Fault {
    let whole = Fault { file: path.to_owned(), line: 0, path: String::new(), detail: error.to_string() };
    let data_layer::Error::Invalid { place, detail } = error else { return whole };
    let rest = place.strip_prefix(&path.display().to_string()).unwrap_or(place);
    let line = rest.trim_start_matches(':').split(':').next().and_then(|n| n.parse().ok()).unwrap_or(0);
    Fault { line, detail: detail.clone(), ..whole }
}

fn twice<'a>(names: impl Iterator<Item = (&'a str, &'a PathBuf, &'a str, &'static str)>) -> Vec<Fault> {
    let mut first: BTreeMap<&str, &PathBuf> = BTreeMap::new();
    let mut faults = Vec::new();
    for (name, file, text, key) in names {
        if let Some(other) = first.insert(name, file) {
            let detail = format!("{} names {key} {name:?} too", other.display());
            faults.push(Fault { file: file.clone(), line: line_of(text, key), path: key.to_owned(), detail });
        }
    }
    faults
}
