//! The job that trains all workspaces: its settings, the patches that set them, and the commands that undo the patches.

use super::manifest::{self, Manifest};
use super::{InstanceName, Moment, Namespace, RetrainError};
use serde::Serialize;

/// More replicas than this are a mistake.
const MOST_REPLICAS: u32 = 10_000;
/// How many models are trained at a time, for each replica.
const MODELS_A_REPLICA: u32 = 2;
/// The seconds from the beginning of one batch to that of the next, by the manual.
const SECONDS_A_BATCH: u32 = 60;

/// A number of replicas of a deployment, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Replicas(u32);

/// A setting of the job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Variable {
    /// The name of the environment variable.
    pub name: &'static str,
    /// Its value.
    pub value: String,
}

/// The replicas of all deployments that take part in training, by the manual's proportions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Scale {
    /// `CLU_TRAINING_REPLICAS`.
    pub clu_training: u32,
    /// `TFMM_REPLICAS`: half as many, rounded up.
    pub tfmm: u32,
    /// `DRAGONFLY_CLU_MM_REPLICAS`: three tenths, rounded up.
    pub dragonfly_clu_mm: u32,
    /// `CLU_EMBEDDING_REPLICAS`: a fifth, rounded up.
    pub clu_embedding: u32,
    /// `CLU_TRITON_SERVING_REPLICAS`: a fifth, rounded up.
    pub clu_triton_serving: u32,
}

/// The job that trains all workspaces of an instance of the product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrainJob {
    pub(super) namespace: Namespace,
    pub(super) instance: InstanceName,
    replicas: Replicas,
    at: Moment,
    scale: Option<Scale>,
}

impl Replicas {
    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for Replicas {
    fn default() -> Self {
        Self(1)
    }
}

impl TryFrom<u32> for Replicas {
    type Error = RetrainError;

    fn try_from(number: u32) -> Result<Self, Self::Error> {
        let replicas = Some(number).filter(|number| (1..=MOST_REPLICAS).contains(number));
        replicas.map(Self).ok_or(RetrainError::Replicas { most: MOST_REPLICAS })
    }
}

impl std::str::FromStr for Replicas {
    type Err = RetrainError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number: u32 = text.parse().map_err(|_| RetrainError::Replicas { most: MOST_REPLICAS })?;
        Self::try_from(number)
    }
}

impl Scale {
    /// The replicas of all deployments, for this many that train.
    pub fn of(training: Replicas) -> Self {
        let tenths = |part: u32| training.0.saturating_mul(part).div_ceil(10);
        Self {
            clu_training: training.0,
            tfmm: tenths(5),
            dragonfly_clu_mm: tenths(3),
            clu_embedding: tenths(2),
            clu_triton_serving: tenths(2),
        }
    }

    /// The manual's variables.
    pub fn environment(&self) -> Vec<Variable> {
        let variable = |name, replicas: u32| Variable { name, value: replicas.to_string() };
        vec![
            variable("CLU_TRAINING_REPLICAS", self.clu_training),
            variable("TFMM_REPLICAS", self.tfmm),
            variable("DRAGONFLY_CLU_MM_REPLICAS", self.dragonfly_clu_mm),
            variable("CLU_EMBEDDING_REPLICAS", self.clu_embedding),
            variable("CLU_TRITON_SERVING_REPLICAS", self.clu_triton_serving),
        ]
    }
}

impl RetrainJob {
    /// A job for the training replicas that there are.
    pub fn new(namespace: Namespace, instance: InstanceName, replicas: Replicas, at: Moment) -> Self {
        Self { namespace, instance, replicas, at, scale: None }
    }

    /// Also changes the number of replicas for the time of the job.
    #[must_use]
    pub fn scaled_to(mut self, training: Replicas) -> Self {
        self.scale = Some(Scale::of(training));
        self
    }

    /// The replicas of all deployments, if the job changes them.
    pub fn scale(&self) -> Option<&Scale> {
        self.scale.as_ref()
    }

