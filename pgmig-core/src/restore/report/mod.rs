//! The plan and the report of a restore as data, which a program can show or write as JSON.

pub(crate) mod contents;
pub(crate) mod difference;
pub(crate) mod planned;
pub(crate) mod restored;
