//! Laws of the rule language: truth tables, places of errors, and that no text panics.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::{Rule, RuleError};
use crate::config::{Actions, Priorities};
use crate::live::{Field, Live, Stamp, UserState};
use crate::types::{Event, Id, ItemEvent, Record, Schema, Value, ValueType};

fn schema() -> Schema {
    let mut schema = Schema::reserved();
    for (name, of) in [
        ("price", ValueType::Float),
        ("stock", ValueType::Int),
        ("status", ValueType::String),
        ("tags", ValueType::Strings),
        ("is_new", ValueType::Bool),
        ("absent", ValueType::Bool),
        ("place", ValueType::Geo),
    ] {
        schema.items.insert(name.to_owned(), of);
    }
    schema.users.insert("city".to_owned(), ValueType::String);
    schema
}

fn live() -> Live {
    let texts = |list: &[&str]| Value::Strings(list.iter().map(|t| Arc::from(*t)).collect());
    let item = |id: &str, attributes: Vec<(&str, Value)>| {
        Event::Item(ItemEvent {
            id: Id::new(id).unwrap(),
            kind: None,
            time: 1,
            source: None,
            attributes: attributes.into_iter().map(|(n, v)| (n.to_owned(), Some(v))).collect(),
            deleted: None,
        })
    };
    let live = Live::new(Actions::default(), schema());
    let events = [
        item(
            "i0",
            vec![
                ("price", Value::Float(20.0)),
                ("stock", Value::Int(3)),
                ("status", Value::String("on_sale".into())),
                ("tags", texts(&["a", "b"])),
                ("is_new", Value::Bool(true)),
                ("created", Value::Int(500)),
            ],
        ),
        item("i1", vec![]),
    ];
    let records: Vec<Record> = (1..)
        .zip(events)
        .map(|(sequence, event)| Record { sequence, received_ms: 1, partition: 0, past: false, event })
        .collect();
    live.apply(&records).unwrap();
    live
}

fn ask(live: &Live, text: &str, id: &str) -> Option<bool> {
    let rule = Rule::parse(text, &schema()).unwrap_or_else(|e| panic!("{text}: {e}"));
    let mut user = UserState::default();
    let city = Field {
        value: Some(Value::String("on_sale".into())),
        stamp: Stamp::new(1, None, &Priorities::default()),
    };
    user.set("city", &city);
    let context = BTreeMap::from([
        ("hour".to_owned(), Value::Int(9)),
        ("device".to_owned(), Value::String("phone".into())),
    ]);
    let items = live.items();
    let bound = rule.bind(&*items, Some(&user), &context, 1_000);
    bound.test(crate::live::Items::ordinal(&*items, id).unwrap())
}

#[test]
fn each_form_says_what_it_should() {
    let live = live();
    for (text, known, absent) in [
        ("price < 300", Some(true), None),
        ("price >= 20.0 && price <= 20", Some(true), None),
        ("20 == price", Some(true), None),
        ("stock > 2.5", Some(true), None),
        ("stock != 3", Some(false), None),
        ("status == 'on_sale'", Some(true), None),
        ("item.status != \"gone\"", Some(true), None),
        ("status in ['x', 'on_sale',]", Some(true), None),
        ("status in ['x']", Some(false), None),
        ("status in []", Some(false), None),
        ("stock in [1, 3.0]", Some(true), None),
        ("'a' in tags", Some(true), None),
        ("'c' in tags", Some(false), None),
        ("user.city in tags", Some(false), None),
        ("status == user.city", Some(true), None),
        ("status > 'on'", Some(true), None),
        ("is_new", Some(true), None),
        ("!is_new || is_new", Some(true), None),
        ("is_new == false", Some(false), None),
        ("created < now", Some(true), None),
        ("context.hour in [9, 10] && context.device == 'phone'", Some(true), Some(true)),
        ("context.nothing == 1", None, None),
        ("context.hour == 'x'", None, None),
        ("kind == 'item' && id in ['i0', 'i1']", Some(true), Some(true)),
        ("true", Some(true), Some(true)),
        ("user.personalize", None, None),
    ] {
        assert_eq!((ask(&live, text, "i0"), ask(&live, text, "i1")), (known, absent), "{text}");
    }
}

#[test]
fn truth_tables_are_kleenes() {
    let live = live();
    let (t, f, u) = ("true", "false", "absent");
    let value = |text: &str| ask(&live, text, "i0");
    for (a, b, and, or) in [
        (t, t, Some(true), Some(true)),
        (t, f, Some(false), Some(true)),
        (t, u, None, Some(true)),
        (f, f, Some(false), Some(false)),
        (f, u, Some(false), None),
        (u, u, None, None),
    ] {
        for (a, b) in [(a, b), (b, a)] {
            assert_eq!(value(&format!("{a} && {b}")), and, "{a} && {b}");
            assert_eq!(value(&format!("{a} || {b}")), or, "{a} || {b}");
        }
    }
    assert_eq!((value("!true"), value("!false"), value("!absent")), (Some(false), Some(true), None));
}

fn fails(text: &str) -> RuleError {
    Rule::parse(text, &schema()).expect_err(text)
}

