//! Attacks by the owner of the target, or by a role that may create objects in it. pgmig reads the target, and must run
//! the owner's code only as the owner.

use super::vector::{State, text_of};
use super::world::{APP, OTHER, Setting, World};
use crate::support::{Database, Outcome, Pgmig};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// An attack.
#[derive(Clone, Copy)]
struct Trap {
    name: &'static str,
    /// The attacker.
    by: &'static str,
    /// The attacker's objects in the target. The target also has its owner's table `kept`.
    sql: &'static str,
    /// A statement by which a superuser would run the code without pgmig. Empty if PostgreSQL prevents it.
    sprung_by: &'static str,
}

const fn trap(name: &'static str, sql: &'static str, sprung_by: &'static str) -> Trap {
    Trap { name, by: APP, sql, sprung_by }
}

const fn of_another_role(trap: Trap) -> Trap {
    Trap { by: OTHER, ..trap }
}

/// A type with the attacker's conversions to text and boolean.
macro_rules! with_casts {
    ($table:literal) => {
        concat!(
            "{functions} CREATE TYPE public.c AS (n integer);
             CREATE FUNCTION public.said(public.c) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM public.attack(); RETURN '1'; END $$;
             CREATE CAST (public.c AS text) WITH FUNCTION public.said(public.c) AS IMPLICIT;
             CREATE FUNCTION public.held(public.c) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RETURN public.attack(); END $$;
             CREATE CAST (public.c AS boolean) WITH FUNCTION public.held(public.c) AS IMPLICIT;
             CREATE FUNCTION public.numbered(public.c) RETURNS integer LANGUAGE plpgsql AS $$ BEGIN PERFORM public.attack(); RETURN 1; END $$;
             CREATE CAST (public.c AS integer) WITH FUNCTION public.numbered(public.c) AS IMPLICIT;
             CREATE FUNCTION public.numbered_big(public.c) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN PERFORM public.attack(); RETURN 1; END $$;
             CREATE CAST (public.c AS bigint) WITH FUNCTION public.numbered_big(public.c) AS IMPLICIT;
             CREATE FUNCTION public.free(boolean) RETURNS public.c LANGUAGE plpgsql AS $$ BEGIN PERFORM public.attack(); RETURN ROW(1); END $$;
             CREATE CAST (boolean AS public.c) WITH FUNCTION public.free(boolean) AS ASSIGNMENT;
             CREATE TABLE public.",
            $table
        )
    };
}

