//! What the server's codes say of a connection and of a statement.

/// admin_shutdown, crash_shutdown, cannot_connect_now, idle_session_timeout ...: the backend ends.
pub(super) fn ends_connection(sqlstate: &str) -> bool {
    matches!(sqlstate, "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25P04")
        || sqlstate.starts_with("08")
}

/// Conditions of the moment: connection, transaction rollback, insufficient resources, operator intervention, system
/// error, internal error (a row of the catalogs that was changed at the same time); object in use, lock not available.
pub(super) fn is_passing(sqlstate: &str) -> bool {
    const CLASSES: [&str; 6] = ["08", "40", "53", "57", "58", "XX"];
    CLASSES.iter().any(|class| sqlstate.starts_with(class)) || matches!(sqlstate, "55006" | "55P03")
}
