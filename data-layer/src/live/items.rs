//! The item table: typed columns, packed rows, counters and what decides whether an item can be served. In memory, whole.
//! Read through [`Items`], so that a sharded item service can follow. Not for people.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::column::{Cell, Column};
use super::counters::{Count, Counters};
use super::dictionary::Dictionary;
use super::ids::Ids;
use super::merge::{Stamp, Stamped};
use super::row::{ROW_DAYS, Row};
use super::sources::Sources;
use crate::config::{ActionId, Actions, Priorities};
use crate::types::event::Load;
use crate::types::schema::RESERVED_ITEM;
use crate::types::time::DAY;
use crate::types::{Id, ItemEvent, Millis, Ordinal, Schema, Value, ValueType};
use crate::{Error, Result};

/// Number of an item attribute, local to this process; stays as it is while the process lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldId(pub u16);

/// Kind of an item that no event gave one.
pub const DEFAULT_KIND: &str = "item";

/// Items as everything downstream reads them. Ordinals are valid for ever; methods that take one may panic for a number that was never
/// given out. One that was, but of which nothing is here yet (a person's state may be a moment ahead), is an item that is only named.
pub trait Items: Send + Sync {
    /// How many items exist; ordinals are `0..len`.
    fn len(&self) -> usize;
    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The ordinal of an item that exists.
    fn ordinal(&self, id: &str) -> Option<Ordinal>;
    /// The id of an item.
    fn id(&self, item: Ordinal) -> &Id;
    /// The hash of the id that breaks ties; stable across processes.
    fn tie(&self, item: Ordinal) -> u64;
    /// content, person, query, place, ad …; `item` where nothing was said.
    fn kind(&self, item: Ordinal) -> &str;
    /// Whether the item may be shown at `now_ms`: not deleted, not hidden, available. One that is only named may.
    fn can_serve(&self, item: Ordinal, now_ms: Millis) -> bool;
    /// The packed row.
    fn row(&self, item: Ordinal) -> &Row;
    /// The number of an attribute.
    fn field(&self, name: &str) -> Option<FieldId>;
    /// The type of an attribute.
    fn field_type(&self, field: FieldId) -> ValueType;
    /// The value of an attribute, as it lies in its column.
    fn cell(&self, field: FieldId, item: Ordinal) -> Option<Cell<'_>>;
    /// The code of a text that some attribute of some item holds or held.
    fn code(&self, text: &str) -> Option<u32>;
    /// The text of a code.
    fn text(&self, code: u32) -> &str;
    /// The value of an attribute in its own form.
    fn value(&self, field: FieldId, item: Ordinal) -> Option<Value>;
    /// All attributes of an item with name, value and event time, in order of the name.
    fn attributes(&self, item: Ordinal) -> Vec<(&str, Value, Millis)>;
    /// Exact counts of what people did with the item.
    fn counters(&self, item: Ordinal) -> &Counters;
}

/// What decides whether an item can be served.
#[derive(Debug, Clone, Copy)]
pub(super) struct Serving {
    pub(super) deleted: Stamped<bool>,
    pub(super) hidden: bool,
    /// Named without a source, or by one that is not told apart: stays, whatever sources leave out.
    pub(super) unsourced: bool,
    /// No source names it any more.
    pub(super) gone: bool,
    pub(super) from: Millis,
    pub(super) until: Millis,
}

impl Serving {
    /// Of an item that is only named.
    pub(super) const NAMED: Self = Self {
        deleted: Stamped { value: false, stamp: Stamp::NEVER },
        hidden: false,
        unsourced: false,
        gone: false,
        from: Millis::MIN,
        until: Millis::MAX,
    };
}

static NO_ROW: Row = Row([0.0; 16]);
static NO_COUNTERS: Counters = Counters::NONE;

/// All items of one namespace.
#[derive(Debug, Default)]
pub struct ItemTable {
    pub(super) ids: Arc<Ids>,
    pub(super) kinds: Vec<(u32, Stamp)>,
    pub(super) serving: Vec<Serving>,
    pub(super) rows: Vec<Row>,
    pub(super) counters: Vec<Counters>,
    pub(super) impressions: Vec<u64>,
    pub(super) names: FxHashMap<String, FieldId>,
    pub(super) sorted: Vec<(String, FieldId)>,
    pub(super) columns: Vec<Column>,
    pub(super) words: Dictionary,
    pub(super) sources: Sources,
}

