//! How long the training of all workspaces takes.

use super::Replicas;
use serde::Serialize;

/// The numbers of replicas for which the manual shows the time.
const SHOWN: [u32; 3] = [5, 10, 15];
/// How many models a replica trains in a minute, by the manual: each takes about 30 seconds.
const MODELS_A_MINUTE: u64 = 2;
const SECONDS_A_MINUTE: u64 = 60;
/// The seconds that each workspace adds, whatever the number of replicas.
const SECONDS_A_WORKSPACE: u64 = 2;

/// The training that a restored store needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Training {
    /// The number of workspaces to train.
    pub workspaces: u64,
    /// The time that it takes, for some numbers of replicas.
    pub times: Vec<TrainingTime>,
}

/// The time that a number of training replicas takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TrainingTime {
    /// The number of training replicas.
    pub replicas: u32,
    /// The approximate time, in seconds.
    pub seconds: u64,
}

impl Training {
    /// The training of this many workspaces, with the times for 5, 10 and 15 replicas.
    pub fn of(workspaces: u64) -> Self {
        let time = |replicas: u32| TrainingTime { replicas, seconds: seconds(workspaces, replicas) };
        Self { workspaces, times: SHOWN.map(time).to_vec() }
    }

    /// The same, with the time for another number of replicas.
    #[must_use]
    pub fn and_for(mut self, replicas: Replicas) -> Self {
        let replicas = replicas.get();
        if self.times.iter().all(|time| time.replicas != replicas) {
            self.times.push(TrainingTime { replicas, seconds: seconds(self.workspaces, replicas) });
            self.times.sort_unstable_by_key(|time| time.replicas);
        }
        self
    }
}

/// The manual's formula, whose division rounds down as a shell's does.
fn seconds(workspaces: u64, replicas: u32) -> u64 {
    let a_minute = u64::from(replicas).saturating_mul(MODELS_A_MINUTE).max(1);
    let trained = workspaces.saturating_mul(SECONDS_A_MINUTE) / a_minute;
    trained.saturating_add(workspaces.saturating_mul(SECONDS_A_WORKSPACE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_division_rounds_down() {
        let times =
            |workspaces| Training::of(workspaces).times.iter().map(|time| time.seconds).collect::<Vec<_>>();
        assert_eq!(times(0), [0, 0, 0]);
        assert_eq!(times(1), [8, 5, 4]);
        assert_eq!(times(7), [56, 35, 28]);
        assert_eq!(times(123), [984, 615, 492]);
    }

    #[test]
    fn another_number_of_replicas_has_its_place() {
        let replicas = |number: u32| Replicas::try_from(number).unwrap_or_default();
        let training = Training::of(100).and_for(replicas(7)).and_for(replicas(10));
        let shown: Vec<u32> = training.times.iter().map(|time| time.replicas).collect();
        assert_eq!(shown, [5, 7, 10, 15]);
    }
}
