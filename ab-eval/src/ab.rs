//! Click-through by bucket of one experiment, from logged decisions and what clients say was seen of them. People are the
//! unit: intervals and tests are over people, and somebody found in two buckets is left out.

use std::collections::{BTreeMap, BTreeSet};

use data_layer::feedback::Outcome;

use crate::inference::Estimate;
use crate::inference::ratio::{Contrast, Pair, Rate, contrast, rate};
use crate::inference::share::{self, ShareCheck};

/// What to count.
#[derive(Debug, Clone)]
pub struct Question {
    /// The layer.
    pub experiment: String,
    /// Only this epoch; `None`: the newest.
    pub epoch: Option<String>,
    /// Only this scene; `None`: all that the layer is in.
    pub scene: Option<String>,
    /// Whether what was served counts as seen, for scenes whose clients send no impressions.
    pub served: bool,
    /// The action that counts as a click.
    pub action: String,
    /// Bucket to the share of people that was meant; empty: equal shares of the buckets that appear.
    pub shares: BTreeMap<String, f64>,
}

/// One bucket.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// People with a decision in it.
    pub users: u64,
    /// Items that they saw.
    pub impressions: u64,
    /// Items that they saw and clicked.
    pub clicks: u64,
    /// Clicks over impressions; `None` without impressions.
    pub ctr: Option<Estimate>,
    /// Against the first bucket; `None` for that one, and where there is too little to judge by.
    pub contrast: Option<Contrast>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The layer.
    pub experiment: String,
    /// The epoch that was counted.
    pub epoch: String,
    /// Decisions of other epochs; they are not counted.
    pub other_epochs: u64,
    /// Buckets by name.
    pub buckets: Vec<Bucket>,
    /// Whether the shares of people are as meant; `None` with one bucket.
    pub shares: Option<ShareCheck>,
    /// People left out because they were in more than one bucket.
    pub wanderers: u64,
    /// Decisions left out because they name nobody.
    pub nobodies: u64,
    /// Clicks on places that nobody is known to have seen; they are not counted.
    pub unseen_clicks: u64,
}

/// One person's sums by bucket.
type People = BTreeMap<String, BTreeMap<String, (u64, u64)>>;

/// Counts outcomes. `None` where no decision has a bucket of this layer (and epoch, and scene).
#[must_use]
pub fn summarise(outcomes: &[Outcome], question: &Question) -> Option<Summary> {
    let mine: Vec<&Outcome> = outcomes
        .iter()
        .filter(|o| o.decision.buckets.contains_key(&question.experiment))
        .filter(|o| question.scene.as_ref().is_none_or(|s| *s == o.decision.scene))
        .collect();
    let newest = mine.iter().max_by_key(|o| o.decision.time)?;
    let epoch = question.epoch.clone().unwrap_or_else(|| epoch_of(newest, question));
    let (counted, others): (Vec<&Outcome>, Vec<&Outcome>) =
        mine.into_iter().partition(|o| epoch_of(o, question) == epoch);
    let (mut people, mut nobodies, mut unseen_clicks) = (People::new(), 0, 0);
    for outcome in &counted {
        let decision = &outcome.decision;
        let Some(who) = decision.user.as_ref().or(decision.anonymous.as_ref()) else {
            nobodies += 1;
            continue;
        };
        let (seen, clicked, unseen) = count(outcome, question);
        unseen_clicks += unseen;
        let bucket = decision.buckets[&question.experiment].clone();
        let sums = people.entry(who.as_str().to_owned()).or_default().entry(bucket).or_default();
        sums.0 += seen;
        sums.1 += clicked;
    }
    if counted.is_empty() {
        return None;
    }
    let wanderers = people.values().filter(|buckets| buckets.len() > 1).count() as u64;
    people.retain(|_, buckets| buckets.len() == 1);
    let names: BTreeSet<String> =
        people.values().flat_map(|b| b.keys().cloned()).chain(question.shares.keys().cloned()).collect();
    let buckets = compare(&names, &people);
    Some(Summary {
        experiment: question.experiment.clone(),
        epoch,
        other_epochs: others.len() as u64,
        shares: check_shares(&buckets, &question.shares),
        buckets,
        wanderers,
        nobodies,
        unseen_clicks,
    })
}

fn epoch_of(outcome: &Outcome, question: &Question) -> String {
    outcome.decision.epochs.get(&question.experiment).cloned().unwrap_or_default()
}

/// Places seen, seen and clicked, and clicked without being seen.
fn count(outcome: &Outcome, question: &Question) -> (u64, u64, u64) {
    let (mut seen, mut clicked, mut unseen) = (0, 0, 0);
    for (shown, actions) in outcome.shown.iter().zip(&outcome.actions) {
        let click = actions.iter().any(|(action, _, _)| *action == question.action);
        if question.served || shown.is_some() {
            seen += 1;
            clicked += u64::from(click);
        } else {
            unseen += u64::from(click);
        }
    }
    (seen, clicked, unseen)
}

