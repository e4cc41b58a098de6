//! The parts of what is kept of events, each of which can be made anew without the others: what is configured of each, and which follow from
//! which. Not for how a part is made: that is a consumer's, in `ingest/consumer/`.

use super::{Actions, Keep};

/// One part of what is kept, made by the consumer of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// Attributes, kinds and sources of items.
    Items,
    /// Attributes of people.
    Users,
    /// Recent actions of people.
    Recent,
    /// The live lists `together`.
    Together,
    /// What people acted on with positive weight.
    Met,
    /// What people saw, and how often items were.
    Seen,
    /// Counters of items and people.
    Counters,
    /// Points of people.
    Levels,
    /// Ties of people.
    Ties,
    /// The live lists `trending`.
    Trending,
    /// The live lists `fresh`.
    Fresh,
}

use Part::{Counters, Fresh, Items, Levels, Met, Recent, Seen, Ties, Together, Trending, Users};

/// What is made of a part, and so changes with it. Of who wants nothing learnt nothing is, as an attribute says.
const FOLLOW: [(Part, &[Part]); 3] = [
    (Users, &[Recent, Together, Met, Seen, Counters, Levels, Trending]),
    (Recent, &[Together, Met]),
    (Items, &[Trending, Fresh]),
];

/// What must be made along with a part for it to be made: the offset of a recent action is of the calendar that levels count by; what is
/// kept of an item is one table.
const NEED: [(Part, &[Part]); 8] = [
    (Together, &[Recent]),
    (Met, &[Recent]),
    (Levels, &[Recent]),
    (Trending, &[Items]),
    (Fresh, &[Items]),
    (Items, &[Counters, Seen]),
    (Counters, &[Items]),
    (Seen, &[Items]),
];

impl Part {
    /// Each of them, in order of its number.
    pub const ALL: [Self; 11] =
        [Items, Users, Recent, Together, Met, Seen, Counters, Levels, Ties, Trending, Fresh];

    /// The name of its consumer.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Items => "items",
            Users => "users",
            Recent => "recent",
            Together => "together",
            Met => "met",
            Seen => "seen",
            Counters => "counters",
            Levels => "levels",
            Ties => "ties",
            Trending => "trending",
            Fresh => "fresh",
        }
    }
}

/// Some of the parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parts(u16);

impl Default for Parts {
    fn default() -> Self {
        Self::ALL
    }
}

impl FromIterator<Part> for Parts {
    fn from_iter<T: IntoIterator<Item = Part>>(parts: T) -> Self {
        parts.into_iter().fold(Self(0), Self::with)
    }
}

impl Parts {
    /// Every part.
    pub const ALL: Self = Self((1 << Part::ALL.len()) - 1);

    /// Whether a part is among them.
    #[must_use]
    pub const fn has(self, part: Part) -> bool {
        self.0 & (1 << part as u16) != 0
    }

    /// These and another.
    #[must_use]
    pub const fn with(self, part: Part) -> Self {
        Self(self.0 | 1 << part as u16)
    }

    /// Whether any is of items or their lists.
    #[must_use]
    pub fn of_items(self) -> bool {
        [Items, Together, Trending].into_iter().any(|part| self.has(part))
    }

    /// All that has to be made where these have changed: what follows from them, and what is needed to make that.
    #[must_use]
    pub fn to_make(self) -> Self {
        self.closed(&FOLLOW).with(Users).closed(&NEED)
    }

    fn closed(self, rules: &[(Part, &[Part])]) -> Self {
        let due = rules.iter().filter(|(of, _)| self.has(*of)).flat_map(|(_, parts)| *parts);
        let more = due.fold(self, |parts, part| parts.with(*part));
        if more == self { self } else { more.closed(rules) }
    }
}

impl std::fmt::Display for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = Part::ALL.into_iter().filter(|part| self.has(*part)).map(Part::name).collect();
        f.write_str(&names.join(", "))
    }
}

/// What is configured of each part, as a text that moves when it does.
#[must_use]
pub fn configured(actions: &Actions, keep: &Keep) -> Vec<(Part, String)> {
    let Keep {
        actions: most,
        actions_of,
        actions_for,
        seen,
        met,
        ties,
        deeds,
        together,
        levels,
        calendar,
        sources,
        parts: _,
    } = keep;
    vec![
        (Items, format!("{sources:?}")),
        // What can't be taken back stays everywhere.
        (Users, format!("{sources:?} {deeds}")),
        (Recent, format!("{actions:?} {most} {actions_of:?} {actions_for:?}")),
        (Together, format!("{actions:?} {together:?}")),
        (Met, format!("{actions:?} {met}")),
        (Seen, format!("{seen}")),
        (Counters, format!("{actions:?}")),
        (Levels, format!("{actions:?} {levels:?} {calendar:?}")),
        (Ties, format!("{ties} {sources:?}")),
        (Trending, format!("{actions:?}")),
        (Fresh, String::new()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_has_its_number_and_configuration() {
        assert!((0..).zip(Part::ALL).all(|(at, part)| part as usize == at && Parts::ALL.has(part)));
        let said = configured(&Actions::default(), &Keep::default());
        assert_eq!(said.into_iter().map(|(part, _)| part).collect::<Parts>(), Parts::ALL);
    }

    #[test]
    fn what_follows_and_what_is_needed_is_made_along() {
        let of = |part: Part| [part].into_iter().collect::<Parts>().to_make().to_string();
        assert_eq!(of(Levels), "users, recent, levels");
        assert_eq!(of(Ties), "users, ties");
        assert_eq!(of(Recent), "users, recent, together, met");
        assert_eq!(of(Together), "users, recent, together");
        assert_eq!(of(Trending), "items, users, seen, counters, trending");
        assert_eq!(of(Items), "items, users, seen, counters, trending, fresh");
        assert_eq!(of(Users), Parts::ALL.to_string().replace(", ties, trending, fresh", ", trending"));
        assert!(
            [(Levels, false), (Fresh, true)].map(|(part, of)| Parts(0).with(part).to_make().of_items() == of)
                == [true; 2]
        );
    }
}
