//! `weir table` as people use it, and as they use it wrongly: what it prints, its exit codes, and what it never does.

mod site;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value as Json;
use site::{NOW, Site, ranking};

struct Said {
    code: i32,
    out: String,
    err: String,
}

fn weir(folder: &Path, arguments: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_weir"))
        .arg("table")
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

fn done(folder: &Path, arguments: &[&str]) -> String {
    let said = weir(folder, arguments);
    assert_eq!(said.code, 0, "{arguments:?}: {}{}", said.out, said.err);
    said.out
}

fn json(folder: &Path, arguments: &[&str]) -> Json {
    serde_json::from_str(&done(folder, &[arguments, &["--format", "json"]].concat())).unwrap()
}

/// Fails with this code and says all of this on standard error.
fn fails(folder: &Path, arguments: &[&str], code: i32, parts: &[&str]) {
    let said = weir(folder, arguments);
    assert_eq!(said.code, code, "{arguments:?}: {}{}", said.out, said.err);
    for part in parts {
        assert!(said.err.contains(part), "{arguments:?} should say {part}:\n{}", said.err);
    }
}

/// A site with three generations of `hot`, all published, oldest first.
fn three() -> (Site, Vec<String>) {
    let site = Site::new();
    let names = (0..3).map(|n| site.publish("hot", NOW + n * 1_000, &[("all", ranking(0..60))])).collect();
    (site, names)
}

fn file(site: &Site, generation: &str) -> PathBuf {
    site.path().join(format!("tables/hot/{generation}.keylist"))
}

fn current(site: &Site) -> String {
    std::fs::read_to_string(site.path().join("tables/hot/CURRENT"))
        .unwrap()
        .lines()
        .next()
        .unwrap()
        .to_owned()
}

const HOT: &str = "tables/hot";

#[test]
fn a_list_tells_what_is_served_what_was_and_what_was_refused() {
    let (site, names) = three();
    site.write("few.csv", "key,item,score\nall,i1,1\n");
    done(site.path(), &["build", "--input", "few.csv", "--score", "score", "--out", HOT]);
    fails(site.path(), &["publish", HOT], 1, &["least_length", "--force"]);
    let told = json(site.path(), &["list", HOT]);
    let states: Vec<&str> =
        told["generations"].as_array().unwrap().iter().map(|g| g["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["refused", "served", "before", "before"]);
    assert_eq!((&told["generations"][1]["generation"], &told["odd"]), (&Json::from(&*names[2]), &Json::Null));
    assert_eq!(told["generations"][0]["last"]["gate"]["coverage"], 1.0);
    assert_eq!(told["journal"].as_array().unwrap().last().unwrap()["what"], "refuse");
    let text = done(site.path(), &["list", HOT]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "hot of namespace main: 4 generations");
    assert!(lines[2].starts_with("refused  ") && lines[2].contains("lists 0.0167 times as long"), "{text}");
    assert!(lines[3].starts_with(&format!("served   {}", names[2])), "{text}");
    assert!(text.contains("journal, newest last") && lines.last().unwrap().contains("refused"), "{text}");
    // The columns of all rows start at the same place.
    let at = lines[1].find("generation").unwrap();
    assert!(lines[2..6].iter().all(|line| line[at..].starts_with("20")), "{text}");

    let forced = json(site.path(), &["publish", HOT, "--force", "--keep", "2"]);
    assert_eq!((&forced["forced"], forced["removed"].as_array().unwrap().len()), (&Json::Bool(true), 2));
    let text = done(site.path(), &["stat", HOT]);
    assert!(text.contains("published with force") && text.contains("against"), "{text}");
}

#[test]
fn stat_and_verify_read_well_and_say_where_damage_is() {
    let (site, names) = three();
    let text = done(site.path(), &["verify", HOT]);
    for part in
        [", served", "hot of namespace main", "1, text, found by", "60.0 places on average", "every byte"]
    {
        assert!(text.contains(part), "{text} should say {part}");
    }
    assert!(done(site.path(), &["stat", HOT, &names[0]]).contains(", not served"));
    let told = json(site.path(), &["stat", HOT]);
    assert_eq!(
        (&told["generation"], &told["served"], &told["verified"]),
        (&Json::from(&*names[2]), &true.into(), &false.into())
    );
    assert_eq!(told["lists"], 1);
    let path = file(&site, &names[0]);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4_200] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let named = format!("{}.keylist", names[0]);
    fails(
        site.path(),
        &["verify", HOT, &names[0]],
        1,
        &[&named, "corrupt records at byte", "expected sum", "found", "weir table rollback"],
    );
    fails(site.path(), &["publish", HOT, &names[0]], 1, &[&named, "corrupt"]);
    std::fs::write(&path, &bytes[..100]).unwrap();
    fails(site.path(), &["stat", HOT, &names[0]], 1, &[&named, "corrupt header at byte", "copy it again"]);
}

#[test]
fn a_rollback_goes_back_one_or_to_a_name() {
    let (site, names) = three();
    assert_eq!(json(site.path(), &["rollback", HOT])["generation"], *names[1]);
    done(site.path(), &["publish", HOT, &names[2]]);
    assert_eq!(json(site.path(), &["rollback", HOT, &names[0]])["generation"], *names[0]);
    assert_eq!(current(&site), names[0]);
    fails(
        site.path(),
        &["rollback", HOT],
        1,
        &["earlier generation not found", "the first that was published"],
    );
    fails(site.path(), &["rollback", HOT, &names[2]], 1, &["earlier generation"]);
    done(site.path(), &["publish", HOT, &names[2]]);
    fails(
        site.path(),
        &["rollback", HOT, &names[1]],
        1,
        &["not among those", &names[0], "weir table publish"],
    );
    // What it would go back to is gone: what is served stays.
    std::fs::remove_file(file(&site, &names[0])).unwrap();
    fails(site.path(), &["rollback", HOT], 1, &["generation not found", "weir table list"]);
    assert_eq!(current(&site), names[2]);
}

#[test]
fn names_that_are_paths_and_folders_that_are_none_change_nothing() {
    let (site, names) = three();
    std::fs::write(site.path().join("tables/evil.keylist"), std::fs::read(file(&site, &names[0])).unwrap())
        .unwrap();
    for name in ["../evil", "/etc/passwd", "..", ".", "", "CURRENT", ".lock", "..\\evil", "a/b", "../hot/x"] {
        for command in ["publish", "rollback", "stat", "verify"] {
            fails(site.path(), &[command, HOT, name], 1, &["not found"]);
        }
        fails(site.path(), &["get", HOT, "all", "--generation", name], 1, &["not found"]);
    }
    assert_eq!(current(&site), names[2]);
    for command in ["list", "stat", "verify", "publish", "rollback"] {
        fails(site.path(), &[command, "tables/nothing"], 1, &["not found", "nothing"]);
        assert!(!site.path().join("tables/nothing").exists(), "{command} makes no folder");
    }
    fails(site.path(), &["publish", HOT, "--least-coverage", "2"], 2, &["--least-coverage"]);
    fails(site.path(), &["publish", HOT, "--keep", "0"], 2, &["--keep"]);
    fails(site.path(), &["publish"], 2, &["FOLDER"]);
    // The name of the file is as good as that of the generation.
    done(site.path(), &["publish", HOT, &format!("{}.keylist", names[1])]);
    assert_eq!(current(&site), names[1]);
}

#[test]
fn whatever_current_says_a_publish_mends_it() {
    let (site, names) = three();
    let path = site.path().join("tables/hot/CURRENT");
    for garbage in
        [&b""[..], b"\n\n", b"../../etc/passwd\n", b"hello world\n", b"\xff\xfe\x00", &[b'x'; 100_000]]
    {
        std::fs::write(&path, garbage).unwrap();
        for command in ["stat", "verify"] {
            fails(site.path(), &[command, HOT], 1, &["hot"]);
        }
        assert_eq!(weir(site.path(), &["rollback", HOT]).code, 1);
        let told = json(site.path(), &["list", HOT]);
        assert_eq!(told["generations"].as_array().unwrap().len(), 3, "nothing is removed");
        assert!(told["odd"].is_string(), "{told}");
        let said = weir(site.path(), &["publish", HOT, "--keep", "1"]);
        assert_eq!((said.code, current(&site)), (0, names[2].clone()), "{}", said.err);
        for name in &names[..2] {
            std::fs::copy(file(&site, &names[2]), file(&site, name)).unwrap();
        }
    }
    std::fs::write(&path, "20990101T000000Z-00000000\n").unwrap();
    let told = json(site.path(), &["list", HOT]);
    assert!(told["odd"].as_str().unwrap().contains("not here"), "{told}");
    std::fs::remove_file(&path).unwrap();
    assert!(
        json(site.path(), &["list", HOT])["odd"].as_str().unwrap().contains("nothing was ever published")
    );
    fails(
        site.path(),
        &["rollback", HOT],
        1,
        &["earlier generation not found", "nothing was ever published"],
    );
}

#[test]
fn two_publishers_at_once_lose_no_step() {
    let (site, names) = three();
    std::thread::scope(|scope| {
        for n in 0..8 {
            let (site, names) = (&site, &names);
            scope.spawn(move || done(site.path(), &["publish", HOT, &names[n % 3]]));
        }
    });
    let text = std::fs::read_to_string(site.path().join("tables/hot/CURRENT")).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "each is there once: {text}");
    lines.sort_unstable();
    assert_eq!(lines, names);
    let told = json(site.path(), &["list", HOT]);
    assert_eq!(told["odd"], Json::Null);
    assert_eq!(told["journal"].as_array().unwrap().last().unwrap()["generation"], current(&site));
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let (site, names) = three();
    let lock = site.path().join("tables/hot/.lock");
    // Root may write anywhere; nobody opens a folder as a file.
    std::fs::remove_file(&lock).unwrap();
    std::fs::create_dir(&lock).unwrap();
    fails(site.path(), &["publish", HOT, &names[0]], 1, &["hot/.lock"]);
    fails(site.path(), &["rollback", HOT], 1, &["hot/.lock"]);
    assert_eq!(current(&site), names[2]);
    done(site.path(), &["list", HOT]);
    done(site.path(), &["get", HOT, "all"]);
}
