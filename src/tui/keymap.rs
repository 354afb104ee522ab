//! The one table of keys: lookup, footer, help and the README read it, so that none of them can be wrong.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Command {
    /// One up.
    Up,
    /// One down.
    Down,
    /// A screen up.
    PageUp,
    /// A screen down.
    PageDown,
    /// Half a screen up.
    HalfUp,
    /// Half a screen down.
    HalfDown,
    /// To the first.
    Top,
    /// To the last.
    Bottom,
    /// All of the selected service.
    Open,
    /// One step back; never out of the program.
    Back,
    /// The service before, in the detail.
    Previous,
    /// The service after, in the detail.
    Next,
    /// Services, detail, events in turn.
    Screen,
    /// The events alone.
    Events,
    /// The panes below the table shown or not.
    Panes,
    /// Type a filter.
    Filter,
    /// Another order of the rows.
    Sort,
    /// Ask the probes of the selected service now.
    ProbeOne,
    /// Ask all probes now.
    ProbeAll,
    /// Ask for a scheduled shutdown.
    Schedule,
    /// Ask for a shutdown that is waited for.
    Shutdown,
    /// Have the configuration read again.
    Reload,
    /// Switch automatic restart on or off.
    Automatic,
    /// Stop and start again.
    Restart,
    /// Start what does not run.
    Start,
    /// Mark the selected service, or take its mark away: actions mean the marked ones.
    Mark,
    /// The keys.
    Help,
    /// Give the terminal back to the shell for a while.
    Suspend,
    /// Leave; asks first where actions are under way.
    Leave,
    /// Leave at once.
    Quit,
    /// Take the filter as typed.
    Accept,
    /// Do it.
    Confirm,
    /// Press the button that has the focus.
    Press,
    /// Give the focus to the other button.
    Switch,
}

/// Which keys count at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    /// Services, detail or events.
    Browse,
    /// A filter is being typed: what is no key here is text.
    Filter,
    /// A question with two buttons.
    Confirm,
    /// The same, with a name to be typed: what is no key here is text.
    ConfirmTyped,
    /// Something to read and to leave: an action being prepared, a refusal.
    Notice,
    /// The help.
    Help,
}

/// One key, as it is pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    code: KeyCode,
    ctrl: bool,
}

/// One row of the table.
#[derive(Debug)]
pub(crate) struct Binding {
    /// Where it counts.
    pub(crate) modes: &'static [Mode],
    /// The keys, the one to show first.
    pub(crate) keys: &'static [Key],
    /// What they ask for.
    pub(crate) command: Command,
    /// Its word in the footer, where it stands there.
    pub(crate) footer: Option<&'static str>,
    /// Its sentence in the help.
    pub(crate) help: &'static str,
}

const fn key(c: char) -> Key {
    Key {
        code: KeyCode::Char(c),
        ctrl: false,
    }
}

const fn ctrl(c: char) -> Key {
    Key {
        code: KeyCode::Char(c),
        ctrl: true,
    }
}

const fn named(code: KeyCode) -> Key {
    Key { code, ctrl: false }
}

const ENTER: Key = named(KeyCode::Enter);
const ESC: Key = named(KeyCode::Esc);
const TAB: Key = named(KeyCode::Tab);
const BACK_TAB: Key = named(KeyCode::BackTab);
const LEFT: Key = named(KeyCode::Left);
const RIGHT: Key = named(KeyCode::Right);
const UP: Key = named(KeyCode::Up);
const DOWN: Key = named(KeyCode::Down);

const BROWSE: &[Mode] = &[Mode::Browse];
const READ: &[Mode] = &[Mode::Browse, Mode::Help];
const DIALOG: &[Mode] = &[Mode::Confirm, Mode::ConfirmTyped, Mode::Notice];
const ANYWHERE: &[Mode] = &[
    Mode::Browse,
    Mode::Filter,
    Mode::Confirm,
    Mode::ConfirmTyped,
    Mode::Notice,
    Mode::Help,
];

