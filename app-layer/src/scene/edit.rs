//! What a bucket changes in a scene: paths to set and to remove, applied to the scene's TOML tree before it is compiled.

use toml::{Table, Value};

use crate::hint::did_you_mean;

/// Sections that hold lists of named components.
pub const LISTS: [&str; 3] = ["recall", "filter", "strategy"];

/// Keys of a scene that name recalls; a removed recall leaves them too.
const NAMING: [&str; 2] = ["fallback", "non_personal"];

/// The name of a component: its `name`, else its `kind`.
pub fn name_of(component: &Value) -> Option<&str> {
    component.as_table().and_then(named)
}

/// [`name_of`] of a table.
pub fn named(component: &Table) -> Option<&str> {
    let field = |key: &str| component.get(key).and_then(Value::as_str);
    field("name").or_else(|| field("kind"))
}

/// Sets one value. `path` is without the scene: `size`, `rank.model`, `strategy.variety.lambda`.
///
/// # Errors
/// A sentence, when the path leads nowhere.
pub fn set(tree: &mut Table, path: &str, value: &Value) -> Result<(), String> {
    let steps: Vec<&str> = path.split('.').collect();
    match steps.as_slice() {
        [key] if !LISTS.contains(key) => {
            tree.insert((*key).to_owned(), value.clone());
            Ok(())
        }
        [section, name, key] if LISTS.contains(section) => {
            component(tree, section, name)?.insert((*key).to_owned(), value.clone());
            Ok(())
        }
        [section, key] if !LISTS.contains(section) => {
            let inner = tree.entry(*section).or_insert_with(|| Value::Table(Table::new()));
            let inner = inner.as_table_mut().ok_or_else(|| format!("{section:?} is not a section"))?;
            inner.insert((*key).to_owned(), value.clone());
            Ok(())
        }
        _ => Err(format!(
            "{path:?} is no path; expected a key, section.key, or one of {}.NAME.key",
            LISTS.join(" | ")
        )),
    }
}

/// Removes a component (`recall.hot`), a section (`rank`) or a key (`rank.model`, `size`).
///
/// # Errors
/// A sentence, when there is nothing of that name.
pub fn remove(tree: &mut Table, path: &str) -> Result<(), String> {
    let steps: Vec<&str> = path.split('.').collect();
    let gone = match steps.as_slice() {
        [section, name] if LISTS.contains(section) => return remove_component(tree, section, name),
        [section, name, key] if LISTS.contains(section) => component(tree, section, name)?.remove(*key),
        [section, key] => tree.get_mut(*section).and_then(Value::as_table_mut).and_then(|t| t.remove(*key)),
        [key] => tree.remove(*key),
        _ => None,
    };
    gone.map(|_| ()).ok_or_else(|| format!("there is no {path:?} to remove"))
}

fn remove_component(tree: &mut Table, section: &str, name: &str) -> Result<(), String> {
    component(tree, section, name)?;
    if let Some(Value::Array(list)) = tree.get_mut(section) {
        list.retain(|c| name_of(c) != Some(name));
    }
    if section == "recall" {
        for key in NAMING {
            if let Some(Value::Array(names)) = tree.get_mut(key) {
                names.retain(|n| n.as_str() != Some(name));
            }
        }
    }
    Ok(())
}

fn component<'a>(tree: &'a mut Table, section: &str, name: &str) -> Result<&'a mut Table, String> {
    let list = tree.get_mut(section).and_then(Value::as_array_mut);
    let list = list.ok_or_else(|| format!("the scene has no [[{section}]]"))?;
    let Some(at) = list.iter().position(|c| name_of(c) == Some(name)) else {
        let hint = did_you_mean(name, list.iter().filter_map(name_of));
        return Err(format!("the scene has no {section} named {name:?}{hint}"));
    };
    list[at].as_table_mut().ok_or_else(|| format!("{section}.{name} is not a table"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene() -> Table {
        "size = 20\nfallback = ['hot']\n[[recall]]\nname='cf'\nkind='item_to_item'\n[[recall]]\nkind='hot'\n[rank]\nmodel='m'\n"
            .parse()
            .unwrap()
    }

    #[test]
    fn sets_keys_sections_and_components() {
        let mut tree = scene();
        set(&mut tree, "size", &Value::Integer(5)).unwrap();
        set(&mut tree, "rank.model", &Value::from("m@2")).unwrap();
        set(&mut tree, "explore.method", &Value::from("none")).unwrap();
        set(&mut tree, "recall.cf.quota", &Value::Integer(9)).unwrap();
        assert_eq!(tree["size"].as_integer(), Some(5));
        assert_eq!(tree["rank"]["model"].as_str(), Some("m@2"));
        assert_eq!(tree["explore"]["method"].as_str(), Some("none"));
        assert_eq!(tree["recall"][0]["quota"].as_integer(), Some(9));
        let error = set(&mut tree, "recall.fc.quota", &Value::Integer(9)).unwrap_err();
        assert!(error.contains("did you mean \"cf\"?"), "{error}");
        assert!(set(&mut tree, "recall", &Value::Integer(9)).is_err());
        assert!(set(&mut tree, "a.b.c.d", &Value::Integer(9)).is_err());
    }

    #[test]
    fn a_removed_recall_leaves_the_lists_that_name_it() {
        let mut tree = scene();
        remove(&mut tree, "recall.hot").unwrap();
        assert_eq!(tree["recall"].as_array().map(Vec::len), Some(1));
        assert_eq!(tree["fallback"].as_array().map(Vec::len), Some(0));
        remove(&mut tree, "rank").unwrap();
        assert!(!tree.contains_key("rank"));
        assert!(remove(&mut tree, "rank").is_err());
        assert!(remove(&mut tree, "recall.hot").is_err());
    }
}
