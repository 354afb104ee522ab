//! Colours and glyphs. Only the sixteen colours of every terminal, chosen to be read on dark and on light
//! backgrounds: trouble is a badge with both of its colours set, calm states colour their glyph and leave the word
//! in the terminal's own colour. Without colour, weight and reversal remain. A state is never told by colour alone.

use ratatui::style::{Color, Modifier, Style};

use crate::health::{DependencyStatus, ProbeResult, State};

/// How things look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Theme {
    color: bool,
}

/// How a word with its glyph looks: both in one style, or the glyph alone coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Look {
    /// The glyph, one cell wide.
    pub(crate) glyph: &'static str,
    /// How the glyph looks.
    pub(crate) mark: Style,
    /// How the word looks.
    pub(crate) word: Style,
}

impl Theme {
    /// A theme with or without colours.
    pub(crate) const fn new(color: bool) -> Self {
        Self { color }
    }

    /// A state, with the glyph that every face uses for it.
    pub(crate) fn state(self, state: State) -> Look {
        let glyph = state.glyph();
        match state {
            State::Unhealthy => self.badge(glyph, Color::White, Color::Red),
            State::Unready => self.loud(glyph, Color::Red),
            State::Unknown => self.loud(glyph, Color::Magenta),
            State::Degraded => self.badge(glyph, Color::Black, Color::Yellow),
            State::Draining => self.badge(glyph, Color::White, Color::Blue),
            State::Stopped => pale(glyph),
            State::Starting => self.calm(glyph, Color::Cyan),
            State::Healthy => self.calm(glyph, Color::Green),
        }
    }

    /// What a probe found; `None` before its first answer.
    pub(crate) fn result(self, result: Option<ProbeResult>) -> (Look, &'static str) {
        match result {
            Some(result @ ProbeResult::Pass) => (self.calm("✓", Color::Green), result.as_str()),
            Some(result @ ProbeResult::Warn) => (
                self.badge("!", Color::Black, Color::Yellow),
                result.as_str(),
            ),
            Some(result @ ProbeResult::Fail) => {
                (self.badge("✗", Color::White, Color::Red), result.as_str())
            }
            Some(result @ ProbeResult::Unknown) => {
                (self.loud("?", Color::Magenta), result.as_str())
            }
            None => (pale("·"), "waiting"),
        }
    }

    /// How a dependency is.
    pub(crate) fn dependency(self, status: DependencyStatus) -> (Look, &'static str) {
        match status {
            DependencyStatus::Working => (self.calm("✓", Color::Green), "working"),
            DependencyStatus::Degraded => {
                (self.badge("!", Color::Black, Color::Yellow), "degraded")
            }
            DependencyStatus::Error => (self.badge("✗", Color::White, Color::Red), "error"),
            DependencyStatus::NotUsed => (pale("–"), "not used"),
            DependencyStatus::Unknown => (self.loud("?", Color::Magenta), "unknown"),
        }
    }

    /// An answer to a yes-or-no question of which no is trouble.
    pub(crate) fn yes_no(self, answer: Option<bool>) -> (Style, &'static str) {
        match answer {
            Some(true) => (Style::new(), "yes"),
            Some(false) => (self.loud("", Color::Red).word, "no"),
            None => (quiet(), "–"),
        }
    }

    /// Something that somebody should look at: a flag, a failing action.
    pub(crate) fn alarm(self) -> Style {
        self.loud("", Color::Red).word
    }

    /// Something that went well.
    pub(crate) fn good(self) -> Style {
        self.paint(Style::new().add_modifier(Modifier::BOLD), Color::Green)
    }

    /// A key in the footer and the help.
    pub(crate) fn key(self) -> Style {
        self.paint(Style::new().add_modifier(Modifier::BOLD), Color::Magenta)
    }

    fn paint(self, style: Style, color: Color) -> Style {
        if self.color { style.fg(color) } else { style }
    }

    fn badge(self, glyph: &'static str, fg: Color, bg: Color) -> Look {
        let bold = Style::new().add_modifier(Modifier::BOLD);
        let style = if self.color { bold.fg(fg).bg(bg) } else { bold };
        Look {
            glyph,
            mark: style,
            word: style,
        }
    }

    fn loud(self, glyph: &'static str, color: Color) -> Look {
        let style = self.paint(Style::new().add_modifier(Modifier::BOLD), color);
        Look {
            glyph,
            mark: style,
            word: style,
        }
    }

    fn calm(self, glyph: &'static str, color: Color) -> Look {
        Look {
            glyph,
            mark: self.paint(Style::new().add_modifier(Modifier::BOLD), color),
            word: Style::new(),
        }
    }
}

/// The name of a thing: a column, a field.
pub(crate) fn label() -> Style {
    // Dim text is hard to read on many terminals; an underline costs no contrast.
    Style::new().add_modifier(Modifier::BOLD)
}

/// What matters less.
pub(crate) fn quiet() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

/// What matters more.
pub(crate) fn strong() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// The row, button or screen that has the focus.
pub(crate) fn selected() -> Style {
    Style::new().add_modifier(Modifier::REVERSED)
}

fn pale(glyph: &'static str) -> Look {
    Look {
        glyph,
        mark: quiet(),
        word: quiet(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_look(theme: Theme) -> Vec<Look> {
        let mut looks: Vec<Look> = State::ALL.iter().map(|state| theme.state(*state)).collect();
        looks.extend(
            ProbeResult::ALL
                .iter()
                .map(|result| theme.result(Some(*result)).0),
        );
        looks.extend(
            DependencyStatus::ALL
                .iter()
                .map(|status| theme.dependency(*status).0),
        );
        looks
    }

    #[test]
    fn without_colour_no_style_has_one() {
        for look in every_look(Theme::new(false)) {
            for style in [look.mark, look.word] {
                assert_eq!((style.fg, style.bg), (None, None), "{look:?}");
            }
        }
    }

    #[test]
    fn words_are_legible_on_dark_and_on_light() {
        // Yellow, green and cyan words vanish on white, blue ones on black: they may stand only on a background
        // that is set with them.
        for look in every_look(Theme::new(true)) {
            let readable = match look.word.fg {
                None | Some(Color::Red | Color::Magenta) => true,
                Some(_) => look.word.bg.is_some(),
            };
            assert!(readable, "{look:?}");
        }
    }

    #[test]
    fn each_state_has_a_glyph_of_its_own() {
        let mut glyphs: Vec<_> = State::ALL
            .iter()
            .map(|state| Theme::new(true).state(*state).glyph)
            .collect();
        glyphs.sort_unstable();
        glyphs.dedup();
        assert_eq!(glyphs.len(), State::ALL.len());
    }

    #[test]
    fn a_glyph_takes_one_cell() {
        for look in every_look(Theme::new(true)) {
            assert_eq!(crate::text::width(look.glyph), 1, "{look:?}");
        }
    }
}
