//! The few calls of RocksDB's C API (`rocksdb/c.h`, 7.x) that are needed: writing one sorted file, taking it in, reading it.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::null_mut;

use anyhow::{Result, bail};

type Ptr = *mut c_void;
type Err = *mut *mut c_char;

unsafe extern "C" {
    fn rocksdb_options_create() -> Ptr;
    fn rocksdb_options_set_create_if_missing(options: Ptr, v: u8);
    fn rocksdb_options_set_compression(options: Ptr, v: c_int);
    fn rocksdb_options_set_allow_mmap_reads(options: Ptr, v: u8);
    fn rocksdb_options_set_write_buffer_size(options: Ptr, v: usize);
    fn rocksdb_options_set_max_open_files(options: Ptr, v: c_int);
    fn rocksdb_options_set_prefix_extractor(options: Ptr, v: Ptr);
    fn rocksdb_options_set_block_based_table_factory(options: Ptr, v: Ptr);
    fn rocksdb_options_set_plain_table_factory(
        options: Ptr,
        key: u32,
        bloom: c_int,
        ratio: f64,
        sparse: usize,
    );
    fn rocksdb_options_set_cuckoo_table_factory(options: Ptr, v: Ptr);
    fn rocksdb_slicetransform_create_fixed_prefix(n: usize) -> Ptr;
    fn rocksdb_block_based_options_create() -> Ptr;
    fn rocksdb_block_based_options_set_block_cache(options: Ptr, cache: Ptr);
    fn rocksdb_block_based_options_set_no_block_cache(options: Ptr, v: u8);
    fn rocksdb_block_based_options_set_data_block_index_type(options: Ptr, v: c_int);
    fn rocksdb_block_based_options_set_format_version(options: Ptr, v: c_int);
    fn rocksdb_cache_create_lru(bytes: usize) -> Ptr;
    fn rocksdb_cuckoo_options_create() -> Ptr;
    fn rocksdb_envoptions_create() -> Ptr;
    fn rocksdb_sstfilewriter_create(env: Ptr, options: Ptr) -> Ptr;
    fn rocksdb_sstfilewriter_open(writer: Ptr, name: *const c_char, err: Err);
    fn rocksdb_sstfilewriter_put(
        writer: Ptr,
        k: *const c_char,
        kn: usize,
        v: *const c_char,
        vn: usize,
        err: Err,
    );
    fn rocksdb_sstfilewriter_finish(writer: Ptr, err: Err);
    fn rocksdb_sstfilewriter_destroy(writer: Ptr);
    fn rocksdb_ingestexternalfileoptions_create() -> Ptr;
    fn rocksdb_ingestexternalfileoptions_set_move_files(options: Ptr, v: u8);
    fn rocksdb_ingest_external_file(db: Ptr, files: *const *const c_char, n: usize, options: Ptr, err: Err);
    fn rocksdb_open(options: Ptr, name: *const c_char, err: Err) -> Ptr;
    fn rocksdb_open_for_read_only_column_families(
        options: Ptr,
        name: *const c_char,
        n: c_int,
        names: *const *const c_char,
        family_options: *const Ptr,
        families: *mut Ptr,
        error_if_log: u8,
        err: Err,
    ) -> Ptr;
    fn rocksdb_close(db: Ptr);
    fn rocksdb_writeoptions_create() -> Ptr;
    fn rocksdb_writeoptions_disable_WAL(options: Ptr, v: c_int);
    fn rocksdb_put(db: Ptr, o: Ptr, k: *const c_char, kn: usize, v: *const c_char, vn: usize, err: Err);
    fn rocksdb_flushoptions_create() -> Ptr;
    fn rocksdb_flush(db: Ptr, options: Ptr, err: Err);
    fn rocksdb_readoptions_create() -> Ptr;
    fn rocksdb_column_family_handle_destroy(family: Ptr);
    fn rocksdb_get_pinned(db: Ptr, options: Ptr, k: *const c_char, kn: usize, err: Err) -> Ptr;
    fn rocksdb_batched_multi_get_cf(
        db: Ptr,
        options: Ptr,
        family: Ptr,
        n: usize,
        keys: *const *const c_char,
        lengths: *const usize,
        values: *mut Ptr,
        errs: Err,
        sorted: bool,
    );
    fn rocksdb_pinnableslice_value(slice: Ptr, length: *mut usize) -> *const c_char;
    fn rocksdb_pinnableslice_destroy(slice: Ptr);
    fn rocksdb_free(p: Ptr);
}

