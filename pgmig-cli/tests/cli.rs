//! The command line as a whole, as far as it needs no PostgreSQL.

use assert_cmd::Command;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// pgmig with these arguments: its exit status, standard output and standard error.
fn pgmig(args: &[&str]) -> (Option<i32>, String, String) {
    let mut command = Command::cargo_bin("pgmig").expect("the binary is built");
    for variable in [
        "PG_CA_FILE",
        "RC_CA_FILE",
        "PGSSLMODE",
        "PGSSLROOTCERT",
        "PGPASSWORD",
        "PGAPPNAME",
        "PGMIG_FAILPOINT",
    ] {
        command.env_remove(variable);
    }
    let output = command.args(args).output().expect("pgmig runs");
    let text = |bytes| String::from_utf8(bytes).expect("pgmig prints UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// A file with this content that lives as long as the test run's temporary directory.
fn file(name: &str, content: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, content).expect("a file can be written");
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&path, private).expect("its mode can be set");
    path
}

#[test]
fn help_lists_every_flag_on_standard_output() {
    let (status, stdout, stderr) = pgmig(&["--help"]);
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    for flag in [
        "-h, --help",
        "-f, --force",
        "-s, --source <",
        "-r, --resourceController <",
        "-t, --target <",
        "-m, --mapping <",
        "--testRCConnection",
        "--testPGConnection",
        "-v, --version",
        "--wxo",
        "--keep-ids",
        "Exit status: ",
    ] {
        assert!(stdout.contains(flag), "{flag} is not in\n{stdout}");
    }
    assert_eq!(pgmig(&["-h"]).1, stdout);
}

#[test]
fn version_is_one_line() {
    for flag in ["-v", "--version"] {
        let (status, stdout, stderr) = pgmig(&[flag]);
        assert_eq!((status, stderr.as_str()), (Some(0), ""));
        assert!(stdout.starts_with(concat!("pgmig ", env!("CARGO_PKG_VERSION"), " (")), "{stdout}");
        assert_eq!(stdout.lines().count(), 1);
    }
}

#[test]
fn bad_usage_is_exit_status_2() {
    for (args, says) in [
        (&["--sorce", "x"][..], "unknown option --sorce; did you mean --source?"),
        (&["-source", "x"], "long options take two dashes: --source"),
        (&["store.dump"], "pgmig --source FILE --target postgres.yaml"),
        (&["-m", "x", "--keep-ids"], "--keep-ids"),
        (&[], "--source is missing"),
        (&["--target", "x"], "--source is missing"),
        (&["--source", "x"], "--target is missing"),
        (&["--testPGConnection"], "--target is missing"),
        (&["--testRCConnection"], "--resourceController is missing"),
    ] {
        let (status, stdout, stderr) = pgmig(args);
        assert_eq!(status, Some(2), "{args:?}\n{stderr}");
        assert_eq!(stdout, "", "{args:?}");
        assert!(stderr.starts_with("error: ") && stderr.contains(says), "{args:?}\n{stderr}");
    }
}

#[test]
fn no_byte_of_an_argument_reaches_the_terminal_as_it_is() {
    let hostile = "x\nerror: forged\u{1b}[2J\u{9b}\u{202e}";
    for args in [
        &[&*format!("--{hostile}")][..],
        &[hostile],
        &["--schema", hostile],
        &["-s", hostile, "-t", "/nowhere"],
        &["-t", hostile, "-s", "x"],
        &["inspect", hostile],
        &["verify", hostile],
        &["releases", "--profile", hostile],
        &["releases", "--migrations", hostile],
    ] {
        let (status, stdout, stderr) = pgmig(args);
        assert_ne!(status, Some(0), "{args:?}");
        let all = stdout + &stderr;
        let obeyed = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!all.lines().any(|line| line.starts_with("error: forged")), "{args:?}\n{all}");
        assert!(!all.contains(obeyed), "{args:?}\n{all:?}");
    }
}

