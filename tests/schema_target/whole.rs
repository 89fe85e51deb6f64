//! `--schema target`: loads the archive's rows into the target's own schema, which stays unchanged.

use crate::support::pgmig::TargetFile;
use crate::support::releases::{MAPPING, archive, kept};
use crate::support::role::create_role;
use crate::support::session::HeldSession;
use crate::support::store::{apply_migrations, apply_migrations_as};
use crate::support::two_schemas::restore_with;
use crate::support::untouched::{Before, databases_beside};
use crate::support::{Database, Outcome, Pgmig, Server};
use std::path::PathBuf;
use tempfile::TempDir;

/// Two tables that refer to each other, with dependent objects.
const OLD: &str = "
    CREATE TABLE a (id serial PRIMARY KEY, b_id integer, word text, done boolean, at timestamptz, gone integer);
    CREATE TABLE b (id serial PRIMARY KEY, a_id integer REFERENCES a, word text);
    ALTER TABLE a ADD CONSTRAINT a_b FOREIGN KEY (b_id) REFERENCES b;
    CREATE FUNCTION mark() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.word := 'marked'; RETURN NEW; END $$;
    INSERT INTO a (word, done, at) SELECT 'w' || n, n % 2 = 0, '2024-01-01 12:00+00' FROM generate_series(1, 300) n;
    INSERT INTO b (a_id, word) SELECT n, 'r0w-v4lue' FROM generate_series(1, 200) n;
    UPDATE a SET b_id = id WHERE id <= 200;
    CREATE TRIGGER marked BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION mark();
    SELECT lo_from_bytea(4711, 'large');
";

/// Makes the same tables newer, with all attributes that a restore could lose.
const NEWER: &str = "
    ALTER TABLE a DROP COLUMN gone, ALTER COLUMN done TYPE text, ALTER COLUMN id TYPE bigint;
    ALTER TABLE a ADD COLUMN added text NOT NULL DEFAULT 'new', ADD COLUMN twice bigint GENERATED ALWAYS AS (id * 2) STORED;
    COMMENT ON CONSTRAINT a_b ON a IS 'both ways';
    ALTER TABLE b ADD CONSTRAINT b_late FOREIGN KEY (id) REFERENCES a DEFERRABLE INITIALLY DEFERRED NOT VALID;
    CREATE TABLE log (a_id bigint, words bigint);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN INSERT INTO log SELECT NEW.id, count(*) FROM b WHERE a_id = NEW.id; RETURN NEW; END $$;
    CREATE TRIGGER noted AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION note();
    CREATE TRIGGER always AFTER UPDATE ON a FOR EACH ROW EXECUTE FUNCTION note();
    ALTER TABLE a ENABLE ALWAYS TRIGGER always;
    CREATE TRIGGER asleep BEFORE INSERT ON b FOR EACH ROW EXECUTE FUNCTION mark();
    ALTER TABLE b DISABLE TRIGGER asleep;
    CREATE RULE none AS ON DELETE TO b DO INSTEAD NOTHING;
    CREATE MATERIALIZED VIEW counted AS SELECT count(*) AS n FROM a;
    CREATE MATERIALIZED VIEW above AS SELECT n + 1 AS n FROM counted;
    CREATE MATERIALIZED VIEW never AS SELECT 1 AS n WITH NO DATA;
    ALTER TABLE b ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
    CREATE POLICY nobody ON b USING (false);
    CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION watched();
    ALTER EVENT TRIGGER watch ENABLE ALWAYS;
";

const WATCHED: &str = "CREATE FUNCTION watched() RETURNS event_trigger LANGUAGE plpgsql
    AS $$ BEGIN IF current_database() LIKE '%_staging' THEN RAISE 'a statement in staging'; END IF; END $$;";

const RULES: &str = "target_schema: {drop: [{table: a, column: gone}]}\n";

/// A source, its archive, and a target with the same tables, newer.
struct Newer {
    directory: TempDir,
    source: Database,
    target: Database,
}

