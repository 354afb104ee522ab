//! What messages change and what they make the dashboard want.

use std::time::Duration;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::fleet::{app, offer, orders, press, proposal, screen, services, tell, tick};
use crate::action::{Action, Proposal, Verdict};
use crate::event::{ActionResult, ActionStep, AutoRestartStatus, Event, StepKind};
use crate::health::{Change, State};
use crate::tui::app::{App, Page};
use crate::tui::dialog::{Button, DialogKind};
use crate::tui::message::{Permission, Ticket};
use crate::tui::samples::{at, snapshot};
use crate::tui::{Effect, Message};

fn prepared(app: &mut App, ticket: Ticket, protected: bool) -> Vec<Effect> {
    let service = app.list.selected().unwrap().info.name.clone();
    let result = Ok(proposal(vec![offer(&service, Action::Schedule, protected)]));
    app.update(Message::Prepared { ticket, result })
}

/// A fleet with the question about `orders` open.
fn asked(protected: bool) -> (App, Ticket) {
    let mut app = app(vec![orders()], 80, 24);
    let effects = press(&mut app, "x");
    let ticket = Ticket(1);
    let services = vec!["orders".to_owned()];
    assert_eq!(
        effects,
        [Effect::Prepare {
            ticket,
            services,
            action: Action::Schedule,
            permission: Permission::Nothing,
        }]
    );
    assert!(prepared(&mut app, ticket, protected).is_empty());
    (app, ticket)
}

#[test]
fn keys_ask_for_what_the_keymap_says() {
    let one = || Effect::ProbeNow {
        service: Some("postgres".to_owned()),
    };
    let cases: [(&str, Vec<Effect>); 7] = [
        ("q", vec![Effect::Quit]),
        ("<C-c>", vec![Effect::Quit]),
        ("<C-z>", vec![Effect::Suspend]),
        ("p", vec![one()]),
        ("<C-r>", vec![Effect::ProbeNow { service: None }]),
        ("<Esc><Esc><Esc>", vec![]),
        ("?q", vec![]),
    ];
    for (keys, expected) in cases {
        let mut app = app(services(), 80, 24);
        assert_eq!(press(&mut app, keys), expected, "{keys}");
    }
}

#[test]
fn quit_works_from_everywhere() {
    for keys in ["?", "/abc", "<Enter>", "e", "x"] {
        let mut app = app(services(), 80, 24);
        press(&mut app, keys);
        assert_eq!(press(&mut app, "<C-c>"), [Effect::Quit], "{keys}");
    }
}

#[test]
fn escape_and_a_key_that_arrive_together_are_two_keys() {
    for keys in ["?", "/abc", "<Enter>", "e", "x"] {
        let mut app = app(services(), 80, 24);
        press(&mut app, keys);
        let together = KeyModifiers::ALT | KeyModifiers::CONTROL;
        let effects = app.update(Message::Key(KeyEvent::new(KeyCode::Char('c'), together)));
        assert_eq!(effects.last(), Some(&Effect::Quit), "{keys}");
    }
}

#[test]
fn the_filter_shows_while_it_is_typed_and_goes_with_escape() {
    let mut app = app(services(), 80, 24);
    press(&mut app, "/ordx<Back>");
    assert_eq!((app.list.len(), app.typing_filter), (1, true));
    press(&mut app, "<Enter>");
    assert_eq!((app.list.len(), app.typing_filter), (1, false));
    press(&mut app, "<Esc>");
    assert_eq!(app.list.len(), 5);
    press(&mut app, "/q<Esc>");
    assert_eq!((app.list.len(), app.filter.value()), (5, ""));
}

#[test]
fn letters_of_a_filter_are_no_commands() {
    let mut app = app(services(), 80, 24);
    assert!(press(&mut app, "/qxXp?").is_empty());
    assert_eq!(app.filter.value(), "qxXp?");
    assert!(app.dialog.is_none());
}

#[test]
fn pasted_text_is_never_a_command() {
    let mut app = app(services(), 80, 24);
    assert!(app.update(Message::Paste("xyq\u{3}".to_owned())).is_empty());
    assert!(app.dialog.is_none());
    press(&mut app, "/");
    assert!(app.update(Message::Paste("orders\n".to_owned())).is_empty());
    assert_eq!(app.filter.value(), "orders");
}

#[test]
fn escape_goes_back_one_step_at_a_time() {
    let mut app = app(services(), 80, 24);
    press(&mut app, "/o<Enter><Enter>");
    assert_eq!(app.page, Page::Detail);
    press(&mut app, "<Esc>");
    assert_eq!((app.page, app.filter.value()), (Page::Fleet, "o"));
    press(&mut app, "<Esc>");
    assert_eq!((app.page, app.filter.value()), (Page::Fleet, ""));
}

#[test]
fn cancel_has_the_focus_and_enter_presses_it() {
    let (mut app, ticket) = asked(false);
    let dialog = app.dialog.as_ref().unwrap();
    assert!(matches!(dialog.kind, DialogKind::Confirm(_)));
    assert_eq!(dialog.focus, Button::Cancel);
    assert_eq!(press(&mut app, "<Enter>"), [Effect::Forget { ticket }]);
    assert!(app.dialog.is_none());
}

