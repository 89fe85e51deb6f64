//! Errors of SQL text.

use thiserror::Error;

/// Why a piece of SQL text is not valid. Offsets are 0-based bytes of the given text. No variant holds any of the
/// text, which may contain values of rows.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SqlError {
    /// The text ends inside a string, a quoted name or a comment.
    #[error("unterminated {what} that begins at byte {offset}")]
    Unterminated {
        /// What is not closed: a string, a quoted name or a comment.
        what: &'static str,
        /// Where it begins.
        offset: u64,
    },
    /// A statement is longer than this library accepts.
    #[error("the statement that begins at byte {offset} is longer than {limit} bytes")]
    StatementTooLong {
        /// Where it begins.
        offset: u64,
        /// The limit in bytes.
        limit: usize,
    },
    /// The text is not of the expected form.
    #[error("expected {expected} at byte {offset} of the {statement}")]
    Unexpected {
        /// What kind of text was being read, e.g. "INSERT statement".
        statement: &'static str,
        /// The expected token.
        expected: &'static str,
        /// Where the token was expected.
        offset: u64,
    },
}
