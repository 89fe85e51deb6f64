//! Service instances: their IDs, the mapping from the backup's to the target's, and the instances in an archive.
//!
//! Pure: the input is rows and texts of files, the output is instances and pairs of IDs.

mod discover;
mod draft;
mod error;
mod id;
mod mapping;
mod mapping_file;
mod mapping_writer;
mod resolution;

pub use discover::{Alias, Instance, InstanceCollector, InstanceColumns};
pub use draft::{Candidate, MappingDraft};
pub use error::{DiscoverError, IdError, MappingError};
pub use id::InstanceId;
pub use mapping::Mapping;
pub use mapping_file::MAX_MAPPING_BYTES;
pub use mapping_writer::MappingWriter;
pub use resolution::{Resolution, ResolvedInstance};
