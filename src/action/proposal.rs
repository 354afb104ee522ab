//! A plan as people see it: what would be done, what has to be confirmed before, and why a service is refused.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{Action, Goal};

/// An action on one service as a confirmation, a dry run and the audit file show it. All text is cleaned and free of
/// secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProposedAction {
    pub(crate) service: String,
    pub(crate) action: Action,
    /// For example `shutdown route (waits for the end)`, `signal` or `command`.
    pub(crate) means: String,
    /// The exact request: `POST http://127.0.0.1:8000/health/shutdown`, `SIGTERM to pid 4711`, `systemctl stop api`.
    pub(crate) request: String,
    /// The signal that follows: `where it still runs 2s after its reply, SIGTERM to pid 4711`.
    pub(crate) after_reply: Option<String>,
    /// The request that takes the place of this one: `where that is not offered, SIGTERM to pid 4711`.
    pub(crate) otherwise: Option<String>,
    /// The start command that follows, where the request is only the first phase of a restart.
    pub(crate) then: Option<String>,
    /// The address and, where known, the pid and start of the process.
    pub(crate) target: String,
    pub(crate) timeout: Duration,
    /// The name has to be typed.
    pub(crate) protected: bool,
}

/// A plan as it is shown to those who have to agree to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Proposal {
    /// The actions in the order in which they begin. Empty where there is nothing to do.
    pub(crate) offers: Vec<ProposedAction>,
    /// Every step in order, as long as nothing fails.
    pub(crate) order: Vec<PlanStep>,
}

/// A step of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlanStep {
    pub(crate) service: String,
    pub(crate) goal: Goal,
}

/// An action that is not carried out, with the reason. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) service: String,
    pub(crate) action: Action,
    pub(crate) reason: String,
    pub(crate) hint: Option<String>,
    /// The process that a person may name all the same, once.
    pub(crate) nameable: Option<u32>,
}

impl Proposal {
    /// Returns all steps for people: `stop web, api, db; start db, api, web`.
    pub(crate) fn sequence(&self) -> String {
        let groups = self.order.chunk_by(|one, next| one.goal == next.goal);
        let groups: Vec<String> = groups
            .map(|steps| {
                let services: Vec<&str> = steps.iter().map(|step| step.service.as_str()).collect();
                format!("{} {}", steps[0].goal.as_str(), services.join(", "))
            })
            .collect();
        groups.join("; ")
    }

    /// Returns the steps of one service, each with its number in the whole order, from 1.
    pub(crate) fn steps_of<'a>(
        &'a self,
        service: &'a str,
    ) -> impl Iterator<Item = (usize, Goal)> + 'a {
        let numbered = (1..).zip(&self.order);
        numbered
            .filter(move |(_, step)| step.service == service)
            .map(|(number, step)| (number, step.goal))
    }
}

/// The consent that was given on the command line. Consent is never taken from the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Consent {
    /// `--yes`: every service that is not protected.
    pub(crate) yes: bool,
    /// `--confirm NAME`: these services, protected or not.
    pub(crate) confirmed: BTreeSet<String>,
}

/// The consent that is missing before anything may be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct MissingConsent {
    /// A yes to the whole plan.
    pub(crate) agree: bool,
    /// The names to be typed.
    pub(crate) type_names: Vec<String>,
}

impl Consent {
    /// Returns what still has to be confirmed.
    ///
    /// # Errors
    /// Returns a refusal for every service that is not confirmed, where there is nobody to ask.
    pub(crate) fn missing(
        &self,
        offers: &[ProposedAction],
        can_ask: bool,
    ) -> Result<MissingConsent, Vec<Refusal>> {
        let mut missing = MissingConsent::default();
        let mut refusals = Vec::new();
        for offer in offers {
            let named = self.confirmed.contains(&offer.service);
            if named || (self.yes && !offer.protected) {
                continue;
            }
            match (can_ask, offer.protected) {
                (true, true) => missing.type_names.push(offer.service.clone()),
                (true, false) => missing.agree = true,
                (false, true) => refusals.push(offer.refused(
                    "it is protected and was not confirmed by name",
                    Some(format!("`--confirm {}` confirms it", offer.service)),
                )),
                (false, false) => refusals.push(offer.refused(
                    "it was not confirmed, and there is no terminal to ask on",
                    Some("`--yes` confirms it, `--dry-run` only shows it".to_owned()),
                )),
            }
        }
        if refusals.is_empty() {
            Ok(missing)
        } else {
            Err(refusals)
        }
    }
}

