//! Transactions of a connection, by sqlx's own counting: a transaction within one is a savepoint, here and in what sqlx
//! itself begins. After a raw `BEGIN` it would not know of the one that is open, and its commit would commit half way.
//!
//! sqlx's guard ([`sqlx::Transaction`]) borrows the connection for as long as the transaction is open. These functions do
//! not, so whoever begins has to end.

use sqlx::{Database, PgConnection, Postgres};
use sqlx_core::transaction::TransactionManager as _;

type Manager = <Postgres as Database>::TransactionManager;

/// Begins a transaction, or a savepoint where one is open.
pub(crate) async fn begin(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    Manager::begin(connection, None).await
}

/// Commits the transaction, or releases the savepoint, that was begun last.
pub(crate) async fn commit(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    Manager::commit(connection).await
}

/// Undoes the transaction, or what came since the savepoint, that was begun last.
pub(crate) async fn rollback(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    Manager::rollback(connection).await
}

/// How many transactions are open in each other; 0: none.
pub(crate) fn depth(connection: &PgConnection) -> usize {
    Manager::get_transaction_depth(connection)
}
