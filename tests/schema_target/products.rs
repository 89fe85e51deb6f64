//! `--schema target` with the schemas of real products: new triggers that act on other tables, histories of migration
//! tools, look-up tables that come with a release, sequences of other roles, drafts of rules.
//!
//! Relatives that were tried: triggers that insert into a new table, update a new table, insert into a table that is loaded,
//! and that fire UPDATE triggers of loaded tables; new tables with rules; the same in partitions; triggers that a rule keeps
//! off, one and all of a table, of a loaded table and of a new one; the history of every tool that pgmig knows, in any case, and
//! tables with common names that are none; look-up tables whose keys are the backup's and more, with the rule and without, with
//! identity columns and other unique keys; sequences of tables of other roles, owned and alone, with and without a superuser.

use crate::support::application::{self, APPLICATION};
use crate::support::database::quoted;
use crate::support::pgmig::TargetFile;
use crate::support::two_schemas::TwoSchemas;
use crate::support::{Database, Pgmig, Server};

/// The triggers of report real-14.
const CASCADE: &str = "
    CREATE TABLE a (x int PRIMARY KEY);
    CREATE TABLE b (x int, y text NOT NULL);
    CREATE FUNCTION fill_y() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.y := 'seen'; RETURN new; END $$;
    CREATE TRIGGER fill_y BEFORE INSERT ON b FOR EACH ROW EXECUTE FUNCTION fill_y();
    CREATE FUNCTION a_to_b() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN INSERT INTO public.b (x) VALUES (new.x); RETURN new; END $$;
    CREATE TRIGGER a_to_b AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION a_to_b();
";

const SOURCE: &str = "CREATE TABLE a (x int PRIMARY KEY); INSERT INTO a VALUES (1), (2)";

#[test]
fn report_real_14_new_triggers_see_each_other() {
    for target in [CASCADE.to_owned(), CASCADE.replace(" NOT NULL", "")] {
        let stores = TwoSchemas::new(SOURCE, &target);
        let schema = stores.target.dump(&["-s"]);
        let plan = stores.restore("").arg("--dry-run").run().expect_status(0);
        plan.stdout_has("except for rows that triggers insert");
        stores.restore("").arg("--strict").run().expect_status(0);
        assert_eq!(stores.target.psql("SELECT x, y FROM b ORDER BY x"), "1|seen\n2|seen\n");
        assert!(schema == stores.target.dump(&["-s"]), "the triggers are as they were");
    }
}

#[test]
fn what_triggers_change_in_other_tables_goes_past_all_their_triggers() {
    let stores = TwoSchemas::new(
        "CREATE TABLE a (x int PRIMARY KEY); CREATE TABLE log (x int PRIMARY KEY, n int NOT NULL, changed int DEFAULT 0);
         CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.changed := new.changed + 1; RETURN new; END $$;
         CREATE TRIGGER touch BEFORE UPDATE ON log FOR EACH ROW EXECUTE FUNCTION touch();
         INSERT INTO a VALUES (1), (2); INSERT INTO log VALUES (1, 10), (2, 20)",
        "CREATE TABLE a (x int PRIMARY KEY) PARTITION BY RANGE (x);
         CREATE TABLE a_1 PARTITION OF a FOR VALUES FROM (0) TO (2); CREATE TABLE a_2 PARTITION OF a DEFAULT;
         CREATE TABLE log (x int PRIMARY KEY, n int NOT NULL, changed int DEFAULT 0);
         CREATE TABLE total (id int PRIMARY KEY, n int); CREATE TABLE audit (note text);
         CREATE VIEW v AS SELECT 1; CREATE RULE keep AS ON DELETE TO audit DO INSTEAD NOTHING;
         CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN new.changed := new.changed + 1; RETURN new; END $$;
         CREATE TRIGGER touch BEFORE UPDATE ON log FOR EACH ROW EXECUTE FUNCTION touch();
         CREATE FUNCTION count_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             UPDATE public.log SET n = n + 1 WHERE x = new.x;
             INSERT INTO public.total VALUES (1, 1) ON CONFLICT (id) DO UPDATE SET n = total.n + 1;
             RETURN new; END $$;
         CREATE TRIGGER count_it AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION count_it();
         CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO public.audit VALUES (tg_op || ' ' || new.n); DELETE FROM public.audit; RETURN new; END $$;
         CREATE TRIGGER note AFTER INSERT OR UPDATE ON total FOR EACH ROW EXECUTE FUNCTION note();",
    );
    let schema = stores.target.dump(&["-s"]);
    stores.restore("").run().expect_status(0);
    assert_eq!(stores.target.psql("SELECT x, n, changed FROM log ORDER BY x"), "1|11|1\n2|21|1\n");
    assert_eq!(stores.target.psql("SELECT note FROM audit ORDER BY 1"), "INSERT 1\nUPDATE 2\n");
    assert!(schema == stores.target.dump(&["-s"]), "the triggers are as they were");
}

