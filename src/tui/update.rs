//! What each message changes, and what it makes the dashboard want. Awaits nothing and reads no clock.

mod asking;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use ratatui::layout::Rect;
use tui_input::{Input, InputRequest};

use crate::action::{Action, Verdict};
use crate::event::Event;
use crate::health::Moment;

use super::app::{App, Screen};
use super::dialog::{Button, Dialog};
use super::keymap::{self, Command, Mode};
use super::log::{self, Entry, Kind};
use super::message::{Effect, Message};
use super::progress::Progress;
use super::view::{self, Regions};

impl App {
    /// Takes one message.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn update(&mut self, message: Message) -> Vec<Effect> {
        self.update_all([message])
    }

    /// Takes all messages that are ready, in order. What follows from them (order of the rows, scroll positions) is
    /// worked out once, or before a key that builds on it.
    #[must_use]
    pub(crate) fn update_all(
        &mut self,
        messages: impl IntoIterator<Item = Message>,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.see_dialog();
        for message in messages {
            match message {
                Message::Key(key) => {
                    self.settle();
                    self.key(key, &mut effects);
                }
                Message::Paste(text) => self.paste(&text),
                Message::Resize { width, height } => self.resize(width, height),
                Message::Tick(now) => self.now = now,
                Message::Event(event) => self.event(event),
                Message::Automatic { on, given_up } => {
                    self.automatic = on;
                    self.given_up = given_up;
                }
                Message::Prepared { ticket, result } => self.prepared(ticket, result, &mut effects),
            }
        }
        self.settle();
        effects
    }

    fn resize(&mut self, width: u16, height: u16) {
        self.area = Rect::new(0, 0, width, height);
        if let Some(dialog) = &mut self.dialog {
            dialog.unseen();
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Picture { picture, changed } => {
                self.advance(picture.at);
                let answered = picture
                    .probes
                    .iter()
                    .filter_map(|probe| probe.checked_at)
                    .max_by_key(|at| at.mono);
                if let Some(at) = answered
                    && self.newest.is_none_or(|newest| newest.mono < at.mono)
                {
                    self.newest = Some(at);
                }
                let new = picture.clone();
                let old = self.list.put(picture);
                if let Some(old) = old {
                    for entry in log::of_picture(&old, &new, &changed) {
                        self.record(entry);
                    }
                }
            }
            Event::Load(load) => self.load = load,
            Event::ActionStep(step) => {
                self.advance(step.at);
                self.record(log::of_step(&step));
                self.progress_of(&step.service, step.action, step.at)
                    .step(step);
            }
            Event::ActionResult(done) => {
                self.advance(done.at);
                self.record(log::of_done(&done));
                let runs = self.progress.get(&done.service).is_some_and(Progress::runs);
                // What was refused before anything began has had its dialog, and says nothing of the service.
                if done.verdict == Verdict::Refused && !runs {
                    return;
                }
                self.progress_of(&done.service, done.action, done.at)
                    .end(done);
            }
            Event::Notice { at, text } => {
                self.advance(at);
                self.record(Entry {
                    at,
                    service: None,
                    kind: Kind::Remark,
                    text,
                });
            }
        }
    }

    /// The action on a service that is told of: the one under way, or one that begins.
    fn progress_of(&mut self, service: &str, action: Action, at: Moment) -> &mut Progress {
        let progress = self
            .progress
            .entry(service.to_owned())
            .or_insert_with(|| Progress::confirmed(action, at, false));
        if !progress.runs() || progress.action != action {
            *progress = Progress::confirmed(action, at, false);
        }
        progress
    }

    /// Time never goes back: what is told may be a little older or newer than the last tick.
    fn advance(&mut self, at: Moment) {
        if at.mono > self.now.mono {
            self.now = at;
        }
    }

    fn record(&mut self, entry: Entry) {
        self.log.push(entry);
        // Who reads older events keeps them before their eyes.
        if self.log_top > 0 {
            self.log_top += 1;
        }
    }

    fn key(&mut self, key: KeyEvent, effects: &mut Vec<Effect>) {
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
        let Some(command) = keymap::command(mode, key, self.read_only) else {
            self.text(mode, key);
            return;
        };
        match command {
            Command::Leave if self.under_way() > 0 => {
                self.dialog = Some(Dialog::Leave(Button::Cancel));
            }
            Command::Leave | Command::Quit => effects.push(Effect::Quit),
            Command::Suspend => effects.push(Effect::Suspend),
            Command::Help => self.help_top = Some(0),
            Command::Back => self.back(mode, effects),
            Command::Accept => self.typing_filter = false,
            Command::Filter => {
                self.screen = Screen::Fleet;
                self.typing_filter = true;
                // A new one, as in every pager: nobody means the old one with more letters.
                self.clear_filter();
            }
            Command::Open => {
                if self.list.selected().is_some() {
                    self.list.pin();
                    self.show(Screen::Detail);
                }
            }
            Command::Events => self.show(if self.screen == Screen::Events {
                Screen::Fleet
            } else {
                Screen::Events
            }),
            Command::Screen => self.show(match self.screen {
                Screen::Fleet => Screen::Detail,
                Screen::Detail => Screen::Events,
                Screen::Events => Screen::Fleet,
            }),
            Command::Panes => {
                self.panes = self.screen != Screen::Fleet || !self.panes;
                self.show(Screen::Fleet);
            }
            Command::Sort => {
                self.list.sort = self.list.sort.next();
                self.list.touch();
            }
            Command::Previous => self.neighbour(-1),
            Command::Next => self.neighbour(1),
            Command::ProbeOne => {
                if let Some(picture) = self.list.selected() {
                    effects.push(Effect::ProbeNow {
                        service: Some(picture.name.clone()),
                    });
                }
            }
            Command::ProbeAll => effects.push(Effect::ProbeNow { service: None }),
            Command::Schedule => self.ask(Action::Schedule, effects),
            Command::Shutdown => self.ask(Action::Shutdown, effects),
            Command::Reload => self.ask(Action::Reload, effects),
            Command::Automatic => effects.push(Effect::SwitchAutomatic),
            Command::Restart => self.ask(Action::Restart, effects),
            Command::Start => self.ask(Action::Start, effects),
            Command::Mark => self.list.mark(),
            Command::Confirm => self.confirm(effects),
            Command::Press => match self.dialog.as_mut().and_then(Dialog::focus) {
                Some(Button::Confirm) => self.confirm(effects),
                Some(Button::Cancel) | None => self.back(mode, effects),
            },
            Command::Switch => {
                if let Some(focus) = self.dialog.as_mut().and_then(Dialog::focus) {
                    *focus = focus.other();
                }
            }
            Command::Up
            | Command::Down
            | Command::PageUp
            | Command::PageDown
            | Command::HalfUp
            | Command::HalfDown
            | Command::Top
            | Command::Bottom => self.scroll(mode, command),
        }
    }

    /// A key that is no command, where something is being typed.
    fn text(&mut self, mode: Mode, key: KeyEvent) {
        let Some(request) = edit(key) else { return };
        match (mode, &mut self.dialog) {
            (Mode::Filter, _) => {
                change(&mut self.filter, request);
                self.list.touch();
            }
            (Mode::ConfirmTyped, Some(Dialog::Confirm(question))) => {
                change(&mut question.typed, request);
                question.typed_on();
            }
            _ => {}
        }
    }

    /// Pasted text is text where something is being typed, and nothing elsewhere: never keys.
    fn paste(&mut self, text: &str) {
        let mode = self.mode();
        for c in text.chars() {
            let key = KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE);
            self.text(mode, key);
        }
    }

    /// One step back: dialog, help, filter being typed, screen, filter; never out of the program.
    fn back(&mut self, mode: Mode, effects: &mut Vec<Effect>) {
        match mode {
            Mode::Confirm | Mode::ConfirmTyped | Mode::Notice => match self.dialog.take() {
                Some(Dialog::Preparing { ticket, .. }) => effects.push(Effect::Forget { ticket }),
                Some(Dialog::Confirm(question)) => effects.push(Effect::Forget {
                    ticket: question.ticket,
                }),
                Some(Dialog::Refused(_) | Dialog::Leave(_)) | None => {}
            },
            Mode::Help => self.help_top = None,
            Mode::Filter => {
                self.typing_filter = false;
                self.clear_filter();
            }
            Mode::Browse if self.screen != Screen::Fleet => self.show(Screen::Fleet),
            Mode::Browse if !self.filter.value().is_empty() => self.clear_filter(),
            Mode::Browse => self.list.unmark(),
        }
    }

    fn clear_filter(&mut self) {
        self.filter.reset();
        self.list.touch();
    }

    fn show(&mut self, screen: Screen) {
        self.screen = screen;
        self.detail_top = 0;
        self.log_top = 0;
    }

    fn neighbour(&mut self, by: isize) {
        self.list.step(by);
        self.detail_top = 0;
    }

    fn scroll(&mut self, mode: Mode, command: Command) {
        let part = view::dialog_part(self);
        if let Some(dialog) = &mut self.dialog {
            let page = part.map_or(1, |part| part.rows.max(1));
            dialog.scroll(moved(dialog.top(), command, page));
            return;
        }
        let regions = self.regions(self.area);
        let page = |rows: fn(&Regions) -> usize| regions.as_ref().map_or(1, rows).max(1);
        if let Some(top) = &mut self.help_top
            && mode == Mode::Help
        {
            *top = moved(*top, command, page(Regions::help_rows));
            return;
        }
        match self.screen {
            Screen::Detail => {
                self.detail_top = moved(self.detail_top, command, page(Regions::detail_rows));
            }
            Screen::Events => {
                self.log_top = moved(self.log_top, command, page(Regions::event_rows));
            }
            Screen::Fleet => {
                let at = self.list.position().unwrap_or(0);
                self.list
                    .select(moved(at, command, page(Regions::service_rows)));
                self.detail_top = 0;
            }
        }
    }
}

/// A position after a command; the far end is cut back when everything settles.
const fn moved(at: usize, command: Command, page: usize) -> usize {
    let half = if page > 1 { page / 2 } else { 1 };
    match command {
        Command::Up => at.saturating_sub(1),
        Command::Down => at.saturating_add(1),
        Command::PageUp => at.saturating_sub(page),
        Command::PageDown => at.saturating_add(page),
        Command::HalfUp => at.saturating_sub(half),
        Command::HalfDown => at.saturating_add(half),
        Command::Top => 0,
        Command::Bottom => usize::MAX / 2,
        _ => at,
    }
}

/// The largest text that is taken into a line: no name and no sensible filter is longer.
const LONGEST_INPUT: usize = 100;

fn change(input: &mut Input, request: InputRequest) {
    let full = input.value().chars().count() >= LONGEST_INPUT;
    if !(full && matches!(request, InputRequest::InsertChar(_))) {
        input.handle(request);
    }
}

/// What a key does to a line of text, as shells have it.
fn edit(key: KeyEvent) -> Option<InputRequest> {
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
