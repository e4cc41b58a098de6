//! Typed attribute values and their types. Merge order between values is defined here; storage is in `live/`.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The type of an attribute, as the schema names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValueType {
    /// `true` or `false`.
    Bool,
    /// A 64-bit signed integer.
    Int,
    /// A finite 64-bit float. Integers widen to it.
    Float,
    /// Text; also a reference to an item or user, by id.
    String,
    /// A list of strings.
    Strings,
    /// A list of finite floats.
    Vector,
    /// A place, in degrees.
    Geo,
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Float => "float",
            Self::String => "string",
            Self::Strings => "strings",
            Self::Vector => "vector",
            Self::Geo => "geo",
        })
    }
}

/// One attribute value. In JSON: bool, number, string, list of strings, list of numbers, `{"lat":…,"lon":…}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A finite number.
    Float(f64),
    /// Text.
    String(Arc<str>),
    /// A list of strings; an empty JSON list is this.
    Strings(Vec<Arc<str>>),
    /// A list of finite numbers.
    Vector(Vec<f32>),
    /// A place in degrees, latitude −90..=90, longitude −180..=180.
    Geo {
        /// Latitude.
        lat: f64,
        /// Longitude.
        lon: f64,
    },
}

impl Value {
    /// The type of this value.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        match self {
            Self::Bool(_) => ValueType::Bool,
            Self::Int(_) => ValueType::Int,
            Self::Float(_) => ValueType::Float,
            Self::String(_) => ValueType::String,
            Self::Strings(_) => ValueType::Strings,
            Self::Vector(_) => ValueType::Vector,
            Self::Geo { .. } => ValueType::Geo,
        }
    }

    /// This value as the wanted type, widening an integer to a float and an empty list to either list; `None` where the
    /// types differ.
    #[must_use]
    pub fn widen(self, to: ValueType) -> Option<Self> {
        match (self, to) {
            (Self::Int(i), ValueType::Float) => Some(Self::Float(i as f64)),
            (Self::Strings(list), ValueType::Vector) if list.is_empty() => Some(Self::Vector(Vec::new())),
            (value, to) if value.value_type() == to => Some(value),
            _ => None,
        }
    }

    /// A total order over values, used to choose between two of the same event time and source priority.
    #[must_use]
    pub fn merge_order(&self, other: &Self) -> Ordering {
        use Value as V;
        match (self, other) {
            (V::Bool(a), V::Bool(b)) => a.cmp(b),
            (V::Int(a), V::Int(b)) => a.cmp(b),
            (V::Float(a), V::Float(b)) => a.total_cmp(b),
            (V::String(a), V::String(b)) => a.cmp(b),
            (V::Strings(a), V::Strings(b)) => a.cmp(b),
            (V::Vector(a), V::Vector(b)) => a.iter().map(|x| x.to_bits()).cmp(b.iter().map(|x| x.to_bits())),
            (V::Geo { lat: a, lon: b }, V::Geo { lat: c, lon: d }) => a.total_cmp(c).then(b.total_cmp(d)),
            (a, b) => (a.value_type() as u8).cmp(&(b.value_type() as u8)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_forms_read_as_their_types() {
        let read = |text: &str| serde_json::from_str::<Value>(text).map(|v| v.value_type());
        assert_eq!(read("true").unwrap(), ValueType::Bool);
        assert_eq!(read("3").unwrap(), ValueType::Int);
        assert_eq!(read("3.5").unwrap(), ValueType::Float);
        assert_eq!(read("\"a\"").unwrap(), ValueType::String);
        assert_eq!(read("[\"a\"]").unwrap(), ValueType::Strings);
        assert_eq!(read("[]").unwrap(), ValueType::Strings);
        assert_eq!(read("[1, 2.5]").unwrap(), ValueType::Vector);
        assert_eq!(read("{\"lat\":1,\"lon\":2}").unwrap(), ValueType::Geo);
        assert!(read("{\"lat\":1}").is_err());
        assert!(read("[1,\"a\"]").is_err());
    }

    #[test]
    fn integers_widen_and_nothing_else_does() {
        assert_eq!(Value::Int(2).widen(ValueType::Float), Some(Value::Float(2.0)));
        assert_eq!(Value::Float(2.0).widen(ValueType::Int), None);
        assert_eq!(Value::Bool(true).widen(ValueType::Int), None);
    }
}
