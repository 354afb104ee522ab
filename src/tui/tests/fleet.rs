//! A small fleet with a bit of everything, and an `App` on it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use serde_json::{Value, json};

use crate::action::{Action, Goal, PlanStep, Proposal, ProposedAction};
use crate::event::Event;
use crate::health::{
    Change, DependencyStatus, Failure, FailureKind, Flag, ProbeResult, Role, Selection,
    ServiceInfo, ServiceSnapshot, Start, State,
};
use crate::tui::samples::{self, answered, at, dependency, probe, snapshot};
use crate::tui::{App, Effect, Message, ServiceList, Setup, draw};

/// An app over these services.
pub(super) fn app(services: Vec<ServiceSnapshot>, width: u16, height: u16) -> App {
    let setup = Setup {
        inventory: "~/shop/healthctl.yaml".to_owned(),
        selectors: String::new(),
        read_only: false,
        color: true,
        zone: TimeZone::UTC,
    };
    let services = services.into_iter().map(Arc::new).collect();
    let list = ServiceList::new(services, Selection::default());
    App::new(setup, list, (width, height), at())
}

/// What stands on the screen.
pub(super) fn screen(app: &App) -> String {
    if app.area.is_empty() {
        return String::new();
    }
    let mut terminal = Terminal::new(TestBackend::new(app.area.width, app.area.height)).unwrap();
    terminal.draw(|frame| draw(app, frame)).unwrap();
    terminal.backend().to_string()
}

/// Sends keys as they are typed: characters, or names in angle brackets.
pub(super) fn press(app: &mut App, keys: &str) -> Vec<Effect> {
    let mut effects = Vec::new();
    let mut rest = keys;
    while let Some(first) = rest.chars().next() {
        let (code, modifiers) =
            if let Some((name, after)) = rest.strip_prefix('<').and_then(|it| it.split_once('>')) {
                rest = after;
                match name {
                    "Enter" => (KeyCode::Enter, KeyModifiers::NONE),
                    "Esc" => (KeyCode::Esc, KeyModifiers::NONE),
                    "Tab" => (KeyCode::Tab, KeyModifiers::NONE),
                    "Down" => (KeyCode::Down, KeyModifiers::NONE),
                    "Up" => (KeyCode::Up, KeyModifiers::NONE),
                    "PgDn" => (KeyCode::PageDown, KeyModifiers::NONE),
                    "Back" => (KeyCode::Backspace, KeyModifiers::NONE),
                    ctrl => (
                        KeyCode::Char(ctrl.strip_prefix("C-").unwrap().chars().next().unwrap()),
                        KeyModifiers::CONTROL,
                    ),
                }
            } else {
                rest = &rest[first.len_utf8()..];
                (KeyCode::Char(first), KeyModifiers::NONE)
            };
        effects.extend(app.update(Message::Key(KeyEvent::new(code, modifiers))));
    }
    effects
}

/// Tells the app a new snapshot.
pub(super) fn tell(app: &mut App, snapshot: ServiceSnapshot, changed: &[Change]) {
    let snapshot = Arc::new(snapshot);
    let effects = app.update(Message::Event(Event::Snapshot {
        snapshot,
        changed: changed.to_vec(),
    }));
    assert!(effects.is_empty());
}

/// Lets time go on.
pub(super) fn tick(app: &mut App, seconds: f64) {
    let effects = app.update(Message::Tick(at().plus(Duration::from_secs_f64(seconds))));
    assert!(effects.is_empty());
}

pub(super) fn offer(service: &str, action: Action, protected: bool) -> ProposedAction {
    ProposedAction {
        service: service.to_owned(),
        action,
        means: "schedule route".to_owned(),
        request: "POST http://127.0.0.1:8000/health/shutdown/schedule".to_owned(),
        after_reply: None,
        otherwise: None,
        then: None,
        target: "127.0.0.1:8000, pid 4711, started 2026-11-22T10:00:00Z".to_owned(),
        timeout: Duration::from_secs(40),
        protected,
    }
}

