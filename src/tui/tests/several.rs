//! Actions on several services: who is meant, what is asked, what is refused.

use insta::assert_snapshot;

use super::fleet::{app, offer, press, proposal, screen, services, tell, tick};
use crate::action::{Action, ProposedAction, Refusal};
use crate::health::{Change, State};
use crate::tui::app::App;
use crate::tui::dialog::DialogKind;
use crate::tui::message::Ticket;
use crate::tui::samples::snapshot;
use crate::tui::{Effect, Message};

const TICKET: Ticket = Ticket(1);

/// What a restart of a service would be.
fn restart(service: &str, protected: bool) -> ProposedAction {
    ProposedAction {
        means: "shutdown route (waits for the end), then the start command".to_owned(),
        request: format!("POST http://127.0.0.1:8000/{service}/health/shutdown"),
        then: Some(format!(
            "`uvicorn {service}:app --port 8000` in services/{service}"
        )),
        ..offer(service, Action::Restart, protected)
    }
}

/// A fleet of `a`, `b` and `c`, all of them healthy.
fn fleet(width: u16, height: u16) -> App {
    let all = ["a", "b", "c"].map(|name| snapshot(name, State::Healthy));
    app(all.to_vec(), width, height)
}

/// The question whether these are to be restarted, as it was answered by the preparation.
fn asked(width: u16, height: u16, offers: Vec<ProposedAction>) -> App {
    let all = offers
        .iter()
        .map(|offer| snapshot(&offer.service, State::Healthy))
        .collect();
    let mut app = app(all, width, height);
    for _ in &offers {
        press(&mut app, " j");
    }
    press(&mut app, "r");
    let result = Ok(proposal(offers));
    let effects = app.update(Message::Prepared {
        ticket: TICKET,
        result,
    });
    assert!(effects.is_empty());
    app
}

fn meant(effects: &[Effect]) -> (Action, Vec<&str>) {
    let [
        Effect::Prepare {
            services, action, ..
        },
    ] = effects
    else {
        panic!("{effects:?}");
    };
    (*action, services.iter().map(String::as_str).collect())
}

#[test]
fn without_a_mark_the_selected_service_is_meant() {
    for (key, action) in [
        ("r", Action::Restart),
        ("S", Action::Start),
        ("x", Action::Schedule),
        ("X", Action::Shutdown),
        ("L", Action::Reload),
    ] {
        let mut app = fleet(80, 24);
        press(&mut app, "j");
        assert_eq!(meant(&press(&mut app, key)), (action, vec!["b"]));
    }
}

#[test]
fn with_marks_the_marked_ones_are_meant_in_inventory_order() {
    let mut app = fleet(80, 24);
    press(&mut app, "G gg j");
    tell(&mut app, snapshot("c", State::Unhealthy), &[Change::State]);
    assert_eq!(
        meant(&press(&mut app, "r")),
        (Action::Restart, vec!["a", "c"])
    );
}

#[test]
fn marks_are_seen_in_their_rows_and_counted() {
    let mut app = fleet(80, 24);
    press(&mut app, " jj ");
    let shown = screen(&app);
    assert!(shown.contains(" ✓ healthy   *a "), "{shown}");
    assert!(shown.contains(" ✓ healthy    b "), "{shown}");
    assert!(shown.contains(">✓ healthy   *c "), "{shown}");
    assert!(shown.contains("2 marked *"), "{shown}");
    press(&mut app, "/a<Enter>");
    let shown = screen(&app);
    assert!(shown.contains("2 marked *, 1 not shown"), "{shown}");
    assert_eq!(meant(&press(&mut app, "r")).1, ["a", "c"]);
}

#[test]
fn escape_clears_the_filter_before_the_marks() {
    let mut app = fleet(80, 24);
    press(&mut app, " /b<Enter><Esc>");
    assert_eq!((app.list.len(), app.list.marked().count()), (3, 1));
    press(&mut app, "<Esc>");
    assert_eq!(app.list.marked().count(), 0);
}

#[test]
fn marks_are_for_one_action() {
    let offers = || vec![restart("a", false), restart("b", false)];
    let mut app = asked(80, 40, offers());
    press(&mut app, "n");
    assert_eq!(app.list.marked().count(), 2, "nothing was done yet");
    let mut app = asked(80, 40, offers());
    assert_eq!(press(&mut app, "y"), [Effect::Run { ticket: TICKET }]);
    assert_eq!(app.list.marked().count(), 0);
    let shown = screen(&app);
    assert!(shown.contains("restart"), "{shown}");
    assert!(shown.contains("waiting"), "{shown}");
    assert!(shown.contains("2 actions under way"), "{shown}");
}

