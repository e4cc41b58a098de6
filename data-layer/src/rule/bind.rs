//! A rule bound to one request: constants filled in, text turned into codes, ready to be asked item by item.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::parser::Op;
use super::typing::{Operand, Test};
use crate::live::{Cell, FieldId, Items, UserState};
use crate::types::{Millis, Ordinal, Value};

/// A rule that waits for items.
pub struct Bound<'a> {
    items: &'a dyn Items,
    root: Node,
}

impl std::fmt::Debug for Bound<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bound").field("root", &self.root).finish_non_exhaustive()
    }
}

#[derive(Debug)]
enum Node {
    Known(Option<bool>),
    Is(Source),
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
    /// A string attribute among codes (sorted): the quick form of `==` and `in` with literals.
    Codes {
        field: FieldId,
        codes: Vec<u32>,
        among: bool,
    },
    Compare(Source, Op, Source),
    In(Source, Source),
}

/// Where a value comes from.
#[derive(Debug)]
enum Source {
    Constant(Option<Value>),
    Numbers(Vec<Value>),
    Field(FieldId),
    Kind,
    Id,
}

/// A value for the length of one question.
#[derive(Debug, Clone, Copy)]
enum View<'v> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'v str),
    Texts(&'v [Arc<str>]),
    Codes(&'v [u32]),
    Numbers(&'v [Value]),
}

impl Bound<'_> {
    /// What the rule says of an item; `None` is unknown.
    #[must_use]
    pub fn test(&self, item: Ordinal) -> Option<bool> {
        self.root.test(self.items, item)
    }

    /// Whether the item passes. Unknown does not.
    #[must_use]
    pub fn passes(&self, item: Ordinal) -> bool {
        self.test(item) == Some(true)
    }
}

pub(super) fn bind<'a>(
    root: &Test,
    items: &'a dyn Items,
    user: Option<&UserState>,
    context: &BTreeMap<String, Value>,
    now_ms: Millis,
) -> Bound<'a> {
    let binder = Binder { items, user, context, now_ms };
    Bound { items, root: binder.test(root) }
}

struct Binder<'b> {
    items: &'b dyn Items,
    user: Option<&'b UserState>,
    context: &'b BTreeMap<String, Value>,
    now_ms: Millis,
}

impl Binder<'_> {
    fn test(&self, test: &Test) -> Node {
        let all = |parts: &[Test]| parts.iter().map(|part| self.test(part)).collect();
        let node = match test {
            Test::Is(operand) => Node::Is(self.source(operand)),
            Test::Not(inner) => Node::Not(Box::new(self.test(inner))),
            Test::And(parts) => Node::And(all(parts)),
            Test::Or(parts) => Node::Or(all(parts)),
            Test::Compare(left, op, right) => self.compare(left, *op, right),
            Test::In(left, right) => self.within(left, right),
        };
        if node.same_for_all() { Node::Known(node.test(self.items, 0)) } else { node }
    }

    fn source(&self, operand: &Operand) -> Source {
        match operand {
            Operand::Literal(value) => Source::Constant(Some(value.clone())),
            Operand::Numbers(list) => Source::Numbers(list.clone()),
            Operand::Item(name) => self.items.field(name).map_or(Source::Constant(None), Source::Field),
            Operand::ItemKind => Source::Kind,
            Operand::ItemId => Source::Id,
            Operand::User(name) => Source::Constant(self.user.and_then(|user| user.attribute(name).cloned())),
            Operand::Context(name) => Source::Constant(self.context.get(name).cloned()),
            Operand::Now => Source::Constant(Some(Value::Int(self.now_ms))),
        }
    }

    fn compare(&self, left: &Operand, op: Op, right: &Operand) -> Node {
        let (left, right) = (self.source(left), self.source(right));
        match (&left, op, &right) {
            (Source::Field(field), Op::Equal | Op::Unequal, Source::Constant(Some(Value::String(text))))
            | (Source::Constant(Some(Value::String(text))), Op::Equal | Op::Unequal, Source::Field(field)) => {
                let codes = self.items.code(text).into_iter().collect();
                Node::Codes { field: *field, codes, among: op == Op::Equal }
            }
            _ => Node::Compare(left, op, right),
        }
    }

    fn within(&self, left: &Operand, right: &Operand) -> Node {
        let (left, right) = (self.source(left), self.source(right));
        match (&left, &right) {
            (Source::Field(field), Source::Constant(Some(Value::Strings(texts)))) if !texts.is_empty() => {
                let mut codes: Vec<u32> = texts.iter().filter_map(|text| self.items.code(text)).collect();
                codes.sort_unstable();
                Node::Codes { field: *field, codes, among: true }
            }
            _ => Node::In(left, right),
        }
    }
}

impl Node {
    /// Whether no item is looked at.
    fn same_for_all(&self) -> bool {
        match self {
            Self::Known(_) => true,
            Self::Is(source) => source.constant(),
            Self::Not(inner) => matches!(**inner, Self::Known(_)),
            Self::And(parts) | Self::Or(parts) => parts.iter().all(|part| matches!(part, Self::Known(_))),
            Self::Codes { .. } => false,
            Self::Compare(left, _, right) | Self::In(left, right) => left.constant() && right.constant(),
        }
    }

