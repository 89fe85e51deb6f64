//! A directory to buckets.

use crate::ObjectsOptions;
use crate::bucket::{Bucket, Listed, PART, part_size};
use crate::directory::Folder;
use crate::error::ObjectsError;
use crate::file::{Sums, sums};
use crate::manifest::{self, Stored};
use crate::remote::Remote;
use crate::report::{BucketReport, ObjectsReport, Progress};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Copies the directory's buckets to the server, and creates those that it does not have. Objects that the server has with the
/// same content, by their ETag, are not copied again. Each file is compared with its checksum before it is sent.
///
/// # Errors
///
/// The first error ends the copy. What was stored stays, and the next call goes on with it.
pub async fn restore(remote: &Remote, options: &ObjectsOptions) -> Result<ObjectsReport, ObjectsError> {
    let mut report = ObjectsReport::default();
    for (name, is_named) in options.wanted()? {
        let folder = Folder::of(&options.directory, &name);
        match manifest::read(&folder.manifest(), &name)? {
            Some(objects) => {
                let bucket = remote.bucket(&name)?;
                report.buckets.push(put_back(&bucket, &folder, objects, options).await?);
            }
            None if is_named => return Err(no_copy(&folder)),
            None => report.absent.push(name),
        }
    }
    if report.buckets.is_empty() {
        return Err(no_copy(&Folder::of(&options.directory, "BUCKET")));
    }
    Ok(report)
}

pub(crate) fn no_copy(folder: &Folder) -> ObjectsError {
    ObjectsError::Usage(format!(
        "there is no complete copy of a bucket: {} does not exist",
        folder.manifest().display()
    ))
}

async fn put_back(
    bucket: &Bucket,
    folder: &Folder,
    objects: Vec<Stored>,
    options: &ObjectsOptions,
) -> Result<BucketReport, ObjectsError> {
    let mut report = BucketReport { bucket: bucket.name().to_owned(), ..BucketReport::default() };
    let listed = match bucket.list().await? {
        Some(listed) => listed,
        None => {
            bucket.create().await?;
            report.created = true;
            Vec::new()
        }
    };
    report.objects = u64::try_from(objects.len()).unwrap_or(u64::MAX);
    report.bytes = objects.iter().map(|stored| stored.size).sum();
    let mut there: HashMap<String, Listed> =
        listed.into_iter().map(|object| (object.key.clone(), object)).collect();
    let pairs: Vec<(Stored, Option<Listed>)> = objects
        .into_iter()
        .map(|stored| (there.remove(&stored.key), stored))
        .map(|(at, stored)| (stored, at))
        .collect();
    let sending = Sending {
        bucket,
        folder,
        progress: &*options.progress,
        done: AtomicU64::new(0),
        total: report.bytes,
    };
    let copies = stream::iter(pairs.into_iter().map(|(stored, at)| sending.one(stored, at)));
    let sent: Vec<Option<u64>> = copies.buffer_unordered(options.jobs.get()).try_collect().await?;
    for sent in sent {
        match sent {
            Some(bytes) => {
                report.copied += 1;
                report.copied_bytes += bytes;
            }
            None => report.unchanged += 1,
        }
    }
    let only_there = u64::try_from(there.len()).unwrap_or(u64::MAX);
    if options.delete {
        for key in there.keys() {
            bucket.delete(key).await?;
        }
        report.deleted = only_there;
    } else {
        report.only_at_target = only_there;
    }
    Ok(report)
}

struct Sending<'a> {
    bucket: &'a Bucket,
    folder: &'a Folder,
    progress: &'a dyn Progress,
    done: AtomicU64,
    total: u64,
}

impl Sending<'_> {
    /// Sends an object, unless the server has it. Returns the number of bytes that were sent.
    async fn one(&self, stored: Stored, there: Option<Listed>) -> Result<Option<u64>, ObjectsError> {
        let path = self.folder.file(&stored.key)?;
        let reading = path.clone();
        let read = tokio::task::spawn_blocking(move || sums(&reading, |_| {})).await;
        let found =
            read.map_err(|_| self.bucket.object(&stored.key, "the thread that reads its file has died"))??;
        if found.sha256 != stored.sha256 || found.size != stored.size {
            return Err(self
                .bucket
                .object(&stored.key, format!("{} is not what was copied", path.display())));
        }
        let is_there = there.is_some_and(|object| {
            object.size == found.size && object.etag == found.etag && found.etag.is_some()
        });
        if !is_there {
            self.send(&stored, &path, &found).await?;
        }
        let done = self.done.fetch_add(stored.size, Ordering::Relaxed).saturating_add(stored.size);
        self.progress.bytes(self.bucket.name(), done, self.total);
        Ok((!is_there).then_some(stored.size))
    }

    async fn send(&self, stored: &Stored, path: &Path, sums: &Sums) -> Result<(), ObjectsError> {
        let failed = |reason: String| self.bucket.object(&stored.key, reason);
        let mut file = File::open(path).map_err(ObjectsError::file(path))?;
        let mut next = |most: u64| -> Result<Bytes, String> {
            let mut part = Vec::new();
            let read = file.by_ref().take(most).read_to_end(&mut part);
            read.map_err(|error| format!("{}: {error}", path.display()))?;
            Ok(part.into())
        };
        let etag = if stored.size <= PART {
            let bytes = next(PART).map_err(failed)?;
            self.bucket.put(&stored.key, bytes, &stored.attributes).await
        } else {
            let part = part_size(stored.size);
            self.bucket.put_parts(&stored.key, &stored.attributes, async || next(part)).await
        };
        let etag = etag.map_err(failed)?;
        // A server that encrypts has other ETags, without the form of an MD5.
        match (&etag, &sums.etag) {
            (Some(given), Some(expected)) if given != expected && is_md5(given) && is_md5(expected) => {
                Err(failed(format!(
                    "the server has stored something else: its ETag is {given} instead of {expected}"
                )))
            }
            _ => Ok(()),
        }
    }
}

fn is_md5(etag: &str) -> bool {
    let digits = etag.trim_matches('"');
    digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}
