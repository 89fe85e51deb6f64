//! The questions about each instance, and the meaning of the answers. This module reads and writes nothing itself.

use super::card;
use crate::output::{Text, count, len};
use pgmig_core::backup::Holdings;
use pgmig_core::instance::{Candidate, Instance, InstanceId, MappingDraft, MappingError};
use std::collections::HashSet;

/// The number of candidates in one list.
const PAGE: usize = 20;

/// Numbers with more digits are searched for in IDs.
const MAX_NUMBER_DIGITS: usize = 5;

/// Asks about each instance that is not mapped yet, one after the other.
pub(super) struct Interview<'a, 'h> {
    draft: MappingDraft<'a>,
    /// The draft before each answer, for going back.
    earlier: Vec<MappingDraft<'a>>,
    /// All candidates that were free at the beginning. Each keeps its number: its place here, from 1.
    candidates: Vec<Candidate>,
    holdings: &'h Holdings,
    /// The number of all questions.
    total: usize,
    /// How many candidates `?` has listed for the present question.
    listed: usize,
}

/// The effect of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// The answer was accepted. The next question follows.
    Next,
    /// The requested list, or the reason why the answer was refused. The same question follows.
    Again(Text),
}

impl Reply {
    /// A reply of one line. The same question follows.
    fn again(line: String) -> Self {
        Self::Again(Text::of(line))
    }
}

impl<'a, 'h> Interview<'a, 'h> {
    pub(super) fn new(draft: MappingDraft<'a>, holdings: &'h Holdings) -> Self {
        let (total, candidates) = (draft.open().len(), draft.free().to_vec());
        Self { draft, earlier: Vec::new(), candidates, holdings, total, listed: 0 }
    }

