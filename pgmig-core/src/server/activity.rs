//! What a session is doing, seen from the messages that pass by: whether the server has to answer, and since when it has
//! been silent.

use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// What is known of a session, shared by its two directions and by what looks after it.
#[derive(Debug)]
pub(crate) struct Activity {
    state: Mutex<State>,
    /// The server process, once the session has asked for it.
    process: AtomicI32,
    /// Whether the session asks only what a server answers at once.
    is_short: AtomicBool,
}

#[derive(Debug)]
struct State {
    /// Questions without an answer.
    owed: u32,
    /// Whether the server waits for rows.
    in_copy: bool,
    /// Whether bytes wait until the server takes them.
    is_sending: bool,
    /// Whether bytes of the server wait until the session takes them.
    is_delivering: bool,
    /// When a byte passed last, in either direction.
    passed: Instant,
    client: Headers,
}

impl Default for Activity {
    fn default() -> Self {
        let state = State {
            owed: 0,
            in_copy: false,
            is_sending: false,
            is_delivering: false,
            passed: Instant::now(),
            client: Headers::default(),
        };
        // What a session asks first is short.
        Self { state: Mutex::new(state), process: AtomicI32::new(0), is_short: AtomicBool::new(true) }
    }
}

impl Activity {
    /// Since when the server has been silent although it has to answer, or to take bytes.
    pub(super) fn silent_since(&self) -> Option<Instant> {
        let state = self.state();
        let waits = state.is_sending || state.owed > 0 && !state.in_copy;
        // A session that takes nothing is not the server's fault.
        (waits && !state.is_delivering).then_some(state.passed)
    }

    /// The server process; 0 while it is not known.
    pub(super) fn process(&self) -> i32 {
        self.process.load(Ordering::Relaxed)
    }

    pub(super) fn set_process(&self, process: i32) {
        self.process.store(process, Ordering::Relaxed);
    }

    pub(super) fn is_short(&self) -> bool {
        self.is_short.load(Ordering::Relaxed)
    }

    /// Sets whether the session asks only what a server answers at once.
    pub(super) fn set_short(&self, is_short: bool) {
        self.is_short.store(is_short, Ordering::Relaxed);
    }

    /// Notes messages of the session that are about to be sent.
    pub(super) fn sending(&self, bytes: &[u8]) {
        let mut state = self.state();
        let State { client, owed, in_copy, .. } = &mut *state;
        client.pass(bytes, |kind| match kind {
            // Query, Sync.
            b'Q' | b'S' => *owed += 1,
            // CopyDone, CopyFail.
            b'c' | b'f' => *in_copy = false,
            _ => {}
        });
        state.is_sending = true;
        state.passed = Instant::now();
    }

    /// Notes that the server's end has taken the bytes.
    pub(super) fn sent(&self) {
        let mut state = self.state();
        state.is_sending = false;
        state.passed = Instant::now();
    }

    /// Notes bytes of the server that are about to be delivered.
    pub(super) fn delivering(&self) {
        let mut state = self.state();
        state.is_delivering = true;
        state.passed = Instant::now();
    }

    /// Notes that the session has taken them.
    pub(super) fn delivered(&self) {
        let mut state = self.state();
        state.is_delivering = false;
        state.passed = Instant::now();
    }

    /// Notes a message of the server.
    pub(super) fn answered(&self, kind: u8) {
        let mut state = self.state();
        match kind {
            // ReadyForQuery.
            b'Z' => {
                state.owed = state.owed.saturating_sub(1);
                state.in_copy = false;
            }
            // CopyInResponse.
            b'G' => state.in_copy = true,
            _ => {}
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Finds the kinds of messages in a stream, however it is cut.
#[derive(Debug, Default)]
struct Headers {
    header: Vec<u8>,
    /// Bytes of the message that are still to come.
    remaining: usize,
}

impl Headers {
    fn pass(&mut self, mut bytes: &[u8], mut found: impl FnMut(u8)) {
        while !bytes.is_empty() {
            let skipped = self.remaining.min(bytes.len());
            self.remaining -= skipped;
            bytes = bytes.get(skipped..).unwrap_or_default();
            let taken = bytes.len().min(5 - self.header.len());
            let (header, rest) = bytes.split_at_checked(taken).unwrap_or_default();
            self.header.extend_from_slice(header);
            bytes = rest;
            if let [kind, a, b, c, d] = *self.header.as_slice() {
                self.header.clear();
                let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
                self.remaining = length.saturating_sub(4);
                found(kind);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: usize) -> Vec<u8> {
        let mut bytes = vec![kind];
        bytes.extend_from_slice(&u32::try_from(body + 4).unwrap_or(u32::MAX).to_be_bytes());
        bytes.resize(bytes.len() + body, b'Q');
        bytes
    }

    #[test]
    fn kinds_are_found_however_the_bytes_are_cut() {
        let bytes = [message(b'P', 30), message(b'd', 7), message(b'S', 0), message(b'Q', 1)].concat();
        for size in [1, 2, 4, 5, 6, 11, bytes.len()] {
            let (mut headers, mut kinds) = (Headers::default(), Vec::new());
            bytes.chunks(size).for_each(|chunk| headers.pass(chunk, |kind| kinds.push(kind)));
            assert_eq!(kinds, b"PdSQ", "chunks of {size}");
        }
    }

    #[test]
    fn the_server_has_to_answer_a_question_but_not_while_it_takes_rows() {
        let activity = Activity::default();
        let ask = |bytes: &[u8]| {
            activity.sending(bytes);
            activity.sent();
        };
        assert_eq!(activity.silent_since(), None);
        ask(&message(b'Q', 9));
        assert!(activity.silent_since().is_some());
        activity.answered(b'G');
        ask(&message(b'd', 9));
        assert_eq!(activity.silent_since(), None, "COPY: rows may come slowly");
        activity.sending(&message(b'd', 9));
        assert!(activity.silent_since().is_some(), "the server does not take them");
        activity.sent();
        ask(&message(b'c', 0));
        assert!(activity.silent_since().is_some());
        activity.delivering();
        assert_eq!(activity.silent_since(), None);
        activity.delivered();
        activity.answered(b'Z');
        assert_eq!(activity.silent_since(), None);
    }
}
