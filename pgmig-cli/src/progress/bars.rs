//! Progress at a terminal: the present work, and how much of the archive has been read. Without colours.

use super::ticker::Ticker;
use super::work::Work;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use pgmig_core::progress::Event;
use pgmig_core::text::printable;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The refresh interval. It is short enough to show that pgmig is running.
const TICK: Duration = Duration::from_millis(120);

/// The interval at which the time of the present work is shown anew.
const SECOND: Duration = Duration::from_secs(1);

pub(super) struct Bars {
    all: MultiProgress,
    shared: Arc<Shared>,
    _ticker: Ticker,
}

struct Shared {
    now: ProgressBar,
    archive: ProgressBar,
    state: Mutex<State>,
}

struct State {
    work: Work,
    /// Whether the bar of the archive is drawn. It is from the first byte to the last.
    has_archive: bool,
}

impl Bars {
    pub(super) fn new() -> Self {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr());
        let now = all.add(ProgressBar::new_spinner());
        now.set_style(style("{spinner} {wide_msg} {elapsed:>8}"));
        now.enable_steady_tick(TICK);
        // It is not in `all` yet: it is drawn when the first byte has been read.
        let archive = ProgressBar::hidden();
        let state = Mutex::new(State { work: Work::new(), has_archive: false });
        let shared = Arc::new(Shared { now, archive, state });
        let ticking = Arc::clone(&shared);
        let ticker = Ticker::every(SECOND, move || ticking.show_work());
        Self { all, shared, _ticker: ticker }
    }

    pub(super) fn event(&self, event: &Event<'_>) {
        self.shared.update(|state| state.work.event(event));
        if let Event::ArchiveRead { .. } = event {
            self.archive_read();
        } else {
            self.shared.show_work();
        }
    }

    pub(super) fn doing(&self, step: &'static str) {
        self.shared.update(|state| state.work.doing(step));
        self.shared.show_work();
    }

    fn archive_read(&self) {
        let archive = &self.shared.archive;
        let (share, words, was_drawn) = self.shared.update(|state| {
            let (share, words) = (state.work.share(), state.work.archive_in_words());
            let was_drawn = std::mem::replace(&mut state.has_archive, share.is_some());
            (share, words.unwrap_or_default(), was_drawn)
        });
        let Some((read, total)) = share else {
            // All of it has been read. The rest of the restore takes a time that nobody knows.
            return archive.finish_and_clear();
        };
        if !was_drawn {
            if let Some(total) = total {
                archive.set_length(total);
            }
            // Only a message is cut to the terminal's width; anything else would wrap.
            archive.set_style(style(if total.is_some() {
                "  [{bar:20}] {wide_msg}"
            } else {
                "  {wide_msg}"
            }));
        }
        archive.set_position(read);
        archive.set_message(words);
        if !was_drawn {
            self.all.add(archive.clone());
        }
    }

    /// Runs `write`, which writes to standard error, while the bars are hidden.
    pub(super) fn beside(&self, write: impl FnOnce()) {
        self.all.suspend(write);
    }

    pub(super) fn hide(&self) {
        self.shared.now.disable_steady_tick();
        let _ = self.all.clear();
        self.all.set_draw_target(ProgressDrawTarget::hidden());
    }

    pub(super) fn show(&self) {
        self.all.set_draw_target(ProgressDrawTarget::stderr());
        self.shared.now.enable_steady_tick(TICK);
    }

    pub(super) fn finish(&self) {
        self.shared.archive.finish_and_clear();
        self.shared.now.finish_and_clear();
        let _ = self.all.clear();
    }
}

impl Shared {
    fn show_work(&self) {
        let words = self.update(|state| state.work.in_words());
        self.now.set_message(printable(&words).into_owned());
    }

    fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        // A thread that panicked may have left an old value, which can still be shown.
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("our templates are well-formed")
}
