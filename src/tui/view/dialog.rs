//! The dialogs: a plan to confirm, a refusal, leaving while actions run. What would be sent is shown in full: it is
//! wrapped, never cut, and scrolls where it does not fit. Buttons and what is typed always stay on the screen.
//!
//! ```text
//! ╔══════════════════════ Restart orders? ═══════════════════════╗
//! ║ service  orders                                              ║  the text, which scrolls
//! ║ means    shutdown route                                      ║
//! ║ request  POST http://127.0.0.1:8000/health/shutdown          ║
//! ║ target   127.0.0.1:8000, pid 4711                            ║
//! ║ then     40s to stop, then it is started and a new process … ║
//! ║                                                              ║  the foot, which stays
//! ║              >[ Cancel ]     [ Restart ]                     ║
//! ╚══════════════════════════════════════════════════════════════╝
//! ```

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Clear, Padding, Paragraph};
use tui_input::Input;

use crate::action::{Action, Goal, ProposedAction, Refusal};
use crate::text::{cut, short_age};
use crate::tui::app::App;
use crate::tui::dialog::{Button, DialogKind, NameableProcess, PlanDialog, Viewport};
use crate::tui::message::Permission;
use crate::tui::theme;

use super::layout::regions;
use super::lines::TextLines;

/// The width of the labels of a plan, in cells.
const LABEL: usize = 9;

/// The content of a dialog.
struct DialogContent {
    title: String,
    /// The lines that scroll.
    body: TextLines,
    /// The lines that stay below the body.
    foot: TextLines,
    /// Column and line of the cursor in the foot, where something is typed.
    cursor: Option<(usize, usize)>,
}

impl DialogContent {
    fn new(columns: usize, title: String) -> Self {
        Self {
            title,
            body: TextLines::new(columns),
            foot: TextLines::new(columns),
            cursor: None,
        }
    }

    /// Returns how much of the body is on a screen of this height. Where not all of it is, one row says so.
    fn viewport(&self, height: u16) -> Viewport {
        let room = usize::from(height.saturating_sub(2)).saturating_sub(self.foot.lines.len());
        let lines = self.body.lines.len();
        let rows = if lines > room {
            room.saturating_sub(1)
        } else {
            lines
        };
        Viewport { lines, rows }
    }
}

/// Returns how much of the open dialog is on the screen.
pub(crate) fn viewport(app: &App) -> Option<Viewport> {
    regions(app, app.area)?;
    let content = content(app, inner_width(app.area))?;
    Some(content.viewport(app.area.height))
}

