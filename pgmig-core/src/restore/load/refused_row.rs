//! The error for a row that the server refuses: its place and the fault, without any of its values.

use super::feed::Rows;
use crate::restore::error::{RestoreError, RowError};
use crate::restore::plan::TableLoad;
use crate::server::{ServerError, TargetError};

/// The rows that one COPY has sent: for each run of rows, the first row's number in the archive and the count.
#[derive(Debug, Default)]
pub(crate) struct SentRows {
    runs: Vec<(u64, u64)>,
    bytes: u64,
}

impl SentRows {
    pub(crate) fn push(&mut self, rows: &Rows) {
        self.runs.push((rows.first, rows.count));
        self.bytes += rows.bytes.len() as u64;
    }

    /// For each run of rows, the first row's number in the archive and the count.
    pub(super) fn runs(&self) -> &[(u64, u64)] {
        &self.runs
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The number in the archive of the row in this line of the COPY.
    fn row(&self, line: u64) -> Option<u64> {
        let mut before = line.checked_sub(1)?;
        for (first, count) in &self.runs {
            if before < *count {
                return Some(first + before);
            }
            before -= count;
        }
        None
    }
}

/// SQLSTATE of a statement that somebody cancelled.
const CANCELLED: &str = "57014";

/// The server's reason for refusing a COPY.
pub(crate) struct RefusedRow {
    server: ServerError,
    sqlstate: String,
}

impl RefusedRow {
    /// Examines an error of a COPY into this table.
    ///
    /// # Errors
    ///
    /// The error itself, if it is not about rows: a lost connection, a statement that somebody cancelled.
    pub(crate) fn of(error: &sqlx::Error, load: &TableLoad) -> Result<Self, TargetError> {
        let server = ServerError::from_sqlx(error, &format!("load table {}", load.table));
        match server.sqlstate.clone() {
            Some(sqlstate) if !server.connection_lost && sqlstate != CANCELLED => {
                Ok(Self { server, sqlstate })
            }
            _ => Err(server.into()),
        }
    }

    /// Whether the row fits none of the partitions. The message then lists their bounds.
    pub(crate) fn fits_no_partition(&self) -> bool {
        self.sqlstate == "23514" && self.server.constraint.is_none()
    }

    /// The error to show.
    pub(crate) fn into_error(self, load: &TableLoad, sent: &SentRows, bounds: Vec<String>) -> RestoreError {
        let context = self.server.context.as_deref().unwrap_or_default();
        let (line, column) = copy_place(context);
        let mut condition = condition(&self.sqlstate, &self.server.message);
        if let Some(function) = function(context) {
            condition = format!("{condition}, in function {function}");
        }
        // A trigger has inserted a row into another table.
        let is_own = |name: &str| {
            name == load.table.name || load.into.as_ref().is_some_and(|into| into.table.name == name)
        };
        let elsewhere =
            self.server.table.as_deref().filter(|name| !is_own(name) && context.contains("SQL statement"));
        let (mut column, own_column) = (column, self.server.column.clone());
        if let Some(table) = elsewhere {
            let of = own_column.as_deref().map(|column| format!(" column {column} of")).unwrap_or_default();
            condition = format!("{condition}, in{of} table {table}");
        } else {
            column = column.or(own_column);
        }
        RestoreError::Row(Box::new(RowError {
            table: load.table.to_string(),
            row: line.and_then(|line| sent.row(line)),
            column,
            condition,
            sqlstate: self.sqlstate,
            constraint: self.server.constraint,
            bounds,
        }))
    }
}

/// The line and column in `COPY t, line 3, column c`.
fn copy_place(context: &str) -> (Option<u64>, Option<String>) {
    let Some(line_at) = context.rfind(", line ") else { return (None, None) };
    let rest = context.get(line_at + ", line ".len()..).unwrap_or_default();
    match rest.split_once(", column ") {
        Some((line, column)) => (line.parse().ok(), Some(column.to_owned())),
        None => (rest.parse().ok(), None),
    }
}

/// The innermost function in `PL/pgSQL function f(integer) line 3 at RAISE`, which belongs to a trigger or
/// constraint.
fn function(context: &str) -> Option<&str> {
    let (function, _) = context.lines().next()?.strip_prefix("PL/pgSQL function ")?.split_once(" line ")?;
    Some(function)
}

/// The meaning of an SQLSTATE, in words that contain no values.
fn condition(sqlstate: &str, message: &str) -> String {
    let known = match sqlstate {
        "22P02" | "22007" | "22008" | "2200M" | "22030" | "22032" => "the value is not of the column's type",
        "22P04" => "the row has not as many fields as the table has columns, or is not COPY text",
        "22001" => "the value is too long for the column",
        "22003" => "the number is out of range",
        "22021" | "22P05" => {
            "the bytes are not valid in the archive's encoding, or have no equivalent in the database's"
        }
        "23502" => "the value is missing (NULL) in a column that is NOT NULL",
        "23503" => "the row that it refers to does not exist",
        "23505" => "the key exists already",
        "23514" => "the row violates a check constraint, or fits no partition",
        "23P01" => "the row conflicts with another one (exclusion constraint)",
        "54000" | "54001" => "the value is too large",
        "53100" => "the server's disk is full",
        "53200" => "the server is out of memory",
        "57014" => "the statement was cancelled",
        "57P01" | "57P02" | "57P03" => "the server was shut down",
        _ => match sqlstate.get(..2) {
            // These concern objects, rights and resources; their messages contain no value of a row.
            Some("08" | "42" | "53" | "55" | "57" | "58") => message,
            _ => "the server refused it",
        },
    };
    known.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_a_bad_row_is_read_from_the_context() {
        assert_eq!(copy_place("COPY workspace, line 3, column id"), (Some(3), Some("id".into())));
        assert_eq!(copy_place("COPY t, line x, line 12"), (Some(12), None));
        assert_eq!(copy_place("PL/pgSQL function f()"), (None, None));
        assert_eq!(
            function("PL/pgSQL function s.f(integer) line 3 at RAISE\nCOPY t, line 1"),
            Some("s.f(integer)")
        );
        assert_eq!(function("COPY t, line 1\nPL/pgSQL function f() line 1 at RAISE"), None);
    }

    #[test]
    fn a_line_of_a_copy_is_a_row_of_the_archive() {
        let sent = SentRows { runs: vec![(101, 2), (201, 3)], bytes: 0 };
        let rows: Vec<_> = (0..=6).map(|line| sent.row(line)).collect();
        assert_eq!(rows, [None, Some(101), Some(102), Some(201), Some(202), Some(203), None]);
    }
}
