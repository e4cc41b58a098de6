//! Decisions, impressions and interactions joined into labelled outcomes, from the log alone. Not for features: those are
//! logged with the decision.

use std::path::Path;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::Result;
use crate::archive::read;
use crate::types::{Decision, Event, Id, Impression, Interaction, Millis, Person, Record, Seen};

/// How long after a decision an interaction without its `request_id` still counts for it, where nothing else is said.
pub const WINDOW: Millis = crate::types::time::DAY;

/// An interaction that came of a shown item: action, value, time.
pub type Reaction = (String, f64, Millis);

/// One decision with what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The decision.
    pub decision: Decision,
    /// For each of its items, what the client says was seen of it, the longest view where there are several.
    pub shown: Vec<Option<Seen>>,
    /// For each of its items, what people did with it, oldest first.
    pub actions: Vec<Vec<Reaction>>,
}

/// Joins the decisions of a log, or of an archive of one, with what followed. An interaction or impression belongs to the decision with its
/// `request_id`, else to the newest one of that person, at most `window` older, that holds the item. Retracted interactions
/// and erased people are left out; what an anonymous person did is their user's once they were identified.
///
/// Decisions come in the order of the log. All of them are held in memory.
///
/// # Errors
/// Those of [`read::events`].
pub fn join(
    log_dir: &Path,
    namespace: &str,
    window: Millis,
) -> Result<impl Iterator<Item = Outcome> + use<>> {
    let mut people = Identities::default();
    for record in read::events(log_dir, namespace)? {
        people.learn(&record?);
    }
    let decisions: Result<Vec<Decision>> = read::decisions(log_dir, namespace)?.collect();
    let mut join = Join::new(decisions?, &people, window);
    for record in read::events(log_dir, namespace)? {
        join.take(&record?, &people);
    }
    Ok(join.outcomes.into_iter().flatten())
}

/// What has to be known of the whole log before anything is joined.
#[derive(Debug, Default)]
struct Identities {
    users: FxHashMap<Id, Id>,
    /// Person to sequence and time of the newest erasure.
    erased: FxHashMap<Person, (u64, Millis)>,
    retracted: FxHashSet<Id>,
}

impl Identities {
    fn learn(&mut self, record: &Record) {
        match &record.event {
            Event::Identify(e) => {
                self.users.insert(e.anonymous.clone(), e.user.clone());
            }
            Event::Erase(e) => {
                self.erased.insert(e.person.clone(), (record.sequence, record.received_ms));
            }
            Event::Retraction(e) => {
                self.retracted.insert(e.id.clone());
            }
            _ => {}
        }
    }

    /// The person behind an id, as known at the end of the log.
    fn known_as(&self, person: &Person) -> Person {
        let user = (person.kind == crate::types::PersonKind::Anonymous).then(|| self.users.get(&person.id));
        user.flatten().map_or_else(|| person.clone(), |user| Person::user(user.clone()))
    }

    fn erased_after(&self, person: &Person, sequence: u64) -> bool {
        let by = |p: &Person| self.erased.get(p).is_some_and(|(at, _)| *at > sequence);
        by(person) || by(&self.known_as(person))
    }

    fn erased_since(&self, person: &Person, time: Millis) -> bool {
        let by = |p: &Person| self.erased.get(p).is_some_and(|(_, at)| *at >= time);
        by(person) || by(&self.known_as(person))
    }
}

struct Join {
    /// `None` for decisions about erased people.
    outcomes: Vec<Option<Outcome>>,
    by_request: FxHashMap<String, usize>,
    /// Person to decisions, oldest first.
    by_person: FxHashMap<Person, Vec<usize>>,
    window: Millis,
    /// Ids of interactions that were taken: a repeated id acts once.
    taken: FxHashSet<Id>,
}

impl Join {
    fn new(decisions: Vec<Decision>, people: &Identities, window: Millis) -> Self {
        let (mut by_request, mut by_person) =
            (FxHashMap::default(), FxHashMap::<Person, Vec<usize>>::default());
        let mut outcomes = Vec::with_capacity(decisions.len());
        for (at, decision) in decisions.into_iter().enumerate() {
            let askers = askers(&decision);
            if askers.iter().any(|p| people.erased_since(p, decision.time)) {
                outcomes.push(None);
                continue;
            }
            by_request.insert(decision.request_id.clone(), at);
            let mut known: Vec<Person> = askers.iter().map(|p| people.known_as(p)).collect();
            known.dedup();
            known.into_iter().for_each(|person| by_person.entry(person).or_default().push(at));
            let places = decision.items.len();
            outcomes.push(Some(Outcome {
                decision,
                shown: vec![None; places],
                actions: vec![Vec::new(); places],
            }));
        }
        for list in by_person.values_mut() {
            list.sort_by_key(|at| outcomes[*at].as_ref().map_or(0, |o| o.decision.time));
        }
        Self { outcomes, by_request, by_person, window, taken: FxHashSet::default() }
    }