const HISTORIES: &[Trap] = &[
    trap(
        "cast_in_the_history_of_flyway",
        with_casts!("flyway_schema_history (installed_rank public.c, version public.c, success public.c);
            INSERT INTO public.flyway_schema_history VALUES (ROW(1), ROW(1), ROW(1));"),
        "SELECT version::text FROM public.flyway_schema_history",
    ),
    trap(
        "cast_in_the_history_of_liquibase",
        with_casts!("databasechangelog (id public.c, orderexecuted public.c);
            INSERT INTO public.databasechangelog VALUES (ROW(1), ROW(1));"),
        "SELECT id::text FROM public.databasechangelog",
    ),
    trap(
        "cast_in_the_history_of_golang_migrate",
        with_casts!("schema_migrations (version public.c, dirty public.c); INSERT INTO public.schema_migrations VALUES (ROW(1), ROW(1));"),
        "SELECT version::text FROM public.schema_migrations",
    ),
    trap(
        "cast_in_the_history_of_alembic",
        with_casts!("alembic_version (version_num public.c); INSERT INTO public.alembic_version VALUES (ROW(1));"),
        "SELECT version_num::text FROM public.alembic_version",
    ),
    trap(
        "cast_in_the_history_of_entity_framework",
        with_casts!("\"__EFMigrationsHistory\" (\"MigrationId\" public.c); INSERT INTO public.\"__EFMigrationsHistory\" VALUES (ROW(1));"),
        "SELECT \"MigrationId\"::text FROM public.\"__EFMigrationsHistory\"",
    ),
    trap(
        "cast_in_the_history_of_sqlx",
        with_casts!("_sqlx_migrations (version public.c, description public.c, installed_on public.c, success public.c, checksum public.c,
            execution_time public.c); INSERT INTO public._sqlx_migrations VALUES (ROW(1), ROW(1), ROW(1), ROW(1), ROW(1), ROW(1));"),
        "SELECT version::text FROM public._sqlx_migrations",
    ),
    trap(
        "cast_in_the_lock_of_liquibase",
        with_casts!("databasechangeloglock (id integer, locked public.c, lockedby text);
            INSERT INTO public.databasechangeloglock VALUES (1, ROW(1), 'x');"),
        "SELECT 1 FROM public.databasechangeloglock WHERE locked",
    ),
    trap(
        "cast_in_the_lock_of_knex",
        with_casts!("knex_migrations_lock (index integer, is_locked public.c);
            INSERT INTO public.knex_migrations_lock VALUES (1, ROW(1));"),
        "SELECT 1 FROM public.knex_migrations_lock WHERE is_locked::integer = 1",
    ),
    of_another_role(trap(
        "cast_in_a_history_of_another_role",
        with_casts!("flyway_schema_history (installed_rank public.c, version public.c, success public.c);
            INSERT INTO public.flyway_schema_history VALUES (ROW(1), ROW(1), ROW(1));"),
        "SELECT version::text FROM public.flyway_schema_history",
    )),
    trap(
        "view_as_the_history_of_flyway",
        "{functions} CREATE VIEW public.flyway_schema_history AS SELECT public.attack() AS version, 1 AS installed_rank, true AS success;",
        "SELECT version::text FROM public.flyway_schema_history",
    ),
    trap(
        "view_as_the_table_of_instances",
        "{functions} CREATE SCHEMA store; CREATE VIEW store.tenant AS SELECT gen_random_uuid() AS tenant_id, gen_random_uuid() AS
             instance_id, 'x'::text AS name, public.attack()::text AS region, false AS deleted, ''::text AS aliases;
         CREATE VIEW store._sqlx_migrations AS SELECT 1::bigint AS version, public.attack() AS success, ''::bytea AS checksum;",
        "SELECT region FROM store.tenant",
    ),
    trap(
        "rows_of_a_child_that_is_a_view",
        "{functions} CREATE TABLE public.parent (id integer); CREATE TABLE public.child () INHERITS (public.parent);
         CREATE RULE r AS ON INSERT TO public.child DO ALSO SELECT public.attack(); INSERT INTO public.parent VALUES (1);",
        "INSERT INTO public.child VALUES (1)",
    ),
];

const NAMES: &[Trap] = &[
    trap(
        "policy_on_the_table",
        "{functions} CREATE POLICY p ON public.kept USING (public.attack()) WITH CHECK (public.attack());
         ALTER TABLE public.kept ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;",
        "SET ROLE app; SELECT * FROM public.kept; RESET ROLE; INSERT INTO public.kept VALUES (7, ''); SELECT public.attack()",
    ),
    trap(
        "operators_before_those_of_the_catalog",
        "{functions} CREATE FUNCTION public.oideq(oid, oid) RETURNS boolean LANGUAGE plpgsql
             AS $$ BEGIN PERFORM public.attack(); RETURN pg_catalog.oideq($1, $2); END $$;
         CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = public.oideq);
         CREATE FUNCTION public.nameeq(name, name) RETURNS boolean LANGUAGE plpgsql
             AS $$ BEGIN PERFORM public.attack(); RETURN pg_catalog.nameeq($1, $2); END $$;
         CREATE OPERATOR public.= (LEFTARG = name, RIGHTARG = name, FUNCTION = public.nameeq);
         DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database()); END $$;",
        "SET search_path = public, pg_catalog; SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace",
    ),
    trap(
        "functions_named_like_those_of_the_catalog",
        "{functions} CREATE FUNCTION public.count(name) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN PERFORM public.attack(); RETURN 1; END $$;
         CREATE FUNCTION public.quote_ident(name) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM public.attack(); RETURN $1; END $$;
         CREATE FUNCTION public.lower(name) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM public.attack(); RETURN $1; END $$;
         CREATE FUNCTION public.current_setting(name) RETURNS text LANGUAGE plpgsql AS $$ BEGIN PERFORM public.attack(); RETURN ''; END $$;",
        "SELECT public.lower(relname) FROM pg_class LIMIT 1",
    ),
    trap(
        "names_that_end_a_literal",
        r#"{functions} CREATE TABLE public."x'; COPY (SELECT 1) TO '{marker}'; --" (id integer);
         INSERT INTO public."x'; COPY (SELECT 1) TO '{marker}'; --" VALUES (1);
         CREATE SCHEMA "y"" ; COPY (SELECT 1) TO '{marker}'; --"; CREATE TABLE "y"" ; COPY (SELECT 1) TO '{marker}'; --".t AS SELECT 1 AS n;
         CREATE SEQUENCE public."z\'; COPY (SELECT 1) TO E'{marker}'; --"; CREATE TYPE public."\'; COPY (SELECT 1) TO E'{marker}'; --" AS ENUM ('a');
         CREATE TABLE public."z\'; SELECT public.attack(); --" (id integer); INSERT INTO public."z\'; SELECT public.attack(); --" VALUES (1);
         DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET standard_conforming_strings = off', current_database());
             EXECUTE format('ALTER DATABASE %I SET backslash_quote = on', current_database()); END $$;"#,
        "SET standard_conforming_strings = off; SELECT 'z\\''; SELECT public.attack(); --'",
    ),
    trap(
        "comment_that_looks_like_our_marker",
        r#"{functions} DO $$ BEGIN EXECUTE format('COMMENT ON DATABASE %I IS %L', current_database(),
             format('pgmig-marker-1 {"run": "x", "target": %s, "target_oid": %s, "state": "staging", "comment": null}',
                 to_json(current_database()), (SELECT oid FROM pg_database WHERE datname = current_database()))); END $$;"#,
        "",
    ),
    trap(
        "settings_of_the_database",
        "{functions} DO $$ DECLARE s text; BEGIN FOREACH s IN ARRAY ARRAY['statement_timeout = ''1s''', 'default_transaction_read_only = on',
             'row_security = on', 'lock_timeout = ''1s''', 'role = ''other''', 'client_min_messages = debug5', 'xmloption = document',
             'DateStyle = ''SQL, DMY''', 'bytea_output = escape', 'quote_all_identifiers = on', 'check_function_bodies = on',
             'transform_null_equals = on', 'array_nulls = off', 'default_transaction_isolation = serializable', 'session_authorization = ''app''',
             'default_tablespace = pg_default', 'temp_tablespaces = pg_default'] LOOP
             BEGIN EXECUTE format('ALTER DATABASE %I SET ', current_database()) || s; EXCEPTION WHEN OTHERS THEN NULL; END; END LOOP; END $$;",
        "",
    ),
];

/// Code on a table that pgmig loads rows into (`--schema target`), counts, or drops.
const TABLES: &[Trap] = &[
    trap("check_on_the_table", "{functions} ALTER TABLE public.kept ADD CHECK (public.evil(id));", "INSERT INTO public.kept VALUES (7, '')"),
    trap(
        "trigger_on_the_table",
        "{functions} CREATE TRIGGER a BEFORE INSERT OR UPDATE OR DELETE ON public.kept FOR EACH ROW EXECUTE FUNCTION public.evil_trigger();
         CREATE TRIGGER b AFTER TRUNCATE ON public.kept EXECUTE FUNCTION public.evil_trigger();
         ALTER TABLE public.kept ENABLE ALWAYS TRIGGER a, ENABLE ALWAYS TRIGGER b;",
        "TRUNCATE public.kept",
    ),
    trap(
        "deferred_trigger_on_the_table",
        "{functions} CREATE CONSTRAINT TRIGGER deferred AFTER INSERT OR DELETE ON public.kept DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW EXECUTE FUNCTION public.evil_trigger();",
        "INSERT INTO public.kept VALUES (7, '')",
    ),
    trap("rule_on_the_table", "{functions} CREATE RULE r AS ON INSERT TO public.kept DO ALSO SELECT public.attack();", "INSERT INTO public.kept VALUES (7, '')"),
    trap("default_on_the_table", "{functions} ALTER TABLE public.kept ADD COLUMN a boolean DEFAULT public.attack();", "INSERT INTO public.kept VALUES (7, '')"),
    trap(
        "generated_column_of_the_table",
        "{functions} ALTER TABLE public.kept ADD COLUMN n integer GENERATED ALWAYS AS (public.evil_int(id)) STORED;",
        "INSERT INTO public.kept VALUES (7, '')",
    ),
    trap(
        "domain_of_a_column_of_the_table",
        "{functions} CREATE DOMAIN public.d AS text CHECK (public.evil(length(VALUE))); ALTER TABLE public.kept ALTER COLUMN note TYPE public.d;",
        "INSERT INTO public.kept VALUES (7, '')",
    ),
    trap("index_on_the_table", "{functions} CREATE INDEX ON public.kept (public.evil_int(id)) WHERE public.evil(id);", "INSERT INTO public.kept VALUES (7, '')"),
    trap("statistics_on_the_table", "{functions} CREATE STATISTICS public.s ON (public.evil_int(id)), note FROM public.kept;", ""),
    trap("materialized_view_of_the_target", "{functions} CREATE MATERIALIZED VIEW public.m AS SELECT public.attack() AS a;", ""),
    of_another_role(trap(
        "check_of_another_role",
        "{functions} CREATE TABLE public.of_other (id integer CHECK (public.evil(id)), note text); INSERT INTO public.of_other VALUES (1, 'x');",
        "INSERT INTO public.of_other VALUES (7, '')",
    )),
    of_another_role(trap(
        "foreign_key_of_another_role",
        "{functions} CREATE TABLE public.refers (id integer, n integer GENERATED ALWAYS AS (public.evil_int(id)) STORED);
         INSERT INTO public.refers VALUES (1); CREATE TRIGGER a BEFORE DELETE OR TRUNCATE ON public.refers EXECUTE FUNCTION public.evil_trigger();",
        "DELETE FROM public.refers",
    )),
    of_another_role(trap(
        "publication_and_functions_of_another_role",
        "{functions} CREATE SCHEMA evil; CREATE TABLE evil.t (id integer); CREATE VIEW evil.pg_class AS SELECT public.attack();
         CREATE OPERATOR public.+ (LEFTARG = text, RIGHTARG = text, FUNCTION = textcat); ",
        "SELECT * FROM evil.pg_class",
    )),
];

/// An operator's action on a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    TestConnection,
    DryRun,
    Unforced,
    DryRunIntoTargetSchema,
    IntoTargetSchema,
    Restore,
    Doctor,
    Backup,
    /// A restore that backs the target up first.
    RestoreAfterBackup,
}

