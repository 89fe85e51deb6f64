//! Reads and writes the file of an object, with its checksums.

use crate::bucket::{PART, part_size};
use crate::directory::hex;
use crate::error::ObjectsError;
use openssl::hash::{Hasher, MessageDigest};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// How many bytes are read at a time.
const PIECE: usize = 1024 * 1024;

/// A file that gets its name when it is complete.
pub(crate) struct NewFile {
    path: PathBuf,
    file: NamedTempFile,
    hasher: Hasher,
    size: u64,
}

impl NewFile {
    pub(crate) fn create(path: &Path) -> Result<Self, ObjectsError> {
        let directory = path.parent().unwrap_or(path);
        fs::create_dir_all(directory).map_err(ObjectsError::file(directory))?;
        let file = tempfile::Builder::new().prefix(".partial-").tempfile_in(directory);
        let file = file.map_err(ObjectsError::file(directory))?;
        let hasher = Hasher::new(MessageDigest::sha256()).map_err(|error| other(path, &error))?;
        Ok(Self { path: path.to_owned(), file, hasher, size: 0 })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), ObjectsError> {
        self.hasher.update(bytes).map_err(|error| other(&self.path, &error))?;
        self.size = self.size.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        self.file.write_all(bytes).map_err(ObjectsError::file(&self.path))
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Gives the file its name, when it is on disk. Returns its checksum.
    pub(crate) fn finish(mut self) -> Result<String, ObjectsError> {
        let digest = self.hasher.finish().map_err(|error| other(&self.path, &error))?;
        self.file.as_file().sync_all().map_err(ObjectsError::file(&self.path))?;
        let named = self.file.persist(&self.path).map_err(|error| error.error);
        named.map_err(ObjectsError::file(&self.path))?;
        sync_directory(&self.path)?;
        Ok(hex(&digest))
    }
}

/// Makes names in the directory of a file durable.
pub(crate) fn sync_directory(path: &Path) -> Result<(), ObjectsError> {
    let directory = path.parent().unwrap_or(path);
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(ObjectsError::file(directory))
}

/// The checksums of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) size: u64,
    pub(crate) sha256: String,
    /// The ETag that a server gives the object if it has no encryption of its own; `None` where OpenSSL has no MD5.
    pub(crate) etag: Option<String>,
}

/// Reads a file to its end. `done` is told of each piece.
pub(crate) fn sums(path: &Path, mut done: impl FnMut(u64)) -> Result<Sums, ObjectsError> {
    let mut file = File::open(path).map_err(ObjectsError::file(path))?;
    let size = file.metadata().map_err(ObjectsError::file(path))?.len();
    let mut sha256 = Hasher::new(MessageDigest::sha256()).map_err(|error| other(path, &error))?;
    let mut parts = Parts::new(size);
    let mut piece = vec![0; PIECE];
    let mut total = 0_u64;
    loop {
        let read = file.read(&mut piece).map_err(ObjectsError::file(path))?;
        let Some(bytes) = piece.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
        sha256.update(bytes).map_err(|error| other(path, &error))?;
        parts.update(bytes);
        let read = u64::try_from(read).unwrap_or(u64::MAX);
        total = total.saturating_add(read);
        done(read);
    }
    let digest = sha256.finish().map_err(|error| other(path, &error))?;
    Ok(Sums { size: total, sha256: hex(&digest), etag: parts.etag() })
}

/// The MD5 of an object, or of the MD5s of its parts, as servers make ETags of them.
struct Parts {
    size: u64,
    is_one: bool,
    left: u64,
    present: Option<Hasher>,
    digests: Vec<u8>,
    count: u64,
}

impl Parts {
    fn new(size: u64) -> Self {
        let part = part_size(size);
        let present = Hasher::new(MessageDigest::md5()).ok();
        Self { size: part, is_one: size <= PART, left: part, present, digests: Vec::new(), count: 0 }
    }

    fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            let (now, later) = bytes.split_at(length);
            let updated = self.present.as_mut().map(|hasher| hasher.update(now));
            if !matches!(updated, Some(Ok(()))) {
                self.present = None;
                return;
            }
            self.left = self.left.saturating_sub(u64::try_from(length).unwrap_or(u64::MAX));
            if self.left == 0 && !self.is_one {
                self.end_part();
            }
            bytes = later;
        }
    }

    fn end_part(&mut self) {
        match self.present.as_mut().map(Hasher::finish) {
            Some(Ok(digest)) => self.digests.extend_from_slice(&digest),
            _ => self.present = None,
        }
        self.count = self.count.saturating_add(1);
        self.left = self.size;
    }

    fn etag(mut self) -> Option<String> {
        if self.is_one {
            return Some(format!("\"{}\"", hex(&self.present?.finish().ok()?)));
        }
        if self.left < self.size {
            self.end_part();
        }
        self.present.as_ref()?;
        let digest = openssl::hash::hash(MessageDigest::md5(), &self.digests).ok()?;
        Some(format!("\"{}-{}\"", hex(&digest), self.count))
    }
}

fn other(path: &Path, error: &openssl::error::ErrorStack) -> ObjectsError {
    ObjectsError::file(path)(io::Error::other(error.to_string()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_a_server() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x");
        fs::write(&path, b"abc").unwrap();
        let small = sums(&path, |_| {}).unwrap();
        assert_eq!(small.etag.as_deref(), Some("\"900150983cd24fb0d6963f7d28e17f72\""));
        assert!(small.sha256.starts_with("ba7816bf"));
        // Two parts: by `(dd ... | md5sum -b | xxd -r -p; ...) | md5sum` over zeros.
        fs::write(&path, vec![0; usize::try_from(PART).unwrap() + 1]).unwrap();
        let part =
            |length: usize| openssl::hash::hash(MessageDigest::md5(), &vec![0; length]).unwrap().to_vec();
        let both = [part(usize::try_from(PART).unwrap()), part(1)].concat();
        let expected = hex(&openssl::hash::hash(MessageDigest::md5(), &both).unwrap());
        assert_eq!(sums(&path, |_| {}).unwrap().etag, Some(format!("\"{expected}-2\"")));
    }

    #[test]
    fn a_file_that_is_not_finished_has_no_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ab").join("abc");
        let mut file = NewFile::create(&path).unwrap();
        file.write(b"abc").unwrap();
        drop(file);
        assert_eq!(fs::read_dir(directory.path().join("ab")).unwrap().count(), 0);
        let mut file = NewFile::create(&path).unwrap();
        file.write(b"abc").unwrap();
        assert_eq!(file.size(), 3);
        assert!(file.finish().unwrap().starts_with("ba7816bf"));
        assert_eq!(fs::read(&path).unwrap(), b"abc");
    }
}
