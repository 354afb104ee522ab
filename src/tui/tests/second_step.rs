//! The second steps of a stop: the key that kills, and the pid that is typed in a refusal.

use std::time::Duration;

use insta::assert_snapshot;

use super::fleet::{app, offer, orders, press, proposal, screen};
use crate::action::{Action, ProposedAction, Refusal, Verdict};
use crate::event::{ActionDetails, ActionResult, ActionStep, Event, StepKind};
use crate::health::State;
use crate::tui::app::App;
use crate::tui::dialog::DialogKind;
use crate::tui::message::Ticket;
use crate::tui::samples::{at, snapshot};
use crate::tui::{Effect, Message, Permission};

/// `orders`, of which a stop was asked for.
fn stopping(action: Action, width: u16, height: u16) -> App {
    let mut app = confirmed(action, width, height);
    step(
        &mut app,
        action,
        StepKind::Sending,
        "sending SIGTERM to pid 4711",
    );
    app
}

/// `orders`, of which a stop was confirmed.
fn confirmed(action: Action, width: u16, height: u16) -> App {
    let mut app = app(vec![orders()], width, height);
    press(&mut app, if action == Action::Restart { "r" } else { "X" });
    let result = Ok(proposal(vec![offer("orders", action, false)]));
    let effects = app.update(Message::Prepared {
        ticket: Ticket(1),
        result,
    });
    assert!(effects.is_empty());
    press(&mut app, "y");
    app
}

fn step(app: &mut App, action: Action, kind: StepKind, text: &str) {
    let step = ActionStep {
        service: "orders".to_owned(),
        action,
        kind,
        text: text.to_owned(),
        elapsed: Duration::from_secs(1),
        at: at().plus(Duration::from_secs(1)),
    };
    let effects = app.update(Message::Event(Event::ActionStep(step)));
    assert!(effects.is_empty());
}

fn end(app: &mut App, action: Action, verdict: Verdict, details: ActionDetails) {
    let done = ActionResult {
        service: "orders".to_owned(),
        action,
        verdict,
        text: "pid 4711 (uvicorn) still runs".to_owned(),
        evidence: Vec::new(),
        parts: Vec::new(),
        details,
        elapsed: Duration::from_secs(2),
        at: at().plus(Duration::from_secs(2)),
    };
    let effects = app.update(Message::Event(Event::ActionResult(Box::new(done))));
    assert!(effects.is_empty());
}

