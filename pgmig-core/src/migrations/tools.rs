//! The tables in which migration tools record what they have done. The rows describe the schema in which they are stored.

/// A tool, and its tables by name, in any case.
pub(crate) struct Tool {
    /// Its name.
    pub(crate) name: &'static str,
    /// Tables whose names are the tool's alone.
    pub(crate) tables: &'static [&'static str],
    /// Tables whose names others use, too: their columns show whether they are a history.
    pub(crate) common: &'static [&'static str],
}

const fn tool(name: &'static str, tables: &'static [&'static str]) -> Tool {
    Tool { name, tables, common: &[] }
}

/// The tools that are known.
pub(crate) const TOOLS: &[Tool] = &[
    tool("Flyway", &["flyway_schema_history"]),
    Tool { name: "Flyway 4", tables: &[], common: &["schema_version"] },
    tool("Liquibase", &["databasechangelog", "databasechangeloglock"]),
    tool("Rails", &["schema_migrations", "ar_internal_metadata"]),
    tool("golang-migrate, dbmate, Ecto", &["schema_migrations"]),
    tool("Alembic", &["alembic_version"]),
    tool("Entity Framework", &["__EFMigrationsHistory", "__EFMigrationsLock", "__MigrationHistory"]),
    tool("Knex", &["knex_migrations", "knex_migrations_lock"]),
    tool("sqlx", &["_sqlx_migrations"]),
    tool("Django", &["django_migrations", "south_migrationhistory"]),
    tool("Diesel", &["__diesel_schema_migrations"]),
    tool("Prisma", &["_prisma_migrations"]),
    tool("goose", &["goose_db_version"]),
    tool("Sequelize", &["SequelizeMeta", "SequelizeData"]),
    Tool { name: "TypeORM", tables: &["typeorm_migrations"], common: &["migrations"] },
    Tool { name: "Laravel, CodeIgniter", tables: &[], common: &["migrations"] },
    Tool { name: "db-migrate", tables: &[], common: &["migrations"] },
    tool("MikroORM", &["mikro_orm_migrations"]),
    tool("node-pg-migrate", &["pgmigrations"]),
    tool("Drizzle", &["__drizzle_migrations"]),
    tool("Refinery", &["refinery_schema_history"]),
    tool("Doctrine", &["doctrine_migration_versions"]),
    Tool { name: "Doctrine 2", tables: &[], common: &["migration_versions"] },
    tool("Phinx", &["phinxlog"]),
    Tool { name: "Yii", tables: &["tbl_migration"], common: &["migration"] },
    tool("sql-migrate", &["gorp_migrations"]),
    Tool { name: "gormigrate", tables: &[], common: &["migrations"] },
    tool("Bun", &["bun_migrations", "bun_migration_locks"]),
    tool("Pop", &["schema_migration"]),
    tool("Atlas", &["atlas_schema_revisions"]),
    tool("SeaORM", &["seaql_migrations"]),
    tool("yoyo", &["_yoyo_migration", "_yoyo_log", "_yoyo_version", "yoyo_lock"]),
    tool("peewee", &["migratehistory"]),
    Tool { name: "Aerich", tables: &[], common: &["aerich"] },
    tool("Play", &["play_evolutions", "play_evolutions_lock"]),
    tool("FluentMigrator", &["VersionInfo"]),
    tool("DbUp", &["schemaversions"]),
    tool("Postgrator", &["schemaversion"]),
    Tool { name: "tern", tables: &[], common: &["schema_version"] },
    tool("Strapi", &["strapi_migrations", "strapi_migrations_internal"]),
    tool("Directus", &["directus_migrations"]),
    tool("morph", &["db_migrations"]),
    tool("Hasura", &["hdb_version"]),
    Tool { name: "Grafana", tables: &[], common: &["migration_log"] },
    Tool { name: "MyBatis", tables: &[], common: &["changelog"] },
];

/// The columns of histories of tools whose tables have common names.
const COLUMNS: &[&str] = &[
    "app",
    "applied",
    "applied_at",
    "apply_time",
    "batch",
    "breakpoint",
    "checksum",
    "class",
    "content",
    "created_at",
    "description",
    "end_time",
    "error",
    "executed_at",
    "execution_time",
    "filename",
    "group",
    "hash",
    "id",
    "installed_by",
    "installed_on",
    "installed_rank",
    "migrated_at",
    "migration",
    "migration_id",
    "migration_name",
    "name",
    "namespace",
    "run_on",
    "script",
    "sql",
    "start_time",
    "success",
    "time",
    "timestamp",
    "type",
    "version",
    "version_rank",
];

/// The tool that a table with these columns belongs to.
pub(crate) fn tool_of(name: &str, columns: &[&str]) -> Option<&'static str> {
    let is = |known: &&str| known.eq_ignore_ascii_case(name);
    let is_known = |column: &&str| COLUMNS.iter().any(|known| known.eq_ignore_ascii_case(column));
    let is_history = || !columns.is_empty() && columns.iter().all(is_known);
    let by_name = TOOLS.iter().find(|tool| tool.tables.iter().any(is));
    let by_columns = || TOOLS.iter().find(|tool| tool.common.iter().any(is) && is_history());
    // CakePHP names Phinx's table after the plugin.
    let is_phinx = name.to_ascii_lowercase().ends_with("_phinxlog");
    by_name.or_else(by_columns).map(|tool| tool.name).or(is_phinx.then_some("Phinx"))
}

/// Whether a table has a name as histories of migrations have, though no known tool uses it.
pub(crate) fn looks_like_history(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let ends = [
        "migrations",
        "migration",
        "migration_history",
        "migration_log",
        "schema_history",
        "schema_versions",
    ];
    ends.iter().any(|end| name.ends_with(end))
        || name.contains("schema_version")
        || name.contains("schema_migration")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_is_found_by_its_tables() {
        for tool in TOOLS {
            for table in tool.tables {
                assert!(tool_of(table, &["anything"]).is_some(), "{table}");
                assert!(tool_of(&table.to_ascii_uppercase(), &[]).is_some(), "{table}");
            }
            for table in tool.common {
                assert!(tool_of(table, &["id", "name"]).is_some(), "{} {table}", tool.name);
                assert_eq!(tool_of(table, &["id", "bird", "season"]), None, "{table}");
            }
        }
        for columns in [
            &["id", "migration", "batch"][..],
            &["id", "timestamp", "name"],
            &["version"],
            &["id", "name", "run_on"],
        ] {
            assert!(tool_of("migrations", columns).is_some(), "{columns:?}");
        }
        assert_eq!(tool_of("migrations", &["id", "from", "to"]), None);
        assert_eq!(tool_of("acl_phinxlog", &[]), Some("Phinx"));
        assert_eq!(tool_of("tenant", &["id"]), None);
    }

    #[test]
    fn names_of_histories_are_told() {
        for name in
            ["acme_migrations", "core_schema_version", "_migration_history", "boundary_schema_version"]
        {
            assert!(looks_like_history(name), "{name}");
        }
        assert!(!looks_like_history("migrations_of_birds") && !looks_like_history("tenant"));
    }
}