fn compare(names: &BTreeSet<String>, people: &People) -> Vec<Bucket> {
    let mut first: Option<Option<Rate>> = None;
    names
        .iter()
        .map(|name| {
            let sums: Vec<(u64, u64)> = people.values().filter_map(|b| b.get(name)).copied().collect();
            let pairs: Vec<Pair> =
                sums.iter().filter(|s| s.0 > 0).map(|s| (s.0 as f64, s.1 as f64)).collect();
            let own = rate(&pairs);
            let contrast = first.flatten().and_then(|first| contrast(&first, &own?));
            first.get_or_insert(own);
            Bucket {
                name: name.clone(),
                users: sums.len() as u64,
                impressions: sums.iter().map(|s| s.0).sum(),
                clicks: sums.iter().map(|s| s.1).sum(),
                ctr: own.map(|r| r.interval()),
                contrast,
            }
        })
        .collect()
}

fn check_shares(buckets: &[Bucket], meant: &BTreeMap<String, f64>) -> Option<ShareCheck> {
    let counts: Vec<u64> = buckets.iter().map(|b| b.users).collect();
    let shares: Vec<f64> = if meant.is_empty() {
        vec![1.0; buckets.len()]
    } else {
        buckets.iter().map(|b| meant.get(&b.name).copied().unwrap_or(0.0)).collect()
    };
    share::check(&counts, &shares)
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_layer::types::{Decision, DecisionItem, Id, Seen};

    fn outcome(user: &str, bucket: &str, epoch: &str, seen: &[bool], clicked: &[bool]) -> Outcome {
        let items = (0..seen.len()).map(|n| DecisionItem {
            id: Id::new(&format!("i{n}")).unwrap(),
            position: n as u32,
            score: 0.0,
            sources: vec![],
            propensity: None,
            features: vec![],
        });
        let decision = Decision {
            user: Some(Id::new(user).unwrap()),
            time: if epoch == "1" { 1 } else { 2 },
            scene: "home".into(),
            buckets: [("rank".to_owned(), bucket.to_owned())].into(),
            epochs: [("rank".to_owned(), epoch.to_owned())].into(),
            items: items.collect(),
            ..Decision::default()
        };
        let shown = seen.iter().enumerate().map(|(n, s)| {
            s.then(|| Seen { id: Id::new(&format!("i{n}")).unwrap(), position: None, visible_ms: None })
        });
        let shown = shown.collect();
        let actions = clicked.iter().map(|c| if *c { vec![("click".to_owned(), 1.0, 5)] } else { vec![] });
        Outcome { decision, shown, actions: actions.collect() }
    }

    fn question() -> Question {
        Question {
            experiment: "rank".into(),
            epoch: None,
            scene: None,
            served: false,
            action: "click".into(),
            shares: BTreeMap::new(),
        }
    }

    #[test]
    fn counts_what_was_seen_of_the_newest_epoch_and_leaves_wanderers_out() {
        let outcomes = [
            outcome("u1", "a", "2", &[true, true, false], &[true, false, true]),
            outcome("u2", "b", "2", &[true, false], &[false, false]),
            outcome("u3", "a", "2", &[true], &[true]),
            outcome("u3", "b", "2", &[true], &[true]),
            outcome("u1", "a", "1", &[true], &[true]),
        ];
        let s = summarise(&outcomes, &question()).unwrap();
        assert_eq!((s.epoch.as_str(), s.other_epochs, s.wanderers, s.unseen_clicks), ("2", 1, 1, 1));
        let sums: Vec<_> = s.buckets.iter().map(|b| (b.users, b.impressions, b.clicks)).collect();
        assert_eq!(sums, [(1, 2, 1), (1, 1, 0)]);
        let served = summarise(&outcomes, &Question { served: true, ..question() }).unwrap();
        assert_eq!((served.buckets[0].impressions, served.buckets[0].clicks), (3, 2));
        assert!(summarise(&outcomes, &Question { experiment: "other".into(), ..question() }).is_none());
        let first = summarise(&outcomes, &Question { epoch: Some("1".into()), ..question() }).unwrap();
        assert_eq!(first.buckets[0].clicks, 1);
    }

    #[test]
    fn a_bucket_that_nobody_reached_is_shown_and_alarms() {
        let outcomes: Vec<Outcome> =
            (0..40).map(|n| outcome(&format!("u{n}"), "a", "1", &[true], &[n % 4 == 0])).collect();
        let shares = [("a".to_owned(), 0.5), ("b".to_owned(), 0.5)].into();
        let s = summarise(&outcomes, &Question { shares, ..question() }).unwrap();
        assert_eq!((s.buckets.len(), s.buckets[1].users, s.buckets[1].ctr), (2, 0, None));
        assert!(s.shares.unwrap().p < share::ALARM);
    }
}
