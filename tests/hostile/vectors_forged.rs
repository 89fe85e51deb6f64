//! Edited archives: statements in places where pg_dump writes none, and false names.

use super::forge::Form;
use super::vector::{Ends, Vector, Works, hold};
use super::world::World;

/// A table with rows, and an object of each kind that has its own entry.
const SOURCE: &str = "{functions}
    CREATE TABLE public.t (id integer PRIMARY KEY, note text); INSERT INTO public.t VALUES (1, 'one');
    CREATE SEQUENCE public.s; SELECT nextval('public.s'); CREATE VIEW public.v AS SELECT 4711 AS n;
    CREATE INDEX i ON public.t (note); COMMENT ON TABLE public.t IS 'a comment'; GRANT SELECT ON public.t TO PUBLIC;
    ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT ON TABLES TO PUBLIC;
    CREATE FUNCTION public.hurt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.attack(); RETURN NEW; END $$;
    CREATE TRIGGER g BEFORE UPDATE ON public.t FOR EACH ROW EXECUTE FUNCTION public.hurt();
    SELECT lo_from_bytea(4242, 'large');";

/// Forges the definition of one entry after another in the same way.
const STATEMENTS: &[Vector] = &[
    Vector::forged(
        "statement_after_a_table",
        Form::Custom,
        SOURCE,
        &[("    note text\n);", "    note text\n); RESET ROLE; COPY (SELECT 1) TO '{marker}';")],
    ),
    Vector::forged(
        "statement_after_a_view",
        Form::Custom,
        SOURCE,
        &[("SELECT 4711 AS n;", "SELECT 4711 AS n; SELECT public.attack();")],
    ),
    Vector::forged(
        "statement_after_an_index",
        Form::Custom,
        SOURCE,
        &[(
            "CREATE INDEX i ON public.t USING btree (note);",
            "CREATE INDEX i ON public.t USING btree (note); RESET SESSION AUTHORIZATION; RESET ROLE; SELECT public.attack();",
        )],
    ),
    Vector::forged(
        "statement_after_a_setval",
        Form::Custom,
        SOURCE,
        &[(
            "SELECT pg_catalog.setval('public.s', 1, true);",
            "SELECT pg_catalog.setval('public.s', 1, true); SELECT public.attack();",
        )],
    ),
    Vector::forged(
        "statement_after_a_comment",
        Form::Custom,
        SOURCE,
        &[(
            "COMMENT ON TABLE public.t IS 'a comment';",
            "COMMENT ON TABLE public.t IS 'a comment'; SELECT public.attack();",
        )],
    ),
    Vector::forged(
        "statement_after_a_trigger",
        Form::Custom,
        SOURCE,
        &[(
            "EXECUTE FUNCTION public.hurt();",
            "EXECUTE FUNCTION public.hurt(); UPDATE public.t SET note = 'two';",
        )],
    ),
    Vector::forged(
        "statement_after_a_grant",
        Form::Custom,
        SOURCE,
        &[(
            "GRANT SELECT ON TABLE public.t TO PUBLIC;",
            "GRANT SELECT ON TABLE public.t TO PUBLIC; SELECT public.attack();",
        )],
    ),
    Vector::forged(
        "grant_by_another_grantor",
        Form::Custom,
        SOURCE,
        &[(
            "GRANT SELECT ON TABLE public.t TO PUBLIC;",
            "SET SESSION AUTHORIZATION postgres; GRANT SELECT ON TABLE public.t TO PUBLIC; SELECT public.attack(); \
         RESET SESSION AUTHORIZATION;",
        )],
    ),
    Vector::forged(
        "statement_in_default_privileges",
        Form::Custom,
        SOURCE,
        &[(
            "GRANT SELECT ON TABLES  TO PUBLIC;",
            "GRANT SELECT ON TABLES  TO PUBLIC; SELECT public.attack();",
        )],
    )
    .works(Works::AsSuperuser),
    Vector::forged(
        "statement_in_the_encoding",
        Form::Custom,
        SOURCE,
        &[("SET client_encoding = 'UTF8';", "SET client_encoding = 'UTF8'; COPY (SELECT 1) TO '{marker}';")],
    )
    .works(Works::Nowhere),
    Vector::forged(
        "statement_in_the_string_setting",
        Form::Custom,
        SOURCE,
        &[(
            "SET standard_conforming_strings = 'on';",
            "SET standard_conforming_strings = 'on'; COPY (SELECT 1) TO '{marker}';",
        )],
    )
    .works(Works::Nowhere),
    Vector::forged(
        "statement_in_the_search_path",
        Form::Custom,
        SOURCE,
        &[(
            "SELECT pg_catalog.set_config('search_path', '', false);",
            "SELECT pg_catalog.set_config('search_path', '', false); COPY (SELECT 1) TO '{marker}';",
        )],
    )
    .works(Works::Nowhere),
];

