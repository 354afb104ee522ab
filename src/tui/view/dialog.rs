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

/// What stands in a dialog.
struct Content {
    title: String,
    lines: Vec<Line<'static>>,
    /// Column and line of the cursor, where something is typed.
    cursor: Option<(usize, usize)>,
}

/// Whether all of the dialog is on the screen: nobody agrees to what they cannot see.
pub(crate) fn fits(app: &App) -> bool {
    let content = content(app, inner_width(app.area));
    app.regions(app.area).is_some()
        && content.is_none_or(|content| content.lines.len() + 2 <= usize::from(app.area.height))
}

pub(super) fn draw(app: &App, area: Rect, frame: &mut Frame<'_>) {
    let columns = inner_width(area);
    let Some(Content {
        title,
        mut lines,
        cursor,
    }) = content(app, columns)
    else {
        return;
    };
    let room = usize::from(area.height.saturating_sub(2));
    if lines.len() > room {
        lines.truncate(room.saturating_sub(1));
        lines.push(Line::styled(
            "all of it needs a larger terminal; Esc closes",
            app.theme.alarm(),
        ));
    }
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let width = u16::try_from(columns + 4).unwrap_or(u16::MAX);
    let (height, width) = (height.min(area.height), width.min(area.width));
    let place = Rect::new(
        area.x + (area.width - width) / 2,
        area.y + (area.height - height) / 2,
        width,
        height,
    );
    let block = Block::bordered()
        .border_type(BorderType::Double)
        .padding(Padding::horizontal(1))
        .title(Line::styled(title, theme::strong()).centered());
    let inner = block.inner(place);
    frame.render_widget(Clear, place);
    frame.render_widget(block, place);
    if let Some((x, y)) = cursor
        && let (Ok(x), Ok(y)) = (u16::try_from(x), u16::try_from(y))
        && x < inner.width
        && y < inner.height
    {
        frame.set_cursor_position(Position::new(inner.x + x, inner.y + y));
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

/// Room for text between the frame and its padding.
fn inner_width(area: Rect) -> usize {
    usize::from(area.width.saturating_sub(8).min(84))
}

fn content(app: &App, columns: usize) -> Option<Content> {
    Some(match app.dialog.as_ref()? {
        Dialog::Preparing {
            service, action, ..
        } => Content {
            title: format!(" {} {service}? ", verb(*action)),
            lines: vec![
                Line::raw("reading identity…"),
                Line::default(),
                Line::raw("nothing has been sent"),
            ],
            cursor: None,
        },
        Dialog::Confirm(question) => confirm(question, columns),
        Dialog::Refused(refusals) => Content {
            title: " Refused: nothing was sent ".to_owned(),
            lines: refused(refusals, columns),
            cursor: None,
        },
    })
}

fn confirm(question: &Question, columns: usize) -> Content {
    let first = question.offers.first();
    let action = first.map_or(Action::Shutdown, |offer| offer.action);
    let title = match (question.offers.len(), first) {
        (1, Some(offer)) => format!(" {} {}? ", verb(action), offer.service),
        (count, _) => format!(" {} {count} services? ", verb(action)),
    };
    let mut lines = Vec::new();
    let mut cursor = None;
    for offer in &question.offers {
        describe(offer, columns, &mut lines);
        lines.push(Line::default());
    }
    if let Some(name) = question.name_to_type() {
        let text = format!("It is protected. Type its name, {name}, to allow this:");
        lines.extend(wrap(&text, columns).into_iter().map(Line::raw));
        let typed = question.typed.value().to_owned();
        cursor = Some((2 + question.typed.visual_cursor(), lines.len()));
        lines.push(Line::from(vec![
            Span::raw("> "),
            Span::styled(typed, theme::strong()),
        ]));
        lines.push(Line::default());
    }
    lines.push(buttons(question, verb(action)).centered());
    Content {
        title,
        lines,
        cursor,
    }
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
