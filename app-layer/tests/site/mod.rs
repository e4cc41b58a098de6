//! A small site in a temporary folder: tables, scenes, a catalogue. Shared by the tests of this crate.
#![allow(dead_code, reason = "not every test uses all of it")]

pub mod wire;

use std::path::Path;

use app_layer::Engine;
use data_layer::Config;
use data_layer::keylist::Writer;
use data_layer::publish::{Folder, Gate};
use data_layer::types::{Event, Id, Interaction, ItemEvent, Person, Value};
use tempfile::TempDir;

/// The time of all tests.
pub const NOW: i64 = 1_770_000_000_000;

/// A folder with everything that serving needs.
pub struct Site {
    pub folder: TempDir,
}

impl Site {
    pub fn new() -> Self {
        let site = Self { folder: tempfile::tempdir().unwrap() };
        site.write("weir.toml", "[schema]\ncategory = \"string\"\nprice = \"float\"\n");
        site
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn config(&self) -> Config {
        Config::load_with(self.path().join("weir.toml"), []).unwrap()
    }

    pub fn open(&self) -> Engine {
        Engine::open(self.config()).unwrap()
    }

    /// Builds and publishes a generation of a table.
    pub fn publish(&self, table: &str, watermark: i64, lists: &[(&str, Vec<(String, f32)>)]) -> String {
        let folder = Folder::of(&self.config(), table).unwrap();
        let mut writer = Writer::new(folder.spec(watermark)).unwrap();
        for (key, list) in lists {
            let list: Vec<(&str, f32)> = list.iter().map(|(item, score)| (item.as_str(), *score)).collect();
            writer.push(*key, &list).unwrap();
        }
        folder.build(writer).unwrap();
        folder.publish(None, Gate::Sound).unwrap()
    }

    /// A ranking table of `i{first}`, `i{first+1}`, … and a table of what is near each item.
    pub fn tables(&self, items: usize) {
        self.publish("hot", NOW, &[("all", ranking(0..items))]);
        let near: Vec<(String, Vec<(String, f32)>)> = (0..items)
            .map(|n| {
                (
                    format!("i{n}"),
                    (1..20).map(|d| (format!("i{}", (n + d) % items), 1.0 / d as f32)).collect(),
                )
            })
            .collect();
        let near: Vec<(&str, Vec<(String, f32)>)> =
            near.iter().map(|(k, l)| (k.as_str(), l.clone())).collect();
        self.publish("cf", NOW, &near);
    }
}

pub fn ranking(items: impl Iterator<Item = usize>) -> Vec<(String, f32)> {
    items.enumerate().map(|(place, n)| (format!("i{n}"), 100.0 / (place + 1) as f32)).collect()
}

pub fn id(text: &str) -> Id {
    Id::new(text).unwrap()
}

/// Items `i0..`, with a category of three and a price.
pub fn catalogue(items: usize) -> Vec<Event> {
    let one = |n: usize| {
        let category = Value::String(format!("c{}", n % 3).into());
        Event::Item(ItemEvent {
            id: id(&format!("i{n}")),
            kind: None,
            time: NOW - 1_000,
            source: None,
            attributes: [("category".into(), Some(category)), ("price".into(), Some(Value::Float(n as f64)))]
                .into(),
            deleted: None,
        })
    };
    (0..items).map(one).collect()
}

pub fn click(user: &str, item: usize, time: i64) -> Event {
    Event::Interaction(Interaction {
        id: None,
        person: Person::user(id(user)),
        item: id(&format!("i{item}")),
        action: "click".into(),
        value: 1.0,
        time,
        request_id: None,
        session: None,
        context: Default::default(),
    })
}

/// Takes events and waits until they count.
pub fn feed(engine: &Engine, events: Vec<Event>) {
    let count = events.len() as u32;
    let receipt = block(engine.ingest().unwrap().submit_events(events, NOW)).unwrap();
    assert_eq!((receipt.accepted + receipt.duplicates, receipt.rejected.len()), (count, 0), "{receipt:?}");
    assert!(block(engine.live().wait_for(receipt.position, std::time::Duration::from_secs(5))));
}

pub fn block<T>(future: impl Future<Output = T>) -> T {
    actix_web::rt::System::new().block_on(future)
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
