//! The state of one person as bytes, by ids and names instead of numbers of this process, and back. What is stored, sent, or put into
//! snapshots and backups. The same state gives the same bytes in every process. The form is in `docs/formats.md`.

pub mod kept;
pub(crate) mod parts;
pub(crate) mod wire;

use rustc_hash::FxHashMap;

use super::ids::Ids;
use super::user::UserState;
use crate::config::{ActionId, Actions};
use crate::types::Ordinal;
use crate::{Error, Result};

use wire::{Read, Said, Wire};

/// Version of the form: the first byte. A newer one is refused.
pub const VERSION: u8 = 1;

/// Parts of a state, in the order in which they are written; empty ones are left out.
const ATTRIBUTES: u8 = 1;
const ACTIONS: u8 = 2;
const MET: u8 = 3;
const SEEN: u8 = 4;
const COUNTERS: u8 = 5;
const TIES: u8 = 6;
const LEVELS: u8 = 7;

/// Texts that a state names, numbered in order of first use.
#[derive(Debug, Default)]
struct Texts<'a> {
    list: Vec<&'a str>,
    items: FxHashMap<Ordinal, usize>,
    actions: FxHashMap<ActionId, usize>,
}

/// What writes a state.
struct Writer<'a> {
    ids: &'a Ids,
    names: &'a Actions,
    texts: Texts<'a>,
}

impl Writer<'_> {
    fn item(&mut self, item: Ordinal) -> usize {
        let (ids, list) = (self.ids, &mut self.texts.list);
        *self.texts.items.entry(item).or_insert_with(|| {
            list.push(ids.id(item).as_str());
            list.len() - 1
        })
    }

    fn action(&mut self, action: ActionId) -> usize {
        let (names, list) = (self.names, &mut self.texts.list);
        *self.texts.actions.entry(action).or_insert_with(|| {
            list.push(names.name(action));
            list.len() - 1
        })
    }
}

/// What reads a state.
struct Reader<'a, 'i> {
    texts: Vec<(&'a str, Option<Ordinal>)>,
    names: &'a Actions,
    intern: &'i mut dyn FnMut(&str) -> Result<Ordinal>,
}

impl Reader<'_, '_> {
    fn item(&mut self, read: &mut Read<'_>) -> Said<Ordinal> {
        let at: usize = read.number()?;
        let of = self.texts.len();
        let (text, known) = self.texts.get_mut(at).ok_or_else(|| format!("text {at} of {of}"))?;
        if let Some(known) = known {
            return Ok(*known);
        }
        let item = (self.intern)(text).map_err(|e| e.to_string())?;
        *known = Some(item);
        Ok(item)
    }

    /// `None` for an action that is no longer configured.
    fn action(&self, read: &mut Read<'_>) -> Said<Option<ActionId>> {
        let at: usize = read.number()?;
        let (text, _) = self.texts.get(at).ok_or_else(|| format!("text {at} of {}", self.texts.len()))?;
        Ok(self.names.id(text))
    }
}

/// A state as bytes. `ids` must know its items.
#[must_use]
pub fn encode(state: &UserState, ids: &Ids, actions: &Actions) -> Vec<u8> {
    let mut writer = Writer { ids, names: actions, texts: Texts::default() };
    let mut parts = Wire::default();
    let mut part = |tag: u8, empty: bool, write: &dyn Fn(&mut Wire, &mut Writer<'_>)| {
        if !empty {
            let mut wire = Wire::default();
            write(&mut wire, &mut writer);
            parts.0.push(tag);
            parts.bytes(&wire.0);
        }
    };
    part(ATTRIBUTES, state.attributes.is_empty(), &|wire, _| {
        parts::write_attributes(wire, &state.attributes)
    });
    part(ACTIONS, state.actions.is_empty(), &|wire, w| parts::write_actions(wire, w, &state.actions));
    part(MET, state.met.is_empty(), &|wire, w| parts::write_marks(wire, w, &state.met));
    part(SEEN, state.seen.is_empty(), &|wire, w| parts::write_marks(wire, w, &state.seen));
    part(COUNTERS, state.counters == Default::default(), &|wire, w| {
        parts::write_counters(wire, w, &state.counters);
    });
    part(TIES, state.ties.is_empty(), &|wire, _| parts::write_ties(wire, &state.ties));
    part(LEVELS, state.levels.is_empty(), &|wire, w| parts::write_levels(wire, w, &state.levels));
    let mut all = Wire(Vec::with_capacity(parts.0.len() + 16 * writer.texts.list.len() + 4));
    all.0.push(VERSION);
    all.count(writer.texts.list.len());
    writer.texts.list.iter().for_each(|text| all.text(text));
    all.0.extend_from_slice(&parts.0);
    all.0
}

/// The state that [`encode`] made bytes of. `intern` gives the ordinal of an item, which exists from then on; what was done by actions
/// that are no longer configured is left out.
///
/// # Errors
/// [`Error::Newer`] for bytes of a newer version, [`Error::Corrupt`] for bytes that are no state, both under the name `place`; what
/// `intern` says.
pub fn decode(
    bytes: &[u8],
    place: &str,
    actions: &Actions,
    intern: &mut dyn FnMut(&str) -> Result<Ordinal>,
) -> Result<UserState> {
    match bytes.first() {
        Some(version) if *version > VERSION => {
            return Err(Error::Newer { path: place.into(), found: (*version).into(), known: VERSION.into() });
        }
        _ => {}
    }
    let mut read = Read::new(bytes);
    let state = decode_parts(&mut read, actions, intern);
    state.map_err(|detail| Error::Corrupt {
        path: place.into(),
        section: "user state".to_owned(),
        offset: read.at() as u64,
        detail,
    })
}

fn decode_parts(
    read: &mut Read<'_>,
    actions: &Actions,
    intern: &mut dyn FnMut(&str) -> Result<Ordinal>,
) -> Said<UserState> {
    match read.byte()? {
        VERSION => {}
        other => return Err(format!("expected version {VERSION}, found {other}")),
    }
    let texts = (0..read.count(1)?).map(|_| read.text().map(|text| (text, None))).collect::<Said<_>>()?;
    let mut reader = Reader { texts, names: actions, intern };
    let mut state = UserState::default();
    let mut before = 0;
    while !read.is_at_end() {
        let tag = read.byte()?;
        if tag <= before {
            return Err(format!("expected a part after {before}, found {tag}"));
        }
        before = tag;
        let part = &mut Read::new(read.bytes()?);
        match tag {
            ATTRIBUTES => state.attributes = parts::read_attributes(part)?,
            ACTIONS => state.actions = parts::read_actions(part, &mut reader)?,
            MET => state.met = parts::read_marks(part, &mut reader)?,
            SEEN => state.seen = parts::read_marks(part, &mut reader)?,
            COUNTERS => state.counters = parts::read_counters(part, &reader)?,
            TIES => state.ties = parts::read_ties(part)?,
            LEVELS => state.levels = parts::read_levels(part, &reader)?,
            other => return Err(format!("expected a part from 1 to {LEVELS}, found {other}")),
        }
        if !part.is_at_end() {
            return Err(format!("part {tag} is longer than what it holds"));
        }
    }
    Ok(state)
}

#[cfg(test)]
mod tests;
