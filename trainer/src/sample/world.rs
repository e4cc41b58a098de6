//! DATA replayed into the live side, as a server would have it: items and users first, then interactions up to any moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use data_layer::Actions;
use data_layer::config::Config;
use data_layer::live::Live;
use data_layer::types::{
    Attributes, Event, Id, Interaction, ItemEvent, Millis, Person, Record, Schema, UserEvent,
};

use crate::data::{Data, Sheet};
use crate::{Error, Result};

/// Interactions applied at once.
const CHUNK: usize = 4096;

/// A live side that follows DATA in time.
pub struct World<'a> {
    /// What a server would know.
    pub live: Arc<Live>,
    data: &'a Data,
    sequence: u64,
    next: usize,
}

/// The schema of a configuration with the attributes of DATA added in their types.
#[must_use]
pub fn schema_of(config: &Schema, data: &Data) -> Schema {
    let mut schema = config.clone();
    for (name, cells) in &data.items.columns {
        schema.items.entry(name.clone()).or_insert(cells.value_type());
    }
    for (name, cells) in &data.users.columns {
        schema.users.entry(name.clone()).or_insert(cells.value_type());
    }
    schema
}

impl<'a> World<'a> {
    /// A world with all items and users described and nothing done yet.
    ///
    /// # Errors
    /// An id or action that the platform would not take.
    pub fn new(config: &Config, data: &'a Data) -> Result<Self> {
        let schema = schema_of(&config.schema, data);
        let live = Arc::new(Live::new(config.actions.clone(), schema.clone()));
        check_actions(&config.actions, data)?;
        let mut world = Self { live, data, sequence: 0, next: 0 };
        let time = data.interactions.time.first().copied().unwrap_or(0);
        let mut events = vec![Event::Schema(schema.clone())];
        for row in 0..data.items.ids.len() {
            let (id, attributes) = (id(&data.items.ids[row])?, attributes(&data.items, row, &schema.items));
            events.push(Event::Item(ItemEvent {
                id,
                kind: None,
                time,
                source: None,
                attributes,
                deleted: None,
            }));
        }
        for row in 0..data.users.ids.len() {
            let person = Person::user(id(&data.users.ids[row])?);
            let attributes = attributes(&data.users, row, &schema.users);
            events.push(Event::User(UserEvent { person, time, source: None, attributes }));
        }
        world.apply(events)?;
        Ok(world)
    }

    /// Applies all interactions before a moment.
    ///
    /// # Errors
    /// An id that the platform would not take.
    pub fn advance(&mut self, until: Millis) -> Result<()> {
        let rows = &self.data.interactions;
        while self.next < rows.len() && rows.time[self.next] < until {
            let mut events = Vec::with_capacity(CHUNK);
            while self.next < rows.len() && rows.time[self.next] < until && events.len() < CHUNK {
                let r = self.next;
                events.push(Event::Interaction(Interaction {
                    id: None,
                    person: Person::user(id(rows.users.text(rows.user[r]))?),
                    item: id(rows.items.text(rows.item[r]))?,
                    action: rows.actions.text(rows.action[r]).to_owned(),
                    value: rows.value[r],
                    time: rows.time[r],
                    request_id: None,
                    session: None,
                    context: BTreeMap::new(),
                }));
                self.next += 1;
            }
            self.apply(events)?;
        }
        Ok(())
    }

    fn apply(&mut self, events: Vec<Event>) -> Result<()> {
        let records: Vec<Record> = events
            .into_iter()
            .map(|event| {
                self.sequence += 1;
                let partition = event.person().map_or(0, |p| p.partition());
                Record { sequence: self.sequence, received_ms: 0, partition, past: false, event }
            })
            .collect();
        Ok(self.live.apply(&records)?)
    }
}

fn id(text: &str) -> Result<Id> {
    Id::new(text).map_err(|e| Error::invalid(format!("id {text:?}"), e.to_string()))
}

fn attributes(
    sheet: &Sheet,
    row: usize,
    types: &BTreeMap<String, data_layer::types::ValueType>,
) -> Attributes {
    sheet
        .columns
        .iter()
        .filter_map(|(name, cells)| {
            let value = cells.value(row)?.widen(*types.get(name)?)?;
            Some((name.clone(), Some(value)))
        })
        .collect()
}

/// Every action of DATA must be configured, as the server would ask.
fn check_actions(actions: &Actions, data: &Data) -> Result<()> {
    match data.interactions.actions.iter().find(|name| actions.id(name).is_none()) {
        None => Ok(()),
        Some(name) => Err(Error::invalid(
            format!("action {name:?}"),
            format!("not configured; add it to [actions] of weir.toml, such as {name} = 1.0"),
        )),
    }
}