    fn take(&mut self, record: &Record, people: &Identities) {
        let Some(person) = record.event.person() else { return };
        if people.erased_after(&person, record.sequence) {
            return;
        }
        match &record.event {
            Event::Interaction(event) => self.interaction(event, people),
            Event::Impression(event) => self.impression(event, people),
            _ => {}
        }
    }

    fn interaction(&mut self, event: &Interaction, people: &Identities) {
        if let Some(id) = &event.id
            && (people.retracted.contains(id) || !self.taken.insert(id.clone()))
        {
            return;
        }
        let person = people.known_as(&event.person);
        let request = event.request_id.as_deref();
        if let Some((at, place)) = self.place(request, &person, &event.item, event.time)
            && let Some(outcome) = &mut self.outcomes[at]
        {
            let reactions = &mut outcome.actions[place];
            let after = reactions.partition_point(|(_, _, time)| *time <= event.time);
            reactions.insert(after, (event.action.clone(), event.value, event.time));
        }
    }

    fn impression(&mut self, event: &Impression, people: &Identities) {
        let person = people.known_as(&event.person);
        for seen in &event.items {
            let request = event.request_id.as_deref();
            let found = self.place(request, &person, &seen.id, event.time);
            let Some((at, place)) = found else { continue };
            let Some(outcome) = &mut self.outcomes[at] else { continue };
            let shown = &mut outcome.shown[place];
            let longer = |old: &Seen| old.visible_ms.unwrap_or(0) < seen.visible_ms.unwrap_or(0);
            if shown.as_ref().is_none_or(longer) {
                *shown = Some(seen.clone());
            }
        }
    }

    /// The decision, and the place in it, that an item at a time belongs to.
    fn place(
        &self,
        request: Option<&str>,
        person: &Person,
        item: &Id,
        time: Millis,
    ) -> Option<(usize, usize)> {
        let named = request.and_then(|r| self.by_request.get(r));
        if let Some(at) = named {
            return self.holds(*at, item).map(|place| (*at, place));
        }
        let decided = |at: &usize| self.outcomes[*at].as_ref().map_or(Millis::MIN, |o| o.decision.time);
        let list = self.by_person.get(person)?;
        let until = list.partition_point(|at| decided(at) <= time);
        let recent =
            list[..until].iter().rev().take_while(|at| decided(at) >= time.saturating_sub(self.window));
        recent.filter_map(|at| self.holds(*at, item).map(|place| (*at, place))).next()
    }

    fn holds(&self, at: usize, item: &Id) -> Option<usize> {
        self.outcomes[at].as_ref()?.decision.items.iter().position(|i| i.id == *item)
    }
}

