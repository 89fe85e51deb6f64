//! Reads a YAML file strictly, and reports errors without showing any value.
//!
//! The parser's own messages show neighbouring lines, which may hold a password, and values of the wrong type. Messages
//! here contain only the line number and a description without values. Duplicate keys are errors.

use crate::text::meant;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_yaml::{Error as SaphyrError, Spanned};
use std::fmt;

/// The keys of a file that a message may show. An unknown key may be a secret in the wrong place.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shown<'a> {
    /// All keys: the file holds no secret.
    All,
    /// These keys, and mistyped keys that resemble them.
    Known(&'a [&'static str]),
}

/// An error in a YAML text. It contains nothing of the text except names of keys that may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct YamlError {
    /// The number of the line, from 1; `None` if the parser does not report it.
    pub(crate) line: Option<u64>,
    /// A description of the error.
    pub(crate) message: String,
}

/// A key of a flat mapping, its value, and their line.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    /// `None` for an empty value, `~` and `null`.
    pub(crate) value: Option<String>,
    /// The number of the key's line, from 1.
    pub(crate) line: u64,
}

/// A mapping of keys to single values, in the order of the file. Numbers and booleans are kept as written.
#[derive(Debug, Default)]
pub(crate) struct Entries(pub(crate) Vec<Entry>);

/// Parses one YAML document of a file without secrets.
///
/// # Errors
///
/// The text is not one YAML document in the form of `T`, or has duplicate keys or merge keys.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, YamlError> {
    parse_showing(text, Shown::All)
}

