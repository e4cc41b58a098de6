//! The rules of the house, checked: edges between crates, sizes, names, visible lists, and where `unsafe` may live.
//! Each test gathers everything that breaks its rule, so that one run shows all of it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tests::source::{code_only, functions, lines_without_tests, without_tests};
use tests::tree::{CRATES, dependencies, files, reaches, read, rooms, root};

const MOST_LINES: usize = 400;
const MOST_FUNCTION_LINES: usize = 60;

/// Folders where adding a component is one new file and one line in the list of `mod.rs`.
const COMPONENT_FOLDERS: [&str; 7] =
    ["recall", "feature", "filter", "strategy", "metric", "consumer", "rank"];

fn fail_if(broken: &[String], rule: &str) {
    assert!(broken.is_empty(), "{rule}\n  {}", broken.join("\n  "));
}

fn sources() -> Vec<PathBuf> {
    CRATES
        .iter()
        .flat_map(|name| files(name, "rs"))
        .filter(|p| !p.components().any(|c| c.as_os_str() == "target"))
        .collect()
}

/// Code that ships: in a crate's `src`, not in the tests crate, not a file that holds tests only.
fn shipped() -> Vec<PathBuf> {
    let is_shipped = |path: &PathBuf| {
        let text = path.to_string_lossy();
        text.contains("/src/")
            && !text.starts_with("tests/")
            && !text.ends_with("/tests.rs")
            && !text.contains("/tests/")
    };
    sources().into_iter().filter(is_shipped).collect()
}

#[test]
fn crates_depend_only_as_designed() {
    let allowed = |name: &str| -> &[&str] {
        match name {
            "data-layer" => &[],
            "compute-layer" | "ab-eval" => &["data-layer"],
            "app-layer" => &["compute-layer", "data-layer"],
            "trainer" => &["compute-layer", "ab-eval", "data-layer"],
            _ => &CRATES,
        }
    };
    let mut broken = Vec::new();
    for name in CRATES {
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let used = dependencies(name, section);
            broken.extend(
                used.iter()
                    .filter(|used| CRATES.contains(&used.as_str()) && !allowed(name).contains(&used.as_str()))
                    .map(|used| format!("{name} -> {used}")),
            );
        }
    }
    fail_if(&broken, "an edge that the design does not allow:");
}

#[test]
fn nothing_that_serves_links_polars() {
    for name in ["data-layer", "compute-layer", "app-layer"] {
        let polars: Vec<String> = reaches(name).into_iter().filter(|p| p.starts_with("polars")).collect();
        fail_if(&polars, &format!("{name} reaches polars through Cargo.lock:"));
    }
    let direct: BTreeSet<&str> =
        CRATES.into_iter().filter(|name| dependencies(name, "dependencies").contains("polars")).collect();
    assert_eq!(direct, BTreeSet::from(["ab-eval", "trainer"]), "polars belongs in trainer and ab-eval only");
}

#[test]
fn the_compute_layer_knows_no_http_json_redis_or_files() {
    let used = dependencies("compute-layer", "dependencies");
    let strangers =
        ["actix-web", "serde_json", "redis", "ureq", "tokio", "hyper", "reqwest", "parquet", "csv"];
    let broken: Vec<String> =
        strangers.iter().filter(|s| used.contains(**s)).map(|s| (*s).to_owned()).collect();
    fail_if(&broken, "compute-layer depends on:");

    let mut broken = Vec::new();
    for path in shipped().iter().filter(|p| p.starts_with("compute-layer")) {
        let code = without_tests(&code_only(&read(path)));
        for word in ["std::fs", "std::net", "serde_json", "SystemTime", "tokio::", "async fn"] {
            if code.contains(word) {
                broken.push(format!("{}: {word}", path.display()));
            }
        }
    }
    fail_if(&broken, "the compute layer is synchronous and does no I/O, but uses:");
}

