//! All that the dashboard knows and is; views read it and change nothing.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::tz::TimeZone;
use ratatui::layout::Rect;
use tui_input::Input;

use crate::event::Load;
use crate::health::{Moment, Picture, Selection};

use super::dialog::Dialog;
use super::keymap::Mode;
use super::list::List;
use super::log::Log;
use super::message::Ticket;
use super::progress::{Failure, Progress};
use super::theme::Theme;
use super::view::{self, Regions};

/// What the dashboard is told once.
#[derive(Debug)]
pub(crate) struct Setup {
    /// Where the inventory comes from, for people.
    pub(crate) inventory: String,
    /// The services in inventory order, as known before any probe answered.
    pub(crate) services: Vec<Arc<Picture>>,
    /// Which of them are shown.
    pub(crate) selection: Selection,
    /// The same as it was typed.
    pub(crate) selectors: String,
    /// The keys of actions are gone.
    pub(crate) read_only: bool,
    /// Whether colours may be used.
    pub(crate) color: bool,
    /// The zone in which times of day are shown.
    pub(crate) zone: TimeZone,
    /// Columns and rows of the terminal.
    pub(crate) size: (u16, u16),
    /// The time.
    pub(crate) now: Moment,
}

/// What fills the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Screen {
    /// The table, with detail and events below or beside it.
    Fleet,
    /// All about the selected service.
    Detail,
    /// The events alone.
    Events,
}

/// The dashboard.
#[derive(Debug)]
pub(crate) struct App {
    pub(super) inventory: String,
    pub(super) selectors: String,
    pub(super) read_only: bool,
    /// Services are restarted by themselves.
    pub(super) automatic: bool,
    /// The services that automatic restart has given up on.
    pub(super) given_up: BTreeSet<String>,
    pub(super) theme: Theme,
    pub(super) zone: TimeZone,
    pub(super) area: Rect,
    pub(super) now: Moment,
    pub(super) list: List,
    pub(super) log: Log,
    pub(super) load: Load,
    /// When the newest answer of any service was complete.
    pub(super) newest: Option<Moment>,
    pub(super) screen: Screen,
    /// Detail and events are shown with the table.
    pub(super) panes: bool,
    pub(super) filter: Input,
    pub(super) typing_filter: bool,
    pub(super) detail_top: usize,
    pub(super) log_top: usize,
    /// The first line of the help on the screen, while it is open.
    pub(super) help_top: Option<usize>,
    pub(super) dialog: Option<Dialog>,
    pub(super) progress: HashMap<String, Progress>,
    pub(super) last_ticket: u64,
}

impl App {
    /// The dashboard before anything happened.
    pub(crate) fn new(setup: Setup) -> Self {
        let (width, height) = setup.size;
        let mut app = Self {
            inventory: setup.inventory,
            selectors: setup.selectors,
            read_only: setup.read_only,
            automatic: false,
            given_up: BTreeSet::new(),
            theme: Theme::new(setup.color),
            zone: setup.zone,
            area: Rect::new(0, 0, width, height),
            now: setup.now,
            list: List::new(setup.services, setup.selection),
            log: Log::default(),
            load: Load::default(),
            newest: None,
            screen: Screen::Fleet,
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

    /// Which keys count.
    pub(crate) fn mode(&self) -> Mode {
        match &self.dialog {
            Some(Dialog::Confirm(question)) if question.name_to_type().is_some() => {
                Mode::ConfirmTyped
            }
            Some(Dialog::Confirm(_) | Dialog::Leave(_)) => Mode::Confirm,
            Some(Dialog::Preparing { .. } | Dialog::Refused(_)) => Mode::Notice,
            None if self.help_top.is_some() => Mode::Help,
            None if self.typing_filter => Mode::Filter,
            None => Mode::Browse,
        }
    }

    /// Where things stand on the screen; `None` where it is too small for anything.
    pub(crate) fn regions(&self, area: Rect) -> Option<Regions> {
        Regions::new(area, self.screen, self.panes, self.list.len())
    }

    /// Brings what follows from other state up to date: order, window and scroll positions.
    pub(super) fn settle(&mut self) {
        let regions = self.regions(self.area);
        let rows = regions.as_ref().map_or(0, Regions::service_rows);
        self.list.settle(self.filter.value(), rows);
        let Some(regions) = regions else { return };
        self.detail_top = self.detail_top.min(view::detail_overflow(self, &regions));
        let log_rows = regions.event_rows();
        self.log_top = self.log_top.min(self.log.len().saturating_sub(log_rows));
        if let Some(top) = self.help_top {
            self.help_top = Some(top.min(view::help_overflow(self)));
        }
        if let Some(part) = view::dialog_part(self)
            && let Some(dialog) = &mut self.dialog
        {
            dialog.settle(part);
        }
    }

    /// How many actions are under way or wait for their turn.
    pub(super) fn under_way(&self) -> usize {
        self.progress.values().filter(|it| it.runs()).count()
    }

    /// How the last action on a service has failed, unless that has become history.
    pub(super) fn failure(&self, picture: &Picture) -> Option<Failure> {
        let progress = self.progress.get(&picture.name)?;
        let done = progress.ended.as_ref()?;
        if progress.is_history(picture, self.now) {
            return None;
        }
        Failure::of(done)
    }

    /// A ticket that was not given before.
    pub(super) fn ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        Ticket(self.last_ticket)
    }
}