#[test]
fn a_connection_url_is_refused_without_being_shown() {
    for args in [
        &["--testPGConnection", "-t", "postgres://app:s3cret@h/db"][..],
        &["--testPGConnection", "--target=postgres://app:s3cret@h/db"],
        &["-s", "x", "-t", "host=h password=s3cret"],
        &["postgres://app:s3cret@h/db"],
    ] {
        let (status, stdout, stderr) = pgmig(args);
        assert_eq!((status, stdout.as_str()), (Some(2), ""), "{args:?}\n{stderr}");
        assert!(
            stderr.contains("takes the name of a file") && !stderr.contains("s3cret"),
            "{args:?}\n{stderr}"
        );
    }
}

#[test]
fn tokens_that_others_can_read_are_warned_of() {
    let path = file("rc_open.yaml", "accessTokens: [s3cret]\nhost: localhost\nport: 1009\n");
    for (mode, warns) in [(0o644, true), (0o640, true), (0o600, false)] {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("its mode can be set");
        let (_, _, stderr) = pgmig(&["--testRCConnection", "-r", path.to_str().expect("UTF-8")]);
        let warned = stderr.lines().any(|line| {
            line.starts_with("warning: ")
                && line.contains("rc_open.yaml holds access tokens")
                && line.contains("chmod 600")
        });
        assert_eq!(warned, warns, "{mode:o}\n{stderr}");
    }
}

#[test]
fn nothing_is_coloured_without_a_terminal() {
    for args in [&["--help"][..], &["--nonsense"], &[]] {
        let (_, stdout, stderr) = pgmig(args);
        assert!(!stdout.contains('\u{1b}') && !stderr.contains('\u{1b}'), "{args:?}");
    }
}

#[test]
fn missing_target_file_is_named() {
    let (status, _, stderr) = pgmig(&["--testPGConnection", "-t", "/nowhere/postgres.yaml"]);
    assert_eq!(status, Some(2), "{stderr}");
    assert!(stderr.contains("/nowhere/postgres.yaml"), "{stderr}");
}

#[test]
fn resource_controller_that_is_not_there_is_a_failure() {
    // A privileged port that nothing listens on.
    let path = file("rc_good.yaml", "accessTokens: [s3cret]\nhost: localhost\nport: 1009\n");
    let (status, stdout, stderr) = pgmig(&["--testRCConnection", "-r", path.to_str().expect("UTF-8")]);
    assert_eq!((status, stdout.as_str()), (Some(1), ""), "{stderr}");
    assert!(stderr.contains("localhost:1009") && stderr.contains("(3 tries)"), "{stderr}");
    assert!(!stderr.contains("s3cret"));
}

#[test]
fn bad_resource_controller_file_is_refused_without_showing_its_tokens() {
    let path = file("rc_bad.yaml", "accessTokens: [s3cret]\nhost: localhost\nport: 5000\nprot: 1\n");
    let (status, _, stderr) = pgmig(&["--testRCConnection", "-r", path.to_str().expect("UTF-8")]);
    assert_eq!(status, Some(2));
    assert!(stderr.contains("rc_bad.yaml, line 4") && stderr.contains("prot"), "{stderr}");
    assert!(!stderr.contains("s3cret"), "{stderr}");
}

#[test]
#[cfg(feature = "failpoints")]
fn unknown_failpoint_is_refused() {
    let mut command = Command::cargo_bin("pgmig").expect("the binary is built");
    let output = command.env("PGMIG_FAILPOINT", "nowhere").output().expect("pgmig runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nowhere"));
}

#[test]
fn the_papers_are_written() {
    let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("papers");
    // What an earlier run has written.
    let _ = std::fs::remove_dir_all(&directory);
    let (status, _, stderr) = pgmig(&["papers", directory.to_str().unwrap_or_default()]);
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).unwrap_or_default();
    for (name, says) in [
        ("man/pgmig.1", "testRCConnection"),
        ("man/pgmig-backup.1", "keep\\-weekly"),
        ("man/pgmig-backup-prune.1", "dry\\-run"),
        ("completions/pgmig.bash", "--keep-previous"),
        ("completions/_pgmig", "#compdef pgmig"),
        ("completions/pgmig.fish", "complete -c pgmig"),
    ] {
        assert!(read(name).contains(says), "{name}: {:.400}", read(name));
    }
    assert!(!read("man/pgmig.1").contains("papers"), "it is hidden");
    assert!(!directory.join("man/pgmig-help.1").exists(), "no page for help");
}
