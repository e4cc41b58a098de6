//! Deltas in a table's folder: what a new one is built for, how it is put on top, and how all of them become one whole generation. What a
//! stack of them says is `overlay.rs`'s.

use super::folder::Folder;
use super::gate::Gate;
use super::line::{Line, MOST_DELTAS};
use super::overlay::{self, Overlay};
use super::steps::Published;
use crate::keylist::{Table, TableSpec, Verify};
use crate::types::Millis;
use crate::{Error, Result};

impl Folder {
    /// What a delta of the whole generation that is served is: its form, and the sum that names it.
    ///
    /// # Errors
    /// Nothing is served that a delta could be for, or as [`Folder::open`].
    pub fn delta_spec(&self, watermark: Millis) -> Result<TableSpec> {
        let base = self.open(None, Verify::Open)?;
        let header = base.header();
        Ok(TableSpec {
            keys: header.keys,
            scores: header.scores,
            schema_hash: header.schema_hash,
            shard: (header.shard, header.shards),
            vector: header.vector,
            delta: Some(header.sum),
            ..self.spec(watermark)
        })
    }

    /// What is served, by ids: a whole generation with its deltas.
    ///
    /// # Errors
    /// As [`Folder::open`], for each file; a delta of another generation.
    pub fn overlay(&self, verify: Verify) -> Result<Overlay> {
        let line = self.served_line()?.ok_or_else(|| self.none())?;
        self.overlay_of(&line, verify)
    }

    fn overlay_of(&self, line: &Line, verify: Verify) -> Result<Overlay> {
        let deltas = line.deltas.iter().map(|delta| self.open(Some(delta), verify));
        Overlay::new(self.open(Some(&line.base), verify)?, deltas.collect::<Result<_>>()?)
    }

    /// Builds one whole generation of what is current and its deltas, and publishes it through the gate. `each` is told how many lists
    /// went in. Its watermark is that of the newest of them.
    ///
    /// # Errors
    /// There is no delta, a file is damaged, the gate refuses the whole, or `CURRENT` moved meanwhile; what is current then stays.
    pub fn compact(&self, gate: Gate, each: &mut dyn FnMut(u64)) -> Result<Published> {
        let line = self.current_line()?.filter(|line| !line.deltas.is_empty()).ok_or_else(|| {
            let detail = "there is no delta on top of what is published; there is nothing to compact";
            Error::invalid(format!("table {}", self.name()), detail)
        })?;
        let whole = self.overlay_of(&line, Verify::Full)?;
        let built = self.build(whole.compact(whole.spec(), each)?)?;
        self.publish_over(Some(&built.generation), gate, Some(Some(&line)))
    }

    /// The current line with a delta on top; the same where it is there already.
    pub(super) fn on_top(&self, delta: &Table, current: Option<&Line>) -> Result<Line> {
        let generation = delta.header().generation();
        let Some(line) = current else {
            let detail = "is a delta, and nothing is published that it could be put on; publish its whole generation first";
            return Err(self.refused(&generation, detail));
        };
        if line.deltas.contains(&generation) {
            return Ok(line.clone());
        }
        let base = self.open(Some(&line.base), Verify::Open)?;
        if let Some(sum) = delta.header().base.filter(|sum| *sum != base.header().sum) {
            let meant = self.of_sum(sum)?;
            let detail = format!(
                "is a delta of {meant}, but {} is published; publish that one, or build the delta again with --delta",
                line.base
            );
            return Err(self.refused(&generation, &detail));
        }
        overlay::check(delta, &base)?;
        if line.deltas.len() >= MOST_DELTAS {
            let detail = format!(
                "would be delta {} on {}; run `weir table compact` first",
                MOST_DELTAS + 1,
                line.base
            );
            return Err(self.refused(&generation, &detail));
        }
        Ok(line.with(&generation))
    }

