//! AUC: the chance that a row of label 1 is scored above one of label 0; ties count half.

use super::{Sample, ScoredMetric, Undefined};

/// AUC over all rows.
pub const METRIC: ScoredMetric = ScoredMetric { name: "auc", cut: false, value: auc };

fn auc(sample: &Sample, weights: &[f64], _: usize) -> Result<f64, Undefined> {
    let (mut below, mut positives, mut won) = (0.0, 0.0, 0.0);
    for tied in sample.order.chunk_by(|&a, &b| sample.scores[a] == sample.scores[b]) {
        let (mut here, mut others) = (0.0, 0.0);
        for &row in tied {
            *if sample.labels[row] { &mut here } else { &mut others } += weights[row];
        }
        won += here * (below + others / 2.0);
        below += others;
        positives += here;
    }
    if positives > 0.0 && below > 0.0 { Ok(won / (positives * below)) } else { Err(Undefined::OneClass) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::binary;

    #[test]
    fn agrees_with_the_plain_one() {
        let labels = vec![true, false, true, false, false];
        let scores = vec![0.4, 0.4, 0.9, 0.1, 0.95];
        let sample = Sample::new(labels.clone(), scores.clone(), None, None, None);
        assert_eq!(auc(&sample, &sample.weights, 0).ok(), binary::auc(&labels, &scores, None));
        let one = Sample::new(vec![true], vec![0.4], None, None, None);
        assert_eq!(auc(&one, &one.weights, 0), Err(Undefined::OneClass));
    }
}