    pub(super) fn draft(&self) -> &MappingDraft<'a> {
        &self.draft
    }

    pub(super) fn into_draft(self) -> MappingDraft<'a> {
        self.draft
    }

    /// The present instance and its candidates. `None` when all instances are mapped.
    pub(super) fn question(&mut self) -> Option<Text> {
        let instance = self.instance()?;
        let number = self.total.saturating_sub(self.draft.open().len()).saturating_add(1);
        let mut text = Text::new();
        text.title(&format!("Instance {number} of {} of the backup", self.total));
        text.append(&card::summary(instance, self.holdings));
        self.listed = 0;
        let free: Vec<_> = self.free().collect();
        if free.len() <= PAGE {
            text.line("Provisioned instances that are free:");
            text.append(&card::candidates(free.into_iter()));
            return Some(text);
        }
        text.line(format!(
            "{} provisioned instances are free: ? lists them, a part of a name or ID finds those that have it",
            count(len(&free))
        ));
        if let Some((number, candidate)) = self.suggestion() {
            text.line("The most likely one:");
            text.append(&card::candidates([(number, candidate)].into_iter()));
        }
        Some(text)
    }

    /// The prompt for an answer.
    pub(super) fn prompt(&self) -> String {
        let label = self.instance().map(card::label).unwrap_or_default();
        let enter = match self.suggestion() {
            Some((number, _)) => format!("Enter for {number}, "),
            None => String::new(),
        };
        let back = if self.earlier.is_empty() { "" } else { ", b to go back" };
        format!("Target of {label} ({enter}0 for details{back}): ")
    }

    pub(super) fn answer(&mut self, answer: &str) -> Reply {
        let answer = answer.trim();
        let number = answer.parse::<usize>().ok().filter(|_| answer.len() <= MAX_NUMBER_DIGITS);
        match (answer, number) {
            ("", _) => match self.suggestion() {
                Some((_, candidate)) => self.choose(candidate.id),
                None => Reply::again(format!("There is no default here. {}", self.expected())),
            },
            ("?", _) => Reply::Again(self.next_page()),
            ("b" | "B", _) => self.back(),
            (_, Some(0)) => Reply::Again(self.details()),
            (_, Some(number)) => match self.candidates.get(number.saturating_sub(1)) {
                Some(candidate) => self.choose(candidate.id),
                None => Reply::again(format!("There is no number {number}. {}", self.expected())),
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

    /// The suggested candidate and its number.
    fn suggestion(&self) -> Option<(usize, &Candidate)> {
        let suggested = self.draft.suggestion(self.instance()?)?;
        self.free().find(|(_, candidate)| candidate.id == suggested.id)
    }

    fn choose(&mut self, target: InstanceId) -> Reply {
        let Some(instance) = self.instance() else { return Reply::Next };
        let before = self.draft.clone();
        match self.draft.assign(instance.id, target) {
            Ok(()) => {
                self.earlier.push(before);
                Reply::Next
            }
            Err(MappingError::DuplicatePair { .. }) => {
                let free = self.expected();
                Reply::again(format!("{target} is not free: another instance of the backup has it. {free}"))
            }
            Err(error) => Reply::again(format!("Not possible: {error}.")),
        }
    }

    /// Takes the last answer back. Its question follows.
    pub(super) fn back(&mut self) -> Reply {
        match self.earlier.pop() {
            Some(earlier) => {
                self.draft = earlier;
                Reply::Next
            }
            None => Reply::again("This is the first question.".to_owned()),
        }
    }

    /// The free candidates with their numbers.
    fn free(&self) -> impl Iterator<Item = (usize, &Candidate)> {
        let free: HashSet<InstanceId> = self.draft.free().iter().map(|candidate| candidate.id).collect();
        (1..).zip(&self.candidates).filter(move |(_, candidate)| free.contains(&candidate.id))
    }

    fn details(&self) -> Text {
        self.instance().map(|instance| card::details(instance, self.holdings)).unwrap_or_default()
    }

    /// The next candidates. After the last ones, the list begins again.
    fn next_page(&mut self) -> Text {
        let free: Vec<_> = self.free().collect();
        let begin = if self.listed >= free.len() { 0 } else { self.listed };
        let mut text = card::candidates(free.iter().copied().skip(begin).take(PAGE));
        let end = free.len().min(begin.saturating_add(PAGE));
        if end < free.len() {
            let more = count(len(free.get(end..).unwrap_or_default()));
            text.line(format!("{more} more: ? lists the next ones"));
        }
        self.listed = end;
        text
    }

    /// The candidates whose name or ID contains `part`.
    fn find(&self, part: &str) -> Text {
        let lower = part.to_lowercase();
        let has = |candidate: &Candidate| {
            let name = candidate.name.as_ref().is_some_and(|name| name.to_lowercase().contains(&lower));
            name || candidate.id.to_string().contains(&lower)
        };
        let found: Vec<_> = self.free().filter(|(_, candidate)| has(candidate)).collect();
        if found.is_empty() {
            let part = card::quoted(part);
            return Text::of(format!("No free instance has {part} in its name or ID. {}", self.expected()));
        }
        let mut text = card::candidates(found.iter().copied().take(PAGE));
        if found.len() > PAGE {
            let more = count(len(found.get(PAGE..).unwrap_or_default()));
            text.line(format!("{more} more have it, too"));
        }
        text
    }

    fn expected(&self) -> String {
        "Type the number of a free one, ? for the list, or 0 for details.".to_owned()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use pgmig_core::instance::{Alias, Mapping};

    fn id(number: u128) -> InstanceId {
        InstanceId::from_number(number).unwrap()
    }

    fn instance(number: u128, name: Option<&str>) -> Instance {
        let name = name.map(str::to_owned);
        Instance { id: id(number), aliases: vec![], name, region: None, deleted: false }
    }

    /// Candidates 101, 102, ... named `name-101`, `name-102`, ...
    fn candidates(count: u128) -> Vec<Candidate> {
        (101..101 + count).map(|n| Candidate { id: id(n), name: Some(format!("name-{n}")) }).collect()
    }

    /// Answers the questions about these instances. Returns the replies and the final mapping.
    fn interview(
        instances: &[Instance],
        candidates: Vec<Candidate>,
        answers: &[&str],
    ) -> (Vec<String>, Vec<String>) {
        let draft = MappingDraft::new(&Mapping::default(), instances, &[], candidates).unwrap();
        let holdings = Holdings::default();
        let mut interview = Interview::new(draft, &holdings);
        let mut replies = Vec::new();
        interview.question().unwrap();
        for answer in answers {
            match interview.answer(answer) {
                Reply::Next => drop(interview.question()),
                Reply::Again(reply) => replies.push(reply.as_str().to_owned()),
            }
        }
        let mapping = interview.into_draft().into_mapping();
        (replies, mapping.pairs().iter().map(|(_, target)| target.number().unwrap()).collect())
    }

    #[test]
    fn an_answer_is_a_number_an_id_or_nothing() {
        let backup = [instance(1, Some("name-103")), instance(2, None), instance(3, None)];
        let braced = format!(" {{{}}} ", id(102));
        let (replies, targets) = interview(&backup, candidates(4), &["", "1", &braced]);
        assert_eq!((replies.len(), targets), (0, ["103", "101", "102"].map(str::to_owned).to_vec()));
    }

    #[test]
    fn wrong_answers_have_reasons_and_choose_nothing() {
        let mut backup = [instance(1, None), instance(9, None)];
        backup[1].deleted = true;
        backup[0].aliases = vec![Alias::Number("1".to_owned())];
        let unnumbered: InstanceId = "e10001eb-6272-453a-bb43-3dcf0e765892".parse().unwrap();
        let mut there = candidates(2);
        there.push(Candidate { id: unnumbered, name: None });
        let (deleted, taken) = (id(9).to_string(), id(77).to_string());
        for (answer, reason) in [
            ("", "There is no default here"),
            ("4", "There is no number 4. Type the number of a free one"),
            ("00004", "There is no number 4"),
            ("-1", "-"),
            ("99999999999999999999999", "No free instance has"),
            ("x", "No free instance has \"x\" in its name or ID"),
            ("\u{1b}[2J", "\"\\u{1b}[2J\""),
            (deleted.as_str(), "another instance of the backup"),
            (taken.as_str(), "is not free"),
            ("3", "Not possible: "),
        ] {
            let (replies, targets) = interview(&backup, there.clone(), &[answer]);
            assert!(replies.concat().contains(reason), "{answer:?}: {replies:?}");
            assert!(targets.is_empty(), "{answer:?}");
        }
    }

    #[test]
    fn numbers_stay_and_answers_can_be_taken_back() {
        let backup = [instance(1, None), instance(2, None), instance(3, None)];
        // A number that is taken chooses nothing, and so do three equal answers.
        let (replies, targets) = interview(&backup, candidates(4), &["1", "1", "1"]);
        assert!(replies.iter().all(|reply| reply.contains("is not free: another instance")), "{replies:?}");
        assert_eq!((replies.len(), targets.len()), (2, 1));
        let (replies, targets) = interview(&backup, candidates(4), &["b", "2", "1", "b", "b", "3", "1", "4"]);
        assert_eq!(
            (replies, targets),
            (
                vec!["This is the first question.\n".to_owned()],
                ["103", "101", "104"].map(str::to_owned).to_vec(),
            )
        );
    }

    #[test]
    fn the_list_goes_round_in_pages() {
        let backup = [instance(1, None)];
        let (replies, _) = interview(&backup, candidates(45), &["?", "?", "?", "?"]);
        let firsts: Vec<bool> = replies.iter().map(|page| page.contains("\"name-101\"")).collect();
        assert_eq!(firsts, [true, false, false, true]);
        assert_eq!(
            replies.iter().map(|page| page.matches("name-").count()).collect::<Vec<_>>(),
            [20, 20, 5, 20]
        );
        let (replies, _) = interview(&backup, candidates(45), &["NAME-10", "000145"]);
        assert_eq!(replies.iter().map(|found| found.matches("name-").count()).collect::<Vec<_>>(), [9, 1]);
    }
}
