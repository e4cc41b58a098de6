//! Rules: a documented subset of CEL over the attributes of an item, a user and the moment. Parsed and typed once, bound to a request,
//! then asked item by item. Not for anything with effects, and never for unbounded work: text, depth and cost are limited.
//!
//! Three-valued: an absent attribute is *unknown* (`None`), and unknown does not pass. `docs/rules.md` has the tables.

mod bind;
mod lexer;
mod parser;
mod typing;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use crate::Error;
use crate::live::{Items, UserState};
use crate::types::{Millis, Schema, Value};

pub use bind::Bound;

/// Longest rule, in bytes.
pub const MOST_BYTES: usize = 16 * 1024;
/// Deepest nesting of parentheses and `!`.
pub const MOST_DEPTH: usize = 64;
/// Largest [`Rule::cost`].
pub const MOST_COST: usize = 2_000;

/// A checked rule.
#[derive(Debug, Clone)]
pub struct Rule {
    text: String,
    root: typing::Test,
    cost: usize,
}

/// Why a text is not a rule, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleError {
    /// Byte of the text where the trouble begins.
    pub at: usize,
    /// How many bytes it is long; 0 at the end of the text.
    pub len: usize,
    /// Expected and found.
    pub detail: String,
    /// How to mend it, where that is known.
    pub hint: Option<String>,
}

impl Rule {
    /// Parses a rule and checks its types against the schema.
    ///
    /// # Errors
    /// The first trouble with its place: syntax, an attribute that does not exist (with the nearest that does), types that can't be
    /// compared, something of CEL that this version does not have, or a rule beyond the limits.
    pub fn parse(text: &str, schema: &Schema) -> Result<Self, RuleError> {
        if text.len() > MOST_BYTES {
            let detail = format!("expected a rule of at most {MOST_BYTES} bytes, found {}", text.len());
            return Err(RuleError::new(MOST_BYTES, 0, detail));
        }
        let tokens = lexer::tokens(text)?;
        let tree = parser::parse(text, &tokens)?;
        let root = typing::check(&tree, schema)?;
        let cost = root.cost();
        if cost > MOST_COST {
            let detail = format!("expected a cost of at most {MOST_COST}, found {cost}");
            let hint = "every comparison costs 1, every `in` over an attribute 4, and lists 1 for 16 entries"
                .to_owned();
            return Err(RuleError { hint: Some(hint), ..RuleError::new(0, text.len(), detail) });
        }
        Ok(Self { text: text.to_owned(), root, cost })
    }

    /// The text it was parsed from.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What asking it of one item costs at most, in comparisons.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.cost
    }

    /// Fills in all that is the same for every item of a request: the user, the context, the time, and where attributes lie.
    #[must_use]
    pub fn bind<'a>(
        &'a self,
        items: &'a dyn Items,
        user: Option<&UserState>,
        context: &BTreeMap<String, Value>,
        now_ms: Millis,
    ) -> Bound<'a> {
        bind::bind(&self.root, items, user, context, now_ms)
    }
}

impl RuleError {
    fn new(at: usize, len: usize, detail: impl Into<String>) -> Self {
        Self { at, len, detail: detail.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Suggests the nearest known name, where one is near.
    fn near(self, name: &str, known: impl IntoIterator<Item = String>) -> Self {
        let known: Vec<String> = known.into_iter().collect();
        match crate::config::toml_file::suggest(name, known.iter().map(String::as_str)) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None => self,
        }
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.at, self.detail)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}

impl std::error::Error for RuleError {}

impl From<RuleError> for Error {
    fn from(error: RuleError) -> Self {
        Self::invalid("rule", error.to_string())
    }
}