impl Action {
    /// The actions to try by this login and strategy. A session of the owner has no other role. pgmig reads histories
    /// and locks when it examines the target.
    fn at(setting: Setting, is_read_only: bool) -> &'static [Self] {
        match setting {
            Setting::SwapAsSuperuser if is_read_only => {
                &[Self::TestConnection, Self::DryRun, Self::Unforced, Self::Doctor, Self::Backup]
            }
            Setting::SwapAsCreator if is_read_only => &[Self::DryRun],
            Setting::InPlaceAsOwner if is_read_only => &[],
            Setting::SwapAsSuperuser => &[
                Self::TestConnection,
                Self::DryRun,
                Self::Unforced,
                Self::DryRunIntoTargetSchema,
                Self::Doctor,
                Self::Backup,
                Self::IntoTargetSchema,
                Self::Restore,
            ],
            Setting::SwapAsCreator => &[Self::TestConnection, Self::DryRun, Self::Backup, Self::Restore],
            Setting::InPlaceAsSuperuser => &[Self::DryRun, Self::Restore, Self::RestoreAfterBackup],
            Setting::InPlaceAsOwner => &[Self::Restore],
        }
    }

    fn changes_the_target(self) -> bool {
        matches!(self, Self::IntoTargetSchema | Self::Restore | Self::RestoreAfterBackup)
    }

    fn run(self, world: &World, setting: Setting, target: &Database, archive: &Path) -> Outcome {
        let source = |pgmig: Pgmig| pgmig.source(archive);
        let pgmig = match self {
            Self::TestConnection => {
                Pgmig::new().target(&world.file(setting, target)).arg("--testPGConnection")
            }
            Self::DryRun => source(world.pgmig(setting, target)).args(["--dry-run", "--force"]),
            Self::Unforced => source(world.pgmig(setting, target)),
            Self::DryRunIntoTargetSchema => {
                into_target_schema(world.pgmig(setting, target)).source(archive).arg("--dry-run")
            }
            Self::IntoTargetSchema => into_target_schema(world.pgmig(setting, target)).source(archive),
            Self::Restore => world.restore(setting, target, archive),
            Self::Doctor => source(Pgmig::new().arg("doctor").target(&world.file(setting, target))),
            Self::Backup => {
                let backup = Pgmig::new().arg("backup").target(&world.file(setting, target));
                backup.args(["-o", "whole.dump", "--pg-dump"]).arg(world.server.bindir.join("pg_dump"))
            }
            Self::RestoreAfterBackup => {
                let restore = world.restore(setting, target, archive);
                let pg_dump = world.server.bindir.join("pg_dump");
                restore.args(["--backup-first", ".", "--pg-dump"]).arg(pg_dump)
            }
        };
        pgmig.timeout(Duration::from_secs(60)).run()
    }
}