#[test]
fn the_live_room_is_a_leaf() {
    let mut broken = Vec::new();
    for path in shipped().iter().filter(|p| p.starts_with("data-layer/src/live")) {
        let code = without_tests(&code_only(&read(path)));
        for room in ["ingest", "log", "access", "publish", "feedback"] {
            if code.contains(&format!("crate::{room}")) {
                broken.push(format!("{}: crate::{room}", path.display()));
            }
        }
    }
    fail_if(&broken, "the live room holds and is read, but names who changes it:");
}

#[test]
fn every_file_says_what_it_is_for() {
    let broken: Vec<String> = sources()
        .iter()
        .filter(|path| !read(path).starts_with("//!"))
        .map(|path| format!("{}: the first line is no `//!`", path.display()))
        .collect();
    fail_if(&broken, "every file starts with what it is for:");
}

#[test]
fn rooms_are_small() {
    let mut broken = Vec::new();
    for path in sources() {
        let text = read(&path);
        let lines = lines_without_tests(&text);
        if lines > MOST_LINES {
            broken.push(format!("{}: {lines} lines without tests, at most {MOST_LINES}", path.display()));
        }
        // A bench's main is one list of measurements.
        if path.iter().any(|part| part == "benches") {
            continue;
        }
        for function in functions(&without_tests(&code_only(&text))) {
            if function.lines > MOST_FUNCTION_LINES {
                broken.push(format!(
                    "{}:{}: fn {} has {} lines, at most {MOST_FUNCTION_LINES}",
                    path.display(),
                    function.line,
                    function.name,
                    function.lines
                ));
            }
        }
    }
    fail_if(&broken, "too long:");
}

#[test]
fn unsafe_lives_in_two_places_and_says_why() {
    let mut broken = Vec::new();
    for path in sources() {
        let text = read(&path);
        let code = code_only(&text);
        let lines: Vec<&str> = text.lines().collect();
        // The peers are outside of the workspace, and some ask for it to be called at all.
        let at_home = path.starts_with("data-layer/src/keylist")
            || path.starts_with("data-layer/benches/peers")
            || path.iter().any(|part| part == "kernel");
        for (i, line) in code.lines().enumerate().filter(|(_, line)| has_word(line, "unsafe")) {
            if !at_home {
                broken.push(format!("{}:{}: unsafe outside of keylist and kernel", path.display(), i + 1));
            } else if line.contains("unsafe {")
                && !lines[i.saturating_sub(6)..=i].iter().any(|l| l.contains("SAFETY:"))
            {
                broken.push(format!("{}:{}: no `SAFETY:` line above", path.display(), i + 1));
            }
        }
    }
    fail_if(&broken, "unsafe:");
}

fn has_word(line: &str, word: &str) -> bool {
    line.split(|c: char| !c.is_alphanumeric() && c != '_').any(|w| w == word)
}

#[test]
fn nothing_that_ships_can_panic_unproven() {
    let words = [".unwrap()", ".expect(", "panic!(", "todo!(", "unimplemented!(", "unreachable!("];
    let mut broken = Vec::new();
    for path in shipped() {
        let text = read(&path);
        let code = without_tests(&code_only(&text));
        let lines: Vec<&str> = text.lines().collect();
        for (i, line) in code.lines().enumerate() {
            let Some(word) = words.iter().find(|word| line.contains(**word)) else { continue };
            // A proof stands in a comment on the line itself, or just above the statement.
            let proven = lines[i.saturating_sub(4)..=i].iter().any(|l| l.contains("// PROOF"));
            if !proven {
                broken.push(format!("{}:{}: {word} without a `// PROOF:` line above", path.display(), i + 1));
            }
        }
    }
    fail_if(&broken, "may panic:");
}

#[test]
fn every_component_stands_in_the_visible_list() {
    let mut broken = Vec::new();
    for room in rooms().iter().filter(|r| r.split('/').any(|part| COMPONENT_FOLDERS.contains(&part))) {
        let components = std::fs::read_dir(root().join(room)).into_iter().flatten().filter_map(Result::ok);
        let list = nearest_list(Path::new(room));
        for path in components.map(|e| e.path()) {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if path.extension().is_none_or(|e| e != "rs")
                || ["mod", "tests", "contract"].contains(&name.as_str())
            {
                continue;
            }
            if !list.contains(&format!("{name}::")) && !list.contains(&format!("[`{name}`]")) {
                broken.push(format!("{room}/{name}.rs is in no list of its mod.rs"));
            }
        }
    }
    fail_if(&broken, "a component that nobody can find:");
}

