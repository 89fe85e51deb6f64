//! A pool of zstd decoders. Each decoder has a window of up to 128 MiB. Getting this memory from the system anew for
//! each table takes longer than unpacking a small table.

use super::zstd_window;
use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError},
};
use zstd::stream::raw::{DParameter, Decoder, Operation};

/// Largest window of a zstd frame, as a power of two. `--compress=zstd:long` needs it, and it is zstd's own default
/// limit. A frame that declares a larger window is refused before memory is allocated.
const WINDOW_LOG_MAX: u32 = 27;

/// A zstd window of more bytes than this is called wide. pg_dump's levels need up to 8 MiB, `--compress=zstd:long` 128 MiB.
///
/// A program that reads several blocks at once can save memory: it opens blocks with a wide window one at a time.
pub const WIDE_WINDOW: u64 = 8 * 1024 * 1024;

/// The decoders of one archive that are not in use.
#[derive(Default)]
pub(super) struct ZstdDecoders {
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    decoder: Decoder<'static>,
    /// Whether the decoder may have had a wide window. It keeps that memory.
    is_wide: bool,
}

impl ZstdDecoders {
    /// A decoder for the frame that begins with the bytes `head`.
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

/// A decoder in use. Dropping it returns it to the pool.
pub(super) struct ZstdDecoder {
    /// Present until the drop.
    idle: Option<Idle>,
    home: Arc<ZstdDecoders>,
}

impl ZstdDecoder {
    /// The decoder itself; `None` only while it is being returned.
    pub(super) fn raw(&mut self) -> Option<&mut Decoder<'static>> {
        self.idle.as_mut().map(|idle| &mut idle.decoder)
    }
}

impl Drop for ZstdDecoder {
    fn drop(&mut self) {
        let Some(mine) = self.idle.take() else { return };
        let mut idle = self.home.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // One wide decoder is enough: readers use only one at a time.
        if !mine.is_wide || !idle.iter().any(|idle| idle.is_wide) {
            idle.push(mine);
        }
    }
}
