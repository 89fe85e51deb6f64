//! Sessions whose snapshot predates the commit: they would see the new tables as empty.
//!
//! A session that does not wait for us reads on from its snapshot, until its transaction ends. A session that waits
//! for our locks resumes when we commit. A statement of isolation level READ COMMITTED then sees the new state: the
//! server takes its snapshot after it has found and locked the tables.
//!
//! Three kinds of statements have a snapshot that is older than their locks: a statement in a transaction of another
//! isolation level, COPY, and a statement in a function that is not VOLATILE. The server does not show the isolation
//! level of other sessions. So only statements that are sure to see the new state may resume; all others are
//! cancelled.

use crate::restore::run::Run;
use crate::server::TargetError;
use crate::server::catalog::{self, CAN_BE_ENDED, IS_NO_REPLICATION, OtherSession};
use crate::server::session::{Session, TextRow};
use crate::sql::{Lexer, StandardStrings, Token, TokenKind, quote_literal};
use std::collections::{HashMap, HashSet};

/// Words of statements that read from a snapshot older than their locks, or that set an isolation level other than
/// READ COMMITTED.
const OLD_SNAPSHOT: [&str; 7] =
    ["copy", "execute", "isolation", "characteristics", "repeatable", "serializable", "snapshot"];

/// The names of the target's relations and functions, read before they were dropped.
#[derive(Debug, Default)]
pub(crate) struct Relations {
    /// Names of relations, by OID.
    relations: HashMap<u32, String>,
    /// Names of functions, except the server's own.
    functions: HashSet<String>,
}

/// The state that a session sees when we commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sight {
    /// The session does not wait for us and reads on from its snapshot.
    ReadsOn,
    /// The session waits for us, and may see neither the old state nor the new one.
    MayBeOld,
    /// The session waits for us, and the server does not show its statement to `su_username`.
    Hidden,
    /// The session waits for us, and sees the new state.
    New,
}

/// A session with a snapshot.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) session: OtherSession,
    pub(crate) sight: Sight,
}

/// The statement of a session that waits for us.
#[derive(Debug)]
struct Statement<'a> {
    text: &'a str,
    /// Whether `text` is the whole statement, and the first of its transaction.
    is_all: bool,
    /// Whether transactions of its role are READ COMMITTED by default.
    is_read_committed: bool,
    /// The name of the relation whose lock it waits for.
    relation: Option<&'a str>,
    /// Names of functions that may read tables.
    functions: &'a HashSet<String>,
}

impl Relations {
    /// Reads the names, before the objects are dropped.
    pub(crate) async fn of(session: &mut Session) -> Result<Self, TargetError> {
        let sql = "SELECT oid, relname FROM pg_catalog.pg_class \
                   WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND oid >= 16384";
        let rows = session.rows(sql, "list the target's relations").await?;
        let relations = rows.iter().map(|row| (row.number(0), row.text(1).to_owned())).collect();
        let sql = "SELECT DISTINCT proname FROM pg_catalog.pg_proc WHERE oid >= 16384";
        let rows = session.rows(sql, "list the target's functions").await?;
        let functions = rows.iter().map(|row| row.text(0).to_owned()).collect();
        Ok(Self { relations, functions })
    }
}

/// Sessions on the target with a snapshot, except those of this run.
pub(crate) async fn readers(
    run: &mut Run,
    own_pid: i32,
    relations: &Relations,
) -> Result<Vec<Reader>, TargetError> {
    let Run { control, target, application, .. } = run;
    // A session's defaults come from its role, else from the database, else from the server.
    let sql = format!(
        "SELECT a.pid, COALESCE(a.usename, ''), a.application_name, \
             COALESCE(a.state, 'state not shown to su_username'), {CAN_BE_ENDED}, \
             {own_pid} = ANY (pg_catalog.pg_blocking_pids(a.pid)), a.state IS NULL, a.query, \
             a.xact_start = a.query_start AND pg_catalog.octet_length(a.query) + 1 < (SELECT setting::pg_catalog.int8 \
                 FROM pg_catalog.pg_settings WHERE name = 'track_activity_query_size'), \
             s.reset_val = 'read committed' AND NOT EXISTS (SELECT FROM pg_catalog.pg_db_role_setting r, \
                 pg_catalog.unnest(r.setconfig) c WHERE r.setdatabase IN (0, a.datid) AND r.setrole IN (0, a.usesysid) \
                 AND c LIKE 'default_transaction_isolation=%' AND c NOT LIKE '%=read committed'), \
             (SELECT relation FROM pg_catalog.pg_locks l WHERE l.pid = a.pid AND NOT l.granted \
                 AND l.locktype = 'relation' LIMIT 1) \
         FROM pg_catalog.pg_stat_activity a JOIN pg_catalog.pg_settings s ON s.name = 'default_transaction_isolation' \
         WHERE a.datname = {} AND a.application_name <> {} AND a.backend_xmin IS NOT NULL AND a.usesysid IS NOT NULL \
         AND {IS_NO_REPLICATION} ORDER BY a.pid",
        quote_literal(&target.name),
        quote_literal(application),
    );
    let rows = control.rows(&sql, "look for sessions with a snapshot of before").await?;
    Ok(rows
        .iter()
        .map(|row| Reader { session: catalog::session(row), sight: sight(row, relations) })
        .collect())
}