/// A plan of these offers: all that stops does so first, and comes up again in the opposite order.
pub(super) fn proposal(offers: Vec<ProposedAction>) -> Proposal {
    let step = |offer: &ProposedAction, goal| PlanStep {
        service: offer.service.clone(),
        goal,
    };
    let down = |offer: &ProposedAction| match offer.action {
        Action::Shutdown | Action::Schedule => Some(step(offer, Goal::Stop)),
        Action::Restart => offer.then.as_ref().map(|_| step(offer, Goal::Stop)),
        Action::Reload => Some(step(offer, Goal::Reload)),
        Action::Start => None,
    };
    let up = |offer: &ProposedAction| {
        let comes_up = matches!(offer.action, Action::Start | Action::Restart);
        comes_up.then(|| step(offer, Goal::Start))
    };
    let downs = offers.iter().filter_map(down);
    let order = downs.chain(offers.iter().rev().filter_map(up)).collect();
    Proposal { offers, order }
}

fn details(entries: &[(&str, Value)]) -> Arc<BTreeMap<String, Value>> {
    let entries = entries
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    Arc::new(entries.collect())
}

/// A service with an erring dependency, seen by a status probe.
pub(super) fn orders() -> ServiceSnapshot {
    let mut database = dependency("database", DependencyStatus::Working);
    database.required = true;
    database.details = details(&[
        ("pool_size", json!(5)),
        ("metadata", json!({"replica": "b"})),
    ]);
    let mut qdrant = dependency("qdrant", DependencyStatus::Error);
    qdrant.error = Some("timeout after 2s".to_owned());
    qdrant.details = details(&[("collections", json!(3))]);
    (qdrant.success_count, qdrant.success_total) = (Some(880), Some(880));
    let mut groq = dependency("groq", DependencyStatus::NotUsed);
    groq.last_success = None;
    let mut cache = dependency("cache", DependencyStatus::Working);
    cache.latency = Some(Duration::from_micros(800));
    ServiceSnapshot {
        info: Arc::new(ServiceInfo {
            group: Some("backend".to_owned()),
            labels: [("tier".to_owned(), "web".to_owned())].into(),
            profile: Some("hephaestus".to_owned()),
            url: Some("http://127.0.0.1:8000".to_owned()),
            rows: vec![(
                "link".to_owned(),
                "runbook: https://wiki.internal/orders".to_owned(),
            )],
            ..ServiceInfo::new("orders")
        }),
        state: State::Degraded,
        since: at().minus(Duration::from_secs(42)),
        ready: None,
        reasons: vec!["dependency qdrant: error: timeout after 2s".to_owned()],
        service: Some("hephaestus-mcp".to_owned()),
        version: Some("0.9.1".to_owned()),
        started: Some(Start {
            at: at().minus(Duration::from_secs(7_512)).wall,
            tolerance: Duration::from_secs(1),
            derived: false,
        }),
        uptime: Some((Duration::from_secs(7_512), at())),
        resources: [("open_connections".to_owned(), 4.into())].into(),
        probes: vec![
            answered(probe("live", Role::Live), ProbeResult::Pass),
            answered(probe("status", Role::Status), ProbeResult::Warn),
        ],
        dependencies: vec![database, qdrant, groq, cache],
        ..snapshot("orders", State::Degraded)
    }
}

/// A fleet with a bit of everything.
pub(super) fn services() -> Vec<ServiceSnapshot> {
    let gateway = ServiceSnapshot {
        ready: Some(true),
        info: Arc::new(ServiceInfo {
            profile: Some("control-plane".to_owned()),
            url: Some("http://127.0.0.1:8080".to_owned()),
            ..ServiceInfo::new("control-plane")
        }),
        version: Some("1.4.2".to_owned()),
        uptime: Some((Duration::from_secs(93_784), at())),
        ..snapshot("control-plane", State::Healthy)
    };
    let mut postgres = snapshot("postgres", State::Unhealthy);
    postgres.reasons = vec!["live: connection refused: 127.0.0.1:5432".to_owned()];
    postgres.since = at().minus(Duration::from_secs(94));
    postgres.probes[0].failure = Some(Failure::new(
        FailureKind::Connect,
        "connection refused by 127.0.0.1:5432",
    ));
    let mut billing = snapshot("billing", State::Unhealthy);
    billing.flags.insert(Flag::Blocked);
    billing.blocked_by = Some("postgres".to_owned());
    Arc::make_mut(&mut billing.info).depends_on = vec!["postgres".to_owned()];
    billing.reasons = vec!["live: answered 503".to_owned()];
    vec![
        gateway,
        billing,
        orders(),
        postgres,
        samples::waiting("metrics"),
    ]
}
