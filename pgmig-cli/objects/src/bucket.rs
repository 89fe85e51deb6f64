//! One bucket of a server.

use crate::client::SILENCE;
use crate::error::{ObjectsError, chain};
use crate::manifest::Attributes;
use crate::remote::{Remote, Signed};
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use http::header::IF_MATCH;
use http::{HeaderValue, Method, StatusCode};
use object_store::aws::AmazonS3;
use object_store::client::HttpResponse;
use object_store::path::Path as ObjectPath;
use object_store::{GetOptions, ObjectStore as _, ObjectStoreExt as _, PutMultipartOptions, PutOptions};
use percent_encoding::percent_decode_str;
use serde::Deserialize;
use std::sync::Arc;
use tokio::time::timeout;

/// An object that is sent in one request. A longer one is sent in parts of this size or more.
pub(crate) const PART: u64 = 16 * 1024 * 1024;
/// The most parts of an object; the server allows 10,000.
const PARTS: u64 = 9_000;
/// The longest error of a server that is shown.
const SHOWN: usize = 300;

/// A bucket, which need not exist.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    remote: Remote,
    name: String,
    store: Arc<AmazonS3>,
}

/// An object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) key: String,
    pub(crate) size: u64,
    pub(crate) etag: Option<String>,
    pub(crate) modified: String,
}

/// An object that is being received.
pub(crate) struct Received {
    pub(crate) attributes: Attributes,
    pub(crate) bytes: BoxStream<'static, Result<Bytes, String>>,
}

/// Why an object was not received.
pub(crate) enum NotReceived {
    /// It is another one than listed, or gone.
    Changed,
    Failed(String),
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    contents: Vec<PageEntry>,
    #[serde(default)]
    next_continuation_token: Option<String>,
    #[serde(default)]
    is_truncated: bool,
    #[serde(default)]
    encoding_type: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PageEntry {
    key: String,
    size: u64,
    #[serde(default, rename = "ETag")]
    etag: Option<String>,
    #[serde(default)]
    last_modified: String,
}

/// Refuses a name that is none of a bucket, and so could name another place.
pub(crate) fn check_name(name: &str) -> Result<(), ObjectsError> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    let is_name = (1..=255).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(is_part);
    if is_name {
        return Ok(());
    }
    Err(ObjectsError::Usage(format!("{name:?} is not the name of a bucket")))
}

/// Refuses a key that cannot be signed: a URL with such a part means another one.
fn check_key(key: &str) -> Result<(), String> {
    if key.split('/').any(|part| matches!(part, "." | "..")) {
        return Err("a part of its key is . or .., which pgmig cannot ask for; give the object another key"
            .to_owned());
    }
    Ok(())
}

/// The key as a path of `object_store`, unless that would be another key.
fn path(key: &str) -> Option<ObjectPath> {
    ObjectPath::parse(key).ok().filter(|path| path.as_ref() == key && !key.is_empty())
}

