//! What takes a superuser, listed before anything is dropped.
