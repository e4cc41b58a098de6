//! What many things that happened to the items of one partition come to. Applied, the sum gives what they give one by one: counts, impressions
//! and pairs are added up, and values of attributes that a later one of the same batch replaces are left out. Two things pass as they are: what is
//! taken back, with all that concerns its item, and what may leave a trace though it is replaced. Neighbours beyond what a bound keeps may be
//! others than one by one would have kept; they are the same on every server.

use rustc_hash::{FxHashMap, FxHashSet};

use super::HAPPENED;
use super::wire::{self, Happened, Writer};
use crate::config::{Keep, Pairing};
use crate::live::Stamp;
use crate::live::codec::wire::Said;
use crate::live::counters::Count;
use crate::live::merge::value_order;
use crate::live::together::bucket;
use crate::log::format;
use crate::shared::{Arrived, Packed, Sum};
use crate::types::schema::RESERVED_ITEM;
use crate::types::{Event, Id, ItemEvent, Millis, Value};
use crate::{Error, Result};

/// The work of whoever owns item partitions.
#[derive(Debug)]
pub struct Summing {
    keep: Keep,
}

impl Summing {
    /// With the bounds of what is kept, which say whose word counts and how wide buckets are.
    #[must_use]
    pub fn new(keep: &Keep) -> Self {
        Self { keep: keep.clone() }
    }
}

impl Sum for Summing {
    /// Items, loads and schemas have no identity: saying them twice changes nothing.
    fn id(&self, _: &Packed<'_>) -> Option<u64> {
        None
    }

    fn sum(&mut self, records: &[Arrived<'_>]) -> Result<Vec<(u8, Vec<u8>)>> {
        let mut all = Vec::new();
        for Arrived { sender, record } in records {
            let place = || format!("record {} of {sender}", record.sequence);
            happened(record, &mut all).map_err(|detail| Error::invalid(place(), detail))?;
        }
        if all.is_empty() {
            return Ok(Vec::new());
        }
        let mut writer = Writer::default();
        let summed = Adding::new(&self.keep, &all).all(&all);
        for one in &summed {
            writer.push(one).map_err(|detail| Error::invalid("sum of what happened to items", detail))?;
        }
        Ok(vec![(HAPPENED, writer.finish())])
    }
}

/// What happened, as a record says: of a log, or of a partition of people.
fn happened<'a>(record: &Packed<'a>, all: &mut Vec<Happened<'a>>) -> Said<()> {
    match record.kind {
        HAPPENED => all.extend(wire::read(record.payload)?),
        format::VOID => {}
        kind => match format::decode_event(record.version, kind, record.payload)? {
            event @ (Event::Item(_) | Event::Load(_) | Event::Schema(_)) => {
                all.push(Happened::Event(Box::new(event)));
            }
            _ => return Err(format!("expected what happened to items, found an event of kind {kind}")),
        },
    }
    Ok(())
}

/// Adds up in order of first appearance.
struct Adding<'a> {
    keep: &'a Keep,
    /// Items of which something is taken back.
    undone: FxHashSet<&'a str>,
    /// Items and their neighbours of which something is taken back.
    parted: FxHashSet<(&'a str, &'a str)>,
    out: Vec<Option<Happened<'a>>>,
    /// Places in `out`; of counts by the number of kinds that were said of the item before, too.
    counted: FxHashMap<(&'a str, &'a str, i32, u32), usize>,
    shown: FxHashMap<&'a str, usize>,
    neared: FxHashMap<(&'a str, &'a str, i32), usize>,
    named: FxHashSet<&'a str>,
    kinds: FxHashMap<&'a str, u32>,
    said: Statements<'a>,
}

