//! `model.toml`: what to train. Unknown keys are refused with the line.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// What to train.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Name of the model.
    #[serde(default = "name")]
    pub name: String,
    /// Which family.
    #[serde(default = "family")]
    pub family: String,
    /// Names of the features, in order. The samples must have them.
    pub features: Vec<String>,
    /// More features, taken where the samples have them: names, or beginnings such as `match.*`.
    #[serde(default)]
    pub optional: Vec<String>,
    /// Weight of the penalty on squared weights of standardised features, per row: 0.001 is light, 1 is heavy.
    #[serde(default = "l2")]
    pub l2: f64,
    /// Most steps of the solver.
    #[serde(default = "steps")]
    pub max_steps: u64,
    /// The solver stops where the gradient per row is smaller.
    #[serde(default = "tolerance")]
    pub tolerance: f64,
    /// Seed of the draw of held-out requests.
    #[serde(default)]
    pub seed: u64,
    /// What is held out.
    #[serde(default)]
    pub validation: Validation,
}

/// What is held out to measure on. The published model learns from all rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    /// `request`: a seeded share of the requests. `time`: the last ones.
    #[serde(default = "by")]
    pub by: By,
    /// Share of the requests.
    #[serde(default = "share")]
    pub share: f64,
}

/// How held-out requests are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Drawn by a seeded hash.
    Request,
    /// The last in time.
    Time,
}

fn name() -> String {
    "ctr".into()
}
fn family() -> String {
    "logistic".into()
}
fn l2() -> f64 {
    1e-3
}
fn steps() -> u64 {
    300
}
fn tolerance() -> f64 {
    1e-6
}
fn by() -> By {
    By::Request
}
fn share() -> f64 {
    0.2
}

impl Default for Validation {
    fn default() -> Self {
        Self { by: by(), share: share() }
    }
}

impl Spec {
    /// Reads and checks a spec.
    ///
    /// # Errors
    /// The file cannot be read, or a key or value of it makes no sense; the message has the line.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
        let place = path.display().to_string();
        let spec: Self = toml::from_str(&text).map_err(|e| Error::invalid(&place, e.to_string()))?;
        spec.check().map_err(|(key, detail)| Error::invalid(format!("{place}: {key}"), detail))?;
        Ok(spec)
    }

    /// The features to learn from: those that are named, and the optional ones that `there` has, in its order.
    ///
    /// # Errors
    /// A feature that is named and not there; the message lists those that are.
    pub fn resolve(&self, there: &[String]) -> Result<Vec<String>> {
        if let Some(name) = self.features.iter().find(|name| !there.contains(name)) {
            return Err(Error::invalid(
                format!("features: {name}"),
                format!(
                    "the samples do not have it (name it under `optional` to take it where it is); they have {}",
                    there.join(", ")
                ),
            ));
        }
        let fits = |pattern: &String, name: &String| match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning),
            None => name == pattern,
        };
        let more = there.iter().filter(|name| !self.features.contains(name));
        let more = more.filter(|name| self.optional.iter().any(|pattern| fits(pattern, name)));
        Ok(self.features.iter().chain(more).cloned().collect())
    }

    fn check(&self) -> std::result::Result<(), (&'static str, String)> {
        let known: Vec<&str> = super::FAMILIES.iter().map(|f| f.name).collect();
        if !known.contains(&self.family.as_str()) {
            return Err(("family", format!("no family {:?}; there are {}", self.family, known.join(", "))));
        }
        if self.features.is_empty() {
            return Err(("features", "expected at least one feature".into()));
        }
        let mut sorted: Vec<&String> = self.features.iter().chain(&self.optional).collect();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|w| w[0] == w[1]) {
            return Err(("features", format!("{} stands twice", pair[0])));
        }
        if !(self.l2 >= 0.0 && self.l2.is_finite()) {
            return Err(("l2", format!("expected a number from 0, found {}", self.l2)));
        }
        if !(self.tolerance > 0.0 && self.tolerance < 1.0) {
            return Err((
                "tolerance",
                format!("expected a number above 0 and below 1, found {}", self.tolerance),
            ));
        }
        if self.max_steps < 30 {
            return Err((
                "max_steps",
                format!("expected at least 30 (fewer give a constant), found {}", self.max_steps),
            ));
        }
        if !(self.validation.share > 0.0 && self.validation.share < 1.0) {
            return Err((
                "validation.share",
                format!("expected a share between 0 and 1, found {}", self.validation.share),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> Result<Spec> {
        let dir = tempfile::tempdir().map_err(Error::io("tmp"))?;
        let path = dir.path().join("model.toml");
        std::fs::write(&path, text).map_err(Error::io(&path))?;
        Spec::load(&path)
    }

    #[test]
    fn optional_features_are_those_that_are_there() {
        let spec = spec("features = [\"b\"]\noptional = [\"match.*\", \"c\", \"d\"]\n").unwrap();
        let there = ["match.genre", "anchor.match.genre", "c", "b"].map(str::to_owned);
        assert_eq!(spec.resolve(&there).unwrap(), ["b", "match.genre", "c"]);
        assert!(spec.resolve(&there[..3]).unwrap_err().to_string().contains("features: b"));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_place() {
        for (text, wanted) in [
            ("features = [\"a\"]\nl3 = 1\n", "l3"),
            ("features = []\n", "at least one"),
            ("features = [\"a\", \"a\"]\n", "stands twice"),
            ("features = [\"a\"]\nmax_steps = 5\n", "max_steps"),
            ("features = [\"a\"]\nfamily = \"forest\"\n", "logistic"),
            ("features = [\"a\"]\n[validation]\nshare = 2.0\n", "validation.share"),
        ] {
            let said = spec(text).unwrap_err().to_string();
            assert!(said.contains(wanted) && said.contains("model.toml"), "{said}");
        }
    }
}
