//! Upgrades of the schema to another release.

mod bad_migrations;
mod histories;
mod lineage;
mod releases;
mod user_profile;
