//! Finds the line of a dotted place (`recall.item_cf.quota`) in a TOML text, so that every fault names one.

use data_layer::config::toml_file::line_and_column;
use toml::de::{DeTable, DeValue};

/// Line, from 1, of the deepest part of `place` that the text has; 0 where it has none of it or is no TOML.
///
/// Steps are keys, or the `name` (else `kind`) of an element of a list of tables; the rest of the place may be one quoted key.
pub fn line_of(text: &str, place: &str) -> usize {
    let Ok(root) = DeTable::parse(text) else { return 0 };
    let steps: Vec<&str> = place.split('.').filter(|s| !s.is_empty()).collect();
    walk(root.get_ref(), &steps).map_or(0, |at| line_and_column(text, at).0)
}

/// Byte of the deepest step found.
fn walk(table: &DeTable<'_>, steps: &[&str]) -> Option<usize> {
    let (first, rest) = steps.split_first()?;
    let whole = steps.join(".");
    if let Some((key, _)) = table.iter().find(|(key, _)| key.get_ref() == whole.as_str()) {
        return Some(key.span().start);
    }
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == first)?;
    let deeper = match value.get_ref() {
        DeValue::Table(inner) => walk(inner, rest),
        DeValue::Array(list) => rest.split_first().and_then(|(name, rest)| {
            let element = list.iter().find(|e| is_called(e.get_ref(), name))?;
            let inner = element.get_ref().as_table()?;
            walk(inner, rest).or_else(|| first_key(inner)).or(Some(element.span().start))
        }),
        _ => None,
    };
    deeper.or(Some(key.span().start))
}

fn is_called(element: &DeValue<'_>, name: &str) -> bool {
    let field = |key: &str| element.get(key).and_then(|v| v.get_ref().as_str());
    field("name").or_else(|| field("kind")) == Some(name)
}

/// Byte of the first key of a component: a header `[[recall]]` has no span of its own worth naming.
fn first_key(table: &DeTable<'_>) -> Option<usize> {
    table.iter().map(|(key, _)| key.span().start).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "scene = 'home'\n\n[[recall]]\nname = 'a'\nkind = 'ranking'\nquota = 3\n[[recall]]\nkind = 'user_list'\ntable = 't'\n\
                        [rank]\nmodel = 'm'\n[[bucket]]\nname = 'b'\nset = { \"home.rank.model\" = 'x' }\n";

    #[test]
    fn places_have_lines() {
        assert_eq!(line_of(TEXT, "scene"), 1);
        assert_eq!(line_of(TEXT, "recall.a.quota"), 6);
        assert_eq!(line_of(TEXT, "recall.user_list.table"), 9);
        assert_eq!(line_of(TEXT, "recall.a.missing"), 4);
        assert_eq!(line_of(TEXT, "rank.model"), 11);
        assert_eq!(line_of(TEXT, "bucket.b.set.home.rank.model"), 14);
        assert_eq!(line_of(TEXT, "nothing.here"), 0);
        assert_eq!(line_of("not toml", "scene"), 0);
    }
}
