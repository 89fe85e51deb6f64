//! The archive's texts in the encoding that sqlx needs.

use crate::archive::Archive;
use crate::error::Result;
use crate::server::session::Session;
use std::collections::HashMap;

/// Makes all texts of the archive UTF-8, which sqlx needs. The server converts, so that what comes out is what
/// it would have made of them.
pub(crate) async fn transcode(archive: &mut Archive, control: &mut Session) -> Result<()> {
    let encoding = archive.encoding().unwrap_or("UTF8").to_owned();
    if encoding == "UTF8" || encoding == "UNICODE" {
        return Ok(archive.transcode(&mut |bytes| {
            String::from_utf8(bytes.to_vec()).map_err(|_| "it is not valid UTF-8".to_owned())
        })?);
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
        if encoding == "SQL_ASCII" {
            continue;
        }
        let utf8 = control.convert(&text, &encoding, "convert the archive's names to UTF-8").await?;
        converted.insert(text, utf8);
    }
    Ok(archive.transcode(&mut |bytes| match converted.get(bytes) {
        Some(text) => Ok(text.clone()),
        None => String::from_utf8(bytes.to_vec()).map_err(|_| "it is neither ASCII nor UTF-8".to_owned()),
    })?)
}
