//! Redis comes back with less than it had, and nobody takes what they believe of it for what it has.

use super::*;
use data_layer::shared::{Appended, Commit, Committed, Mark, Packet};

/// Forgets everything when it is killed.
fn forgetful() -> Option<Redis> {
    Redis::of(Kind { forgets: true, ..Kind::default() })
}

fn packet(previous: u64, numbers: std::ops::Range<u64>) -> Packet {
    let mut packet = Packet::after(previous);
    for sequence in numbers {
        let payload = [1_u64.to_le_bytes(), sequence.to_le_bytes()].concat();
        packet.push(&Packed { version: 1, kind: 3, sequence, received_ms: 5, payload: &payload });
    }
    packet
}

/// Kills it and starts it again; somebody else meets the end of the connection and makes another.
fn restart(server: &mut Redis, on: &Partitions, runtime: &Runtime) {
    server.kill();
    server.revive();
    wait_until("it is not found again", || runtime.block_on(on.link().ping()).is_ok());
}

fn sent(on: &Partitions, runtime: &Runtime) -> Vec<u64> {
    let places: Vec<Place> = Lane::People.places().collect();
    runtime.block_on(on.sent(Sender::Log(1), &places)).into_iter().map(Result::unwrap).collect()
}

#[test]
fn what_one_redis_said_is_not_told_to_the_next() {
    let Some(mut server) = forgetful() else { return not_run("redis-server") };
    let runtime = runtime();
    let on = partitions(&Options::of(&server.url()), &runtime);
    let place = Place::of_person(&person(1));
    let append = |on: &Partitions| {
        runtime.block_on(on.append(&[(Sender::Log(1), place, packet(0, 1..3))])).pop().unwrap()
    };
    let steady = runtime.block_on(on.steady());
    assert_eq!(append(&steady).unwrap(), Appended::In(2));
    assert_eq!(steady.link().made(), on.link().made());
    restart(&mut server, &on, &runtime);
    assert_ne!(steady.link().made(), on.link().made());
    assert!((0..3).all(|_| append(&steady).is_err()));
    assert!(sent(&on, &runtime).iter().all(|sent| *sent == 0));
    assert_eq!(append(&runtime.block_on(on.steady())).unwrap(), Appended::In(2));
}

#[test]
fn an_outbox_with_nothing_to_send_notices_that_redis_forgot() {
    let Some(mut server) = forgetful() else { return not_run("redis-server") };
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let on = partitions(&Options::of(&server.url()), &runtime);
    let mut outbox = Outbox::open(on.clone(), Log::new(1, 100), folder.path().to_owned()).unwrap();
    let mut some = || (0..5).for_each(|_| assert!(runtime.block_on(outbox.step()).is_ok()));
    some();
    let before = sent(&on, &runtime);
    assert_eq!(before.iter().max(), Some(&100));
    restart(&mut server, &on, &runtime);
    some();
    assert_eq!(sent(&on, &runtime), before);
}

/// Numbers that have arrived at items.
fn arrived(on: &Partitions, runtime: &Runtime) -> Vec<u64> {
    let after: Vec<_> = Lane::Items.places().map(|place| (place, StreamId::default())).collect();
    let found = runtime.block_on(on.entries(Which::Arrived, &after, 9999)).unwrap();
    let mut numbers = Vec::new();
    for entry in found.into_iter().flat_map(|(_, entries)| entries) {
        let packet = Unpacked::decode(&entry.bytes).unwrap();
        let number = |record: &Packed<'_>| u64::from_le_bytes(record.payload.try_into().unwrap());
        numbers.extend(packet.records.iter().map(number));
    }
    numbers.sort_unstable();
    numbers
}

#[test]
fn what_an_owner_sent_on_before_another_came_is_sent_on_again_where_redis_forgot() {
    let Some(server) = forgetful() else { return not_run("redis-server") };
    let (options, runtime) = (Options::of(&server.url()), runtime());
    let on = partitions(&options, &runtime);
    let [mut one, mut two] = ["one", "two"].map(|name| owner(&options, &runtime, name, Diary { slow: None }));
    let all: Vec<u64> = (1..=100).collect();
    let takes_all = |one: &mut Owner<Diary>| {
        let folder = tempfile::tempdir().unwrap();
        let mut outbox = Outbox::open(on.clone(), Log::new(1, 100), folder.path().to_owned()).unwrap();
        (0..5).for_each(|_| assert!(runtime.block_on(outbox.step()).is_ok()));
        wait_until("not all is sent on", || {
            runtime.block_on(one.step()).unwrap();
            arrived(&on, &runtime) == all
        });
    };
    takes_all(&mut one);
    runtime.block_on(two.step()).unwrap();
    wait_until("nothing is taken over", || {
        runtime.block_on(one.step()).unwrap();
        one.overlook().owned() < 1024
    });
    // Without a word, over connections that stay.
    assert_eq!(server.say("FLUSHALL"), "OK");
    wait_until("nothing comes back", || {
        runtime.block_on(one.step()).unwrap();
        one.overlook().owned() == 1024
    });
    takes_all(&mut one);
}

