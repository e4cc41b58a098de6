//! Candidate methods on a handful of rows with known answers.

use super::*;
use crate::data::{Interactions, Report, Sheet};

fn data() -> Data {
    let mut rows = Interactions::default();
    let day = 86_400_000;
    for (u, i, t) in [
        ("u1", "old", 0),
        ("u2", "old", 0),
        ("u3", "old", 0),
        ("u3", "old", 1),
        ("u1", "new", 30 * day),
        ("u2", "new", 30 * day),
    ] {
        rows.push(u, i, "click", 1.0, t);
    }
    Data {
        interactions: rows,
        items: Sheet::default(),
        users: Sheet::default(),
        report: Report { times: true, ..Report::default() },
    }
}

fn names(data: &Data, list: &[(u32, f32)]) -> Vec<String> {
    list.iter().map(|(i, _)| data.interactions.items.text(*i).to_owned()).collect()
}

fn run(name: &str, target: Target) -> Lists {
    let method = method(name).unwrap();
    let settings = Settings::read(&[], method.settings()).unwrap();
    method.build(&data(), &settings, target, 10).unwrap()
}

#[test]
fn ever_counts_people_and_lately_decays() {
    let ever = run("popular", Target::Items);
    assert_eq!(ever.keys, ["all"]);
    assert_eq!(ever.lists[0].iter().map(|(_, s)| *s).collect::<Vec<_>>(), [3.0, 2.0]);
    assert_eq!(names(&data(), &run("popular_lately", Target::Items).lists[0]), ["new", "old"]);
}

#[test]
fn users_get_what_they_have_not_met() {
    let lists = run("popular", Target::Users);
    assert_eq!(lists.keys, ["u1", "u2", "u3"]);
    assert!(lists.lists[0].is_empty());
    assert_eq!(names(&data(), &lists.lists[2]), ["new"]);
    assert_eq!(names(&data(), &run("item_cf", Target::Users).lists[2]), ["new"]);
}

#[test]
fn unknown_methods_and_settings_are_refused_with_what_there_is() {
    assert!(method("item_cff").err().unwrap().to_string().contains("item_cf"));
    let known = method("item_cf").unwrap().settings();
    assert!(Settings::read(&["x=1".into()], known).unwrap_err().to_string().contains("user_power"));
    assert!(Settings::read(&["user_power".into()], known).unwrap_err().to_string().contains("key=value"));
}
