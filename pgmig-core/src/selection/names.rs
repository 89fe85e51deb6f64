//! Finds the objects that a statement names. Entries of plain scripts have no dependencies to follow.

use crate::archive::{DumpId, Entry, EntryKind};
use crate::sql::{Lexer, Parser, QualifiedName, StandardStrings, Token, TokenKind};
use std::collections::HashMap;

/// The entries that create objects, by the names of these objects.
#[derive(Debug, Default)]
pub(super) struct Names {
    in_schemas: HashMap<(String, String), Vec<DumpId>>,
    /// Publications, foreign servers, wrappers and languages, by kind.
    others: HashMap<(EntryKind, String), DumpId>,
}

impl Names {
    pub(super) fn of(entries: &[Entry]) -> Self {
        use EntryKind as K;
        let mut names = Self::default();
        for entry in entries {
            match (entry.schema(), entry.kind) {
                (_, K::Publication | K::Server | K::ForeignDataWrapper | K::ProceduralLanguage) => {
                    names.others.insert((entry.kind, entry.name().to_owned()), entry.dump_id);
                }
                (Some(schema), kind) if has_a_name(kind) => {
                    let key = (schema.to_owned(), object_name(entry));
                    names.in_schemas.entry(key).or_default().push(entry.dump_id);
                }
                _ => {}
            }
        }
        names
    }

    /// The objects that the statements of an entry name.
    pub(super) fn in_sql(&self, sql: &str, strings: StandardStrings) -> Vec<DumpId> {
        let tokens: Vec<Token> = Lexer::new(sql.as_bytes(), strings)
            .map_while(Result::ok)
            .filter(|token| !token.kind.is_blank())
            .collect();
        let mut found = Vec::new();
        for three in tokens.windows(3) {
            let [first, second, third] = three else { continue };
            match (first.kind, second.kind) {
                (_, TokenKind::Symbol(b'.')) => {
                    if let (Some(schema), Some(name)) = (first.name(sql), third.name(sql)) {
                        self.add((schema, name), &mut found);
                    }
                }
                // 'store.tenant_id_seq'::regclass
                (TokenKind::String(_), TokenKind::Symbol(b':')) => {
                    let text = Parser::new(sql, "literal", strings).string(first);
                    let name = text.and_then(|text| QualifiedName::parse(&text).ok());
                    if let Some(QualifiedName { schema: Some(schema), name }) = name {
                        self.add((schema, name), &mut found);
                    }
                }
                _ => {}
            }
            self.others_in(sql, (first, second, third), &mut found);
        }
        found
    }

    /// The relation whose contents the entry holds: both have the same name.
    pub(super) fn object(&self, contents: &Entry) -> &[DumpId] {
        let key = (contents.schema().unwrap_or_default().to_owned(), contents.name().to_owned());
        self.in_schemas.get(&key).map(Vec::as_slice).unwrap_or_default()
    }

    /// The publication of an entry that adds a table or a schema to it.
    pub(super) fn publication(&self, name: &str) -> Option<DumpId> {
        self.others.get(&(EntryKind::Publication, name.to_owned())).copied()
    }

    fn others_in(
        &self,
        sql: &str,
        (first, second, third): (&Token, &Token, &Token),
        found: &mut Vec<DumpId>,
    ) {
        use EntryKind as K;
        let is = |token: &Token, word: &str| token.is_word(sql.as_bytes(), word);
        let (kind, name) = match () {
            () if is(first, "alter") && is(second, "publication") => (K::Publication, third),
            () if is(first, "data") && is(second, "wrapper") => (K::ForeignDataWrapper, third),
            () if is(first, "server") => (K::Server, second),
            () if is(first, "language") => (K::ProceduralLanguage, second),
            () => return,
        };
        let id = name.name(sql).and_then(|name| self.others.get(&(kind, name)));
        found.extend(id);
    }

    fn add(&self, key: (String, String), found: &mut Vec<DumpId>) {
        found.extend(self.in_schemas.get(&key).into_iter().flatten());
    }
}

/// Kinds of objects that other statements name with their schema.
fn has_a_name(kind: EntryKind) -> bool {
    use EntryKind as K;
    matches!(
        kind,
        K::Aggregate
            | K::Collation
            | K::Conversion
            | K::Domain
            | K::ForeignTable
            | K::Function
            | K::Index
            | K::MaterializedView
            | K::OperatorClass
            | K::OperatorFamily
            | K::Procedure
            | K::PropertyGraph
            | K::Sequence
            | K::ShellType
            | K::Table
            | K::TextSearchConfiguration
            | K::TextSearchDictionary
            | K::TextSearchParser
            | K::TextSearchTemplate
            | K::Type
            | K::View
    )
}

/// The name without the arguments of a function.
fn object_name(entry: &Entry) -> String {
    let tag = entry.name();
    if !matches!(entry.kind, EntryKind::Function | EntryKind::Procedure | EntryKind::Aggregate) {
        return tag.to_owned();
    }
    let mut parser = Parser::new(tag, "signature", StandardStrings::On);
    parser.ident().unwrap_or_else(|_| tag.split('(').next().unwrap_or_default().to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::archive::Section;

    fn entry(id: u32, kind: EntryKind, schema: Option<&str>, tag: &str) -> Entry {
        let mut entry = Entry::new(DumpId::new(id).unwrap(), kind, Section::PreData, tag);
        entry.namespace = schema.map(Into::into);
        entry
    }

    #[test]
    fn statements_name_objects_in_every_form() {
        let names = Names::of(&[
            entry(1, EntryKind::Table, Some("store"), "tenant"),
            entry(2, EntryKind::Sequence, Some("store"), "Odd seq"),
            entry(3, EntryKind::Function, Some("public"), "check_it(text, integer)"),
            entry(4, EntryKind::Publication, None, "changes"),
            entry(5, EntryKind::Server, None, "other"),
            entry(6, EntryKind::ProceduralLanguage, None, "plsh"),
        ]);
        let found = |sql| -> Vec<u32> {
            names.in_sql(sql, StandardStrings::On).into_iter().map(DumpId::get).collect()
        };
        assert_eq!(found("ALTER TABLE ONLY x.y ADD FOREIGN KEY (a) REFERENCES store.tenant(id);"), [1]);
        assert_eq!(found("ALTER TABLE x.y ALTER a SET DEFAULT nextval('store.\"Odd seq\"'::regclass);"), [2]);
        assert_eq!(
            found("CREATE TRIGGER a BEFORE INSERT ON x.y EXECUTE FUNCTION public.check_it('store.tenant');"),
            [3]
        );
        assert_eq!(found("ALTER PUBLICATION changes ADD TABLE ONLY store.tenant;"), [4, 1]);
        assert_eq!(found("CREATE FOREIGN TABLE x.f (a int) SERVER other;"), [5]);
        assert_eq!(found("CREATE FUNCTION x.f() RETURNS int LANGUAGE plsh AS $$store.tenant$$;"), [6]);
    }
}
