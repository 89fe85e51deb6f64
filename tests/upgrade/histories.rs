//! Stores whose history pgmig cannot continue. pgmig recognises and shows them, and restores them unchanged or refuses.

use crate::support::migrations::MigrationCopy;
use crate::support::pgmig::TargetFile;
use crate::support::untouched::Before;
use crate::support::{Database, Pgmig};
use std::path::PathBuf;
use tempfile::TempDir;

/// A store with the history of another tool.
const TABLES: &str = "
    CREATE TABLE tenant (tenant_id uuid PRIMARY KEY, name text, region text, deleted boolean);
    INSERT INTO tenant VALUES ('00000000-0000-0000-0000-001570184978', 'a', 'us-south', false);
    CREATE TABLE thing (id integer PRIMARY KEY, kind text CHECK (kind <> ''), tenant_id uuid REFERENCES tenant);
    CREATE INDEX thing_kind ON thing (kind);
    CREATE FUNCTION things() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM public.thing';
    CREATE FUNCTION secure() RETURNS integer LANGUAGE sql AS 'SELECT 1';
    CREATE SEQUENCE thing_no; CREATE DOMAIN small AS integer;
    CREATE AGGREGATE joined(text) (SFUNC = textcat, STYPE = text);
";

const FLYWAY: &str = "
    CREATE TABLE flyway_schema_history (installed_rank integer PRIMARY KEY, version text, success boolean);
    INSERT INTO flyway_schema_history VALUES (1, '1', true), (10, '3.14', true), (2, '2', true), (11, NULL, true);
";

const LIQUIBASE: &str = "
    CREATE TABLE databasechangelog (id text, author text, orderexecuted integer);
    INSERT INTO databasechangelog VALUES ('first', 'x', 1), ('add-things', 'x', 2);
    CREATE TABLE databasechangeloglock (id integer PRIMARY KEY, locked boolean, lockgranted timestamp, lockedby text);
    INSERT INTO databasechangeloglock VALUES (1, true, now(), 'old-pod');
";

/// The tables that Liquibase makes if its configuration quotes names.
const QUOTED_LIQUIBASE: &str = r#"
    CREATE TABLE "DATABASECHANGELOG" ("ID" text, "AUTHOR" text, "ORDEREXECUTED" integer);
    INSERT INTO "DATABASECHANGELOG" VALUES ('Quoted', 'x', 2), ('first', 'x', 1);
    CREATE TABLE "DATABASECHANGELOGLOCK" ("ID" integer PRIMARY KEY, "LOCKED" boolean, "LOCKGRANTED" timestamp, "LOCKEDBY" text);
    INSERT INTO "DATABASECHANGELOGLOCK" VALUES (1, true, now(), 'old-pod');
"#;

const GOLANG_MIGRATE: &str = "
    CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean NOT NULL);
    INSERT INTO schema_migrations VALUES (20240131, true);
";

/// A backup of a store that these statements make.
struct Store {
    directory: TempDir,
}

impl Store {
    #[track_caller]
    fn new(sql: &[&str]) -> Self {
        let source = Database::create("history");
        for sql in sql {
            source.psql(sql);
        }
        let directory = tempfile::tempdir().unwrap();
        source.dump_through_pipe(&[], &directory.path().join("store.dump"));
        Self { directory }
    }

    fn archive(&self) -> PathBuf {
        self.directory.path().join("store.dump")
    }

    fn restore_into(&self, target: &Database) -> Pgmig {
        Pgmig::new().target(&TargetFile::of(target)).source(&self.archive()).args(["--keep-ids", "--force"])
    }

    fn restore_stream_into(&self, target: &Database) -> Pgmig {
        let pgmig =
            Pgmig::new().target(&TargetFile::of(target)).args(["--source", "-", "--keep-ids", "--force"]);
        pgmig.stdin(&self.archive())
    }
}

#[test]
fn a_history_is_shown_with_its_version() {
    for (sql, shown) in [
        (FLYWAY, "Flyway's (flyway_schema_history), at version 3.14"),
        (LIQUIBASE, "Liquibase's (databasechangelog), at changeset add-things"),
        (QUOTED_LIQUIBASE, "Liquibase's (databasechangelog), at changeset Quoted"),
        (GOLANG_MIGRATE, "golang-migrate's (schema_migrations), at version 20240131"),
        ("CREATE TABLE alembic_version (version_num text)", "unknown (alembic_version"),
        ("SELECT 1", "it has no migration history"),
    ] {
        let store = Store::new(&[TABLES, sql]);
        let target = Database::create("empty");
        let inspected = Pgmig::new().arg("inspect").arg(store.archive()).run().expect_status(0);
        assert_eq!(
            sql != "SELECT 1",
            inspected.stdout.contains(&format!("migrations   {shown}")),
            "{inspected}"
        );
        store.restore_into(&target).arg("--dry-run").run().expect_status(0).stdout_has(shown);
        store.restore_into(&target).run().expect_status(0).stderr_has(shown);
        let stream = Database::create("stream");
        store.restore_stream_into(&stream).run().expect_status(0).stderr_has(shown);
    }
}

