//! What is to be replaced, and where.

use super::token::{Token, UUID_LENGTH};
use crate::instance::{InstanceId, Resolution};
use crate::sql::QualifiedName;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

/// How a column's values are rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColumnRule {
    /// IDs are replaced.
    #[default]
    Text,
    /// IDs are replaced; JSON's escapes count as the characters that they stand for.
    Json,
    /// IDs are replaced, and a value that is the number of a mapped instance becomes its target's number.
    AliasNumber,
    /// Left as it is.
    Excluded,
}

/// The type of a column, as far as rewriting it depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// json or jsonb, or a domain over one of them. Arrays of them are not.
    Json,
    /// Any other type.
    Other,
}

/// Names a column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnSelector {
    /// The table's schema; any, where it is not given.
    pub schema: Option<String>,
    /// The table.
    pub table: String,
    /// The column.
    pub column: String,
}

impl ColumnSelector {
    fn selects(&self, table: &QualifiedName, column: &str) -> bool {
        let same_schema = self.schema.is_none() || table.schema.is_none() || self.schema == table.schema;
        same_schema && self.table == table.name && self.column == column
    }
}

/// All replacements of a restore. Lookups take the same time whatever their number.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    targets: HashMap<u128, [u8; UUID_LENGTH], BuildHasherDefault<IdHasher>>,
    numbers: HashMap<String, String>,
    gone: Vec<InstanceId>,
    excluded: Vec<ColumnSelector>,
    alias_columns: Vec<ColumnSelector>,
}

impl Rules {
    /// Rules that replace each pair's source by its target. Pairs of two equal IDs are left out: they replace
    /// and count nothing. Of two pairs with the same source the first one counts.
    pub fn new(pairs: impl IntoIterator<Item = (InstanceId, InstanceId)>) -> Self {
        let pairs: Vec<(InstanceId, InstanceId)> = pairs.into_iter().collect();
        let values: HashSet<InstanceId> = pairs.iter().map(|(_, target)| *target).collect();
        let mut rules = Self::default();
        for (source, target) in pairs {
            if source == target {
                continue;
            }
            let mut text = [0; UUID_LENGTH];
            target.uuid().as_hyphenated().encode_lower(&mut text);
            rules.targets.entry(source.uuid().as_u128()).or_insert(text);
            if !values.contains(&source) {
                rules.gone.push(source);
            }
        }
        rules
    }

    /// The rules that a resolved mapping amounts to.
    pub fn from_resolution(resolution: &Resolution) -> Self {
        Self::new(resolution.pairs.iter().copied()).with_numbers(resolution.numbers.iter().cloned())
    }

    /// Adds numeric aliases: the whole value of an alias column, in decimal digits, and what it becomes.
    #[must_use]
    pub fn with_numbers(mut self, numbers: impl IntoIterator<Item = (String, String)>) -> Self {
        self.numbers.extend(numbers.into_iter().filter(|(source, target)| source != target));
        self
    }

    /// Adds columns in which numeric aliases are replaced.
    #[must_use]
    pub fn with_alias_columns(mut self, columns: impl IntoIterator<Item = ColumnSelector>) -> Self {
        self.alias_columns.extend(columns);
        self
    }

    /// Adds columns that are left as they are.
    #[must_use]
    pub fn with_excluded(mut self, columns: impl IntoIterator<Item = ColumnSelector>) -> Self {
        self.excluded.extend(columns);
        self
    }

    /// Whether nothing is to be replaced anywhere.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty() && self.numbers.is_empty()
    }

    /// The rule for a column.
    pub fn column_rule(&self, table: &QualifiedName, column: &str, kind: ColumnKind) -> ColumnRule {
        let among =
            |columns: &[ColumnSelector]| columns.iter().any(|selector| selector.selects(table, column));
        if among(&self.excluded) {
            return ColumnRule::Excluded;
        }
        match kind {
            ColumnKind::Json => ColumnRule::Json,
            ColumnKind::Other if among(&self.alias_columns) => ColumnRule::AliasNumber,
            ColumnKind::Other => ColumnRule::Text,
        }
    }

    /// The sources that are no pair's target, so that none of them may be left.
    pub(super) fn gone(&self) -> &[InstanceId] {
        &self.gone
    }

    /// What replaces `token`, in its case.
    pub(super) fn replacement(&self, token: &Token) -> Option<[u8; UUID_LENGTH]> {
        let mut text = *self.targets.get(&token.id)?;
        if token.is_upper {
            text.make_ascii_uppercase();
        }
        Some(text)
    }

    /// What replaces a number in an alias column.
    pub(super) fn number(&self, digits: &[u8]) -> Option<&str> {
        if self.numbers.is_empty() {
            return None;
        }
        self.numbers.get(std::str::from_utf8(digits).ok()?).map(String::as_str)
    }

    /// Whether there are numbers to replace.
    pub(super) fn has_numbers(&self) -> bool {
        !self.numbers.is_empty()
    }
}

/// Hashes the 128 bits of a UUID. It need not withstand chosen keys: the table is filled from the operator's
/// mapping only, and rows are merely looked up in it.
#[derive(Debug, Clone, Copy, Default)]
struct IdHasher(u64);

impl IdHasher {
    /// 2^64 divided by the golden ratio; spreads neighbouring numbers.
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

    fn mix(&mut self, word: u64) {
        let product = (self.0.rotate_left(29) ^ word).wrapping_mul(Self::FACTOR);
        self.0 = product ^ (product >> 32);
    }
}

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            for (slot, byte) in word.iter_mut().zip(chunk) {
                *slot = *byte;
            }
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn write_u128(&mut self, id: u128) {
        let low = u64::try_from(id & u128::from(u64::MAX)).unwrap_or(0);
        self.mix(low);
        self.mix(u64::try_from(id >> 64).unwrap_or(0));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn excluded_comes_before_everything() {
        let selector = |schema: Option<&str>, column: &str| ColumnSelector {
            schema: schema.map(str::to_owned),
            table: "tenant".to_owned(),
            column: column.to_owned(),
        };
        let rules = Rules::default()
            .with_alias_columns([selector(None, "instance_id")])
            .with_excluded([selector(Some("store"), "history"), selector(Some("other"), "instance_id")]);
        let rule = |schema: &str, column, kind| {
            rules.column_rule(&QualifiedName::new(schema, "tenant"), column, kind)
        };
        assert_eq!(rule("store", "instance_id", ColumnKind::Other), ColumnRule::AliasNumber);
        assert_eq!(rule("other", "instance_id", ColumnKind::Other), ColumnRule::Excluded);
        assert_eq!(rule("store", "history", ColumnKind::Json), ColumnRule::Excluded);
        assert_eq!(rule("b", "history", ColumnKind::Json), ColumnRule::Json);
        assert_eq!(rule("b", "history", ColumnKind::Other), ColumnRule::Text);
        let unqualified = QualifiedName::unqualified("tenant");
        assert_eq!(rules.column_rule(&unqualified, "history", ColumnKind::Other), ColumnRule::Excluded);
    }

    #[test]
    fn ids_of_equal_pairs_are_not_replaced() {
        let id = |number| InstanceId::from_number(number).unwrap();
        let rules = Rules::new([(id(1), id(1)), (id(2), id(3)), (id(3), id(4))]);
        assert_eq!((rules.targets.len(), rules.gone()), (2, [id(2)].as_slice()));
        assert!(Rules::new([(id(1), id(1))]).is_empty());
    }
}
