//! What each key changes: commands of the keymap, scrolling, and text that is typed.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use tui_input::{Input, InputRequest};

use crate::action::Action;
use crate::tui::app::{App, Page};
use crate::tui::dialog::{Button, DialogKind};
use crate::tui::keymap::{self, KeyCommand, Mode};
use crate::tui::message::Effect;
use crate::tui::view::{self, Regions};

/// The largest text that is taken into an input line, in characters: no name and no sensible filter is longer.
const LONGEST_INPUT: usize = 100;

impl App {
    pub(super) fn key(&mut self, key: KeyEvent, effects: &mut Vec<Effect>) {
        if key.kind == KeyEventKind::Release {
            return;
        }
        // Escape and a key that arrive together look like that key with Alt, which no command uses. In a text, Alt moves
        // by words; only what also carries Ctrl is surely no editing.
        let split = !self.typing_filter || key.modifiers.contains(KeyModifiers::CONTROL);
        if split && key.modifiers.contains(KeyModifiers::ALT) {
            self.key(KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE), effects);
            let rest = key.modifiers.difference(KeyModifiers::ALT);
            self.key(KeyEvent::new(key.code, rest), effects);
            return;
        }
        let mode = self.mode();
        match keymap::command(mode, key, self.setup.read_only) {
            Some(command) => self.command(mode, command, effects),
            None => self.text(mode, key),
        }
    }

    fn command(&mut self, mode: Mode, command: KeyCommand, effects: &mut Vec<Effect>) {
        match command {
            KeyCommand::Leave if self.running_count() > 0 => {
                self.dialog = Some(DialogKind::Leave.into());
            }
            KeyCommand::Leave | KeyCommand::Quit => effects.push(Effect::Quit),
            KeyCommand::Suspend => effects.push(Effect::Suspend),
            KeyCommand::Help => self.help_top = Some(0),
            KeyCommand::Back => self.back(mode, effects),
            KeyCommand::Accept => self.typing_filter = false,
            KeyCommand::Filter => {
                self.page = Page::Fleet;
                self.typing_filter = true;
                // The new filter replaces the old one, as in every pager.
                self.clear_filter();
            }
            KeyCommand::Open if self.list.selected().is_none() => {}
            KeyCommand::Open => {
                self.list.pin();
                self.show(Page::Detail);
            }
            KeyCommand::Events if self.page == Page::Events => self.show(Page::Fleet),
            KeyCommand::Events => self.show(Page::Events),
            KeyCommand::Screen => self.show(match self.page {
                Page::Fleet => Page::Detail,
                Page::Detail => Page::Events,
                Page::Events => Page::Fleet,
            }),
            KeyCommand::Panes => {
                self.panes = self.page != Page::Fleet || !self.panes;
                self.show(Page::Fleet);
            }
            KeyCommand::Sort => {
                self.list.sort = self.list.sort.next();
                self.list.touch();
            }
            KeyCommand::Previous => self.select_neighbour(-1),
            KeyCommand::Next => self.select_neighbour(1),
            KeyCommand::ProbeOne => {
                if let Some(snapshot) = self.list.selected() {
                    let service = Some(snapshot.info.name.clone());
                    effects.push(Effect::ProbeNow { service });
                }
            }
            KeyCommand::ProbeAll => effects.push(Effect::ProbeNow { service: None }),
            KeyCommand::Schedule => self.ask(Action::Schedule, effects),
            KeyCommand::Shutdown => self.ask(Action::Shutdown, effects),
            KeyCommand::Kill => self.ask_kill(effects),
            KeyCommand::Reload => self.ask(Action::Reload, effects),
            KeyCommand::Restart => self.ask(Action::Restart, effects),
            KeyCommand::Start => self.ask(Action::Start, effects),
            KeyCommand::Automatic => effects.push(Effect::SwitchAutomatic),
            KeyCommand::Mark => self.list.mark(),
            KeyCommand::Confirm => self.confirm(effects),
            KeyCommand::Press if mode == Mode::NoticeTyped => self.name_process(effects),
            KeyCommand::Press => match self.dialog.as_ref().map(|dialog| dialog.focus) {
                Some(Button::Confirm) => self.confirm(effects),
                Some(Button::Cancel) | None => self.back(mode, effects),
            },
            KeyCommand::Switch => {
                if let Some(dialog) = &mut self.dialog {
                    dialog.focus = dialog.focus.other();
                }
            }
            KeyCommand::Up
            | KeyCommand::Down
            | KeyCommand::PageUp
            | KeyCommand::PageDown
            | KeyCommand::HalfUp
            | KeyCommand::HalfDown
            | KeyCommand::Top
            | KeyCommand::Bottom => self.scroll(command),
        }
    }

    /// Goes one step back: dialog, help, filter being typed, page, filter, marks; never out of the program.
    fn back(&mut self, mode: Mode, effects: &mut Vec<Effect>) {
        match mode {
            Mode::Confirm
            | Mode::ConfirmKill
            | Mode::ConfirmTyped
            | Mode::Notice
            | Mode::NoticeTyped => {
                let ticket = match self.dialog.take().map(|dialog| dialog.kind) {
                    Some(DialogKind::Preparing { ticket, .. }) => ticket,
                    Some(DialogKind::Confirm(plan)) => plan.ticket,
                    Some(DialogKind::Refused { .. } | DialogKind::Leave) | None => return,
                };
                effects.push(Effect::Forget { ticket });
            }
            Mode::Help => self.help_top = None,
            Mode::Filter => {
                self.typing_filter = false;
                self.clear_filter();
            }
            Mode::Browse if self.page != Page::Fleet => self.show(Page::Fleet),
            Mode::Browse if !self.filter.value().is_empty() => self.clear_filter(),
            Mode::Browse => self.list.unmark(),
        }
    }

    fn clear_filter(&mut self) {
        self.filter.reset();
        self.list.touch();
    }

    fn show(&mut self, page: Page) {
        self.page = page;
        self.detail_top = 0;
        self.log_top = 0;
    }

    fn select_neighbour(&mut self, by: isize) {
        self.list.step(by);
        self.detail_top = 0;
    }

    /// Scrolls what has the focus: the dialog, the help, or the page.
    fn scroll(&mut self, command: KeyCommand) {
        let viewport = view::dialog_viewport(self);
        if let Some(dialog) = &mut self.dialog {
            let rows = viewport.map_or(1, |viewport| viewport.rows);
            dialog.top = moved(dialog.top, command, rows);
            return;
        }
        let regions = view::regions(self, self.area);
        let rows = |rows: fn(&Regions) -> usize| regions.as_ref().map_or(1, rows);
        if let Some(top) = &mut self.help_top {
            *top = moved(*top, command, rows(Regions::help_rows));
            return;
        }
        match self.page {
            Page::Detail => {
                self.detail_top = moved(self.detail_top, command, rows(Regions::detail_rows));
            }
            Page::Events => {
                self.log_top = moved(self.log_top, command, rows(Regions::event_rows));
            }
            Page::Fleet => {
                let row = self.list.position().unwrap_or(0);
                self.list
                    .select(moved(row, command, rows(Regions::service_rows)));
                self.detail_top = 0;
            }
        }
    }

    /// Handles a key that is no command, where text is being typed.
    fn text(&mut self, mode: Mode, key: KeyEvent) {
        let Some(request) = edit_request(key) else {
            return;
        };
        match (mode, self.dialog.as_mut().map(|dialog| &mut dialog.kind)) {
            (Mode::Filter, _) => {
                edit(&mut self.filter, request);
                self.list.touch();
            }
            (Mode::NoticeTyped, Some(DialogKind::Refused { typed, .. })) => edit(typed, request),
            (Mode::ConfirmTyped, Some(DialogKind::Confirm(plan))) => {
                edit(&mut plan.typed, request);
                plan.name_edited();
            }
            _ => {}
        }
    }

    /// Handles pasted text: text where something is being typed, nothing elsewhere, and never keys.
    pub(super) fn paste(&mut self, text: &str) {
        let mode = self.mode();
        for c in text.chars() {
            self.text(mode, KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
        }
    }
}

