//! Rewrites runs of COPY rows.

use super::border::{Content, Encoding, is_whole};
use super::bytea;
use super::nested::{self, Edit};
use super::rules::{BinaryRule, ColumnRule, Rules};
use super::token::Token;
use crate::copy::{fields, rows};
use std::ops::Range;
use std::sync::Arc;

/// The most columns of a table. If a malformed row has more, they are counted with the last one.
const MAX_COLUMNS: usize = 1_600;

/// Rewrites the rows of one table.
#[derive(Debug, Clone)]
pub struct RowRewriter {
    rules: Arc<Rules>,
    columns: Vec<ColumnRule>,
    /// The rule for further fields.
    further: ColumnRule,
    replaced: Counts,
    left: Counts,
    has_aliases: bool,
    has_decoded: bool,
}

impl RowRewriter {
    /// Makes a rewriter for rows with fields of these columns, in their order. The rule for further fields is
    /// [`ColumnRule::Text`], or [`ColumnRule::Excluded`] if only some columns are rewritten.
    pub fn new(rules: Arc<Rules>, columns: Vec<ColumnRule>) -> Self {
        let has_aliases = rules.has_numbers() && columns.contains(&ColumnRule::AliasNumber);
        let has_decoded = columns.iter().any(is_decoded);
        let (replaced, left) = (Counts::of(columns.len()), Counts::of(columns.len()));
        let further = rules.unknown_column();
        Self { rules, columns, further, replaced, left, has_aliases, has_decoded }
    }

    /// Rewrites a run of complete rows. That happens in place, unless the length of a numeric alias changes.
    pub fn rewrite(&mut self, rows: &mut Vec<u8>) {
        if self.rules.is_empty() {
            return;
        }
        if self.has_aliases {
            self.rewrite_numbers(rows);
        }
        if self.has_decoded {
            self.rewrite_decoded(rows);
        }
        let mut cursor = Cursor::default();
        let mut from = 0;
        while let Some(token) = Token::find(rows, from) {
            from = token.end();
            let Some(replacement) = self.rules.replacement(&token) else {
                continue;
            };
            let column = cursor.column_at(rows, token.start);
            let span = token.start..token.end();
            let is_replaced = match self.columns.get(column).unwrap_or(&self.further) {
                ColumnRule::Text | ColumnRule::AliasNumber => {
                    is_whole(rows, span.clone(), Encoding::Copy, Content::Text)
                }
                ColumnRule::Json => is_whole(rows, span.clone(), Encoding::Copy, Content::Json),
                ColumnRule::Whole => !token.is_upper && is_field(rows, &span),
                ColumnRule::Excluded | ColumnRule::Bytea(_) | ColumnRule::Nested(..) => false,
            };
            if !is_replaced {
                continue;
            }
            if let Some(bytes) = rows.get_mut(span) {
                bytes.copy_from_slice(&replacement);
                self.replaced.add(column, 1);
                self.rules.note_found(&token);
            }
        }
    }

    /// Replacements so far, by column, in the order of the fields.
    pub fn counts(&self) -> &[u64] {
        &self.replaced.0
    }

    /// Occurrences in bytea so far that were left unchanged ([`BinaryRule::Report`]), by column.
    pub fn left(&self) -> &[u64] {
        &self.left.0
    }

    /// Rewrites the columns whose values must be decoded from their beginning.
    fn rewrite_decoded(&mut self, rows: &mut [u8]) {
        let mut edits: Vec<Edit> = Vec::new();
        let mut start = 0_usize;
        for row in crate::copy::rows(rows) {
            for (column, field) in fields(row).enumerate() {
                let rule = self.columns.get(column).filter(|rule| is_decoded(rule));
                let found = rule.map(|rule| edits_of(field, Encoding::Copy, rule, &self.rules));
                for edit in found.unwrap_or_default() {
                    if is_left(rule, &edit) {
                        self.left.add(column, 1);
                        continue;
                    }
                    self.replaced.add(column, 1);
                    let span = start.saturating_add(edit.span.start)..start.saturating_add(edit.span.end);
                    edits.push(Edit { span, ..edit });
                }
                // The tab or line end.
                start = start.saturating_add(field.len()).saturating_add(1);
            }
        }
        for edit in edits {
            if let Some(bytes) = rows.get_mut(edit.span) {
                bytes.copy_from_slice(&edit.bytes);
            }
        }
    }

