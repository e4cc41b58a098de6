//! Takes what arrived in the partitions that a server owns: reads packets, drops what was taken before, lets the work be done, and commits
//! its effects with the mark. Not for what the work is: that is a [`Work`].

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::FxHashSet;

use super::ids::Ids;
use super::packet::Unpacked;
use super::partition::Entry;
use super::relay::Relay;
use super::work::{Arrived, Begun, Found, Outcome, Overlook, Work};
use super::{Commit, Committed, Lane, Mark, Member, NoteKey, Partitions, Place, Sender, StreamId, Which};
use crate::types::{Millis, Person};
use crate::{Error, Result};

/// Entries read of one partition at once.
const MOST_ENTRIES: usize = 16;
/// Partitions worked on at once; with [`MOST_ENTRIES`] of them, 64 MiB at most in usual packets.
const MOST_PLACES: usize = 64;
/// How long nothing is asked after nothing was found.
const REST: Duration = Duration::from_millis(20);
/// Entries taken after which a partition is trimmed.
const TRIM: usize = 64;

/// What is known of an owned partition.
#[derive(Debug, Clone, Default)]
struct Known {
    mark: Mark,
    ids: Ids,
    /// Entries taken since it was trimmed.
    taken: usize,
}

/// A server at work on its partitions of one lane.
pub struct Owner<W> {
    partitions: Partitions,
    /// The same for one step: what it reads it commits over the same connections.
    steady: Partitions,
    member: Member,
    work: W,
    /// After how long it says again that it is there, and after how long without an answer it owns nothing any more.
    beat: [Duration; 2],
    told: Option<Instant>,
    owned: Vec<Place>,
    known: HashMap<Place, Known>,
    /// Where among the owned it goes on.
    turn: usize,
    /// Numbers of tokens: drawn at start, then counted.
    token: u64,
    /// Where messages go on to other partitions.
    relay: Option<Relay>,
    overlook: Arc<Overlook>,
}

