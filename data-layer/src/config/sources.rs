//! `[sources]`: whose word counts where two say something of one field at the same time. Not for what is deleted with a source.

use std::collections::BTreeMap;

/// Most sources that can be named.
const MOST: usize = 1_000;

/// Source to priority, 0 to 255; who is not named has 0, and so has what comes without a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Priorities {
    priorities: BTreeMap<String, u8>,
}

impl Priorities {
    /// Named sources with their priorities.
    ///
    /// # Errors
    /// A sentence: a name that can't be one, a priority out of range, more than 1,000 sources.
    pub fn new(named: BTreeMap<String, i64>) -> Result<Self, String> {
        if named.len() > MOST {
            return Err(format!("expected at most {MOST} sources, found {}", named.len()));
        }
        let one = |(name, priority): (String, i64)| {
            if name.is_empty() || name.len() > 256 || name.chars().any(char::is_control) {
                return Err(format!(
                    "{name:?}: expected the name of a source, 1 to 256 bytes without control characters"
                ));
            }
            let wrong = || format!("{name}: expected a priority of 0 to 255, found {priority}");
            let priority = u8::try_from(priority).map_err(|_| wrong())?;
            Ok((name, priority))
        };
        Ok(Self { priorities: named.into_iter().map(one).collect::<Result<_, _>>()? })
    }

    /// The priority of a source; of equal times the higher one wins.
    #[must_use]
    pub fn priority(&self, source: Option<&str>) -> u8 {
        source.and_then(|source| self.priorities.get(source)).copied().unwrap_or(0)
    }
}
