//! One set of lists through every store: build, warm reads in rounds taken in turn, cold reads.
//!
//! In a round each store has its turn at each way of reading, a fraction of a second of processor time each; the best of all rounds
//! counts, so that what else the machine does hits all alike. Quantiles, and reads from the disk, are on the wall's clock.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::data::{Data, mix};
use crate::kernel::reads::Reads;
use crate::kernel::{clock, pages};
use crate::report::{Cold, Limit, Quantiles, Row, SetReport};
use crate::store::{Built, Feed, Pages, Peer, Store};

/// Keys of a batch.
pub const BATCH: usize = 256;
/// Keys asked for in advance; a round uses a window of them.
const ASKED: usize = 4 << 20;
/// Single gets that are timed one by one, a store and round.
const TIMED: usize = 20_000;
/// Keys whose answers are compared between stores.
const COMPARED: usize = 20_000;
/// Gets from the disk, at most, and for how long.
const COLD_GETS: usize = 4_000;
const COLD_TIME: Duration = Duration::from_secs(4);

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Rounds of uniform keys.
    pub rounds: usize,
    /// Length of a turn.
    pub turn: Duration,
    /// Whether to read from the disk as well.
    pub cold: bool,
}

struct Opened {
    store: Box<dyn Store>,
    row: Row,
}

/// Measures one set.
pub fn set(data: &Data, peers: &[Peer], folder: &Path, plan: Plan) -> Result<SetReport> {
    let (uniform, zipf) = (data.uniform(ASKED), data.zipf(ASKED));
    let mut opened = Vec::new();
    for peer in peers {
        eprintln!("  {}: building", peer.name);
        opened.push(build_and_open(data, peer, &folder.join(peer.name))?);
    }
    compare(peers, &mut opened, &uniform[..COMPARED])?;
    let blocks = opened.iter().find(|o| o.row.name == "weir").map(|o| o.row.bytes as usize / data.keys.len());
    let mut limit = limit(data, folder, blocks)?;
    for round in 0..plan.rounds {
        eprintln!("  round {} of {}", round + 1, plan.rounds);
        let asked = window(&uniform, round);
        for Opened { store, row } in &mut opened {
            row.single = row.single.max(rate(asked, plan.turn, |keys| store.gets(keys)));
            row.batch = row.batch.max(rate(asked, plan.turn, |keys| in_batches(&**store, keys)));
            row.quantiles = row.quantiles.best(quantiles(&**store, &asked[asked.len() - TIMED..]));
        }
        let asked = window(&zipf, round);
        for Opened { store, row } in &mut opened {
            row.zipf_single = row.zipf_single.max(rate(asked, plan.turn / 2, |keys| store.gets(keys)));
            row.zipf_batch =
                row.zipf_batch.max(rate(asked, plan.turn / 2, |keys| in_batches(&**store, keys)));
        }
        limit.round(round as u64, plan.turn);
    }
    let mut rows = Vec::new();
    for (peer, Opened { store, row }) in peers.iter().zip(opened) {
        drop(store);
        rows.push(row);
        let row = rows.last_mut().context("just pushed")?;
        row.cold = if plan.cold {
            cold(data, peer, &folder.join(peer.name), &uniform)?
        } else {
            Cold::NotRun("COLD=0".into())
        };
    }
    Ok(SetReport {
        keys: data.keys.len(),
        places: data.places,
        items: data.items,
        payload: data.payload(),
        rows,
        limits: limit.rows(),
    })
}

fn build_and_open(data: &Data, peer: &Peer, folder: &Path) -> Result<Opened> {
    std::fs::create_dir_all(folder)?;
    let mut feed = Feed::new(data);
    let (start, processor) = (Instant::now(), clock::process());
    let built = (peer.build)(&mut feed, folder).with_context(|| format!("building {}", peer.name))?;
    let processor = (clock::process() - processor).saturating_sub(feed.making.1).as_secs_f64();
    let wall = start.elapsed().saturating_sub(feed.making.0).as_secs_f64();
    let lists = data.keys.len() as f64;
    let (store, bytes) = match built {
        Built::Memory(store, bytes) => (store, bytes),
        Built::Files => {
            let files = files(folder)?;
            for file in &files {
                std::fs::File::open(file)?.sync_all()?;
                pages::warm(file)?;
            }
            let bytes = files.iter().filter_map(|f| f.metadata().ok()).map(|m| on_disk(&m)).sum();
            let store = (peer.open)(data, folder, Pages::Warm);
            (store.with_context(|| format!("opening {}", peer.name))?, bytes)
        }
    };
    let row = Row {
        name: peer.name.to_owned(),
        what: peer.what.to_owned(),
        bytes,
        build_per_core: lists / processor,
        build: lists / wall,
        ..Row::default()
    };
    Ok(Opened { store, row })
}

/// What a file holds, or takes where it has holes.
fn on_disk(file: &std::fs::Metadata) -> u64 {
    use std::os::unix::fs::MetadataExt;
    file.len().min(file.blocks() * 512)
}

/// Batches answer as single gets do, and stores of raw bytes as each other.
fn compare(peers: &[Peer], opened: &mut [Opened], keys: &[u64]) -> Result<()> {
    let mut expected = None;
    for (peer, Opened { store, row }) in peers.iter().zip(opened) {
        let sum = store.gets(keys);
        ensure!(
            sum == in_batches(&**store, keys),
            "{}: a batch answers otherwise than single gets",
            row.name
        );
        ensure!(keys.iter().all(|key| store.get(*key) != 0), "{}: a key is missing", row.name);
        ensure!(store.get(mix(u64::MAX)) == 0, "{}: finds a key that is not there", row.name);
        if peer.raw {
            ensure!(*expected.get_or_insert(sum) == sum, "{}: answers otherwise than the others", row.name);
        }
    }
    Ok(())
}

