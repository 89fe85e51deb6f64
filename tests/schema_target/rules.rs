//! `--schema target`: rules of a profile that are mistyped, contradict each other, or are not SQL; and rules that help.

use crate::support::two_schemas::TwoSchemas;
use crate::support::untouched::Before;

fn films() -> TwoSchemas {
    TwoSchemas::new(
        "CREATE TABLE film (id integer, len integer, note text); INSERT INTO film VALUES (1, 90, 'n'), (2, NULL, 'o');
         CREATE TABLE setting (name text); INSERT INTO setting VALUES ('theirs')",
        "CREATE TABLE movie (id integer, len interval, note text, cur text NOT NULL, twice integer GENERATED ALWAYS AS (id * 2) STORED);
         CREATE TABLE setting (name text); INSERT INTO setting VALUES ('ours');
         CREATE TABLE seed (id integer); INSERT INTO seed VALUES (1), (2); CREATE VIEW people AS SELECT 1 AS emp",
    )
}

const RENAME: &str = "target_schema:\n  rename:\n    - {table: film, to: movie}\n";
const CAST: &str = "  cast:\n    - {table: film, column: len, using: \"len * interval '1 minute'\"}\n";
const DEFAULT: &str = "  default:\n    - {table: movie, column: cur, value: \"'EUR'\"}\n";

#[test]
fn rules_that_match_nothing_are_told() {
    let stores = films();
    let rules = format!(
        "{RENAME}    - {{table: films, to: cinema}}\n    - {{table: film, column: length, to: len}}\n  drop:\n    \
         - {{table: old}}\n{CAST}    - {{table: film, column: lenght, using: '1'}}\n{DEFAULT}    \
         - {{table: film, column: cur, value: '1'}}\n"
    );
    let before = Before::of(&stores.target);
    let outcome = stores.restore(&rules).arg("--strict").run().expect_status(4);
    for text in [
        "rename: films: the archive has no such table",
        "rename: film.length: the archive has no such column",
        "drop: old: the archive has no such table",
        "cast: film.lenght: the archive has no such column",
        "default: film.cur: the target has no such column; the target calls the table public.movie",
    ] {
        outcome.assert_stderr_has(text);
    }
    before.is_now(outcome);
    let mistyped = format!("global_tables: [{{table: settings}}]\n{RENAME}{CAST}{DEFAULT}");
    stores.is_refused(
        &mistyped,
        &["global_tables: settings: neither the target nor the archive has such a table"],
    );
}

#[test]
fn rules_that_contradict_each_other_are_refused() {
    let stores = films();
    let rules = format!(
        "global_tables: [{{table: setting}}]\n{RENAME}    - {{table: film, to: cinema}}\n    \
         - {{table: film, column: note, to: id}}\n  drop:\n    - {{table: setting}}\n{CAST}    \
         - {{table: film, column: len, using: '1'}}\n{DEFAULT}    - {{table: movie, column: twice, value: '1'}}\n"
    );
    let texts = [
        "rename: film: there is another rule for it",
        "global_tables: setting: there is another rule for it",
        "cast: film.len: there is another rule for it",
        "default: movie.twice: the target computes that column",
    ];
    stores.is_refused(&rules, &texts);
    let two = format!("{RENAME}    - {{table: film, column: note, to: id}}\n{CAST}{DEFAULT}");
    stores.is_refused(&two, &["column public.film.note", "another column of the archive goes there, too"]);
}

#[test]
fn rules_that_lead_nowhere_are_named() {
    let stores = films();
    let rename = "target_schema: {rename: [{table: film, to: people}]}\n";
    stores.is_refused(rename, &["the profile renames it to public.people, which is no table of the target"]);
    let column = format!("{RENAME}    - {{table: film, column: note, to: remark}}\n{CAST}{DEFAULT}");
    stores.is_refused(
        &column,
        &["the profile renames it to remark, which table public.movie of the target does not have"],
    );
}