/// The `mod.rs` files from a folder up to the room that is a component folder. What is no component but serves them is named in the
/// room's header as [`name`].
fn nearest_list(room: &Path) -> String {
    let mut code = String::new();
    for folder in room.ancestors() {
        if root().join(folder).join("mod.rs").exists() {
            code.push_str(&read(folder.join("mod.rs")));
        }
        if folder.file_name().is_some_and(|n| COMPONENT_FOLDERS.iter().any(|c| n == *c)) {
            break;
        }
    }
    code
}

#[test]
fn names_say_what_things_are() {
    let banned = ["Manager", "Helper", "Helpers", "Util", "Utils", "Common", "Base", "Impl", "V2"];
    let mut broken = Vec::new();
    for path in sources() {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().to_lowercase();
        if banned.iter().any(|b| stem.split('_').any(|part| part == b.to_lowercase())) {
            broken.push(format!("{}: the file's name", path.display()));
        }
        let code = code_only(&read(&path));
        let words: Vec<&str> =
            code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty()).collect();
        for pair in words.windows(2).filter(|p| ["struct", "enum", "trait", "type"].contains(&p[0])) {
            if camel_words(pair[1]).iter().any(|word| banned.contains(&word.as_str())) {
                broken.push(format!("{}: {} {}", path.display(), pair[0], pair[1]));
            }
        }
    }
    fail_if(&broken, "names that say nothing:");
}

fn camel_words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for c in name.chars() {
        match words.last_mut() {
            Some(word) if !c.is_uppercase() => word.push(c),
            _ => words.push(c.to_string()),
        }
    }
    words
}

#[test]
fn the_truth_of_the_simulated_world_is_read_by_its_evaluation_only() {
    let mut broken = Vec::new();
    for path in shipped().iter().filter(|p| !is_of_the_audience(p)) {
        let text = read(path);
        for word in ["truth/", "join(\"truth\")"] {
            if text.contains(word) {
                broken.push(format!("{}: {word}", path.display()));
            }
        }
    }
    fail_if(&broken, "who serves or trains must not know the truth:");
}

fn is_of_the_audience(path: &Path) -> bool {
    path.starts_with("ab-eval/src/audience") || path == Path::new("ab-eval/src/command/audience.rs")
}

#[test]
fn the_flow_is_one_screen() {
    let code = without_tests(&code_only(&read("app-layer/src/flow.rs")));
    let longest = functions(&code).into_iter().max_by_key(|f| f.lines).expect("flow.rs holds the flow");
    assert!(longest.lines <= MOST_FUNCTION_LINES, "{longest:?} does not fit on one screen");
}

#[test]
fn the_code_map_names_every_room() {
    let map = read("docs/architecture.md");
    let broken: Vec<String> = rooms()
        .into_iter()
        .filter(|room| {
            let name = room.replacen("/src/", "/", 1);
            !map.contains(&format!("`{name}/`"))
        })
        .map(|room| format!("`{}/`", room.replacen("/src/", "/", 1)))
        .collect();
    fail_if(&broken, "docs/architecture.md does not name:");
}

#[test]
fn the_code_map_names_nothing_that_is_gone() {
    let map = read("docs/architecture.md");
    let broken: Vec<String> = map
        .split('`')
        .filter(|word| CRATES.iter().any(|name| word.starts_with(&format!("{name}/"))))
        .filter(|word| {
            let (name, rest) = word.split_once('/').unwrap_or((word, ""));
            !root().join(name).join("src").join(rest).exists() && !root().join(word).exists()
        })
        .map(str::to_owned)
        .collect();
    fail_if(&broken, "docs/architecture.md names what does not exist:");
}
