//! Whole screens at two sizes. What is drawn in colour here reads the same without.

use insta::assert_snapshot;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::Color;

use super::fleet::{app, offer, orders, press, proposal, screen, services, tell, tick};
use crate::action::{Action, Refusal};
use crate::health::{Change, DependencyStatus, Selection, State};
use crate::tui::app::App;
use crate::tui::samples::{dependency, snapshot};
use crate::tui::{Effect, Message, ServiceList, Setup, draw};

/// The fleet a few seconds later, with something that happened.
fn lively(width: u16, height: u16) -> App {
    let mut before = orders();
    before.state = State::Healthy;
    before.reasons.clear();
    before.dependencies[1].status = DependencyStatus::Working;
    let mut all = services();
    all[2] = before;
    let mut app = app(all, width, height);
    tell(
        &mut app,
        orders(),
        &[Change::State, Change::Reasons, Change::Dependency],
    );
    tick(&mut app, 3.0);
    app
}

fn asked(width: u16, height: u16, protected: bool) -> App {
    let mut app = lively(width, height);
    press(&mut app, "jj");
    let effects = press(&mut app, "x");
    let [
        Effect::Prepare {
            ticket,
            services,
            action,
            ..
        },
    ] = effects.as_slice()
    else {
        panic!("{effects:?}");
    };
    let offers = services
        .iter()
        .map(|service| offer(service, *action, protected))
        .collect();
    let effects = app.update(Message::Prepared {
        ticket: *ticket,
        result: Ok(proposal(offers)),
    });
    assert!(effects.is_empty());
    app
}

#[test]
fn a_fleet_at_80x24() {
    assert_snapshot!(screen(&lively(80, 24)));
}

#[test]
fn a_fleet_at_120x40() {
    let mut app = lively(120, 40);
    press(&mut app, "jjj");
    assert_snapshot!(screen(&app));
}

#[test]
fn a_fleet_at_200x50() {
    assert_snapshot!(screen(&lively(200, 50)));
}

#[test]
fn a_detail_at_80x24() {
    let mut app = lively(80, 24);
    press(&mut app, "jjj<Enter>");
    assert_snapshot!(screen(&app));
}

#[test]
fn a_detail_at_120x40() {
    let mut app = lively(120, 40);
    press(&mut app, "jjj<Enter>");
    assert_snapshot!(screen(&app));
}

#[test]
fn a_detail_has_all_that_the_payload_says() {
    let mut app = app(vec![orders()], 120, 40);
    press(&mut app, "<Enter>");
    assert_snapshot!(screen(&app));
}

#[test]
fn an_empty_fleet() {
    assert_snapshot!(screen(&app(Vec::new(), 80, 24)));
}

#[test]
fn before_the_first_answer() {
    let waiting = ["api", "worker"].map(crate::tui::samples::waiting).to_vec();
    assert_snapshot!(screen(&app(waiting, 80, 24)));
}

#[test]
fn a_question_at_80x24() {
    assert_snapshot!(screen(&asked(80, 24, false)));
}

#[test]
fn a_question_about_a_protected_service_at_120x40() {
    let mut app = asked(120, 40, true);
    press(&mut app, "orde");
    assert_snapshot!(screen(&app));
}

#[test]
fn a_refusal() {
    let mut app = lively(80, 24);
    let effects = press(&mut app, "X");
    let [Effect::Prepare { ticket, .. }] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    let refusal = Refusal {
        service: "postgres".to_owned(),
        action: Action::Shutdown,
        reason:
            "no way to stop it is known: its profile has no shutdown route and no process is known"
                .to_owned(),
        hint: Some("give it `pid_file`, or an action `shutdown` in the inventory".to_owned()),
        nameable: None,
    };
    let effects = app.update(Message::Prepared {
        ticket: *ticket,
        result: Err(vec![refusal]),
    });
    assert!(effects.is_empty());
    assert_snapshot!(screen(&app));
}

#[test]
fn the_help_at_80x24() {
    let mut app = lively(80, 24);
    press(&mut app, "?");
    assert_snapshot!(screen(&app));
}

#[test]
fn the_help_at_120x40() {
    let mut app = lively(120, 40);
    press(&mut app, "?");
    assert_snapshot!(screen(&app));
}

#[test]
fn a_filter_without_a_match() {
    let mut app = lively(80, 24);
    press(&mut app, "/state:draining");
    assert_snapshot!(screen(&app));
}

#[test]
fn a_thousand_services_scrolled() {
    let all = (0..1_000)
        .map(|n| {
            snapshot(
                &format!("service-{n:04}"),
                if n % 100 == 7 {
                    State::Degraded
                } else {
                    State::Healthy
                },
            )
        })
        .collect();
    let mut app = app(all, 80, 24);
    press(&mut app, "<PgDn><PgDn>j");
    assert_snapshot!(screen(&app));
}

#[test]
fn hostile_and_wide_text_stays_in_its_cells() {
    let mut long = orders();
    std::sync::Arc::make_mut(&mut long.info).name =
        "a-name-that-somebody-made-as-long-as-the-format-allows-eu-west-1".to_owned();
    long.version = Some("0.9.1-rc.1+build.20261122.abcdef".to_owned());
    long.reasons = vec![crate::text::clean(
        "\u{1b}[31mred\u{1b}[0m \u{202e}backwards",
        200,
    )];
    let mut wide = dependency("数据库", DependencyStatus::Error);
    wide.error = Some("連線逾時 🔥 timeout".to_owned());
    wide.success_count = Some(u64::MAX);
    let family = dependency("👩‍👩‍👧‍👦 family", DependencyStatus::Degraded);
    let combining = dependency("e\u{301}le\u{300}ve", DependencyStatus::Unknown);
    long.dependencies = vec![wide, family, combining];
    let mut app = app(vec![long, snapshot("b", State::Healthy)], 80, 24);
    press(&mut app, "g");
    assert_snapshot!(screen(&app));
}

#[test]
fn any_size_is_drawn_without_a_panic() {
    for width in (0..60).chain((60..230).step_by(9)) {
        for height in (0..30).step_by(3) {
            let mut app = asked(width, height, true);
            screen(&app);
            press(&mut app, "<Esc><Enter>");
            screen(&app);
            press(&mut app, "<PgDn>?G");
            screen(&app);
        }
    }
}

#[test]
fn a_terminal_that_is_too_small_says_so() {
    assert_snapshot!(screen(&lively(20, 5)));
}

#[test]
fn without_colour_nothing_is_told_by_colour() {
    let setup = Setup {
        inventory: "healthctl.yaml".to_owned(),
        selectors: String::new(),
        read_only: true,
        color: false,
        zone: jiff::tz::TimeZone::UTC,
    };
    let services = services().into_iter().map(std::sync::Arc::new).collect();
    let list = ServiceList::new(services, Selection::default());
    let mut app = App::new(setup, list, (80, 24), crate::tui::samples::at());
    tick(&mut app, 1.0);
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
    terminal.draw(|frame| draw(&app, frame)).unwrap();
    let buffer = terminal.backend().buffer();
    assert!(
        buffer
            .content
            .iter()
            .all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset)
    );
    assert_snapshot!(terminal.backend());
}

#[test]
fn a_silent_service_does_not_pass_off_old_news_as_new() {
    let mut silent = orders();
    silent.state = State::Unhealthy;
    silent.reasons = vec!["live: connection refused (127.0.0.1:8000)".to_owned()];
    let mut app = app(vec![silent], 80, 24);
    tick(&mut app, 60.0);
    assert_snapshot!(screen(&app));
}
