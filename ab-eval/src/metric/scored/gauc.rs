//! GAUC: AUC within each user, averaged by the users' weights (number of rows). Users with one label only are left out
//! (Zhu et al. 2017).

use super::{Sample, ScoredMetric, Undefined};

/// AUC within users.
pub const METRIC: ScoredMetric = ScoredMetric { name: "gauc", cut: false, value: gauc };

fn gauc(sample: &Sample, weights: &[f64], _: usize) -> Result<f64, Undefined> {
    let users = sample.users.as_ref().ok_or(Undefined::NoColumn("user"))?;
    let (mut sum, mut total) = (0.0, 0.0);
    for user in users {
        // How often the user was drawn: the row's weight over its weight in the file.
        let weight = user.weight * weights[user.row] / sample.weights[user.row];
        sum += weight * user.auc;
        total += weight;
    }
    if total > 0.0 { Ok(sum / total) } else { Err(Undefined::NoUser) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_one_label_are_left_out() {
        let labels = vec![true, false, false, true, true];
        let scores = vec![0.9, 0.1, 0.5, 0.2, 0.3];
        let sample = Sample::new(labels, scores, None, Some(&[0, 0, 1, 1, 2]), None);
        assert_eq!(gauc(&sample, &sample.weights, 0), Ok(0.5));
        let none = Sample::new(vec![true], vec![0.5], None, Some(&[0]), None);
        assert_eq!(gauc(&none, &none.weights, 0), Err(Undefined::NoUser));
    }
}
