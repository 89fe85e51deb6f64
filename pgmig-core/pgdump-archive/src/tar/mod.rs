//! Tar files: archives of the tar format, and directory-format archives that somebody has packed.
//!
//! Own code, and less of it than the format has: what pg_dump and tar write for plain files. Anything that could
//! lead elsewhere (links, devices, paths, headers that change others) is refused.

mod header;
mod index;
mod stream;

pub(super) use index::TarIndex;
pub(super) use stream::{TarBlock, TarObjects, TarStream};
