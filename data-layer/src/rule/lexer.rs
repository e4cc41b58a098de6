//! Text to tokens with places. What CEL has and this version does not is refused here by name where it is a token of its own.

use super::RuleError;

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) at: usize,
    pub(super) len: usize,
}

/// What a token is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Kind {
    Name(String),
    Int(i64),
    Float(f64),
    Text(String),
    Sign(&'static str),
}

/// Longer ones first.
const SIGNS: [&str; 15] = ["==", "!=", "<=", ">=", "&&", "||", "<", ">", "!", "(", ")", "[", "]", ",", "."];

const LATER: [char; 9] = ['+', '*', '/', '%', '?', ':', '{', '}', ';'];

pub(super) fn tokens(text: &str) -> Result<Vec<Token>, RuleError> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let (kind, len) = one(text, at, c)?;
        all.push(Token { kind, at, len });
        at += len;
    }
    Ok(all)
}

fn one(text: &str, at: usize, c: char) -> Result<(Kind, usize), RuleError> {
    let rest = &text[at..];
    if c.is_ascii_alphabetic() || c == '_' {
        let len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        return Ok((Kind::Name(rest[..len].to_owned()), len));
    }
    let second = rest.chars().nth(1);
    if c.is_ascii_digit() || (matches!(c, '-' | '.') && second.is_some_and(|d| d.is_ascii_digit())) {
        return number(rest, at);
    }
    if c == '\'' || c == '"' {
        return string(rest, at, c);
    }
    if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        return Ok((Kind::Sign(sign), sign.len()));
    }
    let found = |detail: String| RuleError::new(at, c.len_utf8(), detail);
    Err(match c {
        '=' => found("unexpected `=`".to_owned()).hint("equality is written `==`"),
        '&' | '|' => found(format!("unexpected `{c}`")).hint(format!("write `{c}{c}`")),
        '-' => found("`-` is not supported by this version, save in front of a number".to_owned()),
        _ if LATER.contains(&c) => found(format!("`{c}` is not supported by this version"))
            .hint("there are comparisons, `in`, `&&`, `||`, `!`, parentheses and lists"),
        _ => found(format!("unexpected character {c:?}")),
    })
}

fn number(rest: &str, at: usize) -> Result<(Kind, usize), RuleError> {
    let bytes = rest.as_bytes();
    let digits = |mut from: usize| {
        while bytes.get(from).is_some_and(u8::is_ascii_digit) {
            from += 1;
        }
        from
    };
    let mut end = digits(usize::from(bytes[0] == b'-'));
    let mut whole = true;
    if bytes.get(end) == Some(&b'.') && bytes.get(end + 1).is_some_and(u8::is_ascii_digit) {
        (end, whole) = (digits(end + 1), false);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if bytes.get(end + 1 + sign).is_some_and(u8::is_ascii_digit) {
            (end, whole) = (digits(end + 1 + sign), false);
        }
    }
    let trailing = rest[end..].chars().next().filter(|c| c.is_ascii_alphanumeric() || *c == '_');
    if let Some(c) = trailing {
        return Err(RuleError::new(
            at,
            end + c.len_utf8(),
            format!("unexpected {c:?} after the number {}", &rest[..end]),
        ));
    }
    let wrong = |wanted: &str| RuleError::new(at, end, format!("expected {wanted}, found {}", &rest[..end]));
    let kind = if whole {
        Kind::Int(rest[..end].parse().map_err(|_| wrong("a 64-bit integer"))?)
    } else {
        let float: f64 = rest[..end].parse().map_err(|_| wrong("a number"))?;
        Kind::Float(Some(float).filter(|f| f.is_finite()).ok_or_else(|| wrong("a finite number"))?)
    };
    Ok((kind, end))
}

fn string(rest: &str, at: usize, quote: char) -> Result<(Kind, usize), RuleError> {
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((place, c)) = chars.next() {
        match c {
            c if c == quote => return Ok((Kind::Text(text), place + 1)),
            '\\' => {
                let escape = chars.next().map(|(_, c)| c);
                text.push(match escape {
                    Some('n') => '\n',
                    Some('t') => '\t',
                    Some('r') => '\r',
                    Some(c @ ('\\' | '\'' | '"')) => c,
                    Some('u') => unicode(&mut chars).ok_or_else(|| {
                        RuleError::new(at + place, 2, "expected four hexadecimal digits after `\\u`")
                    })?,
                    _ => {
                        let wrong = RuleError::new(at + place, 1, "unknown escape in a string");
                        return Err(
                            wrong.hint("there are \\n \\t \\r \\\\ \\' \\\" and \\u with four digits")
                        );
                    }
                });
            }
            c => text.push(c),
        }
    }
    Err(RuleError::new(at, rest.len(), format!("this string has no closing {quote}")))
}

fn unicode(chars: &mut impl Iterator<Item = (usize, char)>) -> Option<char> {
    let mut code = 0;
    for _ in 0..4 {
        code = code * 16 + chars.next()?.1.to_digit(16)?;
    }
    char::from_u32(code)
}