const DATA: &[Vector] = &[
    Vector::forged(
        "copy_from_a_program",
        Form::Custom,
        SOURCE,
        &[(
            "COPY public.t (id, note) FROM stdin;",
            "COPY public.t (id, note) FROM PROGRAM 'echo program > {marker}';",
        )],
    )
    .works(Works::AsSuperuser),
    Vector::forged(
        "copy_to_a_file",
        Form::Custom,
        SOURCE,
        &[(
            "COPY public.t (id, note) FROM stdin;",
            "RESET ROLE; COPY (SELECT 1) TO '{marker}'; COPY public.t (id, note) FROM stdin;",
        )],
    )
    .works(Works::AsSuperuser),
    Vector::forged(
        "copy_with_a_where",
        Form::Custom,
        SOURCE,
        &[(
            "COPY public.t (id, note) FROM stdin;",
            "COPY public.t (id, note) FROM stdin WHERE public.evil(id);",
        )],
    ),
    Vector::forged(
        "statement_among_inserts",
        Form::CustomInserts,
        SOURCE,
        &[(
            "'one'",
            "'one'); RESET ROLE; COPY (SELECT 1) TO '{marker}'; INSERT INTO public.t VALUES (2, 'two'",
        )],
    ),
    Vector::forged(
        "insert_of_a_function_call",
        Form::CustomInserts,
        SOURCE,
        &[("'one'", "public.attack()::text")],
    ),
    Vector::forged(
        "insert_with_a_common_table_expression",
        Form::CustomInserts,
        SOURCE,
        &[(
            "'one'",
            "'one') ON CONFLICT DO NOTHING; WITH x AS (SELECT public.attack()) INSERT INTO public.t SELECT 3, 'x' FROM x; \
         INSERT INTO public.t VALUES (2, 'two'",
        )],
    ),
    Vector::forged(
        "do_among_inserts",
        Form::CustomInserts,
        SOURCE,
        &[(
            "'one'",
            "'one'); DO 'BEGIN RESET ROLE; PERFORM public.attack(); END'; INSERT INTO public.t VALUES (2, 'two'",
        )],
    ),
    Vector::forged(
        "data_of_a_view_with_a_trigger",
        Form::Script,
        SOURCE,
        &[(
            "COPY public.t (id, note) FROM stdin;",
            "CREATE TRIGGER w INSTEAD OF INSERT ON public.v FOR EACH ROW EXECUTE FUNCTION public.evil_trigger();\n\
         COPY public.v (n) FROM stdin;\n1\n\\.\n\nCOPY public.t (id, note) FROM stdin;",
        )],
    ),
    Vector::forged(
        "trigger_before_the_data",
        Form::Script,
        SOURCE,
        &[(
            "COPY public.t (id, note) FROM stdin;",
            "CREATE TRIGGER w BEFORE INSERT ON public.t FOR EACH ROW EXECUTE FUNCTION public.evil_trigger();\n\
         ALTER TABLE public.t ENABLE ALWAYS TRIGGER w;\nCOPY public.t (id, note) FROM stdin;",
        )],
    ),
    Vector::forged(
        "index_before_the_data",
        Form::Script,
        SOURCE,
        &[(
            "COPY public.t (id, note) FROM stdin;",
            "CREATE INDEX early ON public.t (public.evil_int(id));\nCOPY public.t (id, note) FROM stdin;",
        )],
    ),
    Vector::forged(
        "deferred_trigger_before_the_data",
        Form::Script,
        SOURCE,
        &[(
            "COPY public.t (id, note) FROM stdin;",
            "CREATE CONSTRAINT TRIGGER w AFTER INSERT ON public.t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW \
         EXECUTE FUNCTION public.evil_trigger();\nCOPY public.t (id, note) FROM stdin;",
        )],
    ),
    Vector::forged(
        "rule_before_the_data",
        Form::ScriptInserts,
        SOURCE,
        &[(
            "INSERT INTO public.t VALUES",
            "CREATE RULE w AS ON INSERT TO public.t DO ALSO SELECT public.attack();\nINSERT INTO public.t VALUES",
        )],
    ),
];

