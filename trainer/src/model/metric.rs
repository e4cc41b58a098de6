//! What a model is worth on held-out rows: AUC, log loss, calibration. Rows may be weighted, so that negatives that were left out count.

/// Area under the ROC curve: the chance that a positive scores above a negative, ties half. 0.5 where a label is missing.
#[must_use]
pub fn auc(scores: &[f64], labels: &[u8]) -> f64 {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let positives = labels.iter().filter(|l| **l == 1).count() as f64;
    let negatives = labels.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return 0.5;
    }
    let (mut at, mut ranks) = (0, 0.0);
    while at < order.len() {
        let end = (at..order.len()).find(|e| scores[order[*e]] != scores[order[at]]).unwrap_or(order.len());
        // Ranks from 1; tied rows share their mean rank.
        let rank = (at + 1 + end) as f64 / 2.0;
        ranks += rank * order[at..end].iter().filter(|r| labels[**r] == 1).count() as f64;
        at = end;
    }
    (ranks - positives * (positives + 1.0) / 2.0) / (positives * negatives)
}

/// Mean AUC over groups that have both labels, weighted by their positives. `None` where no group has both.
#[must_use]
pub fn grouped_auc(scores: &[f64], labels: &[u8], groups: &[u32]) -> Option<f64> {
    let (mut at, mut sum, mut weight) = (0, 0.0, 0.0);
    while at < groups.len() {
        let end = (at..groups.len()).find(|e| groups[*e] != groups[at]).unwrap_or(groups.len());
        let positives = labels[at..end].iter().filter(|l| **l == 1).count();
        if positives > 0 && positives < end - at {
            sum += positives as f64 * auc(&scores[at..end], &labels[at..end]);
            weight += positives as f64;
        }
        at = end;
    }
    (weight > 0.0).then(|| sum / weight)
}

/// Mean of −ln of the probability given to what happened.
#[must_use]
pub fn log_loss(scores: &[f64], labels: &[u8], weights: &[f64]) -> f64 {
    let loss = |p: f64, l: u8| -(if l == 1 { p } else { 1.0 - p }).clamp(1e-15, 1.0).ln();
    let sum: f64 = scores.iter().zip(labels).zip(weights).map(|((p, l), w)| w * loss(*p, *l)).sum();
    sum / weights.iter().sum::<f64>().max(f64::MIN_POSITIVE)
}

/// Mean prediction over mean label: 1 is calibrated in the large.
#[must_use]
pub fn calibration(scores: &[f64], labels: &[u8], weights: &[f64]) -> f64 {
    let predicted: f64 = scores.iter().zip(weights).map(|(p, w)| p * w).sum();
    let happened: f64 = labels.iter().zip(weights).map(|(l, w)| f64::from(*l) * w).sum();
    predicted / happened.max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        assert_eq!(auc(&[0.1, 0.4, 0.35, 0.8], &[0, 0, 1, 1]), 0.75);
        assert_eq!(auc(&[0.5, 0.5], &[0, 1]), 0.5);
        assert_eq!(auc(&[0.5], &[1]), 0.5);
        assert_eq!(grouped_auc(&[0.9, 0.1, 0.2, 0.8], &[1, 0, 1, 0], &[0, 0, 1, 1]), Some(0.5));
        assert!((log_loss(&[0.5, 0.5], &[0, 1], &[1.0, 3.0]) - 0.5_f64.ln().abs()).abs() < 1e-12);
        assert_eq!(calibration(&[0.2, 0.2], &[1, 0], &[1.0, 4.0]), 1.0);
    }
}
