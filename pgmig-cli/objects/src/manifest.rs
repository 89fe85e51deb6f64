//! The manifest of a bucket's copy: lines of JSON, the first with the bucket's name, the last with the number of objects.

use crate::bucket::Listed;
use crate::error::ObjectsError;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue};
use object_store::{Attribute, AttributeValue, Attributes as StoreAttributes};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, BufWriter, ErrorKind, Read as _, Write as _};
use std::path::Path;

/// The version of the form.
const FORMAT: u32 = 1;
/// A longer line is none of a manifest: a key has 1024 bytes at most, and the attributes some thousand.
const LONGEST_LINE: u64 = 1024 * 1024;

/// What the names of headers with a user's own attributes begin with.
const METADATA: &str = "x-amz-meta-";

/// The attributes of an object that a copy keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Attributes {
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_encoding: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_disposition: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_language: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cache_control: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    metadata: BTreeMap<String, String>,
}

/// An object in a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stored {
    pub(crate) key: String,
    pub(crate) size: u64,
    /// In hexadecimal digits.
    pub(crate) sha256: String,
    /// What the server said of it when it was copied.
    pub(crate) etag: Option<String>,
    pub(crate) modified: String,
    #[serde(default)]
    pub(crate) attributes: Attributes,
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    pgmig_objects: u32,
    bucket: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct End {
    objects: u64,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Line {
    Stored(Box<Stored>),
    End(End),
}

impl Stored {
    /// Whether this is the object that the server lists.
    pub(crate) fn is(&self, listed: &Listed) -> bool {
        self.size == listed.size && self.etag == listed.etag && self.modified == listed.modified
    }
}

/// Writes a whole manifest to a new file.
pub(crate) fn write(file: &File, path: &Path, bucket: &str, objects: &[Stored]) -> Result<(), ObjectsError> {
    let mut out = BufWriter::new(file);
    let header = Header { pgmig_objects: FORMAT, bucket: bucket.to_owned() };
    let count = u64::try_from(objects.len()).unwrap_or(u64::MAX);
    let written = line(&header).and_then(|line| out.write_all(&line)).and_then(|()| {
        objects.iter().try_for_each(|stored| line(stored).and_then(|line| out.write_all(&line)))?;
        line(&End { objects: count }).and_then(|line| out.write_all(&line))?;
        out.flush()
    });
    written.map_err(ObjectsError::file(path))
}

/// A line of a manifest.
pub(crate) fn line(value: &impl Serialize) -> std::io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

/// The objects of a manifest; `None` if there is no such file.
///
/// # Errors
///
/// The file is none of this bucket, is damaged, or not complete.
pub(crate) fn read(path: &Path, bucket: &str) -> Result<Option<Vec<Stored>>, ObjectsError> {
    let wrong = |reason: String| ObjectsError::Manifest { path: path.to_owned(), reason };
    let Some(mut lines) = open(path)? else { return Ok(None) };
    let header: Header = lines
        .next_line()?
        .and_then(|line| serde_json::from_slice(&line).ok())
        .ok_or_else(|| wrong("it is not a manifest of pgmig objects".to_owned()))?;
    if header.pgmig_objects != FORMAT {
        return Err(wrong(format!(
            "its form has version {}, and this pgmig knows {FORMAT}",
            header.pgmig_objects
        )));
    }
    if header.bucket != bucket {
        return Err(wrong(format!("it is that of bucket {:?}", header.bucket)));
    }
    let mut objects = Vec::new();
    while let Some(line) = lines.next_line()? {
        match serde_json::from_slice(&line)
            .map_err(|error| wrong(format!("line {}: {error}", lines.number)))?
        {
            Line::Stored(stored) => objects.push(*stored),
            Line::End(End { objects: count }) if u64::try_from(objects.len()) == Ok(count) => {
                return Ok(Some(objects));
            }
            Line::End(_) => break,
        }
    }
    Err(wrong("it is cut off, or lines are missing".to_owned()))
}

/// The objects that an interrupted copy has noted. A line that is not complete ends them.
pub(crate) fn read_notes(path: &Path) -> Result<Vec<Stored>, ObjectsError> {
    let Some(mut lines) = open(path)? else { return Ok(Vec::new()) };
    let mut objects = Vec::new();
    while let Some(line) = lines.next_line()? {
        let Ok(stored) = serde_json::from_slice(&line) else { break };
        objects.push(stored);
    }
    Ok(objects)
}

struct Lines<'a> {
    path: &'a Path,
    reader: BufReader<File>,
    number: u64,
}

