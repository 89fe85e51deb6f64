//! Rows loaded into the target's own schema.

mod code;
mod kept;
mod rules;
mod types;
mod whole;
