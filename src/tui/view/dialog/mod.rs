//! What is laid over the screen before an action: a question, or a refusal. What would be sent stands there in full: it
//! is wrapped, never cut, and scrolls where it does not fit; buttons and what is typed always stay on the screen.

mod leave;
mod question;
mod refusal;

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Padding, Paragraph};

use crate::action::Action;
use crate::text::wrap;
use crate::tui::app::App;
use crate::tui::dialog::{Button, Dialog, Part};
use crate::tui::theme;

/// What stands in a dialog.
struct Content {
    title: String,
    /// What scrolls.
    body: Vec<Line<'static>>,
    /// What stays below it.
    foot: Vec<Line<'static>>,
    /// Column and line of the cursor in the foot, where something is typed.
    cursor: Option<(usize, usize)>,
}

impl Content {
    /// How much of the body is on the screen, which has so many rows. Where not all of it is, a line says so.
    fn part(&self, height: u16) -> Part {
        let room = usize::from(height.saturating_sub(2)).saturating_sub(self.foot.len());
        let lines = self.body.len();
        let rows = if lines > room {
            room.saturating_sub(1)
        } else {
            lines
        };
        Part { lines, rows }
    }
}

/// How much of the dialog that is open is on the screen.
pub(crate) fn part(app: &App) -> Option<Part> {
    app.regions(app.area)?;
    let content = content(app, inner_width(app.area))?;
    Some(content.part(app.area.height))
}

pub(super) fn draw(app: &App, area: Rect, frame: &mut Frame<'_>) {
    let columns = inner_width(area);
    let (Some(content), Some(dialog)) = (content(app, columns), &app.dialog) else {
        return;
    };
    let part = content.part(area.height);
    let top = dialog.top().min(part.lines.saturating_sub(part.rows));
    let Content {
        title,
        body,
        foot,
        cursor,
    } = content;
    let mut lines: Vec<Line<'_>> = body.into_iter().skip(top).take(part.rows).collect();
    if part.rows < part.lines {
        let is_read = !matches!(dialog, Dialog::Confirm(question) if !question.read);
        let text = position(part, top, is_read);
        lines.push(Line::styled(text, app.theme.alarm()).centered());
    }
    let above = lines.len();
    lines.extend(foot);
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
        && let (Ok(x), Ok(y)) = (u16::try_from(x), u16::try_from(above + y))
        && x < inner.width
        && y < inner.height
    {
        frame.set_cursor_position(Position::new(inner.x + x, inner.y + y));
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

/// Which lines of all are on the screen, and what to do about it; a question has to be seen to its end.
fn position(part: Part, top: usize, is_read: bool) -> String {
    let Part { lines, rows } = part;
    if rows == 0 {
        return "it needs a larger terminal; Esc closes".to_owned();
    }
    let shown = format!("lines {}-{} of {lines}", top + 1, top + rows);
    match lines - top - rows {
        0 => format!("{shown}, the end"),
        rest if is_read => format!("{shown}: ↓ or PgDn for the other {rest}"),
        rest => format!("{shown}; the other {rest} have to be seen first: ↓ or PgDn"),
    }
}

/// Room for text between the frame and its padding.
fn inner_width(area: Rect) -> usize {
    usize::from(area.width.saturating_sub(8).min(84))
}

fn content(app: &App, columns: usize) -> Option<Content> {
    Some(match app.dialog.as_ref()? {
        Dialog::Preparing {
            services, action, ..
        } => Content {
            title: format!(" {} {}? ", verb(*action), subject(services)),
            body: vec![
                Line::raw(match services.len() {
                    1 => "reading identity…".to_owned(),
                    count => format!("reading {count} identities…"),
                }),
                Line::default(),
                Line::raw("nothing has been sent"),
            ],
            foot: Vec::new(),
            cursor: None,
        },
        Dialog::Confirm(question) => question::content(question, columns),
        Dialog::Refused(denial) => refusal::content(denial, columns),
        Dialog::Leave(focus) => leave::content(app, *focus, columns),
    })
}

/// The one service, or how many there are.
fn subject(services: &[String]) -> String {
    match services {
        [one] => one.clone(),
        several => format!("{} services", several.len()),
    }
}

/// A field with its name before it, on as many lines as it needs.
fn field(
    label: &str,
    width: usize,
    text: &str,
    style: Style,
    columns: usize,
    lines: &mut Vec<Line<'static>>,
) {
    let texts = wrap(text, columns.saturating_sub(width));
    for (n, text) in texts.into_iter().enumerate() {
        let label = if n == 0 { label } else { "" };
        lines.push(Line::from(vec![
            Span::styled(format!("{label:width$}"), theme::quiet()),
            Span::styled(text, style),
        ]));
    }
}

/// Two buttons; the one on the right is faint while it may not be pressed.
fn buttons(focus: Button, no: &str, yes: &str, may: bool) -> Line<'static> {
    let button = |button, text: &str| {
        let (mark, look) = if focus == button {
            (">", theme::selected())
        } else {
            (" ", Style::new())
        };
        let look = if button == Button::Confirm && !may {
            look.patch(theme::quiet())
        } else {
            look
        };
        Span::styled(format!("{mark}[ {text} ]"), look)
    };
    Line::from(vec![
        button(Button::Cancel, no),
        Span::raw("    "),
        button(Button::Confirm, yes),
    ])
    .centered()
}

const fn verb(action: Action) -> &'static str {
    match action {
        Action::Shutdown | Action::Schedule => "Shut down",
        Action::Reload => "Reload",
        Action::Start => "Start",
        Action::Restart => "Restart",
    }
}
