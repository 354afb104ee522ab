//! Whether somebody has agreed to what would be done.

use std::collections::BTreeSet;

use super::{ProposedAction, Refusal};

/// What was agreed to on the command line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Consent {
    /// `--yes`: everything that is not protected.
    pub yes: bool,
    /// `--confirm NAME`: these services, protected or not.
    pub confirmed: BTreeSet<String>,
}

/// What still has to be asked before anything may be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Questions {
    /// Somebody has to say yes to the whole.
    pub agree: bool,
    /// Each of these names has to be typed.
    pub type_names: Vec<String>,
}

impl Consent {
    /// What is still to be asked. A consent of any kind is never taken from the environment.
    ///
    /// # Errors
    /// Nobody can be asked: everyone who would have to be agreed to.
    pub fn missing(
        &self,
        offers: &[ProposedAction],
        can_ask: bool,
    ) -> Result<Questions, Vec<Refusal>> {
        let mut questions = Questions::default();
        let mut refusals = Vec::new();
        for offer in offers {
            let named = self.confirmed.contains(&offer.service);
            if named || (self.yes && !offer.protected) {
                continue;
            }
            if can_ask {
                if offer.protected {
                    questions.type_names.push(offer.service.clone());
                } else {
                    questions.agree = true;
                }
                continue;
            }
            let (reason, hint) = if offer.protected {
                (
                    "it is protected and was not confirmed by name",
                    format!("`--confirm {}` confirms it", offer.service),
                )
            } else {
                (
                    "it was not confirmed, and there is no terminal to ask on",
                    "`--yes` confirms it, `--dry-run` only shows it".to_owned(),
                )
            };
            refusals.push(Refusal {
                service: offer.service.clone(),
                action: offer.action,
                reason: reason.to_owned(),
                hint: Some(hint),
            });
        }
        if refusals.is_empty() {
            Ok(questions)
        } else {
            Err(refusals)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::action::samples;

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
    fn a_protected_service_wants_its_name() {
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
