//! Blocks of items back from their bytes into a table. How they are written is `block.rs`'s.

use super::super::Live;
use super::super::codec::parts::read_series;
use super::super::codec::wire::{Read, Said};
use super::super::column::{Column, Data};
use super::super::counters::{Counters, Series};
use super::super::items::{DEFAULT_KIND, ItemTable, Serving};
use super::super::merge::{Stamp, Stamped};
use super::super::row::Row;
use super::super::sum::{Buckets, Sum};
use super::super::together::{KEPT, Near, Neighbour, Sums};
use super::Head;
use super::block::{BLOCK, DELETED, FROM, HIDDEN, PRESENT, SAID, STAMP, UNSOURCED, UNTIL};
use crate::config::ActionId;
use crate::types::{Id, Millis, Ordinal, ValueType};

/// What one item comes to besides its columns.
struct One {
    kind: (u32, Stamp),
    serving: Serving,
    row: Row,
    impressions: u64,
    counters: Counters,
}

/// What was read of a block.
pub(super) struct Block {
    start: usize,
    len: usize,
    items: Vec<One>,
    columns: Vec<(usize, Column)>,
    sources: Vec<Vec<(usize, Millis)>>,
    trending: Vec<(Ordinal, u32, Buckets)>,
    near: Vec<(Ordinal, NearParts)>,
}

/// Pairs of an item with its neighbours.
type NearParts = (Sums<u64>, Vec<Neighbour>);

/// What is needed to read blocks.
pub(super) struct Shape<'a> {
    pub head: &'a Head,
    /// Actions of the file as they are numbered here; `None`: no longer configured.
    pub actions: Vec<Option<ActionId>>,
    /// Sources that are told apart.
    pub sources: usize,
}

pub(super) fn decode(read: &mut Read<'_>, shape: &Shape<'_>) -> Said<Block> {
    let (start, len): (usize, usize) = (read.number()?, read.number()?);
    if len > BLOCK || start % BLOCK != 0 || start + len > shape.head.items {
        return Err(format!("{len} items from {start}, of {}", shape.head.items));
    }
    let mut last = vec![Stamp::NEVER; len];
    let kinds = read_stamps(read, &mut last)?;
    let codes = (0..len).map(|_| read.number()).collect::<Said<Vec<u32>>>()?;
    if codes.iter().any(|code| *code as usize > shape.head.words) {
        return Err("a kind is no text of this file".to_owned());
    }
    let deleted = read_stamps(read, &mut last)?;
    let serving = deleted.into_iter().map(|stamp| read_serving(read, stamp)).collect::<Said<Vec<_>>>()?;
    let mut items = Vec::with_capacity(len);
    for ((code, stamp), serving) in codes.into_iter().zip(kinds).zip(serving) {
        // 0 is an item that was only named.
        let kind = (code.wrapping_sub(1), stamp);
        let (row, impressions) = (read_row(read)?, read.number()?);
        items.push(One { kind, serving, row, impressions, counters: read_counters(read, &shape.actions)? });
    }
    let columns = read_columns(read, shape, &mut last)?;
    let mut sources = Vec::with_capacity(shape.sources);
    for _ in 0..shape.sources {
        let named = (0..read.count(9)?).map(|_| {
            let (at, time) = (read.number::<usize>()?, read.word()? as Millis);
            if at < len { Ok((start + at, time)) } else { Err(format!("item {at} of {len}")) }
        });
        sources.push(named.collect::<Said<_>>()?);
    }
    let trending = read_trending(read, start, len, shape)?;
    let near = read_near(read, start, len, shape)?;
    if !read.is_at_end() {
        return Err("the block is longer than what it holds".to_owned());
    }
    Ok(Block { start, len, items, columns, sources, trending, near })
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
    read.take(4).map(|bytes| bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte)))
}

fn read_counters(read: &mut Read<'_>, actions: &[Option<ActionId>]) -> Said<Counters> {
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
            v[at] = (0..read.count(4)?).map(|_| value(read)).collect::<Said<_>>()?;
        }
        Data::Geo(v) => v[at] = (read.float()?, read.float()?),
    }
    Ok(())
}

