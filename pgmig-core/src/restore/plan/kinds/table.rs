//! The rows. A row names what differs from the group that it is based on: read the group first.

use super::{
    Cleared, Creator, Kind, Locks, Made, Names, Owner, Part, PassRule, Place, TableWork, Verified, Whole,
};
use crate::archive::{EntryKind, Section};
use crate::restore::plan::expected::ObjectKind;
use crate::restore::plan::pass::PlanPass;
use crate::restore::plan::superuser;

/// Settings of the session and properties of the database: never restored.
const SESSION: Kind = Kind {
    part: Part::Session,
    made: Made::Never,
    owner: Owner::Nobody,
    locks: Locks::Count(0),
    verified: Verified::NotRestored,
    cleared: Cleared::Kept,
    ..OBJECT
};

/// An object with a name and an owner, made by any role before the rows.
const OBJECT: Kind = Kind {
    section: Section::PreData,
    part: Part::Definition,
    pass: PassRule::Always(PlanPass::Main),
    made: Made::Object,
    creator: Creator::Anyone,
    owner: Owner::Creator,
    in_database: false,
    whole: None,
    place: NOWHERE,
    locks: Locks::Count(1),
    verified: Verified::Unlisted,
    work: TableWork::Other,
    cleared: Cleared::WithTheirObject,
};

/// Something that belongs to a relation, made after the rows. The relation's lock is held already.
const OF_RELATION: Kind = Kind {
    section: Section::PostData,
    owner: Owner::Nobody,
    locks: Locks::Count(0),
    verified: Verified::Unnamed,
    ..OBJECT
};

/// The data of a database. The session that loads them takes the locks, which the plan does not count.
const CONTENTS: Kind = Kind {
    section: Section::Data,
    part: Part::Contents,
    owner: Owner::Nobody,
    locks: Locks::Count(0),
    verified: Verified::Counted,
    ..OBJECT
};

/// A statement about an object of another entry, whose section it shares.
const DESCRIPTION: Kind = Kind {
    section: Section::None,
    part: Part::OfItsObject,
    pass: PassRule::OfItsObject,
    made: Made::Description,
    owner: Owner::Nobody,
    locks: Locks::Description,
    verified: Verified::Unnamed,
    ..OBJECT
};

/// Grants, by the roles that hold the rights, to roles that may be missing.
const PRIVILEGES: Kind = Kind {
    pass: PassRule::Always(PlanPass::Privileges),
    made: Made::Privileges,
    locks: Locks::Count(0),
    ..DESCRIPTION
};

/// An object that only a superuser can make.
const SUPERUSERS: Kind = Kind { creator: Creator::Superuser, ..OBJECT };

/// A subscription: its tables would connect to another server.
const SUBSCRIPTION: Kind = Kind {
    section: Section::PostData,
    made: Made::Subscription,
    owner: Owner::Creator,
    locks: Locks::Count(0),
    verified: Verified::NotRestored,
    cleared: Cleared::Kept,
    ..OBJECT
};

/// An object in none of the catalogs: it is a property of another one.
const NOWHERE: Place = Place { catalog: "", identified: "", names: Names::None };

const fn place(catalog: &'static str, identified: &'static str, names: Names) -> Place {
    Place { catalog, identified, names }
}

/// A part of another object: pgmig finds it through that.
const fn part(catalog: &'static str) -> Place {
    place(catalog, "", Names::None)
}

const fn drops(word: &'static str) -> Cleared {
    Cleared::Dropped { word, several: true }
}

/// DROP accepts one object of the kind at a time.
const fn drops_one(word: &'static str) -> Cleared {
    Cleared::Dropped { word, several: false }
}

const fn listed(kind: ObjectKind) -> Verified {
    Verified::Listed(kind)
}

/// Makes [`of`] and [`ALL`] of the rows. A kind without a row is an error of the compiler.
macro_rules! kinds {
    ($($kind:ident: $row:expr;)+) => {
        /// The row of a kind.
        pub(crate) const fn of(kind: EntryKind) -> &'static Kind {
            match kind {
                $(EntryKind::$kind => const { &$row },)+
            }
        }

        /// Every kind that has a row.
        pub(super) const ALL: &[EntryKind] = &[$(EntryKind::$kind),+];
    };
}

