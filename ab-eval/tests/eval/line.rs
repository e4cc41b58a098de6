//! The command line: exit codes, messages, the same bytes twice.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// Path of a checked-in file of the parity case.
pub fn fixture(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity").join(name).display().to_string()
}

pub struct Ran(Output);

/// Runs the program.
pub fn weir_eval(line: &[&str]) -> Ran {
    Ran(Command::new(env!("CARGO_BIN_EXE_weir-eval")).args(line).output().unwrap())
}

impl Ran {
    pub fn code(&self) -> i32 {
        self.0.status.code().unwrap()
    }
    pub fn out(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }
    pub fn err(&self) -> String {
        String::from_utf8(self.0.stderr.clone()).unwrap()
    }
    pub fn json(&self) -> Value {
        assert_eq!(self.code(), 0, "{}", self.err());
        serde_json::from_str(&self.out()).unwrap()
    }
}

#[test]
fn wrong_usage_is_two_and_failure_is_one() {
    let (recs, truth) = (fixture("recs.csv"), fixture("truth.inter"));
    let ranking = |more: &[&str]| {
        let mut line = vec!["ranking", "--truth", &truth];
        line.extend(more);
        weir_eval(&line)
    };
    assert_eq!(weir_eval(&[]).code(), 2);
    assert_eq!(ranking(&["--recs", &recs, "--k", "0"]).code(), 2);
    let small = ranking(&["--recs", &recs, "--catalogue", "3"]);
    assert_eq!(small.code(), 2, "{}", small.err());
    let absent = ranking(&["--recs", "absent.parquet"]);
    assert_eq!(absent.code(), 1);
    assert!(absent.err().contains("absent.parquet"), "{}", absent.err());
    assert!(!absent.err().contains("panicked"));
    let not_parquet = tempfile::Builder::new().suffix(".parquet").tempfile().unwrap();
    std::fs::write(not_parquet.path(), "PAR1 nonsense PAR1").unwrap();
    let broken = ranking(&["--recs", &not_parquet.path().display().to_string()]);
    assert_eq!(broken.code(), 1);
    assert!(broken.err().contains("expected a Parquet file"), "{}", broken.err());
}

#[test]
fn help_has_examples_and_completions_are_there() {
    for command in
        [vec!["ranking"], vec!["ctr"], vec!["ab"], vec!["audience", "make"], vec!["audience", "act"]]
    {
        let mut line = command.clone();
        line.push("--help");
        let ran = weir_eval(&line);
        assert_eq!(ran.code(), 0);
        assert!(ran.out().contains("Examples:"), "{command:?}");
    }
    assert!(weir_eval(&["completions", "bash"]).out().contains("weir-eval"));
}

#[test]
fn the_same_line_prints_the_same_bytes() {
    let (recs, truth) = (fixture("recs.csv"), fixture("truth.inter"));
    let line = ["ranking", "--recs", &recs, "--truth", &truth, "--baseline", &recs, "--resamples", "50"];
    assert_eq!(weir_eval(&line).out(), weir_eval(&line).out());
    assert!(weir_eval(&line).out().contains("recall@20"));
}

#[test]
fn a_public_is_made_the_same_twice_and_its_truth_is_apart() {
    let dir = tempfile::tempdir().unwrap();
    let make = |name: &str| {
        let out = dir.path().join(name);
        let text = out.display().to_string();
        let ran = weir_eval(&[
            "audience", "make", "--seed", "4", "--users", "60", "--items", "50", "--days", "5", "--out",
            &text, "--format", "json",
        ]);
        assert!(ran.json()["interactions"].as_u64().unwrap() > 50);
        ["audience.inter", "audience.item", "audience.user", "truth/world.json"]
            .map(|f| std::fs::read_to_string(out.join(f)).unwrap())
    };
    let (a, b) = (make("a"), make("b"));
    assert_eq!(a, b);
    assert!(a[1].starts_with("item_id:token\ttitle:token_seq\ttopic:token\ttags:token_seq\tcreated:float\n"));
    assert!(a[..3].iter().all(|f| !f.contains("quality") && !f.contains("vector")));
    let nowhere = weir_eval(&["audience", "act", "--url", "http://127.0.0.1:1", "--world", "nowhere"]);
    assert_eq!(nowhere.code(), 1);
    assert!(nowhere.err().contains("world.json"), "{}", nowhere.err());
}

#[test]
fn one_class_is_said_and_the_rest_is_judged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("one.csv");
    std::fs::write(&path, "label,score\n1,0.5\n1,0.8\n").unwrap();
    let ran = weir_eval(&["ctr", "--scored", &path.display().to_string()]);
    assert_eq!(ran.code(), 0);
    assert!(ran.out().contains("auc is not defined here: needs rows of both labels"), "{}", ran.out());
}

#[test]
fn a_log_that_is_not_there_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let ran = weir_eval(&["ab", "--log", &dir.path().display().to_string(), "--experiment", "rank"]);
    assert_eq!(ran.code(), 1);
    assert!(!ran.err().is_empty() && !ran.err().contains("panicked"));
}
