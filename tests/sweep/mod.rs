//! A database for each kind of entry and each attribute that pg_dump knows, restored by both strategies.
//!
//! The cases are the files `fixtures/sweep/NAME.sql`. pg_restore, as superuser and with owners and privileges, is the
//! oracle. The restored databases must equal its result as pg_dump shows them, or `differences.tsv` states the reason.
//! That list is checked in both directions: a case in it that no longer differs is an error, too.
//!
//! Owners are compared without adjustment, because role `store app` owns the objects of the source: pgmig gives all
//! objects to `username`, which is the same role here. Objects that this role cannot own stay a superuser's.
//!
//! Two attributes have no case. The rows of a table that is partitioned by the hash of an enum move to other partitions
//! in each restore, because the server hashes the OIDs of labels. An index by an access method that is not a built-in
//! one needs a library that PostgreSQL ships only with its own tests.

mod case;
mod differences;

use crate::support::Server;
use case::{Case, Found, Way};
use differences::Differences;
use pgdump_archive::EntryKind;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Kinds of entries that no case can contain, with the reasons.
const WITHOUT_CASE: [(EntryKind, &str); 10] = [
    (EntryKind::AclLanguage, "pg_dump 8.2 and older"),
    (EntryKind::Blob, "pg_dump 16 and older"),
    (EntryKind::BlobComments, "pg_dump 8.4 and older"),
    (EntryKind::BlobMetadata, "pg_dump 17 and newer"),
    (EntryKind::Database, "pg_dump writes it for other entries that are not restored"),
    (EntryKind::DatabaseProperties, "pg_dump writes it with --create"),
    (EntryKind::PropertyGraph, "PostgreSQL 19"),
    (EntryKind::SecurityLabel, "needs a library of PostgreSQL's own tests"),
    (EntryKind::StatisticsData, "pg_dump 18 and newer, with --statistics"),
    (EntryKind::SubscriptionTable, "pg_dump --binary-upgrade"),
];

/// Makes a test for each group of cases: those whose names begin with one of these words.
macro_rules! groups {
    ($($group:ident: $($word:literal)+;)+) => {
        const GROUPS: &[&[&str]] = &[$(&[$($word),+]),+];

        mod cases {
            $(#[test]
            fn $group() {
                super::sweep(&[$($word),+]);
            })+
        }
    };
}

groups! {
    tables: "table";
    partitions_and_columns: "partition" "identity" "generated";
    triggers_and_rules: "trigger" "rule" "policy";
    constraints_and_indexes: "constraint" "index";
    sequences_and_views: "sequence" "view" "materialized";
    routines: "function" "procedure";
    aggregates_and_operators: "aggregate" "operator" "cast" "transform" "language";
    types: "domain" "enum" "composite" "range" "base" "shell" "type";
    texts: "collation" "conversion" "text";
    foreign_data: "fdw";
    events_and_replication: "event" "publication" "subscription" "statistics";
    schemas_and_extensions: "large" "schema" "extension" "database";
    privileges: "acl" "default" "owner";
    comments_and_rows: "comment" "rows" "access";
}

/// Restores every case of a group. `PGMIG_SWEEP=TEXT` chooses those whose name contains the text.
#[track_caller]
#[allow(clippy::print_stdout, reason = "a line for each restore")]
fn sweep(words: &[&str]) {
    let server = Server::of_this_run();
    case::prepare(&server);
    let wanted = std::env::var("PGMIG_SWEEP").unwrap_or_default();
    let documented = Differences::read();
    let mut wrong = String::new();
    for case in Case::all() {
        if !words.contains(&case.group()) || !case.name.contains(&wanted) || !case.runs_on(&server) {
            continue;
        }
        let results = match case.run(&server) {
            Ok(results) => results,
            Err(error) => {
                let _ = writeln!(wrong, "{}: {error}", case.name);
                continue;
            }
        };
        for (way, found) in results {
            let expected = documented.of(&case, way, server.major_version());
            println!("{} {way}: {}", case.name, found.outcome);
            if found.outcome != expected {
                let Found { outcome, details } = found;
                let _ = writeln!(wrong, "{} {way}: {outcome}, expected: {expected}\n{details}", case.name);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_case_is_in_one_group() {
    let words: Vec<&str> = GROUPS.iter().copied().flatten().copied().collect();
    let unique: BTreeSet<&str> = words.iter().copied().collect();
    assert_eq!(unique.len(), words.len());
    for case in Case::all() {
        assert!(unique.contains(case.group()), "{} is in no group", case.name);
    }
}

#[test]
fn every_difference_is_that_of_a_case() {
    let cases: BTreeMap<String, Case> =
        Case::all().into_iter().map(|case| (case.name.clone(), case)).collect();
    for difference in Differences::read().all() {
        let case = cases.get(&difference.case).unwrap_or_else(|| panic!("no case {}", difference.case));
        assert!(Way::of(case).contains(&difference.way), "{} has no such way", case.name);
        assert!(!difference.reason.is_empty(), "{} has no reason", case.name);
    }
}

/// Makes and dumps every source, and restores none.
#[test]
fn every_kind_of_entry_has_a_case() {
    let server = Server::of_this_run();
    case::prepare(&server);
    let mut kinds = BTreeSet::new();
    for case in Case::all().iter().filter(|case| case.runs_on(&server)) {
        kinds.extend(case.kinds(&server).unwrap_or_else(|error| panic!("{}: {error}", case.name)));
    }
    for kind in EntryKind::ALL {
        let is_excused = WITHOUT_CASE.iter().any(|(excused, _)| excused == kind);
        assert!(is_excused || kinds.contains(kind.desc()), "no case has an entry {}", kind.desc());
    }
}
