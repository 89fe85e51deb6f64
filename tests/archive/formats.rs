//! Restores every format of pg_dump, with every option that changes the file. The result must be the database that
//! pgmig makes from the custom archive. pg_dump compares them, owners and privileges included.

use crate::support::fixture::fixture;
use crate::support::pgmig::TargetFile;
use crate::support::store::Backup;
use crate::support::{Database, Outcome, Pgmig, Server};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A database with everything that pg_dump can write, and the result of restoring its custom archive.
struct Source {
    database: Database,
    files: TempDir,
    expected: String,
}

impl Source {
    fn new() -> Self {
        let server = Server::of_this_run();
        server.create_corpus_roles();
        let database = Database::create_on(&server, "formats");
        database.restore_with_pg_restore(&fixture("archives/15_pipe_gz.dump"), &[]);
        let files = TempDir::new().expect("a temporary directory can be made");
        let mut source = Self { database, files, expected: String::new() };
        let custom = source.dump("custom.dump", &["-Fc"]);
        source.expected = source.restored(|pgmig| pgmig.source(&custom), "the custom archive");
        assert!(source.expected.len() > 100_000, "the store is not empty");
        source
    }

    /// Writes an archive of this name by pg_dump with these options.
    fn dump(&self, name: &str, options: &[&str]) -> PathBuf {
        let path = self.files.path().join(name);
        let file = path.to_str().expect("the harness's paths are UTF-8");
        let target = ["-f", file, "-d", &self.database.name];
        self.database.server.run_program("pg_dump", options.iter().chain(&target));
        path
    }

    /// Restores an archive with pgmig, and shows the result as pg_dump does.
    fn restored(&self, source: impl FnOnce(Pgmig) -> Pgmig, what: &str) -> String {
        let target = Database::create_on(&self.database.server, "target");
        let pgmig = source(Pgmig::new().target(&TargetFile::of(&target)).arg("--keep-ids"));
        let outcome = pgmig.run();
        assert_eq!(outcome.status.code(), Some(0), "{what}: {outcome}");
        target.dump(&[])
    }

    fn assert_same(&self, source: impl FnOnce(Pgmig) -> Pgmig, what: &str) {
        let restored = self.restored(source, what);
        if restored != self.expected {
            let different = self.expected.lines().zip(restored.lines()).find(|(one, other)| one != other);
            panic!("{what}: not what the custom archive makes: {different:?}");
        }
    }

    fn assert_file(&self, file: &Path) {
        self.assert_same(|pgmig| pgmig.source(file), &format!("{}", file.display()));
    }

    fn assert_stdin(&self, file: &Path) {
        let what = format!("{} from standard input", file.display());
        self.assert_same(|pgmig| pgmig.args(["--source", "-"]).stdin(file), &what);
    }
}

fn gzip(file: &Path) -> PathBuf {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(&fs::read(file).expect("the dump is there")).expect("memory takes it");
    written(file, "gz", &encoder.finish().expect("memory takes it"))
}

fn lz4(file: &Path) -> PathBuf {
    let mut encoder = lz4::EncoderBuilder::new().build(Vec::new()).expect("memory takes it");
    encoder.write_all(&fs::read(file).expect("the dump is there")).expect("memory takes it");
    written(file, "lz4", &encoder.finish().0)
}

fn zstd(file: &Path) -> PathBuf {
    let packed = zstd::encode_all(File::open(file).expect("the dump is there"), 3).expect("memory takes it");
    written(file, "zst", &packed)
}

fn written(file: &Path, suffix: &str, bytes: &[u8]) -> PathBuf {
    let path = PathBuf::from(format!("{}.{suffix}", file.display()));
    fs::write(&path, bytes).expect("the file can be written");
    path
}

/// Packs a directory by `tar`.
fn tar(directory: &Path) -> PathBuf {
    let path = PathBuf::from(format!("{}.tar", directory.display()));
    let parent = directory.parent().expect("it is in a directory");
    let name = directory.file_name().expect("it has a name");
    let status = Command::new("tar").arg("-cf").arg(&path).arg("-C").arg(parent).arg(name).status();
    assert!(status.expect("tar runs").success());
    path
}

#[test]
fn directory_none_and_gzip() {
    let source = Source::new();
    let stored = source.dump("stored", &["-Fd", "-Z0"]);
    source.assert_file(&stored);
    source.assert_file(&source.dump("gzip", &["-Fd", "-j", "2"]));
    source.assert_file(&source.dump("inserts", &["-Fd", "--inserts"]));
    // A directory archive in a tar file.
    let packed = tar(&stored);
    source.assert_file(&packed);
    source.assert_file(&zstd(&packed));
}

#[test]
fn tar_from_a_file_and_from_standard_input() {
    let source = Source::new();
    let tar = source.dump("store.tar", &["-Ft"]);
    source.assert_file(&tar);
    source.assert_stdin(&tar);
    let packed = gzip(&tar);
    source.assert_file(&packed);
    source.assert_stdin(&packed);
}

#[test]
fn plain_with_copy_and_with_inserts() {
    let source = Source::new();
    for (name, options) in [
        ("copy.sql", &["-Fp"][..]),
        ("inserts.sql", &["-Fp", "--inserts"]),
        ("column_inserts.sql", &["-Fp", "--column-inserts"]),
        ("rows_per_insert.sql", &["-Fp", "--rows-per-insert=3"]),
        ("on_conflict.sql", &["-Fp", "--inserts", "--on-conflict-do-nothing"]),
        ("part_root.sql", &["-Fp", "--load-via-partition-root"]),
        ("quoted.sql", &["-Fp", "--quote-all-identifiers"]),
    ] {
        let script = source.dump(name, options);
        source.assert_file(&script);
        source.assert_stdin(&script);
    }
}