impl Newer {
    #[track_caller]
    fn new() -> Self {
        let (source, target) = (Database::create("old"), Database::create("newer"));
        source.psql(OLD);
        target.psql(OLD);
        target.psql("ALTER TABLE a DISABLE TRIGGER marked; UPDATE a SET word = 'its own'");
        target.psql(&format!("{WATCHED}{NEWER}ALTER TABLE a ENABLE TRIGGER marked;"));
        let newer = Self { directory: tempfile::tempdir().unwrap(), source, target };
        newer.dump("old.dump", &[]);
        newer
    }

    #[track_caller]
    fn dump(&self, name: &str, args: &[&str]) -> PathBuf {
        let archive = self.directory.path().join(name);
        self.source.dump_through_pipe(args, &archive);
        archive
    }

    /// Restores `old.dump` with these rules in the profile.
    fn restore(&self, rules: &str) -> Pgmig {
        self.restore_archive("old.dump", rules)
    }

    fn restore_archive(&self, name: &str, rules: &str) -> Pgmig {
        restore_with(&TargetFile::of(&self.target), rules).source(&self.directory.path().join(name))
    }

    #[track_caller]
    fn is_loaded(&self) {
        let rows = |database: &Database| {
            let a = "SELECT id, b_id, word, done::text, at FROM a ORDER BY id";
            format!("{}{}", database.psql(a), database.psql("SELECT id, a_id, word FROM b ORDER BY id"))
        };
        assert_eq!(rows(&self.target), rows(&self.source));
        assert_eq!(self.target.psql("SELECT min(added), sum(twice) - 2 * sum(id) FROM a"), "new|0\n");
        let objects = "SELECT oid, convert_from(lo_get(oid), 'UTF8') FROM pg_largeobject_metadata";
        assert_eq!(self.target.psql(objects), "4711|large\n");
        assert_eq!(self.target.psql("SELECT counted.n, above.n FROM counted, above"), "300|301\n");
        let next = "SELECT nextval('a_id_seq'), nextval('b_id_seq')";
        assert_eq!(self.target.psql(next), "301|201\n");
        assert_eq!(databases_beside(&self.target), "");
    }
}

#[test]
fn the_schema_stays_the_targets_to_the_last_trigger() {
    let newer = Newer::new();
    let schema = newer.target.dump(&["-s"]);
    let outcome = newer.restore(RULES).run().expect_status(0);
    assert!(schema == newer.target.dump(&["-s"]), "pg_dump -s of the target has changed");
    newer.is_loaded();
    // The archive does not have this trigger, so it fires. It sees the rows of the other table.
    outcome.stderr_has("triggers that the archive does not have fire for the loaded rows: noted of public.a");
    assert_eq!(newer.target.psql("SELECT count(*), sum(words) FROM log"), "300|200\n");
}

#[test]
fn inserts_and_streams_and_several_connections_give_the_same() {
    let newer = Newer::new();
    newer.dump("inserts.dump", &["--inserts"]);
    newer.dump("columns.dump", &["--column-inserts"]);
    newer.restore_archive("inserts.dump", RULES).run().expect_status(0);
    newer.is_loaded();
    newer.restore_archive("columns.dump", RULES).args(["--jobs", "3"]).run().expect_status(0);
    newer.is_loaded();
    let stream = restore_with(&TargetFile::of(&newer.target), RULES).args(["--source", "-"]);
    stream.stdin(&newer.directory.path().join("old.dump")).run().expect_status(0);
    newer.is_loaded();
}

