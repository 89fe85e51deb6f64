//! What is asked about each instance, and what the answers mean. Reads and writes nothing itself.

use super::card;
use crate::output::{count, len};
use pgmig_core::instance::{Candidate, Instance, InstanceId, MappingDraft};
use pgmig_core::restore::Holdings;

/// How many candidates are listed at once.
const PAGE: usize = 20;

/// Numbers with more digits are looked for in IDs.
const MAX_NUMBER_DIGITS: usize = 5;

/// Goes through the instances that are not mapped yet, one question after the other.
pub(super) struct Interview<'a, 'h> {
    draft: MappingDraft<'a>,
    holdings: &'h Holdings,
    /// How many questions there are in all.
    total: usize,
    /// How many candidates `?` has listed of the current question.
    listed: usize,
}

/// What follows from an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// It was taken: on to the next question.
    Next,
    /// What was asked for, or why it was not taken; the same question is asked again.
    Again(String),
}

impl<'a, 'h> Interview<'a, 'h> {
    pub(super) fn new(draft: MappingDraft<'a>, holdings: &'h Holdings) -> Self {
        let total = draft.open().len();
        Self { draft, holdings, total, listed: 0 }
    }

    pub(super) fn draft(&self) -> &MappingDraft<'a> {
        &self.draft
    }

    pub(super) fn into_draft(self) -> MappingDraft<'a> {
        self.draft
    }

    /// The instance that is asked about and what it may become; `None` when all are mapped.
    pub(super) fn question(&mut self) -> Option<String> {
        let instance = self.instance()?;
        let number = self.total.saturating_sub(self.draft.open().len()).saturating_add(1);
        let mut text = format!("\nInstance {number} of {} of the backup\n", self.total);
        text += &card::summary(instance, self.holdings);
        let free = self.draft.free();
        if free.len() <= PAGE {
            text += "Provisioned instances that are free:\n";
            text += &card::candidates(numbered(free));
            return Some(text);
        }
        text += &format!("{} provisioned instances are free: ", count(len(free)));
        text += "? lists them, a part of a name or ID finds those that have it\n";
        if let Some((number, candidate)) = self.suggestion() {
            text += "The most likely one:\n";
            text += &card::candidates([(number, candidate)].into_iter());
        }
        self.listed = 0;
        Some(text)
    }

    /// The line that waits for the answer.
    pub(super) fn prompt(&self) -> String {
        let label = self.instance().map(card::label).unwrap_or_default();
        let enter = match self.suggestion() {
            Some((number, _)) => format!("Enter for {number}, "),
            None => String::new(),
        };
        format!("Target of {label} ({enter}0 for details): ")
    }

    pub(super) fn answer(&mut self, answer: &str) -> Reply {
        let answer = answer.trim();
        let number = answer.parse::<usize>().ok().filter(|_| answer.len() <= MAX_NUMBER_DIGITS);
        match (answer, number) {
            ("", _) => match self.suggestion() {
                Some((_, candidate)) => self.choose(candidate.id),
                None => Reply::Again(format!("There is no default here. {}", self.expected())),
            },
            ("?", _) => Reply::Again(self.next_page()),
            (_, Some(0)) => Reply::Again(self.details()),
            (_, Some(number)) => match self.draft.free().get(number.saturating_sub(1)) {
                Some(candidate) => self.choose(candidate.id),
                None => Reply::Again(format!("There is no number {number}. {}", self.expected())),
            },
            (_, None) => match answer.parse::<InstanceId>() {
                Ok(id) => self.choose(id),
                Err(_) => Reply::Again(self.find(answer)),
            },
        }
    }

    fn instance(&self) -> Option<&'a Instance> {
        self.draft.open().first().copied()
    }

    /// The suggestion and its number.
    fn suggestion(&self) -> Option<(usize, &Candidate)> {
        let suggested = self.draft.suggestion(self.instance()?)?;
        numbered(self.draft.free()).find(|(_, candidate)| candidate.id == suggested.id)
    }

    fn choose(&mut self, target: InstanceId) -> Reply {
        let Some(instance) = self.instance() else { return Reply::Next };
        let is_free = self.draft.free().iter().any(|candidate| candidate.id == target);
        match self.draft.assign(instance.id, target) {
            Ok(()) => {
                self.listed = 0;
                Reply::Next
            }
            Err(error) if is_free => Reply::Again(format!("Not possible: {error}.")),
            Err(_) => Reply::Again(format!("{target} is not free. {}", self.expected())),
        }
    }

    fn details(&self) -> String {
        self.instance().map(|instance| card::details(instance, self.holdings)).unwrap_or_default()
    }

    /// The next candidates; after the last ones, the first ones again.
    fn next_page(&mut self) -> String {
        let free = self.draft.free();
        if self.listed >= free.len() {
            self.listed = 0;
        }
        let mut text = card::candidates(numbered(free).skip(self.listed).take(PAGE));
        let end = free.len().min(self.listed.saturating_add(PAGE));
        if end < free.len() {
            text +=
                &format!("{} more: ? lists the next ones", count(len(free.get(end..).unwrap_or_default())));
        }
        self.listed = end;
        text
    }

    /// The candidates with `part` in their name or ID.
    fn find(&self, part: &str) -> String {
        let lower = part.to_lowercase();
        let has = |candidate: &Candidate| {
            let name = candidate.name.as_ref().is_some_and(|name| name.to_lowercase().contains(&lower));
            name || candidate.id.to_string().contains(&lower)
        };
        let found: Vec<_> = numbered(self.draft.free()).filter(|(_, candidate)| has(candidate)).collect();
        if found.is_empty() {
            return format!(
                "No free instance has {} in its name or ID. {}",
                card::quoted(part),
                self.expected()
            );
        }
        let mut text = card::candidates(found.iter().copied().take(PAGE));
        if found.len() > PAGE {
            text += &format!("{} more have it, too", count(len(found.get(PAGE..).unwrap_or_default())));
        }
        text
    }

    fn expected(&self) -> String {
        let most = match self.draft.free().len() {
            1 => "the number 1".to_owned(),
            most => format!("a number from 1 to {most}"),
        };
        format!("Type {most}, ? for the list, or 0 for details.")
    }
}

/// With their numbers, from 1.
fn numbered(candidates: &[Candidate]) -> impl Iterator<Item = (usize, &Candidate)> {
    (1..).zip(candidates)
}
