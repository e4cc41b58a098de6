//! What a partition of people notes for a while, so that what comes later finds it: what an interaction did, which life went into whose, who
//! was erased. Each under 16 bytes of a hash, as bytes by ids. Described in `docs/formats.md`.

use xxhash_rust::xxh3::xxh3_128;

use crate::config::{ActionId, Actions};
use crate::live::codec::wire::{Read, Said, Wire};
use crate::shared::NoteKey;
use crate::types::{Id, Millis, Person, PersonKind};

/// Version of the form: the first byte. A newer one is refused.
const VERSION: u8 = 1;

const DONE: u8 = 1;
const AWAITED: u8 = 2;
const UNDONE: u8 = 3;
const JOINED: u8 = 4;
const ERASED: u8 = 5;
/// Likewise, where others may hold the name of whom nobody knows.
const ERASED_WIDELY: u8 = 6;

/// What an interaction did, by ids.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Act {
    pub item: Id,
    /// `None` where the action was no longer configured, and nothing was counted.
    pub action: Option<ActionId>,
    pub offset: i8,
    pub value: f64,
    pub time: Millis,
    /// Key of the event.
    pub key: u64,
}

/// In whose state it was counted, and in which of their lives.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Owner {
    pub person: Person,
    pub life: u64,
}

/// One note.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Note {
    /// An interaction was done; the owner is whose state learnt it.
    Done(Act, Option<Owner>),
    /// It was taken back before it came.
    Awaited,
    /// It was taken back.
    Undone,
    /// A life went into that of a user.
    Joined(Id),
    /// All that was taken of a person before that is forgotten; and whether others may be tied to them of whom their state said nothing.
    Erased(When, bool),
}

/// When a server took an event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct When {
    pub received_ms: Millis,
    /// Whose log has it, and under which number.
    pub producer: u64,
    pub sequence: u64,
}

impl When {
    /// Whether it was before another: by the number in one log, by the clocks of two servers.
    pub(super) fn is_before(&self, other: &Self) -> bool {
        if self.producer == other.producer {
            self.sequence < other.sequence
        } else {
            self.received_ms <= other.received_ms
        }
    }
}

/// What a person's life stands under, once it is somebody else's.
pub(super) fn of_life(life: u64) -> NoteKey {
    halves(&[&b"life\0"[..], &life.to_le_bytes()].concat())
}

/// What it stands under that a person was erased.
pub(super) fn of_erased(person: &Person) -> NoteKey {
    halves(&[&b"erased\0"[..], &[letter(person.kind)], person.id.as_str().as_bytes()].concat())
}

fn halves(bytes: &[u8]) -> NoteKey {
    let hash = xxh3_128(bytes);
    [hash as u64, (hash >> 64) as u64]
}

impl Note {
    pub(super) fn encode(&self, actions: &Actions) -> Vec<u8> {
        let mut wire = Wire(vec![VERSION]);
        match self {
            Self::Done(act, owner) => {
                wire.0.push(DONE);
                put_act(&mut wire, act, actions);
                wire.0.push(u8::from(owner.is_some()));
                if let Some(Owner { person, life }) = owner {
                    put_person(&mut wire, person);
                    wire.word(*life);
                }
            }
            Self::Awaited => wire.0.push(AWAITED),
            Self::Undone => wire.0.push(UNDONE),
            Self::Joined(user) => {
                wire.0.push(JOINED);
                wire.text(user.as_str());
            }
            Self::Erased(when, widely) => {
                wire.0.push(if *widely { ERASED_WIDELY } else { ERASED });
                put_when(&mut wire, when);
            }
        }
        wire.0
    }

