//! Compares a directory, and a server, with the manifests.

use crate::ObjectsOptions;
use crate::bucket::{Bucket, Listed, NotReceived};
use crate::client::SILENCE;
use crate::directory::{Folder, hex};
use crate::error::ObjectsError;
use crate::file::sums;
use crate::manifest::{self, Stored};
use crate::remote::Remote;
use crate::report::{BucketReport, Fault, ObjectsReport, Progress};
use crate::restore::no_copy;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use openssl::hash::{Hasher, MessageDigest};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::timeout;

/// Reads every file of the directory's buckets, and compares it with its checksum.
///
/// # Errors
///
/// A manifest cannot be read. Damaged and missing files are no errors, but faults of the report.
pub async fn verify_directory(options: &ObjectsOptions) -> Result<ObjectsReport, ObjectsError> {
    let mut report = ObjectsReport::default();
    for (name, folder, objects) in copies(options, &mut report)? {
        let counted = counted(&name, &objects);
        let reading = Reading {
            bucket: &name,
            progress: &*options.progress,
            done: AtomicU64::new(0),
            total: counted.bytes,
        };
        let mut files: HashSet<PathBuf> = HashSet::new();
        for stored in &objects {
            let path = folder.file(&stored.key)?;
            let read = path.clone();
            let found = tokio::task::spawn_blocking(move || sums(&read, |_| {})).await;
            let what = match found {
                Ok(Ok(found)) if found.sha256 == stored.sha256 && found.size == stored.size => None,
                Ok(Ok(_)) => Some(format!("{} is not what was copied", path.display())),
                Ok(Err(error)) => Some(error.to_string()),
                Err(_) => Some("the thread that reads its file has died".to_owned()),
            };
            report.faults.extend(what.map(|what| fault(&name, Some(&stored.key), what)));
            files.insert(path);
            reading.note(stored.size);
        }
        let strange = others(&folder, &files)?;
        let strange =
            strange.iter().map(|path| fault(&name, None, format!("{} is of no object", path.display())));
        report.faults.extend(strange);
        report.buckets.push(counted);
    }
    Ok(report)
}

/// Receives every object of the manifests from the server, and compares it with its checksum.
///
/// # Errors
///
/// A manifest cannot be read, or the server does not answer. Objects that differ are faults of the report.
pub async fn verify_remote(remote: &Remote, options: &ObjectsOptions) -> Result<ObjectsReport, ObjectsError> {
    let mut report = ObjectsReport::default();
    for (name, _, objects) in copies(options, &mut report)? {
        let bucket = remote.bucket(&name)?;
        let mut counted = counted(&name, &objects);
        let Some(listed) = bucket.list().await? else {
            report.faults.push(fault(&name, None, format!("{} has no such bucket", remote.url())));
            continue;
        };
        let mut there: HashMap<String, Listed> =
            listed.into_iter().map(|object| (object.key.clone(), object)).collect();
        let reading = Reading {
            bucket: &name,
            progress: &*options.progress,
            done: AtomicU64::new(0),
            total: counted.bytes,
        };
        let pairs: Vec<(Option<Listed>, Stored)> =
            objects.into_iter().map(|stored| (there.remove(&stored.key), stored)).collect();
        let compared =
            stream::iter(pairs.into_iter().map(|(object, stored)| reading.compare(&bucket, object, stored)));
        let faults: Vec<Option<Fault>> = compared.buffer_unordered(options.jobs.get()).try_collect().await?;
        report.faults.extend(faults.into_iter().flatten());
        counted.only_at_target = u64::try_from(there.len()).unwrap_or(u64::MAX);
        report.buckets.push(counted);
    }
    Ok(report)
}

type Copied = (String, Folder, Vec<Stored>);

/// The directory's copies of buckets.
fn copies(options: &ObjectsOptions, report: &mut ObjectsReport) -> Result<Vec<Copied>, ObjectsError> {
    let mut copies = Vec::new();
    for (name, is_named) in options.wanted()? {
        let folder = Folder::of(&options.directory, &name);
        match manifest::read(&folder.manifest(), &name)? {
            Some(objects) => copies.push((name, folder, objects)),
            None if is_named => return Err(no_copy(&folder)),
            None => report.absent.push(name),
        }
    }
    if copies.is_empty() {
        return Err(no_copy(&Folder::of(&options.directory, "BUCKET")));
    }
    Ok(copies)
}

fn counted(name: &str, objects: &[Stored]) -> BucketReport {
    BucketReport {
        bucket: name.to_owned(),
        objects: u64::try_from(objects.len()).unwrap_or(u64::MAX),
        bytes: objects.iter().map(|stored| stored.size).sum(),
        ..BucketReport::default()
    }
}

fn fault(bucket: &str, key: Option<&str>, what: String) -> Fault {
    Fault { bucket: bucket.to_owned(), key: key.map(str::to_owned), what }
}

/// Files below `objects/` that are of no object. Those that a copy is still receiving are not counted.
fn others(folder: &Folder, files: &HashSet<PathBuf>) -> Result<Vec<PathBuf>, ObjectsError> {
    let root = folder.root().join("objects");
    let mut others = Vec::new();
    for directory in std::fs::read_dir(&root).map_err(ObjectsError::file(&root))? {
        let directory = directory.map_err(ObjectsError::file(&root))?.path();
        if !directory.is_dir() {
            others.push(directory);
            continue;
        }
        for file in std::fs::read_dir(&directory).map_err(ObjectsError::file(&directory))? {
            let file = file.map_err(ObjectsError::file(&directory))?;
            let is_partial = file.file_name().to_string_lossy().starts_with(".partial-");
            if !is_partial && !files.contains(&file.path()) {
                others.push(file.path());
            }
        }
    }
    others.sort();
    Ok(others)
}

struct Reading<'a> {
    bucket: &'a str,
    progress: &'a dyn Progress,
    done: AtomicU64,
    total: u64,
}

impl Reading<'_> {
    fn note(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        self.progress.bytes(self.bucket, done, self.total);
    }

    async fn compare(
        &self,
        bucket: &Bucket,
        object: Option<Listed>,
        stored: Stored,
    ) -> Result<Option<Fault>, ObjectsError> {
        let what = match object {
            None => Some("the server does not have it".to_owned()),
            Some(object) if object.size != stored.size => {
                Some(format!("it has {} bytes on the server instead of {}", object.size, stored.size))
            }
            Some(object) => match checksum(bucket, &object).await? {
                sha256 if sha256 == stored.sha256 => None,
                _ => Some("its content on the server is another one".to_owned()),
            },
        };
        self.note(stored.size);
        Ok(what.map(|what| fault(self.bucket, Some(&stored.key), what)))
    }
}

async fn checksum(bucket: &Bucket, object: &Listed) -> Result<String, ObjectsError> {
    let failed = |reason: String| bucket.object(&object.key, reason);
    let mut received = bucket.get(object).await.map_err(|error| match error {
        NotReceived::Changed => failed("it changes while it is compared".to_owned()),
        NotReceived::Failed(reason) => failed(reason),
    })?;
    let unusable = |error: openssl::error::ErrorStack| failed(error.to_string());
    let mut hasher = Hasher::new(MessageDigest::sha256()).map_err(unusable)?;
    loop {
        let next = timeout(SILENCE, received.bytes.next()).await;
        let next = next.map_err(|_| failed("the server stopped in the middle".to_owned()))?;
        let Some(bytes) = next.transpose().map_err(failed)? else { break };
        hasher.update(&bytes).map_err(unusable)?;
    }
    Ok(hex(&hasher.finish().map_err(unusable)?))
}
