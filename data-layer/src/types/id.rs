//! Ids of items and people, compared byte by byte, and positions in the log. Not for ordinals, which are local.

use std::fmt;
use std::str::FromStr;

use ecow::EcoString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::Partition;

/// Longest id, in bytes of UTF-8.
pub const MAX_ID_BYTES: usize = 256;

/// An id of an item or a person: 1 to 256 bytes of UTF-8 without control characters, never normalised. 16 bytes, the text of up to 15 bytes
/// included; a longer one is shared by its clones.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(EcoString);

/// Why a string is not an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The string is empty.
    #[error("an id must have 1 to 256 bytes, found an empty string")]
    Empty,
    /// The string is too long.
    #[error("an id must have 1 to 256 bytes, found {0}")]
    TooLong(usize),
    /// The string holds a control character.
    #[error("an id must not hold control characters, found {0:?} at byte {1}")]
    Control(char, usize),
}

impl Id {
    /// Checks and takes an id.
    ///
    /// # Errors
    /// [`IdError`] when the string is empty, longer than 256 bytes, or holds a control character.
    pub fn new(text: &str) -> Result<Self, IdError> {
        check(text)?;
        Ok(Self(EcoString::from(text)))
    }

    /// The exact text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 64-bit hash that breaks ties between items; stable across processes and versions (XXH3-64).
    #[must_use]
    pub fn tie(&self) -> u64 {
        xxh3_64(self.0.as_bytes())
    }
}

/// Checks that a string may be an id, without taking it.
///
/// # Errors
/// [`IdError`] as [`Id::new`].
pub fn check(text: &str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    if text.len() > MAX_ID_BYTES {
        return Err(IdError::TooLong(text.len()));
    }
    // Most ids are plain ASCII, and this runs for each of every record at start.
    if text.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Ok(());
    }
    match text.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, c)) => Err(IdError::Control(c, at)),
        None => Ok(()),
    }
}

impl std::borrow::Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Id {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        Self::new(text)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

/// Which id space a person is known in. The three never collide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PersonKind {
    /// A signed-in user.
    User,
    /// A device or cookie.
    Anonymous,
    /// One session only.
    Session,
}

/// Somebody that state is kept for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Person {
    /// The id space.
    pub kind: PersonKind,
    /// The id in it.
    pub id: Id,
}

impl Person {
    /// A signed-in user.
    #[must_use]
    pub fn user(id: Id) -> Self {
        Self { kind: PersonKind::User, id }
    }

    /// A device or cookie.
    #[must_use]
    pub fn anonymous(id: Id) -> Self {
        Self { kind: PersonKind::Anonymous, id }
    }

    /// One session.
    #[must_use]
    pub fn session(id: Id) -> Self {
        Self { kind: PersonKind::Session, id }
    }

    /// The 64-bit hash of a person, from which the partition follows: XXH3-64 of the id, seeded by the kind.
    #[must_use]
    pub fn hash(&self) -> u64 {
        xxh3_64_with_seed(self.id.as_str().as_bytes(), self.kind as u64)
    }

    /// The partition that holds this person's state: the hash modulo the partitions.
    #[must_use]
    pub fn partition(&self) -> Partition {
        (self.hash() % u64::from(super::PARTITIONS)) as Partition
    }
}

/// How far the log of one server has come: a producer (one log folder) and the count of its records.
///
/// Written `1.<producer, hex>.<sequence>`; the leading 1 is the version of this form. Clients treat it as opaque.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Position {
    /// Identity of the log folder, drawn when it was made.
    pub producer: u64,
    /// Number of records in the log up to and with the last one meant; 0 is "before the first".
    pub sequence: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{:016x}.{}", self.producer, self.sequence)
    }
}

impl FromStr for Position {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("a position looks like 1.00c0ffee00c0ffee.42 as /v1/events gave it, found {text:?}");
        let mut parts = text.split('.');
        let (Some("1"), Some(producer), Some(sequence), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong());
        };
        if producer.len() != 16 {
            return Err(wrong());
        }
        Ok(Self {
            producer: u64::from_str_radix(producer, 16).map_err(|_| wrong())?,
            sequence: sequence.parse().map_err(|_| wrong())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_exact_bytes() {
        assert_eq!(Id::new("").unwrap_err(), IdError::Empty);
        assert_eq!(Id::new(&"x".repeat(257)).unwrap_err(), IdError::TooLong(257));
        assert!(matches!(Id::new("a\tb").unwrap_err(), IdError::Control('\t', 1)));
        assert_ne!(Id::new("é").unwrap(), Id::new("e\u{301}").unwrap());
    }

    #[test]
    fn positions_round_trip_and_refuse_others() {
        let position = Position { producer: 0xc0ffee, sequence: 42 };
        assert_eq!(position.to_string().parse(), Ok(position));
        for bad in
            ["", "1", "2.0000000000c0ffee.1", "1.c0ffee.1", "1.0000000000c0ffee.-1", "1.0000000000c0ffee.1.2"]
        {
            assert!(bad.parse::<Position>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_same_id_in_two_spaces_is_two_people() {
        let id = Id::new("a").unwrap();
        assert_ne!(Person::user(id.clone()), Person::anonymous(id));
    }
}
