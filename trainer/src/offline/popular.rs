//! Rankings of all items: how many people took each one, ever or lately. Counting is polars'; decay is one pass in time order.

use polars::prelude::*;

use super::{Lists, Method, Settings, Target, best, ties};
use crate::data::Data;
use crate::{Error, Result};

/// Number of people who took the item.
pub struct Popular;

/// The same with each interaction halved for each half-life of age, counted back from the last interaction in DATA.
pub struct PopularLately;

impl Method for Popular {
    fn build(&self, data: &Data, _: &Settings, target: Target, top: usize) -> Result<Lists> {
        let rows = &data.interactions;
        let place = std::path::Path::new("interactions");
        let table = crate::data::frame::frame(
            place,
            vec![Column::new("user".into(), &rows.user), Column::new("item".into(), &rows.item)],
        )?;
        let counted = table
            .lazy()
            .group_by([col("item")])
            .agg([col("user").n_unique().alias("people")])
            .collect()
            .map_err(Error::columns(place))?;
        let items = crate::data::frame::ints(place, &counted, "item")?;
        let people = crate::data::frame::ints(place, &counted, "people")?;
        let scores = items.iter().zip(&people).map(|(i, n)| (*i as u32, *n as f32)).collect();
        Ok(lists(data, scores, target, top))
    }

    fn about(&self) -> &'static str {
        "how many people took each item, ever"
    }

    fn settings(&self) -> &'static [(&'static str, &'static str, &'static str)] {
        &[]
    }

    fn ranking(&self) -> bool {
        true
    }
}

impl Method for PopularLately {
    fn build(&self, data: &Data, settings: &Settings, target: Target, top: usize) -> Result<Lists> {
        let half_life = settings.span("half_life")? as f64;
        let rows = &data.interactions;
        let now = rows.time.last().copied().unwrap_or(0);
        let mut scores = vec![0.0_f64; rows.items.len()];
        for (item, time) in rows.item.iter().zip(&rows.time) {
            // Made-up times say nothing: every interaction is as fresh as any.
            let age = if data.report.times { (now - time) as f64 } else { 0.0 };
            scores[*item as usize] += (-age / half_life).exp2();
        }
        // What has decayed to nothing is no candidate.
        let scores = scores
            .into_iter()
            .enumerate()
            .map(|(item, s)| (item as u32, s as f32))
            .filter(|(_, s)| *s > 0.0)
            .collect();
        Ok(lists(data, scores, target, top))
    }

    fn about(&self) -> &'static str {
        "how many people took each item lately: each interaction halves with each half-life of age"
    }

    fn settings(&self) -> &'static [(&'static str, &'static str, &'static str)] {
        &[("half_life", "7d", "age at which an interaction counts half")]
    }

    fn ranking(&self) -> bool {
        true
    }
}

fn lists(data: &Data, scores: Vec<(u32, f32)>, target: Target, top: usize) -> Lists {
    let ties = ties(data);
    if target == Target::Items {
        return Lists { keys: vec!["all".into()], lists: vec![best(data, scores, top, &ties)] };
    }
    let met = data.interactions.by_user();
    let longest = met.iter().map(Vec::len).max().unwrap_or(0);
    let ranking = best(data, scores, top + longest, &ties);
    let list = |met: &Vec<u32>| {
        ranking.iter().filter(|(item, _)| met.binary_search(item).is_err()).take(top).copied().collect()
    };
    Lists {
        keys: data.interactions.users.iter().map(str::to_owned).collect(),
        lists: met.iter().map(list).collect(),
    }
}
