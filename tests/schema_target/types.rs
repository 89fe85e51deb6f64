//! `--schema target`: values of one type in columns of another, and types that differ from their name.

use crate::support::two_schemas::TwoSchemas;
use crate::support::untouched::Before;

const RULES: &str = "target_schema:\n  cast:\n";

#[test]
fn what_would_be_rounded_or_cut_takes_a_rule() {
    let stores = TwoSchemas::new(
        "CREATE TABLE n (a numeric(10,4), b timestamptz, c float8, d text, e interval, f varchar(20), g bigint);
         INSERT INTO n VALUES (1.2345, '2024-01-01 10:11:12.9876+00', 0.123456789, 'word', '1 day 02:03:04.5', 'abc', 7)",
        "CREATE TABLE n (a numeric(10,2), b timestamptz(0), c float4, d name, e interval day to minute, f varchar(5), g integer)",
    );
    let refused = [
        "column public.n.a: numeric(10,4) in the archive, numeric(10,2) in the target; it would lose decimal places",
        "column public.n.b: timestamp with time zone in the archive, timestamp(0) with time zone in the target",
        "fractions of a second",
        "column public.n.c: double precision in the archive, real in the target; it would lose digits",
        "column public.n.d: text in the archive, name in the target",
        "column public.n.e: interval in the archive, interval day to minute in the target",
        "{table: n, column: a, using: \"a\"}",
    ];
    let outcome = stores.is_refused("", &refused);
    assert!(!outcome.stderr.contains("public.n.f") && !outcome.stderr.contains("public.n.g"), "{outcome}");
    let rules: String = ["a", "b", "c", "d", "e"]
        .map(|column| format!("    - {{table: n, column: {column}, using: {column}}}\n"))
        .concat();
    let outcome = stores.restore(&format!("{RULES}{rules}")).run().expect_status(0);
    outcome.stdout_has("one that does not fit stops the restore");
    assert_eq!(stores.target.psql("SELECT a, d, e, f, g FROM n"), "1.23|word|1 day 02:03:00|abc|7\n");
}

#[test]
fn a_dry_run_shows_what_is_refused_among_all_differences() {
    let stores = TwoSchemas::new(
        "CREATE TABLE n (a numeric, gone integer)",
        "CREATE TABLE n (a numeric(10,2), new text); CREATE TABLE novelty (id integer)",
    );
    let before = Before::of(&stores.target);
    let outcome = before.is_now(stores.restore("").arg("--dry-run").run().expect_status(3));
    for text in
        ["public.n.gone", "public.n.new", "it stays NULL", "public.novelty", "it would lose decimal places"]
    {
        assert!(outcome.stdout.contains(text), "the plan does not say {text:?}\n{outcome}");
    }
    let outcome = stores.restore("").args(["--dry-run", "--output", "json"]).run().expect_status(3);
    assert!(outcome.stdout.contains("\"refused\""), "{outcome}");
}

#[test]
fn times_are_in_the_targets_zone() {
    let stores = TwoSchemas::new(
        "CREATE TABLE a (at timestamptz, ts timestamp, day date); INSERT INTO a VALUES ('2024-06-01 12:00+00', '2024-06-01 12:00', '2024-06-01')",
        "CREATE TABLE a (at timestamp, ts timestamptz, day timestamptz)",
    );
    stores.target.psql(&format!("ALTER DATABASE {} SET timezone = 'America/New_York'", stores.target.name));
    let outcome = stores.restore("").run().expect_status(0);
    outcome.stdout_has("in time zone America/New_York");
    let utc = "SET timezone = 'UTC'; SELECT at, ts, day FROM a";
    assert_eq!(
        stores.target.psql(utc),
        "2024-06-01 08:00:00|2024-06-01 16:00:00+00|2024-06-01 04:00:00+00\n"
    );
}

#[test]
fn types_of_users_are_compared_and_rules_help() {
    let stores = TwoSchemas::new(
        "CREATE TYPE mood AS ENUM ('good', 'bad', 'so'); CREATE TYPE pair AS (x integer, y text);
         CREATE DOMAIN positive AS integer; CREATE DOMAIN loose AS integer; CREATE DOMAIN kept AS integer CHECK (VALUE > 0);
         CREATE TABLE a (id integer, mood mood, moods mood[], pair pair, p positive, l loose, k kept);
         INSERT INTO a VALUES (1, 'so', '{good,so}', '(1,b)', -1, NULL, 1)",
        "CREATE TYPE mood AS ENUM ('bad', 'good'); CREATE TYPE pair AS (y text, x text);
         CREATE DOMAIN positive AS integer CHECK (VALUE > 0); CREATE DOMAIN loose AS integer NOT NULL;
         CREATE DOMAIN kept AS integer CHECK (VALUE > 0);
         CREATE TABLE a (id integer, mood mood, moods mood[], pair pair, p positive, l loose, k kept)",
    );
    let refused = [
        "column public.a.mood: type public.mood: it lacks 'so' in the target",
        "column public.a.moods: type public.mood: it lacks 'so' in the target",
        "column public.a.pair: type public.pair: it is (x integer, y text) in the archive, (y text, x text) in the target",
    ];
    let outcome = stores.is_refused("", &refused);
    assert!(!outcome.stderr.contains("public.a.k"), "{outcome}");
    let rules = format!(
        "{RULES}    - {{table: a, column: mood, using: \"replace(mood, 'so', 'bad')::mood\"}}
    - {{table: a, column: moods, using: \"replace(moods, 'so', 'bad')::mood[]\"}}
    - {{table: a, column: pair, using: pair::pair}}
    - {{table: a, column: p, using: abs(p)}}
  default:
    - {{table: a, column: l, value: '7'}}\n"
    );
    stores.restore(&rules).run().expect_status(0);
    assert_eq!(
        stores.target.psql("SELECT mood, moods, pair, p, l, k FROM a"),
        "bad|{good,bad}|(1,b)|1|7|1\n"
    );
}

#[test]
fn a_column_that_may_no_longer_be_null() {
    let stores = TwoSchemas::new(
        "CREATE TABLE a (id integer, word text); INSERT INTO a VALUES (1, NULL)",
        "CREATE TABLE a (id integer, word text NOT NULL DEFAULT 'd')",
    );
    let text = "it may be NULL in the archive, and not in the target";
    let shown = stores.restore("").arg("--dry-run").run().expect_status(0);
    shown.stdout_has(text).stdout_has("default: {table: a, column: word, value: ...}");
    let before = Before::of(&stores.target);
    before.is_now(stores.restore("").run().expect_status(1).stderr_has("23502"));
    let rule = "target_schema: {default: [{table: a, column: word, value: \"'x'\"}]}\n";
    let outcome = stores.restore(rule).run().expect_status(0);
    assert!(!outcome.stdout.contains(text), "{outcome}");
    assert_eq!(stores.target.psql("SELECT word FROM a"), "x\n");
}

#[test]
fn tables_without_columns() {
    let stores = TwoSchemas::new(
        "CREATE TABLE z (); INSERT INTO z DEFAULT VALUES; INSERT INTO z DEFAULT VALUES; CREATE TABLE e ()",
        "CREATE TABLE z (id integer DEFAULT 7); CREATE TABLE e ()",
    );
    stores.restore("").run().expect_status(0);
    assert_eq!(stores.target.psql("SELECT id, count(*) FROM z GROUP BY 1"), "7|2\n");
}
