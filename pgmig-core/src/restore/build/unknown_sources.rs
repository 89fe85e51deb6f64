//! Sources of the mapping that are no instances of the backup: perhaps mistyped.

use crate::error::Result;
use crate::instance::InstanceId;
use crate::progress::NoticeCode;
use crate::restore::build::Build;
use crate::restore::journal::Journal;
use crate::restore::options::Instances;
use crate::restore::refusal::Refusal;
use crate::restore::report::restored::SourceReport;

impl Build {
    /// Reports how often each source of the mapping was found. Must be called when all rows and definitions of the
    /// archive have been rewritten.
    ///
    /// # Errors
    ///
    /// [`Refusal::UnusedSources`]: sources that are no instances of the backup and were found nowhere.
    pub(super) fn report_sources(&self, journal: &mut Journal) -> Result<()> {
        let Instances::Map(mapping) = &self.options.instances else { return Ok(()) };
        let report = mapping.pairs().iter().filter(|(source, target)| source != target);
        journal.report.sources = report
            .map(|&(source, target)| SourceReport { source, target, found: self.found.count(source) })
            .collect();
        let Some(resolution) = &self.known.resolution else { return Ok(()) };
        let is_unknown = |report: &&SourceReport| resolution.unknown_sources.contains(&report.source);
        let unknown: Vec<SourceReport> = journal.report.sources.iter().filter(is_unknown).copied().collect();
        let (unused, mut used): (Vec<_>, Vec<_>) = unknown.into_iter().partition(|report| report.found == 0);
        // Where owners are moved there is no list of instances, so every source is one that no list has.
        if self.known.profile.as_ref().is_some_and(|profile| !profile.owner_columns().is_empty()) {
            used.clear();
        }
        for SourceReport { source, found, .. } in used {
            let occurrences = if found == 1 { "occurrence was" } else { "occurrences were" };
            journal.notice(NoticeCode::UnknownSource, format!(
                "ID {source} of the mapping is not an instance of this backup; {found} {occurrences} replaced"
            ));
        }
        let unused: Vec<InstanceId> = unused.iter().map(|report| report.source).collect();
        if unused.is_empty() {
            return Ok(());
        }
        let refusal = Refusal::UnusedSources { sources: unused };
        if !self.options.allow_unused_sources {
            return Err(refusal.into());
        }
        journal.warn(NoticeCode::UnusedSource, refusal.to_string());
        Ok(())
    }
}
