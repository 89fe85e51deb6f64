//! Predicts how long a restore takes: the backup's size, and the time in which the server takes some rows.

use super::finding::{Finding, Gravity};
use crate::archive::Compression;
use crate::error::Result;
use crate::restore::preflight::open_control;
use crate::restore::report::planned::PlannedArchive;
use crate::server::session::Session;
use crate::server::{TargetConfig, TargetError};
use std::fmt::Write;
use std::time::{Duration, Instant};

const DOING: &str = "measure how fast the server takes rows";

/// The measurement ends after so many bytes, or after so long.
const MOST_BYTES: u64 = 8 << 20;
const LONGEST: Duration = Duration::from_secs(2);

/// Rows that are sent at once.
const ROWS_AT_ONCE: u32 = 2_000;

/// Indexes, constraints and the write-ahead log can take so many times as long as the rows alone.
const SLOWEST: u32 = 4;

/// A backup whose rows take less time is restored in seconds, whatever its indexes are.
const SHORT: Duration = Duration::from_secs(2);

/// Predicts how long a restore of this archive takes. Rows go into a temporary table, in a transaction that is rolled
/// back. `None` for an archive whose size is not known.
///
/// # Errors
///
/// The server cannot be reached, or `su_username` may not create temporary tables.
pub async fn predict_duration(config: &TargetConfig, archive: &PlannedArchive) -> Result<Option<Finding>> {
    let Some(size) = archive.bytes else { return Ok(None) };
    let application = config.application_name().unwrap_or("pgmig").to_owned();
    let (mut control, _) = open_control(config, &application).await?;
    let measured = measure(&mut control).await;
    control.close().await;
    let compression = archive.file_compression.or(archive.compression).unwrap_or(Compression::None);
    Ok(Some(Finding::new(Gravity::Information, "duration", predict(size, compression, measured?))))
}

/// Bytes that the server took, and the time.
type Measured = (u64, Duration);

async fn measure(session: &mut Session) -> std::result::Result<Measured, TargetError> {
    session.begin(DOING).await?;
    let table = "CREATE TEMPORARY TABLE pgmig_rows (id pg_catalog.int8, note pg_catalog.text) ON COMMIT DROP";
    session.execute(table, DOING).await?;
    let measured = send(session).await.map_err(TargetError::doing(DOING))?;
    session.rollback(DOING).await?;
    Ok(measured)
}

async fn send(session: &mut Session) -> std::result::Result<Measured, sqlx::Error> {
    let mut rows = String::new();
    for id in 0..ROWS_AT_ONCE {
        let _ = writeln!(
            rows,
            "{id}\ta row of about the usual length, with the number {id} in its text, and a few words"
        );
    }
    let begun = Instant::now();
    let mut sent = 0;
    let mut copy = session.copy_in("COPY pg_temp.pgmig_rows FROM STDIN").await?;
    while sent < MOST_BYTES && begun.elapsed() < LONGEST {
        copy.send(rows.as_bytes()).await?;
        sent += rows.len() as u64;
    }
    copy.finish().await?;
    Ok((sent, begun.elapsed()))
}

/// How many bytes of rows one byte of a compressed archive holds, by experience.
fn factor(compression: Compression) -> u64 {
    match compression {
        Compression::None => 1,
        Compression::Lz4 => 3,
        _ => 5,
    }
}

fn predict(size: u64, compression: Compression, (sent, took): Measured) -> String {
    let bytes_per_second = (u128::from(sent) * 1_000_000 / took.as_micros().max(1)).max(1);
    let rows = u128::from(size) * u128::from(factor(compression));
    let shortest = Duration::from_millis(u64::try_from(rows * 1000 / bytes_per_second).unwrap_or(u64::MAX));
    let speed =
        format!("the server takes about {} MB of rows a second", (bytes_per_second / 1_000_000).max(1));
    if shortest < SHORT {
        return format!("a restore of this backup takes a few seconds: {speed}");
    }
    let packed = match compression {
        Compression::None => String::new(),
        _ => format!(", or about {} MB without compression", rows.div_ceil(1_000_000)),
    };
    format!(
        "a restore of this backup may take {} to {}, depending on its indexes: {speed} over one connection, and the backup \
         has {} MB{packed}",
        rounded(shortest),
        rounded(shortest.saturating_mul(SLOWEST)),
        size.div_ceil(1_000_000)
    )
}

/// No more exact than a prediction can be.
fn rounded(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ ..120 => format!("{} s", seconds.max(1)),
        seconds @ 120..7200 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{} h", seconds.div_ceil(3600)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prediction_follows_size_compression_and_speed() {
        let ten_megabytes_a_second = (5_000_000, Duration::from_millis(500));
        assert_eq!(
            predict(1_000_000_000, Compression::None, ten_megabytes_a_second),
            "a restore of this backup may take 100 s to 7 min, depending on its indexes: the server takes about 10 MB of rows \
             a second over one connection, and the backup has 1000 MB"
        );
        let packed = predict(60_000_000_000, Compression::Zstd, ten_megabytes_a_second);
        assert!(
            packed.contains("9 h to 34 h") && packed.contains("300000 MB without compression"),
            "{packed}"
        );
        let small = predict(1_000_000, Compression::Gzip, ten_megabytes_a_second);
        assert!(small.contains("takes a few seconds"), "{small}");
        // A clock that stands still, and the largest numbers.
        assert!(predict(u64::MAX, Compression::Gzip, (1, Duration::ZERO)).contains("may take"));
        assert!(predict(u64::MAX, Compression::Gzip, (0, Duration::MAX)).contains("may take"));
    }
}
