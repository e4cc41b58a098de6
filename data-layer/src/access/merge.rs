//! How a static list and a live list become one. Pure.

use rustc_hash::FxHashMap;

use super::Merge;
use crate::live::Scored;
use crate::types::Ordinal;

/// Merges the live list into the static one. Equal scores keep the order in which they came, static before live, and both
/// lists come in an order that does not depend on ordinals; so neither does the result.
pub(super) fn merge(how: Merge, list: &mut Vec<Scored>, live: &[Scored]) {
    let mut place: FxHashMap<Ordinal, usize> =
        list.iter().enumerate().map(|(at, scored)| (scored.item, at)).collect();
    if live.is_empty() {
        return;
    }
    for fresh in live {
        match place.get(&fresh.item).and_then(|at| list.get_mut(*at)) {
            Some(old) => {
                old.score = match how {
                    Merge::Sum => (old.score + fresh.score).clamp(f32::MIN, f32::MAX),
                    Merge::Union | Merge::Replace => old.score.max(fresh.score),
                }
            }
            None => {
                place.insert(fresh.item, list.len());
                list.push(*fresh);
            }
        }
    }
    list.sort_by(|a, b| b.score.total_cmp(&a.score));
}
