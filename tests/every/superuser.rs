//! What pg_restore makes as superuser only: a swap makes it by statements of pgmig's own, or for a trusted archive, or names
//! it beforehand, with the reason. In place, as the owner, it is named beforehand.
//!
//! Relatives that were tried: functions with a superuser's parameter, a parameter of the application, a list of values, a
//! parameter of PL/pgSQL, in a trigger, in a CHECK and an index, with a name that needs quotes; LEAKPROOF; SUPPORT; languages
//! c and internal, an untrusted and a trusted language of the archive; base types, shell types, operator classes, casts,
//! access methods, text search templates, publications of all tables, event triggers; user mappings with options of a
//! superuser, file_fdw tables (alone, as a child, as a partition); REFRESH that reads a table of the system, directly, by a
//! view, by a function, from another materialized view; CHECK, generated column, domain, index and extended statistics that
//! call what only a superuser may call; REFRESH of a table whose owner has revoked its own right; on tables of an extension:
//! foreign keys (of a partitioned table, too), INHERITS, ATTACH PARTITION, policies, the values of its sequences, grants;
//! tables that the owner may not read and functions that it may not call, of the system and of extensions, in views, CHECK
//! constraints, indexes, domains and bodies of functions; operators with an extension's estimator.

use super::{Source, WAYS, Way, assert_restored_as, by_pg_restore, report, restore};
use crate::support::application::{self, APPLICATION};
use crate::support::extension;
use crate::support::pgmig::TargetFile;
use crate::support::restored::Restored;
use crate::support::role::create_role;
use crate::support::untouched::Before;
use crate::support::{Database, Outcome, Pgmig, Server};
use std::path::{Path, PathBuf};

/// Whose objects these are; all that a user has made.
const OWNERS: &str = "SELECT string_agg(DISTINCT pg_get_userbyid(owner), ',') FROM (
    SELECT oid, relowner AS owner FROM pg_class WHERE relkind IN ('r', 'v', 'm', 'f', 'S', 'p')
    UNION ALL SELECT oid, proowner FROM pg_proc UNION ALL SELECT oid, typowner FROM pg_type WHERE typtype <> 'm'
    UNION ALL SELECT oid, nspowner FROM pg_namespace WHERE nspname !~ '^pg_'
    UNION ALL SELECT oid, srvowner FROM pg_foreign_server UNION ALL SELECT oid, lanowner FROM pg_language) AS o
    WHERE o.oid >= 16384 AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = o.oid AND d.deptype IN ('e', 'i'))";

/// A restore of a trusted archive gives what pg_restore gives, and all of it to the application.
#[track_caller]
fn is_restored_trusted(archive: &Path, expected: &Restored) {
    let target = assert_restored_as(archive, expected, Way::Swap, |pgmig| pgmig.arg("--trust-archive"));
    assert_eq!(target.psql(OWNERS).trim(), APPLICATION, "{}", archive.display());
}

/// A restore that nobody may make without trust: refused with these words, and nothing is changed.
#[track_caller]
fn is_refused(archive: &Path, way: Way, words: &[&str]) -> Outcome {
    let target = application::empty_database("superuser");
    target.psql("CREATE TABLE keep_me (a int); INSERT INTO keep_me VALUES (1)");
    let before = Before::of(&target);
    let outcome = before.is_now(restore(archive, &target, way).run().expect_status(3));
    for word in words {
        outcome.assert_stderr_has(word);
    }
    // The dry run says the same.
    let dry = restore(archive, &target, way).arg("--dry-run").run().expect_status(3);
    let reason =
        |outcome: &Outcome| outcome.stderr.split_once("error: ").map(|(_, reason)| reason.to_owned());
    assert_eq!(reason(&dry), reason(&outcome));
    outcome
}

#[test]
fn report_11_function_sets_superuser_parameter() {
    for name in ["input", "custom-setting"] {
        let archive = report(&format!("11-function-sets-superuser-parameter/{name}.dump"));
        let expected = by_pg_restore(&archive);
        let target = assert_restored_as(&archive, &expected, Way::Swap, |pgmig| pgmig.arg("--strict"));
        assert_eq!(target.psql(OWNERS).trim(), APPLICATION);
        is_restored_trusted(&archive, &expected);
        let refused = is_refused(
            &archive,
            Way::InPlace,
            &["FUNCTION public.of_tenant(): it sets \"app.scope\", which"],
        );
        if name == "input" {
            refused.assert_stderr_has("FUNCTION public.bulk_load(): it sets session_replication_role");
            refused.assert_stderr_has("PROCEDURE public.tidy(): it sets log_min_messages");
        }
        let can_be_granted = Server::of_this_run().major_version() >= 15;
        let grant = format!("GRANT SET ON PARAMETER \"app.scope\" TO \"{APPLICATION}\"");
        assert_eq!(refused.stderr.contains(&grant), can_be_granted, "{}", refused.stderr);
    }
}

