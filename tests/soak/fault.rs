//! The kinds of faults, and how each is injected into a run at a random moment.

use super::network::{Failure, Network};
use super::room::{Content, Room, Target};
use super::settings::Settings;
use super::traffic::Traffic;
use crate::support::pgmig::{Outcome, Running};
use crate::support::random::Random;
use std::fmt;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Killed,
    Terminated,
    Interrupted,
    ServerCrash,
    SessionsTerminated,
    StatementsCancelled,
    ConnectionsCut,
    NetworkSilent,
    DiskFull,
    TenRuns,
    ReadersAndWriters,
    HostileSettings,
}

/// A run, or ten of them, after the fault.
#[derive(Debug)]
pub(super) struct Ended {
    /// How each ended. One that did not end is its standard error.
    pub(super) outcomes: Vec<Result<Outcome, String>>,
    /// The moment of the fault, and more about it.
    pub(super) how: String,
    /// When the fault struck. `None` if the run was quicker.
    pub(super) struck: Option<Instant>,
    /// From the fault to the end.
    pub(super) took: Duration,
    /// What a reader of the target saw that was never in it.
    pub(super) seen: Vec<String>,
}

impl Kind {
    pub(super) const ALL: [Self; 12] = [
        Self::Killed,
        Self::Terminated,
        Self::Interrupted,
        Self::ServerCrash,
        Self::SessionsTerminated,
        Self::StatementsCancelled,
        Self::ConnectionsCut,
        Self::NetworkSilent,
        Self::DiskFull,
        Self::TenRuns,
        Self::ReadersAndWriters,
        Self::HostileSettings,
    ];

    /// One of them. Kinds whose moment decides come more often.
    pub(super) fn of(random: &mut Random) -> Self {
        let all: usize = Self::ALL.iter().map(|kind| kind.weight()).sum();
        let mut number = random.below(all);
        for kind in Self::ALL {
            match number.checked_sub(kind.weight()) {
                Some(rest) => number = rest,
                None => return kind,
            }
        }
        unreachable!("the number is below the sum of all weights")
    }

    fn weight(self) -> usize {
        match self {
            Self::Killed | Self::ConnectionsCut => 16,
            Self::SessionsTerminated => 12,
            Self::Terminated | Self::ServerCrash | Self::StatementsCancelled | Self::DiskFull => 10,
            Self::Interrupted => 6,
            Self::ReadersAndWriters | Self::HostileSettings => 4,
            Self::NetworkSilent | Self::TenRuns => 2,
        }
    }

    /// The time in which a run must end. What is promised for signals is 5 s on a machine that is not busy.
    pub(super) fn limit(self) -> Duration {
        Duration::from_secs(match self {
            Self::Killed | Self::Terminated | Self::Interrupted => 10,
            Self::NetworkSilent | Self::TenRuns => 120,
            _ => 90,
        })
    }

