//! Finds the previous databases of a target by their markers, and judges each database that could be one.

use crate::error::Result;
use crate::restore::refusal::previous::PreviousRefusal;
use crate::restore::staging::dropping::INVALID;
use crate::restore::staging::marker::{Marker, PREFIX, State, without_others};
use crate::restore::staging::names::previous_name;
use crate::serialized::optional_seconds;
use crate::server::TargetError;
use crate::server::catalog::{DatabaseFacts, server_clock_ms};
use crate::server::session::{Session, TextRow};
use crate::sql::quote_literal;
use serde::Serialize;
use std::time::Duration;

/// A database that the target was until a swap.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PreviousDatabase {
    /// Its name.
    pub name: String,
    /// Its size; `None` if `su_username` may not connect to it.
    #[serde(rename = "database_bytes")]
    pub bytes: Option<u64>,
    /// When it was replaced, in UTC by the server's clock: `2026-11-30T14:33:55Z`. `None` if an earlier release of pgmig
    /// replaced it.
    pub replaced_at: Option<String>,
    /// The time since then.
    #[serde(rename = "age_seconds", serialize_with = "optional_seconds")]
    pub age: Option<Duration>,
    /// The ID of the run that replaced it.
    #[serde(rename = "run_id")]
    pub run: String,
    /// Whether it is kept. Otherwise the run could not drop it, and the next restore does.
    pub is_kept: bool,
    /// Why it cannot be put back at present, each reason with its remedy. Empty if it can.
    pub obstacles: Vec<String>,
}

/// A previous database, and what identifies it.
#[derive(Debug, Clone)]
pub(super) struct Previous {
    pub(super) shown: PreviousDatabase,
    pub(super) oid: u32,
    pub(super) is_invalid: bool,
    pub(super) marker: Marker,
}

/// All databases of the server, as far as previous ones are concerned.
pub(super) struct Found {
    /// The newest first.
    pub(super) previous: Vec<Previous>,
    /// Refusals of databases whose marker names the target.
    pub(super) doubtful: Vec<PreviousRefusal>,
    others: Vec<Candidate>,
}

/// A database that could be a previous one of the target.
#[derive(Debug, Clone, Default)]
struct Candidate {
    name: String,
    oid: u32,
    owner: String,
    is_of_superuser: bool,
    is_invalid: bool,
    bytes: Option<u64>,
    marker: Option<Marker>,
}

/// No time after this one is written in four digits of a year.
const LAST_MS: u64 = 253_402_300_799_999;