#[test]
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn a_parameter_that_username_may_set_is_no_obstacle() {
    let server = Server::of_this_run();
    create_role(&server, "case11_role");
    let source = Source::of(
        "DO $$ BEGIN END $$;
         CREATE FUNCTION strict() RETURNS int LANGUAGE plpgsql SET plpgsql.extra_warnings = 'all' SET work_mem = '4MB'
             SET search_path = public, \"Odd\" AS $$ BEGIN RETURN 1; END $$;
         CREATE FUNCTION as_app() RETURNS int LANGUAGE sql SET role = 'case11_role' AS 'SELECT 1';",
    );
    let archive = source.dump("user.dump", &["-Fc"]);
    super::assert_restored(&archive, &by_pg_restore(&archive));
    if server.major_version() < 15 {
        eprintln!("skipped: servers before 15 have no privileges on parameters");
        return;
    }
    application::create(&server);
    server.psql("postgres", &format!("GRANT SET ON PARAMETER granted.scope TO \"{APPLICATION}\""));
    let source =
        Source::of("CREATE FUNCTION f() RETURNS int LANGUAGE sql SET granted.scope = 'x' AS 'SELECT 1'");
    let archive = source.dump("granted.dump", &["-Fc"]);
    super::assert_restored(&archive, &by_pg_restore(&archive));
}

/// Settings that a superuser adds; each with the function in use, where it is used while rows are loaded.
#[test]
fn settings_of_functions_are_added_by_a_superuser() {
    let source = Source::of(
        "CREATE SCHEMA \"S x\";
         CREATE FUNCTION \"S x\".\"Odd F\"(a int, VARIADIC b text[] DEFAULT '{}') RETURNS TABLE (c int) LANGUAGE plpgsql
             SET app.scope = 'it''s' SET work_mem = '4MB' SET log_statement = none SECURITY DEFINER
             AS $$ BEGIN RETURN; END $$;
         COMMENT ON FUNCTION \"S x\".\"Odd F\" IS 'with settings';
         CREATE FUNCTION listed() RETURNS int LANGUAGE sql SET session_preload_libraries = 'a', 'b c' AS 'SELECT 1';
         CREATE FUNCTION is_positive(int) RETURNS boolean IMMUTABLE LANGUAGE sql SET app.x = '1' AS 'SELECT $1 > 0';
         CREATE TABLE t (a int CHECK (is_positive(a)), b boolean GENERATED ALWAYS AS (is_positive(a)) STORED);
         INSERT INTO t VALUES (1); CREATE INDEX ON t (is_positive(a));
         CREATE FUNCTION on_insert() RETURNS trigger LANGUAGE plpgsql SET app.y = '2' AS $$ BEGIN RETURN NEW; END $$;
         CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION on_insert();",
    );
    for (name, options) in [("s.dump", &["-Fc"][..]), ("s.sql", &["-Fp"])] {
        let archive = source.dump(name, options);
        let expected = by_pg_restore(&source.dump("oracle.dump", &["-Fc"]));
        let target = assert_restored_as(&archive, &expected, Way::Swap, |pgmig| pgmig.arg("--strict"));
        assert_eq!(target.psql(OWNERS).trim(), APPLICATION);
        let words = [
            "it sets \"app.scope\", log_statement",
            "it sets session_preload_libraries",
            "it sets \"app.x\"",
        ];
        is_refused(&archive, Way::InPlace, &words);
    }
    // As a stream, in which nothing is known beforehand.
    let script = source.dump("stream.sql", &["-Fp"]);
    let target = application::empty_database("stream");
    super::with_target(&target, Way::Swap).args(["--source", "-"]).stdin(&script).run().expect_status(0);
    assert_eq!(target.psql("SELECT proconfig FROM pg_proc WHERE proname = 'is_positive'"), "{app.x=1}\n");
}

/// The types of a function's arguments stand beside its statement in an archive. The superuser's statement must not reach
/// another function by them.
#[test]
fn settings_are_added_to_functions_of_username_only() {
    let source = Source::of(
        "CREATE EXTENSION pgcrypto;
         CREATE FUNCTION gen_salt(boolean) RETURNS text LANGUAGE sql SET app.x = '1' AS $$ SELECT 'x' $$",
    );
    let script = source.script("forged.sql", |script| {
        let (from, to) = ("-- Name: gen_salt(boolean);", "-- Name: gen_salt(text);");
        assert!(script.contains(from));
        script.replace(from, to)
    });
    let target = application::empty_database("forged");
    let before = Before::of(&target);
    let outcome = before.is_now(restore(&script, &target, Way::Swap).run().expect_status(1));
    outcome.assert_stderr_has("function public.gen_salt(text) does not belong to username");
}