    /// The exit statuses that are possible. A commit's answer can be lost where the server or the network fails.
    pub(super) fn statuses(self) -> &'static [i32] {
        match self {
            Self::Killed | Self::HostileSettings => &[0],
            Self::Terminated | Self::Interrupted => &[0, 130],
            Self::StatementsCancelled => &[0, 1],
            Self::ServerCrash
            | Self::SessionsTerminated
            | Self::ConnectionsCut
            | Self::NetworkSilent
            | Self::DiskFull => &[0, 1, 5],
            Self::TenRuns | Self::ReadersAndWriters => &[0, 3],
        }
    }

    /// Injects the fault into a restore of this content. `early` shortens the time after which it strikes.
    pub(super) fn inject(
        self,
        room: &Room,
        target: &Target,
        content: Content,
        random: &mut Random,
        early: f64,
    ) -> Ended {
        let moment = target.took.mul_f64(fraction(random) * early);
        match self {
            Self::Killed => signalled(room, target, content, "KILL", moment),
            Self::Terminated => signalled(room, target, content, "TERM", moment),
            Self::Interrupted => signalled(room, target, content, "INT", moment),
            Self::ServerCrash => crashed(room, target, content, moment, random),
            Self::SessionsTerminated => {
                ended_by(room, target, content, moment, "pg_terminate_backend", random)
            }
            Self::StatementsCancelled => ended_by(room, target, content, moment, "pg_cancel_backend", random),
            Self::ConnectionsCut => {
                let pause = Duration::from_millis(random.below(3000) as u64);
                let failure = *random.pick(&[Failure::OneIsCut, Failure::AllAreCut(pause)]);
                through(room, target, content, moment, failure, random)
            }
            Self::NetworkSilent => through(room, target, content, moment, Failure::Silence, random),
            Self::DiskFull => on_a_full_disk(room, target, content, moment, random),
            Self::TenRuns => ten_runs(room, target, content),
            Self::ReadersAndWriters => with_traffic(room, target, content, random),
            Self::HostileSettings => with_settings(room, target, content, random),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Killed => "SIGKILL",
            Self::Terminated => "SIGTERM",
            Self::Interrupted => "SIGINT",
            Self::ServerCrash => "crash of the server",
            Self::SessionsTerminated => "pg_terminate_backend",
            Self::StatementsCancelled => "pg_cancel_backend",
            Self::ConnectionsCut => "connections cut",
            Self::NetworkSilent => "half-open connections",
            Self::DiskFull => "full disk",
            Self::TenRuns => "ten runs at once",
            Self::ReadersAndWriters => "readers and writers",
            Self::HostileSettings => "hostile settings",
        })
    }
}

/// A number from 0 to 1.
fn fraction(random: &mut Random) -> f64 {
    const STEPS: u32 = 10_000;
    f64::from(u32::try_from(random.below(STEPS as usize)).expect("small")) / f64::from(STEPS)
}

/// Waits for the moment, from when the run handles signals. Returns whether the run has not ended before.
fn wait_for(running: &mut Running, moment: Duration) -> bool {
    let begun = Instant::now();
    while !running.has_ended() && !running.is_listening() && begun.elapsed() < Duration::from_secs(20) {
        sleep(Duration::from_millis(1));
    }
    sleep(moment);
    !running.has_ended()
}

fn ended(running: Running, moment: Duration, struck: bool, since: Instant, more: &str) -> Ended {
    let outcome = running.end();
    Ended {
        outcomes: vec![outcome],
        how: format!("after {} ms{more}", moment.as_millis()),
        struck: struck.then_some(since),
        took: since.elapsed(),
        seen: Vec::new(),
    }
}

fn signalled(room: &Room, target: &Target, content: Content, signal: &str, moment: Duration) -> Ended {
    let mut running = room.command(target, content).spawn();
    let struck = wait_for(&mut running, moment);
    let since = Instant::now();
    if struck {
        running.signal(signal);
    }
    ended(running, moment, struck, since, "")
}

fn crashed(room: &Room, target: &Target, content: Content, moment: Duration, random: &mut Random) -> Ended {
    let pause = Duration::from_millis(random.below(2000) as u64);
    let mut running = room.command(target, content).spawn();
    let struck = wait_for(&mut running, moment);
    let since = Instant::now();
    if struck {
        room.server().crash();
        sleep(pause);
        room.server().start_again();
    }
    ended(running, moment, struck, since, &format!(", server back {} ms later", pause.as_millis()))
}

/// Calls this function for one session of pgmig, or for all of them.
fn ended_by(
    room: &Room,
    target: &Target,
    content: Content,
    moment: Duration,
    function: &str,
    random: &mut Random,
) -> Ended {
    let limit = *random.pick(&["1", "1", "ALL"]);
    let mut running = room.command(target, content).spawn();
    let mut struck = wait_for(&mut running, moment);
    let sql = format!(
        "SELECT {function}(pid) FROM pg_stat_activity WHERE application_name ~ '^pgmig' ORDER BY random() LIMIT {limit}"
    );
    while struck && room.server().psql("postgres", &sql).is_empty() {
        struck = !running.has_ended();
    }
    ended(running, moment, struck, Instant::now(), &format!(", sessions: {limit}"))
}