    fn test(&self, items: &dyn Items, item: Ordinal) -> Option<bool> {
        match self {
            Self::Known(known) => *known,
            Self::Is(source) => match source.view(items, item)? {
                View::Bool(flag) => Some(flag),
                _ => None,
            },
            Self::Not(inner) => inner.test(items, item).map(|known| !known),
            Self::And(parts) => settle(parts, items, item, false),
            Self::Or(parts) => settle(parts, items, item, true),
            Self::Codes { field, codes, among } => match items.cell(*field, item)? {
                Cell::String(code) => Some(codes.binary_search(&code).is_ok() == *among),
                _ => None,
            },
            Self::Compare(left, op, right) => {
                let order = order(left.view(items, item)?, right.view(items, item)?)?;
                Some(op.holds(order))
            }
            Self::In(left, right) => among(left.view(items, item)?, right.view(items, item)?, items),
        }
    }
}

/// Kleene's `&&` (decided by `false`) and `||` (decided by `true`).
fn settle(parts: &[Node], items: &dyn Items, item: Ordinal, decides: bool) -> Option<bool> {
    let mut unknown = false;
    for part in parts {
        match part.test(items, item) {
            Some(found) if found == decides => return Some(decides),
            Some(_) => {}
            None => unknown = true,
        }
    }
    (!unknown).then_some(!decides)
}

impl Source {
    fn constant(&self) -> bool {
        matches!(self, Self::Constant(_) | Self::Numbers(_))
    }

    fn view<'v>(&'v self, items: &'v dyn Items, item: Ordinal) -> Option<View<'v>> {
        match self {
            Self::Constant(value) => View::of(value.as_ref()?),
            Self::Numbers(list) => Some(View::Numbers(list)),
            Self::Kind => Some(View::Text(items.kind(item))),
            Self::Id => Some(View::Text(items.id(item).as_str())),
            Self::Field(field) => match items.cell(*field, item)? {
                Cell::Bool(flag) => Some(View::Bool(flag)),
                Cell::Int(number) => Some(View::Int(number)),
                Cell::Float(number) => Some(View::Float(number)),
                Cell::String(code) => Some(View::Text(items.text(code))),
                Cell::Strings(codes) => Some(View::Codes(codes)),
                Cell::Vector(_) | Cell::Geo { .. } => None,
            },
        }
    }
}

impl<'v> View<'v> {
    fn of(value: &'v Value) -> Option<Self> {
        match value {
            Value::Bool(flag) => Some(Self::Bool(*flag)),
            Value::Int(number) => Some(Self::Int(*number)),
            Value::Float(number) => Some(Self::Float(*number)),
            Value::String(text) => Some(Self::Text(text)),
            Value::Strings(texts) => Some(Self::Texts(texts)),
            Value::Vector(_) | Value::Geo { .. } => None,
        }
    }
}

/// The order of two values; unknown where they are of types that have none.
fn order(a: View<'_>, b: View<'_>) -> Option<Ordering> {
    match (a, b) {
        (View::Bool(a), View::Bool(b)) => Some(a.cmp(&b)),
        (View::Int(a), View::Int(b)) => Some(a.cmp(&b)),
        (View::Float(a), View::Float(b)) => a.partial_cmp(&b),
        (View::Int(a), View::Float(b)) => int_float(a, b),
        (View::Float(a), View::Int(b)) => int_float(b, a).map(Ordering::reverse),
        (View::Text(a), View::Text(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

/// Exact, also beyond 2^53 where a float can't hold every integer.
fn int_float(a: i64, b: f64) -> Option<Ordering> {
    const EDGE: f64 = 9_223_372_036_854_775_808.0; // 2^63
    if b.is_nan() {
        return None;
    }
    if b >= EDGE {
        return Some(Ordering::Less);
    }
    if b < -EDGE {
        return Some(Ordering::Greater);
    }
    let whole = b.trunc();
    Some(a.cmp(&(whole as i64)).then_with(|| 0.0_f64.total_cmp(&(b - whole + 0.0))))
}

fn among(value: View<'_>, list: View<'_>, items: &dyn Items) -> Option<bool> {
    match (value, list) {
        (View::Text(text), View::Texts(texts)) => Some(texts.iter().any(|t| **t == *text)),
        (View::Text(text), View::Codes(codes)) => Some(items.code(text).is_some_and(|c| codes.contains(&c))),
        (View::Int(_) | View::Float(_), View::Numbers(numbers)) => {
            Some(numbers.iter().filter_map(View::of).any(|n| order(value, n) == Some(Ordering::Equal)))
        }
        (_, View::Texts([])) => Some(false),
        _ => None,
    }
}

impl Op {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessEqual => order.is_le(),
            Self::More => order.is_gt(),
            Self::MoreEqual => order.is_ge(),
        }
    }
}
