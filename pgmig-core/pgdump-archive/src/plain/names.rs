//! Restores information that a table of contents has and a script's comments do not: line ends in names, and which
//! entries belong together.

use super::header::EntryHeader;
use super::tag::{PartOf, undoubled};
use crate::entry::{DumpId, Entry, EntryKind, Section};
use crate::sql::{Lexer, StandardStrings, TokenKind};
use crate::text::ArchiveText;
use memchr::memmem;
use std::collections::HashMap;

/// Names that contain line ends, by the form with blanks that comments show.
#[derive(Debug, Default)]
pub(super) struct NamesWithLineEnds(Vec<(Vec<u8>, Vec<u8>)>);

impl NamesWithLineEnds {
    /// Records the names in a statement.
    pub(super) fn note(&mut self, sql: &[u8], strings: StandardStrings) {
        if memchr::memchr(b'"', sql).is_none() || memchr::memchr2(b'\n', b'\r', sql).is_none() {
            return;
        }
        for token in Lexer::new(sql, strings).map_while(Result::ok) {
            if !matches!(token.kind, TokenKind::QuotedIdent { unicode: false }) {
                continue;
            }
            let body = sql.get(token.body.clone()).unwrap_or_default();
            if memchr::memchr2(b'\n', b'\r', body).is_none() {
                continue;
            }
            let name = undoubled(body);
            if self.0.iter().any(|(_, known)| *known == name) {
                continue;
            }
            self.0.push((with_blanks(&name), name.clone()));
            // Line ends that became CR LF after pg_dump had written a blank for each LF.
            if memmem::find(&name, b"\r\n").is_some() {
                let before = String::from_utf8_lossy(&name).replace("\r\n", "\n");
                self.0.push((with_blanks(before.as_bytes()), name));
            }
        }
    }

    /// Puts the line ends back into a name, or into a text made of names.
    pub(super) fn restore(&self, text: &mut ArchiveText) {
        for (shown, name) in &self.0 {
            let bytes = text.as_bytes();
            if let Some(at) = memmem::find(bytes, shown) {
                let (before, rest) = bytes.split_at(at);
                let after = rest.get(shown.len()..).unwrap_or_default();
                *text = ArchiveText::new([before, name, after].concat());
            }
        }
    }
}

/// A name as comments show it.
fn with_blanks(name: &[u8]) -> Vec<u8> {
    name.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect()
}

/// Schema and name of an entry's object.
type QualifiedTag = (Option<ArchiveText>, ArchiveText);

/// Records which entry creates which object. This finds the object of a comment or a grant, and the table of data.
#[derive(Debug, Default)]
pub(super) struct Objects {
    by_name: HashMap<QualifiedTag, Vec<(ArchiveText, DumpId)>>,
    /// The last post-data entry. The next entries depend on it, because a script has no order except its own.
    post_data: Option<DumpId>,
}

impl Objects {
    /// The entries that `entry` depends on.
    pub(super) fn dependencies(&self, entry: &Entry) -> Vec<DumpId> {
        use EntryKind as K;
        let describes = matches!(entry.kind, K::Comment | K::Acl | K::AclLanguage | K::SecurityLabel);
        let mut dependencies = Vec::new();
        if describes {
            dependencies.extend(self.described(entry));
        } else if entry.kind == K::TableData
            || (entry.kind == K::StatisticsData && entry.section == Section::Data)
        {
            dependencies.extend(self.find(entry.namespace.as_ref(), entry.tag.as_bytes(), Some(b"TABLE")));
        } else if entry.section == Section::PostData {
            dependencies.extend(self.post_data);
        }
        dependencies
    }

    /// Whether an entry of this kind and name has come.
    pub(super) fn has(&self, header: &EntryHeader) -> bool {
        self.find(header.namespace.as_ref(), header.tag.as_bytes(), Some(header.desc.as_bytes())).is_some()
    }

