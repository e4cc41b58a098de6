//! Attributes of items or users as typed columns beside their ids. A plain form between files, polars and events.

/// The cells of one column; `None` where a row says nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Cells {
    /// `true` or `false`.
    Bool(Vec<Option<bool>>),
    /// Whole numbers.
    Int(Vec<Option<i64>>),
    /// Finite numbers.
    Float(Vec<Option<f64>>),
    /// Text.
    Text(Vec<Option<String>>),
    /// Lists of text.
    Texts(Vec<Option<Vec<String>>>),
    /// Lists of finite numbers.
    Vector(Vec<Option<Vec<f32>>>),
}

/// Ids and columns of one length.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Sheet {
    /// Id of each row.
    pub ids: Vec<String>,
    /// Attribute name and cells.
    pub columns: Vec<(String, Cells)>,
}

/// Attributes that are one text even where the file calls them a sequence of words.
const WHOLE_TEXTS: [&str; 6] = ["title", "name", "description", "text", "summary", "content"];

impl Cells {
    /// Cells of a RecBole type (`token`, `token_seq`, `float`, `float_seq`).
    ///
    /// # Errors
    /// The row, from 0, and a sentence, where a text is not of the type.
    pub fn typed(name: &str, kind: &str, texts: &[&str]) -> Result<Self, (usize, String)> {
        Ok(match kind {
            "float" => Self::Float(each(texts, |t| number(t).map(Some))?),
            "float_seq" => Self::Vector(each(texts, |t| {
                t.split_ascii_whitespace()
                    .map(|x| number(x).map(|v| v as f32))
                    .collect::<Result<_, _>>()
                    .map(Some)
            })?),
            "token_seq" if !WHOLE_TEXTS.contains(&name) => {
                Self::Texts(texts.iter().map(|t| split_list(t, |c: char| c == ' ')).collect())
            }
            _ => Self::Text(texts.iter().map(|t| (!t.is_empty()).then(|| (*t).to_owned())).collect()),
        })
    }

    /// Cells of the narrowest type that all texts have: bool, integer, float, else text. `|` in a column that the
    /// plural or its usual name says is a list makes lists (`genres`, `tags` …).
    #[must_use]
    pub fn inferred(name: &str, texts: &[&str]) -> Self {
        const LISTS: [&str; 8] =
            ["genres", "genre", "tags", "categories", "keywords", "topics", "actors", "authors"];
        let some = || texts.iter().filter(|t| !t.is_empty());
        let known = some().next().is_some();
        if known && some().all(|t| matches!(*t, "true" | "false" | "True" | "False")) {
            return Self::Bool(
                texts.iter().map(|t| (!t.is_empty()).then(|| t.eq_ignore_ascii_case("true"))).collect(),
            );
        }
        // A leading zero is a sign of a code, not of a number.
        let code = |t: &str| t.len() > 1 && t.starts_with('0') && !t.contains('.');
        if known && some().all(|t| t.parse::<i64>().is_ok() && !code(t)) {
            return Self::Int(texts.iter().map(|t| t.parse().ok()).collect());
        }
        if known && some().all(|t| number(t).is_ok() && !code(t)) {
            return Self::Float(texts.iter().map(|t| number(t).ok()).collect());
        }
        if LISTS.contains(&name) && some().any(|t| t.contains('|')) {
            return Self::Texts(texts.iter().map(|t| split_list(t, |c| c == '|')).collect());
        }
        Self::Text(texts.iter().map(|t| (!t.is_empty()).then(|| (*t).to_owned())).collect())
    }

    /// Number of cells.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Bool(c) => c.len(),
            Self::Int(c) => c.len(),
            Self::Float(c) => c.len(),
            Self::Text(c) => c.len(),
            Self::Texts(c) => c.len(),
            Self::Vector(c) => c.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value in one row, as the data layer knows values.
    #[must_use]
    pub fn value(&self, row: usize) -> Option<data_layer::types::Value> {
        use data_layer::types::Value;
        match self {
            Self::Bool(c) => c[row].map(Value::Bool),
            Self::Int(c) => c[row].map(Value::Int),
            Self::Float(c) => c[row].map(Value::Float),
            Self::Text(c) => c[row].as_deref().map(|t| Value::String(t.into())),
            Self::Texts(c) => {
                c[row].as_ref().map(|l| Value::Strings(l.iter().map(|t| t.as_str().into()).collect()))
            }
            Self::Vector(c) => c[row].as_ref().map(|l| Value::Vector(l.clone())),
        }
    }