/// Every key of the dashboard, in the order of help and footer.
pub(crate) const KEYMAP: &[Binding] = &[
    Binding {
        modes: BROWSE,
        keys: &[key('?'), named(KeyCode::F(1))],
        command: Command::Help,
        footer: Some("help"),
        help: "this help",
    },
    Binding {
        modes: BROWSE,
        keys: &[key('q'), named(KeyCode::F(10))],
        command: Command::Leave,
        footer: Some("quit"),
        help: "quit; asks first while an action is under way",
    },
    Binding {
        modes: ANYWHERE,
        keys: &[ctrl('c')],
        command: Command::Quit,
        footer: None,
        help: "quit from anywhere, at once",
    },
    Binding {
        modes: BROWSE,
        keys: &[ENTER],
        command: Command::Open,
        footer: Some("detail"),
        help: "all about the selected service",
    },
    Binding {
        modes: BROWSE,
        keys: &[ESC],
        command: Command::Back,
        footer: None,
        help: "back; clears the filter, then the marks",
    },
    Binding {
        modes: BROWSE,
        keys: &[key('/'), named(KeyCode::F(4))],
        command: Command::Filter,
        footer: Some("filter"),
        help: "filter: part of a name, state:WORD, group:NAME, flag:WORD, KEY=VALUE; !WORD for all others",
    },
    Binding {
        modes: BROWSE,
        keys: &[key(' ')],
        command: Command::Mark,
        footer: Some("mark"),
        help: "mark or unmark the selected service; actions mean all marked ones, if there are any",
    },
    Binding {
        modes: BROWSE,
        keys: &[key('r')],
        command: Command::Restart,
        footer: Some("restart"),
        help: "restart: stops, starts, waits for the proof; always confirmed",
    },
    Binding {
        modes: BROWSE,
        keys: &[key('x')],
        command: Command::Schedule,
        footer: Some("shut down"),
        help: "shut down, scheduled: asks and returns; always confirmed",
    },
    Binding {
        modes: BROWSE,
        keys: &[key('X')],
        command: Command::Shutdown,
        footer: Some("…and wait"),
        help: "shut down, blocking: asks and waits for the proof; always confirmed",
    },
    Binding {
        modes: BROWSE,
        keys: &[key('S')],
        command: Command::Start,
        footer: Some("start"),
        help: "start what does not run, and wait until it is ready; always confirmed",
    },
    Binding {
        modes: BROWSE,
        keys: &[key('L')],
        command: Command::Reload,
        footer: Some("reload"),
        help: "reload: has the service read its configuration again; always confirmed",
    },
    Binding {
        modes: BROWSE,
        keys: &[key('a')],
        command: Command::Automatic,
        footer: None,
        help: "automatic restart on or off: of what is stale or unhealthy, where `restart_on` permits it",
    },
    Binding {
        modes: BROWSE,
        keys: &[key('p')],
        command: Command::ProbeOne,
        footer: Some("probe"),
        help: "ask the selected service now",
    },
    Binding {
        modes: BROWSE,
        keys: &[ctrl('r')],
        command: Command::ProbeAll,
        footer: None,
        help: "ask all services now",
    },
    Binding {
        modes: BROWSE,
        keys: &[key('o')],
        command: Command::Sort,
        footer: Some("order"),
        help: "order: trouble first, inventory, name",
    },
    Binding {
        modes: BROWSE,
        keys: &[key('e')],
        command: Command::Events,
        footer: Some("events"),
        help: "the events alone",
    },
    Binding {
        modes: BROWSE,
        keys: &[key('v')],
        command: Command::Panes,
        footer: Some("view"),
        help: "detail and events beside the table, or the table alone",
    },
    Binding {
        modes: BROWSE,
        keys: &[TAB],
        command: Command::Screen,
        footer: None,
        help: "services, detail, events in turn",
    },
    Binding {
        modes: READ,
        keys: &[DOWN, key('j')],
        command: Command::Down,
        footer: None,
        help: "one down",
    },
    Binding {
        modes: READ,
        keys: &[UP, key('k')],
        command: Command::Up,
        footer: None,
        help: "one up",
    },
    Binding {
        modes: READ,
        keys: &[named(KeyCode::PageDown)],
        command: Command::PageDown,
        footer: None,
        help: "a screen down",
    },
    Binding {
        modes: READ,
        keys: &[named(KeyCode::PageUp)],
        command: Command::PageUp,
        footer: None,
        help: "a screen up",
    },
    Binding {
        modes: READ,
        keys: &[ctrl('d')],
        command: Command::HalfDown,
        footer: None,
        help: "half a screen down",
    },
    Binding {
        modes: READ,
        keys: &[ctrl('u')],
        command: Command::HalfUp,
        footer: None,
        help: "half a screen up",
    },
    Binding {
        modes: READ,
        keys: &[key('g'), named(KeyCode::Home)],
        command: Command::Top,
        footer: None,
        help: "to the first",
    },
    Binding {
        modes: READ,
        keys: &[key('G'), named(KeyCode::End)],
        command: Command::Bottom,
        footer: None,
        help: "to the last",
    },
    Binding {
        modes: BROWSE,
        keys: &[RIGHT],
        command: Command::Next,
        footer: None,
        help: "the next service, in the detail too",
    },
    Binding {
        modes: BROWSE,
        keys: &[LEFT],
        command: Command::Previous,
        footer: None,
        help: "the service before, in the detail too",
    },
    Binding {
        modes: BROWSE,
        keys: &[ctrl('z')],
        command: Command::Suspend,
        footer: None,
        help: "back to the shell; `fg` returns",
    },
    Binding {
        modes: &[Mode::Filter],
        keys: &[ENTER],
        command: Command::Accept,
        footer: Some("keep"),
        help: "keep the filter",
    },
    Binding {
        modes: &[Mode::Filter],
        keys: &[ESC],
        command: Command::Back,
        footer: Some("clear"),
        help: "clear the filter",
    },
    Binding {
        modes: &[Mode::Filter],
        keys: &[DOWN],
        command: Command::Down,
        footer: None,
        help: "one down while typing",
    },
    Binding {
        modes: &[Mode::Filter],
        keys: &[UP],
        command: Command::Up,
        footer: None,
        help: "one up while typing",
    },
    Binding {
        modes: &[Mode::Confirm],
        keys: &[key('y')],
        command: Command::Confirm,
        footer: Some("do it"),
        help: "do it",
    },
    Binding {
        modes: &[Mode::Confirm],
        keys: &[ESC, key('n'), key('q')],
        command: Command::Back,
        footer: Some("cancel"),
        help: "cancel; nothing is sent",
    },
    Binding {
        modes: &[Mode::ConfirmTyped],
        keys: &[ESC],
        command: Command::Back,
        footer: Some("cancel"),
        help: "cancel; nothing is sent",
    },
    Binding {
        modes: &[Mode::Confirm, Mode::ConfirmTyped],
        keys: &[TAB, BACK_TAB, LEFT, RIGHT],
        command: Command::Switch,
        footer: Some("other button"),
        help: "the other button",
    },
    Binding {
        modes: &[Mode::Confirm, Mode::ConfirmTyped],
        keys: &[ENTER],
        command: Command::Press,
        footer: Some("press it"),
        help: "press the button that has the focus",
    },
    Binding {
        modes: DIALOG,
        keys: &[DOWN],
        command: Command::Down,
        footer: None,
        help: "a line down, where not all of it fits",
    },
    Binding {
        modes: DIALOG,
        keys: &[UP],
        command: Command::Up,
        footer: None,
        help: "a line up",
    },
    Binding {
        modes: DIALOG,
        keys: &[named(KeyCode::PageDown)],
        command: Command::PageDown,
        footer: None,
        help: "a screen down",
    },
    Binding {
        modes: DIALOG,
        keys: &[named(KeyCode::PageUp)],
        command: Command::PageUp,
        footer: None,
        help: "a screen up",
    },
    Binding {
        modes: &[Mode::Notice],
        keys: &[ESC, ENTER, key('n'), key('q')],
        command: Command::Back,
        footer: Some("close"),
        help: "close",
    },
    Binding {
        modes: &[Mode::Help],
        keys: &[ESC, ENTER, key('q'), key('?'), named(KeyCode::F(1))],
        command: Command::Back,
        footer: Some("close"),
        help: "close",
    },
];

