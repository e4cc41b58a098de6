//! The mapped file and prefetching: the only `unsafe` of the static store.

use std::fs::File;
use std::ops::Deref;
use std::path::Path;

use memmap2::Mmap;

#[cfg(target_os = "linux")]
use super::sigbus;
use crate::{Error, Result};

/// The bytes of a mapped file. Should somebody truncate the file, they turn into zeros; see `sigbus.rs`.
#[derive(Debug)]
pub(super) struct Mapped {
    /// Declared first, hence dropped before the map.
    #[cfg(target_os = "linux")]
    guard: Option<sigbus::Guard>,
    map: Mmap,
}

impl Deref for Mapped {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        &self.map
    }
}

impl Mapped {
    /// Whether the file lost bytes under the map. What was checked and used before this says "no" was whole.
    pub(super) fn lost(&self) -> bool {
        #[cfg(target_os = "linux")]
        return self.guard.as_ref().is_some_and(sigbus::Guard::lost);
        #[cfg(not(target_os = "linux"))]
        false
    }
}

/// Maps a whole file read-only.
pub(super) fn map(path: &Path) -> Result<Mapped> {
    let file = File::open(path).map_err(Error::io(path))?;
    if file.metadata().map_err(Error::io(path))?.len() == 0 {
        return Err(Error::Corrupt {
            path: path.to_owned(),
            section: "header".to_owned(),
            offset: 0,
            detail: "the file is empty".to_owned(),
        });
    }
    // SAFETY: published generations are immutable: they are written under another name, renamed, and only ever unlinked, which
    // leaves a mapping whole. Bytes are read as `u8` only, so that any content is valid; where somebody breaks that promise and
    // truncates a published file in place, `sigbus.rs` gives zeros for what is gone.
    let map = unsafe { Mmap::map(&file) }.map_err(Error::io(path))?;
    Ok(Mapped {
        #[cfg(target_os = "linux")]
        guard: sigbus::Guard::over(&map),
        map,
    })
}

/// Asks for the cache line at a place; does nothing where the processor has no such wish. What it asks for outside the bytes is of no
/// use to anyone and of no harm.
#[inline]
pub(super) fn prefetch(bytes: &[u8], at: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch reads nothing that the program can see, and no address makes it fail.
    unsafe {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(bytes.as_ptr().wrapping_add(at).cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (bytes, at);
}

/// Says that all of it will be read and stay: what is not in memory yet comes as huge pages where the file system can. A wish.
pub(super) fn whole(map: &Mapped) {
    #[cfg(target_os = "linux")]
    let _ = map.map.advise(memmap2::Advice::HugePage);
    #[cfg(not(target_os = "linux"))]
    let _ = map;
}

/// Reads all pages and keeps them in memory until the map is dropped.
pub(super) fn lock(map: &Mapped) -> std::io::Result<()> {
    whole(map);
    #[cfg(unix)]
    return map.map.lock();
    #[cfg(not(unix))]
    Err(std::io::Error::from(std::io::ErrorKind::Unsupported))
}

/// Bytes that are read ahead by one call: the system holds its map of our memory meanwhile, and others wait for it.
const SLICE: usize = 8 << 20;

/// Reads all pages now, a slice at a time.
pub(super) fn warm(map: &Mapped) -> std::io::Result<()> {
    whole(map);
    #[cfg(target_os = "linux")]
    {
        let mut slices = (0..map.len()).step_by(SLICE).map(|at| (at, SLICE.min(map.len() - at)));
        if slices.all(|(at, length)| map.map.advise_range(memmap2::Advice::PopulateRead, at, length).is_ok())
        {
            return Ok(());
        }
    }
    #[cfg(unix)]
    map.map.advise(memmap2::Advice::WillNeed)?;
    // One byte of each page: what the system would not do by itself.
    let touched = map.iter().step_by(4096).fold(0u8, |sum, byte| sum ^ byte);
    std::hint::black_box(touched);
    Ok(())
}

/// Pages are asked for one by one: nothing is read ahead.
pub(super) fn lazy(map: &Mapped) -> std::io::Result<()> {
    #[cfg(target_os = "linux")]
    let _ = map.map.advise(memmap2::Advice::NoHugePage);
    #[cfg(unix)]
    map.map.advise(memmap2::Advice::Random)?;
    Ok(())
}
