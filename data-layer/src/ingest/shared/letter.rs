//! What partitions of people tell each other, where an event concerns two people: as messages, by ids. Described in `docs/formats.md`.

use super::note::{Act, When, get_act, get_id, get_when, put_act, put_when};
use crate::config::Actions;
use crate::live::codec::parts::{read_stamp, write_stamp};
use crate::live::codec::wire::{Read, Said, Wire};
use crate::live::{Side, Tie};
use crate::log::format;
use crate::shared::{Message, Place};
use crate::types::{Id, Person};

/// Version of the forms: the first byte. A newer one is refused.
const VERSION: u8 = 1;

/// Kinds of messages; those of records are below.
const JOIN: u8 = 64;
const TIE: u8 = 65;
const FORGET: u8 = 66;
const UNDO: u8 = 67;

/// One of them.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Letter {
    /// An anonymous person turns out to be a user; their state as it is kept.
    Join { user: Id, when: When, kept: Vec<u8> },
    /// A user is tied to this one.
    Tie { user: Id, when: When, relation: String, tie: Tie },
    /// A user who is tied to this one was erased.
    Forget { user: Id, name: Id },
    /// What was done in a life that went into this user's is taken back.
    Undo { user: Id, id: [u64; 2], life: u64, act: Act },
}

/// Whether a record is a message of another partition, and none of a log.
pub(super) fn is_letter(kind: u8) -> bool {
    (JOIN..format::PAST).contains(&kind)
}

impl Letter {
    /// Whom it is for.
    pub(super) fn to(&self) -> Person {
        let (Self::Join { user, .. }
        | Self::Tie { user, .. }
        | Self::Forget { user, .. }
        | Self::Undo { user, .. }) = self;
        Person::user(user.clone())
    }

    pub(super) fn message(&self, actions: &Actions) -> Message {
        let mut wire = Wire(vec![VERSION]);
        let kind = match self {
            Self::Join { user, when, kept } => {
                wire.text(user.as_str());
                put_when(&mut wire, when);
                wire.bytes(kept);
                JOIN
            }
            Self::Tie { user, when, relation, tie } => {
                wire.text(user.as_str());
                put_when(&mut wire, when);
                wire.text(relation);
                wire.text(tie.other.as_str());
                write_stamp(&mut wire, &tie.stamp);
                TIE
            }
            Self::Forget { user, name } => {
                wire.text(user.as_str());
                wire.text(name.as_str());
                FORGET
            }
            Self::Undo { user, id, life, act } => {
                wire.text(user.as_str());
                id.iter().for_each(|half| wire.word(*half));
                wire.word(*life);
                put_act(&mut wire, act, actions);
                UNDO
            }
        };
        Message { to: Some(Place::of_person(&self.to())), kind, payload: wire.0 }
    }

    pub(super) fn decode(kind: u8, payload: &[u8], actions: &Actions) -> Said<Self> {
        let mut read = Read::new(payload);
        match read.byte()? {
            VERSION => {}
            newer if newer > VERSION => {
                return Err(format!("message version {newer} is newer than {VERSION}; upgrade this server"));
            }
            other => return Err(format!("expected a message of version {VERSION}, found {other}")),
        }
        let user = get_id(&mut read)?;
        let letter = match kind {
            JOIN => Self::Join { user, when: get_when(&mut read)?, kept: read.bytes()?.to_vec() },
            TIE => {
                let (when, relation) = (get_when(&mut read)?, read.text()?.to_owned());
                let tie = Tie { other: get_id(&mut read)?, stamp: read_stamp(&mut read)? };
                Self::Tie { user, when, relation, tie }
            }
            FORGET => Self::Forget { user, name: get_id(&mut read)? },
            UNDO => {
                let (id, life) = ([read.word()?, read.word()?], read.word()?);
                Self::Undo { user, id, life, act: get_act(&mut read, actions)? }
            }
            other => return Err(format!("expected a kind of message from {JOIN} to {UNDO}, found {other}")),
        };
        if read.is_at_end() { Ok(letter) } else { Err("a message is longer than what it holds".to_owned()) }
    }
}

/// From whose side the receiver of a tie looks at it.
pub(super) const SIDE: Side = Side::From;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::Stamp;

    #[test]
    fn letters_are_what_was_written_and_other_bytes_are_refused() {
        let (actions, id) = (Actions::default(), |text: &str| Id::new(text).unwrap());
        let stamp = Stamp { time: 5, priority: 2, present: true };
        let act = Act { item: id("i"), action: actions.id("buy"), offset: 4, value: 1.0, time: 8, key: 3 };
        let when = When { received_ms: 9, producer: 7, sequence: 8 };
        let letters = [
            Letter::Join { user: id("u"), when, kept: vec![1, 2, 3] },
            Letter::Tie {
                user: id("u"),
                when,
                relation: "follow".to_owned(),
                tie: Tie { other: id("v"), stamp },
            },
            Letter::Forget { user: id("u"), name: id("v") },
            Letter::Undo { user: id("u"), id: [1, 2], life: 3, act },
        ];
        for letter in letters {
            let Message { to, kind, payload } = letter.message(&actions);
            assert_eq!(to, Some(Place::of_person(&Person::user(id("u")))));
            assert!(is_letter(kind));
            assert_eq!(Letter::decode(kind, &payload, &actions), Ok(letter));
            assert!((0..payload.len()).all(|cut| Letter::decode(kind, &payload[..cut], &actions).is_err()));
            assert!(Letter::decode(kind, &[&[VERSION + 1], &payload[1..]].concat(), &actions).is_err());
        }
    }
}
