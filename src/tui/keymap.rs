//! The one table of keys. Lookup, footer, help and the README read it, so none of them can be wrong.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use KeyCommand as Cmd;

/// The command of a key. [`KeyCommand::help`] describes each one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum KeyCommand {
    Up,
    Down,
    PageUp,
    PageDown,
    HalfUp,
    HalfDown,
    Top,
    Bottom,
    Open,
    Back,
    Previous,
    Next,
    Screen,
    Events,
    Panes,
    Filter,
    Sort,
    ProbeOne,
    ProbeAll,
    Schedule,
    Shutdown,
    Kill,
    Reload,
    Automatic,
    Restart,
    Start,
    Mark,
    Help,
    Suspend,
    Leave,
    Quit,
    Accept,
    Confirm,
    Press,
    Switch,
}

/// The mode of the dashboard decides which keys count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    /// Services, detail or events are shown.
    Browse,
    /// A filter is being typed: a key without a command is text.
    Filter,
    /// A dialog with two buttons is open.
    Confirm,
    /// A dialog is open that asks whether to kill: only its buttons count, so that no stray key does.
    ConfirmKill,
    /// A dialog with two buttons and a name to type is open: a key without a command is text.
    ConfirmTyped,
    /// A dialog that only informs is open: an action is being prepared, or was refused.
    Notice,
    /// A refusal is open that offers to type a pid: a key without a command is text.
    NoticeTyped,
    /// The help is open.
    Help,
}

/// A key, with or without Ctrl.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyPress {
    code: KeyCode,
    ctrl: bool,
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Binding {
    modes: &'static [Mode],
    /// The keys; the footer shows the first one.
    pub(crate) keys: &'static [KeyPress],
    pub(crate) command: KeyCommand,
    /// The word beside the key in the footer; `None` keeps the key out of the footer.
    pub(crate) footer: Option<&'static str>,
}

const fn bind(
    modes: &'static [Mode],
    keys: &'static [KeyPress],
    command: KeyCommand,
    footer: Option<&'static str>,
) -> Binding {
    Binding {
        modes,
        keys,
        command,
        footer,
    }
}

const fn key(c: char) -> KeyPress {
    named(KeyCode::Char(c))
}

const fn ctrl(c: char) -> KeyPress {
    KeyPress {
        ctrl: true,
        ..key(c)
    }
}

const fn named(code: KeyCode) -> KeyPress {
    KeyPress { code, ctrl: false }
}

const ENTER: KeyPress = named(KeyCode::Enter);
const ESC: KeyPress = named(KeyCode::Esc);
const TAB: KeyPress = named(KeyCode::Tab);
const BACK_TAB: KeyPress = named(KeyCode::BackTab);
const LEFT: KeyPress = named(KeyCode::Left);
const RIGHT: KeyPress = named(KeyCode::Right);
const UP: KeyPress = named(KeyCode::Up);
const DOWN: KeyPress = named(KeyCode::Down);
const PAGE_UP: KeyPress = named(KeyCode::PageUp);
const PAGE_DOWN: KeyPress = named(KeyCode::PageDown);
const HOME: KeyPress = named(KeyCode::Home);
const END: KeyPress = named(KeyCode::End);
const F1: KeyPress = named(KeyCode::F(1));
const F4: KeyPress = named(KeyCode::F(4));
const F10: KeyPress = named(KeyCode::F(10));

const BROWSE: &[Mode] = &[Mode::Browse];
const READ: &[Mode] = &[Mode::Browse, Mode::Help];
const FILTER: &[Mode] = &[Mode::Filter];
const CONFIRM: &[Mode] = &[Mode::Confirm];
const CONFIRM_TYPED: &[Mode] = &[Mode::ConfirmTyped];
const CONFIRM_KILL: &[Mode] = &[Mode::ConfirmKill];
const BUTTONS: &[Mode] = &[Mode::Confirm, Mode::ConfirmKill, Mode::ConfirmTyped];
const NOTICE: &[Mode] = &[Mode::Notice];
const NOTICE_TYPED: &[Mode] = &[Mode::NoticeTyped];
const DIALOG: &[Mode] = &[
    Mode::Confirm,
    Mode::ConfirmKill,
    Mode::ConfirmTyped,
    Mode::Notice,
    Mode::NoticeTyped,
];
const HELP: &[Mode] = &[Mode::Help];
const ANYWHERE: &[Mode] = &[
    Mode::Browse,
    Mode::Filter,
    Mode::Confirm,
    Mode::ConfirmKill,
    Mode::ConfirmTyped,
    Mode::Notice,
    Mode::NoticeTyped,
    Mode::Help,
];

