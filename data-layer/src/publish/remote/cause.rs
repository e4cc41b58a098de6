//! What a store said, in words that are the same each time and hold no secret. Messages of the libraries below name times and
//! counts, so that every failure would look new, and may repeat what a request was signed with.

use object_store::Error as Said;

use crate::Error;

/// Variables whose values never leave the process.
const SECRETS: [&str; 4] =
    ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN"];
/// Longest part of a store's answer that is repeated, in characters.
const LONGEST: usize = 300;

/// The error for something in a store: where it is, and what the store said.
pub(crate) fn error(place: impl Into<String>, said: &Said) -> Error {
    Error::Store { place: place.into(), detail: hide(&words(said), |name| std::env::var(name).ok()) }
}

fn words(said: &Said) -> String {
    match said {
        Said::NotFound { .. } => "not found".to_owned(),
        Said::Precondition { .. } | Said::AlreadyExists { .. } => {
            "was changed by somebody else meanwhile".to_owned()
        }
        other if denied(other) => {
            let told = answer(&deepest(said));
            format!(
                "access denied{told}; expected keys that may read it (and write it, for a push) in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            )
        }
        other => {
            let deepest = deepest(other);
            let told = answer(&deepest);
            if told.is_empty() { deepest } else { format!("the store refused{told}") }
        }
    }
}

/// Whether it is about keys. Some calls of the library say so in the text only.
fn denied(said: &Said) -> bool {
    let codes =
        ["AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"];
    let text = deepest(said);
    matches!(said, Said::PermissionDenied { .. } | Said::Unauthenticated { .. })
        || codes.iter().any(|code| text.contains(&format!("<Code>{code}</Code>")))
}

/// The cause of the cause, which is what the system or the store said.
fn deepest(error: &dyn std::error::Error) -> String {
    let mut at = error;
    while let Some(source) = at.source() {
        at = source;
    }
    at.to_string()
}

/// ` (Code: Message)` of an answer in XML; nothing where there is none.
fn answer(text: &str) -> String {
    let part = |name: &str| {
        let rest = text.split_once(&format!("<{name}>"))?.1;
        Some(rest.split_once("</")?.0.trim().to_owned())
    };
    match (part("Code"), part("Message")) {
        (Some(code), Some(message)) => format!(" ({code}: {message})"),
        (Some(code), None) => format!(" ({code})"),
        _ => String::new(),
    }
}

/// The text on one line, cut, without the values of [`SECRETS`].
fn hide(text: &str, value: impl Fn(&str) -> Option<String>) -> String {
    let mut text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for secret in SECRETS.into_iter().filter_map(value).filter(|secret| !secret.trim().is_empty()) {
        text = text.replace(secret.trim(), "…");
    }
    if text.chars().count() > LONGEST {
        text = text.chars().take(LONGEST).chain(['…']).collect();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_hidden_and_long_answers_cut() {
        let value = |name: &str| (name == "AWS_SECRET_ACCESS_KEY").then(|| "hunter2".to_owned());
        assert_eq!(hide("signed\n with hunter2!", value), "signed with …!");
        assert_eq!(hide(&"x".repeat(1000), value).chars().count(), LONGEST + 1);
    }

    #[test]
    fn answers_are_told_by_code_and_message() {
        let xml = "<?xml?><Error><Code>NoSuchBucket</Code><Message>There is none</Message></Error>";
        assert_eq!(answer(xml), " (NoSuchBucket: There is none)");
        assert_eq!(answer("no xml"), "");
    }
}
