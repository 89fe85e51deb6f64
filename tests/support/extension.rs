//! A server of a test's own, with extensions of its own: PostgreSQL's programs in another place, where its directory of
//! extensions can be written to.

use super::server::{PrivateServer, Server};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The server, and its programs.
pub(crate) struct ExtendedServer {
    pub(crate) server: PrivateServer,
    _programs: TempDir,
}

/// Starts a server that also has these extensions: the name and the script of each.
pub(crate) fn start(extensions: &[(&str, &str)]) -> ExtendedServer {
    let original = Server::of_this_run();
    let place = |name: &str| {
        let sql = format!("SELECT setting FROM pg_config WHERE name = '{name}'");
        PathBuf::from(original.psql("postgres", &sql).trim())
    };
    let (programs, library, shared) = (place("BINDIR"), place("PKGLIBDIR"), place("SHAREDIR"));
    let root = TempDir::new().unwrap();
    // The server runs as another user.
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // Programs find the other directories by the way from their own.
    let common: PathBuf = programs
        .components()
        .zip(shared.components())
        .take_while(|(one, other)| one == other)
        .map(|(one, _)| one)
        .collect();
    let moved =
        |path: &Path| root.path().join(path.strip_prefix(&common).expect("PostgreSQL is in one place"));
    let bindir = moved(&programs);
    fs::create_dir_all(&bindir).unwrap();
    for program in entries(&programs) {
        fs::copy(&program, bindir.join(program.file_name().unwrap())).unwrap();
    }
    // A server without clients of its own has them from elsewhere.
    for program in entries(&original.bindir) {
        let moved = bindir.join(program.file_name().unwrap());
        if !moved.exists() {
            symlink(program.canonicalize().unwrap(), moved).unwrap();
        }
    }
    fs::create_dir_all(moved(&library).parent().unwrap()).unwrap();
    symlink(&library, moved(&library)).unwrap();
    // The programs find shared libraries by the way from their own place, too.
    let is_shared = |file: &&PathBuf| file.to_string_lossy().contains(".so");
    for file in entries(library.parent().unwrap()).iter().filter(is_shared) {
        symlink(file, moved(file)).unwrap();
    }
    let (shared, moved_shared) = (shared.as_path(), moved(&shared));
    fs::create_dir_all(moved_shared.join("extension")).unwrap();
    for file in entries(shared).into_iter().filter(|file| !file.ends_with("extension")) {
        symlink(&file, moved_shared.join(file.file_name().unwrap())).unwrap();
    }
    for file in entries(&shared.join("extension")) {
        symlink(&file, moved_shared.join("extension").join(file.file_name().unwrap())).unwrap();
    }
    for (name, script) in extensions {
        let directory = moved_shared.join("extension");
        for file in [format!("{name}.control"), format!("{name}--1.sql")] {
            // The extension of this name that the machine may have.
            let _ = fs::remove_file(directory.join(file));
        }
        let control = "comment = 'of a test'\ndefault_version = '1'\nrelocatable = true\nsuperuser = true\n";
        fs::write(directory.join(format!("{name}.control")), control).unwrap();
        fs::write(directory.join(format!("{name}--1.sql")), script).unwrap();
    }
    ExtendedServer { server: Server::start_private_from(&bindir, ""), _programs: root }
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    directory.read_dir().unwrap().map(|entry| entry.unwrap().path()).collect()
}
