//! What a partition sends on: to another partition, or to every server. As bytes: the lane and number of the partition, what the payload
//! is, and the payload. Not for what it means: that is the sender's and the receiver's.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Lane, Place};

/// What messages come to with one more: each is numbered with this, so that whoever has read some can tell whether others follow than those
/// that he read lead to.
pub(super) fn chained(before: u64, message: &[u8]) -> u64 {
    xxh3_64_with_seed(message, before)
}

/// Bytes before the payload.
const HEAD: usize = 4;

/// Something for another partition, or for every server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Which partition it is for; `None` for every server.
    pub to: Option<Place>,
    /// What the payload is.
    pub kind: u8,
    /// Its bytes.
    pub payload: Vec<u8>,
}

impl Message {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (lane, partition) = match self.to {
            None => (b'*', 0),
            Some(Place { lane: Lane::People, partition }) => (b'p', partition),
            Some(Place { lane: Lane::Items, partition }) => (b'i', partition),
        };
        let mut bytes = Vec::with_capacity(HEAD + self.payload.len());
        bytes.push(lane);
        bytes.extend_from_slice(&partition.to_le_bytes());
        bytes.push(self.kind);
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// Reads its bytes.
    ///
    /// # Errors
    /// What was expected and found.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let Some(([lane, low, high, kind], payload)) = bytes.split_first_chunk::<HEAD>() else {
            return Err(format!("expected a message of at least {HEAD} bytes, found {}", bytes.len()));
        };
        let partition = u16::from_le_bytes([*low, *high]);
        let place = |lane: Lane| Place { lane, partition };
        let to = match lane {
            b'*' => None,
            b'p' => Some(place(Lane::People)),
            b'i' => Some(place(Lane::Items)),
            other => return Err(format!("expected a lane, found {other}")),
        };
        if to.is_some_and(|to| partition >= to.lane.partitions()) {
            return Err(format!(
                "expected a partition below {}, found {partition}",
                Lane::People.partitions()
            ));
        }
        Ok(Self { to, kind: *kind, payload: payload.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_what_was_written_and_other_bytes_are_refused() {
        let place = |lane, partition| Some(Place { lane, partition });
        for to in [None, place(Lane::People, 1023), place(Lane::Items, 63)] {
            let message = Message { to, kind: 7, payload: b"abc".to_vec() };
            assert_eq!(Message::decode(&message.encode()), Ok(message));
        }
        for wrong in [&b"p"[..], b"?\0\0\x07", b"p\0\x04\x07", b"i\x40\0\x07"] {
            assert!(Message::decode(wrong).is_err(), "{wrong:?}");
        }
    }
}
