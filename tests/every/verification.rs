//! Verification after a restore checks every object that the archive lists, in its catalog, and no other object.
//!
//! Relatives that were tried: every kind of entry that verification lists, kept and dropped again by its own entry; constraints
//! of tables, foreign tables and domains, NOT VALID and valid; an index, the index of a constraint, and constraints of tables
//! and domains that are not valid; in place, indexes and constraints of another role that were not valid before.

use super::{Source, Way, assert_restored, by_pg_restore, fails, report, restore};
use crate::support::application::{self, APPLICATION};
use std::path::PathBuf;

/// One object of every kind that verification lists.
const EVERY_KIND: &str = "
CREATE SCHEMA s;
CREATE DOMAIN s.code AS text;
ALTER DOMAIN s.code ADD CONSTRAINT short CHECK (length(VALUE) < 5) NOT VALID;
CREATE TYPE s.mood AS ENUM ('sad');
CREATE TABLE s.t (id int CONSTRAINT t_key PRIMARY KEY, code s.code, n int);
INSERT INTO s.t SELECT i, i, i FROM generate_series(1, 9) AS i;
ALTER TABLE s.t ADD CONSTRAINT t_check CHECK (id > 100) NOT VALID;
CREATE TABLE s.u (id int, CONSTRAINT u_fk FOREIGN KEY (id) REFERENCES s.t);
CREATE INDEX t_n ON s.t (n);
CREATE SEQUENCE s.q;
CREATE VIEW s.v AS SELECT 1 AS one;
CREATE MATERIALIZED VIEW s.m AS SELECT 1 AS one;
CREATE FUNCTION s.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE s.p() LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION s.tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER tr BEFORE INSERT ON s.t FOR EACH ROW EXECUTE FUNCTION s.tf();
CREATE RULE ru AS ON DELETE TO s.t DO ALSO NOTHING;
CREATE POLICY po ON s.t USING (true);
";

/// Entries by tag and kind. Each has a statement that undoes it, or the last entry of its object.
const UNDONE: [(&str, &str, &str); 14] = [
    ("code short", "CHECK CONSTRAINT", "ALTER DOMAIN s.code DROP CONSTRAINT short"),
    ("t t_check", "CHECK CONSTRAINT", "ALTER TABLE s.t DROP CONSTRAINT t_check"),
    ("t t_key", "CONSTRAINT", "ALTER TABLE s.t RENAME CONSTRAINT t_key TO other"),
    ("u u_fk", "FK CONSTRAINT", "ALTER TABLE s.u DROP CONSTRAINT u_fk"),
    ("mood", "TYPE", "DROP TYPE s.mood"),
    ("t_n", "INDEX", "DROP INDEX s.t_n"),
    ("q", "SEQUENCE SET", "DROP SEQUENCE s.q"),
    ("v", "VIEW", "DROP VIEW s.v"),
    ("f()", "FUNCTION", "DROP FUNCTION s.f()"),
    ("p()", "PROCEDURE", "DROP PROCEDURE s.p()"),
    ("t tr", "TRIGGER", "DROP TRIGGER tr ON s.t"),
    ("t ru", "RULE", "DROP RULE ru ON s.t"),
    ("t po", "POLICY", "DROP POLICY po ON s.t"),
    ("m", "MATERIALIZED VIEW DATA", "DROP MATERIALIZED VIEW s.m"),
];

/// The script with a statement appended to this entry.
fn with_statement(script: &str, tag: &str, kind: &str, statement: &str) -> String {
    let header = format!("-- Name: {tag}; Type: {kind}; Schema: s;");
    let at = script.find(&header).unwrap_or_else(|| panic!("no {header}"));
    let end = at + script[at..].find("\n\n\n--\n").expect("an entry ends");
    format!("{}\n\n{statement};{}", &script[..end], &script[end..])
}

#[test]
fn report_28_domain_constraint_not_valid() {
    let archive = report("28-domain-constraint-not-valid/input.dump");
    assert_restored(&archive, &by_pg_restore(&archive));
}

#[test]
fn every_kind_that_is_there_is_found() {
    let source = Source::of(EVERY_KIND);
    let custom = source.dump("every.dump", &["-Fc"]);
    let expected = by_pg_restore(&custom);
    assert_restored(&custom, &expected);
    assert_restored(&source.dump("every.sql", &["-Fp"]), &expected);
}

#[test]
fn every_kind_that_is_gone_is_missed() {
    let source = Source::of(EVERY_KIND);
    let script = source.dump("every.sql", &["-Fp", "--no-owner"]);
    let text = std::fs::read_to_string(script).unwrap();
    for (tag, kind, statement) in UNDONE {
        let path: PathBuf = source.files.path().join("undone.sql");
        std::fs::write(&path, with_statement(&text, tag, kind, statement)).unwrap();
        let target = application::empty_database("undone");
        let outcome = restore(&path, &target, Way::InPlace).run().expect_status(1);
        let made = kind.trim_end_matches(" SET").trim_end_matches(" DATA");
        outcome.assert_stderr_has(&format!("{made} s.{tag} (dump ID"));
        outcome.assert_stderr_has("is missing");
    }
}

