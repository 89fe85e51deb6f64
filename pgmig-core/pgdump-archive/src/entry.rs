//! One entry of the table of contents.

use super::text::ArchiveText;
use crate::sql::QualifiedName;
use std::{fmt, num::NonZeroU32};

/// Number of a TOC entry within its archive, 1 to 2^31 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DumpId(NonZeroU32);

impl DumpId {
    /// The dump ID `id`, unless it is out of range.
    pub const fn new(id: u32) -> Option<Self> {
        match NonZeroU32::new(id) {
            Some(id) if id.get() <= i32::MAX.unsigned_abs() => Some(Self(id)),
            _ => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for DumpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// OID of an object of the source database; 0 where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Oid(pub u32);

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where the object was in the source database's catalogs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct CatalogId {
    /// OID of the catalog that holds the object.
    pub table_oid: Oid,
    /// OID of the object.
    pub oid: Oid,
}

/// The part of a restore that an entry belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// No section of its own (comments, ACLs and the like). The entry belongs to the section of the entry that it
    /// describes.
    None,
    /// Definitions that data needs.
    PreData,
    /// Rows, large objects, sequence values.
    Data,
    /// Indexes, constraints, triggers, rules.
    PostData,
}

impl Section {
    /// The section of an entry in an archive older than 1.11, which does not name it. These are pg_restore's rules.
    pub(super) fn of_kind(kind: EntryKind) -> Self {
        use EntryKind as K;
        match kind {
            K::Comment | K::Acl | K::AclLanguage => Self::None,
            K::TableData | K::Blobs | K::BlobComments => Self::Data,
            K::Constraint | K::CheckConstraint | K::FkConstraint | K::Index | K::Rule | K::Trigger => {
                Self::PostData
            }
            _ => Self::PreData,
        }
    }
}

/// The TOC's information about an entry's data block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataState {
    /// The entry has no data block.
    NoData,
    /// There is a block, but pg_dump could not record its place because it wrote to a pipe.
    NotSet,
    /// There is a block, at this byte of the file.
    Offset(u64),
    /// The data are in a file or member of their own, or are a part of a script.
    Member,
}

macro_rules! entry_kinds {
    ($($variant:ident = $desc:literal),+ $(,)?) => {
        /// Kind of a TOC entry, for every `desc` that pg_dump 8.0 to 19 writes.
        ///
        /// The enum is exhaustive on purpose. A program that treats every kind can match without `_`: when a new
        /// release of PostgreSQL brings a new kind, the compiler then names each place that has to treat it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum EntryKind {
            $(#[doc = concat!("`", $desc, "`")] $variant,)+
            /// Any other kind; [`Entry::desc`] has the text.
            Other,
        }

        impl EntryKind {
            /// Every kind except [`Other`](Self::Other), in alphabetical order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The text in the archive: [`Entry::desc`]. It is "" for [`Other`](Self::Other).
            pub const fn desc(self) -> &'static str {
                match self {
                    $(Self::$variant => $desc,)+
                    Self::Other => "",
                }
            }

            pub(super) fn from_desc(desc: &[u8]) -> Self {
                $(if desc == $desc.as_bytes() { return Self::$variant; })+
                Self::Other
            }
        }
    };
}

entry_kinds! {
    AccessMethod = "ACCESS METHOD",
    Acl = "ACL",
    AclLanguage = "ACL LANGUAGE",
    Aggregate = "AGGREGATE",
    Blob = "BLOB",
    BlobComments = "BLOB COMMENTS",
    BlobMetadata = "BLOB METADATA",
    Blobs = "BLOBS",
    Cast = "CAST",
    CheckConstraint = "CHECK CONSTRAINT",
    Collation = "COLLATION",
    Comment = "COMMENT",
    Constraint = "CONSTRAINT",
    Conversion = "CONVERSION",
    Database = "DATABASE",
    DatabaseProperties = "DATABASE PROPERTIES",
    Default = "DEFAULT",
    DefaultAcl = "DEFAULT ACL",
    Domain = "DOMAIN",
    Encoding = "ENCODING",
    EventTrigger = "EVENT TRIGGER",
    Extension = "EXTENSION",
    FkConstraint = "FK CONSTRAINT",
    ForeignDataWrapper = "FOREIGN DATA WRAPPER",
    ForeignTable = "FOREIGN TABLE",
    Function = "FUNCTION",
    Index = "INDEX",
    IndexAttach = "INDEX ATTACH",
    MaterializedView = "MATERIALIZED VIEW",
    MaterializedViewData = "MATERIALIZED VIEW DATA",
    Operator = "OPERATOR",
    OperatorClass = "OPERATOR CLASS",
    OperatorFamily = "OPERATOR FAMILY",
    Policy = "POLICY",
    ProceduralLanguage = "PROCEDURAL LANGUAGE",
    Procedure = "PROCEDURE",
    PropertyGraph = "PROPERTY GRAPH",
    Publication = "PUBLICATION",
    PublicationTable = "PUBLICATION TABLE",
    PublicationTablesInSchema = "PUBLICATION TABLES IN SCHEMA",
    RowSecurity = "ROW SECURITY",
    Rule = "RULE",
    Schema = "SCHEMA",
    SearchPath = "SEARCHPATH",
    SecurityLabel = "SECURITY LABEL",
    Sequence = "SEQUENCE",
    SequenceOwnedBy = "SEQUENCE OWNED BY",
    SequenceSet = "SEQUENCE SET",
    Server = "SERVER",
    ShellType = "SHELL TYPE",
    Statistics = "STATISTICS",
    StatisticsData = "STATISTICS DATA",
    StdStrings = "STDSTRINGS",
    Subscription = "SUBSCRIPTION",
    SubscriptionTable = "SUBSCRIPTION TABLE",
    Table = "TABLE",
    TableAttach = "TABLE ATTACH",
    TableData = "TABLE DATA",
    TextSearchConfiguration = "TEXT SEARCH CONFIGURATION",
    TextSearchDictionary = "TEXT SEARCH DICTIONARY",
    TextSearchParser = "TEXT SEARCH PARSER",
    TextSearchTemplate = "TEXT SEARCH TEMPLATE",
    Transform = "TRANSFORM",
    Trigger = "TRIGGER",
    Type = "TYPE",
    UserMapping = "USER MAPPING",
    View = "VIEW",
}