#[test]
fn archives_of_rows_alone() {
    let newer = Newer::new();
    let data = newer.dump("data.dump", &["--data-only"]);
    let outcome = newer.restore_archive("data.dump", RULES).run().expect_status(0);
    outcome.stderr_has("does not tell which triggers its rows went through");
    assert_eq!(newer.target.psql("SELECT count(*), min(word), max(done) FROM a"), "300|w1|t\n");
    assert_eq!(newer.target.psql("SELECT count(*) FROM log"), "0\n");
    // Without `--schema target`, this would erase everything else.
    let pgmig = Pgmig::new().target(&TargetFile::of(&newer.target)).source(&data);
    pgmig.args(["--keep-ids", "--force"]).run().expect_status(3).stderr_has("a partial one");
    newer.dump("columns.dump", &["--data-only", "--column-inserts"]);
    newer.restore_archive("columns.dump", RULES).run().expect_status(0);
    assert_eq!(newer.target.psql("SELECT count(*), min(word), max(done) FROM a"), "300|w1|true\n");
    // An archive of rows alone, as INSERT statements, does not name their columns.
    newer.dump("inserts.dump", &["--data-only", "--inserts"]);
    let before = Before::of(&newer.target);
    let outcome = newer.restore_archive("inserts.dump", RULES).run().expect_status(3);
    before.is_now(outcome.stderr_has("its INSERT statements do not name their columns"));
}

#[test]
fn archives_of_some_tables() {
    let newer = Newer::new();
    newer.dump("table.dump", &["-t", "b"]);
    let before = Before::of(&newer.target);
    let outcome = newer.restore_archive("table.dump", RULES).run().expect_status(1);
    let outcome = outcome.stderr_has("foreign key b_a_id_fkey of table public.b");
    before.is_now(outcome);
    let keep = format!("{RULES}global_tables: [{{table: a}}]\n");
    newer
        .target
        .psql("ALTER TABLE a DISABLE TRIGGER noted; DELETE FROM a WHERE id > 250; UPDATE a SET b_id = NULL");
    newer.restore_archive("table.dump", &keep).run().expect_status(0);
    assert_eq!(newer.target.psql("SELECT count(*), min(word) FROM a"), "250|its own\n");
    assert_eq!(newer.target.psql("SELECT count(*) FROM b"), "200\n");
}

/// Expects a failure that leaves this target unchanged.
#[track_caller]
fn fails(change: &str, rules: &str, status: i32, texts: &[&str]) -> Outcome {
    let newer = Newer::new();
    newer.target.psql(change);
    let before = Before::of(&newer.target);
    let outcome = newer.restore(rules).run().expect_status(status);
    for text in texts {
        outcome.assert_stderr_has(text);
    }
    before.is_now(outcome)
}

#[test]
fn a_foreign_key_that_does_not_hold() {
    fails(
        "CREATE TABLE c (id integer PRIMARY KEY); CREATE TABLE d (id integer PRIMARY KEY);
         ALTER TABLE a ADD CONSTRAINT a_c FOREIGN KEY (b_id) REFERENCES c NOT VALID;
         ALTER TABLE a VALIDATE CONSTRAINT a_b;
         UPDATE a SET b_id = NULL; ALTER TABLE a VALIDATE CONSTRAINT a_c;
         ALTER TABLE b ADD COLUMN d_id integer DEFAULT 5; UPDATE b SET d_id = NULL;
         ALTER TABLE b ADD CONSTRAINT b_d FOREIGN KEY (d_id) REFERENCES d;",
        RULES,
        1,
        &[
            "violate constraints of the target's schema",
            "foreign key a_c of table public.a",
            "foreign key b_d of table public.b",
        ],
    );
}

#[test]
fn a_check_that_does_not_hold() {
    fails(
        "ALTER TABLE b ADD CONSTRAINT short CHECK (length(word) < 5) NOT VALID",
        RULES,
        1,
        &["row 1 of table public.b", "23514", "constraint short"],
    );
    fails(
        "UPDATE b SET word = id::text; ALTER TABLE b ADD CONSTRAINT once UNIQUE (word)",
        RULES,
        1,
        &["table public.b", "23505", "constraint once"],
    );
}

