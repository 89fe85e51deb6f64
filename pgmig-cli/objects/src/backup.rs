//! Buckets to a directory.

use crate::ObjectsOptions;
use crate::bucket::{Bucket, Listed, NotReceived};
use crate::client::SILENCE;
use crate::directory::Folder;
use crate::error::ObjectsError;
use crate::file::{NewFile, sync_directory};
use crate::manifest::{self, Stored};
use crate::remote::Remote;
use crate::report::{BucketReport, ObjectsReport, Progress};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use tokio::time::timeout;

/// How often an object is asked for again, if the server stops in the middle or the object has changed.
const ATTEMPTS: usize = 4;

/// Copies the buckets to the directory. Objects that a copy there has already, by size, ETag and time, are not copied again.
///
/// # Errors
///
/// The first error ends the copy. What was received stays, and the next call goes on with it.
pub async fn backup(remote: &Remote, options: &ObjectsOptions) -> Result<ObjectsReport, ObjectsError> {
    let mut report = ObjectsReport::default();
    for (name, is_named) in options.wanted()? {
        let bucket = remote.bucket(&name)?;
        match bucket.list().await? {
            Some(listed) => report.buckets.push(back_up(&bucket, listed, options).await?),
            None if is_named => return Err(bucket.failed("there is no such bucket".to_owned())),
            None => report.absent.push(name),
        }
    }
    if report.buckets.is_empty() {
        let text = format!("none of the buckets {} exists on {}", report.absent.join(", "), remote.url());
        return Err(ObjectsError::Usage(text));
    }
    Ok(report)
}

/// The copy of one bucket in progress.
struct Copy<'a> {
    bucket: &'a Bucket,
    folder: Folder,
    progress: &'a dyn Progress,
    /// Objects that the folder has, by key.
    known: HashMap<String, Stored>,
    notes: Mutex<File>,
    done: AtomicU64,
    total: u64,
}

async fn back_up(
    bucket: &Bucket,
    listed: Vec<Listed>,
    options: &ObjectsOptions,
) -> Result<BucketReport, ObjectsError> {
    let folder = Folder::of(&options.directory, bucket.name());
    folder.create()?;
    let known = known(&folder, bucket.name())?;
    let notes = OpenOptions::new().create(true).append(true).open(folder.notes());
    let notes = notes.map_err(ObjectsError::file(&folder.notes()))?;
    let mut report = BucketReport { bucket: bucket.name().to_owned(), ..BucketReport::default() };
    report.objects = u64::try_from(listed.len()).unwrap_or(u64::MAX);
    report.bytes = listed.iter().map(|object| object.size).sum();
    let copy = Copy {
        bucket,
        folder,
        progress: &*options.progress,
        known,
        notes: Mutex::new(notes),
        done: AtomicU64::new(0),
        total: report.bytes,
    };
    let keys: HashSet<String> = listed.iter().map(|object| object.key.clone()).collect();
    let copies = stream::iter(listed.into_iter().map(|object| copy.one(object)));
    let copied: Vec<(Option<Stored>, bool)> =
        copies.buffer_unordered(options.jobs.get()).try_collect().await?;
    for (stored, is_new) in &copied {
        match stored {
            Some(stored) if *is_new => {
                report.copied += 1;
                report.copied_bytes += stored.size;
            }
            Some(_) => report.unchanged += 1,
            // Deleted at the source meanwhile.
            None => report.objects -= 1,
        }
    }
    let mut objects: Vec<Stored> = copied.into_iter().filter_map(|(stored, _)| stored).collect();
    let gone: Vec<Stored> =
        copy.known.values().filter(|stored| !keys.contains(&stored.key)).cloned().collect();
    match options.delete {
        true => report.deleted = u64::try_from(gone.len()).unwrap_or(u64::MAX),
        false => {
            report.only_at_target = u64::try_from(gone.len()).unwrap_or(u64::MAX);
            objects.extend(gone.iter().cloned());
        }
    }
    objects.sort_by(|one, other| one.key.cmp(&other.key));
    copy.finish(&objects)?;
    if options.delete {
        // The manifest names them no more.
        gone.iter().try_for_each(|stored| manifest::remove(&copy.folder.file(&stored.key)?))?;
    }
    Ok(report)
}

