//! Writes archives as pg_dump does, in every form that the format allows.

use crate::{ArchiveVersion, Compression};
use std::io::Write;

/// How offsets are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offsets {
    Set,
    NotSet,
    /// Set for every second entry.
    Mixed,
    /// Not set; a second TOC with offsets follows the blocks.
    SecondToc,
}

/// The data of an entry.
#[derive(Debug, Clone)]
pub(super) enum Data {
    None,
    Rows(Vec<u8>),
    /// The packed bytes of an item, written as they are, to build damaged archives.
    Raw(Vec<u8>),
    LargeObjects(Vec<(i64, Vec<u8>)>),
}

#[derive(Debug, Clone)]
pub(super) struct Builder {
    pub(super) version: ArchiveVersion,
    pub(super) int_size: u8,
    pub(super) off_size: u8,
    pub(super) compression: Compression,
    pub(super) offsets: Offsets,
    pub(super) entries: Vec<(i64, Data)>,
    /// The largest number of bytes in a chunk.
    pub(super) chunk: usize,
}

impl Builder {
    pub(super) fn new(compression: Compression) -> Self {
        let rows = |n: u32| {
            (0..n).flat_map(|i| format!("{i}\trow {i}\n").into_bytes()).chain(*b"\\.\n\n\n").collect()
        };
        Self {
            version: ArchiveVersion::V1_16,
            int_size: 4,
            off_size: 8,
            compression,
            offsets: Offsets::NotSet,
            entries: vec![
                (1, Data::None),
                (2, Data::Rows(rows(9))),
                (3, Data::Rows(rows(0))),
                (9, Data::LargeObjects(vec![(7, b"one".to_vec()), (-6, b"two".to_vec()), (8, Vec::new())])),
                (4, Data::Rows(rows(20))),
            ],
            chunk: 20,
        }
    }

    pub(super) fn build(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.header(&mut out);
        let toc_at = out.len();
        self.toc(&mut out, &[]);
        let starts: Vec<_> = self.entries.iter().map(|(id, data)| self.block(&mut out, *id, data)).collect();
        match self.offsets {
            Offsets::NotSet => {}
            Offsets::SecondToc => self.toc(&mut out, &starts),
            Offsets::Set | Offsets::Mixed => {
                let mut toc = Vec::new();
                self.toc(&mut toc, &starts);
                out[toc_at..toc_at + toc.len()].copy_from_slice(&toc);
            }
        }
        out
    }

    /// The bytes before the first block.
    pub(super) fn head(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.header(&mut out);
        self.toc(&mut out, &[]);
        out
    }

    /// The files of a directory-format archive, or the members of a tar-format one. `suffix` is that of the codec.
    pub(super) fn members(&self, suffix: &str) -> Vec<(String, Vec<u8>)> {
        let mut toc = Vec::new();
        self.header(&mut toc);
        toc[10] = 3;
        self.int(&mut toc, i64::try_from(self.entries.len()).unwrap());
        let mut members = vec![(String::new(), Vec::new())];
        for (id, data) in &self.entries {
            self.entry(&mut toc, *id, data);
            let list = if self.version >= ArchiveVersion::V1_16 {
                format!("blobs_{id}.toc")
            } else {
                "blobs.toc".into()
            };
            let file = match data {
                Data::None => String::new(),
                Data::LargeObjects(_) => list.clone(),
                Data::Rows(_) | Data::Raw(_) => format!("{id}.dat"),
            };
            self.text(&mut toc, Some(&file));
            match data {
                Data::None => {}
                Data::Rows(bytes) | Data::Raw(bytes) => {
                    members.push((format!("{file}{suffix}"), pack_file(bytes, self.compression)));
                }
                Data::LargeObjects(objects) => {
                    let mut lines = String::new();
                    for (oid, bytes) in objects {
                        let name = format!("blob_{}.dat", oid.rem_euclid(1 << 32));
                        lines += &format!("{} {name}\n", oid.rem_euclid(1 << 32));
                        members.push((format!("{name}{suffix}"), pack_file(bytes, self.compression)));
                    }
                    members.push((list, lines.into_bytes()));
                }
            }
        }
        members[0] = ("toc.dat".to_owned(), toc);
        members
    }

