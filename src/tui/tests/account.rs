//! The account of an action: its steps while it is under way, its verdict at the end, and when that has become history.

use std::time::Duration;

use insta::assert_snapshot;

use super::fleet::{app, offer, orders, press, proposal, screen, tell, tick};
use crate::action::{Action, Verdict};
use crate::event::{
    ActionDetails, ActionResult, ActionStep, Event, InstanceInfo, PhaseTimes, StepKind,
};
use crate::health::{Change, ServiceSnapshot, State};
use crate::tui::app::App;
use crate::tui::message::Ticket;
use crate::tui::samples::at;
use crate::tui::{Effect, Message};

/// A restart of `orders`, confirmed.
fn confirmed(width: u16, height: u16, action: Action) -> App {
    let mut app = app(vec![orders()], width, height);
    press(
        &mut app,
        match action {
            Action::Restart => "r",
            Action::Start => "S",
            _ => "X",
        },
    );
    let offers = vec![offer("orders", action, false)];
    let effects = app.update(Message::Prepared {
        ticket: Ticket(1),
        result: Ok(proposal(offers)),
    });
    assert!(effects.is_empty());
    press(&mut app, "y");
    app
}

fn step(app: &mut App, action: Action, seconds: f64, kind: StepKind, text: &str) {
    let elapsed = Duration::from_secs_f64(seconds);
    let step = ActionStep {
        service: "orders".to_owned(),
        action,
        kind,
        text: text.to_owned(),
        elapsed,
        at: at().plus(elapsed),
    };
    assert!(
        app.update(Message::Event(Event::ActionStep(step)))
            .is_empty()
    );
}

fn steps(app: &mut App) {
    let told = [
        (
            0.0,
            StepKind::Sending,
            "sending POST http://127.0.0.1:8000/health/shutdown",
        ),
        (0.1, StepKind::Accepted, "answered 200 OK: shutdown_started"),
        (0.2, StepKind::Draining, "draining, 3 in flight"),
        (2.1, StepKind::Silent, "127.0.0.1:8000 refuses connections"),
        (2.3, StepKind::Gone, "pid 4711 (uvicorn) has exited"),
        (
            2.4,
            StepKind::Started,
            "started pid 4790 (uvicorn), its output goes to logs/orders.log",
        ),
        (2.9, StepKind::Remark, "not ready yet: ready: answered 503"),
    ];
    for (seconds, kind, text) in told {
        step(app, Action::Restart, seconds, kind, text);
    }
}

fn party(pid: u32) -> InstanceInfo {
    InstanceInfo {
        pid: Some(pid),
        ..InstanceInfo::default()
    }
}

fn end(app: &mut App, action: Action, verdict: Verdict, text: &str, details: ActionDetails) {
    let elapsed = Duration::from_secs_f64(3.2);
    let done = ActionResult {
        service: "orders".to_owned(),
        action,
        verdict,
        text: text.to_owned(),
        evidence: vec!["reported start was 10:00:00, is 12:46:43".to_owned()],
        parts: Vec::new(),
        details,
        elapsed,
        at: at().plus(elapsed),
    };
    let effects = app.update(Message::Event(Event::ActionResult(Box::new(done))));
    assert!(effects.is_empty());
}

/// `orders` as it is seen after a new process has begun to answer.
fn renewed(state: State, seconds: f64) -> ServiceSnapshot {
    let now = at().plus(Duration::from_secs_f64(seconds));
    ServiceSnapshot {
        state,
        since: now,
        at: now,
        reasons: Vec::new(),
        ..orders()
    }
}

fn restarted() -> ActionDetails {
    let millis = |millis| Some(Duration::from_millis(millis));
    ActionDetails {
        before: Some(party(4711)),
        after: Some(party(4790)),
        times: PhaseTimes {
            drain: millis(2_300),
            start: millis(300),
            ready: millis(600),
        },
        log: Vec::new(),
        busy: false,
        code_rejected: false,
        automatic: false,
    }
}

#[test]
fn a_restart_under_way_at_80x24() {
    let mut app = confirmed(80, 24, Action::Restart);
    steps(&mut app);
    assert_snapshot!(screen(&app));
}

#[test]
fn a_restart_under_way_in_the_detail() {
    let mut app = confirmed(80, 24, Action::Restart);
    steps(&mut app);
    press(&mut app, "<Enter>");
    assert_snapshot!(screen(&app));
}

#[test]
fn a_restart_that_has_ended_at_160x45() {
    let mut app = confirmed(160, 45, Action::Restart);
    steps(&mut app);
    let text = "pid 4790, started 2026-11-22T12:46:42Z answers; before it was pid 4711";
    end(
        &mut app,
        Action::Restart,
        Verdict::Restarted,
        text,
        restarted(),
    );
    tell(&mut app, renewed(State::Healthy, 3.4), &[Change::State]);
    assert_snapshot!(screen(&app));
}

#[test]
fn a_start_that_has_failed_shows_what_it_wrote() {
    let mut app = confirmed(80, 24, Action::Start);
    step(
        &mut app,
        Action::Start,
        0.1,
        StepKind::Started,
        "started pid 4790 (uvicorn)",
    );
    let details = ActionDetails {
        log: (1..=20)
            .map(|n| format!("line {n} of its last words"))
            .collect(),
        ..ActionDetails::default()
    };
    let text = "pid 4790 (uvicorn) has ended: exit status: 3";
    end(&mut app, Action::Start, Verdict::Died, text, details);
    tell(&mut app, renewed(State::Unhealthy, 3.4), &[Change::State]);
    let shown = screen(&app);
    assert!(shown.contains("line 1 of its last words"), "{shown}");
    assert_snapshot!(shown);
    press(&mut app, "<Enter>");
    let shown = screen(&app);
    assert!(shown.contains("line 15 of its last words"), "{shown}");
}

