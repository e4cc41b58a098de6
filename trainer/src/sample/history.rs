//! DATA whose past is another DATA: the rows that the past does not have become the future, all after it. So data without
//! times, or any split, can be sampled.

use rustc_hash::FxHashMap;

use crate::data::Data;
use crate::{Error, Result};

/// The past followed by what `data` has beyond it. Where rows of the future are not all later than the past, they are set to one
/// moment after it. Gives the data and the window of the future (from, to).
///
/// # Errors
/// There is nothing beyond the past.
pub fn after(data: &Data, past: &Data) -> Result<(Data, (i64, i64))> {
    type Key<'a> = (&'a str, &'a str, &'a str, i64);
    fn key(data: &Data, r: usize) -> Key<'_> {
        let rows = &data.interactions;
        (
            rows.users.text(rows.user[r]),
            rows.items.text(rows.item[r]),
            rows.actions.text(rows.action[r]),
            rows.time[r],
        )
    }
    let mut known: FxHashMap<Key<'_>, u32> = FxHashMap::default();
    for r in 0..past.interactions.len() {
        *known.entry(key(past, r)).or_default() += 1;
    }
    let mut future = Vec::new();
    for r in 0..data.interactions.len() {
        match known.get_mut(&key(data, r)) {
            Some(count) if *count > 0 => *count -= 1,
            _ => future.push(r),
        }
    }
    let Some(first) = future.first() else {
        return Err(Error::Usage(
            "--data has nothing that --history does not have; there is nothing to learn".into(),
        ));
    };
    let last_known = past.interactions.time.last().copied().unwrap_or(i64::MIN);
    let rows = &data.interactions;
    let in_order = rows.time[*first] > last_known;
    let from = if in_order { rows.time[*first] } else { last_known + 1 };
    let mut joined = past.interactions.clone();
    let mut to = from;
    for r in future {
        let (user, item, action, time) = key(data, r);
        let time = if in_order { time } else { from };
        joined.push(user, item, action, rows.value[r], time);
        to = time;
    }
    Ok((Data { interactions: joined, ..data.clone() }, (from, to + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Interactions, Report, Sheet};

    fn data(rows: &[(&str, &str, i64)]) -> Data {
        let mut interactions = Interactions::default();
        rows.iter().for_each(|(u, i, t)| interactions.push(u, i, "click", 1.0, *t));
        Data { interactions, items: Sheet::default(), users: Sheet::default(), report: Report::default() }
    }

    #[test]
    fn the_future_is_what_the_past_lacks() {
        let all = data(&[("u", "a", 1), ("u", "b", 2), ("v", "a", 3)]);
        let (joined, window) = after(&all, &data(&[("u", "a", 1), ("u", "b", 2)])).unwrap();
        assert_eq!((joined.interactions.time, window), (vec![1, 2, 3], (3, 4)));
        let (joined, window) = after(&all, &data(&[("u", "a", 1), ("v", "a", 3)])).unwrap();
        assert_eq!((joined.interactions.time, window), (vec![1, 3, 4], (4, 5)));
        assert!(after(&all, &all).is_err());
    }
}
