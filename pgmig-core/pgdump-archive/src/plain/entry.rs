//! Builds an entry from one comment of a script and the statements below it.

use super::header::EntryHeader;
use crate::entry::{CatalogId, DataState, DumpId, Entry, EntryKind, Oid, Section};
use crate::sql::{Lexer, QualifiedName, StandardStrings, Token};
use crate::text::ArchiveText;

/// `pg_database`. pg_dump 9.x marks a comment about the database with it.
const PG_DATABASE: Oid = Oid(1262);

/// An entry whose statements are being read.
#[derive(Debug)]
pub(super) struct OpenEntry {
    pub(super) header: EntryHeader,
    pub(super) kind: EntryKind,
    pub(super) dump_id: DumpId,
    definition: Vec<u8>,
    drop_statement: Option<Vec<u8>>,
    pub(super) copy_statement: Option<Vec<u8>>,
}

impl OpenEntry {
    pub(super) fn new(header: EntryHeader, dump_id: DumpId) -> Self {
        let kind = EntryKind::from_desc(header.desc.as_bytes());
        Self { header, kind, dump_id, definition: Vec::new(), drop_statement: None, copy_statement: None }
    }

    /// Adds one of the entry's statements.
    pub(super) fn statement(&mut self, sql: &[u8], strings: StandardStrings) {
        if let Some((object, owner)) = object_and_owner(sql, strings) {
            self.drop_statement.get_or_insert_with(|| [b"DROP ", object, b";\n"].concat());
            self.header.owner.get_or_insert_with(|| owner.into());
            return;
        }
        if !self.definition.is_empty() {
            self.definition.push(b'\n');
        }
        self.definition.extend_from_slice(sql);
        self.definition.push(b'\n');
    }

    /// Returns the entry, with this section and the session's settings.
    pub(super) fn finish(
        self,
        section: Section,
        access_method: Option<&ArchiveText>,
        with_oids: bool,
    ) -> Entry {
        let has_data = self.header.is_data;
        let catalog_id = self.catalog_id();
        let drop_statement = self.drop_statement.clone().or_else(|| self.drop_by_name());
        let tablespace = self.tablespace();
        let definition = match self.kind {
            EntryKind::BlobMetadata => large_objects(&self.definition),
            _ => self.definition,
        };
        let is_table = self.kind == EntryKind::Table;
        let has_method = is_table || self.kind == EntryKind::MaterializedView;
        Entry {
            dump_id: self.dump_id,
            had_dumper: has_data,
            catalog_id,
            tag: self.header.tag,
            desc: self.header.desc,
            kind: self.kind,
            section,
            definition: (!definition.is_empty()).then(|| ArchiveText::new(definition)),
            drop_statement: drop_statement.map(ArchiveText::new),
            copy_statement: self.copy_statement.map(ArchiveText::new),
            namespace: self.header.namespace,
            tablespace,
            table_access_method: access_method.filter(|_| has_method).cloned(),
            relation_kind: None,
            owner: self.header.owner,
            with_oids: is_table && with_oids,
            dependencies: Vec::new(),
            data: if has_data { DataState::Member } else { DataState::NoData },
        }
    }

    fn catalog_id(&self) -> CatalogId {
        let digits = self.header.tag.to_str().ok();
        let oid = digits.filter(|_| self.kind == EntryKind::Blob).and_then(|oid| oid.parse().ok());
        let is_about_database = self.definition.starts_with(b"COMMENT ON DATABASE ");
        CatalogId {
            table_oid: if is_about_database { PG_DATABASE } else { Oid::default() },
            oid: Oid(oid.unwrap_or_default()),
        }
    }

    /// The tablespace. The comment names it only if it is not the database's own.
    fn tablespace(&self) -> Option<ArchiveText> {
        use EntryKind as K;
        let has_one = matches!(self.kind, K::Table | K::Index | K::Constraint | K::MaterializedView);
        self.header.tablespace.clone().or_else(|| has_one.then(ArchiveText::default))
    }

    /// The statement that drops the object, made from its name. It is used where no ALTER ... OWNER TO shows how SQL
    /// names the object (`--no-owner`). It covers kinds that a superuser may have to create and then hand over.
    fn drop_by_name(&self) -> Option<Vec<u8>> {
        use EntryKind as K;
        let tag = self.header.tag.as_bytes();
        let tag = match self.kind {
            // The tag is a signature with all necessary quotes.
            K::Function | K::Procedure => tag.to_vec(),
            K::Type | K::Server | K::ProceduralLanguage | K::Publication => quoted(tag),
            _ => return None,
        };
        let mut sql = [b"DROP ", self.header.desc.as_bytes(), b" "].concat();
        if let Some(namespace) = self.header.namespace.as_ref().filter(|_| self.kind != K::Server) {
            sql.extend(quoted(namespace.as_bytes()));
            sql.push(b'.');
        }
        sql.extend(tag);
        sql.extend(b";\n");
        Some(sql)
    }
}