#[test]
fn report_13_untrusted_language() {
    let archive = report("13-untrusted-language/input.dump");
    for way in WAYS {
        let words = [
            "PROCEDURAL LANGUAGE plhouse",
            "FUNCTION public.shell(integer): language plhouse is not trusted",
        ];
        is_refused(&archive, way, &words);
    }
    is_restored_trusted(&archive, &by_pg_restore(&archive));
}

/// Databases that only a superuser can restore, each with words of the refusal.
const KINDS: &[(&str, &[&str])] = &[
    (
        "CREATE FUNCTION f(int, int) RETURNS SETOF int LANGUAGE sql SUPPORT generate_series_int4_support AS 'SELECT 1'",
        &["FUNCTION public.f(integer, integer): only a superuser may make a function SUPPORT"],
    ),
    (
        "CREATE FUNCTION \"F f\"(int) RETURNS int LANGUAGE sql LEAKPROOF AS 'SELECT 1'",
        &["FUNCTION public.F f(integer): only a superuser may make a function LEAKPROOF"],
    ),
    (
        "CREATE FUNCTION \"F f\"() RETURNS trigger LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
         CREATE FUNCTION i(int) RETURNS text LANGUAGE internal AS 'int4out'",
        &["FUNCTION public.F f(): language c is not trusted", "FUNCTION public.i(integer): language internal is not trusted"],
    ),
    (
        "CREATE FUNCTION house_call() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
         CREATE TRUSTED LANGUAGE plhouse HANDLER house_call; CREATE TABLE t (a int);
         CREATE FUNCTION g(int) RETURNS int LANGUAGE plhouse AS $$ BEGIN RETURN $1 + 1; END $$",
        &["PROCEDURAL LANGUAGE plhouse"],
    ),
    (
        "CREATE TYPE b; CREATE FUNCTION b_in(cstring) RETURNS b LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
         CREATE FUNCTION b_out(b) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
         CREATE TYPE b (INPUT = b_in, OUTPUT = b_out, LIKE = integer); CREATE TABLE t (x b); INSERT INTO t VALUES ('1');
         COMMENT ON TYPE b IS 'base'; CREATE CAST (b AS int) WITHOUT FUNCTION;
         CREATE OPERATOR CLASS o DEFAULT FOR TYPE b USING hash AS OPERATOR 1 = (int, int), FUNCTION 1 hashint4(int)",
        &["TYPE public.b", "OPERATOR CLASS public.o"],
    ),
    (
        "CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler; CREATE TABLE t (a int) USING heap2;
         CREATE TEXT SEARCH TEMPLATE tp (INIT = dsimple_init, LEXIZE = dsimple_lexize);
         CREATE TEXT SEARCH DICTIONARY td (TEMPLATE = tp); CREATE PUBLICATION pa FOR ALL TABLES;
         CREATE FUNCTION ev() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
         CREATE EVENT TRIGGER et ON ddl_command_end EXECUTE FUNCTION ev(); COMMENT ON EVENT TRIGGER et IS 'last'",
        &["ACCESS METHOD heap2", "TEXT SEARCH TEMPLATE public.tp", "PUBLICATION pa", "EVENT TRIGGER et"],
    ),
    (
        "CREATE EXTENSION postgres_fdw; CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'h');
         CREATE USER MAPPING FOR case30_reader SERVER s OPTIONS (user 'u', password_required 'false');
         CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (sslcert '/x', sslkey '/y');
         CREATE FOREIGN TABLE ft (a int) SERVER s OPTIONS (table_name 'x')",
        &["SERVER s"],
    ),
    (
        "CREATE EXTENSION file_fdw; CREATE SERVER s FOREIGN DATA WRAPPER file_fdw;
         CREATE FOREIGN TABLE ft (a text) SERVER s OPTIONS (filename '/etc/hostname'); COMMENT ON FOREIGN TABLE ft IS 'file';
         CREATE VIEW v AS SELECT * FROM ft; CREATE MATERIALIZED VIEW m AS SELECT count(*) FROM v;
         CREATE TABLE p (a text); CREATE FOREIGN TABLE fc () INHERITS (p) SERVER s OPTIONS (filename '/etc/hostname');
         CREATE TABLE pp (a text) PARTITION BY LIST (a);
         CREATE FOREIGN TABLE fp PARTITION OF pp FOR VALUES IN ('x') SERVER s OPTIONS (filename '/etc/hostname')",
        &["EXTENSION file_fdw", "SERVER s"],
    ),
    (
        "CREATE MATERIALIZED VIEW m AS SELECT rolname FROM pg_authid WHERE rolname = 'postgres'; CREATE INDEX ON m (rolname);
         CREATE VIEW v AS SELECT rolname FROM pg_authid WHERE rolname = 'postgres';
         CREATE MATERIALIZED VIEW m2 AS SELECT * FROM v; CREATE MATERIALIZED VIEW m3 AS SELECT * FROM m",
        &["MATERIALIZED VIEW DATA public.m: it uses pg_authid", "MATERIALIZED VIEW DATA public.m2: it uses pg_authid"],
    ),
    (
        "CREATE TABLE t (a text CHECK (length(pg_read_file(a)) > 0)); INSERT INTO t VALUES ('PG_VERSION');
         CREATE MATERIALIZED VIEW m AS SELECT length(pg_read_file('PG_VERSION')) AS n",
        &["TABLE public.t: it uses pg_read_file", "MATERIALIZED VIEW DATA public.m: it uses pg_read_file"],
    ),
];

