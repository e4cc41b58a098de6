//! Bodies that are made to take memory: what they really take, counted by the allocator, is never more than the room that was taken
//! for them before, and that is bounded.

#[path = "kernel/peak.rs"]
mod peak;

use data_layer::Config;
use data_layer::ingest::{Form, Ingest, Lane};
use peak::peak;

const NOW: i64 = 1_770_000_000_000;
/// Texts that are small enough not to ask, the answer's own parts, and what the allocator of a test's threads takes besides.
const SLACK: usize = 1 << 20;

/// The same text over and over, up to so many bytes.
fn filled(head: &str, part: &str, tail: &str, bytes: usize) -> String {
    let times = (bytes - head.len() - tail.len()) / part.len();
    format!("{head}{}{tail}", part.repeat(times))
}

fn bodies(limit: usize) -> Vec<(&'static str, String)> {
    let item = |rest: &str| format!(r#"{{"type":"item","id":"i","time":1,"attributes":{{{rest}"#);
    let lists = |element: &str| {
        let list = format!("[{}{element}]", format!("{element},").repeat(4_095));
        let of = |n: usize| format!(r#""a{n}":{list},"#);
        item(&(0..(limit / list.len()).min(60)).map(of).collect::<String>()) + r#""z":1}}"#
    };
    vec![
        ("empty objects", filled("[", "{},", "{}]", limit)),
        ("few enough empty objects", filled("[", "{},", "{}]", 700_000)),
        ("lines of nothing", "0\n".repeat(limit / 2)),
        ("nothing", filled("[", ",", "]", limit)),
        ("zeros", filled("{\"a\":[", "0,", "0]}", limit)),
        ("zeros, few enough", filled("{\"a\":[", "0,", "0]}", 500_000)),
        ("lists of one", filled("{\"a\":[", "[0],", "0]}", 500_000)),
        ("objects of one", filled("{\"a\":[", "{\"\":0},", "0]}", 800_000)),
        ("names", (0..100_000).fold("{".to_owned(), |text, n| text + &format!("\"{n}\":0,")) + "\"z\":0}"),
        ("open brackets", "[".repeat(limit)),
        ("brackets", format!("{}{}", "[".repeat(limit / 2), "]".repeat(limit / 2))),
        ("deep in a line", format!("{{\"a\":{}{}}}\n", "[".repeat(limit / 2 - 8), "]".repeat(limit / 2 - 8))),
        ("lists of short texts", lists("\"a\"")),
        ("vectors", lists("1")),
        ("small items", filled("[", r#"{"type":"item","id":"i","time":1},"#, "0]", limit / 2)),
        ("small items, few enough", filled("", "{\"type\":\"item\",\"id\":\"i\",\"time\":1}\n", "", 4 << 20)),
        ("mistakes", filled("", "{\"type\":\"a mistake of more than a few words\"}\n", "", 8 << 20)),
        ("an open quote", filled("[\"", "a", "", limit)),
    ]
}

#[test]
fn what_a_body_takes_was_asked_for_and_is_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::in_folder(folder.path()).unwrap();
    let (limit, memory) = (config.server.body_limit, config.server.event_memory);
    let (mut refused, mut read) = (0, 0);
    for (name, body) in bodies(limit) {
        // A room of its own for each, so that its peak is this body's.
        let ingest = Ingest::open(&config).unwrap();
        assert!(body.len() <= limit + 64, "{name}");
        let before = ingest.admission().used();
        let (outcome, taken) = peak(|| {
            let room = ingest.admission().admit(Lane::Live, 0).unwrap();
            ingest.read(body.as_bytes(), Form::Auto, NOW, room)
        });
        let asked = ingest.admission().peak() - before;
        assert!(taken <= asked + SLACK, "{name}: {taken} bytes were taken, {asked} asked for");
        assert!(asked <= memory, "{name}: {asked}");
        match outcome {
            Ok(events) => {
                read += 1;
                assert!(ingest.admission().used() > 0, "{name}: what was read has no room");
                drop(events);
            }
            Err(_) => refused += 1,
        }
        assert_eq!(ingest.admission().used(), before, "{name}: room is left behind");
        ingest.close().unwrap();
    }
    assert!(refused >= 7 && read >= 7, "{refused} refused, {read} read");
}
