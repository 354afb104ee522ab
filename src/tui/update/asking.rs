//! From a key that acts to somebody's agreement: who is meant, what is asked, and what was before anybody's eyes.

use crate::action::{Action, Proposal, Refusal};
use crate::tui::app::App;
use crate::tui::dialog::{Denial, Dialog, Question};
use crate::tui::message::{Effect, Ticket};
use crate::tui::progress::Progress;
use crate::tui::view;

impl App {
    /// What stood on the screen until now has been seen, and nothing that comes with the messages that are taken now:
    /// a key that was pressed before a question was drawn agrees to nothing.
    pub(super) fn see_dialog(&mut self) {
        if let Some(part) = view::dialog_part(self)
            && let Some(dialog) = &mut self.dialog
        {
            dialog.seen(part);
        }
    }

    /// What an action would be is known: asks, unless nobody waits for it any more.
    pub(super) fn prepared(
        &mut self,
        ticket: Ticket,
        result: Result<Proposal, Vec<Refusal>>,
        effects: &mut Vec<Effect>,
    ) {
        let (services, action) = match self.dialog.take() {
            Some(Dialog::Preparing {
                ticket: expected,
                services,
                action,
            }) if expected == ticket => (services, action),
            other => {
                self.dialog = other;
                effects.push(Effect::Forget { ticket });
                return;
            }
        };
        self.dialog = match result {
            // All have stopped already, or run: nothing would be sent, so there is nothing to ask.
            Ok(proposal) if proposal.offers.is_empty() => {
                effects.push(Effect::Run { ticket });
                self.list.unmark();
                None
            }
            Ok(proposal) => {
                let question = Question::new(ticket, action, services, proposal);
                Some(Dialog::Confirm(Box::new(question)))
            }
            Err(refusals) => Some(Dialog::Refused(Denial::new(refusals, services.len()))),
        };
    }

    /// Has an action on those who are meant prepared; nothing is sent.
    pub(super) fn ask(&mut self, action: Action, effects: &mut Vec<Effect>) {
        let services = self.targets();
        if services.is_empty() {
            return;
        }
        self.list.pin();
        let busy: Vec<Refusal> = services
            .iter()
            .filter_map(|service| self.busy(service, action))
            .collect();
        if !busy.is_empty() {
            self.dialog = Some(Dialog::Refused(Denial::new(busy, services.len())));
            return;
        }
        let ticket = self.ticket();
        self.dialog = Some(Dialog::Preparing {
            ticket,
            services: services.clone(),
            action,
        });
        effects.push(Effect::Prepare {
            ticket,
            services,
            action,
        });
    }

    /// Whom an action means: the marked services, shown or not, else the selected one.
    fn targets(&self) -> Vec<String> {
        let marked: Vec<String> = self.list.marked().map(|it| it.name.clone()).collect();
        if marked.is_empty() {
            let selected = self.list.selected();
            return selected.map(|it| it.name.clone()).into_iter().collect();
        }
        marked
    }

    /// Why no other action can be had on a service.
    fn busy(&self, service: &str, action: Action) -> Option<Refusal> {
        let running = self.progress.get(service).filter(|it| it.runs())?.action;
        Some(Refusal {
            reason: format!("a {running} of {service} is still under way"),
            hint: Some("its steps are in its detail and in the events".to_owned()),
            service: service.to_owned(),
            action,
        })
    }

    /// Somebody agrees to what is asked, as far as they may.
    pub(super) fn confirm(&mut self, effects: &mut Vec<Effect>) {
        match self.dialog.take() {
            Some(Dialog::Leave(_)) => effects.push(Effect::Quit),
            Some(Dialog::Confirm(question)) if question.may_confirm() => {
                let Question {
                    ticket,
                    action,
                    proposal,
                    ..
                } = *question;
                for (n, offer) in proposal.offers.into_iter().enumerate() {
                    let progress = Progress::confirmed(action, self.now, n > 0);
                    self.progress.insert(offer.service, progress);
                }
                effects.push(Effect::Run { ticket });
                // Marks are for one action: a later key must not mean services that are long out of mind.
                self.list.unmark();
            }
            other => self.dialog = other,
        }
    }
}