#[test]
fn a_question_is_answered_by_y_or_by_its_button() {
    for keys in ["y", "<Tab><Enter>"] {
        let (mut app, ticket) = asked(false);
        assert_eq!(press(&mut app, keys), [Effect::Run { ticket }], "{keys}");
        assert!(app.dialog.is_none());
    }
    for keys in ["n", "q", "<Esc>", "<Tab><Tab><Enter>"] {
        let (mut app, ticket) = asked(false);
        assert_eq!(press(&mut app, keys), [Effect::Forget { ticket }], "{keys}");
    }
}

#[test]
fn nobody_agrees_to_what_they_cannot_see() {
    for (width, height) in [(80, 8), (20, 5), (39, 50)] {
        let (mut app, ticket) = asked(false);
        let effects = app.update(Message::Resize { width, height });
        assert!(effects.is_empty());
        assert!(
            press(&mut app, "y<Tab><Enter>").is_empty(),
            "{width}x{height}"
        );
        assert!(app.dialog.is_some());
        assert_eq!(press(&mut app, "<Esc>"), [Effect::Forget { ticket }]);
    }
}

#[test]
fn a_protected_service_wants_its_name() {
    let (mut app, ticket) = asked(true);
    assert!(
        press(&mut app, "y<Tab><Enter>").is_empty(),
        "`y` is text here"
    );
    assert!(app.dialog.is_some());
    assert_eq!(
        press(&mut app, "<Back>orders<Enter>"),
        [Effect::Run { ticket }]
    );
    let (mut app, ticket) = asked(true);
    assert_eq!(
        press(&mut app, "orders<Enter>"),
        [Effect::Forget { ticket }],
        "Cancel still has the focus"
    );
}

#[test]
fn a_key_pressed_before_the_question_is_seen_confirms_nothing() {
    let mut app = app(vec![orders()], 80, 24);
    press(&mut app, "x");
    assert!(press(&mut app, "y").is_empty());
    assert!(prepared(&mut app, Ticket(1), false).is_empty());
    let dialog = app.dialog.unwrap();
    assert!(matches!(dialog.kind, DialogKind::Confirm(_)));
}

#[test]
fn an_answer_to_a_question_that_was_left_opens_nothing() {
    let mut app = app(vec![orders()], 80, 24);
    press(&mut app, "x");
    assert_eq!(
        press(&mut app, "<Esc>"),
        [Effect::Forget { ticket: Ticket(1) }]
    );
    press(&mut app, "x");
    assert_eq!(
        prepared(&mut app, Ticket(1), false),
        [Effect::Forget { ticket: Ticket(1) }]
    );
    let dialog = app.dialog.unwrap();
    assert!(matches!(dialog.kind, DialogKind::Preparing { .. }));
}

#[test]
fn where_nothing_would_be_sent_nothing_is_asked() {
    let mut app = app(vec![orders()], 80, 24);
    press(&mut app, "X");
    let ticket = Ticket(1);
    let effects = app.update(Message::Prepared {
        ticket,
        result: Ok(Proposal::default()),
    });
    assert_eq!(effects, [Effect::Run { ticket }]);
    assert!(app.dialog.is_none());
}

#[test]
fn the_question_stays_about_its_service_when_rows_move() {
    let mut app = app(
        vec![snapshot("a", State::Healthy), snapshot("b", State::Healthy)],
        80,
        24,
    );
    press(&mut app, "x");
    tell(&mut app, snapshot("b", State::Unhealthy), &[Change::State]);
    assert_eq!(app.list.selected().unwrap().info.name, "a");
}

#[test]
fn one_action_at_a_time_on_a_service() {
    let (mut app, _) = asked(false);
    press(&mut app, "y");
    assert!(press(&mut app, "X").is_empty());
    assert!(
        matches!(&app.dialog.unwrap().kind, DialogKind::Refused { refusals, .. } if refusals[0].reason.contains("under way"))
    );
}

#[test]
fn read_only_has_no_action() {
    let mut app = app(vec![orders()], 80, 24);
    app.setup.read_only = true;
    assert!(press(&mut app, "xXrSL ").is_empty());
    assert!(app.dialog.is_none());
    assert_eq!(app.list.marked().count(), 0);
    assert!(!screen(&app).contains("shut down"));
    press(&mut app, "?");
    for word in ["shut down", "restart", "start what", "mark or"] {
        assert!(!screen(&app).contains(word), "{word}");
    }
}

