//! Databases as those of the speech services, and the creation of a target by its name in the manual.

use crate::support::pgmig::TargetFile;
use crate::support::role::create_role;
use crate::support::{Database, Pgmig, Server};

pub(super) const SOURCE: &str = "00000000-0000-0000-1764-035503433645";
pub(super) const TARGET: &str = "e10001eb-6272-453a-bb43-3dcf0e765892";
/// Another instance of the backup.
pub(super) const OTHER: &str = "00000000-0000-0000-0000-001570184978";
/// An ID that is in the backup, and owns nothing.
pub(super) const UNKNOWN: &str = "00000000-0000-0000-0000-000000000042";

/// The databases of custom models. In all columns but `owner` the ID stays.
pub(super) const CUSTOMIZATION: &str = "
    CREATE TABLE customizations (
        customization_id uuid PRIMARY KEY, owner uuid NOT NULL, created_by uuid, name text, description text,
        settings jsonb, raw bytea, shared uuid[]
    );
    COMMENT ON TABLE customizations IS 'first of 00000000-0000-0000-1764-035503433645';
    INSERT INTO customizations SELECT
        md5(n::text)::uuid,
        (ARRAY['00000000-0000-0000-1764-035503433645', '00000000-0000-0000-0000-001570184978'])[1 + n % 2]::uuid,
        '00000000-0000-0000-1764-035503433645', 'model ' || n || E'\\t\\\\ of 00000000-0000-0000-1764-035503433645',
        CASE n % 3 WHEN 0 THEN '00000000-0000-0000-1764-035503433645' WHEN 1 THEN '00000000-0000-0000-0000-000000000042' END,
        '{\"owner\": \"00000000-0000-0000-1764-035503433645\"}', '00000000-0000-0000-1764-035503433645'::bytea,
        '{00000000-0000-0000-1764-035503433645}'
    FROM generate_series(1, 500) n;
    -- Its key is the ID, its column has the same name.
    CREATE TABLE words (owner uuid DEFAULT '00000000-0000-0000-1764-035503433645', word text);
    INSERT INTO words VALUES ('00000000-0000-0000-1764-035503433645', 'one'), (DEFAULT, 'two');
    CREATE VIEW mine AS SELECT * FROM customizations WHERE owner = '00000000-0000-0000-1764-035503433645';
    CREATE FUNCTION first_owner() RETURNS uuid LANGUAGE sql AS $$ SELECT '00000000-0000-0000-1764-035503433645'::uuid $$;
    SELECT lo_from_bytea(7, '00000000-0000-0000-1764-035503433645');";

/// The database of the asynchronous interface. A value moves only if it is the ID, to the letter.
pub(super) const ASYNC: &str = "
    CREATE TABLE notification_urls (url text PRIMARY KEY, username text, instance_id text, secret text);
    INSERT INTO notification_urls VALUES
        ('https://a', '00000000-0000-0000-1764-035503433645', '00000000-0000-0000-1764-035503433645', NULL),
        ('https://b', '00000000-0000-0000-1764-035503433645', NULL, '00000000-0000-0000-1764-035503433645'),
        ('https://c', 'user-00000000-0000-0000-1764-035503433645', '00000000-0000-0000-0000-001570184978', 'x'),
        ('https://d', ' 00000000-0000-0000-1764-035503433645', '00000000-0000-0000-1764-035503433645 ', ''),
        ('https://e', E'\\t00000000-0000-0000-1764-035503433645', E'00000000-0000-0000-1764-035503433645\\n', 'y'),
        ('https://f/00000000-0000-0000-1764-035503433645', E'\\\\00000000-0000-0000-1764-035503433645', '{}', 'z');
    CREATE TABLE jobs (id uuid PRIMARY KEY, username text, instance_id text, results json);
    INSERT INTO jobs SELECT
        md5(n::text)::uuid,
        CASE n % 4 WHEN 0 THEN '00000000-0000-0000-1764-035503433645' WHEN 1 THEN '00000000-0000-0000-0000-001570184978'
            WHEN 2 THEN '00000000-0000-0000-1764-035503433645,00000000-0000-0000-0000-000000000042' END,
        '00000000-0000-0000-1764-035503433645', '{\"username\": \"00000000-0000-0000-1764-035503433645\"}'
    FROM generate_series(1, 400) n;
    INSERT INTO jobs VALUES ('00000000-0000-0000-1764-035503433645', 'E10001EB-6272-453A-BB43-3DCF0E765892', NULL, NULL)";

/// The names of the manual.
const KNOWLEDGE_STUDIO: [&str; 4] =
    ["jobq_icp_wks", "model_management_api", "model_management_api_v2", "awt"];

/// A target of this name on a server of the test's own.
fn target(server: &Server, name: &str) -> TargetFile {
    let database = Database::shared(server, "postgres");
    TargetFile { database: name.to_owned(), ..TargetFile::of(&database) }
}

