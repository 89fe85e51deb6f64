//! The reference store's migrations lose no rows. If they did, the facts that upgrades must preserve would show it.

use crate::support::migrations::MigrationCopy;
use crate::support::pgmig::TargetFile;
use crate::support::releases::{Kept, MAPPING, archive, kept};
use crate::support::{Database, Pgmig};

/// The preserved facts of the store of 4.0.0 after an upgrade to a release by these migrations.
#[track_caller]
fn kept_by(migrations: &MigrationCopy, release: &str) -> Kept {
    let target = Database::create("lineage");
    let pgmig = Pgmig::new().target(&TargetFile::of(&target)).source(&archive("4.0.0")).mapping(&MAPPING);
    let pgmig = pgmig.arg("--migrations").arg(migrations.path()).args(["--to-release", release]);
    pgmig.run().expect_status(0);
    kept(&target, release)
}

/// Migrations that lose or mix up a few rows. The preserved facts must differ.
#[test]
fn a_migration_that_loses_something_shows() {
    let right = kept_by(&MigrationCopy::new(), "5.1.0");
    let intents = "jsonb_build_object('intent', item_name, 'examples', examples)";
    for (file, from, to) in [
        ("0003_", "'endpoint', endpoint)", "'endpoint', endpoint, 'orchestration', '{\"k\": 1}'::jsonb)"),
        ("0003_", "SET extra = jsonb_build_object('environments', rest.items)", "SET extra = '{}'"),
        (
            "0004_",
            "'status', new.status, 'tags', new.tags",
            "'status', new.document -> 'status', 'tags', new.tags",
        ),
        ("0006_", "merged = repeated.merged", "merged = '[]'"),
        ("0007_", intents, "jsonb_build_object('intent', item_name, 'examples', item -> 'examples')"),
        ("0007_", "THEN item ->> 'conditions' END", "THEN item ->> 'title' END"),
        ("0007_", "SET parent_id = parent.node_id", "SET parent_id = dialog_node.node_id"),
        ("0007_", "WHERE NOT fits", "WHERE NOT fits AND false"),
        ("0008_", "SET new_id = md5(", "SET label = upper(label), new_id = md5("),
        ("0010_", "    headers = headers - 'Content-Type'", "    headers = '{}'"),
        ("0012_", "'legacy_owner', legacy_owner", "'legacy_owner', lower(name)"),
    ] {
        let wrong = kept_by(&MigrationCopy::new().replace(file, from, to), "5.1.0");
        assert_ne!(right, wrong, "{file} with {to:?} for {from:?}");
    }
}

/// The backfill of snapshots works in batches of 1000 rows.
#[test]
fn several_batches_of_snapshots() {
    let store = Database::create("batches");
    store.restore_with_pg_restore(&archive("4.6.5"), &["--no-owner"]);
    store.psql(
        "SET search_path = store;
         INSERT INTO snapshot (snapshot_id, tenant_id, label)
             SELECT n * 7 - 5000, (SELECT min(tenant_id::text)::uuid FROM tenant), 'snapshot ' || n FROM generate_series(1, 2500) AS n
             ON CONFLICT DO NOTHING;
         INSERT INTO snapshot_note (snapshot_id, note) SELECT snapshot_id, 'on ' || label FROM snapshot WHERE label LIKE 'snapshot %'",
    );
    let directory = tempfile::tempdir().unwrap();
    let backup = directory.path().join("store.dump");
    store.dump_through_pipe(&[], &backup);
    let before = kept(&store, "4.6.5");
    let target = Database::create("upgraded");
    let pgmig = Pgmig::new().target(&TargetFile::of(&target)).source(&backup).mapping(&MAPPING);
    pgmig.args(["--to-release", "4.8.0"]).run().expect_status(0);
    let after = kept(&target, "4.8.0");
    for (name, expected) in &before {
        assert_eq!(after.get(name), Some(expected), "{name}");
    }
    let ids = "SELECT count(*) > 2500, count(DISTINCT snapshot_id) = count(*), bool_and(snapshot_id = \
               md5('snapshot ' || number || ' of ' || coalesce(workspace_id::text, ''))::uuid) FROM store.snapshot";
    assert_eq!(target.psql(ids), "t|t|t\n");
}
