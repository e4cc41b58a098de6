//! The small sections: ids and texts in order, what sources said of their loads, what is new.

use super::super::codec::wire::{Read, Said, Wire};
use super::super::sources::{Half, Source};
use super::cut::Moment;
use crate::types::{Id, Millis, Ordinal};

/// Ids or texts of one section.
pub(super) const CHUNK: usize = 1 << 16;

pub(super) fn write_texts<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<u8> {
    let mut wire = Wire::default();
    texts.for_each(|text| wire.text(text));
    wire.0
}

pub(super) fn read_ids(read: &mut Read<'_>) -> Said<Vec<Id>> {
    let mut all = Vec::with_capacity(CHUNK);
    while !read.is_at_end() {
        all.push(Id::new(read.text()?).map_err(|error| error.to_string())?);
    }
    Ok(all)
}

pub(super) fn read_texts(read: &mut Read<'_>) -> Said<Vec<String>> {
    let mut all = Vec::new();
    while !read.is_at_end() {
        all.push(read.text()?.to_owned());
    }
    Ok(all)
}

pub(super) fn write_sources(moment: &Moment<'_>) -> Vec<u8> {
    let mut wire = Wire::default();
    wire.count(moment.sources.len());
    for source in &moment.sources {
        wire.text(&source.name);
        wire.signed(source.cut.into());
        wire.count(source.open.len());
        for (id, half) in &source.open {
            wire.text(id);
            match half {
                Half::Ended => wire.0.push(0),
                Half::Begun(time) => {
                    wire.0.push(1);
                    wire.signed((*time).into());
                }
            }
        }
    }
    wire.0
}

pub(super) fn read_sources(read: &mut Read<'_>) -> Said<Vec<Source>> {
    let mut all = Vec::new();
    for _ in 0..read.count(3)? {
        let (name, cut) = (read.text()?.to_owned(), read.signed()?);
        let mut source = Source { name, named: Vec::new(), cut, open: Default::default() };
        for _ in 0..read.count(2)? {
            let id = read.text()?.to_owned();
            let half = if read.byte()? == 0 { Half::Ended } else { Half::Begun(read.signed()?) };
            source.open.insert(id, half);
        }
        all.push(source);
    }
    Ok(all)
}

pub(super) fn write_fresh(moment: &Moment<'_>) -> Vec<u8> {
    let mut wire = Wire::default();
    wire.count(moment.fresh.len());
    for (item, begins, kind) in &moment.fresh {
        wire.unsigned((*item).into());
        wire.signed((*begins).into());
        wire.unsigned((*kind).into());
    }
    wire.0
}

pub(super) fn read_fresh(read: &mut Read<'_>) -> Said<Vec<(Ordinal, Millis, u32)>> {
    (0..read.count(3)?).map(|_| Ok((read.number()?, read.signed()?, read.number()?))).collect()
}