#[test]
fn kinds_that_take_a_superuser_are_restored_with_trust_or_named_beforehand() {
    create_role(&Server::of_this_run(), "case30_reader");
    for (sql, words) in KINDS {
        let source = Source::of(sql);
        let archive = source.dump("kind.dump", &["-Fc"]);
        for way in WAYS {
            is_refused(&archive, way, words);
        }
        is_restored_trusted(&archive, &by_pg_restore(&archive));
    }
}

/// A setting is added to a function of `username`. The other clauses make code of the backup a superuser's.
#[test]
fn report_real_07_clauses_that_take_a_superuser() {
    for setting in ["session_replication_role = replica", "log_min_duration_statement = 0"] {
        let function = format!("CREATE FUNCTION f() RETURNS int LANGUAGE sql SET {setting} AS 'SELECT 1'");
        let source = Source::of(&format!("CREATE TABLE t (a int); {function}"));
        let archive = source.dump("set.dump", &["-Fc"]);
        assert_restored_as(&archive, &by_pg_restore(&archive), Way::Swap, |pgmig| pgmig.arg("--strict"));
        is_refused(&archive, Way::InPlace, &["FUNCTION public.f(): it sets "]);
    }
    let clauses = [
        (
            "CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql SUPPORT generate_series_int4_support AS 'BEGIN END'",
            "FUNCTION public.f(): only a superuser may make a function SUPPORT",
        ),
        (
            "CREATE EXTENSION file_fdw; CREATE SERVER s FOREIGN DATA WRAPPER file_fdw;
             CREATE FOREIGN TABLE ft (a text) SERVER s OPTIONS (filename '/etc/hostname')",
            "SERVER s",
        ),
        (
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql LEAKPROOF AS 'SELECT 1'",
            "FUNCTION public.f(): only a superuser may make a function LEAKPROOF",
        ),
    ];
    for (sql, words) in clauses {
        let source = Source::of(sql);
        let archive = source.dump("clause.dump", &["-Fc"]);
        WAYS.iter().for_each(|way| drop(is_refused(&archive, *way, &[words])));
        is_restored_trusted(&archive, &by_pg_restore(&archive));
    }
}

#[test]
fn report_real_08_base_types() {
    let source = Source::of(
        "CREATE TYPE b; CREATE FUNCTION b_in(cstring) RETURNS b LANGUAGE internal STRICT IMMUTABLE AS 'int4in';
         CREATE FUNCTION b_out(b) RETURNS cstring LANGUAGE internal STRICT IMMUTABLE AS 'int4out';
         CREATE TYPE b (INPUT = b_in, OUTPUT = b_out, LIKE = int4); CREATE TABLE t (x b); INSERT INTO t VALUES ('7')",
    );
    let expected = by_pg_restore(&source.dump("oracle.dump", &["-Fc"]));
    for (name, options) in [("b.dump", &["-Fc"][..]), ("b.tar", &["-Ft"]), ("b.sql", &["-Fp"])] {
        let archive = source.dump(name, options);
        WAYS.iter().for_each(|way| drop(is_refused(&archive, *way, &["TYPE public.b"])));
        is_restored_trusted(&archive, &expected);
    }
}

/// The server has restricted these operators since the correction for CVE-2026-2004.
#[test]
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn an_operator_with_an_estimator_of_an_extension_takes_a_superuser() {
    if Server::of_this_run().major_version() < 14 {
        eprintln!("skipped: servers before 14 do not restrict estimators");
        return;
    }
    let source = Source::of(
        "CREATE EXTENSION intarray; CREATE FUNCTION o(int[], int[]) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT true';
         CREATE OPERATOR @@@ (FUNCTION = o, LEFTARG = int[], RIGHTARG = int[], RESTRICT = _int_contains_sel);
         CREATE OPERATOR @@# (FUNCTION = o, LEFTARG = int[], RIGHTARG = int[], RESTRICT = contsel, JOIN = contjoinsel)",
    );
    let archive = source.dump("operator.dump", &["-Fc"]);
    let reason = "only a superuser may make an operator with the estimator public._int_contains_sel";
    for way in WAYS {
        let refused = is_refused(&archive, way, &[&format!("OPERATOR public.@@@: {reason}")]);
        assert!(!refused.stderr.contains("@@#"), "{refused}");
    }
    is_restored_trusted(&archive, &by_pg_restore(&archive));
}

