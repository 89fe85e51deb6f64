//! Obstacles in both databases: slots, subscriptions, prepared transactions, templates. A slot is bound to its database,
//! whatever its name; PostgreSQL renames a database with a slot that nobody uses.

use crate::support::previous::Site;
use crate::support::session::wait_until;
use std::process::{Child, Stdio};

struct Receiver(Child);

impl Receiver {
    /// Receives the changes of a slot.
    fn start(site: &Site, database: &str, slot: &str) -> Self {
        let mut command = site.target.server.program("pg_recvlogical");
        command.args(["-d", database, "--slot", slot, "--start", "-f", "/dev/null"]);
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let active = format!("SELECT active FROM pg_replication_slots WHERE slot_name = '{slot}'");
        wait_until(|| site.admin(&active) == "t\n");
        Self(child)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Makes something in a database, checks that a rollback is refused and names it, removes it.
#[track_caller]
fn is_refused(site: &Site, database: &str, make: &str, texts: &[&str], remove: &str) {
    site.database(database).psql(make);
    let before = site.all();
    let mut outcome = site.rollback().run().expect_status(3).stderr_has("cannot be put back as");
    let mut list = site.previous(["list"]).run().expect_status(0).stdout_has("cannot be put back at present");
    for text in texts {
        outcome = outcome.stderr_has(text);
        list = list.stdout_has(text);
    }
    assert_eq!(before, site.all());
    site.database(database).psql(remove);
}

#[test]
fn a_slot_of_the_target_is_refused() {
    let site = Site::new("slot");
    let old = site.target.dump(&[]);
    site.keep();
    let slot = format!("slot_back_{}", std::process::id());
    is_refused(
        &site,
        &site.target.name,
        &format!("SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')"),
        &["of the target: logical replication slot", &slot, "pg_drop_replication_slot"],
        &format!("SELECT pg_drop_replication_slot('{slot}')"),
    );
    site.rollback().run().expect_status(0);
    assert!(site.target.dump(&[]) == old);
}

#[test]
fn a_slot_of_the_previous_database_comes_with_it() {
    let site = Site::new("slot2");
    let previous = site.keep();
    let slot = format!("slot_with_{}", std::process::id());
    let kept = site.database(&previous);
    kept.psql(&format!("SELECT pg_create_logical_replication_slot('{slot}', 'test_decoding')"));
    // In use, it keeps the server from renaming the database.
    let receiver = Receiver::start(&site, &previous, &slot);
    let before = site.all();
    let outcome = site.rollback().args(["--swap-wait", "1"]).run().expect_status(3);
    outcome.stderr_has("cannot be put back").stderr_has(&slot);
    let drop = || site.previous(["drop", "--force", "--terminate-sessions"]).arg(&previous).run();
    drop().expect_status(3).stderr_has("cannot be dropped").stderr_has(&slot);
    assert_eq!(before, site.all());
    std::mem::drop(receiver);
    let active = format!("SELECT active FROM pg_replication_slots WHERE slot_name = '{slot}'");
    wait_until(|| site.admin(&active) == "f\n");
    // DROP DATABASE would drop it along.
    drop().expect_status(3).stderr_has(&slot);
    let outcome = site.rollback().run().expect_status(0);
    outcome.stderr_has(&format!("replication slots of the previous database come with it: {slot}"));
    // The slot shows only what is flushed, and the tests' servers commit asynchronously.
    site.target.psql("SET synchronous_commit = on; INSERT INTO old VALUES ('replicated')");
    let changes = format!("SELECT data FROM pg_logical_slot_get_changes('{slot}', NULL, NULL)");
    assert!(site.target.psql(&changes).contains("replicated"));
    // The way back from here is like that from any target with a slot.
    site.rollback().run().expect_status(3).stderr_has(&slot);
    site.target.psql(&format!("SELECT pg_drop_replication_slot('{slot}')"));
    site.rollback().run().expect_status(0);
}

#[test]
fn prepared_transactions_and_subscriptions() {
    let site = Site::new("prepared_back");
    let previous = site.keep();
    let id = std::process::id();
    for database in [&site.target.name, &previous] {
        is_refused(
            &site,
            database,
            &format!("BEGIN; CREATE TABLE x (); PREPARE TRANSACTION 'it''s open {id}'"),
            &["prepared transaction", "ROLLBACK PREPARED"],
            &format!("ROLLBACK PREPARED 'it''s open {id}'"),
        );
        is_refused(
            &site,
            database,
            &format!(
                "CREATE SUBSCRIPTION sub_back_{id} CONNECTION 'host=nowhere' PUBLICATION p \
                 WITH (connect = false, slot_name = NONE, enabled = false)"
            ),
            &["subscription with OID", "drop it"],
            &format!("DROP SUBSCRIPTION sub_back_{id}"),
        );
    }
    site.rollback().run().expect_status(0);
}

#[test]
fn a_template_is_neither_put_back_nor_dropped() {
    let site = Site::new("template_back");
    let previous = site.keep();
    for database in [&site.target.name, &previous] {
        site.admin(&format!("ALTER DATABASE \"{database}\" IS_TEMPLATE true"));
        let before = site.all();
        site.rollback().run().expect_status(3).stderr_has("marked as a template");
        let drop = site.previous(["drop", "--force"]).arg(&previous);
        if *database == previous {
            drop.run().expect_status(3).stderr_has("marked as a template");
        }
        assert_eq!(before, site.all());
        site.admin(&format!("ALTER DATABASE \"{database}\" IS_TEMPLATE false"));
    }
    site.rollback().run().expect_status(0);
}
