//! Code of the source's owner that runs while rows are loaded, in archives that pg_dump wrote.

use super::forge::Form;
use super::vector::{Ends, Vector, Works, hold, hold_together};
use super::world::{Setting, World};

const CONSTRAINTS: &[Vector] = &[
    Vector::genuine(
        "check_constraint",
        "{functions} CREATE TABLE public.t (id integer CHECK (public.evil(id))); INSERT INTO public.t VALUES (1);",
    ),
    Vector::genuine(
        "generated_column",
        "{functions} CREATE TABLE public.t (id integer, twice integer GENERATED ALWAYS AS (public.evil_int(id)) STORED);
         INSERT INTO public.t VALUES (1);",
    ),
    Vector::genuine(
        "domain",
        "{functions} CREATE DOMAIN public.d AS integer CHECK (public.evil(VALUE)); CREATE TABLE public.t (id public.d);
         INSERT INTO public.t VALUES (1);",
    ),
    Vector::genuine(
        "array_of_a_domain",
        "{functions} CREATE DOMAIN public.d AS integer CHECK (public.evil(VALUE)); CREATE TABLE public.t (id public.d[]);
         INSERT INTO public.t VALUES ('{1}');",
    ),
    Vector::genuine(
        "composite_type_with_a_domain",
        "{functions} CREATE DOMAIN public.d AS integer CHECK (public.evil(VALUE)); CREATE TYPE public.c AS (d public.d);
         CREATE TABLE public.t (c public.c); INSERT INTO public.t VALUES (ROW(1));",
    ),
    Vector::genuine(
        "range_of_a_domain",
        "{functions} CREATE DOMAIN public.d AS integer CHECK (public.evil(VALUE));
         CREATE TYPE public.r AS RANGE (subtype = public.d); CREATE TABLE public.t (r public.r);
         INSERT INTO public.t VALUES ('[1,2)');",
    ),
];

const KEYS: &[Vector] = &[
    Vector::genuine(
        "partition_key",
        "{functions} CREATE TABLE public.t (id integer) PARTITION BY LIST (public.evil_int(id));
         CREATE TABLE public.t1 PARTITION OF public.t FOR VALUES IN (1); INSERT INTO public.t VALUES (1);",
    ),
    Vector::genuine(
        "hash_function_of_a_partition_key",
        "{functions} CREATE TABLE public.t (id integer) PARTITION BY HASH (public.evil_int(id));
         CREATE TABLE public.t1 PARTITION OF public.t FOR VALUES WITH (MODULUS 1, REMAINDER 0);
         INSERT INTO public.t VALUES (1);",
    ),
    Vector::genuine(
        "cast_in_a_generated_column",
        "{functions} CREATE TYPE public.c AS (n integer);
         CREATE FUNCTION public.to_int(public.c) RETURNS integer LANGUAGE plpgsql IMMUTABLE
             AS $$ BEGIN PERFORM public.attack(); RETURN 1; END $$;
         CREATE CAST (public.c AS integer) WITH FUNCTION public.to_int(public.c) AS IMPLICIT;
         CREATE TABLE public.t (c public.c, n integer GENERATED ALWAYS AS (c) STORED);
         INSERT INTO public.t VALUES (ROW(1));",
    ),
    Vector::genuine(
        "operator_in_a_check",
        "{functions} CREATE FUNCTION public.same(integer, text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE
             AS $$ BEGIN RETURN public.evil($1); END $$;
         CREATE OPERATOR public.=== (LEFTARG = integer, RIGHTARG = text, FUNCTION = public.same);
         CREATE TABLE public.t (id integer CHECK (id OPERATOR(public.===) 'x'::text)); INSERT INTO public.t VALUES (1);",
    ),
    Vector::genuine(
        "aggregate_in_a_check",
        "{functions} CREATE FUNCTION public.step(integer, integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE
             AS $$ BEGIN PERFORM public.attack(); RETURN 1; END $$;
         CREATE AGGREGATE public.total(integer) (SFUNC = public.step, STYPE = integer, INITCOND = '0');
         CREATE FUNCTION public.by_total(integer) RETURNS boolean LANGUAGE sql IMMUTABLE
             AS $$ SELECT public.total(n) > 0 FROM generate_series(1, 2) n $$;
         CREATE TABLE public.t (id integer CHECK (public.by_total(id))); INSERT INTO public.t VALUES (1);",
    ),
    Vector::genuine(
        "check_of_a_partition",
        "{functions} CREATE TABLE public.t (id integer) PARTITION BY RANGE (id);
         CREATE TABLE public.t1 (id integer CHECK (public.evil(id)));
         ALTER TABLE public.t ATTACH PARTITION public.t1 FOR VALUES FROM (0) TO (9); INSERT INTO public.t VALUES (1);",
    ),
    Vector::genuine(
        "check_through_a_view",
        "{functions} CREATE VIEW public.v AS SELECT public.attack() AS a;
         CREATE FUNCTION public.looks(integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT a FROM public.v); END $$;
         CREATE TABLE public.t (id integer CHECK (public.looks(id))); INSERT INTO public.t VALUES (1);",
    ),
    Vector::genuine(
        "foreign_key_with_a_cast",
        "{functions} CREATE DOMAIN public.d AS integer; CREATE TYPE public.c AS (n integer);
         CREATE FUNCTION public.to_int(public.c) RETURNS integer LANGUAGE plpgsql IMMUTABLE
             AS $$ BEGIN PERFORM public.attack(); RETURN ($1).n; END $$;
         CREATE CAST (public.c AS integer) WITH FUNCTION public.to_int(public.c) AS IMPLICIT;
         CREATE TABLE public.t (id integer PRIMARY KEY); CREATE TABLE public.u (c public.c REFERENCES public.t);
         INSERT INTO public.t VALUES (1); INSERT INTO public.u VALUES (ROW(1));",
    ),
];