/// Whether a call of a function reaches what its body names is known only when it is called.
#[test]
fn a_function_that_uses_what_its_owner_may_not_is_foretold() {
    let source = Source::of(
        "CREATE FUNCTION roles() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM pg_authid';
         CREATE MATERIALIZED VIEW m AS SELECT roles() > 0 AS b; CREATE FUNCTION unused() RETURNS text LANGUAGE sql AS
             $$ SELECT pg_read_file('PG_VERSION') $$;",
    );
    let archive = source.dump("foretold.dump", &["-Fc"]);
    for way in WAYS {
        let target = application::empty_database("superuser");
        let before = Before::of(&target);
        let dry = restore(&archive, &target, way).arg("--dry-run").run().expect_status(0);
        let dry = dry.stdout_has("calls FUNCTION public.roles(), which uses pg_authid");
        assert!(!dry.stdout.contains("unused"), "{dry}");
        let failed = before.is_now(restore(&archive, &target, way).run().expect_status(1));
        failed.assert_stderr_has("permission denied for table pg_authid");
        failed.assert_stderr_has("code of the backup has the rights of username only");
    }
    is_restored_trusted(&archive, &by_pg_restore(&archive));
}

/// Options of foreign-data wrappers that a superuser has made in the target: the wrapper decides which ones the owner may set.
#[test]
fn in_place_the_wrappers_are_asked_about_options() {
    let wrappers = "CREATE EXTENSION file_fdw; CREATE EXTENSION postgres_fdw;";
    let server = "CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'h');";
    let target = || {
        let target = application::empty_database("wrappers");
        let owner = format!("\"{APPLICATION}\"");
        target.psql(&format!(
            "{wrappers} GRANT USAGE ON FOREIGN DATA WRAPPER file_fdw, postgres_fdw TO {owner}"
        ));
        target
    };
    let allowed = Source::of(&format!(
        "{wrappers} {server} CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (user 'u', password 'it''s');
         CREATE FOREIGN TABLE ft (a int OPTIONS (column_name 'B')) SERVER s OPTIONS (table_name 'x')"
    ));
    let archive = allowed.dump("allowed.dump", &["-Fc"]);
    let target_of_allowed = target();
    restore(&archive, &target_of_allowed, Way::InPlace).run().expect_status(0);
    let found = Restored::of(&target_of_allowed).in_any_order();
    assert_eq!(by_pg_restore(&archive).in_any_order().difference(&found), None);
    let denied = Source::of(&format!(
        "{wrappers} {server} CREATE SERVER f FOREIGN DATA WRAPPER file_fdw;
         CREATE USER MAPPING FOR PUBLIC SERVER s OPTIONS (user 'u', password_required 'false');
         CREATE FOREIGN TABLE file (a text) SERVER f OPTIONS (filename '/etc/hostname');
         CREATE FOREIGN TABLE program (a text) SERVER f OPTIONS (program 'hostname')"
    ));
    let archive = denied.dump("denied.dump", &["-Fc"]);
    let target_of_denied = target();
    let before = Before::of(&target_of_denied);
    let outcome = before.is_now(restore(&archive, &target_of_denied, Way::InPlace).run().expect_status(3));
    outcome.assert_stderr_has("password_required=false is superuser-only");
    for table in ["file", "program"] {
        outcome.assert_stderr_has(&format!("FOREIGN TABLE public.{table}: "));
    }
}

/// What functions do is known only when they are called.
#[test]
fn with_trust_functions_may_call_what_only_a_superuser_may() {
    let source = Source::of(
        "CREATE FUNCTION rd(text) RETURNS text IMMUTABLE LANGUAGE sql AS $$ SELECT pg_catalog.pg_read_file($1) $$;
         CREATE TABLE t (a text, b text GENERATED ALWAYS AS (rd(a)) STORED); INSERT INTO t VALUES ('PG_VERSION');
         CREATE INDEX ON t (rd(a)); CREATE DOMAIN d AS text CHECK (rd(VALUE) IS NOT NULL); CREATE TABLE u (a d);
         INSERT INTO u VALUES ('PG_VERSION'); CREATE MATERIALIZED VIEW m AS SELECT rd('PG_VERSION') AS v;
         CREATE TABLE w (a text); INSERT INTO w VALUES ('PG_VERSION');
         ALTER TABLE w ADD CONSTRAINT c CHECK (rd(a) IS NOT NULL) NOT VALID; SELECT lo_from_bytea(0, 'abc');",
    );
    let archive = source.dump("calls.dump", &["-Fc"]);
    let expected = by_pg_restore(&archive);
    is_restored_trusted(&archive, &expected);
    // In place as a superuser: all in one transaction, and what others have stays theirs.
    let target = application::empty_database("trusted_in_place");
    let file = TargetFile { username: APPLICATION.to_owned(), ..TargetFile::of(&target) };
    let pgmig =
        Pgmig::new().target(&file).args(["--schema", "archive", "--keep-ids", "--force", "--trust-archive"]);
    pgmig.args(["--strategy", "in-place"]).source(&archive).run().expect_status(0);
    assert_eq!(expected.in_any_order().difference(&Restored::of(&target).in_any_order()), None);
    assert_eq!(target.psql(OWNERS).trim(), APPLICATION);
}

