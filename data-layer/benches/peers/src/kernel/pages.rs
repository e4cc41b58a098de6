//! Files and the page cache: mapping them, bringing their pages in, dropping them, and saying how many are there.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use anyhow::{Context, Result};
use memmap2::{Advice, Mmap};

use crate::store::Pages;

/// A file as a map: its pages brought in where reads are to be warm, no reading ahead where they are to be cold.
pub fn map(path: &Path, pages: Pages) -> Result<Mmap> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    // SAFETY: the file is this run's own and is not written to any more.
    let map = unsafe { Mmap::map(&file)? };
    match pages {
        Pages::Warm => map.advise(Advice::PopulateRead)?,
        Pages::Cold => map.advise(Advice::Random)?,
    }
    Ok(map)
}

/// Reads a file to its end, so that its pages are in the page cache.
pub fn warm(path: &Path) -> Result<()> {
    std::io::copy(&mut File::open(path)?, &mut std::io::sink())?;
    Ok(())
}

/// Writes a file's dirty pages to the disk and drops all of its pages from the page cache. Nobody may have it mapped.
pub fn drop_pages(path: &Path) -> Result<()> {
    let file = File::options().read(true).write(true).open(path)?;
    file.sync_all()?;
    // SAFETY: the descriptor is open for the length of the call.
    let refused = unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
    anyhow::ensure!(refused == 0, "posix_fadvise of {}: error {refused}", path.display());
    Ok(())
}

/// Pages of a file that are in the page cache, and all its pages.
pub fn resident(path: &Path) -> Result<(usize, usize)> {
    let file = File::open(path)?;
    if file.metadata()?.len() == 0 {
        return Ok((0, 0));
    }
    // SAFETY: the file is this run's own and is not written to any more.
    let map = unsafe { Mmap::map(&file)? };
    let mut pages = vec![0u8; map.len().div_ceil(4096)];
    // SAFETY: the map is live, and there is a byte for each of its pages.
    let refused = unsafe { libc::mincore(map.as_ptr() as *mut _, map.len(), pages.as_mut_ptr()) };
    anyhow::ensure!(refused == 0, "mincore of {}: {}", path.display(), std::io::Error::last_os_error());
    Ok((pages.iter().filter(|page| **page & 1 == 1).count(), pages.len()))
}
