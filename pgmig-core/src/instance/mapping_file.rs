//! Reads `enteredMapping.yaml`.

use super::{InstanceId, Mapping, MappingError};
use crate::config_file::{self, FileKind};
use crate::server::yaml::{self, Shown};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_yaml::{DuplicateKeyPolicy, MergeKeyPolicy, Spanned};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;

/// The largest mapping file that pgmig reads, in bytes: room for more than 800,000 instances.
pub const MAX_MAPPING_BYTES: u64 = 64 << 20;

impl Mapping {
    /// Reads a mapping file.
    ///
    /// # Errors
    ///
    /// [`MappingError::File`], and those of [`from_yaml`](Self::from_yaml).
    pub fn read(path: &Path) -> Result<Self, MappingError> {
        let text = config_file::read(path, FileKind::Mapping, MAX_MAPPING_BYTES)?;
        let mixed_up = || config_file::mixed_up(path, &text, FileKind::Mapping);
        Self::from_yaml(&text, &path.display().to_string())
            .map_err(|error| mixed_up().map_or(error, MappingError::from))
    }

    /// Reads the text of a mapping file; `file` names it in errors.
    ///
    /// # Errors
    ///
    /// Any [`MappingError`] that names a file and a line.
    ///
    /// ```
    /// use pgmig_core::instance::Mapping;
    /// let yaml = "instance-mappings:\n  \
    ///     00000000-0000-0000-0000-001570184978: 00000000-0000-0000-0000-001570194490\n";
    /// let mapping = Mapping::from_yaml(yaml, "enteredMapping.yaml")?;
    /// assert_eq!(mapping.to_yaml(), yaml);
    /// # Ok::<(), pgmig_core::instance::MappingError>(())
    /// ```
    pub fn from_yaml(text: &str, file: &str) -> Result<Self, MappingError> {
        // Unknown keys come first: their values may have any form.
        let top: Entries<serde::de::IgnoredAny> = parse(text, file, TOP_LEVEL)?;
        if let Some((key, _)) = top.0.iter().find(|(key, _)| key.value != TOP_LEVEL_KEY) {
            let problem = yaml::unknown_key(&key.value, &[TOP_LEVEL_KEY]);
            return Err(malformed(file, key.defined.line(), problem));
        }
        if top.0.is_empty() {
            return Err(malformed(file, 1, format!("expected {TOP_LEVEL}")));
        }
        let top: Entries<Entries<Spanned<String>>> = parse(text, file, PAIRS)?;
        let entries = top.0.into_iter().flat_map(|(_, entries)| entries.0);
        unique_pairs(entries, file).map(Mapping::from_unique)
    }
}

/// The only key of a mapping file's top level.
const TOP_LEVEL_KEY: &str = "instance-mappings";

/// The expected contents of the file and of its only key, for errors.
const TOP_LEVEL: &str = "a map with the key \"instance-mappings\"";
const PAIRS: &str = "pairs of UUIDs below \"instance-mappings\", each as \"source: target\" on its own line";

/// The pairs of a file. No source and no target may occur twice, in any spelling.
fn unique_pairs(
    entries: impl Iterator<Item = (Spanned<String>, Spanned<String>)>,
    file: &str,
) -> Result<Vec<(InstanceId, InstanceId)>, MappingError> {
    let mut pairs = Vec::new();
    let mut sources = HashSet::new();
    let mut targets = HashMap::new();
    for (key, value) in entries {
        let source = parse_id(&key, "key", file)?;
        let target = parse_id(&value, "value", file)?;
        let line = key.defined.line();
        if !sources.insert(source) {
            return Err(MappingError::DuplicateKey { file: file.to_owned(), line, key: shown(&key.value) });
        }
        if let Some((other, other_line)) = targets.insert(target, (source, line)) {
            let file = file.to_owned();
            return Err(MappingError::DuplicateTarget { file, line, key: source, target, other, other_line });
        }
        pairs.push((source, target));
    }
    Ok(pairs)
}

fn parse_id(text: &Spanned<String>, what: &'static str, file: &str) -> Result<InstanceId, MappingError> {
    text.value.parse().map_err(|source| MappingError::BadId {
        file: file.to_owned(),
        line: text.defined.line(),
        what,
        text: shown(&text.value),
        source,
    })
}