#[test]
fn a_table_whose_owner_may_not_read_it_fills_materialized_views() {
    let source = Source::of(
        "CREATE TABLE t (a int); INSERT INTO t VALUES (1); CREATE MATERIALIZED VIEW m AS SELECT a FROM t;
         REVOKE ALL ON t FROM CURRENT_USER",
    );
    let archive = source.dump("revoked.dump", &["-Fc"]);
    super::assert_restored(&archive, &by_pg_restore(&archive));
}

#[test]
fn a_shell_type_is_made_by_a_superuser() {
    let source = Source::of("CREATE TYPE sh; CREATE TYPE \"Sh 2\"; COMMENT ON TYPE sh IS 'never completed'");
    let archive = source.dump("shell.dump", &["-Fc"]);
    let expected = by_pg_restore(&archive);
    let target = assert_restored_as(&archive, &expected, Way::Swap, |pgmig| pgmig.arg("--strict"));
    let owners = "SELECT DISTINCT pg_get_userbyid(typowner) FROM pg_type WHERE NOT typisdefined";
    assert_eq!(target.psql(owners).trim(), APPLICATION);
    is_refused(&archive, Way::InPlace, &["TYPE public.sh", "TYPE public.Sh 2"]);
    let target = assert_restored_as(&archive, &expected, Way::Swap, |pgmig| pgmig.arg("--trust-archive"));
    assert_eq!(target.psql(owners).trim(), APPLICATION);
}

#[test]
fn report_30_superuser_sweep() {
    create_role(&Server::of_this_run(), "case30_reader");
    for (name, is_made_without_trust) in [
        ("file-fdw", false),
        ("function-set-parameter", true),
        ("function-support", false),
        ("grant-on-pg-catalog", true),
        ("grant-on-trusted-extension", true),
        ("matview-of-authid", false),
        ("user-mapping-superuser-option", false),
    ] {
        let archive = report(&format!("30-superuser-sweep/{name}.dump"));
        let expected = by_pg_restore(&archive);
        is_restored_trusted(&archive, &expected);
        if is_made_without_trust {
            // Grants of a superuser's privileges are warnings.
            assert_restored_as(&archive, &expected, Way::Swap, |pgmig| pgmig);
        } else {
            is_refused(&archive, Way::Swap, &[]);
        }
    }
}

/// Stands for PostGIS in the reports: all that they use of it is a table.
const POSTGIS: &str = "CREATE TABLE spatial_ref_sys (srid int PRIMARY KEY, auth_name text, auth_srid int, srtext text, proj4text text);
    GRANT SELECT ON spatial_ref_sys TO PUBLIC; SELECT pg_catalog.pg_extension_config_dump('spatial_ref_sys', '');";

const DEMO: &str = "CREATE TABLE demo_parent (id serial PRIMARY KEY, v text); INSERT INTO demo_parent (v) VALUES ('one');
    CREATE TABLE demo_plain (a int); CREATE TABLE demo_part (a int) PARTITION BY LIST (a); CREATE SEQUENCE demo_seq;
    CREATE TABLE demo_conf (a int, b text); SELECT pg_catalog.pg_extension_config_dump('demo_conf', '');
    SELECT pg_catalog.pg_extension_config_dump('demo_seq', '');";

const PARTITIONED: &str =
    "it refers to public.demo_parent, which belongs to extension demo, from a table with partitions";