/// Large enough for everything that is put, so that one flush writes one file.
const MEMORY_TABLE: usize = 4 << 30;

/// How RocksDB lays out a file.
#[derive(Debug, Clone, Copy)]
pub enum Format {
    /// Blocks of 4 KiB: mapped, or, with a cache of some bytes, read into that.
    Block {
        /// Bytes of the block cache; 0 for a map instead.
        cache: usize,
    },
    /// Plain table.
    Plain,
    /// Cuckoo table.
    Cuckoo,
}

/// Runs a call that may leave a text of an error.
fn checked<T>(call: impl FnOnce(Err) -> T) -> Result<T> {
    let mut error: *mut c_char = null_mut();
    let given = call(&mut error);
    if error.is_null() {
        return Ok(given);
    }
    // SAFETY: the library leaves a text that ends in a zero byte and is ours to free.
    let text = unsafe {
        let text = CStr::from_ptr(error).to_string_lossy().into_owned();
        rocksdb_free(error.cast());
        text
    };
    bail!("rocksdb: {text}")
}

fn text(path: &Path) -> Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// Options for a format. They live as long as the process: a handful per run.
fn options(format: Format) -> Ptr {
    // SAFETY: every pointer given is one that the library just made, and the factories take what they are given.
    unsafe {
        let options = rocksdb_options_create();
        rocksdb_options_set_create_if_missing(options, 1);
        rocksdb_options_set_compression(options, 0);
        rocksdb_options_set_max_open_files(options, -1);
        rocksdb_options_set_write_buffer_size(options, MEMORY_TABLE);
        match format {
            Format::Block { cache } => {
                let block = rocksdb_block_based_options_create();
                rocksdb_block_based_options_set_data_block_index_type(block, 1);
                rocksdb_block_based_options_set_format_version(block, 5);
                if cache == 0 {
                    rocksdb_block_based_options_set_no_block_cache(block, 1);
                    rocksdb_options_set_allow_mmap_reads(options, 1);
                } else {
                    rocksdb_block_based_options_set_block_cache(block, rocksdb_cache_create_lru(cache));
                }
                rocksdb_options_set_block_based_table_factory(options, block);
            }
            Format::Plain => {
                rocksdb_options_set_allow_mmap_reads(options, 1);
                rocksdb_options_set_prefix_extractor(options, rocksdb_slicetransform_create_fixed_prefix(8));
                rocksdb_options_set_plain_table_factory(options, 8, 0, 0.75, 16);
            }
            Format::Cuckoo => {
                rocksdb_options_set_allow_mmap_reads(options, 1);
                rocksdb_options_set_cuckoo_table_factory(options, rocksdb_cuckoo_options_create());
            }
        }
        options
    }
}

/// A database that is being written, in rising order of keys.
pub enum Writing {
    /// A file that is taken in whole when it is done.
    File {
        /// The writer of the file.
        writer: Ptr,
        /// The options of the database.
        options: Ptr,
        /// The folder of the database.
        folder: CString,
        /// The file.
        file: CString,
    },
    /// The database itself, for formats that it does not take in: everything in one memory table, without a log, flushed once.
    Memory {
        /// The database.
        db: Ptr,
        /// The options of a write.
        writes: Ptr,
    },
}

impl Writing {
    /// Starts a database in a folder.
    pub fn start(folder: &Path, format: Format) -> Result<Self> {
        let options = options(format);
        let (database, file) = (text(&folder.join("db"))?, text(&folder.join("lists.sst"))?);
        if let Format::Block { .. } = format {
            // SAFETY: options are live.
            let writer = unsafe { rocksdb_sstfilewriter_create(rocksdb_envoptions_create(), options) };
            // SAFETY: the writer was just made, and the path ends in a zero byte.
            checked(|err| unsafe { rocksdb_sstfilewriter_open(writer, file.as_ptr(), err) })?;
            return Ok(Self::File { writer, options, folder: database, file });
        }
        // SAFETY: options are live, and the path ends in a zero byte.
        let db = checked(|err| unsafe { rocksdb_open(options, database.as_ptr(), err) })?;
        // SAFETY: options of their own.
        let writes = unsafe { rocksdb_writeoptions_create() };
        // SAFETY: they were just made.
        unsafe { rocksdb_writeoptions_disable_WAL(writes, 1) };
        Ok(Self::Memory { db, writes })
    }

