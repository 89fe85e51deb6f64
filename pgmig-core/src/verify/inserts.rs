//! Checks a table's data in the form of INSERT statements (`pg_dump --inserts`).

use super::encoding::TextEncoding;
use super::expectation::Expectations;
use super::fault::InsertFault;
use crate::sql::{InsertStatement, QualifiedName, SqlError, StandardStrings, StatementSplitter};

/// A fault of a statement, and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InsertFaultAt {
    pub(crate) fault: InsertFault,
    /// The number of the row with which the statement begins, from 1.
    pub(crate) row: u64,
    /// Bytes from the start of the data.
    pub(crate) offset: u64,
}

/// Counts and checks the rows of INSERT statements.
#[derive(Debug)]
#[must_use]
pub(crate) struct InsertScanner<'a> {
    expectations: &'a Expectations,
    /// The table of the rows; `None` for any other SQL, which is only split into statements.
    table: Option<&'a QualifiedName>,
    splitter: StatementSplitter,
    rows: u64,
    /// The number of values in each row so far; all rows must have the same.
    values: Option<usize>,
    /// Where the present statement begins.
    offset: u64,
}

impl<'a> InsertScanner<'a> {
    pub(crate) fn new(expectations: &'a Expectations, table: Option<&'a QualifiedName>) -> Self {
        let splitter = StatementSplitter::new(expectations.strings);
        Self { expectations, table, splitter, rows: 0, values: None, offset: 0 }
    }

    /// Scans the next bytes.
    pub(crate) fn scan(&mut self, piece: &[u8]) -> Result<(), InsertFaultAt> {
        self.splitter.feed(piece).map_err(|error| self.lost(error))?;
        self.statements()
    }

    /// Ends the data, and returns the number of rows.
    pub(crate) fn finish(mut self) -> Result<u64, InsertFaultAt> {
        self.splitter.end();
        self.statements()?;
        Ok(self.rows)
    }

    fn statements(&mut self) -> Result<(), InsertFaultAt> {
        loop {
            let statement = match self.splitter.next_statement() {
                Ok(Some(statement)) => statement,
                Ok(None) => return Ok(()),
                Err(error) => return Err(self.lost(error)),
            };
            self.offset = statement.offset;
            let Self { expectations, table: Some(table), rows, values, .. } = self else {
                if statement.text.ends_with(b";") {
                    continue;
                }
                return Err(self.fault(InsertFault::Unfinished));
            };
            match check(statement.text, expectations, table, values) {
                Ok(count) => *rows += count,
                Err(fault) => return Err(self.fault(fault)),
            }
        }
    }

    /// The fault for an error of the lexer, at the error's place.
    fn lost(&self, error: SqlError) -> InsertFaultAt {
        let offset = match error {
            SqlError::Unterminated { offset, .. } | SqlError::StatementTooLong { offset, .. } => offset,
            _ => self.offset,
        };
        InsertFaultAt { fault: error.into(), row: self.rows + 1, offset }
    }

    fn fault(&self, fault: InsertFault) -> InsertFaultAt {
        InsertFaultAt { fault, row: self.rows + 1, offset: self.offset }
    }
}

/// Checks one statement, and returns its number of rows.
fn check(
    text: &[u8],
    expectations: &Expectations,
    table: &QualifiedName,
    values: &mut Option<usize>,
) -> Result<u64, InsertFault> {
    let Expectations { encoding, strings, partitioned, .. } = expectations;
    if !encoding.is_text(text) {
        return Err(InsertFault::NotInEncoding);
    }
    if !text.ends_with(b";") {
        return Err(InsertFault::Unfinished);
    }
    let insert = parse(text, *encoding, *strings)?;
    let is_own = insert.table.name == table.name
        && (insert.table.schema.is_none() || insert.table.schema == table.schema);
    if !is_own && !partitioned.contains(&insert.table.name) {
        return Err(InsertFault::OtherTable);
    }
    let expected = match (&insert.columns, insert.rows.first(), *values) {
        (Some(columns), _, _) => columns.len(),
        (None, _, Some(values)) => values,
        (None, Some(row), None) => row.len(),
        (None, None, None) => 0,
    };
    *values = Some(expected);
    match insert.rows.iter().find(|row| row.len() != expected) {
        Some(row) => Err(InsertFault::ValueCount { values: row.len(), expected }),
        None => Ok(u64::try_from(insert.rows.len()).unwrap_or(u64::MAX)),
    }
}

fn parse(
    text: &[u8],
    encoding: TextEncoding,
    strings: StandardStrings,
) -> Result<InsertStatement, InsertFault> {
    let sql = encoding.lexed(text).ok_or(InsertFault::NotInEncoding)?;
    Ok(InsertStatement::parse(&sql, strings)?)
}
