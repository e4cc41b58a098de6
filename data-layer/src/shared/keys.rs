//! Names of everything in Redis; `docs/formats.md` lists them. A partition's keys have its name as hash tag, so that they share a slot
//! and can change in one step. Never an id: what people are called does not decide where they are, nor can it forge a tag.

use crate::types::{ITEM_PARTITIONS, Id, PARTITIONS, Partition, Person, PersonKind};

/// What a note stands under: 16 bytes of a hash.
pub type NoteKey = [u64; 2];

/// Which of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Lane {
    /// By person: state of people.
    People,
    /// By item: what is known of items, tailed by every server.
    Items,
}

/// One partition of one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Which lane.
    pub lane: Lane,
    /// Which partition of it, below [`Lane::partitions`].
    pub partition: Partition,
}

impl Lane {
    /// How many partitions it has.
    #[must_use]
    pub fn partitions(self) -> Partition {
        match self {
            Self::People => PARTITIONS,
            Self::Items => ITEM_PARTITIONS,
        }
    }

    /// All its partitions.
    pub fn places(self) -> impl Iterator<Item = Place> {
        (0..self.partitions()).map(move |partition| Place { lane: self, partition })
    }

    fn letter(self) -> char {
        match self {
            Self::People => 'p',
            Self::Items => 'i',
        }
    }
}

/// As in keys: `p17`, `i3`.
impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", self.lane.letter(), self.partition)
    }
}

/// What stands under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// The state of a person.
    Person(Person),
    /// A note of a partition of people.
    Note(Partition, NoteKey),
}

/// Names the keys of one namespace.
#[derive(Debug, Clone)]
pub struct Keys {
    prefix: String,
}

impl Keys {
    /// Keys of a namespace.
    #[must_use]
    pub fn new(namespace: &str) -> Self {
        Self { prefix: format!("weir:{namespace}:") }
    }

    /// How far the partition has come: a mark's bytes.
    #[must_use]
    pub fn mark(&self, place: Place) -> String {
        self.of(place, "mark")
    }

    /// Stream of packets that arrived and were not taken yet, and some that were.
    #[must_use]
    pub fn arrived(&self, place: Place) -> String {
        self.of(place, "in")
    }

    /// Hash from sender to the last sequence it appended.
    #[must_use]
    pub fn sent(&self, place: Place) -> String {
        self.of(place, "sent")
    }

    /// Stream of messages that the partition sends on.
    #[must_use]
    pub fn out(&self, place: Place) -> String {
        self.of(place, "out")
    }

    /// Ids taken in one window of time.
    #[must_use]
    pub fn ids(&self, place: Place, window: u64) -> String {
        format!("{}:{window}", self.of(place, "ids"))
    }

    /// Hash of who still needs entries that were taken.
    #[must_use]
    pub fn holds(&self, place: Place) -> String {
        self.of(place, "holds")
    }

    /// State of a person, in the person's partition.
    #[must_use]
    pub fn person(&self, person: &Person) -> String {
        let place = Place { lane: Lane::People, partition: person.partition() };
        let kind = match person.kind {
            PersonKind::User => 'u',
            PersonKind::Anonymous => 'a',
            PersonKind::Session => 's',
        };
        format!("{}{{{place}}}:{kind}:{}", self.prefix, person.id)
    }

    /// What a partition notes under a key, for a while.
    #[must_use]
    pub fn note(&self, place: Place, key: NoteKey) -> String {
        format!("{}:{:016x}{:016x}", self.of(place, "n"), key[1], key[0])
    }

    /// How far a producer's log has been taken by all partitions.
    #[must_use]
    pub fn applied(&self, producer: u64) -> String {
        format!("{}{{applied}}:{producer:016x}", self.prefix)
    }

    /// Sorted set of the servers that work on a lane, by when they last said so.
    #[must_use]
    pub fn members(&self, lane: Lane) -> String {
        format!("{}{{members}}:{}", self.prefix, lane.letter())
    }

    /// The name of the pause that all outboxes are asked for, while it lasts.
    #[must_use]
    pub fn pause(&self) -> String {
        format!("{}{{pause}}", self.prefix)
    }

    /// Hash from the producers that stand still to the last record that they sent, and the name of the pause.
    #[must_use]
    pub fn still(&self) -> String {
        format!("{}:still", self.pause())
    }

    /// Hashes of what is to be erased (`asked`), of servers that ever were there (`servers`), and how far they are (`states`).
    #[must_use]
    pub fn erasures(&self, what: &str) -> String {
        format!("{}{{erasures}}:{what}", self.prefix)
    }

    /// What all keys of the namespace begin with.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whose state, or which note, stands under a key; `None` for all other keys.
    #[must_use]
    pub fn stored(&self, key: &str) -> Option<Stored> {
        let rest = key.strip_prefix(&self.prefix)?.strip_prefix("{p")?;
        let (partition, rest) = rest.split_once("}:")?;
        let partition: Partition = partition.parse().ok()?;
        let (kind, rest) = rest.split_once(':')?;
        let kind = match kind {
            "u" => PersonKind::User,
            "a" => PersonKind::Anonymous,
            "s" => PersonKind::Session,
            "n" => {
                let half = |at: std::ops::Range<usize>| u64::from_str_radix(rest.get(at)?, 16).ok();
                return Some(Stored::Note(partition, [half(16..32)?, half(0..16)?]));
            }
            _ => return None,
        };
        Some(Stored::Person(Person { kind, id: Id::new(rest).ok()? }))
    }

    fn of(&self, place: Place, what: &str) -> String {
        format!("{}{{{place}}}:{what}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(key: &str) -> &str {
        let from = key.find('{').unwrap() + 1;
        &key[from..from + key[from..].find('}').unwrap()]
    }

    #[test]
    fn a_persons_state_is_in_the_slot_of_their_partition_whatever_the_id() {
        let keys = Keys::new("shop");
        for id in ["u1", "{p0}", "}x{", "a:b"] {
            for person in [Person::user(Id::new(id).unwrap()), Person::session(Id::new(id).unwrap())] {
                let place = Place { lane: Lane::People, partition: person.partition() };
                assert_eq!(tag(&keys.person(&person)), tag(&keys.mark(place)), "{id}");
            }
        }
    }

    #[test]
    fn names_are_those_that_are_documented() {
        let (keys, place) = (Keys::new("main"), Place { lane: Lane::Items, partition: 3 });
        assert_eq!(keys.mark(place), "weir:main:{i3}:mark");
        assert_eq!(keys.arrived(place), "weir:main:{i3}:in");
        assert_eq!(keys.members(Lane::People), "weir:main:{members}:p");
        let person = Person::anonymous(Id::new("a-31").unwrap());
        assert_eq!(keys.person(&person), format!("weir:main:{{p{}}}:a:a-31", person.partition()));
        assert_eq!(
            (keys.pause(), keys.still()),
            ("weir:main:{pause}".into(), "weir:main:{pause}:still".into())
        );
    }

    #[test]
    fn keys_of_people_and_notes_are_read_and_no_others() {
        let (keys, place) = (Keys::new("main"), Place { lane: Lane::People, partition: 3 });
        let person = Person::session(Id::new("{p0}:u:x").unwrap());
        assert_eq!(keys.stored(&keys.person(&person)), Some(Stored::Person(person)));
        assert_eq!(keys.stored(&keys.note(place, [7, u64::MAX])), Some(Stored::Note(3, [7, u64::MAX])));
        for key in [keys.mark(place), keys.ids(place, 9), keys.members(Lane::People), keys.pause()] {
            assert_eq!(keys.stored(&key), None, "{key}");
        }
    }
}
