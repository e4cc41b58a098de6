//! `[levels.NAME]`: what earns people points, how many a day, and where levels begin; and the calendar by which days are counted.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

use super::{ActionId, Actions, check_name};
use crate::types::{Millis, Value};
use crate::{Error, Result};

/// What one action earns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Points {
    /// Each time.
    pub each: i64,
    /// At most on one calendar day; `None`: no bound.
    pub a_day: Option<i64>,
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LevelRule {
    /// Its name.
    pub name: Arc<str>,
    /// What earns points, in order of the action.
    pub points: Vec<(ActionId, Points)>,
    /// Points from which on the levels 1, 2, … begin, growing.
    pub thresholds: Vec<i64>,
}

impl LevelRule {
    /// What an action earns, if it earns anything.
    #[must_use]
    pub fn points(&self, action: ActionId) -> Option<Points> {
        self.points.binary_search_by_key(&action, |p| p.0).ok().map(|at| self.points[at].1)
    }

    /// What doing something so often on one day has earned.
    #[must_use]
    pub fn worth(&self, action: ActionId, count: u32) -> i64 {
        let Some(points) = self.points(action) else { return 0 };
        let all = points.each.saturating_mul(i64::from(count));
        points.a_day.map_or(all, |most| all.min(most))
    }

    /// The level of so many points; 0 below the first threshold.
    #[must_use]
    pub fn level(&self, points: i64) -> usize {
        self.thresholds.partition_point(|threshold| *threshold <= points)
    }
}

/// Where days begin: of people whose attribute `timezone` names a zone, there; of all others, in the namespace's zone. The database of zones
/// is the program's own, so that every server of one version agrees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calendar {
    zone: TimeZone,
}

impl Default for Calendar {
    fn default() -> Self {
        Self { zone: TimeZone::UTC }
    }
}

impl Calendar {
    /// The calendar of an IANA time zone.
    ///
    /// # Errors
    /// A sentence, for a name that is none.
    pub fn of(name: &str) -> std::result::Result<Self, String> {
        let unknown = |_| format!("expected an IANA time zone such as UTC or Asia/Shanghai, found {name:?}");
        TimeZone::get(name).map(|zone| Self { zone }).map_err(unknown)
    }

