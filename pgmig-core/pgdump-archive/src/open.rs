//! Opens an input that may be an archive. Its contents determine its format and whether it is compressed.

use super::{
    Archive, Blocks,
    blocks::{FileBlocks, Files, LocatedBlock, Opener},
    cluster::ClusterDump,
    compression::Compression,
    custom::{StreamBlocks, locate_blocks},
    directory::{Directory, TOC},
    error::{ArchiveError, MemberProblem},
    file::ArchiveFile,
    foreign::Foreign,
    format::Format,
    header::Header,
    member::Members,
    plain,
    progress::BytesRead,
    reader::{IntSizes, Reader},
    sniff,
    tail::Tail,
    tar::{TarIndex, TarStream},
    toc::Toc,
    wrapper,
};
use std::{
    fs::File,
    io::Read,
    path::Path,
    sync::{Arc, Mutex},
};

/// The name of an unnamed input in messages.
const UNNAMED: &str = "the input";

pub(super) fn path(path: &Path) -> Result<Archive, ArchiveError> {
    let failed = |source| ArchiveError::Open { path: path.to_owned(), source };
    let name: Arc<str> = path.display().to_string().into();
    let metadata = path.metadata().map_err(failed)?;
    if ClusterDump::is_at(path) {
        let databases = ClusterDump::open(path)?.names();
        return Err(ArchiveError::ManyDatabases { directory: path.to_owned(), databases });
    }
    if metadata.is_dir() {
        return directory(Directory::new(path.to_owned()), None);
    }
    let file = File::open(path).map_err(failed)?;
    if !metadata.is_file() {
        return stream(Box::new(file), Some(name));
    }
    let size = file.metadata().map_err(failed)?.len();
    one_file(ArchiveFile::new(file, size, name, BytesRead::default()))
}

/// Opens a directory that may lack data, and notes the errors about missing files.
pub(super) fn incomplete(path: &Path, missing: &mut Vec<ArchiveError>) -> Result<Archive, ArchiveError> {
    match path.is_dir() {
        true => directory(Directory::new(path.to_owned()), Some(missing)),
        false => self::path(path),
    }
}

pub(super) fn bytes(bytes: Vec<u8>) -> Result<Archive, ArchiveError> {
    one_file(ArchiveFile::in_memory(bytes, UNNAMED.into()))
}

pub(super) fn stream(input: Box<dyn Read + Send>, name: Option<Arc<str>>) -> Result<Archive, ArchiveError> {
    let name = name.unwrap_or_else(|| UNNAMED.into());
    let read = BytesRead::default();
    let mut reader = Reader::of_stream(input, name, read.clone());
    let wrapper = wrapper::recognise(reader.peek(sniff::SNIFF_LENGTH)?).unwrap_or(Compression::None);
    if wrapper != Compression::None {
        reader = reader.unwrapped(wrapper)?;
    }
    recognised(reader, |reader, format| {
        let mut archive = match format {
            Format::Tar => tar_stream(reader, read)?,
            Format::Plain => script_stream(reader, read)?,
            _ => custom_stream(reader, read)?,
        };
        archive.header.wrapper = wrapper;
        Ok(archive)
    })
}

fn one_file(file: ArchiveFile) -> Result<Archive, ArchiveError> {
    let file = Arc::new(file);
    let head = Reader::of_file(Arc::clone(&file)).peek(sniff::SNIFF_LENGTH)?.to_vec();
    let file = match wrapper::recognise(&head) {
        Some(wrapper) => {
            let Some(file) = Arc::into_inner(file) else { return Err(ArchiveError::AfterError) };
            Arc::new(file.wrapped(wrapper))
        }
        None => file,
    };
    let wrapper = file.wrapper;
    recognised(Reader::of_file(Arc::clone(&file)), |reader, format| {
        let mut archive = match format {
            Format::Tar => tar_file(reader, file)?,
            Format::Plain => script_file(reader, file)?,
            _ => custom_file(reader, file)?,
        };
        archive.header.wrapper = wrapper;
        Ok(archive)
    })
}

/// Reads an archive with `read` once its format is recognised. If the archive was transferred as text, the error says
/// so: all other errors follow from that.
fn recognised(
    mut reader: Reader,
    read: impl FnOnce(Reader, Format) -> Result<Archive, ArchiveError>,
) -> Result<Archive, ArchiveError> {
    let head = reader.peek(sniff::SNIFF_LENGTH)?;
    let mangled = sniff::line_feeds_mangled(head);
    let format = match wrapper::recognise(head) {
        Some(_) => Err(Foreign::CompressedTwice),
        None => sniff::recognise(head),
    };
    match format {
        Ok(format) => read(reader, format).map_err(|error| match error.place() {
            Some(place) if mangled => ArchiveError::LineEndings { place: Box::new(place.clone()) },
            _ => error,
        }),
        Err(found) => Err(not_an_archive(&reader, found)),
    }
}

fn not_an_archive(reader: &Reader, found: Foreign) -> ArchiveError {
    ArchiveError::NotAnArchive { input: reader.name().to_owned(), found }
}