/// Every key of the dashboard, in the order of help and footer.
pub(crate) const KEYMAP: &[Binding] = &[
    bind(BROWSE, &[key('?'), F1], Cmd::Help, Some("help")),
    bind(BROWSE, &[key('q'), F10], Cmd::Leave, Some("quit")),
    bind(ANYWHERE, &[ctrl('c')], Cmd::Quit, None),
    bind(BROWSE, &[ENTER], Cmd::Open, Some("detail")),
    bind(BROWSE, &[ESC], Cmd::Back, None),
    bind(BROWSE, &[key('/'), F4], Cmd::Filter, Some("filter")),
    bind(BROWSE, &[key(' ')], Cmd::Mark, Some("mark")),
    bind(BROWSE, &[key('r')], Cmd::Restart, Some("restart")),
    bind(BROWSE, &[key('x')], Cmd::Schedule, Some("shut down")),
    bind(BROWSE, &[key('X')], Cmd::Shutdown, Some("…and wait")),
    bind(BROWSE, &[key('K')], Cmd::Kill, None),
    bind(BROWSE, &[key('S')], Cmd::Start, Some("start")),
    bind(BROWSE, &[key('L')], Cmd::Reload, Some("reload")),
    bind(BROWSE, &[key('a')], Cmd::Automatic, None),
    bind(BROWSE, &[key('p')], Cmd::ProbeOne, Some("probe")),
    bind(BROWSE, &[ctrl('r')], Cmd::ProbeAll, None),
    bind(BROWSE, &[key('o')], Cmd::Sort, Some("order")),
    bind(BROWSE, &[key('e')], Cmd::Events, Some("events")),
    bind(BROWSE, &[key('v')], Cmd::Panes, Some("view")),
    bind(BROWSE, &[TAB], Cmd::Screen, None),
    bind(READ, &[DOWN, key('j')], Cmd::Down, None),
    bind(READ, &[UP, key('k')], Cmd::Up, None),
    bind(READ, &[PAGE_DOWN], Cmd::PageDown, None),
    bind(READ, &[PAGE_UP], Cmd::PageUp, None),
    bind(READ, &[ctrl('d')], Cmd::HalfDown, None),
    bind(READ, &[ctrl('u')], Cmd::HalfUp, None),
    bind(READ, &[key('g'), HOME], Cmd::Top, None),
    bind(READ, &[key('G'), END], Cmd::Bottom, None),
    bind(BROWSE, &[RIGHT], Cmd::Next, None),
    bind(BROWSE, &[LEFT], Cmd::Previous, None),
    bind(BROWSE, &[ctrl('z')], Cmd::Suspend, None),
    bind(FILTER, &[ENTER], Cmd::Accept, Some("keep")),
    bind(FILTER, &[ESC], Cmd::Back, Some("clear")),
    bind(FILTER, &[DOWN], Cmd::Down, None),
    bind(FILTER, &[UP], Cmd::Up, None),
    bind(CONFIRM, &[key('y')], Cmd::Confirm, Some("do it")),
    bind(
        CONFIRM,
        &[ESC, key('n'), key('q')],
        Cmd::Back,
        Some("cancel"),
    ),
    bind(CONFIRM_KILL, &[ESC], Cmd::Back, Some("cancel")),
    bind(CONFIRM_TYPED, &[ESC], Cmd::Back, Some("cancel")),
    bind(
        BUTTONS,
        &[TAB, BACK_TAB, LEFT, RIGHT],
        Cmd::Switch,
        Some("other button"),
    ),
    bind(BUTTONS, &[ENTER], Cmd::Press, Some("press it")),
    bind(DIALOG, &[DOWN], Cmd::Down, None),
    bind(DIALOG, &[UP], Cmd::Up, None),
    bind(DIALOG, &[PAGE_DOWN], Cmd::PageDown, None),
    bind(DIALOG, &[PAGE_UP], Cmd::PageUp, None),
    bind(
        NOTICE,
        &[ESC, ENTER, key('n'), key('q')],
        Cmd::Back,
        Some("close"),
    ),
    bind(NOTICE_TYPED, &[ESC], Cmd::Back, Some("close")),
    bind(NOTICE_TYPED, &[ENTER], Cmd::Press, Some("press it")),
    bind(
        HELP,
        &[ESC, ENTER, key('q'), key('?'), F1],
        Cmd::Back,
        Some("close"),
    ),
];

