//! Bounds, windows and clocks of ingest, and what is kept beside it.

use super::*;

/// A body of nothing but mistakes would otherwise get an answer of many times its size.
#[test]
fn a_call_has_a_bounded_number_of_events() {
    let world = World::new();
    let ingest = world.open();
    let many = vec!["0"; decode::MOST_EVENTS + 1].join(",");
    let error = ingest.submit(format!("[{many}]").as_bytes(), Form::Auto, NOW).map(drop).unwrap_err();
    assert!(error.to_string().contains("send them in parts"), "{error}");
    let lines = "0\n".repeat(decode::MOST_EVENTS + 1);
    assert!(ingest.submit(lines.as_bytes(), Form::Ndjson, NOW).is_err());
}

#[test]
fn an_empty_vector_is_the_same_after_a_restart() {
    let world = World::with("[schema]\nlook = \"vector\"\n[schema.user]\ntaste = \"vector\"\n");
    let read = |ingest: &Ingest| {
        let user = ingest.live().person(&Person::user(Id::new("u").unwrap())).unwrap();
        (user.attribute("taste").cloned(), value(ingest.live(), "i", "look"))
    };
    let ingest = world.open();
    let body = format!(
        r#"[{{"type":"user","id":"u","time":{NOW},"attributes":{{"taste":[]}}}},
        {{"type":"item","id":"i","time":{NOW},"attributes":{{"look":[]}}}}]"#
    );
    assert_eq!(send(&ingest, &body).accepted, 2);
    let first = read(&ingest);
    ingest.close().unwrap();
    assert_eq!(read(&world.open()), first);
    assert_eq!(first.1, Some(Value::Vector(Vec::new())));
}

