//! Tar files: archives of the tar format, and directory-format archives that somebody has packed.
//!
//! This is own code because it must be stricter than a general tar reader. It reads only what pg_dump and tar write
//! for plain files. Links, devices, unsafe paths and sparse files are refused: they could lead out of the archive. Of
//! headers that extend others, only the path and the size count.

mod extended;
mod header;
mod index;
mod stream;

pub(super) use index::TarIndex;
pub(super) use stream::{TarBlock, TarObjects, TarStream};
