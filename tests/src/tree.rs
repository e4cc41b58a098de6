//! The workspace on disk: its root, its crates, its files, and which crate depends on which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The crates of the workspace; folder names equal package names.
pub const CRATES: [&str; 6] = ["data-layer", "compute-layer", "app-layer", "trainer", "ab-eval", "tests"];

/// The folder that holds the workspace.
///
/// # Panics
/// If this crate has no parent folder.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests crate lies in the workspace").to_owned()
}

/// Reads a file of the workspace, by its path from the root.
///
/// # Panics
/// If it can't be read.
#[must_use]
pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// All files below a folder of the workspace that end in `.extension`, sorted, as paths from the root.
#[must_use]
pub fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut todo = vec![root().join(folder)];
    while let Some(folder) = todo.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for path in entries.filter_map(|e| e.ok().map(|e| e.path())) {
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path.strip_prefix(root()).map_or(path.clone(), Path::to_owned));
            }
        }
    }
    found.sort();
    found
}

/// All folders below `CRATE/src` of the workspace's crates, but for those that hold tests only, sorted, as paths from the root.
#[must_use]
pub fn rooms() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for name in CRATES {
        let mut todo = vec![root().join(name).join("src")];
        while let Some(folder) = todo.pop() {
            let Ok(entries) = std::fs::read_dir(&folder) else { continue };
            let folders = entries.filter_map(|e| e.ok().map(|e| e.path())).filter(|p| p.is_dir());
            for path in folders.filter(|path| !path.ends_with("tests")) {
                if let Ok(short) = path.strip_prefix(root()) {
                    found.insert(short.to_string_lossy().into_owned());
                }
                todo.push(path);
            }
        }
    }
    found
}

/// Names in a section (`dependencies`, `dev-dependencies`) of a crate's manifest.
#[must_use]
pub fn dependencies(name: &str, section: &str) -> BTreeSet<String> {
    let manifest: toml::Table = toml::from_str(&read(format!("{name}/Cargo.toml"))).expect("a manifest");
    manifest
        .get(section)
        .and_then(toml::Value::as_table)
        .map(|table| table.keys().cloned().collect())
        .unwrap_or_default()
}

/// Every package that `name` reaches through `Cargo.lock`, itself included; tests' own dependencies count as well.
#[must_use]
pub fn reaches(name: &str) -> BTreeSet<String> {
    let lock: toml::Table = toml::from_str(&read("Cargo.lock")).expect("a lock file");
    let mut edges: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for package in lock["package"].as_array().expect("packages") {
        let named = |key: &str| package.get(key).and_then(toml::Value::as_str).unwrap_or_default().to_owned();
        let targets =
            package.get("dependencies").and_then(toml::Value::as_array).cloned().unwrap_or_default();
        let targets = targets.iter().filter_map(toml::Value::as_str).map(str::to_owned).collect::<Vec<_>>();
        // A package in several versions is named "name version" by those who depend on it.
        edges.entry(named("name")).or_default().extend(targets.clone());
        edges.entry(format!("{} {}", named("name"), named("version"))).or_default().extend(targets);
    }
    let mut seen = BTreeSet::new();
    let mut todo = vec![name.to_owned()];
    while let Some(package) = todo.pop() {
        if seen.insert(package.clone()) {
            todo.extend(edges.get(&package).cloned().unwrap_or_default());
        }
    }
    seen.iter().map(|p| p.split(' ').next().unwrap_or(p).to_owned()).collect()
}
