//! Roles and databases of others that have our names and our marks, and code of the archive that opens a way in for later.

use crate::hostile::world::{APP, ATTACKER, OTHER, Setting, World};
use crate::support::Database;
use crate::support::untouched::databases_beside;
use std::path::PathBuf;

const FORGED: &str = "pgmig_0123456789abcdef";

/// An archive of the attacker's database with this in it.
fn archive(world: &World, sql: &str) -> PathBuf {
    let source = world.source();
    world.psql_as(ATTACKER, &source, sql);
    let path = world.directory.path().join("strangers.dump");
    source.dump_through_pipe(&[], &path);
    path
}

#[test]
fn a_role_with_our_name_and_our_mark_is_not_removed() {
    let world = World::start();
    let (target, own) = (world.target(), world.source());
    world.server.psql("postgres", &format!("ALTER ROLE {ATTACKER} CREATEROLE"));
    let mark =
        format!(r#"pgmig-role-1 {{"run":"0123456789abcdef0123456789abcdef","target":"{}"}}"#, target.name);
    world.psql_as(
        ATTACKER,
        &own,
        &format!(
            "CREATE ROLE {FORGED}; COMMENT ON ROLE {FORGED} IS '{mark}'; GRANT {FORGED} TO {ATTACKER};
             GRANT ALL ON SCHEMA public TO {FORGED}; SET ROLE {FORGED};
             CREATE FUNCTION public.taken() RETURNS text SECURITY DEFINER LANGUAGE sql AS 'SELECT current_user::text'"
        ),
    );
    let archive = archive(&world, "CREATE TABLE public.t (id integer)");
    world.restore(Setting::SwapAsSuperuser, &target, &archive).run().expect_status(0);
    assert_eq!(own.psql("SELECT public.taken()"), format!("{FORGED}\n"));
}

#[test]
fn a_staging_database_of_a_stranger_is_not_gone_on_with() {
    let world = World::start();
    let target = world.target();
    let archive = archive(&world, "CREATE TABLE public.t (id integer); INSERT INTO public.t VALUES (1)");
    let restore = || world.restore(Setting::SwapAsSuperuser, &target, &archive);
    restore().arg("--keep-staging").failpoint("swap").run().expect_status(1);
    let staging = databases_beside(&target).trim_end().to_owned();
    let comment = world.server.psql(
        "postgres",
        &format!("SELECT quote_literal(shobj_description(oid, 'pg_database')) FROM pg_database WHERE datname = '{staging}'"),
    );
    assert!(comment.contains("built"), "{comment}");
    world
        .server
        .psql("postgres", &format!("DROP DATABASE {staging} WITH (FORCE); ALTER ROLE {OTHER} CREATEDB"));
    let maintenance = Database::shared(&world.server, "postgres");
    world.psql_as(
        OTHER,
        &maintenance,
        &format!("CREATE DATABASE {staging};\nCOMMENT ON DATABASE {staging} IS {comment}"),
    );
    let before = target.dump(&[]);
    let outcome = restore().arg("--resume").run().expect_status(3);
    outcome.assert_stderr_has(&staging);
    assert_eq!(target.dump(&[]), before);
    // In place nobody needs the name.
    world.restore(Setting::InPlaceAsSuperuser, &target, &archive).run().expect_status(0);
    assert_eq!(databases_beside(&target), format!("{staging}\n"));
}

/// Code that does this in the restore, and nothing where it fails.
fn code(sql: &str) -> String {
    format!(
        "CREATE FUNCTION public.opens() RETURNS boolean LANGUAGE plpgsql AS $$
         DECLARE me text := session_user;
         BEGIN {sql} RETURN true; EXCEPTION WHEN OTHERS THEN RETURN true; END $$;
         CREATE TABLE public.t (id integer CHECK (public.opens())); INSERT INTO public.t VALUES (1)"
    )
}

#[test]
fn a_password_that_code_gave_to_the_temporary_role_is_noticed() {
    let world = World::start();
    let target = world.target();
    let sql = format!(
        "EXECUTE 'SET ROLE NONE'; EXECUTE format('ALTER ROLE %I PASSWORD ''known''', me); EXECUTE 'SET ROLE {APP}';"
    );
    let archive = archive(&world, &code(&sql));
    let (before, cluster) = (target.dump(&[]), world.cluster());
    let outcome = world.restore(Setting::SwapAsSuperuser, &target, &archive).run().expect_status(1);
    outcome.assert_stderr_has("the password of the temporary role pgmig_");
    assert_eq!((target.dump(&[]), world.cluster()), (before, cluster));
    assert_eq!(databases_beside(&target), "");
}

#[test]
fn a_membership_that_code_granted_is_noticed() {
    let world = World::start();
    let target = world.target();
    world.server.psql("postgres", &format!("CREATE ROLE grp; GRANT grp TO {APP} WITH ADMIN OPTION"));
    let archive = archive(&world, &code(&format!("EXECUTE 'GRANT grp TO {ATTACKER}';")));
    // In place it is rolled back.
    for setting in [Setting::InPlaceAsSuperuser, Setting::SwapAsSuperuser] {
        let before = target.dump(&[]);
        let outcome = world.restore(setting, &target, &archive).run().expect_status(1);
        outcome.assert_stderr_has("membership");
        assert_eq!(target.dump(&[]), before);
    }
}
