//! `--schema target`: the target's own code (triggers, defaults, constraints, sequences, views) and the archive's rows.

use crate::support::Server;
use crate::support::pgmig::TargetFile;
use crate::support::role::create_role;
use crate::support::two_schemas::{TwoSchemas, restore_with};
use crate::support::untouched::Before;

#[test]
fn triggers_and_defaults_run_as_the_owner() {
    const OWNER: &str = "owner_of_code";
    let server = Server::of_this_run();
    create_role(&server, OWNER);
    let stores = TwoSchemas::new(
        "CREATE TABLE a (id integer); CREATE TABLE b (id integer, gone integer);
         INSERT INTO a VALUES (1); INSERT INTO b VALUES (1, 1)",
        "CREATE TABLE a (id integer, who text DEFAULT current_user, by text);
         CREATE TABLE b (id integer, who text DEFAULT current_user, by text);
         CREATE FUNCTION sign() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.by := current_user; RETURN NEW; END';
         CREATE TRIGGER signed BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION sign();
         CREATE TRIGGER signed BEFORE INSERT ON b FOR EACH ROW EXECUTE FUNCTION sign();",
    );
    let both = "SELECT who, by FROM a UNION ALL SELECT who, by FROM b";
    let mut file = TargetFile::of(&stores.target);
    let rules = "target_schema: {drop: [{table: b, column: gone}]}\n";
    // Only the superuser can load rows into tables of the superuser. pgmig reports it.
    file.username = OWNER.to_owned();
    let before = Before::of(&stores.target);
    let refused = restore_with(&file, rules).source(&stores.archive()).run().expect_status(3);
    before.is_now(refused.stderr_has("or give a superuser as su_username, and --trust-archive"));
    let restore = restore_with(&file, rules).source(&stores.archive()).arg("--trust-archive");
    let outcome = restore.run().expect_status(0);
    outcome.stderr_has("these tables do not belong to username owner_of_code");
    let superuser = &server.superuser;
    assert_eq!(stores.target.psql(both), format!("{superuser}|{superuser}\n").repeat(2));

    stores.target.psql(&format!(
        "GRANT USAGE ON SCHEMA public TO {OWNER}; ALTER TABLE a OWNER TO {OWNER}; ALTER TABLE b OWNER TO {OWNER};
         ALTER TABLE a ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY none ON a USING (false)"
    ));
    let schema = stores.target.dump(&["-s"]);
    restore_with(&file, rules).source(&stores.archive()).run().expect_status(0);
    assert_eq!(stores.target.psql(both), format!("{OWNER}|{OWNER}\n").repeat(2));
    assert!(schema == stores.target.dump(&["-s"]), "pg_dump -s of the target has changed");
}

/// A trigger of the target that counts the rows of another table.
const COUNTING: &str = "
    CREATE TABLE a (id integer, others bigint); CREATE TABLE b (id integer);
    CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql
        AS $$ BEGIN NEW.others := (SELECT count(*) FROM public.b); RETURN NEW; END $$;
    CREATE TRIGGER look BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION look();
";

#[test]
fn a_stream_warns_that_triggers_fire_in_the_archives_order() {
    let stores = TwoSchemas::new(
        "CREATE TABLE a (id integer); CREATE TABLE b (id integer);
         INSERT INTO a VALUES (1); INSERT INTO b VALUES (1), (2)",
        COUNTING,
    );
    let before = Before::of(&stores.target);
    let outcome = stores.restore_stream("").arg("--strict").run().expect_status(4);
    before.is_now(outcome.stderr_has("in the archive's order").stderr_has("look of public.a"));
    stores.restore("").arg("--strict").run().expect_status(0);
    assert_eq!(stores.target.psql("SELECT others FROM a"), "2\n");
}

#[test]
fn triggers_may_fill_a_table_that_the_archive_fills_too() {
    let tables =
        "CREATE TABLE audit (id serial PRIMARY KEY, word text); CREATE TABLE a (id serial, word text);";
    let stores = TwoSchemas::new(
        &format!(
            "{tables} INSERT INTO audit (word) SELECT 'old' FROM generate_series(1, 5); INSERT INTO a (word) VALUES ('x')"
        ),
        &format!(
            "{tables} CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql
             AS $$ BEGIN INSERT INTO public.audit (word) VALUES ('new'); RETURN NULL; END $$;
             CREATE TRIGGER noted AFTER INSERT ON a FOR EACH ROW EXECUTE FUNCTION note()"
        ),
    );
    stores.restore("").run().expect_status(0);
    assert_eq!(
        stores.target.psql("SELECT word, count(*), max(id) FROM audit GROUP BY 1 ORDER BY 3"),
        "old|5|5\nnew|1|6\n"
    );
    assert_eq!(stores.target.psql("SELECT nextval('audit_id_seq')"), "7\n");
}