/// One entry of the table of contents: an object of the source database, or its data.
///
/// `None` stands for a NULL in the archive. pg_dump 11 and older write "" for the definition, the DROP statement and
/// the owner where newer ones write NULL. Neither form has anything to execute.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Entry {
    /// The entry's number, unique in the archive. IDs need not be in the TOC's order.
    pub dump_id: DumpId,
    /// Whether pg_dump wrote a data block for the entry.
    pub had_dumper: bool,
    /// The object's place in the source's catalogs.
    pub catalog_id: CatalogId,
    /// The object's name; a signature for functions, `TABLE name` and the like for comments and ACLs.
    pub tag: ArchiveText,
    /// The object's kind, as the archive spells it.
    pub desc: ArchiveText,
    /// The object's kind.
    pub kind: EntryKind,
    /// The part of a restore that the entry belongs to.
    pub section: Section,
    /// SQL that creates the object.
    pub definition: Option<ArchiveText>,
    /// SQL that drops the object.
    pub drop_statement: Option<ArchiveText>,
    /// `COPY ... FROM stdin;` for table data that is in COPY format.
    pub copy_statement: Option<ArchiveText>,
    /// Schema of the object.
    pub namespace: Option<ArchiveText>,
    /// Tablespace of the object; NULL for an object without storage, "" for the default tablespace.
    pub tablespace: Option<ArchiveText>,
    /// Table access method (since 1.14).
    pub table_access_method: Option<ArchiveText>,
    /// `relkind` of a relation, as in `pg_class` (since 1.16).
    pub relation_kind: Option<char>,
    /// Owner of the object; NULL or "" for an object without an owner.
    pub owner: Option<ArchiveText>,
    /// Whether the table was created WITH OIDS (up to PostgreSQL 11).
    pub with_oids: bool,
    /// Entries that must be restored first. Some of them may be missing from the archive.
    pub dependencies: Vec<DumpId>,
    /// Where the TOC says that the data block is.
    pub data: DataState,
}

impl Entry {
    /// An entry without statements, owner, dependencies and data. It is for tests of code that uses entries; the
    /// archive reader does not use it.
    pub fn new(dump_id: DumpId, kind: EntryKind, section: Section, tag: &str) -> Self {
        Self {
            dump_id,
            had_dumper: false,
            catalog_id: CatalogId::default(),
            tag: tag.into(),
            desc: kind.desc().into(),
            kind,
            section,
            definition: None,
            drop_statement: None,
            copy_statement: None,
            namespace: None,
            tablespace: None,
            table_access_method: None,
            relation_kind: None,
            owner: None,
            with_oids: false,
            dependencies: Vec::new(),
            data: DataState::NoData,
        }
    }

    /// Shares one copy of texts that both entries have. Neighbours mostly agree in kind, schema and owner.
    pub(super) fn share_texts(&mut self, other: &Self) {
        if self.desc == other.desc {
            self.desc.clone_from(&other.desc);
        }
        for (own, other) in [
            (&mut self.namespace, &other.namespace),
            (&mut self.tablespace, &other.tablespace),
            (&mut self.table_access_method, &other.table_access_method),
            (&mut self.owner, &other.owner),
        ] {
            if *own == *other {
                own.clone_from(other);
            }
        }
    }

    /// Whether the entry owns a data block.
    pub fn has_data(&self) -> bool {
        self.data != DataState::NoData
    }

    /// The definition, unless it is NULL or empty.
    pub fn sql(&self) -> Option<&ArchiveText> {
        self.definition.as_ref().filter(|text| !text.is_empty())
    }

    /// The name of the object's schema. `None` where the object has no schema, or where the name is not UTF-8; after
    /// [`Archive::transcode`](super::Archive::transcode) every name is.
    pub fn schema(&self) -> Option<&str> {
        self.namespace.as_ref()?.to_str().ok().filter(|schema| !schema.is_empty())
    }