    /// The type that the schema gives such a column.
    #[must_use]
    pub fn value_type(&self) -> data_layer::types::ValueType {
        use data_layer::types::ValueType;
        match self {
            Self::Bool(_) => ValueType::Bool,
            Self::Int(_) => ValueType::Int,
            Self::Float(_) => ValueType::Float,
            Self::Text(_) => ValueType::String,
            Self::Texts(_) => ValueType::Strings,
            Self::Vector(_) => ValueType::Vector,
        }
    }
}

impl Cells {
    /// Cells of values as events carry them; `None` where no row has a value, or where types differ beyond integer and float.
    #[must_use]
    pub fn of_values(values: Vec<Option<data_layer::types::Value>>) -> Option<Self> {
        use data_layer::types::Value as V;
        let some = || values.iter().flatten();
        some().next()?;
        Some(if some().all(|v| matches!(v, V::Bool(_))) {
            Self::Bool(
                values.iter().map(|v| if let Some(V::Bool(b)) = v { Some(*b) } else { None }).collect(),
            )
        } else if some().all(|v| matches!(v, V::Int(_))) {
            Self::Int(values.iter().map(|v| if let Some(V::Int(i)) = v { Some(*i) } else { None }).collect())
        } else if some().all(|v| matches!(v, V::Int(_) | V::Float(_))) {
            let wide = |v: &Option<V>| match v {
                Some(V::Int(i)) => Some(*i as f64),
                Some(V::Float(f)) => Some(*f),
                _ => None,
            };
            Self::Float(values.iter().map(wide).collect())
        } else if some().all(|v| matches!(v, V::String(_))) {
            let own = |v: &Option<V>| if let Some(V::String(t)) = v { Some(t.to_string()) } else { None };
            Self::Text(values.iter().map(own).collect())
        } else if some().all(|v| matches!(v, V::Strings(_))) {
            let own = |v: &Option<V>| match v {
                Some(V::Strings(l)) => Some(l.iter().map(ToString::to_string).collect()),
                _ => None,
            };
            Self::Texts(values.iter().map(own).collect())
        } else if some().all(|v| matches!(v, V::Vector(_))) {
            Self::Vector(
                values
                    .iter()
                    .map(|v| if let Some(V::Vector(l)) = v { Some(l.clone()) } else { None })
                    .collect(),
            )
        } else {
            return None;
        })
    }

    /// The same cells in the type that a reserved attribute must have: times as whole milliseconds (from seconds, where
    /// all are small), `group` as text, `hidden` as bool. Other attributes stay as they are.
    #[must_use]
    pub fn reserved(self, name: &str) -> Self {
        let time = matches!(name, "created" | "available_from" | "available_until");
        match self {
            Self::Float(c) if time => {
                Self::Int(c.iter().map(|v| v.map(|x| x.round() as i64)).collect()).reserved(name)
            }
            Self::Int(c) if time => {
                let seconds = c.iter().flatten().all(|t| t.abs() < 100_000_000_000);
                Self::Int(c.iter().map(|v| v.map(|t| if seconds { t * 1000 } else { t })).collect())
            }
            Self::Int(c) if name == "hidden" => Self::Bool(c.iter().map(|v| v.map(|x| x != 0)).collect()),
            Self::Int(c) if name == "group" => {
                Self::Text(c.iter().map(|v| v.map(|x| x.to_string())).collect())
            }
            other => other,
        }
    }

    /// The given rows in order; `None` is an empty cell.
    #[must_use]
    fn pick(&self, rows: &[Option<usize>]) -> Self {
        fn of<T: Clone>(cells: &[Option<T>], rows: &[Option<usize>]) -> Vec<Option<T>> {
            rows.iter().map(|r| r.and_then(|r| cells[r].clone())).collect()
        }
        match self {
            Self::Bool(c) => Self::Bool(of(c, rows)),
            Self::Int(c) => Self::Int(of(c, rows)),
            Self::Float(c) => Self::Float(of(c, rows)),
            Self::Text(c) => Self::Text(of(c, rows)),
            Self::Texts(c) => Self::Texts(of(c, rows)),
            Self::Vector(c) => Self::Vector(of(c, rows)),
        }
    }
}