fn custom_file(mut reader: Reader, file: Arc<ArchiveFile>) -> Result<Archive, ArchiveError> {
    let read = file.read.clone();
    let (header, container) = Header::read(&mut reader, Format::Custom)?;
    let toc = Toc::read(&mut reader, Format::Custom, container)?;
    let blocks = locate_blocks(reader, file, &header, container, &toc)?;
    Ok(Archive { header, toc, shown: None, blocks: Blocks::File(Box::new(blocks)), read })
}

fn custom_stream(mut reader: Reader, read: BytesRead) -> Result<Archive, ArchiveError> {
    let (header, container) = Header::read(&mut reader, Format::Custom)?;
    let toc = Toc::read(&mut reader, Format::Custom, container)?;
    reader.report();
    let blocks = StreamBlocks::new(reader, container, header.compression);
    Ok(Archive { header, toc, shown: None, blocks: Blocks::Stream(Box::new(Mutex::new(blocks))), read })
}

fn tar_stream(reader: Reader, read: BytesRead) -> Result<Archive, ArchiveError> {
    let (header, toc, blocks) = TarStream::open(reader)?;
    Ok(Archive { header, toc, shown: None, blocks: Blocks::Tar(Box::new(Mutex::new(blocks))), read })
}

fn script_stream(reader: Reader, read: BytesRead) -> Result<Archive, ArchiveError> {
    let (header, toc, blocks) = plain::ScriptStream::open(reader)?;
    Ok(Archive { header, toc, shown: None, blocks: Blocks::Script(Box::new(Mutex::new(blocks))), read })
}

fn tar_file(mut reader: Reader, file: Arc<ArchiveFile>) -> Result<Archive, ArchiveError> {
    let index = TarIndex::read(&mut reader)?;
    let (tail, size) = (index.tail, file.contents_size().unwrap_or(index.size));
    let format = if index.is_directory() { Format::Directory } else { Format::Tar };
    index.seek_toc(&mut reader);
    let read = file.read.clone();
    let files = Files::One(Arc::clone(&file));
    let place = Place { files, size: Some(size), read, tail };
    members(reader, format, Members::Tar { index, file }, place, None)
}

fn script_file(reader: Reader, file: Arc<ArchiveFile>) -> Result<Archive, ArchiveError> {
    let (header, toc, blocks, size) = plain::read(reader)?;
    let read = file.read.clone();
    // A script has no framing.
    let sizes = IntSizes { int: 0, offset: 0 };
    let opener = Opener {
        files: Files::One(file),
        sizes,
        compression: header.compression,
        read: read.clone(),
        decoders: Arc::default(),
    };
    let blocks = FileBlocks::new(opener, Some(size), blocks, Tail::Nothing);
    Ok(Archive { header, toc, shown: None, blocks: Blocks::File(Box::new(blocks)), read })
}

fn directory(directory: Directory, missing: Option<&mut Vec<ArchiveError>>) -> Result<Archive, ArchiveError> {
    let toc = match directory.toc() {
        Err(ArchiveError::Member { name, problem: MemberProblem::Missing }) if name == TOC => {
            let input = directory.name.to_string();
            return Err(ArchiveError::NotAnArchive { input, found: Foreign::Directory });
        }
        toc => toc?,
    };
    let directory = Arc::new(directory);
    let files = Files::Directory(Arc::clone(&directory));
    let read = BytesRead::default();
    recognised(Reader::of_file(toc), |reader, _| {
        let place = Place { files, size: None, read, tail: Tail::Nothing };
        members(reader, Format::Directory, Members::Directory(directory), place, missing)
    })
}

/// Where the members of an archive are.
struct Place {
    files: Files,
    /// The size of all of them; `None` if it is to be added up.
    size: Option<u64>,
    read: BytesRead,
    tail: Tail,
}

/// Reads an archive whose data are in members. `reader` is at the start of its table of contents. Errors about members that
/// are not there go to `missing`, if there is one.
fn members(
    mut reader: Reader,
    format: Format,
    members: Members,
    Place { files, size, read, tail }: Place,
    missing: Option<&mut Vec<ArchiveError>>,
) -> Result<Archive, ArchiveError> {
    let (header, container) = Header::read(&mut reader, format)?;
    let toc = Toc::read(&mut reader, format, container)?;
    let end = reader.end();
    toc.expect_end(&mut reader, end)?;
    let toc_size = reader.file().and_then(|file| file.contents_size()).unwrap_or_default();
    let blocks = members.locate(&toc, missing)?;
    let all_files = || toc_size + blocks.iter().map(LocatedBlock::length).sum::<u64>();
    let size = size.unwrap_or_else(all_files);
    let opener = Opener {
        files,
        sizes: container.sizes(),
        compression: header.compression,
        read: read.clone(),
        decoders: Arc::default(),
    };
    let blocks = FileBlocks::new(opener, Some(size), blocks, tail);
    Ok(Archive { header, toc, shown: None, blocks: Blocks::File(Box::new(blocks)), read })
}
