//! Who works on a lane's partitions: servers say that they are there, and each partition belongs to one of them by a hash that all
//! compute alike. A server that dies, or is stopped, is forgotten after a while, and the others take its partitions over. Two may believe
//! for a moment that a partition is theirs: the mark decides whose work counts (`partition.rs`), so nothing is locked.

use redis::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::keys::Keys;
use super::link::Ask;
use super::script::{self, Call};
use super::{Lane, Link, Place};
use crate::types::Millis;
use crate::{Error, Result};

/// One server among those that work on a lane.
#[derive(Debug, Clone)]
pub struct Member {
    link: Link,
    keys: Keys,
    lane: Lane,
    name: String,
    /// After how many milliseconds without a word it is forgotten.
    life: Millis,
}

impl Member {
    /// A server of a name that no other has; those that say nothing for `life` milliseconds, above 0, are forgotten.
    #[must_use]
    pub fn new(link: Link, namespace: &str, lane: Lane, name: &str, life: Millis) -> Self {
        Self { link, keys: Keys::new(namespace), lane, name: name.to_owned(), life }
    }

    /// The lane whose partitions it works on.
    #[must_use]
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// Says that it is there, and gives its partitions. To be said several times in the time after which it is forgotten.
    ///
    /// # Errors
    /// [`Error::Store`]. Then it has none until it is told again.
    pub async fn beat(&self) -> Result<Vec<Place>> {
        let call = Call::new(&script::BEAT, vec![self.keys.members(self.lane)])
            .arg(self.name.as_str())
            .arg(self.life.to_string());
        let answer = self.link.call(call).await?;
        let members = names(&answer).ok_or_else(|| {
            Error::invalid(
                self.keys.members(self.lane),
                format!("expected names of servers, found {answer:?}"),
            )
        })?;
        Ok(self.lane.places().filter(|place| owner(*place, &members) == Some(&self.name)).collect())
    }

    /// Leaves, so that the others take over at once.
    ///
    /// # Errors
    /// [`Error::Store`]; then they do after its time.
    pub async fn leave(&self) -> Result<()> {
        let (mut command, key) = (redis::cmd("ZREM"), self.keys.members(self.lane));
        command.arg(&key).arg(&self.name);
        self.link.run(Ask { key, command }).await.map(drop)
    }
}

/// Whose a partition is: the member whose hash with it is greatest, so that one who comes or goes moves only its own share.
fn owner(place: Place, members: &[String]) -> Option<&String> {
    members.iter().max_by_key(|name| (xxh3_64(format!("{place} {name}").as_bytes()), *name))
}

fn names(answer: &Value) -> Option<Vec<String>> {
    let Value::Array(names) = answer else { return None };
    let name = |name: &Value| match name {
        Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        _ => None,
    };
    names.iter().map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_has_one_owner_and_only_the_share_of_one_who_goes_moves() {
        let three = ["a", "b", "c"].map(str::to_owned);
        let mut shares = [0; 3];
        for place in Lane::People.places() {
            let before = owner(place, &three).unwrap();
            let at = three.iter().position(|name| name == before).unwrap();
            shares[at] += 1;
            let after = owner(place, &three[..2]).unwrap();
            assert!(before == "c" || before == after, "{place}");
        }
        assert!(shares.iter().all(|share| *share > 250), "{shares:?}");
        assert_eq!(owner(Place { lane: Lane::Items, partition: 0 }, &[]), None);
    }
}