/// Effects of a function's own settings, which no word of its body shows. Rows exist before the function has the
/// settings.
const SETTINGS_OF_FUNCTIONS: &[Vector] = &[
    Vector::genuine(
        "function_that_sets_role",
        "CREATE FUNCTION public.f(integer) RETURNS boolean LANGUAGE sql AS 'SELECT true';
         CREATE TABLE public.t (id integer CHECK (public.f(id))); INSERT INTO public.t VALUES (1);
         SET check_function_bodies = off;
         CREATE OR REPLACE FUNCTION public.f(integer) RETURNS boolean LANGUAGE plpgsql SET role TO 'postgres'
             AS $$ BEGIN COPY (SELECT current_user) TO '{marker}'; RETURN true; END $$;",
    )
    .ends(Ends::Unharmed)
    .at(Setting::OVER_ANOTHER_ROLE),
    Vector::genuine(
        "function_that_sets_session_authorization",
        "CREATE FUNCTION public.f(integer) RETURNS boolean LANGUAGE sql AS 'SELECT true';
         CREATE TABLE public.t (id integer CHECK (public.f(id))); INSERT INTO public.t VALUES (1);
         SET check_function_bodies = off;
         CREATE OR REPLACE FUNCTION public.f(integer) RETURNS boolean LANGUAGE plpgsql SET session_authorization TO 'postgres'
             AS $$ BEGIN COPY (SELECT current_user) TO '{marker}'; RETURN true; END $$;",
    )
    .ends(Ends::Unharmed)
    .at(Setting::OVER_ANOTHER_ROLE),
];

