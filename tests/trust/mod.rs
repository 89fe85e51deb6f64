//! Who runs code of the archive and of the target, and what it is refused.

mod login;
