//! The session settings in a script.

use super::ScriptParser;
use crate::entry::Section;
use crate::error::{ArchiveError, ScriptProblem};
use crate::plain::entry::OpenEntry;
use crate::plain::header::EntryHeader;
use crate::plain::setting::Setting;
use crate::sql::StandardStrings;
use crate::text::ArchiveText;

/// Client encodings in which one byte of a character can look like a backslash. pg_dump uses them only on request
/// (`--encoding`), because they are not valid as a server's encoding.
const NOT_ASCII_SAFE: [&str; 7] = ["SJIS", "SHIFT_JIS_2004", "BIG5", "GBK", "GB18030", "UHC", "JOHAB"];

impl ScriptParser {
    pub(super) fn set(&mut self, setting: Setting, sql: &[u8], offset: u64) -> Result<(), ArchiveError> {
        match setting {
            Setting::Encoding(encoding) => {
                if NOT_ASCII_SAFE.contains(&encoding.as_str()) {
                    return Err(self.script.problem(offset, ScriptProblem::Encoding(encoding)));
                }
                let definition = format!("SET client_encoding = '{encoding}';\n");
                self.session_entry("ENCODING", definition.into(), offset)
            }
            Setting::Strings(strings) => {
                self.strings = strings;
                self.script.set_strings(strings);
                let on_off = if strings == StandardStrings::On { "on" } else { "off" };
                let definition = format!("SET standard_conforming_strings = '{on_off}';\n");
                self.session_entry("STDSTRINGS", definition.into(), offset)
            }
            Setting::SearchPath => {
                let definition = ArchiveText::new([sql, b"\n"].concat());
                self.session_entry("SEARCHPATH", definition, offset)
            }
            Setting::AccessMethod(method) => {
                self.access_method = Some(method.into());
                Ok(())
            }
            Setting::WithOids(with_oids) => {
                self.with_oids = with_oids;
                Ok(())
            }
            Setting::Other => Ok(()),
        }
    }

    /// The entry for a setting that holds for the whole archive. After `\connect` a script repeats the setting, and
    /// the value must be the same.
    fn session_entry(
        &mut self,
        desc: &str,
        definition: ArchiveText,
        offset: u64,
    ) -> Result<(), ArchiveError> {
        if let Some(known) = self.session.iter().find(|entry| entry.desc == desc) {
            return match known.definition == Some(definition) {
                true => Ok(()),
                false => Err(self.script.problem(offset, ScriptProblem::Changes)),
            };
        }
        let header = EntryHeader {
            tag: desc.into(),
            desc: desc.into(),
            namespace: None,
            owner: None,
            tablespace: None,
            is_data: false,
        };
        let mut entry = OpenEntry::new(header, self.take_id()?).finish(Section::PreData, None, false);
        entry.definition = Some(definition);
        self.settings.note(&entry).map_err(|_| self.script.problem(offset, ScriptProblem::Changes))?;
        self.session.push(entry.clone());
        self.entries.push(entry);
        Ok(())
    }
}