    /// Adds a value.
    pub fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let (k, v) = (key.as_ptr().cast(), value.as_ptr().cast());
        // SAFETY: writer and database are open until `finish`, which takes them; lengths are those of the slices.
        checked(|err| unsafe {
            match self {
                Self::File { writer, .. } => {
                    rocksdb_sstfilewriter_put(*writer, k, key.len(), v, value.len(), err);
                }
                Self::Memory { db, writes } => rocksdb_put(*db, *writes, k, key.len(), v, value.len(), err),
            }
        })
    }

    /// Writes what is not yet in files.
    pub fn finish(self) -> Result<()> {
        let db = match self {
            Self::Memory { db, .. } => {
                // SAFETY: the database is open.
                checked(|err| unsafe { rocksdb_flush(db, rocksdb_flushoptions_create(), err) })?;
                db
            }
            Self::File { writer, options, folder, file } => {
                // SAFETY: the writer is open and not used after this.
                checked(|err| unsafe {
                    rocksdb_sstfilewriter_finish(writer, err);
                    rocksdb_sstfilewriter_destroy(writer);
                })?;
                // SAFETY: options and paths are live, and the path ends in a zero byte.
                let db = checked(|err| unsafe { rocksdb_open(options, folder.as_ptr(), err) })?;
                let files = [file.as_ptr()];
                // SAFETY: the database is open, and there is one path.
                checked(|err| unsafe {
                    let options = rocksdb_ingestexternalfileoptions_create();
                    rocksdb_ingestexternalfileoptions_set_move_files(options, 1);
                    rocksdb_ingest_external_file(db, files.as_ptr(), 1, options, err);
                })?;
                db
            }
        };
        // SAFETY: the database is open and not used after this.
        unsafe { rocksdb_close(db) };
        Ok(())
    }
}

/// An open database that is only read.
pub struct Database {
    db: Ptr,
    family: Ptr,
    reads: Ptr,
}

impl Database {
    /// Opens what was written.
    pub fn open(folder: &Path, format: Format) -> Result<Self> {
        let folder = text(&folder.join("db"))?;
        let options = options(format);
        let (names, mut family) = ([c"default".as_ptr()], null_mut());
        // SAFETY: options are live, the path ends in a zero byte, and there is one name, one set of options and one place for a handle.
        let db = checked(|err| unsafe {
            let (folder, names) = (folder.as_ptr(), names.as_ptr());
            rocksdb_open_for_read_only_column_families(
                options,
                folder,
                1,
                names,
                &options,
                &mut family,
                0,
                err,
            )
        })?;
        // SAFETY: options of their own.
        let reads = unsafe { rocksdb_readoptions_create() };
        Ok(Self { db, family, reads })
    }

    /// What `touch` makes of the value of a key; 0 where there is none.
    pub fn get(&self, key: &[u8], touch: fn(&[u8]) -> u64) -> u64 {
        let mut error = null_mut();
        // SAFETY: the database is open; the length is that of the key.
        let slice =
            unsafe { rocksdb_get_pinned(self.db, self.reads, key.as_ptr().cast(), key.len(), &mut error) };
        take(slice, touch)
    }

    /// The same for many keys in rising order, summed.
    pub fn multi_get(&self, keys: &[[u8; 8]], touch: fn(&[u8]) -> u64) -> u64 {
        let pointers: Vec<*const c_char> = keys.iter().map(|key| key.as_ptr().cast()).collect();
        let lengths = vec![8usize; keys.len()];
        let (mut values, mut errors) = (vec![null_mut(); keys.len()], vec![null_mut(); keys.len()]);
        // SAFETY: there is a pointer, a length, and a place for value and error for each key.
        unsafe {
            rocksdb_batched_multi_get_cf(
                self.db,
                self.reads,
                self.family,
                keys.len(),
                pointers.as_ptr(),
                lengths.as_ptr(),
                values.as_mut_ptr(),
                errors.as_mut_ptr(),
                true,
            );
        }
        values.into_iter().fold(0, |sum, slice| sum.wrapping_add(take(slice, touch)))
    }
}

/// Touches a value and lets go of it.
fn take(slice: Ptr, touch: fn(&[u8]) -> u64) -> u64 {
    if slice.is_null() {
        return 0;
    }
    let mut length = 0;
    // SAFETY: the slice is live until it is destroyed here, and its bytes with it.
    unsafe {
        let value = rocksdb_pinnableslice_value(slice, &mut length);
        let sum = if value.is_null() { 0 } else { touch(std::slice::from_raw_parts(value.cast(), length)) };
        rocksdb_pinnableslice_destroy(slice);
        sum
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // SAFETY: handle and database are open and not used after this.
        unsafe {
            rocksdb_column_family_handle_destroy(self.family);
            rocksdb_close(self.db);
        }
    }
}