    /// Replaces numbers that are the whole value of an alias column. Copies the rows only if there are such numbers.
    fn rewrite_numbers(&mut self, run: &mut Vec<u8>) {
        let mut found = Vec::new();
        let mut start = 0_usize;
        for row in rows(run) {
            for (column, field) in fields(row).enumerate() {
                let end = start.saturating_add(field.len());
                if self.columns.get(column) == Some(&ColumnRule::AliasNumber)
                    && let Some(number) = self.rules.number(field)
                {
                    found.push((column, start..end, number.to_owned()));
                }
                // The tab or line end.
                start = end.saturating_add(1);
            }
        }
        if found.is_empty() {
            return;
        }
        let mut rewritten = Vec::with_capacity(run.len());
        let mut done = 0;
        for (column, span, number) in found {
            rewritten.extend_from_slice(run.get(done..span.start).unwrap_or_default());
            rewritten.extend_from_slice(number.as_bytes());
            done = span.end;
            self.replaced.add(column, 1);
        }
        rewritten.extend_from_slice(run.get(done..).unwrap_or_default());
        *run = rewritten;
    }
}

/// Whether the bytes are a whole field of a row.
fn is_field(rows: &[u8], span: &Range<usize>) -> bool {
    let is_border =
        |at: Option<usize>| at.and_then(|at| rows.get(at)).is_none_or(|byte| matches!(byte, b'\t' | b'\n'));
    is_border(span.start.checked_sub(1)) && is_border(Some(span.end))
}

/// Whether values under this rule are decoded from their beginning.
fn is_decoded(rule: &ColumnRule) -> bool {
    matches!(rule, ColumnRule::Bytea(_) | ColumnRule::Nested(..))
}

/// The occurrences in a value under such a rule.
pub(super) fn edits_of(value: &[u8], encoding: Encoding, rule: &ColumnRule, rules: &Rules) -> Vec<Edit> {
    match rule {
        ColumnRule::Bytea(_) => bytea::edits(value, encoding, rules),
        ColumnRule::Nested(shape, binary) => {
            let looks_into_bytea = *binary != BinaryRule::Leave && shape.has_bytea();
            if !looks_into_bytea && !holds_mapped(value, rules) {
                return Vec::new();
            }
            let mut edits = nested::edits(value, encoding, shape, rules);
            edits.retain(|edit| !edit.in_bytea || *binary != BinaryRule::Leave);
            edits
        }
        _ => Vec::new(),
    }
}

/// Whether an occurrence is counted but not replaced.
pub(super) fn is_left(rule: Option<&ColumnRule>, edit: &Edit) -> bool {
    let reports = matches!(
        rule,
        Some(ColumnRule::Bytea(BinaryRule::Report) | ColumnRule::Nested(_, BinaryRule::Report))
    );
    edit.in_bytea && reports
}

/// Whether a value contains the characters of a mapped ID anywhere.
fn holds_mapped(value: &[u8], rules: &Rules) -> bool {
    let tokens = std::iter::successors(Token::find(value, 0), |token| Token::find(value, token.end()));
    tokens.into_iter().any(|token| rules.replacement(&token).is_some())
}

/// Numbers by column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counts(pub(super) Vec<u64>);

impl Counts {
    pub(super) fn of(columns: usize) -> Self {
        Self(vec![0; columns])
    }

    pub(super) fn add(&mut self, column: usize, number: u64) {
        if number == 0 {
            return;
        }
        let column = column.min(MAX_COLUMNS.saturating_sub(1));
        if self.0.len() <= column {
            self.0.resize(column.saturating_add(1), 0);
        }
        if let Some(count) = self.0.get_mut(column) {
            *count = count.saturating_add(number);
        }
    }
}

/// Counts the columns in a run of rows, without stopping at each of them.
#[derive(Debug, Default)]
struct Cursor {
    at: usize,
    column: usize,
}

