//! The parts of a person's state as bytes, each with its reader. How they stand together is `mod.rs`'s.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::wire::{Read, Said, Wire};
use super::{Reader, Writer};
use crate::live::counters::{Bucket, Counters, Series};
use crate::live::levels::{DayCount, Tally};
use crate::live::marks::{Mark, Marks, Passed};
use crate::live::merge::Stamp;
use crate::live::sieve::{Sieve, Words};
use crate::live::sum::Sum;
use crate::live::ties::{Side, Tie, Ties};
use crate::live::user::{Acted, Field};
use crate::types::{Id, Value};

pub(super) fn write_attributes(wire: &mut Wire, attributes: &BTreeMap<String, Field>) {
    wire.count(attributes.len());
    for (name, field) in attributes {
        wire.text(name);
        write_stamp(wire, &field.stamp);
        wire.0.push(u8::from(field.value.is_some()));
        if let Some(value) = &field.value {
            write_value(wire, value);
        }
    }
}

pub(super) fn read_attributes(read: &mut Read<'_>) -> Said<BTreeMap<String, Field>> {
    let mut all = BTreeMap::new();
    for _ in 0..read.count(4)? {
        let name = read.text()?.to_owned();
        let stamp = read_stamp(read)?;
        let value = if read.byte()? == 0 { None } else { Some(read_value(read)?) };
        all.insert(name, Field { value, stamp });
    }
    Ok(all)
}

pub(crate) fn write_stamp(wire: &mut Wire, stamp: &Stamp) {
    wire.signed(stamp.time.into());
    wire.0.push(stamp.priority);
    wire.0.push(u8::from(stamp.present));
}

pub(crate) fn read_stamp(read: &mut Read<'_>) -> Said<Stamp> {
    Ok(Stamp { time: read.signed()?, priority: read.byte()?, present: read.byte()? != 0 })
}

pub(in crate::live) fn write_value(wire: &mut Wire, value: &Value) {
    wire.0.push(value.value_type() as u8);
    match value {
        Value::Bool(v) => wire.0.push(u8::from(*v)),
        Value::Int(v) => wire.signed((*v).into()),
        Value::Float(v) => wire.float(*v),
        Value::String(v) => wire.text(v),
        Value::Strings(v) => {
            wire.count(v.len());
            v.iter().for_each(|text| wire.text(text));
        }
        Value::Vector(v) => {
            wire.count(v.len());
            v.iter().for_each(|x| wire.0.extend_from_slice(&x.to_bits().to_le_bytes()));
        }
        Value::Geo { lat, lon } => {
            wire.float(*lat);
            wire.float(*lon);
        }
    }
}

pub(in crate::live) fn read_value(read: &mut Read<'_>) -> Said<Value> {
    Ok(match read.byte()? {
        0 => Value::Bool(read.byte()? != 0),
        1 => Value::Int(read.signed()?),
        2 => Value::Float(read.float()?),
        3 => Value::String(read.text()?.into()),
        4 => Value::Strings((0..read.count(1)?).map(|_| read.text().map(Arc::from)).collect::<Said<_>>()?),
        5 => {
            let one =
                |bytes: &[u8]| f32::from_bits(bytes.iter().rev().fold(0, |w, b| w << 8 | u32::from(*b)));
            Value::Vector((0..read.count(4)?).map(|_| read.take(4).map(one)).collect::<Said<_>>()?)
        }
        6 => Value::Geo { lat: read.float()?, lon: read.float()? },
        other => return Err(format!("expected a type from 0 to 6, found {other}")),
    })
}

pub(super) fn write_actions(wire: &mut Wire, writer: &mut Writer<'_>, actions: &[Acted]) {
    wire.count(actions.len());
    let mut before = 0;
    for acted in actions {
        wire.count(writer.item(acted.item));
        wire.count(writer.action(acted.action));
        wire.signed(acted.offset.into());
        // A whole number, which most values are, takes a byte or two.
        match acted.value as i64 {
            whole if whole as f64 == acted.value && acted.value.to_bits() != (-0.0f64).to_bits() => {
                wire.0.push(1);
                wire.signed(whole.into());
            }
            _ => {
                wire.0.push(0);
                wire.float(acted.value);
            }
        }
        wire.signed(i128::from(acted.time) - i128::from(before));
        wire.word(acted.key);
        before = acted.time;
    }
}

