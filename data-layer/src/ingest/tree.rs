//! One JSON text as a tree of values, counted while it is read: the text of an event may be a list of millions of zeros, and each
//! takes many times its two bytes. Not for the meaning of it.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserializer, de};
use serde_json::{Map, Number, Value};

/// Most values of one event, itself and the names of fields included: 64 lists of the longest kind.
pub const MOST_VALUES: usize = 1 << 18;

/// An upper bound of the values in a text of so many bytes.
#[must_use]
pub fn most(bytes: usize) -> usize {
    (bytes / 2 + 1).min(MOST_VALUES)
}

/// Reads a text, and counts its values.
///
/// # Errors
/// What is not JSON; an error of data beyond [`MOST_VALUES`].
pub fn read(text: &[u8], values: &mut usize) -> Result<Value, serde_json::Error> {
    let mut from = serde_json::Deserializer::from_slice(text);
    let tree = Tree { values }.deserialize(&mut from)?;
    from.end()?;
    Ok(tree)
}

/// One value, of which and of whose parts there may be only so many more.
struct Tree<'a> {
    values: &'a mut usize,
}

impl Tree<'_> {
    fn count<E: de::Error>(&mut self) -> Result<(), E> {
        *self.values += 1;
        if *self.values > MOST_VALUES {
            return Err(E::custom(format_args!(
                "expected at most {MOST_VALUES} values in one event, found more"
            )));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(mut self, from: D) -> Result<Value, D::Error> {
        self.count()?;
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("expected a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut read = Vec::new();
        while let Some(value) = list.next_element_seed(Tree { values: &mut *self.values })? {
            read.push(value);
        }
        Ok(Value::Array(read))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut read = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            Tree { values: &mut *self.values }.count().map_err(|e: A::Error| A::Error::custom(e))?;
            let value = members.next_value_seed(Tree { values: &mut *self.values })?;
            read.insert(name, value);
        }
        Ok(Value::Object(read))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_what_serde_reads_and_counted() {
        for text in
            [r#"{"a":[1,-2,3.5,"x",null,true,{"b":{}}],"a":0}"#, "-0.0", "18446744073709551615", "[]", " 1 "]
        {
            let mut values = 0;
            assert_eq!(
                read(text.as_bytes(), &mut values).unwrap(),
                serde_json::from_str::<Value>(text).unwrap()
            );
            assert!((1..=most(text.len())).contains(&values), "{text} {values}");
        }
        for text in ["", "[1", "1 2", "1e999", "nul", "\"\u{0}\"", &"[".repeat(200)] {
            assert!(read(text.as_bytes(), &mut 0).unwrap_err().to_string().contains(" at line 1"), "{text}");
        }
    }

    #[test]
    fn a_list_without_end_is_refused_while_it_is_read() {
        let zeros = format!("[{}0]", "0,".repeat(MOST_VALUES));
        let mut values = 0;
        let error = read(zeros.as_bytes(), &mut values).unwrap_err();
        assert!(
            error.is_data() && error.to_string().starts_with("expected at most 262144 values"),
            "{error}"
        );
        assert_eq!(values, MOST_VALUES + 1);
        assert!(read(&zeros.as_bytes()[..zeros.len() - 5], &mut 0).is_err());
    }
}
