//! Metrics of scored rows: a label 0 or 1, a score. Plain functions, for this program and for the trainer.

/// Area under the ROC curve by ranks, ties count half; weights count rows. `None` where only one class is present.
#[must_use]
pub fn auc(labels: &[bool], scores: &[f64], weights: Option<&[f64]>) -> Option<f64> {
    let weight = |row: usize| weights.map_or(1.0, |w| w[row]);
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_unstable_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let (mut below, mut positives, mut won) = (0.0, 0.0, 0.0);
    for group in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let sum =
            |class: bool| group.iter().filter(|&&r| labels[r] == class).map(|&r| weight(r)).sum::<f64>();
        let (here, others) = (sum(true), sum(false));
        won += here * (below + others / 2.0);
        below += others;
        positives += here;
    }
    (positives > 0.0 && below > 0.0).then(|| won / (positives * below))
}

/// Mean of −ln of the chance given to what happened; chances are kept 1e-15 away from 0 and 1. `None` without rows.
#[must_use]
pub fn log_loss(labels: &[bool], chances: &[f64], weights: Option<&[f64]>) -> Option<f64> {
    let (mut sum, mut total) = (0.0, 0.0);
    for (row, (label, chance)) in labels.iter().zip(chances).enumerate() {
        let weight = weights.map_or(1.0, |w| w[row]);
        let chance = chance.clamp(1e-15, 1.0 - 1e-15);
        sum -= weight * if *label { chance.ln() } else { (1.0 - chance).ln() };
        total += weight;
    }
    (total > 0.0).then(|| sum / total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auc_counts_pairs() {
        let labels = [true, false, true, false];
        assert_eq!(auc(&labels, &[0.9, 0.1, 0.4, 0.4], None), Some(3.5 / 4.0));
        assert_eq!(auc(&[true, true], &[0.1, 0.2], None), None);
        assert_eq!(auc(&[true, false], &[0.3, 0.3], None), Some(0.5));
        // A row of weight two is two rows.
        let twice = auc(&[true, false, false, false], &[0.5, 0.6, 0.6, 0.1], None);
        assert_eq!(auc(&[true, false, false], &[0.5, 0.6, 0.1], Some(&[1.0, 2.0, 1.0])), twice);
    }

    #[test]
    fn log_loss_is_that_of_the_coin_for_one_half() {
        let loss = log_loss(&[true, false], &[0.5, 0.5], None).unwrap();
        assert!((loss - 2f64.ln()).abs() < 1e-12);
        assert!(log_loss(&[true], &[0.0], None).unwrap().is_finite());
        assert_eq!(log_loss(&[], &[], None), None);
    }
}