#[test]
fn the_manuals_databases_are_created() {
    let server = Server::start_private("");
    for (name, profile, definition, table) in [
        ("stt-customization", "stt-customization", CUSTOMIZATION, "customizations"),
        ("tts-customization", "tts-customization", CUSTOMIZATION, "customizations"),
        ("stt-async", "stt-async", ASYNC, "jobs"),
        ("tts-async", "tts-async", ASYNC, "jobs"),
    ] {
        let source = Database::create_on(&server, "speech_source");
        source.psql(definition);
        let script = source.dump(&[]);
        let restore = || {
            let pgmig = Pgmig::new().target(&target(&server, name)).file("x.backup.sql", &script);
            pgmig.args(["--source", "x.backup.sql", "--profile", profile]).mapping(&[(SOURCE, TARGET)])
        };
        let refused = restore().run().expect_status(1);
        refused.stderr_has("does not exist").stderr_has("--create-database");
        restore().arg("--create-database").run().expect_status(0);
        let rows = format!("SELECT count(*) FROM {table}");
        assert_eq!(server.psql(name, &rows), source.psql(&rows));
        // It exists now, and is asked about as any other.
        restore().arg("--create-database").run().expect_status(3).stderr_has("--force");
        restore().args(["--create-database", "--force"]).run().expect_status(0);
        assert_eq!(server.psql(name, &rows), source.psql(&rows));
    }
}

#[test]
fn a_created_database_does_not_outlive_a_failure() {
    let server = Server::start_private("");
    let file = target(&server, "stt-async");
    let restore = |args: &[&str]| {
        let pgmig =
            Pgmig::new().target(&file).file("x.sql", "no dump").args(["--source", "x.sql", "--keep-ids"]);
        pgmig.arg("--create-database").args(args.iter().copied())
    };
    restore(&[]).run().expect_status(1);
    assert!(!Database::exists(&server, "stt-async"));
    let source = Database::create_on(&server, "speech_source");
    source.psql(ASYNC);
    for step in ["create-staging", "data", "verify", "swap"] {
        let pgmig = Pgmig::new().target(&file).file("x.sql", &source.dump(&[])).args(["--source", "x.sql"]);
        let pgmig = pgmig.args(["--keep-ids", "--create-database", "--profile", "stt-async"]).failpoint(step);
        pgmig.run().expect_status(1);
        assert!(!Database::exists(&server, "stt-async"), "{step}");
    }
    // Wrong usage creates nothing.
    restore(&["--dry-run"]).run().expect_status(2);
    assert!(!Database::exists(&server, "stt-async"));
}

#[test]
fn a_role_that_may_not_create_databases_is_told_so() {
    let server = Server::start_private("");
    let file = target(&server, "stt-async");
    create_role(&server, "speech_owner");
    server.psql("postgres", "ALTER ROLE speech_owner LOGIN PASSWORD 'p'");
    let file = TargetFile {
        username: "speech_owner".to_owned(),
        su_username: "speech_owner".to_owned(),
        su_password: "p".to_owned(),
        ..file
    };
    let source = Database::create_on(&server, "speech_source");
    source.psql(ASYNC);
    let pgmig = Pgmig::new().target(&file).file("x.sql", &source.dump(&[]));
    pgmig
        .args(["--source", "x.sql", "--create-database", "--keep-ids"])
        .run()
        .expect_status(1)
        .stderr_has("permission denied to create database");
}

/// The four databases of Knowledge Studio have no instances: each is dumped as the manual names it. One run creates and restores
/// all of them, after all have been planned.
#[test]
fn the_databases_of_knowledge_studio() {
    let (server, other) = (Server::start_private(""), Server::of_this_run());
    let mut pgmig = Pgmig::new().without_arguments();
    let (mut sources, mut list) = (Vec::new(), "restores:\n".to_owned());
    for (number, name) in KNOWLEDGE_STUDIO.iter().enumerate() {
        let source = Database::create_on(&other, "knowledge");
        source.psql(&format!(
            "CREATE TABLE of_database (name text PRIMARY KEY, id uuid); INSERT INTO of_database VALUES ('{name}', '{SOURCE}');
             CREATE TABLE job (id serial PRIMARY KEY, document jsonb);
             INSERT INTO job (document) SELECT jsonb_build_object('n', n, 'id', '{SOURCE}') FROM generate_series(1, {}) n",
            100 * (number + 1)
        ));
        source.dump_through_pipe(&[], &pgmig.directory().join(format!("{name}.custom")));
        pgmig = pgmig.file(&format!("{name}.yaml"), &target(&server, name).to_yaml());
        list += &format!("  - source: {name}.custom\n    target: {name}.yaml\n    keep_ids: true\n");
        sources.push(source);
    }
    let pgmig = pgmig.file("set.yaml", &list).args(["--set", "set.yaml", "--create-database", "--strict"]);
    let outcome = pgmig.run().expect_status(0).stdout_has("4 of 4 restores complete");
    for (name, source) in KNOWLEDGE_STUDIO.iter().zip(&sources) {
        assert_eq!(Database::shared(&server, name).dump(&[]), source.dump(&[]), "{name}: {outcome}");
    }
}
