//! A lazy table twice the memory there is: every list of it is right, and requests that don't need it are not held up by its page faults.
//! The memory is that of a cgroup, in which this test starts itself again.

#[path = "../../tests/src/not_run.rs"]
mod not_run;
mod site;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use app_layer::Engine;
use data_layer::Config;
use data_layer::access::Scrubber;
use data_layer::keylist::{Op, TableSpec, Writer};
use data_layer::publish::{Folder, Gate};
use serde_json::json;
use site::wire::{answer, ids, recommend, served};
use site::{NOW, Site};

/// Memory of the cgroup.
const LIMIT: u64 = 64 << 20;
/// A record has a page of vector, so that each list is on a page of its own.
const WIDTH: u32 = 1024;
const KEYS: usize = 2 * LIMIT as usize / (4 * WIDTH as usize);
/// Who asks for its lists at once, and how often each.
const READERS: usize = 4;
const EACH: usize = 100;
/// Tells the second process where the site is, and which file takes it into the cgroup.
const SITE: &str = "WEIR_TEST_SMALL_MEMORY";

fn first_of(key: usize) -> String {
    format!("i{}", key % 60)
}

/// A site whose table `big` is lazy, unchecked when opened, and twice the memory.
fn site() -> Site {
    let site = Site::new();
    site.write(
        "weir.toml",
        "[server]\nlisten = \"127.0.0.1:0\"\nworkers = 1\n[tables]\nreaders = 2\n\
         [tables.big]\nresidency = \"lazy\"\nverify = \"background\"\n[schema]\ncategory = \"string\"\nprice = \"float\"\n",
    );
    site.tables(60);
    let folder = Folder::of(&site.config(), "big").unwrap();
    let mut writer = Writer::new(TableSpec { vector: WIDTH, ..folder.spec(NOW) }).unwrap();
    for key in 0..KEYS {
        let (one, other) = (first_of(key), first_of(key + 1));
        let vector: Vec<f32> = (0..WIDTH).map(|n| (key as u32 ^ n) as f32).collect();
        let list = [(one.as_str(), 1.0), (other.as_str(), 0.5)];
        writer.push_entry(format!("u{key}").as_str(), Op::Replace, &list, Some(&vector)).unwrap();
    }
    folder.build(writer).unwrap();
    let generation = folder.publish(None, Gate::Sound).unwrap();
    // Out of the page cache, so that its pages count where they are read next.
    let file = format!("if={}", folder.file(&generation).display());
    assert!(
        Command::new("dd")
            .args([&file, "iflag=nocache", "count=0", "status=none"])
            .status()
            .unwrap()
            .success()
    );
    let deep = "scene = \"deep\"\nsize = 2\ndeadline_ms = 10000\n[[recall]]\nname = \"own\"\nkind = \"user_list\"\ntable = \"big\"\n";
    site.write("scenes/deep.toml", deep);
    site.write("scenes/hasty.toml", &deep.replace("deep", "hasty").replace("10000", "20"));
    site.write(
        "scenes/plain.toml",
        "scene = \"plain\"\nsize = 5\n[[recall]]\nkind = \"ranking\"\ntable = \"hot\"\n",
    );
    site
}

/// A memory cgroup of its own, of either version; removed when dropped.
struct Group {
    path: PathBuf,
    /// File with the most it used, file that tells how often it was full.
    peak: &'static str,
    full: &'static str,
}

impl Group {
    fn new() -> Option<Self> {
        let name = format!("weir-test-{}", std::process::id());
        let (one, two) = (Path::new("/sys/fs/cgroup/memory"), Path::new("/sys/fs/cgroup"));
        if one.join("memory.limit_in_bytes").exists() {
            let (peak, full) = ("memory.max_usage_in_bytes", "memory.failcnt");
            return Self::make(one.join(name), "memory.limit_in_bytes", peak, full);
        }
        // Refused where it is on already, or where processes sit beside; then what comes next is refused, too, or works.
        let _ = std::fs::write(two.join("cgroup.subtree_control"), "+memory");
        Self::make(two.join(name), "memory.max", "memory.peak", "memory.events")
    }

    fn make(path: PathBuf, limit: &str, peak: &'static str, full: &'static str) -> Option<Self> {
        std::fs::create_dir(&path).ok()?;
        let group = Self { path, peak, full };
        std::fs::write(group.path.join(limit), LIMIT.to_string()).ok()?;
        Some(group)
    }

    fn number(&self, file: &str, name: &str) -> u64 {
        let text = std::fs::read_to_string(self.path.join(file)).unwrap();
        let words: Vec<&str> = text.split_whitespace().collect();
        let at = words.iter().position(|word| *word == name).map_or(0, |at| at + 1);
        words[at].parse().unwrap()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.path);
    }
}