    fn header(&self, out: &mut Vec<u8>) {
        out.extend(b"PGDMP");
        out.extend([self.version.major(), self.version.minor(), 0, self.int_size, self.off_size, 1]);
        let code = match self.compression {
            Compression::None => 0,
            Compression::Gzip => 1,
            Compression::Lz4 => 2,
            Compression::Zstd => 3,
        };
        if self.version >= ArchiveVersion::V1_15 {
            out.push(code)
        } else {
            self.int(out, -i64::from(code))
        }
        for field in [1, 2, 3, 4, 5, 126, 0] {
            self.int(out, field);
        }
        for text in ["db", "15.1", "15.1"] {
            self.text(out, Some(text));
        }
    }

    fn toc(&self, out: &mut Vec<u8>, starts: &[usize]) {
        self.int(out, i64::try_from(self.entries.len()).unwrap());
        for (number, (id, data)) in self.entries.iter().enumerate() {
            self.entry(out, *id, data);
            let start = starts.get(number).filter(|_| self.offsets != Offsets::Mixed || number % 2 == 0);
            let (flag, offset) = match (data, start) {
                (Data::None, _) => (3, 0),
                (_, None) => (1, 0),
                (_, Some(start)) => (2, u64::try_from(*start).unwrap()),
            };
            out.push(flag);
            out.extend(&offset.to_le_bytes()[..usize::from(self.off_size)]);
        }
    }

    fn entry(&self, out: &mut Vec<u8>, id: i64, data: &Data) {
        let (desc, definition) = match data {
            Data::None => ("ENCODING", "SET client_encoding = 'UTF8';\n"),
            Data::Rows(_) | Data::Raw(_) => ("TABLE DATA", ""),
            Data::LargeObjects(_) => ("BLOBS", ""),
        };
        self.int(out, id);
        self.int(out, i64::from(!matches!(data, Data::None)));
        for text in ["0", "0", "tag", desc] {
            self.text(out, Some(text));
        }
        if self.version >= ArchiveVersion::V1_11 {
            self.int(out, 3);
        }
        for text in [Some(definition), None, Some("COPY t FROM stdin;\n"), Some("public"), None] {
            self.text(out, text);
        }
        if self.version >= ArchiveVersion::V1_14 {
            self.text(out, Some("heap"));
        }
        if self.version >= ArchiveVersion::V1_16 {
            self.int(out, i64::from(b'r'));
        }
        for text in [Some("owner"), Some("false"), Some("1"), None] {
            self.text(out, text);
        }
    }

    fn block(&self, out: &mut Vec<u8>, id: i64, data: &Data) -> usize {
        let start = out.len();
        match data {
            Data::None => {}
            Data::Rows(rows) => {
                out.push(1);
                self.int(out, id);
                self.item(out, &pack(rows, self.compression));
            }
            Data::Raw(packed) => {
                out.push(1);
                self.int(out, id);
                self.item(out, packed);
            }
            Data::LargeObjects(objects) => {
                out.push(3);
                self.int(out, id);
                for (oid, bytes) in objects {
                    self.int(out, *oid);
                    self.item(out, &pack(bytes, self.compression));
                }
                self.int(out, 0);
            }
        }
        start
    }

    fn item(&self, out: &mut Vec<u8>, packed: &[u8]) {
        for chunk in packed.chunks(self.chunk) {
            self.int(out, i64::try_from(chunk.len()).unwrap());
            out.extend(chunk);
        }
        self.int(out, 0);
    }

    pub(super) fn int(&self, out: &mut Vec<u8>, value: i64) {
        out.push(u8::from(value < 0));
        out.extend(&value.unsigned_abs().to_le_bytes()[..usize::from(self.int_size)]);
    }

    pub(super) fn text(&self, out: &mut Vec<u8>, text: Option<&str>) {
        self.int(out, text.map_or(-1, |text| i64::try_from(text.len()).unwrap()));
        out.extend(text.unwrap_or_default().bytes());
    }
}

/// Compresses `bytes` as a file of its own.
pub(crate) fn pack_file(bytes: &[u8], compression: Compression) -> Vec<u8> {
    if compression != Compression::Gzip {
        return pack(bytes, compression);
    }
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Bytes that do not compress, always the same.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let next = |state: &u32| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
    std::iter::successors(Some(1), next).map(|state| state.to_be_bytes()[0]).take(length).collect()
}

/// Compresses `bytes` as one item.
pub(crate) fn pack(bytes: &[u8], compression: Compression) -> Vec<u8> {
    match compression {
        Compression::None => bytes.to_vec(),
        Compression::Gzip => {
            let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        Compression::Lz4 => {
            let mut encoder = lz4::EncoderBuilder::new().build(Vec::new()).unwrap();
            encoder.write_all(bytes).unwrap();
            encoder.finish().0
        }
        Compression::Zstd => zstd::encode_all(bytes, 3).unwrap(),
    }
}
