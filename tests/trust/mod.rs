//! The roles that run code of the archive and of the target, and the limits of these roles.

mod login;
mod strangers;
