//! A room for faults: a server, two archives, and a target for each login and strategy.

use super::disk::Disk;
use super::fault::Kind;
use super::judge;
use super::tally::{Promise, Struck, Wrong};
use crate::hostile::vector::lines_that_differ;
use crate::hostile::world::{ATTACKER, OTHER, Setting, World};
use crate::support::pgmig::TargetFile;
use crate::support::random::Random;
use crate::support::server::PrivateServer;
use crate::support::untouched::databases_beside;
use crate::support::{Database, Pgmig};
use std::cell::Cell;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The room.
pub(super) struct Room {
    world: World,
    pub(super) disk: Disk,
    archives: [PathBuf; 2],
    /// In a vector, because a fault changes what is known of its target.
    targets: Vec<Target>,
    /// What the target of each content looks like.
    states: Vec<(Content, String)>,
    /// Everything beside the contents of the targets: no restore changes it.
    cluster: String,
}

/// A target, which holds one of the contents at any time.
pub(super) struct Target {
    pub(super) setting: Setting,
    pub(super) database: Database,
    pub(super) content: Content,
    /// How long a restore into it takes that nothing disturbs.
    pub(super) took: Duration,
    /// How many bytes such a restore sends and receives.
    pub(super) bytes: Cell<u64>,
}

/// What is restored: one of two archives, with the IDs of its instances or with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) archive: usize,
    pub(super) is_mapped: bool,
}

/// What a target holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Before,
    Restored,
    Neither(String),
}

impl Content {
    const ALL: [Self; 4] = [Self::new(0, false), Self::new(1, false), Self::new(0, true), Self::new(1, true)];

    const fn new(archive: usize, is_mapped: bool) -> Self {
        Self { archive, is_mapped }
    }

    /// Another archive, so that before and restored differ.
    fn next(self, random: &mut Random) -> Self {
        Self::new(1 - self.archive, random.once_in(2))
    }
}

impl Room {
    /// Starts the server, and fills each target by a restore that nothing disturbs.
    pub(super) fn start() -> Self {
        let mut world = World::start();
        let disk = Disk::of(&mut world.server);
        let archives = [0, 1].map(|number| archive(&world, number));
        let mut room =
            Self { targets: Vec::new(), states: Vec::new(), cluster: String::new(), world, disk, archives };
        for (setting, content) in Setting::ALL.iter().zip(Content::ALL) {
            let database = room.world.target();
            let (took, bytes) = (Duration::ZERO, Cell::new(300_000));
            let mut target = Target { setting: *setting, database, content, took, bytes };
            let begun = Instant::now();
            room.command(&target, content).run().expect_status(0);
            target.took = begun.elapsed();
            let state = room.state(&target);
            room.states.push((content, state));
            room.targets.push(target);
        }
        room.cluster = room.world.cluster();
        room
    }

    pub(super) fn server(&self) -> &PrivateServer {
        &self.world.server
    }

    /// The version of the server.
    pub(super) fn version(&self) -> String {
        let version = self.server().psql("postgres", "SHOW server_version");
        version.split_whitespace().next().expect("it has a number").to_owned()
    }

    /// The target's file.
    pub(super) fn file(&self, target: &Target) -> TargetFile {
        self.world.file(target.setting, &target.database)
    }

    /// A restore of this content.
    pub(super) fn command(&self, target: &Target, content: Content) -> Pgmig {
        self.command_with(&self.file(target), target, content)
    }

    /// A restore of this content, by another file of the target.
    pub(super) fn command_with(&self, file: &TargetFile, target: &Target, content: Content) -> Pgmig {
        let strategy = if target.setting.is_swap() { "swap" } else { "in-place" };
        let pgmig =
            Pgmig::new().target(file).args(["--force", "--schema", "archive", "--strategy", strategy]);
        let pgmig = pgmig.source(&self.archives[content.archive]).timeout(Duration::from_secs(300));
        if !content.is_mapped {
            return pgmig.arg("--keep-ids");
        }
        let pairs = [1, 2, 3].map(|number| (tenant(number), tenant(number + 10)));
        let pairs: Vec<_> = pairs.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
        pgmig.mapping(&pairs)
    }

    /// Injects a fault, judges what came of it, and mostly runs pgmig once more.
    pub(super) fn strike(&mut self, seed: u64, kind: Kind) -> Struck {
        let mut random = Random::new(seed);
        // The number that chose the kind.
        random.next();
        let index = random.below(self.targets.len());
        let (mut wrong, mut early) = (Vec::new(), 1.05);
        loop {
            let target = &self.targets[index];
            let (before, content) = (target.content, target.content.next(&mut random));
            let ended = kind.inject(self, target, content, &mut random, early);
            self.ensure_server();
            if let Some(session) = self.sessions_that_stay() {
                wrong.push(Wrong { promise: Promise::Leftover, details: format!("session {session}") });
            }
            let found = self.found(target, before, content);
            wrong.extend(judge::judge(kind, &ended, &found, &self.server().password));
            let how = format!("{}, {content:?}, {}", target.setting.name(), ended.how);
            let is_restored = found == Found::Restored;
            if is_restored {
                self.targets[index].content = content;
            }
            if ended.struck.is_none() && wrong.is_empty() && early > 0.1 {
                early *= 0.7;
                continue;
            }
            let ran_again = !wrong.is_empty() || !random.once_in(4);
            if ran_again {
                wrong.extend(self.run_again(index, content));
            }
            let ends = ended.outcomes.iter().map(judge::end).collect();
            return Struck { seed, kind, how, ends, is_restored, took: ended.took, ran_again, wrong };
        }
    }

