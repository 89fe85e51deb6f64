//! Training of models after a restore: how long it takes, the settings of the job that trains all of them, and whether it is
//! complete. Pure: it follows the formulas and commands of the product's manual.
//!
//! ```
//! use pgmig_core::retrain::{Moment, RetrainJob, Training};
//! assert_eq!(Training::of(120).times[1].seconds, 120 * 60 / (10 * 2) + 120 * 2);
//! let at: Moment = "2026-12-01T02:00:00Z".parse()?;
//! let job = RetrainJob::new("cpd".parse()?, "wa".parse()?, 5.try_into()?, at);
//! assert_eq!(job.environment()[4].value, "0 0 2 1 12 ? 2026");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod job;
mod manifest;
mod moment;
mod name;
mod summary;
mod training;

pub use error::RetrainError;
pub use job::{Replicas, RetrainJob, Scale, Variable};
pub use manifest::Manifest;
pub use moment::Moment;
pub use name::{InstanceName, Namespace};
pub use summary::{RetrainSummary, RetrainVerdict};
pub use training::{Training, TrainingTime};
