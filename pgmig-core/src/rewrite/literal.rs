//! Replacements in a text that is otherwise unchanged.

use super::border::{Content, Encoding, is_whole};
use super::rules::Rules;
use super::token::Token;
use crate::sql::StringKind;
use std::borrow::Cow;
use std::ops::Range;

/// Replacements in a text, from its beginning to its end.
#[derive(Debug, Default)]
pub(super) struct Edits(Vec<(Range<usize>, String)>);

impl Edits {
    /// Replaces `span`, which must come after all others, by `text`.
    pub(super) fn push(&mut self, span: Range<usize>, text: String) {
        self.0.push((span, text));
    }

    /// The text with the replacements.
    pub(super) fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.0.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut edited = String::with_capacity(text.len());
        let mut done = 0;
        for (span, replacement) in &self.0 {
            edited.push_str(text.get(done..span.start).unwrap_or_default());
            edited.push_str(replacement);
            done = span.end;
        }
        edited.push_str(text.get(done..).unwrap_or_default());
        Cow::Owned(edited)
    }
}

/// The encoding of the body of a string constant.
pub(super) fn encoding(kind: StringKind) -> Encoding {
    match kind {
        StringKind::Plain | StringKind::Bits | StringKind::Dollar => Encoding::Verbatim,
        StringKind::Escape => Encoding::Escape,
        StringKind::Unicode => Encoding::Unicode,
    }
}

/// The body of a string constant.
#[derive(Debug)]
pub(super) struct Body<'a> {
    /// The statement.
    pub(super) sql: &'a str,
    /// The place of the body in the statement.
    pub(super) span: Range<usize>,
    /// The encoding of the body.
    pub(super) encoding: Encoding,
    /// The format of the encoded text.
    pub(super) content: Content,
}

impl Body<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        self.sql.as_bytes().get(self.span.clone()).unwrap_or_default()
    }

    /// Adds the replacement of each occurrence to `edits`, except inside `kept`, which are places in the body.
    /// Returns their number.
    pub(super) fn rewrite(&self, rules: &Rules, kept: &[Range<usize>], edits: &mut Edits) -> u64 {
        let bytes = self.bytes();
        let mut count = 0_u64;
        let mut from = 0;
        while let Some(token) = Token::find(bytes, from) {
            from = token.end();
            let Some(replacement) = rules.replacement(&token) else {
                continue;
            };
            let is_kept = kept.iter().any(|kept| kept.start < token.end() && token.start < kept.end);
            if is_kept || !is_whole(bytes, token.start..token.end(), self.encoding, self.content) {
                continue;
            }
            let start = self.span.start.saturating_add(token.start);
            let end = self.span.start.saturating_add(token.end());
            edits.push(start..end, String::from_utf8_lossy(&replacement).into_owned());
            count = count.saturating_add(1);
            rules.note_found(&token);
        }
        count
    }
}