    /// Records an entry.
    pub(super) fn note(&mut self, entry: &Entry) {
        if entry.section == Section::PostData && !is_made_apart(entry.kind) {
            self.post_data = Some(entry.dump_id);
        }
        let key = (entry.namespace.clone(), entry.tag.clone());
        self.by_name.entry(key).or_default().push((entry.desc.clone(), entry.dump_id));
    }

    /// The object of a comment, a grant or a label. The tag of these is `TABLE name`. Before pg_dump 9.6,
    /// approximately, it is the name alone.
    fn described(&self, entry: &Entry) -> Option<DumpId> {
        let tag = entry.tag.as_bytes();
        let namespace = entry.namespace.as_ref();
        if let Some(large_object) = tag.strip_prefix(b"LARGE OBJECT ") {
            return self.find(namespace, large_object, Some(b"BLOB"));
        }
        if let Some(part) = PartOf::parse(tag) {
            return self.part(namespace, &part);
        }
        let blanks = memchr::memchr_iter(b' ', tag);
        let typed = blanks.filter_map(|at| {
            let (desc, name) = (tag.get(..at)?, tag.get(at + 1..)?);
            let desc = if desc == b"LANGUAGE" { &b"PROCEDURAL LANGUAGE"[..] } else { desc };
            self.find(namespace, name, Some(desc)).or_else(|| {
                // The tag is: OPERATOR CLASS name USING method
                let using = memmem::rfind(name, b" USING ")?;
                self.find(namespace, name.get(..using)?, Some(desc))
            })
        });
        typed.reduce(|_, last| last).or_else(|| self.find(namespace, tag, None))
    }

    /// The entry of a part of an object, else that of the object. Archives of PostgreSQL 9.x name the part alone.
    fn part(&self, namespace: Option<&ArchiveText>, part: &PartOf) -> Option<DumpId> {
        let find = |name: &[u8], kinds: &[&[u8]]| {
            kinds.iter().filter_map(|kind| self.find(namespace, name, Some(kind))).max()
        };
        find(&part.tag(), part.kinds)
            .or_else(|| find(&part.name, part.kinds))
            .or_else(|| find(&part.whole, part.whole_kinds))
    }

    /// The last entry with this name: comments come right after their object.
    fn find(&self, namespace: Option<&ArchiveText>, name: &[u8], desc: Option<&[u8]>) -> Option<DumpId> {
        let find = |name: &[u8]| {
            let known = self.by_name.get(&(namespace.cloned(), ArchiveText::new(name.to_vec())))?;
            let is_it =
                |(known, _): &&(ArchiveText, DumpId)| desc.is_none_or(|desc| known.as_bytes() == desc);
            known.iter().rfind(is_it).map(|(_, id)| *id)
        };
        // Tags of comments quote names where necessary; tags of their objects' entries do not.
        find(name).or_else(|| {
            let quoted = name.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
            find(&undoubled(quoted))
        })
    }
}

/// Kinds that a restore may leave out or run in another pass. Nothing can be ordered by them, and nothing needs them.
fn is_made_apart(kind: EntryKind) -> bool {
    use EntryKind as K;
    matches!(
        kind,
        K::DefaultAcl
            | K::EventTrigger
            | K::MaterializedViewData
            | K::Policy
            | K::StatisticsData
            | K::Subscription
            | K::SubscriptionTable
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_come_back_into_names() {
        let mut names = NamesWithLineEnds::default();
        names.note(b"CREATE TABLE \"Odd\".\"T; --\nnew \"\"line\" (\n a int)", StandardStrings::On);
        let mut tag = ArchiveText::from("TABLE T; -- new \"line");
        names.restore(&mut tag);
        assert_eq!(tag, "TABLE T; --\nnew \"line");
        let mut other = ArchiveText::from("T; - new");
        names.restore(&mut other);
        assert_eq!(other, "T; - new");
    }
}