#[test]
fn foreign_keys_that_are_not_valid_hold_for_loaded_rows() {
    let tables = "CREATE TABLE p (id integer PRIMARY KEY); CREATE TABLE c (id integer);";
    let key = "ALTER TABLE c ADD CONSTRAINT c_p FOREIGN KEY (id) REFERENCES p NOT VALID;";
    let stores = TwoSchemas::new(&format!("{tables} INSERT INTO c VALUES (5)"), &format!("{tables}{key}"));
    let before = Before::of(&stores.target);
    let outcome = stores.restore("").run().expect_status(1);
    before.is_now(outcome.stderr_has("foreign key c_p of table public.c"));
    // If the constraint is NOT VALID in the archive, too, rows may violate it.
    let excused =
        TwoSchemas::new(&format!("{tables} INSERT INTO c VALUES (5); {key}"), &format!("{tables}{key}"));
    excused.restore("").run().expect_status(0);
    assert_eq!(excused.target.psql("SELECT convalidated FROM pg_constraint WHERE conname = 'c_p'"), "f\n");
}

#[test]
fn triggers_of_foreign_keys_stay_as_they_are() {
    let tables = "CREATE TABLE p (id integer PRIMARY KEY); CREATE TABLE c (id integer REFERENCES p);";
    let stores = TwoSchemas::new(
        &format!("{tables} INSERT INTO p VALUES (5); INSERT INTO c VALUES (5)"),
        &format!("{tables} ALTER TABLE c DISABLE TRIGGER ALL"),
    );
    let states = "SELECT tgrelid::regclass, tgfoid::regproc, tgenabled FROM pg_trigger ORDER BY 1, 2";
    let before = stores.target.psql(states);
    assert!(before.contains("|D") && before.contains("|O"), "{before}");
    stores.restore("").run().expect_status(0);
    assert_eq!(stores.target.psql(states), before);
}

#[test]
fn sequences_follow_renamed_tables_and_fill_columns_of_any_number() {
    let stores = TwoSchemas::new(
        "CREATE TABLE film (id serial, word text); INSERT INTO film (word) VALUES ('a'), ('b'); DELETE FROM film WHERE id = 2;
         CREATE TABLE other (id integer GENERATED ALWAYS AS IDENTITY); SELECT setval('other_id_seq', 40);
         CREATE TABLE d (id numeric, e bigint); INSERT INTO d VALUES (50, 9)",
        "CREATE TABLE movie (id bigint GENERATED ALWAYS AS IDENTITY, word text);
         CREATE TABLE another (id bigserial);
         CREATE SEQUENCE sd; CREATE SEQUENCE se; CREATE DOMAIN big AS bigint; CREATE DOMAIN bigger AS big;
         CREATE TABLE d (id numeric DEFAULT nextval('sd'), e bigger DEFAULT nextval('se'))",
    );
    let rules = "target_schema: {rename: [{table: film, to: movie}, {table: other, to: another}]}\n";
    let outcome = stores.restore(rules).run().expect_status(0);
    assert!(!outcome.stderr.contains("no such sequences"), "{outcome}");
    let next = "SELECT nextval('movie_id_seq'), nextval('another_id_seq'), nextval('sd'), nextval('se')";
    assert_eq!(stores.target.psql(next), "3|41|51|10\n");
}

#[test]
fn materialized_views_are_filled_as_the_target_fills_them() {
    const OWNER: &str = "owner_of_views";
    let server = Server::of_this_run();
    create_role(&server, OWNER);
    let stores = TwoSchemas::new(
        "CREATE TABLE a (id integer); INSERT INTO a VALUES (1), (2)",
        &format!(
            "GRANT CREATE ON SCHEMA public TO {OWNER}; SET ROLE {OWNER};
             CREATE TABLE a (id integer);
             CREATE FUNCTION counted() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM public.a); END';
             CREATE MATERIALIZED VIEW m AS SELECT counted() AS n;
             ALTER TABLE a ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY none ON a USING (false)"
        ),
    );
    let mut file = TargetFile::of(&stores.target);
    file.username = OWNER.to_owned();
    let schema = stores.target.dump(&["-s"]);
    restore_with(&file, "").source(&stores.archive()).run().expect_status(0);
    assert_eq!(stores.target.psql("SELECT n FROM m"), "2\n");
    assert!(schema == stores.target.dump(&["-s"]), "pg_dump -s of the target has changed");
}
