//! The data after the last data block.

use super::{
    entry::{DataState, DumpId},
    error::{ArchiveError, Part, Place},
    format::Format,
    header::Container,
    reader::Reader,
    toc::Toc,
};

/// The most that is read of unknown data after the end of a stream, so that their writer can finish. Beyond this,
/// reading stops, and the writer gets an error.
const MAX_UNKNOWN_TAIL: u64 = 64 * 1024 * 1024;

/// The kind of data after the last data block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Tail {
    /// Nothing.
    Nothing,
    /// The TOC again, with offsets. `pg_dump -Fc > file` of PostgreSQL 16 and later leaves it there.
    SecondToc,
    /// Bytes that are not part of an archive: somebody appended them to the file, or its end was damaged. All blocks
    /// that the TOC announces are there.
    Unknown,
}

/// Reads the data after the last block, to the end of the input. `found` holds the blocks and their places.
///
/// # Errors
/// If there is no block at all, only a second TOC may follow the first. Anything else suggests that the TOC is longer
/// than its count says.
pub(super) fn read_tail(
    reader: &mut Reader,
    container: Container,
    toc: &Toc,
    found: &[(DumpId, u64)],
) -> Result<Tail, ArchiveError> {
    let start = reader.offset();
    if reader.fill()?.is_empty() {
        return Ok(Tail::Nothing);
    }
    match Toc::read(reader, Format::Custom, container) {
        Ok(second) if is_same(toc, &second, found) && reader.fill()?.is_empty() => {
            return Ok(Tail::SecondToc);
        }
        Err(error @ ArchiveError::Read { .. }) => return Err(error),
        Ok(_) | Err(_) => {}
    }
    if found.is_empty() {
        return Err(ArchiveError::Malformed {
            place: Box::new(Place { offset: start, file: None, part: Part::Blocks }),
            what: "what follows the table of contents",
            got: "something else".to_owned(),
            expected: "the end of the archive, as no entry has data".to_owned(),
        });
    }
    drain(reader)?;
    Ok(Tail::Unknown)
}

/// Reads to the end of the input, after the zeros that end a tar file.
pub(super) fn drain_zeros(reader: &mut Reader) -> Result<Tail, ArchiveError> {
    let most = reader.offset().saturating_add(MAX_UNKNOWN_TAIL);
    let mut tail = Tail::Nothing;
    while reader.offset() < most {
        let bytes = reader.fill()?;
        if bytes.is_empty() {
            break;
        }
        if bytes.iter().any(|&byte| byte != 0) {
            tail = Tail::Unknown;
        }
        let length = bytes.len();
        reader.consume(length);
    }
    Ok(tail)
}

fn is_same(toc: &Toc, second: &Toc, found: &[(DumpId, u64)]) -> bool {
    let agrees = |(id, start): &(DumpId, u64)| match second.get(*id).map(|entry| entry.data) {
        Some(DataState::Offset(offset)) => offset == *start,
        Some(DataState::NotSet) => true,
        Some(DataState::NoData | DataState::Member) | None => false,
    };
    toc.same_entries(second) && found.iter().all(agrees)
}

fn drain(reader: &mut Reader) -> Result<(), ArchiveError> {
    if reader.end().is_some() {
        return Ok(()); // a file has no writer
    }
    let most = reader.offset().saturating_add(MAX_UNKNOWN_TAIL);
    while reader.offset() < most {
        let length = reader.fill()?.len();
        if length == 0 {
            break;
        }
        reader.consume(length);
    }
    Ok(())
}
