//! One JSON object into one typed event: required fields, ids, times, actions, forms of values; a file per group of forms.
//! Stateless; attribute types are settled against the schema in `typing.rs`, when the event's turn in the log comes.

mod act;
mod item;
#[cfg(test)]
mod tests;
mod tie;
mod value;

use serde_json::{Map, Value as Json};
use xxhash_rust::xxh3::xxh3_128;

use super::fields::{Fields, in_time};
use crate::config::Actions;
use crate::live::counters::MOST_VALUE;
use crate::types::event::{Edge, Erase, Identify, Impression, Load, Retraction};
use crate::types::time::{self, MINUTE};
use crate::types::{Event, Id, Millis, Person};

use value::{finite, name_ok};

/// How far an event's time may lie ahead of the server's clock, where the configuration does not say.
pub const AHEAD: Millis = 5 * MINUTE;
/// A client's clock that is wrong by no more than this is left alone.
pub const CLOCK_SLACK: Millis = 1_000;
/// Most items of one impression.
pub const MOST_IMPRESSED: usize = 1000;
/// Most entries of a context.
pub const MOST_CONTEXT: usize = 64;
/// Most attributes of one event.
pub const MOST_ATTRIBUTES: usize = 1000;
/// Longest text of a value, in bytes.
pub const MOST_TEXT: usize = 64 << 10;
/// Longest list of a value.
pub const MOST_LIST: usize = 4096;

/// What the check needs to know.
#[derive(Debug, Clone, Copy)]
pub struct Checker<'a> {
    /// Configured actions.
    pub actions: &'a Actions,
    /// The server's clock when the event came.
    pub received_ms: Millis,
    /// How far an event's time may lie ahead of that clock.
    pub ahead: Millis,
    /// The client's clock when it sent the event, where it says so.
    pub sent_at: Option<Millis>,
}

/// A checked event, and how many top-level fields of it were ignored.
pub type Checked = Result<(Event, u64), String>;

/// The kinds of event that are taken.
const TYPES: &str = "item, user, edge, interaction, impression, identify, load";