#[test]
fn a_target_with_the_same_schema_is_replaced() {
    let store = Store::new(&[TABLES, FLYWAY]);
    let target = Database::create("same");
    target.psql(TABLES);
    target.psql(FLYWAY);
    target.psql("UPDATE tenant SET name = 'its own'");
    store.restore_into(&target).run().expect_status(0);
    assert_eq!(target.psql("SELECT name FROM tenant"), "a\n");
}

#[test]
fn another_schema_is_refused_and_every_difference_listed() {
    let store = Store::new(&[TABLES, FLYWAY]);
    let target = Database::create("other");
    target.psql(TABLES);
    target.psql(FLYWAY);
    target.psql(
        "ALTER TABLE thing DROP CONSTRAINT thing_kind_check; DROP INDEX thing_kind;
         ALTER TABLE tenant ENABLE ROW LEVEL SECURITY; CREATE POLICY seen ON tenant USING (name IS NOT NULL);
         ALTER SEQUENCE thing_no INCREMENT 5; CREATE RULE quiet AS ON DELETE TO thing DO INSTEAD NOTHING;
         ALTER DOMAIN small ADD CONSTRAINT low CHECK (VALUE < 9);
         DROP AGGREGATE joined(text); CREATE AGGREGATE joined(text) (SFUNC = textcat, STYPE = text, INITCOND = 'x');
         ALTER FUNCTION secure() SECURITY DEFINER;
         CREATE OR REPLACE FUNCTION things() RETURNS bigint LANGUAGE sql AS 'SELECT 0::bigint';
         CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TRIGGER touched BEFORE UPDATE ON thing FOR EACH ROW EXECUTE FUNCTION touch();
         CREATE TYPE mood AS ENUM ('good'); CREATE VIEW thing_ids AS SELECT id FROM thing;",
    );
    let before = Before::of(&target);
    let differences = [
        "only in the archive: constraint thing_kind_check of public.thing CHECK",
        "only in the archive: index public.thing_kind CREATE INDEX",
        "function public.things(): ",
        "only in the target: trigger touched of public.thing",
        "only in the target: type public.mood good",
        "only in the target: view public.thing_ids",
        "table public.tenant:  in the archive, ROW LEVEL SECURITY in the target",
        "only in the target: policy seen of public.tenant PERMISSIVE",
        "sequence public.thing_no: AS bigint START 1 INCREMENT 1",
        "only in the target: rule quiet of public.thing",
        "type public.small: integer in the archive, integer CHECK ((VALUE < 9)) in the target",
        "function public.joined(text): ",
        "function public.secure(): ",
        "--migrations DIR",
        "--schema target",
    ];
    for pgmig in [store.restore_into(&target), store.restore_stream_into(&target)] {
        let outcome = pgmig.run().expect_status(3);
        for difference in differences {
            outcome.assert_stderr_has(difference);
        }
        before.is_now(outcome);
    }
}

#[test]
fn other_tables_and_columns_are_refused_before_anything_is_restored() {
    let store = Store::new(&[TABLES, FLYWAY]);
    let target = Database::create("columns");
    target.psql(TABLES);
    target.psql(
        "ALTER TABLE thing ALTER COLUMN id TYPE bigint, ADD COLUMN colour text; CREATE TABLE novelty ()",
    );
    let before = Before::of(&target);
    for pgmig in [store.restore_into(&target).arg("--dry-run"), store.restore_into(&target)] {
        let outcome = pgmig.failpoint("create-staging").run().expect_status(3);
        for difference in [
            "column public.thing.id: integer in the archive, bigint in the target",
            "only in the target: column public.thing.colour text",
            "only in the archive: table public.flyway_schema_history\n",
            "only in the target: table public.novelty\n",
            "when tables and columns are the same",
        ] {
            outcome.assert_stderr_has(difference);
        }
        before.is_now(outcome);
    }
}

#[test]
fn stale_locks_are_released() {
    let knex = "CREATE TABLE knex_migrations_lock (index integer, is_locked integer);
                INSERT INTO knex_migrations_lock VALUES (1, 1)";
    let store = Store::new(&[TABLES, LIQUIBASE, knex]);
    let target = Database::create("locked");
    let outcome = store.restore_into(&target).run().expect_status(0);
    outcome
        .stderr_has("its lock in public.databasechangeloglock")
        .stderr_has("its lock in public.knex_migrations_lock");
    let lock = "SELECT locked, lockgranted IS NULL, lockedby IS NULL FROM databasechangeloglock";
    assert_eq!(target.psql(lock), "f|t|t\n");
    assert_eq!(target.psql("SELECT is_locked FROM knex_migrations_lock"), "0\n");
    let quoted = Store::new(&[TABLES, QUOTED_LIQUIBASE]);
    let target = Database::create("quoted");
    quoted
        .restore_into(&target)
        .run()
        .expect_status(0)
        .stderr_has("its lock in public.\"DATABASECHANGELOGLOCK\"");
    let lock = r#"SELECT "LOCKED", "LOCKGRANTED" IS NULL, "LOCKEDBY" IS NULL FROM "DATABASECHANGELOGLOCK""#;
    assert_eq!(target.psql(lock), "f|t|t\n");
    // pgmig reports no lock that was not held.
    let free = Store::new(&[TABLES, LIQUIBASE, "UPDATE databasechangeloglock SET locked = false"]);
    let outcome = free.restore_into(&Database::create("free")).run().expect_status(0);
    assert!(!outcome.stderr.contains("lock in"), "{outcome}");
}

