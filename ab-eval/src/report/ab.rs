//! The summary of an experiment, as text and JSON.

use serde_json::{Value, json};

use super::text::{align, short};
use crate::ab::{Bucket, Summary};
use crate::inference::Estimate;
use crate::inference::share::ALARM;

fn interval(e: &Estimate) -> Value {
    json!({ "value": e.value, "low": e.low, "high": e.high })
}

/// Buckets with users, impressions, clicks, `ctr {value, low, high}` and, from the second on, `difference {value, low, high}`
/// and `p`; `sample_ratio {chi_square, p, ok}`; what was left out.
#[must_use]
pub fn as_json(s: &Summary) -> Value {
    let buckets: Vec<Value> = s
        .buckets
        .iter()
        .map(|b| {
            json!({
                "bucket": b.name, "users": b.users, "impressions": b.impressions, "clicks": b.clicks,
                "ctr": b.ctr.as_ref().map(interval),
                "difference": b.contrast.as_ref().map(|c| interval(&c.difference)),
                "p": b.contrast.as_ref().map(|c| c.p),
            })
        })
        .collect();
    json!({
        "experiment": s.experiment, "epoch": s.epoch, "buckets": buckets,
        "sample_ratio": s.shares.map(|c| json!({ "chi_square": c.chi_square, "p": c.p, "ok": c.p >= ALARM })),
        "left_out": {
            "decisions_of_other_epochs": s.other_epochs, "people_in_two_buckets": s.wanderers,
            "decisions_for_nobody": s.nobodies, "clicks_not_seen": s.unseen_clicks,
        },
    })
}

/// A table and what the reader must know before trusting it.
#[must_use]
pub fn as_text(s: &Summary) -> String {
    let head = [
        "bucket",
        "users",
        "impressions",
        "clicks",
        "ctr",
        "95 % from",
        "to",
        "difference",
        "from",
        "to",
        "p",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(s.buckets.iter().map(row));
    let mut text = format!("experiment {}, epoch {:?}\n{}", s.experiment, s.epoch, align(&rows));
    match s.shares {
        Some(c) if c.p < ALARM => text.push_str(&format!(
            "\nWARNING: people are not in the buckets in the shares that were meant (chi-square {:.1}, p {:.2e}): find out \
             why before believing any difference",
            c.chi_square, c.p
        )),
        Some(c) => text.push_str(&format!("\nshares of people are as meant (chi-square {:.2}, p {:.3})", c.chi_square, c.p)),
        None => {}
    }
    for (count, what) in [
        (s.other_epochs, "decisions of other epochs (see --epoch)"),
        (s.wanderers, "people who were in more than one bucket"),
        (s.nobodies, "decisions that name nobody"),
        (s.unseen_clicks, "clicks on places without an impression"),
    ] {
        if count > 0 {
            text.push_str(&format!("\nleft out: {count} {what}"));
        }
    }
    text
}

fn row(b: &Bucket) -> Vec<String> {
    let mut row = vec![b.name.clone(), b.users.to_string(), b.impressions.to_string(), b.clicks.to_string()];
    match &b.ctr {
        Some(e) => row.extend([e.value, e.low, e.high].map(short)),
        None => row.extend(["-"; 3].map(str::to_owned)),
    }
    if let Some(c) = &b.contrast {
        row.extend([c.difference.value, c.difference.low, c.difference.high].map(|x| format!("{x:+.4}")));
        row.push(format!("{:.4}", c.p));
    }
    row
}
