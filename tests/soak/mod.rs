//! Random faults, one after the other: after each of them the target is as before or completely restored, the exit status says
//! which, pgmig has ended in time, and the next run leaves nothing behind.
//!
//! A seed determines the faults. The moment at which one of them strikes also depends on the machine.
//! `PGMIG_SOAK_SEED` and `PGMIG_SOAK_FAULTS` choose seed and number: each fault has a seed of its own, which is printed, so
//! one fault can be repeated alone. `PGMIG_SOAK_MINUTES` ends the run early; the table says how many faults there were.

mod disk;
mod fault;
mod judge;
mod network;
mod room;
mod settings;
mod tally;
mod traffic;

use crate::support::random::Random;
use fault::Kind;
use room::Room;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tally::Tally;

/// Rooms in which faults happen at the same time, unless `PGMIG_SOAK_ROOMS` says another number. Most of a fault's time is
/// waiting.
const ROOMS: u64 = 2;

/// In `make soak`, and in no other run.
#[test]
fn random_faults() {
    let faults = number("PGMIG_SOAK_FAULTS").unwrap_or(1000);
    let seed = first_seed();
    let planned: Vec<_> = (seed..).take(usize::try_from(faults).unwrap()).collect();
    let planned: Vec<_> = planned.into_iter().map(|seed| (seed, Kind::of(&mut Random::new(seed)))).collect();
    let time =
        number("PGMIG_SOAK_MINUTES").map_or(Duration::MAX, |minutes| Duration::from_secs(60 * minutes));
    soak(&planned, time);
}

/// The faults that are injected whatever the time.
const AT_LEAST: usize = 4;

/// In `make test`: each kind once, in a random order, as many of them as the time allows.
#[test]
fn a_fault_of_each_kind() {
    let mut planned: Vec<(u64, Kind)> = Vec::new();
    for seed in first_seed().. {
        let kind = Kind::of(&mut Random::new(seed));
        if planned.iter().all(|(_, known)| *known != kind) {
            planned.push((seed, kind));
        }
        if planned.len() == Kind::ALL.len() {
            break;
        }
    }
    soak(&planned, Duration::from_secs(15));
}

/// Injects these faults, and prints the table of what came of them. After this time, it injects only the first of them.
#[track_caller]
#[allow(clippy::print_stdout, reason = "the seed, and the table")]
fn soak(planned: &[(u64, Kind)], time: Duration) {
    let (began, next, tally) = (Instant::now(), AtomicUsize::new(0), Mutex::new(Tally::default()));
    let work = || {
        let mut room = Room::start();
        let ready = Instant::now();
        loop {
            let number = next.fetch_add(1, Ordering::SeqCst);
            let Some((seed, kind)) = planned.get(number) else { break };
            if number >= AT_LEAST && ready.elapsed() > time {
                break;
            }
            let struck = room.strike(*seed, *kind);
            println!("{}", struck.line());
            tally.lock().unwrap().add(struck);
        }
        room.version()
    };
    let rooms = number("PGMIG_SOAK_ROOMS").unwrap_or(ROOMS);
    let version = std::thread::scope(|scope| {
        let rooms: Vec<_> = (0..rooms).map(|_| scope.spawn(work)).collect();
        let versions: Vec<_> = rooms.into_iter().map(|room| room.join().unwrap()).collect();
        versions.into_iter().next().unwrap()
    });
    let tally = tally.into_inner().unwrap();
    let seed = planned.first().unwrap().0;
    let table = tally.table(seed, &version, began.elapsed());
    println!("{table}");
    if let Some(file) = std::env::var_os("PGMIG_SOAK_TABLE") {
        std::fs::write(file, table).unwrap();
    }
    assert!(tally.wrong().is_empty(), "{}", tally.wrong());
}

fn first_seed() -> u64 {
    number("PGMIG_SOAK_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        Random::new(u64::from(now.subsec_nanos()) ^ now.as_secs()).next() % 1_000_000_000
    })
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok().filter(|value| !value.is_empty())?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {value}")))
}