    /// The name of the generation with a sum, or what can be said of one that is not here.
    fn of_sum(&self, sum: u64) -> Result<String> {
        for found in self.list()? {
            if Table::header_of(self.file(&found.generation)).is_ok_and(|header| header.sum == sum) {
                return Ok(found.generation);
            }
        }
        Ok(format!("a generation with sum {sum:016x}, which is not in this folder"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::access::{ReadLists, Tables};
    use crate::config::Config;
    use crate::keylist::{Key, Op, ScoreCodec, Writer};
    use crate::live::{Items, Live};
    use crate::publish::overlay::Places;
    use crate::publish::{Limits, What};
    use crate::types::Id;

    type Model = BTreeMap<String, Places>;
    type Change = (String, Op, Places);

    struct Dice(u64);

    impl Dice {
        fn below(&mut self, n: u64) -> u64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) % n
        }

        /// Different items, many scores equal, in no order.
        fn list(&mut self) -> Places {
            let (first, length) = (self.below(50), self.below(9));
            (0..length).map(|n| (format!("i{}", (first + n * 7) % 50), self.below(4) as f32 / 2.0)).collect()
        }

        fn change(&mut self, key: u64) -> Change {
            let op = [Op::Replace, Op::Merge, Op::Delete][self.below(3) as usize];
            let list = if op == Op::Delete { Vec::new() } else { self.list() };
            (format!("k{key}"), op, list)
        }
    }

    fn apply(model: &mut Model, (key, op, list): &Change) {
        match op {
            Op::Replace => {
                model.insert(key.clone(), list.clone());
            }
            Op::Delete => {
                model.remove(key);
            }
            Op::Merge => {
                let below = model.entry(key.clone()).or_default();
                for (item, score) in list {
                    below.retain(|(other, _)| other != item);
                    below.push((item.clone(), *score));
                }
                let tie = |id: &str| Id::new(id).unwrap().tie();
                below.sort_by(|a, b| b.1.total_cmp(&a.1).then(tie(&a.0).cmp(&tie(&b.0))).then(a.0.cmp(&b.0)));
            }
        }
    }

    fn push(writer: &mut Writer, (key, op, list): &Change) {
        let list: Vec<(&str, f32)> = list.iter().map(|(item, score)| (item.as_str(), *score)).collect();
        writer.push_entry(key.as_str(), *op, &list, None).unwrap();
    }

    fn whole(folder: &Folder, second: i64, model: &Model) -> Writer {
        let spec = TableSpec { scores: ScoreCodec::Exact, ..folder.spec(second * 1_000) };
        let mut writer = Writer::new(spec).unwrap();
        for (key, list) in model {
            push(&mut writer, &(key.clone(), Op::Replace, list.clone()));
        }
        writer
    }

    fn delta(folder: &Folder, second: i64, changes: &[Change]) -> String {
        let mut writer = Writer::new(folder.delta_spec(second * 1_000).unwrap()).unwrap();
        changes.iter().for_each(|change| push(&mut writer, change));
        folder.build(writer).unwrap().generation
    }

    /// What requests read, what `weir table get` shows and what is right are the same, for every key there may be.
    fn says(config: &Config, folder: &Folder, model: &Model) {
        let live = Arc::new(Live::of(config));
        let tables = Tables::open(config, Arc::clone(&live)).unwrap();
        assert_eq!(tables.errors(), []);
        let snapshot = tables.snapshot();
        let stack = snapshot.table("hot").unwrap();
        assert_eq!(stack.line(), &folder.served_line().unwrap().unwrap());
        let overlay = folder.overlay(Verify::Full).unwrap();
        let keys: Vec<String> = (0..70).map(|key| format!("k{key}")).collect();
        let texts: Vec<&str> = keys.iter().map(String::as_str).collect();
        stack.lists(&texts, usize::MAX, &mut |at, found| {
            let found: Option<Places> = found
                .unwrap()
                .map(|list| list.iter().map(|s| (live.items().id(s.item).to_string(), s.score)).collect());
            assert_eq!(found.as_ref(), model.get(&keys[at]), "{} of the stack", keys[at]);
            let shown = overlay.list(Key::Str(&keys[at])).unwrap();
            assert_eq!(shown.as_ref(), model.get(&keys[at]), "{} of the overlay", keys[at]);
        });
    }

    fn start(root: &Path) -> (Config, Folder) {
        let config = Config::in_folder(root).unwrap();
        let folder = Folder::of(&config, "hot").unwrap();
        (config, folder)
    }

    #[test]
    fn deltas_say_what_they_should_and_compact_into_what_would_have_been_built() {
        for seed in 1..=8 {
            let root = tempfile::tempdir().unwrap();
            let (config, folder) = start(root.path());
            let mut dice = Dice(seed);
            let mut model: Model = (0..50).map(|key| (format!("k{key}"), dice.list())).collect();
            folder.build(whole(&folder, 1, &model)).unwrap();
            let base = folder.publish(None, Gate::Sound).unwrap();
            for second in 2..=4 {
                let before = model.clone();
                let changes: Vec<Change> = (0..25).map(|n| dice.change(n * 2 + second as u64)).collect();
                changes.iter().for_each(|change| apply(&mut model, change));
                let name = delta(&folder, second, &changes);
                says(&config, &folder, &before);
                let line = folder.publish(Some(&name), Gate::Within(Limits::default())).unwrap();
                assert!(line.starts_with(&base) && line.ends_with(&format!(" +{name}")), "{line}");
                says(&config, &folder, &model);
            }
            let line = folder.current_line().unwrap().unwrap();
            let told = folder.compact(Gate::Within(Limits::default()), &mut |_| {}).unwrap();
            assert_eq!((told.from, told.gate.is_some()), (Some(line.to_string()), true));
            says(&config, &folder, &model);
            let built = std::fs::read(folder.file(&told.generation)).unwrap();
            // Watermark of the newest of them.
            let scratch = tempfile::tempdir().unwrap();
            let expected = whole(&folder, 4, &model).finish(scratch.path()).unwrap();
            assert_eq!(expected.generation, told.generation);
            assert!(built == std::fs::read(expected.path).unwrap(), "byte for byte");
            assert!(
                folder
                    .compact(Gate::Sound, &mut |_| {})
                    .unwrap_err()
                    .to_string()
                    .contains("nothing to compact")
            );
            // Back to the deltas, and they are still there.
            assert_eq!(folder.keep(2).unwrap(), Vec::<String>::new());
            assert_eq!(folder.rollback().unwrap(), line.to_string());
            says(&config, &folder, &model);
        }
    }

    #[test]
    fn a_delta_goes_on_its_own_base_only_and_comes_off_again() {
        let root = tempfile::tempdir().unwrap();
        let (config, folder) = start(root.path());
        let model = |score: f32| Model::from([("k1".to_owned(), vec![("a".to_owned(), score)])]);
        let refused =
            |generation: &str| folder.publish(Some(generation), Gate::Sound).unwrap_err().to_string();
        assert!(folder.delta_spec(0).unwrap_err().to_string().contains("build one first"));
        let first = folder.build(whole(&folder, 1, &model(1.0))).unwrap().generation;
        // What is never published serves, and may have deltas built for it; but they go on what is published.
        let change = |item: &str| [("k2".to_owned(), Op::Replace, vec![(item.to_owned(), 5.0)])];
        let early = delta(&folder, 2, &change("a"));
        assert_eq!(folder.served().unwrap(), Some(first.clone()), "a delta alone is never served");
        says(&config, &folder, &model(1.0));
        assert!(refused(&early).contains("nothing is published that it could be put on"));
        folder.publish(Some(&first), Gate::Sound).unwrap();
        folder.publish(Some(&early), Gate::Sound).unwrap();
        let mut with = model(1.0);
        apply(&mut with, &change("a")[0]);
        says(&config, &folder, &with);
        let stat = folder.stat(None).unwrap();
        assert_eq!((&stat.generation, &stat.deltas), (&first, &vec![early.clone()]));
        assert_eq!(folder.stat(Some(&early)).unwrap().delta_of.as_ref(), Some(&stat.sum));
        let listed: Vec<(bool, bool)> =
            folder.list().unwrap().iter().map(|g| (g.current, g.on_top)).collect();
        assert_eq!(listed, [(true, true), (true, false)]);
        // Again changes nothing; off it comes.
        let line = folder.current_line().unwrap().unwrap();
        assert_eq!(folder.publish(Some(&early), Gate::Sound).unwrap(), line.to_string());
        assert_eq!(folder.rollback().unwrap(), first);
        says(&config, &folder, &model(1.0));
        // Another base: both are named.
        let second = folder.build(whole(&folder, 3, &model(2.0))).unwrap().generation;
        folder.publish(Some(&second), Gate::Sound).unwrap();
        let said = refused(&early);
        assert!(said.contains(&format!("a delta of {first}, but {second} is published")), "{said}");
        assert_eq!(folder.current_line().unwrap(), Some(Line::of(&second)));
        std::fs::remove_file(folder.file(&first)).unwrap();
        assert!(refused(&early).contains("which is not in this folder"));
        // So many and no more.
        for n in 0..MOST_DELTAS {
            let name = delta(&folder, 10 + n as i64, &change(&format!("x{n}")));
            folder.publish(Some(&name), Gate::Sound).unwrap();
        }
        let more = delta(&folder, 30, &change("y"));
        assert!(refused(&more).contains("weir table compact"));
        folder.compact(Gate::Sound, &mut |_| {}).unwrap();
        let mut with = model(2.0);
        apply(&mut with, &change(&format!("x{}", MOST_DELTAS - 1))[0]);
        says(&config, &folder, &with);
        assert_eq!(
            crate::publish::Journal::story(folder.path()).unwrap().entries.last().unwrap().what,
            What::Publish
        );
        assert!(
            refused(&more).contains(&format!("a delta of {second}")),
            "its base is below the compacted one now"
        );
    }

    #[test]
    fn what_moved_meanwhile_is_not_published_over() {
        let root = tempfile::tempdir().unwrap();
        let (_, folder) = start(root.path());
        let model = Model::from([("k1".to_owned(), vec![("a".to_owned(), 1.0)])]);
        folder.build(whole(&folder, 1, &model)).unwrap();
        let first = folder.publish(None, Gate::Sound).unwrap();
        let second = folder.build(whole(&folder, 2, &model)).unwrap().generation;
        let gone = Line::of("20000101T000000Z-00000000");
        let said =
            folder.publish_over(Some(&second), Gate::Sound, Some(Some(&gone))).unwrap_err().to_string();
        assert!(said.contains("was made of 20000101T000000Z-00000000") && said.contains(&first), "{said}");
        assert_eq!(folder.current().unwrap(), Some(first));
    }
}
