//! What deeds look at when they come, followed record by record: an item's kind, deletion and beginning, with the list `fresh` that follows from
//! them; a person's consent and time zone. Says of a record whether it changed any of it.

use xxhash_rust::xxh3::xxh3_64;

use crate::live::dictionary::Dictionary;
use crate::live::trending::Named;
use crate::live::{Fresh, Stamp};
use crate::types::{ItemEvent, Millis, Ordinal, UserEvent, Value};

/// Attributes of an item, and of a person, that act when something is done, in order of their bits.
const OF_ITEMS: [&str; 2] = ["created", "available_from"];
const OF_PEOPLE: [&str; 2] = ["personalize", "timezone"];
/// Bits of an item's kind and deletion, after those of its attributes.
const KIND: usize = 2;
const DELETED: usize = 3;

/// One thing that was said, as a number.
#[derive(Debug, Clone, Copy)]
struct Field {
    time: Millis,
    priority: u8,
    value: Option<i64>,
}

impl Field {
    const NEVER: Self = Self { time: Millis::MIN, priority: 0, value: None };

    fn merge(&mut self, said: Self, greater: impl Fn(Option<i64>, Option<i64>) -> bool) {
        let newer = (said.time, said.priority).cmp(&(self.time, self.priority));
        if newer.then_with(|| greater(said.value, self.value).cmp(&false)).is_gt() {
            *self = said;
        }
    }
}

/// What is followed of one item or person.
#[derive(Debug)]
pub(super) struct Acting {
    fields: [Field; 4],
    /// Two said different things of one field at the same time: which of them stands is for the configuration to say.
    contested: bool,
}

impl Default for Acting {
    fn default() -> Self {
        Self { fields: [Field::NEVER; 4], contested: false }
    }
}

impl Acting {
    /// From now on nothing is known of it that could be relied upon.
    pub(super) fn contest(&mut self) {
        self.contested = true;
    }

    /// Whether what stands can be relied upon.
    pub(super) fn is_plain(&self) -> bool {
        !self.contested
    }

    /// Merges one field; whether what stands is another value then.
    fn say(&mut self, at: usize, said: Field, greater: impl Fn(Option<i64>, Option<i64>) -> bool) -> bool {
        let field = &mut self.fields[at];
        let before = field.value;
        self.contested |= field.time == said.time && field.time != Millis::MIN && before != said.value;
        field.merge(said, greater);
        field.value != before
    }
}

/// Which of the fields that act an item event says, as bits.
pub(super) fn acts_of_item(event: &ItemEvent) -> u8 {
    let said = OF_ITEMS.map(|name| event.attributes.contains_key(name));
    bits(&[said[0], said[1], event.kind.is_some(), event.deleted.is_some()])
}

/// Which of the fields that act a user event says, as bits.
pub(super) fn acts_of_person(event: &UserEvent) -> u8 {
    bits(&OF_PEOPLE.map(|name| event.attributes.contains_key(name)))
}

fn bits(said: &[bool]) -> u8 {
    said.iter().rev().fold(0, |bits, said| bits << 1 | u8::from(*said))
}

/// Takes a user event; whether nothing that acts has changed by it.
pub(super) fn follow_person(acting: &mut Acting, event: &UserEvent) -> bool {
    let mut same = true;
    for (at, name) in OF_PEOPLE.iter().enumerate() {
        let Some(value) = event.attributes.get(*name) else { continue };
        let value = value.as_ref().map(number);
        let said = Field { time: event.time, priority: 0, value };
        // Where the time does not decide, nothing is relied upon.
        same &= !acting.say(at, said, |_, _| false);
    }
    same && acting.is_plain()
}

fn number(value: &Value) -> i64 {
    xxh3_64(format!("{value:?}").as_bytes()) as i64
}

/// The items of some partitions, as the list `fresh` sees them.
#[derive(Debug, Default)]
pub(super) struct FreshItems {
    fresh: Fresh,
    kinds: Dictionary,
}

impl FreshItems {
    /// Takes an event of an item that has this number; whether nothing that acts has changed by it.
    pub(super) fn follow(
        &mut self,
        acting: &mut Acting,
        number: Ordinal,
        event: &ItemEvent,
        stamp: Stamp,
    ) -> bool {
        let (time, priority) = (stamp.time, stamp.priority);
        let said = |value| Field { time, priority, value };
        let (mut same, mut any) = (true, false);
        for (at, name) in OF_ITEMS.iter().enumerate() {
            let Some(value) = event.attributes.get(*name) else { continue };
            any = true;
            let value = match value {
                Some(Value::Int(time)) => Some(*time),
                Some(_) => continue,
                None => None,
            };
            same &= !acting.say(at, said(value), |a, b| a > b);
        }
        if let Some(kind) = &event.kind {
            any = true;
            let before = self.kind(acting);
            let (code, kinds) = (i64::from(self.kinds.intern(kind)), &self.kinds);
            let text = |code: Option<i64>| code.map(|code| kinds.text(code as u32));
            acting.say(KIND, said(Some(code)), |a, b| text(a) > text(b));
            same &= self.kind(acting) == before;
        }
        if let Some(deleted) = event.deleted {
            any = true;
            let before = is_deleted(acting);
            acting.say(DELETED, said(Some(deleted.into())), |a, b| a > b);
            same &= is_deleted(acting) == before;
        }
        if !any {
            return true;
        }
        let begins =
            if is_deleted(acting) { None } else { acting.fields[0].value.max(acting.fields[1].value) };
        let before = self.fresh.begins(number);
        let kind = self.kind(acting);
        self.fresh.say(Named { item: number, tie: event.id.tie(), kind: self.kinds.text(kind) }, begins);
        same && self.fresh.begins(number) == before && acting.is_plain()
    }

    /// Code of the kind that stands.
    fn kind(&mut self, acting: &Acting) -> u32 {
        match acting.fields[KIND].value {
            Some(code) => code as u32,
            None => self.kinds.intern(crate::live::items::DEFAULT_KIND),
        }
    }
}

fn is_deleted(acting: &Acting) -> bool {
    acting.fields[DELETED].value == Some(1)
}
