//! Rows loaded into the target's own schema.

mod code;
mod kept;
mod products;
mod rules;
mod types;
mod whole;