#[test]
fn plain_with_create_clean_and_comments() {
    let source = Source::new();
    for (name, options) in [
        ("create.sql", &["-Fp", "--create"][..]),
        ("clean.sql", &["-Fp", "--clean"]),
        ("clean_if_exists.sql", &["-Fp", "--clean", "--if-exists"]),
        ("create_clean.sql", &["-Fp", "--create", "--clean", "--if-exists"]),
        ("verbose.sql", &["-Fp", "--verbose"]),
        ("session.sql", &["-Fp", "--use-set-session-authorization"]),
    ] {
        source.assert_file(&source.dump(name, options));
    }
}

#[test]
fn compressed_as_a_whole() {
    let source = Source::new();
    let custom = source.dump("stored.dump", &["-Fc", "-Z0"]);
    let script = source.dump("store.sql", &["-Fp"]);
    for pack in [gzip, lz4, zstd] {
        let packed = pack(&custom);
        source.assert_file(&packed);
        source.assert_stdin(&packed);
        let packed = pack(&script);
        source.assert_file(&packed);
        source.assert_stdin(&packed);
    }
}

/// The whole job: IDs replaced, the schema upgraded.
#[test]
fn instances_are_mapped_and_the_schema_is_upgraded_whatever_the_format() {
    let backup = Backup::of_oldest_release();
    let files = TempDir::new().expect("a temporary directory can be made");
    let dump = |name: &str, options: &[&str]| {
        let path = files.path().join(name);
        let file = path.to_str().expect("the harness's paths are UTF-8");
        let target = ["-f", file, "-d", &backup.source.name];
        backup.source.server.run_program("pg_dump", options.iter().chain(&target));
        path
    };
    let script = dump("store.sql", &["-Fp"]);
    let sources = [
        dump("directory", &["-Fd"]),
        dump("store.tar", &["-Ft"]),
        gzip(&script),
        script,
        dump("inserts.sql", &["-Fp", "--inserts"]),
        gzip(&dump("store.dump", &["-Fc"])),
    ];
    for source in sources {
        let target = backup.target("formats");
        let pgmig = backup.map(Pgmig::new().target(&TargetFile::of(&target)).arg("--force"));
        let outcome = pgmig.source(&source).run();
        assert_eq!(outcome.status.code(), Some(0), "{}: {outcome}", source.display());
        backup.assert_restored(&target);
    }
    for stream in [
        dump("stream.tar", &["-Ft"]),
        dump("stream.sql", &["-Fp"]),
        dump("stream_inserts.sql", &["-Fp", "--inserts"]),
        dump("stream_inserts.dump", &["-Fc", "--inserts"]),
        dump("stream_rows_per_insert.sql", &["-Fp", "--column-inserts", "--rows-per-insert=100"]),
    ] {
        let target = backup.target("formats");
        let pgmig = backup.map(Pgmig::new().target(&TargetFile::of(&target)).arg("--force"));
        let outcome = pgmig.args(["--source", "-"]).stdin(&stream).run();
        assert_eq!(outcome.status.code(), Some(0), "{}: {outcome}", stream.display());
        backup.assert_restored(&target);
    }
}

#[test]
fn a_part_of_a_database_is_refused_whatever_the_format() {
    let source = Source::new();
    for format in ["-Fd", "-Ft", "-Fp"] {
        for part in ["--data-only", "--section=data", "--section=post-data", "--table=store.workspace"] {
            let name = format!("part{format}{part}");
            let dump = source.dump(&name, &[format, part]);
            let outcome = refused(&source, |pgmig| pgmig.source(&dump), 3);
            outcome.assert_stderr_has("the archive is a partial one");
            if format != "-Fd" {
                let outcome = refused(&source, |pgmig| pgmig.args(["--source", "-"]).stdin(&dump), 3);
                outcome.assert_stderr_has("the archive is a partial one");
            }
        }
    }
}

#[test]
fn commands_of_psql_in_a_script_are_refused_and_never_executed() {
    let source = Source::new();
    let script = fs::read_to_string(source.dump("store.sql", &["-Fp"])).expect("the script is text");
    let trace = source.files.path().join("trace");
    let hostile =
        script.replacen("\nCREATE TABLE ", &format!("\n\\! touch {}\nCREATE TABLE ", trace.display()), 1);
    assert_ne!(hostile, script);
    let path = source.files.path().join("hostile.sql");
    fs::write(&path, hostile).expect("the script can be written");
    refused(&source, |pgmig| pgmig.source(&path), 1).assert_stderr_has("psql's command \\!");
    let from_stdin = |pgmig: Pgmig| pgmig.args(["--source", "-"]).stdin(&path);
    refused(&source, from_stdin, 1).assert_stderr_has("psql's command \\!");
    assert!(!trace.exists(), "it was executed");
}

/// A restore that must end with this status and leave the target unchanged.
fn refused(source: &Source, from: impl FnOnce(Pgmig) -> Pgmig, status: i32) -> Outcome {
    let target = Database::create_on(&source.database.server, "refused");
    target.psql("CREATE TABLE public.kept (a int); INSERT INTO public.kept VALUES (1)");
    let before = target.dump(&[]);
    let pgmig = Pgmig::new().target(&TargetFile::of(&target)).args(["--keep-ids", "--force"]);
    let outcome = from(pgmig).run().expect_status(status);
    assert_eq!(target.dump(&[]), before);
    outcome
}
