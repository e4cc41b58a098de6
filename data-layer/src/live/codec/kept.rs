//! What stands under a person's key in Redis: the lives that this state holds, then the state as bytes. A life is a number drawn when a
//! person begins to be known; who was merged into somebody brings theirs along. By it what was done in a life that was erased, or has
//! gone into somebody else's, is told from what this state has counted. Not for the state itself: that is `codec`'s.

use super::wire::{Read, Said, Wire};
use crate::{Error, Result};

/// Version of the form: the first byte. A newer one is refused.
const VERSION: u8 = 1;
/// Lives that are remembered of one person; beyond, those merged first are forgotten.
pub const MOST_LIVES: usize = 64;

/// Puts the lives before the bytes of a state.
#[must_use]
pub fn encode(lives: &[u64], state: &[u8]) -> Vec<u8> {
    let mut wire = Wire(Vec::with_capacity(state.len() + 8 * lives.len() + 3));
    wire.0.push(VERSION);
    wire.count(lives.len());
    lives.iter().for_each(|life| wire.word(*life));
    wire.0.extend_from_slice(state);
    wire.0
}

/// The lives, and the bytes of the state.
///
/// # Errors
/// [`Error::Newer`] for bytes of a newer version, [`Error::Corrupt`] for others, both under the name `place`.
pub fn split<'a>(bytes: &'a [u8], place: &str) -> Result<(Vec<u64>, &'a [u8])> {
    match bytes.first() {
        Some(version) if *version > VERSION => {
            return Err(Error::Newer { path: place.into(), found: (*version).into(), known: VERSION.into() });
        }
        _ => {}
    }
    let mut read = Read::new(bytes);
    let lives = lives(&mut read);
    let at = read.at();
    match lives {
        Ok(lives) => Ok((lives, &bytes[at..])),
        Err(detail) => Err(Error::Corrupt {
            path: place.into(),
            section: "lives of a person".to_owned(),
            offset: at as u64,
            detail,
        }),
    }
}

fn lives(read: &mut Read<'_>) -> Said<Vec<u64>> {
    match read.byte()? {
        VERSION => {}
        other => return Err(format!("expected version {VERSION}, found {other}")),
    }
    (0..read.count(8)?).map(|_| read.word()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_and_state_are_what_was_written_and_other_bytes_are_refused() {
        for lives in [vec![], vec![7], vec![u64::MAX, 0, 9]] {
            let bytes = encode(&lives, b"state");
            assert_eq!(split(&bytes, "here").unwrap(), (lives.clone(), &b"state"[..]));
            assert!((0..2 + 8 * lives.len()).all(|cut| split(&bytes[..cut], "here").is_err()));
            assert!(split(&[&[VERSION + 1], &bytes[1..]].concat(), "here").is_err());
        }
    }
}
