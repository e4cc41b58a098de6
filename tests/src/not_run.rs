//! Says that a test did not run because the machine lacks what it needs: root, a cgroup, a small tmpfs, a program. Not for
//! tests that are slow or fail now and then: those are mended.
//!
//! Tests of this crate call `tests::not_run::not_run`. Tests of another crate, which can't depend on this one, take the same
//! file in: `#[path = "../../tests/src/not_run.rs"] mod not_run;` from `CRATE/tests/*.rs`, and likewise from within its `src/`.
//!
//! ```text
//! #[test]
//! fn a_table_twice_the_memory_is_served() {
//!     if !is_root() {
//!         return not_run("root (a memory cgroup)");
//!     }
//!     …
//! }
//! ```
//! `scripts/test` lists at its end what did not run, and fails by it where `CI` is set, as `.ci/run` does. So every tool that a test
//! asks for this way is named in `scripts/need` or installed there.

use std::fs::File;
use std::io::Write;

/// Names the file, in the environment, to which `not run: …` lines are appended.
pub const VARIABLE: &str = "WEIR_NOT_RUN";

/// Writes `TEST: not run: needs …` where it is seen although the test passes, and to the file that [`VARIABLE`] names.
///
/// # Panics
/// If there is such a file and it can't be written: then nobody would know.
pub fn not_run(needs: &str) {
    let thread = std::thread::current();
    let line = format!("{}: not run: needs {needs}\n", thread.name().unwrap_or("a test"));
    // Not `println!`, whose lines the test harness keeps to itself when a test passes.
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        let file = File::options().create(true).append(true).open(&path);
        let written = file.and_then(|mut file| file.write_all(line.as_bytes()));
        assert!(written.is_ok(), "{VARIABLE}: {}: {written:?}", path.display());
    }
}
