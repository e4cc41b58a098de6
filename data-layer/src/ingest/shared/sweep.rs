//! What servers share of people who are erased, beside their own state: notes that say whose state learnt something, messages and packets that stay for
//! a while, names in the ties of others. Taken out, so that no byte of an id is left. Not for the state itself: an owner drops it when it takes the
//! record that asks for it.
//!
//! **Invariant:** what comes of any later event is the same as if nothing had been taken out.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Runtime;

use super::note::{self, Note};
use crate::config::{Actions, Config, Shared};
use crate::live::Ids;
use crate::live::codec::{self, kept};
use crate::shared::keys::Stored;
use crate::shared::{Kept, Link, NoteKey, Partitions, Place};
use crate::types::{Id, Person, PersonKind};
use crate::{Error, Result};

/// How long what is under way may take to arrive and be taken.
const WAIT: Duration = Duration::from_secs(20);
/// How often is looked again where something changed meanwhile.
const ROUNDS: usize = 8;

/// Takes people out of what servers share.
pub(crate) struct Sweep {
    partitions: Partitions,
    actions: Arc<Actions>,
    /// Connections live here.
    runtime: Runtime,
}

impl Sweep {
    /// A connection of its own. Asks Redis nothing yet.
    ///
    /// # Errors
    /// What the system said; authorities that can't be read.
    pub(crate) fn open(config: &Config, shared: &Shared, actions: &Arc<Actions>) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(Error::io("the runtime of redis"))?;
        let link = Link::open(&shared.redis, runtime.handle())?;
        let partitions = Partitions::new(link, &config.namespace, shared.forget_after);
        let partitions = partitions.with_note_life(shared.retractable_for);
        Ok(Self { partitions, actions: Arc::clone(actions), runtime })
    }

    /// Takes out people whose erasure all partitions have taken. Who has one of their ids now is somebody else, and stays.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::Invalid`] where what is under way does not arrive in time. It is done again.
    pub(crate) fn run(&self, gone: &HashSet<Person>) -> Result<()> {
        if gone.is_empty() {
            return Ok(());
        }
        self.runtime.block_on(async {
            self.partitions.trim_people(WAIT).await?;
            let wide = self.wide(gone).await?;
            for _ in 0..ROUNDS {
                let mut changed = false;
                for one in self.candidates(gone, &wide).await? {
                    changed |= self.clean(one, gone, &wide).await?;
                }
                if !changed {
                    return Ok(());
                }
            }
            let detail = "what names people who are erased changes too fast; it is tried again";
            Err(Error::invalid(self.partitions.link().place(), detail))
        })
    }

    /// Users who may be named in ties of others that nobody knows of, and whom nobody is called any more.
    async fn wide(&self, gone: &HashSet<Person>) -> Result<Vec<Id>> {
        let users: Vec<&Person> = gone.iter().filter(|person| person.kind == PersonKind::User).collect();
        let which: Vec<(Place, NoteKey)> =
            users.iter().map(|user| (Place::of_person(user), note::of_erased(user))).collect();
        let mut wide = Vec::new();
        for (user, bytes) in users.into_iter().zip(self.partitions.notes(&which).await?) {
            let known = match bytes {
                Some(bytes) => matches!(self.note(&bytes)?, Note::Erased(_, false)),
                None => false,
            };
            if !known && self.lives(user).await?.is_empty() {
                wide.push(user.id.clone());
            }
        }
        Ok(wide)
    }

    /// Notes, and with `wide` states, whose bytes have one of the ids.
    async fn candidates(&self, gone: &HashSet<Person>, wide: &[Id]) -> Result<Vec<Kept>> {
        let has = |bytes: &[u8], id: &str| bytes.windows(id.len()).any(|part| part == id.as_bytes());
        let mut found = Vec::new();
        let wanted = |stored: &Stored| matches!(stored, Stored::Note(..)) || !wide.is_empty();
        let mut each = |kept: Kept| {
            let named = match &kept {
                Kept::Note(_, _, bytes) => gone.iter().any(|person| has(bytes, person.id.as_str())),
                Kept::Person(_, bytes) => wide.iter().any(|id| has(bytes, id.as_str())),
            };
            if named {
                found.push(kept);
            }
            Ok(())
        };
        self.partitions.each_kept_that(&wanted, &mut each, &mut || Ok(())).await?;
        Ok(found)
    }

    /// Puts in its place what says the same of nobody; whether it had to be.
    async fn clean(&self, kept: Kept, gone: &HashSet<Person>, wide: &[Id]) -> Result<bool> {
        let next = match &kept {
            Kept::Note(place, key, bytes) => {
                let next = self.cleaned(*place, *key, self.note(bytes)?, gone).await?;
                next.map(|next| next.map(|note| note.encode(&self.actions)))
            }
            Kept::Person(_, bytes) => self.without(bytes, wide)?.map(Some),
        };
        let Some(next) = next else { return Ok(false) };
        // Where it is another one by now, it is looked at again.
        self.partitions.swap(&kept, next.as_deref()).await.map(|_| true)
    }

    /// What a note becomes: another, or none. `None` where it stays.
    async fn cleaned(
        &self,
        place: Place,
        key: NoteKey,
        note: Note,
        gone: &HashSet<Person>,
    ) -> Result<Option<Option<Note>>> {
        match note {
            // A life that nobody has is taken back from nobody.
            Note::Done(act, Some(owner)) if gone.contains(&owner.person) => {
                let lives = match self.lives(&owner.person).await? {
                    lives if lives.contains(&owner.life) => lives,
                    _ => self.joined(place, owner.life).await?,
                };
                Ok((!lives.contains(&owner.life)).then(|| Some(Note::Done(act, None))))
            }
            Note::Joined(user) => {
                let user = Person::user(user);
                if !gone.contains(&user) {
                    return Ok(None);
                }
                let lives = self.lives(&user).await?;
                Ok((!lives.into_iter().any(|life| note::of_life(life) == key)).then_some(None))
            }
            _ => Ok(None),
        }
    }

    /// The lives of the user whose a life of this partition became.
    async fn joined(&self, place: Place, life: u64) -> Result<Vec<u64>> {
        let found = self.partitions.notes(&[(place, note::of_life(life))]).await?;
        let Some(bytes) = found.into_iter().next().flatten() else { return Ok(Vec::new()) };
        match self.note(&bytes)? {
            Note::Joined(user) => self.lives(&Person::user(user)).await,
            _ => Ok(Vec::new()),
        }
    }

    async fn lives(&self, person: &Person) -> Result<Vec<u64>> {
        let found = self.partitions.states(std::slice::from_ref(person)).await?;
        let bytes = found.into_iter().next().flatten();
        bytes.map_or(Ok(Vec::new()), |bytes| Ok(kept::split(&bytes, "a state in redis")?.0))
    }

    /// A state without some names among its ties; `None` where it has none of them.
    fn without(&self, bytes: &[u8], names: &[Id]) -> Result<Option<Vec<u8>>> {
        let place = "a state in redis";
        let (lives, state) = kept::split(bytes, place)?;
        let ids = Ids::default();
        let mut intern = |text: &str| {
            let id = Id::new(text).map_err(|error| Error::invalid(place, error.to_string()))?;
            Ok(ids.intern(&id))
        };
        let mut state = codec::decode(state, place, &self.actions, &mut intern)?;
        let named: Vec<&Id> = names.iter().filter(|name| state.ties.name(name)).collect();
        if named.is_empty() {
            return Ok(None);
        }
        named.into_iter().for_each(|name| state.ties.forget(name));
        Ok(Some(kept::encode(&lives, &codec::encode(&state, &ids, &self.actions))))
    }

    fn note(&self, bytes: &[u8]) -> Result<Note> {
        Note::decode(bytes, &self.actions).map_err(|detail| Error::invalid("a note in redis", detail))
    }
}
