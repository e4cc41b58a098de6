//! A small site on disk: configuration, two scenes, three tables, a catalogue. Everything a server needs, in a temporary folder.
//!
//! Items are `i0` … `i99`; `i0` is the most popular; what goes with `iN` is `iN+1` … `iN+9` (round the end).

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::programs::must;

/// Number of items.
pub const ITEMS: usize = 100;

/// A moment after everything in the catalogue, for answers that must not change: 2026-11-20T00:00:00Z.
pub const NOW: i64 = 1_795_132_800_000;

const CONFIG: &str = r#"namespace = "main"
[server]
listen = "127.0.0.1:0"
[log]
dir = "log"
[live]
dir = "live"
[tables]
dir = "tables"
[models]
dir = "models"
[scenes]
dir = "scenes"
[experiments]
dir = "experiments"
"#;

const HOME: &str = r#"scene = "home"
size = 10
deadline_ms = 5000
fallback = ["popular"]

[[recall]]
name = "item_cf"
kind = "item_to_item"
table = "item_cf"
from = "recent"
quota = 50

[[recall]]
name = "popular"
kind = "ranking"
table = "popular"
quota = 50
weight = 0.5

[[filter]]
kind = "seen"
impressions = 0
"#;

const RELATED: &str = r#"scene = "related"
size = 5
deadline_ms = 5000
fallback = ["popular"]

[[recall]]
name = "item_cf"
kind = "item_to_item"
table = "item_cf"
from = "items"

[[recall]]
name = "popular"
kind = "ranking"
table = "popular"
quota = 20
weight = 0.1
"#;

/// A folder with everything a server needs.
#[derive(Debug)]
pub struct Site {
    folder: tempfile::TempDir,
}

impl Site {
    /// A site with published tables and two scenes.
    ///
    /// # Panics
    /// If a file can't be written or a table can't be built.
    #[must_use]
    pub fn new() -> Self {
        let site = Self { folder: tempfile::tempdir().expect("a temporary folder") };
        site.write("weir.toml", CONFIG);
        site.write("scenes/home.toml", HOME);
        site.write("scenes/related.toml", RELATED);
        std::fs::create_dir_all(site.path("experiments")).expect("a folder");
        site.publish("popular", &popular(0), 1);
        site.publish("item_cf", &neighbours(), 1);
        site
    }

    /// Path of a file of the site.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same as text.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }

    /// Path of the configuration.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.path("weir.toml")
    }

    /// Writes a file.
    ///
    /// # Panics
    /// If it can't be written.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    /// Builds a table from lines `key,item,score` as of second `watermark`, and publishes it.
    ///
    /// # Panics
    /// If either fails.
    pub fn publish(&self, table: &str, lines: &str, watermark: usize) {
        self.write(&format!("{table}.csv"), &format!("key,item,score\n{lines}"));
        let (input, folder) = (self.text(&format!("{table}.csv")), self.text(&format!("tables/{table}")));
        let columns = ["--key", "key", "--item", "item", "--score", "score"];
        let watermark = (watermark * 1000).to_string();
        let rest = ["--watermark", watermark.as_str(), "--out", folder.as_str()];
        must("weir", &[&["table", "build", "--input", &input], &columns[..], &rest].concat());
        must("weir", &["table", "publish", &folder]);
    }
}

impl Default for Site {
    fn default() -> Self {
        Self::new()
    }
}

/// The ranking, with item `first` on top.
#[must_use]
pub fn popular(first: usize) -> String {
    (0..ITEMS).fold(String::new(), |mut lines, n| {
        let _ = writeln!(lines, "all,i{},{}", (first + n) % ITEMS, ITEMS - n);
        lines
    })
}

fn neighbours() -> String {
    let mut lines = String::new();
    for n in 0..ITEMS {
        for step in 1..10 {
            let _ = writeln!(lines, "i{n},i{},{}", (n + step) % ITEMS, 1.0 / step as f64);
        }
    }
    lines
}

/// Events that describe the items.
#[must_use]
pub fn catalogue() -> Vec<Value> {
    let item = |n: usize| {
        json!({"type": "item", "id": format!("i{n}"), "kind": "content", "time": NOW - 1_000_000,
            "attributes": {"category": if n.is_multiple_of(2) { "book" } else { "music" }, "price": n as f64, "title": format!("No. {n}")}})
    };
    (0..ITEMS).map(item).collect()
}

/// An interaction.
#[must_use]
pub fn click(id: &str, user: &str, item: &str, time: i64) -> Value {
    json!({"type": "interaction", "id": id, "user": user, "item": item, "action": "click", "time": time})
}