impl Items for ItemTable {
    fn len(&self) -> usize {
        self.rows.len()
    }
    fn ordinal(&self, id: &str) -> Option<Ordinal> {
        self.ids.ordinal(id).filter(|item| (*item as usize) < self.rows.len())
    }
    fn id(&self, item: Ordinal) -> &Id {
        self.ids.id(item)
    }
    fn tie(&self, item: Ordinal) -> u64 {
        self.ids.tie(item)
    }
    fn kind(&self, item: Ordinal) -> &str {
        self.kinds.get(item as usize).map_or(DEFAULT_KIND, |(code, _)| self.words.text(*code))
    }
    fn can_serve(&self, item: Ordinal, now_ms: Millis) -> bool {
        let Some(s) = self.serving.get(item as usize) else { return true };
        !s.deleted.value && !s.gone && !s.hidden && s.from <= now_ms && now_ms < s.until
    }
    fn row(&self, item: Ordinal) -> &Row {
        self.rows.get(item as usize).unwrap_or(&NO_ROW)
    }
    fn field(&self, name: &str) -> Option<FieldId> {
        self.names.get(name).copied()
    }
    fn field_type(&self, field: FieldId) -> ValueType {
        self.columns[usize::from(field.0)].value_type()
    }
    fn cell(&self, field: FieldId, item: Ordinal) -> Option<Cell<'_>> {
        self.columns.get(usize::from(field.0))?.cell(item as usize)
    }
    fn code(&self, text: &str) -> Option<u32> {
        self.words.code(text)
    }
    fn text(&self, code: u32) -> &str {
        self.words.text(code)
    }
    fn value(&self, field: FieldId, item: Ordinal) -> Option<Value> {
        self.columns.get(usize::from(field.0))?.value(item as usize, &self.words)
    }
    fn attributes(&self, item: Ordinal) -> Vec<(&str, Value, Millis)> {
        let at = item as usize;
        let one = |field: &FieldId| {
            let column = &self.columns[usize::from(field.0)];
            Some((column.value(at, &self.words)?, column.stamp(at)?.time))
        };
        let all = self.sorted.iter();
        all.filter_map(|(name, field)| one(field).map(|(v, t)| (name.as_str(), v, t))).collect()
    }
    fn counters(&self, item: Ordinal) -> &Counters {
        self.counters.get(item as usize).unwrap_or(&NO_COUNTERS)
    }
}

impl ItemTable {
    /// An empty table with a column for each attribute of the schema.
    #[must_use]
    pub fn new(schema: &Schema) -> Self {
        Self::over(Arc::default(), schema)
    }

    /// As [`ItemTable::new`], over ids that others give out as well.
    #[must_use]
    pub fn over(ids: Arc<Ids>, schema: &Schema) -> Self {
        let mut table = Self { ids, ..Self::default() };
        table.set_schema(schema);
        table
    }

    /// Makes columns for new attributes, retypes those whose type changed, and forgets those no longer named.
    pub fn set_schema(&mut self, schema: &Schema) {
        for (name, to) in &schema.items {
            match self.names.get(name) {
                Some(field) => {
                    let at = usize::from(field.0);
                    if self.columns[at].value_type() != *to {
                        self.columns[at] = self.columns[at].retyped(*to, &mut self.words);
                    }
                }
                None => {
                    // More attributes than numbers are left without a column.
                    let Ok(number) = u16::try_from(self.columns.len()) else { continue };
                    self.names.insert(name.clone(), FieldId(number));
                    let acts = RESERVED_ITEM.iter().any(|(reserved, _)| reserved == name);
                    let mut column = Column::new(*to);
                    column.acts = acts;
                    self.columns.push(column);
                }
            }
        }
        self.names.retain(|name, _| schema.items.contains_key(name));
        self.sorted = self.names.iter().map(|(n, f)| (n.clone(), *f)).collect();
        self.sorted.sort();
    }

    /// The ordinal of an item, which exists from now on.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the text can't be an id.
    pub fn intern(&mut self, id: &str) -> Result<Ordinal> {
        if let Some(known) = self.ids.ordinal(id) {
            self.hold(known);
            return Ok(known);
        }
        let id = Id::new(id).map_err(|e| Error::invalid(format!("item {id:?}"), e.to_string()))?;
        Ok(self.intern_id(&id))
    }

    /// As [`ItemTable::intern`], of a checked id.
    pub fn intern_id(&mut self, id: &Id) -> Ordinal {
        let ordinal = self.ids.intern(id);
        self.hold(ordinal);
        ordinal
    }

    /// Makes room for an item that has an ordinal; it and all before it are in the table from now on.
    pub fn hold(&mut self, item: Ordinal) {
        let len = item as usize + 1;
        if len <= self.rows.len() {
            return;
        }
        let kind = self.words.intern(DEFAULT_KIND);
        self.kinds.resize(len, (kind, Stamp::NEVER));
        self.serving.resize(len, Serving::NAMED);
        self.rows.resize(len, Row::default());
        self.counters.resize(len, Counters::NONE);
        self.impressions.resize(len, 0);
    }

    /// The ids, of items that are not in the table yet as well.
    #[must_use]
    pub fn ids(&self) -> &Arc<Ids> {
        &self.ids
    }

