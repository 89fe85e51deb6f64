//! Finds the IDs that a row mentions, only to count them.

use super::border::{Content, Encoding, is_whole};
use super::token::Token;
use crate::instance::InstanceId;
use uuid::Uuid;

/// The IDs in one row of COPY data, each as often as it occurs.
///
/// This function does not know which columns hold JSON. So an ID counts if it is an occurrence with or without
/// decoding JSON's escapes.
pub(crate) fn ids_in_row(row: &[u8]) -> impl Iterator<Item = InstanceId> {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let token = Token::find(row, from)?;
            from = token.start.saturating_add(1);
            let span = token.start..token.end();
            let is_whole = |content| is_whole(row, span.clone(), Encoding::Copy, content);
            if is_whole(Content::Text) || is_whole(Content::Json) {
                from = token.end();
                return Some(InstanceId::new(Uuid::from_u128(token.id)));
            }
        }
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn whole_tokens_only() {
        let a = "1b8f1c2e-0a51-4a63-9f0f-6f0d4c8e2a01";
        let b = "9d3a7e54-5c2b-4f7c-8e21-0b6a5d4c3b02";
        let row = format!("{a}\tx-{}_\t{a}0\tg{b}\t{{\"id\": \"\\\\n{b}\"}}\t\\t{a}", b.to_uppercase());
        let found: Vec<String> = ids_in_row(row.as_bytes()).map(|id| id.to_string()).collect();
        assert_eq!(found, [a, b, b, a]);
        assert_eq!(ids_in_row(b"").count(), 0);
    }
}
