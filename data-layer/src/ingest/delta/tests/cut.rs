//! A snapshot of items cut anywhere, and what comes after it, is all of it: where it is loaded by a server that starts, and by one that runs and
//! numbers its items otherwise.

use std::path::PathBuf;

use super::*;
use crate::live::snapshot::{self, Limits, Loaded, Maker, load, load_beside};

/// Applies deltas and stands behind the last of them, as whoever follows the streams does.
fn follow(live: &Live, deltas: &[Delta]) {
    let mut at = live.streams.lock().clone();
    at.resize(Lane::Items.partitions().into(), StreamId::default());
    for some in deltas.chunks(3) {
        for delta in some {
            let stream = &mut at[usize::from(delta.place.partition)];
            assert_eq!(stream.ms + 1, delta.number, "{}", delta.place);
            // What comes to a number here is what it comes to in Redis: different for each.
            *stream = StreamId { ms: delta.number, number: delta.number ^ u64::MAX };
        }
        live.apply_deltas_to(some, &at).unwrap();
    }
}

fn written(live: &Live) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    let file = std::fs::File::create(&path).unwrap();
    let written =
        snapshot::write(live, &Maker::default(), || Ok(Vec::new()), file, &path, Limits::default()).unwrap();
    assert_eq!(written.streams, *live.streams.lock());
    (folder, path)
}

/// The deltas that are behind where a snapshot stands, in another order of partitions.
fn behind(loaded: &Loaded, deltas: &[Delta], dice: &mut Dice) -> Vec<Delta> {
    let streams = &loaded.head.streams;
    assert_eq!(*loaded.live.streams.lock(), *streams);
    let read = |delta: &Delta| streams.get(usize::from(delta.place.partition)).map_or(0, |at| at.ms);
    let rest = deltas.iter().filter(|delta| delta.number > read(delta));
    let mut by_place = vec![Vec::new(); Lane::Items.partitions().into()];
    rest.for_each(|delta| by_place[usize::from(delta.place.partition)].push(delta.clone()));
    interleaved(by_place, dice)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_snapshot_and_what_comes_after_it_is_all(
        ops in prop::collection::vec(op(), 1..80),
        seed in any::<u64>(),
        at in any::<prop::sample::Index>(),
    ) {
        let dice = &mut Dice(seed);
        let of_each = deltas(&records(&ops), 3, dice);
        let all = interleaved(of_each.clone(), dice);
        let (whole, first) = (live(50), live(50));
        follow(&whole, &all);
        follow(&first, &all[..at.index(all.len() + 1)]);
        let (_folder, path) = written(&first);
        let loaded = load(&path, &first.actions, &first.keep).unwrap();
        prop_assert_eq!(picture(&loaded.live), picture(&first));
        follow(&loaded.live, &behind(&loaded, &all, dice));
        prop_assert_eq!(picture(&loaded.live), picture(&whole));
        prop_assert_eq!(&*loaded.live.streams.lock(), &*whole.streams.lock());
        // One that runs goes back to it, whatever order it learnt items in, and on to the same.
        let runs = live(50);
        follow(&runs, &interleaved(of_each, dice));
        let beside = load_beside(&path, &runs).unwrap();
        let rest = behind(&beside, &all, dice);
        runs.replace_items(beside.live);
        follow(&runs, &rest);
        prop_assert_eq!(picture(&runs), picture(&whole));
        // And so does one that forgets what it counted and reads all of it again.
        runs.forget_counts(Vec::new());
        follow(&runs, &all);
        prop_assert_eq!(picture(&runs), picture(&whole));
    }
}

#[test]
fn what_is_said_while_a_snapshot_is_written_is_behind_where_it_stands() {
    let dice = &mut Dice(7);
    let ops: Vec<Op> = (0..40u8).map(|n| Op::Did { item: n % 5, action: 0, value: 3, hour: 0 }).collect();
    let all = interleaved(deltas(&records(&ops), 3, dice), dice);
    let (whole, first) = (live(50), live(50));
    follow(&whole, &all);
    let (some, more) = all.split_at(all.len() / 2);
    follow(&first, some);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("snapshot");
    let meanwhile = || {
        follow(&first, more);
        Ok(Vec::new())
    };
    let file = std::fs::File::create(&path).unwrap();
    snapshot::write(&first, &Maker::default(), meanwhile, file, &path, Limits::default()).unwrap();
    let loaded = load(&path, &first.actions, &first.keep).unwrap();
    let rest = behind(&loaded, &all, dice);
    assert_eq!(rest.len(), more.len());
    follow(&loaded.live, &rest);
    assert_eq!(picture(&loaded.live), picture(&whole));
}

#[test]
fn halves_of_loads_that_are_read_again_meet_none_of_the_first_time() {
    let dice = &mut Dice(0);
    let load = |begin, time| Op::Load { source: 0, id: 1, begin, time };
    let (attribute, value, kind, deleted) = (0, None, None, None);
    let named = Op::Item { item: 0, attribute, value, time: 1, source: Some(0), kind, deleted };
    // One that was begun again after it was whole: its end of the first time does not end it.
    let all =
        interleaved(deltas(&records(&[load(false, 0), named, load(true, 0), load(true, 2)]), 3, dice), dice);
    let (once, again) = (live(50), live(50));
    follow(&once, &all);
    follow(&again, &all);
    again.forget_counts(Vec::new());
    follow(&again, &all);
    assert_eq!(picture(&again), picture(&once));
}
