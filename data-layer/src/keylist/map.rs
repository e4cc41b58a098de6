//! The mapped file and prefetching: the only `unsafe` of the static store.

use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use crate::{Error, Result};

/// Maps a whole file read-only.
pub(super) fn map(path: &Path) -> Result<Mmap> {
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
    // leaves a mapping whole. Bytes are read as `u8` only, so that any content is valid; who truncates a published file in place
    // breaks that promise and gets SIGBUS.
    unsafe { Mmap::map(&file) }.map_err(Error::io(path))
}

/// Asks for the cache line at a place; does nothing outside the bytes or where the processor has no such wish.
#[inline]
pub(super) fn prefetch(bytes: &[u8], at: usize) {
    #[cfg(target_arch = "x86_64")]
    if let Some(byte) = bytes.get(at) {
        // SAFETY: a prefetch reads nothing that the program can see; the address is that of a live byte of the slice.
        unsafe {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(byte).cast());
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (bytes, at);
}
