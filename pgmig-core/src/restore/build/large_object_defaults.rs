//! Default privileges for large objects (18 and later), while large objects of an archive are made in the target's own
//! schema. The archive says which privileges its objects have; the target's defaults would widen them.

use crate::error::Result;
use crate::restore::executor::Executor;
use crate::restore::plan::RunAs;
use crate::sql::{quote_ident, quote_literal};
use std::collections::BTreeSet;

const DOING: &str = "keep the default privileges from the archive's large objects";

/// What `username` grants to others on each new large object.
#[derive(Debug, Default)]
pub(super) struct LargeObjectDefaults {
    role: String,
    /// Grantee as SQL, privilege, and whether it comes with a grant option.
    granted: Vec<(String, String, bool)>,
}

impl LargeObjectDefaults {
    /// Revokes them, until [`put_back`](Self::put_back).
    pub(super) async fn set_aside(executor: &mut Executor, run_as: &RunAs, username: &str) -> Result<Self> {
        let role = quote_ident(username);
        let session = &mut executor.session;
        if session.server_version() < 180_000 {
            return Ok(Self::default());
        }
        let sql = format!(
            "SELECT CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantee)) END, \
             x.privilege_type, x.is_grantable FROM pg_catalog.pg_default_acl d, pg_catalog.aclexplode(d.defaclacl) x \
             WHERE d.defaclobjtype = 'L' AND x.grantee <> d.defaclrole \
             AND pg_catalog.pg_get_userbyid(d.defaclrole) = {}",
            quote_literal(username)
        );
        let rows = session.rows(&sql, DOING).await?;
        let granted: Vec<_> =
            rows.iter().map(|row| (row.text(0).to_owned(), row.text(1).to_owned(), row.is_true(2))).collect();
        executor.become_role(run_as).await?;
        let grantees: BTreeSet<&str> = granted.iter().map(|(grantee, ..)| grantee.as_str()).collect();
        for grantee in grantees {
            let sql = format!(
                "ALTER DEFAULT PRIVILEGES FOR ROLE {role} REVOKE ALL ON LARGE OBJECTS FROM {grantee}"
            );
            executor.session.execute(&sql, DOING).await?;
        }
        Ok(Self { role, granted })
    }

    /// Grants them again.
    pub(super) async fn put_back(&self, executor: &mut Executor, run_as: &RunAs) -> Result<()> {
        for (grantee, privilege, is_grantable) in &self.granted {
            executor.become_role(run_as).await?;
            let (role, option) = (&self.role, if *is_grantable { " WITH GRANT OPTION" } else { "" });
            let sql = format!(
                "ALTER DEFAULT PRIVILEGES FOR ROLE {role} GRANT {privilege} ON LARGE OBJECTS TO {grantee}{option}"
            );
            executor.session.execute(&sql, DOING).await?;
        }
        Ok(())
    }
}