/// Half of the networks fail after a number of bytes, the others at a moment.
fn through(
    room: &Room,
    target: &Target,
    content: Content,
    moment: Duration,
    failure: Failure,
    random: &mut Random,
) -> Ended {
    let (has_tls, by_bytes) = (random.once_in(3), random.once_in(2));
    let part = fraction(random);
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a part of a number of bytes"
    )]
    let limit = if by_bytes { (part * target.bytes.get() as f64) as u64 } else { u64::MAX };
    let network = Network::start(room.server(), failure, limit);
    let file = network.target(room.file(target), has_tls);
    let mut command = room.command_with(&file, target, content);
    if failure == Failure::Silence {
        command = command.args(["--server-timeout", "3", "--commit-wait", "5"]);
    }
    let mut running = command.spawn();
    if !by_bytes && wait_for(&mut running, moment) {
        network.fail();
    }
    let outcome = running.end();
    let now = Instant::now();
    let struck = network.failed_at();
    if struck.is_none() {
        target.bytes.set(network.bytes());
    }
    network.end();
    let when =
        if by_bytes { format!("after {limit} bytes") } else { format!("after {} ms", moment.as_millis()) };
    Ended {
        outcomes: vec![outcome],
        how: format!("{when}, {failure:?}{}", if has_tls { ", TLS" } else { "" }),
        struck,
        took: now.saturating_duration_since(struck.unwrap_or(now)),
        seen: Vec::new(),
    }
}

fn on_a_full_disk(
    room: &Room,
    target: &Target,
    content: Content,
    moment: Duration,
    random: &mut Random,
) -> Ended {
    // A disk may be full for a moment, while something else writes to it.
    let for_a_moment = random.once_in(2).then(|| Duration::from_millis(random.below(500) as u64));
    let mut running = room.command(target, content).spawn();
    let struck = wait_for(&mut running, moment);
    let since = Instant::now();
    if !struck {
        return ended(running, moment, struck, since, "");
    }
    room.disk.fill();
    if let Some(duration) = for_a_moment {
        sleep(duration);
        room.disk.clear();
    }
    let ended = ended(running, moment, struck, since, &format!(", full for {for_a_moment:?}"));
    if for_a_moment.is_none() {
        room.disk.clear();
    }
    room.ensure_server();
    ended
}

fn ten_runs(room: &Room, target: &Target, content: Content) -> Ended {
    let since = Instant::now();
    let runs = [(); 10].map(|()| room.command(target, content).spawn());
    let outcomes = runs.into_iter().map(Running::end).collect();
    Ended { outcomes, how: String::new(), struck: Some(since), took: since.elapsed(), seen: Vec::new() }
}

fn with_traffic(room: &Room, target: &Target, content: Content, random: &mut Random) -> Ended {
    let traffic = Traffic::start(room, target, random);
    let since = Instant::now();
    let command = room.command(target, content).args(["--swap-wait", "5"]);
    let command = if traffic.ends_sessions { command.arg("--terminate-sessions") } else { command };
    let outcome = command.spawn().end();
    let took = since.elapsed();
    let (how, seen) = traffic.stop();
    Ended { outcomes: vec![outcome], how, struck: Some(since), took, seen }
}

fn with_settings(room: &Room, target: &Target, content: Content, random: &mut Random) -> Ended {
    let settings = Settings::set(room, target, random);
    let since = Instant::now();
    let outcome = room.command(target, content).spawn().end();
    let took = since.elapsed();
    let how = settings.reset(room);
    Ended { outcomes: vec![outcome], how, struck: Some(since), took, seen: Vec::new() }
}
