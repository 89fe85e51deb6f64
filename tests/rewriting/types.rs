//! IDs in values of each type and in definitions of each kind, before and after a restore.

use crate::support::pgmig::TargetFile;
use crate::support::{Database, Pgmig};
use tempfile::TempDir;

const A: &str = "1b8f1c2e-0a51-4a63-9f0f-6f0d4c8e2a01";
const B: &str = "9d3a7e54-5c2b-4f7c-8e21-0b6a5d4c3b02";

/// The text with `@a` and `@b` in place of the two exchanged IDs, and `@A` and `@B` for upper case.
fn with_ids(text: &str) -> String {
    let upper = [A.to_uppercase(), B.to_uppercase()];
    text.replace("@a", A).replace("@b", B).replace("@A", &upper[0]).replace("@B", &upper[1])
}

/// Restores the database that this SQL makes, from each form of dump. Checks that queries then return this.
#[track_caller]
fn check(sql: &str, expected: &[(&str, &str)]) {
    check_with_profile(sql, "", expected);
}

/// Does the same with a table of instances `tenant` and these lines in the profile.
#[track_caller]
fn check_with_profile(sql: &str, profile: &str, expected: &[(&str, &str)]) {
    let source = Database::create("types");
    source.psql(&with_ids(sql));
    let directory = TempDir::new().unwrap();
    let archive = directory.path().join("types.dump");
    for options in [&[][..], &["--column-inserts"], &["--inserts", "--rows-per-insert=3"]] {
        source.dump_through_pipe(options, &archive);
        let target = Database::create("types");
        // The restore in place runs over the result of the swap.
        for strategy in ["swap", "in-place"] {
            let mut pgmig =
                Pgmig::new().target(&TargetFile::of(&target)).source(&archive).mapping(&[(A, B), (B, A)]);
            if !profile.is_empty() {
                pgmig = with_profile(pgmig, profile);
            }
            pgmig.args(["--force", "--strategy", strategy]).run().expect_status(0);
            for (query, rows) in expected {
                let found = target.psql(&with_ids(query));
                assert_eq!(found, with_ids(rows) + "\n", "{options:?} {strategy} {query}");
            }
        }
    }
}

/// Adds a profile of a store in schema public.
pub(crate) fn with_profile(pgmig: Pgmig, more: &str) -> Pgmig {
    let profile = format!(
        "name: types\nschema: public\ntenant:\n  table: tenant\n  id: tenant_id\n  aliases: [instance_id]\n  name: name\n  \
         region: region\n  deleted: deleted\n{more}\n"
    );
    std::fs::create_dir(pgmig.directory().join("profile")).unwrap();
    pgmig
        .file("profile/profile.yaml", &profile)
        .file("profile/releases.yaml", "1.0.0: 1\n")
        .args(["--profile", "profile"])
}

/// The table of instances that [`with_profile`] expects.
pub(crate) const TENANTS: &str =
    "CREATE TABLE tenant (tenant_id uuid, instance_id text, name text, region text, deleted boolean);
     INSERT INTO tenant (tenant_id, name) VALUES ('1b8f1c2e-0a51-4a63-9f0f-6f0d4c8e2a01', 'one'),
         ('9d3a7e54-5c2b-4f7c-8e21-0b6a5d4c3b02', 'other');";

#[test]
fn uuid_and_text() {
    check(
        "CREATE TABLE t (u uuid, t text, v varchar(80), c char(40), n name, q \"char\");
         INSERT INTO t VALUES ('@a', 'x-@a_@B', '{@b}', '@A', '@b', 'a'), (NULL, 'x@a', '@a0', 'g@b', E'\\t@a', NULL)",
        &[
            ("SELECT u, t, v, rtrim(c), n FROM t WHERE u IS NOT NULL", "@b|x-@b_@A|{@a}|@B|@a"),
            ("SELECT t, v, rtrim(c), n FROM t WHERE u IS NULL", "x@a|@a0|g@b|\t@b"),
        ],
    );
}

