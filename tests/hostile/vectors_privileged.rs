//! Objects that only a superuser can make, in archives of databases where a superuser made them.

use super::forge::Form;
use super::vector::{Ends, Vector, Works, hold, hold_together};
use super::world::{Setting, World};

/// Each of these gives the archive's owner a power that the owner could not have created.
const ESCAPES: &[Vector] = &[
    Vector::genuine(
        "event_trigger",
        "{functions} CREATE FUNCTION public.on_ddl() RETURNS event_trigger LANGUAGE plpgsql
             AS $$ BEGIN PERFORM public.attack(); END $$;
         CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION public.on_ddl();
         CREATE EVENT TRIGGER f ON ddl_command_start EXECUTE FUNCTION public.on_ddl(); GRANT ALL ON SCHEMA public TO app;",
    )
    .by_superuser()
    .works(Works::Until("CREATE TABLE public.later ()"))
    .ends(Ends::Refused),
    // An internal function under another name has only the privileges of its new name: every role may call it.
    Vector::genuine(
        "internal_function_that_writes_files",
        "CREATE FUNCTION public.export(oid, text) RETURNS integer LANGUAGE internal AS 'be_lo_export';
         SELECT lo_from_bytea(4242, 'by an internal function');
         CREATE FUNCTION public.f(integer) RETURNS boolean LANGUAGE sql AS 'SELECT true';
         CREATE TABLE public.t (id integer CHECK (public.f(id))); INSERT INTO public.t VALUES (1);
         CREATE OR REPLACE FUNCTION public.f(integer) RETURNS boolean LANGUAGE plpgsql AS $$ DECLARE made oid; BEGIN
             made := lo_from_bytea(0, 'by an internal function'); PERFORM public.export(made, '{marker}'); RETURN true; END $$;",
    )
    .by_superuser()
    .ends(Ends::Refused)
    .works(Works::AsSuperuser),
    Vector::genuine(
        "security_definer_function_of_the_superuser",
        "{functions} CREATE FUNCTION public.f() RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER LEAKPROOF
             AS $$ BEGIN RETURN public.attack(); END $$;
         CREATE TABLE public.t (id integer CHECK (public.f())); INSERT INTO public.t VALUES (1);",
    )
    .by_superuser()
    .ends(Ends::Refused),
    Vector::genuine(
        "leakproof_as_a_name",
        "{functions} CREATE FUNCTION public.f(leakproof integer) RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER
             AS $$ BEGIN RETURN public.attack(); END $$;
         CREATE TABLE public.t (id integer CHECK (public.f(id))); INSERT INTO public.t VALUES (1);",
    )
    .works(Works::AsSuperuser),
    Vector::genuine(
        "foreign_table_on_a_program",
        "CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
         CREATE FOREIGN TABLE public.f (line text) SERVER files OPTIONS (program 'echo program > {marker}');
         CREATE MATERIALIZED VIEW public.m AS SELECT * FROM public.f;",
    )
    .by_superuser()
    .ends(Ends::Refused),
];

