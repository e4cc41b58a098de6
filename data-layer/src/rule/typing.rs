//! The tree, typed against a schema: names resolved to owners and types, comparisons that make no sense refused.

use std::sync::Arc;

use super::RuleError;
use super::parser::{Node, Op, Tree};
use crate::types::{Schema, Value, ValueType};

/// Something that is true, false or unknown.
#[derive(Debug, Clone)]
pub(super) enum Test {
    Is(Operand),
    Not(Box<Test>),
    And(Vec<Test>),
    Or(Vec<Test>),
    Compare(Operand, Op, Operand),
    In(Operand, Operand),
}

/// Something with a value.
#[derive(Debug, Clone)]
pub(super) enum Operand {
    /// A literal; also a list of literals of one type.
    Literal(Value),
    /// A list of whole numbers or floats.
    Numbers(Vec<Value>),
    Item(String),
    ItemKind,
    ItemId,
    User(String),
    Context(String),
    Now,
}

/// The static type; `Any` is what only a request knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Of(ValueType),
    Numbers,
    Empty,
    Any,
}

impl Test {
    /// Comparisons to make at most.
    pub(super) fn cost(&self) -> usize {
        match self {
            Self::Is(_) => 1,
            Self::Not(inner) => inner.cost(),
            Self::And(parts) | Self::Or(parts) => parts.iter().map(Self::cost).sum(),
            Self::Compare(_, _, _) => 1,
            Self::In(_, Operand::Literal(Value::Strings(list))) => 1 + list.len() / 16,
            Self::In(_, Operand::Numbers(list)) => 1 + list.len() / 16,
            Self::In(_, _) => 4,
        }
    }
}

pub(super) fn check(tree: &Tree, schema: &Schema) -> Result<Test, RuleError> {
    let all = |parts: &[Tree]| parts.iter().map(|part| check(part, schema)).collect::<Result<Vec<_>, _>>();
    match &tree.node {
        Node::Not(inner) => Ok(Test::Not(Box::new(check(inner, schema)?))),
        Node::And(parts) => Ok(Test::And(all(parts)?)),
        Node::Or(parts) => Ok(Test::Or(all(parts)?)),
        Node::Compare(left, op, right) => compare(left, *op, right, schema, tree),
        Node::In(left, right) => within(left, right, schema, tree),
        _ => {
            let (operand, found) = operand(tree, schema)?;
            match found {
                Type::Of(ValueType::Bool) | Type::Any => Ok(Test::Is(operand)),
                found => Err(wrong(tree, format!("expected something true or false, found {found}"))
                    .hint("compare it with a value")),
            }
        }
    }
}

fn wrong(tree: &Tree, detail: impl Into<String>) -> RuleError {
    RuleError::new(tree.at, tree.len, detail)
}

fn compare(left: &Tree, op: Op, right: &Tree, schema: &Schema, whole: &Tree) -> Result<Test, RuleError> {
    let ((l, lt), (r, rt)) = (operand(left, schema)?, operand(right, schema)?);
    let ordered = !matches!(op, Op::Equal | Op::Unequal);
    for (side, found) in [(left, lt), (right, rt)] {
        match found {
            Type::Any | Type::Of(ValueType::Int | ValueType::Float | ValueType::String) => {}
            Type::Of(ValueType::Bool) if !ordered => {}
            Type::Of(ValueType::Bool) => return Err(wrong(side, "expected something ordered, found bool")),
            Type::Of(ValueType::Strings) | Type::Numbers | Type::Empty => {
                return Err(wrong(side, format!("expected one value, found {found}")).hint("ask with `in`"));
            }
            Type::Of(_) => return Err(wrong(side, format!("a {found} can't be compared"))),
        }
    }
    if !alike(lt, rt) {
        return Err(wrong(whole, format!("expected values of one type, found {lt} and {rt}")));
    }
    Ok(Test::Compare(l, op, r))
}

fn within(left: &Tree, right: &Tree, schema: &Schema, whole: &Tree) -> Result<Test, RuleError> {
    let ((l, lt), (r, rt)) = (operand(left, schema)?, operand(right, schema)?);
    let scalar = [ValueType::Bool, ValueType::Int, ValueType::Float, ValueType::String].map(Type::Of);
    if lt != Type::Any && !scalar.contains(&lt) {
        return Err(wrong(left, format!("expected one value before `in`, found {lt}")));
    }
    let fits = match rt {
        Type::Empty | Type::Any => true,
        Type::Of(ValueType::Strings) => matches!(lt, Type::Any | Type::Of(ValueType::String)),
        Type::Numbers => matches!(lt, Type::Any | Type::Of(ValueType::Int | ValueType::Float)),
        found => {
            return Err(wrong(right, format!("expected a list after `in`, found {found}"))
                .hint("write `x in ['a', 'b']`, or `==` for one value"));
        }
    };
    if !fits {
        return Err(wrong(whole, format!("expected a list of {lt} after `in`, found {rt}")));
    }
    Ok(Test::In(l, r))
}