#[test]
fn a_rule_keeps_new_triggers_off() {
    for (rule, rows) in [
        ("[{table: a, trigger: a_to_b}]", "0\n"),
        ("[{schema: public, table: a}]", "0\n"),
        ("[{table: b}]", "2\n"),
        ("[{schema: other, table: a}, {table: a, trigger: none}]", "2\n"),
    ] {
        let stores = TwoSchemas::new(SOURCE, &CASCADE.replace(" NOT NULL", ""));
        let schema = stores.target.dump(&["-s"]);
        let outcome =
            stores.restore(&format!("target_schema: {{trigger_off: {rule}}}\n")).run().expect_status(0);
        assert_eq!(stores.target.psql("SELECT count(*) FROM b"), rows, "{rule}: {outcome}");
        let is_idle = rule.contains("none");
        assert_eq!(outcome.stderr.contains("a rule of the profile does nothing"), is_idle, "{outcome}");
        if !is_idle {
            outcome.assert_stderr_has("triggers that a rule of the profile keeps off");
        }
        assert!(schema == stores.target.dump(&["-s"]), "the triggers are as they were");
    }
}

#[test]
fn an_error_in_a_trigger_names_the_table_that_it_inserts_into() {
    let target = CASCADE.replace("new.y := 'seen'", "new.y := NULL");
    let stores = TwoSchemas::new(SOURCE, &target);
    let outcome = stores.restore("").run().expect_status(1);
    outcome.stderr_has("column y of table b").stderr_has("public.a");
}

#[test]
fn report_real_10_histories_of_migration_tools_are_kept() {
    let tables = [
        "schema_migrations",
        "alembic_version",
        "flyway_schema_history",
        "__EFMigrationsHistory",
        "knex_migrations",
        "django_migrations",
        "__diesel_schema_migrations",
        "_prisma_migrations",
        "goose_db_version",
        "SequelizeMeta",
        "migrations",
        "refinery_schema_history",
        "doctrine_migration_versions",
        "__drizzle_migrations",
        "pgmigrations",
        "phinxlog",
        "acl_phinxlog",
        "databasechangelog",
        "gorp_migrations",
        "seaql_migrations",
        "mikro_orm_migrations",
        "atlas_schema_revisions",
        "bun_migrations",
        "_yoyo_migration",
        "play_evolutions",
        "schemaversions",
        "VersionInfo",
        "ar_internal_metadata",
        "SEQUELIZEMETA",
        "schema_version",
        "migration",
        "__MigrationHistory",
        "schema_migration",
    ];
    let make = |rows: &str| {
        let table = |name: &&str| {
            format!(
                "CREATE TABLE \"{name}\" (version text PRIMARY KEY); INSERT INTO \"{name}\" VALUES {rows};"
            )
        };
        tables.iter().map(table).collect::<String>()
    };
    let stores = TwoSchemas::new(
        &format!("{} CREATE TABLE a (x int)", make("('1')")),
        &format!("{} CREATE TABLE a (x int, y int)", make("('1'), ('2 of the newer release')")),
    );
    let plan = stores.restore("").arg("--dry-run").run().expect_status(0);
    for table in tables {
        assert!(
            plan.stdout
                .lines()
                .any(|line| line.contains(table) && line.contains("it belongs to the installation")),
            "{table}"
        );
    }
    stores.restore("").arg("--strict").run().expect_status(0);
    for table in tables {
        assert_eq!(stores.target.psql(&format!("SELECT count(*) FROM \"{table}\"")), "2\n", "{table}");
    }
}

