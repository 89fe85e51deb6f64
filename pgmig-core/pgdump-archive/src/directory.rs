//! A directory-format archive: `toc.dat`, and a file for each table and large object.
//!
//! The archive names the files to open. Names that lead out of the directory are refused, and so is everything except
//! regular files: a link would lead out as a path does.

use super::{
    error::{ArchiveError, MemberProblem},
    file::ArchiveFile,
    member::SUFFIXES,
    progress::BytesRead,
    reader::Reader,
    wrapper,
};
use std::{
    fs::{File, Metadata},
    io::ErrorKind,
    os::unix::fs::MetadataExt,
    path::PathBuf,
    sync::Arc,
};

/// Name of the file with the table of contents.
pub(super) const TOC: &str = "toc.dat";

/// The directory of an archive.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    pub(super) name: Arc<str>,
}

impl Directory {
    pub(super) fn new(path: PathBuf) -> Self {
        let name = path.display().to_string().into();
        Self { path, name }
    }

    /// Size in bytes of a file of the directory; `None` if no file has this name.
    ///
    /// # Errors
    /// It is not a regular file, or its metadata cannot be read.
    pub(super) fn size_of(&self, name: &str) -> Result<Option<u64>, ArchiveError> {
        Ok(self.look(name)?.map(|metadata| metadata.len()))
    }

    fn look(&self, name: &str) -> Result<Option<Metadata>, ArchiveError> {
        let path = self.path.join(name);
        match path.symlink_metadata() {
            Ok(metadata) if metadata.is_file() => Ok(Some(metadata)),
            Ok(_) => Err(ArchiveError::Member { name: name.to_owned(), problem: MemberProblem::NoFile }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(ArchiveError::Open { path, source }),
        }
    }

    /// The table of contents. Somebody may have compressed it with the other files.
    ///
    /// # Errors
    /// The file does not exist, or cannot be opened.
    pub(super) fn toc(&self) -> Result<Arc<ArchiveFile>, ArchiveError> {
        for (suffix, _) in SUFFIXES {
            let name = format!("{TOC}{suffix}");
            if let Some(size) = self.size_of(&name)? {
                let file = self.file(&name, size)?;
                let head = Reader::of_file(Arc::clone(&file)).peek(4)?.to_vec();
                return Ok(match wrapper::recognise(&head) {
                    Some(wrapper) => Arc::new(self.raw_file(&name, size)?.wrapped(wrapper)),
                    None => file,
                });
            }
        }
        Err(ArchiveError::Member { name: TOC.to_owned(), problem: MemberProblem::Missing })
    }

    /// Opens a file whose size is `size` bytes.
    ///
    /// # Errors
    /// The file cannot be opened, or has changed since its size was read.
    pub(super) fn open(&self, name: &str, size: u64) -> Result<Reader, ArchiveError> {
        Ok(Reader::of_file(self.file(name, size)?))
    }

    /// A reader without input.
    pub(super) fn nowhere(&self) -> Reader {
        Reader::of_file(Arc::new(ArchiveFile::in_memory(Vec::new(), Arc::clone(&self.name))))
    }

    fn file(&self, name: &str, size: u64) -> Result<Arc<ArchiveFile>, ArchiveError> {
        Ok(Arc::new(self.raw_file(name, size)?))
    }

    fn raw_file(&self, name: &str, size: u64) -> Result<ArchiveFile, ArchiveError> {
        let changed = || ArchiveError::Member { name: name.to_owned(), problem: MemberProblem::Changed };
        let looked_at = self.look(name)?.ok_or_else(changed)?;
        let path = self.path.join(name);
        let failed = |source| ArchiveError::Open { path: path.clone(), source };
        let file = File::open(&path).map_err(failed)?;
        let opened = file.metadata().map_err(failed)?;
        // A link may have replaced the file between the two system calls.
        let is_same = (looked_at.dev(), looked_at.ino()) == (opened.dev(), opened.ino());
        if !is_same || opened.len() != size {
            return Err(changed());
        }
        let mut file = ArchiveFile::new(file, size, path.display().to_string().into(), BytesRead::default());
        file.member = Some(name.into());
        Ok(file)
    }
}