#[test]
fn an_action_is_followed_to_its_verdict() {
    let (mut app, _) = asked(false);
    press(&mut app, "y");
    assert!(screen(&app).contains("stopping"));
    let step = ActionStep {
        service: "orders".to_owned(),
        action: Action::Schedule,
        kind: StepKind::Draining,
        text: "draining, 3 in flight".to_owned(),
        elapsed: Duration::from_secs(2),
        at: at().plus(Duration::from_secs(2)),
    };
    assert!(
        app.update(Message::Event(Event::ActionStep(step)))
            .is_empty()
    );
    assert!(screen(&app).contains("schedule under way for 2s"));
    assert!(screen(&app).contains("2.0s draining, 3 in flight"));
    let done = ActionResult {
        service: "orders".to_owned(),
        action: Action::Schedule,
        verdict: Verdict::Accepted,
        text: "the service said shutdown_scheduled".to_owned(),
        evidence: vec![],
        parts: Vec::new(),
        details: crate::event::ActionDetails::default(),
        elapsed: Duration::from_millis(2_100),
        at: at().plus(Duration::from_secs(3)),
    };
    assert!(
        app.update(Message::Event(Event::ActionResult(Box::new(done))))
            .is_empty()
    );
    tick(&mut app, 10.0);
    let screen = screen(&app);
    assert!(
        screen.contains("schedule: accepted after 2.1s, 7s ago"),
        "{screen}"
    );
    assert!(screen.contains("✓ schedule: accepted"), "{screen}");
    assert!(!screen.contains("stopping"), "{screen}");
}

#[test]
fn ages_tick_between_polls() {
    let mut app = app(vec![orders()], 80, 24);
    assert!(screen(&app).contains("2h05m"));
    tick(&mut app, 9.0);
    let later = screen(&app);
    assert!(later.contains("for 51s"), "{later}");
    assert!(
        later.contains("1m43s"),
        "the dependency's last success ages too: {later}"
    );
}

#[test]
fn what_a_silent_service_said_is_not_taken_for_new() {
    let mut app = app(vec![orders()], 80, 24);
    tick(&mut app, 12.0);
    let later = screen(&app);
    assert!(later.contains("last reported 12s ago"), "{later}");
    assert!(
        !later.contains("2h05m"),
        "an uptime that ticks on would look alive: {later}"
    );
}

#[test]
fn a_fleet_that_no_longer_answers_is_called_so() {
    let mut app = app(vec![], 80, 24);
    tell(&mut app, orders(), &[Change::First]);
    tick(&mut app, 9.0);
    assert!(screen(&app).contains("newest answer 9s ago"));
    tick(&mut app, 60.0);
    assert!(screen(&app).contains("NO ANSWER FOR 1m00s"));
}

#[test]
fn time_never_goes_back() {
    let mut app = app(vec![], 80, 24);
    tick(&mut app, 60.0);
    tell(&mut app, orders(), &[Change::First]);
    assert_eq!(app.now, at().plus(Duration::from_secs(60)));
}

#[test]
fn who_reads_older_events_keeps_their_place() {
    let mut app = app(vec![], 80, 24);
    let note = |n: usize| {
        Message::Event(Event::Notice {
            at: at(),
            text: format!("note {n}"),
        })
    };
    let effects = app.update_all((0..100).map(note));
    assert!(effects.is_empty());
    press(&mut app, "e<Down><Down><Down>");
    assert_eq!(app.log_top, 3);
    let effects = app.update(note(100));
    assert!(effects.is_empty());
    assert_eq!(app.log_top, 4);
    press(&mut app, "G");
    assert_eq!(app.log_top, 101 - 20);
}

#[test]
fn scrolling_stops_at_the_ends() {
    let mut app = app(vec![orders()], 80, 24);
    press(&mut app, "<Enter>GGG");
    let end = app.detail_top;
    press(&mut app, "j");
    assert_eq!(app.detail_top, end);
    press(&mut app, "gk");
    assert_eq!(app.detail_top, 0);
}

#[test]
fn a_smaller_terminal_keeps_the_selection_in_sight() {
    let all = (0..50)
        .map(|n| snapshot(&format!("s{n:02}"), State::Healthy))
        .collect();
    let mut app = app(all, 80, 40);
    press(&mut app, "GG");
    let effects = app.update(Message::Resize {
        width: 80,
        height: 15,
    });
    assert!(effects.is_empty());
    assert!(screen(&app).contains('>'), "{}", screen(&app));
    assert!(screen(&app).contains("s49"));
}

#[test]
fn automatic_restart_that_has_come_to_its_limit_says_so() {
    let mut app = app(vec![orders()], 100, 30);
    let name = "orders";
    let say = |app: &mut App, given_up: &[&str]| {
        let given_up = given_up.iter().map(|name| (*name).to_owned()).collect();
        let effects =
            app.update_all([Message::Automatic(AutoRestartStatus { on: true, given_up })]);
        assert!(effects.is_empty());
        screen(app)
    };
    assert!(say(&mut app, &[]).contains("automatic restart on"));
    let one = say(&mut app, &[name]);
    assert!(one.contains(&format!("gave up restarting {name}")), "{one}");
    assert!(!one.contains("automatic restart on"), "{one}");
    let two = say(&mut app, &[name, "another"]);
    assert!(two.contains("gave up restarting 2 services"), "{two}");
}
