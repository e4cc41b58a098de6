//! A test that did not run is never silent: its line reaches the list, and the list fails where every test must run.

use std::path::{Path, PathBuf};
use std::process::Command;

#[path = "../../tests/src/not_run.rs"]
mod not_run;

use not_run::{VARIABLE, not_run};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).expect("a file of the workspace")
}

/// Whether `scripts/all-ran` passes, and what it says.
fn all_ran(file: &Path, ci: &str) -> (bool, String) {
    let output = Command::new(root().join("scripts/all-ran")).arg(file).env("CI", ci).output();
    let output = output.expect("bash");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn what_did_not_run_is_listed_and_fails_where_all_must() {
    const SELF: &str = "what_did_not_run_is_listed_and_fails_where_all_must";
    if std::env::var_os("NOT_RUN_ITSELF").is_some() {
        return not_run("a moon (full)");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("list");
    assert_eq!(all_ran(&file, "true"), (true, String::new()), "no file: all ran");
    // As the test harness runs it: captured, passing, and still heard.
    let itself = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", SELF])
        .env("NOT_RUN_ITSELF", "1")
        .env(VARIABLE, &file)
        .output()
        .expect("this test");
    assert!(itself.status.success());
    let line = format!("{SELF}: not run: needs a moon (full)\n");
    assert_eq!(String::from_utf8_lossy(&itself.stderr), line);
    assert_eq!(std::fs::read_to_string(&file).expect("the list"), line);
    let (passed, said) = all_ran(&file, "");
    assert!(passed && said.contains(&line), "{said}");
    let (passed, said) = all_ran(&file, "true");
    assert!(!passed && said.contains(&line) && said.contains("every test must run"), "{said}");
}

#[test]
fn continuous_integration_asks_for_it() {
    assert!(read(".ci/run").contains("export CI=true"));
    assert!(read("scripts/test").contains("scripts/all-ran \"$WEIR_NOT_RUN\""));
}