/// An entry that a superuser must make, with forged texts.
const OF_A_SUPERUSER: &[Vector] = &[
    Vector::forged("drop_statement_that_does_more", Form::Custom, "
        CREATE FUNCTION public.f() RETURNS integer LANGUAGE sql LEAKPROOF AS 'SELECT 1';", &[(
        "DROP FUNCTION public.f();",
        "DROP FUNCTION public.f() OWNER TO app; COPY (SELECT 1) TO '{marker}'; ALTER FUNCTION public.f();",
    )]).by_superuser().works(Works::Nowhere).ends(Ends::Refused),
    Vector::forged("privileged_function_that_does_more", Form::Custom, "
        CREATE FUNCTION public.f() RETURNS integer LANGUAGE sql LEAKPROOF AS 'SELECT 1';", &[(
        "LANGUAGE sql LEAKPROOF\n    AS $$SELECT 1$$;",
        "LANGUAGE sql LEAKPROOF\n    AS $$SELECT 1$$; COPY (SELECT 1) TO '{marker}';",
    )]).by_superuser().ends(Ends::Refused),
    Vector::forged("extension_that_does_more", Form::Custom, "CREATE EXTENSION hstore; {functions}", &[(
        "CREATE EXTENSION IF NOT EXISTS hstore WITH SCHEMA public;",
        "CREATE EXTENSION IF NOT EXISTS hstore WITH SCHEMA public; COPY (SELECT 1) TO '{marker}';",
    )]).by_superuser(),
    Vector::forged("untrusted_extension_that_does_more", Form::Custom, "CREATE EXTENSION pageinspect;", &[(
        "CREATE EXTENSION IF NOT EXISTS pageinspect WITH SCHEMA public;",
        "CREATE EXTENSION IF NOT EXISTS pageinspect WITH SCHEMA public; COPY (SELECT 1) TO '{marker}';",
    )]).by_superuser(),
    Vector::forged("extension_of_another_name", Form::Custom, "
        CREATE EXTENSION hstore; CREATE TABLE public.t (id integer);", &[(
        "CREATE EXTENSION IF NOT EXISTS hstore WITH SCHEMA public;",
        "CREATE EXTENSION file_fdw WITH SCHEMA public; COPY (SELECT 1) TO '{marker}';",
    )]).by_superuser(),
    Vector::forged("comment_on_an_extension_that_does_more", Form::Custom, "CREATE EXTENSION pageinspect;", &[(
        "COMMENT ON EXTENSION pageinspect IS ",
        "COPY (SELECT 1) TO '{marker}'; COMMENT ON EXTENSION pageinspect IS ",
    )]).by_superuser(),
    Vector::forged("publication_that_does_more", Form::Custom, "CREATE PUBLICATION p FOR ALL TABLES;", &[(
        "CREATE PUBLICATION p FOR ALL TABLES",
        "COPY (SELECT 1) TO '{marker}'; CREATE PUBLICATION p FOR ALL TABLES",
    )]).by_superuser().ends(Ends::Refused),
    Vector::forged("kind_that_lies", Form::Custom, "CREATE PUBLICATION p FOR ALL TABLES;", &[(
        "CREATE PUBLICATION p FOR ALL TABLES WITH (publish = 'insert, update, delete, truncate');",
        "DO $$ BEGIN COPY (SELECT 1) TO '{marker}'; END $$ /* FOR ALL TABLES */;",
    )]).by_superuser().ends(Ends::Stopped),
    Vector::forged("default_privileges_of_the_superuser", Form::Custom, SOURCE, &[(
        "ALTER DEFAULT PRIVILEGES FOR ROLE attacker IN SCHEMA public GRANT SELECT ON TABLES  TO PUBLIC;",
        "ALTER DEFAULT PRIVILEGES FOR ROLE postgres GRANT ALL ON TABLES TO attacker; SELECT public.attack();",
    )]).works(Works::AsSuperuser),
];