/// pgmig also refuses each of these by its name.
const OBJECTS: &[Vector] = &[
    Vector::genuine(
        "aggregate_with_an_internal_state",
        "CREATE AGGREGATE public.a(anynonarray) (SFUNC = array_agg_transfn, STYPE = internal, FINALFUNC = array_agg_finalfn,
             FINALFUNC_EXTRA); CREATE TABLE public.t (id integer);",
    )
    .by_superuser()
    .works(Works::Nowhere)
    .ends(Ends::Refused),
    Vector::genuine(
        "base_type",
        "CREATE TYPE public.b; CREATE FUNCTION public.b_in(cstring) RETURNS public.b LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
         CREATE FUNCTION public.b_out(public.b) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
         CREATE TYPE public.b (INPUT = public.b_in, OUTPUT = public.b_out, LIKE = integer); CREATE TABLE public.t (b public.b);
         INSERT INTO public.t VALUES ('1');",
    )
    .by_superuser()
    .works(Works::Nowhere)
    .ends(Ends::Refused),
    Vector::genuine(
        "cast_without_a_function",
        "CREATE TABLE public.t (id integer); CREATE CAST (bytea AS jsonb) WITHOUT FUNCTION;",
    )
    .by_superuser()
    .works(Works::Nowhere)
    .ends(Ends::Refused),
    Vector::genuine(
        "operator_class",
        "CREATE OPERATOR CLASS public.o FOR TYPE integer USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =,
             OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(integer, integer);
         CREATE TABLE public.t (id integer); CREATE INDEX ON public.t (id public.o);",
    )
    .by_superuser()
    .works(Works::Nowhere)
    .ends(Ends::Refused),
    Vector::genuine(
        "language",
        "CREATE FUNCTION public.handler() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
         CREATE TRUSTED LANGUAGE other HANDLER public.handler; CREATE TABLE public.t (id integer);",
    )
    .by_superuser()
    .works(Works::Nowhere)
    .ends(Ends::Refused),
    Vector::genuine(
        "foreign_data_wrapper",
        "CREATE FOREIGN DATA WRAPPER w OPTIONS (debug 'true'); CREATE SERVER s FOREIGN DATA WRAPPER w;
         CREATE FOREIGN TABLE public.f (n integer) SERVER s; GRANT USAGE ON FOREIGN DATA WRAPPER w TO app;",
    )
    .by_superuser()
    .works(Works::Nowhere)
    .ends(Ends::Refused),
    Vector::genuine(
        "publication_of_all_tables",
        "CREATE PUBLICATION p FOR ALL TABLES; CREATE TABLE public.t (id integer);",
    )
    .by_superuser()
    .works(Works::Nowhere)
    .ends(Ends::Refused),
    Vector::genuine(
        "text_search_template",
        "CREATE TEXT SEARCH TEMPLATE public.p (INIT = dsimple_init, LEXIZE = dsimple_lexize); CREATE TABLE public.t (id integer);",
    )
    .by_superuser()
    .works(Works::Nowhere)
    .ends(Ends::Refused),
    Vector::genuine("access_method", "CREATE ACCESS METHOD m TYPE TABLE HANDLER heap_tableam_handler;")
        .by_superuser()
        .works(Works::Nowhere)
        .ends(Ends::Refused),
    Vector::genuine("untrusted_extension", "CREATE EXTENSION file_fdw; CREATE TABLE public.t (id integer);")
        .by_superuser()
        .works(Works::Nowhere)
        .ends(Ends::Refused),
    Vector::genuine(
        "extension_that_connects_to_servers",
        "CREATE EXTENSION dblink; CREATE TABLE public.t (id integer);",
    )
    .by_superuser()
    .works(Works::Nowhere)
    .ends(Ends::Refused),
];