fn read_trending(
    read: &mut Read<'_>,
    start: usize,
    len: usize,
    shape: &Shape<'_>,
) -> Said<Vec<(Ordinal, u32, Buckets)>> {
    let mut all = Vec::new();
    for at in start..start + len {
        let Some(kind) = read.number::<u32>()?.checked_sub(1) else { continue };
        if kind as usize >= shape.head.trending_kinds.len() {
            return Err(format!("kind {kind} of {}", shape.head.trending_kinds.len()));
        }
        let head = read.signed()?;
        let list = (0..read.count(2)?).map(|_| Ok((read.signed()?, Sum::of(read.signed()?))));
        let buckets = Buckets::of(head, list.collect::<Said<_>>()?);
        all.push((at as Ordinal, kind, buckets.ok_or_else(|| "buckets are not in order".to_owned())?));
    }
    Ok(all)
}

fn read_near(
    read: &mut Read<'_>,
    start: usize,
    len: usize,
    shape: &Shape<'_>,
) -> Said<Vec<(Ordinal, NearParts)>> {
    let mut all = Vec::new();
    for at in start..start + len {
        let Some(count) = read.count(1)?.checked_sub(1) else { continue };
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
        all.push((at as Ordinal, (total, list)));
    }
    Ok(all)
}

fn read_sums<T: TryFrom<u128> + Copy + Default>(read: &mut Read<'_>) -> Said<[T; KEPT]> {
    let mut sums = [T::default(); KEPT];
    for sum in &mut sums {
        *sum = read.number()?;
    }
    Ok(sums)
}

/// What can be put back only when all ids are there.
#[derive(Default)]
pub(super) struct Later {
    trending: Vec<(Ordinal, u32, Buckets)>,
    near: Vec<(Ordinal, NearParts)>,
    /// Items that were read.
    pub items: usize,
}

/// Ordinals here of the items of a file; `None` where they are its numbers.
pub(super) struct Renamed(Option<Vec<Ordinal>>);

impl Renamed {
    /// `ordinals` are of all items of the file, in the order of their numbers.
    pub fn of(ordinals: Vec<Ordinal>) -> Self {
        let same = (0..).zip(&ordinals).all(|(number, ordinal)| number == *ordinal);
        Self((!same).then_some(ordinals))
    }

    /// The ordinal of an item of the file.
    pub fn ordinal(&self, number: Ordinal) -> Ordinal {
        self.0.as_ref().map_or(number, |ordinals| ordinals[number as usize])
    }

    fn at(&self, number: usize) -> usize {
        self.0.as_ref().map_or(number, |ordinals| ordinals[number] as usize)
    }
}

impl Block {
    /// Puts it into a table that has room for all items.
    pub fn put(self, items: &mut ItemTable, columns: &[usize], renamed: &Renamed, later: &mut Later) {
        for (number, one) in (self.start..).zip(self.items) {
            let at = renamed.at(number);
            items.kinds[at] = one.kind;
            items.serving[at] = one.serving;
            items.rows[at] = one.row;
            items.impressions[at] = one.impressions;
            items.counters[at] = one.counters;
        }
        for (number, part) in self.columns {
            put_column(&mut items.columns[columns[number]], part, self.start, renamed);
        }
        for (source, named) in items.sources.list.iter_mut().zip(self.sources) {
            for (number, time) in named {
                let at = renamed.at(number);
                if source.named.len() <= at {
                    source.named.resize(at + 1, Millis::MIN);
                }
                source.named[at] = time;
            }
        }
        let named = |(item, kind, buckets)| (renamed.ordinal(item), kind, buckets);
        later.trending.extend(self.trending.into_iter().map(named));
        let named = |(item, (total, mut list)): (Ordinal, NearParts)| {
            list.iter_mut().for_each(|near| near.item = renamed.ordinal(near.item));
            list.sort_unstable_by_key(|near| near.item);
            (renamed.ordinal(item), (total, list))
        };
        later.near.extend(self.near.into_iter().map(named));
        later.items += self.len;
    }
}

