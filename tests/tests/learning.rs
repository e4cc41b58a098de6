//! The loop closed, with real processes: people act on a server, its log becomes samples, samples a model, and the running server
//! takes the model up. What the report of the experiment counts is what was sent.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tests::client::Client;
use tests::programs::must;
use tests::server::Server;
use tests::study::Study;

/// Impressions and clicks by bucket.
type Counts = BTreeMap<String, (u64, u64)>;

#[test]
fn what_people_did_on_a_server_teaches_its_next_model() {
    let study = Study::of_world(5, 400, 200, false);
    patient(&study);
    let server = Server::start(&study.path("weir.toml"));

    let sent = visit(&server.client);
    assert!(sent.values().all(|(seen, clicks)| *seen > 0 && *clicks > 0), "both buckets: {sent:?}");
    assert_eq!(reported(&study, |counts| *counts == sent), sent);

    let done = act(&study, &server.client.url);
    let totals = |counts: &Counts| counts.values().fold((0, 0), |sum, c| (sum.0 + c.0, sum.1 + c.1));
    let both = (totals(&sent).0 + done.0, totals(&sent).1 + done.1);
    let counts = reported(&study, |counts| totals(counts) == both);
    assert_eq!(totals(&counts), both, "{counts:?}, {sent:?} and {done:?} were sent");

    // Beside the running server; a row for each place that somebody with the model's order saw.
    let (log, config, out) = (study.text("log"), study.text("weir.toml"), study.text("logged"));
    let what = ["sample", "--log", &log, "--config", &config, "--scene", "home", "--negatives", "1"];
    let said = must("weir-trainer", &[&what[..], &["--out", &out, "--format", "json"]].concat());
    let about: Value = serde_json::from_str(&said).expect("JSON");
    let rows = |key: &str| about[key].as_u64().unwrap_or_else(|| panic!("no {key} in {about}"));
    assert_eq!((rows("rows"), rows("positives")), counts["model"], "{about}");
    assert_eq!(about["from"], "log");

    let member = user_of("model", &server.client);
    assert_eq!(model_for(&server.client, &member), "ctr@1");
    study.train_and_publish("logged", "learnt");
    let until = Instant::now() + Duration::from_secs(20);
    while model_for(&server.client, &member) != "ctr@2" {
        assert!(Instant::now() < until, "the server keeps the old model:\n{}", server.said());
        std::thread::sleep(Duration::from_millis(100));
    }
    let healthy = server.client.get("/readyz");
    assert_eq!(healthy.status, 200, "{}", healthy.text);
}

/// A slow machine must not lose the model to the deadline.
fn patient(study: &Study) {
    let home = study.path("scenes/home.toml");
    let text = std::fs::read_to_string(&home).expect("a scene");
    let changed = text.replace("deadline_ms = 200", "deadline_ms = 5000");
    assert_ne!(text, changed, "the demo's deadline is 200 ms");
    std::fs::write(&home, changed).expect("a scene");
}

fn now_ms() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    i64::try_from(now.as_millis()).expect("before the end of time")
}

fn bucket(answer: &Value) -> String {
    answer["buckets"]["rank"].as_str().unwrap_or_else(|| panic!("no bucket in {answer}")).to_owned()
}

/// Forty newcomers look at six places each; two of three click on one of them, twice, and on another that is taken back.
fn visit(client: &Client) -> Counts {
    let mut sent = Counts::new();
    for n in 0..40 {
        let user = format!("visitor-{n}");
        let answer = client.recommend(json!({"scene": "home", "user": user, "size": 10}));
        let (ids, answer) = (answer.ids(), answer.json());
        assert_eq!(ids.len(), 10, "{answer}");
        let request = &answer["request_id"];
        let seen: Vec<Value> =
            ids.iter().take(6).enumerate().map(|(at, id)| json!({"id": id, "position": at})).collect();
        let mut events = vec![
            json!({"type": "impression", "user": user, "request_id": request, "items": seen, "time": now_ms()}),
        ];
        let click = |id: String, at: usize| {
            json!({"type": "interaction", "id": id, "user": user, "item": ids[at], "action": "click",
                "time": now_ms(), "request_id": request})
        };
        let clicks = n % 3 != 0;
        if clicks {
            events.push(click(format!("{user}-once"), n % 6));
            events.push(click(format!("{user}-again"), n % 6));
            events.push(click(format!("{user}-by-mistake"), (n + 1) % 6));
        }
        client.send(&events);
        if clicks {
            let id = format!("{user}-by-mistake");
            client.send(&[json!({"type": "interaction", "id": id, "retracted": true, "time": now_ms()})]);
        }
        let counts = sent.entry(bucket(&answer)).or_default();
        *counts = (counts.0 + 6, counts.1 + u64::from(clicks));
    }
    sent
}

/// The simulated public on the server for some seconds: looks and clicks.
fn act(study: &Study, url: &str) -> (u64, u64) {
    let world = study.text("world");
    let how = ["--rate", "200", "--seed", "1", "--for", "8", "--format", "json"];
    let said = must("weir-eval", &[&["audience", "act", "--url", url, "--world", &world], &how[..]].concat());
    let done: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(done["rejected"], 0, "{done}");
    let count = |key: &str| done[key].as_u64().unwrap_or_else(|| panic!("no {key} in {done}"));
    assert!(count("clicks") > 20, "{done}");
    (count("looks"), count("clicks"))
}

/// What `weir-eval ab` counts. Decisions reach the log a moment after the answer: it is asked until `enough`, for some seconds.
fn reported(study: &Study, enough: impl Fn(&Counts) -> bool) -> Counts {
    let log = study.text("log");
    let until = Instant::now() + Duration::from_secs(10);
    loop {
        let said = must("weir-eval", &["ab", "--log", &log, "--experiment", "rank", "--format", "json"]);
        let report: Value = serde_json::from_str(&said).expect("JSON");
        let one = |b: &Value| {
            let count = |key: &str| b[key].as_u64().unwrap_or_default();
            (b["bucket"].as_str().unwrap_or_default().to_owned(), (count("impressions"), count("clicks")))
        };
        let counts: Counts = report["buckets"].as_array().into_iter().flatten().map(one).collect();
        if enough(&counts) || Instant::now() > until {
            assert_eq!(report["left_out"]["clicks_not_seen"], 0, "{report}");
            return counts;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn user_of(wanted: &str, client: &Client) -> String {
    let asks =
        |user: &String| bucket(&client.recommend(json!({"scene": "home", "user": user})).json()) == wanted;
    (0..40).map(|n| format!("visitor-{n}")).find(asks).expect("somebody is in that bucket")
}

fn model_for(client: &Client, user: &str) -> String {
    let answer = client.recommend(json!({"scene": "home", "user": user})).json();
    answer["versions"]["model"].as_str().unwrap_or_default().to_owned()
}
