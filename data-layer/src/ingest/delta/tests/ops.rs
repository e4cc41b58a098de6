//! What tests let happen to items, and what it comes to one after the other.

use proptest::prelude::*;

use super::*;
use crate::types::event::{ItemEvent, Load, Phase};
use crate::types::time::HOUR;
use crate::types::{Id, Millis, Schema, Value, ValueType};

pub(super) const NOW: Millis = 20_000 * DAY;
pub(super) const KINDS: [&str; 3] = ["item", "film", "ad"];

/// What a test lets happen. Numbers choose among what happened before where something is taken back.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Did {
        item: u8,
        action: u8,
        value: i8,
        hour: i64,
    },
    Undo(usize),
    Saw(u8),
    Pair {
        items: [u8; 2],
        weight: u32,
        day: i64,
    },
    Part(usize),
    Item {
        item: u8,
        attribute: u8,
        value: Option<i64>,
        time: i64,
        source: Option<u8>,
        kind: Option<u8>,
        deleted: Option<bool>,
    },
    Load {
        source: u8,
        id: u8,
        begin: bool,
        time: i64,
    },
    /// The next of the schemas.
    Types,
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    let items = || 0u8..5;
    let item = (
        items(),
        0u8..4,
        prop::option::of(-3i64..4),
        0i64..9,
        prop::option::of(0u8..2),
        prop::option::weighted(0.2, 0u8..3),
        prop::option::weighted(0.2, any::<bool>()),
    );
    prop_oneof![
        8 => (items(), 0u8..4, any::<i8>(), -300i64..1).prop_map(|(item, action, value, hour)| Op::Did { item, action, value, hour }),
        2 => any::<usize>().prop_map(Op::Undo),
        3 => items().prop_map(Op::Saw),
        4 => ([items(), items()], 1u32..300, -30i64..1).prop_map(|(items, weight, day)| Op::Pair { items, weight, day }),
        1 => any::<usize>().prop_map(Op::Part),
        6 => item.prop_map(|(item, attribute, value, time, source, kind, deleted)| Op::Item { item, attribute, value, time, source, kind, deleted }),
        1 => (0u8..2, 0u8..2, any::<bool>(), 0i64..9).prop_map(|(source, id, begin, time)| Op::Load { source, id, begin, time }),
        1 => Just(Op::Types),
    ]
}

pub(super) fn name(item: u8) -> Id {
    Id::new(&format!("i{item}")).unwrap()
}

/// Schemas as one server writes them: `a` widens, then `b` and `c` come.
pub(super) fn schema(number: u32) -> Schema {
    let mut schema = Schema { version: number, ..Schema::reserved() };
    schema.items.insert("a".into(), if number == 0 { ValueType::Int } else { ValueType::Float });
    if number > 1 {
        schema.items.insert("b".into(), ValueType::String);
    }
    if number > 2 {
        schema.items.insert("c".into(), ValueType::Strings);
    }
    schema
}

/// What ops come to one after the other: effects, or a schema.
pub(super) enum Step {
    Effect(Effect<'static>),
    Schema(Schema),
}

/// Events of tests, kept as long as the process.
fn kept<T>(event: T) -> &'static T {
    Box::leak(Box::new(event))
}

pub(super) fn steps(ops: &[Op], live: &Live) -> Vec<Step> {
    let item = |item: u8| live.items.write().intern_id(&name(item));
    let (mut deeds, mut pairs, mut types) = (Vec::new(), Vec::new(), 0);
    let mut steps = Vec::new();
    for op in ops {
        let effect = match op {
            Op::Did { item: of, action, value, hour } => {
                let names = ["view", "rate", "dislike", "buy"];
                let action = live.actions.id(names[usize::from(*action)]);
                let value = f64::from(*value) / 7.0;
                let time = NOW + hour * HOUR + i64::from(*of);
                let deed = Deed { item: item(*of), action, offset: 0, value, time, key: 0 };
                deeds.push(deed);
                Effect::Did(deed)
            }
            Op::Undo(_) if deeds.is_empty() => continue,
            Op::Undo(at) => Effect::Undone(deeds.swap_remove(at % deeds.len())),
            Op::Saw(of) => Effect::Saw { item: item(*of), time: NOW },
            Op::Pair { items: [a, b], .. } if a == b => continue,
            Op::Pair { items: [a, b], weight, day } => {
                let items = [item(*a), item(*b)];
                let pair = Pair { items, weight: *weight, time: NOW + day * DAY, back: false };
                pairs.push(pair);
                Effect::Paired(pair)
            }
            Op::Part(_) if pairs.is_empty() => continue,
            Op::Part(at) => Effect::Paired(Pair { back: true, ..pairs.swap_remove(at % pairs.len()) }),
            Op::Item { .. } => Effect::Item(kept(event(op, types))),
            Op::Load { source, id, begin, time } => {
                let phase = if *begin { Phase::Begin } else { Phase::End };
                Effect::Load(kept(Load {
                    source: format!("s{source}"),
                    id: format!("l{id}"),
                    phase,
                    time: *time,
                }))
            }
            Op::Types => {
                types += 1;
                steps.push(Step::Schema(schema(types)));
                continue;
            }
        };
        steps.push(Step::Effect(effect));
    }
    steps
}

/// Says what fits the types as of then.
pub(super) fn event(op: &Op, types: u32) -> ItemEvent {
    let Op::Item { item, attribute, value, time, source, kind, deleted } = op else { unreachable!() };
    let text = |value: i64| format!("t{value}");
    let (attribute, value) = match attribute {
        1 if types > 1 => ("b", value.map(|v| Value::String(text(v).into()))),
        2 if types > 2 => ("c", value.map(|v| Value::Strings(vec![text(v).into()]))),
        3 => ("created", value.map(|v| Value::Int(NOW + v * DAY))),
        _ if types > 0 => ("a", value.map(|v| Value::Float(v as f64 / 2.0))),
        _ => ("a", value.map(Value::Int)),
    };
    ItemEvent {
        id: name(*item),
        time: *time,
        kind: kind.map(|kind| KINDS[usize::from(kind)].to_owned()),
        source: source.map(|source| format!("s{source}")),
        attributes: [(attribute.to_owned(), value)].into(),
        deleted: *deleted,
    }
}