    /// A run that nothing disturbs, and all that it must not leave.
    fn run_again(&mut self, index: usize, content: Content) -> Vec<Wrong> {
        let begun = Instant::now();
        let outcome = self.command(&self.targets[index], content).spawn().end();
        let took = begun.elapsed();
        let target = &mut self.targets[index];
        let before = std::mem::replace(&mut target.content, content);
        let mut wrong = Vec::new();
        let mut add = |details: String| wrong.push(Wrong { promise: Promise::Leftover, details });
        match outcome {
            Ok(outcome) if outcome.status.code() == Some(0) => target.took = target.took.min(took),
            Ok(outcome) => add(format!("the next run fails: {outcome}")),
            Err(stderr) => add(format!("the next run does not end: {stderr}")),
        }
        let target = &self.targets[index];
        match self.found(target, before, content) {
            Found::Restored => {}
            found => add(format!("after the next run: {found:?}")),
        }
        let left = databases_beside(&target.database);
        if !left.is_empty() {
            add(format!("databases: {left}"));
        }
        let cluster = self.world.cluster();
        if cluster != self.cluster {
            add(lines_that_differ(&self.cluster, &cluster));
        }
        wrong
    }

    /// Which of both contents the target holds.
    fn found(&self, target: &Target, before: Content, content: Content) -> Found {
        let state = self.state(target);
        let of =
            |wanted: Content| &self.states.iter().find(|(of, _)| *of == wanted).expect("all are known").1;
        if state == *of(content) {
            return Found::Restored;
        }
        if state == *of(before) {
            return Found::Before;
        }
        let difference = lines_that_differ(of(before), &state);
        Found::Neither(difference.chars().take(3000).collect())
    }

    /// All of the target, without the order of its rows.
    fn state(&self, target: &Target) -> String {
        let dump = self.world.dump(&target.database);
        let mut lines: Vec<&str> = dump.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    }

    /// Starts the server if it has not come back by itself.
    pub(super) fn ensure_server(&self) {
        let begun = Instant::now();
        while !self.server().try_psql("postgres", "SELECT 1").status.success() {
            if begun.elapsed() > Duration::from_secs(10) {
                self.server().start_again();
            }
            sleep(Duration::from_millis(100));
        }
    }

    /// A session that does not end soon after its run.
    fn sessions_that_stay(&self) -> Option<String> {
        let sql = "SELECT pid, usename, state, wait_event, left(query, 200) FROM pg_stat_activity WHERE application_name ~ '^pgmig'";
        let begun = Instant::now();
        loop {
            let sessions = self.server().psql("postgres", sql);
            if sessions.is_empty() {
                return None;
            }
            if begun.elapsed() > Duration::from_secs(30) {
                let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ '^pgmig'";
                self.server().psql("postgres", end);
                return Some(sessions);
            }
            sleep(Duration::from_millis(50));
        }
    }
}

/// The ID of an instance.
fn tenant(number: usize) -> String {
    format!("00000000-0000-0000-0000-{number:012}")
}

/// A store with something of everything, in two versions.
fn archive(world: &World, number: usize) -> PathBuf {
    let source = world.source();
    let rows = 1500 + 300 * number;
    let sql = format!(
        "CREATE TABLE public.tenant (tenant_id uuid PRIMARY KEY, name text, region text, deleted boolean);
         INSERT INTO public.tenant SELECT ('{}' || n)::uuid, 'tenant ' || n, 'eu', false FROM generate_series(1, 3) n;
         CREATE TABLE public.event (id serial PRIMARY KEY, tenant_id uuid REFERENCES public.tenant, note text, body text);
         INSERT INTO public.event (tenant_id, note, body) SELECT ('{}' || n % 3 + 1)::uuid, md5(n::text), repeat('{number}', n % 99)
             FROM generate_series(1, {rows}) n;
         CREATE INDEX ON public.event (note); CREATE TABLE public.small_{number} AS SELECT n FROM generate_series(1, 10) n;
         CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TRIGGER tr BEFORE UPDATE ON public.event FOR EACH ROW EXECUTE FUNCTION public.f();
         CREATE VIEW public.v AS SELECT count(*) FROM public.event;
         CREATE MATERIALIZED VIEW public.m AS SELECT tenant_id, count(*) FROM public.event GROUP BY 1;
         SELECT lo_from_bytea(4242 + {number}, decode(repeat('00ff5c', 3000), 'hex'));
         GRANT SELECT ON public.event TO {OTHER};",
        &tenant(0)[..35],
        &tenant(0)[..35],
    );
    world.psql_as(ATTACKER, &source, &sql);
    let path = world.directory.path().join(format!("archive_{number}.dump"));
    source.dump_through_pipe(&[], &path);
    path
}