impl KeyCommand {
    /// Returns the sentence of the command in the help and the README.
    pub(crate) const fn help(self) -> &'static str {
        match self {
            Self::Up => "one up",
            Self::Down => "one down",
            Self::PageUp => "a screen up",
            Self::PageDown => "a screen down",
            Self::HalfUp => "half a screen up",
            Self::HalfDown => "half a screen down",
            Self::Top => "to the first",
            Self::Bottom => "to the last",
            Self::Open => "details of the selected service",
            Self::Back => "back; clears the filter, then the marks",
            Self::Previous => "the service before, in the detail too",
            Self::Next => "the next service, in the detail too",
            Self::Screen => "services, detail, events in turn",
            Self::Events => "the events alone",
            Self::Panes => "detail and events beside the table, or the table alone",
            Self::Filter => {
                "filter: part of a name, state:WORD, group:NAME, flag:WORD, KEY=VALUE; !WORD for all others"
            }
            Self::Sort => "order: trouble first, inventory, name",
            Self::ProbeOne => "probe the selected service now",
            Self::ProbeAll => "probe all services now",
            Self::Schedule => "shut down, scheduled: asks and returns; always confirmed",
            Self::Shutdown => "shut down, blocking: asks and waits for the proof; always confirmed",
            Self::Kill => {
                "kill (SIGKILL) what is left of a stop that still waits or has failed; always confirmed"
            }
            Self::Reload => {
                "reload: has the service read its configuration again; always confirmed"
            }
            Self::Automatic => {
                "automatic restart on or off: of what is stale or unhealthy, where `restart_on` permits it"
            }
            Self::Restart => "restart: stops, starts, waits for the proof; always confirmed",
            Self::Start => "start what does not run, and wait until it is ready; always confirmed",
            Self::Mark => {
                "mark or unmark the selected service; actions mean all marked ones, if there are any"
            }
            Self::Help => "this help",
            Self::Suspend => "back to the shell; `fg` returns",
            Self::Leave => "quit; asks first while an action is under way",
            Self::Quit => "quit from anywhere, at once",
            Self::Accept => "keep the filter",
            Self::Confirm => "do it",
            Self::Press => "press the button that has the focus",
            Self::Switch => "the other button",
        }
    }

    /// Returns whether the command acts on services or prepares for that. `--read-only` removes its keys.
    pub(crate) const fn acts(self) -> bool {
        matches!(
            self,
            Self::Schedule
                | Self::Shutdown
                | Self::Kill
                | Self::Reload
                | Self::Restart
                | Self::Start
                | Self::Mark
                | Self::Automatic
        )
    }
}

impl KeyPress {
    fn matches(self, event: KeyEvent) -> bool {
        let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        let code = match event.code {
            // With caps lock on, ctrl-c arrives as ctrl-C; without ctrl, case tells x from X.
            KeyCode::Char(c) if ctrl => KeyCode::Char(c.to_ascii_lowercase()),
            code => code,
        };
        self.code == code && self.ctrl == ctrl && !event.modifiers.contains(KeyModifiers::ALT)
    }

    /// Returns the name printed on the key, such as `ctrl-c` or `PgUp`.
    pub(crate) fn name(self) -> String {
        let name = match self.code {
            KeyCode::Char(' ') => "Space".to_owned(),
            KeyCode::Char(c) => c.to_string(),
            KeyCode::F(n) => format!("F{n}"),
            KeyCode::Up => "↑".to_owned(),
            KeyCode::Down => "↓".to_owned(),
            KeyCode::Left => "←".to_owned(),
            KeyCode::Right => "→".to_owned(),
            KeyCode::PageUp => "PgUp".to_owned(),
            KeyCode::PageDown => "PgDn".to_owned(),
            KeyCode::BackTab => "shift-Tab".to_owned(),
            other => format!("{other:?}"),
        };
        if self.ctrl {
            format!("ctrl-{name}")
        } else {
            name
        }
    }
}

impl Binding {
    /// Returns the names of all keys of the row, such as `? F1`.
    pub(crate) fn names(&self) -> String {
        let names: Vec<String> = self.keys.iter().map(|key| key.name()).collect();
        names.join(" ")
    }
}

/// Returns the rows that count in a mode.
pub(crate) fn bindings(mode: Mode, read_only: bool) -> impl Iterator<Item = &'static Binding> {
    KEYMAP
        .iter()
        .filter(move |row| row.modes.contains(&mode) && !(read_only && row.command.acts()))
}

