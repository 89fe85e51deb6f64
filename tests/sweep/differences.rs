//! The list of documented differences: `fixtures/sweep/differences.tsv`.

use super::case::{Case, Outcome, Way};
use crate::support::fixture::fixture;

/// A documented difference.
#[derive(Debug)]
pub(super) struct Difference {
    pub(super) case: String,
    pub(super) way: Way,
    /// The versions of PostgreSQL on which it occurs; empty for all.
    versions: Vec<u32>,
    outcome: Outcome,
    pub(super) reason: String,
}

/// All documented differences.
#[derive(Debug)]
pub(super) struct Differences(Vec<Difference>);

impl Differences {
    /// Reads the list. A line has the case, the way, the versions or `all`, the outcome, and the reason.
    pub(super) fn read() -> Self {
        let text = std::fs::read_to_string(fixture("sweep/differences.tsv")).unwrap();
        Self(text.lines().skip(1).map(Self::line).collect())
    }

    fn line(line: &str) -> Difference {
        let [case, way, versions, outcome, reason] = line.split('\t').collect::<Vec<_>>()[..] else {
            panic!("not five columns: {line}");
        };
        let versions = match versions {
            "all" => Vec::new(),
            some => some.split(',').map(|version| version.parse().unwrap()).collect(),
        };
        Difference {
            case: case.to_owned(),
            way: Way::named(way).unwrap_or_else(|| panic!("unknown way: {line}")),
            versions,
            outcome: Outcome::named(outcome).unwrap_or_else(|| panic!("unknown outcome: {line}")),
            reason: reason.to_owned(),
        }
    }

    pub(super) fn all(&self) -> &[Difference] {
        &self.0
    }

    /// The expected outcome of a case.
    pub(super) fn of(&self, case: &Case, way: Way, version: u32) -> Outcome {
        let is_meant = |listed: &&Difference| {
            let on = listed.versions.is_empty() || listed.versions.contains(&version);
            listed.case == case.name && listed.way == way && on
        };
        self.0.iter().find(is_meant).map_or_else(|| case.usual(way), |listed| listed.outcome)
    }
}