pub(super) fn draw(app: &App, area: Rect, frame: &mut Frame<'_>) {
    let columns = inner_width(area);
    let (Some(content), Some(dialog)) = (content(app, columns), &app.dialog) else {
        return;
    };
    let viewport = content.viewport(area.height);
    let top = dialog.top.min(viewport.last_top());
    let body = content.body.lines.into_iter();
    let mut lines: Vec<Line<'_>> = body.skip(top).take(viewport.rows).collect();
    if viewport.rows < viewport.lines {
        let read = dialog.read || !matches!(dialog.kind, DialogKind::Confirm(_));
        let text = position(viewport, top, read);
        lines.push(Line::styled(text, app.theme.alarm()).centered());
    }
    let above = lines.len();
    lines.extend(content.foot.lines);
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
        .title(Line::styled(content.title, theme::strong()).centered());
    let inner = block.inner(place);
    frame.render_widget(Clear, place);
    frame.render_widget(block, place);
    if let Some((x, y)) = content.cursor
        && let (Ok(x), Ok(y)) = (u16::try_from(x), u16::try_from(above + y))
        && x < inner.width
        && y < inner.height
    {
        frame.set_cursor_position(Position::new(inner.x + x, inner.y + y));
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

/// Returns which lines are on the screen, and how to see the others. A plan has to be seen to its end.
fn position(viewport: Viewport, top: usize, read: bool) -> String {
    let Viewport { lines, rows } = viewport;
    if rows == 0 {
        return "the terminal is too small; Esc closes".to_owned();
    }
    let shown = format!("lines {}-{} of {lines}", top + 1, top + rows);
    match lines - top - rows {
        0 => format!("{shown}, the end"),
        rest if read => format!("{shown}: ↓ or PgDn for the other {rest}"),
        rest => format!("{shown}; the other {rest} have to be seen first: ↓ or PgDn"),
    }
}

/// Returns the columns between the frame and its padding.
fn inner_width(area: Rect) -> usize {
    usize::from(area.width.saturating_sub(8).min(84))
}

fn content(app: &App, columns: usize) -> Option<DialogContent> {
    let dialog = app.dialog.as_ref()?;
    let allowed = dialog.may_confirm();
    let (mut content, cancel, confirm) = match &dialog.kind {
        DialogKind::Preparing {
            services,
            action,
            permission,
            ..
        } => {
            let verb = verb(*action, *permission);
            return Some(preparing(services, verb, columns));
        }
        DialogKind::Refused {
            refusals,
            meant,
            typed,
            ..
        } => {
            let mut content = refused(refusals, *meant, columns);
            close_refused(dialog.nameable().as_ref(), typed, &mut content);
            return Some(content);
        }
        DialogKind::Confirm(confirmation) => {
            let content = plan(confirmation, columns);
            let verb = verb(confirmation.action, confirmation.permission);
            let confirm = match confirmation.proposal.offers.len() {
                1 => verb.to_owned(),
                count => format!("{verb} {count}"),
            };
            (content, "Cancel", confirm)
        }
        DialogKind::Leave => (leave(app, columns), "Stay", "Leave".to_owned()),
    };
    let buttons = buttons(dialog.focus, cancel, &confirm, allowed);
    content.foot.push(buttons);
    Some(content)
}

/// Returns the question about these services, as a title.
fn question(verb: &str, services: &[&str]) -> String {
    match services {
        [one] => format!(" {verb} {one}? "),
        several => format!(" {verb} {} services? ", several.len()),
    }
}

fn preparing(services: &[String], verb: &str, columns: usize) -> DialogContent {
    let names: Vec<&str> = services.iter().map(String::as_str).collect();
    let mut content = DialogContent::new(columns, question(verb, &names));
    content.body.push(match names.len() {
        1 => "reading identity…".to_owned(),
        count => format!("reading {count} identities…"),
    });
    content.body.push("");
    content.body.push("nothing has been sent");
    content
}

/// Returns the dialog with the plan of an action. One service has a field for everything. Of several, first comes what
/// is done in which order, then the exact request of each.
fn plan(confirmation: &PlanDialog, columns: usize) -> DialogContent {
    let offers = confirmation.proposal.offers.as_slice();
    let names: Vec<&str> = offers.iter().map(|offer| offer.service.as_str()).collect();
    let verb = verb(confirmation.action, confirmation.permission);
    let mut content = DialogContent::new(columns, question(verb, &names));
    match offers {
        [offer] => describe_one(confirmation, offer, &mut content.body),
        several => describe_several(confirmation, several, &mut content.body),
    }
    content.foot.push("");
    content.cursor = ask_name(confirmation, &mut content.foot);
    content
}

/// Asks for the name of a protected service. Returns where the cursor stands.
fn ask_name(confirmation: &PlanDialog, lines: &mut TextLines) -> Option<(usize, usize)> {
    let names = confirmation.names_to_type();
    let name = confirmation.name_to_type()?;
    let text = match names.len() {
        1 if confirmation.proposal.offers.len() == 1 => {
            format!("It is protected. Type its name, {name}, to allow this:")
        }
        1 => format!("{name} is protected. Type its name, {name}, to allow all of this:"),
        count => format!(
            "{count} of them are protected. Type name {} of {count}, {name}, to allow all:",
            confirmation.named + 1
        ),
    };
    Some(ask_text(&text, &confirmation.typed, lines))
}

/// Asks for something to be typed. Returns where the cursor stands.
fn ask_text(text: &str, typed: &Input, lines: &mut TextLines) -> (usize, usize) {
    lines.text(text, Style::new());
    let cursor = (2 + typed.visual_cursor(), lines.lines.len());
    let typed = typed.value().to_owned();
    lines.push(vec![Span::raw("> "), Span::styled(typed, theme::strong())]);
    lines.push("");
    cursor
}

fn describe_one(confirmation: &PlanDialog, offer: &ProposedAction, lines: &mut TextLines) {
    lines.field("service", LABEL, &offer.service, theme::strong());
    for (label, text, style) in request(confirmation, offer) {
        lines.field(label, LABEL, text, style);
    }
    let then = consequence(confirmation, offer);
    lines.field("then", LABEL, &then, Style::new());
    if let Some(untouched) = untouched(confirmation) {
        lines.field("as it is", LABEL, &untouched, Style::new());
    }
}

fn describe_several(confirmation: &PlanDialog, offers: &[ProposedAction], lines: &mut TextLines) {
    let mut add = |label, text: &str| lines.field(label, LABEL, text, Style::new());
    add("order", &confirmation.proposal.sequence());
    add("failure", on_failure(confirmation.action));
    let mut all = offers.iter().map(|offer| consequence(confirmation, offer));
    let first = all.next().unwrap_or_default();
    let alike = all.all(|other| other == first);
    if alike {
        add("each", &first);
    }
    if let Some(untouched) = untouched(confirmation) {
        add("as it is", &untouched);
    }
    let digits = offers.len().to_string().len();
    let indent = " ".repeat(digits + 1);
    for (n, offer) in offers.iter().enumerate() {
        lines.push("");
        let protected = if offer.protected { ", protected" } else { "" };
        lines.push(vec![
            Span::raw(format!("{:>digits$} ", n + 1)),
            Span::styled(offer.service.clone(), theme::strong()),
            Span::raw(protected),
        ]);
        let mut add = |label: &str, text: &str, style| {
            lines.field(&format!("{indent}{label}"), digits + 1 + LABEL, text, style);
        };
        for (label, text, style) in request(confirmation, offer) {
            add(label, text, style);
        }
        if !alike {
            add("then", &consequence(confirmation, offer), Style::new());
        }
    }
}

/// Returns the fields with what is sent and run, in full, and where it goes.
fn request<'a>(
    confirmation: &PlanDialog,
    offer: &'a ProposedAction,
) -> Vec<(&'static str, &'a str, Style)> {
    let (plain, strong) = (Style::new(), theme::strong());
    let means = ("means", offer.means.as_str(), plain);
    if only_starts(confirmation, offer) {
        return vec![
            means,
            ("command", &offer.request, strong),
            ("now", &offer.target, plain),
        ];
    }
    let mut fields = vec![
        means,
        ("request", &offer.request, strong),
        ("target", &offer.target, plain),
    ];
    let rest = [("after", &offer.after_reply), ("or", &offer.otherwise)];
    let rest = rest.into_iter();
    fields.extend(rest.filter_map(|(label, text)| Some((label, text.as_deref()?, strong))));
    fields.extend(offer.then.as_deref().map(|then| ("start", then, strong)));
    fields
}

fn only_starts(confirmation: &PlanDialog, offer: &ProposedAction) -> bool {
    confirmation.does(offer, Goal::Start) && !confirmation.does(offer, Goal::Stop)
}

/// Returns what becomes of the others when one fails.
const fn on_failure(action: Action) -> &'static str {
    match action {
        Action::Restart => {
            "if one fails, no other is stopped, and what was stopped is started again where it can be"
        }
        Action::Start => "if one fails, those that need it are not started",
        Action::Shutdown | Action::Schedule | Action::Reload => {
            "if one fails, nothing is sent to those after it"
        }
    }
}

