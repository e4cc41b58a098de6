//! Erasures among servers that share a Redis: what one was asked for is told to all, each takes it up in its own log by a record that goes nowhere
//! else, rewrites its own files, and says so. Not for the rewriting: `worker.rs`; not for what Redis keeps of people: the record of the
//! server that was asked empties that.
//!
//! Whoever finds anonymous people in its own log who turned out to be them tells of those as of an erasure of its own, under the id of the first and its
//! own log: another server may have what they did.
//!
//! **Invariant:** nothing is rewritten in a log before all have been told whom it knows to be meant.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use super::entry::{Entry, Peer, State};
use super::plan::asker;
use super::worker::Work;
use crate::config::{Config, Shared};
use crate::log::{Entries, Stream, format, record};
use crate::shared::erasures::Told;
use crate::shared::{Link, Partitions};
use crate::types::event::Erase;
use crate::types::time::DAY;
use crate::types::{Event, Millis, Person, Position};
use crate::{Error, Result};

/// How long it is known of an erasure that is done how far each server was; each server then knows of its own part.
const KEPT: Millis = 90 * DAY;

/// Stands in an id between that of the erasure and the log that knows more people.
const SEPARATOR: char = '+';

/// What is told of an erasure.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Asked {
    /// When it was asked for.
    time: Millis,
    /// The person and all anonymous people who turned out to be them; nobody once all servers are done.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) people: Vec<Person>,
}

/// A server's part in it.
pub(crate) struct Peers {
    pub(super) partitions: Partitions,
    producer: u64,
    /// Connections live here.
    pub(super) runtime: Runtime,
}

impl Peers {
    /// A connection of its own. Asks Redis nothing yet.
    ///
    /// # Errors
    /// What the system said; authorities that can't be read.
    pub(crate) fn open(config: &Config, shared: &Shared, producer: u64) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(Error::io("the runtime of redis"))?;
        let link = Link::open(&shared.redis, runtime.handle())?;
        let partitions = Partitions::new(link, &config.namespace, shared.forget_after);
        Ok(Self { partitions, producer, runtime })
    }

    /// Tells the others what this log was asked for, takes up what they were, and says how far this server is.
    ///
    /// # Errors
    /// [`Error::Store`] for Redis; what the log says. It is done again.
    pub(super) fn look(&self, work: &Work, now: Millis) -> Result<()> {
        self.runtime.block_on(self.partitions.say_server(self.producer, now))?;
        let mut told = self.runtime.block_on(self.partitions.erasures())?;
        if self.tell(work, &told)? {
            told = self.runtime.block_on(self.partitions.erasures())?;
        }
        let asked = parsed(&self.partitions, &told)?;
        for (id, asked) in &asked {
            self.take_up(work, id, asked)?;
        }
        let taken = work.erasures.open_entries().into_iter().filter(|entry| entry.taken && !entry.told);
        let taken: Vec<Entry> = taken.map(|entry| Entry { told: true, ..entry }).collect();
        if !taken.is_empty() {
            work.erasures.put(taken)?;
        }
        let own = self.say(work, &told, &asked)?;
        self.close(&told, &asked, &own, now)?;
        work.erasures.know_peers(peers(&told, &asked, self.producer, &own));
        Ok(())
    }

    /// Tells all servers of what this log was asked for since, and again of what Redis has lost; whether there was any.
    fn tell(&self, work: &Work, told: &Told) -> Result<bool> {
        let mut any = false;
        for mut entry in work.erasures.open_entries() {
            let id = self.id(&entry);
            if entry.taken || entry.told && told.asked.contains_key(&id) {
                continue;
            }
            let person = asker(&work.folder, entry.sequence)?;
            if entry.becomes.as_deref() == Some(person.id.as_str()) {
                continue;
            }
            let mut people = guests(work, &person)?;
            people.insert(0, person);
            self.tell_of(&id, &Asked { time: entry.time, people })?;
            (entry.told, any) = (true, true);
            work.erasures.put([entry])?;
        }
        Ok(any)
    }

    fn tell_of(&self, id: &str, asked: &Asked) -> Result<()> {
        let what = serde_json::to_string(asked);
        let what = what.map_err(|error| Error::invalid("erasure", error.to_string()))?;
        self.runtime.block_on(self.partitions.tell_erasure(id, what))
    }

    /// The id under which this server tells of anonymous people that it finds for an erasure.
    fn id_of_guests(&self, id: &str) -> String {
        format!("{id}{SEPARATOR}{:016x}", self.producer)
    }

    /// Puts what another server was asked for into this log, and tells whom this log knows besides.
    fn take_up(&self, work: &Work, id: &str, asked: &Asked) -> Result<()> {
        let (first, by) = id.split_once(SEPARATOR).unwrap_or((id, ""));
        let by_this = match by {
            "" => first.parse::<Position>().is_ok_and(|position| position.producer == self.producer),
            by => u64::from_str_radix(by, 16) == Ok(self.producer),
        };
        if by_this {
            return Ok(());
        }
        let is_new = |entry: Entry| !entry.told && entry.of.as_deref().is_none_or(|of| of == id);
        let mut new = work.erasures.open_entries().into_iter().any(|entry| entry.taken && is_new(entry));
        for person in &asked.people {
            if work.erasures.taken_up(id, person)? {
                continue;
            }
            (work.append)(Event::Erase(Erase { person: person.clone(), time: asked.time }))?;
            // The journal has it now; else it is put there at the next look, or start.
            work.erasures.taken_up(id, person)?;
            new = true;
        }
        if let (Some(person), true, true) = (asked.people.first(), new, by.is_empty()) {
            let mut people = guests(work, person)?;
            people.retain(|guest| !asked.people.contains(guest));
            if !people.is_empty() {
                self.tell_of(&self.id_of_guests(id), &Asked { time: asked.time, people })?;
            }
        }
        Ok(())
    }

    /// Says how far this server is with each; by its id.
    fn say(
        &self,
        work: &Work,
        told: &Told,
        asked: &BTreeMap<String, Asked>,
    ) -> Result<BTreeMap<String, State>> {
        let mut own = BTreeMap::new();
        for entry in work.erasures.all_entries() {
            let id = entry.of.clone().unwrap_or_else(|| self.id(&entry));
            let least = own.entry(id).or_insert(State::Done);
            *least = (*least).min(entry.state());
        }
        // Of whom this log told it needs no record of its own: they are found with whom they turned out to be.
        for id in asked.keys().filter(|id| id.ends_with(&self.id_of_guests(""))) {
            let first = id.split(SEPARATOR).next().unwrap_or_default();
            let state = own.get(first).copied().unwrap_or(State::Done);
            own.insert(id.clone(), state);
        }
        own.retain(|id, _| asked.contains_key(id));
        for (id, state) in &own {
            let known = told.states.get(&(id.clone(), self.producer));
            if known.map(String::as_str) != Some(state.name()) {
                self.runtime.block_on(self.partitions.say_erasing(id, self.producer, state.name()))?;
            }
        }
        Ok(own)
    }

    /// Names nobody any more where all servers are done, and forgets what was so for long.
    fn close(
        &self,
        told: &Told,
        asked: &BTreeMap<String, Asked>,
        own: &BTreeMap<String, State>,
        now: Millis,
    ) -> Result<()> {
        for (id, _) in asked.iter().filter(|(_, asked)| asked.people.is_empty() && asked.time < now - KEPT) {
            self.runtime.block_on(self.partitions.forget_erasure(id, told))?;
        }
        for (id, asked) in asked.iter().filter(|(_, asked)| !asked.people.is_empty()) {
            let done = |producer: &u64| state(told, id, *producer, self.producer, own) == State::Done;
            if told.servers.keys().all(done) {
                let what = serde_json::to_string(&Asked { time: asked.time, people: Vec::new() });
                let what = what.map_err(|error| Error::invalid("erasure", error.to_string()))?;
                self.runtime.block_on(self.partitions.retell_erasure(id, what))?;
            }
        }
        Ok(())
    }

    fn id(&self, entry: &Entry) -> String {
        Position { producer: self.producer, sequence: entry.sequence }.to_string()
    }
}

