//! How a person looks and clicks. One law for the past (`play`) and for acting on a server (`act`).

use data_layer::types::Millis;
use data_layer::types::time::DAY;

use super::world::{Item, Laws};

/// Chance that place `position` (from 0) is looked at: `(1 + position)^-position_bias`.
#[must_use]
pub fn examined(laws: &Laws, position: usize) -> f64 {
    (1.0 + position as f64).powf(-laws.position_bias)
}

/// What an item has for everybody at a moment: quality, the heat of its topic, and freshness that decays with age.
#[must_use]
pub fn appeal(laws: &Laws, item: &Item, heat: f64, now: Millis) -> f64 {
    let age = (now - item.created).max(0) as f64 / DAY as f64;
    laws.quality * item.quality + laws.heat * heat + laws.freshness * (-age / laws.fresh_days).exp()
}

/// Chance of a click on something looked at: a logistic of base, taste and appeal, less two fatigues.
/// `same_topic`: places of that topic already looked at in this session; `seen`: times this item was looked at before.
#[must_use]
pub fn click(laws: &Laws, affinity: f32, appeal: f64, same_topic: u32, seen: u32) -> f64 {
    let logit = laws.base + laws.taste * f64::from(affinity) + appeal
        - laws.topic_fatigue * f64::from(same_topic)
        - laws.item_fatigue * f64::from(seen);
    1.0 / (1.0 + (-logit).exp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_places_taste_and_fatigue_move_chances_the_right_way() {
        let laws = Laws::default();
        assert_eq!(examined(&laws, 0), 1.0);
        assert!(examined(&laws, 1) > examined(&laws, 5));
        let plain = click(&laws, 0.2, 0.0, 0, 0);
        assert!(click(&laws, 0.8, 0.0, 0, 0) > plain);
        assert!(click(&laws, 0.2, 0.0, 2, 0) < plain);
        assert!(click(&laws, 0.2, 0.0, 0, 2) < plain);
    }

    #[test]
    fn in_a_null_world_only_the_item_matters() {
        let laws = Laws::null();
        assert_eq!(click(&laws, 0.9, 0.3, 0, 0), click(&laws, -0.9, 0.3, 0, 0));
    }
}