fn askers(decision: &Decision) -> Vec<Person> {
    let user = decision.user.iter().cloned().map(Person::user);
    let anonymous = decision.anonymous.iter().cloned().map(Person::anonymous);
    let session = decision.session_id.iter().cloned().map(Person::session);
    user.chain(anonymous).chain(session).collect()
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;

    use super::*;
    use crate::config::Config;
    use crate::ingest::{Form, Ingest, check};
    use crate::types::DecisionItem;

    const HOUR: Millis = crate::types::time::HOUR;
    const NOW: Millis = 20_000 * 24 * HOUR;

    fn decision(request: &str, user: Option<&str>, anonymous: Option<&str>, time: Millis) -> Decision {
        let id = |text: &str| Id::new(text).unwrap();
        let item = |(name, position)| DecisionItem {
            id: id(name),
            position,
            score: 1.0,
            sources: Vec::new(),
            propensity: None,
            features: Vec::new(),
        };
        Decision {
            request_id: request.to_owned(),
            time,
            user: user.map(id),
            anonymous: anonymous.map(id),
            items: [("a", 0), ("b", 1)].map(item).into(),
            ..Decision::default()
        }
    }

    fn act(who: &str, item: &str, time: Millis, more: &str) -> String {
        format!(r#"{{"type":"interaction",{who},"item":"{item}","action":"click","time":{time}{more}}}"#)
    }

    /// `request: what was seen and done with a | with b`, per decision.
    fn joined(decisions: &[Decision], events: &[String], erased: Option<&str>) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::in_folder(folder.path()).unwrap();
        let ingest = Ingest::open(&config).unwrap();
        decisions.iter().for_each(|decision| ingest.decide(decision.clone()));
        let body = format!("[{}]", events.join(","));
        let receipt = block_on(ingest.submit(body.as_bytes(), Form::Json, NOW).unwrap()).unwrap();
        assert_eq!(receipt.rejected, Vec::new());
        if let Some(user) = erased {
            let erase = check::erase(Person::user(Id::new(user).unwrap()), NOW);
            block_on(ingest.submit_events(vec![erase], NOW)).unwrap();
        }
        ingest.close().unwrap();
        let line = |outcome: Outcome| {
            let place = |at: usize| {
                let seen = outcome.shown[at].as_ref().map(|s| s.visible_ms.unwrap_or(0));
                let done: Vec<_> =
                    outcome.actions[at].iter().map(|(a, _, t)| format!("{a}@{}", t - NOW)).collect();
                format!("{seen:?} {}", done.join(" "))
            };
            format!("{}: {} | {}", outcome.decision.request_id, place(0).trim(), place(1).trim())
        };
        join(&config.log.dir, "main", WINDOW).unwrap().map(line).collect()
    }

    #[test]
    fn by_request_id_else_the_newest_that_holds_the_item_in_the_window() {
        let decisions = [
            decision("r1", Some("u"), None, NOW - 30 * HOUR),
            decision("r2", Some("u"), None, NOW - 20 * HOUR),
            decision("r3", Some("u"), None, NOW - 10 * HOUR),
            decision("r4", Some("v"), None, NOW - 10 * HOUR),
        ];
        let user = r#""user":"u""#;
        let events = [
            act(user, "a", NOW, r#","request_id":"r1""#),
            act(user, "a", NOW - HOUR, ""),
            act(user, "b", NOW - 15 * HOUR, r#","request_id":"of another server""#),
            act(user, "b", NOW - 40 * HOUR, ""),
            act(user, "c", NOW, ""),
            act(r#""user":"v""#, "b", NOW - 2 * HOUR, r#","request_id":"r3""#),
            act(r#""user":"v""#, "a", NOW - 11 * HOUR, ""),
        ];
        assert_eq!(
            joined(&decisions, &events, None),
            [
                "r1: None click@0 | None",
                "r2: None | None click@-54000000",
                "r3: None click@-3600000 | None click@-7200000",
                "r4: None | None",
            ]
        );
    }

    #[test]
    fn impressions_retractions_and_repeats() {
        let user = r#""user":"u""#;
        let seen = |ms: u32, time: Millis| {
            format!(
                r#"{{"type":"impression","user":"u","request_id":"r","items":[{{"id":"b","visible_ms":{ms}}}],"time":{time}}}"#
            )
        };
        let events = [
            seen(300, NOW - 3),
            seen(900, NOW - 2),
            seen(500, NOW - 1),
            act(user, "a", NOW, r#","id":"gone""#),
            act(user, "a", NOW - 5, r#","id":"kept""#),
            format!(r#"{{"type":"interaction","id":"gone","retracted":true,"time":{NOW}}}"#),
        ];
        let decisions = [decision("r", Some("u"), None, NOW - HOUR)];
        assert_eq!(joined(&decisions, &events, None), ["r: None click@-5 | Some(900)"]);
    }

    #[test]
    fn identified_people_are_one_and_erased_ones_none() {
        let decisions = [
            decision("r1", None, Some("guest"), NOW - 2 * HOUR),
            decision("r2", Some("other"), None, NOW - 2 * HOUR),
        ];
        let events = [
            format!(r#"{{"type":"identify","anonymous":"guest","user":"u","time":{}}}"#, NOW - HOUR),
            act(r#""user":"u""#, "a", NOW - 1, ""),
            act(r#""anonymous":"guest""#, "b", NOW - 2, ""),
            act(r#""user":"other""#, "b", NOW - 3, ""),
        ];
        let whole = ["r1: None click@-1 | None click@-2", "r2: None | None click@-3"];
        assert_eq!(joined(&decisions, &events, None), whole);
        assert_eq!(joined(&decisions, &events, Some("u")), whole[1..]);
        assert_eq!(joined(&decisions, &events, Some("other")), whole[..1]);
    }
}
