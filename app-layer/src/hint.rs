//! "Did you mean": the nearest of the known names, for messages. Not for matching.

use data_layer::config::toml_file::suggest;

/// `; did you mean "x"?` for the nearest known name, else `; known: a, b, …`, else nothing.
pub fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    match suggest(name, known.iter().copied()) {
        Some(near) => format!("; did you mean {near:?}?"),
        None if known.is_empty() || known.len() > 40 => String::new(),
        None => format!("; known: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_offered_else_all() {
        assert_eq!(did_you_mean("szie", ["size", "scene"]), "; did you mean \"size\"?");
        assert_eq!(did_you_mean("zzzz", ["size", "scene"]), "; known: size, scene");
        assert_eq!(did_you_mean("x", []), "");
    }
}
