//! The shared store against real Redis servers: connections, and the contract of one partition: what is appended twice, in the wrong
//! order, or by two owners.

#[path = "../../tests/src/not_run.rs"]
mod not_run;
#[allow(dead_code)]
#[path = "../../tests/src/redis.rs"]
mod redis;

use std::time::{Duration, Instant};

use data_layer::shared::{
    Appended, Commit, Committed, Lane, Link, Mark, Member, Message, Options, Packed, Packet, Partitions,
    Place, Sender, StreamId, Unpacked, Which,
};
use data_layer::types::{Id, Person};
use not_run::not_run;
use redis::{Cluster, Kind, Redis};
use tokio::runtime::Runtime;

const LOG: Sender = Sender::Log(0xc0ffee);
const DAY: i64 = 86_400_000;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

fn partitions(options: &Options, runtime: &Runtime) -> Partitions {
    Partitions::new(Link::open(options, runtime.handle()).unwrap(), "main", DAY)
}

fn person(id: &str) -> Person {
    Person::user(Id::new(id).unwrap())
}

fn place_of(person: &Person) -> Place {
    Place { lane: Lane::People, partition: person.partition() }
}

/// A packet of records whose payload is their sequence.
fn packet(previous: u64, sequences: impl IntoIterator<Item = u64>) -> Packet {
    let mut packet = Packet::after(previous);
    for sequence in sequences {
        let payload = sequence.to_le_bytes();
        packet.push(&Packed { version: 1, kind: 3, sequence, received_ms: 5, payload: &payload });
    }
    packet
}

fn append(on: &Partitions, runtime: &Runtime, place: Place, packet: Packet) -> Appended {
    runtime.block_on(on.append(&[(LOG, place, packet)])).pop().unwrap().unwrap()
}

fn commit(on: &Partitions, runtime: &Runtime, commit: &Commit) -> Committed {
    runtime.block_on(on.commit(std::slice::from_ref(commit))).pop().unwrap().unwrap()
}

fn mark(on: &Partitions, runtime: &Runtime, place: Place) -> Mark {
    runtime.block_on(on.marks(&[place])).pop().unwrap().unwrap()
}

/// Sequences that wait in a partition after an entry.
fn waiting(on: &Partitions, runtime: &Runtime, place: Place, after: StreamId) -> Vec<u64> {
    let found = runtime.block_on(on.entries(Which::Arrived, &[(place, after)], 100)).unwrap();
    let entries = found.into_iter().flat_map(|(_, entries)| entries);
    let packets: Vec<Vec<u8>> = entries.map(|entry| entry.bytes).collect();
    packets.iter().flat_map(|bytes| Unpacked::decode(bytes).unwrap().records).map(|r| r.sequence).collect()
}

/// Both kinds of Redis; a law must hold of each.
fn on_each(law: impl Fn(&Partitions, &Runtime)) {
    let (Some(one), Some(cluster)) = (Redis::start(), Cluster::start()) else {
        return not_run("redis-server");
    };
    let runtime = runtime();
    for options in [Options::of(&one.url()), Options::cluster(&cluster.urls())] {
        law(&partitions(&options, &runtime), &runtime);
    }
}

#[test]
fn passwords_and_certificates_are_asked_for_and_checked() {
    let kind = Kind { password: true, tls: true, forgets: true };
    let (Some(secret), Some(plain)) = (Redis::of(kind), Redis::of(Kind { tls: false, ..kind })) else {
        return not_run("redis-server, openssl");
    };
    let runtime = runtime();
    let ping = |options: &Options| {
        let link = Link::open(options, runtime.handle()).unwrap();
        runtime.block_on(link.ping()).map_err(|error| error.to_string())
    };
    let trusted = Options { authorities: Some(secret.authority()), ..Options::of(&secret.url()) };
    assert_eq!(ping(&trusted), Ok(()));
    assert_eq!(ping(&Options::of(&plain.url())), Ok(()));

    let unknown = ping(&Options::of(&secret.url())).unwrap_err();
    assert!(unknown.contains(&format!("127.0.0.1:{}", secret.port())), "{unknown}");
    assert!(!unknown.contains(redis::PASSWORD), "{unknown}");
    for url in
        [format!("redis://127.0.0.1:{}", plain.port()), format!("redis://:no@127.0.0.1:{}", plain.port())]
    {
        let refused = ping(&Options::of(&url)).unwrap_err();
        assert!(refused.contains("user:password@"), "{refused}");
    }
    let missing = Options { authorities: Some("nowhere.pem".into()), ..Options::of(&secret.url()) };
    assert!(Link::open(&missing, runtime.handle()).unwrap_err().to_string().contains("nowhere.pem"));
}

