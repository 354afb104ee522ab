//! Why nothing is done: which service refuses, and what to do about it.

use ratatui::text::Line;

use super::Content;
use crate::text::{width, wrap};
use crate::tui::dialog::Denial;
use crate::tui::theme;

pub(super) fn content(denial: &Denial, columns: usize) -> Content {
    Content {
        title: " Refused: nothing was sent ".to_owned(),
        body: lines(denial, columns),
        foot: vec![Line::styled(">[ Close ]", theme::selected()).centered()],
        cursor: None,
    }
}

fn lines(denial: &Denial, columns: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if denial.meant > 1 {
        lines.extend(wrap(&whole(denial), columns).into_iter().map(Line::raw));
        lines.push(Line::default());
    }
    for refusal in &denial.refusals {
        let text = format!("{} {}: {}", refusal.action, refusal.service, refusal.reason);
        lines.extend(
            wrap(&text, columns)
                .into_iter()
                .map(|text| Line::styled(text, theme::strong())),
        );
        if let Some(hint) = &refusal.hint {
            let label = "hint: ";
            for (n, text) in wrap(hint, columns.saturating_sub(width(label)))
                .into_iter()
                .enumerate()
            {
                let label = if n == 0 { label } else { "      " };
                lines.push(Line::raw(format!("{label}{text}")));
            }
        }
        lines.push(Line::default());
    }
    lines
}

/// What the refusals mean for all that were meant.
fn whole(denial: &Denial) -> String {
    let (refused, meant) = (denial.refusals.len(), denial.meant);
    let so = match refused {
        all if all >= meant => return format!("None of the {meant} services can have this done."),
        1 => "Unmark it to act on the others.",
        _ => "Unmark them to act on the others.",
    };
    format!("{refused} of {meant} services cannot have this done, so it is done to none. {so}")
}