/// Returns the command of a key in a mode.
pub(crate) fn command(mode: Mode, key: KeyEvent, read_only: bool) -> Option<KeyCommand> {
    bindings(mode, read_only)
        .find(|row| row.keys.iter().any(|bound| bound.matches(key)))
        .map(|row| row.command)
}

/// Returns the table as the README shows it: the keys of the dashboard. Dialogs show their own keys.
#[cfg(test)]
pub(crate) fn markdown() -> String {
    use std::fmt::Write as _;

    let mut out = String::from("| key | does |\n| --- | --- |\n");
    let row = |out: &mut String, binding: &Binding| {
        let keys: Vec<String> = binding
            .keys
            .iter()
            .map(|key| format!("`{}`", key.name()))
            .collect();
        let _ = writeln!(out, "| {} | {} |", keys.join(" "), binding.command.help());
    };
    for binding in bindings(Mode::Browse, false) {
        row(&mut out, binding);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const MODES: &[Mode] = ANYWHERE;

    fn press(code: KeyCode, modifiers: KeyModifiers) -> KeyEvent {
        KeyEvent::new(code, modifiers)
    }

    #[test]
    fn no_key_means_two_things_in_one_mode() {
        for mode in MODES {
            let mut seen = Vec::new();
            for row in bindings(*mode, false) {
                for key in row.keys {
                    assert!(!seen.contains(key), "{} twice in {mode:?}", key.name());
                    seen.push(*key);
                }
            }
        }
    }

    #[test]
    fn every_mode_can_be_left_and_the_program_quit() {
        for mode in MODES {
            let commands: Vec<KeyCommand> = bindings(*mode, true).map(|row| row.command).collect();
            assert!(commands.contains(&KeyCommand::Quit), "{mode:?}");
            assert!(commands.contains(&KeyCommand::Back), "{mode:?}");
        }
    }

    #[test]
    fn keys_are_looked_up_as_terminals_send_them() {
        use KeyModifiers as M;
        let cases = [
            (
                Mode::Browse,
                KeyCode::Char('x'),
                M::NONE,
                Some(KeyCommand::Schedule),
            ),
            (
                Mode::Browse,
                KeyCode::Char('X'),
                M::SHIFT,
                Some(KeyCommand::Shutdown),
            ),
            (
                Mode::Browse,
                KeyCode::Char('X'),
                M::NONE,
                Some(KeyCommand::Shutdown),
            ),
            (
                Mode::Browse,
                KeyCode::Char('C'),
                M::CONTROL,
                Some(KeyCommand::Quit),
            ),
            (
                Mode::Browse,
                KeyCode::Char('d'),
                M::CONTROL,
                Some(KeyCommand::HalfDown),
            ),
            (Mode::Browse, KeyCode::Char('d'), M::NONE, None),
            (
                Mode::Browse,
                KeyCode::Char('r'),
                M::NONE,
                Some(KeyCommand::Restart),
            ),
            (
                Mode::Browse,
                KeyCode::Char('r'),
                M::CONTROL,
                Some(KeyCommand::ProbeAll),
            ),
            (Mode::Browse, KeyCode::Char('x'), M::ALT, None),
            (Mode::Browse, KeyCode::Esc, M::NONE, Some(KeyCommand::Back)),
            (Mode::Filter, KeyCode::Char('x'), M::NONE, None),
            (Mode::ConfirmTyped, KeyCode::Char('y'), M::NONE, None),
            (
                Mode::Confirm,
                KeyCode::Char('y'),
                M::NONE,
                Some(KeyCommand::Confirm),
            ),
            (Mode::Notice, KeyCode::Char('y'), M::NONE, None),
            (Mode::ConfirmKill, KeyCode::Char('y'), M::NONE, None),
            (Mode::NoticeTyped, KeyCode::Char('q'), M::NONE, None),
        ];
        for (mode, code, modifiers, expected) in cases {
            let found = command(mode, press(code, modifiers), false);
            assert_eq!(found, expected, "{mode:?} {code:?} {modifiers:?}");
        }
    }

    #[test]
    fn read_only_takes_the_actions_away() {
        for code in ['x', 'X', 'K', 'r', 'S', 'L', ' '] {
            let key = press(KeyCode::Char(code), KeyModifiers::NONE);
            assert_eq!(command(Mode::Browse, key, true), None);
        }
        assert!(bindings(Mode::Browse, true).all(|row| !row.command.acts()));
    }

    #[test]
    fn the_readme_shows_this_table() {
        crate::run::tests::readme::assert_section("keys", &markdown());
    }
}
