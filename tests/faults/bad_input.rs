//! Archives, configuration files and mappings that cannot be used: pgmig reports the fault and changes nothing.

use crate::support::damage::{malformed, truncated};
use crate::support::fixture::fixture;
use crate::support::pgmig::TargetFile;
use crate::support::store::Backup;
use crate::support::untouched::{Before, nothing_left};
use crate::support::{Database, Outcome, Pgmig, Server};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A target with data, and a directory for bad files.
struct Case {
    backup: Backup,
    target: Database,
    before: Before,
    directory: TempDir,
}

impl Drop for Case {
    /// One pg_dump at the end of a test shows that none of its runs changed the target.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.before.is_unchanged();
        }
    }
}

impl Case {
    #[track_caller]
    fn new(purpose: &str) -> Self {
        let backup = Backup::of_oldest_release();
        let target = backup.target(purpose);
        let before = Before::of(&target);
        Self { backup, target, before, directory: TempDir::new().unwrap() }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn keep_ids(&self) -> Pgmig {
        Pgmig::new().target(&TargetFile::of(&self.target)).args([
            "--force",
            "--keep-ids",
            "--schema",
            "archive",
        ])
    }

    /// Runs pgmig. Expects this status, these texts, and an unchanged target.
    #[track_caller]
    fn fails(&self, pgmig: Pgmig, status: i32, texts: &[&str]) -> Outcome {
        let outcome = pgmig.run().expect_status(status).stderr_has("error: ");
        for text in texts {
            outcome.assert_stderr_has(text);
        }
        assert_eq!(outcome.stdout, "", "a failed run has no result");
        nothing_left(&self.target, outcome)
    }

    #[track_caller]
    fn archive_fails(&self, archive: &Path, status: i32, texts: &[&str]) -> Outcome {
        self.fails(self.keep_ids().source(archive), status, texts)
    }

    #[track_caller]
    fn mapping_fails(&self, yaml: &str, status: i32, texts: &[&str]) {
        let pgmig =
            Pgmig::new().target(&TargetFile::of(&self.target)).arg("--force").source(&self.backup.archive);
        self.fails(pgmig.file("m.yaml", yaml).args(["--mapping", "m.yaml"]), status, texts);
    }
}

/// The advice about an archive that is cut or damaged.
const AGAIN: &str =
    "copy the archive again and compare its checksum with the original's, or take the backup again";

/// Faults that are found when the archive is opened. After the name: texts of the message.
const NOT_OPENED: &[(&str, &[&str])] = &[
    ("empty.dump", &["empty.dump is not an archive that can be read", "check pg_dump's exit status"]),
    ("bad_magic.dump", &["bad_magic.dump is not an archive that can be read"]),
    ("plain_sql.dump", &["ends within the data of a table", "at byte 100000", AGAIN]),
    ("tar_trunc.tar", &["at byte 135680, in the tar member 4251.dat, 1536 bytes before", AGAIN]),
    ("utf16_powershell.dump", &["re-encoded as text", "PowerShell"]),
    ("crlf_mangled.dump", &["CR LF", "binary mode"]),
    ("kubectl_tty_prefix.dump", &["starts at byte 42", "tail -c +43"]),
    ("trunc_00004.dump", &["at byte 4, in the header", AGAIN]),
    ("trunc_00011.dump", &["at byte 11, in the header", AGAIN]),
    ("trunc_toc_end.dump", &["at byte 80802", "TABLE DATA", AGAIN]),
    ("trunc_between_blocks.dump", &["without the data of TABLE DATA store.workspace (dump ID 4064)", AGAIN]),
    ("trunc_block_header.dump", &["at byte 92393", AGAIN]),
    ("trunc_mid_chunk.dump", &["at byte 93401", AGAIN]),
    ("version_1.6.dump", &["container version 1.6", "only 1.10 to 1.16 are", "pg_dump 8.0 or later"]),
    ("version_2.0.dump", &["container version 2.0", "newer than this pgmig"]),
    ("toc_count_plus1.dump", &["in TOC entry 284 of 284", AGAIN]),
    ("str_len_neg5.dump", &["at byte 150, in TOC entry 1 of 283", AGAIN]),
    ("offset_beyond_eof.dump", &["TABLE DATA store.workspace", AGAIN]),
    ("block_id_wrong.dump", &["at byte 92391", "dump ID", AGAIN]),
];

/// Faults that are found while data are read, when the staging database exists. More faults:
/// pgmig-core/pgdump-archive/src/tests.
const NOT_READ: &[(&str, &[&str])] = &[
    ("trunc_mid_chunk_pipe.dump", &["at byte 92401, in the data of TABLE DATA store.workspace", AGAIN]),
    ("trunc_in_lo.dump", &["at byte 107307, in the data of BLOBS", AGAIN]),
    ("flip_chunk_gz.dump", &["gzip data is damaged at byte 92401", "TABLE DATA store.workspace", AGAIN]),
    ("flip_chunk_z0.dump", &["row 6 of table store.workspace", "column content", "22P02"]),
];

#[test]
fn archives_that_cannot_be_opened() {
    let case = Case::new("unopened");
    for (name, texts) in NOT_OPENED {
        case.archive_fails(&case.write(name, &malformed(name)), 1, texts);
    }
}

#[test]
fn archives_with_damaged_data() {
    let case = Case::new("damaged");
    for (name, texts) in NOT_READ {
        let archive = case.write(name, &malformed(name));
        // Names and notes of the corpus's tenants.
        case.archive_fails(&archive, 1, texts).keeps_secret("Contoso").keeps_secret("hooks.example.com");
        let in_place = case.keep_ids().args(["--strategy", "in-place"]);
        case.fails(in_place.source(&archive), 1, texts).keeps_secret("Contoso");
    }
}

#[test]
fn data_without_their_end_marker() {
    let directory = TempDir::new().unwrap();
    let source = Database::create("marker_source");
    source.psql("CREATE TABLE t AS SELECT n, md5(n::text) FROM generate_series(1, 1000) n");
    let archive = directory.path().join("t.dump");
    source.dump_through_pipe(&[], &archive);
    let mut bytes = std::fs::read(&archive).unwrap();
    // The header claims that the data are not compressed. From archive version 1.15 on, a byte says so; before that,
    // the level, which is a sign and four bytes.
    let length = if bytes[6] >= 15 { 1 } else { 5 };
    bytes[11..11 + length].fill(0);
    std::fs::write(&archive, bytes).unwrap();
    let target = Database::create("marker");
    target.psql("CREATE TABLE mine AS SELECT 1 AS a");
    let before = Before::of(&target);
    let pgmig =
        Pgmig::new().target(&TargetFile::of(&target)).args(["--force", "--keep-ids", "--schema", "archive"]);
    let outcome = pgmig.source(&archive).run().expect_status(1);
    for text in ["table public.t", "missing end-of-data marker", "take the backup again"] {
        outcome.assert_stderr_has(text);
    }
    before.is_now(outcome);
}

#[test]
fn no_such_archive() {
    let case = Case::new("missing");
    case.archive_fails(Path::new("nowhere.dump"), 2, &["nowhere.dump", "does not exist"]);
    case.archive_fails(case.directory.path(), 1, &[case.directory.path().to_str().unwrap()]);
}

#[test]
fn standard_input_that_ends_too_early() {
    let case = Case::new("stdin");
    for percent in [1, 60, 99] {
        let archive = case.write("cut.dump", &truncated(&case.backup.archive, percent));
        let pgmig = case.backup.map(Pgmig::new().target(&TargetFile::of(&case.target)));
        let pgmig = pgmig.args(["--force", "--source", "-"]).stdin(&archive);
        case.fails(pgmig, 1, &["byte", "truncated"]);
        let pgmig = case.backup.map(Pgmig::new().target(&TargetFile::of(&case.target)));
        let pgmig = pgmig.args(["--force", "--strategy", "in-place", "--source", "-"]).stdin(&archive);
        case.fails(pgmig, 1, &["byte", "truncated"]);
    }
}

#[test]
fn partial_archives_are_refused() {
    let case = Case::new("partial");
    let archive = case.directory.path().join("partial.dump");
    for (options, what) in [
        (&["--data-only"] as &[_], "partial"),
        (&["--table=store.workspace"], "partial"),
        (&["--section=data"], "partial"),
        (&["--section=post-data"], "partial"),
    ] {
        case.backup.source.dump_through_pipe(options, &archive);
        case.archive_fails(&archive, 3, &[what, "pg_dump -Fc"]);
    }
}

#[test]
fn rows_of_foreign_tables_are_refused() {
    let case = Case::new("foreign");
    let source = Database::create("foreign_source");
    source.psql(
        "CREATE EXTENSION file_fdw; CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
         CREATE FOREIGN TABLE far (line text) SERVER files OPTIONS (filename '/dev/null')",
    );
    let archive = case.directory.path().join("foreign.dump");
    source.dump_through_pipe(&["--include-foreign-data=files"], &archive);
    case.archive_fails(&archive, 3, &["public.far", "--include-foreign-data"]);
}

#[test]
fn connections_that_fail() {
    let case = Case::new("connection");
    let right = TargetFile::of(&case.target);
    let restore = |target: &TargetFile| case.backup.restore(Pgmig::new().target(target).arg("--force"));
    let cases = [
        (TargetFile { su_password: "wr0ng-s3cret".to_owned(), ..right.clone() }, "su_password"),
        // Like a PostgreSQL server, this server asks every role for a password, even one that does not exist.
        (TargetFile { su_username: "nobody_here".to_owned(), ..right.clone() }, "\"nobody_here\""),
        (TargetFile { username: "nobody_here".to_owned(), ..right.clone() }, "no role \"nobody_here\""),
        (TargetFile { port: 1009, ..right.clone() }, "no PostgreSQL server answers at 127.0.0.1"),
        (TargetFile { host: "no-such-host.invalid".to_owned(), ..right.clone() }, "no-such-host.invalid"),
    ];
    for (target, text) in cases {
        case.fails(restore(&target), 1, &[text, "check "]).keeps_secret("s3cret");
    }
    let target = TargetFile { database: "nothing_here".to_owned(), ..right.clone() };
    let text = "database \"nothing_here\" does not exist";
    case.fails(restore(&target), 1, &[text, "create it"]).keeps_secret("s3cret");
    // Only a server that admits everybody says that the role does not exist.
    let host = case.target.server.socket.to_str().unwrap().to_owned();
    let target = TargetFile { host, su_username: "nobody_here".to_owned(), ..right };
    case.fails(restore(&target), 1, &["no role \"nobody_here\"", "check su_username"]);
}

#[test]
fn configuration_files_that_are_not_understood() {
    let case = Case::new("configuration");
    let right = TargetFile::of(&case.target);
    for (more, texts) in [
        ("su_pasword: an0ther-s3cret\n", &["unknown key `su_pasword`", "line 7"] as &[_]),
        ("su_password: an0ther-s3cret\n", &["duplicate key `su_password`"]),
        ("sslmode: s3cret\n", &["sslmode", "line 7"]),
        ("sslrootcert: [s3cret\n", &["line"]),
        ("\tsslmode: s3cret\n", &["line"]),
    ] {
        let target = TargetFile { more: more.to_owned(), ..right.clone() };
        let pgmig = case.backup.restore(Pgmig::new().target(&target).arg("--force"));
        case.fails(pgmig, 2, texts).keeps_secret("s3cret");
    }
    let pgmig = case.backup.restore(Pgmig::new().args(["--target", "nowhere.yaml", "--force"]));
    case.fails(pgmig, 2, &["nowhere.yaml"]);
    let pgmig = case.backup.restore(case_target(&case, "su_password_file: nowhere.secret\n"));
    case.fails(pgmig, 2, &["su_password"]);
    // A message does not repeat a text that may be a secret in the wrong place.
    for more in ["an0thers3cret: x\n", "x: y\nx: an0thers3cret\n", "an0thers3cret: 1\nan0thers3cret: 2\n"] {
        case.fails(case.backup.restore(case_target(&case, more)), 2, &["line"]).keeps_secret("an0thers3cret");
    }
    let yaml = right.to_yaml();
    let yaml: String = yaml.split_inclusive('\n').filter(|line| !line.starts_with("su_password:")).collect();
    for (line, texts) in [
        ("su_password_file: an0thers3cret\n", &["line 6", "su_password_file"][..]),
        ("su_password: \"an0thers3cret\\nx\"\n", &["line 6", "a password on one line"]),
    ] {
        let restore = Pgmig::new().file("postgres.yaml", &(yaml.clone() + line));
        let pgmig = case.backup.restore(restore.args(["--force", "--target", "postgres.yaml"]));
        case.fails(pgmig, 2, texts).keeps_secret("an0thers3cret");
    }
}

/// A file in the place of another, a pipe without a writer, an endless device.
#[test]
fn other_files_in_the_place_of_a_configuration() {
    let case = Case::new("other_file");
    let archive = case.backup.archive.to_str().unwrap();
    let mapping = case.write("em.yaml", b"instance-mappings: {}\n");
    let mapping = mapping.to_str().unwrap();
    let with = |option: &str, file: &str| {
        let pgmig = Pgmig::new().source(&case.backup.archive).arg("--force").args([option, file]);
        if option == "--target" { pgmig } else { pgmig.target(&TargetFile::of(&case.target)) }
    };
    case.fails(
        with("--target", archive),
        2,
        &["is a backup, not a target configuration; are --source and --target swapped?"],
    );
    case.fails(
        with("--target", mapping),
        2,
        &["em.yaml is an instance mapping, not a target configuration; pass it with --mapping"],
    );
    case.fails(
        with("--mapping", "postgres.yaml"),
        2,
        &["is a target configuration, not an instance mapping; pass it with --target"],
    );
    case.fails(with("--mapping", archive), 2, &["is a backup, not an instance mapping"]);
    case.fails(
        with("--target", "/dev/zero"),
        2,
        &["cannot read target configuration /dev/zero: it has more than"],
    );
    case.fails(
        with("--mapping", "/dev/zero"),
        2,
        &["cannot read instance mapping /dev/zero: it has more than"],
    );
    case.fails(
        with("--target", "nowhere.yaml"),
        2,
        &["error: target configuration nowhere.yaml does not exist"],
    );
    let missing = Pgmig::new().source("nowhere.dump".as_ref()).target(&TargetFile::of(&case.target));
    case.fails(missing, 2, &["error: backup file nowhere.dump does not exist\n"]);
    let fifo = case.directory.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let waiting = std::time::Instant::now();
    case.fails(with("--target", fifo.to_str().unwrap()), 2, &["does not end within 10 s"]);
    assert!(waiting.elapsed() < std::time::Duration::from_secs(40));
}

#[test]
fn a_password_that_others_can_read_is_a_warning_and_no_more() {
    use std::os::unix::fs::PermissionsExt;
    let backup = Backup::of_oldest_release();
    let target = backup.target("readable");
    let pgmig = backup.restore(Pgmig::new().target(&TargetFile::of(&target)).args(["--force", "--strict"]));
    let path = pgmig.directory().join("postgres.yaml");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let warning = "warning: postgres.yaml holds a password and can be read by other users";
    pgmig.run().expect_status(0).stderr_has(warning);
    let quiet = backup.restore(Pgmig::new().target(&TargetFile::of(&target)).args(["--force", "--strict"]));
    assert!(!quiet.run().expect_status(0).stderr.contains("can be read"));
}

fn case_target(case: &Case, more: &str) -> Pgmig {
    Pgmig::new().target(&TargetFile { more: more.to_owned(), ..TargetFile::of(&case.target) }).arg("--force")
}

#[test]
fn mappings_that_cannot_be_used() {
    let case = Case::new("mapping");
    let (first, second) = (&case.backup.mapping[0], &case.backup.mapping[1]);
    let file = |lines: &[(&str, &str)]| {
        let lines: String = lines.iter().map(|(from, to)| format!("  {from}: {to}\n")).collect();
        format!("instance-mappings:\n{lines}")
    };
    let upper = first.0.to_uppercase();
    let duplicate = file(&[(&first.0, &first.1), (&upper, &second.1)]);
    case.mapping_fails(&duplicate, 2, &["m.yaml, line 3", &upper]);
    let malformed = file(&[("00000000-0000-0000-0000-00157018497", &first.1)]);
    case.mapping_fails(&malformed, 2, &["m.yaml, line 2", "not a UUID"]);
    let same_target = file(&[(&first.0, &first.1), (&second.0, &first.1)]);
    case.mapping_fails(&same_target, 2, &["m.yaml, line 3", "cannot become one"]);
    let other_source = file(&[(&first.0, &second.0)]);
    case.mapping_fails(&other_source, 2, &[&second.0, "not mapped itself"]);
    case.mapping_fails(
        "instance_mappings: {}\n",
        2,
        &["`instance_mappings`; did you mean `instance-mappings`?"],
    );
    case.mapping_fails("- a\n", 2, &["m.yaml, line 1"]);
    let uncovered = file(&[(&first.0, &first.1)]);
    case.mapping_fails(&uncovered, 3, &["does not cover 2 instances", &second.0, &case.backup.mapping[2].0]);
    let pgmig = case_target(&case, "").source(&case.backup.archive).args(["--mapping", "nowhere.yaml"]);
    case.fails(pgmig, 2, &["nowhere.yaml"]);
}

#[test]
fn an_archive_of_a_newer_server_says_so() {
    let server = Server::of_this_run();
    let target = Database::create("newer");
    let archive = fixture("archives/18_file_gz.dump");
    let pgmig = Pgmig::new()
        .target(&TargetFile::of(&target))
        .args(["--force", "--keep-ids", "--schema", "archive"])
        .source(&archive);
    if server.major_version() >= 18 {
        pgmig.run().expect_status(0);
        return;
    }
    // The archive has a table that only PostgreSQL 18 can create.
    let before = Before::of(&target);
    let outcome = pgmig.run().expect_status(1).stderr_has("store.v18_things");
    before.is_now(outcome.stderr_has("from PostgreSQL 18, newer than this server"));
}
