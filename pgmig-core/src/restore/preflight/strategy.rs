//! How the target is to be replaced: by a swap where that is possible, else in place.

use crate::error::Result;
use crate::progress::{Notice, NoticeCode};
use crate::restore::options::Strategy;
use crate::restore::options::{RestoreOptions, SchemaSource, StrategyChoice};
use crate::restore::preflight::facts::{in_place_rights, swap_rights};
use crate::restore::refusal::Refusal;
use crate::restore::state::properties::{self, Statement};
use crate::server::catalog::{self, DatabaseFacts, RoleFacts};
use crate::server::session::Session;
use crate::server::{TargetConfig, TargetError};

/// The strategy that is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) strategy: Strategy,
    /// Why, in one line.
    pub(crate) reason: String,
}

impl Decision {
    /// The reason for the decision, for the operator.
    pub(crate) fn notice(&self) -> Notice {
        let strategy = match self.strategy {
            Strategy::Swap => "swap",
            Strategy::InPlace => "in-place",
        };
        Notice::note(NoticeCode::Strategy, format!("strategy {strategy}: {}", self.reason))
    }
}

/// The obstacles to each strategy, each with its remedy.
#[derive(Debug, Default)]
pub(crate) struct Obstacles {
    pub(crate) swap: Vec<String>,
    pub(crate) in_place: Vec<String>,
}

impl Obstacles {
    /// Asks the server.
    ///
    /// # Errors
    ///
    /// The server cannot be asked.
    pub(crate) async fn of(
        control: &mut Session,
        maintenance: &str,
        config: &TargetConfig,
        target: &DatabaseFacts,
        roles: &RoleFacts,
    ) -> Result<Self> {
        let version = control.server_version();
        let mut swap = swap_rights(version, config, target, roles);
        swap.extend(catalog::swap_obstacles(control, target).await?);
        if maintenance == target.name {
            swap.push(format!(
                "su_username {} may not connect to another database (GRANT CONNECT ON DATABASE postgres)",
                config.su_username()
            ));
        }
        let mut in_place = in_place_rights(version, config, roles);
        in_place.extend(catalog::in_place_obstacles(control, target, config.username()).await?);
        Ok(Self { swap, in_place })
    }

    /// Tries, in a transaction that is rolled back, whether the target's own properties can be given to a database: a swap
    /// gives them to the target's successor.
    ///
    /// # Errors
    ///
    /// The server cannot be asked.
    pub(crate) async fn rehearse(
        &mut self,
        control: &mut Session,
        target: &DatabaseFacts,
        options: &RestoreOptions,
        is_superuser: bool,
    ) -> Result<()> {
        if !self.swap.is_empty() || options.strategy == StrategyChoice::InPlace {
            return Ok(());
        }
        let additions = properties::additions(control, target, is_superuser).await?;
        if additions.is_empty() {
            return Ok(());
        }
        let doing = "try to carry over what belongs to the target database";
        control.begin(doing).await?;
        let tried = run(control, additions).await;
        let undone = control.rollback(doing).await;
        match tried {
            Err(error) if error.is_lasting() => self.swap.push(cannot_carry_over(&error)),
            // Another session changes the target's properties at this moment. Later there is time to wait for it.
            Err(error) if error.is_answer() => {}
            tried => tried?,
        }
        undone?;
        Ok(())
    }

    /// Decides.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] if the requested strategy is not possible, or neither is.
    pub(crate) fn decide(
        self,
        options: &RestoreOptions,
        target: &DatabaseFacts,
        roles: &RoleFacts,
    ) -> Result<Decision, Refusal> {
        let database = target.name.clone();
        match (options.strategy, needs_swap(options)) {
            (StrategyChoice::InPlace, Some(option)) => Err(Refusal::NotInPlace(option)),
            (StrategyChoice::InPlace, None) => {
                in_place("StrategyChoice::InPlace asks for it".to_owned(), self.in_place, database)
            }
            (StrategyChoice::Auto, None) if !self.swap.is_empty() => {
                let reason = format!("a swap is not possible: {}", self.swap.join("; "));
                in_place(reason, self.in_place, database)
            }
            (choice, option) if !self.swap.is_empty() => {
                // Nobody asked for a swap by its name: say what demands it.
                let option = option.filter(|_| choice == StrategyChoice::Auto);
                let demand = option.map(|option| format!("{option} requires a swap"));
                Err(Refusal::CannotSwap { database, reasons: demand.into_iter().chain(self.swap).collect() })
            }
            (StrategyChoice::Swap, _) => Ok(swap("StrategyChoice::Swap asks for it".to_owned())),
            (StrategyChoice::Auto, _) => Ok(swap(why_swap(roles))),
        }
    }
}

