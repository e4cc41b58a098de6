//! Laws of the flow, over random small scenes, histories and requests: what an answer may never hold, and that it is a function of its inputs.

mod site;

use std::collections::HashSet;

use app_layer::present::Answer;
use app_layer::request::Request;
use app_layer::{Engine, flow};
use data_layer::types::{Event, Id, ItemEvent};
use proptest::prelude::*;
use site::{NOW, Site, block, catalogue, click, feed, id};

const ITEMS: usize = 40;

/// A scene over the two tables of a site.
#[derive(Debug, Clone)]
struct Shape {
    quotas: (usize, usize),
    seen: Option<u8>,
    rule: bool,
    boost: Option<f64>,
    window: Option<(usize, usize, bool)>,
    fallback: bool,
    from_anchors: bool,
}

impl Shape {
    fn toml(&self) -> String {
        let mut text = String::from("scene = \"home\"\nsize = 7\n");
        if self.fallback {
            text += "fallback = [\"hot\"]\n";
        }
        let from = if self.from_anchors { "items" } else { "recent" };
        text += &format!(
            "[[recall]]\nname = \"cf\"\nkind = \"item_to_item\"\ntable = \"cf\"\nfrom = \"{from}\"\nquota = {}\n",
            self.quotas.0
        );
        text += &format!(
            "[[recall]]\nname = \"hot\"\nkind = \"ranking\"\ntable = \"hot\"\nquota = {}\n",
            self.quotas.1
        );
        if let Some(days) = self.seen {
            text += "[[filter]]\nkind = \"seen\"\n";
            if days > 0 {
                text += &format!("window = \"{days}d\"\n");
            }
        }
        if self.rule {
            text += "[[filter]]\nname = \"cheap\"\nkind = \"rule\"\nrule = \"price < 30.0\"\n";
        }
        if let Some(factor) = self.boost {
            text += &format!(
                "[[strategy]]\nkind = \"boost\"\nrule = \"category == 'c1'\"\nfactor = {factor:?}\n"
            );
        }
        if let Some((at_most, within, strict)) = self.window {
            text += &format!(
                "[[strategy]]\nkind = \"window\"\nattribute = \"category\"\nat_most = {at_most}\nwithin = {within}\nstrict = {strict}\n"
            );
        }
        text
    }
}

prop_compose! {
    fn shape()(
        quotas in (1..40_usize, 1..40_usize), seen in prop::option::of(0..3_u8), rule: bool,
        boost in prop::option::of(0.0..5.0_f64), within in 2..6_usize, at_most in 1..3_usize, strict: bool,
        has_window: bool, fallback: bool, from_anchors: bool,
    ) -> Shape {
        let window = (has_window && at_most < within).then_some((at_most, within, strict));
        Shape { quotas, seen, rule, boost, window, fallback, from_anchors }
    }
}

fn some_items(most: usize) -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..ITEMS + 3, 0..most)
}

fn ids(items: &[usize]) -> Vec<Id> {
    items.iter().map(|n| id(&format!("i{n}"))).collect()
}

fn number(id: &str) -> usize {
    id[1..].parse().unwrap()
}

fn ask(engine: &Engine, request: &Request) -> Answer {
    block(flow::recommend(engine, request)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn an_answer_keeps_every_promise(
        shape in shape(), history in some_items(12), deleted in some_items(6), exclude in some_items(10),
        anchors in some_items(4), size in 1..30_usize, filtered: bool, given in prop::option::of(some_items(20)), seed: u64,
    ) {
        let site = Site::new();
        site.tables(ITEMS);
        site.write("scenes/home.toml", &shape.toml());
        let engine = site.open();
        let mut events = catalogue(ITEMS);
        events.extend(history.iter().enumerate().map(|(n, item)| click("u", *item, NOW - 86_400_000 * n as i64 - 1)));
        let gone = |n: &usize| Event::Item(ItemEvent {
            id: id(&format!("i{n}")), kind: None, time: NOW, source: None, attributes: Default::default(), deleted: Some(true),
        });
        events.extend(deleted.iter().collect::<HashSet<_>>().into_iter().map(gone));
        feed(&engine, events);
        let request = Request {
            scene: "home".into(), user: Some(id("u")), items: ids(&anchors), exclude: ids(&exclude), size: Some(size),
            filter: filtered.then(|| "category != 'c2'".into()), candidates: given.as_deref().map(ids),
            seed: Some(seed), now_ms: Some(NOW), explain: true, ..Request::default()
        };
        let answer = ask(&engine, &request);
        let shown: Vec<usize> = answer.items.iter().map(|item| number(&item.id)).collect();

        prop_assert!(shown.len() <= size);
        prop_assert_eq!(shown.iter().collect::<HashSet<_>>().len(), shown.len(), "an item twice");
        for (at, n) in shown.iter().enumerate() {
            prop_assert!(!exclude.contains(n) && !anchors.contains(n) && !deleted.contains(n), "i{n} must not be shown");
            prop_assert!(!filtered || n % 3 != 2, "i{n} does not pass the request's rule");
            prop_assert!(!shape.rule || *n < 30, "i{n} does not pass the scene's rule");
            prop_assert!(given.as_ref().is_none_or(|given| given.contains(n)), "i{n} was not among the candidates");
            let met = history.iter().enumerate().any(|(day, item)| item == n && shape.seen.is_some_and(|days| days == 0 || day < usize::from(days)));
            prop_assert!(!met, "i{n} was met within the window");
            prop_assert_eq!(answer.items[at].position as usize, at);
            prop_assert!(answer.items[at].score.is_finite());
        }
        if let Some((at_most, within, true)) = shape.window {
            // What the catalogue does not hold has no category and is never held back.
            for places in shown.windows(within.min(shown.len()).max(1)) {
                for category in 0..3 {
                    let count = places.iter().filter(|n| **n < ITEMS && **n % 3 == category).count();
                    prop_assert!(count <= at_most, "{count} of category {category} in {places:?}");
                }
            }
        }
        if shown.len() < size {
            prop_assert!(answer.degraded.iter().any(|d| d.cause == "few"), "a short answer says why");
        }
        let again = ask(&engine, &request);
        prop_assert_eq!(serde_json::to_string(&again.items).unwrap(), serde_json::to_string(&answer.items).unwrap());
        let story = answer.explain.unwrap();
        prop_assert!(story.candidates.len() >= shown.len());
    }

    #[test]
    fn pages_never_repeat_and_go_on_counting(size in 1..12_usize, history in some_items(5)) {
        let site = Site::new();
        site.tables(ITEMS);
        site.write("scenes/home.toml", "scene = \"home\"\nfallback = [\"hot\"]\n[[recall]]\nname = \"hot\"\nkind = \"ranking\"\ntable = \"hot\"\n[[filter]]\nkind = \"seen\"\n");
        let engine = site.open();
        feed(&engine, history.iter().map(|n| click("u", *n, NOW)).collect());
        let mut request = Request { scene: "home".into(), user: Some(id("u")), size: Some(size), ..Request::default() };
        let (mut seen, mut position) = (HashSet::new(), 0);
        loop {
            let answer = ask(&engine, &request);
            for item in &answer.items {
                prop_assert!(seen.insert(item.id.clone()), "{} is on two pages", item.id);
                prop_assert_eq!(item.position, position);
                position += 1;
            }
            // Something new happens between the pages.
            feed(&engine, vec![click("u", (position as usize * 7) % ITEMS, NOW + i64::from(position))]);
            let Some(cursor) = answer.cursor else { break };
            request.cursor = Some(cursor);
        }
        prop_assert!(!seen.is_empty());
    }
}
