//! Plain scripts in which only the order says what a comment is about.
//!
//! Relatives that were tried, here or in `RELATIVES`: comments on keys, unique, foreign key, exclusion and CHECK constraints
//! (also NOT VALID, in the table's definition, of a domain), on triggers (of tables, of views), event triggers, rules,
//! policies (also of a role that is missing), indexes (also of a materialized view), statistics, columns (of tables, views,
//! materialized views, composite types), functions and views that come after a key, operators, operator classes, casts,
//! aggregates, publications; names with quotes, blanks, dots, ` ON ` and line ends; `--quote-all-identifiers`, `--clean`,
//! `--inserts`; a file and standard input; one connection and several; schema public of another role.

use super::{
    Source, WAYS, Way, assert_restored, assert_restored_as, by_pg_restore, by_psql, report, restore,
};
use crate::support::application;
use crate::support::database::quoted;

/// Objects with comments, made late or early.
const RELATIVES: &str = r#"
CREATE FUNCTION tf() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE DOMAIN code AS text CONSTRAINT inner_check CHECK (VALUE <> 'x');
ALTER DOMAIN code ADD CONSTRAINT "short; ON DOMAIN" CHECK (length(VALUE) < 5) NOT VALID;
COMMENT ON CONSTRAINT inner_check ON DOMAIN code IS 'early';
COMMENT ON CONSTRAINT "short; ON DOMAIN" ON DOMAIN code IS 'late';
CREATE TABLE "Odd ON t.x" (id int CONSTRAINT "k ON " PRIMARY KEY, "c.d" text CONSTRAINT inline CHECK ("c.d" <> ''), n int);
COMMENT ON COLUMN "Odd ON t.x"."c.d" IS 'column';
COMMENT ON CONSTRAINT "k ON " ON "Odd ON t.x" IS 'key';
COMMENT ON CONSTRAINT inline ON "Odd ON t.x" IS 'inline';
CREATE TABLE b (id int PRIMARY KEY, a int CONSTRAINT "fk ""q""" REFERENCES "Odd ON t.x", r int, EXCLUDE USING btree (r WITH =));
COMMENT ON CONSTRAINT "fk ""q""" ON b IS 'fk';
COMMENT ON CONSTRAINT b_r_excl ON b IS 'exclusion';
ALTER TABLE b ADD CONSTRAINT late CHECK (a > 0) NOT VALID;
COMMENT ON CONSTRAINT late ON b IS 'check';
CREATE TRIGGER "tr
line" BEFORE INSERT ON b FOR EACH ROW EXECUTE FUNCTION tf();
COMMENT ON TRIGGER "tr
line" ON b IS 'trigger';
CREATE RULE ru AS ON DELETE TO b DO ALSO NOTHING;
COMMENT ON RULE ru ON b IS 'rule';
CREATE POLICY "po; x" ON "Odd ON t.x" USING (id > 0);
COMMENT ON POLICY "po; x" ON "Odd ON t.x" IS 'policy';
CREATE INDEX ix ON b (a);
COMMENT ON INDEX ix IS 'index';
CREATE STATISTICS st ON a, r FROM b;
COMMENT ON STATISTICS st IS 'statistics';
CREATE VIEW early AS SELECT id FROM b;
COMMENT ON COLUMN early.id IS 'column of a view';
CREATE VIEW late_view AS SELECT id, "c.d", count(*) AS c FROM "Odd ON t.x" GROUP BY id;
COMMENT ON VIEW late_view IS 'late view';
COMMENT ON COLUMN late_view.c IS 'column of a late view';
CREATE TRIGGER tv INSTEAD OF INSERT ON late_view FOR EACH ROW EXECUTE FUNCTION tf();
COMMENT ON TRIGGER tv ON late_view IS 'trigger of a late view';
CREATE MATERIALIZED VIEW m AS SELECT id, n, count(*) AS c FROM "Odd ON t.x" GROUP BY id;
CREATE UNIQUE INDEX mi ON m (id);
COMMENT ON COLUMN m.c IS 'column of a late materialized view';
COMMENT ON INDEX mi IS 'index of a materialized view';
CREATE FUNCTION late_f() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM (SELECT id, n FROM "Odd ON t.x" GROUP BY id) AS g; END;
COMMENT ON FUNCTION late_f() IS 'late function';
CREATE TYPE pair AS (x int, y int);
COMMENT ON COLUMN pair.y IS 'attribute';
CREATE FUNCTION same(pair, pair) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1.x = $2.x';
CREATE OPERATOR === (LEFTARG = pair, RIGHTARG = pair, FUNCTION = same);
COMMENT ON OPERATOR === (pair, pair) IS 'operator';
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int);
COMMENT ON AGGREGATE total(int) IS 'aggregate';
INSERT INTO "Odd ON t.x" SELECT i, 'v' || i, i FROM generate_series(1, 50) AS i;
ANALYZE;
REFRESH MATERIALIZED VIEW m;
"#;