/// A form of event, and who reads it.
type Form = fn(&Checker<'_>, &mut Fields) -> Result<Event, String>;

/// Every form of event, by its `type`.
const FORMS: [(&str, Form); 7] = [
    ("item", item::item),
    ("user", item::user),
    ("edge", tie::edge),
    ("interaction", act::interaction),
    ("impression", act::impression),
    ("identify", tie::identify),
    ("load", tie::load),
];

impl<'a> Checker<'a> {
    /// A checker for events that come now, with the defaults for what may be configured.
    #[must_use]
    pub fn new(actions: &'a Actions, received_ms: Millis) -> Self {
        Self { actions, received_ms, ahead: AHEAD, sent_at: None }
    }

    /// Checks one event.
    ///
    /// # Errors
    /// A sentence that names the field, what was expected and what was found.
    pub fn check(&self, event: Map<String, Json>) -> Checked {
        let mut fields = Fields::new(event);
        let Some(kind) = fields.text("type")? else {
            return Err(format!("type: required; expected one of {TYPES}"));
        };
        let Some((_, form)) = FORMS.iter().find(|(name, _)| *name == kind) else {
            return Err(format!("type: expected one of {TYPES}, found {kind:?}"));
        };
        let event = self.named(form(self, &mut fields)?)?;
        Ok((event, fields.left()))
    }

    /// Checks an event that was made by a program: what the log and the stores rely on.
    ///
    /// # Errors
    /// As [`Checker::check`].
    pub fn check_typed(&self, event: &Event) -> Result<(), String> {
        let (time, attributes) = match event {
            Event::Item(e) => (e.time, &e.attributes),
            Event::User(e) => (e.time, &e.attributes),
            Event::Interaction(e) => {
                self.known(&e.action)?;
                in_range(e.value)?;
                e.context.iter().try_for_each(|(name, value)| finite(value, "context", name))?;
                return in_time("time", e.time).map(drop);
            }
            Event::Schema(_) => return Err("type: schema records are the server's own".to_owned()),
            Event::Retraction(Retraction { time, .. })
            | Event::Impression(Impression { time, .. })
            | Event::Identify(Identify { time, .. })
            | Event::Erase(Erase { time, .. })
            | Event::Edge(Edge { time, .. })
            | Event::Load(Load { time, .. }) => return in_time("time", *time).map(drop),
        };
        in_time("time", time)?;
        for (name, value) in attributes {
            name_ok(name)?;
            value.iter().try_for_each(|value| finite(value, "attributes", name))?;
        }
        Ok(())
    }

    /// The event's time on the server's clock.
    fn time(&self, fields: &mut Fields) -> Result<Option<Millis>, String> {
        let Some(said) = fields.time("time")? else { return Ok(None) };
        let time = in_time("time", said.saturating_add(self.shift()))?;
        let ahead = time.saturating_sub(self.received_ms);
        if ahead > self.ahead {
            return Err(format!(
                "time: expected at most {} ms ahead of the server's clock, found {ahead} ms ({}); a batch whose client's \
                 clock is wrong says \"sent_at\"",
                self.ahead,
                time::format_rfc3339(time)
            ));
        }
        Ok(Some(time))
    }

    fn required_time(&self, fields: &mut Fields) -> Result<Millis, String> {
        self.time(fields)?
            .ok_or_else(|| "time: required; expected milliseconds since 1970 or RFC 3339".to_owned())
    }

    /// A time that an id makes dispensable: the event is then as of its receipt.
    fn time_or_id(&self, time: Option<Millis>, has_id: bool) -> Result<Millis, String> {
        match time {
            Some(time) => Ok(time),
            None if has_id => Ok(self.received_ms),
            None => Err("time: required where there is no id; expected milliseconds or RFC 3339".to_owned()),
        }
    }

    /// By how much the client's clock is behind the server's; 0 where it does not say, or is hardly wrong.
    fn shift(&self) -> Millis {
        let shift = self.sent_at.map_or(0, |sent_at| self.received_ms.saturating_sub(sent_at));
        if shift.saturating_abs() > CLOCK_SLACK { shift } else { 0 }
    }

    /// Gives an event without an id one that is made of its content as the client sent it, where the clock is corrected: the correction is
    /// another one each time the batch is sent, and must not make another event of it.
    fn named(&self, mut event: Event) -> Result<Event, String> {
        if self.sent_at.is_none() {
            return Ok(event);
        }
        let shift = self.shift();
        let (has_id, time) = match &mut event {
            Event::Interaction(e) => (e.id.is_some(), &mut e.time),
            Event::Impression(e) => (e.id.is_some(), &mut e.time),
            _ => return Ok(event),
        };
        if has_id {
            return Ok(event);
        }
        *time -= shift;
        let sent = serde_json::to_vec(&event).map_err(|e| e.to_string())?;
        let made = Id::new(&format!("~{:032x}", xxh3_128(&sent))).map_err(|e| e.to_string())?;
        match &mut event {
            Event::Interaction(e) => (e.id, e.time) = (Some(made), e.time + shift),
            Event::Impression(e) => (e.id, e.time) = (Some(made), e.time + shift),
            _ => {}
        }
        Ok(event)
    }

    fn known(&self, action: &str) -> Result<(), String> {
        match self.actions.id(action) {
            Some(_) => Ok(()),
            None => Err(format!("action: {}, found {action:?}", self.names())),
        }
    }

    fn names(&self) -> String {
        let names: Vec<&str> = self.actions.iter().map(|(_, name, _)| name).collect();
        format!("expected one of {} (as [actions] in weir.toml says)", names.join(", "))
    }
}

/// The erasure of a person, as an event.
#[must_use]
pub fn erase(person: Person, time: Millis) -> Event {
    Event::Erase(Erase { person, time })
}

fn in_range(value: f64) -> Result<(), String> {
    if value.is_finite() && value.abs() <= MOST_VALUE {
        return Ok(());
    }
    Err(format!("value: expected a number of at most {MOST_VALUE:e} in magnitude, found {value}"))
}

/// Who it is about: the first of `user`, `anonymous`, `session_id` that is there.
fn person(fields: &mut Fields) -> Result<Option<Person>, String> {
    let (user, anonymous, session) = (fields.id("user")?, fields.id("anonymous")?, fields.id("session_id")?);
    Ok(user.map(Person::user).or(anonymous.map(Person::anonymous)).or(session.map(Person::session)))
}

fn required_person(fields: &mut Fields) -> Result<Person, String> {
    person(fields)?.ok_or_else(|| "user: required; expected one of user, anonymous, session_id".to_owned())
}
