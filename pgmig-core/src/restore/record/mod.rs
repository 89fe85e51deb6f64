//! The record of a restore by swap: which parts of the work are complete, so that another run can go on with the rest.
//!
//! It is a schema of the staging database, and every part is noted in the transaction that does it. So a part and its note
//! are both there or both missing, however a run ends. The schema is dropped before the swap.
//!
//! Code of the archive runs in the transactions that note rows, as `username` or as the temporary role, and can write
//! whatever these may write. A forged note would leave rows out. Therefore `su_username` owns the schema and creates it
//! before any statement of the archive runs. `username` may only insert notes: it can neither read, change nor drop them.
//! Each note has a seal, made with a key that only `su_username` can read, and a note with a wrong seal refuses the resume.
//! pgmig sends a note of rows in a message of its own, which no code of the archive sees. A note of an entry goes with the
//! entry's own text, which can see it. The verification at the end finds a missing object, whatever was noted.
//!
//! Where no login but that of `su_username` runs code of the archive, nothing can be kept from that code. It can change
//! rows that are loaded in any restore, too; a notice of the restore says so.

mod done;
mod fingerprint;
mod unit;

pub(crate) use done::{LargeObjectTotals, LargeObjectsDone, RowsDone, RowsNote};
pub(crate) use fingerprint::Fingerprint;
pub(crate) use unit::Unit;

use crate::restore::refusal::resume::ResumeRefusal;
use crate::server::TargetError;
use crate::server::session::Session;
use crate::sql::{quote_ident, quote_literal};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;

/// The schema of the staging database that holds the record.
pub(crate) const SCHEMA: &str = "pgmig_resume";

const DOING: &str = "keep the record of what is complete";

/// The record of this run; nothing is noted where there is none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Record(Option<Arc<Book>>);

#[derive(Debug)]
struct Book {
    key: String,
    /// Whether an earlier run has begun it.
    is_resumed: bool,
    /// The notes of the earlier runs: by unit, the bodies.
    notes: HashMap<String, Vec<String>>,
}

impl Record {
    /// Creates the record in the database of `session`, which is `su_username`'s. `writer` is `username`.
    ///
    /// # Errors
    ///
    /// The server refuses.
    pub(crate) async fn create(
        session: &mut Session,
        fingerprint: &Fingerprint,
        writer: &str,
    ) -> Result<Self, TargetError> {
        // Each has 122 random bits.
        let key = format!("{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple());
        let writer = quote_ident(writer);
        let sql = format!(
            "CREATE SCHEMA {SCHEMA}; GRANT USAGE ON SCHEMA {SCHEMA} TO {writer}; \
             CREATE TABLE {SCHEMA}.run (key text NOT NULL, fingerprint text NOT NULL); \
             CREATE TABLE {SCHEMA}.done (unit text NOT NULL, body text NOT NULL, seal text NOT NULL); \
             GRANT INSERT ON {SCHEMA}.done TO {writer}; \
             INSERT INTO {SCHEMA}.run VALUES ({}, {})",
            quote_literal(&key),
            quote_literal(&fingerprint.to_json())
        );
        session.execute(&sql, DOING).await?;
        Ok(Self(Some(Arc::new(Book { key, is_resumed: false, notes: HashMap::new() }))))
    }

    /// The owner of the record in the database of `session`; `None` if it has none.
    pub(crate) async fn owner(session: &mut Session) -> Result<Option<String>, TargetError> {
        let sql = format!(
            "SELECT pg_catalog.pg_get_userbyid(nspowner) FROM pg_catalog.pg_namespace WHERE nspname = {}",
            quote_literal(SCHEMA)
        );
        session.optional(&sql, DOING).await
    }

    /// Reads the fingerprint of the run that has begun the record. Only its owner may.
    pub(crate) async fn fingerprint(session: &mut Session) -> Result<Option<Fingerprint>, TargetError> {
        let json = session.optional(&format!("SELECT fingerprint FROM {SCHEMA}.run"), DOING).await?;
        Ok(json.and_then(|json| Fingerprint::from_json(&json)))
    }

    /// Reads the notes of an earlier run of the staging database `database`, to go on with it.
    ///
    /// # Errors
    ///
    /// [`ResumeRefusal::RecordChanged`] if not all notes are pgmig's.
    pub(crate) async fn read(session: &mut Session, database: &str) -> crate::Result<Self> {
        let key = session.value(&format!("SELECT key FROM {SCHEMA}.run"), DOING).await?;
        let (mut notes, mut is_genuine) = (HashMap::<String, Vec<String>>::new(), true);
        let sql = format!("SELECT unit, body, seal FROM {SCHEMA}.done");
        session
            .each_row(&sql, DOING, |row| {
                let (unit, body) = (row.text(0), row.text(1));
                is_genuine &= row.text(2) == seal(&key, unit, body);
                let bodies = notes.entry(unit.to_owned()).or_default();
                // The connections that share a table note its end, each of them.
                if !bodies.iter().any(|known| known == body) {
                    bodies.push(body.to_owned());
                }
            })
            .await?;
        if !is_genuine || key.is_empty() {
            return Err(ResumeRefusal::RecordChanged { database: database.to_owned() }.into());
        }
        Ok(Self(Some(Arc::new(Book { key, is_resumed: true, notes }))))
    }

    /// The statement that removes the record.
    pub(crate) fn remove(&self) -> Option<String> {
        self.0.as_ref().map(|_| format!("DROP SCHEMA {SCHEMA} CASCADE"))
    }

    /// Whether this run notes what it completes.
    pub(crate) fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// Whether this run goes on with the work of another.
    pub(crate) fn is_resumed(&self) -> bool {
        self.0.as_ref().is_some_and(|book| book.is_resumed)
    }

    /// Whether an earlier run has completed the unit.
    pub(crate) fn has(&self, unit: Unit<'_>) -> bool {
        !self.bodies(unit).is_empty()
    }

    /// What an earlier run has noted about the unit.
    pub(crate) fn body(&self, unit: Unit<'_>) -> Option<&str> {
        self.bodies(unit).first().map(String::as_str)
    }

    fn bodies(&self, unit: Unit<'_>) -> &[String] {
        let notes = self.0.as_ref().filter(|book| book.is_resumed).map(|book| &book.notes);
        notes.and_then(|notes| notes.get(&unit.to_string())).map(Vec::as_slice).unwrap_or_default()
    }

    /// How many units with this first word earlier runs have noted.
    pub(crate) fn count(&self, word: &str) -> usize {
        let notes = self.0.iter().flat_map(|book| book.notes.keys());
        notes.filter(|unit| unit.split(' ').next() == Some(word)).count()
    }

    /// A statement that notes these units with their bodies, to be run in the transaction that completes them. `None` if
    /// there is nothing to note.
    pub(crate) fn note<'u>(&self, units: impl IntoIterator<Item = (Unit<'u>, String)>) -> Option<String> {
        let book = self.0.as_ref()?;
        let value = |(unit, body): (Unit<'_>, String)| {
            let unit = unit.to_string();
            let seal = seal(&book.key, &unit, &body);
            format!("({}, {}, '{seal}')", quote_literal(&unit), quote_literal(&body))
        };
        let values: Vec<String> = units.into_iter().map(value).collect();
        (!values.is_empty()).then(|| format!("INSERT INTO {SCHEMA}.done VALUES {}", values.join(", ")))
    }

    /// A text of pgmig's own, and after it the note of its unit: one message, and so one transaction.
    pub(crate) fn noted(&self, sql: &str, unit: Unit<'_>, body: &str) -> String {
        match self.note([(unit, body.to_owned())]) {
            Some(note) if sql.is_empty() => note,
            Some(note) => format!("{sql};\n{note}"),
            None => sql.to_owned(),
        }
    }

    /// The unit, the body and the seal of a note, for a statement with parameters.
    pub(crate) fn parts(&self, unit: Unit<'_>, body: &impl Serialize) -> Option<[String; 3]> {
        let book = self.0.as_ref()?;
        let (unit, body) = (unit.to_string(), json(body));
        let seal = seal(&book.key, &unit, &body);
        Some([unit, body, seal])
    }
}