#[test]
fn expressions_are_checked_before_anything_is_done() {
    let stores = films();
    for (value, reason) in [
        ("EUR", "column \"eur\" does not exist"),
        ("'EUR'); DROP TABLE film; --", "a parenthesis is closed too many"),
        ("'EUR' -- euros", "a comment cannot be a part of it"),
        ("count(*)", "aggregate functions are not allowed"),
        ("generate_series(1, 2)::text", "set-returning functions are not allowed"),
        ("now() + now()", "42883"),
    ] {
        let default = format!("  default:\n    - {{table: movie, column: cur, value: {value:?}}}\n");
        let texts =
            ["rules of the profile cannot be followed", "default for column public.movie.cur", reason];
        stores.is_refused(&format!("{RENAME}{CAST}{default}"), &texts);
    }
    let cast = CAST.replace("len *", "length *");
    stores.is_refused(
        &format!("{RENAME}{cast}{DEFAULT}"),
        &["cast for column public.movie.len", "\"length\" does not exist"],
    );
}

#[test]
fn rows_of_tables_that_only_the_target_has_are_warned_of() {
    let stores = films();
    let rules = format!("{RENAME}{CAST}{DEFAULT}");
    let shown = stores.restore(&rules).arg("--dry-run").run().expect_status(0);
    shown.stdout_has(
        "table public.seed is only in the target: its 2 rows are erased; global_tables: {table: seed}",
    );
    let kept = format!("global_tables: [{{table: seed}}, {{table: setting}}]\n{rules}");
    let shown = stores.restore(&kept).arg("--dry-run").run().expect_status(0);
    // Rows that a table keeps are not erased, so the operator need not allow it.
    shown.stdout_has("nothing: it holds no rows and no large objects");
    stores.restore(&kept).run().expect_status(0);
    assert_eq!(stores.target.psql("SELECT id, len, cur FROM movie ORDER BY 1"), "1|01:30:00|EUR\n2||EUR\n");
    assert_eq!(stores.target.psql("SELECT name FROM setting; SELECT count(*) FROM seed"), "ours\n2\n");
}

#[test]
fn what_a_rule_drops_is_not_said_to_be_missing() {
    let parts =
        "CREATE TABLE p (id integer) PARTITION BY LIST (id); CREATE TABLE p_1 PARTITION OF p DEFAULT;";
    let stores = TwoSchemas::new(
        &format!(
            "{parts} CREATE TABLE q (id integer, twice integer); INSERT INTO q VALUES (1, 5); INSERT INTO p VALUES (1)"
        ),
        "CREATE TABLE q (id integer, twice integer GENERATED ALWAYS AS (id * 2) STORED)",
    );
    let rules = "target_schema: {drop: [{table: p}, {table: q, column: twice}]}\n";
    let outcome = stores.restore(rules).run().expect_status(0);
    let outcome = outcome.stdout_has("the profile leaves it out").stdout_has("its values are not loaded");
    assert!(!outcome.stdout.contains("the target has no such column"), "{outcome}");
    assert_eq!(stores.target.psql("SELECT * FROM q"), "1|2\n");
}

#[test]
fn partitions_of_the_same_name_are_no_difference() {
    let parts =
        "CREATE TABLE p (id integer) PARTITION BY LIST (id); CREATE TABLE p_1 PARTITION OF p DEFAULT;";
    let stores = TwoSchemas::new(&format!("{parts} INSERT INTO p VALUES (1)"), parts);
    let outcome = stores.restore("").run().expect_status(0);
    assert!(!outcome.stdout.contains("Differences"), "{outcome}");
}

#[test]
fn a_trigger_that_refuses_a_row_is_named() {
    let stores = TwoSchemas::new(
        "CREATE TABLE a (id integer, word text); INSERT INTO a VALUES (1, 'r0w-v4lue')",
        "CREATE TABLE a (id integer, word text);
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no: %', NEW.word; END $$;
         CREATE TRIGGER refusing BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION refuse()",
    );
    let before = Before::of(&stores.target);
    let outcome = stores.restore("").run().expect_status(1);
    before.is_now(outcome.stderr_has("in function").stderr_has("refuse()").stderr_has("P0001"));
}

#[test]
fn a_migration_tools_lock_in_the_target_is_warned_of() {
    let lock = "CREATE TABLE databasechangeloglock (id integer, locked boolean, lockgranted timestamp, lockedby text);";
    let stores = TwoSchemas::new(
        "CREATE TABLE a (id integer)",
        &format!(
            "CREATE TABLE a (id integer); {lock} INSERT INTO databasechangeloglock VALUES (1, true, now(), 'pod')"
        ),
    );
    let outcome = stores.restore("").arg("--dry-run").run().expect_status(0);
    outcome.stdout_has("a migration tool holds its lock in public.databasechangeloglock of the target");
}
