//! Counts and latencies in Prometheus' form. One recorder per engine, so that two in one process don't mix.

use std::sync::atomic::Ordering;

use data_layer::ingest::Ingest;
use data_layer::publish::remote::Source;
use data_layer::shared::Lane;
use metrics::{Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use crate::engine::Engine;
use crate::present::Answer;
use crate::scene::Buckets;
use crate::trip::Trip;

/// Upper ends of the latency buckets, in seconds.
const SECONDS: [f64; 14] =
    [0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0];
/// Upper ends of the candidate counts.
const COUNTS: [f64; 10] = [0.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0];

/// What is what, for scrapers.
const HELP: [(&str, &str); 47] = [
    ("weir_requests_total", "recommend requests by scene"),
    ("weir_http_requests_total", "HTTP requests by path and status"),
    ("weir_request_seconds", "time of a recommend request in the server, by scene"),
    ("weir_stage_seconds", "time of one stage, by scene and stage"),
    ("weir_candidates", "candidates after a stage, by scene and stage"),
    ("weir_degraded_total", "things left out of answers, by scene, stage and cause"),
    ("weir_empty_total", "answers without an item, by scene"),
    ("weir_short_total", "answers with fewer items than asked for, by scene"),
    ("weir_fallback_total", "answers filled from the fallback chain, by scene"),
    ("weir_feedback_total", "events by kind, scene, layer and bucket of the answer they belong to"),
    ("weir_ingest_total", "events by outcome"),
    ("weir_generation_info", "what is served: tables and models with their versions"),
    ("weir_table_lists_total", "lists asked of tables, by table and outcome"),
    ("weir_table_entries_total", "places of lists that tables handed over, by table"),
    ("weir_table_cache_total", "lists asked of the caches of tables, by table and outcome"),
    ("weir_table_cache_bytes", "what the caches of tables hold, by table"),
    ("weir_log_position", "records in the event log that count"),
    ("weir_log_lag_records", "records in the event log that do not count yet"),
    ("weir_log_lag_seconds", "how long the oldest of them has waited"),
    ("weir_log_groups_total", "groups of events that were written and synced together"),
    ("weir_log_sync_microseconds_total", "time that took"),
    ("weir_log_failed", "1 while the event log can't be written, such as on a full disk"),
    ("weir_dedupe_bytes", "memory for what makes an event a repeat"),
    (
        "weir_shared_lag_records",
        "records in the event log that Redis has not confirmed, or that do not count yet",
    ),
    ("weir_shared_owned_partitions", "partitions that this server works on, by lane"),
    ("weir_shared_records_total", "records that this server took from partitions, by lane and outcome"),
    ("weir_shared_refused_total", "batches that another server was faster with, by lane"),
    ("weir_shared_resent_total", "records that were sent to Redis again"),
    ("weir_shared_deltas_total", "deltas of items that were read"),
    ("weir_shared_trimmed_total", "messages about items that this server dropped from Redis"),
    (
        "weir_shared_reloads_total",
        "snapshots that took the place of items because Redis had lost some or no longer had what comes next",
    ),
    ("weir_shared_away", "1 while Redis takes no events; they wait in the log"),
    ("weir_erasures", "people whose erasure was asked for, by state of the files: pending, done"),
    ("weir_archive_segments", "segments of the log, by state: archived, waiting, removed"),
    ("weir_compactions_total", "times that attributes in the log were compacted, by outcome"),
    ("weir_compacted_records_total", "records that said what was said again later, and went"),
    ("weir_compacted_bytes_total", "bytes of the segments that lost some: before, and after"),
    ("weir_snapshots_total", "snapshots of the live side since the start, by outcome"),
    ("weir_snapshot_bytes", "bytes of the newest that this process took"),
    ("weir_snapshot_seconds", "how long that took"),
    ("weir_snapshot_pause_seconds", "the longest time for which it held applying up"),
    (
        "weir_tables_refused",
        "newer generations that are not served or not published, because they are refused",
    ),
    ("weir_source_looks_total", "looks at the store that tables are pulled from, by outcome"),
    ("weir_source_pulls_total", "generations of tables that were pulled"),
    ("weir_source_bytes_total", "bytes of generations that were pulled"),
    ("weir_source_failing", "tables that do not follow the store, and 1 more where it can't be listed"),
    (
        "weir_source_since_good_seconds",
        "time since a look at the store found everything sound; -1 where none did yet",
    ),
];

/// The recorder of one engine.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Nothing counted yet.
    #[must_use]
    pub fn new() -> Self {
        use metrics_exporter_prometheus::Matcher;
        let builder = PrometheusBuilder::new();
        let builder = match builder.set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS) {
            Ok(builder) => builder.set_buckets_for_metric(Matcher::Suffix("_candidates".into()), &COUNTS),
            Err(error) => Err(error),
        };
        let recorder = builder.unwrap_or_default().build_recorder();
        for (name, help) in HELP {
            recorder.describe_counter(name.into(), None, help.into());
        }
        Self { handle: recorder.handle(), recorder }
    }

    /// Adds to a counter.
    pub fn count(&self, name: &'static str, labels: &[(&'static str, &str)], by: u64) {
        self.recorder.register_counter(&key(name, labels), &META).increment(by);
    }

    /// Notes a value in a histogram.
    pub fn note(&self, name: &'static str, labels: &[(&'static str, &str)], value: f64) {
        self.recorder.register_histogram(&key(name, labels), &META).record(value);
    }

    /// Notes one answer.
    pub fn answered(&self, scene: &str, answer: &Answer, wanted: usize, trip: &Trip) {
        self.count("weir_requests_total", &[("scene", scene)], 1);
        self.note("weir_request_seconds", &[("scene", scene)], trip.took_us() as f64 / 1e6);
        for stage in &trip.stages {
            let labels = [("scene", scene), ("stage", stage.name)];
            self.note("weir_stage_seconds", &labels, stage.took_us as f64 / 1e6);
            if matches!(stage.name, "recall" | "filter") {
                self.note("weir_candidates", &labels, stage.count as f64);
            }
        }
        for left_out in &answer.degraded {
            let labels =
                [("scene", scene), ("stage", left_out.stage.as_str()), ("cause", left_out.cause.as_str())];
            self.count("weir_degraded_total", &labels, 1);
        }
        if answer.items.is_empty() {
            self.count("weir_empty_total", &[("scene", scene)], 1);
        }
        if answer.items.len() < wanted {
            self.count("weir_short_total", &[("scene", scene)], 1);
        }
        if trip.stages.iter().any(|stage| stage.name == "fallback") {
            self.count("weir_fallback_total", &[("scene", scene)], 1);
        }
    }

    /// Notes an impression or an interaction that belongs to an answer.
    pub fn feedback(&self, kind: &str, scene: &str, buckets: &Buckets, by: u64) {
        let labels = |layer, bucket| [("kind", kind), ("scene", scene), ("layer", layer), ("bucket", bucket)];
        self.count("weir_feedback_total", &labels("", ""), by);
        for (layer, bucket) in buckets {
            let (layer, bucket): (&str, &str) = (layer, bucket);
            self.count(
                "weir_feedback_total",
                &[("kind", kind), ("scene", scene), ("layer", layer), ("bucket", bucket)],
                by,
            );
        }
    }

    /// Folds what was recorded into the histograms; called each second, so that memory stays bounded without a scraper.
    pub fn fold(&self) {
        self.handle.run_upkeep();
    }

    /// What the tables counted: whole numbers that only grow, so they are set, not added to.
    fn tables(&self, engine: &Engine) {
        let set = |name, labels: &[(&'static str, &str)], now: u64| {
            self.recorder.register_counter(&key(name, labels), &META).absolute(now);
        };
        for (table, tally, cache) in engine.tables().snapshot().counts() {
            for (outcome, now) in [
                ("found", tally.found),
                ("absent", tally.absent),
                ("corrupt", tally.corrupt),
                ("late", tally.late),
                ("failed", tally.failed),
            ] {
                set("weir_table_lists_total", &[("table", table), ("outcome", outcome)], now);
            }
            set("weir_table_entries_total", &[("table", table)], tally.entries);
            let Some(cache) = cache else { continue };
            set("weir_table_cache_total", &[("table", table), ("outcome", "hit")], cache.hits);
            set("weir_table_cache_total", &[("table", table), ("outcome", "miss")], cache.misses);
            let bytes = key("weir_table_cache_bytes", &[("table", table)]);
            self.recorder.register_gauge(&bytes, &META).set(cache.bytes as f64);
        }
    }

    /// How the log gets on, and how far what applies it is behind.
    fn log(&self, ingest: &Ingest) {
        let gauge = |name, labels: &[(&'static str, &str)], value: f64| {
            self.recorder.register_gauge(&key(name, labels), &META).set(value);
        };
        let count = |name, now| self.recorder.register_counter(&key(name, &[]), &META).absolute(now);
        let stats = ingest.stats();
        gauge("weir_log_lag_records", &[], stats.lag.records() as f64);
        gauge("weir_log_lag_seconds", &[], stats.lag.millis() as f64 / 1e3);
        gauge("weir_log_failed", &[], f64::from(u8::from(stats.failed.load(Ordering::Relaxed))));
        gauge("weir_dedupe_bytes", &[], stats.remembered_bytes.load(Ordering::Relaxed) as f64);
        count("weir_log_groups_total", stats.groups.load(Ordering::Relaxed));
        count("weir_log_sync_microseconds_total", stats.sync_us.load(Ordering::Relaxed));
        if let Some(snapshots) = ingest.snapshots() {
            let [taken, failures, bytes, took, pause] = {
                let s = snapshots.taken();
                [&s.taken, &s.failures, &s.bytes, &s.took_ms, &s.pause_us].map(|n| n.load(Ordering::Relaxed))
            };
            for (outcome, now) in [("taken", taken), ("failed", failures)] {
                let key = key("weir_snapshots_total", &[("outcome", outcome)]);
                self.recorder.register_counter(&key, &META).absolute(now);
            }
            gauge("weir_snapshot_bytes", &[], bytes as f64);
            gauge("weir_snapshot_seconds", &[], took as f64 / 1e3);
            gauge("weir_snapshot_pause_seconds", &[], pause as f64 / 1e6);
        }
        let erasures = ingest.erasures();
        for (state, now) in [("pending", erasures.pending()), ("done", erasures.done())] {
            gauge("weir_erasures", &[("state", state)], now as f64);
        }
        self.compaction(ingest);
        let Some(archive) = ingest.archive() else { return };
        for (state, now) in
            [("archived", &archive.segments), ("waiting", &archive.waiting), ("removed", &archive.removed)]
        {
            gauge("weir_archive_segments", &[("state", state)], now.load(Ordering::Relaxed) as f64);
        }
    }

    /// What compaction of attributes has come to.
    fn compaction(&self, ingest: &Ingest) {
        let Some(compaction) = ingest.compaction() else { return };
        let count = |name, labels: &[(&'static str, &str)], now: &std::sync::atomic::AtomicU64| {
            let now = now.load(Ordering::Relaxed);
            self.recorder.register_counter(&key(name, labels), &META).absolute(now);
        };
        for (outcome, runs) in [("done", &compaction.runs), ("failed", &compaction.failures)] {
            count("weir_compactions_total", &[("outcome", outcome)], runs);
        }
        count("weir_compacted_records_total", &[], &compaction.records);
        for (which, bytes) in [("before", &compaction.before), ("after", &compaction.after)] {
            count("weir_compacted_bytes_total", &[("which", which)], bytes);
        }
    }

    /// How the server gets on with the others, where they share a Redis.
    fn shared(&self, ingest: &Ingest, applied: u64) {
        let Some(shared) = ingest.shared() else { return };
        let gauge = |name, labels: &[(&'static str, &str)], value: u64| {
            self.recorder.register_gauge(&key(name, labels), &META).set(value as f64);
        };
        let count = |name, labels: &[(&'static str, &str)], now| {
            self.recorder.register_counter(&key(name, labels), &META).absolute(now);
        };
        let logged = ingest.stats().lag.logged();
        gauge("weir_log_lag_records", &[], logged.saturating_sub(applied));
        for (until, at) in [("forwarded", shared.forwarded()), ("counts", applied)] {
            gauge("weir_shared_lag_records", &[("until", until)], logged.saturating_sub(at));
        }
        for (lane, of) in [("people", shared.of(Lane::People)), ("items", shared.of(Lane::Items))] {
            gauge("weir_shared_owned_partitions", &[("lane", lane)], of.owned());
            for (outcome, now) in [("taken", of.records()), ("repeated", of.repeated())] {
                count("weir_shared_records_total", &[("lane", lane), ("outcome", outcome)], now);
            }
            count("weir_shared_refused_total", &[("lane", lane)], of.refused());
        }
        count("weir_shared_resent_total", &[], shared.resent());
        count("weir_shared_deltas_total", &[], shared.deltas());
        count("weir_shared_trimmed_total", &[], shared.trimmed());
        count("weir_shared_reloads_total", &[], shared.reloads());
        gauge("weir_shared_away", &[], u64::from(shared.is_away()));
    }

    /// What keeps newer generations from being served, and how it goes with the store that tables are pulled from.
    fn source(&self, engine: &Engine) {
        let gauge = |name, value: f64| self.recorder.register_gauge(&key(name, &[]), &META).set(value);
        gauge("weir_tables_refused", (engine.tables().errors().len() + engine.refused().len()) as f64);
        let Some(standing) = engine.source().map(Source::standing) else { return };
        let count = |name, labels: &[(&'static str, &str)], now| {
            self.recorder.register_counter(&key(name, labels), &META).absolute(now);
        };
        let good = standing.looks.saturating_sub(standing.failures);
        count("weir_source_looks_total", &[("outcome", "good")], good);
        count("weir_source_looks_total", &[("outcome", "failed")], standing.failures);
        count("weir_source_pulls_total", &[], standing.pulls);
        count("weir_source_bytes_total", &[], standing.bytes);
        let failing = standing.tables.len() + usize::from(standing.error.is_some());
        gauge("weir_source_failing", failing as f64);
        gauge("weir_source_since_good_seconds", standing.since_good.map_or(-1.0, |t| t.as_secs_f64()));
    }

    /// Everything, in the text format.
    #[must_use]
    pub fn render(&self, engine: &Engine) -> String {
        let gauge = |name, labels: &[(&'static str, &str)], value: f64| {
            self.recorder.register_gauge(&key(name, labels), &META).set(value);
        };
        gauge("weir_log_position", &[], engine.live().applied().sequence as f64);
        if let Some(ingest) = engine.ingest() {
            let stats = ingest.stats();
            let read = |n: &std::sync::atomic::AtomicU64| n.load(Ordering::Relaxed);
            for (outcome, now) in [
                ("accepted", read(&stats.accepted)),
                ("duplicate", read(&stats.duplicates)),
                ("rejected", read(&stats.rejected)),
                ("ignored_field", read(&stats.ignored_fields)),
                ("decision_dropped", read(&stats.decisions_dropped)),
                ("turned_away", engine.bodies().turned_away() as u64),
            ] {
                let key = key("weir_ingest_total", &[("outcome", outcome)]);
                self.recorder.register_counter(&key, &META).absolute(now);
            }
            self.log(ingest);
            self.shared(ingest, engine.live().applied().sequence);
        }
        self.tables(engine);
        self.source(engine);
        let mut text = self.handle.render();
        // A gauge would keep showing generations that are gone; these are written afresh.
        text.push_str("# TYPE weir_generation_info gauge\n");
        let mut line = |kind: &str, name: &str, version: &str| {
            text.push_str(&format!(
                "weir_generation_info{{kind=\"{kind}\",name=\"{name}\",version=\"{version}\"}} 1\n"
            ));
        };
        for (name, generation) in engine.tables().snapshot().generations() {
            line("table", &name, &generation);
        }
        for (name, version) in engine.models().snapshot().versions() {
            line("model", &name, &version.to_string());
        }
        text.push_str("# TYPE weir_table_damaged gauge\n");
        for (table, generation) in engine.tables().damage() {
            text.push_str(&format!(
                "weir_table_damaged{{table=\"{table}\",generation=\"{generation}\"}} 1\n"
            ));
        }
        text
    }
}

static META: Metadata<'static> = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));

fn key(name: &'static str, labels: &[(&'static str, &str)]) -> metrics::Key {
    let labels: Vec<Label> = labels.iter().map(|(k, v)| Label::new(*k, (*v).to_owned())).collect();
    metrics::Key::from_parts(name, labels)
}
