//! Shall the dashboard be left although actions are under way? What that would leave undone.

use ratatui::text::Line;

use super::{Content, buttons};
use crate::text::{cut, short_age, wrap};
use crate::tui::app::App;
use crate::tui::dialog::Button;
use crate::tui::theme;

pub(super) fn content(app: &App, focus: Button, columns: usize) -> Content {
    let mut body = Vec::new();
    let all = app.list.all().iter();
    for picture in all {
        let Some(progress) = app.progress.get(&picture.name).filter(|it| it.runs()) else {
            continue;
        };
        let age = short_age(app.now.since(progress.since));
        let latest = progress.steps.last();
        let how = latest.map_or("waits for its turn", |step| step.text.as_str());
        let text = format!("{} {} for {age}: {how}", progress.action, picture.name);
        let text = cut(&text, columns).into_owned();
        body.push(Line::styled(text, theme::strong()));
    }
    if body.is_empty() {
        body.push(Line::raw("nothing is under way any more"));
    }
    body.push(Line::default());
    let text = "Leaving now sends nothing more and waits for nothing: what has stopped is not started again.";
    body.extend(wrap(text, columns).into_iter().map(Line::raw));
    Content {
        title: " Leave with actions under way? ".to_owned(),
        body,
        foot: vec![Line::default(), buttons(focus, "Stay", "Leave", true)],
        cursor: None,
    }
}
