//! What is wrong with a piece of SQL text.

use thiserror::Error;

/// What is wrong with a piece of SQL text. Offsets are 0-based bytes of the text that was given; no variant
/// holds any of the text, which may contain values of rows.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum SqlError {
    /// The text ends inside a string, a quoted name or a comment.
    #[error("unterminated {what} that begins at byte {offset}")]
    Unterminated {
        /// What was not closed.
        what: &'static str,
        /// Where it begins.
        offset: u64,
    },
    /// A statement is longer than this library takes.
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
        /// What should have been there.
        expected: &'static str,
        /// Where.
        offset: u64,
    },
}
