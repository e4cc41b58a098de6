//! What a request asks, resolved: ordinals instead of ids, the person's state already read. And what it may be answered from.

use std::collections::BTreeMap;

use data_layer::types::{Millis, Ordinal, Person, PersonKind, Value};

use crate::{Deadline, Outcome, Result};
use data_layer::Actions;
use data_layer::access::{Access, ListSpec};
use data_layer::live::{Acted, Items, Scored, UserState};

/// One request as recall, features and filters see it. Time and chance are inputs.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// The time the answer is for.
    pub now_ms: Millis,
    /// Seed of all chance.
    pub seed: u64,
    /// Who asks; `None` where nobody is known or nothing personal may be used.
    pub person: Option<&'a Person>,
    /// What is known of the person.
    pub state: Option<&'a UserState>,
    /// Items of this session, newest first.
    pub session: &'a [Ordinal],
    /// The page being read, the cart.
    pub anchors: &'a [Ordinal],
    /// How many of the person's newest actions count.
    pub history: usize,
    /// Weights of actions.
    pub actions: &'a Actions,
    /// How many items are wanted.
    pub size: usize,
    /// Scalars of the moment.
    pub context: &'a BTreeMap<String, Value>,
}

/// What a request may be answered from. Both sides stay the same for the whole request.
#[derive(Clone, Copy)]
pub struct Stores<'a> {
    /// The item table.
    pub items: &'a dyn Items,
    /// The lists: tables merged with live ones. An `Access` coerces to it.
    pub access: &'a dyn Lists,
}

/// Where lists are read. [`Access`] is the one that serves; tests bring their own.
pub trait Lists: Sync {
    /// Appends the list of `key` to `out`, best first, at most `at_most` items. `false` when there is none.
    ///
    /// # Errors
    /// When the table is missing or corrupt; nothing is appended.
    fn list(&self, spec: &ListSpec, key: &str, at_most: usize, out: &mut Vec<Scored>) -> Result<bool>;

    /// [`Lists::list`] of a table that has a list for each user. Where what is asked for was made before somebody was erased
    /// who had this id, there is none.
    ///
    /// # Errors
    /// As [`Lists::list`].
    fn of_user(&self, spec: &ListSpec, user: &str, at_most: usize, out: &mut Vec<Scored>) -> Result<bool> {
        self.list(spec, user, at_most, out)
    }

    /// Up to when what a table was made of was read; `None` where that is not known.
    fn made_of(&self, table: &str) -> Option<Millis> {
        let _ = table;
        None
    }

    /// [`Lists::list`] of many keys, as far as there is time: `each` gets the place of the key and its list; keys without one are
    /// left out.
    ///
    /// # Errors
    /// The first trouble of any key; the others were read all the same.
    fn lists(
        &self,
        spec: &ListSpec,
        keys: &[&str],
        at_most: usize,
        until: &Deadline<'_>,
        each: &mut dyn FnMut(usize, &[Scored]),
    ) -> Result<Outcome> {
        let mut list = Vec::new();
        let mut outcome = Ok(Outcome::Whole);
        for (at, key) in keys.iter().enumerate() {
            if at % BLOCK == 0 && until.passed() {
                return outcome.and(Ok(Outcome::Late { read: at, of: keys.len() }));
            }
            list.clear();
            match self.list(spec, key, at_most, &mut list) {
                Ok(true) => each(at, &list),
                Ok(false) => {}
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome
    }
}

/// Keys between two looks at the deadline, where lists are read one by one.
const BLOCK: usize = 8;

impl Lists for Access<'_> {
    fn list(&self, spec: &ListSpec, key: &str, at_most: usize, out: &mut Vec<Scored>) -> Result<bool> {
        Ok(Access::list(self, spec, key, at_most, out)?)
    }

    fn made_of(&self, table: &str) -> Option<Millis> {
        self.snapshot.table(table).map(|stack| stack.table().header().watermark)
    }

    fn lists(
        &self,
        spec: &ListSpec,
        keys: &[&str],
        at_most: usize,
        until: &Deadline<'_>,
        each: &mut dyn FnMut(usize, &[Scored]),
    ) -> Result<Outcome> {
        let mut outcome = Ok(Outcome::Whole);
        let passed = || until.passed();
        Access::lists(self, spec, keys, at_most, &passed, &mut |at, found| match found {
            Ok(list) => list.into_iter().for_each(|list| each(at, list)),
            Err(_) if outcome.is_err() => {}
            Err(data_layer::Error::Late { read, of }) => outcome = Ok(Outcome::Late { read, of }),
            Err(error) => outcome = Err(error.into()),
        });
        outcome
    }
}

impl<'a> Query<'a> {
    /// The id of the signed-in user, which keys tables made per user; never an anonymous or session id.
    #[must_use]
    pub fn user_id(&self) -> Option<&'a str> {
        self.person.filter(|p| p.kind == PersonKind::User).map(|p| p.id.as_str())
    }

    /// The person's newest actions, newest first, at most `history`.
    #[must_use]
    pub fn recent(&self) -> &'a [Acted] {
        let all: &'a [Acted] = self.state.map_or(&[], |state| &state.actions);
        &all[..all.len().min(self.history)]
    }

    /// Weight of one action, as configured; finite.
    #[must_use]
    pub fn weight(&self, acted: &Acted) -> f32 {
        let weight = self.actions.weight(acted.action, acted.value);
        if weight.is_finite() { weight } else { 0.0 }
    }
}