#[test]
fn an_envelope_says_when_it_was_sent() {
    let world = World::new();
    let ingest = world.open();
    let hour = 3_600_000;
    let body = |sent_at: Millis| {
        format!(
            r#"{{"device":"d","events":[{{"type":"interaction","user":"u","item":"i1","action":"click","time":{}}}],"sent_at":{sent_at}}}"#,
            NOW - hour - 10
        )
    };
    assert_eq!(send(&ingest, &body(NOW - hour)).accepted, 1);
    // Sent again, half a second later, by a clock that runs a little faster.
    assert_eq!(send_at(&ingest, &body(NOW - hour + 510), NOW + 500).duplicates, 1);
    assert_eq!(ingest.stats().ignored_fields.load(Ordering::Relaxed), 2);
    let user = ingest.live().person(&Person::user(Id::new("u").unwrap())).unwrap();
    assert_eq!(user.actions.iter().map(|acted| acted.time).collect::<Vec<_>>(), [NOW - 10]);
    // Beside an array the call says it; what the envelope says counts before it.
    let list = format!(r#"[{{"type":"item","id":"i9","time":{},"attributes":{{"p":1}}}}]"#, NOW + hour);
    let by_call = |body: &str| {
        let arrival = Arrival { received_ms: NOW, sent_at: Some(NOW + hour) };
        let room = ingest.admission().admit(Lane::Live, body.len()).unwrap();
        block_on(ingest.take(ingest.read(body.as_bytes(), Form::Json, arrival, room).unwrap())).unwrap()
    };
    let receipt = by_call(&list);
    assert_eq!((receipt.accepted, receipt.rejected.len()), (1, 0));
    assert_eq!(by_call(&body(NOW)).duplicates, 1);
    for (wrong, said) in [
        (r#"{"sent_at":"soon","events":[]}"#, "sent_at: expected a time in RFC 3339"),
        (r#"{"sent_at":1}"#, "type: required"),
        (r#"{"sent_at":1,"events":{}}"#, "events: expected an array of events"),
        (r#"{"sent_at":,"events":[]}"#, "sent_at: EOF"),
    ] {
        let found = match ingest.submit(wrong.as_bytes(), Form::Auto, NOW) {
            Err(error) => error.to_string(),
            Ok(sent) => block_on(sent).unwrap().rejected[0].detail.clone(),
        };
        assert!(found.contains(said), "{wrong}: {found}");
    }
    assert_eq!(send(&ingest, r#"{"events":[]}"#).accepted, 0);
    assert!(parse_sent_at("2026-11-21T00:00:00Z").is_ok() && parse_sent_at("1770000000000").is_ok());
    assert!(parse_sent_at("now").is_err());
}

#[test]
fn the_window_and_the_future_are_configured() {
    let world = World::with("[log]\ndedupe = \"1h\"\nahead = \"1d\"\n");
    let ingest = world.open();
    let ahead = |by: Millis| format!(r#"{{"type":"item","id":"i","time":{}}}"#, NOW + by);
    assert_eq!(send(&ingest, &ahead(DAY)).accepted, 1);
    assert!(told(&ingest, &ahead(DAY + 1)).contains("expected at most 86400000 ms ahead"));
    let bare = format!(r#"{{"type":"interaction","user":"u1","item":"i1","action":"click","time":{NOW}}}"#);
    assert_eq!(send(&ingest, &bare).accepted, 1);
    assert_eq!(send_at(&ingest, &bare, NOW + 59 * MINUTE).duplicates, 1);
    assert_eq!(send_at(&ingest, &bare, NOW + 61 * MINUTE).accepted, 1);
}

#[test]
fn a_load_that_is_sent_again_begins_once() {
    let world = World::new();
    let ingest = world.open();
    let load = |phase: &str| format!(r#"{{"type":"load","source":"s","id":"l","phase":"{phase}"}}"#);
    assert_eq!(send(&ingest, &load("begin")).accepted, 1);
    assert_eq!(send_at(&ingest, &load("begin"), NOW + 1).duplicates, 1);
    assert_eq!(send(&ingest, &load("end")).accepted, 1);
}

/// Whatever a body is, what it takes is bounded, given back, and asked for before it is taken.
#[test]
fn no_room_is_left_behind() {
    let world = World::with("[server]\nbody_limit = 262144\nevent_memory = \"1MiB\"\n");
    let ingest = world.open();
    let room = ingest.admission();
    assert_eq!(send(&ingest, &format!("[{},{}]", click("a"), click("b"))).accepted, 2);
    let item = |n: usize| format!(r#"{{"type":"item","id":"{n}","time":1}}"#);
    let many: String = (0..5_000).map(|n| item(n) + "\n").collect();
    let hostile =
        ["{},".repeat(60_000), "[".repeat(100_000), format!("{{\"a\":[{}0]}}", "0,".repeat(100_000)), many];
    for body in hostile {
        for body in [body.clone(), format!("[{}]", body.trim_end_matches(','))] {
            let outcome = ingest.submit(body.as_bytes(), Form::Auto, NOW).map(block_on);
            assert!(!matches!(outcome, Ok(Err(_))), "{}", &body[..20]);
            assert_eq!(room.used(), 0, "{}", &body[..20]);
        }
    }
    assert!(room.peak() <= 1 << 20 && room.peak() > 1 << 19, "{}", room.peak());
    room.set_flow(Flow::Behind);
    let turned_away = ingest.submit(click("c").as_bytes(), Form::Auto, NOW).map(drop).unwrap_err();
    assert!(matches!(turned_away, Error::Busy { .. }), "{turned_away}");
    room.set_flow(Flow::Open);
    assert_eq!(send(&ingest, &click("c")).accepted, 1);
}

/// Yesterday's events are in the archive soon after today's first, and read there as they are in the log.
#[test]
fn what_is_sealed_is_archived_while_events_come() {
    let world =
        World::with("[log]\narchive = \"old\"\nretention = \"1d\"\n[live.snapshots]\nevery = \"never\"");
    let ingest = world.open();
    for n in 0..3 {
        let body = click(&format!("yesterday {n}")).replace(&NOW.to_string(), &(NOW - DAY).to_string());
        let lane = if n == 1 { Lane::Backfill } else { Lane::Live };
        let room = ingest.admission().admit(lane, body.len()).unwrap();
        let taken = ingest.read(body.as_bytes(), Form::Auto, NOW - DAY, room).unwrap();
        assert_eq!(block_on(ingest.take(taken)).unwrap().accepted, 1);
    }
    send(&ingest, &click("today"));
    ingest.close().unwrap();
    // What this one had no time for the next one does at once.
    let ingest = world.open();
    let folder = world.folder.path().join("old");
    let archived = || -> Vec<_> {
        let all = crate::archive::read::events(&folder, "main");
        all.map_or_else(|_| Vec::new(), |all| all.map(Result::unwrap).collect())
    };
    while archived().is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let old = archived();
    let new: Vec<_> = Reader::events(&world.config.log.dir, "main").unwrap().map(Result::unwrap).collect();
    assert_eq!((old.len(), new.len()), (3, 4));
    assert_eq!(old, new[..3]);
    ingest.close().unwrap();
    // Far older than retention, and archived; but a start needs it.
    assert_eq!(clicks(world.open().live(), "i1"), 4);
}

#[test]
fn of_equal_times_the_source_that_is_trusted_more_counts() {
    let world = World::with("[sources]\ncatalogue = 10\nimport = 3\n");
    let said = |who: &str, id: &str, value: u32| {
        let source = if who.is_empty() { String::new() } else { format!(r#""source":"{who}","#) };
        format!(r#"{{"type":"{id}","id":"{id}",{source}"time":{NOW},"attributes":{{"x":{value}}}}}"#)
    };
    for kind in ["item", "user"] {
        let all =
            [said("catalogue", kind, 1), said("import", kind, 2), said("", kind, 3), said("other", kind, 4)];
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
            let world = World::with("[sources]\ncatalogue = 10\nimport = 3\n");
            let ingest = world.open();
            for at in order {
                assert_eq!(send(&ingest, &all[at]).accepted, 1);
            }
            let user = ingest.live().person(&Person::user(Id::new("user").unwrap()));
            let user = user.and_then(|user| user.attribute("x").cloned());
            assert_eq!(value(ingest.live(), "item", "x").or(user), Some(Value::Int(1)), "{kind} {order:?}");
            // A later word counts, whoever says it.
            let later = all[2].replace(&NOW.to_string(), &(NOW + 1).to_string());
            assert_eq!(send(&ingest, &later).accepted, 1);
            let user = ingest.live().person(&Person::user(Id::new("user").unwrap()));
            let user = user.and_then(|user| user.attribute("x").cloned());
            assert_eq!(value(ingest.live(), "item", "x").or(user), Some(Value::Int(3)), "{kind} {order:?}");
        }
    }
    let wrong = |toml: &str| {
        let file = world.folder.path().join("wrong.toml");
        std::fs::write(&file, toml).unwrap();
        Config::load_with(&file, []).unwrap_err().to_string()
    };
    let said = wrong("[sources]\ncrm = 256\n");
    assert!(said.contains("sources: crm: expected a priority of 0 to 255, found 256"), "{said}");
    assert!(wrong("[sources]\n\"\" = 1\n").contains("expected the name of a source"));
}

/// What is loaded behind the present counts, but earns nothing, whichever way the state comes about.
#[test]
fn the_past_earns_no_points() {
    let levels = "[levels.reader]\nthresholds = [10]\n[levels.reader.points]\nclick = { each = 5 }\n";
    let world = World::with(levels);
    let points = |live: &Live| {
        let state = live.person(&Person::user(Id::new("u1").unwrap())).unwrap();
        let rule = &live.keep().levels[0];
        let earned = state.levels.get(&rule.name).map_or(0, |tally| tally.points(rule));
        (clicks(live, "i1"), earned)
    };
    let ingest = world.open();
    send(&ingest, &click("now"));
    let room = ingest.admission().admit(Lane::Backfill, 1 << 10).unwrap();
    let past = [click("then"), click("before")].join("\n");
    let taken = ingest.read(past.as_bytes(), Form::Ndjson, NOW, room).unwrap();
    assert_eq!(block_on(ingest.take(taken)).unwrap().accepted, 2);
    // Taking back what earned nothing takes no points either.
    let back = format!(r#"{{"type":"interaction","id":"then","retracted":true,"time":{NOW}}}"#);
    assert_eq!(send(&ingest, &back).accepted, 1);
    assert_eq!(points(ingest.live()), (2, 5));
    ingest.close().unwrap();
    let ingest = world.open();
    assert_eq!(points(ingest.live()), (2, 5));
    let lanes: Vec<bool> =
        Reader::events(&world.config.log.dir, "main").unwrap().map(|record| record.unwrap().past).collect();
    assert!(lanes.ends_with(&[false, true, true, false]), "{lanes:?}");
}