#[test]
fn a_table_of_a_common_name_that_is_no_history_is_loaded_with_a_warning() {
    let table = "CREATE TABLE migrations (id int PRIMARY KEY, bird text, season text);";
    let stores =
        TwoSchemas::new(&format!("{table} INSERT INTO migrations VALUES (1, 'stork', 'spring')"), table);
    let outcome = stores.restore("").run().expect_status(0);
    outcome.assert_stderr_has("table public.migrations has the name of a migration tool's history");
    assert_eq!(stores.target.psql("SELECT bird FROM migrations"), "stork\n");
}

/// A look-up table: the backup has 4 rows, the target 6.
fn lookups() -> TwoSchemas {
    let table = "CREATE TABLE kind (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE);
                 CREATE TABLE thing (id int PRIMARY KEY, kind int REFERENCES kind);";
    let stores = TwoSchemas::new(
        &format!(
            "{table} INSERT INTO kind (name) SELECT 'k' || i FROM generate_series(1, 4) i; INSERT INTO thing VALUES (1, 4);
             UPDATE kind SET name = 'renamed' WHERE id = 2"
        ),
        &format!("{table} INSERT INTO kind (name) SELECT 'k' || i FROM generate_series(1, 6) i"),
    );
    stores.target.psql("UPDATE kind SET name = 'k1 in the target' WHERE id = 1");
    stores
}

#[test]
fn rows_that_only_the_target_has_are_told_and_kept_by_a_rule() {
    let stores = lookups();
    let plan = stores.restore("").arg("--dry-run").run().expect_status(0);
    plan.stdout_has("table public.kind has 6 rows in the target and 4 in the backup");
    let rule = "target_schema: {keep_new_rows: [{table: kind}]}\n";
    let outcome = stores.restore(rule).arg("--strict").run().expect_status(0);
    outcome.assert_stderr_has("table public.kind keeps 2 rows of the target");
    let names = "SELECT string_agg(name, ' ' ORDER BY id) FROM kind";
    assert_eq!(stores.target.psql(names), "k1 renamed k3 k4 k5 k6\n");
    assert_eq!(stores.target.psql("INSERT INTO kind (name) VALUES ('next') RETURNING id"), "7\n");
    let stores = lookups();
    stores.restore("").run().expect_status(0);
    assert_eq!(stores.target.psql(names), "k1 renamed k3 k4\n");
}

#[test]
fn rows_that_the_backup_also_has_more_of_are_no_look_up_table() {
    let table = "CREATE TABLE kind (id int PRIMARY KEY);";
    for (source, target) in [("1, 2, 3", "1, 2, 3"), ("1, 2, 9", "1, 2, 3, 4"), ("1, 2, 3", "1")] {
        let rows = |ids: &str| format!("{table} INSERT INTO kind SELECT unnest(ARRAY[{ids}])");
        let stores = TwoSchemas::new(&rows(source), &rows(target));
        let plan = stores.restore("").arg("--dry-run").run().expect_status(0);
        assert!(!plan.stdout.contains("keep_new_rows"), "{plan}");
    }
}

#[test]
fn a_rule_about_rows_without_a_key_is_refused() {
    let stores =
        TwoSchemas::new("CREATE TABLE a (x int)", "CREATE TABLE a (x int); INSERT INTO a VALUES (1)");
    stores.is_refused("target_schema: {keep_new_rows: [{table: a}]}\n", &["has no primary key"]);
    stores.is_refused(
        "target_schema: {keep_new_rows: [{table: b}]}\n",
        &["no rows of the archive go into such a table"],
    );
}

