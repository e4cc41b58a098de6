//! A disk that fills up under a log: callers are told, nothing is damaged, and the log goes on by itself when there is room, without
//! a restart. On a small tmpfs, which needs root.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::Ordering;

use data_layer::Error;
use data_layer::config::Config;
use data_layer::ingest::{Form, Ingest, Receipt};
use data_layer::live::Items;
use data_layer::log::{Entries, Stream, Writer};
use futures::executor::block_on;

#[path = "../../tests/src/not_run.rs"]
mod not_run;

const NOW: i64 = 20_000 * 86_400_000;

/// A disk of so many bytes, unmounted when this is dropped.
struct Disk {
    folder: tempfile::TempDir,
}

impl Disk {
    fn new(bytes: usize) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
            .arg(folder.path())
            .output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            not_run::not_run("root (to mount a small tmpfs)");
            return None;
        }
        Some(Self { folder })
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Takes all the room that is left.
    fn fill(&self) -> PathBuf {
        let path = self.path().join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        let full = loop {
            if let Err(error) = std::io::Write::write_all(&mut file, &[7; 512]) {
                break error;
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull);
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

fn send(ingest: &Ingest, batch: usize) -> Result<Receipt, Error> {
    let event = |n| {
        format!(
            r#"{{"type":"interaction","id":"e{batch}-{n}","user":"u","item":"i","action":"click","time":{NOW}}}"#
        )
    };
    let body: Vec<String> = (0..50).map(event).collect();
    block_on(ingest.submit(body.join("\n").as_bytes(), Form::Ndjson, NOW)?)
}

/// Sends again for as long as nobody is let in.
fn until_let_in(ingest: &Ingest, batch: usize) -> Result<Receipt, Error> {
    loop {
        match send(ingest, batch) {
            Err(Error::Busy { .. }) => std::thread::sleep(std::time::Duration::from_millis(10)),
            other => return other,
        }
    }
}

fn clicks(config: &Config) -> u64 {
    let live = Ingest::read_only(config).unwrap();
    let click = live.actions().id("click").unwrap();
    let items = live.items();
    items.ordinal("i").map_or(0, |item| items.counters(item).total(click))
}

#[test]
fn a_full_disk_is_told_and_the_log_goes_on_when_there_is_room() {
    let Some(disk) = Disk::new(1 << 20) else { return };
    let config = Config::in_folder(disk.path()).unwrap();
    let ingest = Ingest::open(&config).unwrap();
    let first = send(&ingest, 0).unwrap();
    for round in 0..3 {
        let filler = disk.fill();
        // What is left of the last page still takes a little.
        let mut taken = 1;
        let error = loop {
            match send(&ingest, 100 * round + taken) {
                Ok(receipt) => assert_eq!(receipt.accepted, 50),
                Err(error) => break error,
            }
            taken += 1;
            assert!(taken < 100, "the disk never got full");
        };
        let Error::Io { path, source } = &error else { panic!("{error}") };
        assert_eq!(source.kind(), ErrorKind::StorageFull);
        assert!(path.ends_with("00000000000000000001.seg"), "{error}");
        assert!(error.to_string().contains("free some, or move [log].dir"), "{error}");
        assert!(ingest.stats().failed.load(Ordering::Acquire));
        let before = clicks(&config);
        // For a second nobody is let in; then somebody may try.
        assert!(matches!(send(&ingest, 100 * round + taken), Err(Error::Busy { .. })));
        let again = until_let_in(&ingest, 100 * round + taken);
        assert!(matches!(again, Err(Error::Io { .. })), "{again:?}");
        assert_eq!(clicks(&config), before, "a failed call left something behind");
        std::fs::remove_file(filler).unwrap();
        // Sent again, it is no duplicate: nobody was told that it was taken.
        assert_eq!(until_let_in(&ingest, 100 * round + taken).unwrap().accepted, 50);
        assert!(!ingest.stats().failed.load(Ordering::Acquire));
        assert_eq!(clicks(&config), before + 50);
        assert_eq!(send(&ingest, 100 * round + taken).unwrap().duplicates, 50);
    }
    let accepted = ingest.stats().accepted.load(Ordering::Relaxed);
    let last = send(&ingest, 0).unwrap().position;
    assert_eq!(last.sequence, first.position.sequence - 50 + accepted);
    ingest.close().unwrap();
    assert_eq!(clicks(&config), accepted);
    Ingest::open(&config).unwrap().close().unwrap();
}

#[test]
fn a_new_segment_that_finds_no_room_is_made_later() {
    let Some(disk) = Disk::new(256 << 10) else { return };
    let folder = disk.path().join("events");
    // A segment for each record.
    let mut writer = Writer::open(&folder, Stream::Events, "main", 42).unwrap().with_segment_bytes(1);
    let mut append = |payload: &[u8]| {
        writer.append(3, 0, 5, payload);
        writer.flush().and_then(|()| writer.sync())
    };
    append(b"one").unwrap();
    let filler = disk.fill();
    for _ in 0..3 {
        let error = append(b"lost").unwrap_err().to_string();
        assert!(error.contains("free some"), "{error}");
    }
    std::fs::remove_file(filler).unwrap();
    append(b"two").unwrap();
    append(b"three").unwrap();
    let read: Vec<_> =
        Entries::open(&folder, Stream::Events, 0).unwrap().map(|e| e.unwrap().payload).collect();
    assert_eq!(read, [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
}
