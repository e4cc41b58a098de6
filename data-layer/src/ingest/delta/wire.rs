//! What happened to items as bytes, by ids and names. In `docs/formats.md`. Not for what it comes to: that is `sum.rs`'s.

use rustc_hash::FxHashMap;

use crate::live::codec::wire::{Read, Said, Wire};
use crate::live::counters::Count;
use crate::log::{codec, format};
use crate::types::event::Event;
use crate::types::{Millis, id};

/// Version of the form: the first byte. A newer one is refused.
pub const VERSION: u8 = 1;

const DID: u8 = 1;
const UNDONE: u8 = 2;
const SHOWN: u8 = 3;
const COUNTED: u8 = 4;
const NEARED: u8 = 5;
const PARTED: u8 = 6;
const NAMED: u8 = 7;
const EVENT: u8 = 8;

/// One thing that happened to items; items and actions by name.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Happened<'a> {
    /// Somebody did something, or (`back`) it is taken back.
    Did { item: &'a str, action: &'a str, value: f64, time: Millis, back: bool },
    /// It was seen so often.
    Shown { item: &'a str, times: u64 },
    /// Many did the same in one hour.
    Counted { item: &'a str, action: &'a str, count: Count },
    /// Somebody acted on it close to another, or (`back`) that is taken back.
    Neared { item: &'a str, other: &'a str, weight: u32, time: Millis, back: bool },
    /// It was only named, and exists.
    Named { item: &'a str },
    /// Said of it, or of all: an item event, a load or a schema.
    Event(Box<Event>),
}

/// Bytes that are being written.
#[derive(Debug, Default)]
pub(super) struct Writer<'a> {
    texts: FxHashMap<&'a str, usize>,
    list: Vec<&'a str>,
    body: Wire,
    time: Millis,
    hour: i32,
}

impl<'a> Writer<'a> {
    /// Adds one thing that happened.
    ///
    /// # Errors
    /// What can't be written of an event.
    pub(super) fn push(&mut self, happened: &Happened<'a>) -> Result<(), String> {
        match happened {
            Happened::Did { item, action, value, time, back } => {
                self.head(if *back { UNDONE } else { DID }, item);
                self.text(action);
                self.value(*value);
                self.time(*time);
            }
            Happened::Shown { item, times } => {
                self.head(SHOWN, item);
                self.body.unsigned((*times).into());
            }
            Happened::Counted { item, action, count } => {
                self.head(COUNTED, item);
                self.text(action);
                self.body.signed(i128::from(count.hour) - i128::from(self.hour));
                self.hour = count.hour;
                self.body.unsigned(count.times.into());
                self.body.signed(count.micros);
                self.body.signed(count.positive - count.micros);
            }
            Happened::Neared { item, other, weight, time, back } => {
                self.head(if *back { PARTED } else { NEARED }, item);
                self.text(other);
                self.body.unsigned((*weight).into());
                self.time(*time);
            }
            Happened::Named { item } => self.head(NAMED, item),
            Happened::Event(event) => {
                self.body.0.extend([EVENT, codec::kind_of(event)]);
                let mut bytes = Vec::new();
                codec::encode(event, &mut bytes)?;
                self.body.bytes(&bytes);
            }
        }
        Ok(())
    }

    /// All of it.
    pub(super) fn finish(self) -> Vec<u8> {
        let mut all = Wire(Vec::with_capacity(self.body.0.len() + 16 * self.list.len() + 4));
        all.0.push(VERSION);
        all.count(self.list.len());
        self.list.iter().for_each(|text| all.text(text));
        all.0.extend_from_slice(&self.body.0);
        all.0
    }

    fn head(&mut self, tag: u8, item: &'a str) {
        self.body.0.push(tag);
        self.text(item);
    }

    fn text(&mut self, text: &'a str) {
        let list = &mut self.list;
        let at = *self.texts.entry(text).or_insert_with(|| {
            list.push(text);
            list.len() - 1
        });
        self.body.count(at);
    }

    fn value(&mut self, value: f64) {
        // A whole number, which most values are, takes a byte or two.
        match value as i64 {
            whole if whole as f64 == value && value.to_bits() != (-0.0f64).to_bits() => {
                self.body.0.push(1);
                self.body.signed(whole.into());
            }
            _ => {
                self.body.0.push(0);
                self.body.float(value);
            }
        }
    }