#[test]
fn a_trigger_that_keeps_rows_out() {
    fails(
        "CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER skipping BEFORE INSERT ON b FOR EACH ROW EXECUTE FUNCTION skip()",
        RULES,
        1,
        &["table public.b: 0 rows were acknowledged of 200"],
    );
    fails(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no: %', NEW.word; END $$;
         CREATE TRIGGER refusing BEFORE INSERT ON b FOR EACH ROW EXECUTE FUNCTION refuse()",
        RULES,
        1,
        &["table public.b", "P0001"],
    );
}

#[test]
fn a_rule_of_the_profile_that_fails_shows_no_value() {
    let cast = "target_schema: {drop: [{table: a, column: gone}], cast: [{table: b, column: word, using: 'word::integer'}]}\n";
    fails("SELECT 1", cast, 1, &["table public.b", "22P02"]);
    let nonsense = "target_schema: {drop: [{table: a, column: gone}], default: [{table: a, column: added, value: nothing}]}\n";
    fails("SELECT 1", nonsense, 3, &["default for column public.a.added", "42703"]);
}

#[test]
fn types_that_cannot_be_assigned() {
    fails(
        "ALTER TABLE b ALTER COLUMN word TYPE integer USING 1, DROP CONSTRAINT b_late;
         ALTER TABLE a ALTER COLUMN done TYPE integer USING 1, ALTER COLUMN at TYPE integer USING 1",
        "",
        3,
        &[
            "column public.a.gone: the target has no such column",
            "column public.a.done: boolean in the archive, integer in the target",
            "column public.a.at: timestamp with time zone in the archive, integer in the target",
            "column public.b.word: text in the archive, integer in the target",
        ],
    );
}

#[test]
fn values_are_assigned_as_insert_would() {
    let newer = Newer::new();
    newer.target.psql("ALTER TABLE a ALTER COLUMN at TYPE timestamp, ALTER COLUMN word TYPE varchar(10)");
    newer.restore(RULES).run().expect_status(0);
    // A bool becomes `true`, not COPY's `t`. The time is in the server's time zone.
    let assigned = "SELECT DISTINCT at = '2024-01-01 12:00+00'::timestamptz::timestamp FROM a";
    assert_eq!(newer.target.psql(assigned), "t\n");
    assert_eq!(newer.target.psql("SELECT DISTINCT done FROM a ORDER BY 1"), "false\ntrue\n");
}

#[test]
fn a_new_trigger_of_a_partitioned_table_fires() {
    let tables = "CREATE TABLE p (id integer, at date, word text) PARTITION BY RANGE (at);
                  CREATE TABLE p_1 PARTITION OF p FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
                  CREATE TABLE p_rest PARTITION OF p DEFAULT;";
    let (source, target) = (Database::create("parts"), Database::create("triggered"));
    source.psql(&format!("{tables} INSERT INTO p VALUES (1, '2024-02-02', 'old'), (2, '2020-01-01', 'old')"));
    target.psql(&format!(
        "{tables} CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.word := ''seen''; RETURN NEW; END';
         CREATE TRIGGER seen BEFORE INSERT ON p FOR EACH ROW EXECUTE FUNCTION see();"
    ));
    let directory = tempfile::tempdir().unwrap();
    let archive = directory.path().join("parts.dump");
    source.dump_through_pipe(&[], &archive);
    restore_with(&TargetFile::of(&target), "").source(&archive).run().expect_status(0);
    assert_eq!(
        target.psql("SELECT id, word, tableoid::regclass FROM p ORDER BY id"),
        "1|seen|p_1\n2|seen|p_rest\n"
    );
}

#[test]
fn somebody_who_is_connected_is_waited_for_or_ended() {
    let newer = Newer::new();
    let session = HeldSession::open(&newer.target, "a client that stays");
    let before = Before::of(&newer.target);
    let outcome = newer.restore(RULES).args(["--swap-wait", "0"]).run().expect_status(3);
    before.is_now(outcome.stderr_has("is in use").stderr_has("--terminate-sessions"));
    newer.restore(RULES).arg("--terminate-sessions").run().expect_status(0);
    newer.is_loaded();
    drop(session);
}

