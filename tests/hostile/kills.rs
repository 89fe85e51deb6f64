//! Kills pgmig at each step, or stops it while code of the archive sleeps. After the next run at the latest, nothing is
//! left behind, not even a role.

use super::world::{ATTACKER, Setting, World};
use crate::support::session::wait_until;
use crate::support::untouched::databases_beside;
use pgmig_core::progress::Step;
use std::path::PathBuf;

/// An archive with entries for every step.
fn archive(world: &World) -> PathBuf {
    let source = world.source();
    world.psql_as(
        ATTACKER,
        &source,
        "CREATE TABLE public.t (id integer PRIMARY KEY, note text); INSERT INTO public.t SELECT n, 'x' FROM generate_series(1, 500) n;
         SELECT lo_from_bytea(4242, decode(repeat('00ff5c', 10000), 'hex')); CREATE INDEX ON public.t (note);
         CREATE MATERIALIZED VIEW public.m AS SELECT count(*) FROM public.t; GRANT SELECT ON public.t TO PUBLIC;",
    );
    let path = world.directory.path().join("killed.dump");
    source.dump_through_pipe(&[], &path);
    path
}

/// Checks that no step of `--schema archive` by this strategy is left out.
fn steps(setting: Setting) -> Vec<Step> {
    let only_of_a_swap =
        [Step::CreateStaging, Step::CarryOver, Step::Swap, Step::Swapped, Step::DropPrevious];
    let only_in_place = [Step::Clear, Step::Commit];
    let others: &[Step] = if setting.is_swap() { &only_in_place } else { &only_of_a_swap };
    // There is no upgrade with `--schema archive`.
    Step::ALL.into_iter().filter(|step| !others.contains(step) && *step != Step::Upgrade).collect()
}

fn killed_and_run_again(setting: Setting) {
    let world = World::start();
    let archive = archive(&world);
    let mut wrong = Vec::new();
    for step in steps(setting) {
        let target = world.target();
        let before = world.cluster();
        let killed = world.restore(setting, &target, &archive).failpoint(&format!("{step}:kill")).run();
        let _ = killed.expect_killed();
        let again = world.restore(setting, &target, &archive).run();
        if again.status.code() != Some(0) {
            wrong.push(format!("{step}: the next run fails: {again}"));
        }
        let left = databases_beside(&target);
        if !left.is_empty() {
            wrong.push(format!("{step}: left behind: {left}"));
        }
        let after = world.cluster();
        if after != before {
            wrong.push(format!("{step}: {}", super::vector::lines_that_differ(&before, &after)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn killed_swapping_as_superuser() {
    killed_and_run_again(Setting::SwapAsSuperuser);
}

#[test]
fn killed_in_place_as_superuser() {
    killed_and_run_again(Setting::InPlaceAsSuperuser);
}

/// Code that sleeps for ever ends when the operator stops pgmig.
#[test]
fn code_that_sleeps_is_interrupted() {
    let world = World::start();
    let source = world.source();
    world.psql_as(
        ATTACKER,
        &source,
        "CREATE FUNCTION public.f(integer) RETURNS boolean LANGUAGE sql AS 'SELECT true';
         CREATE TABLE public.t (id integer CHECK (public.f(id))); INSERT INTO public.t VALUES (1);
         CREATE OR REPLACE FUNCTION public.f(integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
             LOOP BEGIN PERFORM pg_sleep(3600); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; RETURN true; END $$;",
    );
    let archive = world.directory.path().join("sleeps.dump");
    source.dump_through_pipe(&[], &archive);
    for setting in Setting::ALL {
        let target = world.target();
        let (before, dump) = (world.cluster(), target.dump(&["--create"]));
        let running = world.restore(*setting, &target, &archive).spawn();
        let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        wait_until(|| world.server.psql("postgres", sleeping) == "1\n");
        running.signal("TERM");
        let outcome = running.wait().expect_status(130);
        assert_eq!(world.cluster(), before, "{}\n{outcome}", setting.name());
        assert!(target.dump(&["--create"]) == dump, "{}: the target has changed", setting.name());
    }
}

/// A role whose name only resembles those of pgmig stays, with the objects that it owns.
#[test]
fn a_role_that_is_called_like_ours_stays() {
    let world = World::start();
    let archive = archive(&world);
    world.server.psql(
        "postgres",
        "CREATE ROLE pgmig_keep; CREATE ROLE \"pgmig_00000000\"; COMMENT ON ROLE pgmig_keep IS 'pgmig'",
    );
    for setting in Setting::ALL {
        let target = world.target();
        let before = world.cluster();
        let _ = world.restore(*setting, &target, &archive).run().expect_status(0);
        assert_eq!(world.cluster(), before, "{}", setting.name());
    }
}