    fn time(&mut self, time: Millis) {
        self.body.signed(i128::from(time) - i128::from(self.time));
        self.time = time;
    }
}

/// Reads what a [`Writer`] wrote, whole or not at all.
///
/// # Errors
/// A sentence with the byte, what was expected and what was found.
pub(super) fn read(bytes: &[u8]) -> Said<Vec<Happened<'_>>> {
    let mut read = Read::new(bytes);
    let all = read_all(&mut read);
    all.map_err(|detail| format!("byte {}: {detail}", read.at()))
}

fn read_all<'a>(read: &mut Read<'a>) -> Said<Vec<Happened<'a>>> {
    match read.byte()? {
        VERSION => {}
        newer if newer > VERSION => {
            return Err(format!("version {newer} is newer than {VERSION}; upgrade this server"));
        }
        other => return Err(format!("expected version {VERSION}, found {other}")),
    }
    let texts = (0..read.count(1)?).map(|_| read.text()).collect::<Said<Vec<&str>>>()?;
    let mut reader = Reader { texts, time: 0, hour: 0 };
    let mut all = Vec::new();
    while !read.is_at_end() {
        all.push(reader.one(read)?);
    }
    Ok(all)
}

struct Reader<'a> {
    texts: Vec<&'a str>,
    time: Millis,
    hour: i32,
}

impl<'a> Reader<'a> {
    fn one(&mut self, read: &mut Read<'a>) -> Said<Happened<'a>> {
        let tag = read.byte()?;
        if tag == EVENT {
            return event(read).map(|event| Happened::Event(Box::new(event)));
        }
        let item = self.item(read)?;
        Ok(match tag {
            DID | UNDONE => {
                let action = self.text(read)?;
                let value = if read.byte()? == 0 { read.float()? } else { read.signed::<i64>()? as f64 };
                Happened::Did { item, action, value, time: self.time(read)?, back: tag == UNDONE }
            }
            SHOWN => Happened::Shown { item, times: read.number()? },
            COUNTED => {
                let action = self.text(read)?;
                let hour = i128::from(self.hour).saturating_add(read.signed::<i128>()?);
                self.hour = i32::try_from(hour).map_err(|_| format!("no hour: {hour}"))?;
                let (times, micros) = (read.number()?, bounded(read)?);
                let positive = micros + bounded(read)?;
                Happened::Counted { item, action, count: Count { hour: self.hour, times, micros, positive } }
            }
            NEARED | PARTED => {
                let other = self.item(read)?;
                let weight = read.number()?;
                Happened::Neared { item, other, weight, time: self.time(read)?, back: tag == PARTED }
            }
            NAMED => Happened::Named { item },
            other => return Err(format!("expected what happened, 1 to {EVENT}, found {other}")),
        })
    }

    fn text(&self, read: &mut Read<'_>) -> Said<&'a str> {
        let at: usize = read.number()?;
        self.texts.get(at).copied().ok_or_else(|| format!("text {at} of {}", self.texts.len()))
    }

    fn item(&self, read: &mut Read<'_>) -> Said<&'a str> {
        let text = self.text(read)?;
        id::check(text).map_err(|error| error.to_string())?;
        Ok(text)
    }

    fn time(&mut self, read: &mut Read<'_>) -> Said<Millis> {
        let time = i128::from(self.time).saturating_add(read.signed::<i128>()?);
        self.time = i64::try_from(time).map_err(|_| format!("no time: {time}"))?;
        Ok(self.time)
    }
}

/// A sum in millionths, within what a counter holds.
fn bounded(read: &mut Read<'_>) -> Said<i128> {
    let micros: i128 = read.signed()?;
    if micros.unsigned_abs() >> 95 != 0 {
        return Err(format!("expected a sum of at most 95 bits, found {micros}"));
    }
    Ok(micros)
}

fn event(read: &mut Read<'_>) -> Said<Event> {
    let kind = read.byte()?;
    let event = format::decode_event(format::RECORD_VERSION, kind, read.bytes()?)?;
    match event {
        Event::Item(_) | Event::Load(_) | Event::Schema(_) => Ok(event),
        _ => Err(format!("expected an item, a load or a schema, found an event of kind {kind}")),
    }
}