/// Returns the services that were meant and need nothing.
fn untouched(confirmation: &PlanDialog) -> Option<String> {
    let names = confirmation.untouched();
    let why = match (confirmation.action, names.len()) {
        (_, 0) => return None,
        (Action::Start, 1) => "runs already",
        (Action::Start, _) => "run already",
        (_, 1) => "has stopped already",
        _ => "have stopped already",
    };
    Some(format!("{}: {why}", names.join(", ")))
}

fn consequence(confirmation: &PlanDialog, offer: &ProposedAction) -> String {
    let most = short_age(offer.timeout);
    if confirmation.permission.kills() {
        return match offer.then {
            Some(_) => "what it has not written is lost, and the restart goes on",
            None => "what it has not written is lost; it stays down until it is started (`S`)",
        }
        .to_owned();
    }
    match offer.action {
        Action::Schedule => {
            "it drains and stops; healthctl returns once it has accepted".to_owned()
        }
        Action::Shutdown => {
            format!("it drains and stops; healthctl waits for the proof, {most} at most")
        }
        Action::Reload => format!("it reads its configuration again, {most} at most"),
        Action::Start => format!("healthctl waits until it is ready, {most} at most"),
        Action::Restart if only_starts(confirmation, offer) => {
            format!("it does not run: healthctl waits until it is ready, {most} at most")
        }
        Action::Restart if offer.then.is_some() => {
            format!("{most} to stop, then it is started and a new process proved")
        }
        Action::Restart => {
            format!("healthctl waits for the proof that a new process answers, {most} at most")
        }
    }
}

