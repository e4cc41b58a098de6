//! Pieces of items into a table that has room for all of them; and what can be put back only when everything else is. How they are read is
//! `unblock.rs`'s.

use super::super::column::{Column, Data};
use super::super::counters::Counters;
use super::super::items::{DEFAULT_KIND, ItemTable, Serving};
use super::super::row::Row;
use super::super::sum::Buckets;
use super::super::together::Near;
use super::super::{Lists, Live};
use super::Head;
use super::piece::{Count, NAMED, Piece, Told};
use crate::types::{Id, Millis, Ordinal, ValueType};

/// What can be put back only when all of it is there.
#[derive(Default)]
pub(super) struct Later {
    trending: Vec<(Ordinal, u32, Buckets)>,
    /// Items of which it was read what was said.
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
}

/// Where the items of a piece belong.
enum Places {
    /// One behind the other, from here on.
    Run(usize),
    Each(Vec<Ordinal>),
}

impl Places {
    fn of(mut numbers: Vec<Ordinal>, renamed: &Renamed) -> Self {
        if renamed.0.is_some() {
            numbers.iter_mut().for_each(|number| *number = renamed.ordinal(*number));
        }
        let start = numbers.first().copied().unwrap_or_default();
        match (start..).zip(&numbers).all(|(at, number)| at == *number) {
            true => Self::Run(start as usize),
            false => Self::Each(numbers),
        }
    }

    fn put<T>(&self, to: &mut [T], from: Vec<T>) {
        match self {
            Self::Run(start) => to[*start..].iter_mut().zip(from).for_each(|(to, from)| *to = from),
            Self::Each(all) => all.iter().zip(from).for_each(|(at, from)| to[*at as usize] = from),
        }
    }

    /// How long a list must be that holds those of so many items.
    fn len(&self, of: usize) -> usize {
        match self {
            Self::Run(start) => start + of,
            Self::Each(all) => all.iter().max().map_or(0, |place| *place as usize + 1),
        }
    }
}

/// Where pieces go.
pub(super) struct Place<'a> {
    /// With room for all items.
    pub items: &'a mut ItemTable,
    pub lists: &'a mut Lists,
    /// Columns of the table by their numbers in the file.
    pub columns: &'a [usize],
    pub renamed: &'a Renamed,
}

/// Puts a piece where it belongs.
pub(super) fn put(piece: Piece, to: &mut Place<'_>, later: &mut Later) {
    let Place { items, lists, columns, renamed } = to;
    match piece {
        Piece::Told(told) => {
            later.items += told.numbers.len();
            put_told(told, items, columns, renamed);
        }
        Piece::Counted(counted) => {
            for (number, Count { row, impressions, counters, trending }) in counted {
                let item = renamed.ordinal(number);
                let at = item as usize;
                (items.rows[at], items.impressions[at], items.counters[at]) = (row, impressions, counters);
                later.trending.extend(trending.map(|(kind, buckets)| (item, kind, buckets)));
            }
        }
        Piece::Paired(paired) => {
            for (number, (total, mut list)) in paired {
                let item = renamed.ordinal(number);
                list.iter_mut().for_each(|near| near.item = renamed.ordinal(near.item));
                let id: Id = items.ids.id(item).clone();
                lists.together.put(item, Near::of(id, total, list), &items.ids);
            }
        }
    }
}

fn put_told(told: Told, items: &mut ItemTable, columns: &[usize], renamed: &Renamed) {
    let Told { numbers, kinds, serving, columns: parts, sources } = told;
    let places = Places::of(numbers, renamed);
    places.put(&mut items.kinds, kinds);
    places.put(&mut items.serving, serving);
    for (number, part) in parts {
        put_column(&mut items.columns[columns[number]], part, &places);
    }
    for (source, named) in items.sources.list.iter_mut().zip(sources) {
        if named.iter().all(|time| *time == Millis::MIN) {
            continue;
        }
        let len = places.len(named.len());
        if source.named.len() < len {
            source.named.resize(len, Millis::MIN);
        }
        places.put(&mut source.named, named);
    }
}

fn put_column(column: &mut Column, part: Column, places: &Places) {
    let Column { stamps, data, .. } = part;
    column.grow(places.len(stamps.len()));
    match (&mut column.data, data) {
        (Data::Bool(to), Data::Bool(from)) => places.put(to, from),
        (Data::Int(to), Data::Int(from)) => places.put(to, from),
        (Data::Float(to), Data::Float(from)) => places.put(to, from),
        (Data::String(to), Data::String(from)) => places.put(to, from),
        (Data::Strings(to), Data::Strings(from)) => places.put(to, from),
        (Data::Vector(to), Data::Vector(from)) => places.put(to, from),
        (Data::Geo(to), Data::Geo(from)) => places.put(to, from),
        // Both were made for the type that the head says.
        _ => return,
    }
    places.put(&mut column.stamps, stamps);
}

impl Later {
    /// Puts back what waited, and what follows from all of it.
    pub fn put(self, live: &mut Live, head: &Head) {
        let (items, lists) = (live.items.get_mut(), live.lists.get_mut());
        lists.trending.put_all(&head.trending_kinds, self.trending, &items.ids);
        let kind = items.words.intern(DEFAULT_KIND);
        items.kinds.iter_mut().filter(|(code, _)| *code == NAMED.0).for_each(|(code, _)| *code = kind);
        for at in 0..items.serving.len() {
            let gone = !items.serving[at].unsourced && items.sources.gone(at as Ordinal);
            items.serving[at].gone = gone;
        }
    }
}

/// Makes room for items that are only named, whose kind is told by [`Later::put`].
pub(super) fn prepare(items: &mut ItemTable, count: usize) {
    items.kinds.resize(count, NAMED);
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
