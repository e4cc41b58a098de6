//! The configured actions and their weights. Not for counting them, which is `live/`'s.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Number of an action: its place in the order of names, so the same configuration always gives the same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ActionId(pub u8);

/// What one interaction is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Weight {
    /// The same each time; negative for dislikes.
    Fixed(f32),
    /// The value of the interaction itself, such as a rating.
    Value,
}

impl Weight {
    /// What an interaction with this value is worth where its value is what counts; finite for finite values.
    #[must_use]
    pub fn of_value(value: f64) -> f32 {
        value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32
    }
}

/// Most actions that can be configured.
pub const MOST_ACTIONS: usize = 255;

/// Action name to weight, at most 255 of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Actions {
    list: Vec<(String, Weight)>,
}

impl Default for Actions {
    /// view 0.1, click 1, like 3, buy 5, rate its value, dislike −2.
    fn default() -> Self {
        let fixed = [("view", 0.1), ("click", 1.0), ("like", 3.0), ("buy", 5.0), ("dislike", -2.0)];
        let fixed = fixed.into_iter().map(|(name, weight)| (name.to_owned(), Weight::Fixed(weight)));
        let mut list: Vec<_> = fixed.chain([("rate".to_owned(), Weight::Value)]).collect();
        list.sort_by(|a, b| a.0.cmp(&b.0));
        Self { list }
    }
}

impl Actions {
    /// The defaults, with more actions or other weights laid over them.
    ///
    /// # Errors
    /// A sentence: a name that can't be one, a weight that is not finite, more than 255 actions.
    pub fn over_defaults(more: &BTreeMap<String, Weight>) -> Result<Self, String> {
        let mut all: BTreeMap<String, Weight> = Self::default().list.into_iter().collect();
        for (name, weight) in more {
            crate::types::id::check(name).map_err(|e| format!("action {name:?}: {e}"))?;
            if matches!(weight, Weight::Fixed(w) if !w.is_finite()) {
                return Err(format!("action {name:?}: expected a finite weight or \"value\""));
            }
            all.insert(name.clone(), *weight);
        }
        if all.len() > MOST_ACTIONS {
            return Err(format!("expected at most {MOST_ACTIONS} actions, found {}", all.len()));
        }
        Ok(Self { list: all.into_iter().collect() })
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Never: there are always the defaults. Here because there is a `len`.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The number of an action.
    #[must_use]
    pub fn id(&self, name: &str) -> Option<ActionId> {
        let at = self.list.binary_search_by(|(n, _)| n.as_str().cmp(name)).ok()?;
        u8::try_from(at).ok().map(ActionId)
    }

    /// The name of an action; empty for a number that these actions did not give.
    #[must_use]
    pub fn name(&self, id: ActionId) -> &str {
        self.list.get(usize::from(id.0)).map_or("", |(name, _)| name)
    }

    /// How an action is weighed; `None` for a number that these actions did not give.
    #[must_use]
    pub fn kind(&self, id: ActionId) -> Option<Weight> {
        self.list.get(usize::from(id.0)).map(|(_, weight)| *weight)
    }

    /// What an interaction with this value is worth; finite for finite values, 0 for a number these actions did not give.
    #[must_use]
    pub fn weight(&self, id: ActionId, value: f64) -> f32 {
        match self.list.get(usize::from(id.0)) {
            Some((_, Weight::Fixed(weight))) => *weight,
            Some((_, Weight::Value)) => Weight::of_value(value),
            None => 0.0,
        }
    }

    /// All of them with number, name and weight, in order of the number.
    pub fn iter(&self) -> impl Iterator<Item = (ActionId, &str, Weight)> {
        self.list.iter().zip(0u8..).map(|((name, weight), at)| (ActionId(at), name.as_str(), *weight))
    }
}

impl<'de> Deserialize<'de> for Weight {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visit;
        impl serde::de::Visitor<'_> for Visit {
            type Value = Weight;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number or \"value\"")
            }
            fn visit_f64<E: serde::de::Error>(self, weight: f64) -> Result<Weight, E> {
                let weight = weight as f32;
                if weight.is_finite() {
                    Ok(Weight::Fixed(weight))
                } else {
                    Err(E::custom("expected a finite weight or \"value\""))
                }
            }
            fn visit_i64<E: serde::de::Error>(self, weight: i64) -> Result<Weight, E> {
                self.visit_f64(weight as f64)
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Weight, E> {
                if text == "value" {
                    Ok(Weight::Value)
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
                }
            }
        }
        from.deserialize_any(Visit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_the_order_of_names_and_defaults_can_be_overridden() {
        let more =
            BTreeMap::from([("click".to_owned(), Weight::Fixed(2.0)), ("share".into(), Weight::Value)]);
        let actions = Actions::over_defaults(&more).unwrap();
        let names: Vec<&str> = actions.iter().map(|(_, name, _)| name).collect();
        assert_eq!(names, ["buy", "click", "dislike", "like", "rate", "share", "view"]);
        for (id, name, _) in actions.iter() {
            assert_eq!(actions.id(name), Some(id));
            assert_eq!(actions.name(id), name);
        }
        let weight = |name: &str, value| actions.weight(actions.id(name).unwrap(), value);
        assert_eq!(weight("click", 7.0), 2.0);
        assert_eq!(weight("share", 7.5), 7.5);
        assert_eq!(weight("dislike", 1.0), -2.0);
        assert!(weight("rate", f64::MAX).is_finite());
        assert_eq!(actions.id("nonsense"), None);
        assert_eq!(actions.weight(ActionId(200), 1.0), 0.0);
    }

    #[test]
    fn nonsense_is_refused() {
        let with = |name: &str, weight| Actions::over_defaults(&BTreeMap::from([(name.to_owned(), weight)]));
        assert!(with("", Weight::Value).is_err());
        assert!(with("x", Weight::Fixed(f32::NAN)).is_err());
        let many = (0..300).map(|i| (format!("a{i}"), Weight::Value)).collect();
        assert!(Actions::over_defaults(&many).unwrap_err().contains("at most 255"));
    }
}