impl Command {
    /// Whether it acts on services, or prepares for that: with `--read-only` its keys are gone.
    pub(crate) const fn acts(self) -> bool {
        matches!(
            self,
            Self::Schedule
                | Self::Shutdown
                | Self::Reload
                | Self::Restart
                | Self::Start
                | Self::Mark
                | Self::Automatic
        )
    }
}

impl Key {
    fn matches(self, event: KeyEvent) -> bool {
        let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
        let code = match event.code {
            // With caps lock on, ctrl-c arrives as ctrl-C; without ctrl, case tells x from X.
            KeyCode::Char(c) if ctrl => KeyCode::Char(c.to_ascii_lowercase()),
            code => code,
        };
        self.code == code && self.ctrl == ctrl && !event.modifiers.contains(KeyModifiers::ALT)
    }

    /// What is printed on it.
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
    /// All its keys: `? F1`.
    pub(crate) fn names(&self) -> String {
        let names: Vec<String> = self.keys.iter().map(|key| key.name()).collect();
        names.join(" ")
    }
}

/// The rows that count in a mode.
pub(crate) fn bindings(mode: Mode, read_only: bool) -> impl Iterator<Item = &'static Binding> {
    KEYMAP
        .iter()
        .filter(move |row| row.modes.contains(&mode) && !(read_only && row.command.acts()))
}

