//! Shall this be done? One service has a field for everything; of several, first comes what is done to whom in which
//! order, then the exact request of each.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{Content, buttons, field, verb};
use crate::action::{Action, Goal, ProposedAction};
use crate::text::{short_age, wrap};
use crate::tui::dialog::Question;
use crate::tui::theme;

/// The width of the names of the fields.
const LABEL: usize = 9;

pub(super) fn content(question: &Question, columns: usize) -> Content {
    let verb = verb(question.action);
    let mut body = Vec::new();
    let title = match question.proposal.offers.as_slice() {
        [offer] => {
            describe_one(question, offer, columns, &mut body);
            format!(" {verb} {}? ", offer.service)
        }
        several => {
            describe_several(question, several, columns, &mut body);
            format!(" {verb} {} services? ", several.len())
        }
    };
    let mut foot = vec![Line::default()];
    let cursor = ask_name(question, columns, &mut foot);
    let yes = match question.proposal.offers.len() {
        1 => verb.to_owned(),
        count => format!("{verb} {count}"),
    };
    foot.push(buttons(
        question.focus,
        "Cancel",
        &yes,
        question.may_confirm(),
    ));
    Content {
        title,
        body,
        foot,
        cursor,
    }
}

/// Asks for the name of a protected service; gives where the cursor stands.
fn ask_name(
    question: &Question,
    columns: usize,
    lines: &mut Vec<Line<'static>>,
) -> Option<(usize, usize)> {
    let names = question.names_to_type();
    let name = question.name_to_type()?;
    let alone = question.proposal.offers.len() == 1;
    let text = match names.len() {
        1 if alone => format!("It is protected. Type its name, {name}, to allow this:"),
        1 => format!("{name} is protected. Type its name, {name}, to allow all of this:"),
        count => format!(
            "{count} of them are protected. Type name {} of {count}, {name}, to allow all:",
            question.named + 1
        ),
    };
    lines.extend(wrap(&text, columns).into_iter().map(Line::raw));
    let typed = question.typed.value().to_owned();
    let cursor = (2 + question.typed.visual_cursor(), lines.len());
    lines.push(Line::from(vec![
        Span::raw("> "),
        Span::styled(typed, theme::strong()),
    ]));
    lines.push(Line::default());
    Some(cursor)
}

fn describe_one(
    question: &Question,
    offer: &ProposedAction,
    columns: usize,
    lines: &mut Vec<Line<'static>>,
) {
    let strong = theme::strong();
    let mut add = |label, text: &str, style| field(label, LABEL, text, style, columns, lines);
    add("service", &offer.service, strong);
    add("means", &offer.means, Style::new());
    for (label, text, style) in requests(question, offer) {
        add(label, text, style);
    }
    add("then", &consequence(question, offer), Style::new());
    if let Some(untouched) = untouched(question) {
        add("as it is", &untouched, Style::new());
    }
}

fn describe_several(
    question: &Question,
    offers: &[ProposedAction],
    columns: usize,
    lines: &mut Vec<Line<'static>>,
) {
    let mut add = |label, text: &str| field(label, LABEL, text, Style::new(), columns, lines);
    add("order", &question.proposal.sequence());
    add("failure", on_failure(question.action));
    let mut all = offers.iter().map(|offer| consequence(question, offer));
    let first = all.next().unwrap_or_default();
    let alike = all.all(|other| other == first);
    if alike {
        add("each", &first);
    }
    if let Some(untouched) = untouched(question) {
        add("as it is", &untouched);
    }
    let digits = offers.len().to_string().len();
    for (n, offer) in offers.iter().enumerate() {
        lines.push(Line::default());
        let protected = if offer.protected { ", protected" } else { "" };
        lines.push(Line::from(vec![
            Span::raw(format!("{:>digits$} ", n + 1)),
            Span::styled(offer.service.clone(), theme::strong()),
            Span::raw(protected),
        ]));
        let indent = " ".repeat(digits + 1);
        let width = digits + 1 + LABEL;
        let mut add = |label: &str, text: &str, style| {
            let label = format!("{indent}{label}");
            field(&label, width, text, style, columns, lines);
        };
        add("means", &offer.means, Style::new());
        for (label, text, style) in requests(question, offer) {
            add(label, text, style);
        }
        if !alike {
            add("then", &consequence(question, offer), Style::new());
        }
    }
}

/// What is sent and run, in full, and where it goes.
fn requests<'a>(
    question: &Question,
    offer: &'a ProposedAction,
) -> Vec<(&'static str, &'a str, Style)> {
    let strong = theme::strong();
    if only_starts(question, offer) {
        return vec![
            ("command", offer.request.as_str(), strong),
            ("now", offer.target.as_str(), Style::new()),
        ];
    }
    let mut fields = vec![
        ("request", offer.request.as_str(), strong),
        ("target", offer.target.as_str(), Style::new()),
    ];
    fields.extend(offer.then.as_deref().map(|then| ("start", then, strong)));
    fields
}

fn only_starts(question: &Question, offer: &ProposedAction) -> bool {
    question.does(offer, Goal::Start) && !question.does(offer, Goal::Stop)
}

/// What becomes of the others when one fails.
const fn on_failure(action: Action) -> &'static str {
    match action {
        Action::Restart => {
            "if one fails, no other is stopped, and what was stopped is started again where it can be"
        }
        Action::Start => "if one fails, no other is started",
        Action::Shutdown | Action::Schedule | Action::Reload => {
            "if one fails, nothing is sent to those after it"
        }
    }
}

/// The services that were meant and need nothing.
fn untouched(question: &Question) -> Option<String> {
    let names = question.untouched();
    if names.is_empty() {
        return None;
    }
    let why = match (question.action, names.len()) {
        (Action::Start, 1) => "runs already",
        (Action::Start, _) => "run already",
        (_, 1) => "has stopped already",
        _ => "have stopped already",
    };
    Some(format!("{}: {why}", names.join(", ")))
}

fn consequence(question: &Question, offer: &ProposedAction) -> String {
    let most = short_age(offer.timeout);
    match offer.action {
        Action::Schedule => {
            "it drains and stops; healthctl returns once it has accepted".to_owned()
        }
        Action::Shutdown => {
            format!("it drains and stops; healthctl waits for the proof, {most} at most")
        }
        Action::Reload => format!("it reads its configuration again, {most} at most"),
        Action::Start => format!("healthctl waits until it is ready, {most} at most"),
        Action::Restart if only_starts(question, offer) => {
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
