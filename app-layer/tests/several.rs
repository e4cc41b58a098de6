//! Two servers on one Redis: what one of them takes shows in the answers of the other, and answers go on while Redis is away.

mod site;

#[path = "../../tests/src/not_run.rs"]
mod not_run;
#[allow(dead_code)]
#[path = "../../tests/src/redis.rs"]
mod redis;

use std::time::{Duration, Instant};

use app_layer::present::Answer;
use app_layer::request::Request;
use app_layer::{Engine, flow};
use data_layer::types::event::{Erase, Identify};
use data_layer::types::{Event, Interaction, Person, Position};
use not_run::not_run;
use redis::{Kind, Redis};
use site::{NOW, Site, block, click, id};

/// Longest wait for something to get somewhere; a limit for a test that fails, no measure.
const LIMIT: Duration = Duration::from_secs(60);

/// Forgets everything when it is killed, so that all of it must come from the logs again.
const FORGETFUL: Kind = Kind { password: false, tls: false, forgets: true };

const HOME: &str = r#"
scene = "home"
size = 5
fallback = ["hot"]

[[recall]]
name = "near"
kind = "item_to_item"
table = "cf"
from = "recent"

[[recall]]
name = "hot"
kind = "ranking"
table = "hot"
quota = 5
"#;

fn server(redis: &Redis) -> (Site, Engine) {
    let site = Site::new();
    let toml = format!(
        "[schema]\ncategory = \"string\"\nprice = \"float\"\n[live]\nbackend = \"redis\"\nurl = \"{}\"\ntimeout = \"5s\"\nread_timeout = \"200ms\"\n",
        redis.url()
    );
    site.write("weir.toml", &toml);
    site.write("scenes/home.toml", HOME);
    site.tables(30);
    let engine = site.open();
    (site, engine)
}

fn ask(engine: &Engine, more: serde_json::Value) -> Answer {
    let mut body = serde_json::json!({"scene": "home", "user": "u1", "size": 10});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    block(flow::recommend(engine, &Request::read(&body).unwrap())).unwrap()
}

/// Whether an answer has what is near the item that the person acted on last.
fn is_near(answer: &Answer, item: usize) -> bool {
    answer.items.iter().any(|shown| shown.id == format!("i{}", item + 1))
}

/// How many actions a server knows of a person.
fn did(engine: &Engine, who: Person) -> usize {
    let found = block(engine.live().people().read(&[who])).unwrap().pop().flatten();
    found.map_or(0, |state| state.actions.len())
}

fn left_out(answer: &Answer, stage: &str) -> bool {
    answer.degraded.iter().any(|degraded| degraded.stage == stage)
}

fn take(engine: &Engine, events: Vec<Event>) -> Position {
    let receipt = block(engine.ingest().unwrap().submit_events(events, NOW)).unwrap();
    assert!(receipt.rejected.is_empty(), "{receipt:?}");
    receipt.position
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_one_server_takes_shows_in_the_answers_of_the_other() {
    let Some(redis) = Redis::of(FORGETFUL) else { return not_run("redis-server") };
    let ((_one, a), (_two, b)) = (server(&redis), server(&redis));
    assert!(!is_near(&ask(&b, serde_json::json!({})), 17));
    let position = take(&a, vec![click("u1", 17, NOW)]);
    wait_until("an event of one server does not count on the other", || {
        let answer = ask(&b, serde_json::json!({"min_position": position.to_string()}));
        // Never said to count before it does.
        assert!(left_out(&answer, "read.position") || is_near(&answer, 17), "{answer:?}");
        !left_out(&answer, "read.position") && is_near(&answer, 17)
    });
    let far = Position { sequence: position.sequence + 1, ..position };
    for engine in [&a, &b] {
        assert!(left_out(
            &ask(engine, serde_json::json!({"min_position": far.to_string()})),
            "read.position"
        ));
    }
    // Somebody turns out to be somebody, then is forgotten, on other servers than those that took what they did.
    let guest = Event::Interaction(Interaction {
        id: Some(id("e1")),
        person: Person::anonymous(id("g")),
        item: id("i24"),
        action: "like".to_owned(),
        value: 1.0,
        time: NOW + 1,
        request_id: None,
        session: None,
        context: Default::default(),
    });
    take(&b, vec![guest]);
    wait_until("a guest's action does not count", || did(&a, Person::anonymous(id("g"))) == 1);
    take(&a, vec![Event::Identify(Identify { anonymous: id("g"), user: id("u1"), time: NOW + 2 })]);
    wait_until("what a guest did is not the user's", || did(&b, Person::user(id("u1"))) == 2);
    assert_eq!(did(&b, Person::anonymous(id("g"))), 0);
    take(&b, vec![Event::Erase(Erase { person: Person::user(id("u1")), time: NOW + 3 })]);
    wait_until("somebody who was erased is known", || did(&a, Person::user(id("u1"))) == 0);
    wait_until("somebody who was erased is remembered", || !is_near(&ask(&a, serde_json::json!({})), 17));
    b.close().unwrap();
    a.close().unwrap();
}

#[test]
fn answers_go_on_while_redis_is_away_and_what_was_taken_then_counts_afterwards() {
    let Some(mut redis) = Redis::of(FORGETFUL) else { return not_run("redis-server") };
    let (site, engine) = server(&redis);
    take(&engine, vec![click("u1", 17, NOW)]);
    wait_until("an event does not count", || is_near(&ask(&engine, serde_json::json!({})), 17));
    redis.kill();
    let position = take(&engine, vec![click("u1", 24, NOW + 1)]);
    let answer = ask(&engine, serde_json::json!({"min_position": position.to_string()}));
    assert!(left_out(&answer, "read.person") && left_out(&answer, "read.position"), "{answer:?}");
    assert!(!answer.items.is_empty());
    redis.revive();
    wait_until("what was taken meanwhile does not count", || {
        let answer = ask(&engine, serde_json::json!({}));
        !left_out(&answer, "read.person") && is_near(&answer, 24)
    });
    redis.pause();
    assert!(left_out(&ask(&engine, serde_json::json!({})), "read.person"));
    redis.resume();
    wait_until("it does not recover", || !left_out(&ask(&engine, serde_json::json!({})), "read.person"));
    // A server that starts while Redis is away serves, takes events, and catches up.
    engine.close().unwrap();
    redis.kill();
    let engine = site.open();
    take(&engine, vec![click("u1", 9, NOW + 2)]);
    assert!(!ask(&engine, serde_json::json!({})).items.is_empty());
    assert!(!engine.ingest().unwrap().shared().unwrap().caught_up());
    redis.revive();
    wait_until("it does not catch up", || {
        engine.ingest().unwrap().shared().unwrap().caught_up()
            && is_near(&ask(&engine, serde_json::json!({})), 9)
    });
    engine.close().unwrap();
}
