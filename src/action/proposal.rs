//! What would be done, in words that a confirmation, a dry run and the audit file all use.

use super::{Action, Goal};

/// One action on one service as it would be carried out. All text is cleaned and free of secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposedAction {
    /// The service.
    pub service: String,
    /// What would be done.
    pub action: Action,
    /// The means, e.g. `shutdown route (waits for the end)`, `signal`, `command`.
    pub means: String,
    /// The exact request: `POST http://127.0.0.1:8000/health/shutdown`, `SIGTERM to pid 4711`, `systemctl stop api`.
    pub request: String,
    /// The start command that follows, where the request is only the first half of a restart.
    pub then: Option<String>,
    /// Where it goes: address and, where known, pid and start of the process.
    pub target: String,
    /// How long it may take.
    pub timeout: std::time::Duration,
    /// The name has to be typed.
    pub protected: bool,
}

/// A plan as it is shown to whoever has to agree to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proposal {
    /// What would be sent, in the order in which it begins. Empty where there is nothing to do.
    pub offers: Vec<ProposedAction>,
    /// All that is done, one after the other, as long as nothing fails.
    pub order: Vec<PlanStep>,
}

impl Proposal {
    /// `stop web, api, db; start db, api, web`
    pub fn sequence(&self) -> String {
        let mut text = String::new();
        let mut before = None;
        for step in &self.order {
            if before == Some(step.goal) {
                text.push_str(", ");
            } else {
                if before.is_some() {
                    text.push_str("; ");
                }
                text.push_str(step.goal.as_str());
                text.push(' ');
            }
            text.push_str(&step.service);
            before = Some(step.goal);
        }
        text
    }

    /// What is done to a service, each with its number in the order, from 1.
    pub fn steps_of<'a>(&'a self, service: &'a str) -> impl Iterator<Item = (usize, Goal)> + 'a {
        let numbered = (1..).zip(&self.order);
        numbered
            .filter(move |(_, step)| step.service == service)
            .map(|(number, step)| (number, step.goal))
    }
}

/// One part of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanStep {
    /// The service.
    pub service: String,
    /// What is done to it.
    pub goal: Goal,
}

/// Why an action is not carried out. Nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The service.
    pub service: String,
    /// What was asked for.
    pub action: Action,
    /// Why not, one sentence.
    pub reason: String,
    /// What to do about it.
    pub hint: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_told_in_the_words_of_what_is_done() {
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
}
