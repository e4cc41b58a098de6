//! Settles attribute types against the schema: widens, infers, ignores or rejects. Runs where the order of the log is decided,
//! so that an inferred type is in the log before the event that needs it.

use std::collections::BTreeMap;

use crate::types::schema::Owner;
use crate::types::{Event, Schema, Unknown, Value, ValueType};

/// Most attributes of items, and of users, that a schema names.
pub const MOST_NAMES: usize = 4096;

/// Brings the attributes of an event to the types of the schema. Gives the schema that has to stand before the event, where it
/// is a new one: with types for new attributes, and with a float for what was inferred an integer and now isn't one, because
/// many programs write 20.0 as 20. `fixed` names the types that somebody chose, which stay. A schema that somebody wrote gets what it drops.
///
/// # Errors
/// A sentence that names the attribute and both types.
pub fn settle(event: &mut Event, schema: &Schema, fixed: &Schema) -> Result<Option<Schema>, String> {
    let (owner, attributes) = match event {
        Event::Item(e) => (Owner::Item, &mut e.attributes),
        Event::User(e) => (Owner::User, &mut e.attributes),
        Event::Schema(next) => {
            follows(next, schema)?;
            next.drop_since(schema);
            return Ok(None);
        }
        _ => return Ok(None),
    };
    let types = schema.of(owner);
    let mut inferred: BTreeMap<String, ValueType> = BTreeMap::new();
    let mut dropped: Vec<String> = Vec::new();
    for (name, value) in attributes.iter_mut() {
        match (types.get(name), schema.unknown) {
            (Some(ValueType::Int), _)
                if matches!(value, Some(Value::Float(_)))
                    && !fixed.of(owner).contains_key(name)
                    && !schema.chosen.of(owner).contains(name) =>
            {
                inferred.insert(name.clone(), ValueType::Float);
            }
            (Some(to), _) => widen(name, value, *to)?,
            (None, Unknown::Store) => {
                if let Some(value) = value {
                    inferred.insert(name.clone(), value.value_type());
                }
            }
            (None, Unknown::Ignore) => dropped.push(name.clone()),
            (None, Unknown::Reject) => {
                return Err(format!(
                    "attributes.{name}: not in the schema, which rejects unknown attributes"
                ));
            }
        }
    }
    for name in dropped {
        attributes.remove(&name);
    }
    if inferred.is_empty() {
        return Ok(None);
    }
    let mut new = inferred.keys().filter(|name| !types.contains_key(*name)).peekable();
    if let Some(first) = new.peek().copied()
        && types.len() + new.count() > MOST_NAMES
    {
        return Err(format!(
            "attributes.{first}: the schema already names {}, at most {MOST_NAMES}",
            types.len()
        ));
    }
    let mut new = Schema { version: schema.version + 1, ..schema.clone() };
    match owner {
        Owner::Item => new.items.extend(inferred),
        Owner::User => new.users.extend(inferred),
    }
    Ok(Some(new))
}

/// Whether a schema that somebody wrote is the next one: it was made of the one that it replaces.
fn follows(next: &Schema, schema: &Schema) -> Result<(), String> {
    let wanted = schema.version + 1;
    if next.version == wanted {
        return Ok(());
    }
    Err(format!(
        "version: the schema has moved on; expected one made of version {}, found one of {}",
        schema.version,
        next.version.saturating_sub(1)
    ))
}

/// The schema of the log with what the configuration says laid over it, where that changes it. `unknown` is what the configuration says
/// of other names, if it says anything.
#[must_use]
pub fn configured(schema: &Schema, config: &Schema, unknown: Option<Unknown>) -> Option<Schema> {
    let mut new = Schema { unknown: unknown.unwrap_or(schema.unknown), ..schema.clone() };
    new.items.extend(config.items.iter().map(|(n, t)| (n.clone(), *t)));
    new.users.extend(config.users.iter().map(|(n, t)| (n.clone(), *t)));
    if new == *schema {
        return None;
    }
    new.version += 1;
    Some(new)
}

fn widen(name: &str, value: &mut Option<Value>, to: ValueType) -> Result<(), String> {
    let Some(given) = value.take() else { return Ok(()) };
    let found = given.value_type();
    match given.widen(to) {
        Some(widened) => {
            // In the log an empty list says nothing of its type; here it says as much, so that replay equals the first run.
            let bare = matches!(&widened, Value::Vector(list) if list.is_empty());
            *value = Some(if bare { Value::Strings(Vec::new()) } else { widened });
            Ok(())
        }
        None => Err(format!("attributes.{name}: expected {to}, as the schema says, found {found}")),
    }
}
