//! Values of attributes and of a context: which forms there are, and how large they may be. What type an attribute has is
//! `typing.rs`'s.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::{MOST_ATTRIBUTES, MOST_CONTEXT, MOST_LIST, MOST_TEXT};
use crate::ingest::decode::noun;
use crate::ingest::fields::{Fields, text_ok};
use crate::types::event::Attributes;
use crate::types::{Value, ValueType, time};

/// Scalars of the moment.
pub(super) fn context(fields: &mut Fields) -> Result<BTreeMap<String, Value>, String> {
    let entries = fields.object("context")?;
    if entries.len() > MOST_CONTEXT {
        return Err(format!("context: expected at most {MOST_CONTEXT} entries, found {}", entries.len()));
    }
    let mut context = BTreeMap::new();
    for (name, value) in entries {
        if matches!(value, Json::Array(_) | Json::Object(_)) {
            return Err(format!("context.{name}: expected a bool, number or string, found {}", noun(&value)));
        }
        if let Some(value) = self::value(value).map_err(|detail| format!("context.{name}: {detail}"))? {
            context.insert(name, value);
        }
    }
    Ok(context)
}

/// Attributes with their values; null clears. `reserved` names those that act by themselves.
pub(super) fn attributes(fields: &mut Fields, reserved: &[(&str, ValueType)]) -> Result<Attributes, String> {
    let entries = fields.object("attributes")?;
    if entries.len() > MOST_ATTRIBUTES {
        return Err(format!("attributes: expected at most {MOST_ATTRIBUTES}, found {}", entries.len()));
    }
    let mut attributes = Attributes::new();
    for (name, value) in entries {
        name_ok(&name)?;
        // The reserved integers are times, and times may be written in RFC 3339.
        let is_time = reserved.contains(&(name.as_str(), ValueType::Int));
        let value = match value {
            Json::String(text) if is_time => {
                let time = time::parse_rfc3339(&text).map_err(|d| format!("attributes.{name}: {d}"))?;
                Some(Value::Int(time))
            }
            other => self::value(other).map_err(|detail| format!("attributes.{name}: {detail}"))?,
        };
        attributes.insert(name, value);
    }
    Ok(attributes)
}

/// Whether an attribute may be called so.
pub(super) fn name_ok(name: &str) -> Result<(), String> {
    text_ok(name, 128)
        .map_err(|detail| format!("attributes: a name has 1 to 128 bytes, and {detail}: {name:?}"))
}

/// The typed form of an attribute value; `None` for null, which clears.
fn value(json: Json) -> Result<Option<Value>, String> {
    Ok(Some(match json {
        Json::Null => return Ok(None),
        Json::Bool(b) => Value::Bool(b),
        Json::Number(n) => match (n.as_i64(), n.as_f64()) {
            (Some(i), _) => Value::Int(i),
            (None, Some(f)) if f.is_finite() && !n.is_u64() => Value::Float(f),
            _ => return Err(format!("expected a 64-bit signed integer or a finite float, found {n}")),
        },
        Json::String(text) => Value::String(bounded(text)?.into()),
        Json::Array(list) => return self::list(list).map(Some),
        Json::Object(map) => {
            let degrees = |name: &str, most: f64| {
                let number = map.get(name).and_then(Json::as_f64).filter(|d| d.abs() <= most);
                number.ok_or_else(|| {
                    format!("expected {{\"lat\": −90 to 90, \"lon\": −180 to 180}}; {name} is not")
                })
            };
            let place = Value::Geo { lat: degrees("lat", 90.0)?, lon: degrees("lon", 180.0)? };
            if map.len() != 2 {
                return Err("expected {\"lat\": …, \"lon\": …} and nothing else".to_owned());
            }
            place
        }
    }))
}

fn list(list: Vec<Json>) -> Result<Value, String> {
    if list.len() > MOST_LIST {
        return Err(format!("expected at most {MOST_LIST} elements, found {}", list.len()));
    }
    if list.first().is_some_and(Json::is_number) {
        let number = |json: &Json| {
            let number = json.as_f64().map(|f| f as f32).filter(|f| f.is_finite());
            number.ok_or_else(|| format!("expected a list of finite numbers, found {} in it", noun(json)))
        };
        return list.iter().map(number).collect::<Result<_, _>>().map(Value::Vector);
    }
    let text = |json: Json| match json {
        Json::String(text) => bounded(text).map(Into::into),
        other => Err(format!("expected a list of strings or of numbers, found {} in it", noun(&other))),
    };
    list.into_iter().map(text).collect::<Result<_, _>>().map(Value::Strings)
}

fn bounded(text: String) -> Result<String, String> {
    if text.len() > MOST_TEXT {
        return Err(format!("expected at most {MOST_TEXT} bytes of text, found {}", text.len()));
    }
    Ok(text)
}

/// Whether the log can hold a value: it is JSON, which has no other numbers than finite ones, and one in it could never be read again.
pub(super) fn finite(value: &Value, within: &str, name: &str) -> Result<(), String> {
    let finite = match value {
        Value::Float(f) => f.is_finite(),
        Value::Vector(v) => v.iter().all(|x| x.is_finite()),
        Value::Geo { lat, lon } => lat.is_finite() && lon.is_finite(),
        Value::Bool(_) | Value::Int(_) | Value::String(_) | Value::Strings(_) => true,
    };
    if finite { Ok(()) } else { Err(format!("{within}.{name}: expected finite numbers")) }
}
