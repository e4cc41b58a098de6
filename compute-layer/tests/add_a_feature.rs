//! `docs/how-to/add-a-feature.md`, followed: the file of the how-to as it stands there, bound by name, filled beside the others.

mod world;

use compute_layer::feature::{KINDS, Kind};
use compute_layer::{Candidates, FeatureSet};
use ndarray::{Array2, array};
use world::{NOW, World, click, schema, state};

// snippet: feature
mod familiar {
    //! How often the person met the very item before: `user.familiar`, ln(1 + times). Not for similar items, which is `match.`.

    use compute_layer::feature::{Feature, Kind, Scope};
    use compute_layer::{Candidates, Query, Result, Stores};
    use ndarray::ArrayViewMut1;
    use rustc_hash::FxHashMap;

    /// `user.familiar`.
    pub const KIND: Kind = Kind { name: "familiar", bind, names: |_| vec![NAME.to_owned()] };

    const NAME: &str = "user.familiar";

    struct Familiar;

    fn bind(name: &str, _: &Scope<'_>) -> Option<Result<Box<dyn Feature>>> {
        (name == NAME).then(|| Ok(Box::new(Familiar) as Box<dyn Feature>))
    }

    impl Feature for Familiar {
        fn fill(
            &self,
            query: &Query<'_>,
            _: &Stores<'_>,
            candidates: &Candidates,
            column: ArrayViewMut1<'_, f32>,
        ) {
            let mut times: FxHashMap<u32, f32> = FxHashMap::default();
            for acted in query.recent() {
                *times.entry(acted.item).or_insert(0.0) += 1.0;
            }
            for (x, candidate) in column.into_iter().zip(candidates.list()) {
                *x = times.get(&candidate.item).copied().unwrap_or(0.0).ln_1p();
            }
        }
    }
}
// end of snippet

#[test]
fn the_feature_of_the_how_to_is_filled_beside_the_others() {
    let world = World::of(0..3);
    world.apply([click("u9", "i1", NOW)]);
    let recent = state(vec![world.acted("i2", "click", 1.0, NOW), world.acted("i2", "view", 1.0, NOW - 1)]);
    let query = world.query(None, Some(&recent));
    let candidates = Candidates::given([], [0, 1, 2]).unwrap();
    let kinds: Vec<Kind> = [familiar::KIND].into_iter().chain(KINDS.iter().copied()).collect();
    let names = ["item.popularity", "user.familiar"];
    assert!(FeatureSet::bind(&names, &[], &schema()).is_err(), "not yet in the list");
    let set = FeatureSet::bind_with(&kinds, &names, &[], &schema()).unwrap();
    let items = world.live.items();
    let mut block = Array2::zeros((0, 0));
    set.fill(&query, &world.stores(&items), &candidates, &mut block);
    assert_eq!(block, array![[0.0, 0.0], [2.0_f32.ln(), 0.0], [0.0, 3.0_f32.ln()]]);
}

#[test]
fn the_how_to_shows_this_very_file() {
    world::assert_shown("add-a-feature.md", include_str!("add_a_feature.rs"));
}
