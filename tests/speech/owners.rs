//! Which values become the target's, in every form of a backup.

use super::databases::{ASYNC, CUSTOMIZATION, OTHER, SOURCE, TARGET, UNKNOWN};
use crate::support::document::document;
use crate::support::pgmig::TargetFile;
use crate::support::{Database, Pgmig};
use std::path::PathBuf;
use tempfile::TempDir;

/// A database of the speech services, and a dump of it in each form.
struct Speech {
    source: Database,
    directory: TempDir,
    profile: &'static str,
    /// The manual's UPDATE statements.
    updates: String,
}

impl Speech {
    #[track_caller]
    fn new(profile: &'static str, definition: &str, updates: &str) -> Self {
        let source = Database::create(&profile.replace('-', "_"));
        source.psql(definition);
        let updates = updates.replace("SOURCE", SOURCE).replace("TARGET", TARGET);
        Self { source, directory: TempDir::new().unwrap(), profile, updates }
    }

    fn customization(profile: &'static str) -> Self {
        let update = "UPDATE customizations SET owner='TARGET'::uuid WHERE owner='SOURCE'::uuid;";
        Self::new(profile, CUSTOMIZATION, update)
    }

    fn asynchronous() -> Self {
        let updates = "UPDATE notification_urls SET username='TARGET' WHERE username='SOURCE';
            UPDATE notification_urls SET instance_id='TARGET' WHERE instance_id='SOURCE';
            UPDATE jobs SET username='TARGET' WHERE username='SOURCE';";
        Self::new("stt-async", ASYNC, updates)
    }

    /// pg_dump, as the manual runs it (`-v -f FILE`), with these arguments.
    #[track_caller]
    fn dump(&self, args: &[&str]) -> PathBuf {
        let file = self.directory.path().join("backup");
        let _ = if file.is_dir() { std::fs::remove_dir_all(&file) } else { std::fs::remove_file(&file) };
        let server = &self.source.server;
        let mut all = vec!["-v", "-f", file.to_str().unwrap(), "-d", &self.source.name];
        all.extend(args);
        server.run_program("pg_dump", all);
        file
    }

    /// The database that the manual's commands make.
    #[track_caller]
    fn by_hand(&self) -> Database {
        let script = self.dump(&[]);
        let made = Database::create("speech_by_hand");
        let psql = ["-v", "ON_ERROR_STOP=1", "-q", "-d", &made.name, "-f", script.to_str().unwrap()];
        made.server.run_program("psql", psql);
        made.psql(&self.updates);
        made
    }

    fn restore(&self, target: &Database, archive: &std::path::Path) -> Pgmig {
        let pgmig = Pgmig::new().target(&TargetFile::of(target)).source(archive);
        pgmig.args(["--profile", self.profile])
    }
}

/// pg_dump of a database, in the order of keys: UPDATE moves rows to the end of a table.
#[track_caller]
fn contents(database: &Database) -> String {
    let dump = database.dump(&["--inserts"]);
    let (mut rows, mut rest) = (Vec::new(), Vec::new());
    for line in dump.lines() {
        if line.starts_with("INSERT INTO") { rows.push(line) } else { rest.push(line) }
    }
    rows.sort_unstable();
    rest.extend(rows);
    rest.join("\n")
}

#[track_caller]
fn owners_move_as_by_hand(speech: &Speech) {
    let expected = contents(&speech.by_hand());
    assert_ne!(expected, contents(&speech.source), "the manual's statements change something");
    for args in [
        &[][..],
        &["--inserts"],
        &["--column-inserts"],
        &["-Fc"],
        &["-Fd"],
        &["-Ft"],
        &["--create", "--clean"],
    ] {
        let target = Database::create("speech_target");
        let archive = speech.dump(args);
        let outcome = speech.restore(&target, &archive).mapping(&[(SOURCE, TARGET)]).run();
        let outcome = outcome.expect_status(0);
        assert!(contents(&target) == expected, "{args:?}: {outcome}\n{}", contents(&target));
    }
    // From standard input, and by the owner in place.
    let target = Database::create("speech_stream");
    let script = speech.dump(&[]);
    let pgmig = Pgmig::new().target(&TargetFile::of(&target)).stdin(&script).mapping(&[(SOURCE, TARGET)]);
    let pgmig = pgmig.args(["--source", "-", "--profile", speech.profile, "--strategy", "in-place"]);
    pgmig.run().expect_status(0);
    assert_eq!(contents(&target), expected);
}

#[test]
fn owners_of_customizations_of_speech_to_text() {
    owners_move_as_by_hand(&Speech::customization("stt-customization"));
}

