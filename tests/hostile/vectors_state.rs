//! Code of the archive runs as the owner of the target, who may change the target and itself. If PostgreSQL does not
//! prevent such a change, pgmig names it and the restore fails.

use super::vector::{Ends, Vector, Works, hold};
use super::world::World;

/// While rows are loaded, the code changes every other database of the owner, by its name. Later an index fails.
macro_rules! owner {
    ($name:literal, $statement:literal) => {
        owner!($name, $statement, "CREATE INDEX ON public.z (public.fails(id));")
    };
    ($name:literal, $statement:literal, $ending:literal) => {
        Vector::genuine(
            $name,
            concat!(
                "CREATE FUNCTION public.f(integer) RETURNS boolean LANGUAGE sql AS 'SELECT true';
                 CREATE TABLE public.t (id integer CHECK (public.f(id))); INSERT INTO public.t VALUES (1);
                 CREATE OR REPLACE FUNCTION public.f(integer) RETURNS boolean LANGUAGE plpgsql AS $f$
                 DECLARE target name; BEGIN
                     FOR target IN SELECT datname FROM pg_database WHERE datdba = current_user::regrole LOOP
                         BEGIN EXECUTE format($s$",
                $statement,
                "$s$, target); EXCEPTION WHEN OTHERS THEN RAISE WARNING '%', SQLERRM; END;
                     END LOOP; RETURN true;
                 END $f$;
                 CREATE TABLE public.z (id integer); INSERT INTO public.z VALUES (1);
                 CREATE FUNCTION public.fails(integer) RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1'; ",
                $ending,
                " CREATE OR REPLACE FUNCTION public.fails(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE
                     AS $$ BEGIN RAISE EXCEPTION 'it fails'; END $$;"
            ),
        )
        .works(Works::ChangesState)
        .ends(Ends::Unharmed)
    };
}

const OF_THE_DATABASE: &[Vector] = &[
    // PostgreSQL lets only a role with CREATEDB rename a database.
    owner!("target_renamed", "ALTER DATABASE %1$I RENAME TO stolen").works(Works::Nowhere),
    owner!(
        "target_set_otherwise",
        "ALTER DATABASE %1$I SET search_path = evil; ALTER DATABASE %1$I RESET work_mem;
         ALTER ROLE app IN DATABASE %1$I SET statement_timeout = '1ms'"
    )
    .names(&["search_path", "work_mem", "statement_timeout"]),
    owner!("target_gets_a_connection_limit", "ALTER DATABASE %1$I CONNECTION LIMIT 0")
        .names(&["connection limit"]),
    owner!("target_allows_no_connections", "ALTER DATABASE %1$I ALLOW_CONNECTIONS false")
        .names(&["connections"]),
    owner!("target_becomes_a_template", "ALTER DATABASE %1$I IS_TEMPLATE true").names(&["template"]),
    owner!("target_loses_its_comment", "COMMENT ON DATABASE %1$I IS NULL").names(&["comment"]),
    owner!("target_is_marked_as_ours", "COMMENT ON DATABASE %1$I IS 'pgmig-marker-1 {}'").names(&["comment"]),
    owner!(
        "target_is_opened_and_closed",
        "GRANT ALL ON DATABASE %1$I TO attacker; REVOKE ALL ON DATABASE %1$I FROM PUBLIC"
    )
    .names(&["privilege"]),
];

const OF_THE_ROLE: &[Vector] = &[
    owner!("username_gets_a_password", "ALTER ROLE app PASSWORD 'known' /* %1$I */")
        .names(&["password"])
        .undo("ALTER ROLE app PASSWORD '{verifier}'"),
    owner!(
        "username_set_otherwise",
        "ALTER ROLE app SET search_path = evil; ALTER ROLE app SET statement_timeout = '1ms' /* %1$I */"
    )
    .names(&["search_path", "statement_timeout"])
    .undo("ALTER ROLE app RESET ALL"),
    owner!("username_gets_another_role", "ALTER ROLE app SET role = 'attacker' /* %1$I */")
        .names(&["role"])
        .undo("ALTER ROLE app RESET ALL"),
    owner!("username_takes_a_member", "GRANT app TO attacker /* %1$I */")
        .works(Works::Nowhere)
        .names(&["attacker"]),
];

/// The same attack in a restore that succeeds. The target is then unchanged, except for its contents.
const OF_A_RESTORE_THAT_SUCCEEDS: &[Vector] = &[
    owner!("settings_at_a_success", "ALTER DATABASE %1$I SET search_path = evil", "").names(&["search_path"]),
    owner!("limit_at_a_success", "ALTER DATABASE %1$I CONNECTION LIMIT 0", "").names(&["connection limit"]),
    owner!(
        "privilege_and_comment_at_a_success",
        "GRANT ALL ON DATABASE %1$I TO attacker; COMMENT ON DATABASE %1$I IS 'by the attacker'",
        ""
    )
    .names(&["privilege", "comment"]),
    owner!("password_at_a_success", "ALTER ROLE app PASSWORD 'known' /* %1$I */", "")
        .names(&["password"])
        .undo("ALTER ROLE app PASSWORD '{verifier}'"),
    owner!("search_path_at_a_success", "ALTER ROLE app SET search_path = evil /* %1$I */", "")
        .names(&["search_path"])
        .undo("ALTER ROLE app RESET ALL"),
    owner!(
        "other_sessions_at_a_success",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE pid <> pg_backend_pid() AND usename IN (current_user, session_user) /* %1$I */",
        ""
    )
    .works(Works::Nowhere),
    owner!("advisory_locks_at_a_success", "SELECT pg_advisory_unlock_all() /* %1$I */", "")
        .works(Works::Nowhere),
];

#[test]
fn the_database_is_as_it_was() {
    hold(&World::start(), OF_THE_DATABASE);
}

#[test]
fn the_role_is_as_it_was() {
    hold(&World::start(), OF_THE_ROLE);
}

#[test]
fn a_success_changes_the_contents_only() {
    hold(&World::start(), OF_A_RESTORE_THAT_SUCCEEDS);
}
