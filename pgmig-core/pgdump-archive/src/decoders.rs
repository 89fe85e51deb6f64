//! zstd decoders that are used again. Each has a window of its own, of up to 128 MiB: to get its memory from the system
//! anew for each table takes longer than to unpack a small one.

use super::zstd_window;
use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
};
use zstd::stream::raw::{DParameter, Decoder, Operation};

/// Largest window of a zstd frame, as a power of two: what `--compress=zstd:long` needs, and zstd's own default limit. A
/// frame that declares more is refused instead of allocating what it says.
const WINDOW_LOG_MAX: u32 = 27;

/// A zstd window of more bytes than this is called wide. pg_dump's levels need up to 8 MiB, `--compress=zstd:long` 128 MiB.
///
/// A program that reads several blocks at once can save memory: it opens blocks with a wide window one at a time.
pub const WIDE_WINDOW: u64 = 8 * 1024 * 1024;

/// The decoders of one archive that nobody uses now.
#[derive(Default)]
pub(super) struct ZstdDecoders {
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    decoder: Decoder<'static>,
    /// Whether it may have had a wide window, whose memory it keeps.
    is_wide: bool,
}

impl ZstdDecoders {
    /// A decoder for the frame whose first bytes these are.
    pub(super) fn take(self: &Arc<Self>, head: &[u8]) -> io::Result<ZstdDecoder> {
        let is_wide = zstd_window::declared(head).is_none_or(|window| window > WIDE_WINDOW);
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let found = idle.iter().position(|idle| idle.is_wide == is_wide).map(|found| idle.swap_remove(found));
        drop(idle);
        let decoder = match found {
            Some(mut idle) => {
                idle.decoder.reinit()?;
                idle.decoder
            }
            None => {
                let mut decoder = Decoder::new()?;
                decoder.set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))?;
                decoder
            }
        };
        Ok(ZstdDecoder { idle: Some(Idle { decoder, is_wide }), home: Arc::clone(self) })
    }
}

impl fmt::Debug for ZstdDecoders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZstdDecoders").finish_non_exhaustive()
    }
}

/// A decoder in use, which goes back when this is dropped.
pub(super) struct ZstdDecoder {
    /// There until the drop.
    idle: Option<Idle>,
    home: Arc<ZstdDecoders>,
}

impl ZstdDecoder {
    /// The decoder itself; `None` only while it goes back.
    pub(super) fn raw(&mut self) -> Option<&mut Decoder<'static>> {
        self.idle.as_mut().map(|idle| &mut idle.decoder)
    }
}

impl Drop for ZstdDecoder {
    fn drop(&mut self) {
        let Some(mine) = self.idle.take() else { return };
        let mut idle = self.home.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // Of the wide ones one is enough: readers take care to use one at a time.
        if !mine.is_wide || !idle.iter().any(|idle| idle.is_wide) {
            idle.push(mine);
        }
    }
}
