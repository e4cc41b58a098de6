//! Writes the live side as it is at one moment, while it goes on. In bounded memory: a piece of the items or a section of people at a time. Nobody
//! who applies or reads waits while anything is encoded, packed or written.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::super::Live;
use super::super::codec::wire::Wire;
use super::super::people::Copied;
use super::cut::Moment;
use super::frame::{Kind, Sections};
use super::piece::Piece;
use super::single::{CHUNK, write_fresh, write_sources, write_texts};
use super::{COPIES, Carried, Head, Maker, block, deeds, people};
use crate::shared::StreamId;
use crate::types::Position;
use crate::types::time;
use crate::{Error, Result};

/// Texts of attributes that are copied under one lock.
const TEXTS: usize = 1024;
/// Pieces that are packed into memory after each section of ids and texts, which stand before them in the file, at most.
const EARLY: usize = 8;
/// As soon as so many people are held as they were, they are written.
const PEOPLE: usize = 8192;

/// What a snapshot may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// When it must be done, or is given up.
    pub until: Option<Instant>,
    /// Whether it is given up.
    pub stop: Option<Arc<AtomicBool>>,
    /// Bytes of copies of items that may wait to be written, because they were about to change; whoever applies waits beyond that.
    pub waiting: usize,
}

impl Default for Limits {
    /// 128 MiB, as long as it takes.
    fn default() -> Self {
        Self { until: None, stop: None, waiting: 128 << 20 }
    }
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
    /// The longest time for which applying was held up at once.
    pub longest_pause: Duration,
    /// How long it took.
    pub took: Duration,
}

/// Writes a snapshot of the state as of now. `carried` is asked once that moment is fixed. `place` is its name in errors.
///
/// # Errors
/// What `carried` says; [`Error::Io`]; [`Error::Invalid`] where it took too long, was to stop, or an attribute got another type meanwhile: taken
/// again, it comes out.
pub fn write(
    live: &Live,
    maker: &Maker,
    carried: impl FnOnce() -> Result<Vec<Carried>>,
    to: impl Write,
    place: &Path,
    limits: Limits,
) -> Result<Written> {
    let start = Instant::now();
    let mut moment = live.moment(limits.waiting);
    let carried = carried()?;
    // Not before: whoever answers may itself wait for those who apply.
    moment.drain();
    let to = Sections::new(to, place)?;
    let (early, wire) = (Some(Vec::new()), Wire::default());
    let mut writing = Writing { live, to, place, limits, pieces: 0, early, people: 0, wire };
    writing.head(&moment, maker)?;
    writing.names(&moment)?;
    writing.items(&mut moment)?;
    writing.people(&moment)?;
    writing.deeds(&moment)?;
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
    to: Sections<W>,
    place: &'a Path,
    limits: Limits,
    /// Sections of items so far.
    pieces: u32,
    /// Sections that can't be written yet, until they can.
    early: Option<Vec<Vec<u8>>>,
    /// Sections of people so far, and the next one.
    people: u32,
    wire: Wire,
}

impl<W: Write> Writing<'_, W> {
    fn head(&mut self, moment: &Moment<'_>, maker: &Maker) -> Result<()> {
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

    /// Ids and texts, which are only ever added to. What is copied meanwhile stands behind them in the file, and waits packed.
    fn names(&mut self, moment: &Moment<'_>) -> Result<()> {
        for (number, from) in (0..).zip((0..moment.items).step_by(CHUNK)) {
            let ids = (from..(from + CHUNK).min(moment.items)).map(|at| self.live.ids.id(at as u32).as_str());
            self.to.put(Kind::Ids, number, &write_texts(ids))?;
            self.keep_up(moment)?;
        }
        for (number, from) in (0..).zip((0..moment.words).step_by(CHUNK)) {
            let to = (from + CHUNK).min(moment.words);
            let mut raw = Vec::new();
            for from in (from..to).step_by(TEXTS) {
                let items = self.live.items.read();
                let texts = (from..(from + TEXTS).min(to)).map(|at| items.words.text(at as u32));
                raw.extend(write_texts(texts));
            }
            self.to.put(Kind::Words, number, &raw)?;
            self.keep_up(moment)?;
        }
        Ok(())
    }

    fn keep_up(&mut self, moment: &Moment<'_>) -> Result<()> {
        for piece in std::iter::from_fn(|| moment.waiting()).take(EARLY) {
            self.piece(piece)?;
        }
        self.held_people(moment)?;
        self.in_time()
    }

    fn items(&mut self, moment: &mut Moment<'_>) -> Result<()> {
        for section in self.early.take().into_iter().flatten() {
            self.to.put_packed(&section)?;
        }
        let gone = "an attribute got another type meanwhile";
        while let Some(piece) = moment.next_piece().map_err(|()| self.given_up(gone))? {
            self.piece(piece)?;
            self.held_people(moment)?;
            self.in_time()?;
        }
        Ok(())
    }

    fn piece(&mut self, piece: Piece) -> Result<()> {
        let (kind, raw) = block::encode(piece);
        let section = self.to.pack(kind, self.pieces, &raw)?;
        self.pieces += 1;
        self.put(section)
    }

    /// Writes a section when what stands before it is written.
    fn put(&mut self, section: Vec<u8>) -> Result<()> {
        match &mut self.early {
            Some(early) => {
                early.push(section);
                Ok(())
            }
            None => self.to.put_packed(&section),
        }
    }

    /// People who are held, where they are many.
    fn held_people(&mut self, moment: &Moment<'_>) -> Result<()> {
        if self.live.people.held() < PEOPLE {
            return Ok(());
        }
        for shard in 0.. {
            let Some(copied) = self.live.people.take_held(shard) else { break };
            self.put_people(&copied)?;
        }
        moment.took_people();
        Ok(())
    }

    fn people(&mut self, moment: &Moment<'_>) -> Result<()> {
        for shard in 0.. {
            let Some(copied) = self.live.people.take_spared(shard) else { break };
            moment.took_people();
            self.put_people(&copied)?;
            self.held_people(moment)?;
        }
        self.end_people()
    }

    fn put_people(&mut self, copied: &Copied) -> Result<()> {
        for (person, kept) in copied {
            people::write(&mut self.wire, person, kept, &self.live.ids, &self.live.actions);
            if self.wire.0.len() >= people::FULL {
                self.end_people()?;
            }
        }
        Ok(())
    }

    fn end_people(&mut self) -> Result<()> {
        if !self.wire.0.is_empty() {
            let section = self.to.pack(Kind::People, self.people, &self.wire.0)?;
            self.wire.0.clear();
            self.people += 1;
            self.put(section)?;
        }
        self.in_time()
    }

    fn deeds(&mut self, moment: &Moment<'_>) -> Result<()> {
        for (number, owners) in (0..).zip(&moment.owners) {
            self.to.put(Kind::Owners, number, &deeds::write_owners(owners))?;
            self.in_time()?;
        }
        for (number, entries) in (0..).zip(&moment.deeds) {
            self.to.put(Kind::Deeds, number, &deeds::write(entries))?;
            self.in_time()?;
        }
        Ok(())
    }

    fn in_time(&self) -> Result<()> {
        if self.limits.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Acquire)) {
            return Err(self.given_up("this server ends"));
        }
        match self.limits.until {
            Some(until) if Instant::now() > until => Err(self.given_up("it took too long")),
            _ => Ok(()),
        }
    }

    fn given_up(&self, why: impl std::fmt::Display) -> Error {
        Error::invalid(self.place.display().to_string(), format!("the snapshot was given up: {why}"))
    }
}
