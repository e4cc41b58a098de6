//! Interactions as columns, with users, items and actions as codes of dictionaries. Not for attributes: see `sheet.rs`.

use data_layer::live::dictionary::Dictionary;

/// Who did what with which item, when: five columns of one length, in time order, equal times in the order of the input.
#[derive(Debug, Clone, Default)]
pub struct Interactions {
    /// Code in `users`.
    pub user: Vec<u32>,
    /// Code in `items`.
    pub item: Vec<u32>,
    /// Code in `actions`.
    pub action: Vec<u32>,
    /// Value of the action: a rating, a dwell time; 1 where there is none.
    pub value: Vec<f64>,
    /// Milliseconds since the Unix epoch.
    pub time: Vec<i64>,
    /// Ids of users.
    pub users: Dictionary,
    /// Ids of items.
    pub items: Dictionary,
    /// Names of actions.
    pub actions: Dictionary,
}

impl Interactions {
    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.user.len()
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.user.is_empty()
    }

    /// Adds a row.
    pub fn push(&mut self, user: &str, item: &str, action: &str, value: f64, time: i64) {
        self.user.push(self.users.intern(user));
        self.item.push(self.items.intern(item));
        self.action.push(self.actions.intern(action));
        self.value.push(value);
        self.time.push(time);
    }

    /// The rows at the given indices, in their order, with dictionaries of their own (so that nothing of the others remains).
    #[must_use]
    pub fn pick(&self, rows: impl Iterator<Item = usize>) -> Self {
        let mut out = Self::default();
        for r in rows {
            out.push(
                self.users.text(self.user[r]),
                self.items.text(self.item[r]),
                self.actions.text(self.action[r]),
                self.value[r],
                self.time[r],
            );
        }
        out
    }

    /// The same rows in time order; equal times keep their order.
    #[must_use]
    pub fn sorted(self) -> Self {
        if self.time.is_sorted() {
            return self;
        }
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by_key(|r| self.time[*r]);
        self.pick(order.into_iter())
    }

    /// The distinct items of each user as item codes, ascending; one list per user code.
    #[must_use]
    pub fn by_user(&self) -> Vec<Vec<u32>> {
        let mut lists = vec![Vec::new(); self.users.len()];
        for (u, i) in self.user.iter().zip(&self.item) {
            lists[*u as usize].push(*i);
        }
        for list in &mut lists {
            list.sort_unstable();
            list.dedup();
        }
        lists
    }
}
