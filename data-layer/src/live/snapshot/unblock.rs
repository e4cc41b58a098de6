//! Pieces of items back from their bytes. How they are written is `block.rs`'s, how they get into a table `put.rs`'s.

use super::super::codec::parts::read_series;
use super::super::codec::wire::{Read, Said};
use super::super::column::{Column, Data};
use super::super::counters::{Counters, Series};
use super::super::items::Serving;
use super::super::merge::{Stamp, Stamped};
use super::super::row::Row;
use super::super::sum::{Buckets, Sum};
use super::super::together::{KEPT, Neighbour, Sums};
use super::Head;
use super::block::{DELETED, FROM, HIDDEN, PRESENT, SAID, STAMP, UNSOURCED, UNTIL};
use super::frame::Kind;
use super::piece::{BLOCK, Count, NearParts, Piece, Told};
use crate::config::ActionId;
use crate::types::{Millis, Ordinal};

/// What is needed to read pieces.
pub(super) struct Shape<'a> {
    /// Of the form.
    pub version: u32,
    pub head: &'a Head,
    /// Actions of the file as they are numbered here; `None`: no longer configured.
    pub actions: Vec<Option<ActionId>>,
    /// Sources that are told apart.
    pub sources: usize,
}

/// The pieces of a section.
pub(super) fn decode(read: &mut Read<'_>, kind: Kind, shape: &Shape<'_>) -> Said<Vec<Piece>> {
    let pieces = match kind {
        Kind::Items if shape.version == 1 => version_1(read, shape)?,
        Kind::Items => {
            let numbers = read_numbers(read, shape)?;
            let mut last = vec![Stamp::NEVER; numbers.len()];
            let heads = read_heads(read, shape, &mut last)?;
            vec![Piece::Told(read_told(read, shape, numbers, heads, &mut last)?)]
        }
        Kind::Counts => {
            let numbers = read_numbers(read, shape)?.into_iter();
            vec![Piece::Counted(
                numbers.map(|item| Ok((item, read_count(read, shape)?))).collect::<Said<_>>()?,
            )]
        }
        _ => {
            let numbers = read_numbers(read, shape)?.into_iter();
            let one = |item| {
                let count = read.count(11)?;
                Ok((item, read_near(read, count, shape)?))
            };
            vec![Piece::Paired(numbers.map(one).collect::<Said<_>>()?)]
        }
    };
    if read.is_at_end() { Ok(pieces) } else { Err("it is longer than what it holds".to_owned()) }
}

/// Kinds and what decides whether an item can be served.
type Heads = (Vec<(u32, Stamp)>, Vec<Serving>);

/// A block in which all that is known of an item is in one section.
fn version_1(read: &mut Read<'_>, shape: &Shape<'_>) -> Said<Vec<Piece>> {
    let (start, len): (usize, usize) = (read.number()?, read.number()?);
    if len > BLOCK || start % BLOCK != 0 || start + len > shape.head.items {
        return Err(format!("{len} items from {start}, of {}", shape.head.items));
    }
    let numbers: Vec<Ordinal> = (start..start + len).map(|at| at as Ordinal).collect();
    let mut last = vec![Stamp::NEVER; len];
    let heads = read_heads(read, shape, &mut last)?;
    let mut counted = Vec::with_capacity(len);
    for item in &numbers {
        let (row, impressions, counters) = (read_row(read)?, read.number()?, read_counters(read, shape)?);
        counted.push((*item, Count { row, impressions, counters, trending: None }));
    }
    let told = read_told(read, shape, numbers, heads, &mut last)?;
    for (_, count) in &mut counted {
        count.trending = read_trending(read, shape)?;
    }
    let mut paired = Vec::new();
    for item in &told.numbers {
        if let Some(count) = read.count(1)?.checked_sub(1) {
            paired.push((*item, read_near(read, count, shape)?));
        }
    }
    Ok(vec![Piece::Told(told), Piece::Counted(counted), Piece::Paired(paired)])
}

