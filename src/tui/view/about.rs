//! What is known of the selected service besides how it is: address, profile, process, labels.

use ratatui::text::{Line, Span};

use crate::event::ActionResult;
use crate::health::{HeartbeatPicture, Moment, Picture, Start, details};
use crate::text::{short_age, wrap};
use crate::tui::app::App;
use crate::tui::theme;

/// The width of the names of the fields.
const LABEL: usize = 12;

/// `history` is what was done to it and no longer says anything of how it is.
pub(super) fn lines(
    app: &App,
    picture: &Picture,
    columns: usize,
    history: Option<&ActionResult>,
) -> Vec<Line<'static>> {
    let mut fields: Vec<(&str, String)> = Vec::new();
    let mut add = |label, text: Option<String>| fields.extend(text.map(|text| (label, text)));
    add("url", picture.url.clone());
    add("profile", picture.profile.clone());
    add("version", picture.version.clone());
    add("calls itself", picture.service.clone());
    add("up", super::services::uptime(app, picture).map(short_age));
    add("started", picture.started.map(|start| started(app, start)));
    add(
        "heartbeat",
        picture
            .heartbeat
            .as_ref()
            .map(|beat| heartbeat(app.now, beat)),
    );
    add(
        "process",
        picture
            .identity
            .process
            .map(|process| format!("pid {}", process.pid)),
    );
    add("instance", picture.identity.instance.clone());
    add("group", picture.group.clone());
    add(
        "labels",
        joined(
            picture
                .labels
                .iter()
                .map(|(key, value)| format!("{key}={value}")),
        ),
    );
    add("depends on", joined(picture.depends_on.iter().cloned()));
    add("reports", joined(details(&picture.resources).into_iter()));
    add(
        "last action",
        history.map(|done| super::account::verdict(app, done)),
    );
    let mut lines = Vec::new();
    for (label, text) in fields {
        for (n, text) in wrap(&text, columns.saturating_sub(LABEL + 2))
            .into_iter()
            .enumerate()
        {
            let label = if n == 0 { label } else { "" };
            lines.push(Line::from(vec![
                Span::styled(format!(" {label:LABEL$} "), theme::quiet()),
                Span::raw(text),
            ]));
        }
    }
    lines
}

/// `12s ago, good for 30s, held by syncer-1, missed 1`: how old it is goes on between two looks.
pub(super) fn heartbeat(now: Moment, beat: &HeartbeatPicture) -> String {
    let last = match beat.beat_at {
        Some(at) => format!("{} ago", short_age(now.since(at))),
        None => "none yet".to_owned(),
    };
    let fresh_for = beat
        .fresh_for
        .map(|span| format!("good for {}", short_age(span)));
    let holder = beat.holder.as_ref().map(|it| format!("held by {it}"));
    let missed = (beat.missed > 0).then(|| format!("missed {}", beat.missed));
    let last_one = beat.is_final.then(|| "the last one".to_owned());
    let parts = [Some(last), fresh_for, holder, missed, last_one];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    parts.join(", ")
}

fn started(app: &App, start: Start) -> String {
    let at = start.at.to_zoned(app.zone.clone());
    let text = at.strftime("%Y-%m-%d %H:%M:%S %Z").to_string();
    if start.derived {
        format!("about {text}, worked out from its uptime")
    } else {
        text
    }
}

fn joined(parts: impl Iterator<Item = String>) -> Option<String> {
    let text = parts.collect::<Vec<_>>().join(", ");
    (!text.is_empty()).then_some(text)
}