fn put_column(column: &mut Column, part: Column, start: usize, renamed: &Renamed) {
    if let Some(ordinals) = &renamed.0 {
        return put_cells(column, part, &ordinals[start..]);
    }
    let range = start..start + part.stamps.len();
    column.grow(range.end);
    column.stamps[range.clone()].copy_from_slice(&part.stamps);
    match (&mut column.data, part.data) {
        (Data::Bool(to), Data::Bool(from)) => to[range].copy_from_slice(&from),
        (Data::Int(to), Data::Int(from)) => to[range].copy_from_slice(&from),
        (Data::Float(to), Data::Float(from)) => to[range].copy_from_slice(&from),
        (Data::String(to), Data::String(from)) => to[range].copy_from_slice(&from),
        (Data::Strings(to), Data::Strings(from)) => to[range].iter_mut().zip(from).for_each(|(t, f)| *t = f),
        (Data::Vector(to), Data::Vector(from)) => to[range].iter_mut().zip(from).for_each(|(t, f)| *t = f),
        (Data::Geo(to), Data::Geo(from)) => to[range].copy_from_slice(&from),
        // Both were made for the type that the head says.
        _ => {}
    }
}

/// As [`put_column`], each cell for itself.
fn put_cells(column: &mut Column, part: Column, to: &[Ordinal]) {
    fn put<T>(to: &mut [T], from: Vec<T>, places: &[Ordinal], stamps: &[Stamp]) {
        for ((value, place), stamp) in from.into_iter().zip(places).zip(stamps) {
            if stamp.said() {
                to[*place as usize] = value;
            }
        }
    }
    let Column { stamps, data, .. } = part;
    let said = (0..stamps.len()).filter(|at| stamps[*at].said());
    let Some(most) = said.map(|at| to[at] as usize).max() else { return };
    column.grow(most + 1);
    for (stamp, at) in stamps.iter().zip(to).filter(|(stamp, _)| stamp.said()) {
        column.stamps[*at as usize] = *stamp;
    }
    match (&mut column.data, data) {
        (Data::Bool(c), Data::Bool(from)) => put(c, from, to, &stamps),
        (Data::Int(c), Data::Int(from)) => put(c, from, to, &stamps),
        (Data::Float(c), Data::Float(from)) => put(c, from, to, &stamps),
        (Data::String(c), Data::String(from)) => put(c, from, to, &stamps),
        (Data::Strings(c), Data::Strings(from)) => put(c, from, to, &stamps),
        (Data::Vector(c), Data::Vector(from)) => put(c, from, to, &stamps),
        (Data::Geo(c), Data::Geo(from)) => put(c, from, to, &stamps),
        // Both were made for the type that the head says.
        _ => {}
    }
}

impl Later {
    /// Puts back what waited, and what follows from all of it.
    pub fn put(self, live: &mut Live, head: &Head) {
        let (items, lists) = (live.items.get_mut(), live.lists.get_mut());
        lists.trending.put_all(&head.trending_kinds, self.trending, &items.ids);
        for (item, (total, list)) in self.near {
            let id: Id = items.ids.id(item).clone();
            lists.together.put(item, Near::of(id, total, list), &items.ids);
        }
        let kind = items.words.intern(DEFAULT_KIND);
        items.kinds.iter_mut().filter(|(code, _)| *code == u32::MAX).for_each(|(code, _)| *code = kind);
        for at in 0..items.serving.len() {
            let gone = !items.serving[at].unsourced && items.sources.gone(at as Ordinal);
            items.serving[at].gone = gone;
        }
    }
}

/// Makes room for items that are only named, whose kind is told by [`Later::put`].
pub(super) fn prepare(items: &mut ItemTable, count: usize) {
    items.kinds.resize(count, (u32::MAX, Stamp::NEVER));
    items.serving.resize(count, Serving::NAMED);
    items.rows.resize(count, Row::default());
    items.counters.resize(count, Counters::default());
    items.impressions.resize(count, 0);
}

/// Columns of a table by their numbers in the file, made where there are none.
pub(super) fn columns(items: &ItemTable, of: &[(String, ValueType)]) -> Vec<usize> {
    of.iter()
        .map(|(name, _)| items.names.get(name).map_or(usize::MAX, |field| usize::from(field.0)))
        .collect()
}
