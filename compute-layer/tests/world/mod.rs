//! A small world in memory for tests and benches: items, a person, and lists by table and key.
#![allow(dead_code, missing_docs)]

use std::collections::BTreeMap;
use std::sync::Arc;

use compute_layer::{Lists, Query, RecallPlan, Stores};
use data_layer::Actions;
use data_layer::access::ListSpec;
use data_layer::live::{Acted, ItemsGuard, Live, Scored, UserState};
use data_layer::types::{
    Event, Id, Interaction, ItemEvent, Ordinal, Person, Record, Schema, Value, ValueType,
};

pub const DAY: i64 = 86_400_000;
pub const NOW: i64 = 1_000 * DAY;

pub struct World {
    pub live: Live,
    pub lists: MapLists,
    pub actions: Actions,
    pub context: BTreeMap<String, Value>,
}

#[derive(Default)]
pub struct MapLists {
    pub tables: BTreeMap<String, BTreeMap<String, Vec<Scored>>>,
}

impl Lists for MapLists {
    fn list(
        &self,
        spec: &ListSpec,
        key: &str,
        at_most: usize,
        out: &mut Vec<Scored>,
    ) -> compute_layer::Result<bool> {
        let table = self.tables.get(&spec.table).ok_or_else(|| data_layer::Error::NotFound {
            what: "table",
            name: spec.table.clone(),
            hint: String::new(),
        })?;
        let list = table.get(key);
        out.extend(list.into_iter().flatten().take(at_most));
        Ok(list.is_some())
    }
}

pub fn schema() -> Schema {
    let mut schema = Schema::reserved();
    for (name, of) in
        [("genre", ValueType::Strings), ("price", ValueType::Float), ("title", ValueType::String)]
    {
        schema.items.insert(name.to_owned(), of);
    }
    schema
}

impl World {
    /// Items `i0`, `i1`, … `i<n-1>`, interned in this order.
    pub fn of(items: impl Iterator<Item = usize>) -> Self {
        let live = Live::new(Actions::default(), schema());
        let ids: Vec<String> = items.map(|i| format!("i{i}")).collect();
        live.intern(ids.iter().map(String::as_str)).unwrap();
        Self { live, lists: MapLists::default(), actions: Actions::default(), context: BTreeMap::new() }
    }

    pub fn apply(&self, events: impl IntoIterator<Item = Event>) {
        let start = self.live.applied().sequence + 1;
        let records: Vec<Record> = (start..)
            .zip(events)
            .map(|(sequence, event)| Record { sequence, received_ms: NOW, partition: 0, past: false, event })
            .collect();
        self.live.apply(&records).unwrap();
    }

    pub fn ordinal(&self, id: &str) -> Ordinal {
        use data_layer::live::Items;
        self.live.items().ordinal(id).unwrap()
    }

    /// Adds the list of a key to a table.
    pub fn list(&mut self, table: &str, key: &str, list: &[(&str, f32)]) {
        let list = list.iter().map(|(id, score)| Scored { item: self.ordinal(id), score: *score }).collect();
        self.lists.tables.entry(table.to_owned()).or_default().insert(key.to_owned(), list);
    }

    pub fn acted(&self, id: &str, action: &str, value: f32, time: i64) -> Acted {
        Acted {
            item: self.ordinal(id),
            action: self.actions.id(action).unwrap(),
            offset: 0,
            value: f64::from(value),
            time,
            key: time as u64,
        }
    }

    pub fn query<'a>(&'a self, person: Option<&'a Person>, state: Option<&'a UserState>) -> Query<'a> {
        Query {
            now_ms: NOW,
            seed: 1,
            person,
            state,
            session: &[],
            anchors: &[],
            history: 100,
            actions: &self.actions,
            size: 20,
            context: &self.context,
        }
    }

    pub fn stores<'a>(&'a self, items: &'a ItemsGuard<'a>) -> Stores<'a> {
        Stores { items: &**items, access: &self.lists }
    }

    pub fn ids(&self, items: impl IntoIterator<Item = Ordinal>) -> Vec<String> {
        use data_layer::live::Items;
        let table = self.live.items();
        items.into_iter().map(|item| table.id(item).to_string()).collect()
    }
}

pub fn state(actions: Vec<Acted>) -> UserState {
    UserState { actions, ..UserState::default() }
}

pub fn item(id: &str, attributes: &[(&str, Value)]) -> Event {
    Event::Item(ItemEvent {
        id: Id::new(id).unwrap(),
        kind: None,
        time: NOW - 100 * DAY,
        source: None,
        attributes: attributes.iter().map(|(n, v)| ((*n).to_owned(), Some(v.clone()))).collect(),
        deleted: None,
    })
}

pub fn click(user: &str, item: &str, time: i64) -> Event {
    Event::Interaction(Interaction {
        id: None,
        person: Person::user(Id::new(user).unwrap()),
        item: Id::new(item).unwrap(),
        action: "click".to_owned(),
        value: 1.0,
        time,
        request_id: None,
        session: None,
        context: BTreeMap::new(),
    })
}

pub fn texts(list: &[&str]) -> Value {
    Value::Strings(list.iter().map(|text| Arc::from(*text)).collect())
}

/// Recalls of a scene, as its TOML says.
pub fn plans(toml: &str) -> Vec<RecallPlan> {
    let table: toml::Table = toml.parse().unwrap();
    let tables = table["recall"].as_array().unwrap().iter().map(|r| r.as_table().unwrap().clone());
    RecallPlan::parse_all(tables).unwrap()
}

/// Checks that a how-to shows the lines between `// snippet: …` and `// end of snippet` of a test, wherever they break.
pub fn assert_shown(how_to: &str, test: &str) {
    let path = format!("{}/../docs/how-to/{how_to}", env!("CARGO_MANIFEST_DIR"));
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join("").replace(",)", ")");
    let document = words(&std::fs::read_to_string(path).unwrap());
    let code = test.split("// snippet:").nth(1).unwrap().split("// end of snippet").next().unwrap();
    let inner = code.split_once('{').unwrap().1.rsplit_once('}').unwrap().0;
    assert!(document.contains(&words(inner)), "docs/how-to/{how_to} shows other code than its test runs");
}