impl Sheet {
    /// Both sheets in one: ids of both, each once; where both describe an id, the other one's row counts.
    #[must_use]
    pub fn joined(self, other: Self) -> Self {
        use std::collections::BTreeMap;
        if other.ids.is_empty() {
            return self;
        }
        let mut ids: Vec<String> = Vec::new();
        let mut at: BTreeMap<String, usize> = BTreeMap::new();
        // For each id the row in either sheet.
        let (mut left, mut right) = (Vec::new(), Vec::new());
        let both = self.ids.iter().map(|id| (id, true)).chain(other.ids.iter().map(|id| (id, false)));
        for (n, (id, first)) in both.enumerate() {
            let row = *at.entry(id.clone()).or_insert_with(|| {
                ids.push(id.clone());
                left.push(None);
                right.push(None);
                ids.len() - 1
            });
            if first {
                left[row] = Some(n);
            } else {
                right[row] = Some(n - self.ids.len());
                left[row] = None;
            }
        }
        let mut columns: Vec<(String, Cells)> = Vec::new();
        for (name, cells) in &other.columns {
            let mut picked = cells.pick(&right);
            if let Some((_, mine)) =
                self.columns.iter().find(|(n, c)| n == name && c.value_type() == cells.value_type())
            {
                picked.fill_from(mine.pick(&left));
            }
            columns.push((name.clone(), picked));
        }
        for (name, cells) in &self.columns {
            if !columns.iter().any(|(n, _)| n == name) {
                columns.push((name.clone(), cells.pick(&left)));
            }
        }
        Self { ids, columns }
    }
}

impl Cells {
    fn fill_from(&mut self, other: Self) {
        fn fill<T>(mine: &mut [Option<T>], other: Vec<Option<T>>) {
            for (m, o) in mine.iter_mut().zip(other) {
                if m.is_none() {
                    *m = o;
                }
            }
        }
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => fill(a, b),
            (Self::Int(a), Self::Int(b)) => fill(a, b),
            (Self::Float(a), Self::Float(b)) => fill(a, b),
            (Self::Text(a), Self::Text(b)) => fill(a, b),
            (Self::Texts(a), Self::Texts(b)) => fill(a, b),
            (Self::Vector(a), Self::Vector(b)) => fill(a, b),
            _ => {}
        }
    }
}

/// Reads a finite number.
///
/// # Errors
/// A sentence with what was found.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(v) if v.is_finite() => Ok(v),
        _ => Err(format!("expected a number, found {text:?}")),
    }
}

fn each<T>(
    texts: &[&str],
    read: impl Fn(&str) -> Result<Option<T>, String>,
) -> Result<Vec<Option<T>>, (usize, String)> {
    texts
        .iter()
        .enumerate()
        .map(|(row, t)| if t.trim().is_empty() { Ok(None) } else { read(t).map_err(|e| (row, e)) })
        .collect()
}

fn split_list(text: &str, at: impl Fn(char) -> bool) -> Option<Vec<String>> {
    let list: Vec<String> = text.split(at).filter(|t| !t.is_empty()).map(str::to_owned).collect();
    // MovieLens writes this where it knows no genre.
    if list.is_empty() || text == "(no genres listed)" { None } else { Some(list) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_the_narrowest_that_fit() {
        assert_eq!(Cells::inferred("n", &["1", ""]), Cells::Int(vec![Some(1), None]));
        assert_eq!(Cells::inferred("n", &["1", "2.5"]), Cells::Float(vec![Some(1.0), Some(2.5)]));
        assert_eq!(Cells::inferred("b", &["true", "False"]), Cells::Bool(vec![Some(true), Some(false)]));
        assert_eq!(Cells::inferred("zip", &["0123"]), Cells::Text(vec![Some("0123".into())]));
        assert_eq!(
            Cells::inferred("genres", &["a|b", "c"]),
            Cells::Texts(vec![Some(vec!["a".into(), "b".into()]), Some(vec!["c".into()])])
        );
    }

    #[test]
    fn recbole_types_say_the_row_that_is_wrong() {
        assert_eq!(Cells::typed("year", "float", &["1", "x"]).unwrap_err().0, 1);
        assert!(matches!(Cells::typed("title", "token_seq", &["A b"]), Ok(Cells::Text(_))));
        assert!(matches!(Cells::typed("genre", "token_seq", &["A b"]), Ok(Cells::Texts(_))));
    }
}
