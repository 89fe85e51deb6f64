//! Rewrites `INSERT` statements, the data of archives made with `pg_dump --inserts`.

use super::border::Content;
use super::literal::{Body, Edits, encoding};
use super::rewriter::{Counts, edits_of, is_left};
use super::rules::{ColumnRule, Rules};
use super::token::UUID_LENGTH;
use crate::sql::{
    Lexer, SqlError, StandardStrings, StringKind, Token, TokenKind, decode_literal, quote_literal,
};
use std::borrow::Cow;

/// A rewritten `INSERT` statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RewrittenInsert<'a> {
    /// The statement.
    pub(crate) sql: Cow<'a, str>,
    /// Replacements by column, in the order of each row's values.
    pub(crate) counts: Vec<u64>,
    /// Occurrences in bytea that were left unchanged, by column.
    pub(crate) left: Vec<u64>,
}

/// Replaces IDs in the constants of an `INSERT ... VALUES`. `columns` are the rules for the values of a row, in their
/// order; for further values the rule is [`ColumnRule::Text`], or [`ColumnRule::Excluded`] if only some columns are rewritten.
///
/// # Errors
///
/// [`SqlError::Unterminated`] if the statement ends inside a string, a quoted name or a comment.
pub(crate) fn rewrite_insert<'a>(
    sql: &'a str,
    rules: &Rules,
    columns: &[ColumnRule],
    strings: StandardStrings,
) -> Result<RewrittenInsert<'a>, SqlError> {
    let (counts, left) = (Counts::of(columns.len()), Counts::of(columns.len()));
    let mut values = Values { sql, rules, edits: Edits::default(), counts, left };
    let mut place = Place::BeforeValues;
    let further = rules.unknown_column();
    for token in Lexer::new(sql.as_bytes(), strings) {
        let token = token?;
        place = place.after(token.kind, token.is_word(sql.as_bytes(), "values"));
        let Place::Value { column, .. } = place else {
            continue;
        };
        values.rewrite(&token, column, columns.get(column).unwrap_or(&further));
    }
    let sql = values.edits.apply(sql);
    Ok(RewrittenInsert { sql, counts: values.counts.0, left: values.left.0 })
}

/// Rewrites one value after another.
#[derive(Debug)]
struct Values<'a> {
    sql: &'a str,
    rules: &'a Rules,
    edits: Edits,
    counts: Counts,
    left: Counts,
}

impl Values<'_> {
    /// Rewrites `token`, which belongs to a value of this column, and counts the replacements.
    fn rewrite(&mut self, token: &Token, column: usize, rule: &ColumnRule) {
        let content = match (rule, token.kind) {
            (ColumnRule::Excluded, _) => return,
            (ColumnRule::AliasNumber, TokenKind::String(_) | TokenKind::Number)
                if self.rewrite_number(token) =>
            {
                return self.counts.add(column, 1);
            }
            (ColumnRule::Bytea(_) | ColumnRule::Nested(..), TokenKind::String(kind)) => {
                return self.rewrite_decoded(token, kind, column, rule);
            }
            // Such a constant has no escapes.
            (ColumnRule::Whole, TokenKind::String(_)) if !is_lower_id(self.sql.get(token.body.clone())) => {
                return;
            }
            (ColumnRule::Json, TokenKind::String(_)) => Content::Json,
            (_, TokenKind::String(_)) => Content::Text,
            _ => return,
        };
        let TokenKind::String(kind) = token.kind else { return };
        let body = Body { sql: self.sql, span: token.body.clone(), encoding: encoding(kind), content };
        let replaced = body.rewrite(self.rules, &[], &mut self.edits);
        self.counts.add(column, replaced);
    }

    /// Rewrites a constant that must be decoded from its beginning.
    fn rewrite_decoded(&mut self, token: &Token, kind: StringKind, column: usize, rule: &ColumnRule) {
        let value = self.sql.as_bytes().get(token.body.clone()).unwrap_or_default();
        for edit in edits_of(value, encoding(kind), rule, self.rules) {
            if is_left(Some(rule), &edit) {
                self.left.add(column, 1);
                continue;
            }
            self.counts.add(column, 1);
            let start = token.body.start.saturating_add(edit.span.start);
            let span = start..start.saturating_add(edit.span.len());
            self.edits.push(span, String::from_utf8_lossy(&edit.bytes).into_owned());
        }
    }

    /// Replaces `token` if it is the number of a mapped instance, quoted or not. Returns whether it is.
    fn rewrite_number(&mut self, token: &Token) -> bool {
        let is_number = token.kind == TokenKind::Number;
        let value = if is_number {
            self.sql.get(token.span.clone()).map(Cow::Borrowed)
        } else {
            decode_literal(self.sql, token)
        };
        let Some(target) = value.and_then(|value| self.rules.number(value.as_bytes())) else {
            return false;
        };
        let text = if is_number { target.to_owned() } else { quote_literal(target) };
        self.edits.push(token.span.clone(), text);
        true
    }
}

