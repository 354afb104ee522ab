//! What each message changes, and the effects that follow. Awaits nothing and reads no clock.

mod confirm;
mod keys;

use ratatui::layout::Rect;

use crate::action::{Action, Verdict};
use crate::event::Event;
use crate::health::{Moment, ServiceSnapshot};

use super::app::App;
use super::log::{self, LogEntry, LogKind};
use super::message::{Effect, Message, Permission};
use super::progress::ActionProgress;
use super::view;

impl App {
    /// Handles one message. See [`App::update_all`].
    #[cfg(test)]
    #[must_use]
    pub(crate) fn update(&mut self, message: Message) -> Vec<Effect> {
        self.update_all([message])
    }

    /// Handles all messages that are ready, in order. What follows from them (order of the rows, scroll positions) is
    /// computed once at the end, and before each key.
    #[must_use]
    pub(crate) fn update_all(
        &mut self,
        messages: impl IntoIterator<Item = Message>,
    ) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.note_dialog_seen();
        for message in messages {
            match message {
                Message::Key(key) => {
                    self.settle();
                    self.key(key, &mut effects);
                }
                Message::Paste(text) => self.paste(&text),
                Message::Resize { width, height } => self.resize(width, height),
                Message::Tick(now) => self.now = now,
                Message::Event(event) => self.event(event),
                Message::Automatic(status) => self.automatic = status,
                Message::Killing { service } => self.note_kill(&service),
                Message::Refused(refusal) => self.refuse(vec![refusal], 1, Permission::Nothing),
                Message::Prepared { ticket, result } => self.prepared(ticket, result, &mut effects),
            }
        }
        self.settle();
        effects
    }

    /// Brings order, window and scroll positions up to date.
    pub(super) fn settle(&mut self) {
        let regions = view::regions(self, self.area);
        let rows = regions.map_or(0, |regions| regions.service_rows());
        self.list.settle(self.filter.value(), rows);
        let Some(regions) = regions else { return };
        let last_top = |lines: usize, rows: usize| lines.saturating_sub(rows);
        self.detail_top = (self.detail_top).min(last_top(
            view::detail_lines(self, &regions),
            regions.detail_rows(),
        ));
        self.log_top = (self.log_top).min(last_top(self.log.len(), regions.event_rows()));
        if let Some(top) = self.help_top {
            let lines = view::help_lines(self, &regions);
            self.help_top = Some(top.min(last_top(lines, regions.help_rows())));
        }
        if let Some(viewport) = view::dialog_viewport(self)
            && let Some(dialog) = &mut self.dialog
        {
            dialog.top = dialog.top.min(viewport.last_top());
        }
    }

    fn resize(&mut self, width: u16, height: u16) {
        self.area = Rect::new(0, 0, width, height);
        if let Some(dialog) = &mut self.dialog {
            dialog.unseen();
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Snapshot { snapshot, changed } => {
                self.advance(snapshot.at);
                self.note_newest(&snapshot);
                let new = snapshot.clone();
                if let Some(old) = self.list.put(snapshot) {
                    for entry in log::of_snapshot(&old, &new, &changed) {
                        self.record(entry);
                    }
                }
            }
            Event::Load(load) => self.load = load,
            Event::ActionStep(step) => {
                self.advance(step.at);
                self.record(log::of_step(&step));
                self.progress_of(&step.service, step.action, step.at)
                    .step(step);
            }
            Event::ActionResult(result) => {
                self.advance(result.at);
                self.record(log::of_result(&result));
                // What was refused before it began had its dialog, and says nothing about the service.
                let is_of_running = |running: &ActionProgress| running.action == result.action;
                if result.verdict == Verdict::Refused
                    && !self.running(&result.service).is_some_and(is_of_running)
                {
                    return;
                }
                self.progress_of(&result.service, result.action, result.at)
                    .end(result);
            }
            Event::Notice { at, text } => {
                self.advance(at);
                self.record(LogEntry::new(at, None, LogKind::Remark, text));
            }
        }
    }

    fn note_newest(&mut self, snapshot: &ServiceSnapshot) {
        let answered = snapshot.probes.iter().filter_map(|probe| probe.checked_at);
        let newest = self.newest.into_iter().chain(answered);
        self.newest = newest.max_by_key(|at| at.mono);
    }

    /// Returns the action that an event is about: the one that runs, or a new one.
    fn progress_of(&mut self, service: &str, action: Action, at: Moment) -> &mut ActionProgress {
        let progress = self
            .progress
            .entry(service.to_owned())
            .or_insert_with(|| ActionProgress::confirmed(action, at, false));
        if !progress.runs() || progress.action != action {
            *progress = ActionProgress::confirmed(action, at, false);
        }
        progress
    }

    /// Moves the time forward, never back: an event may be a little older or newer than the last tick.
    fn advance(&mut self, at: Moment) {
        if at.mono > self.now.mono {
            self.now = at;
        }
    }

    fn record(&mut self, entry: LogEntry) {
        self.log.push(entry);
        // Older entries stay where they are while somebody reads them.
        if self.log_top > 0 {
            self.log_top += 1;
        }
    }
}