fn sight(row: &TextRow, relations: &Relations) -> Sight {
    let is_dump = row.text(2).starts_with("pg_dump");
    let (waits, is_hidden) = (row.is_true(5), row.is_true(6));
    match (waits, is_hidden) {
        (false, _) => Sight::ReadsOn,
        (true, true) if is_dump => Sight::MayBeOld,
        (true, true) => Sight::Hidden,
        (true, false) => {
            let statement = Statement {
                text: row.text(7),
                is_all: row.is_true(8),
                is_read_committed: row.is_true(9),
                relation: relations.relations.get(&row.number(10)).map(String::as_str),
                functions: &relations.functions,
            };
            if statement.sees_the_new_state() { Sight::New } else { Sight::MayBeOld }
        }
    }
}

impl Statement<'_> {
    /// Whether the statement is sure to see the new state. It must be a READ COMMITTED transaction by itself, wait
    /// for a table that it names, and call no function of the target: the function might be waiting for the lock.
    fn sees_the_new_state(&self) -> bool {
        let Some(relation) = self.relation.filter(|_| self.is_all && self.is_read_committed) else {
            return false;
        };
        let lower = self.text.to_lowercase();
        if OLD_SNAPSHOT.iter().any(|word| lower.contains(word)) {
            return false;
        }
        let Some(names) = names(self.text) else { return false };
        names.iter().any(|(name, _)| name == relation)
            && !names.iter().any(|(name, is_called)| *is_called && self.functions.contains(name))
    }
}

/// The names in a text, each with whether an opening parenthesis follows. `None` if the text is not SQL.
fn names(text: &str) -> Option<Vec<(String, bool)>> {
    let tokens: Result<Vec<Token>, _> = Lexer::new(text.as_bytes(), StandardStrings::On).collect();
    let tokens: Vec<Token> = tokens.ok()?.into_iter().filter(|token| !token.kind.is_blank()).collect();
    let name = |(place, token): (usize, &Token)| {
        let name = token.name(text)?;
        let is_called = tokens.get(place + 1).is_some_and(|next| next.kind == TokenKind::Symbol(b'('));
        Some((name, is_called))
    };
    Some(tokens.iter().enumerate().filter_map(name).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_sure_to_see_the_new_state_is_let_go_on() {
        let functions = HashSet::from(["instances".to_owned(), "tenant_count".to_owned()]);
        let statement = |text, relation| Statement {
            text,
            is_all: true,
            is_read_committed: true,
            relation,
            functions: &functions,
        };
        let sees = |text, relation| statement(text, relation).sees_the_new_state();
        assert!(sees("SELECT count(*) FROM store.Tenant", Some("tenant")));
        assert!(sees("SET lock_timeout = 0; SELECT count(*) FROM tenant", Some("tenant")));
        for text in [
            "COPY store.tenant TO stdout",
            "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM store.tenant",
            "set default_transaction_isolation = 'serializable'; SELECT count(*) FROM store.tenant",
        ] {
            assert!(!sees(text, Some("tenant")), "{text}");
        }
        // These wait in a function, or for a relation that they do not name.
        for text in [
            "SELECT store.instances()",
            "SELECT store.tenant_count()",
            "SELECT store.instances() AS tenant",
            "SELECT \"instances\" () FROM tenant",
            "SELECT store.other() -- tenant",
            "SELECT 'tenant'",
            "EXECUTE tenant",
            "SELECT 'tenant",
        ] {
            assert!(!sees(text, Some("tenant")), "{text}");
        }
        assert!(sees(
            "SELECT count(*), 'instances' FROM \"tenant\" WHERE name IN (upper('x'))",
            Some("tenant")
        ));
        assert!(!sees("SELECT count(*) FROM store.tenant", None));
        let part =
            Statement { is_all: false, ..statement("SELECT count(*) FROM store.tenant", Some("tenant")) };
        assert!(!part.sees_the_new_state());
    }
}
