//! The flags that leave entries of a backup out. A new one is a field here, a field of the library's [`Selection`], and a
//! rule in its `selection/asked.rs`.

use anyhow::Result;
use clap::ValueEnum;
use pgmig_core::Error;
use pgmig_core::archive::Section;
use pgmig_core::selection::{EntryList, Pattern, Selection, TablePattern, Without};
use std::path::PathBuf;

/// Which entries of the backup are restored.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Leaving things out")]
pub(crate) struct SelectionArgs {
    /// Restore only the entries in this list, in its order: an edited `pgmig inspect --list`
    #[arg(short = 'L', long, value_name = "FILE")]
    pub(crate) use_list: Option<PathBuf>,

    /// Restore only objects in schemas that match this pattern (as in pg_dump; may be given several times)
    #[arg(short = 'n', long, value_name = "PATTERN")]
    pub(crate) only_schema: Vec<Pattern>,

    /// Leave out objects in schemas that match this pattern
    #[arg(short = 'N', long, value_name = "PATTERN")]
    pub(crate) exclude_schema: Vec<Pattern>,

    /// Restore only tables, views and sequences that match this pattern, with their indexes, constraints and triggers
    #[arg(long, value_name = "PATTERN")]
    pub(crate) only_table: Vec<TablePattern>,

    /// Leave out tables, views and sequences that match this pattern
    #[arg(short = 'T', long, value_name = "PATTERN")]
    pub(crate) exclude_table: Vec<TablePattern>,

    /// Leave out the rows of tables that match this pattern
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude_table_data: Vec<TablePattern>,

    /// Leave out extensions that match this pattern
    #[arg(long, value_name = "PATTERN")]
    pub(crate) exclude_extension: Vec<Pattern>,

    /// Restore only this section; may be given several times
    #[arg(long, value_name = "SECTION", value_enum)]
    pub(crate) section: Vec<SectionName>,

    /// Leave out comments
    #[arg(long)]
    pub(crate) no_comments: bool,

    /// Leave out row security policies
    #[arg(long)]
    pub(crate) no_policies: bool,

    /// Leave out publications
    #[arg(long)]
    pub(crate) no_publications: bool,

    /// Leave out security labels
    #[arg(long)]
    pub(crate) no_security_labels: bool,

    /// Leave out subscriptions, which are never restored, without a notice
    #[arg(long)]
    pub(crate) no_subscriptions: bool,

    /// Make everything in the database's own tablespace
    #[arg(long)]
    pub(crate) no_tablespaces: bool,

    /// Leave out, with a warning, what cannot be restored for lack of an extension, a role or a right; never rows
    #[arg(long)]
    pub(crate) skip_unrestorable: bool,
}

/// A section of a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SectionName {
    // Definitions that rows need
    PreData,
    // Rows, large objects, values of sequences
    Data,
    // Indexes, constraints, triggers, rules
    PostData,
}

impl SelectionArgs {
    /// The library's form. Reads the list, if there is one.
    pub(crate) fn selection(&self) -> Result<Selection> {
        let mut selection = Selection::default();
        selection.list = self.use_list.as_deref().map(EntryList::read).transpose().map_err(Error::from)?;
        selection.only_schemas.clone_from(&self.only_schema);
        selection.exclude_schemas.clone_from(&self.exclude_schema);
        selection.only_tables.clone_from(&self.only_table);
        selection.exclude_tables.clone_from(&self.exclude_table);
        selection.exclude_table_data.clone_from(&self.exclude_table_data);
        selection.exclude_extensions.clone_from(&self.exclude_extension);
        selection.sections = self.section.iter().map(|name| name.section()).collect();
        let without = [
            (self.no_comments, Without::Comments),
            (self.no_policies, Without::Policies),
            (self.no_publications, Without::Publications),
            (self.no_security_labels, Without::SecurityLabels),
            (self.no_subscriptions, Without::Subscriptions),
            (self.no_tablespaces, Without::Tablespaces),
        ];
        selection.without =
            without.into_iter().filter(|(is_set, _)| *is_set).map(|(_, without)| without).collect();
        selection.skip_unrestorable = self.skip_unrestorable;
        Ok(selection)
    }
}

impl SectionName {
    fn section(self) -> Section {
        match self {
            Self::PreData => Section::PreData,
            Self::Data => Section::Data,
            Self::PostData => Section::PostData,
        }
    }
}