#[test]
fn json_and_jsonb() {
    check(
        r#"CREATE TABLE t (n int, j json, b jsonb);
           INSERT INTO t VALUES (1, '{"@a" : ["\n@b", "\u0041@b", "\\n@b", "\u0061\u002d@A"]}', '{"@a": ["\n@b", "A@b", "\\n@b"]}')"#,
        &[
            ("SELECT j FROM t", r#"{"@b" : ["\n@a", "\u0041@b", "\\n@b", "\u0061\u002d@B"]}"#),
            ("SELECT b FROM t", r#"{"@b": ["\n@a", "A@b", "\\n@b"]}"#),
        ],
    );
}

#[test]
fn hstore() {
    let available = "SELECT count(*) FROM pg_available_extensions WHERE name = 'hstore'";
    assert_eq!(Database::create("hstore").psql(available), "1\n", "install PostgreSQL's contrib modules");
    check(
        r#"CREATE EXTENSION hstore SCHEMA public;
           CREATE TABLE t (h hstore, a hstore[]);
           INSERT INTO t VALUES ('"@a"=>"x \"@b\" \\@B", "k"=>"x@a"', ARRAY['"k"=>"@a"'::hstore])"#,
        &[("SELECT h -> '@b', h -> 'k' FROM t", r#"x "@a" \@A|x@a"#), ("SELECT a[1] -> 'k' FROM t", "@b")],
    );
}

#[test]
fn xml() {
    check(
        r#"CREATE TABLE t (x xml); INSERT INTO t VALUES ('<a id="@a">@b<b/>&lt;@A&#65;@a x@a</a>')"#,
        &[("SELECT x FROM t", r#"<a id="@b">@a<b/>&lt;@B&#65;@b x@a</a>"#)],
    );
}

#[test]
fn arrays() {
    check(
        r#"CREATE TABLE t (u uuid[], t text[], j json[], b jsonb[]);
           INSERT INTO t VALUES ('{{@a,@b},{NULL,@a}}', ARRAY['"@a"', E'\\n@b', E'\n@b', '@a,@A', NULL],
               ARRAY['"\n@a"', '"\\n@a"', '["@a"]']::json[], ARRAY['{"\t@a": "\\t@a"}']::jsonb[])"#,
        &[
            ("SELECT u FROM t", "{{@b,@a},{NULL,@b}}"),
            ("SELECT t = ARRAY['\"@b\"', E'\\\\n@b', E'\\n@a', '@b,@B', NULL] FROM t", "t"),
            ("SELECT j[1], j[2], j[3] FROM t", r#""\n@b"|"\\n@a"|["@b"]"#),
            ("SELECT b[1] FROM t", r#"{"\t@b": "\\t@a"}"#),
        ],
    );
}

#[test]
fn composite_values() {
    check(
        r#"CREATE TYPE part AS (id uuid, note text, doc json);
           CREATE TYPE whole AS (label text, parts part[], docs jsonb[]);
           CREATE TABLE t (p part, w whole);
           INSERT INTO t VALUES (ROW('@a', E'\\n@a, "@a"', '"\n@a"'), ROW('@b', ARRAY[ROW('@a', E'\n@b', '"\\n@b"')::part, NULL],
               ARRAY['"\n@b"']::jsonb[]))"#,
        &[
            ("SELECT (p).id, (p).note, (p).doc FROM t", r#"@b|\n@a, "@b"|"\n@b""#),
            (
                "SELECT (w).label, (w).parts[1].id, (w).parts[1].note = E'\\n@a', (w).parts[1].doc FROM t",
                r#"@a|@b|t|"\\n@b""#,
            ),
            ("SELECT (w).docs[1] FROM t", r#""\n@a""#),
        ],
    );
}

#[test]
fn ranges() {
    check(
        r#"CREATE TYPE text_range AS RANGE (subtype = text, collation = "C");
           CREATE TYPE jsonb_range AS RANGE (subtype = jsonb);
           CREATE TABLE t (r text_range, m text_multirange, j jsonb_range);
           INSERT INTO t VALUES (text_range('"@a"', '"@a"', '[]'), '{[@b,@b]}', jsonb_range('"\n@a"', NULL))"#,
        &[
            ("SELECT lower(r), upper(r), m FROM t", "\"@b\"|\"@b\"|{[@a,@a]}"),
            ("SELECT lower(j) FROM t", r#""\n@b""#),
        ],
    );
}

#[test]
fn domains() {
    check(
        r#"CREATE DOMAIN short AS text CHECK (length(VALUE) < 100 AND VALUE <> 'x @a');
           CREATE DOMAIN document AS json;
           CREATE DOMAIN documents AS document[];
           CREATE TABLE t (s short DEFAULT 'of @a', d document, a documents);
           INSERT INTO t (s, d, a) VALUES ('x @b', '"\n@a"', ARRAY['"\n@b"']::document[]); INSERT INTO t (d) VALUES (NULL)"#,
        &[
            ("SELECT s, d, a[1] FROM t WHERE d IS NOT NULL", r#"x @a|"\n@b"|"\n@a""#),
            ("SELECT s FROM t WHERE d IS NULL", "of @b"),
            ("SELECT 'x @a'::short", "x @a"),
        ],
    );
}

/// Labels are literals of DDL. pgmig rewrites them, as it rewrites the values that use them.
#[test]
fn enum_labels() {
    check(
        "CREATE TYPE owner AS ENUM ('@a', 'of @b', 'nobody');
         CREATE TABLE t (o owner DEFAULT '@a', a owner[]);
         INSERT INTO t VALUES ('@a', ARRAY['of @b', 'nobody']::owner[]), ('of @b', NULL)",
        &[
            ("SELECT enum_range(NULL::owner)", "{@b,\"of @a\",nobody}"),
            ("SELECT o, a FROM t WHERE a IS NOT NULL", "@b|{\"of @a\",nobody}"),
        ],
    );
}

#[test]
fn literals_of_definitions() {
    check(
        r#"CREATE TABLE t (id uuid DEFAULT '@a', note text, doc jsonb DEFAULT '{"of": "@b"}',
               kind text GENERATED ALWAYS AS (CASE id::text WHEN '@a' THEN 'one' ELSE 'other' END) STORED,
               CONSTRAINT not_b CHECK (note <> 'x @b'));
           INSERT INTO t (id, note) VALUES ('@a', 'n'), ('@b', 'n');
           CREATE INDEX of_a ON t (note) WHERE id = '@a';
           CREATE POLICY only_a ON t USING (id = '@a') WITH CHECK (id <> ALL ('{@b}'));
           CREATE VIEW only_b AS SELECT * FROM t WHERE id = '@b';
           CREATE RULE quiet AS ON DELETE TO t WHERE old.id = '@a' DO INSTEAD NOTHING;
           COMMENT ON TABLE t IS 'of @a; ''@b''';
           CREATE FUNCTION speaks(who uuid DEFAULT '@a') RETURNS text LANGUAGE plpgsql AS $body$
           BEGIN
               RETURN $q$of @b $q$ || '-@a ' || (SELECT '@B');
           END $body$;
           CREATE FUNCTION does() RETURNS text LANGUAGE plpgsql AS
               'DECLARE r text; BEGIN EXECUTE $x$ SELECT ''@a'' || $y$ @b$y$ $x$ INTO r; RETURN r; END';
           CREATE TRIGGER told BEFORE UPDATE ON t FOR EACH ROW WHEN (old.id = '@a')
               EXECUTE FUNCTION suppress_redundant_updates_trigger()"#,
        &[
            (
                "SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 't'::regclass ORDER BY adnum LIMIT 1",
                "'@b'::uuid",
            ),
            ("SELECT id, kind FROM t ORDER BY kind", "@b|one\n@a|other"),
            (
                "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'not_b'",
                "CHECK ((note <> 'x @a'::text))",
            ),
            ("SELECT pg_get_indexdef('of_a'::regclass) LIKE '%(id = ''@b''::uuid)'", "t"),
            ("SELECT qual, with_check FROM pg_policies", "(id = '@b'::uuid)|(id <> ALL ('{@a}'::uuid[]))"),
            ("SELECT id, kind FROM only_b", "@a|other"),
            (
                "SELECT definition LIKE '%(old.id = ''@b''::uuid)%' FROM pg_rules WHERE rulename = 'quiet'",
                "t",
            ),
            ("SELECT obj_description('t'::regclass)", "of @b; '@a'"),
            (
                "SELECT speaks(), pg_get_function_arguments('speaks'::regproc)",
                "of @a -@b @A|who uuid DEFAULT '@b'::uuid",
            ),
            ("SELECT does()", "@b @a"),
            (
                "SELECT pg_get_triggerdef(oid) LIKE '%(old.id = ''@b''::uuid)%' FROM pg_trigger WHERE tgname = 'told'",
                "t",
            ),
        ],
    );
}

/// A literal can contain the name of an object, which is unchanged.
#[test]
fn names_of_objects() {
    check(
        "CREATE SCHEMA \"@b\";
         CREATE TABLE \"log @a\" (id serial, id2 bigint DEFAULT 7, note text DEFAULT '@a');
         CREATE SEQUENCE \"@b\".\"of @a\"; ALTER TABLE \"log @a\" ALTER id2 SET DEFAULT nextval('\"@b\".\"of @a\"');
         INSERT INTO \"log @a\" (note) VALUES ('@b'), ('x');
         CREATE VIEW sizes AS SELECT 'log @a'::text AS name, '\"log @a\"'::regclass AS oid;
         CREATE INDEX \"by @a\" ON \"log @a\" (note)",
        &[
            ("SELECT id, id2, note FROM \"log @a\" ORDER BY id", "1|1|@a\n2|2|x"),
            ("INSERT INTO \"log @a\" DEFAULT VALUES RETURNING id, id2, note", "3|3|@b"),
            ("SELECT name, oid FROM sizes", "log @b|\"log @a\""),
        ],
    );
}

#[test]
fn nested_partitions() {
    check(
        "CREATE TABLE t (id uuid, label text, n int) PARTITION BY LIST (id);
         CREATE TABLE t_a PARTITION OF t FOR VALUES IN ('@a') PARTITION BY HASH (label);
         CREATE TABLE t_a_0 PARTITION OF t_a FOR VALUES WITH (MODULUS 2, REMAINDER 0);
         CREATE TABLE t_a_1 PARTITION OF t_a FOR VALUES WITH (MODULUS 2, REMAINDER 1);
         CREATE TABLE t_b PARTITION OF t FOR VALUES IN ('@b', NULL) PARTITION BY RANGE (label);
         CREATE TABLE t_b_low PARTITION OF t_b FOR VALUES FROM (MINVALUE) TO ('9');
         CREATE TABLE t_b_high PARTITION OF t_b FOR VALUES FROM ('9') TO (MAXVALUE);
         INSERT INTO t SELECT id, label, n FROM unnest('{@a,@b,NULL}'::uuid[]) id, unnest('{@a,@b,x @a,z}'::text[]) label,
             generate_series(1, 5) n",
        &[
            ("SELECT count(*), count(DISTINCT (id, label, n)) FROM t", "60|60"),
            ("SELECT DISTINCT id FROM t_a", "@b"),
            ("SELECT DISTINCT id FROM t_b WHERE id IS NOT NULL", "@a"),
            ("SELECT DISTINCT label FROM t_b_low", "@a"),
            ("SELECT DISTINCT label FROM t_b_high ORDER BY 1", "@b\nx @b\nz"),
            ("SELECT pg_get_expr(relpartbound, oid) FROM pg_class WHERE relname = 't_a'", "FOR VALUES IN ('@b')"),
            ("SELECT count(*) FROM t WHERE id = '@b' AND label = '@b'", "5"),
        ],
    );
}

#[test]
fn materialized_views_and_generated_columns() {
    check(
        "CREATE TABLE t (id uuid, note text, size int GENERATED ALWAYS AS (length(note)) STORED,
             copy text GENERATED ALWAYS AS ('x' || note) STORED);
         INSERT INTO t (id, note) VALUES ('@a', '@a'), ('@b', '_@b');
         CREATE MATERIALIZED VIEW of_a AS SELECT id, 'for @a' AS who, copy FROM t WHERE id = '@a';
         CREATE MATERIALIZED VIEW of_of_a AS SELECT * FROM of_a",
        &[
            ("SELECT note, size, copy FROM t ORDER BY size", "@b|36|x@b\n_@a|37|x_@a"),
            ("SELECT * FROM of_of_a", "@b|for @b|x@b"),
        ],
    );
}

#[test]
fn excluded_columns() {
    check_with_profile(
        &format!(
            "{TENANTS}
             CREATE TABLE t (id uuid, was uuid, doc jsonb);
             INSERT INTO t VALUES ('@a', '@a', '{{\"was\": \"@a\"}}'), ('@b', '@b', NULL);"
        ),
        "excluded_columns:\n- {table: t, column: was}\n- {schema: public, table: t, column: doc}",
        &[
            ("SELECT id, was, doc FROM t ORDER BY doc", "@b|@a|{\"was\": \"@a\"}\n@a|@b|"),
            ("SELECT tenant_id FROM tenant ORDER BY name", "@b\n@a"),
        ],
    );
}
