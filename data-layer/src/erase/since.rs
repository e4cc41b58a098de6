//! Who was erased since a backup was made, by keyed hash, for whoever puts it back: what it brings of them is to be erased again. Not for the
//! putting back: that is `crate::backup`'s.

use std::path::Path;

use rustc_hash::FxHashMap;

use super::Erasures;
use super::entry::{Entry, State};
use super::journal::{SALT, read};
use super::secret::{Secret, hex};
use crate::types::{Id, Millis, Person};
use crate::{Error, Result};

/// Which erasures have begun and ended, by the sequence of their record: a copy of the log is of one moment of this where it has not changed
/// meanwhile.
///
/// # Errors
/// Those of reading the journal in `folder`.
pub(crate) fn begun(folder: &Path) -> Result<Vec<(u64, State)>> {
    let entries = read(folder)?.into_values().filter(|entry| entry.began.is_some());
    Ok(entries.map(|entry| (entry.sequence, entry.state())).collect())
}

/// A user that nobody is.
///
/// # Errors
/// Where the system gives no random bytes.
pub(crate) fn nobody() -> Result<Person> {
    let drawn = Secret::draw()?.hex();
    let id = Id::new(&format!("~{}", drawn.get(..32).unwrap_or_default()));
    id.map(Person::user).map_err(|error| Error::invalid("erasure", error.to_string()))
}

/// Where a log ends that is put back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct End {
    /// Whether it is an earlier form of the log that is there.
    pub is_same: bool,
    /// Its last sequence.
    pub sequence: u64,
    /// When its newest record was received.
    pub time: Millis,
}

/// Those who were erased behind the end of a log.
#[derive(Debug)]
pub(crate) struct Since {
    salt: Option<Secret>,
    /// Keyed hash to when it was asked for.
    people: FxHashMap<String, Millis>,
}

impl Since {
    /// Of the journal in the folder of the log that is there. Where that is another log, by the time of receipt.
    ///
    /// # Errors
    /// Those of reading the journal and its key.
    pub(crate) fn of(folder: &Path, end: End) -> Result<Self> {
        let later = |entry: &Entry| match end.is_same {
            true => entry.sequence > end.sequence,
            false => entry.time > end.time,
        };
        let people: FxHashMap<String, Millis> =
            read(folder)?.into_values().filter(later).map(|entry| (entry.person, entry.time)).collect();
        let salt = if people.is_empty() { None } else { Some(Secret::kept(&folder.join(SALT))?) };
        Ok(Self { salt, people })
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// Whether a person is one of them.
    pub(crate) fn has(&self, person: &Person) -> bool {
        self.salt.as_ref().is_some_and(|salt| self.people.contains_key(&hex(&salt.tag(person))))
    }

    /// Those that are none of these people, where the hashes of `other` can be compared with their own: by hash, and when it was asked for.
    pub(crate) fn without(&self, found: &[Person], other: &Erasures) -> Vec<(String, Millis)> {
        let Some(salt) = self.salt.as_ref().filter(|salt| other.is_under(salt)) else { return Vec::new() };
        let found: Vec<String> = found.iter().map(|person| hex(&salt.tag(person))).collect();
        let rest = self.people.iter().filter(|(hash, _)| !found.contains(hash));
        rest.map(|(hash, time)| (hash.clone(), *time)).collect()
    }
}

impl Erasures {
    /// Takes over that somebody was erased of whom nothing is left here: the sequence of a record about nobody, the hash, and when it was asked for.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn take_over(&self, gone: impl IntoIterator<Item = (u64, String, Millis)>) -> Result<()> {
        self.put(gone.into_iter().map(|(sequence, person, time)| Entry {
            taken: true,
            began: Some(time),
            ended: Some(time),
            ..Entry::new(sequence, time, person)
        }))
    }
}
