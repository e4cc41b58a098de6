//! Real servers that are killed, and disks that fill up, while clients send without a pause: what was acknowledged takes effect exactly once.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use tests::not_run::not_run;
use tests::senders::{Dice, Senders};
use tests::server::Server;
use tests::site::{NOW, Site, click};

#[test]
fn killed_fifty_times_it_counts_exactly_what_it_acknowledged() {
    let (site, mut dice) = (Site::new(), Dice::thrown("killed fifty times"));
    let senders = Senders::start(3);
    for _ in 0..50 {
        if dice.below(5) == 0 {
            // While it starts.
            let server = Server::start_only(&site.config());
            std::thread::sleep(Duration::from_millis(dice.below(120)));
            server.kill();
            continue;
        }
        let server = Server::start(&site.config());
        senders.to(&[&server.client]);
        senders.wait_for(1);
        std::thread::sleep(Duration::from_millis(dice.below(300)));
        server.kill();
    }
    let server = Server::start(&site.config());
    senders.to(&[&server.client]);
    senders.wait_for(3);
    let sent = senders.stop();
    sent.must_be_seen(&server.client);
    // And once more by a start that nothing interrupts.
    assert_eq!(server.stop(), Some(0));
    sent.must_be_seen(&Server::start(&site.config()).client);
}

/// A disk of 4 MiB, unmounted when this is dropped.
struct Disk(PathBuf);

impl Disk {
    fn at(folder: &Path) -> Option<Self> {
        std::fs::create_dir_all(folder).expect("a folder");
        let mut mount = Command::new("mount");
        let done = mount.args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"]).arg(folder).output();
        done.is_ok_and(|output| output.status.success()).then(|| Self(folder.to_owned()))
    }

    /// Takes all the room that is left.
    fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = std::fs::File::create(&path).expect("a file");
        while std::io::Write::write_all(&mut file, &[7; 512]).is_ok() {}
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_told_and_it_goes_on_when_there_is_room() {
    let site = Site::new();
    let Some(disk) = Disk::at(&site.path("log")) else { return not_run("root (to mount a small tmpfs)") };
    let server = Server::start(&site.config());
    let senders = Senders::start(2);
    senders.to(&[&server.client]);
    senders.wait_for(5);
    let mut number = 0;
    for _ in 0..2 {
        let filler = disk.fill();
        let until = Instant::now() + Duration::from_secs(30);
        let told = loop {
            number += 1;
            let event = json!([click(&format!("other-{number}"), "other", "other", NOW)]).to_string();
            let answer = server.client.post("/v1/events", event);
            if answer.status != 200 {
                break answer;
            }
            assert!(Instant::now() < until, "nobody says that the disk is full");
        };
        assert_eq!(told.status, 503, "{}", told.text);
        assert!(told.retry_after.is_some_and(|seconds| seconds > 0), "{told:?}");
        let home = r#"{"scene": "home", "user": "u1"}"#;
        assert_eq!(
            server.client.post("/v1/recommend", home).status,
            200,
            "requests are answered all the same"
        );
        std::fs::remove_file(filler).expect("the filler goes");
        senders.wait_for(5);
    }
    let sent = senders.stop();
    sent.must_be_seen(&server.client);
    assert_eq!(server.stop(), Some(0));
    sent.must_be_seen(&Server::start(&site.config()).client);
}
