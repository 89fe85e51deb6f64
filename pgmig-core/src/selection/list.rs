//! A list of entries, as `pg_restore --list` prints it and `pg_restore --use-list` reads it.

use super::SelectionError;
use crate::archive::{Archive, DumpId, Entry};
use crate::config_file;
use std::collections::{HashMap, HashSet};
use std::path::Path;

/// The largest list that pgmig reads, in bytes: room for about a million entries.
const MAX_LIST_BYTES: u64 = 64 << 20;

/// Entries of an archive, in the order in which they are to be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryList {
    /// The list's file, for errors.
    file: String,
    lines: Vec<Line>,
    ids: HashSet<DumpId>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    number: usize,
    dump_id: DumpId,
    /// The text after the ID and the OIDs: `TABLE store tenant owner`.
    object: String,
}

impl EntryList {
    /// Reads a list from a file.
    ///
    /// # Errors
    ///
    /// [`SelectionError::ListFile`], and those of [`parse`](Self::parse).
    pub fn read(path: &Path) -> Result<Self, SelectionError> {
        let file = path.display().to_string();
        let text = config_file::read_text(path, MAX_LIST_BYTES);
        let text = text.map_err(|source| SelectionError::ListFile { file: file.clone(), source })?;
        Self::parse(&text, &file)
    }

    /// Reads the text of a list; `file` names it in errors. Each line begins with the number of an entry. A semicolon begins a comment, and a line with nothing
    /// before it is passed over.
    ///
    /// # Errors
    ///
    /// [`SelectionError::ListLine`] for a line that begins with anything else.
    ///
    /// ```
    /// use pgmig_core::selection::EntryList;
    /// let text = "; made by hand\n216; 1259 16386 TABLE public t app\n;217; 1259 16389 VIEW public v app\n";
    /// let list = EntryList::parse(text, "some.list")?;
    /// assert_eq!(list.len(), 1);
    /// # Ok::<(), pgmig_core::selection::SelectionError>(())
    /// ```
    pub fn parse(text: &str, file: &str) -> Result<Self, SelectionError> {
        let file = file.to_owned();
        let mut lines: Vec<Line> = Vec::new();
        let mut ids = HashSet::new();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let (number, rest) = line.split_once(';').unwrap_or((line, ""));
            let number = number.trim();
            if number.is_empty() {
                continue;
            }
            let Some(dump_id) = number.parse().ok().and_then(DumpId::new) else {
                return Err(SelectionError::ListLine { file, line: index + 1, text: line.to_owned() });
            };
            // pg_restore, too, takes the first place of an entry.
            if ids.insert(dump_id) {
                let object = rest.trim().splitn(3, ' ').nth(2).unwrap_or_default().trim_end().to_owned();
                lines.push(Line { number: index + 1, dump_id, object });
            }
        }
        Ok(Self { file, lines, ids })
    }

    /// The number of entries in the list.
    pub fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether the list names no entry.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Whether the list names this entry.
    pub(super) fn names(&self, id: DumpId) -> bool {
        self.ids.contains(&id)
    }

    /// The archive's entries in the list's order, after those that it does not name, as in pg_restore.
    pub(super) fn order<'a>(&self, archive: &'a Archive) -> Result<Vec<&'a Entry>, SelectionError> {
        let by_id: HashMap<DumpId, &Entry> =
            archive.all_entries().iter().map(|entry| (entry.dump_id, entry)).collect();
        let mut listed = Vec::with_capacity(self.lines.len());
        for line in &self.lines {
            match by_id.get(&line.dump_id) {
                Some(entry) => listed.push(line.entry(entry, &self.file)?),
                // Entries of a script in a stream come later.
                None if !archive.has_all_entries() => {}
                None => {
                    let problem = format!("it has no entry {}", line.dump_id);
                    return Err(SelectionError::OtherList {
                        file: self.file.clone(),
                        line: line.number,
                        problem,
                    });
                }
            }
        }
        let named: HashSet<DumpId> = listed.iter().map(|entry| entry.dump_id).collect();
        let rest = archive.all_entries().iter().filter(|entry| !named.contains(&entry.dump_id));
        Ok(rest.chain(listed).collect())
    }
}

impl Line {
    /// The entry, if it is of the kind that the line says.
    fn entry<'a>(&self, entry: &'a Entry, file: &str) -> Result<&'a Entry, SelectionError> {
        let desc = entry.desc.to_string();
        let is_it = self.object.is_empty()
            || self.object.strip_prefix(&desc).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
        if is_it {
            return Ok(entry);
        }
        let problem = format!("its entry {} is {}", entry.dump_id, entry.label());
        Err(SelectionError::OtherList { file: file.to_owned(), line: self.number, problem })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<u32> {
        EntryList::parse(text, "l").unwrap().lines.iter().map(|line| line.dump_id.get()).collect()
    }

    #[test]
    fn lines_begin_with_the_number_of_an_entry() {
        assert_eq!(ids(";\n; Archive\n3; 1259 1 TABLE s t o\r\n;2; 1 1 X\n  1 \n\n3; again\n"), [3, 1]);
        assert_eq!(ids(""), [0_u32; 0]);
        for text in ["x; 1", "0;", "-1; 2", "99999999999;", "TABLE t"] {
            assert!(
                matches!(EntryList::parse(text, "l"), Err(SelectionError::ListLine { line: 1, .. })),
                "{text}"
            );
        }
    }
}
