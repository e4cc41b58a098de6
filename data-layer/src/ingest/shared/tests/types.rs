//! Types of attributes among servers: what one adds, drops and adds again holds on all, in what they know and in what they take.

use super::*;
use crate::ingest::tests::{NOW, World, send};
use crate::ingest::{Form, Ingest};
use crate::types::{Schema, ValueType};

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// As `PUT /v1/schema` does it.
fn set(server: &Ingest, change: impl Fn(&mut BTreeMap<String, ValueType>)) {
    wait_until("the schema is taken", || {
        let mut next = Schema::clone(&server.live().schema());
        next.version += 1;
        next.chosen.items.insert("price".to_owned());
        change(&mut next.items);
        block_on(server.set_schema(next, NOW)).unwrap().rejected.is_empty()
    });
}

#[test]
fn what_one_server_drops_is_gone_on_all() {
    let Some(redis) = Redis::of(Kind { forgets: true, ..Kind::default() }) else {
        return not_run("redis-server");
    };
    let toml = format!("[live]\nbackend = \"redis\"\nurl = \"{}\"\n", redis.url());
    let worlds = [(); 3].map(|()| World::with(&toml));
    let [left, right] = [0, 1].map(|at: usize| worlds[at].open());
    let item = |n: i64, said: &str| {
        format!(r#"{{"type":"item","id":"i1","time":{},"attributes":{{{said}}}}}"#, NOW - 10 + n)
    };
    let names = |server: &Ingest, name: &str| server.live().schema().items.contains_key(name);
    let value = |server: &Ingest, name: &str| {
        let items = server.live().items();
        let at = items.ordinal("i1")?;
        let said = items.attributes(at).into_iter().find(|(of, ..)| *of == name);
        said.map(|said| format!("{said:?}"))
    };
    send(&left, &item(0, r#""price":1,"color":"red""#));
    wait_until("the other knows", || names(&right, "color") && value(&right, "color").is_some());
    // By the one that has said nothing of types itself.
    set(&right, |items| items.retain(|name, _| name != "color"));
    for server in [&left, &right] {
        wait_until("it is gone", || !names(server, "color") && value(server, "color").is_none());
    }
    // One that is told of by who has said it before.
    send(&left, &item(1, r#""size":3"#));
    for server in [&left, &right] {
        wait_until("the new one is known", || names(server, "size") && value(server, "size").is_some());
        assert!(!names(server, "color"));
    }
    // A type that one chose is what the other checks by.
    set(&right, |items| items.extend([("price".to_owned(), ValueType::String)]));
    wait_until("it is chosen", || left.live().schema().items["price"] == ValueType::String);
    let body = item(2, r#""price":2.5"#);
    let receipt = block_on(left.submit(body.as_bytes(), Form::Auto, NOW).unwrap()).unwrap();
    assert!(
        receipt.rejected.first().is_some_and(|one| one.detail.contains("expected string")),
        "{receipt:?}"
    );
    send(&left, &item(3, r#""color":"blue""#));
    for server in [&left, &right] {
        wait_until("it is named again", || value(server, "color").is_some_and(|said| said.contains("blue")));
    }
    // So does who begins with nothing; and the log says what its events were checked by.
    let third = worlds[2].open();
    let same = || third.live().schema().items == left.live().schema().items;
    wait_until("a third comes to the same", || same() && value(&third, "color").is_some());
    let schema = left.live().schema();
    [left, right, third].into_iter().for_each(|server| server.close().unwrap());
    let records = crate::log::Reader::events(&worlds[0].config.log.dir, "main").unwrap();
    let said = records.filter_map(|record| match record.unwrap().event {
        Event::Schema(schema) => Some(schema.items),
        _ => None,
    });
    assert_eq!(said.last(), Some(schema.items.clone()));
}
