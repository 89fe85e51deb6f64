//! Restores a store that is not part of this repository's profiles, by docs/schema.md alone: with its own migrations, and
//! into a target with a newer schema of the product. Also checks the README's table of a profile's keys.

use crate::support::fixture::repository;
use crate::support::unknown_store::{MAPPING, UnknownStore, readme_commands};
use crate::support::untouched::{Before, databases_beside};
use crate::support::{Database, Outcome, Pgmig};
use std::path::PathBuf;
use tempfile::TempDir;

struct Readme {
    store: UnknownStore,
    archive: PathBuf,
    commands: Vec<String>,
    _directory: TempDir,
}

impl Readme {
    #[track_caller]
    fn new() -> Self {
        let store = UnknownStore::new();
        let directory = tempfile::tempdir().unwrap();
        let archive = directory.path().join("rental.dump");
        store.source.dump_through_pipe(&[], &archive);
        Self { store, archive, commands: readme_commands(), _directory: directory }
    }

    /// Runs the document's only command that contains these words and does not contain those.
    #[track_caller]
    fn run(&self, with: &[&str], without: &[&str], target: &Database) -> Outcome {
        let is_it = |line: &&String| {
            with.iter().all(|word| line.contains(word)) && !without.iter().any(|word| line.contains(word))
        };
        let line = self.commands.iter().find(is_it).expect("the document has such a command");
        self.store.command(line, target, &self.archive).run()
    }
}

