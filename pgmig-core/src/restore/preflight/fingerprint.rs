//! The fingerprint of a prepared restore: another run may go on with it only if everything that decides the result is the same.
//!
//! The archive counts by its size, its header (with the time at which pg_dump began), its table of contents (with the size
//! of each table's data), and samples of its bytes. Reading all of it would take as long as a part of the restore. So a change
//! that keeps all of these is not noticed.

use super::Preflight;
use crate::archive::{Archive, Entry, EntryKind};
use crate::backup::Backup;
use crate::restore::options::{Instances, RestoreOptions, SchemaSource};
use crate::restore::plan::Plan;
use crate::restore::preflight::upgrade_path::Upgrade;
use crate::restore::record::{Fingerprint, SCHEMA};
use crate::restore::refusal::Refusal;
use crate::restore::refusal::resume::ResumeRefusal;
use crate::server::TargetConfig;
use sha2::{Digest, Sha256};
use std::fmt::{Debug, Write};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// How many samples are taken of a file, and the bytes of each.
const SAMPLES: u64 = 64;
const SAMPLE_BYTES: u64 = 16 * 1024;

/// A hash that text can be written to.
struct Hasher(Sha256);

impl Write for Hasher {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.update(text);
        Ok(())
    }
}

impl Hasher {
    fn new() -> Self {
        Self(Sha256::new())
    }

    fn add(&mut self, value: &impl Debug) {
        // Writing to a hash cannot fail.
        let _ = writeln!(self, "{value:?}");
    }

    fn of(value: &impl Debug) -> Vec<u8> {
        let mut hasher = Self::new();
        hasher.add(value);
        hasher.end()
    }

    fn end(self) -> Vec<u8> {
        self.0.finalize().to_vec()
    }
}

/// Why no other run can go on with this restore; `None` if one can.
fn obstacle(backup: &Backup, options: &RestoreOptions) -> Option<&'static str> {
    if backup.file().is_none() {
        return Some(
            "a backup from standard input or a pipe can have other bytes the next time; give the file itself",
        );
    }
    if options.schema == SchemaSource::Target {
        return Some(
            "with SchemaSource::Target the target's own code runs while rows are loaded, and what it has done is not known; \
             leave the option out",
        );
    }
    let is_ours =
        |entry: &Entry| entry.kind == EntryKind::Schema && entry.tag.as_bytes() == SCHEMA.as_bytes();
    if backup.archive().all_entries().iter().any(is_ours) {
        return Some(
            "the archive has a schema with the name that the record of the restore needs; leave the option out",
        );
    }
    None
}

/// Refuses to resume, or to keep for that, a restore with which no other run can go on.
///
/// # Errors
///
/// [`ResumeRefusal::NotResumable`].
pub(crate) fn require_resumable(backup: &Backup, options: &RestoreOptions) -> Result<(), Refusal> {
    let option = match (options.resume, options.keep_staging) {
        (true, _) => "RestoreOptions::resume",
        (false, true) => "RestoreOptions::keep_staging",
        (false, false) => return Ok(()),
    };
    match obstacle(backup, options) {
        Some(reason) => Err(ResumeRefusal::NotResumable { option, reason }.into()),
        None => Ok(()),
    }
}

/// The fingerprint; `None` if no other run can go on with this restore.
pub(crate) fn of(
    backup: &Backup,
    preflight: &Preflight,
    options: &RestoreOptions,
    config: &TargetConfig,
) -> Option<Fingerprint> {
    if obstacle(backup, options).is_some() {
        return None;
    }
    let (known, mut all) = (&preflight.known, Fingerprint::default());
    all.add("version of pgmig", env!("CARGO_PKG_VERSION").to_owned());
    all.add("target database", format!("{} (OID {})", preflight.target.name, preflight.target.oid));
    all.add("username", config.username().to_owned());
    all.add("su_username", config.su_username().to_owned());
    all.add("login of the backup's code", preflight.login.kind().to_owned());
    all.add_hash("backup", &contents(backup.archive(), backup.file()?));
    let mapping = match &options.instances {
        Instances::Keep => Vec::new(),
        Instances::Map(mapping) => {
            let mut pairs = mapping.pairs().to_vec();
            pairs.sort_unstable();
            pairs
        }
    };
    let instances = known.resolution.as_ref().map(|resolution| &resolution.pairs);
    all.add_hash("instance mapping", &Hasher::of(&(mapping, instances)));
    all.add_hash("selection", &Hasher::of(&options.selection));
    all.add("schema", options.schema.to_string());
    // The digests of tables that are complete are in the record.
    all.add("verification", options.verify.to_string());
    all.add("toast compression", options.toast_compression.to_string());
    all.add("trust of the archive", options.trust_archive.to_string());
    all.add_hash("profile", &Hasher::of(&known.profile));
    all.add_hash("release and migrations", &migrations(&known.upgrade));
    all.add_hash(
        "plan (roles, extensions or settings of the server or the target have changed)",
        &planned(&known.plan),
    );
    Some(all)
}

/// The goal of the upgrade, and the migrations with their checksums.
fn migrations(upgrade: &Upgrade) -> Vec<u8> {
    let mut hasher = Hasher::new();
    if let Upgrade::Planned { plan } = upgrade {
        hasher.add(&plan.to());
        for file in plan.migrations() {
            hasher.add(&(file.version(), file.checksum()));
        }
    }
    hasher.end()
}

/// Every statement, with its role and its settings.
fn planned(plan: &Plan) -> Vec<u8> {
    let mut hasher = Hasher::new();
    plan.tasks().for_each(|task| hasher.add(task));
    for load in plan.tables.iter() {
        hasher.add(&(load.dump_id, &load.table, &load.form, &load.run_as, load.alone, load.last));
    }
    hasher.add(&(&plan.extensions, &plan.extension_schemas, &plan.extra_schemas, &plan.large_objects));
    hasher.end()
}

fn contents(archive: &Archive, path: &Path) -> Vec<u8> {
    let mut hasher = Hasher::new();
    hasher.add(archive.header());
    hasher.add(&archive.size());
    for entry in archive.all_entries() {
        hasher.add(&(
            entry.dump_id,
            entry.desc.as_bytes(),
            entry.tag.as_bytes(),
            archive.stored_bytes(entry.dump_id),
        ));
    }
    for file in files(path) {
        // A file that cannot be read ends the restore when its rows are read.
        let _ = samples(&file, &mut hasher);
    }
    hasher.end()
}

/// The files of a backup: a file itself, or those of a directory.
fn files(path: &Path) -> Vec<PathBuf> {
    let Ok(directory) = std::fs::read_dir(path) else { return vec![path.to_owned()] };
    let mut files: Vec<PathBuf> = directory.filter_map(|file| Some(file.ok()?.path())).collect();
    files.sort();
    files
}

/// The size of a file, and bytes from all over it.
fn samples(path: &Path, hasher: &mut Hasher) -> io::Result<()> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    hasher.add(&(path.file_name(), size));
    let samples = size.div_ceil(SAMPLE_BYTES).min(SAMPLES);
    let last = size.saturating_sub(SAMPLE_BYTES);
    let mut bytes = Vec::new();
    for number in 0..samples {
        let place = last / samples.saturating_sub(1).max(1) * number;
        file.seek(SeekFrom::Start(if number + 1 == samples { last } else { place }))?;
        bytes.clear();
        file.by_ref().take(SAMPLE_BYTES).read_to_end(&mut bytes)?;
        hasher.0.update(&bytes);
    }
    Ok(())
}
