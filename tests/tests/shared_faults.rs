//! Two real servers on one Redis, each of which dies, stops, is away or forgets, while clients send without a pause: what was acknowledged takes
//! effect exactly once, on both.

use std::time::Duration;

use data_layer::shared::Place;
use data_layer::types::Id;
use serde_json::json;
use tests::client::Client;
use tests::not_run::not_run;
use tests::redis::{Cluster, Kind, Redis};
use tests::senders::{Dice, Senders};
use tests::server::Server;
use tests::site::Site;

/// Two sites whose servers share a Redis.
fn sites(urls: &[String]) -> [Site; 2] {
    [(); 2].map(|()| {
        let site = Site::new();
        let config = std::fs::read_to_string(site.config()).expect("a configuration");
        let shared = match urls {
            [url] => format!("[live]\nbackend = \"redis\"\nurl = \"{url}\"\n"),
            urls => format!("[live]\nbackend = \"redis\"\nurl = {urls:?}\ncluster = true\n"),
        };
        site.write("weir.toml", &config.replace("[live]\n", &shared));
        site
    })
}

/// A server of each, and clients that send to both.
fn start(sites: &[Site; 2]) -> ([Server; 2], Senders) {
    let servers = [0, 1].map(|at: usize| Server::start(&sites[at].config()));
    let senders = Senders::start(3);
    senders.to(&[&servers[0].client, &servers[1].client]);
    senders.wait_for(20);
    (servers, senders)
}

/// Both count what was sent, and a server that starts does.
fn end(sites: &[Site; 2], servers: [Server; 2], senders: Senders) {
    senders.wait_for(20);
    let sent = senders.stop();
    servers.iter().for_each(|server| sent.must_be_seen(&server.client));
    let [one, two] = servers;
    assert_eq!(two.stop(), Some(0));
    sent.must_be_seen(&Server::start(&sites[1].config()).client);
    assert_eq!(one.stop(), Some(0));
}

/// What was left out of an answer, which must come.
fn left_out(client: &Client) -> Vec<String> {
    let answer = client.recommend(json!({"scene": "home", "user": "u1"}));
    assert_eq!(answer.ids().len(), 10, "{}", answer.text);
    let degraded = answer.json()["degraded"].as_array().cloned().unwrap_or_default();
    degraded.iter().map(|one| one["stage"].as_str().unwrap_or_default().to_owned()).collect()
}

fn is_without_person(client: &Client) -> bool {
    left_out(client).iter().any(|stage| stage == "read.person")
}

