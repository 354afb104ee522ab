//! From an action key to the confirmed plan: which services are meant, what is asked, what has been seen.

use crate::action::{Action, Proposal, Refusal};
use crate::tui::app::App;
use crate::tui::dialog::{Dialog, PlanDialog, RefusalNotice};
use crate::tui::message::{Effect, Ticket};
use crate::tui::progress::ActionProgress;
use crate::tui::view;

impl App {
    /// Notes that the dialog on the screen has been seen, before any message is handled: a key that was pressed before
    /// a dialog was drawn confirms nothing.
    pub(super) fn note_dialog_seen(&mut self) {
        if let Some(viewport) = view::dialog_viewport(self)
            && let Some(dialog) = &mut self.dialog
        {
            dialog.seen(viewport);
        }
    }

    /// Has an action on the marked or selected services prepared; nothing is sent.
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
            self.dialog = Some(Dialog::Refused(RefusalNotice::new(busy, services.len())));
            return;
        }
        let ticket = self.new_ticket();
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

    /// Returns the services that an action means: the marked ones, shown or not, else the selected one.
    fn targets(&self) -> Vec<String> {
        let marked: Vec<String> = self.list.marked().map(|it| it.info.name.clone()).collect();
        if marked.is_empty() {
            let selected = self.list.selected();
            return selected
                .map(|it| it.info.name.clone())
                .into_iter()
                .collect();
        }
        marked
    }

    /// Returns a refusal where another action on the service still runs.
    fn busy(&self, service: &str, action: Action) -> Option<Refusal> {
        let running = self.running(service)?.action;
        Some(Refusal {
            reason: format!("a {running} of {service} is still under way"),
            hint: Some("its steps are in its detail and in the events".to_owned()),
            service: service.to_owned(),
            action,
        })
    }

    /// Opens the dialog for a prepared plan, unless the preparation was left meanwhile.
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
            // All services have stopped already, or run: nothing would be sent, so there is nothing to confirm.
            Ok(proposal) if proposal.offers.is_empty() => {
                effects.push(Effect::Run { ticket });
                self.list.unmark();
                None
            }
            Ok(proposal) => {
                let confirmation = PlanDialog::new(ticket, action, services, proposal);
                Some(Dialog::Confirm(Box::new(confirmation)))
            }
            Err(refusals) => Some(Dialog::Refused(RefusalNotice::new(
                refusals,
                services.len(),
            ))),
        };
    }

    /// Confirms the dialog, where that is allowed.
    pub(super) fn confirm(&mut self, effects: &mut Vec<Effect>) {
        match self.dialog.take() {
            Some(Dialog::Leave(_)) => effects.push(Effect::Quit),
            Some(Dialog::Confirm(confirmation)) if confirmation.may_confirm() => {
                let PlanDialog {
                    ticket,
                    action,
                    proposal,
                    ..
                } = *confirmation;
                for (n, offer) in proposal.offers.into_iter().enumerate() {
                    let progress = ActionProgress::confirmed(action, self.now, n > 0);
                    self.progress.insert(offer.service, progress);
                }
                effects.push(Effect::Run { ticket });
                // Marks are for one action: a later key must not mean services that nobody thinks of any more.
                self.list.unmark();
            }
            other => self.dialog = other,
        }
    }
}
