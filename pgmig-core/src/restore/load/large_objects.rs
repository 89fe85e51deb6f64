//! Writes large objects.

use super::active_feed::{ActiveFeed, Share};
use super::feed::{Content, LargeObjectPart, Piece};
use super::loaded::cut_short;
use super::noting::NOTING;
use super::worker::Worker;
use crate::archive::DumpId;
use crate::error::Result;
use crate::progress::Step;
use crate::restore::plan::RunAs;
use crate::restore::record::{self, LargeObjectTotals, LargeObjectsDone, SCHEMA, Unit};
use crate::server::TargetError;
use sqlx::AssertSqlSafe;

impl Worker<'_, '_> {
    pub(super) async fn large_objects(&mut self, active: &ActiveFeed) -> Result<()> {
        // Each statement is its own transaction.
        self.commit().await?;
        self.executor.become_role(&RunAs::Owner).await?;
        let Content::LargeObjects(entry) = active.feed.content else { return Err(cut_short()) };
        let record = &self.crew.work.record;
        let mut done = self.crew.work.resumed.large_objects(entry);
        while let Some(piece) = self.crew.next_piece(active, Share::Own).await? {
            let (Piece::LargeObjects(parts), _held) = piece else { return Err(cut_short()) };
            self.large_object_parts(parts, entry, &mut done).await?;
            self.crew.work.failpoints.pass(Step::LargeObjects)?;
        }
        done.is_end = true;
        done.found = active.end.get().map(|end| end.found.clone()).unwrap_or_default();
        if let Some(note) = record.note([(Unit::Objects(entry), record::json(&done))]) {
            self.executor.session.execute(&note, NOTING).await?;
        }
        Ok(())
    }

    /// Writes parts of large objects, and notes them in the same statement.
    async fn large_object_parts(
        &mut self,
        parts: Vec<LargeObjectPart>,
        entry: DumpId,
        done: &mut LargeObjectsDone,
    ) -> Result<()> {
        let (mut oids, mut offsets, mut contents) = (Vec::new(), Vec::new(), Vec::new());
        let mut totals = LargeObjectTotals::default();
        for share in parts {
            totals.objects += u64::from(share.offset == 0);
            totals.bytes += share.bytes.len() as u64;
            totals.ids += share.ids;
            totals.with_ids += u64::from(share.ids > 0);
            oids.push(i64::from(share.oid));
            offsets.push(i64::try_from(share.offset).unwrap_or(i64::MAX));
            contents.push(share.bytes);
        }
        let doing = "load large objects";
        if self.crew.work.create_large_objects {
            // A run that was killed may have made them, and not filled them.
            let sql = "SELECT count(pg_catalog.lo_create(o::pg_catalog.oid)) \
                       FROM ROWS FROM (pg_catalog.unnest($1::bigint[]), pg_catalog.unnest($2::bigint[])) AS t(o, b) \
                       WHERE b = 0 AND NOT EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata m \
                           WHERE m.oid = o::pg_catalog.oid)";
            let query = sqlx::query(sql).bind(&oids).bind(&offsets);
            query.execute(self.executor.session.conn()).await.map_err(TargetError::doing(doing))?;
        }
        done.parts += oids.len() as u64;
        done.totals.add(&totals);
        let put = "SELECT count(pg_catalog.lo_put(o::pg_catalog.oid, b, d)) \
                   FROM ROWS FROM (pg_catalog.unnest($1::bigint[]), pg_catalog.unnest($2::bigint[]), \
                   pg_catalog.unnest($3::bytea[])) AS t(o, b, d)";
        let note = self.crew.work.record.parts(Unit::Objects(entry), done);
        let put = match &note {
            Some(_) => format!("WITH put AS ({put}) INSERT INTO {SCHEMA}.done SELECT $4, $5, $6 FROM put"),
            None => put.to_owned(),
        };
        let mut query = sqlx::query(AssertSqlSafe(put)).bind(&oids).bind(&offsets).bind(&contents);
        for part in note.into_iter().flatten() {
            query = query.bind(part);
        }
        query.execute(self.executor.session.conn()).await.map_err(TargetError::doing(doing))?;
        self.crew.add_large_objects(totals);
        Ok(())
    }
}
