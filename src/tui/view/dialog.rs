//! The question before an action, and a refusal. What would be sent stands there in full: it is wrapped, never cut.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Padding, Paragraph};

use crate::action::{Action, Offer, Refusal};
use crate::tui::app::App;
use crate::tui::dialog::{Button, Dialog, Question};
use crate::tui::figures;
use crate::tui::text::{width, wrap};
use crate::tui::theme;

/// The width of the names of the fields.
const LABEL: usize = 9;

pub(super) fn draw(app: &App, area: Rect, frame: &mut Frame<'_>) {
    let Some(dialog) = &app.dialog else { return };
    let columns = usize::from(area.width.saturating_sub(4).min(88)).saturating_sub(4);
    let mut cursor = None;
    let (title, lines) = match dialog {
        Dialog::Preparing {
            service, action, ..
        } => (
            format!(" {} {service}? ", verb(*action)),
            vec![
                Line::raw("reading identity…"),
                Line::default(),
                Line::raw("nothing has been sent"),
            ],
        ),
        Dialog::Confirm(question) => confirm(question, columns, &mut cursor),
        Dialog::Refused(refusals) => (
            " Refused: nothing was sent ".to_owned(),
            refused(refusals, columns),
        ),
    };
    let height = u16::try_from(lines.len() + 2)
        .unwrap_or(u16::MAX)
        .min(area.height);
    let box_width = u16::try_from(columns + 4)
        .unwrap_or(u16::MAX)
        .min(area.width);
    let place = Rect::new(
        area.x + (area.width - box_width) / 2,
        area.y + (area.height - height) / 2,
        box_width,
        height,
    );
    let block = Block::bordered()
        .border_type(BorderType::Double)
        .padding(Padding::horizontal(1))
        .title(Line::styled(title, theme::strong()).centered());
    let inner = block.inner(place);
    frame.render_widget(Clear, place);
    frame.render_widget(block, place);
    // The buttons are the last lines: where not all fits, the middle is what is missed least.
    let skip = lines.len().saturating_sub(usize::from(inner.height));
    if let Some((x, line)) = cursor {
        let y = inner.y + u16::try_from(line - skip.min(line)).unwrap_or(0);
        let x = inner.x
            + u16::try_from(x)
                .unwrap_or(u16::MAX)
                .min(inner.width.saturating_sub(1));
        frame.set_cursor_position(Position::new(x, y));
    }
    let lines: Vec<Line<'_>> = lines.into_iter().skip(skip).collect();
    frame.render_widget(Paragraph::new(lines), inner);
}

fn confirm(
    question: &Question,
    columns: usize,
    cursor: &mut Option<(usize, usize)>,
) -> (String, Vec<Line<'static>>) {
    let first = question.offers.first();
    let action = first.map_or(Action::Shutdown, |offer| offer.action);
    let title = match (question.offers.len(), first) {
        (1, Some(offer)) => format!(" {} {}? ", verb(action), offer.service),
        (count, _) => format!(" {} {count} services? ", verb(action)),
    };
    let mut lines = Vec::new();
    for offer in &question.offers {
        describe(offer, columns, &mut lines);
        lines.push(Line::default());
    }
    if let Some(name) = question.name_to_type() {
        lines.push(Line::raw(format!(
            "It is protected. Type its name, {name}, to allow this:"
        )));
        let typed = question.typed.value().to_owned();
        *cursor = Some((2 + question.typed.visual_cursor(), lines.len()));
        lines.push(Line::from(vec![
            Span::raw("> "),
            Span::styled(typed, theme::strong()),
        ]));
        lines.push(Line::default());
    }
    lines.push(buttons(question, verb(action)).centered());
    (title, lines)
}

fn describe(offer: &Offer, columns: usize, lines: &mut Vec<Line<'static>>) {
    let then = consequence(offer);
    let fields = [
        ("service", offer.service.as_str()),
        ("means", offer.means.as_str()),
        ("request", offer.request.as_str()),
        ("target", offer.target.as_str()),
        ("then", then.as_str()),
    ];
    for (label, text) in fields {
        let style = if matches!(label, "service" | "request") {
            theme::strong()
        } else {
            Style::new()
        };
        for (n, text) in wrap(text, columns.saturating_sub(LABEL))
            .into_iter()
            .enumerate()
        {
            let label = if n == 0 { label } else { "" };
            lines.push(Line::from(vec![
                Span::styled(format!("{label:LABEL$}"), theme::quiet()),
                Span::styled(text, style),
            ]));
        }
    }
}

fn buttons(question: &Question, verb: &str) -> Line<'static> {
    let look = |button| {
        if question.focus == button {
            theme::selected()
        } else {
            Style::new()
        }
    };
    let allowed = if question.may_confirm() {
        look(Button::Confirm)
    } else {
        look(Button::Confirm).patch(theme::quiet())
    };
    let mark = |button| if question.focus == button { ">" } else { " " };
    Line::from(vec![
        Span::styled(
            format!("{}[ Cancel ]", mark(Button::Cancel)),
            look(Button::Cancel),
        ),
        Span::raw("    "),
        Span::styled(format!("{}[ {verb} ]", mark(Button::Confirm)), allowed),
    ])
}

fn refused(refusals: &[Refusal], columns: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    for refusal in refusals {
        let subject = format!("{} {}: ", refusal.action, refusal.service);
        let text = format!("{subject}{}", refusal.reason);
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
    lines.push(Line::styled(">[ Close ]", theme::selected()).centered());
    lines
}

const fn verb(action: Action) -> &'static str {
    match action {
        Action::Shutdown | Action::Schedule => "Shut down",
        Action::Reload => "Reload",
        Action::Start => "Start",
        Action::Restart => "Restart",
    }
}

fn consequence(offer: &Offer) -> String {
    let most = figures::age(offer.timeout);
    match offer.action {
        Action::Schedule => {
            "it drains and stops; healthctl returns once it has accepted".to_owned()
        }
        Action::Shutdown => {
            format!("it drains and stops; healthctl waits for the proof, {most} at most")
        }
        Action::Reload => format!("it reads its configuration again, {most} at most"),
        Action::Start => format!("healthctl waits until it is ready, {most} at most"),
        Action::Restart => {
            format!("healthctl waits for the proof that a new process answers, {most} at most")
        }
    }
}
