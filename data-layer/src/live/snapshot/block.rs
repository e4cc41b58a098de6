//! Pieces of items as bytes. How they are read is `unblock.rs`'s. Numbers of items, texts and actions are those of the file. Not for ids and
//! texts themselves.

use super::super::codec::parts::write_series;
use super::super::codec::wire::Wire;
use super::super::column::Cell;
use super::super::counters::Counters;
use super::super::items::Serving;
use super::super::merge::Stamp;
use super::super::row::Row;
use super::super::sum::Buckets;
use super::frame::Kind;
use super::piece::{Count, NearParts, Piece, Told};
use crate::types::{Millis, Ordinal};

/// Something was said.
pub(super) const SAID: u8 = 1;
/// There is a value.
pub(super) const PRESENT: u8 = 2;
/// With a stamp of its own; otherwise as what was said of the same item in a column before.
pub(super) const STAMP: u8 = 4;

pub(super) const DELETED: u8 = 1;
pub(super) const HIDDEN: u8 = 2;
pub(super) const UNSOURCED: u8 = 4;
pub(super) const FROM: u8 = 8;
pub(super) const UNTIL: u8 = 16;

/// A piece as a section.
pub(super) fn encode(piece: Piece) -> (Kind, Vec<u8>) {
    let mut wire = Wire::default();
    match piece {
        Piece::Told(told) => {
            wire.0.reserve(told.numbers.len() * 96);
            write_told(&mut wire, &told);
            (Kind::Items, wire.0)
        }
        Piece::Counted(counted) => {
            write_numbers(&mut wire, counted.iter().map(|(item, _)| *item));
            counted.iter().for_each(|(_, count)| write_count(&mut wire, count));
            (Kind::Counts, wire.0)
        }
        Piece::Paired(paired) => {
            write_numbers(&mut wire, paired.iter().map(|(item, _)| *item));
            paired.into_iter().for_each(|(_, near)| write_near(&mut wire, near));
            (Kind::Near, wire.0)
        }
    }
}

/// How many, and each by how far it is behind the one after the one before.
fn write_numbers(wire: &mut Wire, numbers: impl ExactSizeIterator<Item = Ordinal>) {
    wire.count(numbers.len());
    let mut next = 0;
    for number in numbers {
        wire.signed(i128::from(number) - next);
        next = i128::from(number) + 1;
    }
}

fn write_told(wire: &mut Wire, told: &Told) {
    write_numbers(wire, told.numbers.iter().copied());
    let mut last = vec![Stamp::NEVER; told.numbers.len()];
    write_stamps(wire, &mut last, told.kinds.iter().map(|(_, stamp)| *stamp));
    // 0 is an item that was only named.
    told.kinds.iter().for_each(|(code, _)| wire.unsigned(code.wrapping_add(1).into()));
    write_stamps(wire, &mut last, told.serving.iter().map(|serving| serving.deleted.stamp));
    told.serving.iter().for_each(|serving| write_serving(wire, serving));
    for (number, column) in &told.columns {
        if column.stamps.iter().any(Stamp::said) {
            wire.count(number + 1);
            write_stamps(wire, &mut last, column.stamps.iter().copied());
            (0..last.len()).filter_map(|at| column.cell(at)).for_each(|cell| write_cell(wire, cell));
        }
    }
    wire.count(0);
    for source in &told.sources {
        let named = || source.iter().enumerate().filter(|(_, time)| **time != Millis::MIN);
        wire.count(named().count());
        for (at, time) in named() {
            wire.count(at);
            wire.word(*time as u64);
        }
    }
}

