//! What a copy has done.

use serde::Serialize;

/// The result of a copy or of a verification.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ObjectsReport {
    /// The buckets, in the order in which they were copied.
    pub buckets: Vec<BucketReport>,
    /// Buckets that were not named and that the source does not have.
    pub absent: Vec<String>,
    /// What a verification found.
    pub faults: Vec<Fault>,
}

/// One bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BucketReport {
    /// Its name.
    pub bucket: String,
    /// The number of objects at the source.
    pub objects: u64,
    /// Their size in all.
    pub bytes: u64,
    /// The number of objects that this call copied.
    pub copied: u64,
    /// Their size in all.
    pub copied_bytes: u64,
    /// The number of objects that the target had.
    pub unchanged: u64,
    /// The number of objects that were deleted at the target.
    pub deleted: u64,
    /// The number of objects that the target has and the source does not.
    pub only_at_target: u64,
    /// Whether the bucket was created.
    pub created: bool,
}

/// Something that is not as the manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Fault {
    /// The bucket.
    pub bucket: String,
    /// The object's key; `None` if the fault is none of an object.
    pub key: Option<String>,
    /// What is wrong.
    pub what: String,
}

/// Receives the progress of a copy.
pub trait Progress: std::fmt::Debug + Send + Sync {
    /// So many bytes of a bucket are done, of so many.
    fn bytes(&self, bucket: &str, done: u64, total: u64);
}

/// Passes the progress over.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoProgress;

impl Progress for NoProgress {
    fn bytes(&self, _: &str, _: u64, _: u64) {}
}
