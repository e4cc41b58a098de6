//! kill -9 at each step of what changes a folder of tables or models: a reader sees what was or what shall be, whole, and whoever comes
//! next finds nothing in the way. The steps are the points of `publish::fault`, and every point must be passed here.

#[path = "../../tests/src/not_run.rs"]
mod not_run;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

use data_layer::Config;
use data_layer::keylist::{Key, Op, Verify, Writer};
use data_layer::publish::fault::{POINTS, VARIABLE};
use data_layer::publish::remote::{Address, Options, Remote, Source};
use data_layer::publish::{Arrivals, Folder, Gate, Journal, SETTLE, What};
use data_layer::registry::{ModelFile, Registry};

const FOLDER: &str = "WEIR_TEST_PUBLISH_FOLDER";
const TASK: &str = "WEIR_TEST_PUBLISH_TASK";
const KEYS: usize = 200;

/// What a killed process was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Task {
    Build,
    Publish,
    BuildAndPublish,
    Rollback,
    Keep,
    /// A delta is built and put on top.
    Delta,
    /// The same, and it becomes one generation with what is below.
    Compact,
    /// What is served is damaged.
    FallBack,
    Watch,
    Pull,
    Push,
    Model,
    ModelRollback,
}

const TASKS: [Task; 13] = [
    Task::Build,
    Task::Publish,
    Task::BuildAndPublish,
    Task::Rollback,
    Task::Keep,
    Task::Delta,
    Task::Compact,
    Task::FallBack,
    Task::Watch,
    Task::Pull,
    Task::Push,
    Task::Model,
    Task::ModelRollback,
];

fn tables(root: &Path) -> Folder {
    Folder::at(root.join("hot")).unwrap()
}

/// Puts the n-th generation into the folder: every score of it is n, so that a mixture would show.
fn build(root: &Path, n: i64) -> String {
    let folder = tables(root);
    let mut writer = Writer::new(folder.spec(n * 1_000)).unwrap();
    let score = n as f32;
    for key in 0..KEYS {
        writer.push(format!("k{key}").as_str(), &[("a", score), ("b", score)]).unwrap();
    }
    folder.build(writer).unwrap().generation
}

/// A delta of what is current, which replaces every list.
fn delta(root: &Path, n: i64) {
    let folder = tables(root);
    let mut writer = Writer::new(folder.delta_spec(n * 1_000).unwrap()).unwrap();
    for key in 0..KEYS {
        let list = [("a", n as f32), ("b", n as f32)];
        writer.push_entry(format!("k{key}").as_str(), Op::Replace, &list, None).unwrap();
    }
    let built = folder.build(writer).unwrap();
    folder.publish(Some(&built.generation), Gate::Sound).unwrap();
}

/// Which generation a table's folder serves, after reading all of it; each list must be of the same.
fn served(root: &Path) -> i64 {
    let folder = tables(root);
    let whole = folder.overlay(Verify::Full).unwrap();
    let n = whole.spec().watermark / 1_000;
    for key in 0..KEYS {
        let list = whole.list(Key::Str(&format!("k{key}"))).unwrap().expect("every generation has every key");
        assert!(list.len() == 2 && list.iter().all(|(_, score)| *score == n as f32), "a mixture");
    }
    let line = folder.current_line().unwrap().unwrap();
    let layers: Vec<String> = whole.layers().iter().map(|layer| layer.header().generation()).collect();
    assert_eq!(line.names().collect::<Vec<_>>(), layers);
    n
}

fn publish(root: &Path, n: i64) {
    let folder = tables(root);
    let all = folder.list().unwrap();
    let found = all.into_iter().map(|g| g.generation);
    let name = found.into_iter().find(|g| folder.stat(Some(g)).unwrap().watermark == n * 1_000);
    folder.publish(name.as_deref(), Gate::Sound).unwrap();
}

/// Copies the 5th generation, which [`prepared`] built elsewhere, into the folder, and publishes it as a server does.
fn watch(root: &Path) {
    for entry in std::fs::read_dir(root.join(".elsewhere/hot")).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name().to_string_lossy().ends_with(".keylist") {
            std::fs::copy(entry.path(), root.join("hot").join(entry.file_name())).unwrap();
        }
    }
    let arrivals = Arrivals::new(&config(root));
    while arrivals.look().unsettled {
        std::thread::sleep(SETTLE);
    }
}

