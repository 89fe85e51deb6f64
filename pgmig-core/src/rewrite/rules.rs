//! Rules for replacing IDs: the pairs of IDs, and the columns.

use super::found::{Counter, Found};
use super::shape::Shape;
use super::token::{Token, UUID_LENGTH};
use crate::instance::{InstanceId, Resolution};
use crate::sql::QualifiedName;
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

/// The rule for a column's values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ColumnRule {
    /// IDs are replaced.
    #[default]
    Text,
    /// IDs are replaced; JSON's escapes count as the characters for which they stand.
    Json,
    /// IDs are replaced, and a value that is the number of a mapped instance becomes its target's number.
    AliasNumber,
    /// A value that is the ID of a mapped instance, as PostgreSQL prints it, is replaced; any other stays unchanged.
    Whole,
    /// Values stay unchanged.
    Excluded,
    /// The values are bytea, which is decoded.
    Bytea(BinaryRule),
    /// Containers of values with JSON or bytea among them. IDs are replaced, in bytea by the binary rule.
    Nested(Arc<Shape>, BinaryRule),
}

/// The rule for IDs in bytea and large objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BinaryRule {
    /// They are counted and left unchanged.
    #[default]
    Report,
    /// They are replaced, as in text.
    Rewrite,
    /// They are not searched for.
    Leave,
}

/// Names a column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnSelector {
    /// The table's schema; `None` means any.
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

/// All replacements of a restore. The time of a lookup does not depend on their number.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    targets: HashMap<u128, Target, BuildHasherDefault<IdHasher>>,
    numbers: HashMap<String, String>,
    gone: Arc<HashSet<[u8; UUID_LENGTH]>>,
    /// The only columns in which anything is replaced; `None` for all.
    owners: Option<Vec<ColumnSelector>>,
    excluded: Vec<ColumnSelector>,
    alias_columns: Vec<ColumnSelector>,
    bytea: BinaryRule,
    bytea_columns: Vec<(ColumnSelector, BinaryRule)>,
    large_objects: BinaryRule,
}

/// The replacement of one ID.
#[derive(Debug, Clone)]
struct Target {
    /// In lower case.
    text: [u8; UUID_LENGTH],
    found: Counter,
}

impl Rules {
    /// Makes rules that replace each pair's source by its target. Pairs of two equal IDs are left out: they replace
    /// and count nothing. Of two pairs with the same source the first one applies.
    pub fn new(pairs: impl IntoIterator<Item = (InstanceId, InstanceId)>) -> Self {
        let pairs: Vec<(InstanceId, InstanceId)> = pairs.into_iter().collect();
        let values: HashSet<InstanceId> = pairs.iter().map(|(_, target)| *target).collect();
        let mut rules = Self::default();
        let mut gone = HashSet::new();
        for (source, target) in pairs {
            if source == target {
                continue;
            }
            rules
                .targets
                .entry(source.uuid().as_u128())
                .or_insert_with(|| Target { text: text(target), found: Counter::default() });
            if !values.contains(&source) {
                gone.insert(text(source));
            }
        }
        rules.gone = Arc::new(gone);
        rules
    }

    /// The rules of a resolved mapping.
    pub fn from_resolution(resolution: &Resolution) -> Self {
        Self::new(resolution.pairs.iter().copied()).with_numbers(resolution.numbers.iter().cloned())
    }

    /// Adds to the counts of `found` whatever is found by these rules.
    #[must_use]
    pub(crate) fn counting(mut self, found: &Found) -> Self {
        for (source, target) in &mut self.targets {
            target.found = found.counter(*source);
        }
        self
    }

    /// Adds numeric aliases: the whole value of an alias column, in decimal digits, and its new value.
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

    /// Adds columns that stay unchanged.
    #[must_use]
    pub fn with_excluded(mut self, columns: impl IntoIterator<Item = ColumnSelector>) -> Self {
        self.excluded.extend(columns);
        self
    }

    /// Replaces IDs in these columns only, and only where one is the whole value. All else stays unchanged: other columns,
    /// definitions, large objects.
    #[must_use]
    pub fn only_in(mut self, columns: impl IntoIterator<Item = ColumnSelector>) -> Self {
        self.owners = Some(columns.into_iter().collect());
        self.large_objects = BinaryRule::Leave;
        self
    }

    /// Sets the rule for IDs in bytea, for these columns and for all others. Of two entries for a column the first
    /// one applies.
    #[must_use]
    pub fn with_bytea(
        mut self,
        others: BinaryRule,
        columns: impl IntoIterator<Item = (ColumnSelector, BinaryRule)>,
    ) -> Self {
        self.bytea = others;
        self.bytea_columns.extend(columns);
        self
    }

    /// Sets the rule for IDs in large objects.
    #[must_use]
    pub fn with_large_objects(mut self, rule: BinaryRule) -> Self {
        self.large_objects = rule;
        self
    }

    /// The rule for IDs in large objects.
    pub fn large_objects(&self) -> BinaryRule {
        self.large_objects
    }