    /// The [tag](Self::tag): for a relation its name. "" where it is not UTF-8; after
    /// [`Archive::transcode`](super::Archive::transcode) every tag is.
    pub fn name(&self) -> &str {
        self.tag.to_str().unwrap_or_default()
    }

    /// [`schema`](Self::schema) and [`name`](Self::name) together.
    pub fn qualified_name(&self) -> QualifiedName {
        match self.schema() {
            Some(schema) => QualifiedName::new(schema, self.name()),
            None => QualifiedName::unqualified(self.name()),
        }
    }

    /// The name with its schema, for messages: `store.tenant`, not quoted, control characters escaped.
    pub fn relation(&self) -> String {
        match self.namespace.as_ref().filter(|namespace| !namespace.is_empty()) {
            Some(namespace) => format!("{namespace}.{}", self.tag),
            None => self.tag.to_string(),
        }
    }

    /// The label that errors use for this entry.
    pub fn label(&self) -> EntryLabel {
        EntryLabel {
            dump_id: self.dump_id,
            desc: self.desc.to_string(),
            namespace: self.namespace.as_ref().map(ToString::to_string),
            tag: self.tag.to_string(),
        }
    }

    /// Every text of the entry.
    pub fn texts(&self) -> impl Iterator<Item = &ArchiveText> {
        let nullable = [
            &self.definition,
            &self.drop_statement,
            &self.copy_statement,
            &self.namespace,
            &self.tablespace,
            &self.table_access_method,
            &self.owner,
        ];
        [&self.tag, &self.desc].into_iter().chain(nullable.into_iter().flatten())
    }

    /// Every text of the entry, with its name.
    pub(super) fn texts_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut ArchiveText)> {
        let always = [("tag", &mut self.tag), ("desc", &mut self.desc)];
        let nullable = [
            ("definition", &mut self.definition),
            ("drop statement", &mut self.drop_statement),
            ("copy statement", &mut self.copy_statement),
            ("namespace", &mut self.namespace),
            ("tablespace", &mut self.tablespace),
            ("table access method", &mut self.table_access_method),
            ("owner", &mut self.owner),
        ];
        let present = nullable.into_iter().filter_map(|(name, text)| text.as_mut().map(|text| (name, text)));
        always.into_iter().chain(present)
    }
}

/// Names an entry in messages: `TABLE DATA store.tenant (dump ID 4064)`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct EntryLabel {
    /// The entry's number.
    pub dump_id: DumpId,
    /// The entry's kind, control characters escaped.
    pub desc: String,
    /// The entry's schema, control characters escaped.
    pub namespace: Option<String>,
    /// The entry's name, control characters escaped.
    pub tag: String,
}

impl fmt::Display for EntryLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.desc)?;
        if let Some(namespace) = self.namespace.as_deref().filter(|name| !name.is_empty()) {
            write!(f, "{namespace}.")?;
        }
        write!(f, "{} (dump ID {})", self.tag, self.dump_id)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn names_are_text_where_the_archive_has_utf8() {
        let id = DumpId::new(1).unwrap();
        let mut entry = Entry::new(id, EntryKind::Table, Section::PreData, "My table");
        assert_eq!((entry.schema(), entry.name()), (None, "My table"));
        assert_eq!(entry.qualified_name(), QualifiedName::unqualified("My table"));
        entry.namespace = Some("".into());
        assert_eq!(entry.schema(), None);
        entry.namespace = Some("store".into());
        assert_eq!(entry.qualified_name(), QualifiedName::new("store", "My table"));
        (entry.tag, entry.namespace) = (ArchiveText::new(vec![0xff]), Some(ArchiveText::new(vec![0xff])));
        assert_eq!((entry.schema(), entry.name()), (None, ""));
    }

    #[test]
    fn dump_ids_are_positive_and_fit_an_int() {
        assert_eq!(DumpId::new(0), None);
        assert_eq!(DumpId::new(1).map(DumpId::get), Some(1));
        assert_eq!(DumpId::new(0x7fff_ffff).map(DumpId::get), Some(0x7fff_ffff));
        assert_eq!(DumpId::new(0x8000_0000), None);
    }

    #[test]
    fn every_kind_is_found_by_its_desc() {
        assert!(EntryKind::ALL.len() > 60 && EntryKind::ALL.is_sorted_by_key(|kind| kind.desc()));
        for kind in EntryKind::ALL {
            assert_eq!(EntryKind::from_desc(kind.desc().as_bytes()), *kind);
        }
        assert_eq!(EntryKind::from_desc(b"FLYING CARPET"), EntryKind::Other);
    }

    #[test]
    fn sections_of_old_archives_follow_pg_restore() {
        let section = |desc: &str| Section::of_kind(EntryKind::from_desc(desc.as_bytes()));
        assert_eq!(section("ACL LANGUAGE"), Section::None);
        assert_eq!(section("BLOB COMMENTS"), Section::Data);
        assert_eq!(section("FK CONSTRAINT"), Section::PostData);
        assert_eq!(section("SEQUENCE SET"), Section::PreData);
        assert_eq!(section("FLYING CARPET"), Section::PreData);
    }
}
