//! A disk that says of a sync that it failed: nobody is told that an event is safe, nobody sees it, and it counts once when it is sent again.

use super::*;
use crate::log::failing::Failing;

/// Sends an event until somebody is let in.
fn until_let_in(ingest: &Ingest, body: &str) -> Result<Receipt> {
    loop {
        match ingest.submit(body.as_bytes(), Form::Auto, NOW) {
            Err(Error::Busy { .. }) => std::thread::sleep(Duration::from_millis(5)),
            sent => return block_on(sent?),
        }
    }
}

#[test]
fn what_was_not_synced_is_not_acknowledged() {
    let world = World::new();
    let ingest = world.open();
    let follow = |after: u64| Reader::follow(&world.config.log.dir, "main", after).unwrap();
    assert_eq!(send(&ingest, &click("a")).accepted, 1);
    let last = ingest.live().applied().sequence;
    for round in 0..3 {
        let broken = Failing::below(&world.config.log.dir);
        for key in ["b", "c"] {
            let refused = until_let_in(&ingest, &click(&format!("{key}{round}"))).unwrap_err();
            assert!(matches!(refused, Error::Io { .. }), "{refused}");
            assert!(ingest.stats().failed.load(Ordering::Acquire));
            // Who comes just then is turned away, which clients are told with 503.
            let turned_away = ingest.submit(click("d").as_bytes(), Form::Auto, NOW).map(drop).unwrap_err();
            assert!(matches!(turned_away, Error::Busy { why: crate::error::Busy::Failed }), "{turned_away}");
        }
        let known = last + round;
        assert_eq!((clicks(ingest.live(), "i1"), ingest.live().applied().sequence), (1 + round, known));
        assert!(
            follow(known).read_record().unwrap().is_none(),
            "nobody follows what may not be there tomorrow"
        );
        drop(broken);
        // It is no repeat, and takes the place that the lost ones had.
        let again = until_let_in(&ingest, &click(&format!("b{round}"))).unwrap();
        assert_eq!((again.accepted, again.duplicates, again.position.sequence), (1, 0, known + 1));
        while ingest.live().applied().sequence <= known {
            std::thread::sleep(Duration::from_micros(200));
        }
        assert_eq!(send(&ingest, &click(&format!("b{round}"))).duplicates, 1);
    }
    ingest.close().unwrap();
    let ids = Reader::events(&world.config.log.dir, "main").unwrap().filter_map(|record| {
        match record.unwrap().event {
            Event::Interaction(click) => click.id.map(|id| id.to_string()),
            _ => None,
        }
    });
    assert_eq!(ids.collect::<Vec<_>>(), ["a", "b0", "b1", "b2"]);
    assert_eq!(clicks(world.open().live(), "i1"), 4);
}
