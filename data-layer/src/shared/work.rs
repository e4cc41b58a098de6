//! What is done with what arrives in a partition, and what others may know of it. Not for how it arrives: that is `owner.rs`'s.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::Thread;

use super::keys::NoteKey;
use super::{Message, Packed, Place, Sender};
use crate::Result;
use crate::types::Person;

/// A record that arrived in a partition for the first time.
#[derive(Debug, Clone, Copy)]
pub struct Arrived<'a> {
    /// Who sent it.
    pub sender: Sender,
    /// The record.
    pub record: Packed<'a>,
}

/// What work comes to.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// New states of people of the partition; `None` deletes. Nobody twice.
    pub states: Vec<(Person, Option<Vec<u8>>)>,
    /// New notes of the partition, of at least one byte. No key twice.
    pub notes: Vec<(NoteKey, Vec<u8>)>,
    /// Messages to send on, in order.
    pub messages: Vec<Message>,
}

/// Notes by their keys, those that there are.
pub type Notes = HashMap<NoteKey, Vec<u8>>;

/// Work that was begun.
#[derive(Debug, Clone, Default)]
pub struct Begun<T> {
    /// What is known of it so far.
    pub task: T,
    /// Notes of the partition that it needs first.
    pub notes: HashSet<NoteKey>,
}

/// What work needs besides its records.
#[derive(Debug, Clone, Default)]
pub struct Needs {
    /// People whose states it needs, of the same partition only.
    pub people: HashSet<Person>,
    /// Notes of the partition, further ones.
    pub notes: HashSet<NoteKey>,
}

/// What there is of what work needs.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// States of people.
    pub states: HashMap<Person, Vec<u8>>,
    /// Notes: those asked for first and the further ones.
    pub notes: Notes,
}

/// What is done with what arrives in a lane's partitions. It must be a function of what it is given: what it did may be thrown away and done
/// again by another server.
pub trait Work: Send {
    /// Records of one partition while they are worked on.
    type Task;

    /// Identity of the event in a record, by which the same one from two servers acts once; `None` where it has none.
    fn id(&self, record: &Packed<'_>) -> Option<u64>;

    /// Reads the records of a partition.
    ///
    /// # Errors
    /// What is wrong with a record. Nothing of the partition is taken until it is mended.
    fn begin(&mut self, place: Place, records: &[Arrived<'_>]) -> Result<Begun<Self::Task>>;

    /// What it needs, now that it has the notes it needed first.
    ///
    /// # Errors
    /// As [`Work::begin`].
    fn needs(&self, task: &Self::Task, notes: &Notes) -> Result<Needs>;

    /// Does the work.
    ///
    /// # Errors
    /// As [`Work::begin`].
    fn finish(&mut self, task: Self::Task, found: Found) -> Result<Outcome>;
}

/// What others may know of an owner.
#[derive(Debug, Default)]
pub struct Overlook {
    owned: AtomicU64,
    records: AtomicU64,
    repeated: AtomicU64,
    refused: AtomicU64,
    stop: AtomicBool,
    thread: OnceLock<Thread>,
}

impl Overlook {
    /// How many partitions it owns.
    #[must_use]
    pub fn owned(&self) -> u64 {
        self.owned.load(Ordering::Relaxed)
    }

    /// How many records it took.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.records.load(Ordering::Relaxed)
    }

    /// How many records it dropped because their id had been taken before.
    #[must_use]
    pub fn repeated(&self) -> u64 {
        self.repeated.load(Ordering::Relaxed)
    }

    /// How many of its commits were refused, because another server had been faster.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Makes [`super::Owner::run`] end soon.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.nudge();
    }

    /// Makes [`super::Owner::run`] look at once whether there is something.
    pub fn nudge(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    pub(super) fn works_here(&self) {
        drop(self.thread.set(std::thread::current()));
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    pub(super) fn owns(&self, partitions: usize) {
        self.owned.store(partitions as u64, Ordering::Relaxed);
    }

    pub(super) fn took(&self, records: u64, repeated: u64) {
        self.records.fetch_add(records, Ordering::Relaxed);
        self.repeated.fetch_add(repeated, Ordering::Relaxed);
    }

    pub(super) fn was_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }
}
