//! The statements of a superuser's sessions in a whole restore. They are pgmig's own and touch no object of a user.

use super::world::{ATTACKER, Setting, World};
use crate::support::Outcome;
use std::path::Path;

/// Part of every name in the archive and in the target.
const OF_A_USER: &str = "zz_of_a_user";

/// The statements that the superuser has sent since the log had this length, except those of the test.
fn said(world: &World, log: &Path, from: usize) -> Vec<String> {
    let text = std::fs::read(log).expect("the log is there");
    let text = String::from_utf8_lossy(&text[from..]).into_owned();
    let marked = format!("{}|pgmig", world.server.superuser);
    let is_statement = |line: &&str| line.starts_with(&marked) && !line.contains(": DETAIL:  parameters:");
    text.split("\n@").filter(is_statement).map(str::to_owned).collect()
}

/// A statement without its literals, because literals may contain a user's names.
fn without_literals(statement: &str) -> String {
    statement.split('\'').step_by(2).collect()
}

fn of_a_user(world: &World, setting: Setting) -> Vec<String> {
    let source = world.source();
    world.psql_as(
        ATTACKER,
        &source,
        "CREATE SCHEMA zz_of_a_user; CREATE TYPE zz_of_a_user.e AS ENUM ('a');
         CREATE TABLE zz_of_a_user.t (id integer PRIMARY KEY, zz_of_a_user zz_of_a_user.e);
         INSERT INTO zz_of_a_user.t VALUES (1, 'a'); CREATE INDEX ON zz_of_a_user.t (zz_of_a_user);
         CREATE FUNCTION zz_of_a_user.f() RETURNS integer LANGUAGE sql AS 'SELECT 1';
         CREATE MATERIALIZED VIEW zz_of_a_user.m AS SELECT zz_of_a_user.f();
         CREATE TABLE zz_of_a_user.databasechangeloglock (id integer, locked boolean, lockedby text);
         INSERT INTO zz_of_a_user.databasechangeloglock VALUES (1, true, 'x');
         COMMENT ON TABLE zz_of_a_user.t IS 'x'; GRANT SELECT ON zz_of_a_user.t TO PUBLIC;",
    );
    let archive = world.directory.path().join("user.dump");
    source.dump_through_pipe(&[], &archive);
    let target = world.target();
    target.psql("SET ROLE app; CREATE SCHEMA zz_of_a_user; CREATE TABLE zz_of_a_user.flyway_schema_history (version text);
                 INSERT INTO zz_of_a_user.flyway_schema_history VALUES ('1')");
    let log = world.server.data.with_file_name("server.log");
    let from = std::fs::read(&log).expect("there is a log").len();
    let dry: Outcome = world.restore(setting, &target, &archive).arg("--dry-run").run();
    let _ = dry.expect_status(0);
    let _ = world.restore(setting, &target, &archive).run().expect_status(0);
    let all = said(world, &log, from);
    assert!(all.len() > 5, "the superuser's statements are in the log: {all:?}");
    all.into_iter().filter(|statement| without_literals(statement).contains(OF_A_USER)).collect()
}

/// No statement of a superuser's session names an object of a user.
#[test]
fn a_superuser_says_only_what_is_ours() {
    let world = World::start_with(
        "log_statement = 'all'\nlog_line_prefix = '@%u|%a|%d|%p: '\nlog_min_duration_statement = -1",
    );
    let mut wrong = Vec::new();
    for setting in [Setting::SwapAsSuperuser, Setting::InPlaceAsSuperuser] {
        let named = of_a_user(&world, setting);
        wrong.extend(named.into_iter().map(|statement| format!("{}: {statement}", setting.name())));
    }
    assert!(wrong.is_empty(), "{} statements\n{}", wrong.len(), wrong.join("\n"));
}
