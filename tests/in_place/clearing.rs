//! A restore in place by a role that owns its database and has no other right: the objects that it drops, leaves, and
//! refuses to touch.

use crate::support::application::{self, APPLICATION, PASSWORD};
use crate::support::database::quoted;
use crate::support::fixture::fixture;
use crate::support::pgmig::TargetFile;
use crate::support::restored::Restored;
use crate::support::role::create_role;
use crate::support::store::Backup;
use crate::support::untouched::Before;
use crate::support::{Database, Outcome, Pgmig, Server};

/// Objects that a superuser has prepared in every target here.
const BY_SUPERUSER: &str = "CREATE FOREIGN DATA WRAPPER dummy_fdw;
    GRANT USAGE ON FOREIGN DATA WRAPPER dummy_fdw TO \"store app\";";

/// The extensions of `everything.sql`. If an archive does not have one, pgmig creates it again.
const EXTENSIONS: &str = "CREATE EXTENSION citext; CREATE EXTENSION btree_gist; CREATE SCHEMA store;
    CREATE EXTENSION hstore SCHEMA store";

/// A database of the application's role, with every object that the role can make.
fn filled(purpose: &str) -> Database {
    let target = application::empty_database(purpose);
    target.psql(BY_SUPERUSER);
    let everything = std::fs::read_to_string(fixture("in_place/everything.sql")).unwrap();
    target.psql(&format!("SET ROLE {};\n{everything}", quoted(APPLICATION)));
    target
}

/// Restores an archive of an empty database over the target.
fn clear(target: &Database) -> Outcome {
    clear_as(&application::target_file(target))
}

fn clear_as(file: &TargetFile) -> Outcome {
    clear_with(file, &[])
}

fn clear_with(file: &TargetFile, more: &[&str]) -> Outcome {
    let archive = fixture("archives/emptydb_15.dump");
    let pgmig = Pgmig::new().target(file).args(["--force", "--strategy", "in-place", "--keep-ids"]);
    pgmig.args(["--schema", "archive"]).args(more.iter().copied()).source(&archive).run()
}

/// Facts about a database that its pg_dump does not show.
fn hidden(database: &Database) -> String {
    database.psql(
        "SELECT count(*) FROM pg_default_acl; SELECT count(*) FROM pg_largeobject_metadata;
         SELECT nspowner::regrole, acl FROM pg_namespace, LATERAL (SELECT string_agg(a::text, ' ' ORDER BY a::text)
             FROM aclexplode(nspacl) a) AS acl (acl) WHERE nspname = 'public';
         SELECT extname, extowner::regrole FROM pg_extension ORDER BY 1;
         SELECT fdwacl FROM pg_foreign_data_wrapper",
    )
}

/// Whether a range type can be binary-coercible. No release of PostgreSQL since autumn 2025 allows it.
fn casts_ranges(target: &Database) -> bool {
    let output = target.try_psql("BEGIN; CREATE CAST (store.span AS tsrange) WITHOUT FUNCTION; ROLLBACK");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() || stderr.contains("not binary-compatible"), "{stderr}");
    output.status.success()
}

#[test]
fn everything_that_an_owner_can_make_goes() {
    let fresh = application::empty_database("fresh");
    fresh.psql(BY_SUPERUSER);
    fresh.psql(&format!("SET ROLE {}; {EXTENSIONS}", quoted(APPLICATION)));
    let target = filled("everything");
    clear(&target).expect_status(0).keeps_secret(PASSWORD);
    assert_eq!(target.dump(&[]), fresh.dump(&[]));
    assert_eq!(hidden(&target), hidden(&fresh));
}

#[test]
fn a_superuser_clears_what_is_its_own_and_the_owners() {
    let fresh = application::empty_database("fresh");
    // An extension that only the target has is created again for its owner.
    fresh.psql(&format!(
        "SET ROLE {}; {EXTENSIONS}; RESET ROLE; CREATE EXTENSION pg_trgm",
        quoted(APPLICATION)
    ));
    let target = filled("by_superuser");
    // Objects whose owner is a superuser, and objects that have no owner.
    target.psql(
        "CREATE EXTENSION pg_trgm; CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler;
         CREATE TEXT SEARCH PARSER store.parser (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end,
             LEXTYPES = prsd_lextype);
         CREATE TYPE store.shell;
         CREATE OPERATOR CLASS store.moods FOR TYPE store.mood USING btree AS FUNCTION 1 btfloat48cmp(float4, float8);
         CREATE EVENT TRIGGER noted ON sql_drop EXECUTE FUNCTION store.on_event();
         CREATE PUBLICATION everything FOR ALL TABLES; CREATE FUNCTION store.c() RETURNS int LANGUAGE internal AS 'now';
         SELECT lo_create(99); ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC",
    );
    if casts_ranges(&target) {
        target.psql("CREATE CAST (store.span AS tsrange) WITHOUT FUNCTION");
    }
    let superuser = TargetFile::of(&target);
    let file = TargetFile { username: APPLICATION.to_owned(), ..superuser };
    // Without trust, pgmig drops nothing as a superuser.
    clear_as(&file).expect_status(3).stderr_has("let them be dropped");
    clear_with(&file, &["--trust-archive"]).expect_status(0);
    assert_eq!(target.dump(&[]), fresh.dump(&[]));
    assert_eq!(hidden(&target), hidden(&fresh));
}