async fn run(control: &mut Session, additions: Vec<Statement>) -> Result<(), TargetError> {
    control.execute("SET LOCAL lock_timeout = '2s'", "limit the wait for a lock").await?;
    properties::run(control, additions).await
}

/// The obstacle to a swap that a property of the target is.
pub(crate) fn cannot_carry_over(error: &TargetError) -> String {
    format!("{error}; use a superuser as su_username or StrategyChoice::InPlace, or take it from the target")
}

/// The option that takes a swap.
fn needs_swap(options: &RestoreOptions) -> Option<&'static str> {
    for (is_set, name) in [
        (options.keep_previous, "RestoreOptions::keep_previous"),
        (options.resume, "RestoreOptions::resume"),
        (options.keep_staging, "RestoreOptions::keep_staging"),
    ] {
        if is_set {
            return Some(name);
        }
    }
    (options.schema == SchemaSource::Target).then_some("SchemaSource::Target")
}

fn swap(reason: String) -> Decision {
    Decision { strategy: Strategy::Swap, reason }
}

fn in_place(reason: String, reasons: Vec<String>, database: String) -> Result<Decision, Refusal> {
    if reasons.is_empty() {
        Ok(Decision { strategy: Strategy::InPlace, reason })
    } else {
        Err(Refusal::CannotRestoreInPlace { database, reasons })
    }
}

fn why_swap(roles: &RoleFacts) -> String {
    let right =
        if roles.is_superuser { "is a superuser" } else { "may create databases and become their owners" };
    format!("su_username {} {right}, and nothing in the target stands in the way", roles.login)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::restore::options::Instances;

    /// The decision with these obstacles and these options.
    fn decide(
        swap: &[&str],
        in_place: &[&str],
        change: impl FnOnce(&mut RestoreOptions),
    ) -> Result<Decision, Refusal> {
        let mut options = RestoreOptions::new(Instances::Keep);
        change(&mut options);
        let lines = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect();
        let obstacles = Obstacles { swap: lines(swap), in_place: lines(in_place) };
        obstacles.decide(&options, &DatabaseFacts::default(), &RoleFacts::default())
    }

    #[test]
    fn auto_swaps_where_it_can() {
        let strategy = |swap: &[&str]| decide(swap, &[], |_| {}).unwrap();
        assert_eq!(strategy(&[]).strategy, Strategy::Swap);
        let decision = strategy(&["a slot", "no right"]);
        assert_eq!(decision.strategy, Strategy::InPlace);
        assert_eq!(decision.reason, "a swap is not possible: a slot; no right");
    }

    #[test]
    fn what_only_a_swap_can_do_is_not_done_in_place() {
        for change in [
            |options: &mut RestoreOptions| options.keep_previous = true,
            |options: &mut RestoreOptions| options.resume = true,
            |options: &mut RestoreOptions| options.keep_staging = true,
            |options: &mut RestoreOptions| options.schema = SchemaSource::Target,
            |options: &mut RestoreOptions| options.strategy = StrategyChoice::Swap,
        ] {
            assert!(matches!(decide(&["a slot"], &[], change), Err(Refusal::CannotSwap { .. })));
            assert_eq!(decide(&[], &["x"], change).unwrap().strategy, Strategy::Swap);
        }
        let refused = decide(&[], &[], |options| {
            options.keep_previous = true;
            options.strategy = StrategyChoice::InPlace;
        });
        assert!(matches!(refused, Err(Refusal::NotInPlace("RestoreOptions::keep_previous"))));
    }

    #[test]
    fn what_stands_in_the_way_of_in_place_is_said() {
        for strategy in [StrategyChoice::Auto, StrategyChoice::InPlace] {
            let refused = decide(&["a slot"], &["no right"], |options| options.strategy = strategy);
            assert!(
                matches!(refused, Err(Refusal::CannotRestoreInPlace { reasons, .. }) if reasons == ["no right"])
            );
        }
    }
}