/// Numbers of items.
fn read_numbers(read: &mut Read<'_>, shape: &Shape<'_>) -> Said<Vec<Ordinal>> {
    let count = read.count(1)?;
    let mut all = Vec::with_capacity(count);
    let mut next = 0i64;
    for _ in 0..count {
        let number = read.signed::<i64>()?.saturating_add(next);
        let known = usize::try_from(number).is_ok_and(|number| number < shape.head.items);
        if !known {
            return Err(format!("item {number} of {}", shape.head.items));
        }
        all.push(number as Ordinal);
        next = number + 1;
    }
    Ok(all)
}

fn read_heads(read: &mut Read<'_>, shape: &Shape<'_>, last: &mut [Stamp]) -> Said<Heads> {
    let stamps = read_stamps(read, last)?;
    let mut kinds = Vec::with_capacity(last.len());
    for stamp in stamps {
        let code: u32 = read.number()?;
        if code as usize > shape.head.words {
            return Err("a kind is no text of this file".to_owned());
        }
        // 0 is an item that was only named.
        kinds.push((code.wrapping_sub(1), stamp));
    }
    let deleted = read_stamps(read, last)?;
    let serving = deleted.into_iter().map(|stamp| read_serving(read, stamp)).collect::<Said<_>>()?;
    Ok((kinds, serving))
}

/// What follows the heads of what was said.
fn read_told(
    read: &mut Read<'_>,
    shape: &Shape<'_>,
    numbers: Vec<Ordinal>,
    (kinds, serving): Heads,
    last: &mut [Stamp],
) -> Said<Told> {
    let columns = read_columns(read, shape, last)?;
    let mut sources = Vec::with_capacity(shape.sources);
    for _ in 0..shape.sources {
        let mut named = vec![Millis::MIN; numbers.len()];
        for _ in 0..read.count(9)? {
            let (at, time) = (read.number::<usize>()?, read.word()? as Millis);
            let of = numbers.len();
            *named.get_mut(at).ok_or_else(|| format!("item {at} of {of}"))? = time;
        }
        sources.push(named);
    }
    Ok(Told { numbers, kinds, serving, columns, sources })
}

fn read_count(read: &mut Read<'_>, shape: &Shape<'_>) -> Said<Count> {
    Ok(Count {
        row: read_row(read)?,
        impressions: read.number()?,
        counters: read_counters(read, shape)?,
        trending: read_trending(read, shape)?,
    })
}

fn read_trending(read: &mut Read<'_>, shape: &Shape<'_>) -> Said<Option<(u32, Buckets)>> {
    let Some(kind) = read.number::<u32>()?.checked_sub(1) else { return Ok(None) };
    if kind as usize >= shape.head.trending_kinds.len() {
        return Err(format!("kind {kind} of {}", shape.head.trending_kinds.len()));
    }
    Ok(Some((kind, read_buckets(read)?)))
}

fn read_near(read: &mut Read<'_>, count: usize, shape: &Shape<'_>) -> Said<NearParts> {
    let total = Sums { head: read.signed()?, sums: read_sums(read)? };
    let mut list = Vec::with_capacity(count);
    for _ in 0..count {
        let item = read_u32(read)?;
        let sums = Sums { head: read.signed()?, sums: read_sums(read)? };
        list.push(Neighbour { item, sums });
    }
    let known = list.iter().all(|n: &Neighbour| (n.item as usize) < shape.head.items);
    if !known || list.windows(2).any(|w| w[0].item >= w[1].item) {
        return Err("neighbours are not in order".to_owned());
    }
    Ok((total, list))
}

fn read_sums<T: TryFrom<u128> + Copy + Default>(read: &mut Read<'_>) -> Said<[T; KEPT]> {
    let mut sums = [T::default(); KEPT];
    for sum in &mut sums {
        *sum = read.number()?;
    }
    Ok(sums)
}

fn read_stamps(read: &mut Read<'_>, last: &mut [Stamp]) -> Said<Vec<Stamp>> {
    let flags = read.take(last.len())?;
    let one = |(flag, last): (&u8, &mut Stamp)| {
        if flag & SAID == 0 {
            return Ok(Stamp::NEVER);
        }
        let present = flag & PRESENT != 0;
        if flag & STAMP != 0 {
            *last = Stamp { time: read.word()? as Millis, priority: read.byte()?, present };
        }
        Ok(Stamp { present, ..*last })
    };
    flags.iter().zip(last).map(one).collect()
}