/// A role that has members has schemas of its own.
#[test]
fn schemas_of_others_keep_their_privileges_and_comments() {
    // This test needs a role of its own: a restore of another test would notice a new member of the shared role.
    const OWNER: &str = "owner in a group";
    let server = Server::of_this_run();
    create_role(&server, OWNER);
    let name = quoted(OWNER);
    let target =
        Database::create_with(&server, "schemas_of_others", &format!("OWNER {name} TEMPLATE template0"));
    let group = format!("group_{}", target.name);
    target.psql(&format!(
        "ALTER ROLE {name} LOGIN PASSWORD '{PASSWORD}'; CREATE ROLE {group}; GRANT {group} TO {name}; CREATE SCHEMA shared AUTHORIZATION {group};
         COMMENT ON SCHEMA shared IS 'of the group'; GRANT USAGE ON SCHEMA shared TO pg_monitor;
         CREATE TABLE shared.big (n integer); ALTER TABLE shared.big OWNER TO {group};
         SET ROLE {name}; CREATE SCHEMA own; GRANT USAGE ON SCHEMA own TO pg_monitor"
    ));
    let state = "SELECT nspname, nspacl::text, obj_description(oid, 'pg_namespace') FROM pg_namespace
        WHERE nspname IN ('shared', 'own')";
    let shared = target.psql(state).lines().find(|line| line.starts_with("shared")).unwrap().to_owned();
    let file = TargetFile {
        username: OWNER.to_owned(),
        su_username: OWNER.to_owned(),
        su_password: PASSWORD.to_owned(),
        ..TargetFile::of(&target)
    };
    clear_as(&file).expect_status(0).stderr_has("shared");
    assert_eq!(target.psql(state).trim_end(), shared);
    target.psql(&format!("DROP TABLE shared.big; DROP SCHEMA shared; DROP ROLE {group}"));
}

#[test]
fn objects_of_others_are_listed_all_at_once_and_nothing_is_dropped() {
    let target = filled("others");
    let of_others = std::fs::read_to_string(fixture("in_place/of_others.sql")).unwrap();
    let has_cast = casts_ranges(&target);
    let lines = of_others.lines().filter(|line| has_cast || !line.starts_with("CREATE CAST"));
    target.psql(&lines.collect::<Vec<_>>().join("\n"));
    let before = Before::of(&target);
    let outcome = before.is_now(clear(&target).expect_status(3).keeps_secret(PASSWORD));
    let superuser = &target.server.superuser;
    for object in [
        "view public.report of {}, which depends on table store.one",
        "function store.by_superuser() of {}, which depends on schema store",
        "function public.takes_a_mood(store.mood) of {}, which depends on type store.mood",
        "cast from store.span to tsrange of a superuser, which depends on type store.span",
        "table store.alien of {}, which depends on schema store",
        "constraint refers_id_fkey on table public.refers of {}, which depends on table store.one",
        "column feeling of table public.refers of {}, which depends on type store.mood",
        "default value for column extra of table public.refers of {}, which depends on function store.many(integer[])",
        "policy of_superuser on table public.refers of {}, which depends on function store.many(integer[])",
        "trigger of_superuser on table public.refers of {}, which depends on function store.fire()",
        "table public.partition of {}, which depends on table store.parent",
        "statistics object public.of_superuser of {}, which depends on table store.two",
        "publication of table store.one in publication of_superuser of {}, which depends on table store.one",
        "event trigger of_superuser of {}, which depends on function store.on_event()",
        "foreign table store.far_away of {}, which depends on schema store",
        "in schema store of {}, which depends on schema store",
        "1 large object, 77 of {}",
    ] {
        if has_cast || !object.starts_with("cast") {
            outcome.assert_stderr_has(&object.replace("{}", superuser));
        }
    }
    // Objects that depend on those are dropped with them, or stay. Neither concerns the owner.
    assert!(!outcome.stderr.contains("on_report"), "{outcome}");
    outcome.assert_stderr_has("on_event(); let a superuser drop it before the restore");
    // A view also depends on its schema. The list names it once.
    target.psql("CREATE VIEW store.twice AS SELECT id FROM store.one");
    let outcome = clear(&target).expect_status(3).stderr_has("view store.twice of");
    assert_eq!(outcome.stderr.matches("store.twice").count(), 1, "{outcome}");
    // A test of the connection reports them, too.
    let probe = Pgmig::new().target(&application::target_file(&target)).arg("--testPGConnection").run();
    probe.expect_status(0).stdout_has("in-place    not possible:").stdout_has("view store.twice of");
}

