//! SQL as text: quotes names and literals, splits scripts into statements, and parses `INSERT` data.
//!
//! Pure functions over bytes. The splitter parses no more of SQL than `psql` does to find the end of a statement.
//! Nothing here knows about servers. Input must be UTF-8 or another encoding in which no byte of a multibyte
//! character is ASCII.

mod control;
mod error;
mod ident;
mod insert;
mod keyword;
mod lexer;
mod literal;
mod parser;
mod raw;
mod scanner;
mod script;
mod statement;
mod table;

pub use control::transaction_control;
pub use error::SqlError;
pub use ident::{QualifiedName, quote_ident, quote_literal};
pub use insert::InsertStatement;
pub use lexer::{Lexer, StandardStrings, StringKind, Token, TokenKind};
pub use literal::decode as decode_literal;
pub use parser::Parser;
pub use raw::bytes_as_escapes;
pub use statement::{MAX_STATEMENT_BYTES, Statement, StatementSplitter, split_statements};
pub use table::{ColumnDefinition, TableDefinition, table_columns, table_definition};

pub(crate) use script::{PieceKind, ScriptPiece, ScriptSplitter};