/// An extension with objects that nobody else may use.
const CLOSED: &str =
    "CREATE TABLE closed_t (a int); CREATE TABLE open_t (a int); GRANT SELECT ON open_t TO PUBLIC;
    CREATE FUNCTION closed_f(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 > 0';
    REVOKE EXECUTE ON FUNCTION closed_f(int) FROM PUBLIC;
    CREATE FUNCTION open_f(int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 > 0';";

/// Databases that use objects of extension `demo`; the words of the refusal without trust, or none if pgmig makes it.
const OF_EXTENSION: &[(&str, &str)] = &[
    (
        "CREATE DOMAIN whole AS int; CREATE TABLE t (a int REFERENCES demo_parent (id), b whole, FOREIGN KEY (b) REFERENCES \
             demo_parent ON UPDATE CASCADE ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED);
         INSERT INTO t VALUES (1, 1); COMMENT ON CONSTRAINT t_a_fkey ON t IS 'c';
         ALTER TABLE t ADD CONSTRAINT n FOREIGN KEY (a) REFERENCES demo_parent NOT VALID",
        "",
    ),
    (
        // The server would check the rows of each partition as the superuser that adds the key.
        "CREATE TABLE pt (a int REFERENCES demo_parent (id)) PARTITION BY LIST (a);
         CREATE TABLE pt1 PARTITION OF pt FOR VALUES IN (1)",
        PARTITIONED,
    ),
    (
        "CREATE TYPE c AS (n int); CREATE FUNCTION whole(c) RETURNS int LANGUAGE sql AS 'SELECT ($1).n';
         CREATE CAST (c AS int) WITH FUNCTION whole(c) AS IMPLICIT;
         CREATE TABLE t (a c); INSERT INTO t VALUES (ROW(1)); GRANT REFERENCES ON demo_parent TO CURRENT_USER;
         ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES demo_parent (id)",
        "the server would run casts of types of the backup as a superuser",
    ),
    ("SELECT setval('demo_seq', 77); INSERT INTO demo_conf VALUES (5, 'mine')", ""),
    (
        "CREATE TABLE t (b int) INHERITS (demo_plain); INSERT INTO t VALUES (1, 2)",
        "TABLE public.t: it requires the owner of public.demo_plain, which belongs to extension demo",
    ),
    (
        "CREATE TABLE t PARTITION OF demo_part FOR VALUES IN (1); INSERT INTO t VALUES (1)",
        "TABLE ATTACH public.t: it requires the owner of public.demo_part, which belongs to extension demo",
    ),
];

#[test]
fn objects_of_extensions_are_used_as_pg_restore_uses_them() {
    let extended = extension::start(&[("demo", DEMO), ("postgis", POSTGIS)]);
    let server: &Server = &extended.server;
    create_role(server, "case30_reader");
    let expected = |archive: &Path| {
        let oracle = Database::create_on(server, "oracle");
        oracle.restore_with_pg_restore(archive, &["--no-owner"]);
        Restored::of(&oracle)
    };
    let restored = |archive: &Path, args: &[&str]| {
        let target = application::empty_database_on(server, "extended");
        let outcome = restore(archive, &target, Way::Swap).args(args.iter().copied()).run();
        (outcome, target)
    };
    let is_same = |archive: &Path, args: &[&str]| {
        let (outcome, target) = restored(archive, args);
        assert_eq!(outcome.status.code(), Some(0), "{}: {outcome}", archive.display());
        let found = Restored::of(&target).in_any_order();
        assert_eq!(expected(archive).in_any_order().difference(&found), None, "{}", archive.display());
        assert_eq!(
            target.psql("SELECT count(*) FROM pg_class WHERE relacl::text LIKE '%store app%x%/postgres%'"),
            "0\n"
        );
    };
    let allow = ["--allow-extension", "demo"];
    for (sql, refusal) in OF_EXTENSION {
        let source = Database::create_on(server, "extended_source");
        source.psql(&format!("CREATE EXTENSION demo; {sql}"));
        let directory = tempfile::TempDir::new().unwrap();
        let archive: PathBuf = directory.path().join("extended.dump");
        source.dump_through_pipe(&[], &archive);
        is_same(&archive, &["--trust-archive"]);
        let is_made = *refusal == PARTITIONED && server.major_version() >= 18;
        if refusal.is_empty() || is_made {
            is_same(&archive, &allow);
        } else {
            // Types are looked at when the foreign key is made.
            let status = if refusal.starts_with("the server") { 1 } else { 3 };
            restored(&archive, &allow).0.expect_status(status).assert_stderr_has(refusal);
        }
    }
    for name in ["inherits-extension-table", "revoke-on-extension-table", "trigger-on-extension-table"] {
        is_same(&report(&format!("30-superuser-sweep/{name}.dump")), &["--trust-archive"]);
    }
}

/// The objects of the extension that the owner may not use are known beforehand.
#[test]
fn closed_objects_of_an_extension_are_named() {
    let extended = extension::start(&[("demo", CLOSED)]);
    let server: &Server = &extended.server;
    let source = Database::create_on(server, "closed_source");
    source.psql(
        "CREATE EXTENSION demo; CREATE VIEW v AS SELECT a FROM closed_t; CREATE MATERIALIZED VIEW m AS SELECT a FROM v;
         CREATE DOMAIN d AS int CHECK (closed_f(VALUE)); CREATE TABLE by_domain (a d); INSERT INTO by_domain VALUES (1);
         CREATE TABLE checked (a int CHECK (closed_f(a))); INSERT INTO checked VALUES (1);
         CREATE TABLE without_rows (a int CHECK (closed_f(a)));
         CREATE TABLE open (a int CHECK (open_f(a)), b bool DEFAULT closed_f(1)); INSERT INTO open VALUES (1);
         CREATE MATERIALIZED VIEW o AS SELECT a FROM open_t",
    );
    let directory = tempfile::TempDir::new().unwrap();
    let archive: PathBuf = directory.path().join("closed.dump");
    source.dump_through_pipe(&["--exclude-table-data=without_rows"], &archive);
    for way in WAYS {
        let target = application::empty_database_on(server, "closed");
        target.psql("CREATE EXTENSION demo");
        let pgmig = restore(&archive, &target, way);
        let outcome = match way {
            Way::Swap => pgmig.args(["--allow-extension", "demo"]).run(),
            Way::InPlace => pgmig.run(),
        };
        let outcome = outcome.expect_status(3);
        for line in [
            "MATERIALIZED VIEW DATA public.m: it uses public.closed_t, which \"store app\" may not",
            "TABLE public.by_domain: it uses public.closed_f",
            "TABLE public.checked: it uses public.closed_f",
        ] {
            outcome.assert_stderr_has(line);
        }
        for other in ["public.o:", "public.open:", "public.without_rows:"] {
            assert!(!outcome.stderr.contains(other), "{way:?}: {outcome}");
        }
    }
    let (oracle, target) =
        (Database::create_on(server, "oracle"), application::empty_database_on(server, "closed"));
    oracle.restore_with_pg_restore(&archive, &["--no-owner"]);
    restore(&archive, &target, Way::Swap).arg("--trust-archive").run().expect_status(0);
    assert_eq!(Restored::of(&oracle).in_any_order().difference(&Restored::of(&target).in_any_order()), None);
}

/// In place, the extension stays with the superuser that made it.
#[test]
fn in_place_a_foreign_key_to_an_extension_takes_a_grant() {
    let extended = extension::start(&[("demo", DEMO)]);
    let server: &Server = &extended.server;
    let source = Database::create_on(server, "extended_source");
    source.psql(
        "CREATE EXTENSION demo; CREATE TABLE t (a int REFERENCES demo_parent (id)); INSERT INTO t VALUES (1);
         SELECT setval('demo_seq', 77)",
    );
    let directory = tempfile::TempDir::new().unwrap();
    let archive: PathBuf = directory.path().join("extended.dump");
    source.dump_through_pipe(&[], &archive);
    let target = application::empty_database_on(server, "extended");
    target.psql("CREATE EXTENSION demo");
    let outcome = restore(&archive, &target, Way::InPlace).run().expect_status(3);
    outcome.assert_stderr_has(
        "it refers to public.demo_parent, which belongs to postgres (GRANT REFERENCES ON TABLE",
    );
    target.psql(&format!("GRANT REFERENCES ON demo_parent TO \"{APPLICATION}\""));
    let outcome = restore(&archive, &target, Way::InPlace).run().expect_status(0);
    outcome.assert_stderr_has(
        "to set it after the restore, run SELECT pg_catalog.setval('public.demo_seq', 77, true)",
    );
    assert_eq!(target.psql("SELECT count(*) FROM t"), "1\n");
}

/// Settings of the target's database and of its role that pg_restore as the owner stumbles over.
const SETTINGS: [&str; 24] = [
    "statement_timeout = '200ms'",
    "lock_timeout = '10ms'",
    "idle_in_transaction_session_timeout = '20ms'",
    "default_transaction_read_only = on",
    "default_transaction_isolation = 'serializable'",
    "DateStyle = 'SQL, DMY'",
    "IntervalStyle = 'sql_standard'",
    "array_nulls = off",
    "standard_conforming_strings = off",
    "bytea_output = 'escape'",
    "xmloption = document",
    "extra_float_digits = 0",
    "client_encoding = 'LATIN1'",
    "search_path = nowhere",
    "quote_all_identifiers = on",
    "transform_null_equals = on",
    "backslash_quote = off",
    "check_function_bodies = on",
    "row_security = on",
    "timezone = 'Asia/Kolkata'",
    "default_tablespace = 'nope'",
    "client_min_messages = debug1",
    "default_toast_compression = 'pglz'",
    "session_replication_role = 'replica'",
];

#[test]
fn report_19_settings_of_role_and_database() {
    let server = Server::of_this_run();
    for name in ["input.dump", "input.sql"] {
        let archive = report(&format!("19-settings-of-role-and-database/{name}"));
        let expected = by_pg_restore(&report("19-settings-of-role-and-database/input.dump"));
        for way in WAYS {
            let target = application::empty_database("settings");
            for setting in SETTINGS {
                if setting.starts_with("default_toast") && server.major_version() < 14 {
                    continue;
                }
                server.psql("postgres", &format!("ALTER DATABASE \"{}\" SET {setting}", target.name));
            }
            restore(&archive, &target, way).run().expect_status(0);
            // Both databases are to be read by the same settings.
            server.psql("postgres", &format!("ALTER DATABASE \"{}\" RESET ALL", target.name));
            let nulls = target.psql("SELECT a FROM m WHERE id = 1");
            assert_eq!(nulls, "{x,NULL,\"NULL\"}\n", "{name} {way:?}");
            let found = Restored::of(&target).in_any_order();
            assert_eq!(expected.in_any_order().difference(&found), None, "{name} {way:?}");
        }
    }
}