#[test]
fn a_lazy_table_twice_the_memory_is_served() {
    if let Ok(place) = std::env::var(SITE) {
        let (group, folder) = place.split_once('|').unwrap();
        return in_small_memory(Path::new(group), Path::new(folder));
    }
    let Some(group) = Group::new() else {
        return not_run::not_run("root (a memory cgroup)");
    };
    let site = site();
    let said = again(&group, &site);
    let text = format!("{}{}", String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    assert!(said.status.success(), "{}: {text}", said.status);
    assert!(text.contains("1 passed"), "{text}");
    // Charges are counted in batches, a little ahead of what is held.
    let peak = group.number(group.peak, "");
    assert!(peak <= LIMIT + LIMIT / 8, "the limit held: {peak}");
    assert!(group.number(group.full, "max") > 0, "and was reached");
}

fn again(group: &Group, site: &Site) -> Output {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_lazy_table_twice_the_memory_is_served", "--test-threads=1"])
        .env(SITE, format!("{}|{}", group.path.display(), site.path().display()))
        .output()
        .unwrap()
}

/// What the process in the cgroup does.
fn in_small_memory(group: &Path, folder: &Path) {
    std::fs::write(group.join("cgroup.procs"), std::process::id().to_string()).unwrap();
    let config = Config::load_with(folder.join("weir.toml"), []).unwrap();
    let bytes = Folder::of(&config, "big").unwrap().stat(None).unwrap().bytes;
    assert!(bytes >= 2 * LIMIT, "{bytes}");
    let engine = Arc::new(Engine::open(config).unwrap());
    assert!(!engine.tables().files().iter().find(|(name, _)| name == "big").unwrap().1.is_checked());
    served(&engine, |at| {
        let (whole, late) = all_over_the_table(&engine, at);
        assert_eq!(whole + late, READERS * EACH);
        assert!(whole > 0, "not one list came in ten seconds");
        // While reading it hangs altogether, everything else is served, and what is late is named.
        let hold = engine.readers().unwrap().hold();
        let stuck = recommend(at, json!({"scene": "hasty", "user": "u1"}));
        for _ in 0..20 {
            assert_eq!(answer(recommend(at, json!({"scene": "plain"})))["degraded"], json!([]));
        }
        let got = answer(stuck);
        let (stage, cause) = (&got["degraded"][0]["stage"], &got["degraded"][0]["cause"]);
        assert_eq!((stage, cause), (&json!("recall.own"), &json!("deadline")));
        drop(hold);
    });
    assert!(engine.tables().damage().is_empty());
}

/// Asks for lists all over the table while all of the file is checked besides, and while others, who need another table, get whole
/// answers. How many lists came, and how many came too late.
fn all_over_the_table(engine: &Engine, at: SocketAddr) -> (usize, usize) {
    let (whole, late, done) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let (whole, late, done) = (&whole, &late, &done);
        let scrub = scope.spawn(move || Scrubber::new(None).round(engine.tables(), &|| true));
        let ask = move |thread: usize| {
            for n in 0..EACH {
                let key = (n * READERS + thread) * 7919 % KEYS;
                let got = answer(recommend(at, json!({"scene": "deep", "user": format!("u{key}")})));
                if got["degraded"] == json!([]) {
                    assert_eq!(ids(&got), [first_of(key), first_of(key + 1)], "u{key}: {got}");
                    whole.fetch_add(1, Ordering::Relaxed);
                } else {
                    assert_eq!(got["degraded"][0]["cause"], "deadline", "{got}");
                    late.fetch_add(1, Ordering::Relaxed);
                }
            }
        };
        let readers: Vec<_> = (0..READERS).map(|thread| scope.spawn(move || ask(thread))).collect();
        let plain = scope.spawn(move || {
            let mut asked = 0;
            while !done.load(Ordering::Relaxed) || asked < 100 {
                let got = answer(recommend(at, json!({"scene": "plain", "user": format!("u{asked}")})));
                assert_eq!((&got["degraded"], ids(&got).len()), (&json!([]), 5), "{got}");
                asked += 1;
            }
        });
        let asked: Vec<_> = readers.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
        let checked = scrub.join();
        // Whatever failed, the last one must end.
        done.store(true, Ordering::Relaxed);
        plain.join().unwrap();
        asked.into_iter().for_each(|reader| reader.unwrap());
        assert_eq!(checked.unwrap(), 1);
    });
    (whole.into_inner(), late.into_inner())
}
