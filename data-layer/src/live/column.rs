//! One attribute of all items: typed values and, beside each, when and by whom it was said. Merge is per value.

use std::ops::Range;

use super::codes::Codes;
use super::dictionary::Dictionary;
use super::merge::Stamp;
use super::snapshot::copy;
use crate::types::{Value, ValueType};

/// One value as it lies in a column; strings are codes of the dictionary.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell<'a> {
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A finite number.
    Float(f64),
    /// Code of a text.
    String(u32),
    /// Codes of a list of texts.
    Strings(&'a [u32]),
    /// A list of finite numbers.
    Vector(&'a [f32]),
    /// A place in degrees.
    Geo {
        /// Latitude.
        lat: f64,
        /// Longitude.
        lon: f64,
    },
}

#[derive(Debug)]
pub(super) enum Data {
    Bool(Vec<bool>),
    Int(Vec<i64>),
    Float(Vec<f64>),
    String(Vec<u32>),
    Strings(Vec<Codes>),
    Vector(Vec<Box<[f32]>>),
    Geo(Vec<(f64, f64)>),
}

/// Values of one attribute, by ordinal, as long as the largest ordinal that has one.
#[derive(Debug)]
pub struct Column {
    pub(super) data: Data,
    pub(super) stamps: Vec<Stamp>,
    /// Whether its values act by themselves, as those of reserved attributes do.
    pub(super) acts: bool,
}

impl Column {
    /// An empty column.
    #[must_use]
    pub fn new(of: ValueType) -> Self {
        let data = match of {
            ValueType::Bool => Data::Bool(Vec::new()),
            ValueType::Int => Data::Int(Vec::new()),
            ValueType::Float => Data::Float(Vec::new()),
            ValueType::String => Data::String(Vec::new()),
            ValueType::Strings => Data::Strings(Vec::new()),
            ValueType::Vector => Data::Vector(Vec::new()),
            ValueType::Geo => Data::Geo(Vec::new()),
        };
        Self { data, stamps: Vec::new(), acts: false }
    }

    /// Type of the values.
    #[must_use]
    pub fn value_type(&self) -> ValueType {
        match self.data {
            Data::Bool(_) => ValueType::Bool,
            Data::Int(_) => ValueType::Int,
            Data::Float(_) => ValueType::Float,
            Data::String(_) => ValueType::String,
            Data::Strings(_) => ValueType::Strings,
            Data::Vector(_) => ValueType::Vector,
            Data::Geo(_) => ValueType::Geo,
        }
    }

    /// The value of an item, if it has one.
    #[must_use]
    pub fn cell(&self, at: usize) -> Option<Cell<'_>> {
        if !self.stamps.get(at)?.present {
            return None;
        }
        Some(match &self.data {
            Data::Bool(v) => Cell::Bool(v[at]),
            Data::Int(v) => Cell::Int(v[at]),
            Data::Float(v) => Cell::Float(v[at]),
            Data::String(v) => Cell::String(v[at]),
            Data::Strings(v) => Cell::Strings(v[at].as_slice()),
            Data::Vector(v) => Cell::Vector(&v[at]),
            Data::Geo(v) => Cell::Geo { lat: v[at].0, lon: v[at].1 },
        })
    }

    /// When the value of an item was said, if it has one.
    #[must_use]
    pub fn stamp(&self, at: usize) -> Option<Stamp> {
        self.stamps.get(at).copied().filter(|s| s.present)
    }

    /// The value of an item in its own form.
    #[must_use]
    pub fn value(&self, at: usize, dictionary: &Dictionary) -> Option<Value> {
        self.cell(at).map(|cell| match cell {
            Cell::Bool(v) => Value::Bool(v),
            Cell::Int(v) => Value::Int(v),
            Cell::Float(v) => Value::Float(v),
            Cell::String(code) => Value::String(dictionary.shared(code)),
            Cell::Strings(codes) => Value::Strings(codes.iter().map(|c| dictionary.shared(*c)).collect()),
            Cell::Vector(v) => Value::Vector(v.to_vec()),
            Cell::Geo { lat, lon } => Value::Geo { lat, lon },
        })
    }

    /// Merges a value (`None` clears) said at `time` by a source of this priority; says whether it won. A value of another
    /// type, which a checked event can't hold, changes nothing.
    pub fn merge(&mut self, at: usize, value: Option<&Value>, stamp: Stamp, words: &mut Dictionary) -> bool {
        let wanted = self.value_type();
        let widened;
        let value = match value {
            Some(value) if value.value_type() != wanted => match value.clone().widen(wanted) {
                Some(value) => {
                    widened = value;
                    Some(&widened)
                }
                None => return false,
            },
            value => value,
        };
        if let Some(old) = self.stamps.get(at).filter(|s| s.said()) {
            let wins = old
                .order(&stamp)
                .then_with(|| super::merge::value_order(self.value(at, words).as_ref(), value));
            if wins.is_ge() {
                return false;
            }
        }
        self.grow(at + 1);
        self.stamps[at] = Stamp { present: value.is_some(), ..stamp };
        if let Some(value) = value {
            self.put(at, value, words);
        }
        true
    }

    /// The same column with another type: values that widen stay, others are dropped, with their stamps.
    #[must_use]
    pub fn retyped(&self, to: ValueType, words: &mut Dictionary) -> Self {
        let mut new = Self { acts: self.acts, ..Self::new(to) };
        for (at, stamp) in self.stamps.iter().enumerate().filter(|(_, s)| s.said()) {
            let old = self.value(at, words);
            let kept = old.clone().and_then(|v| v.widen(to));
            if kept.is_some() || old.is_none() {
                new.merge(at, kept.as_ref(), *stamp, words);
            }
        }
        new
    }

    pub(super) fn grow(&mut self, len: usize) {
        if self.stamps.len() >= len {
            return;
        }
        self.stamps.resize(len, Stamp::NEVER);
        match &mut self.data {
            Data::Bool(v) => v.resize(len, false),
            Data::Int(v) => v.resize(len, 0),
            Data::Float(v) => v.resize(len, 0.0),
            Data::String(v) => v.resize(len, 0),
            Data::Strings(v) => v.resize_with(len, Codes::default),
            Data::Vector(v) => v.resize_with(len, Box::default),
            Data::Geo(v) => v.resize(len, (0.0, 0.0)),
        }
    }

    /// Adds what another column of this type has of a range, nothing where it is shorter; how many bytes of values lie elsewhere.
    pub(super) fn copy(&mut self, from: Option<&Self>, range: &Range<usize>) -> usize {
        let before = self.stamps.len();
        let len = before + range.len();
        let mut heap = 0;
        if let Some(from) = from {
            match (&mut self.data, &from.data) {
                (Data::Bool(to), Data::Bool(from)) => copy(to, from, range, false),
                (Data::Int(to), Data::Int(from)) => copy(to, from, range, 0),
                (Data::Float(to), Data::Float(from)) => copy(to, from, range, 0.0),
                (Data::String(to), Data::String(from)) => copy(to, from, range, 0),
                (Data::Strings(to), Data::Strings(from)) => {
                    copy(to, from, range, Codes::default());
                    heap = to[before..].iter().map(Codes::bytes).sum();
                }
                (Data::Vector(to), Data::Vector(from)) => {
                    copy(to, from, range, Box::default());
                    heap = to[before..].iter().map(|list| 16 + size_of_val(&**list)).sum();
                }
                (Data::Geo(to), Data::Geo(from)) => copy(to, from, range, (0.0, 0.0)),
                // One of another type has nothing for this one.
                _ => {
                    self.grow(len);
                    return 0;
                }
            }
            copy(&mut self.stamps, &from.stamps, range, Stamp::NEVER);
        }
        self.grow(len);
        heap
    }

    fn put(&mut self, at: usize, value: &Value, words: &mut Dictionary) {
        match (&mut self.data, value) {
            (Data::Bool(v), Value::Bool(x)) => v[at] = *x,
            (Data::Int(v), Value::Int(x)) => v[at] = *x,
            (Data::Float(v), Value::Float(x)) => v[at] = *x,
            (Data::String(v), Value::String(x)) => v[at] = words.intern(x),
            (Data::Strings(v), Value::Strings(x)) => v[at] = x.iter().map(|t| words.intern(t)).collect(),
            (Data::Vector(v), Value::Vector(x)) => v[at] = x.as_slice().into(),
            (Data::Geo(v), Value::Geo { lat, lon }) => v[at] = (*lat, *lon),
            // `merge` widened the value to this column's type.
            _ => {}
        }
    }
}
