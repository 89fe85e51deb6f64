//! Rows of a query, as PostgreSQL returns them in COPY's binary format, which has no escapes.

use crate::support::Database;
use std::io::{BufReader, Read};
use std::process::{Child, ChildStdout, Stdio};

/// Values as bytes of text, `None` for NULL.
pub(super) type Row = Vec<Option<Vec<u8>>>;

/// The rows of a query, one by one.
pub(super) struct Rows {
    psql: Child,
    stdout: BufReader<ChildStdout>,
    what: String,
}

impl Rows {
    pub(super) fn of(database: &Database, query: &str) -> Self {
        let copy = format!("COPY ({query}) TO STDOUT (FORMAT binary)");
        let mut psql = database
            .server
            .program("psql")
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &database.name, "-c", &copy])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("psql runs");
        let stdout = psql.stdout.take().expect("stdout is piped");
        let mut rows = Self { psql, stdout: BufReader::with_capacity(1 << 18, stdout), what: copy };
        // The signature, the flags, and the length of the header extension, which is empty.
        let header = rows.bytes(19);
        assert_eq!(header[..11], *b"PGCOPY\n\xff\r\n\0", "{}", rows.what);
        rows
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        let read = self.stdout.read_exact(&mut bytes);
        read.unwrap_or_else(|error| panic!("{error} in the rows of {}", self.what));
        bytes
    }

    fn number<const LENGTH: usize>(&mut self) -> [u8; LENGTH] {
        self.bytes(LENGTH).try_into().expect("as many as were asked for")
    }
}

impl Iterator for Rows {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        // A length of -1 ends the rows.
        let Ok(fields) = u16::try_from(i16::from_be_bytes(self.number())) else {
            assert!(self.psql.wait().expect("psql ends").success(), "{}", self.what);
            return None;
        };
        let field = |_| {
            let length = i32::from_be_bytes(self.number());
            usize::try_from(length).ok().map(|length| self.bytes(length))
        };
        Some((0..fields).map(field).collect())
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        let _ = self.psql.kill();
        let _ = self.psql.wait();
    }
}