impl Bucket {
    pub(crate) fn new(remote: Remote, name: String, store: Arc<AmazonS3>) -> Self {
        Self { remote, name, store }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// All objects; `None` if there is no such bucket.
    pub(crate) async fn list(&self) -> Result<Option<Vec<Listed>>, ObjectsError> {
        let (mut listed, mut token): (Vec<Listed>, Option<String>) = (Vec::new(), None);
        loop {
            let mut query = vec![];
            if let Some(token) = &token {
                query.push(("continuation-token", token.as_str()));
            }
            // Names of the query are signed in their order.
            query.extend([("encoding-type", "url"), ("list-type", "2")]);
            let response = self.remote.send(&Signed { query: &query, ..self.signed("") }).await;
            let response = response.map_err(|reason| self.failed(reason))?;
            if response.status() == StatusCode::NOT_FOUND {
                return Ok(None);
            }
            let body = self.body(response).await?;
            let text =
                std::str::from_utf8(&body).map_err(|_| self.failed("the list is not UTF-8".to_owned()))?;
            let page: Page = quick_xml::de::from_str(text)
                .map_err(|error| self.failed(format!("the list cannot be read: {error}")))?;
            let is_encoded = page.encoding_type.as_deref() == Some("url");
            for entry in page.contents {
                listed.push(entry.listed(is_encoded).map_err(|reason| self.failed(reason))?);
            }
            match page.next_continuation_token.filter(|_| page.is_truncated) {
                // A server that gives the same token again would never end.
                Some(next) if token.as_ref() != Some(&next) => token = Some(next),
                Some(_) => return Err(self.failed("the list does not end".to_owned())),
                None => return Ok(Some(listed)),
            }
        }
    }

    /// Creates the bucket.
    pub(crate) async fn create(&self) -> Result<(), ObjectsError> {
        let response = self.remote.send(&Signed { method: Method::PUT, ..self.signed("") }).await;
        self.body(response.map_err(|reason| self.failed(reason))?).await.map(drop)
    }

    /// Begins to receive an object, if it is still the one that was listed.
    pub(crate) async fn get(&self, object: &Listed) -> Result<Received, NotReceived> {
        check_key(&object.key).map_err(NotReceived::Failed)?;
        let Some(path) = path(&object.key) else { return self.get_raw(object).await };
        let options = GetOptions { if_match: object.etag.clone(), ..GetOptions::default() };
        let result = match self.store.get_opts(&path, options).await {
            Ok(result) => result,
            Err(object_store::Error::Precondition { .. } | object_store::Error::NotFound { .. }) => {
                return Err(NotReceived::Changed);
            }
            Err(error) => return Err(NotReceived::Failed(chain(&error))),
        };
        let attributes = Attributes::of(&result.attributes);
        let bytes = result.into_stream().map(|bytes| bytes.map_err(|error| chain(&error)));
        Ok(Received { attributes, bytes: bytes.boxed() })
    }

    async fn get_raw(&self, object: &Listed) -> Result<Received, NotReceived> {
        let etag = object.etag.as_deref().and_then(|etag| HeaderValue::from_str(etag).ok());
        let headers: Vec<_> = etag.map(|etag| (IF_MATCH, etag)).into_iter().collect();
        let response = self.remote.send(&Signed { headers: &headers, ..self.signed(&object.key) }).await;
        let response = response.map_err(NotReceived::Failed)?;
        match response.status() {
            StatusCode::NOT_FOUND | StatusCode::PRECONDITION_FAILED => Err(NotReceived::Changed),
            status if !status.is_success() => Err(NotReceived::Failed(said(response).await)),
            _ => {
                let attributes = Attributes::of_headers(response.headers());
                let bytes = response.into_body().bytes_stream();
                let bytes = bytes.map(|bytes| bytes.map_err(|error| chain(&error)));
                Ok(Received { attributes, bytes: bytes.boxed() })
            }
        }
    }

    /// Stores an object of one part, and returns its ETag.
    pub(crate) async fn put(
        &self,
        key: &str,
        bytes: Bytes,
        attributes: &Attributes,
    ) -> Result<Option<String>, String> {
        check_key(key)?;
        let Some(path) = path(key) else { return self.put_raw(key, bytes, attributes).await };
        let options = PutOptions { attributes: attributes.to_store(), ..PutOptions::default() };
        let stored = self.store.put_opts(&path, bytes.into(), options).await;
        stored.map(|stored| stored.e_tag).map_err(|error| chain(&error))
    }

    async fn put_raw(
        &self,
        key: &str,
        body: Bytes,
        attributes: &Attributes,
    ) -> Result<Option<String>, String> {
        let headers = attributes.to_headers();
        let signed = Signed { method: Method::PUT, headers: &headers, body, ..self.signed(key) };
        let response = self.remote.send(&signed).await?;
        if !response.status().is_success() {
            return Err(said(response).await);
        }
        Ok(response.headers().get("etag").and_then(|etag| etag.to_str().ok()).map(str::to_owned))
    }

    /// Stores an object in parts, and returns its ETag. `next` reads the next part, an empty one at the end.
    pub(crate) async fn put_parts(
        &self,
        key: &str,
        attributes: &Attributes,
        mut next: impl AsyncFnMut() -> Result<Bytes, String>,
    ) -> Result<Option<String>, String> {
        check_key(key)?;
        let path = path(key).ok_or("an object with such a key cannot be stored in parts")?;
        let options =
            PutMultipartOptions { attributes: attributes.to_store(), ..PutMultipartOptions::default() };
        let upload = self.store.put_multipart_opts(&path, options).await;
        let mut upload = upload.map_err(|error| chain(&error))?;
        let sent = async {
            loop {
                let part = next().await?;
                if part.is_empty() {
                    return upload.complete().await.map_err(|error| chain(&error));
                }
                upload.put_part(part.into()).await.map_err(|error| chain(&error))?;
            }
        };
        let sent = sent.await;
        if sent.is_err() {
            // The server removes the parts; if it cannot, it may keep them for some days.
            let _ = upload.abort().await;
        }
        sent.map(|stored| stored.e_tag)
    }

    pub(crate) async fn delete(&self, key: &str) -> Result<(), ObjectsError> {
        check_key(key).map_err(|reason| self.object(key, reason))?;
        let deleted = match path(key) {
            Some(path) => self.store.delete(&path).await.map_err(|error| chain(&error)),
            None => match self.remote.send(&Signed { method: Method::DELETE, ..self.signed(key) }).await {
                Ok(response) if response.status().is_success() => Ok(()),
                Ok(response) => Err(said(response).await),
                Err(reason) => Err(reason),
            },
        };
        deleted.map_err(|reason| self.object(key, reason))
    }

    /// A request without a body, for a key of this bucket; an empty one is the bucket's own.
    fn signed<'a>(&'a self, key: &'a str) -> Signed<'a> {
        Signed { bucket: &self.name, key, ..Signed::default() }
    }

    /// The body of an answer that says yes.
    async fn body(&self, response: HttpResponse) -> Result<Bytes, ObjectsError> {
        if !response.status().is_success() {
            return Err(self.failed(said(response).await));
        }
        let body = timeout(SILENCE, response.into_body().bytes()).await;
        let body =
            body.map_err(|_| self.failed("the server stopped in the middle of its answer".to_owned()))?;
        body.map_err(|error| self.failed(chain(&error)))
    }

    pub(crate) fn failed(&self, reason: String) -> ObjectsError {
        ObjectsError::Server { endpoint: self.remote.url().to_owned(), bucket: self.name.clone(), reason }
    }

    pub(crate) fn object(&self, key: &str, reason: impl Into<String>) -> ObjectsError {
        ObjectsError::Object { bucket: self.name.clone(), key: key.to_owned(), reason: reason.into() }
    }
}

/// The size of the parts of an object.
pub(crate) fn part_size(size: u64) -> u64 {
    let smallest = size.div_ceil(PARTS);
    smallest.div_ceil(PART).max(1).saturating_mul(PART)
}

impl PageEntry {
    fn listed(self, is_encoded: bool) -> Result<Listed, String> {
        let key = if is_encoded { decoded(&self.key)? } else { self.key };
        Ok(Listed { key, size: self.size, etag: self.etag, modified: self.last_modified })
    }
}

fn decoded(key: &str) -> Result<String, String> {
    let spaced = key.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| format!("key {key:?} is not UTF-8"))
}