/// `--schema target` for a store without instances.
fn into_target_schema(pgmig: Pgmig) -> Pgmig {
    let directory = pgmig.directory().join("profile");
    std::fs::create_dir(&directory).expect("a directory can be made");
    std::fs::write(directory.join("releases.yaml"), "1.0.0: 1\n").expect("a file can be written");
    std::fs::write(directory.join("profile.yaml"), "name: two\nschema: public\n")
        .expect("a file can be written");
    pgmig.args(["--profile", "profile", "--schema", "target", "--force"])
}

/// A harmless archive.
fn archive(world: &World) -> PathBuf {
    let source = world.source();
    source.psql("CREATE TABLE public.kept (id integer PRIMARY KEY, note text); INSERT INTO public.kept VALUES (3, 'three')");
    let path = world.directory.path().join("harmless.dump");
    source.dump_through_pipe(&[], &path);
    path
}

#[track_caller]
fn hold(traps: &[Trap], each_alone: bool, is_read_only: bool) {
    let world = World::start();
    let archive = archive(&world);
    let wanted = std::env::var("PGMIG_HOSTILE").unwrap_or_default();
    let traps: Vec<Trap> = traps.iter().filter(|trap| world.has_syntax_of(trap.sql)).copied().collect();
    let size = if each_alone { 1 } else { traps.len() };
    let mut wrong = Vec::new();
    for traps in traps.chunks(size).filter(|traps| traps.iter().any(|trap| trap.name.contains(&wanted))) {
        let mut found = Vec::new();
        if let Err(panic) =
            catch_unwind(AssertUnwindSafe(|| attempt(&world, traps, is_read_only, &archive, &mut found)))
        {
            found.push(format!("the test itself: {}", text_of(&*panic)));
        }
        let name = if each_alone { traps[0].name } else { "together" };
        wrong.extend(found.into_iter().map(|what| format!("{name}: {what}")));
    }
    assert!(wrong.is_empty(), "{} findings\n{}", wrong.len(), wrong.join("\n"));
}

