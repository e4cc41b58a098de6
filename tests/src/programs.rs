//! Weir's programs as users run them. They lie beside the test's own executable, built in the same go; no cargo runs here.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// Path of `weir`, `weir-trainer` or `weir-eval`.
///
/// # Panics
/// If it was not built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    // …/debug/deps/NAME-HASH, and the programs in …/debug.
    let folder = test.parent().and_then(|deps| deps.parent()).expect("a target folder");
    let path = folder.join(name);
    assert!(
        path.exists(),
        "{} is missing: run `make test`, or `cargo build --workspace` first",
        path.display()
    );
    path
}

/// What a finished program said.
#[derive(Debug)]
pub struct Said {
    /// Its exit code; −1 where a signal ended it.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// Runs a program to its end.
///
/// # Panics
/// If it can't be started.
#[must_use]
pub fn run(name: &str, arguments: &[&str]) -> Said {
    run_with(name, arguments, &[])
}

/// The same with variables in its environment.
///
/// # Panics
/// If it can't be started.
#[must_use]
pub fn run_with(name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Said {
    let output = Command::new(program(name))
        .args(arguments)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    said(&output)
}

/// Runs a program that must end with 0, and gives back what it printed.
///
/// # Panics
/// If it ends otherwise.
pub fn must(name: &str, arguments: &[&str]) -> String {
    let said = run(name, arguments);
    assert_eq!(said.code, 0, "{name} {}\n{}\n{}", arguments.join(" "), said.out, said.err);
    said.out
}

fn said(output: &Output) -> Said {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), err: text(&output.stderr) }
}