impl Found {
    /// Asks the server.
    pub(super) async fn read(control: &mut Session, target: &DatabaseFacts) -> Result<Self, TargetError> {
        let (mut previous, mut doubtful, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for candidate in candidates(control).await? {
            match candidate.judge(target) {
                Ok(marker) => previous.push(candidate.clone().into_previous(marker)),
                Err(refusal) => {
                    doubtful.extend(candidate.is_doubtful(target).then_some(refusal));
                    others.push(candidate);
                }
            }
        }
        date(control, &mut previous).await?;
        previous.sort_by_key(|previous| std::cmp::Reverse(previous.marker.replaced_ms));
        Ok(Self { previous, doubtful, others })
    }

    /// The previous database of this name, or the newest.
    pub(super) fn choose(
        &self,
        name: Option<&str>,
        target: &DatabaseFacts,
    ) -> Result<Previous, PreviousRefusal> {
        let Some(name) = name else { return self.newest(target) };
        match self.previous.iter().find(|previous| previous.shown.name == name) {
            Some(previous) => Ok(previous.clone()),
            None => Err(self.refusal(name, target)),
        }
    }

    fn newest(&self, target: &DatabaseFacts) -> Result<Previous, PreviousRefusal> {
        let Some(newest) = self.previous.first() else {
            return Err(PreviousRefusal::NoneKept { target: target.name.clone() });
        };
        let replaced = |previous: &Previous| previous.marker.replaced_ms;
        let alike: Vec<String> = self
            .previous
            .iter()
            .filter(|previous| replaced(previous) == replaced(newest))
            .map(|previous| previous.shown.name.clone())
            .collect();
        if alike.len() > 1 {
            return Err(PreviousRefusal::Ambiguous { previous: alike });
        }
        Ok(newest.clone())
    }

    /// Why the database of this name is none of the target's previous ones.
    fn refusal(&self, name: &str, target: &DatabaseFacts) -> PreviousRefusal {
        let names: Vec<String> = self.previous.iter().map(|previous| previous.shown.name.clone()).collect();
        let (database, target_name) = (name.to_owned(), target.name.clone());
        let Some(candidate) = self.others.iter().find(|other| other.name == name) else {
            return PreviousRefusal::Unknown { database, target: target_name, previous: names };
        };
        match candidate.judge(target) {
            Err(PreviousRefusal::NotMarked { .. }) => {
                PreviousRefusal::NotMarked { database, target: target_name, previous: names }
            }
            Err(PreviousRefusal::IsTarget { .. }) => PreviousRefusal::IsTarget { database, previous: names },
            Err(refusal) => refusal,
            Ok(_) => PreviousRefusal::Changed { database },
        }
    }
}

impl Candidate {
    /// The marker, if this is a previous database of the target. Anybody who owns a database can write its comment, and
    /// code of an archive acts as the target's owner. So the comment alone proves nothing.
    fn judge(&self, target: &DatabaseFacts) -> Result<Marker, PreviousRefusal> {
        let database = self.name.clone();
        if self.oid == target.oid {
            return Err(PreviousRefusal::IsTarget { database, previous: Vec::new() });
        }
        let Some(marker) = &self.marker else {
            return Err(PreviousRefusal::NotMarked {
                database,
                target: target.name.clone(),
                previous: Vec::new(),
            });
        };
        if marker.target != target.name {
            return Err(PreviousRefusal::OfAnotherTarget { database, target: marker.target.clone() });
        }
        if marker.state == State::Staging {
            return Err(PreviousRefusal::Staging { database });
        }
        if marker.target_oid != self.oid {
            return Err(PreviousRefusal::Copied { database, oid: self.oid, marked: marker.target_oid });
        }
        if self.owner != target.owner && !self.is_of_superuser {
            let (owner, target_owner) = (self.owner.clone(), target.owner.clone());
            return Err(PreviousRefusal::OtherOwner { database, owner, target_owner });
        }
        let given = previous_name(&target.name, &marker.run);
        if given != self.name {
            return Err(PreviousRefusal::Renamed { database, given });
        }
        Ok(marker.clone())
    }

    /// Whether its marker names the target, although it is not a previous database of it.
    fn is_doubtful(&self, target: &DatabaseFacts) -> bool {
        let is_marked = |marker: &Marker| marker.target == target.name && marker.state != State::Staging;
        self.oid != target.oid && self.marker.as_ref().is_some_and(is_marked)
    }

