//! Extensions of other roles, of the platform and of the source.
//!
//! Relatives that were tried: an extension that the server does not have (needed, and not needed; archive and script),
//! with all findings in one refusal; an extension in another schema of the target (in public, out of public, in a schema that
//! the target does not have; needed by a column, by an operator class, by nothing; archive and script); an archive of one
//! schema over extensions of the target, which have schemas with privileges; extensions that require each other, one in the
//! archive and one in the target; objects of the archive with the names of an extension's objects; configuration
//! tables of extensions that stay (with a condition, without one, with rows that refer to each other, with row level security,
//! their sequences, which no rollback would set back), where username may replace the rows and where it may not, from a file and from standard input;
//! pg_cron, which can be created in one database only.

use super::{Source, WAYS, Way, by_pg_restore, report, restore, with_target};
use crate::support::application::{self, APPLICATION};
use crate::support::database::quoted;
use crate::support::pgmig::TargetFile;
use crate::support::restored::Restored;
use crate::support::untouched::Before;
use crate::support::{Database, Server};

/// A target in which the platform has citext in a schema of its own.
fn with_citext_in(schema: &str) -> Database {
    let target = application::empty_database("extensions");
    target.psql(&format!(
        "CREATE SCHEMA {schema}; GRANT USAGE ON SCHEMA {schema} TO PUBLIC; CREATE EXTENSION citext WITH SCHEMA {schema}"
    ));
    target
}

#[test]
fn report_02_missing_extension() {
    for input in ["input.dump", "input.sql"] {
        let archive = report(&format!("02-missing-extension/{input}"));
        for way in WAYS {
            for more in [&["--dry-run"][..], &[]] {
                let target = application::empty_database("extensions");
                let before = Before::of(&target);
                let outcome = restore(&archive, &target, way).args(more).run().expect_status(3);
                let outcome = outcome.stderr_has("extension gvacmgt is not available on the server");
                if input == "input.dump" {
                    outcome.assert_stderr_has("nothing in the archive depends on it");
                }
                before.is_now(outcome);
            }
        }
    }
}

#[test]
fn all_missing_extensions_are_named_with_their_dependents() {
    let source =
        Source::of("CREATE EXTENSION citext; CREATE EXTENSION hstore; CREATE TABLE t (a citext, b hstore)");
    // The archive's names are as long as those that it must not find.
    let script =
        source.script("missing.sql", |text| text.replace("hstore", "hsnone").replace("citext", "cinone"));
    let target = application::empty_database("extensions");
    let outcome = restore(&script, &target, Way::Swap).run().expect_status(3);
    outcome.stderr_has("extension cinone is not available").stderr_has("extension hsnone is not available");
    // In an archive, the entries that need an extension are known.
    let archive = source.dump("missing.dump", &["-Fc", "-Z0"]);
    let bytes = std::fs::read(&archive).unwrap();
    std::fs::write(&archive, replaced(&bytes, b"citext", b"cinone")).unwrap();
    let outcome = restore(&archive, &target, Way::Swap).run().expect_status(3);
    outcome.stderr_has("extension cinone is not available").stderr_has("needs it for TABLE public.t");
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let places: Vec<usize> =
        (0..=bytes.len() - from.len()).filter(|at| bytes[*at..].starts_with(from)).collect();
    places.into_iter().for_each(|at| bytes[at..at + to.len()].copy_from_slice(to));
    bytes
}

#[test]
fn report_10_extension_in_other_schema() {
    for input in ["input.dump", "heroku.dump"] {
        let archive = report(&format!("10-extension-in-other-schema/{input}"));
        let target = with_citext_in("extensions");
        let before = Before::of(&target);
        for more in [&["--dry-run"][..], &[]] {
            let outcome = restore(&archive, &target, Way::InPlace).args(more).run().expect_status(3);
            let outcome = outcome.stderr_has("the target has it in schema extensions, where it stays");
            let outcome = outcome.stderr_has("ALTER EXTENSION citext SET SCHEMA");
            before.is_now(outcome.stderr_has("TABLE public.member"));
        }
        restore(&archive, &target, Way::Swap).run().expect_status(0);
        let expected = by_pg_restore(&archive).in_any_order();
        assert_eq!(expected.difference(&Restored::of(&target).in_any_order()), None);
    }
    let archive = report("10-extension-in-other-schema/schema-only-shop.dump");
    for way in WAYS {
        let target = with_citext_in("heroku_ext");
        let outcome = restore(&archive, &target, way).run().expect_status(0);
        assert_eq!(target.psql("SELECT email FROM shop.member"), "A@example.org\n");
        let schema = "SELECT nspacl::text LIKE '%=U/%', pg_get_userbyid(nspowner) <> 'store app' FROM pg_namespace \
                      WHERE nspname = 'heroku_ext'";
        assert_eq!(target.psql(schema), "t|t\n", "{way:?} {outcome}");
    }
}

