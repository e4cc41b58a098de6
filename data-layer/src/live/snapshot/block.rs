//! A block of items as bytes: all that is known of each, column by column. How they are read is `unblock.rs`'s. Numbers of items, texts and actions are those of the file. Not for
//! ids and texts themselves.

use std::ops::Range;

use super::super::Lists;
use super::super::codec::parts::write_series;
use super::super::codec::wire::Wire;
use super::super::column::Cell;
use super::super::counters::Counters;
use super::super::items::{ItemTable, Serving};
use super::super::merge::Stamp;
use super::super::row::Row;
use crate::types::{Millis, Ordinal};

/// Items of one block.
pub(super) const BLOCK: usize = 512;

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

/// A block of items; those of the range that the table does not have yet are only named.
pub(super) fn encode(items: &ItemTable, lists: &Lists, columns: &[usize], range: Range<usize>) -> Vec<u8> {
    let mut wire = Wire(Vec::with_capacity(range.len() * 96));
    wire.count(range.start);
    wire.count(range.len());
    let mut last = vec![Stamp::NEVER; range.len()];
    let kind = |at: usize| items.kinds.get(at).copied();
    write_stamps(&mut wire, &range, &mut last, |at| kind(at).map_or(Stamp::NEVER, |(_, stamp)| stamp));
    let kinds = range.clone().map(|at| kind(at).map_or(0, |(code, _)| code + 1));
    kinds.for_each(|code| wire.unsigned(code.into()));
    let said = |at: usize| items.serving.get(at).map_or(Stamp::NEVER, |serving| serving.deleted.stamp);
    write_stamps(&mut wire, &range, &mut last, said);
    range.clone().for_each(|at| write_serving(&mut wire, items.serving.get(at)));
    for at in range.clone() {
        write_row(&mut wire, items.rows.get(at));
        wire.unsigned(items.impressions.get(at).copied().unwrap_or(0).into());
        write_counters(&mut wire, items.counters.get(at));
    }
    for (number, column) in columns.iter().enumerate() {
        let Some(column) = items.columns.get(*column) else { continue };
        let stamp = |at: usize| column.stamps.get(at).copied().unwrap_or(Stamp::NEVER);
        if range.clone().any(|at| stamp(at).said()) {
            wire.count(number + 1);
            write_stamps(&mut wire, &range, &mut last, stamp);
            range.clone().filter_map(|at| column.cell(at)).for_each(|cell| write_cell(&mut wire, cell));
        }
    }
    wire.count(0);
    for source in &items.sources.list {
        let named = |at: usize| source.named.get(at).copied().unwrap_or(Millis::MIN);
        let many = range.clone().filter(|at| named(*at) != Millis::MIN).count();
        wire.count(many);
        for at in range.clone().filter(|at| named(*at) != Millis::MIN) {
            wire.count(at - range.start);
            wire.word(named(at) as u64);
        }
    }
    write_lists(&mut wire, lists, &range);
    wire.0
}

fn write_stamps(wire: &mut Wire, range: &Range<usize>, last: &mut [Stamp], of: impl Fn(usize) -> Stamp) {
    let flags = wire.0.len();
    wire.0.resize(flags + range.len(), 0);
    for (at, last) in range.clone().zip(last) {
        let stamp = of(at);
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
        wire.0[flags + at - range.start] = flag;
    }
}

fn write_serving(wire: &mut Wire, serving: Option<&Serving>) {
    let Some(s) = serving else { return wire.0.push(0) };
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

fn write_row(wire: &mut Wire, row: Option<&Row>) {
    let row = row.map_or([0; 16], |row| row.0.map(f32::to_bits));
    let which = (0..16).filter(|at| row[*at] != 0).map(|at| 1u16 << at).sum::<u16>();
    wire.0.extend_from_slice(&which.to_le_bytes());
    row.iter().filter(|bits| **bits != 0).for_each(|bits| wire.0.extend_from_slice(&bits.to_le_bytes()));
}

fn write_counters(wire: &mut Wire, counters: Option<&Counters>) {
    let Some(counters) = counters.filter(|counters| **counters != Counters::default()) else {
        return wire.count(0);
    };
    let (head, series) = counters.parts();
    wire.count(series.len() + 1);
    wire.signed(head.into());
    for one in series {
        wire.0.push(one.action.0);
        write_series(wire, one);
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

fn write_lists(wire: &mut Wire, lists: &Lists, range: &Range<usize>) {
    for at in range.clone() {
        let Some(item) = lists.trending.items.get(&(at as Ordinal)) else {
            wire.count(0);
            continue;
        };
        let (head, buckets) = item.buckets.parts();
        wire.count(item.kind as usize + 1);
        wire.signed(head.into());
        wire.count(buckets.len());
        for (bucket, sum) in buckets {
            wire.signed((*bucket).into());
            wire.signed(sum.get());
        }
    }
    for at in range.clone() {
        let Some(near) = lists.together.of(at as Ordinal) else {
            wire.count(0);
            continue;
        };
        let list = near.neighbours();
        wire.count(list.len() + 1);
        wire.signed(near.total.head.into());
        near.total.sums.iter().for_each(|sum| wire.unsigned((*sum).into()));
        for neighbour in &list {
            wire.0.extend_from_slice(&neighbour.item.to_le_bytes());
            wire.signed(neighbour.sums.head.into());
            neighbour.sums.sums.iter().for_each(|sum| wire.unsigned((*sum).into()));
        }
    }
}