/// Parses one YAML document of a file that may hold secrets, even in place of a key.
///
/// # Errors
///
/// Those of [`parse`]. A message shows only these keys, and mistyped keys that resemble them.
pub(crate) fn parse_secret<T: DeserializeOwned>(text: &str, keys: &[&'static str]) -> Result<T, YamlError> {
    parse_showing(text, Shown::Known(keys))
}

fn parse_showing<T: DeserializeOwned>(text: &str, shown: Shown<'_>) -> Result<T, YamlError> {
    let options = serde_yaml::options! {
        with_snippet: false,
        duplicate_keys: serde_yaml::options::DuplicateKeyPolicy::Error,
        merge_keys: serde_yaml::options::MergeKeyPolicy::Error,
    };
    serde_yaml::from_str_with_options(text, options)
        .map_err(|error| line_with_tab(text).unwrap_or_else(|| describe(&error, shown)))
}

impl<'de> serde::Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor;

        impl<'de> Visitor<'de> for EntriesVisitor {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("lines of the form `key: value`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some((key, value)) = map.next_entry::<Spanned<String>, Option<String>>()? {
                    entries.push(Entry { line: key.referenced.line(), key: key.value, value });
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(EntriesVisitor)
    }
}

/// The error of an indentation with a tab, at which the parser reports another line or another fault.
fn line_with_tab(text: &str) -> Option<YamlError> {
    let indented_by_tab =
        |line: &str| line.trim_start_matches(' ').starts_with('\t') && !line.trim().is_empty();
    let place = text.lines().position(indented_by_tab)?;
    let line = u64::try_from(place).ok()?.checked_add(1);
    Some(YamlError { line, message: "the line is indented by a tab; YAML allows only spaces".to_owned() })
}

fn describe(error: &SaphyrError, shown: Shown<'_>) -> YamlError {
    if let SaphyrError::AliasError { error, .. } | SaphyrError::WithSnippet { error, .. } = error {
        return describe(error, shown);
    }
    let line = error.location().map(|location| location.line()).filter(|line| *line > 0);
    YamlError { line, message: message(error, shown) }
}

/// Only variants whose fields hold keys, or texts of the schema, may show their fields.
pub(crate) fn message(error: &SaphyrError, shown: Shown<'_>) -> String {
    match error {
        SaphyrError::DuplicateMappingKey { key, .. } => {
            match key.as_deref().filter(|key| shown.allows(key)) {
                Some(key) => format!("duplicate key `{key}`; remove one of them"),
                None => "duplicate key; remove one of them".to_owned(),
            }
        }
        SaphyrError::SerdeUnknownField { field, expected, .. } => unknown_key(field, expected),
        SaphyrError::SerdeUnknownVariant { variant, expected, .. } => unknown_word(variant, expected),
        SaphyrError::SerdeMissingField { field, .. } => format!("the key `{field}` is missing"),
        SaphyrError::Eof { .. } => "the file ends too early, or is empty".to_owned(),
        SaphyrError::MultipleDocuments { .. } => "more than one YAML document".to_owned(),
        SaphyrError::MergeKeyNotAllowed { .. } => "merge keys (`<<`) are not supported".to_owned(),
        SaphyrError::Unexpected { expected, .. } => format!("unexpected value, expected {expected}"),
        SaphyrError::InvalidScalar { ty, .. } => format!("unexpected value, expected {ty}"),
        SaphyrError::SerdeInvalidType { expected, .. } => format!("unexpected value, expected {expected}"),
        SaphyrError::NullIntoString { .. } => "a value is missing".to_owned(),
        _ => {
            "not valid YAML; check the indentation and quotes, and that a space follows each colon".to_owned()
        }
    }
}

/// The message about a value that is none of the possible words. It shows the value only if it resembles one of them.
fn unknown_word(word: &str, possible: &[&'static str]) -> String {
    match meant(word, possible) {
        Some(meant) => format!("unknown value `{word}`; did you mean `{meant}`?"),
        None => format!("unknown value, expected one of: {}", possible.join(", ")),
    }
}

/// The message about an unknown key. It shows the key only if the key resembles a known one.
pub(crate) fn unknown_key(key: &str, known: &[&'static str]) -> String {
    match meant(key, known) {
        Some(meant) => format!("unknown key `{key}`; did you mean `{meant}`?"),
        None => {
            format!("unknown key (not shown, as it may be a secret), expected one of: {}", known.join(", "))
        }
    }
}

impl Shown<'_> {
    fn allows(self, key: &str) -> bool {
        match self {
            Self::All => true,
            Self::Known(known) => known.contains(&key),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_kept_as_written() {
        let Entries(entries) = parse("a: 0123\nb: yes\n# c\nd: \"x: y\"\ne:\nf: ~\ng: 1e3\n").unwrap();
        let found: Vec<_> = entries.iter().map(|e| (e.key.as_str(), e.value.as_deref(), e.line)).collect();
        assert_eq!(
            found,
            [
                ("a", Some("0123"), 1),
                ("b", Some("yes"), 2),
                ("d", Some("x: y"), 4),
                ("e", None, 5),
                ("f", None, 6),
                ("g", Some("1e3"), 7)
            ]
        );
    }

    #[test]
    fn a_tab_and_a_mistyped_word_are_named() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(rename_all = "lowercase")]
        enum Kind {
            Assistant,
            Orchestrate,
        }
        #[derive(Debug, serde::Deserialize)]
        struct File {
            #[serde(rename = "type")]
            _kind: Kind,
        }
        let fails = |text| parse::<File>(text).unwrap_err();
        assert_eq!(fails("type: asistant\n").message, "unknown value `asistant`; did you mean `assistant`?");
        assert_eq!(fails("type: secret\n").message, "unknown value, expected one of: assistant, orchestrate");
        let error = fails("\ntype:\n\tassistant\n");
        assert_eq!((error.line, error.message.contains("a tab")), (Some(3), true), "{error:?}");
        let _ = (Kind::Assistant, Kind::Orchestrate);
    }

    #[test]
    fn a_duplicate_key_is_named_with_its_line() {
        let error = parse_secret::<Entries>("host: a\nport: 1\nhost: b\n", &["host"]).unwrap_err();
        assert_eq!(
            (error.line, error.message.as_str()),
            (Some(3), "duplicate key `host`; remove one of them")
        );
    }

    #[test]
    fn a_key_that_may_be_a_secret_is_not_shown() {
        let error = parse_secret::<Entries>("S3cret: a\nS3cret: b\n", &["host"]).unwrap_err();
        assert_eq!((error.line, error.message.as_str()), (Some(2), "duplicate key; remove one of them"));
        let known = ["host", "su_password"];
        assert_eq!(
            unknown_key("su_pasword", &known),
            "unknown key `su_pasword`; did you mean `su_password`?"
        );
        for secret in ["S3cret", "hunter2", "correct horse battery staple", "\u{1b}[2J", "hosts3cret"] {
            assert!(!unknown_key(secret, &known).contains(secret), "{secret:?}");
        }
    }

    #[test]
    fn no_error_shows_the_text() {
        let texts = [
            "host: a\nsu_password: S3cret\n bad: indentation\n",
            "host: a\nsu_password: \"S3cret\nport: 1\n",
            "su_password: [S3cret, x]\n",
            "su_password: {S3cret: x}\n",
            "S3cret\n",
            "- S3cret\n",
            "su_password: *S3cret\n",
            "su_password: !!int S3cret\n",
            "su_password: S3cret: x\n",
            "a: b\n---\nsu_password: S3cret\n",
            "su_password: @S3cret\n",
            "su_password: S3cret\n\thost: a\n",
        ];
        for text in texts {
            let error = parse_secret::<Entries>(text, &["host", "su_password"]).expect_err(text);
            assert!(!format!("{error:?}").contains("S3cret"), "{text:?}: {error:?}");
        }
    }
}