#[test]
fn an_extension_whose_schema_nothing_needs_may_be_elsewhere() {
    let source = Source::of("CREATE EXTENSION citext; CREATE TABLE t (a int); INSERT INTO t VALUES (1)");
    for archive in [source.dump("other.dump", &["-Fc"]), source.dump("other.sql", &["-Fp"])] {
        let target = with_citext_in("extensions");
        let strict = restore(&archive, &target, Way::InPlace).arg("--strict").run().expect_status(4);
        strict.assert_stderr_has("the target has it in schema extensions");
        restore(&archive, &target, Way::InPlace).run().expect_status(0);
        assert_eq!(target.psql("SELECT a FROM t"), "1\n");
    }
}

#[test]
fn scripts_and_indexes_that_need_an_extension_elsewhere_are_refused() {
    let needs = [
        "CREATE EXTENSION citext; CREATE TABLE t (a citext)",
        "CREATE EXTENSION pg_trgm; CREATE TABLE t (a text); CREATE INDEX ON t USING gin (a gin_trgm_ops)",
    ];
    for sql in needs {
        let source = Source::of(sql);
        for archive in [source.dump("needs.dump", &["-Fc"]), source.dump("needs.sql", &["-Fp"])] {
            let target = application::empty_database("extensions");
            target.psql("CREATE SCHEMA elsewhere; CREATE EXTENSION citext SCHEMA elsewhere; CREATE EXTENSION pg_trgm SCHEMA elsewhere");
            let outcome = restore(&archive, &target, Way::InPlace).run().expect_status(3);
            outcome.stderr_has("the target has it in schema elsewhere");
        }
    }
}

#[test]
fn extensions_of_the_target_come_before_the_archive_and_after_those_they_require() {
    let source = Source::of("CREATE EXTENSION cube; CREATE TABLE t (a int)");
    let archive = source.dump("requires.dump", &["-Fc"]);
    let target = application::empty_database("extensions");
    target.psql("CREATE EXTENSION earthdistance CASCADE; CREATE EXTENSION hstore");
    let trusted = || restore(&archive, &target, Way::Swap).arg("--trust-archive");
    for run in [
        restore(&archive, &target, Way::Swap),
        trusted(),
        restore(&archive, &target, Way::Swap).arg("--strict"),
    ] {
        run.run().expect_status(0);
        let extensions = "SELECT string_agg(extname, ' ' ORDER BY extname) FROM pg_extension";
        assert_eq!(target.psql(extensions), "cube earthdistance hstore plpgsql\n");
    }
}

#[test]
fn an_archive_with_objects_named_as_those_of_an_extension_of_the_target_comes_first() {
    let source = Source::of(
        "CREATE FUNCTION uuid_generate_v4() RETURNS uuid LANGUAGE sql AS 'SELECT gen_random_uuid()';
         CREATE TABLE t (a uuid DEFAULT uuid_generate_v4()); INSERT INTO t DEFAULT VALUES",
    );
    let archive = source.dump("collides.dump", &["-Fc"]);
    let target = application::empty_database("extensions");
    target.psql("CREATE EXTENSION \"uuid-ossp\"");
    let outcome = restore(&archive, &target, Way::Swap).run().expect_status(0);
    outcome.stderr_has("the target has the extension \"uuid-ossp\"");
    assert_eq!(target.psql("SELECT count(*) FROM t"), "1\n");
}

