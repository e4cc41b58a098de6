//! What the whole is worth, through the real programs: in worlds whose truth is known, and on what real people did. The figures
//! that are checked stand in docs/audience.md and docs/training.md.

use std::path::PathBuf;

use tests::study::{CONTENDERS, Study};
use tests::tree::root;

const USERS: u32 = 1500;
const ITEMS: u32 = 600;

/// Two worlds of each kind, so that no law holds by the luck of one.
const SEEDS: [u32; 2] = [1, 2];

#[test]
fn item_to_item_and_the_model_each_help_by_a_known_amount() {
    for seed in SEEDS {
        println!("world {seed}");
        let study = Study::of_world(seed, USERS, ITEMS, false);
        study.recommend(&CONTENDERS);
        let at_least = |one: &str, other: &str, amount: f64| {
            let found = study.less(one, other);
            assert!(found.low > 0.0, "world {seed}: {one} less {other}: {found}");
            assert!(
                found.value > amount,
                "world {seed}: {one} less {other}: {found}, expected above {amount}"
            );
        };
        at_least("popular_lately", "popular", 0.01);
        at_least("item_cf", "popular", 0.04);
        at_least("item_cf", "popular_lately", 0.015);
        at_least("full_flow", "popular", 0.09);
        at_least("full_flow", "popular_lately", 0.06);
        at_least("full_flow", "item_cf", 0.02);
        at_least("full_flow", "blend", 0.02);
    }
}

#[test]
fn without_taste_nothing_is_gained_over_what_is_liked_lately() {
    for seed in SEEDS {
        println!("world {seed} without taste");
        let study = Study::of_world(seed, USERS, ITEMS, true);
        study.recommend(&CONTENDERS);
        let _ = (study.less("popular_lately", "popular"), study.less("full_flow", "popular"));
        let lift = study.less("full_flow", "popular_lately");
        assert!(lift.low <= 0.0 && lift.high >= 0.0, "world {seed}: a lift without taste: {lift}");
        for contender in ["item_cf", "blend"] {
            let lift = study.less(contender, "popular_lately");
            assert!(lift.low <= 0.0, "world {seed}: {contender} has a lift without taste: {lift}");
        }
    }
}

#[test]
fn on_real_ratings_the_flow_beats_popular_and_keeps_up_with_lately() {
    let data: PathBuf = root().join("../shared/data/movietweetings-100k");
    if !data.exists() {
        println!("skipped: {} is not there", data.display());
        return;
    }
    let study = Study::of_data(&data);
    study.recommend(&["popular", "popular_lately", "full_flow"]);
    let popular = study.less("full_flow", "popular");
    assert!(popular.low > 0.0, "over all-time popular: {popular}");
    let lately = study.less("full_flow", "popular_lately");
    assert!(lately.high >= 0.0, "below popular lately by more than its interval: {lately}");
}
