//! Item to item by degree-normalised co-occurrence:
//! `S_ij = d_i^-a · (Σ_u d_u^-b R_ui R_uj)^c · d_j^-e`, with d the degree (distinct people of an item, items of a person), R
//! whether the person took the item, a = .4, b = .75, c = .85, e = .3. For users: the sum of S over the user's items.
//! Exact and deterministic: sums run in one fixed order whatever the number of threads and however memory is bounded.

use super::{Lists, Method, Settings, Target, best, ties};
use crate::Result;
use crate::data::Data;
use crate::progress;

/// Entries of S held at once when scoring users: 8 bytes each.
const BLOCK_ENTRIES: usize = 24 << 20;

/// Degree-normalised item-to-item collaborative filtering.
pub struct ItemCf;

/// The exponents.
#[derive(Debug, Clone, Copy)]
struct Powers {
    from: f64,
    user: f64,
    shape: f64,
    to: f64,
}

/// Who took what, both ways, each pair once, codes ascending; and the factors that S is made of.
struct Matrix {
    users: Vec<Vec<u32>>,
    items: Vec<Vec<u32>>,
    user_factor: Vec<f32>,
    from_factor: Vec<f32>,
    to_factor: Vec<f32>,
    shape: f32,
}

impl Method for ItemCf {
    fn build(&self, data: &Data, settings: &Settings, target: Target, top: usize) -> Result<Lists> {
        let powers = Powers {
            from: settings.number("from_power")?,
            user: settings.number("user_power")?,
            shape: settings.number("shape_power")?,
            to: settings.number("to_power")?,
        };
        let matrix = Matrix::new(data.interactions.by_user(), data.interactions.items.len(), powers);
        let ties = ties(data);
        Ok(match target {
            Target::Items => {
                let lists = matrix.neighbours(|_, list| best(data, list, top, &ties));
                let keys: Vec<String> = data.interactions.items.iter().map(str::to_owned).collect();
                let full = keys.into_iter().zip(lists).filter(|(_, list)| !list.is_empty());
                let (keys, lists) = full.unzip();
                Lists { keys, lists }
            }
            Target::Users => Lists {
                keys: data.interactions.users.iter().map(str::to_owned).collect(),
                lists: matrix.score_users(BLOCK_ENTRIES, |list| best(data, list, top, &ties)),
            },
        })
    }

    fn about(&self) -> &'static str {
        "items taken by the same people, normalised by the degrees of both items and of the people"
    }

    fn settings(&self) -> &'static [(&'static str, &'static str, &'static str)] {
        &[
            ("from_power", "0.4", "how much the degree of the item known is discounted"),
            ("user_power", "0.75", "how much people who took much are discounted"),
            ("shape_power", "0.85", "exponent of the sum over people"),
            ("to_power", "0.3", "how much the degree of the item proposed is discounted"),
        ]
    }

    fn ranking(&self) -> bool {
        false
    }
}

/// A row of co-occurrence in the making: dense sums and which of them are touched.
struct Scratch {
    sums: Vec<f32>,
    touched: Vec<u32>,
}

impl Scratch {
    fn new(len: usize) -> Self {
        Self { sums: vec![0.0; len], touched: Vec::new() }
    }

    #[inline]
    fn add(&mut self, at: u32, value: f32) {
        let sum = &mut self.sums[at as usize];
        if *sum == 0.0 {
            self.touched.push(at);
        }
        *sum += value;
    }

    /// Gives each touched place and its sum, and forgets them.
    fn drain(&mut self, mut take: impl FnMut(u32, f32)) {
        for at in self.touched.drain(..) {
            take(at, std::mem::take(&mut self.sums[at as usize]));
        }
    }
}

impl Matrix {
    fn new(users: Vec<Vec<u32>>, items: usize, powers: Powers) -> Self {
        let mut by_item = vec![Vec::new(); items];
        for (u, list) in users.iter().enumerate() {
            list.iter().for_each(|i| by_item[*i as usize].push(u as u32));
        }
        let factor = |lists: &[Vec<u32>], power: f64| -> Vec<f32> {
            lists.iter().map(|l| (l.len().max(1) as f64).powf(-power) as f32).collect()
        };
        Self {
            user_factor: factor(&users, powers.user),
            from_factor: factor(&by_item, powers.from),
            to_factor: factor(&by_item, powers.to),
            shape: powers.shape as f32,
            users,
            items: by_item,
        }
    }

