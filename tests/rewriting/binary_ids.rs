//! IDs in bytea and large objects. pgmig reports and keeps them, unless the profile asks for a replacement.

use crate::rewriting::types::{TENANTS, with_profile};
use crate::support::pgmig::TargetFile;
use crate::support::untouched::Before;
use crate::support::{Database, Pgmig};
use serde_json::{Value, json};
use std::path::PathBuf;
use tempfile::TempDir;

const A: &str = "1b8f1c2e-0a51-4a63-9f0f-6f0d4c8e2a01";
const B: &str = "9d3a7e54-5c2b-4f7c-8e21-0b6a5d4c3b02";

/// A store, dumped.
struct Store {
    source: Database,
    archive: PathBuf,
    _directory: TempDir,
}

impl Store {
    fn of(sql: &str) -> Self {
        let source = Database::create("binary");
        source.psql(&format!("{TENANTS}\n{}", sql.replace("@a", A).replace("@b", B)));
        let directory = TempDir::new().unwrap();
        let archive = directory.path().join("binary.dump");
        Self { source, archive, _directory: directory }
    }

    fn dump(&self, options: &[&str]) -> &Self {
        self.source.dump_through_pipe(options, &self.archive);
        self
    }

    /// Exchanges two instances, by a profile with these additional lines.
    fn restore_into(&self, target: &Database, profile: &str) -> Pgmig {
        with_profile(self.exchange(target).source(&self.archive), profile)
    }

    fn exchange(&self, target: &Database) -> Pgmig {
        Pgmig::new().target(&TargetFile::of(target)).mapping(&[(A, B), (B, A)]).arg("--force")
    }

    /// Restores into a new target, and returns it with the report.
    #[track_caller]
    fn restored(&self, profile: &str, more: &[&str]) -> (Database, Value) {
        let target = Database::create("binary");
        let pgmig = self.restore_into(&target, profile).args(["--output", "json"]).args(more.iter().copied());
        let outcome = pgmig.run().expect_status(0);
        (target, serde_json::from_str(&outcome.stdout).unwrap())
    }

    /// The same, with the archive on standard input.
    #[track_caller]
    fn streamed(&self, profile: &str) -> (Database, Value) {
        let target = Database::create("binary");
        let stream = self.exchange(&target).args(["--source", "-", "--output", "json"]).stdin(&self.archive);
        let outcome = with_profile(stream, profile).run().expect_status(0);
        (target, serde_json::from_str(&outcome.stdout).unwrap())
    }

    /// The rows of this query in the source, with the two IDs exchanged.
    fn swapped(&self, query: &str) -> String {
        let rows = self.source.psql(query);
        rows.replace(A, "@").replace(B, A).replace('@', B)
    }
}

/// The warning about IDs that were kept, if there is one.
fn warning(report: &Value) -> Option<&str> {
    let notices = report["notices"].as_array().unwrap();
    let texts = notices.iter().filter(|notice| notice["severity"] == "warning");
    texts.map(|notice| notice["text"].as_str().unwrap()).find(|text| text.contains("binary data"))
}

fn left(report: &Value, table: &str) -> Value {
    let tables = report["tables"].as_array().unwrap();
    tables.iter().find(|of| of["table"] == table).unwrap()["left_in_bytea"].clone()
}

/// Bytea, alone and inside other types, and texts that only resemble IDs: one beside a letter, one without hyphens.
const ATTACHMENTS: &str = r"
    CREATE TYPE part AS (label text, body bytea);
    CREATE TABLE attachment (n int, id uuid, body bytea, bodies bytea[], part part);
    INSERT INTO attachment
    SELECT n, '@a', body, ARRAY[body, NULL, body], ROW('of @b', body)::part
    FROM (VALUES (1, convert_to(E'@a\n\\@b', 'UTF8')), (2, '\x00ff'::bytea || '@a'::bytea || '\xe9'::bytea),
        (3, convert_to('x@a @b0 ' || replace('@a', '-', ''), 'UTF8')), (4, '')) v (n, body);";

/// The forms of dumps that write bytea differently.
const FORMS: [&[&str]; 3] = [&[], &["--inserts"], &["--column-inserts", "--rows-per-insert=3"]];

const BYTES: &str = "SELECT encode(body, 'escape'), encode(bodies[1], 'escape'), bodies[2] IS NULL, encode(bodies[3], 'escape'),
    encode((part).body, 'escape') FROM attachment ORDER BY n";

#[test]
fn bytea_is_reported_and_left() {
    let store = Store::of(ATTACHMENTS);
    for output in ["hex", "escape"] {
        store.source.psql(&format!("ALTER DATABASE \"{}\" SET bytea_output = '{output}'", store.source.name));
        for form in FORMS {
            let (target, report) = store.dump(form).restored("", &[]);
            assert_eq!(target.psql(BYTES), store.source.psql(BYTES), "{output} {form:?}");
            let texts = "SELECT DISTINCT id, (part).label FROM attachment";
            assert_eq!(target.psql(texts), format!("{B}|of {A}\n"), "what is text is replaced");
            let expected = json!([
                {"column": "body", "count": 3}, {"column": "bodies", "count": 6}, {"column": "part", "count": 3},
            ]);
            assert_eq!(left(&report, "public.attachment"), expected, "{output} {form:?}");
            let expected =
                "3 in public.attachment.body, 6 in public.attachment.bodies, 3 in public.attachment.part;";
            assert!(warning(&report).unwrap().contains(expected), "{report}");
        }
    }
}

