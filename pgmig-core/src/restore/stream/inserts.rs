//! Rows that are INSERT statements (`pg_dump --inserts`): cut, rewritten, sent together.

use super::{Reader, Redirect, Rewriting};
use crate::archive::DataReader;
use crate::error::Result;
use crate::restore::error::RestoreError;
use crate::restore::feed::{Piece, TableEnd};
use crate::restore::plan::TableLoad;
use crate::restore::row_reader::PIECE_BYTES;
use crate::rewrite::{ColumnRule, LeftoverCounter, rewrite_insert};
use crate::sql::{
    InsertStatement, Lexer, SqlError, StandardStrings, StatementSplitter, TokenKind, quote_ident,
};
use std::borrow::Cow;

/// INSERT statements are sent together up to this many bytes; each message is a transaction.
const STATEMENTS_BYTES: usize = 64 * 1024;

impl Reader {
    /// The rows of a table that are INSERT statements.
    pub(super) fn statements(&mut self, table: &TableLoad, data: &mut DataReader<'_>) -> Result<TableEnd> {
        let mut splitter = StatementSplitter::new(self.reading.strings);
        let mut batch = Vec::new();
        let mut end = TableEnd::default();
        let mut chunk = Vec::new();
        let broken = |error: crate::sql::SqlError| RestoreError::Data {
            table: table.table.to_string(),
            reason: error.to_string(),
        };
        loop {
            chunk.clear();
            if data.read_into(&mut chunk, PIECE_BYTES)? == 0 {
                splitter.end();
            } else {
                splitter.feed(&chunk).map_err(broken)?;
            }
            while let Some(statement) = splitter.next_statement().map_err(broken)? {
                self.statement(table, statement.text, &mut batch, &mut end)?;
                if batch.len() >= STATEMENTS_BYTES {
                    self.send(Piece::Statements(std::mem::take(&mut batch)))?;
                }
            }
            if chunk.is_empty() {
                break;
            }
        }
        if !batch.is_empty() {
            self.send(Piece::Statements(batch))?;
        }
        Ok(end)
    }

    /// Appends one statement, rewritten, to `batch`, and counts its rows.
    fn statement(
        &self,
        table: &TableLoad,
        text: &[u8],
        batch: &mut Vec<u8>,
        end: &mut TableEnd,
    ) -> Result<()> {
        let before = batch.len();
        // Text that is not UTF-8 is neither counted nor rewritten: the server converts it, and archives in such
        // encodings are restored with their own IDs if they have INSERT statements.
        let sql = std::str::from_utf8(text).ok();
        let insert = sql.and_then(|sql| InsertStatement::parse(sql, self.reading.strings).ok());
        match &insert {
            Some(insert) => end.rows += insert.rows.len() as u64,
            None => end.is_uncounted = true,
        }
        let named = insert.and_then(|insert| insert.columns);
        match (&self.reading.rewriting, sql) {
            (Some(rewriting), Some(sql)) => {
                let sql = self.insert(table, sql, named.as_deref(), rewriting, end)?;
                batch.extend_from_slice(sql.as_bytes());
            }
            (None, Some(sql)) => batch.extend_from_slice(self.redirect(table, sql.into())?.as_bytes()),
            _ => batch.extend_from_slice(text),
        }
        batch.push(b'\n');
        end.bytes += (batch.len() - before) as u64;
        Ok(())
    }

    /// The statement for the table that its rows go to.
    fn redirect<'a>(&self, table: &TableLoad, sql: Cow<'a, str>) -> Result<Cow<'a, str>> {
        let Some(redirect) = self.reading.redirected.get(&table.dump_id) else { return Ok(sql) };
        let redirected = insert_into(&sql, redirect, self.reading.strings);
        Ok(redirected.map_err(|error| broken(table, &error))?.into())
    }

    /// An INSERT statement with its IDs replaced, into the table that its rows go to.
    fn insert(
        &self,
        table: &TableLoad,
        sql: &str,
        named: Option<&[String]>,
        rewriting: &Rewriting,
        end: &mut TableEnd,
    ) -> Result<String> {
        let columns = rewriting.columns.get(&table.dump_id).cloned().unwrap_or_default();
        let places = columns.places(named);
        let rule = |place: &Option<usize>| place.and_then(|place| columns.rules.get(place)).cloned();
        let rules: Vec<ColumnRule> = places.iter().map(|place| rule(place).unwrap_or_default()).collect();
        let rewritten = rewrite_insert(sql, &rewriting.rules, &rules, self.reading.strings)
            .map_err(|error| broken(table, &error))?;
        for (totals, counts) in [(&mut end.replaced, &rewritten.counts), (&mut end.left, &rewritten.left)] {
            totals.resize(columns.names.len(), 0);
            for (place, count) in places.iter().zip(counts) {
                if let Some(total) = place.and_then(|place| totals.get_mut(place)) {
                    *total += count;
                }
            }
        }
        let mut leftovers = LeftoverCounter::new(&rewriting.rules, Vec::new());
        end.leftovers += leftovers.count_insert(&rewritten.sql, &rules, self.reading.strings);
        Ok(self.redirect(table, rewritten.sql)?.into_owned())
    }
}

fn broken(table: &TableLoad, error: &SqlError) -> RestoreError {
    RestoreError::Data { table: table.table.to_string(), reason: error.to_string() }
}

/// An INSERT statement with another table: the columns are named if they are not yet, since those of a root can
/// be in another order.
fn insert_into(sql: &str, to: &Redirect, strings: StandardStrings) -> Result<String, SqlError> {
    let mut tokens = Vec::new();
    for token in Lexer::new(sql.as_bytes(), strings) {
        let token = token?;
        if !token.kind.is_blank() {
            tokens.push(token);
        }
        // INSERT INTO schema . table and what follows.
        if tokens.len() > 6 {
            break;
        }
    }
    let qualified = tokens.get(3).is_some_and(|token| token.kind == TokenKind::Symbol(b'.'));
    let after = if qualified { 5 } else { 3 };
    let Some(next) = tokens.get(after) else { return Ok(sql.to_owned()) };
    let rest = sql.get(next.span.start..).unwrap_or_default();
    if next.kind == TokenKind::Symbol(b'(') {
        return Ok(format!("INSERT INTO {} {rest}", to.table));
    }
    let columns: Vec<String> = to.columns.iter().map(|column| quote_ident(column)).collect();
    Ok(format!("INSERT INTO {} ({}) {rest}", to.table, columns.join(", ")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::sql::QualifiedName;

    #[test]
    fn rows_of_a_partition_are_inserted_into_the_root() {
        let root = Redirect {
            table: QualifiedName::new("store", "message"),
            columns: vec!["id".into(), "Body".into()],
        };
        let into = |sql| insert_into(sql, &root, StandardStrings::On).unwrap();
        assert_eq!(
            into("INSERT INTO store.\"p 0\" VALUES ('INSERT INTO x', 1);"),
            "INSERT INTO store.message (id, \"Body\") VALUES ('INSERT INTO x', 1);"
        );
        assert_eq!(
            into("INSERT INTO p0 OVERRIDING SYSTEM VALUE VALUES (1);"),
            "INSERT INTO store.message (id, \"Body\") OVERRIDING SYSTEM VALUE VALUES (1);"
        );
        assert_eq!(
            into("INSERT INTO store.p0 (id) VALUES (1);"),
            "INSERT INTO store.message (id) VALUES (1);"
        );
    }
}
