//! The archive's texts in the encoding that sqlx needs.

use crate::archive::{Archive, Entry};
use crate::backup::Backup;
use crate::error::Result;
use crate::progress::{Notice, NoticeCode};
use crate::restore::refusal::Refusal;
use crate::server::session::Session;
use crate::sql::bytes_as_escapes;
use std::collections::HashMap;

/// The encoding of databases whose strings are any bytes.
const RAW: &str = "SQL_ASCII";

/// Makes all texts of the archive UTF-8, which sqlx needs. The server converts, so that what comes out is what
/// it would have made of them. Texts that an earlier attempt has converted are left alone.
pub(crate) async fn transcode(backup: &mut Backup, control: &mut Session) -> Result<()> {
    if !backup.is_transcoded {
        to_utf8(backup.archive_mut(), control).await?;
        backup.is_transcoded = true;
    }
    Ok(())
}

async fn to_utf8(archive: &mut Archive, control: &mut Session) -> Result<()> {
    let encoding = archive.encoding().unwrap_or("UTF8").to_owned();
    if encoding == "UTF8" || encoding == "UNICODE" {
        return Ok(archive.transcode(&mut |bytes| {
            String::from_utf8(bytes.to_vec()).map_err(|_| "it is not valid UTF-8".to_owned())
        })?);
    }
    if encoding == RAW {
        return raw(archive);
    }
    let mut texts = Vec::new();
    // The texts are collected first, since the server cannot be asked in the middle of transcoding.
    for entry in archive.entries() {
        texts.extend(
            entry.texts().filter(|text| !text.as_bytes().is_ascii()).map(|text| text.as_bytes().to_vec()),
        );
    }
    texts.extend(archive.header().database.iter().map(|text| text.as_bytes().to_vec()));
    let mut converted = HashMap::new();
    for text in texts {
        let utf8 = control.convert(&text, &encoding, "convert the archive's names to UTF-8").await?;
        converted.insert(text, utf8);
    }
    Ok(archive.transcode(&mut |bytes| match converted.get(bytes) {
        Some(text) => Ok(text.clone()),
        None => String::from_utf8(bytes.to_vec()).map_err(|_| "it is neither ASCII nor UTF-8".to_owned()),
    })?)
}

/// Writes the texts of an archive in SQL_ASCII in UTF-8: bytes that are not UTF-8 become escapes.
fn raw(archive: &mut Archive) -> Result<()> {
    let strings = archive.strings();
    let is_utf8 = |entry: &Entry| {
        let is_definition = |text: &[u8]| entry.sql().is_some_and(|sql| sql.as_bytes() == text);
        entry.texts().all(|text| {
            let bytes = text.as_bytes();
            std::str::from_utf8(bytes).is_ok()
                || is_definition(bytes) && bytes_as_escapes(bytes, strings).is_some()
        })
    };
    let names: Vec<String> = archive
        .entries()
        .iter()
        .filter(|entry| !is_utf8(entry))
        .map(|entry| entry.label().to_string())
        .collect();
    if !names.is_empty() {
        return Err(Refusal::RawNames(names).into());
    }
    Ok(archive.transcode(&mut |bytes| {
        bytes_as_escapes(bytes, strings).ok_or_else(|| "a name in it is not UTF-8".to_owned())
    })?)
}

/// The note about a backup of a database whose strings are any bytes, if the target takes only those of its encoding.
pub(crate) fn raw_into(archive: &Archive, encoding: &str) -> Option<Notice> {
    let is_other = archive.encoding().unwrap_or("UTF8") == RAW && encoding != RAW;
    is_other.then(|| {
        let text = format!(
            "the backup is of a database in {RAW}; its bytes are taken for {encoding}, the target's encoding, and a row with \
             other bytes is refused; to have them converted, take the backup with pg_dump --encoding=NAME"
        );
        Notice::note(NoticeCode::BytesInSqlAscii, text)
    })
}