#[test]
fn a_plan_that_does_not_fit_is_agreed_to_once_it_was_read() {
    let offers = ["a", "b", "c", "d", "e", "f", "g"]
        .map(|name| restart(name, false))
        .to_vec();
    let mut app = asked(80, 24, offers);
    assert!(press(&mut app, "y").is_empty());
    assert!(screen(&app).contains("have to be seen first"));
    press(&mut app, "<PgDn>");
    assert!(press(&mut app, "y").is_empty(), "not yet at the end");
    press(&mut app, "<PgDn><PgDn><PgDn><Up><Up>");
    assert_eq!(press(&mut app, "y"), [Effect::Run { ticket: TICKET }]);
}

#[test]
fn a_key_that_comes_with_the_question_agrees_to_nothing() {
    let mut app = fleet(80, 24);
    press(&mut app, "r");
    let result = Ok(proposal(vec![restart("a", false)]));
    let yes = crossterm_key('y');
    let effects = app.update_all([
        Message::Prepared {
            ticket: TICKET,
            result,
        },
        Message::Key(yes),
    ]);
    assert!(effects.is_empty(), "it was not drawn yet: {effects:?}");
    assert_eq!(
        app.update(Message::Key(yes)),
        [Effect::Run { ticket: TICKET }]
    );
}

fn crossterm_key(c: char) -> ratatui::crossterm::event::KeyEvent {
    use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
    KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE)
}

#[test]
fn every_protected_one_wants_its_name() {
    let offers = vec![
        restart("a", true),
        restart("b", false),
        restart("api", true),
    ];
    let mut app = asked(80, 60, offers);
    let shown = screen(&app);
    assert!(
        shown.contains("Type name 1 of 2, a, to allow all"),
        "{shown}"
    );
    press(&mut app, "<Tab>a");
    let shown = screen(&app);
    assert!(
        shown.contains("Type name 2 of 2, api, to allow all"),
        "{shown}"
    );
    assert!(press(&mut app, "<Enter>").is_empty());
    assert!(press(&mut app, "ap<Enter>").is_empty());
    assert_eq!(
        press(&mut app, "i<Enter>"),
        [Effect::Run { ticket: TICKET }]
    );
}

#[test]
fn what_is_under_way_keeps_the_others_from_being_asked_about() {
    let mut app = asked(80, 60, vec![restart("a", false), restart("b", false)]);
    press(&mut app, "y");
    press(&mut app, "gg j ");
    assert!(press(&mut app, "x").is_empty());
    let Some(DialogKind::Refused {
        refusals, meant, ..
    }) = app.dialog.map(|dialog| dialog.kind)
    else {
        panic!("no refusal");
    };
    assert_eq!((refusals.len(), meant), (2, 2));
}

#[test]
fn a_question_about_several_at_80x24() {
    let offers = ["web", "api", "database"].map(|name| restart(name, name == "database"));
    let app = asked(80, 24, offers.to_vec());
    assert_snapshot!(screen(&app));
}

#[test]
fn a_question_about_several_at_160x45() {
    let offers = ["web", "api", "database"].map(|name| restart(name, name == "database"));
    let app = asked(160, 45, offers.to_vec());
    assert_snapshot!(screen(&app));
}

#[test]
fn a_refusal_of_one_of_several() {
    let mut app = app(services(), 80, 24);
    press(&mut app, " j j r");
    let refusal = Refusal {
        service: "billing".to_owned(),
        action: Action::Restart,
        reason: "it does not say how it is started".to_owned(),
        hint: Some("give it `start: {command: […]}`, or `supervised: true`".to_owned()),
        nameable: None,
    };
    let effects = app.update(Message::Prepared {
        ticket: TICKET,
        result: Err(vec![refusal]),
    });
    assert!(effects.is_empty());
    assert_snapshot!(screen(&app));
}

#[test]
fn a_start_of_which_one_runs_already() {
    let mut app = fleet(80, 24);
    press(&mut app, " jj S");
    let start = ProposedAction {
        means: "start command".to_owned(),
        request: "`uvicorn c:app --port 8000` in services/c".to_owned(),
        target: "127.0.0.1:8000 refuses connections".to_owned(),
        ..offer("c", Action::Start, false)
    };
    let effects = app.update(Message::Prepared {
        ticket: TICKET,
        result: Ok(proposal(vec![start])),
    });
    assert!(effects.is_empty());
    tick(&mut app, 1.0);
    assert_snapshot!(screen(&app));
}