fn alike(a: Type, b: Type) -> bool {
    let number = |t| matches!(t, Type::Of(ValueType::Int | ValueType::Float));
    a == b || a == Type::Any || b == Type::Any || (number(a) && number(b))
}

fn operand(tree: &Tree, schema: &Schema) -> Result<(Operand, Type), RuleError> {
    let literal = |value: Value| {
        let of = Type::Of(value.value_type());
        Ok((Operand::Literal(value), of))
    };
    match &tree.node {
        Node::Bool(flag) => literal(Value::Bool(*flag)),
        Node::Int(number) => literal(Value::Int(*number)),
        Node::Float(number) => literal(Value::Float(*number)),
        Node::Text(text) => literal(Value::String(Arc::from(text.as_str()))),
        Node::List(entries) => list(entries),
        Node::Name(path) => name(tree, path, schema),
        _ => Err(wrong(tree, "expected a value or a name, found a condition")
            .hint("conditions are joined with `&&` and `||`")),
    }
}

fn list(entries: &[Tree]) -> Result<(Operand, Type), RuleError> {
    let mut texts: Vec<Arc<str>> = Vec::new();
    let mut numbers = Vec::new();
    for entry in entries {
        match &entry.node {
            Node::Text(text) => texts.push(Arc::from(text.as_str())),
            Node::Int(number) => numbers.push(Value::Int(*number)),
            Node::Float(number) => numbers.push(Value::Float(*number)),
            _ => return Err(wrong(entry, "expected a string or a number in a list")),
        }
        if !texts.is_empty() && !numbers.is_empty() {
            return Err(wrong(entry, "expected entries of one type in a list"));
        }
    }
    Ok(match (texts.is_empty(), numbers.is_empty()) {
        (true, true) => (Operand::Literal(Value::Strings(texts)), Type::Empty),
        (_, true) => (Operand::Literal(Value::Strings(texts)), Type::Of(ValueType::Strings)),
        _ => (Operand::Numbers(numbers), Type::Numbers),
    })
}

fn name(tree: &Tree, path: &[String], schema: &Schema) -> Result<(Operand, Type), RuleError> {
    let words: Vec<&str> = path.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["now"] => Ok((Operand::Now, Type::Of(ValueType::Int))),
        ["item" | "user" | "context"] => Err(wrong(tree, format!("expected a name after `{}.`", path[0]))),
        ["context", rest @ ..] => Ok((Operand::Context(rest.join(".")), Type::Any)),
        ["user", rest @ ..] => {
            let name = rest.join(".");
            match schema.users.get(&name) {
                Some(found) => Ok((Operand::User(name), Type::Of(*found))),
                None => Err(wrong(tree, format!("no user attribute `{name}` in the schema"))
                    .near(&name, schema.users.keys().cloned())),
            }
        }
        ["item", rest @ ..] | rest => item(tree, rest, schema),
    }
}

fn item(tree: &Tree, path: &[&str], schema: &Schema) -> Result<(Operand, Type), RuleError> {
    let name = path.join(".");
    if let Some(found) = schema.items.get(&name) {
        return Ok((Operand::Item(name), Type::Of(*found)));
    }
    match path {
        ["kind"] => return Ok((Operand::ItemKind, Type::Of(ValueType::String))),
        ["id"] => return Ok((Operand::ItemId, Type::Of(ValueType::String))),
        [first, _, ..] if schema.items.contains_key(*first) => {
            return Err(wrong(tree, "attributes of a reference are not supported by this version"));
        }
        _ => {}
    }
    let known = schema.items.keys().cloned().chain(["kind", "id", "now"].map(str::to_owned));
    Err(wrong(tree, format!("no item attribute `{name}` in the schema")).near(&name, known))
}

impl std::fmt::Display for Type {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Of(ValueType::Strings) => f.write_str("a list of strings"),
            Self::Of(of) => of.fmt(f),
            Self::Numbers => f.write_str("a list of numbers"),
            Self::Empty => f.write_str("an empty list"),
            Self::Any => f.write_str("a value of the context"),
        }
    }
}
