//! Objects that must exist after a restore, under their names in the table of contents.

use super::kinds::{self, Verified};
use crate::archive::Entry;
use crate::sql::{Lexer, StandardStrings};

/// A kind of object that the verification lists by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ObjectKind {
    Table,
    View,
    Sequence,
    Index,
    Schema,
    Extension,
    Type,
    Constraint,
    Trigger,
    Policy,
    Rule,
    Function,
}

/// An object that must exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) kind: ObjectKind,
    /// Its schema; "" if it has none.
    pub(crate) schema: String,
    /// Its name. Objects that belong to a table are named `table name`; in archives of PostgreSQL 9.x, `name`.
    pub(crate) name: String,
    /// Its name in messages.
    pub(crate) label: String,
    /// Whether it is a constraint that was NOT VALID in the source.
    pub(crate) may_be_invalid: bool,
}

impl ObjectKind {
    /// The kind that the verification's query calls `name`.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "table" => Self::Table,
            "view" => Self::View,
            "sequence" => Self::Sequence,
            "index" => Self::Index,
            "schema" => Self::Schema,
            "extension" => Self::Extension,
            "type" => Self::Type,
            "constraint" => Self::Constraint,
            "trigger" => Self::Trigger,
            "policy" => Self::Policy,
            "rule" => Self::Rule,
            "function" => Self::Function,
            _ => return None,
        })
    }
}

impl Expected {
    /// Its key in the list of objects that the verification reads.
    pub(crate) fn key(&self) -> (ObjectKind, &str, &str) {
        (self.kind, &self.schema, &self.name)
    }

    /// The object of `entry`, if the verification lists objects of its kind.
    pub(crate) fn of(entry: &Entry, sql: &str, strings: StandardStrings) -> Option<Self> {
        let Verified::Listed(kind) = kinds::of(entry.kind).verified else { return None };
        let tag = entry.name();
        let schema = entry.schema().unwrap_or_default();
        let without_schema = matches!(kind, ObjectKind::Schema | ObjectKind::Extension);
        Some(Self {
            kind,
            schema: if without_schema { String::new() } else { schema.to_owned() },
            name: if kind == ObjectKind::Function { function_name(tag) } else { tag.to_owned() },
            label: entry.label().to_string(),
            may_be_invalid: kind == ObjectKind::Constraint && is_not_valid(sql, strings),
        })
    }
}

/// The name in the signature of a function. It is quoted if SQL requires it.
fn function_name(tag: &str) -> String {
    let Some(quoted) = tag.strip_prefix('"') else {
        return tag.split('(').next().unwrap_or_default().to_owned();
    };
    let mut name = String::new();
    let mut chars = quoted.chars().peekable();
    while let Some(char) = chars.next() {
        if char == '"' && chars.next_if_eq(&'"').is_none() {
            break;
        }
        name.push(char);
    }
    name
}

/// Whether the statement has the words `NOT VALID`, or `NOT ENFORCED`: such a constraint is never valid.
pub(crate) fn is_not_valid(sql: &str, strings: StandardStrings) -> bool {
    let tokens: Vec<_> = Lexer::new(sql.as_bytes(), strings)
        .map_while(Result::ok)
        .filter(|token| !token.kind.is_blank())
        .collect();
    let is = |token: &crate::sql::Token, word| token.is_word(sql.as_bytes(), word);
    tokens.windows(2).any(|pair| match pair {
        [not, valid] => is(not, "not") && (is(valid, "valid") || is(valid, "enforced")),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_functions_name_is_read_from_its_signature() {
        assert_eq!(function_name("duuid(text)"), "duuid");
        assert_eq!(function_name("\"Odd \"\"(\"(integer)"), "Odd \"(");
        assert_eq!(function_name("cat_all"), "cat_all");
    }

    #[test]
    fn not_valid_is_found_outside_literals() {
        let not_valid = |sql| is_not_valid(sql, StandardStrings::On);
        assert!(not_valid("ALTER TABLE t ADD CONSTRAINT c FOREIGN KEY (a) REFERENCES b(a) NOT VALID;"));
        assert!(!not_valid("ALTER TABLE t ADD CONSTRAINT c CHECK ((a <> 'NOT VALID'::text));"));
    }
}
