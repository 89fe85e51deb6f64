//! The settings of every session.

/// Settings of every session: no time-outs of the server's or the role's, no silent filtering of rows, input
/// read as pg_dump writes it, names and values of the catalogs always in the same form. As pg_restore's, and what a role's
/// or a database's own defaults could spoil.
///
/// The keepalives stop firewalls and proxies from dropping the connection as dead while the archive is slow to arrive, and
/// let the server find out that pgmig is gone: then the lock on the target is free.
///
/// Only the commit of the restore itself waits for synchronous standbys: its own SET LOCAL says so.
///
/// Messages below an error are turned off because sqlx does not read the socket while it sends COPY data: a
/// stream of notices would fill the socket's buffers, and both sides would wait for each other for ever.
pub(super) const SETTINGS: &str = "\
    SET client_min_messages = error;\
    SET statement_timeout = 0;\
    SET lock_timeout = 0;\
    SET idle_in_transaction_session_timeout = 0;\
    SET synchronous_commit = local;\
    SET tcp_keepalives_idle = 30;\
    SET tcp_keepalives_interval = 10;\
    SET tcp_keepalives_count = 3;\
    SET default_transaction_read_only = off;\
    SET default_transaction_isolation = 'read committed';\
    SET default_transaction_deferrable = off;\
    SET row_security = off;\
    SET check_function_bodies = off;\
    SET xmloption = content;\
    SET array_nulls = on;\
    SET transform_null_equals = off;\
    SET backslash_quote = safe_encoding;\
    SET quote_all_identifiers = off;\
    SET extra_float_digits = 3;\
    SET DateStyle = ISO;\
    SET IntervalStyle = postgres;\
    SET bytea_output = hex;\
    SET escape_string_warning = off;\
    SET standard_conforming_strings = on;\
    SET default_tablespace = '';\
    SET search_path = '';";