#[test]
fn errors_point_at_the_trouble() {
    for (text, piece, says) in [
        ("pirce < 3", "pirce", "did you mean `price`?"),
        ("item.stats == 'x'", "item.stats", "did you mean `status`?"),
        ("user.ctiy == 'x'", "user.ctiy", "did you mean `city`?"),
        ("price = 3", "=", "equality is written `==`"),
        ("price < 3 and stock > 1", "and", "write `&&`"),
        ("price < 'x'", "price < 'x'", "expected values of one type, found float and string"),
        ("price", "price", "expected something true or false, found float"),
        ("tags == 'a'", "tags", "ask with `in`"),
        ("status in 'x'", "'x'", "expected a list after `in`"),
        ("status in [1]", "status in [1]", "expected a list of string"),
        ("status in ['a', 1]", "1", "entries of one type"),
        ("is_new < true", "is_new", "expected something ordered"),
        ("place == place", "place", "can't be compared"),
        ("1 < stock < 3", "<", "can't be chained"),
        ("(price < 3", "(", "no closing `)`"),
        ("status in ['a'", "[", "no closing `]`"),
        ("status == 'abc", "'abc", "no closing '"),
        ("price + 1 < 3", "+", "not supported by this version"),
        ("size(tags) > 1", "size", "function `size` is not supported"),
        ("status == null", "null", "an absent attribute is unknown"),
        ("status.x == 'a'", "status.x", "not supported by this version"),
        ("stock > 99999999999999999999", "99999999999999999999", "64-bit"),
        ("price < 3 )", ")", "unexpected `)`"),
        ("price < 3 § 4", "§", "unexpected character"),
    ] {
        let error = fails(text);
        let pointed = &text[error.at..error.at + error.len];
        assert_eq!(pointed, piece, "{text}: {error}");
        assert!(error.to_string().contains(says), "{text}: {error}");
    }
    for text in ["", "price <", "price < 3 &&", "item.", "!"] {
        let error = fails(text);
        assert!(error.at <= text.len() && error.at + error.len <= text.len(), "{text}: {error:?}");
    }
}

#[test]
fn depth_length_and_cost_are_limited() {
    assert!(fails(&format!("{}is_new{}", "(".repeat(1_000), ")".repeat(1_000))).detail.contains("nesting"));
    assert!(fails(&"!".repeat(10_000)).detail.contains("nesting"));
    assert!(fails(&"is_new || ".repeat(2_000)).detail.contains("bytes"));
    assert!(fails(&vec!["stock<1"; 2_001].join("||")).detail.contains("bytes"));
    assert!(fails(&vec!["'a'in tags"; 900].join("||")).detail.contains("cost"));
    assert_eq!(Rule::parse("is_new && 'a' in tags && stock in [1, 2]", &schema()).unwrap().cost(), 6);
}

/// Texts that are nearly rules.
fn nearly() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "price",
        "stock",
        "status",
        "tags",
        "is_new",
        "absent",
        "user.city",
        "context.x",
        "now",
        "item.",
        "'a'",
        "\"",
        "3",
        "2.5",
        "-1",
        "1e400",
        "true",
        "(",
        ")",
        "[",
        "]",
        ",",
        "!",
        "&&",
        "||",
        "==",
        "!=",
        "<",
        ">=",
        "in",
        ".",
        "é",
        "\\u12",
    ]);
    prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.join(" "))
}

/// Conditions that are rules.
fn conditions() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(vec![
        "is_new",
        "absent",
        "price < 20.5",
        "stock == 3",
        "status != 'x'",
        "'a' in tags",
        "true",
        "false",
        "context.none > 1",
        "status in ['on_sale']",
        "created >= now",
    ])
    .prop_map(str::to_owned);
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|a| format!("!({a})")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a}) && ({b})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("({a}) || ({b})")),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        if let Err(error) = Rule::parse(&text, &schema()) {
            prop_assert!(text.get(error.at..error.at + error.len).is_some(), "{error:?}");
        }
    }

    #[test]
    fn nearly_rules_do_not_panic(text in nearly()) {
        match Rule::parse(&text, &schema()) {
            Err(error) => prop_assert!(text.get(error.at..error.at + error.len).is_some(), "{error:?}"),
            Ok(rule) => { let live = live(); let items = live.items(); let bound = rule.bind(&*items, None, &BTreeMap::new(), 1); let _ = (bound.test(0), bound.test(1)); }
        }
    }

    #[test]
    fn de_morgan_and_double_negation_hold(a in conditions(), b in conditions()) {
        let live = live();
        for id in ["i0", "i1"] {
            let value = |text: String| ask(&live, &text, id);
            prop_assert_eq!(value(format!("!(({a}) && ({b}))")), value(format!("!({a}) || !({b})")));
            prop_assert_eq!(value(format!("!!({a})")), value(a.clone()));
        }
    }

    #[test]
    fn integers_and_floats_compare_exactly(a in any::<i64>(), b in any::<f64>()) {
        let live = live();
        let near = a as f64;
        for b in [b, near, near + 0.5] {
            prop_assume!(b.is_finite());
            let exact = (b.trunc() as i128, b.fract());
            let expected = (i128::from(a), 0.0) < exact;
            let (a, b) = (format!("{a}"), if b.fract() == 0.0 && b.abs() < 1e300 { format!("{b:.1}") } else { format!("{b:e}") });
            if !b.contains('.') && !b.contains('e') { continue; }
            prop_assert_eq!(ask(&live, &format!("{a} < {b}"), "i0"), Some(expected), "{} < {}", a, b);
        }
    }
}
