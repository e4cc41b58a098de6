//! What belongs together: two users by a relation, an anonymous id and its user, the events of one load of a source.

use super::Checker;
use crate::ingest::fields::Fields;
use crate::types::Event;
use crate::types::event::{Edge, Identify, Load, Phase};

/// Somebody is tied to somebody, or no longer.
pub(super) fn edge(checker: &Checker<'_>, fields: &mut Fields) -> Result<Event, String> {
    let (from, to) = (fields.required_id("from")?, fields.required_id("to")?);
    if from == to {
        return Err(format!("to: expected another user than from, found {:?} twice", to.as_str()));
    }
    let relation = fields.label("relation")?;
    Ok(Event::Edge(Edge {
        from,
        to,
        relation: relation.ok_or("relation: required; expected a name such as \"follow\"")?,
        time: checker.required_time(fields)?,
        source: fields.label("source")?,
        deleted: fields.bool("deleted")?.unwrap_or(false),
    }))
}

/// An anonymous id turns out to be a user.
pub(super) fn identify(checker: &Checker<'_>, fields: &mut Fields) -> Result<Event, String> {
    Ok(Event::Identify(Identify {
        anonymous: fields.required_id("anonymous")?,
        user: fields.required_id("user")?,
        time: checker.required_time(fields)?,
    }))
}

/// A source begins or ends naming all its items. Its id and phase say which one it is, so that it needs no time.
pub(super) fn load(checker: &Checker<'_>, fields: &mut Fields) -> Result<Event, String> {
    let source = fields.label("source")?;
    let source = source.ok_or("source: required; expected the name that the load's items carry as source")?;
    let id = fields.label("id")?.ok_or("id: required; expected the load's own id, such as \"2026-11-20\"")?;
    let phase = match fields.text("phase")?.as_deref() {
        Some("begin") => Phase::Begin,
        Some("end") => Phase::End,
        Some(other) => return Err(format!("phase: expected \"begin\" or \"end\", found {other:?}")),
        None => return Err("phase: required; expected \"begin\" or \"end\"".to_owned()),
    };
    let time = checker.time(fields)?.unwrap_or(checker.received_ms);
    Ok(Event::Load(Load { source, id, phase, time }))
}