kinds! {
    AccessMethod: Kind {
        owner: Owner::Nobody,
        place: place("pg_am", "access method", Names::InDatabase),
        cleared: drops("ACCESS METHOD"),
        ..SUPERUSERS
    };
    Acl: PRIVILEGES;
    // On languages, in archives of pg_dump 8.2 and older. It describes a definition in any case.
    AclLanguage: Kind { part: Part::Definition, ..PRIVILEGES };
    Aggregate: Kind {
        creator: Creator::SuperuserIf(superuser::is_over_internal),
        place: place("pg_proc", "aggregate", Names::Routine),
        locks: Locks::Count(0),
        verified: listed(ObjectKind::Function),
        cleared: drops("ROUTINE"),
        ..OBJECT
    };
    // Up to pg_dump 16: one entry for each large object.
    Blob: Kind {
        section: Section::PreData,
        made: Made::LargeObject,
        owner: Owner::Anyone("LARGE OBJECT"),
        place: part("pg_largeobject_metadata"),
        cleared: Cleared::Unlinked,
        ..CONTENTS
    };
    // Up to pg_dump 8.4: a block of data that holds COMMENT statements.
    BlobComments: Kind {
        section: Section::Data,
        pass: PassRule::Always(PlanPass::Main),
        made: Made::Object,
        locks: Locks::Count(1),
        ..DESCRIPTION
    };
    // Since pg_dump 17: one entry for many large objects.
    BlobMetadata: Kind {
        made: Made::LargeObjectGroup,
        owner: Owner::Anyone("LARGE OBJECT"),
        place: part("pg_largeobject_metadata"),
        cleared: Cleared::Unlinked,
        ..CONTENTS
    };
    Blobs: Kind { made: Made::LargeObjectData, cleared: Cleared::Unlinked, ..CONTENTS };
    // The planner also requires that the archive makes one of the two types: only the owner of a type can make a cast.
    Cast: Kind {
        creator: Creator::SuperuserIf(superuser::is_without_function),
        owner: Owner::Nobody,
        place: place("pg_cast", "cast", Names::Cast),
        cleared: drops_one("CAST"),
        ..OBJECT
    };
    // A constraint of a domain, or one that is NOT VALID.
    CheckConstraint: Kind { place: part("pg_constraint"), verified: listed(ObjectKind::Constraint), ..OF_RELATION };
    Collation: Kind {
        owner: Owner::Anyone("COLLATION"),
        place: place("pg_collation", "collation", Names::InSchema),
        cleared: drops("COLLATION"),
        ..OBJECT
    };
    Comment: DESCRIPTION;
    Constraint: Kind {
        place: place("pg_constraint", "", Names::IndexOfConstraint),
        locks: Locks::Count(1),
        verified: listed(ObjectKind::Constraint),
        work: TableWork::Key,
        ..OF_RELATION
    };
    Conversion: Kind {
        owner: Owner::Anyone("CONVERSION"),
        place: place("pg_conversion", "conversion", Names::InSchema),
        cleared: drops("CONVERSION"),
        ..OBJECT
    };
    Database: Kind { place: part("pg_database"), ..SESSION };
    DatabaseProperties: SESSION;
    Default: Kind { section: Section::PreData, place: part("pg_attrdef"), ..OF_RELATION };
    DefaultAcl: Kind {
        section: Section::PostData,
        part: Part::Definition,
        place: part("pg_default_acl"),
        cleared: Cleared::Revoked,
        ..PRIVILEGES
    };
    Domain: Kind {
        owner: Owner::Anyone("DOMAIN"),
        place: place("pg_type", "type", Names::Type),
        locks: Locks::Count(0),
        verified: listed(ObjectKind::Type),
        cleared: drops("TYPE"),
        ..OBJECT
    };
    Encoding: SESSION;
    EventTrigger: Kind {
        section: Section::PostData,
        pass: PassRule::Always(PlanPass::EventTriggers),
        owner: Owner::Superuser,
        place: place("pg_event_trigger", "event trigger", Names::InDatabase),
        cleared: drops("EVENT TRIGGER"),
        ..SUPERUSERS
    };
    Extension: Kind {
        made: Made::Extension,
        creator: Creator::ByExtension,
        in_database: true,
        place: place("pg_extension", "extension", Names::None),
        // For the extension's own objects; the contrib modules of PostgreSQL 15 take 4 to 32.
        locks: Locks::Count(30),
        verified: listed(ObjectKind::Extension),
        cleared: drops("EXTENSION"),
        ..OBJECT
    };
    FkConstraint: Kind {
        place: part("pg_constraint"),
        verified: listed(ObjectKind::Constraint),
        work: TableWork::ForeignKey,
        ..OF_RELATION
    };
    ForeignDataWrapper: Kind {
        owner: Owner::Superuser,
        place: place("pg_foreign_data_wrapper", "foreign-data wrapper", Names::InDatabase),
        cleared: drops("FOREIGN DATA WRAPPER"),
        ..SUPERUSERS
    };
    ForeignTable: Kind {
        owner: Owner::Anyone("FOREIGN TABLE"),
        place: place("pg_class", "foreign table", Names::RelationAndRowType),
        verified: listed(ObjectKind::Table),
        cleared: drops("FOREIGN TABLE"),
        ..OBJECT
    };
    Function: Kind {
        creator: Creator::SuperuserIf(superuser::is_privileged_function),
        owner: Owner::Anyone("FUNCTION"),
        place: place("pg_proc", "function", Names::Routine),
        locks: Locks::Count(0),
        verified: listed(ObjectKind::Function),
        // One list of arguments for all routines; DROP AGGREGATE expects another one.
        cleared: drops("ROUTINE"),
        ..OBJECT
    };
    Index: Kind {
        place: place("pg_class", "index", Names::Relation),
        locks: Locks::Count(1),
        verified: listed(ObjectKind::Index),
        work: TableWork::Index,
        ..OF_RELATION
    };
    IndexAttach: OF_RELATION;
    MaterializedView: Kind {
        owner: Owner::Anyone("MATERIALIZED VIEW"),
        place: place("pg_class", "materialized view", Names::RelationAndRowType),
        // With its TOAST table and the index of that.
        locks: Locks::Count(3),
        verified: listed(ObjectKind::View),
        cleared: drops("MATERIALIZED VIEW"),
        ..OBJECT
    };
    // The new contents, which then replace the old ones.
    MaterializedViewData: Kind { pass: PassRule::Always(PlanPass::Last), locks: Locks::Count(8), ..OF_RELATION };
    Operator: Kind {
        owner: Owner::Anyone("OPERATOR"),
        place: place("pg_operator", "operator", Names::None),
        cleared: drops("OPERATOR"),
        ..OBJECT
    };
    OperatorClass: Kind {
        owner: Owner::Anyone("OPERATOR CLASS"),
        place: place("pg_opclass", "operator class", Names::InSchema),
        cleared: drops_one("OPERATOR CLASS"),
        ..SUPERUSERS
    };
    OperatorFamily: Kind {
        owner: Owner::Anyone("OPERATOR FAMILY"),
        place: place("pg_opfamily", "operator family", Names::InSchema),
        cleared: drops_one("OPERATOR FAMILY"),
        ..SUPERUSERS
    };
    Policy: Kind {
        made: Made::Policy,
        place: part("pg_policy"),
        verified: listed(ObjectKind::Policy),
        work: TableWork::OtherAtUnknownTable,
        ..OF_RELATION
    };
    ProceduralLanguage: Kind {
        made: Made::Language,
        owner: Owner::Anyone("PROCEDURAL LANGUAGE"),
        place: place("pg_language", "language", Names::InDatabase),
        cleared: drops("LANGUAGE"),
        ..SUPERUSERS
    };
    Procedure: Kind {
        creator: Creator::SuperuserIf(superuser::is_privileged_function),
        owner: Owner::Anyone("PROCEDURE"),
        place: place("pg_proc", "procedure", Names::Routine),
        locks: Locks::Count(0),
        verified: listed(ObjectKind::Function),
        cleared: drops("ROUTINE"),
        ..OBJECT
    };
    // PostgreSQL 19.
    PropertyGraph: Kind {
        owner: Owner::Anyone("PROPERTY GRAPH"),
        place: place("pg_class", "property graph", Names::None),
        cleared: drops("PROPERTY GRAPH"),
        ..OBJECT
    };
    // The planner also requires a superuser where the publication has schemas: see `PublicationTablesInSchema`.
    Publication: Kind {
        section: Section::PostData,
        creator: Creator::SuperuserIf(superuser::publishes_all_tables),
        owner: Owner::AnyoneUnless(superuser::publishes_all_tables, "PUBLICATION"),
        in_database: true,
        place: place("pg_publication", "publication", Names::InDatabase),
        cleared: drops("PUBLICATION"),
        ..OBJECT
    };
    PublicationTable: Kind {
        section: Section::PostData,
        owner: Owner::Nobody,
        whole: Some(Whole::Publication),
        place: part("pg_publication_rel"),
        ..OBJECT
    };
    PublicationTablesInSchema: Kind {
        section: Section::PostData,
        owner: Owner::Nobody,
        whole: Some(Whole::Publication),
        place: part("pg_publication_namespace"),
        ..SUPERUSERS
    };
    RowSecurity: Kind { work: TableWork::OtherAtUnknownTable, ..OF_RELATION };
    Rule: Kind {
        place: part("pg_rewrite"),
        verified: listed(ObjectKind::Rule),
        work: TableWork::OtherAtUnknownTable,
        ..OF_RELATION
    };
    Schema: Kind {
        made: Made::Schema,
        owner: Owner::Anyone("SCHEMA"),
        in_database: true,
        place: place("pg_namespace", "schema", Names::None),
        verified: listed(ObjectKind::Schema),
        cleared: drops("SCHEMA"),
        ..OBJECT
    };
    SearchPath: SESSION;
    SecurityLabel: DESCRIPTION;
    Sequence: Kind {
        owner: Owner::Anyone("SEQUENCE"),
        place: place("pg_class", "sequence", Names::Relation),
        verified: listed(ObjectKind::Sequence),
        cleared: drops("SEQUENCE"),
        ..OBJECT
    };
    SequenceOwnedBy: Kind { section: Section::PreData, ..OF_RELATION };
    SequenceSet: CONTENTS;
    // Any role with USAGE on the wrapper can make a server. As a rule only the superuser has that: the planner asks.
    Server: Kind {
        owner: Owner::Anyone("SERVER"),
        place: place("pg_foreign_server", "server", Names::InDatabase),
        cleared: drops("SERVER"),
        ..SUPERUSERS
    };
    // The server refuses to hand a shell type over.
    ShellType: Kind { place: place("pg_type", "type", Names::Type), cleared: drops("TYPE"), ..SUPERUSERS };
    Statistics: Kind {
        section: Section::PostData,
        owner: Owner::Anyone("STATISTICS"),
        place: place("pg_statistic_ext", "statistics object", Names::InSchema),
        cleared: drops("STATISTICS"),
        ..OBJECT
    };
    // Since pg_dump 18. The statistics of a materialized view are in section post-data.
    StatisticsData: Kind {
        section: Section::Data,
        pass: PassRule::LastInPostData,
        made: Made::Statistics,
        locks: Locks::Count(1),
        ..OF_RELATION
    };
    StdStrings: SESSION;
    Subscription: SUBSCRIPTION;
    SubscriptionTable: SUBSCRIPTION;
    Table: Kind {
        owner: Owner::Anyone("TABLE"),
        place: place("pg_class", "table", Names::RelationAndRowType),
        locks: Locks::Table,
        verified: listed(ObjectKind::Table),
        cleared: drops("TABLE"),
        ..OBJECT
    };
    TableAttach: Kind { section: Section::PreData, ..OF_RELATION };
    TableData: Kind { made: Made::Rows, ..CONTENTS };
    TextSearchConfiguration: Kind {
        owner: Owner::Anyone("TEXT SEARCH CONFIGURATION"),
        place: place("pg_ts_config", "text search configuration", Names::InSchema),
        cleared: drops("TEXT SEARCH CONFIGURATION"),
        ..OBJECT
    };
    TextSearchDictionary: Kind {
        owner: Owner::Anyone("TEXT SEARCH DICTIONARY"),
        place: place("pg_ts_dict", "text search dictionary", Names::InSchema),
        cleared: drops("TEXT SEARCH DICTIONARY"),
        ..OBJECT
    };
    TextSearchParser: Kind {
        owner: Owner::Nobody,
        place: place("pg_ts_parser", "text search parser", Names::InSchema),
        cleared: drops("TEXT SEARCH PARSER"),
        ..SUPERUSERS
    };
    TextSearchTemplate: Kind {
        owner: Owner::Nobody,
        place: place("pg_ts_template", "text search template", Names::InSchema),
        cleared: drops("TEXT SEARCH TEMPLATE"),
        ..SUPERUSERS
    };
    // Only the owner of its functions can make it, and these are in C. It is dropped with its type.
    Transform: Kind {
        owner: Owner::Nobody,
        place: place("pg_transform", "transform", Names::Transform),
        ..SUPERUSERS
    };
    Trigger: Kind {
        place: part("pg_trigger"),
        verified: listed(ObjectKind::Trigger),
        work: TableWork::OtherAtUnknownTable,
        ..OF_RELATION
    };
    Type: Kind {
        creator: Creator::SuperuserIf(superuser::is_base_type),
        owner: Owner::Anyone("TYPE"),
        place: place("pg_type", "type", Names::TypeOrRowType),
        verified: listed(ObjectKind::Type),
        cleared: drops("TYPE"),
        ..OBJECT
    };
    // It is dropped with its server.
    UserMapping: Kind {
        made: Made::UserMapping,
        owner: Owner::Nobody,
        whole: Some(Whole::Server),
        place: part("pg_user_mapping"),
        ..OBJECT
    };
    View: Kind {
        owner: Owner::Anyone("VIEW"),
        place: place("pg_class", "view", Names::RelationAndRowType),
        verified: listed(ObjectKind::View),
        cleared: drops("VIEW"),
        ..OBJECT
    };
    // A kind that pg_dump 19 does not write: it is restored like any object, and verified by the server's word only.
    Other: OBJECT;
}
