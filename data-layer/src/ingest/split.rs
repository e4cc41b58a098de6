//! Takes the text of a JSON array or object apart at its top level, without reading what is in it and without memory. What the parts
//! are is for a parser to say.

/// Where a scan is: within how many brackets, and whether within a string.
#[derive(Debug, Clone, Copy, Default)]
struct Place {
    depth: u32,
    quoted: bool,
    escaped: bool,
}

impl Place {
    /// Takes one byte in; `None` where a bracket closes that was not opened.
    fn step(&mut self, byte: u8) -> Option<()> {
        if self.quoted {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.quoted = false,
                _ => {}
            }
            return Some(());
        }
        match byte {
            b'"' => self.quoted = true,
            b'[' | b'{' => self.depth += 1,
            b']' | b'}' => self.depth = self.depth.checked_sub(1)?,
            _ => {}
        }
        Some(())
    }

    fn outside(&self) -> bool {
        self.depth == 0 && !self.quoted
    }
}

/// What stands between the bracket that a text begins with and the `close` that it ends with; `None` where these are not each other's.
#[must_use]
pub fn inside(text: &[u8], close: u8) -> Option<&[u8]> {
    let inner = text.trim_ascii().strip_suffix(&[close])?.get(1..)?;
    let mut place = Place::default();
    inner.iter().try_for_each(|byte| place.step(*byte))?;
    place.outside().then_some(inner)
}

/// The parts between the commas of the top level; one empty part for an empty text.
pub fn parts(inner: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(inner);
    std::iter::from_fn(move || {
        let text = rest?;
        let mut place = Place::default();
        let comma = text.iter().position(|byte| {
            let here = *byte == b',' && place.outside();
            // A text whose brackets do not fit ends as one part.
            here || place.step(*byte).is_none()
        });
        match comma.filter(|at| text[*at] == b',') {
            Some(at) => {
                rest = Some(&text[at + 1..]);
                Some(&text[..at])
            }
            None => {
                rest = None;
                Some(text)
            }
        }
    })
}

/// Name and value of a member of an object; `None` where it is none, or its name holds an escape.
#[must_use]
pub fn member(text: &[u8]) -> Option<(&str, &[u8])> {
    let text = text.trim_ascii().strip_prefix(b"\"")?;
    let end = text.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
    let value = text[end..].strip_prefix(b"\"")?.trim_ascii_start().strip_prefix(b":")?;
    Some((std::str::from_utf8(&text[..end]).ok()?, value.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_and_strings_hold_their_commas() {
        let text = br#"[ 1, {"a":[2,3]} ,"],\"[", ]"#;
        let inner = inside(text, b']').unwrap();
        let found: Vec<&str> = parts(inner).map(|p| std::str::from_utf8(p).unwrap().trim()).collect();
        assert_eq!(found, ["1", r#"{"a":[2,3]}"#, r#""],\"[""#, ""]);
        assert_eq!(parts(b"").count(), 1);
        for open in ["[", "[[]", "[]]", r#"["]"#, "[{]}]x", "]", ""] {
            assert_eq!(inside(open.as_bytes(), b']'), None, "{open}");
        }
    }

    #[test]
    fn members_have_names_and_values() {
        assert_eq!(member(b" \"a\" : [1] "), Some(("a", &b"[1]"[..])));
        assert_eq!(member(b"\"\":1"), Some(("", &b"1"[..])));
        for none in ["", "a:1", "\"a\"", "\"a\\u0062\":1", "\"a"] {
            assert_eq!(member(none.as_bytes()), None, "{none}");
        }
    }
}