/// Of a server whose tables lie in `root`, and which follows the store beside them.
fn config(root: &Path) -> Config {
    let mut config = Config::in_folder(root).unwrap();
    config.tables.dir = root.to_owned();
    config.tables.source = Some(store(root));
    config
}

fn store(root: &Path) -> Address {
    Address::Folder(root.join(".store"))
}

fn push(root: &Path, folder: &Folder) {
    let remote = Remote::open(&store(root), &Options::default(), "main").unwrap();
    remote.push(folder, false, &mut |_, _| {}).unwrap();
}

/// Which generation the store holds; it must be there, whole.
fn stored(root: &Path) -> i64 {
    served(&root.join(".store"))
}

/// The n-th model that is published, unless a kill made it necessary to publish one again.
fn model(n: u32) -> ModelFile {
    ModelFile {
        format: 1,
        family: "logistic".to_owned(),
        features: vec!["x".to_owned()],
        tensors: [("weights".to_owned(), vec![f64::from(n)]), ("intercept".to_owned(), vec![0.0])].into(),
        ..ModelFile::default()
    }
}

/// Which model is served.
fn served_model(root: &Path) -> u32 {
    let (_, model) = Registry::open(root, "main").load("ctr", None).unwrap();
    model.tensors["weights"][0] as u32
}

impl Task {
    /// Does it, in the folder that [`prepared`] made.
    fn run(self, root: &Path) {
        let models = Registry::open(root, "main");
        match self {
            Self::Build => drop(build(root, 4)),
            Self::Publish => publish(root, 3),
            Self::BuildAndPublish => {
                build(root, 4);
                publish(root, 4);
            }
            Self::Rollback => drop(tables(root).rollback().unwrap()),
            Self::Keep => drop(tables(root).keep(1).unwrap()),
            Self::Delta => delta(root, 5),
            Self::Compact => {
                delta(root, 5);
                tables(root).compact(Gate::Sound, &mut |_| {}).unwrap();
            }
            Self::FallBack => {
                let current = tables(root).current().unwrap().unwrap();
                tables(root).by("scrub").fall_back(&current, "for a test").unwrap().unwrap();
            }
            Self::Watch => watch(root),
            Self::Pull => assert!(Source::open(&config(root)).unwrap().unwrap().look(&[]).good),
            Self::Push => push(root, &tables(&root.join(".newer"))),
            Self::Model => drop(models.publish("ctr", &model(3)).unwrap()),
            Self::ModelRollback => drop(models.rollback("ctr").unwrap()),
        }
    }

    /// Number of the generation, and of the model, that are served after it.
    fn outcome(self) -> (i64, u32) {
        match self {
            Self::Build | Self::Keep | Self::Push => (2, 2),
            Self::Publish => (3, 2),
            Self::BuildAndPublish => (4, 2),
            Self::Rollback | Self::FallBack => (1, 2),
            Self::Delta | Self::Compact => (5, 2),
            Self::Watch => (5, 2),
            Self::Pull => (6, 2),
            Self::Model => (2, 3),
            Self::ModelRollback => (2, 1),
        }
    }
}

/// Generations 1 and 2 were published, 3 is there; so are versions 1 and 2 of a model. Something was left behind by who was killed.
fn prepared() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for n in 1..=3 {
        build(root.path(), n);
        if n < 3 {
            publish(root.path(), n);
            Registry::open(root.path(), "main").publish("ctr", &model(n as u32)).unwrap();
        }
    }
    build(&root.path().join(".elsewhere"), 5);
    std::fs::create_dir(root.path().join(".store")).unwrap();
    for (place, n) in [(".old", 6), (".newer", 7)] {
        build(&root.path().join(place), n);
        publish(&root.path().join(place), n);
    }
    push(root.path(), &tables(&root.path().join(".old")));
    std::fs::write(root.path().join("hot/.CURRENT.0.tmp"), b"2099").unwrap();
    std::fs::create_dir(root.path().join("ctr/.9.0.tmp")).unwrap();
    std::fs::write(root.path().join("ctr/.9.0.tmp/model.json"), b"{").unwrap();
    root
}

/// What no reader looks at and no process holds.
fn leftovers(root: &Path) -> Vec<PathBuf> {
    let folders = ["hot", "ctr"].into_iter().flat_map(|name| std::fs::read_dir(root.join(name)).unwrap());
    let paths = folders.map(|entry| entry.unwrap().path());
    let hidden = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy();
        name.starts_with('.') && name != ".lock"
    };
    paths.filter(hidden).collect()
}

