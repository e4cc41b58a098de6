//! A list made for this user offline. Anonymous visitors and sessions have none: their ids are another space.

use crate::recall::{Kind, Outcome, Recall, list_spec};
use crate::{Deadline, Params, Query, Result, Stores};
use data_layer::access::ListSpec;
use data_layer::live::Scored;

/// `kind = "user_list"`: `table` (with `live`, `merge`, `live_weight`, `live_half_life`), keyed by the user's id.
pub const KIND: Kind = Kind { name: "user_list", make };

#[derive(Debug)]
struct UserList {
    list: ListSpec,
}

fn make(params: &mut Params) -> Result<Box<dyn Recall>> {
    Ok(Box::new(UserList { list: list_spec(params)? }))
}

impl Recall for UserList {
    fn recall(
        &self,
        query: &Query<'_>,
        stores: &Stores<'_>,
        until: &Deadline<'_>,
        depth: usize,
        out: &mut Vec<Scored>,
    ) -> Result<Outcome> {
        let Some(user) = query.user_id() else { return Ok(Outcome::Whole) };
        if until.passed() {
            return Ok(Outcome::Late { read: 0, of: 1 });
        }
        stores.access.of_user(&self.list, user, depth, out)?;
        Ok(Outcome::Whole)
    }

    fn lists(&self) -> Vec<&ListSpec> {
        vec![&self.list]
    }

    fn is_of_users(&self) -> bool {
        true
    }
}
