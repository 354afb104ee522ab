//! From an action key to the confirmed plan: which services are meant, what is asked, what has been seen.

use tui_input::Input;

use crate::action::{Action, Proposal, Refusal};
use crate::health::{ServiceSnapshot, State};
use crate::tui::app::App;
use crate::tui::dialog::{Dialog, DialogKind, PlanDialog};
use crate::tui::message::{Effect, Permission, Ticket};
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
            self.refuse(busy, services.len(), Permission::Nothing);
            return;
        }
        self.prepare(services, action, Permission::Nothing, effects);
    }

    /// Has the end of the selected service by SIGKILL prepared, where a stop of it waits or has failed.
    pub(super) fn ask_kill(&mut self, effects: &mut Vec<Effect>) {
        let Some(snapshot) = self.list.selected() else {
            return;
        };
        let service = snapshot.info.name.clone();
        if self.may_kill(snapshot) {
            self.list.pin();
            let permission = Permission::Kill;
            return self.prepare(vec![service], Action::Shutdown, permission, effects);
        }
        let is_killed = self.running(&service).is_some_and(|it| it.is_being_killed);
        let (reason, hint) = if is_killed {
            ("it is being killed already", "its steps are in its detail")
        } else if snapshot.state == State::Stopped {
            ("it has stopped", "`S` starts it")
        } else {
            (
                "SIGKILL is for a stop that waits or has failed, and this healthctl knows of none",
                "`X` asks it to stop first",
            )
        };
        let refusal = Refusal {
            reason: reason.to_owned(),
            hint: Some(hint.to_owned()),
            nameable: None,
            service,
            action: Action::Shutdown,
        };
        self.refuse(vec![refusal], 1, Permission::Nothing);
    }

    /// Notes that a kill has begun: a stop that is under way goes on by force, or another one has begun.
    pub(super) fn note_kill(&mut self, service: &str) {
        let action = self
            .running(service)
            .map_or(Action::Shutdown, |it| it.action);
        let now = self.now;
        self.progress_of(service, action, now).is_being_killed = true;
    }

    /// Has an action prepared with a signal to the process whose pid was typed. Another text does nothing, and none closes
    /// the dialog.
    pub(super) fn name_process(&mut self, effects: &mut Vec<Effect>) {
        let Some(DialogKind::Refused { typed, .. }) = self.dialog.as_ref().map(|it| &it.kind)
        else {
            return;
        };
        let typed = typed.value().trim().to_owned();
        match self.nameable() {
            Some(process) if process.pid.to_string() == typed => {
                let (pid, kills) = (process.pid, process.kills);
                let permission = Permission::Pid { pid, kills };
                self.prepare(vec![process.service], process.action, permission, effects);
            }
            _ if typed.is_empty() => self.dialog = None,
            _ => {}
        }
    }

    fn prepare(
        &mut self,
        services: Vec<String>,
        action: Action,
        permission: Permission,
        effects: &mut Vec<Effect>,
    ) {
        let ticket = self.new_ticket();
        let preparing = DialogKind::Preparing {
            ticket,
            services: services.clone(),
            action,
            permission,
        };
        self.dialog = Some(preparing.into());
        effects.push(Effect::Prepare {
            ticket,
            services,
            action,
            permission,
        });
    }

    pub(super) fn refuse(&mut self, refusals: Vec<Refusal>, meant: usize, permission: Permission) {
        let typed = Input::default();
        let refused = DialogKind::Refused {
            refusals,
            meant,
            permission,
            typed,
        };
        self.dialog = Some(refused.into());
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
            nameable: None,
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
        let (services, action, permission) = match self.dialog.take() {
            Some(Dialog {
                kind:
                    DialogKind::Preparing {
                        ticket: expected,
                        services,
                        action,
                        permission,
                    },
                ..
            }) if expected == ticket => (services, action, permission),
            other => {
                self.dialog = other;
                effects.push(Effect::Forget { ticket });
                return;
            }
        };
        let plan = match result {
            // All services have stopped already, or run: nothing would be sent, so there is nothing to confirm.
            Ok(proposal) if proposal.offers.is_empty() => {
                effects.push(Effect::Run { ticket });
                self.list.unmark();
                return;
            }
            Ok(proposal) => PlanDialog {
                ticket,
                action,
                permission,
                services,
                proposal,
                typed: Input::default(),
                named: 0,
            },
            Err(refusals) => return self.refuse(refusals, services.len(), permission),
        };
        self.dialog = Some(DialogKind::Confirm(Box::new(plan)).into());
    }

    /// Confirms the dialog, where that is allowed.
    pub(super) fn confirm(&mut self, effects: &mut Vec<Effect>) {
        let dialog = self.dialog.take_if(|dialog| dialog.may_confirm());
        match dialog.map(|dialog| dialog.kind) {
            Some(DialogKind::Confirm(plan)) => {
                for (n, offer) in plan.proposal.offers.into_iter().enumerate() {
                    // Whether a kill begins, or its stop is over, is known in a moment.
                    if plan.permission.kills() {
                        continue;
                    }
                    let progress = ActionProgress::confirmed(plan.action, self.now, n > 0);
                    self.progress.insert(offer.service, progress);
                }
                let ticket = plan.ticket;
                effects.push(Effect::Run { ticket });
                // Marks are for one action: a later key must not mean services that nobody thinks of any more. A kill is for
                // the selected service alone.
                if plan.permission != Permission::Kill {
                    self.list.unmark();
                }
            }
            Some(_) => effects.push(Effect::Quit),
            None => {}
        }
    }
}
