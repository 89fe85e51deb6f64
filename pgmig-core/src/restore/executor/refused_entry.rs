//! What a message says of an entry that the server refused.

use crate::restore::error::RestoreError;
use crate::restore::plan::Task;
use crate::server::{ServerError, TargetError};

/// The server's refusal of an entry. Before there are rows, its message quotes definitions only, and is kept. Later an index
/// or a foreign key that cannot be made has the offending values in DETAIL, which is never kept; what expressions and
/// functions that read rows say of them (of an index, a materialized view) is cut, unless the statement itself says it.
pub(super) fn entry_error(task: &Task, sql: &str, error: TargetError, is_before_rows: bool) -> crate::Error {
    match error.server() {
        Some(server) if server.sqlstate.is_some() && !server.connection_lost => {
            let mut server = server.clone();
            if !is_before_rows {
                server = server.without_values_beside(sql).without_raised_text();
            }
            RestoreError::Entry {
                entry: task.label.clone(),
                dump_id: task.dump_id,
                advice: advice(&server.message).or_else(|| advice_on_rights(task, &server)),
                message: server.message,
                sqlstate: server.sqlstate.unwrap_or_default(),
            }
            .into()
        }
        _ => error.into(),
    }
}

/// What to do if code of the backup lacks a right.
fn advice_on_rights(task: &Task, server: &ServerError) -> Option<&'static str> {
    let is_owners = task.statements.iter().all(|(run_as, _)| !run_as.is_superuser());
    let is_denied =
        server.sqlstate.as_deref() == Some("42501") && server.message.starts_with("permission denied for ");
    (is_owners && is_denied).then_some(
        "code of the backup has the rights of username only: grant it that right, or, if you trust the backup, use \
         RestoreOptions::trust_archive with a superuser",
    )
}

/// What to do about messages that name something outside of the database.
fn advice(message: &str) -> Option<&'static str> {
    const LOCALE: &str = "install that locale on the server's operating system (locale-gen, or a package of locales) and \
                          restart the server, or change the collation in the source and take the backup again";
    const FILE: &str = "install that file on the server, in the directory that the message names";
    const ADVICE: [(&str, &str); 4] = [
        ("could not create locale ", LOCALE),
        ("could not open collator for locale ", LOCALE),
        ("could not open dictionary file ", FILE),
        ("could not open stop-word file ", FILE),
    ];
    ADVICE.iter().find(|(start, _)| message.starts_with(start)).map(|(_, advice)| *advice)
}