#[test]
fn owners_that_come_and_go_leave_room_in_a_partition() {
    let Some(server) = forgetful() else { return not_run("redis-server") };
    let (options, runtime) = (Options::of(&server.url()), runtime());
    let on = partitions(&options, &runtime);
    let place = Place::of_person(&person(1));
    for round in 0..25 {
        let packets: Vec<_> = (round * 50..round * 50 + 50)
            .map(|before| (Sender::Log(1), place, packet(before, before + 1..before + 2)))
            .collect();
        for (answer, (.., packet)) in runtime.block_on(on.append(&packets)).into_iter().zip(&packets) {
            assert_eq!(answer.unwrap(), Appended::In(packet.last()), "round {round}");
        }
        let mut owner = owner(&options, &runtime, "one", Diary { slow: None });
        wait_until("it is not taken", || {
            runtime.block_on(owner.step()).unwrap();
            diaries(&on, &runtime).get(&1).is_some_and(|taken| taken.len() as u64 == round * 50 + 50)
        });
    }
}

/// Has an item partition send a message.
fn say(on: &Partitions, runtime: &Runtime, places: &[Place]) {
    let marks = runtime.block_on(on.marks(places)).into_iter().map(Result::unwrap);
    let commits: Vec<Commit> = marks
        .zip(places)
        .map(|(expected, place)| {
            let messages = vec![Message { to: None, kind: 2, payload: vec![7; 16] }];
            let mut next = Mark { token: expected.token + 1, ..expected.clone() };
            next.send(&messages);
            let (states, notes, ids) = (Vec::new(), Vec::new(), Vec::new());
            Commit { place: *place, expected, next, states, notes, messages, ids }
        })
        .collect();
    let done = runtime.block_on(on.commit(&commits));
    assert!(done.into_iter().all(|done| done.unwrap() == Committed::Done));
}

#[test]
fn a_stream_that_begins_meanwhile_is_not_taken_for_one_whose_beginning_is_gone() {
    let Some(server) = forgetful() else { return not_run("redis-server") };
    let runtime = runtime();
    let links = [(); 2].map(|()| Link::open(&Options::of(&server.url()), runtime.handle()).unwrap());
    let places: Vec<Place> = Lane::Items.places().collect();
    for round in 0..100 {
        let [here, there] =
            links.each_ref().map(|link| Partitions::new(link.clone(), &format!("n{round}"), DAY));
        std::thread::scope(|scope| {
            scope.spawn(|| say(&there, &runtime, &places));
            loop {
                let reach = runtime.block_on(here.reach(&Tail::beginning())).unwrap();
                let fits = reach.iter().map(|reach| reach.fit(StreamId::default()));
                assert!(fits.into_iter().all(|fit| fit == Fit::Next), "round {round}");
                if reach.iter().all(|reach| reach.last().ms == 1) {
                    break;
                }
            }
        });
    }
}

#[test]
fn what_is_lost_is_noticed_while_other_partitions_never_rest() {
    let Some(server) = forgetful() else { return not_run("redis-server") };
    let runtime = runtime();
    let on = partitions(&Options::of(&server.url()), &runtime);
    let [quiet, busy] = [3, 4].map(|partition| Place { lane: Lane::Items, partition });
    let mut tail = Tail::new(on.clone(), Tail::beginning()).unwrap();
    say(&on, &runtime, &[quiet]);
    assert!(matches!(runtime.block_on(tail.read()).unwrap(), Tailed::Came(came) if came.len() == 1));
    tail.take();
    assert_eq!(server.say("FLUSHALL"), "OK");
    wait_until("nobody notices", || {
        say(&on, &runtime, &[busy]);
        let tailed = runtime.block_on(tail.read()).unwrap();
        tail.take();
        tailed == Tailed::Lost
    });
}
