//! What happened when: a listener that notes steps, the work of each connection, tables and waits, and passes all on.

use pgmig_core::progress::{Event, Progress, Step};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// How many pieces of work the report holds. A database of a million tables has no readable timeline.
const MOST_PIECES: usize = 20_000;

/// Something that took its time. Times are seconds since the run began.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Piece {
    pub(crate) what: String,
    #[serde(rename = "began_seconds")]
    pub(crate) began: f64,
    #[serde(rename = "took_seconds")]
    pub(crate) took: f64,
}

/// One connection and its work.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Lane {
    /// The ID of its server process.
    pub(crate) connection: i32,
    pub(crate) work: Vec<Piece>,
}

/// A wait for something that is not pgmig's own work.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Wait {
    pub(crate) what: String,
    #[serde(rename = "began_seconds")]
    pub(crate) began: f64,
    #[serde(rename = "limit_seconds")]
    pub(crate) limit: f64,
}

/// What happened when.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Timeline {
    pub(crate) steps: Vec<Piece>,
    pub(crate) connections: Vec<Lane>,
    pub(crate) waits: Vec<Wait>,
    /// Whether work was left out, because there was too much of it.
    pub(crate) is_cut: bool,
}

impl Timeline {
    /// How long connections worked for each table, in seconds: several at a time count several times.
    pub(crate) fn of_tables(&self) -> BTreeMap<&str, f64> {
        let mut seconds = BTreeMap::new();
        for piece in self.connections.iter().flat_map(|lane| &lane.work) {
            if let Some(table) = piece.what.strip_prefix("rows of ") {
                *seconds.entry(table).or_default() += piece.took;
            }
        }
        seconds
    }

    /// When the last thing ended.
    pub(crate) fn end(&self) -> f64 {
        let work = self.connections.iter().flat_map(|lane| &lane.work).chain(&self.steps);
        work.map(|piece| piece.began + piece.took).fold(0.0, f64::max)
    }
}

/// The listener.
pub(crate) struct Recorder {
    began: Instant,
    /// Who else listens.
    next: Arc<dyn Progress>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    timeline: Timeline,
    open_steps: BTreeMap<Step, f64>,
    /// The work that has begun, by connection.
    open_work: BTreeMap<i32, (String, f64)>,
    pieces: usize,
}

impl Recorder {
    /// Begins now.
    pub(crate) fn new(next: Arc<dyn Progress>) -> Self {
        Self { began: Instant::now(), next, state: Mutex::default() }
    }

    /// What has happened so far. Work that has not ended counts up to now.
    pub(crate) fn timeline(&self) -> Timeline {
        let now = self.began.elapsed().as_secs_f64();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let open: Vec<i32> = state.open_work.keys().copied().collect();
        open.into_iter().for_each(|connection| state.end_work(connection, now));
        let open: Vec<Step> = state.open_steps.keys().copied().collect();
        open.into_iter().for_each(|step| state.end_step(step, now));
        let mut timeline = state.timeline.clone();
        timeline.steps.sort_by(|a, b| a.began.total_cmp(&b.began));
        timeline
    }
}

impl State {
    fn end_step(&mut self, step: Step, now: f64) {
        if let Some(began) = self.open_steps.remove(&step) {
            self.timeline.steps.push(Piece { what: step.to_string(), began, took: now - began });
        }
    }

    fn end_work(&mut self, connection: i32, now: f64) {
        let Some((what, began)) = self.open_work.remove(&connection) else { return };
        self.pieces += 1;
        if self.pieces > MOST_PIECES {
            self.timeline.is_cut = true;
            return;
        }
        let lanes = &mut self.timeline.connections;
        let place = lanes.iter().position(|lane| lane.connection == connection).unwrap_or_else(|| {
            lanes.push(Lane { connection, work: Vec::new() });
            lanes.len() - 1
        });
        if let Some(lane) = lanes.get_mut(place) {
            lane.work.push(Piece { what, began, took: now - began });
        }
    }
}

impl Progress for Recorder {
    fn event(&self, event: &Event<'_>) {
        let now = self.began.elapsed().as_secs_f64();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::StepBegan { step } => drop(state.open_steps.insert(*step, now)),
            Event::StepEnded { step, .. } => state.end_step(*step, now),
            Event::WorkBegan { connection, work } => {
                state.open_work.insert(*connection, ((*work).to_owned(), now));
            }
            Event::WorkEnded { connection } => state.end_work(*connection, now),
            Event::Waiting { what, limit, .. } => {
                let (what, limit) = ((*what).to_owned(), limit.as_secs_f64());
                state.timeline.waits.push(Wait { what, began: now, limit });
            }
            _ => {}
        }
        drop(state);
        self.next.event(event);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pgmig_core::progress::NoProgress;

    #[test]
    fn work_is_noted_by_connection_and_open_work_ends_now() {
        let recorder = Recorder::new(Arc::new(NoProgress));
        let began = |connection, work| recorder.event(&Event::WorkBegan { connection, work });
        recorder.event(&Event::StepBegan { step: Step::Data });
        began(7, "rows of a");
        began(8, "rows of a");
        recorder.event(&Event::WorkEnded { connection: 7 });
        began(7, "INDEX b");
        let timeline = recorder.timeline();
        let works: Vec<(i32, usize)> =
            timeline.connections.iter().map(|lane| (lane.connection, lane.work.len())).collect();
        assert_eq!(works, [(7, 2), (8, 1)]);
        assert_eq!(timeline.steps.len(), 1);
        assert_eq!(timeline.of_tables().keys().copied().collect::<Vec<_>>(), ["a"]);
        assert!(timeline.end() > 0.0);
    }
}
