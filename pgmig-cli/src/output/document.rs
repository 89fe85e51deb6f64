//! Results as JSON: one document on standard output, whose form `schemas/` describes.

use anyhow::{Context, Result};
use pgmig_core::text::is_unprintable;
use serde::Serialize;
use std::fmt::Write;

/// The version of the documents' form. It increases when a field is removed or changes its meaning. New fields may come
/// without a new version.
const SCHEMA_VERSION: u32 = 1;

/// A result, and the kind of its document.
#[derive(Debug, Serialize)]
struct Document<'a, T> {
    schema_version: u32,
    kind: &'a str,
    #[serde(flatten)]
    body: &'a T,
}

/// The text of a document of this kind. Its fields are those of the struct `body`. Values are exact; characters that
/// control or mislead a terminal are written as JSON escapes.
pub(super) fn document(kind: &str, body: &impl Serialize) -> Result<String> {
    let document = Document { schema_version: SCHEMA_VERSION, kind, body };
    let text = serde_json::to_string_pretty(&document).context("cannot write the result as JSON")?;
    Ok(harmless(&text))
}

/// A line of JSON for a value.
pub(crate) fn line(value: &impl Serialize) -> Result<String> {
    Ok(harmless(&serde_json::to_string(value).context("cannot write an event as JSON")?))
}

/// The same JSON with a line end, without characters that control or mislead a terminal.
fn harmless(json: &str) -> String {
    let mut text = String::with_capacity(json.len() + 1);
    for c in json.chars() {
        if c == '\n' || !is_unprintable(c) {
            text.push(c);
            continue;
        }
        // Such a character is inside a string: outside strings, this JSON has only spaces and line ends.
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
    text.push('\n');
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_document_says_what_it_is_before_all_else() {
        #[derive(Serialize)]
        struct Body {
            bytes: u64,
        }
        let text = document("probe", &Body { bytes: u64::MAX }).unwrap();
        let expected =
            "{\n  \"schema_version\": 1,\n  \"kind\": \"probe\",\n  \"bytes\": 18446744073709551615\n}\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn values_are_exact_and_harmless() {
        #[derive(Serialize)]
        struct Body {
            name: &'static str,
        }
        let name = "a\n\u{1b}[2J\u{7f}\u{9b}\u{202e}\u{e0041}é\"\\";
        let text = document("probe", &Body { name }).unwrap();
        assert!(!text.chars().any(|c| c != '\n' && is_unprintable(c)), "{text:?}");
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read.get("name").and_then(|name| name.as_str()), Some(name));
    }
}