impl<W: Work> Owner<W> {
    /// A server at work, under a name that no other has; it is forgotten after `life` milliseconds of silence.
    #[must_use]
    pub fn new(partitions: Partitions, member: Member, life: Millis, work: W) -> Self {
        let life = Duration::from_millis(life.max(5) as u64);
        let relay = (member.lane() == Lane::People).then(Relay::default);
        let token = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), "a token") | 1;
        Self {
            steady: partitions.clone(),
            partitions,
            member,
            work,
            beat: [life / 5, life],
            told: None,
            owned: Vec::new(),
            known: HashMap::new(),
            turn: 0,
            token,
            relay,
            overlook: Arc::default(),
        }
    }

    /// What others may know of it.
    #[must_use]
    pub fn overlook(&self) -> Arc<Overlook> {
        Arc::clone(&self.overlook)
    }

    /// Works until it is stopped, then leaves. Blocks its thread, which must not be one of the runtime.
    pub fn run(mut self, runtime: &tokio::runtime::Handle) {
        self.overlook.works_here();
        while !self.overlook.is_stopped() {
            match runtime.block_on(self.step()) {
                Ok(0) => std::thread::park_timeout(REST),
                Ok(_) => {}
                // Over the new connections it goes on.
                Err(_) if self.is_behind() => std::thread::park_timeout(REST),
                Err(error) => {
                    tracing::warn!(%error, "what arrived waits");
                    std::thread::sleep(REST * 10);
                }
            }
        }
        if let Err(error) = runtime.block_on(self.member.leave()) {
            tracing::warn!(%error, "the partitions of this server are taken over when it is forgotten");
        }
    }

    /// Takes what there is of its partitions, once; how many entries that were.
    ///
    /// # Errors
    /// What Redis said, or what is wrong with a record. What was not taken is taken by a later call.
    pub async fn step(&mut self) -> Result<usize> {
        self.own().await?;
        self.renew().await;
        self.learn().await?;
        let mut entries = 0;
        let mut first_error = None;
        for _ in 0..self.owned.len().div_ceil(MOST_PLACES) {
            match self.some().await {
                Ok(taken) => entries += taken,
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        if let Some(relay) = &mut self.relay {
            match relay.step(&self.steady, &self.owned).await {
                Ok(messages) => entries += messages,
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        first_error.map_or(Ok(entries), Err)
    }

    /// Whether a connection was made since the step began.
    fn is_behind(&self) -> bool {
        self.steady.link().made() != self.partitions.link().made()
    }

    /// Takes the connections of this step; where they are others than before, nothing is known any more.
    async fn renew(&mut self) {
        let steady = self.partitions.steady().await;
        if steady.link().made() != self.steady.link().made() {
            self.known.clear();
            self.relay.iter_mut().for_each(Relay::forget_all);
        }
        self.steady = steady;
    }

    /// Learns which partitions are its own.
    async fn own(&mut self) -> Result<()> {
        if self.told.is_some_and(|told| told.elapsed() < self.beat[0]) {
            return Ok(());
        }
        let before = Instant::now();
        match self.member.beat().await {
            Ok(owned) => {
                let now: HashSet<Place> = owned.iter().copied().collect();
                self.known.retain(|place, _| now.contains(place));
                self.relay.iter_mut().for_each(|relay| relay.keep(&now));
                (self.owned, self.told) = (owned, Some(before));
            }
            Err(error) => {
                if self.told.is_none_or(|told| told.elapsed() > self.beat[1]) {
                    self.owned.clear();
                    self.known.clear();
                }
                self.overlook.owns(self.owned.len());
                return Err(error);
            }
        }
        self.overlook.owns(self.owned.len());
        Ok(())
    }

    /// Marks and ids of partitions that it owns and does not know.
    async fn learn(&mut self) -> Result<()> {
        let places: Vec<Place> =
            self.owned.iter().copied().filter(|place| !self.known.contains_key(place)).collect();
        if places.is_empty() {
            return Ok(());
        }
        let marks = self.steady.marks(&places).await;
        // Those of a server that is away are learnt later.
        let mut marked = Vec::new();
        let mut failed = None;
        for (place, mark) in places.into_iter().zip(marks) {
            match mark {
                Ok(mark) => marked.push((place, mark)),
                Err(error) => failed = Some(error),
            }
        }
        let at: Vec<(Place, StreamId)> = marked.iter().map(|(place, mark)| (*place, mark.at)).collect();
        let ids = self.steady.ids(&at).await?;
        for ((place, mark), ids) in marked.into_iter().zip(ids) {
            if let Some(relay) = &mut self.relay {
                relay.hold_against(place, &mark);
            }
            // What the owner before it took may still be there.
            self.known.insert(place, Known { mark, ids, taken: TRIM });
        }
        match failed {
            Some(error) if self.known.is_empty() => Err(error),
            _ => Ok(()),
        }
    }

    /// Takes what there is of the partitions whose turn it is.
    async fn some(&mut self) -> Result<usize> {
        let count = self.owned.len().min(MOST_PLACES);
        let turn: Vec<Place> = (0..count).map(|n| self.owned[(self.turn + n) % self.owned.len()]).collect();
        self.turn = (self.turn + count) % self.owned.len().max(1);
        if turn.iter().any(|place| !self.known.contains_key(place)) {
            self.learn().await?;
        }
        let known = turn.iter().filter_map(|place| Some((*place, &self.known.get(place)?.mark)));
        let relay = &self.relay;
        let room =
            known.filter(|(place, mark)| relay.as_ref().is_none_or(|r| !r.is_behind(*place, mark.sent)));
        let after: Vec<(Place, StreamId)> = room.map(|(place, mark)| (place, mark.at)).collect();
        let found = self.steady.entries(Which::Arrived, &after, MOST_ENTRIES).await?;
        let (mut taken, mut failed) = (Vec::new(), None);
        for (place, entries) in &found {
            match self.unpacked(*place, entries) {
                Ok(batch) => taken.push(batch),
                Err(error) => failed = Some(error),
            }
        }
        let entries = taken.iter().map(|batch| batch.entries).sum();
        let commits = self.worked(taken, &mut failed).await?;
        self.commit(commits).await?;
        failed.map_or(Ok(entries), Err)
    }

    /// Records of entries that were not taken before, and the mark behind them.
    fn unpacked<'a>(&self, place: Place, entries: &'a [Entry]) -> Result<Batch<'a>> {
        let known = self.known.get(&place);
        let next = known.map(|known| known.mark.clone()).unwrap_or_default();
        let (records, ids) = (Vec::new(), Vec::new());
        let mut batch = Batch { place, entries: entries.len(), records, next, ids, repeated: 0 };
        let mut fresh = FxHashSet::default();
        for entry in entries {
            let wrong = |detail| Error::invalid(format!("entry {} of {place}", entry.id), detail);
            let packet = Unpacked::decode(&entry.bytes).map_err(wrong)?;
            batch.next.at = entry.id;
            let before = batch.next.taken_of(packet.sender);
            if packet.previous > before && matches!(packet.sender, Sender::Log(_)) {
                tracing::error!(
                    %place, sender = %packet.sender, from = before, to = packet.previous,
                    "events between these sequences are missing from the partition"
                );
            }
            if let Sender::Log(_) = packet.sender {
                batch.next.taken.insert(packet.sender, packet.last().max(before));
            }
            for record in packet.records.into_iter().filter(|record| record.sequence > before) {
                if let Some(id) = self.work.id(&record) {
                    if known.is_some_and(|known| known.ids.knows(id)) || !fresh.insert(id) {
                        batch.repeated += 1;
                        continue;
                    }
                    batch.ids.push(id);
                }
                batch.records.push(Arrived { sender: packet.sender, record });
            }
        }
        Ok(batch)
    }

    /// What the batches come to; one that fails is left out.
    async fn worked(&mut self, batches: Vec<Batch<'_>>, failed: &mut Option<Error>) -> Result<Vec<Ready>> {
        let mut begun = Vec::new();
        for batch in batches {
            match self.work.begin(batch.place, &batch.records) {
                Ok(Begun { task, notes }) => begun.push((batch, task, notes)),
                Err(error) => *failed = Some(error),
            }
        }
        let keys = begun.iter().flat_map(|(batch, _, notes)| notes.iter().map(|key| (batch.place, *key)));
        let mut first = self.notes(keys.collect()).await?.into_iter();
        let mut wanted = Vec::new();
        for (batch, task, notes) in begun {
            let notes = found(notes, &mut first);
            match self.work.needs(&task, &notes) {
                Ok(needs) => wanted.push((batch, task, notes, needs)),
                Err(error) => *failed = Some(error),
            }
        }
        let keys =
            wanted.iter().flat_map(|(batch, _, _, needs)| needs.notes.iter().map(|k| (batch.place, *k)));
        let mut further = self.notes(keys.collect()).await?.into_iter();
        let people: Vec<Person> =
            wanted.iter().flat_map(|(_, _, _, needs)| needs.people.iter().cloned()).collect();
        let mut states = self.steady.states(&people).await?.into_iter();
        let mut ready = Vec::new();
        for (batch, task, mut notes, needs) in wanted {
            notes.extend(found(needs.notes, &mut further));
            let states = found(needs.people, &mut states);
            match self.work.finish(task, Found { states, notes }) {
                Ok(outcome) => ready.push(self.ready(batch, outcome)),
                Err(error) => *failed = Some(error),
            }
        }
        Ok(ready)
    }

    async fn notes(&self, which: Vec<(Place, NoteKey)>) -> Result<Vec<Option<Vec<u8>>>> {
        if which.is_empty() { Ok(Vec::new()) } else { self.steady.notes(&which).await }
    }

    fn ready(&mut self, batch: Batch<'_>, outcome: Outcome) -> Ready {
        let expected = self.known.get(&batch.place).map(|known| known.mark.clone()).unwrap_or_default();
        self.token = self.token.wrapping_add(1);
        let mut next = batch.next;
        next.token = self.token;
        next.send(&outcome.messages);
        let Outcome { states, notes, messages } = outcome;
        let commit = Commit { place: batch.place, expected, next, states, notes, messages, ids: batch.ids };
        Ready {
            commit,
            entries: batch.entries,
            records: batch.records.len() as u64,
            repeated: batch.repeated,
        }
    }

    /// Puts effects and marks in; what is refused, or of which nobody knows, is learnt anew.
    async fn commit(&mut self, ready: Vec<Ready>) -> Result<()> {
        let mut commits = Vec::with_capacity(ready.len());
        let mut counts = Vec::with_capacity(ready.len());
        for Ready { commit, entries, records, repeated } in ready {
            commits.push(commit);
            counts.push((entries, records, repeated));
        }
        let answers = self.steady.commit(&commits).await;
        let (mut failed, mut full) = (None, Vec::new());
        for ((commit, (entries, records, repeated)), answer) in commits.into_iter().zip(counts).zip(answers) {
            let place = commit.place;
            match answer {
                Ok(Committed::Done) => {
                    self.overlook.took(records, repeated);
                    let Some(known) = self.known.get_mut(&place) else { continue };
                    known.ids.add(&commit.ids, commit.next.at);
                    (known.mark, known.taken) = (commit.next, known.taken + entries);
                    if known.taken >= TRIM {
                        known.taken = 0;
                        full.push((place, known.mark.at));
                    }
                }
                Ok(Committed::Stale(_)) => {
                    self.overlook.was_refused();
                    self.known.remove(&place);
                }
                Err(error) => {
                    self.known.remove(&place);
                    failed = Some(error);
                }
            }
        }
        for (place, at) in full {
            let first = StreamId { ms: at.ms, number: at.number + 1 };
            self.steady.trim(Which::Arrived, place, first).await?;
        }
        failed.map_or(Ok(()), Err)
    }
}

/// Of what was asked for, in the same order, that which there is.
fn found<K: Eq + std::hash::Hash>(
    asked: HashSet<K>,
    answers: &mut impl Iterator<Item = Option<Vec<u8>>>,
) -> HashMap<K, Vec<u8>> {
    asked.into_iter().zip(answers).filter_map(|(key, answer)| Some((key, answer?))).collect()
}

/// What is to be taken of one partition.
struct Batch<'a> {
    place: Place,
    entries: usize,
    records: Vec<Arrived<'a>>,
    /// The mark behind it, but for its token and messages.
    next: Mark,
    ids: Vec<u64>,
    repeated: u64,
}

/// What is to be committed, and what it took.
struct Ready {
    commit: Commit,
    entries: usize,
    records: u64,
    repeated: u64,
}