/// Whether a constant is an ID and nothing else, without upper-case letters.
fn is_lower_id(body: Option<&str>) -> bool {
    body.is_some_and(|body| body.len() == UUID_LENGTH && !body.bytes().any(|byte| byte.is_ascii_uppercase()))
}

/// The place of a token in the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before the rows. Names can be here, even the name of a column called "values".
    BeforeValues,
    /// Between rows.
    BetweenRows,
    /// In the value of this column, inside this number of parentheses.
    Value { column: usize, depth: usize },
}

impl Place {
    /// The place of a token of this kind, if the previous token's place is `self`.
    fn after(self, kind: TokenKind, is_values: bool) -> Self {
        match (self, kind) {
            (Place::BeforeValues, _) if is_values => Place::BetweenRows,
            (Place::BetweenRows, TokenKind::Symbol(b'(')) => Place::Value { column: 0, depth: 1 },
            (Place::Value { depth: 1, .. }, TokenKind::Symbol(b')')) => Place::BetweenRows,
            (Place::Value { column, depth: 1 }, TokenKind::Symbol(b',')) => {
                Place::Value { column: column.saturating_add(1), depth: 1 }
            }
            (Place::Value { column, depth }, TokenKind::Symbol(b'(' | b'[')) => {
                Place::Value { column, depth: depth.saturating_add(1) }
            }
            (Place::Value { column, depth }, TokenKind::Symbol(b')' | b']')) => {
                Place::Value { column, depth: depth.saturating_sub(1).max(1) }
            }
            (place, _) => place,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::instance::InstanceId;

    const A: &str = "1b8f1c2e-0a51-4a63-9f0f-6f0d4c8e2a01";
    const B: &str = "9d3a7e54-5c2b-4f7c-8e21-0b6a5d4c3b02";

    /// Checks the rewriting of `sql`. In it, `@` is an A that stays and `#` an A that must become B.
    fn check(sql: &str, columns: &[ColumnRule], strings: StandardStrings, counts: &[u64]) {
        let pair: (InstanceId, InstanceId) = (A.parse().unwrap(), B.parse().unwrap());
        let rules = Rules::new([pair]).with_numbers([("17".to_owned(), "2500".to_owned())]);
        let input = sql.replace(['@', '#'], A).replace("2500", "17");
        let rewritten = rewrite_insert(&input, &rules, columns, strings).unwrap();
        assert_eq!(rewritten.sql, sql.replace('@', A).replace('#', B));
        assert_eq!(rewritten.counts, counts, "{sql}");
    }

    #[test]
    fn follows_the_rules_of_the_columns() {
        use ColumnRule::{AliasNumber, Excluded, Json, Text};
        check(
            "INSERT INTO \"@\" (\"values\", b, c, d) VALUES ('#', '@', '2500', '{\"a\": \"\\f#\\u0020\"}'), (NULL, '@', 2500, '[#,#]');",
            &[Text, Excluded, AliasNumber, Json],
            StandardStrings::On,
            &[1, 0, 2, 3],
        );
        let sql =
            "INSERT INTO t OVERRIDING SYSTEM VALUE VALUES ('\\\\f#', '\\\\f@', ARRAY['#', f('#')], 's#')";
        check(&sql.replace("s#", "s@"), &[Json, Text], StandardStrings::Off, &[1, 0, 2]);
        check("INSERT INTO t DEFAULT VALUES;", &[Text], StandardStrings::On, &[0]);
    }

    #[test]
    fn does_not_take_a_numbers_part() {
        let sql = "INSERT INTO t VALUES (17, '17 ', -117, '2500')";
        check(
            sql,
            &[ColumnRule::Text, ColumnRule::AliasNumber, ColumnRule::AliasNumber, ColumnRule::AliasNumber],
            StandardStrings::On,
            &[0, 0, 0, 1],
        );
    }
}