    /// Whether there is nothing to replace.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty() && self.numbers.is_empty()
    }

    /// Whether IDs are replaced in definitions, too.
    pub fn reach_definitions(&self) -> bool {
        self.owners.is_none()
    }

    /// The rule for values of which the column is not known.
    pub(super) fn unknown_column(&self) -> ColumnRule {
        if self.owners.is_some() { ColumnRule::Excluded } else { ColumnRule::Text }
    }

    /// The rule for a column whose values have this shape. `tables` are the names of its table and, for a partition,
    /// of the tables above it.
    pub fn column_rule(&self, tables: &[QualifiedName], column: &str, shape: &Shape) -> ColumnRule {
        let is_selected =
            |selector: &ColumnSelector| tables.iter().any(|table| selector.selects(table, column));
        let among = |columns: &[ColumnSelector]| columns.iter().any(is_selected);
        if among(&self.excluded) {
            return ColumnRule::Excluded;
        }
        if let Some(owners) = &self.owners {
            return if among(owners) { ColumnRule::Whole } else { ColumnRule::Excluded };
        }
        let binary = || {
            let listed = self.bytea_columns.iter().find(|(selector, _)| is_selected(selector));
            listed.map_or(self.bytea, |(_, rule)| *rule)
        };
        match shape {
            Shape::Json => ColumnRule::Json,
            Shape::Bytea if binary() == BinaryRule::Leave => ColumnRule::Excluded,
            Shape::Bytea => ColumnRule::Bytea(binary()),
            Shape::Text if among(&self.alias_columns) => ColumnRule::AliasNumber,
            Shape::Text => ColumnRule::Text,
            nested => ColumnRule::Nested(Arc::new(nested.clone()), binary()),
        }
    }

    /// The sources that are not also targets, in lower case: none of them may be left.
    pub(super) fn gone(&self) -> &Arc<HashSet<[u8; UUID_LENGTH]>> {
        &self.gone
    }

    /// The replacement of `token`, in the same case.
    pub(super) fn replacement(&self, token: &Token) -> Option<[u8; UUID_LENGTH]> {
        let mut text = self.targets.get(&token.id)?.text;
        if token.is_upper {
            text.make_ascii_uppercase();
        }
        Some(text)
    }

    /// Counts an occurrence of `token`.
    pub(super) fn note_found(&self, token: &Token) {
        if let Some(target) = self.targets.get(&token.id) {
            target.found.add();
        }
    }

    /// The replacement of a number in an alias column.
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

/// An ID in lower case.
fn text(id: InstanceId) -> [u8; UUID_LENGTH] {
    let mut text = [0; UUID_LENGTH];
    id.uuid().as_hyphenated().encode_lower(&mut text);
    text
}

/// Hashes the 128 bits of a UUID. It need not withstand chosen keys: only the operator's mapping fills the table, and
/// rows are only looked up in it.
#[derive(Debug, Clone, Copy, Default)]
struct IdHasher(u64);

impl IdHasher {
    /// 2^64 divided by the golden ratio, which spreads neighbouring numbers.
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
        let rule = |schema: &str, column, shape: Shape| {
            rules.column_rule(&[QualifiedName::new(schema, "tenant")], column, &shape)
        };
        assert_eq!(rule("store", "instance_id", Shape::Text), ColumnRule::AliasNumber);
        assert_eq!(rule("other", "instance_id", Shape::Text), ColumnRule::Excluded);
        assert_eq!(rule("store", "history", Shape::Json), ColumnRule::Excluded);
        assert_eq!(rule("b", "history", Shape::Json), ColumnRule::Json);
        assert_eq!(rule("b", "history", Shape::Text), ColumnRule::Text);
        let unqualified = [QualifiedName::unqualified("tenant")];
        assert_eq!(rules.column_rule(&unqualified, "history", &Shape::Text), ColumnRule::Excluded);
    }

    #[test]
    fn bytea_is_reported_unless_said_otherwise() {
        let selector =
            |column: &str| ColumnSelector { schema: None, table: "t".to_owned(), column: column.to_owned() };
        let rule =
            |rules: &Rules, column| rules.column_rule(&[QualifiedName::new("s", "t")], column, &Shape::Bytea);
        assert_eq!(rule(&Rules::default(), "a"), ColumnRule::Bytea(BinaryRule::Report));
        let columns = [(selector("a"), BinaryRule::Rewrite), (selector("a"), BinaryRule::Report)];
        let rules = Rules::default().with_bytea(BinaryRule::Leave, columns).with_excluded([selector("c")]);
        assert_eq!(rule(&rules, "a"), ColumnRule::Bytea(BinaryRule::Rewrite));
        assert_eq!([rule(&rules, "b"), rule(&rules, "c")], [ColumnRule::Excluded, ColumnRule::Excluded]);
        let array = Shape::Array(Box::new(Shape::Bytea));
        let nested = rules.column_rule(
            &[QualifiedName::new("s", "t_2024"), QualifiedName::new("s", "t")],
            "a",
            &array,
        );
        assert_eq!(nested, ColumnRule::Nested(Arc::new(array), BinaryRule::Rewrite));
    }

    #[test]
    fn ids_of_equal_pairs_are_not_replaced() {
        let id = |number| InstanceId::from_number(number).unwrap();
        let rules = Rules::new([(id(1), id(1)), (id(2), id(3)), (id(3), id(4))]);
        assert_eq!((rules.targets.len(), rules.gone().as_ref()), (2, &HashSet::from([text(id(2))])));
        assert!(Rules::new([(id(1), id(1))]).is_empty());
    }
}