/// Returns the dialog with every refusal and what to do about it.
fn refused(refusals: &[Refusal], meant: usize, columns: usize) -> DialogContent {
    let mut content = DialogContent::new(columns, " Refused: nothing was sent ".to_owned());
    let body = &mut content.body;
    if meant > 1 {
        body.text(&refused_of_several(refusals.len(), meant), Style::new());
        body.push("");
    }
    for refusal in refusals {
        let text = format!("{} {}: {}", refusal.action, refusal.service, refusal.reason);
        body.text(&text, theme::strong());
        if let Some(hint) = &refusal.hint {
            body.hanging("hint: ", 6, hint, Style::new());
        }
        body.push("");
    }
    content
}

/// Adds the button of a refusal, below the question for the pid of a process that may be named all the same.
fn close_refused(process: Option<&NameableProcess>, typed: &Input, content: &mut DialogContent) {
    let mut button = ">[ Close ]";
    if let Some(NameableProcess { pid, .. }) = process {
        let text = format!("To signal exactly this process, for this once, type its pid, {pid}:");
        content.cursor = Some(ask_text(&text, typed, &mut content.foot));
        match typed.value().trim() {
            "" => {}
            whole if whole == pid.to_string() => button = ">[ Show what would be sent ]",
            _ => button = " [ this is not its pid ]",
        }
    }
    let button = Line::styled(button, theme::selected());
    content.foot.push(button.centered());
}

fn refused_of_several(refused: usize, meant: usize) -> String {
    let them = match refused {
        all if all >= meant => return format!("None of the {meant} services can have this done."),
        1 => "it",
        _ => "them",
    };
    format!(
        "{refused} of {meant} services cannot have this done, so it is done to none. Unmark {them} to act on the others."
    )
}

/// Returns the dialog that lists the actions that leaving would leave undone.
fn leave(app: &App, columns: usize) -> DialogContent {
    let title = " Leave with actions under way? ".to_owned();
    let mut content = DialogContent::new(columns, title);
    let body = &mut content.body;
    for snapshot in app.list.all() {
        let Some(progress) = app.running(&snapshot.info.name) else {
            continue;
        };
        let age = short_age(app.now.since(progress.since));
        let latest = progress.steps.last();
        let step = latest.map_or("waiting for its turn", |step| step.text.as_str());
        let action = progress.action;
        let text = format!("{action} {} for {age}: {step}", snapshot.info.name);
        body.styled(cut(&text, columns), theme::strong());
    }
    if body.lines.is_empty() {
        body.push("nothing is under way any more");
    }
    body.push("");
    let text = "Leaving now sends nothing more and waits for nothing: what has stopped is not started again.";
    body.text(text, Style::new());
    content.foot.push("");
    content
}

/// Returns the two buttons. The one on the right is faint while it may not be pressed.
fn buttons(focus: Button, cancel: &str, confirm: &str, allowed: bool) -> Line<'static> {
    let button = |button, text: &str| {
        let (marker, style) = if focus == button {
            (">", theme::selected())
        } else {
            (" ", Style::new())
        };
        let style = if button == Button::Confirm && !allowed {
            style.patch(theme::quiet())
        } else {
            style
        };
        Span::styled(format!("{marker}[ {text} ]"), style)
    };
    let buttons = vec![
        button(Button::Cancel, cancel),
        Span::raw("    "),
        button(Button::Confirm, confirm),
    ];
    Line::from(buttons).centered()
}

const fn verb(action: Action, permission: Permission) -> &'static str {
    match action {
        _ if permission.kills() => "Kill",
        Action::Shutdown | Action::Schedule => "Shut down",
        Action::Reload => "Reload",
        Action::Start => "Start",
        Action::Restart => "Restart",
    }
}
