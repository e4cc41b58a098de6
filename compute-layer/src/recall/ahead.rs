//! Which lists recalls will ask for, found by letting them ask, and the lists that were read ahead, handed to them when they run. A recall
//! says nowhere what it reads, so the two can't drift apart. Who reads, and where, is the caller's matter.
//!
//! A recall that takes keys from a list of a lazy table can't have those keys read ahead; they are left out and named. Keys from tables in
//! memory can.

use std::collections::BTreeSet;

use data_layer::access::{Ahead, ListSpec, Wanted};
use data_layer::live::Scored;
use data_layer::types::Millis;
use parking_lot::Mutex;

use crate::{Deadline, Error, Lists, Outcome, Query, RecallPlan, Result, Stores};

/// The lists of `lazy` tables that these plans ask for. Runs those plans that read such a table, on what is in memory.
#[must_use]
pub fn wanted<'p>(
    plans: impl IntoIterator<Item = &'p RecallPlan>,
    query: &Query<'_>,
    stores: &Stores<'_>,
    lazy: &BTreeSet<String>,
) -> Vec<Wanted> {
    let noted = Noted { inner: stores.access, lazy, wanted: Mutex::default() };
    let stores = Stores { items: stores.items, access: &noted };
    let mut found = Vec::new();
    for plan in plans {
        if plan.component.lists().iter().any(|list| lazy.contains(&list.table)) {
            found.clear();
            // What it finds, and what it can't find without the lists, is of no interest yet.
            let _ = plan.component.recall(query, &stores, &Deadline::never(), plan.depth, &mut found);
        }
    }
    noted.wanted.into_inner()
}

/// Notes what is asked of lazy tables, and gives nothing for it.
struct Noted<'a> {
    inner: &'a dyn Lists,
    lazy: &'a BTreeSet<String>,
    wanted: Mutex<Vec<Wanted>>,
}

impl Lists for Noted<'_> {
    fn list(&self, spec: &ListSpec, key: &str, at_most: usize, out: &mut Vec<Scored>) -> Result<bool> {
        if !self.lazy.contains(&spec.table) {
            return self.inner.list(spec, key, at_most, out);
        }
        let mut all = self.wanted.lock();
        let at = all.iter().position(|wanted| wanted.spec() == spec).unwrap_or(all.len());
        if at == all.len() {
            all.push(Wanted::of(spec.clone()));
        }
        if let Some(wanted) = all.get_mut(at) {
            wanted.add(key, at_most);
        }
        Ok(false)
    }
}

/// Lists of lazy tables as they were read ahead, all others as they are.
pub struct Over<'a, L> {
    inner: L,
    ahead: &'a Ahead,
    lazy: &'a BTreeSet<String>,
    erased: Option<Millis>,
}

impl<'a, L: Lists> Over<'a, L> {
    /// Lays what was read ahead over the other lists. A lazy table is never read here.
    pub fn new(inner: L, ahead: &'a Ahead, lazy: &'a BTreeSet<String>) -> Self {
        Self { inner, ahead, lazy, erased: None }
    }

    /// Leaves out lists for the user who asks that were made of what was there before somebody was erased who had their id.
    #[must_use]
    pub fn without(self, erased: Option<Millis>) -> Self {
        Self { erased, ..self }
    }
}

impl<L: Lists> Lists for Over<'_, L> {
    fn list(&self, spec: &ListSpec, key: &str, at_most: usize, out: &mut Vec<Scored>) -> Result<bool> {
        if !self.lazy.contains(&spec.table) {
            return self.inner.list(spec, key, at_most, out);
        }
        let read = self.ahead.list(spec, key, at_most, out);
        read.map_err(|left| Error::LeftOut { cause: left.cause, detail: left.detail })
    }

    fn of_user(&self, spec: &ListSpec, user: &str, at_most: usize, out: &mut Vec<Scored>) -> Result<bool> {
        let before = |erased| self.made_of(&spec.table).is_none_or(|read| read <= erased);
        if self.erased.is_some_and(before) {
            return Ok(false);
        }
        self.list(spec, user, at_most, out)
    }

    fn made_of(&self, table: &str) -> Option<Millis> {
        self.inner.made_of(table)
    }

    fn lists(
        &self,
        spec: &ListSpec,
        keys: &[&str],
        at_most: usize,
        until: &Deadline<'_>,
        each: &mut dyn FnMut(usize, &[Scored]),
    ) -> Result<Outcome> {
        if !self.lazy.contains(&spec.table) {
            return self.inner.lists(spec, keys, at_most, until, each);
        }
        let mut list = Vec::new();
        let mut outcome = Ok(Outcome::Whole);
        for (at, key) in keys.iter().enumerate() {
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