#[test]
fn a_new_action_begins_a_new_account() {
    let mut app = confirmed(80, 40, Action::Shutdown);
    step(
        &mut app,
        Action::Shutdown,
        0.1,
        StepKind::Draining,
        "draining, 3 in flight",
    );
    end(
        &mut app,
        Action::Shutdown,
        Verdict::Stopped,
        "pid 4711 has exited",
        ActionDetails::default(),
    );
    assert!(screen(&app).contains("shutdown: stopped after 3.2s"));
    step(
        &mut app,
        Action::Start,
        0.0,
        StepKind::Started,
        "started pid 4790",
    );
    let shown = screen(&app);
    let (_, detail) = shown.split_once("start under way for").unwrap();
    let (detail, _) = detail.split_once("Events, newest first").unwrap();
    assert!(detail.contains("0.0s started pid 4790"), "{shown}");
    assert!(!detail.contains("3 in flight"), "{shown}");
    assert!(!detail.contains("shutdown: stopped"), "{shown}");
}

#[test]
fn an_end_becomes_history_when_the_service_is_back() {
    let history = |app: &App| screen(app).contains("last action  shutdown: stopped");
    let mut app = confirmed(80, 50, Action::Shutdown);
    end(
        &mut app,
        Action::Shutdown,
        Verdict::Stopped,
        "pid 4711 has exited",
        ActionDetails::default(),
    );
    tell(&mut app, renewed(State::Stopped, 3.4), &[Change::State]);
    assert!(!history(&app));
    tell(&mut app, renewed(State::Healthy, 9.0), &[Change::State]);
    assert!(history(&app), "{}", screen(&app));
}

#[test]
fn good_news_grow_old_and_bad_news_stay() {
    let top = |verdict, text: &str| {
        let mut app = confirmed(80, 50, Action::Restart);
        end(
            &mut app,
            Action::Restart,
            verdict,
            text,
            ActionDetails::default(),
        );
        tick(&mut app, 70.0);
        !screen(&app).contains("last action")
    };
    assert!(!top(Verdict::Restarted, "pid 4790 answers"));
    assert!(top(
        Verdict::SameProcess,
        "the process that answers is the old one"
    ));
}

#[test]
fn no_title_of_a_table_stands_alone() {
    for height in 14..40 {
        let mut app = confirmed(80, height, Action::Restart);
        steps(&mut app);
        let shown = screen(&app);
        let lines: Vec<&str> = shown.lines().collect();
        for (n, line) in lines.iter().enumerate() {
            let alone = line.contains("RESULT") || line.contains("STATUS  ");
            let next = lines.get(n + 1).copied().unwrap_or_default();
            assert!(
                !(alone && (next.contains("Events") || next.contains("? help"))),
                "{height}: {shown}"
            );
        }
    }
}

#[test]
fn what_has_failed_is_seen_in_its_row_until_the_next_action() {
    let mut app = confirmed(80, 40, Action::Restart);
    let text = "the process that answers is the old one";
    end(
        &mut app,
        Action::Restart,
        Verdict::SameProcess,
        text,
        ActionDetails::default(),
    );
    let shown = screen(&app);
    assert!(shown.contains("3s failed "), "{shown}");
    assert!(shown.contains("1 action failed"), "{shown}");
    step(&mut app, Action::Restart, 4.0, StepKind::Sending, "sending");
    let shown = screen(&app);
    assert!(!shown.contains("failed"), "{shown}");
}

#[test]
fn what_was_refused_before_it_began_leaves_the_account_of_what_was_done() {
    let mut app = confirmed(80, 40, Action::Start);
    let text = "pid 4790 has ended: exit status: 3";
    end(
        &mut app,
        Action::Start,
        Verdict::Died,
        text,
        ActionDetails::default(),
    );
    let details = ActionDetails::default();
    end(
        &mut app,
        Action::Shutdown,
        Verdict::Refused,
        "it does not run",
        details,
    );
    let shown = screen(&app);
    let (detail, events) = shown.split_once("Events, newest first").unwrap();
    assert!(detail.contains("start: died after 3.2s"), "{shown}");
    assert!(!detail.contains("it does not run"), "{shown}");
    assert!(events.contains("it does not run"), "{shown}");
}

#[test]
fn leaving_while_something_is_under_way_is_asked_about() {
    let mut app = confirmed(80, 24, Action::Restart);
    steps(&mut app);
    assert!(press(&mut app, "q").is_empty());
    assert_snapshot!(screen(&app));
    assert!(press(&mut app, "<Enter>").is_empty(), "Stay has the focus");
    assert!(app.dialog.is_none());
    assert_eq!(press(&mut app, "q<Tab><Enter>"), [Effect::Quit]);
    let mut app = confirmed(80, 24, Action::Restart);
    assert_eq!(press(&mut app, "<C-c>"), [Effect::Quit], "at once");
    let text = "pid 4790 answers";
    end(
        &mut app,
        Action::Restart,
        Verdict::Restarted,
        text,
        restarted(),
    );
    assert_eq!(press(&mut app, "q"), [Effect::Quit], "nothing is under way");
}
