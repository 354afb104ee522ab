//! The state of the dashboard: all that it knows. Views read it and change nothing; it names no view.

use std::collections::HashMap;

use jiff::tz::TimeZone;
use ratatui::layout::Rect;
use tui_input::Input;

use crate::event::{AutoRestartStatus, Load};
use crate::health::{Moment, ServiceSnapshot, State};

use super::dialog::{Dialog, DialogKind, NameableProcess};
use super::keymap::Mode;
use super::list::ServiceList;
use super::log::EventLog;
use super::message::Ticket;
use super::progress::{ActionFailure, ActionProgress};
use super::theme::Theme;

/// The facts about the dashboard that do not change while it runs.
#[derive(Debug)]
pub(crate) struct Setup {
    /// The path of the inventory, or what was typed instead of one. Cleaned.
    pub(crate) inventory: String,
    /// The selection as it was typed. Cleaned.
    pub(crate) selectors: String,
    /// Actions are refused, and their keys removed.
    pub(crate) read_only: bool,
    pub(crate) color: bool,
    /// The zone in which times of day are shown.
    pub(crate) zone: TimeZone,
}

/// The page that fills the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Page {
    /// The table, with detail and events below or beside it.
    Fleet,
    /// Everything about the selected service.
    Detail,
    /// The events fill the page.
    Events,
}

/// The state of the dashboard.
#[derive(Debug)]
pub(crate) struct App {
    pub(super) setup: Setup,
    pub(super) automatic: AutoRestartStatus,
    pub(super) theme: Theme,
    pub(super) area: Rect,
    pub(super) now: Moment,
    pub(super) list: ServiceList,
    pub(super) log: EventLog,
    pub(super) load: Load,
    /// When the newest answer of any service was complete.
    pub(super) newest: Option<Moment>,
    pub(super) page: Page,
    /// Detail and events are shown with the table.
    pub(super) panes: bool,
    pub(super) filter: Input,
    pub(super) typing_filter: bool,
    pub(super) detail_top: usize,
    pub(super) log_top: usize,
    /// The first line of the help on the screen, while the help is open.
    pub(super) help_top: Option<usize>,
    pub(super) dialog: Option<Dialog>,
    /// The latest action on each service, by the name of the service.
    pub(super) progress: HashMap<String, ActionProgress>,
    pub(super) last_ticket: u64,
}

impl App {
    /// Returns the dashboard before anything happened: the services are those known before any probe answered, `size`
    /// is the columns and rows of the terminal.
    pub(crate) fn new(
        setup: Setup,
        list: ServiceList,
        (width, height): (u16, u16),
        now: Moment,
    ) -> Self {
        let mut app = Self {
            theme: Theme::new(setup.color),
            setup,
            automatic: AutoRestartStatus::default(),
            area: Rect::new(0, 0, width, height),
            now,
            list,
            log: EventLog::default(),
            load: Load::default(),
            newest: None,
            page: Page::Fleet,
            panes: true,
            filter: Input::default(),
            typing_filter: false,
            detail_top: 0,
            log_top: 0,
            help_top: None,
            dialog: None,
            progress: HashMap::new(),
            last_ticket: 0,
        };
        app.settle();
        app
    }

    /// Returns which keys count.
    pub(crate) fn mode(&self) -> Mode {
        match self.dialog.as_ref().map(|dialog| &dialog.kind) {
            Some(DialogKind::Confirm(plan)) if plan.name_to_type().is_some() => Mode::ConfirmTyped,
            Some(DialogKind::Confirm(plan)) if plan.permission.kills() => Mode::ConfirmKill,
            Some(DialogKind::Confirm(_) | DialogKind::Leave) => Mode::Confirm,
            Some(DialogKind::Refused { .. }) if self.nameable().is_some() => Mode::NoticeTyped,
            Some(DialogKind::Preparing { .. } | DialogKind::Refused { .. }) => Mode::Notice,
            None if self.help_top.is_some() => Mode::Help,
            None if self.typing_filter => Mode::Filter,
            None => Mode::Browse,
        }
    }

    /// Returns the process whose pid may be typed in the open dialog.
    pub(super) fn nameable(&self) -> Option<NameableProcess> {
        self.dialog.as_ref()?.nameable()
    }

    /// Returns whether a service may be killed now: a stop of it waits, or has failed.
    pub(super) fn may_kill(&self, snapshot: &ServiceSnapshot) -> bool {
        let last = self.progress.get(&snapshot.info.name);
        let last = last.filter(|progress| !progress.is_history(snapshot, self.now));
        let is_killed = last.is_some_and(|progress| progress.runs() && progress.is_being_killed);
        let waits = snapshot.state == State::Draining
            || (snapshot.state != State::Stopped
                && last.is_some_and(ActionProgress::may_be_killed));
        !self.setup.read_only && waits && !is_killed
    }

    /// Returns the action on a service that has not ended yet.
    pub(super) fn running(&self, service: &str) -> Option<&ActionProgress> {
        self.progress.get(service).filter(|action| action.runs())
    }

    /// Returns how many actions have not ended yet.
    pub(super) fn running_count(&self) -> usize {
        self.progress.values().filter(|it| it.runs()).count()
    }

    /// Returns how the last action on a service failed, unless that has become history.
    pub(super) fn failure(&self, snapshot: &ServiceSnapshot) -> Option<ActionFailure> {
        let progress = self.progress.get(&snapshot.info.name)?;
        let result = progress.ended.as_ref()?;
        if progress.is_history(snapshot, self.now) {
            return None;
        }
        ActionFailure::of(result)
    }

    pub(super) fn new_ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        Ticket(self.last_ticket)
    }
}