#[test]
fn killed_and_run_again() {
    for step in ["create-staging", "pre-data", "data", "post-data", "verify", "swap"] {
        let newer = Newer::new();
        let before = Before::of(&newer.target);
        newer.restore(RULES).failpoint(&format!("{step}:kill")).run().expect_killed();
        before.is_unchanged();
        let left = databases_beside(&newer.target);
        assert_eq!(left.lines().count(), 1, "{step}: {left:?}");
        let outcome = newer.restore(RULES).run().expect_status(0);
        outcome.stderr_has(&format!("removed database {}", left.trim()));
        newer.is_loaded();
    }
}

#[test]
fn stopped_at_each_step() {
    for step in [
        "create-staging",
        "pre-data",
        "data",
        "large-objects",
        "post-data",
        "privileges",
        "verify",
        "analyze",
        "swap",
    ] {
        let newer = Newer::new();
        let before = Before::of(&newer.target);
        before.is_now(newer.restore(RULES).failpoint(step).run().expect_status(1));
    }
}

#[test]
fn instances_are_mapped_into_a_newer_schema_of_the_reference_store() {
    let source = Database::create("release");
    source.restore_with_pg_restore(&archive("5.1.0"), &["--no-owner"]);
    let target = Database::create("future");
    apply_migrations(&target, "newest");
    target.psql(
        "SET search_path = store, public;
         UPDATE store_property SET value = '6.0.0';
         ALTER TABLE workspace ADD COLUMN colour text NOT NULL DEFAULT 'red';
         CREATE TABLE novelty (id uuid PRIMARY KEY, tenant_id uuid REFERENCES tenant);
         INSERT INTO tenant (tenant_id, instance_id, name) VALUES (gen_random_uuid(), '1', 'spare');",
    );
    let schema = target.dump(&["-s"]);
    let pgmig = Pgmig::new()
        .target(&TargetFile::of(&target))
        .mapping(&MAPPING)
        .args(["--schema", "target", "--force"]);
    let outcome = pgmig.source(&archive("5.1.0")).run().expect_status(0);
    outcome.stdout_has("001570194490").stdout_has("store.workspace.colour");
    assert!(schema == target.dump(&["-s"]), "pg_dump -s of the target has changed");
    assert_eq!(kept(&target, "5.1.0"), kept(&source, "5.1.0"));
    assert_eq!(target.psql("SELECT value FROM store.store_property"), "6.0.0\n");
    let ids = "SELECT count(*) FROM store.tenant WHERE tenant_id::text LIKE '%-00157019449_'";
    assert_eq!(target.psql(ids), "3\n");
}

#[test]
fn an_owner_who_is_no_superuser() {
    const OWNER: &str = "owner_of_schema_target";
    let server = Server::of_this_run();
    create_role(&server, OWNER);
    server.psql("postgres", &format!("ALTER ROLE {OWNER} LOGIN CREATEDB PASSWORD '{OWNER}'"));
    let target = Database::create_with(&server, "owned", &format!("TEMPLATE template0 OWNER {OWNER}"));
    apply_migrations_as(&target, "newest", OWNER);
    let mut file = TargetFile::of(&target);
    (file.username, file.su_username) = (OWNER.to_owned(), OWNER.to_owned());
    file.su_password = OWNER.to_owned();
    let schema = target.dump(&["-s"]);
    let pgmig = Pgmig::new().target(&file).mapping(&MAPPING).args(["--schema", "target", "--force"]);
    pgmig.source(&archive("5.1.0")).run().expect_status(0);
    assert!(schema == target.dump(&["-s"]), "pg_dump -s of the target has changed");
    assert!(
        target.psql("SELECT count(*) FROM store.callback") != "0\n",
        "rows under FORCE ROW LEVEL SECURITY"
    );
}