impl ProposedAction {
    /// Returns the request with all that may be sent beside it: `POST http://…/stop; or, where that is not offered, SIGTERM
    /// to pid 4711`.
    pub(crate) fn request_in_full(&self) -> String {
        let mut text = self.request.clone();
        if let Some(after_reply) = &self.after_reply {
            text = format!("{text}; then, {after_reply}");
        }
        if let Some(otherwise) = &self.otherwise {
            text = format!("{text}; or, {otherwise}");
        }
        text
    }

    /// Returns the refusal of this action.
    pub(crate) fn refused(&self, reason: &str, hint: Option<String>) -> Refusal {
        Refusal {
            service: self.service.clone(),
            action: self.action,
            reason: reason.to_owned(),
            hint,
            nameable: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::samples;

    #[test]
    fn a_sequence_groups_the_steps_by_goal() {
        for (order, expected) in [
            ("", ""),
            ("-web", "stop web"),
            ("-web -api +api +web", "stop web, api; start api, web"),
            ("-a +a -b +b", "stop a; start a; stop b; start b"),
        ] {
            let order = order.split_whitespace().map(|step| {
                let (goal, service) = step.split_at(1);
                PlanStep {
                    service: service.to_owned(),
                    goal: if goal == "-" { Goal::Stop } else { Goal::Start },
                }
            });
            let proposal = Proposal {
                offers: Vec::new(),
                order: order.collect(),
            };
            assert_eq!(proposal.sequence(), expected);
            if expected.contains("api") {
                let steps: Vec<_> = proposal.steps_of("api").collect();
                assert_eq!(steps, [(2, Goal::Stop), (3, Goal::Start)]);
            }
        }
    }

    /// `flags` as typed; the outcome as `go`, `ask`, `type NAME…` (both may be asked) or `refused NAME…`.
    fn check(flags: &str, can_ask: bool, expected: &str) {
        let mut consent = Consent::default();
        for flag in flags.split_ascii_whitespace() {
            match flag.split_once('=') {
                Some(("--confirm", name)) => {
                    consent.confirmed.insert(name.to_owned());
                }
                _ => consent.yes = true,
            }
        }
        let offers = [samples::offer("api", false), samples::offer("db", true)];
        let found = match consent.missing(&offers, can_ask) {
            Err(refusals) => {
                let names: Vec<_> = refusals.into_iter().map(|r| r.service).collect();
                format!("refused {}", names.join(" "))
            }
            Ok(questions) => match (questions.agree, questions.type_names.join(" ")) {
                (false, names) if names.is_empty() => "go".to_owned(),
                (true, names) if names.is_empty() => "ask".to_owned(),
                (false, names) => format!("type {names}"),
                (true, names) => format!("ask, type {names}"),
            },
        };
        assert_eq!(found, expected, "{flags} with terminal {can_ask}");
    }

    #[test]
    fn a_protected_service_needs_its_name() {
        check("", true, "ask, type db");
        check("--yes", true, "type db");
        check("--confirm=db", true, "ask");
        check("--yes --confirm=db", true, "go");
        check("--confirm=api --confirm=db", true, "go");
    }

    #[test]
    fn without_a_terminal_silence_is_no() {
        check("", false, "refused api db");
        check("--yes", false, "refused db");
        check("--confirm=db", false, "refused api");
        check("--yes --confirm=db", false, "go");
        check("--confirm=other", false, "refused api db");
    }
}