/// The body of a note.
pub(crate) fn json(body: &impl Serialize) -> String {
    serde_json::to_string(body).expect("numbers, texts and lists of them are JSON")
}

/// HMAC-SHA-256 (RFC 2104) of a note.
fn seal(key: &str, unit: &str, body: &str) -> String {
    let mut text = unit.as_bytes().to_vec();
    // No unit contains it.
    text.push(0);
    text.extend_from_slice(body.as_bytes());
    hex(&hmac(key.as_bytes(), &text))
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    const BLOCK: usize = 64;
    let padded = |with: u8| -> Vec<u8> {
        let key = key.iter().copied().chain(std::iter::repeat(0)).take(BLOCK);
        key.map(|byte| byte ^ with).collect()
    };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(text).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_seal_is_the_hmac_of_rfc_4231() {
        let mac = hmac(b"Jefe", b"what do ya want for nothing?");
        assert_eq!(hex(&mac), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let key = [0xaa; 64];
        assert_ne!(hmac(&key, b"a"), hmac(&key, b"b"));
    }

    #[test]
    fn a_seal_is_of_its_unit_and_its_body() {
        assert_ne!(seal("k", "rows 1", "2"), seal("k", "rows 12", ""));
        assert_ne!(seal("k", "rows 1", "2"), seal("k", "rows 1", "3"));
        assert_ne!(seal("k", "rows 1", "2"), seal("l", "rows 1", "2"));
    }

    #[test]
    fn nothing_is_noted_without_a_record() {
        let record = Record::default();
        assert_eq!(record.note([(Unit::Step("x"), String::new())]), None);
        assert_eq!(record.noted("SELECT 1", Unit::Step("x"), ""), "SELECT 1");
        assert!(!record.is_kept() && !record.has(Unit::Step("x")));
    }

    #[test]
    fn a_note_is_quoted() {
        let book = Book { key: "k".to_owned(), is_resumed: false, notes: HashMap::new() };
        let record = Record(Some(Arc::new(book)));
        let note = record.note([(Unit::Step("it's"), r#"{"a":"\\'"}"#.to_owned())]).unwrap();
        assert!(
            note.starts_with(
                "INSERT INTO pgmig_resume.done VALUES ('step it''s', E'{\"a\":\"\\\\\\\\''\"}', '"
            ),
            "{note}"
        );
    }
}
