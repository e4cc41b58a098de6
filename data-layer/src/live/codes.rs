//! The codes of a list of texts in 16 bytes: up to three lie in it, more on the heap. Most lists of an item, such as its tags, are short, and there
//! are millions of them. Not for the texts: those are the dictionary's.

/// Codes that lie in place.
const FEW: usize = 3;

/// A list of codes, which does not change.
#[derive(Debug, Clone)]
pub(super) enum Codes {
    Few(u8, [u32; FEW]),
    Many(Box<Box<[u32]>>),
}

impl Default for Codes {
    fn default() -> Self {
        Self::Few(0, [0; FEW])
    }
}

impl Codes {
    /// All of them.
    pub fn as_slice(&self) -> &[u32] {
        match self {
            Self::Few(len, codes) => &codes[..usize::from(*len)],
            Self::Many(codes) => codes,
        }
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Few(..) => 0,
            Self::Many(codes) => size_of::<Box<[u32]>>() + size_of_val(&***codes),
        }
    }
}

impl FromIterator<u32> for Codes {
    fn from_iter<I: IntoIterator<Item = u32>>(codes: I) -> Self {
        let (mut codes, mut few) = (codes.into_iter(), [0; FEW]);
        for (len, place) in (0..).zip(&mut few) {
            match codes.next() {
                Some(code) => *place = code,
                None => return Self::Few(len, few),
            }
        }
        match codes.next() {
            None => Self::Few(FEW as u8, few),
            Some(next) => Self::Many(Box::new(few.into_iter().chain([next]).chain(codes).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_any_length_are_what_they_were() {
        assert_eq!(size_of::<Codes>(), 16);
        for len in 0..9u32 {
            let codes: Codes = (5..5 + len).collect();
            assert_eq!(codes.as_slice(), (5..5 + len).collect::<Vec<_>>());
            assert_eq!(codes.bytes() > 0, len > 3);
        }
        assert!(Codes::default().as_slice().is_empty());
    }
}
