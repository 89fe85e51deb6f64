//! Results as JSON: one document on standard output, whose form `schemas/` describes.

use anyhow::{Context, Result};
use serde::Serialize;

/// The version of the documents' form. It grows when a field goes or changes its meaning; new ones may come at any
/// time.
const SCHEMA_VERSION: u32 = 1;

/// A result and what kind of document it is.
#[derive(Debug, Serialize)]
struct Document<'a, T> {
    schema_version: u32,
    kind: &'a str,
    #[serde(flatten)]
    body: &'a T,
}

/// The text of a document of this kind; its fields are those of `body`, which is a struct.
pub(crate) fn document(kind: &str, body: &impl Serialize) -> Result<String> {
    let document = Document { schema_version: SCHEMA_VERSION, kind, body };
    let mut text = serde_json::to_string_pretty(&document).context("cannot write the result as JSON")?;
    text.push('\n');
    Ok(text)
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
}