/// The objects that the folder has, from a complete copy and from one that was interrupted. The later one counts.
fn known(folder: &Folder, bucket: &str) -> Result<HashMap<String, Stored>, ObjectsError> {
    let complete = manifest::read(&folder.manifest(), bucket)?.unwrap_or_default();
    let noted = manifest::read_notes(&folder.notes())?;
    Ok(complete.into_iter().chain(noted).map(|stored| (stored.key.clone(), stored)).collect())
}

impl Copy<'_> {
    /// Copies an object, unless the folder has it. Returns whether it was copied; no object if it is gone.
    async fn one(&self, mut object: Listed) -> Result<(Option<Stored>, bool), ObjectsError> {
        let path = self.folder.file(&object.key)?;
        if let Some(stored) = self.known.get(&object.key).filter(|stored| stored.is(&object))
            && path.metadata().is_ok_and(|file| file.is_file() && file.len() == stored.size)
        {
            self.note_bytes(object.size);
            return Ok((Some(stored.clone()), false));
        }
        let mut reason = String::new();
        for _ in 0..ATTEMPTS {
            match self.receive(&object).await {
                Ok(stored) => {
                    self.note(&stored)?;
                    return Ok((Some(stored), true));
                }
                Err(Stopped::Fatal(error)) => return Err(error),
                Err(Stopped::Again(again)) => reason = again,
                Err(Stopped::Changed) => {
                    reason = "it changes again and again".to_owned();
                    match self.again(&object.key).await? {
                        Some(now) => object = now,
                        None => return Ok((None, false)),
                    }
                }
            }
        }
        Err(self.bucket.object(&object.key, reason))
    }

    /// The object as it is now.
    async fn again(&self, key: &str) -> Result<Option<Listed>, ObjectsError> {
        let listed = self.bucket.list().await?.unwrap_or_default();
        Ok(listed.into_iter().find(|object| object.key == key))
    }

    async fn receive(&self, object: &Listed) -> Result<Stored, Stopped> {
        let mut received = self.bucket.get(object).await.map_err(|error| match error {
            NotReceived::Changed => Stopped::Changed,
            NotReceived::Failed(reason) => Stopped::Again(reason),
        })?;
        let path = self.folder.file(&object.key).map_err(Stopped::Fatal)?;
        let mut file = NewFile::create(&path).map_err(Stopped::Fatal)?;
        loop {
            let next = timeout(SILENCE, received.bytes.next()).await;
            let next = next.map_err(|_| Stopped::Again("the server stopped in the middle".to_owned()))?;
            let Some(bytes) = next.transpose().map_err(Stopped::Again)? else { break };
            file.write(&bytes).map_err(Stopped::Fatal)?;
            if file.size() > object.size {
                break;
            }
        }
        if file.size() != object.size {
            return Err(Stopped::Again(format!("it has {} bytes instead of {}", file.size(), object.size)));
        }
        let sha256 = file.finish().map_err(Stopped::Fatal)?;
        self.note_bytes(object.size);
        let Listed { key, size, etag, modified } = object.clone();
        Ok(Stored { key, size, sha256, etag, modified, attributes: received.attributes })
    }

    fn note_bytes(&self, bytes: u64) {
        let done = self.done.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        self.progress.bytes(self.bucket.name(), done, self.total);
    }

    /// Notes an object for the next call, in case this one is interrupted.
    fn note(&self, stored: &Stored) -> Result<(), ObjectsError> {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let line = manifest::line(stored);
        line.and_then(|line| notes.write_all(&line)).map_err(ObjectsError::file(&self.folder.notes()))
    }

    /// Replaces the manifest, at once.
    fn finish(&self, objects: &[Stored]) -> Result<(), ObjectsError> {
        let path = self.folder.manifest();
        let file = tempfile::Builder::new().prefix(".partial-").tempfile_in(self.folder.root());
        let file = file.map_err(ObjectsError::file(&path))?;
        manifest::write(file.as_file(), &path, self.bucket.name(), objects)?;
        file.as_file().sync_all().map_err(ObjectsError::file(&path))?;
        file.persist(&path).map_err(|error| ObjectsError::file(&path)(error.error))?;
        sync_directory(&path)?;
        manifest::remove(&self.folder.notes())
    }
}

/// Why an object was not received.
enum Stopped {
    /// It may be received if it is asked for again.
    Again(String),
    /// It is another one by now.
    Changed,
    Fatal(ObjectsError),
}