    /// Sums one row of co-occurrence: for each other item the weight of the people it shares with `item`.
    fn row(&self, item: u32, scratch: &mut Scratch) {
        for user in &self.items[item as usize] {
            let weight = self.user_factor[*user as usize];
            for other in &self.users[*user as usize] {
                if *other != item {
                    scratch.add(*other, weight);
                }
            }
        }
    }

    /// For each item its neighbours with S, cut by `finish`.
    fn neighbours(
        &self,
        finish: impl Fn(u32, Vec<(u32, f32)>) -> Vec<(u32, f32)> + Sync,
    ) -> Vec<Vec<(u32, f32)>> {
        let bar = progress::bar(self.items.len(), "item_cf");
        let of = |range: std::ops::Range<usize>| {
            let mut scratch = Scratch::new(self.items.len());
            range
                .map(|item| {
                    let item = item as u32;
                    self.row(item, &mut scratch);
                    let from = self.from_factor[item as usize];
                    let mut list = Vec::with_capacity(scratch.touched.len());
                    scratch.drain(|other, sum| {
                        list.push((other, from * sum.powf(self.shape) * self.to_factor[other as usize]));
                    });
                    bar.inc(1);
                    finish(item, list)
                })
                .collect()
        };
        let out = in_parallel(self.items.len(), of);
        bar.finish_and_clear();
        out
    }

    /// For each user the sum of S from the user's items to each item not among them, cut by `finish`. S is made a block of
    /// target items at a time, at most `entries` entries each, so that memory is bounded; a target's sum is made within one block.
    fn score_users(
        &self,
        entries: usize,
        finish: impl Fn(Vec<(u32, f32)>) -> Vec<(u32, f32)> + Sync,
    ) -> Vec<Vec<(u32, f32)>> {
        let mut best: Vec<Vec<(u32, f32)>> = vec![Vec::new(); self.users.len()];
        let blocks = self.blocks(entries);
        let bar = progress::bar(blocks.len() * self.users.len(), "item_cf");
        for block in blocks {
            let columns = self.block(block.clone());
            let of = |range: std::ops::Range<usize>| {
                let mut scratch = Scratch::new(block.len());
                range
                    .map(|user| {
                        let met = &self.users[user];
                        for item in met {
                            columns[*item as usize].iter().for_each(|(to, s)| scratch.add(*to, *s));
                        }
                        let mut list = best[user].clone();
                        scratch.drain(|to, sum| {
                            let item = block.start as u32 + to;
                            if met.binary_search(&item).is_err() {
                                list.push((item, sum));
                            }
                        });
                        bar.inc(1);
                        finish(list)
                    })
                    .collect()
            };
            let next = in_parallel(self.users.len(), of);
            best = next;
        }
        bar.finish_and_clear();
        best
    }

    /// Ranges of target items whose rows of S have at most `entries` entries together (by an upper bound).
    fn blocks(&self, entries: usize) -> Vec<std::ops::Range<usize>> {
        let (mut out, mut start, mut held) = (Vec::new(), 0, 0_usize);
        for item in 0..self.items.len() {
            let bound: usize = self.items[item].iter().map(|u| self.users[*u as usize].len()).sum();
            let bound = bound.min(self.items.len());
            if held + bound > entries && item > start {
                out.push(start..item);
                (start, held) = (item, 0);
            }
            held += bound;
        }
        if start < self.items.len() {
            out.push(start..self.items.len());
        }
        out
    }

