//! OIDs before rows.

use super::rows;

/// Removes the first field of each row of a run of whole rows: the OID. `COPY ... WITH OIDS` writes it, and servers
/// from 12 on do not accept it.
pub fn remove_oids(run: &mut Vec<u8>) {
    let mut kept = Vec::with_capacity(run.len());
    for row in rows(run) {
        let end = memchr::memchr(b'\t', row).map_or(row.len(), |tab| tab.saturating_add(1));
        kept.extend_from_slice(row.get(end..).unwrap_or_default());
        kept.push(b'\n');
    }
    *run = kept;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_the_columns() {
        let mut run = b"16401\ta\t\\N\n16402\t\tb\n16403\n".to_vec();
        remove_oids(&mut run);
        assert_eq!(run, b"a\t\\N\n\tb\n\n");
    }
}