#[test]
fn owners_of_customizations_of_text_to_speech() {
    owners_move_as_by_hand(&Speech::customization("tts-customization"));
}

#[test]
fn owners_of_urls_and_jobs() {
    owners_move_as_by_hand(&Speech::asynchronous());
}

#[test]
fn the_manuals_count_is_in_the_report() {
    let speech = Speech::customization("stt-customization");
    let target = Database::create("speech_count");
    let archive = speech.dump(&[]);
    let pgmig = speech.restore(&target, &archive).mapping(&[(SOURCE, TARGET)]);
    let outcome = pgmig.args(["--output", "json"]).run().expect_status(0);
    let report = document(&outcome, "restore");
    let count = target.psql("SELECT count(*) FROM customizations");
    assert_eq!(report["counts"].as_array().unwrap().len(), 1);
    assert_eq!(report["counts"][0]["table"], "public.customizations");
    assert_eq!(report["counts"][0]["rows"].to_string(), count.trim());
    assert!(report["training"].is_null());
    let moved = "SELECT count(*) FROM customizations WHERE owner = '".to_owned() + SOURCE + "'";
    assert_eq!(report["sources"][0]["found"].to_string(), speech.source.psql(&moved).trim());
    let again =
        speech.restore(&target, &archive).mapping(&[(SOURCE, TARGET)]).arg("--force").run().expect_status(0);
    again.stdout_has("SELECT count(*) FROM public.customizations");
}

#[test]
fn nothing_moves_without_a_mapping() {
    let speech = Speech::asynchronous();
    let target = Database::create("speech_kept");
    let archive = speech.dump(&[]);
    speech.restore(&target, &archive).arg("--keep-ids").run().expect_status(0);
    assert_eq!(contents(&target), contents(&speech.source));
}

#[test]
fn several_instances_move_at_once_and_may_swap() {
    let speech = Speech::customization("tts-customization");
    let target = Database::create("speech_swapped");
    let pgmig = speech.restore(&target, &speech.dump(&["-Fc"]));
    pgmig.mapping(&[(SOURCE, OTHER), (OTHER, SOURCE)]).run().expect_status(0);
    let owners = "SELECT owner, count(*) FROM customizations GROUP BY 1 ORDER BY 1";
    let swapped = format!(
        "SELECT CASE owner WHEN '{SOURCE}' THEN '{OTHER}' WHEN '{OTHER}' THEN '{SOURCE}' ELSE owner END, count(*) \
         FROM customizations GROUP BY 1 ORDER BY 1"
    );
    assert_eq!(target.psql(owners), speech.source.psql(&swapped));
}

#[test]
fn a_source_that_owns_nothing_is_refused() {
    for speech in [Speech::customization("stt-customization"), Speech::asynchronous()] {
        let target = Database::create("speech_unknown");
        let before = target.dump(&[]);
        // The ID is in the backup, and owns nothing.
        let pgmig = speech.restore(&target, &speech.dump(&[])).mapping(&[(SOURCE, TARGET), (UNKNOWN, OTHER)]);
        pgmig.run().expect_status(3).stderr_has(UNKNOWN);
        assert_eq!(target.dump(&[]), before);
    }
}

#[test]
fn a_backup_of_another_database_is_refused() {
    let speech = Speech::asynchronous();
    let target = Database::create("speech_other");
    let archive = speech.dump(&[]);
    let pgmig = Pgmig::new().target(&TargetFile::of(&target)).source(&archive).mapping(&[(SOURCE, TARGET)]);
    let outcome = pgmig.args(["--profile", "stt-customization"]).run().expect_status(3);
    outcome.stderr_has("moves the owners in customizations.owner, which the archive does not have");
    // One of the manual's columns is not there: its statement would fail, too.
    speech.source.psql("ALTER TABLE notification_urls DROP COLUMN instance_id");
    let archive = speech.dump(&[]);
    let outcome = speech.restore(&target, &archive).mapping(&[(SOURCE, TARGET)]).run().expect_status(0);
    outcome.stderr_has("notification_urls.instance_id");
    let strict = speech.restore(&target, &archive).mapping(&[(SOURCE, TARGET)]).args(["--strict", "--force"]);
    strict.run().expect_status(4);
}

#[test]
fn a_database_has_two_names() {
    let speech = Speech::asynchronous();
    let target = Database::create("speech_names");
    let archive = speech.dump(&[]);
    let pgmig = Pgmig::new().target(&TargetFile::of(&target)).source(&archive).mapping(&[(SOURCE, TARGET)]);
    pgmig.args(["--profile", "tts-async"]).run().expect_status(0);
    assert_eq!(contents(&target), contents(&speech.by_hand()));
}
