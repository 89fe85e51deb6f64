//! Reading archives: every format, `verify`, `inspect`, whole corpora.

mod cluster;
pub(crate) mod corpus;
mod formats;
mod holdings;
mod inspect;
mod oracles_corpus;
mod verify;
mod verify_corpus;