/// Code that changes the session for later code.
const STICKY: &[Vector] = &[
    Vector::genuine(
        "role_is_reset_and_stays_so",
        "{functions} CREATE FUNCTION public.f(integer) RETURNS boolean LANGUAGE plpgsql
             AS $$ BEGIN RESET ROLE; RETURN true; END $$;
         CREATE TABLE public.t (id integer CHECK (public.f(id))); INSERT INTO public.t VALUES (1);
         CREATE MATERIALIZED VIEW public.later AS SELECT 1 AS n; CREATE INDEX ON public.t (id);
         CREATE FUNCTION public.g() RETURNS integer LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';",
    )
    .works(Works::Nowhere)
    .ends(Ends::Unharmed)
    .at(Setting::OVER_ANOTHER_ROLE),
    Vector::genuine(
        "session_authorization_is_set_and_stays_so",
        "{functions} CREATE FUNCTION public.f(integer) RETURNS boolean LANGUAGE plpgsql
             AS $$ BEGIN SET SESSION AUTHORIZATION app; RETURN true; EXCEPTION WHEN OTHERS THEN RETURN true; END $$;
         CREATE TABLE public.t (id integer CHECK (public.f(id))); INSERT INTO public.t VALUES (1);
         CREATE INDEX ON public.t (id);",
    )
    .works(Works::Nowhere)
    .ends(Ends::Unharmed)
    .at(Setting::OVER_ANOTHER_ROLE),
    Vector::genuine(
        "search_path_is_set_and_stays_so",
        "{functions} CREATE FUNCTION public.oideq(oid, oid) RETURNS boolean LANGUAGE plpgsql
             AS $$ BEGIN PERFORM public.attack(); RETURN pg_catalog.oideq($1, $2); END $$;
         CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = public.oideq);
         CREATE FUNCTION public.f(integer) RETURNS boolean LANGUAGE plpgsql
             AS $$ BEGIN PERFORM set_config('search_path', 'public, pg_catalog', false); RETURN true; END $$;
         CREATE TABLE public.t (id integer CHECK (public.f(id))); INSERT INTO public.t VALUES (1);
         CREATE INDEX ON public.t (id); CREATE TABLE public.u (id integer PRIMARY KEY REFERENCES public.u);",
    )
    .works(Works::Nowhere)
    .ends(Ends::Unharmed)
    .at(Setting::OVER_ANOTHER_ROLE),
    Vector::genuine(
        "strings_are_made_unsafe",
        r#"{functions} CREATE FUNCTION public.f(integer) RETURNS boolean LANGUAGE plpgsql
             AS $$ BEGIN PERFORM set_config('standard_conforming_strings', 'off', false),
                 set_config('backslash_quote', 'on', false); RETURN true; END $$;
         CREATE TABLE public.t (id integer CHECK (public.f(id))); INSERT INTO public.t VALUES (1);
         CREATE TABLE public."\'; RESET ROLE; COPY (SELECT 1) TO E'{marker}'; --" (id integer);
         INSERT INTO public."\'; RESET ROLE; COPY (SELECT 1) TO E'{marker}'; --" VALUES (1);
         CREATE SEQUENCE public."\' || public.attack() || \'";"#,
    )
    .works(Works::Nowhere)
    .ends(Ends::Unharmed)
    .at(Setting::OVER_ANOTHER_ROLE),
    Vector::genuine(
        "prepared_statements_are_replaced",
        "{functions} CREATE FUNCTION public.f(integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
             DEALLOCATE ALL;
             FOR n IN 1..60 LOOP EXECUTE format('PREPARE sqlx_s_%s AS SELECT public.attack()', n); END LOOP;
             RETURN true; EXCEPTION WHEN OTHERS THEN RETURN true; END $$;
         CREATE TABLE public.t (id integer CHECK (public.f(id))); INSERT INTO public.t VALUES (1);
         CREATE INDEX ON public.t (id);",
    )
    .works(Works::Nowhere)
    .ends(Ends::Unharmed)
    .at(Setting::OVER_ANOTHER_ROLE),
    Vector::genuine(
        "temporary_views_shadow_the_catalogs",
        "{functions} CREATE FUNCTION public.f(integer) RETURNS boolean LANGUAGE plpgsql AS $$ DECLARE name text; BEGIN
             FOREACH name IN ARRAY ARRAY['pg_class', 'pg_namespace', 'pg_attribute', 'pg_proc', 'pg_type', 'pg_constraint',
                 'pg_index', 'pg_depend', 'pg_database', 'pg_roles', 'pg_authid', 'pg_inherits', 'pg_trigger', 'pg_sequence',
                 'pg_extension', 'pg_stat_activity', 'pg_locks', 'pg_largeobject_metadata', 'pg_settings'] LOOP
                 EXECUTE format('CREATE TEMP VIEW %I AS SELECT c.* FROM pg_catalog.%I c WHERE public.attack()', name, name);
             END LOOP; RETURN true; EXCEPTION WHEN OTHERS THEN RETURN true; END $$;
         CREATE TABLE public.t (id integer CHECK (public.f(id))); INSERT INTO public.t VALUES (1);
         CREATE INDEX ON public.t (id); CREATE TABLE public.u (id integer PRIMARY KEY REFERENCES public.u);",
    )
    .works(Works::Nowhere)
    .ends(Ends::Unharmed)
    .at(Setting::OVER_ANOTHER_ROLE),
];