    fn into_previous(self, mut marker: Marker) -> Previous {
        marker.replaced_ms = marker.replaced_ms.filter(|time| *time <= LAST_MS);
        let shown = PreviousDatabase {
            name: self.name,
            bytes: self.bytes,
            run: marker.run.clone(),
            is_kept: marker.state == State::Kept,
            ..PreviousDatabase::default()
        };
        Previous { shown, oid: self.oid, is_invalid: self.is_invalid, marker }
    }
}

async fn candidates(control: &mut Session) -> Result<Vec<Candidate>, TargetError> {
    // Only databases with a marker are measured: that can take a while.
    let (prefix, comment) = (quote_literal(PREFIX), without_others("c.c"));
    let sql = format!(
        "SELECT d.datname, d.oid, pg_catalog.pg_get_userbyid(d.datdba), COALESCE(r.rolsuper, false), d.datconnlimit, {comment}, \
         CASE WHEN d.datconnlimit <> {INVALID} AND pg_catalog.starts_with(c.c, {prefix}) \
                   AND pg_catalog.has_database_privilege(d.oid, 'CONNECT') \
              THEN pg_catalog.pg_database_size(d.oid) END \
         FROM pg_catalog.pg_database d LEFT JOIN pg_catalog.pg_roles r ON r.oid = d.datdba, \
         LATERAL (SELECT pg_catalog.shobj_description(d.oid, 'pg_database') AS c) c ORDER BY d.datname"
    );
    let rows = control.rows(&sql, "list the previous databases").await?;
    let candidate = |row: &TextRow| Candidate {
        name: row.text(0).to_owned(),
        oid: row.number(1),
        owner: row.text(2).to_owned(),
        is_of_superuser: row.is_true(3),
        is_invalid: row.number::<i32>(4) == INVALID,
        bytes: row.get(6).and_then(|bytes| bytes.parse().ok()),
        marker: row.get(5).and_then(Marker::from_comment),
    };
    Ok(rows.iter().map(candidate).collect())
}

/// Says when each was replaced, and how long ago that is.
async fn date(control: &mut Session, previous: &mut [Previous]) -> Result<(), TargetError> {
    let now = server_clock_ms(control).await?;
    for previous in previous {
        let Some(replaced) = previous.marker.replaced_ms else { continue };
        let sql = format!(
            "SELECT pg_catalog.to_char(pg_catalog.to_timestamp({}) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
            replaced / 1000
        );
        previous.shown.replaced_at = control.optional(&sql, "read when a database was replaced").await?;
        previous.shown.age = Some(Duration::from_millis(now.saturating_sub(replaced)));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn target() -> DatabaseFacts {
        DatabaseFacts { name: "store".into(), oid: 9, owner: "owner".into(), ..DatabaseFacts::default() }
    }

    /// A previous database of the target, changed.
    fn judged(change: impl FnOnce(&mut Candidate, &mut Marker)) -> Result<Marker, PreviousRefusal> {
        let mut marker = Marker {
            run: "r".into(),
            target: "store".into(),
            target_oid: 7,
            state: State::Kept,
            replaced_ms: None,
            built: None,
            comment: None,
        };
        let (name, owner) = (previous_name("store", "r"), "owner".to_owned());
        let mut candidate = Candidate { name, oid: 7, owner, ..Candidate::default() };
        change(&mut candidate, &mut marker);
        candidate.marker = Some(marker);
        candidate.judge(&target())
    }

    #[test]
    fn a_marker_alone_proves_nothing() {
        use PreviousRefusal as No;
        assert!(judged(|_, _| {}).is_ok());
        assert!(judged(|_, marker| marker.state = State::Previous).is_ok());
        assert!(matches!(judged(|_, marker| marker.target = "x".into()), Err(No::OfAnotherTarget { .. })));
        assert!(matches!(judged(|_, marker| marker.state = State::Staging), Err(No::Staging { .. })));
        assert!(matches!(judged(|_, marker| marker.target_oid = 8), Err(No::Copied { .. })));
        assert!(matches!(judged(|found, _| found.owner = "x".into()), Err(No::OtherOwner { .. })));
        assert!(matches!(judged(|found, _| found.name = "x".into()), Err(No::Renamed { .. })));
        let its_own = |found: &mut Candidate, marker: &mut Marker| (found.oid, marker.target_oid) = (9, 9);
        assert!(matches!(judged(its_own), Err(No::IsTarget { .. })));
    }

    #[test]
    fn a_superuser_may_own_a_previous_database() {
        assert!(judged(|found, _| (found.owner, found.is_of_superuser) = ("postgres".into(), true)).is_ok());
    }

    #[test]
    fn the_newest_is_chosen_if_the_markers_say_it() {
        let previous = |name: &str, replaced_ms| {
            let marker = Marker {
                run: name.into(),
                target: "store".into(),
                target_oid: 7,
                state: State::Kept,
                replaced_ms,
                built: None,
                comment: None,
            };
            Candidate { name: name.into(), ..Candidate::default() }.into_previous(marker)
        };
        let found = |previous| Found { previous, doubtful: Vec::new(), others: Vec::new() };
        let both = found(vec![previous("a", Some(2)), previous("b", Some(1))]);
        assert_eq!(both.choose(None, &target()).unwrap().shown.name, "a");
        assert_eq!(both.choose(Some("b"), &target()).unwrap().shown.name, "b");
        let undated = found(vec![previous("a", None), previous("b", None)]);
        assert!(matches!(undated.choose(None, &target()), Err(PreviousRefusal::Ambiguous { .. })));
        let none = found(Vec::new());
        assert!(matches!(none.choose(None, &target()), Err(PreviousRefusal::NoneKept { .. })));
        assert!(matches!(none.choose(Some("a"), &target()), Err(PreviousRefusal::Unknown { .. })));
    }
}