/// The section that pg_dump gives an entry of this kind. Scripts are in the order of sections, but a view or a
/// function may come after data that it does not need. So the section is never earlier than the one before.
pub(super) fn section(kind: EntryKind, so_far: Section) -> Section {
    use EntryKind as K;
    let own = match kind {
        K::Comment | K::Acl | K::AclLanguage | K::SecurityLabel => return Section::None,
        K::TableData | K::Blobs | K::BlobComments | K::BlobMetadata | K::SequenceSet | K::StatisticsData => {
            Section::Data
        }
        K::CheckConstraint
        | K::Constraint
        | K::DefaultAcl
        | K::EventTrigger
        | K::FkConstraint
        | K::Index
        | K::IndexAttach
        | K::MaterializedViewData
        | K::Policy
        | K::Publication
        | K::PublicationTable
        | K::PublicationTablesInSchema
        | K::RowSecurity
        | K::Rule
        | K::Statistics
        | K::Subscription
        | K::SubscriptionTable
        | K::Trigger => Section::PostData,
        _ => Section::PreData,
    };
    own.max(so_far)
}

/// The object and the role in an `ALTER ... OWNER TO`: `TABLE store.tenant` and `joe` in `ALTER TABLE store.tenant OWNER TO
/// joe;`. `None` for other statements.
fn object_and_owner(sql: &[u8], strings: StandardStrings) -> Option<(&[u8], String)> {
    let word = |text: &[u8]| sql.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text));
    if !word(b"ALTER ") {
        return None;
    }
    let tokens = Lexer::new(sql, strings).map_while(Result::ok).filter(|token| !token.kind.is_blank());
    let tokens: Vec<Token> = tokens.collect();
    // ALTER ... OWNER TO role ;
    let [first, object @ .., owner, to, role, _] = tokens.as_slice() else { return None };
    if !owner.is_word(sql, "owner") || !to.is_word(sql, "to") || object.is_empty() {
        return None;
    }
    let object = sql.get(first.span.end..owner.span.start)?.trim_ascii();
    let name = String::from_utf8_lossy(sql.get(role.span.clone())?);
    Some((object, QualifiedName::parse(&name).map_or_else(|_| name.to_string(), |name| name.name)))
}

/// The OIDs of `SELECT pg_catalog.lo_create('700001');`, one on each line, as archives have them.
fn large_objects(sql: &[u8]) -> Vec<u8> {
    let mut oids = Vec::new();
    for oid in sql.split(|&byte| byte == b'\'').skip(1).step_by(2) {
        oids.extend_from_slice(oid);
        oids.push(b'\n');
    }
    oids
}

/// A quoted name. Its bytes are in the script's encoding.
fn quoted(name: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for &byte in name {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owners_are_told_from_other_alterations() {
        let object = |sql: &'static str| object_and_owner(sql.as_bytes(), StandardStrings::On);
        assert_eq!(
            object("ALTER TABLE store.tenant OWNER TO joe;"),
            Some((&b"TABLE store.tenant"[..], "joe".to_owned()))
        );
        assert_eq!(
            object("ALTER FUNCTION s.f(a text, OUT b int) OWNER TO \"Owner; To\";"),
            Some((&b"FUNCTION s.f(a text, OUT b int)"[..], "Owner; To".to_owned()))
        );
        assert_eq!(object("ALTER TABLE s.t ALTER COLUMN a SET DEFAULT 'OWNER TO x';"), None);
        assert_eq!(object("CREATE TABLE s.t (a text);"), None);
    }

    #[test]
    fn nothing_comes_before_what_was_there() {
        assert_eq!(section(EntryKind::View, Section::PreData), Section::PreData);
        assert_eq!(section(EntryKind::View, Section::PostData), Section::PostData);
        assert_eq!(section(EntryKind::Comment, Section::PostData), Section::None);
        assert_eq!(section(EntryKind::SequenceSet, Section::PreData), Section::Data);
    }

    #[test]
    fn oids_are_read_from_calls() {
        let sql = b"SELECT pg_catalog.lo_create('7');\n\nSELECT pg_catalog.lo_create('4294967290');\n";
        assert_eq!(large_objects(sql), b"7\n4294967290\n");
    }
}