#[test]
fn strict_stops_where_ids_are_left() {
    let store = Store::of(ATTACHMENTS);
    store.dump(&[]);
    let target = Database::create("binary");
    target.psql("CREATE TABLE own AS SELECT 'r0w-v4lue' AS note");
    let before = Before::of(&target);
    let outcome =
        store.restore_into(&target, "").args(["--strict", "--schema", "archive"]).run().expect_status(4);
    before.is_now(outcome.stderr_has("in public.attachment.body"));
}

#[test]
fn bytea_is_rewritten_where_the_profile_says_so() {
    let store = Store::of(ATTACHMENTS);
    for output in ["hex", "escape"] {
        store.source.psql(&format!("ALTER DATABASE \"{}\" SET bytea_output = '{output}'", store.source.name));
        for form in FORMS {
            let (target, report) = store.dump(form).restored("bytea: rewrite", &["--strict"]);
            // The texts that only resemble IDs are unchanged.
            let bytes = BYTES.replace("ORDER BY", "WHERE n <> 3 ORDER BY");
            assert_eq!(target.psql(&bytes), store.swapped(&bytes), "{output} {form:?}");
            let decoys = BYTES.replace("ORDER BY", "WHERE n = 3 ORDER BY");
            assert_eq!(target.psql(&decoys), store.source.psql(&decoys), "{output} {form:?}");
            assert_eq!((left(&report, "public.attachment"), warning(&report)), (json!([]), None));
        }
    }
}

#[test]
fn columns_have_rules_of_their_own() {
    let store = Store::of(ATTACHMENTS);
    store.dump(&[]);
    let profile = "bytea_columns:\n- {table: attachment, column: body, ids: rewrite}\n\
                   - {schema: public, table: attachment, column: bodies, ids: leave}\n\
                   excluded_columns:\n- {table: attachment, column: part}";
    let (target, report) = store.restored(profile, &["--strict"]);
    let body = "SELECT encode(body, 'escape') FROM attachment WHERE n <> 3 ORDER BY n";
    assert_eq!(target.psql(body), store.swapped(body));
    let others = "SELECT bodies, part FROM attachment ORDER BY n";
    assert_eq!(target.psql(others), store.source.psql(others));
    assert_eq!((left(&report, "public.attachment"), warning(&report)), (json!([]), None));
}

/// An empty object and small objects. One object has IDs at its beginning, at its end, and across the borders of the
/// chunks that pgmig reads and writes.
const OBJECTS: &str = "
    SELECT lo_create(1), lo_from_bytea(2, 'of @a and @b'), lo_from_bytea(3, 'x@a @b0'),
        lo_from_bytea(4, convert_to(repeat('-', 131072 * 2), 'UTF8'));
    SELECT lo_put(4, 0, '@a'), lo_put(4, 131072 - 20, '@b'), lo_put(4, 131072 * 2 - 36, '@a'), lo_put(4, 131072 + 20, '0@b'),
        lo_put(4, 100000, '\\xff');";

const CONTENTS: &str = "SELECT oid, md5(lo_get(oid)) FROM pg_largeobject_metadata ORDER BY oid";

#[test]
fn large_objects_are_reported_and_left() {
    let store = Store::of(OBJECTS);
    let (target, report) = store.dump(&[]).restored("", &[]);
    assert_eq!(target.psql(CONTENTS), store.source.psql(CONTENTS));
    assert_eq!(report["large_object_ids"], json!({"objects": 2, "replaced": 0, "left": 5}));
    assert!(warning(&report).unwrap().contains("5 in 2 large objects"), "{report}");
    let (target, report) = store.restored("large_objects: leave", &["--strict"]);
    assert_eq!(target.psql(CONTENTS), store.source.psql(CONTENTS));
    assert_eq!(report["large_object_ids"], json!({"objects": 0, "replaced": 0, "left": 0}));
}

#[test]
fn large_objects_are_rewritten_where_the_profile_says_so() {
    let store = Store::of(OBJECTS);
    store.dump(&[]);
    let (target, report) = store.restored("large_objects: rewrite", &["--strict"]);
    assert_eq!(report["large_object_ids"], json!({"objects": 2, "replaced": 5, "left": 0}));
    let texts =
        "SELECT oid, encode(lo_get(oid), 'escape') FROM pg_largeobject_metadata WHERE oid <> 3 ORDER BY oid";
    // `0@b` in the last object is unchanged, because a digit stands beside the ID.
    let expected = store.swapped(texts).replace(&format!("0{A}"), &format!("0{B}"));
    assert_eq!(target.psql(texts), expected);
    let decoys = "SELECT lo_get(3)";
    assert_eq!(target.psql(decoys), store.source.psql(decoys));
}

/// The rows of a plain script in a stream are loaded one table after the other.
#[test]
fn what_is_left_is_reported_of_a_stream_too() {
    let store = Store::of(&format!("{ATTACHMENTS}{OBJECTS}"));
    for form in [&["-Fc"][..], &["-Fp"], &["-Fp", "--inserts"]] {
        let (target, report) = store.dump(form).streamed("");
        assert_eq!(target.psql(CONTENTS), store.source.psql(CONTENTS), "{form:?}");
        assert_eq!(report["large_object_ids"], json!({"objects": 2, "replaced": 0, "left": 5}), "{form:?}");
        let expected = "3 in public.attachment.part, 5 in 2 large objects;";
        assert!(warning(&report).is_some_and(|warning| warning.contains(expected)), "{form:?}: {report}");
        let (_, report) = store.streamed("bytea: rewrite\nlarge_objects: rewrite");
        assert_eq!(report["large_object_ids"], json!({"objects": 2, "replaced": 5, "left": 0}), "{form:?}");
        assert_eq!(warning(&report), None, "{form:?}");
    }
}