/// The text in the place of a UUID, if it looks like one. Any other text may be a secret of another file.
fn shown(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '{' | '}');
    if text.len() <= 64 && text.matches('-').count() >= 3 && text.chars().all(is_part) {
        format!("{text:?}")
    } else {
        "(not shown)".to_owned()
    }
}

fn malformed(file: &str, line: u64, problem: String) -> MappingError {
    MappingError::Malformed { file: file.to_owned(), line, problem }
}

/// Parses YAML into `T`. Only the size of the file limits the number of entries. Anchors, merge keys, and snippets of
/// the file in errors are disabled.
fn parse<T: DeserializeOwned>(text: &str, file: &str, expected: &str) -> Result<T, MappingError> {
    let unlimited = usize::MAX;
    let options = serde_yaml::options! {
        budget: serde_yaml::budget! {
            max_events: unlimited,
            max_nodes: unlimited,
            max_total_scalar_bytes: unlimited,
            max_aliases: 0,
            max_anchors: 0,
        },
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::AsOrdinary,
        with_snippet: false,
    };
    serde_yaml::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(1, |location| location.line());
        match error.without_snippet() {
            serde_yaml::Error::DuplicateMappingKey { key: Some(key), .. } => {
                MappingError::DuplicateKey { file: file.to_owned(), line, key: shown(key) }
            }
            error => malformed(file, line, problem(error, expected)),
        }
    })
}

/// Describes an error in a mapping file's terms where the YAML library speaks of Rust types.
fn problem(error: &serde_yaml::Error, expected: &str) -> String {
    use serde_yaml::Error;
    match error {
        Error::Unexpected { .. } | Error::NullIntoString { .. } | Error::SerdeInvalidType { .. } => {
            format!("expected {expected}")
        }
        Error::MultipleDocuments { .. } => "more than one YAML document".to_owned(),
        Error::Budget { .. } => "anchors and aliases are not supported here".to_owned(),
        error => yaml::message(error, Shown::Known(&[])),
    }
}

