//! The targets of a backup's instances, as far as they are known before its rows are loaded.

use crate::archive::{Archive, DumpId};
use crate::backup::BackupError;
use crate::backup::store::Store;
use crate::error::Result;
use crate::instance::{Instance, InstanceColumns, Mapping, Resolution, ResolvedInstance};
use crate::profile::Profile;
use crate::progress::{Notice, NoticeCode};
use crate::restore::options::Instances;
use crate::restore::refusal::Refusal;

/// Encodings in which a byte of a multi-byte character can be an ASCII byte, so that a backslash or a digit need
/// not be one.
const NOT_ASCII_SAFE: [&str; 7] = ["SJIS", "SHIFT_JIS_2004", "BIG5", "GBK", "GB18030", "UHC", "JOHAB"];

/// Where the instances are in a stream.
pub(crate) struct LateInstances {
    pub(crate) dump_id: DumpId,
    pub(crate) columns: InstanceColumns,
}

/// Applies the mapping to the instances of a file; those of a stream are resolved when they come by.
pub(crate) fn of_backup(
    archive: &Archive,
    store: Option<&Store<'_>>,
    instances: &Instances,
    notices: &mut Vec<Notice>,
) -> Result<(Option<Resolution>, Option<LateInstances>)> {
    let (resolution, late) = match (instances, store) {
        (Instances::Keep, Some(store)) if !archive.is_stream() => {
            (Some(kept(store.instances(archive)?)), None)
        }
        (Instances::Keep, _) => (None, None),
        (Instances::Map(mapping), Some(store)) if archive.is_stream() => {
            let late = store.tenant_entry().zip(store.instance_columns());
            let late = late.map(|(dump_id, columns)| LateInstances { dump_id, columns });
            (Some(resolve(mapping, &[], Some(&store.profile), &mut Vec::new())?), late)
        }
        (Instances::Map(mapping), store) => {
            let instances = store.map(|store| store.instances(archive)).transpose()?.unwrap_or_default();
            let profile = store.map(|store| &store.profile);
            (Some(resolve(mapping, &instances, profile, notices)?), None)
        }
    };
    if resolution.as_ref().is_some_and(|resolution| !resolution.pairs.is_empty()) {
        refuse_unsafe_encoding(archive)?;
    }
    Ok((resolution, late))
}

/// Applies the mapping to the instances; refuses if some are not covered.
pub(crate) fn resolve(
    mapping: &Mapping,
    instances: &[Instance],
    profile: Option<&Profile>,
    notices: &mut Vec<Notice>,
) -> Result<Resolution> {
    let regions = profile.map(Profile::system_regions).unwrap_or_default();
    let resolution = mapping.resolve(instances, regions)?;
    if !resolution.uncovered.is_empty() {
        return Err(BackupError::Unmapped(resolution.uncovered).into());
    }
    // Without a table of instances, the restore itself finds out which sources occur.
    if profile.and_then(Profile::tenant).is_some() {
        notices.extend(unknown_sources(&resolution));
    }
    Ok(resolution)
}

/// One warning for all keys of the mapping that name no instance of the backup.
fn unknown_sources(resolution: &Resolution) -> Option<Notice> {
    let unknown = &resolution.unknown_sources;
    let some: Vec<String> = unknown.iter().take(5).map(ToString::to_string).collect();
    let more = unknown.len().saturating_sub(some.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let text = format!(
        "these sources of the mapping are not instances of this backup, and are replaced where they occur: {}{more}",
        some.join(", ")
    );
    (!unknown.is_empty()).then_some(Notice::warning(NoticeCode::UnknownSource, text))
}

/// Every instance keeps its ID.
fn kept(instances: Vec<Instance>) -> Resolution {
    let keep = |source: Instance| ResolvedInstance { target: source.id, source, mapped: false };
    Resolution { instances: instances.into_iter().map(keep).collect(), ..Resolution::default() }
}

fn refuse_unsafe_encoding(archive: &Archive) -> Result<()> {
    match archive.encoding() {
        Some(encoding) if NOT_ASCII_SAFE.contains(&encoding) => {
            Err(Refusal::Encoding(encoding.to_owned()).into())
        }
        _ => Ok(()),
    }
}
