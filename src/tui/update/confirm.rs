//! From an action key to the confirmed plan: which services are meant, what is asked, what has been seen.

use tui_input::Input;

use crate::action::{Action, Proposal, Refusal};
use crate::health::ServiceSnapshot;
use crate::tui::app::App;
use crate::tui::dialog::{Dialog, DialogKind, PlanDialog};
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
            let (refusals, meant) = (busy, services.len());
            self.dialog = Some(DialogKind::Refused { refusals, meant }.into());
            return;
        }
        let ticket = self.new_ticket();
        let preparing = DialogKind::Preparing {
            ticket,
            services: services.clone(),
            action,
        };
        self.dialog = Some(preparing.into());
        effects.push(Effect::Prepare {
            ticket,
            services,
            action,
        });
    }

    /// Returns the services that an action means: the marked ones, shown or not, else the selected one.
    fn targets(&self) -> Vec<String> {
        let mut meant: Vec<&ServiceSnapshot> = self.list.marked().collect();
        if meant.is_empty() {
            meant.extend(self.list.selected());
        }
        meant.iter().map(|it| it.info.name.clone()).collect()
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
            Some(Dialog {
                kind:
                    DialogKind::Preparing {
                        ticket: expected,
                        services,
                        action,
                    },
                ..
            }) if expected == ticket => (services, action),
            other => {
                self.dialog = other;
                effects.push(Effect::Forget { ticket });
                return;
            }
        };
        let kind = match result {
            // All services have stopped already, or run: nothing would be sent, so there is nothing to confirm.
            Ok(proposal) if proposal.offers.is_empty() => {
                effects.push(Effect::Run { ticket });
                self.list.unmark();
                return;
            }
            Ok(proposal) => DialogKind::Confirm(Box::new(PlanDialog {
                ticket,
                action,
                services,
                proposal,
                typed: Input::default(),
                named: 0,
            })),
            Err(refusals) => DialogKind::Refused {
                refusals,
                meant: services.len(),
            },
        };
        self.dialog = Some(kind.into());
    }

    /// Confirms the dialog, where that is allowed.
    pub(super) fn confirm(&mut self, effects: &mut Vec<Effect>) {
        let dialog = self.dialog.take_if(|dialog| dialog.may_confirm());
        match dialog.map(|dialog| dialog.kind) {
            Some(DialogKind::Confirm(plan)) => {
                for (n, offer) in plan.proposal.offers.into_iter().enumerate() {
                    let progress = ActionProgress::confirmed(plan.action, self.now, n > 0);
                    self.progress.insert(offer.service, progress);
                }
                let ticket = plan.ticket;
                effects.push(Effect::Run { ticket });
                // Marks are for one action: a later key must not mean services that nobody thinks of any more.
                self.list.unmark();
            }
            Some(_) => effects.push(Effect::Quit),
            None => {}
        }
    }
}
