//! A directory-format archive: `toc.dat`, and a file for each table and large object.
//!
//! Files are opened by names that the archive gives. No name leads out of the directory, and what is there must
//! be a file: a link would do what a path does.

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

/// Where the table of contents is.
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

    /// Size of a file of the directory in bytes; `None` if there is none of this name.
    ///
    /// # Errors
    /// It is no regular file, or cannot be looked at.
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

    /// The table of contents, which somebody may have compressed with the rest.
    ///
    /// # Errors
    /// There is none, or it cannot be opened.
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
    /// It cannot be opened, or is not what it was when it was looked at.
    pub(super) fn open(&self, name: &str, size: u64) -> Result<Reader, ArchiveError> {
        Ok(Reader::of_file(self.file(name, size)?))
    }

    /// A reader of nothing.
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
        // Between the two looks a link may have taken its place.
        let is_same = (looked_at.dev(), looked_at.ino()) == (opened.dev(), opened.ino());
        if !is_same || opened.len() != size {
            return Err(changed());
        }
        let mut file = ArchiveFile::new(file, size, path.display().to_string().into(), BytesRead::default());
        file.member = Some(name.into());
        Ok(file)
    }
}
