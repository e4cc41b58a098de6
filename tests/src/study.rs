//! What `scripts/demo` does up to its table of figures, on any data, through the real programs and with the demo's own files: the last fifth by
//! time is held out, tables and a model are made of what was before, and each contender recommends as of the split. Afterwards the
//! folder serves, with a published model, tables, and the live side of the first four fifths.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::programs::must;
use crate::tree::root;

/// What is compared: single sources, `blend` (the demo's feed without its model), and `full_flow` (the demo's feed).
pub const CONTENDERS: [&str; 5] = ["popular", "popular_lately", "item_cf", "blend", "full_flow"];

/// A split data set with everything made of its first part.
#[derive(Debug)]
pub struct Study {
    folder: tempfile::TempDir,
    now_ms: i64,
}

/// Paired difference of Recall@20 with its 95 % interval.
#[derive(Debug, Clone, Copy)]
pub struct Difference {
    /// The mean over people.
    pub value: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl Study {
    /// Of a simulated public; `null`: one without taste.
    ///
    /// # Panics
    /// If a program fails.
    #[must_use]
    pub fn of_world(seed: u32, users: u32, items: u32, null: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let world = folder.path().join("world").to_string_lossy().into_owned();
        let (seed, users, items) = (seed.to_string(), users.to_string(), items.to_string());
        let size = ["--seed", &seed, "--users", &users, "--items", &items, "--days", "30", "--out", &world];
        let null: &[&str] = if null { &["--null"] } else { &[] };
        must("weir-eval", &[&["audience", "make"], &size[..], null].concat());
        Self::of(folder, &world)
    }

    /// Of a folder of files that `weir-trainer import` reads.
    ///
    /// # Panics
    /// If a program fails.
    #[must_use]
    pub fn of_data(source: &Path) -> Self {
        Self::of(tempfile::tempdir().expect("a folder"), &source.to_string_lossy())
    }

    fn of(folder: tempfile::TempDir, source: &str) -> Self {
        let mut study = Self { folder, now_ms: 0 };
        let at = |name: &str| study.text(name);
        copy(&root().join("docs/examples/demo"), study.folder.path());
        let trainer = |arguments: &[&str]| must("weir-trainer", arguments);
        trainer(&["import", "--dir", source, "--out", &at("data")]);
        let split = |data: &str, share: &str, to: &str| {
            trainer(&["split", "--data", &at(data), "--by", "time", "--at", share, "--out", &at(to)]);
        };
        split("data", "0.8", "split");
        split("split/train", "0.875", "past");
        study.tables("past/train");
        let (train, past) = (at("split/train"), at("past/train"));
        let (scene, config) = (at("scenes/home.toml"), at("weir.toml"));
        let what = ["--data", &train, "--history", &past, "--scene", &scene, "--config", &config];
        trainer(&[&["sample", "--out", &at("samples")], &what[..]].concat());
        study.train_and_publish("samples", "run");
        study.tables("split/train");
        must("weir", &["events", "load", &train, "--config", &config]);
        study.now_ms = study.last_ms() + 1;
        study
    }

    /// Path of a file of the folder as text.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        self.path(name).to_string_lossy().into_owned()
    }

    /// Path of a file of the folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Trains a model by the demo's spec and publishes it as `ctr`.
    ///
    /// # Panics
    /// If a program fails.
    pub fn train_and_publish(&self, samples: &str, run: &str) {
        let (spec, run, config) = (self.text("model.toml"), self.text(run), self.text("weir.toml"));
        must("weir-trainer", &["train", "--samples", &self.text(samples), "--spec", &spec, "--out", &run]);
        must("weir-trainer", &["publish", &run, "--model", "ctr", "--config", &config]);
    }

    fn tables(&self, data: &str) {
        let (data, config) = (self.text(data), self.text("weir.toml"));
        let publish = |table: &str, rest: &[&str]| {
            let what = ["candidates", "--data", &data, "--publish", table, "--config", &config];
            must("weir-trainer", &[&what[..], rest].concat());
        };
        publish("popular", &["--method", "popular", "--top", "1000"]);
        publish("popular_lately", &["--method", "popular_lately", "--top", "1000"]);
        publish("item_cf", &["--method", "item_cf", "--top", "100"]);
        publish("for_you", &["--method", "item_cf", "--for", "users", "--top", "100"]);
    }

