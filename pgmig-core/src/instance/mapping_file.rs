//! Reads `enteredMapping.yaml`.

use super::{InstanceId, Mapping, MappingError};
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, MapAccess, Visitor};
use serde_yaml::{DuplicateKeyPolicy, MergeKeyPolicy, Spanned};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The largest mapping file that pgmig reads, in bytes: room for more than 800,000 instances.
pub const MAX_MAPPING_BYTES: u64 = 64 << 20;

impl Mapping {
    /// Reads a mapping file.
    ///
    /// # Errors
    ///
    /// [`MappingError::Read`], [`MappingError::TooLarge`], and those of [`from_yaml`](Self::from_yaml).
    pub fn read(path: &Path) -> Result<Self, MappingError> {
        let file = path.display().to_string();
        let mut text = Vec::new();
        // One byte more shows that a file is too large.
        File::open(path)
            .and_then(|opened| opened.take(MAX_MAPPING_BYTES.saturating_add(1)).read_to_end(&mut text))
            .map_err(|source| MappingError::Read { file: file.clone(), source })?;
        if u64::try_from(text.len()).is_ok_and(|bytes| bytes > MAX_MAPPING_BYTES) {
            return Err(MappingError::TooLarge { file, limit: MAX_MAPPING_BYTES });
        }
        let Ok(text) = String::from_utf8(text) else {
            return Err(MappingError::Malformed { file, line: 0, problem: "not UTF-8 text".to_owned() });
        };
        Self::from_yaml(&text, &file)
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
            let (file, line) = (file.to_owned(), key.defined.line());
            return Err(MappingError::UnknownKey { file, line, key: key.value.clone() });
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
            return Err(MappingError::DuplicateKey { file: file.to_owned(), line, key: key.value });
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
        text: text.value.clone(),
        source,
    })
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
                MappingError::DuplicateKey { file: file.to_owned(), line, key: key.clone() }
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
        error => {
            let text = error.to_string();
            let place = text.rfind(" at line ").unwrap_or(text.len());
            text.get(..place).unwrap_or_default().to_owned()
        }
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
        let top = "expected a map with the key \"instance-mappings\"";
        for (yaml, expected) in [
            (String::new(), format!("m.yaml, line 1: {top}")),
            ("{}".to_owned(), format!("m.yaml, line 1: {top}")),
            ("\n- a\n".to_owned(), format!("m.yaml, line 2: {top}")),
            (
                "instance-mappings: {}\nmappings: [1, 2]\n".to_owned(),
                "m.yaml, line 2: unknown key \"mappings\", expected \"instance-mappings\"".to_owned(),
            ),
            ("instance-mappings:\n  - a: b\n".to_owned(), format!("m.yaml, line 2: expected {PAIRS}")),
            (format!("instance-mappings:\n  {A}:\n"), format!("m.yaml, line 2: expected {PAIRS}")),
            (format!("instance-mappings:\n  {A}: {{x: y}}\n"), format!("m.yaml, line 2: expected {PAIRS}")),
            (
                "instance-mappings: &a {}\n".to_owned(),
                "m.yaml, line 1: anchors and aliases are not supported here".to_owned(),
            ),
            ("a: 1\n---\nb: 1\n".to_owned(), "m.yaml, line 3: more than one YAML document".to_owned()),
            ("instance-mappings: {a: b".to_owned(), "m.yaml, line 1: unclosed bracket '{'".to_owned()),
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
                .starts_with("m.yaml, line 2: the key \"x\" is not")
        );
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
        assert!(matches!(Mapping::read(&path), Err(MappingError::Read { .. })));
        std::fs::write(&path, format!("instance-mappings:\n  {A}: {B}\n")).unwrap();
        assert_eq!(Mapping::read(&path).unwrap().pairs().len(), 1);
        std::fs::write(&path, b"instance-mappings: \xff").unwrap();
        assert!(matches!(Mapping::read(&path), Err(MappingError::Malformed { .. })));
        File::create(&path).unwrap().set_len(MAX_MAPPING_BYTES + 1).unwrap();
        assert!(matches!(Mapping::read(&path), Err(MappingError::TooLarge { .. })));
    }
}
