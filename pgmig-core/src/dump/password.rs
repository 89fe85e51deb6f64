//! Hands the password to pg_dump by its standard input: a password file that has no name.
//!
//! Neither arguments nor environment variables show the password, and nothing is left of the file whatever ends pgmig: it is
//! deleted before the password is written to it.

use secrecy::{ExposeSecret, SecretString};
use std::fs::{File, Permissions};
use std::io::{self, Seek, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// The path by which pg_dump opens its own standard input. libpq requires a regular file that only its owner can read.
pub(super) const PATH: &str = "/proc/self/fd/0";

/// Memory, where the machine has it: the password then is on no disk.
const MEMORY: &str = "/dev/shm";

/// A password file for any host, with mode 0600, in memory or else in one of these directories.
pub(super) fn file(password: &SecretString, directories: &[&Path]) -> io::Result<File> {
    let places = std::iter::once(Path::new(MEMORY)).chain(directories.iter().copied());
    let mut refused = io::Error::from(io::ErrorKind::NotFound);
    for place in places {
        match tempfile::tempfile_in(place).and_then(|file| fill(file, password)) {
            Ok(file) => return Ok(file),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

fn fill(mut file: File, password: &SecretString) -> io::Result<File> {
    let line: SecretString = format!("*:*:*:*:{}\n", escaped(password)).into();
    // The mode of a new file is that of the process's umask.
    file.set_permissions(Permissions::from_mode(0o600))?;
    file.write_all(line.expose_secret().as_bytes())?;
    file.rewind()?;
    Ok(file)
}

/// The password as a field of the file, in which a colon ends a field.
fn escaped(password: &SecretString) -> String {
    let mut field = String::with_capacity(password.expose_secret().len());
    for c in password.expose_secret().chars() {
        if matches!(c, ':' | '\\') {
            field.push('\\');
        }
        field.push(c);
    }
    field
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::fs::MetadataExt;

    #[test]
    fn the_file_is_private_and_has_no_name() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = file(&r"a:b\c d".into(), &[directory.path()]).unwrap();
        let metadata = file.metadata().unwrap();
        assert_eq!((metadata.mode() & 0o777, metadata.nlink()), (0o600, 0));
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "*:*:*:*:a\\:b\\\\c d\n");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