#[test]
fn a_migration_left_half_way_is_warned_of() {
    let store = Store::new(&[TABLES, GOLANG_MIGRATE]);
    let target = Database::create("dirty");
    let before = Before::of(&target);
    let outcome = store.restore_into(&target).arg("--strict").run().expect_status(4);
    before.is_now(outcome.stderr_has("left half way"));
    let outcome = store.restore_stream_into(&target).arg("--strict").run().expect_status(4);
    before.is_now(outcome.stderr_has("left half way"));
    store.restore_into(&target).run().expect_status(0).stderr_has("left half way");
}

#[test]
fn an_upgrade_that_is_asked_for_and_cannot_be() {
    let store = Store::new(&[TABLES, FLYWAY]);
    let target = Database::create("migrate");
    let before = Before::of(&target);
    for pgmig in [store.restore_into(&target), store.restore_stream_into(&target)] {
        let outcome = pgmig.args(["--schema", "migrate"]).run().expect_status(3);
        // The user's own migrations do not help.
        assert!(!outcome.stderr.contains("supply"), "{outcome}");
        before.is_now(outcome.stderr_has("--schema migrate asks for: its migration history is Flyway's"));
    }
    let without = Store::new(&[TABLES]);
    let outcome = without.restore_into(&target).args(["--schema", "migrate"]).run().expect_status(3);
    before.is_now(outcome.stderr_has("asks for: it has no migration history; take a backup that has sqlx's"));
    let no_store = Store::new(&["CREATE TABLE a (id integer)"]);
    let outcome = no_store.restore_into(&target).args(["--schema", "migrate"]).run().expect_status(3);
    before.is_now(outcome.stderr_has("it holds no store that is known; say with --profile DIR"));
}

#[test]
fn migrations_that_are_not_used_are_told_of() {
    let copy = MigrationCopy::new();
    let store = Store::new(&[TABLES]);
    let target = Database::create("unused");
    let pgmig = |pgmig: Pgmig| pgmig.arg("--migrations").arg(copy.path());
    let warning = "are not applied to the backup's schema: it has no migration history";
    pgmig(store.restore_into(&target))
        .args(["--strict", "--dry-run"])
        .run()
        .expect_status(4)
        .stdout_has(warning);
    let before = Before::of(&target);
    let outcome = pgmig(store.restore_stream_into(&target)).arg("--strict").run().expect_status(4);
    before.is_now(outcome.stderr_has(warning));
    let outcome = pgmig(store.restore_into(&target)).args(["--schema", "archive"]).run().expect_status(0);
    outcome.stderr_has("are not used: --schema archive and --schema target make no upgrade");
}

#[test]
fn a_target_whose_own_tool_left_another_version_is_warned_of() {
    let store = Store::new(&[TABLES, FLYWAY]);
    let target = Database::create("ahead");
    target.psql(TABLES);
    target.psql(FLYWAY);
    let same = store.restore_into(&target).args(["--strict", "--dry-run"]).run();
    same.expect_status(0);
    target.psql("INSERT INTO flyway_schema_history VALUES (12, '4', true)");
    let before = Before::of(&target);
    let warning =
        "the target's migration history is Flyway's (flyway_schema_history), at version 4; the backup's";
    for pgmig in [store.restore_into(&target), store.restore_stream_into(&target)] {
        before.is_now(pgmig.arg("--strict").run().expect_status(4).stderr_has(warning));
    }
    // A store without instances fits no profile.
    let no_store = Store::new(&["CREATE TABLE a (id integer)", FLYWAY]);
    let target = Database::create("no_store");
    target.psql("CREATE TABLE a (id integer)");
    target.psql(FLYWAY);
    target.psql("INSERT INTO flyway_schema_history VALUES (12, '4', true)");
    no_store.restore_into(&target).run().expect_status(0).stderr_has(warning);
}

#[test]
fn the_archives_schema_as_it_is() {
    let store = Store::new(&[TABLES, FLYWAY]);
    let target = Database::create("as_it_is");
    target.psql("CREATE TABLE quite_different (id integer); INSERT INTO quite_different VALUES (1)");
    store.restore_into(&target).run().expect_status(3);
    let outcome = store.restore_into(&target).args(["--schema", "archive"]).run().expect_status(0);
    outcome.stderr_has("(--schema archive)");
    assert_eq!(target.psql("SELECT count(*) FROM thing, tenant"), "0\n");
    let outcome = store.restore_into(&target).args(["--schema", "archive", "--to-release", "5.1.0"]).run();
    outcome.expect_status(2).stderr_has("--to-release");
}
