//! What a process that was killed had not put in its place yet in an archive that is a folder: files with a number behind their name, which no
//! listing of the archive shows. Not for a bucket: what was not finished there is no object.

use std::io::ErrorKind;
use std::path::Path;

use crate::config::Config;
use crate::log::Stream;
use crate::publish::remote::Address;
use crate::{Error, Result};

/// Removes those of one log. The caller holds the archive's lock, so none of them is being written.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn sweep(config: &Config, producer: u64) -> Result<()> {
    let Some(Address::Folder(root)) = &config.log.archive else { return Ok(()) };
    let root = crate::config::namespace_root(root, &config.namespace);
    let own = format!("{producer:016x}-");
    [Stream::Events, Stream::Decisions]
        .into_iter()
        .try_for_each(|stream| below(&root.join(stream.folder()), &own))
}

fn below(folder: &Path, own: &str) -> Result<()> {
    let listing = match std::fs::read_dir(folder) {
        Ok(listing) => listing,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::io(folder)(error)),
    };
    for entry in listing {
        let entry = entry.map_err(Error::io(folder))?;
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            below(&path, own)?;
        } else if name.to_str().is_some_and(|name| name.starts_with(own) && is_staged(name)) {
            tracing::info!(path = %path.display(), "removing it for an erasure");
            std::fs::remove_file(&path).map_err(Error::io(&path))?;
        }
    }
    Ok(())
}

fn is_staged(name: &str) -> bool {
    let number = name.rsplit_once('#').map(|(_, number)| number);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|digit| digit.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_this_log_had_under_way_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::in_folder(folder.path()).unwrap();
        config.log.archive = Some(Address::Folder(folder.path().join("old")));
        let day = folder.path().join("old/events/date=2026-11-21");
        std::fs::create_dir_all(&day).unwrap();
        let names =
            ["00000000000000ff-1.parquet", "00000000000000ff-1.parquet#1", "00000000000000fe-1.parquet#1"];
        names.iter().for_each(|name| std::fs::write(day.join(name), "a name").unwrap());
        sweep(&config, 0xff).unwrap();
        assert_eq!(names.map(|name| day.join(name).exists()), [true, false, true]);
        config.log.archive = None;
        sweep(&config, 0xfe).unwrap();
        assert!(day.join(names[2]).exists());
    }
}