fn start(root: &Path, task: Task, wish: &str) -> (Child, BufReader<ChildStderr>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_process_that_is_killed", "--nocapture"])
        .env(FOLDER, root)
        .env(TASK, format!("{task:?}"))
        .env(VARIABLE, wish)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stderr.take().unwrap());
    (child, said)
}

/// What the killed process runs; does nothing where it is not asked to.
#[test]
fn the_process_that_is_killed() {
    let Ok(root) = std::env::var(FOLDER) else { return };
    let name = std::env::var(TASK).unwrap();
    let task = TASKS.into_iter().find(|task| format!("{task:?}") == name).unwrap();
    task.run(Path::new(&root));
}

/// The points that a task passes, in order.
fn points(task: Task) -> Vec<String> {
    let root = prepared();
    let (mut child, mut said) = start(root.path(), task, "list");
    let mut text = String::new();
    said.read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success(), "{text}");
    assert_eq!((served(root.path()), served_model(root.path())), task.outcome());
    text.lines().filter_map(|line| line.strip_prefix("reached ")).map(str::to_owned).collect()
}

/// Stops a task at its n-th point and kills it; what can be seen must be what was or what shall be, before and after.
fn kill_at(task: Task, number: usize, point: &str) {
    let root = prepared();
    let root = root.path();
    let (mut child, mut said) = start(root, task, &number.to_string());
    let mut line = String::new();
    while !line.starts_with("stopped ") {
        line.clear();
        assert!(said.read_line(&mut line).unwrap() > 0, "{task:?} ended before point {number}, {point}");
    }
    assert_eq!(line.trim_end(), format!("stopped {point}"));
    let see = || {
        let found = (served(root), served_model(root));
        assert!([(2, 2), task.outcome()].contains(&found), "{task:?} at {point}: {found:?}");
        // The story ends where CURRENT is, whatever was written down and not done.
        let folder = tables(root);
        let story = Journal::story(folder.path()).unwrap();
        let told = story.entries.iter().rfind(|entry| entry.moves()).map(|entry| entry.generation.clone());
        let line = folder.current_line().unwrap().map(|line| line.to_string());
        assert_eq!(told, line, "{task:?} at {point}");
        let stored = stored(root);
        assert!(
            stored == 6 || (task == Task::Push && stored == 7),
            "{task:?} at {point}: {stored} in the store"
        );
        (found.0, found.1, stored)
    };
    let stopped = see();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(see(), stopped, "the kill changes nothing that can be seen");
    // A disk that lost its power may have half of what was never synced.
    for path in leftovers(root).into_iter().filter(|path| path.is_file()) {
        let half = std::fs::metadata(&path).unwrap().len() / 2;
        std::fs::File::options().write(true).open(&path).unwrap().set_len(half).unwrap();
    }
    assert_eq!(see(), stopped);
    // Whoever comes next: the same again, unless it was done; then a new generation and a new version.
    if (stopped.0, stopped.1) != task.outcome() || task == Task::Push {
        task.run(root);
        assert_eq!(stored(root), if task == Task::Push { 7 } else { 6 });
        assert_eq!((served(root), served_model(root)), task.outcome(), "{task:?} again after {point}");
    }
    let last = build(root, 9);
    publish(root, 9);
    let story = Journal::story(tables(root).path()).unwrap();
    let told = story.entries.iter().rfind(|entry| entry.moves()).unwrap();
    assert_eq!((told.what, &told.generation), (What::Publish, &last));
    assert!(story.damaged.is_empty() && story.knows(&last));
    Registry::open(root, "main").publish("ctr", &model(9)).unwrap();
    assert_eq!((served(root), served_model(root)), (9, 9));
    tables(root).keep(1).unwrap();
    assert_eq!(tables(root).list().unwrap().len(), 1);
    assert_eq!(leftovers(root), Vec::<PathBuf>::new(), "{task:?} killed at {point}");
}

#[test]
fn kill_nine_at_each_step_leaves_the_old_or_the_new() {
    if !cfg!(debug_assertions) {
        return not_run::not_run("a build with debug assertions");
    }
    let mut passed = BTreeSet::new();
    for task in TASKS {
        let points = points(task);
        for (point, number) in points.iter().zip(1..) {
            kill_at(task, number, point);
        }
        passed.extend(points);
    }
    let never: Vec<&str> = POINTS.into_iter().filter(|point| !passed.contains(*point)).collect();
    assert!(never.is_empty(), "points that no task passed: {never:?}");
}
