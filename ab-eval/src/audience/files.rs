//! Files of a world: RecBole `audience.inter`, `.item`, `.user` for whoever trains or serves, and `truth/world.json`, which
//! only this folder reads. Same recipe, same bytes.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use data_layer::types::time::SECOND;

use super::play::Past;
use super::world::World;
use crate::error::{Error, Result};

/// Newest form of `truth/world.json` that this program reads.
const FORMAT: u32 = 1;

fn truth_path(dir: &Path) -> PathBuf {
    dir.join("truth").join("world.json")
}

/// Writes all files of a past into a folder, which is made.
///
/// # Errors
/// The operating system's, with the path.
pub fn write(past: &Past, dir: &Path) -> Result<()> {
    let truth = truth_path(dir);
    if let Some(parent) = truth.parent() {
        fs::create_dir_all(parent).map_err(Error::io(parent))?;
    }
    table(&dir.join("audience.inter"), |out| interactions(past, out))?;
    table(&dir.join("audience.item"), |out| items(&past.world, out))?;
    table(&dir.join("audience.user"), |out| people(&past.world, out))?;
    table(&truth, |out| serde_json::to_writer(out, &past.world).map_err(std::io::Error::from))
}

/// Reads the truth of a world back.
///
/// # Errors
/// A missing, malformed or newer file, with its path.
pub fn read_truth(dir: &Path) -> Result<World> {
    let path = truth_path(dir);
    let text = fs::read(&path).map_err(Error::io(&path))?;
    let world: World = serde_json::from_slice(&text).map_err(|e| {
        Error::input(&path, format!("expected a world written by `weir-eval audience make`: {e}"))
    })?;
    if world.format > FORMAT {
        let detail = format!("format {} is newer than {FORMAT}, the newest this program reads", world.format);
        return Err(Error::input(&path, detail));
    }
    Ok(world)
}

fn table(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) -> Result<()> {
    let mut out = BufWriter::new(File::create(path).map_err(Error::io(path))?);
    fill(&mut out).and_then(|()| out.flush()).map_err(Error::io(path))
}

fn interactions(past: &Past, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "user_id:token\titem_id:token\taction:token\ttimestamp:float")?;
    let (people, items) = (&past.world.people, &past.world.items);
    for row in &past.rows {
        let action = if row.like { "like" } else { "click" };
        let (person, item) = (&people[row.person as usize].id, &items[row.item as usize].id);
        writeln!(out, "{person}\t{item}\t{action}\t{}", row.time / SECOND)?;
    }
    Ok(())
}

fn items(world: &World, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "item_id:token\ttitle:token_seq\ttopic:token\ttags:token_seq\tcreated:float")?;
    for item in &world.items {
        let topic = &world.topics[item.topic].name;
        writeln!(out, "{}\t{}\t{topic}\t{}\t{}", item.id, item.title, item.tags.join(" "), item.created)?;
    }
    Ok(())
}

fn people(world: &World, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "user_id:token\tinterest:token")?;
    for person in &world.people {
        writeln!(out, "{}\t{}", person.id, world.topics[person.interest].name)?;
    }
    Ok(())
}