impl<'a> Adding<'a> {
    fn new(keep: &'a Keep, all: &[Happened<'a>]) -> Self {
        let (mut undone, mut parted) = (FxHashSet::default(), FxHashSet::default());
        for happened in all {
            match happened {
                Happened::Did { item, back: true, .. } => drop(undone.insert(*item)),
                Happened::Neared { item, other, back: true, .. } => drop(parted.insert((*item, *other))),
                _ => {}
            }
        }
        Self {
            keep,
            undone,
            parted,
            out: Vec::with_capacity(all.len()),
            counted: FxHashMap::default(),
            shown: FxHashMap::default(),
            neared: FxHashMap::default(),
            named: FxHashSet::default(),
            kinds: FxHashMap::default(),
            said: Statements::default(),
        }
    }

    fn all(mut self, all: &'a [Happened<'a>]) -> Vec<Happened<'a>> {
        all.iter().for_each(|happened| self.one(happened));
        self.said.settle(&mut self.out);
        self.out.into_iter().flatten().collect()
    }

    fn one(&mut self, happened: &'a Happened<'a>) {
        match happened {
            Happened::Did { item, action, value, time, back: false } => {
                self.count(item, action, Count::one(*value, *time), happened);
            }
            Happened::Counted { item, action, count } => self.count(item, action, *count, happened),
            Happened::Did { .. } => self.pass(happened),
            Happened::Shown { item, times } => {
                let at = *self.shown.entry(item).or_insert(self.out.len());
                match self.out.get_mut(at) {
                    Some(Some(Happened::Shown { times: sum, .. })) => *sum = sum.saturating_add(*times),
                    _ => self.pass(happened),
                }
            }
            Happened::Neared { item, other, weight, time, back } => match &self.keep.together {
                Some(pairing) if !back && !self.parted.contains(&(*item, *other)) => {
                    self.near(item, other, *weight, *time, pairing, happened);
                }
                _ => self.pass(happened),
            },
            Happened::Named { item } => {
                if self.named.insert(item) {
                    self.pass(happened);
                }
            }
            Happened::Event(event) => self.event(event, happened),
        }
    }

    fn pass(&mut self, happened: &Happened<'a>) {
        self.out.push(Some(happened.clone()));
    }

    fn count(&mut self, item: &'a str, action: &'a str, count: Count, happened: &Happened<'a>) {
        if self.undone.contains(item) {
            return self.pass(happened);
        }
        let kinds = self.kinds.get(item).copied().unwrap_or(0);
        let at = *self.counted.entry((item, action, count.hour, kinds)).or_insert(self.out.len());
        match self.out.get_mut(at) {
            Some(Some(Happened::Counted { count: sum, .. })) => sum.add(&count),
            _ => self.out.push(Some(Happened::Counted { item, action, count })),
        }
    }

    fn near(
        &mut self,
        item: &'a str,
        other: &'a str,
        weight: u32,
        time: Millis,
        pairing: &Pairing,
        happened: &Happened<'a>,
    ) {
        let key = (item, other, bucket(time, pairing));
        let at = *self.neared.entry(key).or_insert(self.out.len());
        match self.out.get_mut(at) {
            Some(Some(Happened::Neared { weight: sum, .. })) if weight <= u32::MAX - *sum => *sum += weight,
            _ => {
                self.neared.insert(key, self.out.len());
                self.pass(happened);
            }
        }
    }

    fn event(&mut self, event: &'a Event, happened: &Happened<'a>) {
        match event {
            Event::Item(event) => {
                let at = self.out.len();
                self.pass(happened);
                if event.kind.is_some() {
                    *self.kinds.entry(event.id.as_str()).or_default() += 1;
                }
                self.said.add(event, at, self.keep, &mut self.out);
            }
            // What is said before and after types change is not compared.
            Event::Schema(_) => {
                self.said.settle(&mut self.out);
                self.pass(happened);
            }
            _ => self.pass(happened),
        }
    }
}

/// Where each value stands that no other of the batch replaces.
#[derive(Debug, Default)]
struct Statements<'a> {
    /// By item and attribute: place of the event, when and by whom it was said, and what.
    standing: FxHashMap<(&'a Id, &'a str), (usize, Stamp, Option<&'a Value>)>,
    /// By item and source: time and place of the newest event.
    newest: FxHashMap<(&'a Id, Option<&'a str>), (Millis, usize)>,
    places: Vec<usize>,
}

impl<'a> Statements<'a> {
    fn add(&mut self, event: &'a ItemEvent, at: usize, keep: &Keep, out: &mut [Option<Happened<'_>>]) {
        let source = event.source.as_deref();
        self.places.push(at);
        let newest = self.newest.entry((&event.id, source)).or_insert((event.time, at));
        if event.time > newest.0 {
            *newest = (event.time, at);
        }
        let stamp = Stamp::new(event.time, source, &keep.sources);
        for (name, value) in &event.attributes {
            if RESERVED_ITEM.iter().any(|(reserved, _)| reserved == name) {
                continue;
            }
            let value = value.as_ref();
            let Some(standing) = self.standing.get_mut(&(&event.id, name.as_str())) else {
                self.standing.insert((&event.id, name), (at, stamp, value));
                continue;
            };
            let (before, old_stamp, old) = *standing;
            let replaces = old_stamp.order(&stamp).then_with(|| value_order(old, value)).is_lt();
            let (winner, loser, lost) = if replaces { (value, old, before) } else { (old, value, at) };
            // A value that does not fit its column changes nothing: only what surely fits as well replaces another.
            let fits = match (winner, loser) {
                (None, _) => true,
                (Some(winner), Some(loser)) => winner.value_type() == loser.value_type(),
                (Some(_), None) => false,
            };
            if fits {
                remove(out, lost, name);
            }
            if replaces {
                *standing = (at, stamp, value);
            }
        }
    }

    /// Leaves out events of which nothing is left, where a newer one says that their source names the item.
    fn settle(&mut self, out: &mut [Option<Happened<'_>>]) {
        for at in self.places.drain(..) {
            let Some(Some(Happened::Event(event))) = out.get(at) else { continue };
            let Event::Item(event) = &**event else { continue };
            let empty = event.attributes.is_empty() && event.kind.is_none() && event.deleted.is_none();
            let newest = self.newest.get(&(&event.id, event.source.as_deref()));
            if empty && newest.is_some_and(|(_, newest)| *newest != at) {
                out[at] = None;
            }
        }
        self.standing.clear();
        self.newest.clear();
    }
}

fn remove(out: &mut [Option<Happened<'_>>], at: usize, name: &str) {
    if let Some(Some(Happened::Event(event))) = out.get_mut(at)
        && let Event::Item(event) = &mut **event
    {
        event.attributes.remove(name);
    }
}