/// Returns a position after a scroll command, with `rows` on the screen. It may be too far: `settle` brings it back.
fn moved(at: usize, command: KeyCommand, rows: usize) -> usize {
    let page = rows.max(1);
    let half = (page / 2).max(1);
    match command {
        KeyCommand::Up => at.saturating_sub(1),
        KeyCommand::Down => at.saturating_add(1),
        KeyCommand::PageUp => at.saturating_sub(page),
        KeyCommand::PageDown => at.saturating_add(page),
        KeyCommand::HalfUp => at.saturating_sub(half),
        KeyCommand::HalfDown => at.saturating_add(half),
        KeyCommand::Top => 0,
        KeyCommand::Bottom => usize::MAX / 2,
        _ => at,
    }
}

fn edit(input: &mut Input, request: InputRequest) {
    let full = input.value().chars().count() >= LONGEST_INPUT;
    if !(full && matches!(request, InputRequest::InsertChar(_))) {
        input.handle(request);
    }
}

/// Returns what a key does to a line of text, as in a shell.
fn edit_request(key: KeyEvent) -> Option<InputRequest> {
    let ctrl = key.modifiers.contains(KeyModifiers::CONTROL);
    if key.modifiers.contains(KeyModifiers::ALT) {
        return None;
    }
    Some(match (key.code, ctrl) {
        (KeyCode::Char('u'), true) => InputRequest::DeleteLine,
        (KeyCode::Char('w') | KeyCode::Backspace, true) => InputRequest::DeletePrevWord,
        (KeyCode::Char('a'), true) | (KeyCode::Home, _) => InputRequest::GoToStart,
        (KeyCode::Char('e'), true) | (KeyCode::End, _) => InputRequest::GoToEnd,
        (KeyCode::Char('h'), true) | (KeyCode::Backspace, false) => InputRequest::DeletePrevChar,
        (KeyCode::Delete, _) => InputRequest::DeleteNextChar,
        (KeyCode::Left, false) => InputRequest::GoToPrevChar,
        (KeyCode::Right, false) => InputRequest::GoToNextChar,
        (KeyCode::Char(c), false) if !c.is_control() => InputRequest::InsertChar(c),
        _ => return None,
    })
}
