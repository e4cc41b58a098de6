//! The key-list store beside its peers: the same lists, the same keys in the same order, every byte of each list touched, in one run.
//!
//! Data: 1,000,000 keys × 100 places and 10,000,000 keys × 10; keys are numbers, a place is a u64 item and an f32 score. Peers are
//! given the raw places, 12 bytes each; ours decodes every place. Absolute figures mean little on a shared machine: ratios do.
//! `SIZES=KEYSxPLACES,…` (or `KEYS=`, `PLACES=`) for other sets, `ITEMS=` for another dictionary, `ONLY=weir,hashbrown` for some of
//! the stores, `ROUNDS=`, `COLD=0`, `DIR=` for where the files go (about 12 GB; not a tmpfs), `OUT=` for the JSON.

mod data;
mod kernel;
mod measure;
mod peer;
mod report;
mod store;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;

use crate::data::Data;
use crate::measure::Plan;
use crate::report::{SetReport, Target};
use crate::store::Peer;

#[derive(Serialize)]
struct Set {
    #[serde(flatten)]
    report: SetReport,
    targets: Vec<Target>,
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn number(name: &str) -> Result<Option<usize>> {
    let parse =
        |text: String| text.replace('_', "").parse().with_context(|| format!("{name}={text}: not a number"));
    variable(name).map(parse).transpose()
}

/// Keys and places of each set.
fn sizes() -> Result<Vec<(usize, usize)>> {
    if let Some(keys) = number("KEYS")? {
        return Ok(vec![(keys, number("PLACES")?.unwrap_or(100))]);
    }
    let text = variable("SIZES").unwrap_or_else(|| "1000000x100,10000000x10".to_owned());
    let size = |part: &str| {
        let (keys, places) =
            part.split_once('x').with_context(|| format!("SIZES: {part} is not KEYSxPLACES"))?;
        Ok((keys.trim().parse()?, places.trim().parse()?))
    };
    text.split(',').map(size).collect()
}

fn chosen() -> Result<Vec<Peer>> {
    let Some(only) = variable("ONLY") else { return Ok(peer::PEERS.into()) };
    let names: Vec<&str> = only.split(',').map(str::trim).collect();
    let peers: Vec<Peer> = peer::PEERS.into_iter().filter(|peer| names.contains(&peer.name)).collect();
    if peers.len() != names.len() {
        let known: Vec<&str> = peer::PEERS.iter().map(|peer| peer.name).collect();
        bail!("ONLY={only}: expected some of {}", known.join(","));
    }
    Ok(peers)
}

fn main() -> Result<()> {
    let peers = chosen()?;
    let plan = Plan {
        rounds: number("ROUNDS")?.unwrap_or(7),
        turn: Duration::from_millis(150),
        cold: variable("COLD").as_deref() != Some("0"),
    };
    let place = variable("DIR").map_or_else(std::env::temp_dir, PathBuf::from);
    let start = Instant::now();
    let mut sets = Vec::new();
    for peer in &peers {
        println!("{:<20} {}", peer.name, peer.what);
    }
    for (keys, places) in sizes()? {
        let items = number("ITEMS")?.unwrap_or(if keys >= 10_000_000 { 1_000_000 } else { 100_000 });
        ensure!(
            places >= 1 && items >= 2 * places,
            "{places} places need a dictionary of at least {}",
            2 * places
        );
        eprintln!("{keys} keys × {places} places, {:.0} s", start.elapsed().as_secs_f64());
        // Files of one set are gone before the next is built.
        let folder = tempfile::Builder::new().prefix("weir-peers-").tempdir_in(&place)?;
        let data = Data::new(keys, places, u32::try_from(items)?);
        let report = measure::set(&data, &peers, folder.path(), plan)?;
        println!("{}", report.markdown());
        sets.push(Set { targets: report.targets(), report });
    }
    let out = variable("OUT").map_or_else(|| place.join("weir-peers.json"), PathBuf::from);
    std::fs::write(&out, serde_json::to_string_pretty(&sets)? + "\n")?;
    println!("figures in {}; took {:.0} s", out.display(), start.elapsed().as_secs_f64());
    Ok(())
}
