//! IDs in large objects, which arrive in chunks.

use super::border::{Content, Encoding, is_whole};
use super::rules::{BinaryRule, Rules};
use super::token::{Token, UUID_LENGTH};
use std::sync::Arc;

/// Finds IDs in the bytes of one large object after another, and replaces them if the rule requires it.
///
/// It returns the bytes of each chunk, except the last few: an ID may begin there and continue in the next chunk.
#[derive(Debug, Clone)]
pub struct LargeObjectRewriter {
    rules: Arc<Rules>,
    /// The byte before `held`.
    before: Option<u8>,
    held: Vec<u8>,
    found: u64,
}

/// How many bytes are held back. An ID may end with the last byte so far, and only the next byte shows whether it
/// stands alone.
const HELD_BYTES: usize = UUID_LENGTH;

impl LargeObjectRewriter {
    /// Makes a rewriter at the beginning of an object.
    pub fn new(rules: Arc<Rules>) -> Self {
        Self { rules, before: None, held: Vec::new(), found: 0 }
    }

    /// Accepts the next bytes of the object, and returns those that are final. In total it returns as many as it
    /// gets.
    pub fn push(&mut self, chunk: Vec<u8>) -> Vec<u8> {
        if self.is_off() {
            return chunk;
        }
        let mut bytes = std::mem::take(&mut self.held);
        bytes.extend_from_slice(&chunk);
        let mut done = bytes.len().saturating_sub(HELD_BYTES);
        // An ID that ends before the last byte is final now.
        done = done.max(self.rewrite(&mut bytes, false));
        self.held = bytes.split_off(done);
        self.before = bytes.last().copied().or(self.before);
        bytes
    }

    /// Ends the object. Returns the bytes that were held back, and the number of IDs found in the object, replaced or
    /// not. The next bytes belong to another object.
    pub fn finish(&mut self) -> (Vec<u8>, u64) {
        let mut bytes = std::mem::take(&mut self.held);
        self.rewrite(&mut bytes, true);
        self.before = None;
        (bytes, std::mem::take(&mut self.found))
    }

    fn is_off(&self) -> bool {
        self.rules.is_empty() || self.rules.large_objects() == BinaryRule::Leave
    }

    /// Handles the IDs that are final in `bytes`, which follow [`before`](Self::before). Returns the end of the last
    /// one.
    fn rewrite(&mut self, bytes: &mut [u8], at_end: bool) -> usize {
        let (mut from, mut decided) = (0, 0);
        while let Some(token) = Token::find(bytes, from) {
            from = token.end();
            if token.end() == bytes.len() && !at_end {
                break;
            }
            let span = token.start..token.end();
            let follows =
                token.start == 0 && self.before.is_some_and(|before| before.is_ascii_alphanumeric());
            let is_whole = !follows && is_whole(bytes, span.clone(), Encoding::Verbatim, Content::Text);
            let Some(replacement) = self.rules.replacement(&token).filter(|_| is_whole) else { continue };
            self.found = self.found.saturating_add(1);
            self.rules.note_found(&token);
            decided = token.end();
            if self.rules.large_objects() == BinaryRule::Rewrite
                && let Some(id) = bytes.get_mut(span)
            {
                id.copy_from_slice(&replacement);
            }
        }
        decided
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;
    use crate::instance::InstanceId;
    use proptest::prelude::*;

    const A: &str = "1b8f1c2e-0a51-4a63-9f0f-6f0d4c8e2a01";
    const B: &str = "9d3a7e54-5c2b-4f7c-8e21-0b6a5d4c3b02";

    fn rules(rule: BinaryRule) -> Arc<Rules> {
        let id = |text: &str| text.parse::<InstanceId>().unwrap();
        Arc::new(Rules::new([(id(A), id(B)), (id(B), id(A))]).with_large_objects(rule))
    }

    fn in_chunks(rule: BinaryRule, object: &[u8], sizes: &[usize]) -> (Vec<u8>, u64) {
        let mut rewriter = LargeObjectRewriter::new(rules(rule));
        let (mut out, mut rest) = (Vec::new(), object);
        for size in sizes.iter().chain(std::iter::repeat(&5)) {
            if rest.is_empty() {
                break;
            }
            let (chunk, after) = rest.split_at((*size).min(rest.len()));
            out.extend(rewriter.push(chunk.to_vec()));
            rest = after;
        }
        let (end, found) = rewriter.finish();
        out.extend(end);
        (out, found)
    }

    #[test]
    fn an_id_cut_by_two_pushes_is_replaced() {
        let rules = Rules::new(InstanceId::from_number(1).zip(InstanceId::from_number(2)));
        let rules = rules.with_large_objects(BinaryRule::Rewrite);
        let mut rewriter = LargeObjectRewriter::new(Arc::new(rules));
        let mut bytes = rewriter.push(b"of 00000000-0000-0000-".to_vec());
        bytes.extend(rewriter.push(b"0000-000000000001.".to_vec()));
        let (rest, found) = rewriter.finish();
        bytes.extend(rest);
        assert_eq!((bytes.as_slice(), found), (b"of 00000000-0000-0000-0000-000000000002.".as_slice(), 1));
    }

    #[test]
    fn objects_are_apart() {
        let mut rewriter = LargeObjectRewriter::new(rules(BinaryRule::Report));
        for _ in 0..2 {
            let mut out = rewriter.push(b"ends in f".to_vec());
            out.extend(rewriter.finish().0);
            assert_eq!(out, b"ends in f");
            let mut out = rewriter.push(A.as_bytes().to_vec());
            let (rest, found) = rewriter.finish();
            out.extend(rest);
            assert_eq!((out.as_slice(), found), (A.as_bytes(), 1));
        }
    }

    #[test]
    fn left_objects_are_not_looked_at() {
        assert_eq!(in_chunks(BinaryRule::Leave, A.as_bytes(), &[10]), (A.as_bytes().to_vec(), 0));
    }

    proptest! {
        #[test]
        fn chunks_make_no_difference(
            parts in prop::collection::vec(prop::sample::select(vec![A, B, "-", "f", " ", "é", "\0", "1b8f1c2e-", "\n"]), 0..12),
            sizes in prop::collection::vec(1..60_usize, 0..12),
        ) {
            let object = parts.concat();
            let (whole, count) = in_chunks(BinaryRule::Rewrite, object.as_bytes(), &[object.len().max(1)]);
            prop_assert_eq!(in_chunks(BinaryRule::Rewrite, object.as_bytes(), &sizes), (whole.clone(), count));
            prop_assert_eq!(in_chunks(BinaryRule::Report, object.as_bytes(), &sizes), (object.clone().into_bytes(), count));
            // Without escapes of COPY and JSON, a row's field follows the same rules.
            let mut row = object.replace('\n', "\u{1}").into_bytes();
            let mut rows = super::super::RowRewriter::new(rules(BinaryRule::Report), Vec::new());
            rows.rewrite(&mut row);
            prop_assert_eq!(String::from_utf8(row).unwrap(), String::from_utf8(whole).unwrap().replace('\n', "\u{1}"));
            prop_assert_eq!(rows.counts().iter().sum::<u64>(), count);
        }
    }
}