/// What a key asks for in a mode.
pub(crate) fn command(mode: Mode, key: KeyEvent, read_only: bool) -> Option<Command> {
    bindings(mode, read_only)
        .find(|row| row.keys.iter().any(|bound| bound.matches(key)))
        .map(|row| row.command)
}

/// The table as the README shows it: the dashboard's keys; dialogs show their own.
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
        let _ = writeln!(out, "| {} | {} |", keys.join(" "), binding.help);
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
            let commands: Vec<Command> = bindings(*mode, true).map(|row| row.command).collect();
            assert!(commands.contains(&Command::Quit), "{mode:?}");
            assert!(commands.contains(&Command::Back), "{mode:?}");
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
                Some(Command::Schedule),
            ),
            (
                Mode::Browse,
                KeyCode::Char('X'),
                M::SHIFT,
                Some(Command::Shutdown),
            ),
            (
                Mode::Browse,
                KeyCode::Char('X'),
                M::NONE,
                Some(Command::Shutdown),
            ),
            (
                Mode::Browse,
                KeyCode::Char('C'),
                M::CONTROL,
                Some(Command::Quit),
            ),
            (
                Mode::Browse,
                KeyCode::Char('d'),
                M::CONTROL,
                Some(Command::HalfDown),
            ),
            (Mode::Browse, KeyCode::Char('d'), M::NONE, None),
            (
                Mode::Browse,
                KeyCode::Char('r'),
                M::NONE,
                Some(Command::Restart),
            ),
            (
                Mode::Browse,
                KeyCode::Char('r'),
                M::CONTROL,
                Some(Command::ProbeAll),
            ),
            (Mode::Browse, KeyCode::Char('x'), M::ALT, None),
            (Mode::Browse, KeyCode::Esc, M::NONE, Some(Command::Back)),
            (Mode::Filter, KeyCode::Char('x'), M::NONE, None),
            (Mode::ConfirmTyped, KeyCode::Char('y'), M::NONE, None),
            (
                Mode::Confirm,
                KeyCode::Char('y'),
                M::NONE,
                Some(Command::Confirm),
            ),
            (Mode::Notice, KeyCode::Char('y'), M::NONE, None),
        ];
        for (mode, code, modifiers, expected) in cases {
            let found = command(mode, press(code, modifiers), false);
            assert_eq!(found, expected, "{mode:?} {code:?} {modifiers:?}");
        }
    }

    #[test]
    fn read_only_takes_the_actions_away() {
        for code in ['x', 'X', 'r', 'S', 'L', ' '] {
            let key = press(KeyCode::Char(code), KeyModifiers::NONE);
            assert_eq!(command(Mode::Browse, key, true), None);
        }
        assert!(bindings(Mode::Browse, true).all(|row| !row.command.acts()));
    }

    #[test]
    fn the_readme_shows_this_table() {
        crate::run::readme::assert_section("keys", &markdown());
    }
}
