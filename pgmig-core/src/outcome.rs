//! How a call ended for the target.

/// The state of the target after an error, from which a program derives its exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The work failed; the target is untouched (exit status 1).
    Failed,
    /// The work failed; the target holds what it held, but something of its database or its owner role was changed (1).
    Touched,
    /// Bad usage or configuration; nothing was done (2).
    Usage,
    /// Refused before anything was changed (3).
    Refused,
    /// `strict` was asked for and there were warnings; the target is untouched (4).
    Strict,
    /// The connection was lost while committing and the outcome could not be found out (5).
    OutcomeUnknown,
    /// Interrupted; the target is untouched (130).
    Interrupted,
}
