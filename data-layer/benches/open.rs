//! How long it takes until a table serves: opened with `verify = "background"` and with `verify = "load"`, a small and a ten times
//! larger one with the same items, in one run, with the file in the page cache and out of it.
//!
//! Data: lists of 100 (item, score) over 50,000 items, number keys; 235,000 and 2,350,000 keys (`KEYS=` for another small number), that is
//! about 100 MB and 1 GB. Timed is all from the folder to the first list read: pointer, header, sums of blocks, dictionary, its
//! items as ordinals, the swap, one list. Out of the page cache needs `dd` with `nocache`.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use data_layer::Config;
use data_layer::access::{ReadLists, Tables};
use data_layer::keylist::{KeyKind, TableSpec, Writer};
use data_layer::live::Live;
use data_layer::publish::{Folder, Gate};

const PLACES: u64 = 100;
const ITEMS: u64 = 50_000;
const ROUNDS: usize = 5;

fn build(root: &Path, keys: u64) -> Folder {
    let config = Config::in_folder(root).expect("a configuration");
    let folder = Folder::of(&config, "t").expect("a name");
    let spec = TableSpec { keys: KeyKind::U64, memory: 4 << 30, ..folder.spec(1_000) };
    let mut writer = Writer::new(spec).expect("a spec");
    let items: Vec<u32> = (0..ITEMS).map(|n| writer.item(&format!("i{n}")).expect("an item")).collect();
    for key in 0..keys {
        let item = |place: u64| items[((key * 7919 + place * 491) % ITEMS) as usize];
        let list: Vec<(u32, f32)> =
            (0..PLACES).map(|place| (item(place), 1.0 / (1 + place) as f32)).collect();
        writer.push_numbered(key, &list).expect("a list");
    }
    folder.build(writer).expect("a disk");
    folder.publish(None, Gate::Sound).expect("a sound generation");
    folder
}

fn config(root: &Path, verify: &str) -> Config {
    let file = root.join("weir.toml");
    std::fs::write(&file, format!("[tables.t]\nverify = \"{verify}\"\n")).expect("a disk");
    Config::load_with(&file, []).expect("a configuration")
}

/// Milliseconds until the first list was read, of several rounds the least.
fn open(config: &Config, before: &dyn Fn()) -> f64 {
    let once = || {
        before();
        let live = Arc::new(Live::of(config));
        let start = Instant::now();
        let tables = Tables::open(config, live).expect("tables");
        let mut list = Vec::new();
        let known = tables.snapshot().table("t").expect("a table").list("77", 10, &mut list);
        assert!(known.expect("a sound record") && list.len() == 10);
        start.elapsed().as_secs_f64() * 1e3
    };
    (0..ROUNDS).map(|_| once()).fold(f64::INFINITY, f64::min)
}

fn main() {
    let small = std::env::var("KEYS").ok().and_then(|text| text.parse().ok()).unwrap_or(235_000u64);
    println!("{:>10} {:>22} {:>22} {:>22}", "file", "background, cached", "background, cold", "load, cached");
    let mut all = Vec::new();
    for keys in [small, small * 10] {
        let root = tempfile::tempdir().expect("a temporary folder");
        let folder = build(root.path(), keys);
        let bytes = folder.stat(None).expect("a generation").bytes;
        let generation = folder.current().expect("a pointer").expect("published");
        let file = format!("if={}", folder.file(&generation).display());
        let evict = || {
            let done = Command::new("dd").args([&file, "iflag=nocache", "count=0", "status=none"]).status();
            assert!(done.is_ok_and(|status| status.success()), "dd with nocache");
        };
        let later = config(root.path(), "background");
        let times = [open(&later, &|| {}), open(&later, &evict), open(&config(root.path(), "load"), &|| {})];
        println!(
            "{:>7} MB {:>19.1} ms {:>19.1} ms {:>19.1} ms",
            bytes / 1_000_000,
            times[0],
            times[1],
            times[2]
        );
        all.push(times);
    }
    let ratio = |at: usize| all[1][at] / all[0][at];
    println!("{:>10} {:>20.2} x {:>20.2} x {:>20.2} x", "ratio", ratio(0), ratio(1), ratio(2));
}