/// Presses the key, and returns whether it has a kill of `orders` prepared; the other outcome is a refusal.
fn kill(app: &mut App) -> bool {
    match press(app, "K").as_slice() {
        [
            Effect::Prepare {
                services,
                action: Action::Shutdown,
                permission: Permission::Kill,
                ..
            },
        ] => {
            assert_eq!(services, &["orders"]);
            true
        }
        [] => {
            let dialog = app.dialog.as_ref().map(|dialog| &dialog.kind);
            assert!(matches!(dialog, Some(DialogKind::Refused { .. })));
            false
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stop_is_killed_while_it_waits_and_after_it_has_failed() {
    let mut untouched = app(vec![orders()], 80, 24);
    assert!(!kill(&mut untouched));
    let mut drains = app(vec![snapshot("orders", State::Draining)], 80, 24);
    assert!(kill(&mut drains));
    for action in [Action::Shutdown, Action::Restart] {
        assert!(kill(&mut stopping(action, 80, 24)), "{action}");
        for (verdict, expected) in [
            (Verdict::StillAnswering, true),
            (Verdict::StillDraining, true),
            (Verdict::Unverified, true),
            (Verdict::Stopped, false),
            (Verdict::NotListening, false),
            (Verdict::Refused, false),
        ] {
            let mut app = stopping(action, 80, 24);
            end(&mut app, action, verdict, ActionDetails::default());
            assert_eq!(kill(&mut app), expected, "{action}: {verdict}");
        }
    }
    // Nothing was asked to stop yet.
    let mut waits = confirmed(Action::Shutdown, 80, 24);
    assert!(!kill(&mut waits));
    // What a restart has started is not being stopped, nor is it what was to stop.
    let mut starts = stopping(Action::Restart, 80, 24);
    step(&mut starts, Action::Restart, StepKind::Started, "started");
    assert!(!kill(&mut starts));
    let mut details = ActionDetails::default();
    details.times.start = Some(Duration::from_secs(1));
    end(&mut starts, Action::Restart, Verdict::Unverified, details);
    assert!(!kill(&mut starts));
}

#[test]
fn a_stop_that_is_killed_keeps_its_account() {
    let mut app = stopping(Action::Shutdown, 80, 24);
    assert!(kill(&mut app));
    let forced = ProposedAction {
        means: "SIGKILL, and SIGTERM 5s before it where none was sent yet".to_owned(),
        request: "SIGKILL to pid 4711 (uvicorn)".to_owned(),
        target: "the processes that its stop is for".to_owned(),
        ..offer("orders", Action::Shutdown, false)
    };
    let effects = app.update(Message::Prepared {
        ticket: Ticket(2),
        result: Ok(proposal(vec![forced])),
    });
    assert!(effects.is_empty());
    assert_snapshot!(screen(&app));
    assert!(press(&mut app, "y").is_empty(), "no letter kills");
    let effects = press(&mut app, "<Tab><Enter>");
    assert_eq!(effects, [Effect::Run { ticket: Ticket(2) }]);
    assert_eq!(app.progress["orders"].steps.len(), 1);
}

/// The refusal of a service whose process may be named by its pid.
fn refused(nameable: Option<u32>) -> App {
    let mut app = app(vec![orders()], 80, 24);
    press(&mut app, "X");
    let effects = app.update(Message::Prepared {
        ticket: Ticket(1),
        result: Err(vec![refusal(nameable)]),
    });
    assert!(effects.is_empty());
    app
}

fn refusal(nameable: Option<u32>) -> Refusal {
    Refusal {
        service: "orders".to_owned(),
        action: Action::Shutdown,
        reason: "its process is not proved to be its own: pid 4711 (uvicorn), `uvicorn orders:app` in /srv/orders: its command line is not that of its start command".to_owned(),
        hint: Some("name its `pid_file`".to_owned()),
        nameable,
    }
}

#[test]
fn a_refusal_takes_the_pid_of_the_process_and_no_other_text() {
    let mut app = refused(Some(4711));
    assert!(press(&mut app, "47x<Enter>").is_empty());
    assert!(app.dialog.is_some(), "another text closes nothing");
    assert_snapshot!(screen(&app));
    let effects = press(&mut app, "<Back>11<Enter>");
    let expected = Effect::Prepare {
        ticket: Ticket(2),
        services: vec!["orders".to_owned()],
        action: Action::Shutdown,
        permission: Permission::Pid {
            pid: 4711,
            kills: false,
        },
    };
    assert_eq!(effects, [expected]);
}

#[test]
fn a_kill_that_is_refused_may_name_the_process_to_kill() {
    let mut app = stopping(Action::Shutdown, 80, 24);
    end(
        &mut app,
        Action::Shutdown,
        Verdict::StillAnswering,
        ActionDetails::default(),
    );
    assert!(kill(&mut app));
    let effects = app.update(Message::Prepared {
        ticket: Ticket(2),
        result: Err(vec![refusal(Some(4711))]),
    });
    assert!(effects.is_empty());
    let effects = press(&mut app, "4711<Enter>");
    let [Effect::Prepare { permission, .. }] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    let expected = Permission::Pid {
        pid: 4711,
        kills: true,
    };
    assert_eq!(*permission, expected);
}

#[test]
fn a_refusal_is_closed_by_enter_where_nothing_was_typed() {
    for nameable in [None, Some(4711)] {
        let mut app = refused(nameable);
        assert!(press(&mut app, "<Enter>").is_empty());
        assert!(app.dialog.is_none(), "{nameable:?}");
    }
    // Without a process that may be named, a text is no text.
    let mut app = refused(None);
    press(&mut app, "q");
    assert!(app.dialog.is_none());
}