/// What was told of each erasure, read.
pub(super) fn parsed(partitions: &Partitions, told: &Told) -> Result<BTreeMap<String, Asked>> {
    let parse = |(id, text): (&String, &String)| {
        let asked = serde_json::from_str(text)
            .map_err(|error| Error::invalid(partitions.keys().erasures("asked"), error.to_string()))?;
        Ok((id.clone(), asked))
    };
    told.asked.iter().map(parse).collect()
}

/// Whom servers are erasing just now, as they told each other.
///
/// # Errors
/// [`Error::Store`], [`Error::Invalid`].
pub(crate) async fn being_erased(partitions: &Partitions) -> Result<Vec<Person>> {
    let asked = parsed(partitions, &partitions.erasures().await?)?;
    Ok(asked.into_values().flat_map(|asked| asked.people).collect())
}

/// How far a server is with an erasure.
fn state(told: &Told, id: &str, producer: u64, this: u64, own: &BTreeMap<String, State>) -> State {
    let said = told.states.get(&(id.to_owned(), producer));
    let other = || said.and_then(|said| State::of(said)).unwrap_or(State::Pending);
    own.get(id).copied().filter(|_| producer == this).unwrap_or_else(other)
}

/// What all servers are at, by erasure; with the anonymous people that were found for it.
fn peers(
    told: &Told,
    asked: &BTreeMap<String, Asked>,
    this: u64,
    own: &BTreeMap<String, State>,
) -> BTreeMap<String, (Millis, Vec<Peer>)> {
    let mut all: BTreeMap<String, (Millis, BTreeMap<u64, State>)> = BTreeMap::new();
    for (id, asked) in asked {
        let first = id.split(SEPARATOR).next().unwrap_or_default();
        let (_, states) = all.entry(first.to_owned()).or_insert_with(|| (asked.time, BTreeMap::new()));
        // Who came after all were done has nothing of it.
        let is_open = !asked.people.is_empty();
        let had_it = |producer: &&u64| is_open || told.states.contains_key(&(id.clone(), **producer));
        for producer in told.servers.keys().filter(had_it) {
            let least = states.entry(*producer).or_insert(State::Done);
            *least = (*least).min(state(told, id, *producer, this, own));
        }
    }
    let peer = |(producer, state)| Peer { producer, state };
    let of = |(id, (time, states)): (String, (Millis, BTreeMap<u64, State>))| {
        (id, (time, states.into_iter().map(peer).collect()))
    };
    all.into_iter().map(of).collect()
}

/// Anonymous people who turned out to be a user, as this log says it.
fn guests(work: &Work, person: &Person) -> Result<Vec<Person>> {
    let folder = work.folder.join(Stream::Events.folder());
    let mut found = std::collections::BTreeSet::new();
    let mut entries = Entries::open(&folder, Stream::Events, 0)?;
    while let Some(entry) = entries.next_ref()? {
        if entry.kind & !format::PAST == format::IDENTIFY
            && let Event::Identify(identify) = record(entry, &folder)?.event
            && Person::user(identify.user.clone()) == *person
        {
            found.insert(Person::anonymous(identify.anonymous));
        }
    }
    Ok(found.into_iter().collect())
}