    /// The settings of the job, in the manual's order.
    pub fn environment(&self) -> Vec<Variable> {
        let variable = |name, value: String| Variable { name, value };
        vec![
            variable("AUTO_RETRAIN", "false".to_owned()),
            variable("BATCH_RETRAIN_ALL_SIZE", self.batch().to_string()),
            variable("WAIT_TIME_BETWEEN_BATCH_RETRAIN_IN_SECONDS_FOR_RETRAIN_ALL", self.wait().to_string()),
            variable("WAIT_TIME_BETWEEN_TRAININGS_FOR_RETRAIN_ALL", "1".to_owned()),
            variable("AUTO_RETRAIN_ALL_CRON_SCHEDULE", self.at.to_string()),
            variable("AUTO_RETRAIN_ALL_ENABLED", "true".to_owned()),
        ]
    }

    /// The patches that set all of this: the replicas first, then the job.
    pub fn patches(&self) -> Vec<Manifest> {
        let mut patches = Vec::new();
        if let Some(scale) = &self.scale {
            patches.extend(manifest::scaling(self, scale));
        }
        patches.push(manifest::store_admin(self));
        patches
    }

    /// The commands that undo the patches when the job is complete.
    pub fn undo(&self) -> Vec<String> {
        Self::undo_of(&self.namespace, &self.instance, self.scale.is_some())
    }

    /// The same, for any job of the instance.
    pub fn undo_of(namespace: &Namespace, instance: &InstanceName, is_scaled: bool) -> Vec<String> {
        manifest::undo(namespace, instance, is_scaled)
    }

    /// Facts that the operator should know before the patches are applied.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if self.batch() > SECONDS_A_BATCH {
            warnings.push(format!(
                "for {} replicas the manual's wait between batches (60 - {}) is negative, and is set to 0",
                self.replicas.0,
                self.batch()
            ));
        }
        if let Some(scale) = self.scale.filter(|scale| scale.clu_training != self.replicas.0) {
            warnings.push(format!(
                "the batches are those of {} training replicas, and the patches make them {}",
                self.replicas.0, scale.clu_training
            ));
        }
        if !self.namespace.is_accepted() || !self.instance.is_accepted() {
            warnings.push(format!(
                "Kubernetes names have small letters, digits and hyphens: it may refuse namespace {} or instance {}",
                self.namespace, self.instance
            ));
        }
        warnings
    }

    fn batch(&self) -> u32 {
        self.replicas.0.saturating_mul(MODELS_A_REPLICA)
    }

    fn wait(&self) -> u32 {
        SECONDS_A_BATCH.saturating_sub(self.batch())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn job(replicas: u32) -> RetrainJob {
        let at = "2024-03-11T19:40:00Z".parse().unwrap();
        RetrainJob::new("cpd".parse().unwrap(), "wa".parse().unwrap(), replicas.try_into().unwrap(), at)
    }

    #[test]
    fn replicas_are_rounded_up() {
        let of = |number: u32| {
            let scale = Scale::of(number.try_into().unwrap());
            [scale.tfmm, scale.dragonfly_clu_mm, scale.clu_embedding, scale.clu_triton_serving]
        };
        assert_eq!(of(1), [1, 1, 1, 1]);
        assert_eq!(of(5), [3, 2, 1, 1]);
        assert_eq!(of(10), [5, 3, 2, 2]);
        assert_eq!(of(15), [8, 5, 3, 3]);
        assert_eq!(of(30), [15, 9, 6, 6]);
    }

    #[test]
    fn a_wait_is_never_negative() {
        assert_eq!(job(30).environment().get(2).map(|wait| wait.value.clone()).unwrap(), "0");
        assert!(job(30).warnings().is_empty());
        assert_eq!(job(31).environment().get(2).map(|wait| wait.value.clone()).unwrap(), "0");
        assert_eq!(job(31).warnings().len(), 1);
    }

    #[test]
    fn no_replicas_train_nothing() {
        for number in ["0", "-1", "10001", "1.5", "", "4294967296"] {
            assert!(number.parse::<Replicas>().is_err(), "{number}");
        }
    }
}