/// A YAML map with the places of its keys, including duplicates.
struct Entries<V>(Vec<(Spanned<String>, V)>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Entries<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EntriesVisitor<V>(std::marker::PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for EntriesVisitor<V> {
            type Value = Entries<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(EntriesVisitor(std::marker::PhantomData))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const A: &str = "00000000-0000-0000-0000-001570184978";
    const B: &str = "e10001eb-6272-453a-bb43-3dcf0e765892";
    const C: &str = "1b8f1c2e-0a51-4a63-9f0f-6f0d4c8e2a01";

    fn error(yaml: &str) -> String {
        Mapping::from_yaml(yaml, "m.yaml").unwrap_err().to_string()
    }

    #[test]
    fn keeps_order_and_reads_its_own_text() {
        let yaml = format!("instance-mappings:\n  {B}: {A}\n  {A}: {C}\n");
        let mapping = Mapping::from_yaml(&yaml, "m.yaml").unwrap();
        assert_eq!(mapping.pairs().first().map(|pair| pair.0.to_string()).as_deref(), Some(B));
        assert_eq!(mapping.to_yaml(), yaml);
        let quoted =
            format!("# entered\n---\ninstance-mappings: {{\"{}\": '{{{A}}}', {A}: {C}}}\n", B.to_uppercase());
        assert_eq!(Mapping::from_yaml(&quoted, "m.yaml").unwrap(), mapping);
        for empty in ["instance-mappings:\n", "instance-mappings: {}\n"] {
            assert!(Mapping::from_yaml(empty, "m.yaml").unwrap().is_empty());
        }
        assert!(Mapping::from_yaml(&Mapping::default().to_yaml(), "m.yaml").unwrap().is_empty());
    }

    #[test]
    fn names_file_line_and_key() {
        const NOT_YAML: &str =
            "not valid YAML; check the indentation and quotes, and that a space follows each colon";
        let top = "expected a map with the key \"instance-mappings\"";
        for (yaml, expected) in [
            (String::new(), format!("m.yaml, line 1: {top}")),
            ("{}".to_owned(), format!("m.yaml, line 1: {top}")),
            ("\n- a\n".to_owned(), format!("m.yaml, line 2: {top}")),
            (
                "instance-mappings: {}\nmappings: [1, 2]\n".to_owned(),
                "m.yaml, line 2: unknown key (not shown, as it may be a secret), expected one of: instance-mappings"
                    .to_owned(),
            ),
            ("instance-mappings:\n  - a: b\n".to_owned(), format!("m.yaml, line 2: expected {PAIRS}")),
            (format!("instance-mappings:\n  {A}:\n"), format!("m.yaml, line 2: expected {PAIRS}")),
            (format!("instance-mappings:\n  {A}: {{x: y}}\n"), format!("m.yaml, line 2: expected {PAIRS}")),
            (
                "instance-mappings: &a {}\n".to_owned(),
                "m.yaml, line 1: anchors and aliases are not supported here".to_owned(),
            ),
            ("a: 1\n---\nb: 1\n".to_owned(), "m.yaml, line 3: more than one YAML document".to_owned()),
            ("instance-mappings: {a: b".to_owned(), format!("m.yaml, line 1: {NOT_YAML}")),
            (
                format!("instance-mappings:\n  {A}: {B}\n  {A}: {C}\n"),
                format!("m.yaml, line 3: duplicate key {A:?}"),
            ),
            (
                format!("instance-mappings:\n  {B}: {A}\n\n  {b}: {C}\n", b = B.to_uppercase()),
                format!("m.yaml, line 4: duplicate key {:?}", B.to_uppercase()),
            ),
            (
                format!("instance-mappings:\n  {A}: {B}\n  {C}: {{{B}}}\n")
                    .replace("{e", "\"{e")
                    .replace("2}", "2}\""),
                format!(
                    "m.yaml, line 3: {C} is mapped to {B}, and so is {A} (line 2); two instances cannot become one"
                ),
            ),
        ] {
            assert_eq!(error(&yaml), expected, "{yaml}");
        }
        assert!(
            error(&format!("instance-mappings:\n  {A}: {B}0\n")).starts_with("m.yaml, line 2: the value \"")
        );
        assert!(
            error(&format!("instance-mappings:\n  x: {B}\n"))
                .starts_with("m.yaml, line 2: the key (not shown) is not")
        );
    }

    #[test]
    fn no_error_shows_what_may_be_a_secret() {
        for yaml in [
            "S3cret: x\n".to_owned(),
            "instance-mappings: {S3cret: x}\n".to_owned(),
            format!("instance-mappings: {{{A}: S3cret}}\n"),
            format!("instance-mappings: {{{A}: [S3cret]}}\n"),
            "instance-mappings: {S3cret: x, S3cret: y}\n".to_owned(),
            "su_password: 'S3cret\n".to_owned(),
            "su_password: @S3cret\n".to_owned(),
            "S3cret".to_owned(),
        ] {
            let error = Mapping::from_yaml(&yaml, "m.yaml").unwrap_err();
            assert!(!format!("{error} {error:?}").contains("S3cret"), "{yaml}: {error:?}");
        }
    }

    #[test]
    fn takes_many_pairs() {
        let id = |number| InstanceId::from_number(number).unwrap();
        let pairs = (0..150_000).map(|number| (id(number), id(number + 1_000_000)));
        let mapping = Mapping::new(pairs).unwrap();
        assert_eq!(Mapping::from_yaml(&mapping.to_yaml(), "m.yaml").unwrap(), mapping);
    }

    #[test]
    fn reads_files_up_to_a_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.yaml");
        let said = || Mapping::read(&path).unwrap_err().to_string();
        assert!(said().ends_with("m.yaml does not exist"), "{}", said());
        std::fs::write(&path, format!("instance-mappings:\n  {A}: {B}\n")).unwrap();
        assert_eq!(Mapping::read(&path).unwrap().pairs().len(), 1);
        std::fs::write(&path, b"instance-mappings: \xff").unwrap();
        assert!(said().ends_with("m.yaml is not an instance mapping: it is not UTF-8 text"), "{}", said());
        std::fs::File::create(&path).unwrap().set_len(MAX_MAPPING_BYTES + 1).unwrap();
        assert!(said().ends_with(&format!("it has more than {MAX_MAPPING_BYTES} bytes")), "{}", said());
    }
}
