//! How a restore tells what it does: a trait whose methods all do nothing by default.

use crate::restore::Step;
use serde::Serialize;
use std::time::Duration;

/// How much a [`Notice`] matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing; nothing is lost.
    Notice,
    /// Something of the backup or of the target is not as it was, or the server may be another one; `--strict` stops on it.
    Warning,
}

/// One thing that the operator should know. The text holds no row values and no secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Notice {
    /// How much it matters.
    pub severity: Severity,
    /// What happened, to what, and what to do about it.
    pub text: String,
}

impl Notice {
    pub(crate) fn warning(text: String) -> Self {
        Self { severity: Severity::Warning, text }
    }
}

/// Receives the events of a restore. Called from several threads; must not block.
pub trait Progress: Send + Sync {
    /// A step begins.
    fn step(&self, _step: Step) {}
    /// `read` bytes of the archive have been read so far, of `total` where its size is known.
    fn archive_bytes(&self, _read: u64, _total: Option<u64>) {}
    /// The rows of this table are being loaded from now on.
    fn table(&self, _table: &str) {}
    /// The server has acknowledged `rows` rows of this table so far. Several tables can be loaded at a time.
    fn rows(&self, _table: &str, _rows: u64) {}
    /// A post-data object (index, constraint, ...) is being made: number `done` + 1 of `total`.
    fn object(&self, _what: &str, _done: usize, _total: usize) {}
    /// A migration has been applied in `took`.
    fn migrated(&self, _version: i64, _description: &str, _took: Duration) {}
    /// The restore is being committed: from here on an interruption comes too late.
    fn committing(&self) {}
    /// Something that the operator should know.
    fn notice(&self, _notice: &Notice) {}
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {}
