//! Colours and glyphs. Only the sixteen colours of every terminal, chosen to be read on dark and on light
//! backgrounds: trouble is a badge with both of its colours set, calm states colour their glyph and leave the word
//! in the terminal's own colour. Without colour, weight and reversal remain. Colour is never the only sign of a state.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;

use crate::health::{DependencyStatus, ProbeResult, State};

/// The styles of the dashboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Theme {
    color: bool,
}

/// The style of a word with its glyph: both in one style, or the glyph alone coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StatusStyle {
    /// The glyph, one cell wide.
    pub(crate) glyph: &'static str,
    pub(crate) glyph_style: Style,
    pub(crate) word_style: Style,
}

impl Theme {
    /// Returns the theme with or without colours.
    pub(crate) const fn new(color: bool) -> Self {
        Self { color }
    }

    /// Returns the style of a state, with the glyph that every output uses.
    pub(crate) fn state(self, state: State) -> StatusStyle {
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

    /// Returns the style and the word of the result of a probe; `None` before the first answer.
    pub(crate) fn result(self, result: Option<ProbeResult>) -> (StatusStyle, &'static str) {
        let Some(result) = result else {
            return (pale("·"), "waiting");
        };
        let alike = match result {
            ProbeResult::Pass => DependencyStatus::Working,
            ProbeResult::Warn => DependencyStatus::Degraded,
            ProbeResult::Fail => DependencyStatus::Error,
            ProbeResult::Unknown => DependencyStatus::Unknown,
        };
        (self.dependency(alike).0, result.as_str())
    }

    /// Returns the style and the word of the status of a dependency.
    pub(crate) fn dependency(self, status: DependencyStatus) -> (StatusStyle, &'static str) {
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

    /// Returns the style and the word of a yes-or-no answer of which *no* is trouble.
    pub(crate) fn yes_no(self, answer: Option<bool>) -> (Style, &'static str) {
        match answer {
            Some(true) => (Style::new(), "yes"),
            Some(false) => (self.alarm(), "no"),
            None => (quiet(), "–"),
        }
    }

    /// Returns the style of what somebody should look at: a flag, a failed action.
    pub(crate) fn alarm(self) -> Style {
        self.bold(Color::Red)
    }

    /// Returns the style of a success.
    pub(crate) fn good(self) -> Style {
        self.bold(Color::Green)
    }

    /// Returns the style of a key in the footer and the help.
    pub(crate) fn key(self) -> Style {
        self.bold(Color::Magenta)
    }

    fn bold(self, color: Color) -> Style {
        if self.color {
            strong().fg(color)
        } else {
            strong()
        }
    }

    fn badge(self, glyph: &'static str, fg: Color, bg: Color) -> StatusStyle {
        let style = self.bold(fg);
        StatusStyle::uniform(glyph, if self.color { style.bg(bg) } else { style })
    }

    fn loud(self, glyph: &'static str, color: Color) -> StatusStyle {
        StatusStyle::uniform(glyph, self.bold(color))
    }

    fn calm(self, glyph: &'static str, color: Color) -> StatusStyle {
        StatusStyle {
            glyph,
            glyph_style: self.bold(color),
            word_style: Style::new(),
        }
    }
}

impl StatusStyle {
    const fn uniform(glyph: &'static str, style: Style) -> Self {
        Self {
            glyph,
            glyph_style: style,
            word_style: style,
        }
    }

    /// Returns the glyph with this word after it.
    pub(crate) fn spans(self, word: &str) -> [Span<'static>; 2] {
        [
            Span::styled(self.glyph, self.glyph_style),
            Span::styled(format!(" {word}"), self.word_style),
        ]
    }
}

/// Returns the style of what matters less.
pub(crate) fn quiet() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

/// Returns the style of titles and of what matters more. Dim text is hard to read on many terminals.
pub(crate) fn strong() -> Style {
    Style::new().add_modifier(Modifier::BOLD)
}

/// Returns the style of the row or button that has the focus.
pub(crate) fn selected() -> Style {
    Style::new().add_modifier(Modifier::REVERSED)
}

fn pale(glyph: &'static str) -> StatusStyle {
    StatusStyle::uniform(glyph, quiet())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_style(theme: Theme) -> Vec<StatusStyle> {
        let mut styles: Vec<StatusStyle> =
            State::ALL.iter().map(|state| theme.state(*state)).collect();
        styles.extend(
            ProbeResult::ALL
                .iter()
                .map(|result| theme.result(Some(*result)).0),
        );
        styles.extend(
            DependencyStatus::ALL
                .iter()
                .map(|status| theme.dependency(*status).0),
        );
        styles
    }

    #[test]
    fn without_colour_no_style_has_one() {
        for style in every_style(Theme::new(false)) {
            for part in [style.glyph_style, style.word_style] {
                assert_eq!((part.fg, part.bg), (None, None), "{style:?}");
            }
        }
    }

    #[test]
    fn words_are_legible_on_dark_and_on_light() {
        // Yellow, green and cyan words vanish on white, blue ones on black: they may stand only on a background
        // that is set with them.
        for style in every_style(Theme::new(true)) {
            let readable = match style.word_style.fg {
                None | Some(Color::Red | Color::Magenta) => true,
                Some(_) => style.word_style.bg.is_some(),
            };
            assert!(readable, "{style:?}");
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
        for style in every_style(Theme::new(true)) {
            assert_eq!(crate::text::width(style.glyph), 1, "{style:?}");
        }
    }
}