/// Makes a table and a sequence of citext's with rows that a backup contains, as an extension's script does.
const CONFIGURATION: &str = "
CREATE EXTENSION citext;
CREATE SCHEMA conf;
CREATE TABLE conf.srid (id int PRIMARY KEY, label text);
CREATE TABLE conf.part (id int PRIMARY KEY REFERENCES conf.srid, label text);
CREATE SEQUENCE conf.part_seq;
INSERT INTO conf.srid VALUES (1, 'of the extension');
ALTER EXTENSION citext ADD TABLE conf.srid;
ALTER EXTENSION citext ADD TABLE conf.part;
ALTER EXTENSION citext ADD SEQUENCE conf.part_seq;
UPDATE pg_extension SET
    extconfig = ARRAY['conf.srid'::regclass, 'conf.part'::regclass, 'conf.part_seq'::regclass]::oid[],
    extcondition = ARRAY['WHERE id >= 100', '', '']
    WHERE extname = 'citext';
INSERT INTO conf.srid VALUES (100, 'of the backup'), (101, 'of the backup');
INSERT INTO conf.part VALUES (100, 'of the backup');
SELECT setval('conf.part_seq', 7);
";

/// A database with these rows, its backup, and what has been changed in it since then.
fn over_itself(way: &str, grants: &str) -> (Database, Source) {
    let target = application::empty_database("extensions");
    let owner = quoted(APPLICATION);
    target.psql(&format!("CREATE TABLE t (a int); ALTER TABLE t OWNER TO {owner}; {CONFIGURATION}"));
    target.psql(&grants.replace("OWNER", &owner));
    let source = Source { database: target, files: tempfile::TempDir::new().unwrap() };
    source.dump("own", &[way]);
    source.database.psql(
        "DELETE FROM conf.part; DELETE FROM conf.srid WHERE id = 101;
         INSERT INTO conf.srid VALUES (102, 'since then'); UPDATE conf.srid SET label = label || '!';
         SELECT setval('conf.part_seq', 50)",
    );
    let target = Database::adopted(&source.database.server, &source.database.name);
    (target, source)
}

const GRANTS: &str = "GRANT USAGE ON SCHEMA conf TO OWNER;
    GRANT SELECT, INSERT, DELETE ON conf.srid, conf.part TO OWNER";

const ROWS: &str = "SELECT string_agg(id || ' ' || label, ', ' ORDER BY id) FROM conf.srid; \
    SELECT count(*) FROM conf.part; SELECT last_value FROM conf.part_seq";

#[test]
fn report_real_05_rows_of_an_extension_that_stays_are_replaced_where_username_may() {
    for way in ["-Fc", "-Fp"] {
        let (target, source) = over_itself(way, GRANTS);
        let archive = source.files.path().join("own");
        let plan = restore(&archive, &target, Way::InPlace).arg("--dry-run").run().expect_status(0);
        plan.stdout_has("rows of table conf.srid replace those in the target");
        let outcome = restore(&archive, &target, Way::InPlace).run().expect_status(0);
        outcome.assert_stderr_has("run SELECT pg_catalog.setval('conf.part_seq', 7, true);");
        let expected = "1 of the extension!, 100 of the backup, 101 of the backup\n1\n50\n";
        assert_eq!(target.psql(ROWS), expected, "{way}");
    }
}

#[test]
fn rows_of_an_extension_are_replaced_by_those_of_a_stream() {
    let (target, source) =
        over_itself("-Fp", &format!("{GRANTS}; ALTER TABLE conf.part DROP CONSTRAINT part_id_fkey"));
    let archive = source.files.path().join("own");
    let pgmig = with_target(&target, Way::InPlace).args(["--source", "-"]).stdin(&archive);
    pgmig.run().expect_status(0);
    assert_eq!(target.psql(ROWS), "1 of the extension!, 100 of the backup, 101 of the backup\n1\n50\n");
}

#[test]
fn rows_of_an_extension_that_username_may_not_replace_stay_with_a_warning() {
    for (grants, why) in [
        ("", "GRANT SELECT, INSERT, DELETE ON TABLE conf.srid"),
        (
            &format!(
                "{GRANTS}; ALTER TABLE conf.srid ENABLE ROW LEVEL SECURITY; REVOKE ALL ON conf.part FROM OWNER"
            )[..],
            "row level security",
        ),
    ] {
        let (target, source) = over_itself("-Fc", grants);
        let archive = source.files.path().join("own");
        let plan = restore(&archive, &target, Way::InPlace).arg("--dry-run").run().expect_status(0);
        plan.stdout_has("which stays in the target as it is").stdout_has(why);
        let before = Before::of(&target);
        before.is_now(restore(&archive, &target, Way::InPlace).arg("--strict").run().expect_status(4));
        restore(&archive, &target, Way::InPlace).run().expect_status(0).assert_stderr_has(why);
        let rows = target.psql(ROWS);
        assert!(rows.starts_with("1 of the extension!, 100 of the backup!, 102 since then!\n0\n"), "{rows}");
    }
}