/// Code that PostgreSQL runs as the table's owner, who cannot become another role.
const SAFE_IN_POSTGRESQL: &[Vector] = &[
    Vector::genuine(
        "index_expression",
        "{functions} CREATE TABLE public.t (id integer); INSERT INTO public.t VALUES (1);
         CREATE INDEX ON public.t (public.evil_int(id));",
    )
    .works(Works::Nowhere),
    Vector::genuine(
        "index_predicate",
        "{functions} CREATE TABLE public.t (id integer); INSERT INTO public.t VALUES (1);
         CREATE INDEX ON public.t (id) WHERE public.evil(id);",
    )
    .works(Works::Nowhere),
    Vector::genuine(
        "index_predicate_of_a_constant",
        "{functions} CREATE TABLE public.t (id integer); INSERT INTO public.t VALUES (1);
         CREATE INDEX ON public.t (id) WHERE public.evil(1);",
    )
    .works(Works::Nowhere),
    Vector::genuine(
        "exclusion_constraint",
        "{functions} CREATE TABLE public.t (id integer, EXCLUDE USING btree (public.evil_int(id) WITH =));
         INSERT INTO public.t VALUES (1);",
    )
    .works(Works::Nowhere),
    Vector::genuine(
        "materialized_view",
        "{functions} CREATE MATERIALIZED VIEW public.m AS SELECT public.attack() AS a;",
    )
    .works(Works::Nowhere),
    Vector::genuine(
        "statistics_of_an_expression",
        "{functions} CREATE TABLE public.t (id integer); INSERT INTO public.t SELECT generate_series(1, 100);
         CREATE STATISTICS public.s ON (public.evil_int(id)), id FROM public.t;",
    )
    .works(Works::Nowhere),
    Vector::genuine(
        "forced_row_security",
        "{functions} CREATE TABLE public.t (id integer); INSERT INTO public.t VALUES (1);
         CREATE POLICY p ON public.t USING (public.attack()) WITH CHECK (public.attack());
         ALTER TABLE public.t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;",
    )
    .works(Works::Nowhere),
    Vector::genuine(
        "triggers_and_rules_of_a_loaded_table",
        "{functions} CREATE TABLE public.t (id integer); INSERT INTO public.t VALUES (1);
         CREATE TRIGGER a BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON public.t EXECUTE FUNCTION public.evil_trigger();
         ALTER TABLE public.t ENABLE ALWAYS TRIGGER a;
         CREATE RULE r AS ON INSERT TO public.t DO ALSO SELECT public.attack();",
    )
    .works(Works::Nowhere),
    Vector::genuine(
        "column_default",
        "{functions} CREATE TABLE public.t (id integer, a boolean DEFAULT public.attack()); INSERT INTO public.t VALUES (1);",
    )
    .works(Works::Nowhere),
];

/// All attacks in one archive, for each format.
fn together(form: Form, dump_args: &'static [&'static str], settings: &'static [Setting]) {
    let world = World::start();
    let mut vectors: Vec<Vector> = [CONSTRAINTS, KEYS, SAFE_IN_POSTGRESQL].concat();
    vectors.retain(|vector| world.has_syntax_of(vector.source));
    hold_together(&world, form, dump_args, settings, &vectors);
}

#[test]
fn in_an_archive() {
    together(Form::Custom, &[], Setting::ALL);
}

#[test]
fn in_an_archive_of_inserts() {
    together(Form::CustomInserts, &["--load-via-partition-root"], Setting::AS_SUPERUSER);
}

#[test]
fn in_a_script() {
    together(Form::Script, &["--load-via-partition-root"], Setting::AS_SUPERUSER);
}

#[test]
fn in_a_script_of_inserts() {
    together(Form::ScriptInserts, &[], Setting::AS_SUPERUSER);
}

#[test]
fn settings_of_functions() {
    hold(&World::start(), SETTINGS_OF_FUNCTIONS);
}

#[test]
fn what_sticks_to_the_session() {
    hold(&World::start(), STICKY);
}
