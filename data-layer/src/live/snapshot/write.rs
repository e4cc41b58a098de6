//! Writes the live side as it is at one moment, while it goes on. In bounded memory: a block of items or a section of people at a time.

use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use super::super::Live;
use super::super::codec::wire::Wire;
use super::cut::Moment;
use super::frame::{Kind, Sections};
use super::single::{CHUNK, write_fresh, write_sources, write_texts};
use super::{COPIES, Carried, Head, Maker, deeds, people};
use crate::shared::StreamId;
use crate::types::Position;
use crate::types::time;
use crate::{Error, Result};

/// What a snapshot may take.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// When it must be done, or is given up.
    pub until: Option<Instant>,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The position that it is of.
    pub position: Position,
    /// Those in the streams of items; none where it follows none.
    pub streams: Vec<StreamId>,
    /// Bytes of the file.
    pub bytes: u64,
    /// The longest time for which applying was held up.
    pub longest_pause: Duration,
    /// How long it took.
    pub took: Duration,
}

/// Writes a snapshot of the state as of now. `carried` is asked once that moment is fixed. `place` is its name in errors.
///
/// # Errors
/// What `carried` says; [`Error::Io`]; [`Error::Invalid`] where it took too long, or an attribute got another type meanwhile: taken again, it comes out.
pub fn write(
    live: &Live,
    maker: &Maker,
    carried: impl FnOnce() -> Result<Vec<Carried>>,
    to: impl Write,
    place: &Path,
    limits: Limits,
) -> Result<Written> {
    let start = Instant::now();
    let moment = live.moment();
    let carried = carried()?;
    let mut writing = Writing { live, moment: &moment, to: Sections::new(to, place)?, place, limits };
    writing.head(maker)?;
    writing.items()?;
    writing.people()?;
    writing.deeds()?;
    let copies = Carried { name: COPIES.to_owned(), bytes: moment.copies.clone() };
    for (number, carried) in (0..).zip(std::iter::once(copies).chain(carried)) {
        let mut wire = Wire::default();
        wire.text(&carried.name);
        wire.0.extend_from_slice(&carried.bytes);
        writing.to.put(Kind::Carried, number, &wire.0)?;
    }
    let bytes = writing.to.end()?;
    let (position, longest_pause) = (moment.position, moment.longest());
    let streams = moment.streams.clone();
    Ok(Written { position, streams, bytes, longest_pause, took: start.elapsed() })
}

struct Writing<'a, W> {
    live: &'a Live,
    moment: &'a Moment<'a>,
    to: Sections<W>,
    place: &'a Path,
    limits: Limits,
}

impl<W: Write> Writing<'_, W> {
    fn head(&mut self, maker: &Maker) -> Result<()> {
        let moment = self.moment;
        let head = Head {
            program: env!("CARGO_PKG_VERSION").to_owned(),
            taken_ms: time::now(),
            producer: format!("{:016x}", moment.position.producer),
            sequence: moment.position.sequence,
            streams: moment.streams.clone(),
            maker: maker.clone(),
            schema: moment.schema.clone(),
            actions: self.live.actions.iter().map(|(_, name, _)| name.to_owned()).collect(),
            items: moment.items,
            words: moment.words,
            columns: moment.columns.clone(),
            trending_kinds: moment.trending_kinds.clone(),
            fresh_kinds: moment.fresh_kinds.clone(),
            first_deed: moment.first_deed,
        };
        let json = serde_json::to_vec(&head).map_err(|error| self.given_up(error))?;
        self.to.put(Kind::Head, 0, &json)?;
        self.to.put(Kind::Sources, 0, &write_sources(moment))?;
        self.to.put(Kind::Fresh, 0, &write_fresh(moment))
    }

    fn items(&mut self) -> Result<()> {
        // Ids and texts are only ever added to.
        for (number, from) in (0..).zip((0..self.moment.items).step_by(CHUNK)) {
            let raw = {
                let items = self.live.items();
                let range = from..(from + CHUNK).min(self.moment.items);
                write_texts(range.map(|at| items.ids().id(at as u32).as_str()))
            };
            self.to.put(Kind::Ids, number, &raw)?;
        }
        for (number, from) in (0..).zip((0..self.moment.words).step_by(CHUNK)) {
            let raw = {
                let items = self.live.items();
                let range = from..(from + CHUNK).min(self.moment.words);
                write_texts(range.map(|at| items.words.text(at as u32)))
            };
            self.to.put(Kind::Words, number, &raw)?;
        }
        let mut number = 0;
        let gone = "an attribute got another type meanwhile, or the disk failed";
        while let Some(block) = self.moment.next_block().map_err(|()| self.given_up(gone))? {
            self.to.put(Kind::Items, number, &block)?;
            number += 1;
            self.in_time()?;
        }
        Ok(())
    }

    fn people(&mut self) -> Result<()> {
        let (mut number, mut wire) = (0, Wire::default());
        for shard in 0.. {
            let Some(copied) = self.live.people.take_spared(shard) else { break };
            for chunk in copied.chunks(256) {
                {
                    let items = self.live.items();
                    let one = |(person, kept): &(_, _)| {
                        people::write(&mut wire, person, kept, items.ids(), &self.live.actions);
                    };
                    chunk.iter().for_each(one);
                }
                if wire.0.len() >= people::FULL {
                    self.to.put(Kind::People, number, &wire.0)?;
                    wire.0.clear();
                    number += 1;
                    self.in_time()?;
                }
            }
        }
        if wire.0.is_empty() { Ok(()) } else { self.to.put(Kind::People, number, &wire.0) }
    }

    fn deeds(&mut self) -> Result<()> {
        for (number, owners) in (0..).zip(&self.moment.owners) {
            self.to.put(Kind::Owners, number, &deeds::write_owners(owners))?;
        }
        for (number, entries) in (0..).zip(&self.moment.deeds) {
            self.to.put(Kind::Deeds, number, &deeds::write(entries))?;
            self.in_time()?;
        }
        Ok(())
    }

    fn in_time(&self) -> Result<()> {
        match self.limits.until {
            Some(until) if Instant::now() > until => Err(self.given_up("it took too long")),
            _ => Ok(()),
        }
    }

    fn given_up(&self, why: impl std::fmt::Display) -> Error {
        Error::invalid(self.place.display().to_string(), format!("the snapshot was given up: {why}"))
    }
}
