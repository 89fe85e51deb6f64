//! Objects that belong to several roles in the backup belong to `username` afterwards, and a warning says so.

use super::{Way, with_roles};
use crate::hostile::forge::{self, Form};
use crate::support::Database;
use crate::support::application::{self, APPLICATION};
use crate::support::database::quoted;
use crate::support::untouched::Before;
use tempfile::TempDir;

#[test]
fn owners_that_the_cluster_has_are_named() {
    with_roles(&["owners_second", "owners_app"]);
    let source = Database::create("owners");
    source.psql(
        "GRANT CREATE ON SCHEMA public TO owners_second, owners_app;
         SET ROLE owners_app; CREATE TABLE a (id int); CREATE TABLE b (id int); CREATE TYPE c AS ENUM ('c'); RESET ROLE;
         SET ROLE owners_second; CREATE TABLE d (id int); CREATE VIEW e AS SELECT 1 AS one",
    );
    let directory = TempDir::new().unwrap();
    let archive = directory.path().join("owners.dump");
    source.dump_through_pipe(&[], &archive);
    for way in Way::ALL {
        let target = application::empty_database("owners");
        let before = Before::of(&target);
        before.is_now(way.restore(&target, &archive, &["--strict"]).expect_status(4));
        let outcome = way.restore(&target, &archive, &[]).expect_status(0);
        outcome.assert_stderr_has(&format!(
            "warning: 2 objects of role owners_second in the backup will belong to \"{APPLICATION}\": TABLE public.d; \
             VIEW public.e"
        ));
        assert!(!outcome.stderr.contains("role owners_app"), "{way:?}: the application gets its new name");
        let owners = "SELECT DISTINCT relowner::regrole FROM pg_class WHERE relname IN ('a', 'd', 'e')";
        assert_eq!(target.psql(owners), format!("\"{APPLICATION}\"\n"), "{way:?}");
    }
}

#[test]
fn one_owner_or_a_role_that_is_not_there_needs_no_warning() {
    let server = with_roles(&["owners_gone"]);
    let source = Database::create("owners");
    source.psql(
        "GRANT CREATE ON SCHEMA public TO owners_gone; CREATE TABLE a (id int); CREATE TABLE b (id int);
         SET ROLE owners_gone; CREATE TABLE c (id int)",
    );
    let directory = TempDir::new().unwrap();
    let archive = directory.path().join("owners.dump");
    source.dump_through_pipe(&["--no-privileges"], &archive);
    source.psql("DROP OWNED BY owners_gone");
    server.psql("postgres", "DROP ROLE owners_gone");
    for way in Way::ALL {
        let target = application::empty_database("owners");
        way.restore(&target, &archive, &["--strict"]).expect_status(0);
    }
}

/// What a warning asks an administrator to run are default privileges and nothing else, whatever the file says.
#[test]
fn advice_holds_no_other_statement_of_the_backup() {
    with_roles(&["advice_stranger", "advice_app"]);
    let source = Database::create("advice");
    source.psql(
        "ALTER DEFAULT PRIVILEGES FOR ROLE advice_stranger IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC;
         GRANT CREATE ON SCHEMA public TO advice_app; SET ROLE advice_app; CREATE TABLE a (id int)",
    );
    let directory = TempDir::new().unwrap();
    let granted = "GRANT SELECT ON TABLES  TO PUBLIC;";
    let edit = (granted.to_owned(), format!("{granted}\nALTER ROLE advice_app SUPERUSER;"));
    let archive = forge::archive(&source, Form::Custom, &[], &[edit], directory.path());
    for way in Way::ALL {
        let target = application::empty_database("advice");
        let outcome = way.restore(&target, &archive, &[]);
        if matches!(way, Way::Swap) {
            outcome
                .assert_stderr_has("belongs to role advice_stranger, which owns nothing else in the backup");
        }
        assert!(!format!("{}{}", outcome.stdout, outcome.stderr).contains("SUPERUSER"), "{way:?}: {outcome}");
        assert_eq!(
            target.psql("SELECT count(*) FROM pg_roles WHERE rolname = 'advice_app' AND rolsuper"),
            "0\n"
        );
    }
}

/// An owner can revoke its own rights, on the schema, too. Such a database is restored, and then again over itself: in place,
/// LOCK TABLE requires rights that the owner does not have.
#[test]
fn owners_that_may_not_use_their_own_objects() {
    with_roles(&["owners_reader"]);
    let owner = quoted(APPLICATION);
    let source = application::empty_database("owners");
    source.psql(&format!(
        "SET ROLE {owner}; CREATE SCHEMA s; CREATE TYPE s.e AS ENUM ('a');
         CREATE TABLE s.t (id serial PRIMARY KEY, e s.e); INSERT INTO s.t (e) VALUES ('a'), ('a');
         CREATE FUNCTION s.ok(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 > 0'; CREATE INDEX ON s.t (s.ok(id));
         CREATE TABLE s.child (id int REFERENCES s.t CHECK (s.ok(id))); INSERT INTO s.child VALUES (1);
         CREATE MATERIALIZED VIEW s.m AS SELECT 1 AS one; CREATE TABLE public.read_only (a int);
         INSERT INTO public.read_only VALUES (1); REVOKE ALL ON public.read_only FROM {owner};
         GRANT SELECT ON public.read_only TO {owner}, owners_reader; REVOKE ALL ON s.t, s.child, s.m FROM {owner};
         REVOKE ALL ON SEQUENCE s.t_id_seq FROM {owner}; REVOKE ALL ON FUNCTION s.ok(int) FROM PUBLIC, {owner};
         REVOKE ALL ON TYPE s.e FROM PUBLIC, {owner}; GRANT SELECT ON s.t TO owners_reader;
         REVOKE ALL ON SCHEMA s FROM {owner}; GRANT USAGE ON SCHEMA s TO owners_reader"
    ));
    let directory = TempDir::new().unwrap();
    let archive = directory.path().join("owners.dump");
    source.dump_through_pipe(&[], &archive);
    let state = |database: &Database| {
        let mut lines: Vec<String> = database.dump(&[]).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let expected = state(&source);
    for way in Way::ALL {
        let target = application::empty_database("owners");
        for run in ["empty", "full"] {
            way.restore(&target, &archive, &["--strict"]).expect_status(0);
            assert_eq!(state(&target), expected, "{way:?} {run}");
        }
    }
}