pub(super) fn read_actions(read: &mut Read<'_>, reader: &mut Reader<'_, '_>) -> Said<Vec<Acted>> {
    let count = read.count(14)?;
    let mut all = Vec::with_capacity(count);
    let mut before = 0i128;
    for _ in 0..count {
        let item_at = read.clone();
        read.unsigned()?;
        let action = reader.action(read)?;
        let offset = read.signed()?;
        let value = if read.byte()? == 0 { read.float()? } else { read.signed::<i64>()? as f64 };
        before = before.saturating_add(read.signed::<i128>()?);
        let time = i64::try_from(before).map_err(|_| format!("no time: {before}"))?;
        let key = read.word()?;
        if let Some(action) = action {
            // An item that only forgotten actions name does not begin to exist.
            let item = reader.item(&mut item_at.clone())?;
            all.push(Acted { item, action, offset, value, time, key });
        }
    }
    let newest_first = all.windows(2).all(|w| (w[0].time, w[0].key) >= (w[1].time, w[1].key));
    if newest_first { Ok(all) } else { Err("actions are not newest first".to_owned()) }
}

pub(super) fn write_marks(wire: &mut Wire, writer: &mut Writer<'_>, marks: &Marks) {
    let mut list: Vec<&Mark> = marks.iter().collect();
    // Newest first, so that times are small; and the same in every process.
    list.sort_unstable_by(|a, b| b.last.cmp(&a.last).then_with(|| writer.ids.order(a.item, b.item)));
    wire.count(list.len());
    let mut before = 0;
    for mark in list {
        wire.count(writer.item(mark.item));
        wire.unsigned(mark.count.into());
        wire.signed(i128::from(mark.last) - i128::from(before));
        before = mark.last;
    }
    wire.0.push(u8::from(marks.passed().is_some()));
    if let Some(passed) = marks.passed() {
        wire.signed(passed.newest.into());
        let (held, generations) = passed.sieve.parts();
        wire.unsigned(held.into());
        for words in generations {
            wire.0.push(u8::from(words.is_some()));
            words.into_iter().flatten().for_each(|word| wire.word(*word));
        }
    }
}

pub(super) fn read_marks(read: &mut Read<'_>, reader: &mut Reader<'_, '_>) -> Said<Marks> {
    let count = read.count(3)?;
    let mut list = Vec::with_capacity(count);
    let mut before = 0i128;
    for _ in 0..count {
        let (item, count) = (reader.item(read)?, read.number()?);
        before = before.saturating_add(read.signed::<i128>()?);
        let last = i64::try_from(before).map_err(|_| format!("no time: {before}"))?;
        list.push(Mark { item, count, last });
    }
    if read.byte()? == 0 {
        return Ok(Marks::of(list, None));
    }
    let (newest, held) = (read.signed()?, read.number()?);
    let mut generations: [Option<Box<Words>>; 2] = [None, None];
    for words in &mut generations {
        if read.byte()? != 0 {
            let mut bits: Box<Words> = Box::new([0; 256]);
            for word in bits.iter_mut() {
                *word = read.word()?;
            }
            *words = Some(bits);
        }
    }
    Ok(Marks::of(list, Some(Passed { newest, sieve: Sieve::of(held, generations) })))
}

pub(super) fn write_counters(wire: &mut Wire, writer: &mut Writer<'_>, counters: &Counters) {
    let (head, series) = counters.parts();
    wire.signed(head.into());
    // By name, so that the numbers of actions do not decide the order.
    let mut series: Vec<&Series> = series.iter().collect();
    series.sort_by_key(|s| writer.names.name(s.action));
    wire.count(series.len());
    for one in series {
        wire.count(writer.action(one.action));
        write_series(wire, one);
    }
}