#[test]
fn report_35_comments_on_what_comes_late() {
    let of = |name: &str| report(&format!("35-comments-on-what-comes-late/{name}"));
    for script in ["small.sql", "matview.sql"] {
        assert_restored(&of(script), &by_psql(&of(script)));
    }
    let expected = by_pg_restore(&of("input.dump"));
    for archive in ["input.sql", "input.dump"] {
        assert_restored(&of(archive), &expected);
    }
}

#[test]
fn report_real_02_comments_on_what_post_data_creates() {
    let source = Source::of(
        "CREATE TABLE p (id int CONSTRAINT p_key PRIMARY KEY);
         CREATE TABLE c (pid int CONSTRAINT c_uq UNIQUE, CONSTRAINT c_fk FOREIGN KEY (pid) REFERENCES p);
         CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TRIGGER tr BEFORE INSERT ON c FOR EACH ROW EXECUTE FUNCTION f();
         CREATE RULE ru AS ON DELETE TO c DO ALSO SELECT 1;
         ALTER TABLE c ENABLE ROW LEVEL SECURITY;
         CREATE POLICY po ON c USING (true);",
    );
    let all = ["CONSTRAINT p_key ON p", "CONSTRAINT c_uq ON c", "CONSTRAINT c_fk ON c", "TRIGGER tr ON c"];
    for on in all.into_iter().chain(["RULE ru ON c", "POLICY po ON c"]) {
        source.database.psql(&format!("COMMENT ON {on} IS 'x'"));
        let script = source.dump("p.sql", &["-Fp"]);
        assert_restored(&script, &by_psql(&script));
        source.database.psql(&format!("COMMENT ON {on} IS NULL"));
    }
}

#[test]
fn every_comment_comes_after_its_object() {
    let source = Source::of(RELATIVES);
    let expected = by_psql(&source.dump("oracle.sql", &["-Fp"]));
    for (name, options) in [
        ("copy.sql", &["-Fp"][..]),
        ("quoted.sql", &["-Fp", "--quote-all-identifiers"]),
        ("inserts.sql", &["-Fp", "--inserts"]),
        ("clean.sql", &["-Fp", "--clean", "--if-exists"]),
        ("no_owner.sql", &["-Fp", "--no-owner"]),
    ] {
        assert_restored(&source.dump(name, options), &expected);
    }
    let script = source.dump("jobs.sql", &["-Fp"]);
    for jobs in ["1", "4"] {
        assert_restored_as(&script, &expected, WAYS[0], |pgmig| pgmig.args(["--jobs", jobs]));
    }
    for way in WAYS {
        let target = application::empty_database("every");
        super::with_target(&target, way).args(["--source", "-"]).stdin(&script).run().expect_status(0);
        let found = crate::support::restored::Restored::of(&target).in_any_order();
        assert_eq!(expected.in_any_order().difference(&found), None, "{way:?} from standard input");
    }
}

#[test]
fn the_comment_on_a_policy_of_a_missing_role_is_left_out_with_it() {
    let source = Source::of(
        "CREATE ROLE every_gone; CREATE TABLE t (id int); CREATE POLICY po ON t TO every_gone USING (true);
         COMMENT ON POLICY po ON t IS 'gone';",
    );
    let script = source.dump("policy.sql", &["-Fp"]);
    source.database.psql("DROP OWNED BY every_gone; DROP ROLE every_gone");
    for way in WAYS {
        let target = application::empty_database("every");
        let outcome = super::restore(&script, &target, way).run().expect_status(0);
        outcome.assert_stderr_has("every_gone");
        assert_eq!(target.psql("SELECT count(*) FROM pg_policy").trim(), "0", "{way:?}");
    }
}

#[test]
fn a_comment_on_public_of_another_role_takes_a_superuser() {
    let source = Source::of("COMMENT ON SCHEMA public IS 'ours'; CREATE TABLE t (a int)");
    for archive in [source.dump("public.dump", &["-Fc"]), source.dump("public.sql", &["-Fp"])] {
        for way in WAYS {
            let target = application::empty_database("comments");
            let (name, owner) = (&target.name, quoted(&target.server.superuser));
            target.psql(&format!(
                "ALTER DATABASE {name} OWNER TO {owner}; GRANT CREATE ON DATABASE {name} TO \"store app\";
                 GRANT CREATE ON SCHEMA public TO \"store app\""
            ));
            let outcome = restore(&archive, &target, way).run().expect_status(0);
            // A superuser makes it.
            let comment = match way {
                Way::Swap => "ours\n",
                Way::InPlace => {
                    outcome.assert_stderr_has("does not own the schema; to set it, run as its owner");
                    "standard public schema\n"
                }
            };
            let found = "SELECT obj_description('public'::regnamespace, 'pg_namespace')";
            assert_eq!(target.psql(found), comment, "{way:?}");
            assert_eq!(target.psql("SELECT count(*) FROM t"), "0\n", "{way:?}");
        }
    }
}