/// Scripts. They can contain any statement at any place.
const SCRIPTS: &[Vector] = &[
    Vector::forged(
        "script_that_resets_the_role",
        Form::Script,
        SOURCE,
        &[(
            "COMMENT ON TABLE public.t IS 'a comment';",
            "COMMENT ON TABLE public.t IS 'a comment';\nRESET ROLE;\nCOPY (SELECT 1) TO '{marker}';",
        )],
    ),
    Vector::forged(
        "script_that_begins_with_it",
        Form::Script,
        SOURCE,
        &[(
            "SET statement_timeout = 0;",
            "RESET ROLE;\nCOPY (SELECT 1) TO '{marker}';\nSET statement_timeout = 0;",
        )],
    ),
    Vector::forged(
        "script_that_ends_with_it",
        Form::Script,
        SOURCE,
        &[(
            "-- PostgreSQL database dump complete",
            "-- PostgreSQL database dump complete\n--\n\nRESET ROLE;\nCOPY (SELECT 1) TO '{marker}';\n--",
        )],
    ),
    // If pg_dump writes `\restrict`, psql itself refuses it.
    Vector::forged(
        "script_that_calls_a_program",
        Form::Script,
        SOURCE,
        &[(
            "COMMENT ON TABLE public.t IS 'a comment';",
            "COMMENT ON TABLE public.t IS 'a comment';\n\\! echo program > {marker}\n",
        )],
    )
    .works(Works::Nowhere),
    Vector::forged(
        "script_that_sets_another_user",
        Form::Script,
        SOURCE,
        &[(
            "COMMENT ON TABLE public.t IS 'a comment';",
            "SET SESSION AUTHORIZATION 'postgres';\nCOMMENT ON TABLE public.t IS 'a comment';\nSELECT public.attack();",
        )],
    ),
    Vector::forged(
        "script_that_gives_a_function_to_the_superuser",
        Form::Script,
        "{functions}
        CREATE FUNCTION public.f() RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
            AS $$ BEGIN RETURN public.attack(); END $$;
        CREATE TABLE public.t (id integer CHECK (public.f())); INSERT INTO public.t VALUES (1);",
        &[("ALTER FUNCTION public.f() OWNER TO attacker;", "ALTER FUNCTION public.f() OWNER TO postgres;")],
    )
    .works(Works::AsSuperuser),
    Vector::forged(
        "script_without_a_search_path",
        Form::Script,
        "{functions}
        CREATE FUNCTION public.oideq(oid, oid) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
            AS $$ BEGIN PERFORM public.attack(); RETURN pg_catalog.oideq($1, $2); END $$;
        CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = public.oideq);
        CREATE FUNCTION public.lower(name) RETURNS text LANGUAGE plpgsql IMMUTABLE
            AS $$ BEGIN PERFORM public.attack(); RETURN pg_catalog.lower($1::text); END $$;
        CREATE TABLE public.t (id integer PRIMARY KEY REFERENCES public.t); INSERT INTO public.t VALUES (1);
        CREATE INDEX ON public.t (id); SELECT lo_from_bytea(4243, 'large');",
        &[("SELECT pg_catalog.set_config('search_path', '', false);\n", "")],
    )
    .works(Works::Until("SET search_path = public, pg_catalog; SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace")),
];

#[test]
fn statements_in_entries() {
    hold(&World::start(), STATEMENTS);
}

#[test]
fn statements_in_data() {
    hold(&World::start(), DATA);
}

#[test]
fn texts_that_a_superuser_would_run() {
    hold(&World::start(), OF_A_SUPERUSER);
}

#[test]
fn scripts() {
    hold(&World::start(), SCRIPTS);
}
