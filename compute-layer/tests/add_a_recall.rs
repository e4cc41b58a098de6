//! `docs/how-to/add-a-recall.md`, followed: the file of the how-to as it stands there, found by a scene, running beside the others.

mod world;

use compute_layer::compute::recall_all;
use compute_layer::recall::KINDS;
use compute_layer::{Deadline, RecallPlan};
use data_layer::types::Value;
use world::World;

// snippet: recall
mod by_context {
    //! A ranked list for the moment: the list of a table whose key is a value of the request's context, such as the city or the hour.

    use compute_layer::recall::{Kind, list_spec};
    use compute_layer::{Deadline, Outcome, Params, Query, Recall, Result, Stores};
    use data_layer::access::ListSpec;
    use data_layer::live::Scored;
    use data_layer::types::Value;

    /// `kind = "by_context"`: `table` (with `live`, `merge`, `live_weight`, `live_half_life`), `name_of_key`.
    pub const KIND: Kind = Kind { name: "by_context", make };

    #[derive(Debug)]
    struct ByContext {
        list: ListSpec,
        name_of_key: String,
    }

    fn make(params: &mut Params) -> Result<Box<dyn Recall>> {
        let name_of_key = params.string("name_of_key")?;
        Ok(Box::new(ByContext { list: list_spec(params)?, name_of_key }))
    }

    impl Recall for ByContext {
        fn recall(
            &self,
            query: &Query<'_>,
            stores: &Stores<'_>,
            until: &Deadline<'_>,
            depth: usize,
            out: &mut Vec<Scored>,
        ) -> Result<Outcome> {
            let Some(Value::String(key)) = query.context.get(&self.name_of_key) else {
                return Ok(Outcome::Whole);
            };
            if until.passed() {
                return Ok(Outcome::Late { read: 0, of: 1 });
            }
            stores.access.list(&self.list, key, depth, out)?;
            Ok(Outcome::Whole)
        }

        fn lists(&self) -> Vec<&ListSpec> {
            vec![&self.list]
        }
    }
}
// end of snippet

#[test]
fn the_recall_of_the_how_to_runs_beside_the_others() {
    let mut world = World::of(0..5);
    world.list("hot", "all", &[("i0", 2.0), ("i1", 1.0)]);
    world.list("hot_by_city", "shanghai", &[("i3", 5.0), ("i1", 4.0)]);
    world.context.insert("city".to_owned(), Value::String("shanghai".into()));
    let kinds: Vec<_> = KINDS.iter().copied().chain([by_context::KIND]).collect();
    let plans: Vec<RecallPlan> = [
        "kind = 'ranking'\ntable = 'hot'",
        "kind = 'by_context'\ntable = 'hot_by_city'\nname_of_key = 'city'\nquota = 50",
    ]
    .map(|text| RecallPlan::parse_with(&kinds, text.parse().unwrap()).unwrap())
    .into();
    let items = world.live.items();
    let (all, degraded) =
        recall_all(&plans, &world.query(None, None), &world.stores(&items), &Deadline::never()).unwrap();
    assert_eq!(degraded, []);
    assert_eq!(world.ids(all.list().iter().map(|c| c.item)), ["i0", "i1", "i3"]);
    assert_eq!(all.names(), ["ranking", "by_context"]);
    assert_eq!((all.source_rank(1, 1), all.source_rank(1, 2)), (2, 1));
    let wrong = RecallPlan::parse_with(&kinds, "kind = 'by_context'\ntable = 'x'".parse().unwrap());
    assert_eq!(
        wrong.unwrap_err().to_string(),
        "recall.by_context.name_of_key: this key is required and must be a string"
    );
}

#[test]
fn the_how_to_shows_this_very_file() {
    world::assert_shown("add-a-recall.md", include_str!("add_a_recall.rs"));
}