    /// S from every item to the targets of a block: per item, (target within the block, S), targets ascending.
    fn block(&self, targets: std::ops::Range<usize>) -> Vec<Vec<(u32, f32)>> {
        let first = targets.start;
        let of = |range: std::ops::Range<usize>| {
            let mut scratch = Scratch::new(self.items.len());
            range
                .map(|at| {
                    let target = (first + at) as u32;
                    self.row(target, &mut scratch);
                    let to = self.to_factor[target as usize];
                    let mut row = Vec::with_capacity(scratch.touched.len());
                    scratch.drain(|item, sum| {
                        row.push((item, self.from_factor[item as usize] * sum.powf(self.shape) * to));
                    });
                    row
                })
                .collect()
        };
        let rows: Vec<Vec<(u32, f32)>> = in_parallel(targets.len(), of);
        let mut columns: Vec<Vec<(u32, f32)>> = vec![Vec::new(); self.items.len()];
        for (to, row) in rows.into_iter().enumerate() {
            row.into_iter().for_each(|(item, s)| columns[item as usize].push((to as u32, s)));
        }
        columns
    }
}

/// Runs `of` over ranges of `0..len` on all cores and joins the results in order.
fn in_parallel<T: Send>(len: usize, of: impl Fn(std::ops::Range<usize>) -> Vec<T> + Sync) -> Vec<T> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(len.max(1));
    // Small pieces, dealt out in turn, because early codes are often the heavy ones.
    let pieces: Vec<std::ops::Range<usize>> =
        (0..len).step_by(512).map(|start| start..(start + 512).min(len)).collect();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let Some(piece) = pieces.get(at) else { return done };
            done.push((at, of(piece.clone())));
        }
    };
    let mut all: Vec<(usize, Vec<T>)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for other in others {
            // A panic of a piece is a panic of the whole.
            match other.join() {
                Ok(part) => all.extend(part),
                Err(cause) => std::panic::resume_unwind(cause),
            }
        }
        all
    });
    all.sort_unstable_by_key(|(at, _)| *at);
    all.into_iter().flat_map(|(_, part)| part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const POWERS: Powers = Powers { from: 0.4, user: 0.75, shape: 0.85, to: 0.3 };

    /// S as the formula reads.
    fn plain(users: &[Vec<u32>], i: u32, j: u32) -> f64 {
        let degree = |x: u32| users.iter().filter(|l| l.contains(&x)).count() as f64;
        let sum: f64 = users
            .iter()
            .filter(|l| l.contains(&i) && l.contains(&j))
            .map(|l| (l.len() as f64).powf(-0.75))
            .sum();
        degree(i).powf(-0.4) * sum.powf(0.85) * degree(j).powf(-0.3)
    }

    fn users() -> Vec<Vec<u32>> {
        // A fixed scatter: 40 people, 23 items.
        (0..40_u64)
            .map(|u| {
                let mut l: Vec<u32> = (0..1 + u % 7)
                    .map(|k| (xxhash_rust::xxh3::xxh3_64_with_seed(&k.to_le_bytes(), u) % 23) as u32)
                    .collect();
                l.sort_unstable();
                l.dedup();
                l
            })
            .collect()
    }

    #[test]
    fn the_kernel_is_the_formula() {
        let users = users();
        let matrix = Matrix::new(users.clone(), 23, POWERS);
        let rows = matrix.neighbours(|_, mut list| {
            list.sort_unstable_by_key(|(i, _)| *i);
            list
        });
        for i in 0..23_u32 {
            for j in (0..23_u32).filter(|j| *j != i) {
                let found =
                    rows[i as usize].iter().find(|(o, _)| *o == j).map_or(0.0, |(_, s)| f64::from(*s));
                assert!((found - plain(&users, i, j)).abs() < 1e-6, "{i} {j}");
            }
        }
    }

    #[test]
    fn blocks_do_not_change_a_bit_of_the_scores() {
        let matrix = Matrix::new(users(), 23, POWERS);
        let sorted = |mut list: Vec<(u32, f32)>| {
            list.sort_unstable_by_key(|(i, _)| *i);
            list
        };
        let whole = matrix.score_users(usize::MAX, sorted);
        assert_eq!(whole, matrix.score_users(1, sorted));
        assert_eq!(whole, matrix.score_users(40, sorted));
        let (user, users) = (5, users());
        for (item, score) in &whole[user] {
            assert!(!users[user].contains(item));
            let wanted: f64 = users[user].iter().map(|i| plain(&users, *i, *item)).sum();
            assert!((f64::from(*score) - wanted).abs() < 1e-5);
        }
    }
}
