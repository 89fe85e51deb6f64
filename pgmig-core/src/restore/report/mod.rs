//! What a restore would do and what it did, as data: what a program shows, or writes as JSON.

pub(crate) mod contents;
pub(crate) mod difference;
pub(crate) mod planned;
pub(crate) mod restored;