    pub(super) fn decode(bytes: &[u8], actions: &Actions) -> Said<Self> {
        let mut read = Read::new(bytes);
        match read.byte()? {
            VERSION => {}
            newer if newer > VERSION => {
                return Err(format!("note version {newer} is newer than {VERSION}; upgrade this server"));
            }
            other => return Err(format!("expected a note of version {VERSION}, found {other}")),
        }
        let note = match read.byte()? {
            DONE => {
                let act = get_act(&mut read, actions)?;
                match read.byte()? {
                    0 => Self::Done(act, None),
                    _ => {
                        let (person, life) = (get_person(&mut read)?, read.word()?);
                        Self::Done(act, Some(Owner { person, life }))
                    }
                }
            }
            AWAITED => Self::Awaited,
            UNDONE => Self::Undone,
            JOINED => Self::Joined(get_id(&mut read)?),
            kind @ (ERASED | ERASED_WIDELY) => Self::Erased(get_when(&mut read)?, kind == ERASED_WIDELY),
            other => {
                return Err(format!("expected a kind of note from {DONE} to {ERASED_WIDELY}, found {other}"));
            }
        };
        if read.is_at_end() { Ok(note) } else { Err("a note is longer than what it holds".to_owned()) }
    }
}

pub(super) fn put_act(wire: &mut Wire, act: &Act, actions: &Actions) {
    wire.text(act.item.as_str());
    wire.text(act.action.map_or("", |action| actions.name(action)));
    wire.signed(act.offset.into());
    wire.float(act.value);
    wire.signed(act.time.into());
    wire.word(act.key);
}

pub(super) fn get_act(read: &mut Read<'_>, actions: &Actions) -> Said<Act> {
    Ok(Act {
        item: get_id(read)?,
        action: actions.id(read.text()?),
        offset: read.signed()?,
        value: read.float()?,
        time: read.signed()?,
        key: read.word()?,
    })
}

pub(super) fn put_when(wire: &mut Wire, when: &When) {
    wire.signed(when.received_ms.into());
    wire.word(when.producer);
    wire.unsigned(when.sequence.into());
}

pub(super) fn get_when(read: &mut Read<'_>) -> Said<When> {
    Ok(When { received_ms: read.signed()?, producer: read.word()?, sequence: read.number()? })
}

pub(super) fn get_id(read: &mut Read<'_>) -> Said<Id> {
    Id::new(read.text()?).map_err(|error| error.to_string())
}

pub(super) fn put_person(wire: &mut Wire, person: &Person) {
    wire.0.push(letter(person.kind));
    wire.text(person.id.as_str());
}

pub(super) fn get_person(read: &mut Read<'_>) -> Said<Person> {
    let kind = match read.byte()? {
        b'u' => PersonKind::User,
        b'a' => PersonKind::Anonymous,
        b's' => PersonKind::Session,
        other => return Err(format!("expected u, a or s, found {other}")),
    };
    Ok(Person { kind, id: get_id(read)? })
}

fn letter(kind: PersonKind) -> u8 {
    match kind {
        PersonKind::User => b'u',
        PersonKind::Anonymous => b'a',
        PersonKind::Session => b's',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_what_was_written_and_other_bytes_are_refused() {
        let (actions, id) = (Actions::default(), |text: &str| Id::new(text).unwrap());
        let act =
            Act { item: id("i"), action: actions.id("click"), offset: -8, value: 2.5, time: -7, key: 9 };
        let owner = Owner { person: Person::anonymous(id("a")), life: 77 };
        let notes = [
            Note::Done(act.clone(), Some(owner)),
            Note::Done(Act { action: None, ..act }, None),
            Note::Awaited,
            Note::Undone,
            Note::Joined(id("u")),
            Note::Erased(When { received_ms: 1_770_000_000_000, producer: 9, sequence: 300 }, false),
            Note::Erased(When { received_ms: 1_770_000_000_000, producer: 9, sequence: 301 }, true),
        ];
        for note in notes {
            let bytes = note.encode(&actions);
            assert_eq!(Note::decode(&bytes, &actions), Ok(note.clone()));
            assert!((0..bytes.len()).all(|cut| Note::decode(&bytes[..cut], &actions).is_err()), "{note:?}");
            assert!(Note::decode(&[&bytes[..], &[0]].concat(), &actions).is_err());
        }
        assert!(Note::decode(&[VERSION + 1, AWAITED], &actions).unwrap_err().contains("upgrade"));
    }
}