    /// How far clocks are ahead of UTC at a time, in quarters of an hour, rounded down. `zone` is the person's attribute.
    #[must_use]
    pub fn offset(&self, zone: Option<&Value>, time: Millis) -> i8 {
        let theirs = match zone {
            Some(Value::String(name)) => TimeZone::get(name).ok(),
            _ => None,
        };
        let Ok(time) = Timestamp::from_millisecond(time) else { return 0 };
        let offset = theirs.as_ref().unwrap_or(&self.zone).to_offset(time);
        // Offsets are less than 26 hours.
        offset.seconds().div_euclid(15 * 60).clamp(-104, 104) as i8
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLevel {
    points: BTreeMap<String, toml::Value>,
    thresholds: Vec<i64>,
}

/// Checks every `[levels.NAME]`.
pub(super) fn check(
    raw: BTreeMap<String, RawLevel>,
    actions: &Actions,
    wrong: &dyn Fn(&str, String) -> Error,
) -> Result<Vec<LevelRule>> {
    let mut rules = Vec::with_capacity(raw.len());
    for (name, raw) in raw {
        let at = format!("levels.{name}");
        check_name(&name).map_err(|detail| wrong(&at, detail))?;
        if raw.thresholds.windows(2).any(|w| w[0] >= w[1]) {
            let detail = format!("expected numbers that grow, found {:?}", raw.thresholds);
            return Err(wrong(&format!("{at}.thresholds"), detail));
        }
        let mut points = Vec::with_capacity(raw.points.len());
        for (action, value) in &raw.points {
            let at = format!("{at}.points.{action}");
            let Some(id) = actions.id(action) else {
                let known: Vec<&str> = actions.iter().map(|(_, name, _)| name).collect();
                return Err(wrong(
                    &at,
                    format!("expected a configured action ({}), found {action:?}", known.join(", ")),
                ));
            };
            points.push((id, one(value).map_err(|detail| wrong(&at, detail))?));
        }
        points.sort_by_key(|(action, _)| *action);
        rules.push(LevelRule { name: name.into(), points, thresholds: raw.thresholds });
    }
    Ok(rules)
}

/// A number of points, or `{ each = 5, a_day = 50 }`.
fn one(value: &toml::Value) -> std::result::Result<Points, String> {
    let whole = |value: Option<&toml::Value>| value.and_then(toml::Value::as_integer);
    let points = match value {
        toml::Value::Integer(each) => Some(Points { each: *each, a_day: None }),
        toml::Value::Table(table) if table.keys().all(|key| key == "each" || key == "a_day") => {
            match (whole(table.get("each")), table.get("a_day")) {
                (Some(each), None) => Some(Points { each, a_day: None }),
                (Some(each), Some(a_day)) => {
                    whole(Some(a_day)).map(|a_day| Points { each, a_day: Some(a_day) })
                }
                _ => None,
            }
        }
        _ => None,
    };
    let sound = |p: &Points| (1..=1_000_000).contains(&p.each) && p.a_day.is_none_or(|most| most > 0);
    points.filter(sound).ok_or_else(|| {
        format!("expected points from 1 to 1000000, such as 5, or {{ each = 5, a_day = 50 }}, found {value}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> std::result::Result<Vec<LevelRule>, String> {
        let raw: BTreeMap<String, RawLevel> = toml::from_str(text).map_err(|e| e.to_string())?;
        let wrong = |key: &str, detail: String| Error::invalid(key, detail);
        check(raw, &Actions::default(), &wrong).map_err(|e| e.to_string())
    }

    #[test]
    fn rules_read_and_nonsense_names_its_field() {
        let rules = checked(
            "[reader]\nthresholds = [100, 500]\n[reader.points]\nview = { each = 5, a_day = 50 }\nlike = 2",
        );
        let rules = rules.unwrap();
        let view = Actions::default().id("view").unwrap();
        assert_eq!(rules[0].points(view), Some(Points { each: 5, a_day: Some(50) }));
        assert_eq!((rules[0].worth(view, 9), rules[0].worth(view, 11)), (45, 50));
        for (text, said) in [
            ("[r]\nthresholds = [5, 5]\npoints = {}", "levels.r.thresholds: expected numbers that grow"),
            (
                "[r]\nthresholds = []\npoints = { raed = 5 }",
                "levels.r.points.raed: expected a configured action",
            ),
            ("[r]\nthresholds = []\npoints = { view = 0 }", "levels.r.points.view: expected points from 1"),
            (
                "[r]\nthresholds = []\npoints = { view = { each = 5, aday = 50 } }",
                "levels.r.points.view: expected",
            ),
        ] {
            let error = checked(text).unwrap_err();
            assert!(error.starts_with(said), "{error}");
        }
    }

    #[test]
    fn days_begin_where_people_are() {
        let calendar = Calendar::of("Asia/Shanghai").unwrap();
        let zone = |name: &str| Some(Value::String(name.into()));
        assert_eq!(calendar.offset(None, 0), 32);
        assert_eq!(calendar.offset(zone("Asia/Kathmandu").as_ref(), 1_700_000_000_000), 23);
        assert_eq!(calendar.offset(zone("nowhere").as_ref(), 0), 32);
        // Summer and winter.
        let berlin = zone("Europe/Berlin");
        let [july, january] = [1_751_328_000_000, 1_735_689_600_000];
        assert_eq!(
            (calendar.offset(berlin.as_ref(), july), calendar.offset(berlin.as_ref(), january)),
            (8, 4)
        );
        assert!(Calendar::of("Asia/Shangri-La").unwrap_err().contains("Asia/Shangri-La"));
    }
}