fn write_stamps(wire: &mut Wire, last: &mut [Stamp], stamps: impl Iterator<Item = Stamp>) {
    let flags = wire.0.len();
    wire.0.resize(flags + last.len(), 0);
    for (at, (stamp, last)) in stamps.zip(last).enumerate() {
        if !stamp.said() {
            continue;
        }
        let mut flag = SAID | if stamp.present { PRESENT } else { 0 };
        if (stamp.time, stamp.priority) != (last.time, last.priority) {
            flag |= STAMP;
            wire.word(stamp.time as u64);
            wire.0.push(stamp.priority);
            *last = stamp;
        }
        wire.0[flags + at] = flag;
    }
}

fn write_serving(wire: &mut Wire, s: &Serving) {
    let flags = [
        (s.deleted.value, DELETED),
        (s.hidden, HIDDEN),
        (s.unsourced, UNSOURCED),
        (s.from != Millis::MIN, FROM),
        (s.until != Millis::MAX, UNTIL),
    ];
    wire.0.push(flags.iter().filter(|(is, _)| *is).map(|(_, flag)| flag).sum());
    [s.from].iter().filter(|from| **from != Millis::MIN).for_each(|from| wire.word(*from as u64));
    [s.until].iter().filter(|until| **until != Millis::MAX).for_each(|until| wire.word(*until as u64));
}

fn write_count(wire: &mut Wire, count: &Count) {
    write_row(wire, &count.row);
    wire.unsigned(count.impressions.into());
    write_counters(wire, &count.counters);
    match &count.trending {
        None => wire.count(0),
        Some((kind, buckets)) => {
            wire.count(*kind as usize + 1);
            write_buckets(wire, buckets);
        }
    }
}

fn write_row(wire: &mut Wire, row: &Row) {
    let row = row.0.map(f32::to_bits);
    let which = (0..16).filter(|at| row[*at] != 0).map(|at| 1u16 << at).sum::<u16>();
    wire.0.extend_from_slice(&which.to_le_bytes());
    row.iter().filter(|bits| **bits != 0).for_each(|bits| wire.0.extend_from_slice(&bits.to_le_bytes()));
}

fn write_counters(wire: &mut Wire, counters: &Counters) {
    if *counters == Counters::NONE {
        return wire.count(0);
    }
    let (head, series) = counters.parts();
    wire.count(series.len() + 1);
    wire.signed(head.into());
    for one in series {
        wire.0.push(one.action.0);
        write_series(wire, one);
    }
}

fn write_buckets(wire: &mut Wire, buckets: &Buckets) {
    let (head, buckets) = buckets.parts();
    wire.signed(head.into());
    wire.count(buckets.len());
    for (bucket, sum) in buckets {
        wire.signed((*bucket).into());
        wire.signed(sum.get());
    }
}

fn write_cell(wire: &mut Wire, cell: Cell<'_>) {
    match cell {
        Cell::Bool(v) => wire.0.push(u8::from(v)),
        Cell::Int(v) => wire.word(v as u64),
        Cell::Float(v) => wire.float(v),
        Cell::String(code) => wire.0.extend_from_slice(&code.to_le_bytes()),
        Cell::Strings(codes) => {
            wire.count(codes.len());
            codes.iter().for_each(|code| wire.0.extend_from_slice(&code.to_le_bytes()));
        }
        Cell::Vector(values) => {
            wire.count(values.len());
            values.iter().for_each(|value| wire.0.extend_from_slice(&value.to_bits().to_le_bytes()));
        }
        Cell::Geo { lat, lon } => {
            wire.float(lat);
            wire.float(lon);
        }
    }
}

fn write_near(wire: &mut Wire, (total, mut list): NearParts) {
    list.sort_unstable_by_key(|neighbour| neighbour.item);
    wire.count(list.len());
    wire.signed(total.head.into());
    total.sums.iter().for_each(|sum| wire.unsigned((*sum).into()));
    for neighbour in &list {
        wire.0.extend_from_slice(&neighbour.item.to_le_bytes());
        wire.signed(neighbour.sums.head.into());
        neighbour.sums.sums.iter().for_each(|sum| wire.unsigned((*sum).into()));
    }
}