#[test]
fn extensions_of_others_stay_with_their_schemas() {
    let backup = Backup::of_oldest_release();
    let target = application::target("extensions");
    target.psql(
        "CREATE EXTENSION hstore SCHEMA store; COMMENT ON SCHEMA store IS 'of the target';
         GRANT ALL ON SCHEMA store TO PUBLIC; ALTER TABLE store.workspace ADD attributes store.hstore;
         CREATE SCHEMA aside CREATE TABLE kept (id integer); CREATE FUNCTION public.helper() RETURNS int LANGUAGE sql
         AS 'SELECT 1'",
    );
    let outcome = application::restore_into(&backup, &target).run().expect_status(0).keeps_secret(PASSWORD);
    outcome.stderr_has("stays in the target as it is").stderr_has("table aside.kept of");
    backup.assert_restored(&target);
    assert_eq!(
        target.psql(
            "SELECT extname, extnamespace::regnamespace FROM pg_extension WHERE extname = 'hstore';
             SELECT count(*) FROM aside.kept; SELECT public.helper(); SELECT obj_description('store'::regnamespace);
             SELECT has_schema_privilege('public', 'store', 'CREATE')"
        ),
        "hstore|store\n0\n1\n\nf\n"
    );
}

#[test]
fn an_object_of_others_under_a_name_of_the_archives_is_refused() {
    let source = application::empty_database("collision_source");
    source.psql(&format!(
        "SET ROLE {}; CREATE TABLE public.\"Same\" (id integer);
         CREATE FUNCTION public.same(integer, text) RETURNS int LANGUAGE sql AS 'SELECT 1'",
        quoted(APPLICATION)
    ));
    let directory = tempfile::TempDir::new().unwrap();
    let archive = directory.path().join("same.dump");
    source.dump_through_pipe(&[], &archive);
    let target = application::empty_database("collision");
    target.psql(
        "CREATE VIEW public.\"Same\" AS SELECT 1;
         CREATE FUNCTION public.same(integer, text) RETURNS int LANGUAGE sql AS 'SELECT 2';
         CREATE FUNCTION public.same(integer) RETURNS int LANGUAGE sql AS 'SELECT 3'",
    );
    let before = Before::of(&target);
    let pgmig = Pgmig::new().target(&application::target_file(&target)).arg("--keep-ids").source(&archive);
    let outcome = before.is_now(pgmig.run().expect_status(3));
    let outcome =
        outcome.stderr_has("TABLE public.Same of postgres").stderr_has("same(integer, text) of postgres");
    // A function with another signature is another function.
    assert!(!outcome.stderr.contains("same(integer) "), "{outcome}");
}

/// Tables share their names with types, and with indexes, including those of constraints.
#[test]
fn a_name_that_something_else_of_others_has_is_refused() {
    let source = application::empty_database("taken_source");
    source.psql(&format!(
        "SET ROLE {}; CREATE TABLE public.typed (id integer); CREATE TYPE public.row AS (id integer);
         CREATE TABLE public.free (id integer CONSTRAINT \"a key\" PRIMARY KEY, note text);
         CREATE INDEX noted ON public.free (note); CREATE SEQUENCE public.counter",
        quoted(APPLICATION)
    ));
    let directory = tempfile::TempDir::new().unwrap();
    let target = application::empty_database("taken");
    target.psql(
        "CREATE TYPE public.typed AS ENUM ('x'); CREATE TABLE public.row (id integer);
         CREATE TABLE public.others (id integer, note text); CREATE INDEX \"a key\" ON public.others (id);
         CREATE VIEW public.noted AS SELECT 1; CREATE INDEX counter ON public.others (note)",
    );
    let before = Before::of(&target);
    for format in ["custom", "plain"] {
        let archive = directory.path().join(format);
        let dump = source.server.run_program("pg_dump", ["-F", format, "-d", &source.name]);
        std::fs::write(&archive, dump).unwrap();
        let pgmig =
            Pgmig::new().target(&application::target_file(&target)).arg("--keep-ids").source(&archive);
        let mut outcome = before.is_now(pgmig.run().expect_status(3));
        for taken in [
            "TABLE public.typed",
            "TYPE public.row",
            "CONSTRAINT public.free a key",
            "INDEX public.noted",
            "SEQUENCE public.counter",
        ] {
            outcome = outcome.stderr_has(&format!("{taken} of postgres, which is the archive's, too"));
        }
    }
}

#[test]
fn a_target_without_schema_public_gets_one() {
    let fresh = application::empty_database("fresh");
    let target = application::empty_database("no_public");
    target.psql("DROP SCHEMA public");
    clear(&target).expect_status(0);
    assert!(Restored::of(&fresh).difference(&Restored::of(&target)).is_none());
    assert_eq!(hidden(&target), hidden(&fresh));
}
