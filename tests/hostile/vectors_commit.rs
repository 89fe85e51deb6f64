//! In place, the restore is one transaction. Code of the archive ends the transaction, or prevents its proper end, in
//! an archive whose last index cannot be made.

use super::forge::Form;
use super::vector::{Ends, Vector, Works, hold};
use super::world::{Setting, World};

/// The index on `z` fails after everything else has succeeded.
const SOURCE: &str = "{functions}
    CREATE TABLE public.t (id integer, note text); INSERT INTO public.t VALUES (1, 'one');
    CREATE FUNCTION public.g() RETURNS integer LANGUAGE sql AS 'SELECT 1';
    CREATE TABLE public.z (id integer); INSERT INTO public.z VALUES (1);
    CREATE FUNCTION public.fails(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1';
    CREATE INDEX ON public.z (public.fails(id)); COMMENT ON TABLE public.t IS 'a comment';
    CREATE OR REPLACE FUNCTION public.fails(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE
        AS $$ BEGIN RAISE EXCEPTION 'it fails'; END $$;";

macro_rules! in_a_check {
    ($name:literal, $body:literal) => {
        Vector::genuine(
            $name,
            concat!(
                "CREATE FUNCTION public.f(integer) RETURNS boolean LANGUAGE sql AS 'SELECT true';
                 CREATE TABLE public.t (id integer CHECK (public.f(id))); INSERT INTO public.t VALUES (1), (2), (3);
                 CREATE OR REPLACE FUNCTION public.f(integer) RETURNS boolean LANGUAGE plpgsql AS $f$ BEGIN ",
                $body,
                " RETURN true; END $f$;
                 CREATE TABLE public.z (id integer); INSERT INTO public.z VALUES (1);
                 CREATE FUNCTION public.fails(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1';
                 CREATE INDEX ON public.z (public.fails(id));
                 CREATE OR REPLACE FUNCTION public.fails(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE
                     AS $$ BEGIN RAISE EXCEPTION 'it fails'; END $$;"
            ),
        )
        .works(Works::Nowhere)
        .ends(Ends::Stopped)
        .at(&[Setting::SwapAsSuperuser, Setting::InPlaceAsSuperuser, Setting::InPlaceAsOwner])
    };
}

macro_rules! after_the_comment {
    ($name:literal, $form:ident, $statements:literal) => {
        Vector::forged(
            $name,
            Form::$form,
            SOURCE,
            &[(
                "COMMENT ON TABLE public.t IS 'a comment';",
                concat!("COMMENT ON TABLE public.t IS 'a comment';\n", $statements),
            )],
        )
        .works(Works::Commits)
        .ends(Ends::Stopped)
        .at(Setting::IN_PLACE)
    };
}

macro_rules! among_inserts {
    ($name:literal, $statements:literal) => {
        Vector::forged(
            $name,
            Form::CustomInserts,
            SOURCE,
            &[("'one'", concat!("'one'); ", $statements, " INSERT INTO public.t VALUES (2, 'two'"))],
        )
        .works(Works::Commits)
        .ends(Ends::Stopped)
        .at(Setting::IN_PLACE)
    };
}

const GUARD: &[Vector] = &[
    among_inserts!("commit_among_inserts", "COMMIT;"),
    among_inserts!("guard_is_deleted_among_inserts", "DELETE FROM pg_temp.pgmig_guard; COMMIT;").works(Works::Nowhere),
    among_inserts!("guard_is_satisfied_among_inserts", "INSERT INTO pg_temp.pgmig_guarded VALUES (1); COMMIT;")
        .works(Works::Nowhere),
    among_inserts!("guard_is_dropped_among_inserts", "DROP TABLE pg_temp.pgmig_guard; COMMIT;").works(Works::Nowhere),
    among_inserts!(
        "every_temporary_table_is_dropped_among_inserts",
        "DO $$ DECLARE t text; BEGIN FOR t IN SELECT oid::regclass FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'
         LOOP BEGIN EXECUTE 'DROP TABLE ' || t || ' CASCADE'; EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$; COMMIT;"
    )
    .works(Works::Nowhere),
    among_inserts!("rollback_among_inserts", "ROLLBACK; CREATE TABLE public.half (id integer);").works(Works::Nowhere),
    among_inserts!("prepared_transaction_among_inserts", "DISCARD TEMP; PREPARE TRANSACTION 'left';")
        .works(Works::Nowhere),
    among_inserts!("savepoints_among_inserts", "ROLLBACK TO SAVEPOINT _sqlx_savepoint_1; RELEASE SAVEPOINT _sqlx_savepoint_1; COMMIT;")
        .works(Works::Nowhere),
    among_inserts!("end_among_inserts", "DELETE FROM pg_temp.pgmig_guard; END;").works(Works::Nowhere),
    among_inserts!("commit_and_chain_among_inserts", "DELETE FROM pg_temp.pgmig_guard; COMMIT AND CHAIN;").works(Works::Nowhere),
];

const HIDDEN: &[Vector] = &[
    Vector::forged("commit_behind_a_function_named_begin", Form::Custom, SOURCE, &[
        ("CREATE FUNCTION public.g()", "CREATE FUNCTION public.begin()"),
        ("AS $$SELECT 1$$;", "AS $$SELECT 1$$; DO $d$ BEGIN DELETE FROM pg_temp.pgmig_guard; EXCEPTION WHEN OTHERS THEN NULL; END $d$; COMMIT;"),
    ])
    .works(Works::Commits)
    .ends(Ends::Stopped)
    .at(Setting::IN_PLACE),
    Vector::forged("commit_behind_a_function_with_a_body", Form::Custom, SOURCE, &[(
        "CREATE FUNCTION public.g() RETURNS integer\n    LANGUAGE sql\n    AS $$SELECT 1$$;",
        "CREATE FUNCTION public.g() RETURNS integer LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END; \
         DO $d$ BEGIN DELETE FROM pg_temp.pgmig_guard; EXCEPTION WHEN OTHERS THEN NULL; END $d$; COMMIT;",
    )])
    .works(Works::Commits)
    .ends(Ends::Stopped)
    .at(Setting::IN_PLACE),
    Vector::forged("commit_behind_other_string_rules", Form::Custom, SOURCE, &[
        ("AS $$SELECT 1$$;", "AS $$SELECT 1$$; SET standard_conforming_strings = off;"),
        (
            "COMMENT ON TABLE public.t IS 'a comment';",
            r"COMMENT ON TABLE public.t IS '\''; DO $d$ BEGIN DELETE FROM pg_temp.pgmig_guard; EXCEPTION WHEN OTHERS THEN NULL; END $d$; COMMIT; --';",
        ),
    ])
    .works(Works::Commits)
    .ends(Ends::Stopped)
    .at(Setting::IN_PLACE),
    Vector::forged("commit_behind_string_rules_set_by_a_function", Form::Custom, SOURCE, &[
        ("AS $$SELECT 1$$;", "AS $$SELECT 1$$; SELECT pg_catalog.set_config('standard_conforming_' || 'strings', 'off', false);"),
        (
            "COMMENT ON TABLE public.t IS 'a comment';",
            r"COMMENT ON TABLE public.t IS '\''; DO $d$ BEGIN DELETE FROM pg_temp.pgmig_guard; EXCEPTION WHEN OTHERS THEN NULL; END $d$; COMMIT; --';",
        ),
    ])
    .works(Works::Commits)
    .ends(Ends::Stopped)
    .at(Setting::IN_PLACE),
    after_the_comment!("commit_in_an_entry", Custom, "COMMIT;"),
    after_the_comment!("commit_in_a_script", Script, "COMMIT;"),
    after_the_comment!("commit_behind_comments", Custom, "/* a /* b */ c */ -- d\n COMMIT /* */ WORK;"),
    after_the_comment!("commit_behind_a_dollar_quote", Custom, "SELECT $a$ $b$ $a$, $$;$$; COMMIT; SELECT $a$ $a$;"),
    after_the_comment!("commit_behind_a_unicode_string", Custom, r#"SELECT U&'\0027'; COMMIT; SELECT U&"\0063" FROM (SELECT 1 AS c) x;"#),
    after_the_comment!("commit_behind_an_escape_string", Custom, r"SELECT E'\'', 1; COMMIT; SELECT E'\';';"),
    after_the_comment!("rollback_and_a_table_in_a_script", Script, "ROLLBACK; CREATE TABLE public.half (id integer);"),
    after_the_comment!("do_that_commits", Custom, "DO $$ BEGIN COMMIT; END $$;").works(Works::Nowhere),
    after_the_comment!(
        "procedure_that_commits",
        Custom,
        "CREATE PROCEDURE public.p() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$; CALL public.p();"
    )
    .works(Works::Nowhere),
    after_the_comment!("transaction_made_read_only", Custom, "SET TRANSACTION READ ONLY;").works(Works::Nowhere),
    after_the_comment!("session_made_read_only", Custom, "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY;").works(Works::Nowhere),
    after_the_comment!("triggers_switched_off", Custom, "SET LOCAL session_replication_role = replica;").works(Works::Nowhere),
    after_the_comment!("session_discarded", Custom, "DISCARD TEMP; DISCARD PLANS; DEALLOCATE ALL; CLOSE ALL; UNLISTEN *;").works(Works::Nowhere),
];

const IN_FUNCTIONS: &[Vector] = &[
    in_a_check!("own_session_terminated", "PERFORM pg_terminate_backend(pg_backend_pid());"),
    in_a_check!(
        "every_session_terminated",
        "PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename = session_user;"
    ),
    in_a_check!("statement_cancelled", "PERFORM pg_cancel_backend(pg_backend_pid()); PERFORM pg_sleep(1);"),
    in_a_check!("locks_given_up", "PERFORM pg_advisory_unlock_all();"),
    in_a_check!("statements_deallocated", "DEALLOCATE ALL;"),
    in_a_check!("tables_locked", "LOCK TABLE public.t, public.z IN ACCESS EXCLUSIVE MODE;"),
    in_a_check!("notices_flood", "FOR n IN 1..20000 LOOP RAISE NOTICE '%', repeat('x', 500); END LOOP;"),
    in_a_check!(
        "warnings_flood",
        "SET client_min_messages = debug1; FOR n IN 1..5000 LOOP RAISE WARNING '%', repeat(E'\\\\n', 500); END LOOP;"
    ),
    in_a_check!(
        "notifications_flood",
        "LISTEN evil; FOR n IN 1..5000 LOOP PERFORM pg_notify('evil', repeat('x', 700) || n); END LOOP;"
    ),
    in_a_check!("statement_timeout_set", "PERFORM set_config('statement_timeout', '1ms', false);"),
    in_a_check!(
        "formats_set",
        "PERFORM set_config('DateStyle', 'SQL, DMY', false), set_config('bytea_output', 'escape', false), set_config('extra_float_digits', '-15', false);"
    ),
    in_a_check!("encoding_set", "PERFORM set_config('client_encoding', 'SQL_ASCII', false);"),
    in_a_check!(
        "transaction_made_read_only_by_a_function",
        "PERFORM set_config('transaction_read_only', 'on', false);"
    ),
    in_a_check!("row_security_switched_on", "PERFORM set_config('row_security', 'on', false);"),
    in_a_check!(
        "guard_is_deleted_by_a_function",
        "BEGIN DELETE FROM pg_temp.pgmig_guard; EXCEPTION WHEN OTHERS THEN NULL; END;"
    ),
    in_a_check!("schema_dropped", "DROP SCHEMA public CASCADE;"),
    in_a_check!("owned_objects_dropped", "DROP OWNED BY CURRENT_USER CASCADE;"),
];

#[test]
fn transaction_control_in_data() {
    hold(&World::start(), GUARD);
}

#[test]
fn transaction_control_that_hides() {
    hold(&World::start(), HIDDEN);
}

#[test]
fn functions_that_spoil_the_session() {
    hold(&World::start(), IN_FUNCTIONS);
}