fn read_serving(read: &mut Read<'_>, stamp: Stamp) -> Said<Serving> {
    let flags = read.byte()?;
    let time = |read: &mut Read<'_>, flag: u8, otherwise: Millis| match flags & flag {
        0 => Ok(otherwise),
        _ => read.word().map(|time| time as Millis),
    };
    Ok(Serving {
        deleted: Stamped { value: flags & DELETED != 0, stamp },
        hidden: flags & HIDDEN != 0,
        unsourced: flags & UNSOURCED != 0,
        // Follows from what the sources named.
        gone: false,
        from: time(read, FROM, Millis::MIN)?,
        until: time(read, UNTIL, Millis::MAX)?,
    })
}

fn read_row(read: &mut Read<'_>) -> Said<Row> {
    let which = read.take(2)?;
    let which = u16::from_le_bytes([which[0], which[1]]);
    let mut row = Row::default();
    for at in (0..16).filter(|at| which & 1 << at != 0) {
        row.0[at] = f32::from_bits(read_u32(read)?);
    }
    Ok(row)
}

fn read_u32(read: &mut Read<'_>) -> Said<u32> {
    read.array().map(u32::from_le_bytes)
}

fn read_counters(read: &mut Read<'_>, shape: &Shape<'_>) -> Said<Counters> {
    let actions = &shape.actions;
    let Some(count) = read.count(1)?.checked_sub(1) else { return Ok(Counters::default()) };
    let head = read.signed()?;
    let mut all = Vec::with_capacity(count);
    for _ in 0..count {
        let action = usize::from(read.byte()?);
        let (count, micros, hours) = read_series(read)?;
        let action = *actions.get(action).ok_or_else(|| format!("action {action} of {}", actions.len()))?;
        all.extend(action.map(|action| Series { action, count, micros, hours }));
    }
    all.sort_by_key(|series| series.action);
    Counters::of(head, all).ok_or_else(|| "counters are not in order".to_owned())
}

fn read_columns(read: &mut Read<'_>, shape: &Shape<'_>, last: &mut [Stamp]) -> Said<Vec<(usize, Column)>> {
    let mut columns = Vec::new();
    while let Some(number) = read.number::<usize>()?.checked_sub(1) {
        let known = shape.head.columns.get(number);
        let (_, of) = known.ok_or_else(|| format!("column {number} of {}", shape.head.columns.len()))?;
        let mut column = Column::new(*of);
        let stamps = read_stamps(read, last)?;
        column.grow(stamps.len());
        for (at, _) in stamps.iter().enumerate().filter(|(_, stamp)| stamp.present) {
            read_cell(read, &mut column.data, at, shape.head.words)?;
        }
        column.stamps = stamps;
        columns.push((number, column));
    }
    Ok(columns)
}

fn read_cell(read: &mut Read<'_>, data: &mut Data, at: usize, words: usize) -> Said<()> {
    let code = |read: &mut Read<'_>| match read_u32(read)? {
        code if (code as usize) < words => Ok(code),
        code => Err(format!("text {code} of {words}")),
    };
    match data {
        Data::Bool(v) => v[at] = read.byte()? != 0,
        Data::Int(v) => v[at] = read.word()? as i64,
        Data::Float(v) => v[at] = read.float()?,
        Data::String(v) => v[at] = code(read)?,
        Data::Strings(v) => v[at] = (0..read.count(4)?).map(|_| code(read)).collect::<Said<_>>()?,
        Data::Vector(v) => {
            let value = |read: &mut Read<'_>| read_u32(read).map(f32::from_bits);
            let count = read.count(4)?;
            let mut list = Vec::with_capacity(count);
            for _ in 0..count {
                list.push(value(read)?);
            }
            v[at] = list.into();
        }
        Data::Geo(v) => v[at] = (read.float()?, read.float()?),
    }
    Ok(())
}

fn read_buckets(read: &mut Read<'_>) -> Said<Buckets> {
    let head = read.signed()?;
    let list = (0..read.count(2)?).map(|_| Ok((read.signed()?, Sum::of(read.signed()?))));
    let buckets = Buckets::of(head, list.collect::<Said<_>>()?);
    buckets.ok_or_else(|| "buckets are not in order".to_owned())
}