    fn last_ms(&self) -> i64 {
        let text = std::fs::read_to_string(self.path("split/train/import.json")).expect("a summary");
        let about: Value = serde_json::from_str(&text).expect("JSON");
        about["last_ms"].as_i64().unwrap_or_else(|| panic!("no last_ms in {about}"))
    }

    /// Lets contenders (those of [`CONTENDERS`]) recommend for the people of the held-out part.
    ///
    /// # Panics
    /// If a program fails.
    pub fn recommend(&self, contenders: &[&str]) {
        let config = std::fs::read_to_string(self.path("weir.toml")).expect("a configuration");
        let config = ["log", "live", "tables", "models"].iter().fold(config, |text, name| {
            text.replace(&format!("dir = \"{name}\""), &format!("dir = \"../{name}\""))
        });
        self.write("contenders/weir.toml", &config);
        std::fs::create_dir_all(self.path("contenders/experiments")).expect("a folder");
        let home = std::fs::read_to_string(self.path("scenes/home.toml")).expect("a scene");
        let blend = home.split("[rank]").next().unwrap_or_default();
        for name in contenders {
            let named = |text: &str| text.replace("scene = \"home\"", &format!("scene = \"{name}\""));
            let scene = match *name {
                "full_flow" => named(&home),
                "blend" => named(blend),
                "item_cf" => alone(name, "item_to_item", "from = \"recent\""),
                _ => alone(name, "ranking", ""),
            };
            self.write(&format!("contenders/scenes/{name}.toml"), &scene);
        }
        let (config, users) =
            (self.text("contenders/weir.toml"), self.text("split/test/interactions.parquet"));
        for name in contenders {
            let (now_ms, out) = (self.now_ms.to_string(), self.text(&format!("{name}.parquet")));
            let what = ["recommend", "--config", &config, "--scene", name, "--users", &users, "--size", "20"];
            must("weir", &[&what[..], &["--now-ms", &now_ms, "--seed", "1", "--out", &out]].concat());
        }
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).expect("a folder");
        std::fs::write(path, text).expect("a file");
    }

    /// Recall@20 of one contender less that of another, over the same people.
    ///
    /// # Panics
    /// If they did not recommend yet.
    #[must_use]
    pub fn less(&self, one: &str, other: &str) -> Difference {
        let file = |name: &str| self.text(&format!("{name}.parquet"));
        let (recs, baseline) = (file(one), file(other));
        let truth = self.text("split/test/interactions.parquet");
        let what = ["ranking", "--recs", &recs, "--baseline", &baseline, "--truth", &truth, "--k", "20"];
        let said = must("weir-eval", &[&what[..], &["--format", "json"]].concat());
        let report: Value = serde_json::from_str(&said).expect("JSON");
        let metric = &report["metrics"]["recall@20"];
        let figure = |place: &Value| place.as_f64().unwrap_or_else(|| panic!("no figure in {metric}"));
        let part = |key: &str| figure(&metric["difference"][key]);
        let found = Difference { value: part("value"), low: part("low"), high: part("high") };
        println!("{one} {:.4}, less {other}: {found}", figure(&metric["value"]));
        found
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:+.4} [{:+.4}, {:+.4}]", self.value, self.low, self.high)
    }
}

/// A scene with one source.
fn alone(name: &str, kind: &str, from: &str) -> String {
    format!(
        "scene = \"{name}\"\ndeadline_ms = 1000\n[[recall]]\nname = \"{name}\"\nkind = \"{kind}\"\ntable = \"{name}\"\n\
         quota = 1000\n{from}\n[[filter]]\nkind = \"seen\"\n"
    )
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder").map(|e| e.expect("an entry").path()) {
        let target = to.join(entry.file_name().expect("a name"));
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            std::fs::copy(&entry, &target).expect("a copy");
        }
    }
}
