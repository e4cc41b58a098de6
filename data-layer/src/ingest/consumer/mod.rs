//! What an event does to the live side: one consumer per file, one line each in [`ALL`]. A consumer acts on the state of one person,
//! and on items; both are pure functions of what they are given, and none looks at a clock, so that replay equals the first run.

mod counters;
mod fresh;
mod items;
mod levels;
mod met;
mod recent;
mod seen;
mod ties;
pub(crate) mod together;
mod trending;
mod users;

use crate::config::{ActionId, Actions, Keep, Part};
use crate::live::counters::Count;
use crate::live::snapshot::Facet;
use crate::live::together::Pair;
use crate::live::{Deed, Ids, ItemTable, Lists, Live, Side, Tie, UserState};
use crate::types::event::Load;
use crate::types::{ItemEvent, Millis, Ordinal, Schema, UserEvent};

/// What happened to one person, with names resolved to what the stores know. People who want nothing learnt never get here.
#[derive(Debug)]
pub enum Change<'a> {
    /// Attributes were said.
    Said(&'a UserEvent),
    /// They did something.
    Did(&'a Deed),
    /// Something they did is taken back.
    Undone(&'a Deed),
    /// They saw items.
    Saw {
        /// Which.
        items: &'a [Ordinal],
        /// When.
        time: Millis,
    },
    /// A tie of theirs was said.
    Tied {
        /// By which relation.
        relation: &'a str,
        /// Whose it is.
        side: Side,
        /// With whom, and whether there is one.
        tie: &'a Tie,
    },
    /// They turn out to be somebody of whom this was known.
    Joined(&'a UserState),
}

/// What happened to items.
#[derive(Debug)]
pub enum Effect<'a> {
    /// Attributes have these types from now on.
    Schema(&'a Schema),
    /// Attributes or deletion of an item.
    Item(&'a ItemEvent),
    /// A source begins or ends naming all its items.
    Load(&'a Load),
    /// Somebody did something with an item.
    Did(Deed),
    /// It is taken back.
    Undone(Deed),
    /// Somebody saw an item.
    Saw {
        /// Which.
        item: Ordinal,
        /// When.
        time: Millis,
    },
    /// Somebody acted on two items close to each other, or that is taken back.
    Paired(Pair),
    /// As [`Effect::Paired`], for the first of the two items only.
    Neared(Pair),
    /// What many who did the same with an item come to.
    Counted {
        /// Which item.
        item: Ordinal,
        /// What they did.
        action: ActionId,
        /// How often, and in which hour.
        count: Count,
    },
    /// An item was seen so often.
    Shown {
        /// Which.
        item: Ordinal,
        /// How often.
        times: u64,
    },
}

impl Effect<'_> {
    /// Items that exist and of which what is known changes by it, and what of it. A load changes only what follows from what sources said.
    #[must_use]
    pub(crate) fn touches(&self, items: &ItemTable) -> ([Option<Ordinal>; 2], &'static [Facet]) {
        const COUNTED: &[Facet] = &[Facet::Counted];
        const PAIRED: &[Facet] = &[Facet::Paired];
        match self {
            // When it was created is in its row, its kind in the list of what is done most.
            Self::Item(event) => {
                ([items.ids().ordinal(event.id.as_str()), None], &[Facet::Told, Facet::Counted])
            }
            Self::Load(_) | Self::Schema(_) => ([None, None], &[]),
            Self::Did(deed) | Self::Undone(deed) => ([Some(deed.item), None], COUNTED),
            Self::Saw { item, .. } | Self::Counted { item, .. } | Self::Shown { item, .. } => {
                ([Some(*item), None], COUNTED)
            }
            Self::Paired(pair) => (pair.items.map(Some), PAIRED),
            Self::Neared(pair) => ([Some(pair.items[0]), None], PAIRED),
        }
    }
}

/// What consumers know besides.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// Ids of items, for order.
    pub ids: &'a Ids,
    /// Actions and their weights.
    pub actions: &'a Actions,
    /// Bounds of what is kept.
    pub keep: &'a Keep,
}

/// What consumers of effects on items write to.
#[derive(Debug)]
pub struct Stores<'a> {
    /// Items.
    pub items: &'a mut ItemTable,
    /// Live lists.
    pub lists: &'a mut Lists,
    /// Actions and their weights.
    pub actions: &'a Actions,
    /// Bounds of what is kept.
    pub keep: &'a Keep,
}

/// One consumer. What it does not care about it leaves alone.
pub trait Consumer: Send + Sync {
    /// The part of what is kept that it makes; its name.
    fn part(&self) -> Part;

    /// Version of what it keeps; moves when the same events come to something else.
    fn version(&self) -> u32;

    /// Changes what is known of a person, and says what follows for items.
    fn on_person(
        &self,
        _change: &Change<'_>,
        _state: &mut UserState,
        _around: &Around<'_>,
        _effects: &mut Vec<Effect<'_>>,
    ) {
    }

    /// Changes what is known of items.
    fn on_items(&self, _effect: &Effect<'_>, _stores: &mut Stores<'_>) {}
}

/// Makes the list, and calls each of its members by itself: what a consumer does not care about then costs a comparison and no call.
macro_rules! consumers {
    ($($consumer:expr),+ $(,)?) => {
        /// Every consumer, in the order in which they see what happens; what is taken back they see the other way round.
        pub const ALL: &[&dyn Consumer] = &[$(&$consumer),+];

        /// Lets every consumer see what happened to a person.
        pub fn on_person(
            change: &Change<'_>,
            state: &mut UserState,
            around: &Around<'_>,
            effects: &mut Vec<Effect<'_>>,
        ) {
            let kept = around.keep.parts;
            if matches!(change, Change::Undone(_)) {
                let all = ALL.iter().rev().filter(|consumer| kept.has(consumer.part()));
                return all.for_each(|consumer| consumer.on_person(change, state, around, effects));
            }
            $(if kept.has($consumer.part()) {
                $consumer.on_person(change, state, around, effects);
            })+
        }

        /// Lets every consumer see what happened to an item.
        pub fn on_items(effect: &Effect<'_>, stores: &mut Stores<'_>) {
            let kept = stores.keep.parts;
            $(if kept.has($consumer.part()) {
                $consumer.on_items(effect, stores);
            })+
        }
    };
}

consumers![
    items::Items,
    users::Users,
    recent::Recent,
    together::Together,
    met::Met,
    seen::Seen,
    counters::Counters,
    levels::Levels,
    ties::Ties,
    trending::Trending,
    fresh::Fresh,
];

/// As [`on_items`], of a live side whose stores these are: a snapshot that is being taken has first what is about to change.
pub fn affect(live: &Live, effect: &Effect<'_>, stores: &mut Stores<'_>) {
    let (items, facets) = effect.touches(stores.items);
    for item in items.into_iter().flatten() {
        live.spare(item, facets, stores.items, stores.lists);
    }
    on_items(effect, stores);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_one_consumer() {
        let parts: Vec<Part> = ALL.iter().map(|consumer| consumer.part()).collect();
        assert!(Part::ALL.iter().all(|part| parts.iter().filter(|own| *own == part).count() == 1));
        assert!(ALL.iter().all(|consumer| consumer.version() > 0));
    }
}