fn open(path: &Path) -> Result<Option<Lines<'_>>, ObjectsError> {
    match File::open(path) {
        Ok(file) => Ok(Some(Lines { path, reader: BufReader::new(file), number: 0 })),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(ObjectsError::file(path)(error)),
    }
}

impl Lines<'_> {
    fn next_line(&mut self) -> Result<Option<Vec<u8>>, ObjectsError> {
        let mut line = Vec::new();
        let read = self.reader.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut line);
        self.number = self.number.saturating_add(1);
        Ok((read.map_err(ObjectsError::file(self.path))? > 0).then_some(line))
    }
}

/// Removes a file, if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), ObjectsError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(ObjectsError::file(path)(error)),
        _ => Ok(()),
    }
}

impl Attributes {
    pub(crate) fn of(store: &StoreAttributes) -> Self {
        let mut own = Self::default();
        for (attribute, value) in store {
            let value = Some(value.as_ref().to_owned());
            match attribute {
                Attribute::ContentType => own.content_type = value,
                Attribute::ContentEncoding => own.content_encoding = value,
                Attribute::ContentDisposition => own.content_disposition = value,
                Attribute::ContentLanguage => own.content_language = value,
                Attribute::CacheControl => own.cache_control = value,
                Attribute::Metadata(name) => {
                    own.metadata.extend(value.map(|value| (name.clone().into_owned(), value)));
                }
                // The class of storage is the server's own affair.
                _ => {}
            }
        }
        own
    }

    pub(crate) fn to_store(&self) -> StoreAttributes {
        let named = [
            (Attribute::ContentType, &self.content_type),
            (Attribute::ContentEncoding, &self.content_encoding),
            (Attribute::ContentDisposition, &self.content_disposition),
            (Attribute::ContentLanguage, &self.content_language),
            (Attribute::CacheControl, &self.cache_control),
        ];
        let named = named.into_iter().filter_map(|(attribute, value)| Some((attribute, value.clone()?)));
        let metadata = self.metadata.iter();
        let metadata =
            metadata.map(|(name, value)| (Attribute::Metadata(name.clone().into()), value.clone()));
        named.chain(metadata).map(|(attribute, value)| (attribute, AttributeValue::from(value))).collect()
    }

    /// The attributes in the headers of an answer. Those that are no text are left out.
    pub(crate) fn of_headers(headers: &HeaderMap) -> Self {
        let text = |value: &HeaderValue| value.to_str().ok().map(str::to_owned);
        let named = |name: HeaderName| headers.get(name).and_then(text);
        let metadata = headers.iter().filter_map(|(name, value)| {
            Some((name.as_str().strip_prefix(METADATA)?.to_owned(), text(value)?))
        });
        Self {
            content_type: named(CONTENT_TYPE),
            content_encoding: named(CONTENT_ENCODING),
            content_disposition: named(CONTENT_DISPOSITION),
            content_language: named(CONTENT_LANGUAGE),
            cache_control: named(CACHE_CONTROL),
            metadata: metadata.collect(),
        }
    }

    /// The headers with which an object gets these attributes.
    pub(crate) fn to_headers(&self) -> Vec<(HeaderName, HeaderValue)> {
        let named = [
            (CONTENT_TYPE, &self.content_type),
            (CONTENT_ENCODING, &self.content_encoding),
            (CONTENT_DISPOSITION, &self.content_disposition),
            (CONTENT_LANGUAGE, &self.content_language),
            (CACHE_CONTROL, &self.cache_control),
        ];
        let named = named.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        let metadata = self.metadata.iter().filter_map(|(name, value)| {
            Some((HeaderName::try_from(format!("{METADATA}{name}")).ok()?, value.as_str()))
        });
        named
            .chain(metadata)
            .filter_map(|(name, value)| Some((name, HeaderValue::from_str(value).ok()?)))
            .collect()
    }
}