/// A trap's SQL. If there are several traps, each is in a schema of its name.
fn sql_of(world: &World, trap: &Trap, sql: &str, is_alone: bool) -> String {
    let sql = world.armed(trap.name, sql);
    if is_alone {
        return sql;
    }
    let schema = format!("{}.", trap.name);
    sql.replace("public.", &schema).replace(&format!("{schema}kept"), "public.kept")
}

/// A target with these traps.
fn set(world: &World, traps: &[Trap]) -> Database {
    let target = world.target();
    for trap in traps {
        let sql = sql_of(world, trap, trap.sql, traps.len() == 1);
        let schema = if traps.len() == 1 { String::new() } else { format!("CREATE SCHEMA {};", trap.name) };
        world.psql_as(trap.by, &target, &format!("{schema} {sql}"));
    }
    let _ = escapes(world, traps);
    target
}

fn escapes(world: &World, traps: &[Trap]) -> Vec<String> {
    let escape = |trap: &Trap| Some(format!("ESCAPED, {} by {}", trap.name, world.escape(trap.name)?));
    traps.iter().filter_map(escape).collect()
}

fn attempt(world: &World, traps: &[Trap], is_read_only: bool, archive: &Path, found: &mut Vec<String>) {
    found.extend(proof(world, traps));
    for setting in Setting::ALL {
        if Action::at(*setting, is_read_only).is_empty() {
            continue;
        }
        let mut target = set(world, traps);
        let mut before = State::of(world, &target);
        for action in Action::at(*setting, is_read_only) {
            // The dumps of this test spring some of the traps themselves.
            let _ = escapes(world, traps);
            let outcome = action.run(world, *setting, &target, archive);
            let mut wrong = escapes(world, traps);
            if !matches!(outcome.status.code(), Some(0 | 1 | 3)) {
                wrong.push(format!("ended with {outcome}"));
            }
            wrong.extend(before.difference(world, &target, &outcome, &[]));
            let is_changed = action.changes_the_target() && outcome.status.success();
            if !is_changed {
                wrong.extend(before.change_of_the_target(world, &target));
            }
            found.extend(wrong.into_iter().map(|what| format!("{}, {action:?}: {what}", setting.name())));
            if is_changed {
                target = set(world, traps);
                before = State::of(world, &target);
            }
        }
    }
}

/// Shows that the code runs as superuser if a superuser does pgmig's work without pgmig.
fn proof(world: &World, traps: &[Trap]) -> Vec<String> {
    let target = set(world, traps);
    let mut wrong = Vec::new();
    for trap in traps.iter().filter(|trap| !trap.sprung_by.is_empty()) {
        let sql = sql_of(world, trap, trap.sprung_by, traps.len() == 1);
        let output = target.try_psql(&format!("BEGIN; {sql}; SET CONSTRAINTS ALL IMMEDIATE; ROLLBACK"));
        if world.escape(trap.name).is_none() {
            let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
            wrong.push(format!("{} does not work without pgmig: {stderr}", trap.name));
        }
    }
    let _ = escapes(world, traps);
    wrong
}

#[test]
fn histories_and_locks() {
    hold(HISTORIES, true, true);
}

#[test]
fn names_and_settings() {
    hold(NAMES, true, false);
}

#[test]
fn tables_and_what_is_on_them() {
    hold(TABLES, false, false);
}
