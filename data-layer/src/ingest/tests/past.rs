//! What happened long ago goes behind what happens now, in pieces.

use super::*;
use crate::ingest::Lane;
use std::sync::atomic::AtomicBool;

fn lines(of: std::ops::Range<usize>) -> String {
    of.map(|n| click(&format!("past {n}"))).collect::<Vec<_>>().join("\n")
}

/// Takes a body of the past, with what `meanwhile` does until that is done.
fn load(ingest: &Ingest, body: &str, meanwhile: impl Fn() + Sync) -> Result<Receipt> {
    let room = ingest.admission().admit(Lane::Backfill, body.len()).unwrap();
    let taken = ingest.read(body.as_bytes(), Form::Ndjson, NOW, room).unwrap();
    let (answer, done) = (ingest.take(taken), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                meanwhile();
                std::thread::yield_now();
            }
        });
        let receipt = block_on(answer);
        done.store(true, Ordering::Release);
        receipt
    })
}

#[test]
fn a_body_of_the_past_comes_in_pieces_where_there_is_a_present() {
    let world = World::new();
    let ingest = world.open();
    let groups = || ingest.stats().groups.load(Ordering::Acquire);
    let before = groups();
    let held = ingest.admission().admit(Lane::Live, 0).unwrap();
    let mut body = lines(0..600);
    body.push_str(&format!("\n{}\nnonsense\n", click("past 7")));
    let receipt = load(&ingest, &body, || drop(ingest.admission().admit(Lane::Live, 0).unwrap())).unwrap();
    assert_eq!((receipt.accepted, receipt.duplicates), (600, 1));
    assert_eq!(receipt.rejected.iter().map(|rejected| rejected.index).collect::<Vec<_>>(), [601]);
    assert_eq!((receipt.position.sequence, groups() - before), (ingest.stats().lag.logged(), 3));
    drop(held);
    // By then there may be none or one; all are taken either way.
    assert_eq!(load(&ingest, &lines(600..1200), || {}).unwrap().accepted, 600);
    let last = ingest.stats().lag.logged();
    while ingest.live().applied().sequence < last {
        std::thread::yield_now();
    }
    assert_eq!(clicks(ingest.live(), "i1"), 1200);
}

#[test]
fn who_waits_for_the_present_when_it_closes_is_told() {
    let world = World::new();
    let ingest = world.open();
    let held = ingest.admission().admit(Lane::Live, 0).unwrap();
    let body = lines(0..10);
    let room = ingest.admission().admit(Lane::Backfill, body.len()).unwrap();
    let taken = ingest.read(body.as_bytes(), Form::Ndjson, NOW, room).unwrap();
    let answer = ingest.take(taken);
    let closing = ingest.clone();
    std::thread::scope(|scope| {
        let closed = scope.spawn(|| closing.close());
        assert!(block_on(answer).unwrap_err().to_string().contains("closed"));
        closed.join().unwrap().unwrap();
    });
    drop(held);
}
