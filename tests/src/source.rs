//! Rust source as text: enough of a reader to blank comments and strings, leave tests out, and measure functions.
//! Not a parser: it knows tokens that can hide a brace, and braces.

/// Blanks comments, strings and character literals; every byte keeps its line.
#[must_use]
pub fn code_only(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = hidden_until(bytes, at);
        for byte in out.iter_mut().take(end).skip(at).filter(|b| **b != b'\n') {
            *byte = b' ';
        }
        at = end.max(at + 1);
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Where the comment or literal that starts at `at` ends; `at` itself where none does.
fn hidden_until(bytes: &[u8], at: usize) -> usize {
    let rest = &bytes[at..];
    let word_before = at > 0 && (bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
    if rest.starts_with(b"//") {
        return at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len());
    }
    if rest.starts_with(b"/*") {
        return block_comment(bytes, at);
    }
    if !word_before && let Some(end) = raw_string(bytes, at) {
        return end;
    }
    match rest[0] {
        b'"' => quoted(bytes, at + 1, b'"'),
        b'\'' if is_character(rest) => quoted(bytes, at + 1, b'\''),
        _ => at,
    }
}

fn block_comment(bytes: &[u8], at: usize) -> usize {
    let (mut i, mut depth) = (at, 0);
    while i < bytes.len() {
        if bytes[i..].starts_with(b"/*") {
            depth += 1;
            i += 2;
        } else if bytes[i..].starts_with(b"*/") {
            depth -= 1;
            i += 2;
            if depth == 0 {
                return i;
            }
        } else {
            i += 1;
        }
    }
    bytes.len()
}

fn raw_string(bytes: &[u8], at: usize) -> Option<usize> {
    let mut i = at;
    if bytes.get(i) == Some(&b'b') {
        i += 1;
    }
    if bytes.get(i) != Some(&b'r') {
        return None;
    }
    let hashes = bytes[i + 1..].iter().take_while(|b| **b == b'#').count();
    i += 1 + hashes;
    if bytes.get(i) != Some(&b'"') {
        return None;
    }
    let close: Vec<u8> = std::iter::once(b'"').chain(std::iter::repeat_n(b'#', hashes)).collect();
    let end = bytes[i + 1..].windows(close.len()).position(|w| w == close)?;
    Some(i + 1 + end + close.len())
}

fn quoted(bytes: &[u8], mut i: usize, close: u8) -> usize {
    while i < bytes.len() && bytes[i] != close {
        i += if bytes[i] == b'\\' { 2 } else { 1 };
    }
    (i + 1).min(bytes.len())
}

/// A quote starts a character, not a lifetime, where a backslash follows or the next character is followed by a quote.
fn is_character(rest: &[u8]) -> bool {
    let Some(next) = rest.get(1) else { return false };
    let width = match next {
        b'\\' => return true,
        b if *b < 0x80 => 1,
        b if *b >= 0xf0 => 4,
        b if *b >= 0xe0 => 3,
        _ => 2,
    };
    rest.get(1 + width) == Some(&b'\'')
}

/// Where the items under `#[cfg(test)]` stand, given text from [`code_only`].
fn tests_in(code: &str) -> Vec<std::ops::Range<usize>> {
    let mut found: Vec<std::ops::Range<usize>> = Vec::new();
    for (start, mark) in code.match_indices("#[cfg(test)]") {
        if found.last().is_none_or(|last| last.end <= start) {
            found.push(start..item_end(code.as_bytes(), start + mark.len()));
        }
    }
    found
}

/// Blanks every item under `#[cfg(test)]`, given text from [`code_only`].
#[must_use]
pub fn without_tests(code: &str) -> String {
    let mut out = code.as_bytes().to_vec();
    for range in tests_in(code) {
        for byte in out[range].iter_mut().filter(|b| **b != b'\n') {
            *byte = b' ';
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// End of the item that starts at `at`: past its closing brace, or its semicolon.
fn item_end(code: &[u8], at: usize) -> usize {
    let (mut i, mut round) = (at, 0i32);
    while i < code.len() {
        match code[i] {
            b'(' | b'[' => round += 1,
            b')' | b']' => round -= 1,
            b';' if round == 0 => return i + 1,
            b'{' if round == 0 => return matching(code, i),
            _ => {}
        }
        i += 1;
    }
    code.len()
}

/// Past the brace that closes the one at `open`.
fn matching(code: &[u8], open: usize) -> usize {
    let mut depth = 0;
    for (i, byte) in code.iter().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return i + 1;
        }
    }
    code.len()
}

/// A function and the lines it takes, signature included.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// First line, from 1.
    pub line: usize,
    /// How many lines.
    pub lines: usize,
}

/// All functions with a body in text from [`code_only`].
#[must_use]
pub fn functions(code: &str) -> Vec<Function> {
    let bytes = code.as_bytes();
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let starts_word = at == 0 || !(bytes[at - 1].is_ascii_alphanumeric() || bytes[at - 1] == b'_');
        let rest = code[at + 3..].trim_start();
        let name: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if !starts_word || name.is_empty() {
            continue;
        }
        let end = item_end(bytes, at);
        if bytes.get(end.wrapping_sub(1)) != Some(&b'}') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        found.push(Function { name, line, lines: code[at..end].matches('\n').count() + 1 });
    }
    found
}

/// Lines that count: those outside of tests.
#[must_use]
pub fn lines_without_tests(text: &str) -> usize {
    let code = code_only(text);
    let tests: usize = tests_in(&code).into_iter().map(|range| text[range].lines().count()).sum();
    text.lines().count() - tests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_hides_braces_is_blanked() {
        let text = "fn a() { let x = \"}\"; let c = '}'; let r = r#\"}\"}\"#; } // }\n/* } /* } */ } */ fn b<'a>() {}\n";
        let code = code_only(text);
        assert_eq!(code.len(), text.len());
        assert_eq!(code.matches('}').count(), 2);
        assert!(code.contains("<'a>"));
    }

    #[test]
    fn functions_are_measured_whole() {
        let text =
            "fn one() {}\nimpl X {\n    fn three(\n        a: [u8; 4],\n    ) { a; }\n    fn no_body();\n}\n";
        let found = functions(&code_only(text));
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].line, found[0].lines), (1, 1));
        assert_eq!((found[1].name.as_str(), found[1].lines), ("three", 3));
    }

    #[test]
    fn tests_do_not_count() {
        let text =
            "//! head\nfn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { x.unwrap() }\n}\nfn c() {}\n";
        let code = without_tests(&code_only(text));
        assert!(!code.contains("unwrap") && code.contains("fn c"));
        assert_eq!(lines_without_tests(text), 3);
    }
}