#[test]
fn what_is_not_valid_is_told_unless_the_archive_says_so() {
    let source = Source::of(
        "CREATE SCHEMA s; CREATE DOMAIN s.code AS text;
         CREATE TABLE s.t (id int CONSTRAINT t_key PRIMARY KEY, code s.code);
         INSERT INTO s.t VALUES (1, 'toolong');
         ALTER TABLE s.t ADD CONSTRAINT t_check CHECK (id > 0) NOT VALID;
         ALTER DOMAIN s.code ADD CONSTRAINT short CHECK (length(VALUE) < 5) NOT VALID;
         CREATE INDEX t_code ON s.t (code);",
    );
    let invalid = |index: &str| {
        format!(
            "UPDATE pg_catalog.pg_index SET indisvalid = false WHERE indexrelid = 's.{index}'::pg_catalog.regclass"
        )
    };
    for (tag, kind, statement, message) in [
        ("t_code", "INDEX", invalid("t_code"), "index s.t_code is not valid"),
        ("t t_key", "CONSTRAINT", invalid("t_key"), "index s.t_key is not valid"),
    ] {
        let script = source.script("invalid.sql", |text| with_statement(&text, tag, kind, &statement));
        let target = application::empty_database("invalid");
        // Only a superuser may write to the catalogs.
        let file = crate::support::pgmig::TargetFile::of(&target);
        let pgmig = crate::support::Pgmig::new().target(&file).source(&script);
        let outcome = pgmig.args(["--schema", "archive", "--keep-ids", "--force"]).run().expect_status(1);
        outcome.assert_stderr_has(message);
    }
    assert_restored(&source.dump("valid.dump", &["-Fc"]), &by_pg_restore(&source.dump("o.dump", &["-Fc"])));
}

#[test]
fn in_place_another_roles_invalid_index_and_constraint_stay() {
    let source = Source::of("CREATE TABLE t (id int PRIMARY KEY); CREATE INDEX t_id ON t (id);");
    let archive = source.dump("t.dump", &["-Fc"]);
    let target = application::empty_database("others");
    target.psql(
        "CREATE SCHEMA others; CREATE TABLE others.t (id int, code text); INSERT INTO others.t VALUES (1, 'toolong');
         CREATE INDEX t_id ON others.t (id);
         ALTER TABLE others.t ADD CONSTRAINT t_pkey CHECK (id > 5) NOT VALID;
         CREATE DOMAIN others.code AS text;
         ALTER DOMAIN others.code ADD CONSTRAINT short CHECK (length(VALUE) < 5) NOT VALID;
         UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'others.t_id'::regclass;",
    );
    restore(&archive, &target, Way::InPlace).run().expect_status(0);
    let valid = "SELECT indexrelid::regclass, indisvalid FROM pg_index WHERE indexrelid IN ('others.t_id'::regclass, 't_id'::regclass)";
    assert_eq!(target.psql(&format!("{valid} ORDER BY 1::text")), "others.t_id|f\nt_id|t\n");
}

#[test]
fn a_constraint_that_its_own_entry_makes_not_valid_is_missed() {
    let source = Source::of(
        "CREATE SCHEMA s; CREATE TABLE s.t (id int); CREATE TABLE s.p (id int PRIMARY KEY);
         ALTER TABLE s.t ADD CONSTRAINT fk FOREIGN KEY (id) REFERENCES s.p;",
    );
    let again = "ALTER TABLE s.t DROP CONSTRAINT fk; \
                 ALTER TABLE s.t ADD CONSTRAINT fk FOREIGN KEY (id) REFERENCES s.p";
    let script = source.script("fk.sql", |text| with_statement(&text, "t fk", "FK CONSTRAINT", again));
    assert_restored(&script, &by_pg_restore(&source.dump("fk.dump", &["-Fc"])));
    let gone = source.script("gone.sql", |text| {
        with_statement(&text, "t fk", "FK CONSTRAINT", "ALTER TABLE s.t DROP CONSTRAINT fk")
    });
    fails(&gone, 1, |outcome, _| outcome.assert_stderr_has("FK CONSTRAINT s.t fk (dump ID"));
}

#[test]
fn a_large_object_that_its_owner_may_not_read_is_counted() {
    let source = Source::of(&format!(
        "SELECT lo_from_bytea(1001, 'one'); SELECT lo_from_bytea(1002, 'two');
         ALTER LARGE OBJECT 1001 OWNER TO \"{APPLICATION}\"; ALTER LARGE OBJECT 1002 OWNER TO \"{APPLICATION}\";
         REVOKE ALL ON LARGE OBJECT 1001 FROM \"{APPLICATION}\""
    ));
    let archive = source.dump("closed.dump", &["-Fc"]);
    for way in super::WAYS {
        let target = application::empty_database("every");
        restore(&archive, &target, way).run().expect_status(0);
        let found = "SELECT encode(lo_get(oid), 'escape'), lomacl FROM pg_largeobject_metadata ORDER BY oid";
        assert_eq!(target.psql(found), source.database.psql(found), "{way:?}");
    }
}