fn in_batches(store: &dyn Store, keys: &[u64]) -> u64 {
    keys.chunks(BATCH).fold(0, |sum, keys| sum.wrapping_add(store.batch(keys)))
}

/// Half of what is asked for, from another place each round.
fn window(asked: &[u64], round: usize) -> &[u64] {
    let half = asked.len() / 2;
    let start = (round * 611_953) % half;
    &asked[start..start + half]
}

/// Lists a second of processor time, asked for during about one turn.
fn rate(asked: &[u64], turn: Duration, mut run: impl FnMut(&[u64]) -> u64) -> f64 {
    let (mut done, start) = (0, clock::thread());
    // Steps long enough that looking at the clock costs nothing.
    for keys in asked.chunks(BATCH * 16) {
        black_box(run(keys));
        done += keys.len();
        if clock::thread() - start >= turn {
            break;
        }
    }
    done as f64 / (clock::thread() - start).as_secs_f64()
}

fn quantiles(store: &dyn Store, keys: &[u64]) -> Quantiles {
    let mut times = Vec::with_capacity(keys.len());
    for key in keys {
        let start = Instant::now();
        black_box(store.get(*key));
        times.push(start.elapsed().as_nanos() as u64);
    }
    Quantiles::of(times)
}

/// Reads after all pages of the store's files were dropped.
fn cold(data: &Data, peer: &Peer, folder: &Path, asked: &[u64]) -> Result<Cold> {
    let files = files(folder)?;
    if files.is_empty() {
        return Ok(Cold::NotRun("in memory".to_owned()));
    }
    for file in &files {
        pages::drop_pages(file)?;
    }
    let (mut still, mut all) = (0, 0);
    for file in &files {
        let (resident, pages) = pages::resident(file)?;
        still += resident;
        all += pages;
    }
    if still * 50 > all {
        return Ok(Cold::NotRun(format!("{still} of {all} pages stay in memory")));
    }
    let opening = Instant::now();
    let store = (peer.open)(data, folder, Pages::Cold)?;
    let open_ms = opening.elapsed().as_secs_f64() * 1e3;
    let (mut times, start) = (Vec::new(), Instant::now());
    for key in asked.iter().take(COLD_GETS) {
        let one = Instant::now();
        black_box(store.get(*key));
        times.push(one.elapsed().as_nanos() as u64);
        if start.elapsed() > COLD_TIME {
            break;
        }
    }
    let rate = times.len() as f64 / start.elapsed().as_secs_f64();
    Ok(Cold::Run { open_ms, gets: times.len(), rate, quantiles: Quantiles::of(times) })
}

/// All files below a folder.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let (mut found, mut todo) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() { todo.push(path) } else { found.push(path) }
        }
    }
    Ok(found)
}

/// The machine's own limits on a file as large as the payload.
struct Limits {
    reads: Reads,
    blocks: Vec<usize>,
    best: Vec<f64>,
}

fn limit(data: &Data, folder: &Path, block: Option<usize>) -> Result<Limits> {
    let path = folder.join("limit");
    let mut words = vec![0u8; 1 << 20];
    let mut file = std::fs::File::create(&path)?;
    for part in 0..data.payload().div_ceil(words.len() as u64).max(4) {
        for (n, word) in words.chunks_exact_mut(8).enumerate() {
            word.copy_from_slice(&mix(part << 20 | n as u64).to_le_bytes());
        }
        std::io::Write::write_all(&mut file, &words)?;
    }
    file.sync_all()?;
    let blocks: Vec<usize> = std::iter::once(data.list_bytes()).chain(block).collect();
    Ok(Limits { reads: Reads::of(&path)?, best: vec![0.0; 2 + blocks.len()], blocks })
}

impl Limits {
    fn round(&mut self, round: u64, turn: Duration) {
        let Self { reads, blocks, best } = self;
        let seed = |step: u64| mix(round << 32 | step);
        let mut steps = |slot: usize, per_step: usize, run: &dyn Fn(u64, usize) -> u64| {
            let (start, mut done, mut step) = (clock::thread(), 0, 0);
            while clock::thread() - start < turn {
                black_box(run(seed(step), per_step));
                done += per_step;
                step += 1;
            }
            best[slot] = best[slot].max(done as f64 / (clock::thread() - start).as_secs_f64());
        };
        steps(0, 100_000, &|seed, n| reads.lines(seed, n));
        steps(1, 10_000, &|seed, n| reads.dependent(seed, n));
        for (slot, bytes) in blocks.iter().enumerate() {
            steps(2 + slot, 20_000, &|seed, n| reads.blocks(seed, n, *bytes));
        }
    }

    fn rows(&self) -> Vec<Limit> {
        let names = ["random lines of 64 B".to_owned(), "dependent reads of a line".to_owned()];
        let blocks = self.blocks.iter().map(|bytes| format!("random blocks of {bytes} B, asked for ahead"));
        names
            .into_iter()
            .chain(blocks)
            .zip(&self.best)
            .map(|(what, rate)| Limit { what, rate: *rate })
            .collect()
    }
}