/// Waits until requests know the person again.
fn must_recover(servers: &[Server; 2]) {
    for server in servers {
        let until = std::time::Instant::now() + Duration::from_secs(60);
        while is_without_person(&server.client) {
            assert!(std::time::Instant::now() < until, "it does not recover:\n{}", server.said());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

#[test]
fn one_of_two_is_killed_fifty_times() {
    let Some(redis) = Redis::start() else { return not_run("redis-server") };
    let (sites, mut dice) = (sites(&[redis.url()]), Dice::thrown("one of two is killed fifty times"));
    let (servers, senders) = start(&sites);
    let mut servers = servers.map(Some);
    for _ in 0..50 {
        let killed = dice.below(2) as usize;
        std::thread::sleep(Duration::from_millis(dice.below(300)));
        servers[killed].take().expect("a running server").kill();
        if dice.below(2) == 0 {
            // The other goes on alone.
            senders.wait_for(2);
        }
        servers[killed] = Some(Server::start(&sites[killed].config()));
        let urls: Vec<&Client> = servers.iter().flatten().map(|server| &server.client).collect();
        senders.to(&urls);
        senders.wait_for(2);
    }
    let servers = servers.map(|server| server.expect("a running server"));
    end(&sites, servers, senders);
}

#[test]
fn a_server_that_was_stopped_and_goes_on_does_no_harm() {
    let Some(redis) = Redis::start() else { return not_run("redis-server") };
    let sites = sites(&[redis.url()]);
    let (servers, senders) = start(&sites);
    for stopped in &servers {
        stopped.pause();
        // Longer than the other waits before it takes its partitions over.
        std::thread::sleep(Duration::from_secs(7));
        stopped.resume();
        senders.wait_for(20);
    }
    end(&sites, servers, senders);
}

#[test]
fn redis_dies_or_stops_and_nothing_is_lost() {
    let Some(mut redis) = Redis::start() else { return not_run("redis-server") };
    let (sites, mut dice) = (sites(&[redis.url()]), Dice::thrown("redis dies or stops"));
    let (servers, senders) = start(&sites);
    for _ in 0..3 {
        redis.kill();
        senders.wait_for(20);
        assert!(servers.iter().all(|server| is_without_person(&server.client)));
        std::thread::sleep(Duration::from_millis(dice.below(500)));
        redis.revive();
        must_recover(&servers);
        senders.wait_for(20);
    }
    redis.pause();
    std::thread::sleep(Duration::from_secs(12));
    assert!(servers.iter().all(|server| is_without_person(&server.client)));
    senders.wait_for(20);
    redis.resume();
    must_recover(&servers);
    end(&sites, servers, senders);
}

#[test]
fn a_redis_that_forgets_is_filled_again() {
    let kind = Kind { forgets: true, ..Kind::default() };
    let Some(mut redis) = Redis::of(kind) else { return not_run("redis-server") };
    let sites = sites(&[redis.url()]);
    let (servers, senders) = start(&sites);
    for _ in 0..2 {
        senders.wait_for(50);
        redis.kill();
        senders.wait_for(20);
        redis.revive();
        must_recover(&servers);
    }
    end(&sites, servers, senders);
}

#[test]
fn one_of_three_masters_dies_and_comes_back() {
    let Some(mut cluster) = Cluster::start() else { return not_run("redis-server") };
    let (sites, mut dice) = (sites(&cluster.urls()), Dice::thrown("one of three masters dies"));
    let (servers, senders) = start(&sites);
    for _ in 0..2 {
        let dead = dice.below(3) as usize;
        cluster.nodes[dead].kill();
        senders.wait_for(50);
        servers.iter().for_each(|server| drop(left_out(&server.client)));
        cluster.nodes[dead].revive();
        cluster.wait();
        must_recover(&servers);
    }
    end(&sites, servers, senders);
}

/// The number of the first message about an item that Redis still has.
fn first_about(redis: &Redis, item: &str) -> u64 {
    let place = Place::of_item(&Id::new(item).expect("an id"));
    let said = redis.say(&format!("XRANGE weir:main:{{{place}}}:out - + COUNT 1"));
    said.split('-').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[test]
fn servers_and_redis_die_while_snapshots_are_taken_and_streams_are_trimmed() {
    let Some(mut redis) = Redis::start() else { return not_run("redis-server") };
    let (first, more) = (sites(&[redis.url()]), sites(&[redis.url()]));
    let store = tempfile::tempdir().expect("a folder");
    for site in first.iter().chain(&more) {
        let config = std::fs::read_to_string(site.config()).expect("a configuration");
        let store = store.path().display().to_string();
        let snapshots = format!("[live.snapshots]\nevery = \"1s\"\nkeep = 1\nstore = {store:?}\n");
        site.write("weir.toml", &format!("{config}{snapshots}"));
    }
    let mut dice = Dice::thrown("servers and redis die while snapshots are taken");
    let (servers, senders) = start(&first);
    let mut servers = servers.map(Some);
    for round in 0..10 {
        let killed = dice.below(2) as usize;
        std::thread::sleep(Duration::from_millis(dice.below(1500)));
        servers[killed].take().expect("a running server").kill();
        if round % 3 == 1 {
            redis.kill();
            std::thread::sleep(Duration::from_millis(dice.below(300)));
            redis.revive();
        }
        servers[killed] = Some(Server::start(&first[killed].config()));
        let urls: Vec<&Client> = servers.iter().flatten().map(|server| &server.client).collect();
        senders.to(&urls);
        senders.wait_for(5);
    }
    let until = std::time::Instant::now() + Duration::from_secs(60);
    while first_about(&redis, "i0") <= 1 {
        assert!(std::time::Instant::now() < until, "nothing was trimmed");
        std::thread::sleep(Duration::from_millis(50));
    }
    // A server that never was there starts from what another copied.
    let new = Server::start(&more[0].config());
    senders.wait_for(5);
    let servers = servers.map(|server| server.expect("a running server"));
    senders.wait_for(20);
    let sent = senders.stop();
    servers.iter().chain([&new]).for_each(|server| sent.must_be_seen(&server.client));
    servers.into_iter().for_each(|server| assert_eq!(server.stop(), Some(0)));
    sent.must_be_seen(&Server::start(&first[1].config()).client);
    sent.must_be_seen(&Server::start(&more[1].config()).client);
}