#[test]
fn report_real_03_sequences_of_other_roles_are_set_as_their_tables_are_loaded() {
    let server = Server::of_this_run();
    application::create(&server);
    for (options, tables) in [(&["-Fc"][..], "serial"), (&["-Fc", "-a"], "serial"), (&["-Fc", "-a"], "int")] {
        let source = Database::create("from");
        let sql = format!("CREATE TABLE t (id {tables} PRIMARY KEY, v text); CREATE SEQUENCE alone START 5;");
        source.psql(&format!("{sql} INSERT INTO t VALUES (1, 'a'), (2, 'b'); SELECT nextval('alone')"));
        let target = Database::create_with(&server, "to", &format!("OWNER {}", quoted(APPLICATION)));
        target.psql(&sql);
        let files = tempfile::TempDir::new().unwrap();
        let archive = files.path().join("from.dump");
        let to = ["-f", archive.to_str().unwrap(), "-d", &source.name];
        server.run_program("pg_dump", options.iter().chain(&to));
        let file = TargetFile { username: APPLICATION.to_owned(), ..TargetFile::of(&target) };
        let pgmig = || {
            Pgmig::new().target(&file).args(["--schema", "target", "--keep-ids", "--force"]).source(&archive)
        };
        for more in [&["--dry-run"][..], &[]] {
            pgmig().args(more).run().expect_status(3);
            pgmig().arg("--trust-archive").args(more).run().expect_status(0);
        }
        assert_eq!(target.psql("SELECT count(*) FROM t; SELECT nextval('alone')"), "2\n6\n");
        // Tables that are the owner's, and a sequence that is not: a superuser sets it, by a statement of pgmig's own.
        target.psql(&format!("ALTER TABLE t OWNER TO {}", quoted(APPLICATION)));
        for more in [&["--dry-run"][..], &[]] {
            pgmig().args(more).run().expect_status(0);
        }
        assert_eq!(target.psql("SELECT nextval('alone')"), "6\n");
    }
}

#[test]
fn a_draft_of_rules_makes_the_restore_possible() {
    let stores = TwoSchemas::new(
        "CREATE TABLE customer (id int PRIMARY KEY, full_name text, age text, obsolete int, mood text);
         CREATE TABLE kind (id int PRIMARY KEY);
         INSERT INTO customer VALUES (1, 'A', '42', 7, 'good'); INSERT INTO kind VALUES (1)",
        "CREATE TABLE customers (id int PRIMARY KEY, fullname text, age integer, mood text, region text NOT NULL);
         CREATE TABLE kind (id int PRIMARY KEY); INSERT INTO kind VALUES (1), (2);
         CREATE TABLE setting (id int PRIMARY KEY); INSERT INTO setting VALUES (1)",
    );
    // Names of tables first: the columns of a renamed table are compared only then.
    let files = tempfile::TempDir::new().unwrap();
    let mut rules = String::new();
    for (number, status) in [3, 3, 0].into_iter().enumerate() {
        let draft = files.path().join(format!("{number}.yaml"));
        let pgmig = stores.restore(&rules).args(["--dry-run", "--write-rules"]).arg(&draft);
        pgmig.run().expect_status(status);
        let text = std::fs::read_to_string(&draft).unwrap();
        rules = text.replace("name: draft\nschema: public\n", "");
    }
    assert!(rules.contains("table: customer, to: customers"), "{rules}");
    stores.restore(&rules).run().expect_status(0);
    let row = "SELECT id, fullname, age, mood, region FROM customers";
    assert_eq!(stores.target.psql(row), "1|A|42|good|\n");
    assert_eq!(stores.target.psql("SELECT count(*) FROM setting; SELECT count(*) FROM kind"), "1\n2\n");
}

#[test]
fn a_draft_does_not_replace_a_file() {
    let stores = TwoSchemas::new(SOURCE, CASCADE);
    let pgmig = stores.restore("").args(["--dry-run", "--write-rules", "draft.yaml"]);
    std::fs::write(pgmig.directory().join("draft.yaml"), "mine").unwrap();
    pgmig.run().expect_status(1).stderr_has("it must not exist yet");
    let plain =
        Pgmig::new().target(&TargetFile::of(&stores.target)).args(["--schema", "archive", "--keep-ids"]);
    let outcome = plain.source(&stores.archive()).args(["--dry-run", "--write-rules", "x.yaml"]).run();
    outcome.expect_status(2).stderr_has("--schema target only");
}
