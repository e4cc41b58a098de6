//! Sparkey's C library: writing a log, hashing it, and finding values without copying them.

use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::null_mut;

use anyhow::{Result, bail};
use sparkey_sys as c;

fn check(code: c::returncode, what: &str) -> Result<()> {
    if code as i32 == 0 {
        return Ok(());
    }
    // SAFETY: the library gives back a constant text for every code.
    let text = unsafe { CStr::from_ptr(c::errstring(code)) };
    bail!("sparkey, {what}: {}", text.to_string_lossy())
}

fn text(path: &Path) -> Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// A log that is being written.
pub struct Log(*mut c::logwriter);

impl Log {
    /// A new log without compression.
    pub fn create(path: &Path) -> Result<Self> {
        let path = text(path)?;
        let mut log = null_mut();
        // SAFETY: the path ends in a zero byte, and the place for the writer is valid.
        let code =
            unsafe { c::logwriter_create(&mut log, path.as_ptr(), c::compression_type::COMPRESSION_NONE, 0) };
        check(code, "create").map(|()| Self(log))
    }

    /// Adds a value.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        // SAFETY: the writer is open until `close`, which takes it; lengths are those of the slices.
        let code = unsafe {
            c::logwriter_put(self.0, key.len() as u64, key.as_ptr(), value.len() as u64, value.as_ptr())
        };
        check(code, "put")
    }

    /// Flushes and closes it.
    pub fn close(mut self) -> Result<()> {
        // SAFETY: the writer is open, and cannot be used after this.
        check(unsafe { c::logwriter_close(&mut self.0) }, "close")
    }
}

/// Writes the hash index of a log, its width chosen by the library.
pub fn write_hash(index: &Path, log: &Path) -> Result<()> {
    let (index, log) = (text(index)?, text(log)?);
    // SAFETY: both paths end in a zero byte.
    check(unsafe { c::hash_write(index.as_ptr(), log.as_ptr(), 0) }, "hash")
}

/// A hashed log, mapped by the library.
pub struct Reader {
    hash: *mut c::hashreader,
    log: *mut c::logreader,
    iterator: *mut c::logiter,
}

impl Reader {
    /// Opens index and log.
    pub fn open(index: &Path, log: &Path) -> Result<Self> {
        let (index, path) = (text(index)?, text(log)?);
        let (mut hash, mut iterator) = (null_mut(), null_mut());
        // SAFETY: both paths end in a zero byte, and the place for the reader is valid.
        check(unsafe { c::hash_open(&mut hash, index.as_ptr(), path.as_ptr()) }, "open")?;
        // SAFETY: the reader was just opened; the log belongs to it and lives as long.
        let log = unsafe { c::hash_getreader(hash) };
        // SAFETY: the log is open.
        check(unsafe { c::logiter_create(&mut iterator, log) }, "iterator")?;
        Ok(Self { hash, log, iterator })
    }

    /// The value of a key, where it lies in the map.
    #[must_use]
    pub fn find(&self, key: &[u8]) -> Option<&[u8]> {
        let (mut value, mut length) = (null_mut(), 0u64);
        // SAFETY: reader and iterator live as long as self and are used by one thread, for they are not `Sync`; a chunk of an
        // uncompressed log is a part of its map, which lives as long as self.
        unsafe {
            let found = c::hash_get(self.hash, key.as_ptr(), key.len() as u64, self.iterator);
            if found as i32 != 0
                || c::logiter_state(self.iterator) as u32 != c::iter_state::ITER_ACTIVE as u32
            {
                return None;
            }
            let whole = c::logiter_valuelen(self.iterator);
            let code = c::logiter_valuechunk(self.iterator, self.log, whole, &mut value, &mut length);
            (code as i32 == 0 && length == whole).then(|| std::slice::from_raw_parts(value, whole as usize))
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // SAFETY: both are open and not used after this.
        unsafe {
            c::logiter_close(&mut self.iterator);
            c::hash_close(&mut self.hash);
        }
    }
}