/// What the server says in an answer that says no.
async fn said(response: HttpResponse) -> String {
    #[derive(Debug, Default, Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    struct Answer {
        code: String,
        message: String,
    }
    let status = response.status();
    let body = timeout(SILENCE, response.into_body().bytes()).await;
    let body = body.ok().and_then(Result::ok).unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    let answer: Answer = quick_xml::de::from_str(&text).unwrap_or_default();
    let message: String = answer.message.chars().take(SHOWN).collect();
    match answer.code.as_str() {
        "" => format!("the server answers {status}"),
        code => format!("the server answers {status}: {code}: {message}"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read_with_its_exact_keys() {
        let page = "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"x\"><Name>b</Name><IsTruncated>true</IsTruncated>\
            <EncodingType>url</EncodingType><Contents><Key>%2Fa+b%2F..%2F%00</Key><Size>3</Size><ETag>&quot;e&quot;</ETag>\
            <LastModified>t</LastModified></Contents><Contents><Key>c%2Bd</Key><Size>0</Size></Contents>\
            <NextContinuationToken>n</NextContinuationToken></ListBucketResult>";
        let page: Page = quick_xml::de::from_str(page).unwrap();
        assert!(page.is_truncated && page.next_continuation_token.as_deref() == Some("n"));
        let listed: Vec<Listed> =
            page.contents.into_iter().map(|entry| entry.listed(true).unwrap()).collect();
        assert_eq!(
            listed.iter().map(|listed| listed.key.as_str()).collect::<Vec<_>>(),
            ["/a b/../\0", "c+d"]
        );
        assert_eq!(listed.first().unwrap().etag.as_deref(), Some("\"e\""));
    }

    #[test]
    fn keys_that_object_store_would_change_are_known() {
        for key in ["a", "a/b", "ä b", "customizations/1.bin"] {
            assert!(path(key).is_some(), "{key}");
        }
        for key in ["", "/a", "a/", "a//b", "../a", "a/./b", "\0"] {
            assert!(path(key).is_none(), "{key:?}");
        }
    }

    #[test]
    fn a_bucket_names_no_other_place() {
        for name in ["stt-customization-icp", "a.b", "A_b"] {
            assert!(check_name(name).is_ok(), "{name}");
        }
        for name in ["", ".", "..", "../x", "a/b", "/a", "a\\b", ".a", "ä"] {
            assert!(check_name(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn parts_are_few_enough() {
        for size in [0, PART, PART + 1, 10_000 * PART, u64::from(u32::MAX) * 1200] {
            assert!(size.div_ceil(part_size(size)) <= PARTS, "{size}");
        }
        assert_eq!(part_size(3 * PART), PART);
    }
}