    /// Merges what an event says, field by field.
    pub fn merge(&mut self, event: &ItemEvent, priorities: &Priorities) -> Ordinal {
        let item = self.intern_id(&event.id);
        let at = item as usize;
        let stamp = Stamp::new(event.time, event.source.as_deref(), priorities);
        if let Some(kind) = &event.kind {
            let (code, old) = self.kinds[at];
            if old.order(&stamp).then_with(|| self.words.text(code).cmp(kind)).is_lt() {
                self.kinds[at] = (self.words.intern(kind), stamp);
            }
        }
        if let Some(deleted) = event.deleted {
            self.serving[at].deleted.merge(deleted, stamp);
        }
        let mut acts = false;
        for (name, value) in &event.attributes {
            let Some(field) = self.names.get(name) else { continue };
            let column = &mut self.columns[usize::from(field.0)];
            acts |= column.merge(at, value.as_ref(), stamp, &mut self.words) && column.acts;
        }
        if acts {
            self.act_on_reserved(at);
        }
        let told = event.source.as_ref().is_some_and(|source| self.sources.say(source, item, event.time));
        self.serving[at].unsourced |= !told;
        self.serving[at].gone = !self.serving[at].unsourced && self.sources.gone(item);
        item
    }

    /// Takes the beginning or the end of a load: what its source named before it began and not since is gone for that source when it has
    /// ended, and is not served where no other source names it.
    pub fn load(&mut self, load: &Load) {
        if self.sources.load(load) {
            for (item, serving) in (0..).zip(&mut self.serving) {
                serving.gone = !serving.unsourced && self.sources.gone(item);
            }
        }
    }

    /// Whether the item is deleted, as the newest event says; whatever sources name.
    #[must_use]
    pub fn said_deleted(&self, item: Ordinal) -> bool {
        self.serving.get(item as usize).is_some_and(|serving| serving.deleted.value)
    }

    /// Whether the item is deleted, as the newest event says, or no source names it any more.
    #[must_use]
    pub fn deleted(&self, item: Ordinal) -> bool {
        self.serving.get(item as usize).is_some_and(|serving| serving.deleted.value || serving.gone)
    }

    /// When it was last said whether the item is deleted; `Millis::MIN` where it never was.
    #[must_use]
    pub fn deleted_time(&self, item: Ordinal) -> Millis {
        self.serving.get(item as usize).map_or(Millis::MIN, |serving| serving.deleted.stamp.time)
    }

    /// Number of impressions of an item. Exact.
    #[must_use]
    pub fn impressions(&self, item: Ordinal) -> u64 {
        self.impressions.get(item as usize).copied().unwrap_or(0)
    }

    /// Counts an impression.
    pub fn saw(&mut self, item: Ordinal) {
        self.shown(item, 1);
    }

    /// Counts many impressions.
    pub fn shown(&mut self, item: Ordinal, times: u64) {
        self.hold(item);
        self.impressions[item as usize] += times;
        self.rows[item as usize].0[Row::IMPRESSIONS] = self.impressions[item as usize] as f32;
    }

    /// Counts an interaction with an item and brings its row up to date.
    pub fn did(&mut self, item: Ordinal, actions: &Actions, action: ActionId, value: f64, time: Millis) {
        self.hold(item);
        let counters = &mut self.counters[item as usize];
        let before = counters.newest_day();
        counters.add(action, value, time);
        let row = &mut self.rows[item as usize];
        let newest = counters.newest_day();
        if newest.is_none() || newest != before {
            return row.follow(counters, actions);
        }
        // The days stand where they stood: one of them has one more.
        row.follow_totals(counters, actions);
        let day = time.div_euclid(DAY);
        if let Some(back) = newest.and_then(|newest| usize::try_from(newest - day).ok())
            && back < ROW_DAYS
        {
            row.0[Row::DAYS + back] += 1.0;
            // Beyond this, adding one may change nothing.
            if row.0[Row::DAYS + back] >= 8_388_608.0 {
                row.follow(counters, actions);
            }
        }
    }

    /// Counts many interactions of one hour with an item; exactly as one after the other.
    pub fn counted(&mut self, item: Ordinal, actions: &Actions, action: ActionId, count: &Count) {
        self.hold(item);
        let counters = &mut self.counters[item as usize];
        counters.add_many(action, count.hour, count.times, count.micros);
        self.rows[item as usize].follow(counters, actions);
    }

    /// Takes back what [`ItemTable::did`] counted.
    pub fn undo(&mut self, item: Ordinal, actions: &Actions, action: ActionId, value: f64, time: Millis) {
        self.hold(item);
        let counters = &mut self.counters[item as usize];
        counters.undo(action, value, time);
        self.rows[item as usize].follow(counters, actions);
    }

    fn act_on_reserved(&mut self, at: usize) {
        let cell = |name: &str| self.names.get(name).and_then(|f| self.columns[usize::from(f.0)].cell(at));
        let time = |name: &str| match cell(name) {
            Some(Cell::Int(time)) => Some(time),
            _ => None,
        };
        let (from, until, created) = (time("available_from"), time("available_until"), time("created"));
        let hidden = matches!(cell("hidden"), Some(Cell::Bool(true)));
        let serving = &mut self.serving[at];
        serving.from = from.unwrap_or(Millis::MIN);
        serving.until = until.unwrap_or(Millis::MAX);
        serving.hidden = hidden;
        self.rows[at].0[Row::CREATED] = created.map_or(0.0, |t| (t as f64 / DAY as f64) as f32);
    }
}