#[test]
fn a_connection_comes_back_by_itself() {
    let Some(mut server) = Redis::start() else { return not_run("redis-server") };
    let runtime = runtime();
    let options = Options { timeout: Duration::from_millis(300), ..Options::of(&server.url()) };
    let link = Link::open(&options, runtime.handle()).unwrap();
    let answered = || {
        let until = Instant::now() + Duration::from_secs(30);
        while let Err(error) = runtime.block_on(link.ping()) {
            assert!(Instant::now() < until, "{error}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let refused = || assert!(runtime.block_on(link.ping()).is_err());
    answered();
    server.kill();
    refused();
    server.revive();
    answered();
    server.pause();
    refused();
    server.resume();
    answered();
}

#[test]
fn a_server_that_is_away_at_first_is_found_later_also_in_a_cluster() {
    let Some(mut cluster) = Cluster::start() else { return not_run("redis-server") };
    let runtime = runtime();
    cluster.nodes.iter_mut().for_each(Redis::kill);
    let on = partitions(&Options::cluster(&cluster.urls()), &runtime);
    let all: Vec<Place> = Lane::People.places().collect();
    assert!(runtime.block_on(on.marks(&all)).iter().all(Result::is_err));
    cluster.nodes.iter_mut().for_each(Redis::revive);
    cluster.wait();
    let until = Instant::now() + Duration::from_secs(30);
    while runtime.block_on(on.marks(&all)).iter().any(Result::is_err) {
        assert!(Instant::now() < until, "the cluster is not found again");
    }
    // One node is killed: the partitions of the others go on.
    cluster.nodes[1].kill();
    let until = Instant::now() + Duration::from_secs(30);
    loop {
        let known = runtime.block_on(on.marks(&all)).iter().filter(|mark| mark.is_ok()).count();
        if known > 500 {
            assert!(known < 900, "{known} of 1024 are known without a third of the cluster");
            break;
        }
        assert!(Instant::now() < until, "{known} of 1024 are known");
    }
    cluster.nodes[1].revive();
    let until = Instant::now() + Duration::from_secs(30);
    while let Some(Err(error)) = runtime.block_on(on.marks(&all)).into_iter().find(Result::is_err) {
        assert!(Instant::now() < until, "the node is not found again: {error}");
    }
}

#[test]
fn packets_go_in_once_and_in_order() {
    on_each(|on, runtime| {
        let place = place_of(&person("u1"));
        assert_eq!(append(on, runtime, place, packet(0, [3, 7])), Appended::In(7));
        // Sent again, since nobody knows whether it arrived.
        assert_eq!(append(on, runtime, place, packet(0, [3, 7])), Appended::In(7));
        // The one between was lost.
        assert_eq!(append(on, runtime, place, packet(9, [12])), Appended::Gap(7));
        // Packed otherwise after a restart: part of it is in.
        assert_eq!(append(on, runtime, place, packet(3, [7, 9])), Appended::Gap(7));
        assert_eq!(append(on, runtime, place, packet(7, [9])), Appended::In(9));
        assert_eq!(waiting(on, runtime, place, StreamId::default()), [3, 7, 9]);
        // Senders and partitions have numbers of their own.
        let other = Place { partition: (place.partition + 1) % 1024, ..place };
        let one = Sender::Log(1);
        let both = [(one, place, packet(0, [1])), (one, other, packet(0, [2]))];
        let answers = runtime.block_on(on.append(&both));
        assert_eq!(
            answers.into_iter().map(Result::unwrap).collect::<Vec<_>>(),
            [Appended::In(1), Appended::In(2)]
        );
        let sent = runtime.block_on(on.sent(LOG, &[place, other]));
        assert_eq!(sent.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [9, 0]);
    });
}

/// Another person of the same partition.
fn person_beside(who: &Person) -> Person {
    (0..).map(|n| person(&format!("b{n}"))).find(|other| other.partition() == who.partition()).unwrap()
}

/// A commit that takes one more entry, sets one state, and sends one message.
fn step(on: &Place, expected: &Mark, token: u64, who: &Person, state: Option<&str>) -> Commit {
    let at = StreamId { ms: expected.at.ms + 1, number: 0 };
    let mut next = Mark { token, at, taken: [(LOG, token)].into(), ..expected.clone() };
    let messages = vec![Message { to: None, kind: token as u8, payload: Vec::new() }];
    next.send(&messages);
    let states = vec![(who.clone(), state.map(|state| state.as_bytes().to_owned()))];
    let notes = Vec::new();
    Commit { place: *on, expected: expected.clone(), next, states, notes, messages, ids: Vec::new() }
}

#[test]
fn effects_and_mark_go_in_together_or_not_at_all() {
    on_each(|on, runtime| {
        let (who, other) = (person("u1"), person("u2"));
        let place = place_of(&who);
        let state = |who: &Person| runtime.block_on(on.states(std::slice::from_ref(who))).unwrap().remove(0);
        let first = step(&place, &Mark::default(), 1, &who, Some("one"));
        assert_eq!(commit(on, runtime, &first), Committed::Done);
        assert_eq!(mark(on, runtime, place), first.next);
        // Again, and from an owner that has not noticed.
        let late = step(&place, &Mark::default(), 2, &who, Some("late"));
        for refused in [&first, &late] {
            assert_eq!(commit(on, runtime, refused), Committed::Stale(first.next.clone()));
        }
        assert_eq!(state(&who).as_deref(), Some(&b"one"[..]));
        // Whoever takes over starts from the mark that is there; the former owner is refused from then on.
        let taken_over = step(&place, &mark(on, runtime, place), 3, &who, Some("two"));
        assert_eq!(commit(on, runtime, &taken_over), Committed::Done);
        let former = step(&place, &first.next, 4, &who, Some("former"));
        assert_eq!(commit(on, runtime, &former), Committed::Stale(taken_over.next.clone()));
        assert_eq!(state(&who).as_deref(), Some(&b"two"[..]));
        // A mark that looks the same but for its token is another one.
        let twin = Mark { token: 77, ..taken_over.next.clone() };
        let forged = step(&place, &twin, 5, &who, None);
        assert_eq!(commit(on, runtime, &forged), Committed::Stale(taken_over.next.clone()));
        let gone = step(&place, &taken_over.next, 6, &who, None);
        assert_eq!(commit(on, runtime, &gone), Committed::Done);
        assert_eq!((state(&who), state(&other)), (None, None));
        // Only what was committed was sent on.
        let out = runtime.block_on(on.entries(Which::Out, &[(place, StreamId::default())], 10)).unwrap();
        let out: Vec<(u64, u8)> =
            out[0].1.iter().map(|entry| (entry.id.ms, Message::decode(&entry.bytes).unwrap().kind)).collect();
        assert_eq!(out, [(1, 1), (2, 3), (3, 6)]);
    });
}

#[test]
fn commits_that_are_wrong_in_themselves_are_refused() {
    on_each(|on, runtime| {
        let who = person("u1");
        let place = place_of(&who);
        let good = step(&place, &Mark::default(), 1, &who, Some("one"));
        let stranger =
            (0..).map(|n| person(&format!("s{n}"))).find(|s| s.partition() != who.partition()).unwrap();
        let same_token = Commit { next: Mark { token: 0, ..good.next.clone() }, ..good.clone() };
        let too_few = Commit { messages: Vec::new(), ..good.clone() };
        let others = Commit { states: vec![(stranger, Some(vec![1]))], ..good.clone() };
        let empty = Commit { states: vec![(who.clone(), Some(Vec::new()))], ..good.clone() };
        let blank = Commit { notes: vec![([1, 2], Vec::new())], ..good.clone() };
        let back = Commit {
            expected: Mark { at: StreamId { ms: 9, number: 0 }, ..Mark::default() },
            ..good.clone()
        };
        for wrong in [same_token, too_few, others, empty, blank, back] {
            assert!(runtime.block_on(on.commit(&[wrong])).pop().unwrap().is_err());
        }
        assert_eq!(mark(on, runtime, place), Mark::default());
        assert_eq!(runtime.block_on(on.states(&[who])).unwrap(), [None]);
    });
}

#[test]
fn states_and_notes_end_after_their_life_and_no_earlier() {
    let Some(server) = Redis::start() else { return not_run("redis-server") };
    let runtime = runtime();
    let on = partitions(&Options::of(&server.url()), &runtime).with_note_life(DAY / 2);
    let who = person("u1");
    let (place, keys) = (place_of(&who), [[1, 2], [3, 4], [5, 6]]);
    let states = vec![(who.clone(), Some(b"one".to_vec())), (person_beside(&who), None)];
    let notes = vec![(keys[0], b"a".to_vec()), (keys[1], b"b".to_vec())];
    let first = Commit { states, notes, ..step(&place, &Mark::default(), 1, &who, Some("one")) };
    assert_eq!(commit(&on, &runtime, &first), Committed::Done);
    let left = |key: &str| server.say(&format!("PTTL {key}")).parse::<i64>().unwrap();
    let (of_state, of_note) = (left(&on.keys().person(&who)), left(&on.keys().note(place, keys[1])));
    assert!((DAY - 60_000..=DAY).contains(&of_state), "{of_state}");
    assert!((DAY / 2 - 60_000..=DAY / 2).contains(&of_note), "{of_note}");
    assert_eq!(left(&on.keys().mark(place)), -1);
    let found = runtime.block_on(on.notes(&keys.map(|key| (place, key)))).unwrap();
    assert_eq!(found, [Some(b"a".to_vec()), Some(b"b".to_vec()), None]);
}

#[test]
fn of_two_owners_who_work_at_once_every_step_is_taken_once() {
    let Some(server) = Redis::start() else { return not_run("redis-server") };
    let who = person("u1");
    let place = place_of(&who);
    let options = Options::of(&server.url());
    let work = |owner: u64| {
        let runtime = runtime();
        let on = partitions(&options, &runtime);
        let (mut done, mut known) = (0, Mark::default());
        for attempt in 1..=300 {
            let state = (known.at.ms + 1).to_string();
            let next = step(&place, &known, owner << 32 | attempt, &who, Some(&state));
            match commit(&on, &runtime, &next) {
                Committed::Done => (done, known) = (done + 1, next.next),
                Committed::Stale(found) => known = found,
            }
        }
        done
    };
    let done = std::thread::scope(|scope| {
        let owners = [1, 2].map(|owner| scope.spawn(move || work(owner)));
        owners.map(|owner| owner.join().unwrap())
    });
    let runtime = runtime();
    let on = partitions(&options, &runtime);
    let total = done[0] + done[1];
    assert!(total >= 300, "{done:?}");
    assert_eq!(mark(&on, &runtime, place).at.ms, total);
    let state = runtime.block_on(on.states(&[who])).unwrap().remove(0).unwrap();
    assert_eq!(state, total.to_string().into_bytes());
}

#[test]
fn trimming_keeps_what_somebody_holds() {
    on_each(|on, runtime| {
        let place = Place { lane: Lane::Items, partition: 3 };
        for sequence in 1..=6 {
            let packet = packet(sequence - 1, [sequence]);
            assert_eq!(append(on, runtime, place, packet), Appended::In(sequence));
        }
        let entries =
            runtime.block_on(on.entries(Which::Arrived, &[(place, StreamId::default())], 10)).unwrap();
        let ids: Vec<StreamId> = entries[0].1.iter().map(|entry| entry.id).collect();
        let left = || waiting(on, runtime, place, StreamId::default());
        let trim = |first| runtime.block_on(on.trim(Which::Arrived, place, first)).unwrap();
        runtime.block_on(on.hold(Which::Arrived, place, "snapshot", ids[2], DAY)).unwrap();
        // A hold on the other stream, and one that has run out, keep nothing here.
        runtime.block_on(on.hold(Which::Out, place, "other", ids[0], DAY)).unwrap();
        runtime.block_on(on.hold(Which::Arrived, place, "dead", ids[0], -1)).unwrap();
        assert_eq!(trim(ids[4]), 2);
        assert_eq!(left(), [3, 4, 5, 6]);
        runtime.block_on(on.hold(Which::Arrived, place, "snapshot", ids[5], DAY)).unwrap();
        assert_eq!(trim(ids[4]), 2);
        assert_eq!(left(), [5, 6]);
        // What was trimmed is still known to have arrived.
        assert_eq!(append(on, runtime, place, packet(3, [4])), Appended::In(6));
    });
}

#[test]
fn a_partition_that_nobody_reads_takes_no_more_and_goes_on_when_read() {
    let Some(server) = Redis::of(Kind { forgets: true, ..Kind::default() }) else {
        return not_run("redis-server");
    };
    let runtime = runtime();
    let on = partitions(&Options::of(&server.url()), &runtime);
    let place = Place { lane: Lane::People, partition: 0 };
    let most = data_layer::shared::partition::MOST_WAITING as u64;
    let packets: Vec<(Sender, Place, Packet)> =
        (1..=most + 2).map(|n| (LOG, place, packet(n - 1, [n]))).collect();
    let answers = runtime.block_on(on.append(&packets));
    let answers: Vec<Appended> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers[most as usize - 1], Appended::In(most));
    assert_eq!(answers[most as usize], Appended::Full);
    assert_eq!(answers[most as usize + 1], Appended::Gap(most));
    runtime.block_on(on.trim(Which::Arrived, place, StreamId { ms: u64::MAX >> 12, number: 0 })).unwrap();
    assert_eq!(append(&on, &runtime, place, packet(most, [most + 1])), Appended::In(most + 1));
}

#[test]
fn partitions_of_a_member_that_is_silent_are_taken_over() {
    on_each(|on, runtime| {
        let member = |name: &str| Member::new(on.link().clone(), "main", Lane::Items, name, 400);
        let (a, b) = (member("a"), member("b"));
        let all: Vec<Place> = Lane::Items.places().collect();
        assert_eq!(runtime.block_on(a.beat()).unwrap(), all);
        let of_b = runtime.block_on(b.beat()).unwrap();
        let of_a = runtime.block_on(a.beat()).unwrap();
        assert!(!of_a.is_empty() && !of_b.is_empty());
        assert!(all.iter().all(|place| of_a.contains(place) != of_b.contains(place)));
        // Until it is forgotten, nothing of a silent member is taken.
        assert_eq!(runtime.block_on(a.beat()).unwrap(), of_a);
        let until = Instant::now() + Duration::from_secs(30);
        while runtime.block_on(a.beat()).unwrap() != all {
            assert!(Instant::now() < until, "nobody takes over");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(runtime.block_on(b.beat()).unwrap(), of_b);
        runtime.block_on(b.leave()).unwrap();
        assert_eq!(runtime.block_on(a.beat()).unwrap(), all);
    });
}
