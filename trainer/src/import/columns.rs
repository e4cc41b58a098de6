//! Which column of somebody's file is the user, the item, the rating, the time, the action.

/// Where the columns of interactions are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Roles {
    /// Who.
    pub user: usize,
    /// What.
    pub item: usize,
    /// A rating or another value.
    pub value: Option<usize>,
    /// Whether the value is a rating (then an interaction without an action is `rate`).
    pub rating: bool,
    /// When.
    pub time: Option<usize>,
    /// Name of the action.
    pub action: Option<usize>,
    /// Columns that are none of these.
    pub others: Vec<usize>,
}

const USER: [&str; 6] = ["user", "userid", "uid", "reviewerid", "customer", "customerid"];
const ITEM: [&str; 11] = [
    "item",
    "itemid",
    "iid",
    "movie",
    "movieid",
    "product",
    "productid",
    "asin",
    "article",
    "articleid",
    "id",
];
const RATING: [&str; 4] = ["rating", "score", "stars", "overall"];
const VALUE: [&str; 2] = ["value", "weight"];
const TIME: [&str; 8] =
    ["timestamp", "time", "ts", "datetime", "date", "unixreviewtime", "eventtime", "createdat"];
const ACTION: [&str; 6] = ["action", "event", "eventtype", "behavior", "behaviour", "type"];

fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect()
}

fn one_of(names: &[&str], wanted: &[&str]) -> Option<usize> {
    let names: Vec<String> = names.iter().map(|n| plain(n)).collect();
    wanted.iter().find_map(|w| names.iter().position(|n| n == w))
}

impl Roles {
    /// Finds the columns of interactions by their names.
    ///
    /// # Errors
    /// A sentence, where there is no user or no item column.
    pub fn find(names: &[&str]) -> Result<Self, String> {
        let need = |what: &str, wanted: &[&str]| {
            one_of(names, wanted)
                .ok_or_else(|| format!("expected a column {what}_id (or {what}), found {}", names.join(", ")))
        };
        let (user, item) = (need("user", &USER)?, need("item", &ITEM)?);
        let rating = one_of(names, &RATING);
        let (value, time, action) =
            (rating.or(one_of(names, &VALUE)), one_of(names, &TIME), one_of(names, &ACTION));
        let used = [Some(user), Some(item), value, time, action];
        let others = (0..names.len()).filter(|c| !used.contains(&Some(*c))).collect();
        Ok(Self { user, item, value, rating: rating.is_some(), time, action, others })
    }

    /// What an interaction without an action is called.
    #[must_use]
    pub fn default_action(&self) -> &'static str {
        if self.rating { "rate" } else { "click" }
    }
}

/// The column that holds the ids of a sheet of items or users.
///
/// # Errors
/// A sentence, where there is none.
pub fn key(names: &[&str], item: bool) -> Result<usize, String> {
    let (what, wanted): (_, &[&str]) = if item { ("item", &ITEM) } else { ("user", &USER) };
    one_of(names, wanted)
        .or(one_of(names, &["id"]))
        .ok_or_else(|| format!("expected a column {what}_id (or {what}), found {}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_are_found() {
        let movielens = Roles::find(&["userId", "movieId", "rating", "timestamp"]).unwrap();
        assert_eq!(
            (movielens.user, movielens.item, movielens.value, movielens.time),
            (0, 1, Some(2), Some(3))
        );
        assert_eq!(movielens.default_action(), "rate");
        let plain = Roles::find(&["time", "item", "user", "page"]).unwrap();
        assert_eq!((plain.user, plain.item, plain.time, plain.others), (2, 1, Some(0), vec![3]));
        assert!(Roles::find(&["user_id", "x"]).unwrap_err().contains("item_id"));
    }
}