/// The rows of a database, in no order, without those that belong to the installation.
fn rows(database: &Database) -> Vec<String> {
    let dump = database.dump(&["-a", "-T", "setting", "-T", "_sqlx_migrations"]);
    let mut lines: Vec<String> = dump.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn with_migrations_and_into_the_targets_own_schema_it_is_the_same_store() {
    let readme = Readme::new();
    let (upgraded, installed) = (Database::create("upgraded"), readme.store.installed());

    let listing = readme.run(&["releases"], &[], &upgraded).expect_status(0);
    listing.stdout_has("2.0.0").stdout_has("films are movies");

    readme.run(&["--migrations"], &["releases"], &upgraded).expect_status(0);
    assert_eq!(upgraded.psql("SELECT count(*), max(price) FROM movie"), "500|4.99\n");
    assert_eq!(upgraded.psql("SELECT version FROM _sqlx_migrations"), "1\n2\n3\n");

    let before = Before::of(&installed);
    let shown = readme.run(&["--dry-run"], &[], &installed).expect_status(0);
    let shown = before.is_now(shown);
    for text in [
        "it is public.movie in the target",
        "public.movie.currency",
        "it gets the value that the profile says",
        "smallint in the archive, interval in the target",
        "it keeps the target's rows",
    ] {
        assert!(shown.stdout.contains(text), "the plan does not say {text:?}\n{shown}");
    }

    let schema = installed.dump(&["-s"]);
    readme.run(&["--schema target"], &["--dry-run"], &installed).expect_status(0);
    assert_eq!(databases_beside(&installed), "");
    assert!(schema == installed.dump(&["-s"]), "the schema is still the target's own");
    assert_eq!(rows(&installed), rows(&upgraded));
    assert_eq!(installed.psql("SELECT name, value FROM setting ORDER BY 1"), "theme|dark\nversion|2\n");
    assert_eq!(upgraded.psql("SELECT name, value FROM setting ORDER BY 1"), "version|1\n");
    let ids = "SELECT store_id FROM store ORDER BY 1";
    assert_eq!(installed.psql(ids), MAPPING.map(|(_, target)| format!("{target}\n")).concat());
}

#[test]
fn without_the_rules_every_difference_is_listed() {
    let readme = Readme::new();
    let installed = readme.store.installed();
    let profile = readme.store.rental().join("profile.yaml");
    let text = std::fs::read_to_string(&profile).unwrap();
    let (without, _) = text.split_once("target_schema:").unwrap();
    std::fs::write(&profile, without).unwrap();
    let before = Before::of(&installed);
    let outcome = readme.run(&["--schema target"], &["--dry-run"], &installed).expect_status(3);
    before.is_now(
        outcome.stderr_has("table public.film: the target has no such table; give the profile a rule"),
    );

    let rename = "target_schema:\n  rename:\n    - {table: film, to: movie}\n";
    std::fs::write(&profile, format!("{without}{rename}")).unwrap();
    let outcome = readme.run(&["--schema target"], &["--dry-run"], &installed).expect_status(3);
    for text in [
        "column public.film.rental_rate: the target has no such column",
        "column public.film.last_update: the target has no such column",
        "column public.film.length: smallint in the archive, interval in the target; give the profile a rule",
        "column public.movie.currency: the archive has no such column; it is NOT NULL and has no default",
    ] {
        outcome.assert_stderr_has(text);
    }
    before.is_now(outcome);
}

#[test]
fn a_store_without_instances() {
    let readme = Readme::new();
    let installed = readme.store.installed();
    let profile = readme.store.rental().join("profile.yaml");
    let text = std::fs::read_to_string(&profile).unwrap();
    let without: String =
        text.lines().filter(|line| !line.starts_with("tenant:")).map(|line| format!("{line}\n")).collect();
    std::fs::write(&profile, without).unwrap();
    let line = "pgmig --force --target postgres.yaml --source rental.dump --keep-ids --profile rental --migrations rental";
    readme.store.command(line, &installed, &readme.archive).run().expect_status(0);
    assert_eq!(installed.psql("SELECT count(*) FROM movie"), "500\n");
    assert_eq!(
        installed.psql("SELECT store_id FROM store ORDER BY 1"),
        MAPPING.map(|(id, _)| format!("{id}\n")).concat()
    );
}

#[test]
fn a_profile_that_is_not_the_archives_is_refused() {
    let readme = Readme::new();
    let target = Database::create("mistyped");
    let profile = readme.store.rental().join("profile.yaml");
    let text = std::fs::read_to_string(&profile).unwrap();
    let before = Before::of(&target);
    for (right, wrong, named) in [
        ("table: store,", "table: stores,", "table stores with the columns store_id, name"),
        ("name: name}", "name: titel}", "table store with the columns store_id, titel"),
    ] {
        std::fs::write(&profile, text.replace(right, wrong)).unwrap();
        let outcome = readme.run(&["--migrations"], &["releases"], &target).expect_status(3);
        before.is_now(outcome.stderr_has("profile rental says that instances are in").stderr_has(named));
        let inspect =
            readme.store.command("pgmig inspect rental.dump --profile rental", &target, &readme.archive);
        inspect.run().expect_status(0).stderr_has(named);
    }
    std::fs::write(&profile, text.replace("schema: public ", "schema: nosuch ")).unwrap();
    let line = "pgmig --target postgres.yaml --source rental.dump --mapping enteredMapping.yaml --profile rental --dry-run --strict";
    let outcome = readme.store.command(line, &target, &readme.archive).run().expect_status(4);
    outcome.stdout_has("the archive has nothing in schema nosuch");
}

#[test]
fn every_key_of_a_profile_is_in_the_table() {
    let table = std::fs::read_to_string(repository().join("schema-migrations/README.md")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    for (path, least) in [
        ("nosuchkey: 1", 13),
        ("tenant: {nosuchkey: 1}", 7),
        ("excluded_columns: [{nosuchkey: 1}]", 3),
        ("bytea_columns: [{nosuchkey: 1}]", 4),
        ("global_tables: [{nosuchkey: 1}]", 2),
        ("target_schema: {nosuchkey: 1}", 4),
        ("target_schema: {rename: [{nosuchkey: 1}]}", 5),
        ("target_schema: {drop: [{nosuchkey: 1}]}", 3),
        ("target_schema: {cast: [{nosuchkey: 1}]}", 4),
        ("target_schema: {default: [{nosuchkey: 1}]}", 4),
    ] {
        std::fs::write(directory.path().join("profile.yaml"), format!("{path}\n")).unwrap();
        let outcome =
            Pgmig::new().args(["releases", "--profile"]).arg(directory.path()).run().expect_status(2);
        let (_, keys) = outcome.stderr.split_once("expected one of: ").expect("the error lists the keys");
        let keys: Vec<&str> = keys.lines().next().unwrap().split(", ").collect();
        assert!(keys.len() >= least, "{path}: {keys:?}");
        for key in keys {
            assert!(
                table.contains(&format!("`{key}`")) || table.contains(&format!("{key}: ")),
                "{key} is not in the table"
            );
        }
    }
}

#[test]
fn a_profile_without_releases() {
    let readme = Readme::new();
    let installed = readme.store.installed();
    std::fs::remove_file(readme.store.rental().join("releases.yaml")).unwrap();
    let upgraded = Database::create("unreleased");
    readme.run(&["--migrations"], &["releases"], &upgraded).expect_status(0);
    assert_eq!(upgraded.psql("SELECT version FROM _sqlx_migrations"), "1\n2\n3\n");
    readme.run(&["--schema target"], &["--dry-run"], &installed).expect_status(0);
}
