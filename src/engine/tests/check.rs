//! `check`: one round, and waiting for a condition.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::unbounded_channel;

use super::{PASS, Reply, Scripted, service};
use crate::engine::run::{Engine, Finished};
use crate::engine::{Caps, Options, Progress, Until};
use crate::health::{ServiceSnapshot, State};
use crate::inventory::Service;

const CAPS: Caps = Caps {
    total: 8,
    per_host: 4,
};

/// Probes the services until `until`, with nothing sent to the engine; tells each progress.
async fn check(
    services: Vec<Arc<Service>>,
    ask: &Scripted,
    until: Until<'_>,
    progress: impl FnMut(Progress),
) -> Finished {
    let options = Options {
        caps: CAPS,
        unchanged: false,
    };
    let (_, inputs) = unbounded_channel();
    let (ask, clock) = (ask.clone(), ask.clock());
    let engine = Engine::new(services, ask, options, until, clock, Vec::new());
    engine.run(inputs, progress).await
}

async fn round(services: Vec<Arc<Service>>, ask: &Scripted) -> Finished {
    check(services, ask, Until::EachAnswered, |_| {}).await
}

const fn all_hold(
    condition: &(dyn Fn(&ServiceSnapshot) -> bool + Sync),
    limit: Option<Duration>,
) -> Until<'_> {
    Until::AllHold { condition, limit }
}

fn healthy(snapshot: &ServiceSnapshot) -> bool {
    snapshot.state == State::Healthy
}

#[tokio::test(start_paused = true)]
async fn a_round_asks_everything_once_under_the_cap() {
    let ask = Scripted::new(|_, _, _| Reply::Pass(Duration::from_millis(100)));
    let services: Vec<_> = (0..20)
        .map(|i| service(&format!("s{i}"), 100 + i, "live/1s ready/1s"))
        .collect();
    let mut told = Vec::new();
    let tell = |progress| told.push(progress);
    let checked = check(services, &ask, Until::EachAnswered, tell).await;
    assert_eq!(ask.most(), (1, 2, 8));
    assert_eq!(ask.order().len(), 40);
    assert_eq!(ask.elapsed(), Duration::from_millis(500));
    assert!(checked.snapshots.iter().all(|snapshot| healthy(snapshot)));
    let end = Progress {
        answered: 40,
        expected: 40,
        holding: 0,
        services: 20,
    };
    assert_eq!(told.len(), 41);
    assert_eq!(told.last(), Some(&end));
}

#[tokio::test(start_paused = true)]
async fn startup_is_asked_first_and_the_others_in_the_same_round() {
    let ask = Scripted::new(|service, probe, _| match (service, probe) {
        ("new", "startup") => Reply::Fail(Duration::from_millis(5)),
        _ => Reply::Pass(Duration::from_millis(5)),
    });
    let probes = "startup/1s live/1s ready/1s";
    let services = vec![service("old", 1, probes), service("new", 2, probes)];
    let mut last = Progress::default();
    let tell = |progress| last = progress;
    let checked = check(services, &ask, Until::EachAnswered, tell).await;
    assert_eq!(
        ask.order(),
        ["old/startup", "new/startup", "old/live", "old/ready"]
    );
    assert_eq!((last.answered, last.expected), (4, 4));
    let states: Vec<_> = checked.snapshots.iter().map(|it| it.state).collect();
    assert_eq!(states, [State::Healthy, State::Starting]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_goes_on_with_the_same_trackers() {
    let ask = Scripted::new(|_, _, _| PASS);
    let twice = |snapshot: &ServiceSnapshot| snapshot.probes[0].counters.success == 2;
    let services = vec![service("api", 1, "live/1s")];
    let checked = check(services, &ask, all_hold(&twice, None), |_| {}).await;
    assert!(checked.in_time);
    assert_eq!(ask.times("api", "live").len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_when_the_condition_holds_for_all() {
    let ask = Scripted::new(|service, _, at| {
        let up = match service {
            "early" => 1,
            _ => 5,
        };
        if at < Duration::from_secs(up) {
            Reply::Refuse
        } else {
            PASS
        }
    });
    // Their intervals are long; while they are waited for they are asked every second.
    let services = vec![
        service("early", 1, "live/30s"),
        service("late", 2, "live/30s"),
    ];
    let mut most = 0;
    let until = all_hold(&healthy, Some(Duration::from_secs(60)));
    let tell = |progress: Progress| most = most.max(progress.holding);
    let checked = check(services, &ask, until, tell).await;
    assert!(checked.in_time);
    assert_eq!(most, 2);
    let took = ask.elapsed();
    assert!(
        took > Duration::from_secs(5) && took <= Duration::from_millis(6025),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_at_its_deadline_though_something_hangs() {
    let ask = Scripted::new(|service, _, _| if service == "dead" { Reply::Hang } else { PASS });
    let services = vec![
        service("dead", 1, "live/60s"),
        service("well", 2, "live/1s"),
    ];
    let until = all_hold(&healthy, Some(Duration::from_millis(3300)));
    let checked = check(services.clone(), &ask, until, |_| {}).await;
    assert!(!checked.in_time);
    let took = ask.elapsed();
    assert!(took <= Duration::from_millis(3301), "{took:?}");
    let states: Vec<_> = checked.snapshots.iter().map(|it| it.state).collect();
    assert_eq!(states[1], State::Healthy);
    assert_ne!(states[0], State::Healthy);
    // What was dropped at the deadline can be asked again.
    let checked = round(services, &ask).await;
    assert_eq!(ask.times("dead", "live").len(), 2);
    assert!(checked.snapshots[0].probes[0].latest.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_wait_believes_nothing_before_every_probe_has_answered() {
    let ask = Scripted::new(|_, probe, _| {
        Reply::Pass(Duration::from_millis(if probe == "ready" {
            900
        } else {
            1
        }))
    });
    let services = vec![service("api", 1, "live/1s ready/1s")];
    // A condition that the first answer would fulfil.
    let checked = check(services, &ask, all_hold(&|_| true, None), |_| {}).await;
    assert!(checked.in_time);
    assert!(ask.elapsed() >= Duration::from_millis(900));
}
