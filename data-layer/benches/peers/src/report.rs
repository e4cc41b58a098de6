//! What was measured, as a table for people and as JSON for `docs/benchmarks.md`, and which targets were met.

use serde::Serialize;

/// One set of lists.
#[derive(Debug, Serialize)]
pub struct SetReport {
    /// Keys.
    pub keys: usize,
    /// Places of each list.
    pub places: usize,
    /// Items of the dictionary.
    pub items: u32,
    /// Bytes of all places: 12 each.
    pub payload: u64,
    /// Stores.
    pub rows: Vec<Row>,
    /// The machine itself.
    pub limits: Vec<Limit>,
}

/// What the machine can do.
#[derive(Debug, Serialize)]
pub struct Limit {
    /// At what.
    pub what: String,
    /// Reads a second.
    pub rate: f64,
}

/// One store. Rates are lists a second, the best of all rounds.
#[derive(Debug, Default, Serialize)]
pub struct Row {
    /// Name.
    pub name: String,
    /// What it is.
    pub what: String,
    /// Uniform keys, one at a time.
    pub single: f64,
    /// Uniform keys, 256 at once.
    pub batch: f64,
    /// Keys by Zipf's law, one at a time.
    pub zipf_single: f64,
    /// Keys by Zipf's law, 256 at once.
    pub zipf_batch: f64,
    /// Of single gets of uniform keys.
    pub quantiles: Quantiles,
    /// Bytes in files or in memory.
    pub bytes: u64,
    /// Lists built per second of processor time.
    pub build_per_core: f64,
    /// Lists built per second.
    pub build: f64,
    /// From the disk.
    pub cold: Cold,
}

/// Nanoseconds, the clock's own time included.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Quantiles {
    /// Half take no longer.
    pub p50: u64,
    /// 99 of 100.
    pub p99: u64,
    /// 999 of 1,000.
    pub p999: u64,
}

impl Quantiles {
    /// Of these times.
    #[must_use]
    pub fn of(mut times: Vec<u64>) -> Self {
        times.sort_unstable();
        let at = |share: f64| times.get((times.len() as f64 * share) as usize).copied().unwrap_or(0);
        Self { p50: at(0.5), p99: at(0.99), p999: at(0.999) }
    }

    /// The smaller of each; zeros are nothing measured.
    #[must_use]
    pub fn best(self, other: Self) -> Self {
        let best = |a: u64, b: u64| if a == 0 { b } else { a.min(b) };
        Self {
            p50: best(self.p50, other.p50),
            p99: best(self.p99, other.p99),
            p999: best(self.p999, other.p999),
        }
    }
}

/// Reads after the files' pages were dropped.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cold {
    /// What came of it.
    Run {
        /// Milliseconds to open the store.
        open_ms: f64,
        /// Gets.
        gets: usize,
        /// Gets a second.
        rate: f64,
        /// Nanoseconds of a get.
        quantiles: Quantiles,
    },
    /// Why not.
    NotRun(String),
}

impl Default for Cold {
    fn default() -> Self {
        Self::NotRun("not asked for".to_owned())
    }
}

/// A figure that must be reached.
#[derive(Debug, Serialize)]
pub struct Target {
    /// Which.
    pub what: String,
    /// What was asked.
    pub asked: f64,
    /// What was reached.
    pub reached: f64,
    /// Whether that is enough.
    pub met: bool,
}

impl SetReport {
    fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    /// The targets of the design, as far as the stores they name were measured.
    #[must_use]
    pub fn targets(&self) -> Vec<Target> {
        let Some(weir) = self.row("weir") else { return Vec::new() };
        let mut targets = Vec::new();
        let mut at_least = |what: String, asked: f64, reached: f64| {
            targets.push(Target { what, asked, reached, met: reached >= asked });
        };
        for (peer, asked) in [("hashbrown", 6.0), ("sparkey", 12.0), ("lushan-core", 25.0), ("lmdb", 40.0)] {
            if let Some(row) = self.row(peer) {
                at_least(format!("batch, times {peer}'s"), asked, weir.batch / row.batch);
            }
        }
        if let Some(row) = self.row("hashbrown") {
            let asked = if self.keys >= 10_000_000 { 2.4 } else { 1.5 };
            at_least("single get, times hashbrown's".to_owned(), asked, weir.single / row.single);
        }
        at_least("lists built a second and core, M".to_owned(), 1.0, weir.build_per_core / 1e6);
        let share = weir.bytes as f64 / self.payload as f64;
        let what = "bytes ÷ payload, at most".to_owned();
        targets.push(Target { what, asked: 0.54, reached: share, met: share <= 0.54 });
        targets
    }

    /// The tables, in Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = format!(
            "\n## {} keys × {} places, {} items, payload {:.2} GB\n\nWarm. Rates in M lists a second, x against {} in this run; ns of a \
             single get.\n\n",
            self.keys,
            self.places,
            self.items,
            self.payload as f64 / 1e9,
            self.rows.first().map_or("", |row| &row.name)
        );
        text += "| store | single | x | batch of 256 | x | zipf single | zipf batch | p50 / p99 / p99.9 | bytes ÷ payload | built, M lists/s/core |\n";
        text += "|---|---|---|---|---|---|---|---|---|---|\n";
        let against = self.rows.first().map_or((1.0, 1.0), |row| (row.single, row.batch));
        for row in &self.rows {
            let Quantiles { p50, p99, p999 } = row.quantiles;
            text += &format!(
                "| {} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {p50} / {p99} / {p999} | {:.3} | {:.2} |\n",
                row.name,
                row.single / 1e6,
                row.single / against.0,
                row.batch / 1e6,
                row.batch / against.1,
                row.zipf_single / 1e6,
                row.zipf_batch / 1e6,
                row.bytes as f64 / self.payload as f64,
                row.build_per_core / 1e6
            );
        }
        text += "\nThe machine itself, on a mapped file as large as the payload:\n\n| reads | M/s | ns each |\n|---|---|---|\n";
        for limit in &self.limits {
            text += &format!("| {} | {:.1} | {:.0} |\n", limit.what, limit.rate / 1e6, 1e9 / limit.rate);
        }
        text + &self.cold_markdown() + &self.targets_markdown()
    }

    fn cold_markdown(&self) -> String {
        let mut text = "\nCold: the files' pages dropped, then single gets of uniform keys.\n\n".to_owned();
        text += "| store | opened in, ms | gets | gets a second | p50 / p99, µs |\n|---|---|---|---|---|\n";
        for row in &self.rows {
            match &row.cold {
                Cold::Run { open_ms, gets, rate, quantiles: Quantiles { p50, p99, .. } } => {
                    let micro = |ns: &u64| *ns as f64 / 1e3;
                    text += &format!(
                        "| {} | {open_ms:.1} | {gets} | {rate:.0} | {:.0} / {:.0} |\n",
                        row.name,
                        micro(p50),
                        micro(p99)
                    );
                }
                Cold::NotRun(why) => text += &format!("| {} | not run: {why} | | | |\n", row.name),
            }
        }
        text
    }

    fn targets_markdown(&self) -> String {
        let mut text = "\n| target | asked | reached | |\n|---|---|---|---|\n".to_owned();
        for Target { what, asked, reached, met } in self.targets() {
            text +=
                &format!("| {what} | {asked} | {reached:.2} | {} |\n", if met { "met" } else { "not met" });
        }
        text
    }
}
