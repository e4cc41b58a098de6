//! The few forms that payloads are made of: whole numbers of variable length, texts, floats; written to a vector and read from
//! a slice that nobody vouches for. Not for what they mean: that is `mod.rs`'s.

use crate::types::{Id, Person, PersonKind, Value};

/// Appends a number, seven bits a byte, lowest first; the top bit says that another byte follows.
pub fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a signed number: 0, −1, 1, −2 … as 0, 1, 2, 3 …
pub fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_number(out, ((number << 1) ^ (number >> 63)) as u64);
}

/// Appends the length of a text in bytes, and its bytes.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Appends a person: the space as one byte (0 user, 1 anonymous, 2 session), and the id as a text.
pub fn put_person(out: &mut Vec<u8>, person: &Person) {
    out.push(person.kind as u8);
    put_text(out, person.id.as_str());
}

/// Appends a value: a byte that names its form, and its parts. `None` is 0.
pub fn put_value(out: &mut Vec<u8>, value: Option<&Value>) {
    match value {
        None => out.push(0),
        Some(Value::Bool(false)) => out.push(1),
        Some(Value::Bool(true)) => out.push(2),
        Some(Value::Int(number)) => {
            out.push(3);
            put_signed(out, *number);
        }
        Some(Value::Float(number)) => {
            out.push(4);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Some(Value::String(text)) => {
            out.push(5);
            put_text(out, text);
        }
        Some(Value::Strings(list)) => {
            out.push(6);
            put_number(out, list.len() as u64);
            list.iter().for_each(|text| put_text(out, text));
        }
        Some(Value::Vector(list)) => {
            out.push(7);
            put_number(out, list.len() as u64);
            list.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
        }
        Some(Value::Geo { lat, lon }) => {
            out.push(8);
            out.extend_from_slice(&lat.to_le_bytes());
            out.extend_from_slice(&lon.to_le_bytes());
        }
    }
}

/// Reads what the functions above wrote. Never panics, never takes memory for more than the bytes that are there; errors name the
/// byte, what was expected and what was found.
#[derive(Debug, Clone)]
pub struct Bytes<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Bytes<'a> {
    /// Reads from the first byte on.
    #[must_use]
    pub fn new(all: &'a [u8]) -> Self {
        Self { all, at: 0 }
    }

    /// Bytes that have not been read.
    #[must_use]
    pub fn left(&self) -> usize {
        self.all.len() - self.at
    }

    /// The next byte.
    ///
    /// # Errors
    /// A sentence where there is none.
    pub fn byte(&mut self) -> Result<u8, String> {
        let byte = self.all.get(self.at).copied().ok_or_else(|| self.short(1))?;
        self.at += 1;
        Ok(byte)
    }

    /// So many bytes.
    ///
    /// # Errors
    /// A sentence where there are fewer.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let taken = self.all[self.at..].get(..count).ok_or_else(|| self.short(count))?;
        self.at += count;
        Ok(taken)
    }

    /// A number.
    ///
    /// # Errors
    /// A sentence where it ends early or has more than 64 bits.
    pub fn number(&mut self) -> Result<u64, String> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        let (mut number, mut shift) = (u64::from(first & 0x7f), 7);
        loop {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                return Err(format!("byte {}: expected a number of at most 64 bits", self.at - 1));
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
            shift += 7;
        }
    }

    /// A signed number.
    ///
    /// # Errors
    /// As [`Bytes::number`].
    pub fn signed(&mut self) -> Result<i64, String> {
        let number = self.number()?;
        Ok((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    /// How many parts of at least `least` bytes follow.
    ///
    /// # Errors
    /// A sentence where the rest can't hold so many.
    pub fn count(&mut self, least: usize) -> Result<usize, String> {
        let (at, count) = (self.at, self.number()?);
        let most = self.left() / least.max(1);
        match usize::try_from(count) {
            Ok(count) if count <= most => Ok(count),
            _ => Err(format!("byte {at}: expected at most {most} parts, found {count}")),
        }
    }

    /// A text.
    ///
    /// # Errors
    /// A sentence where it ends early or is no UTF-8.
    pub fn text(&mut self) -> Result<&'a str, String> {
        let count = self.count(1)?;
        let at = self.at;
        let text = std::str::from_utf8(self.take(count)?);
        text.map_err(|error| format!("byte {at}: expected UTF-8, {error}"))
    }

    /// An id.
    ///
    /// # Errors
    /// As [`Bytes::text`]; a sentence where the text can't be an id.
    pub fn id(&mut self) -> Result<Id, String> {
        let at = self.at;
        Id::new(self.text()?).map_err(|error| format!("byte {at}: {error}"))
    }

    /// A person.
    ///
    /// # Errors
    /// As [`Bytes::id`]; a sentence for an unknown space.
    pub fn person(&mut self) -> Result<Person, String> {
        let (at, space) = (self.at, self.byte()?);
        let kind = match space {
            0 => PersonKind::User,
            1 => PersonKind::Anonymous,
            2 => PersonKind::Session,
            other => return Err(format!("byte {at}: expected a space of people, 0 to 2, found {other}")),
        };
        Ok(Person { kind, id: self.id()? })
    }

    /// A float of 64 bits.
    ///
    /// # Errors
    /// A sentence where it ends early.
    pub fn float(&mut self) -> Result<f64, String> {
        let mut eight = [0; 8];
        eight.copy_from_slice(self.take(8)?);
        Ok(f64::from_le_bytes(eight))
    }

    /// A value; `None` clears.
    ///
    /// # Errors
    /// A sentence for an unknown form, and where it ends early.
    pub fn value(&mut self) -> Result<Option<Value>, String> {
        let (at, form) = (self.at, self.byte()?);
        Ok(Some(match form {
            0 => return Ok(None),
            1 => Value::Bool(false),
            2 => Value::Bool(true),
            3 => Value::Int(self.signed()?),
            4 => Value::Float(self.float()?),
            5 => Value::String(self.text()?.into()),
            6 => {
                let count = self.count(1)?;
                Value::Strings((0..count).map(|_| self.text().map(Into::into)).collect::<Result<_, _>>()?)
            }
            7 => {
                let bytes = self.count(4).and_then(|count| self.take(count * 4))?;
                let number = |four: &[u8]| f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
                Value::Vector(bytes.chunks_exact(4).map(number).collect())
            }
            8 => Value::Geo { lat: self.float()?, lon: self.float()? },
            other => return Err(format!("byte {at}: expected a form of value, 0 to 8, found {other}")),
        }))
    }

    /// Flags of which only `known` may be set.
    ///
    /// # Errors
    /// A sentence for others, which a newer program set.
    pub fn flags(&mut self, known: u8) -> Result<u8, String> {
        let (at, flags) = (self.at, self.byte()?);
        if flags & !known == 0 {
            return Ok(flags);
        }
        Err(format!(
            "byte {at}: expected flags of {known:#04x}, found {flags:#04x}, of a newer program; upgrade this one"
        ))
    }

    /// Makes sure that nothing is left.
    ///
    /// # Errors
    /// A sentence where something is.
    pub fn end(&self) -> Result<(), String> {
        match self.left() {
            0 => Ok(()),
            left => Err(format!("byte {}: expected the end, found {left} bytes more", self.at)),
        }
    }

    fn short(&self, wanted: usize) -> String {
        format!("byte {}: expected {wanted} bytes, found {}", self.at, self.left())
    }
}