/// Count, sum and hours of one action.
pub(in crate::live) fn write_series(wire: &mut Wire, one: &Series) {
    wire.unsigned(one.count.into());
    wire.signed(one.micros.get());
    wire.count(one.hours.len());
    let mut before = 0;
    for bucket in &one.hours {
        wire.signed(i128::from(bucket.hour) - i128::from(before));
        wire.unsigned(bucket.count.into());
        wire.signed(bucket.micros.get());
        before = bucket.hour;
    }
}

pub(super) fn read_counters(read: &mut Read<'_>, reader: &Reader<'_, '_>) -> Said<Counters> {
    let head = read.signed()?;
    let mut all = Vec::new();
    for _ in 0..read.count(4)? {
        let action = reader.action(read)?;
        let (count, micros, hours) = read_series(read)?;
        all.extend(action.map(|action| Series { action, count, micros, hours }));
    }
    all.sort_by_key(|s| s.action);
    Counters::of(head, all).ok_or_else(|| "counters are not in order".to_owned())
}

pub(in crate::live) fn read_series(read: &mut Read<'_>) -> Said<(u64, Sum, Vec<Bucket>)> {
    let (count, micros) = (read.number()?, Sum::of(read.signed()?));
    let hours = read.count(3)?;
    let mut list = Vec::with_capacity(hours);
    let mut before = 0i64;
    for _ in 0..hours {
        before = before.saturating_add(read.signed::<i64>()?);
        let hour = i32::try_from(before).map_err(|_| format!("no hour: {before}"))?;
        list.push(Bucket { hour, count: read.number()?, micros: Sum::of(read.signed()?) });
    }
    Ok((count, micros, list))
}

pub(super) fn write_ties(wire: &mut Wire, ties: &Ties) {
    wire.0.push(u8::from(ties.more()));
    wire.count(ties.iter().count());
    for (relation, side, list) in ties.iter() {
        wire.text(relation);
        wire.0.push(u8::from(side == Side::From));
        wire.count(list.len());
        for tie in list {
            wire.text(tie.other.as_str());
            write_stamp(wire, &tie.stamp);
        }
    }
}

pub(super) fn read_ties(read: &mut Read<'_>) -> Said<Ties> {
    let mut ties = Ties::default();
    let more = read.byte()? != 0;
    for _ in 0..read.count(3)? {
        let relation = read.text()?;
        let side = if read.byte()? == 0 { Side::To } else { Side::From };
        for _ in 0..read.count(5)? {
            let other = Id::new(read.text()?).map_err(|e| e.to_string())?;
            ties.say(relation, side, Tie { other, stamp: read_stamp(read)? }, usize::MAX);
        }
    }
    ties.set_more(more);
    Ok(ties)
}

pub(super) fn write_levels(wire: &mut Wire, writer: &mut Writer<'_>, levels: &BTreeMap<Arc<str>, Tally>) {
    wire.count(levels.len());
    for (rule, tally) in levels {
        wire.text(rule);
        let (before, days) = tally.parts();
        wire.signed(before.into());
        let mut days: Vec<&DayCount> = days.iter().collect();
        days.sort_by_key(|d| (d.day, writer.names.name(d.action)));
        wire.count(days.len());
        for one in days {
            wire.signed(one.day.into());
            wire.count(writer.action(one.action));
            wire.unsigned(one.count.into());
        }
    }
}

pub(super) fn read_levels(read: &mut Read<'_>, reader: &Reader<'_, '_>) -> Said<BTreeMap<Arc<str>, Tally>> {
    let mut all = BTreeMap::new();
    for _ in 0..read.count(3)? {
        let rule = read.text()?;
        let before = read.signed()?;
        let mut days = Vec::new();
        for _ in 0..read.count(3)? {
            let (day, action, count) = (read.signed()?, reader.action(read)?, read.number()?);
            days.extend(action.map(|action| DayCount { day, action, count }));
        }
        let tally = Tally::of(before, days).ok_or_else(|| format!("days of {rule:?} are not in order"))?;
        all.insert(rule.into(), tally);
    }
    Ok(all)
}
