//! SQL: statements are the same in any pieces; INSERT, COPY and CREATE TABLE are parsed.
#![no_main]

use pgdump_archive::copy::CopyStatement;
use pgdump_archive::sql::{
    InsertStatement, StandardStrings, StatementSplitter, split_statements, table_columns,
};

fn in_pieces(sql: &str, size: usize, strings: StandardStrings) -> Option<Vec<Vec<u8>>> {
    let (mut splitter, mut statements) = (StatementSplitter::new(strings), Vec::new());
    for piece in sql.as_bytes().chunks(size) {
        splitter.feed(piece).ok()?;
        while let Some(statement) = splitter.next_statement().ok()? {
            statements.push(statement.text.to_vec());
        }
    }
    splitter.end();
    while let Some(statement) = splitter.next_statement().ok()? {
        statements.push(statement.text.to_vec());
    }
    Some(statements)
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((choice, data)) = data.split_first() else { return };
    let Ok(sql) = std::str::from_utf8(data) else { return };
    let strings = if choice & 1 == 0 { StandardStrings::On } else { StandardStrings::Off };
    let whole = split_statements(sql, strings).ok();
    let pieces = in_pieces(sql, usize::from(choice / 2).max(1), strings);
    assert_eq!(whole.map(|all| all.iter().map(|s| s.as_bytes().to_vec()).collect()), pieces);
    let _ = (InsertStatement::parse(sql, strings), CopyStatement::parse(sql), table_columns(sql));
});