impl Cursor {
    /// The column, from 0, of the field at `place`. Places must be asked for in ascending order.
    fn column_at(&mut self, rows: &[u8], place: usize) -> usize {
        let passed = rows.get(self.at..place).unwrap_or_default();
        let in_row = match memchr::memrchr(b'\n', passed) {
            Some(line_end) => {
                self.column = 0;
                passed.get(line_end..).unwrap_or_default()
            }
            None => passed,
        };
        self.column = self.column.saturating_add(memchr::memchr_iter(b'\t', in_row).count());
        self.at = place;
        self.column
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::instance::InstanceId;

    const A: &str = "1b8f1c2e-0a51-4a63-9f0f-6f0d4c8e2a01";
    const B: &str = "9d3a7e54-5c2b-4f7c-8e21-0b6a5d4c3b02";
    const C: &str = "e10001eb-6272-453a-bb43-3dcf0e765892";

    fn rewriter(pairs: &[(&str, &str)], columns: &[ColumnRule]) -> RowRewriter {
        let id = |text: &str| text.parse::<InstanceId>().unwrap();
        let rules = Rules::new(pairs.iter().map(|(source, target)| (id(source), id(target))))
            .with_numbers([("17".to_owned(), "2500".to_owned()), ("2500".to_owned(), "3".to_owned())]);
        RowRewriter::new(Arc::new(rules), columns.to_vec())
    }

    fn rewrite(rewriter: &mut RowRewriter, rows: &str) -> String {
        let mut rows = rows.as_bytes().to_vec();
        rewriter.rewrite(&mut rows);
        String::from_utf8(rows).unwrap()
    }

    #[test]
    fn replaces_an_id_within_a_field_and_counts_by_column() {
        let (a, b) = (InstanceId::from_number(1), InstanceId::from_number(2));
        let rules = Rules::new(a.zip(b));
        let mut rewriter = RowRewriter::new(Arc::new(rules), vec![ColumnRule::Text, ColumnRule::Text]);
        let mut rows = b"x\tinstance_00000000-0000-0000-0000-000000000001.\n".to_vec();
        rewriter.rewrite(&mut rows);
        assert_eq!(rows, b"x\tinstance_00000000-0000-0000-0000-000000000002.\n");
        assert_eq!(rewriter.counts(), [0, 1]);
    }

    #[test]
    fn swaps_and_chains_at_once() {
        let mut rewriter = rewriter(&[(A, B), (B, A), (C, B)], &[]);
        let rows = rewrite(&mut rewriter, &format!("{A}-{B}_{C}\t{A}{B}\n{B}\n"));
        assert_eq!(rows, format!("{B}-{A}_{B}\t{A}{B}\n{A}\n"));
        assert_eq!(rewriter.counts(), [4]);
    }

    #[test]
    fn keeps_the_case_of_the_match() {
        let mut rewriter = rewriter(&[(A, C)], &[ColumnRule::Text]);
        let mixed = A.replace('f', "F");
        let rows = rewrite(&mut rewriter, &format!("{} {mixed} {A}\n", A.to_uppercase()));
        assert_eq!(rows, format!("{} {} {C}\n", C.to_uppercase(), C.to_uppercase()));
    }

    #[test]
    fn counts_by_column_and_leaves_excluded_ones() {
        let columns = [ColumnRule::Text, ColumnRule::Excluded, ColumnRule::Json];
        let mut rewriter = rewriter(&[(A, B)], &columns);
        let rows = format!("\t{A}\t\\\\f{A}\t{A}\n{A} {A}\t{A}\t\\\\\\\\f{A}\n\n{A}\n");
        let expected = format!("\t{A}\t\\\\f{B}\t{B}\n{B} {B}\t{A}\t\\\\\\\\f{A}\n\n{B}\n");
        assert_eq!(rewrite(&mut rewriter, &rows), expected);
        assert_eq!(rewriter.counts(), [3, 0, 1, 1]);
    }

    #[test]
    fn leaves_decoys_alone() {
        let mut rewriter = rewriter(&[(A, B)], &[]);
        let rows = format!("{A}0\tg{A}\t{}\t\\101{A}\t{}\n", A.replace('-', ""), A.replace('1', "2"));
        assert_eq!(rewrite(&mut rewriter, &rows), rows);
        assert!(rewriter.counts().is_empty());
    }

    #[test]
    fn numbers_are_whole_values_of_alias_columns() {
        let mut rewriter = rewriter(&[(A, B)], &[ColumnRule::AliasNumber, ColumnRule::Text]);
        let rows = rewrite(&mut rewriter, &format!("17\t17\n2500\t{A}\n{A}\t17\n017\t\n17 \t\n17\n"));
        assert_eq!(rows, format!("2500\t17\n3\t{B}\n{B}\t17\n017\t\n17 \t\n2500\n"));
        assert_eq!(rewriter.counts(), [4, 1]);
    }
}