#[test]
fn report_03_pg_cron() {
    let archive = report("03-pg-cron/input.dump");
    let server = Server::start_private("cron.database_name = 'cron_target'");
    application::create(&server);
    let target = Database::create_named(&server, "cron_target", &format!("OWNER {}", quoted(APPLICATION)));
    // As pg_cron 1.4 makes it, without its library.
    target.psql(
        "CREATE SCHEMA cron; CREATE SEQUENCE cron.jobid_seq;
         CREATE TABLE cron.job (jobid bigint PRIMARY KEY DEFAULT nextval('cron.jobid_seq'), schedule text NOT NULL,
             command text NOT NULL, nodename text, nodeport int, database text, username text, active boolean, jobname name);
         ALTER TABLE cron.job ENABLE ROW LEVEL SECURITY;
         CREATE SEQUENCE cron.runid_seq;
         CREATE TABLE cron.job_run_details (jobid bigint, runid bigint PRIMARY KEY, job_pid int, database text,
             username text, command text, status text, return_message text, start_time timestamptz, end_time timestamptz);
         INSERT INTO pg_extension (oid, extname, extowner, extnamespace, extrelocatable, extversion, extconfig, extcondition)
             VALUES (99999, 'pg_cron', 10, 'pg_catalog'::regnamespace, false, '1.4-1',
                 ARRAY['cron.job'::regclass, 'cron.jobid_seq'::regclass, 'cron.job_run_details'::regclass, 'cron.runid_seq'::regclass]::oid[],
                 ARRAY['', '', '', '']);
         INSERT INTO pg_depend SELECT 'pg_class'::regclass, oid, 0, 'pg_extension'::regclass, 99999, 0, 'e' FROM pg_class
             WHERE relnamespace = 'cron'::regnamespace AND relkind IN ('r', 'S')
             UNION ALL SELECT 'pg_namespace'::regclass, 'cron'::regnamespace, 0, 'pg_extension'::regclass, 99999, 0, 'e'",
    );
    let su = TargetFile { username: APPLICATION.to_owned(), ..TargetFile::of(&target) };
    let pgmig = || {
        crate::support::Pgmig::new()
            .target(&su)
            .args(["--schema", "archive", "--keep-ids", "--force"])
            .source(&archive)
    };
    let swap = pgmig().args(["--strategy", "swap"]).run().expect_status(3);
    swap.assert_stderr_has("pg_cron can be created only in a database with the name cron_target");
    let plan = pgmig().arg("--dry-run").run().expect_status(0);
    let plan = plan.stdout_has("strategy in-place").stdout_has("SEQUENCE SET cron.jobid_seq was skipped");
    plan.stdout_has("--trust-archive");
    pgmig().run().expect_status(0);
    restore(&archive, &target, Way::InPlace).run().expect_status(0).assert_stderr_has("extension pg_cron");
    assert_eq!(target.psql("SELECT count(*) FROM reading"), "2\n");
    // Elsewhere it cannot be created at all.
    let other = Database::create_named(&server, "other", &format!("OWNER {}", quoted(APPLICATION)));
    restore(&archive, &other, Way::Swap).run().expect_status(3).assert_stderr_has("extension pg_cron");
}

/// pg_dump writes an entry for schema public where it is not the database owner's.
#[test]
fn schema_public_of_the_application_holds_an_extension() {
    let target = application::empty_database("extensions");
    let source = Source::of(&format!(
        "ALTER SCHEMA public OWNER TO \"{APPLICATION}\"; CREATE EXTENSION bloom; SET ROLE \"{APPLICATION}\";
         CREATE TABLE t (a int); INSERT INTO t VALUES (1); CREATE INDEX i ON t USING bloom (a)"
    ));
    let archive = source.dump("public.dump", &["-Fc"]);
    restore(&archive, &target, Way::Swap).run().expect_status(0);
    let owners = "SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'public' UNION SELECT relowner::regrole FROM \
                  pg_class WHERE relname IN ('t', 'i')";
    assert_eq!(target.psql(owners), format!("\"{APPLICATION}\"\n"));
    assert_eq!(
        target.psql("SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'bloom'"),
        "public\n"
    );
}
