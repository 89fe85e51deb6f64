//! Obstacles to a swap: pgmig refuses beforehand and gives advice, and `--testPGConnection` shows it, too.

use crate::support::database::quoted;
use crate::support::pgmig::TargetFile;
use crate::support::store::Backup;
use crate::support::untouched::Before;
use crate::support::{Database, Pgmig};

/// Checks that a restore is refused with these texts, and that a test of the connection reports the same.
#[track_caller]
fn refused(backup: &Backup, target: &Database, file: &TargetFile, texts: &[&str]) {
    let before = Before::of(target);
    let pgmig = Pgmig::new().target(file).args(["--force", "--strategy", "swap"]);
    let outcome = backup.restore(pgmig).run();
    let mut outcome = outcome.expect_status(3).stderr_has("cannot be replaced by a swap");
    // The connection itself succeeds.
    let mut probe = Pgmig::new().target(file).arg("--testPGConnection").run().expect_status(0);
    probe = probe.stdout_has("not possible:");
    for text in texts {
        outcome = outcome.stderr_has(text);
        probe = probe.stdout_has(text);
    }
    before.is_now(outcome);
    before.is_now(probe);
}

#[test]
fn a_logical_replication_slot() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("slot");
    let slot = format!("slot_{}", std::process::id());
    target.psql(&format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')"));
    refused(&backup, &target, &TargetFile::of(&target), &[&slot, "pg_drop_replication_slot"]);
    target.psql(&format!("SELECT pg_drop_replication_slot('{slot}')"));
    backup.restore_into(&target).run().expect_status(0);
}

#[test]
fn a_prepared_transaction() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("prepared");
    let name = format!("it''s open {}", std::process::id());
    target.psql(&format!("BEGIN; INSERT INTO store.tenant (tenant_id, instance_id) SELECT gen_random_uuid(), 'x'; PREPARE TRANSACTION '{name}'"));
    refused(&backup, &target, &TargetFile::of(&target), &[&name, "ROLLBACK PREPARED"]);
    target.psql(&format!("ROLLBACK PREPARED '{name}'"));
}

#[test]
fn a_subscription() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("subscription");
    let name = format!("sub_{}", std::process::id());
    target.psql(&format!(
        "CREATE SUBSCRIPTION {name} CONNECTION 'host=nowhere password=an0ther-s3cret' PUBLICATION p \
         WITH (connect = false, slot_name = NONE, enabled = false)"
    ));
    refused(&backup, &target, &TargetFile::of(&target), &["subscription", "drop it"]);
    target.psql(&format!("DROP SUBSCRIPTION {name}"));
}

#[test]
fn a_template() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("template");
    let name = quoted(&target.name);
    target.psql(&format!("ALTER DATABASE {name} IS_TEMPLATE true"));
    refused(&backup, &target, &TargetFile::of(&target), &["IS_TEMPLATE false"]);
    target.psql(&format!("ALTER DATABASE {name} IS_TEMPLATE false"));
}

#[test]
fn all_of_them_at_once() {
    let backup = Backup::of_oldest_release();
    let target = backup.target("several");
    let id = std::process::id();
    target.psql(&format!("SELECT pg_create_logical_replication_slot('several_{id}', 'pgoutput')"));
    target.psql(&format!("BEGIN; CREATE TABLE x (); PREPARE TRANSACTION 'several {id}'"));
    refused(
        &backup,
        &target,
        &TargetFile::of(&target),
        &[&format!("several_{id}"), &format!("several {id}")],
    );
    target
        .psql(&format!("ROLLBACK PREPARED 'several {id}'; SELECT pg_drop_replication_slot('several_{id}')"));
}