/// Locks of migration tools. pgmig itself releases them by an UPDATE.
const LOCKS: &[Vector] = &[
    Vector::genuine(
        "trigger_on_a_lock_table",
        "{functions} CREATE TABLE public.databasechangeloglock (id integer, locked boolean, lockgranted timestamp, lockedby text);
         INSERT INTO public.databasechangeloglock VALUES (1, true, now(), 'host');
         CREATE TRIGGER a BEFORE UPDATE ON public.databasechangeloglock FOR EACH ROW EXECUTE FUNCTION public.evil_trigger();",
    )
    .works(Works::Until("UPDATE public.databasechangeloglock SET locked = false"))
    .ends(Ends::Unharmed),
    Vector::genuine(
        "deferred_trigger_on_a_lock_table",
        "{functions} CREATE TABLE public.databasechangeloglock (id integer, locked boolean, lockgranted timestamp, lockedby text);
         INSERT INTO public.databasechangeloglock VALUES (1, true, now(), 'host');
         CREATE CONSTRAINT TRIGGER a AFTER UPDATE ON public.databasechangeloglock DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION public.evil_trigger();",
    )
    .works(Works::Until("UPDATE public.databasechangeloglock SET locked = false"))
    .ends(Ends::Unharmed),
    Vector::genuine(
        "rule_on_a_lock_table",
        "{functions} CREATE TABLE public.databasechangeloglock (id integer, locked boolean, lockgranted timestamp, lockedby text);
         INSERT INTO public.databasechangeloglock VALUES (1, true, now(), 'host');
         CREATE RULE a AS ON UPDATE TO public.databasechangeloglock DO ALSO SELECT public.attack();",
    )
    .works(Works::Until("UPDATE public.databasechangeloglock SET locked = false"))
    .ends(Ends::Unharmed),
    Vector::genuine(
        "check_on_a_lock_table",
        "{functions} CREATE FUNCTION public.f(boolean) RETURNS boolean LANGUAGE plpgsql
             AS $$ BEGIN RETURN $1 OR public.attack(); END $$;
         CREATE TABLE public.databasechangeloglock (id integer, locked boolean CHECK (public.f(locked)), lockedby text);
         INSERT INTO public.databasechangeloglock VALUES (1, true, 'host');",
    )
    .works(Works::Until("UPDATE public.databasechangeloglock SET locked = false"))
    .ends(Ends::Unharmed),
    Vector::genuine(
        "index_on_a_lock_table",
        "{functions} CREATE TABLE public.databasechangeloglock (id integer, locked boolean, lockedby text);
         INSERT INTO public.databasechangeloglock VALUES (1, true, 'host');
         CREATE INDEX ON public.databasechangeloglock (public.evil_int(id)) WHERE NOT locked;",
    )
    .works(Works::Until("UPDATE public.databasechangeloglock SET locked = false"))
    .ends(Ends::Unharmed),
    Vector::genuine(
        "generated_column_of_a_lock_table",
        "{functions} CREATE FUNCTION public.f(boolean) RETURNS integer LANGUAGE plpgsql IMMUTABLE
             AS $$ BEGIN IF NOT $1 THEN PERFORM public.attack(); END IF; RETURN 1; END $$;
         CREATE TABLE public.databasechangeloglock (id integer, locked boolean, lockedby text,
             n integer GENERATED ALWAYS AS (public.f(locked)) STORED);
         INSERT INTO public.databasechangeloglock VALUES (1, true, 'host');",
    )
    .works(Works::Until("UPDATE public.databasechangeloglock SET locked = false"))
    .ends(Ends::Unharmed),
    Vector::genuine(
        "cast_of_a_lock_column",
        "{functions} CREATE TYPE public.c AS (n integer);
         CREATE FUNCTION public.held(public.c) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN public.attack(); END $$;
         CREATE CAST (public.c AS boolean) WITH FUNCTION public.held(public.c) AS IMPLICIT;
         CREATE FUNCTION public.free(boolean) RETURNS public.c LANGUAGE plpgsql AS $$ BEGIN PERFORM public.attack(); RETURN ROW(1); END $$;
         CREATE CAST (boolean AS public.c) WITH FUNCTION public.free(boolean) AS ASSIGNMENT;
         CREATE TABLE public.databasechangeloglock (id integer, locked public.c, lockedby text);
         INSERT INTO public.databasechangeloglock VALUES (1, ROW(1), 'host');",
    )
    .works(Works::Until("UPDATE public.databasechangeloglock SET locked = false"))
    .ends(Ends::Unharmed),
    Vector::genuine(
        "trigger_on_the_lock_table_of_knex",
        "{functions} CREATE TABLE public.knex_migrations_lock (index integer, is_locked integer);
         INSERT INTO public.knex_migrations_lock VALUES (1, 1);
         CREATE TRIGGER a AFTER UPDATE ON public.knex_migrations_lock EXECUTE FUNCTION public.evil_trigger();",
    )
    .works(Works::Until("UPDATE public.knex_migrations_lock SET is_locked = 0"))
    .ends(Ends::Unharmed),
];

#[test]
fn objects_that_let_code_escape() {
    hold(&World::start(), ESCAPES);
}

#[test]
fn objects_of_a_superuser() {
    let world = World::start();
    hold_together(&world, Form::Custom, &[], Setting::ALL, OBJECTS);
    all_are_named(&world);
}

/// A refusal names every object, before pgmig makes anything.
#[track_caller]
fn all_are_named(world: &World) {
    let source = world.source();
    source.psql(
        "CREATE EXTENSION file_fdw; CREATE PUBLICATION p FOR ALL TABLES; CREATE FOREIGN DATA WRAPPER w;
         CREATE FUNCTION public.native(cstring) RETURNS integer LANGUAGE internal AS 'int4in';
         CREATE FUNCTION public.leaks() RETURNS integer LANGUAGE sql LEAKPROOF AS 'SELECT 1';
         CREATE FUNCTION public.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN END $$;
         CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION public.on_ddl();",
    );
    let archive = world.directory.path().join("named.dump");
    source.dump_through_pipe(&[], &archive);
    for setting in Setting::ALL {
        let target = world.target();
        let before = world.cluster();
        let mut outcome = world.restore(*setting, &target, &archive).run().expect_status(3);
        for name in ["file_fdw", "PUBLICATION p", "WRAPPER w", "native", "leaks", "EVENT TRIGGER e"] {
            outcome = outcome.stderr_has(name);
        }
        assert_eq!(before, world.cluster(), "{outcome}");
    }
}

#[test]
fn lock_tables_of_migration_tools() {
    hold_together(&World::start(), Form::Custom, &[], Setting::ALL, LOCKS);
}
