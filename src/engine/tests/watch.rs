//! Continuous probing: cadence, caps, inputs, the end.

use std::sync::Arc;
use std::time::Duration;

use super::{PASS, Reply, Scripted, service};
use crate::action::{Action, Verdict};
use crate::engine::{Caps, EventReceiver, Handle, Options, channel, watch};
use crate::event::{ActionDetails, ActionResult, ActionStep, Event, Input, Load, StepKind};
use crate::health::{Flag, HostFinding, Moment, ServiceSnapshot, State};
use crate::inventory::Service;

const CAPS: Caps = Caps {
    total: 256,
    per_host: 4,
};

struct Scene {
    ask: Scripted,
    handle: Handle,
    events: EventReceiver,
}

impl Scene {
    fn new(services: Vec<Arc<Service>>, ask: Scripted) -> Self {
        Self::with(services, ask, CAPS, true)
    }

    fn with(services: Vec<Arc<Service>>, ask: Scripted, caps: Caps, unchanged: bool) -> Self {
        let (sender, events) = channel();
        let options = Options { caps, unchanged };
        let handle = watch(
            services,
            ask.clone(),
            options,
            ask.clock(),
            vec![sender],
            tokio::sync::mpsc::unbounded_channel(),
        );
        Self {
            ask,
            handle,
            events,
        }
    }

    /// Takes events until a snapshot fits.
    async fn snapshot(&mut self, fits: impl Fn(&ServiceSnapshot) -> bool) -> Arc<ServiceSnapshot> {
        loop {
            match self.events.recv().await {
                Some(Event::Snapshot { snapshot, .. }) if fits(&snapshot) => return snapshot,
                Some(_) => {}
                None => panic!("the engine ended"),
            }
        }
    }

    async fn state(&mut self, service: &str, state: State) {
        self.snapshot(|snapshot| snapshot.info.name == service && snapshot.state == state)
            .await;
    }

    /// Takes events up to the next step but `Accepted`, or result; the state of each snapshot and what came last.
    async fn until_message(&mut self) -> Vec<String> {
        let mut order = Vec::new();
        loop {
            match self.events.recv().await.unwrap() {
                Event::Snapshot { snapshot, .. } => order.push(snapshot.state.to_string()),
                Event::ActionStep(step) if step.kind == StepKind::Accepted => {}
                Event::ActionStep(step) => {
                    order.push(format!("{:?}", step.kind));
                    return order;
                }
                Event::ActionResult(result) => {
                    order.push(result.verdict.to_string());
                    return order;
                }
                Event::Load(_) | Event::Notice { .. } => {}
            }
        }
    }

    /// Takes events until the engine has told its load this often: once a second.
    async fn seconds(&mut self, seconds: usize) -> Load {
        let mut last = Load::default();
        for _ in 0..seconds {
            last = loop {
                match self.events.recv().await {
                    Some(Event::Load(load)) => break load,
                    Some(_) => {}
                    None => panic!("the engine ended"),
                }
            };
        }
        last
    }
}

/// A step of a restart of `api`.
fn step(kind: StepKind) -> Input {
    Input::ActionStep(ActionStep {
        service: "api".to_owned(),
        action: Action::Restart,
        kind,
        text: String::new(),
        elapsed: Duration::ZERO,
        at: Moment::at_seconds(0.0),
    })
}

/// The result of a shutdown of `api`.
fn result(verdict: Verdict) -> Input {
    Input::ActionResult(Box::new(ActionResult {
        service: "api".to_owned(),
        action: Action::Shutdown,
        verdict,
        text: String::new(),
        evidence: Vec::new(),
        parts: Vec::new(),
        details: ActionDetails::default(),
        elapsed: Duration::ZERO,
        at: Moment::at_seconds(0.0),
    }))
}

fn gaps(times: &[u64]) -> Vec<u64> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

fn fleet(count: u16, probes: &str) -> Vec<Arc<Service>> {
    (0..count)
        .map(|i| service(&format!("s{i}"), 10_000 + i, probes))
        .collect()
}

fn number(name: &str) -> u16 {
    name[1..].parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_probe_keeps_its_grid_however_long_the_answers_take() {
    let ask = Scripted::new(|_, _, at| {
        Reply::Pass(Duration::from_millis(if at.as_secs() % 2 == 0 {
            10
        } else {
            700
        }))
    });
    let mut scene = Scene::new(vec![service("api", 1, "live/1s")], ask);
    scene.seconds(60).await;
    let times = scene.ask.times("api", "live");
    assert!(times.len() >= 59, "{times:?}");
    assert_eq!(gaps(&times[1..]), vec![1000; times.len() - 2]);
}

#[tokio::test(start_paused = true)]
async fn fifty_that_hang_do_not_delay_the_rest_of_a_thousand() {
    let ask = Scripted::new(|name, _, _| {
        if number(name).is_multiple_of(20) {
            Reply::Hang
        } else {
            Reply::Pass(Duration::from_millis(3))
        }
    });
    let mut scene = Scene::new(fleet(1000, "live/1s"), ask);
    let load = scene.seconds(8).await;
    // Those that hang may be late by a slot.
    assert!(load.worst_lateness <= Duration::from_millis(25), "{load:?}");
    assert_eq!(scene.ask.most().0, 1);
    for i in 0..1000 {
        let times = scene.ask.times(&format!("s{i}"), "live");
        let (expected, tolerance) = if i % 20 == 0 { (2000, 25) } else { (1000, 2) };
        for gap in &gaps(&times)[1..] {
            assert!(gap.abs_diff(expected) <= tolerance, "s{i}: {times:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn more_that_hang_than_there_are_places_leave_half_of_them_to_the_rest() {
    let caps = Caps {
        total: 20,
        per_host: 4,
    };
    let ask = Scripted::new(|name, _, _| if number(name) < 40 { Reply::Hang } else { PASS });
    let mut scene = Scene::with(fleet(60, "live/2s"), ask, caps, true);
    scene.seconds(60).await;
    assert_eq!(scene.ask.most().2, 20);
    for i in 40..60 {
        let times = scene.ask.times(&format!("s{i}"), "live");
        let late = gaps(&times[4..]);
        assert!(
            late.iter().all(|gap| gap.abs_diff(2000) <= 2),
            "s{i}: {times:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_grid_point_reached_while_one_is_under_way_is_skipped_and_counted() {
    let ask = Scripted::new(|_, _, _| Reply::Pass(Duration::from_millis(2500)));
    let mut scene = Scene::new(vec![service("api", 1, "live/1s")], ask);
    let load = scene.seconds(31).await;
    assert_eq!(scene.ask.most().0, 1);
    let times = scene.ask.times("api", "live");
    assert!(
        gaps(&times[1..]).iter().all(|gap| *gap == 3000),
        "{times:?}"
    );
    assert_eq!(load.asked, times.len() as u64);
    // Two grid points for each question but the first, whose grid begins between one and one and a half intervals later.
    assert!(load.skipped.abs_diff(load.asked * 2) <= 2, "{load:?}");
}

#[tokio::test(start_paused = true)]
async fn a_time_out_that_ends_on_a_grid_point_does_not_cost_that_point() {
    // The time-out is two intervals long.
    let ask = Scripted::new(|_, _, _| Reply::Hang);
    let mut scene = Scene::new(fleet(20, "live/1s"), ask);
    let load = scene.seconds(30).await;
    for i in 0..20 {
        let times = scene.ask.times(&format!("s{i}"), "live");
        for gap in &gaps(&times)[2..] {
            assert!(gap.abs_diff(2000) <= 5, "s{i}: {times:?}");
        }
    }
    assert_eq!(scene.ask.most().0, 1);
    assert!(load.skipped.abs_diff(load.asked) <= 40, "{load:?}");
}

#[tokio::test(start_paused = true)]
async fn one_host_and_port_is_asked_by_four_at_once() {
    let ask = Scripted::new(|_, _, _| Reply::Pass(Duration::from_millis(300)));
    let services = (0..20)
        .map(|i| service(&format!("s{i}"), 8080, "live/10s"))
        .collect();
    let mut scene = Scene::new(services, ask);
    let load = scene.seconds(5).await;
    assert_eq!(scene.ask.most(), (1, 4, 4));
    assert_eq!(load.asked, 20);
    // The wait for a place counts as lateness: the last four began after four rounds of 300 ms.
    assert!(load.worst_lateness > Duration::from_secs(1), "{load:?}");
}

#[tokio::test(start_paused = true)]
async fn the_first_pass_begins_at_once_and_keeps_its_pace() {
    let mut scene = Scene::new(fleet(1000, "live/10s"), Scripted::new(|_, _, _| PASS));
    let load = scene.seconds(1).await;
    assert!((195..=206).contains(&load.asked), "{load:?}");
    assert_eq!(scene.ask.times("s0", "live")[0], 0);
    let load = scene.seconds(4).await;
    assert!((995..=1006).contains(&load.asked), "{load:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_pause_of_this_process_the_grid_goes_on_without_a_burst() {
    let mut scene = Scene::new(fleet(100, "live/1s"), Scripted::new(|_, _, _| PASS));
    let before = scene.seconds(5).await;
    tokio::time::advance(Duration::from_secs(3600)).await;
    // The first tick after the pause is due at once; within it nothing was made up for.
    let after = scene.seconds(1).await;
    assert!(after.asked - before.asked <= 5, "{before:?} {after:?}");
    assert!(after.worst_lateness <= Duration::from_secs(1), "{after:?}");
    let later = scene.seconds(5).await;
    assert!(
        (490..=510).contains(&(later.asked - after.asked)),
        "{later:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn startup_holds_the_others_back_until_it_has_passed() {
    let ask = Scripted::new(|_, probe, at| match probe {
        "startup" if at < Duration::from_secs(7) => Reply::Fail(Duration::ZERO),
        _ => PASS,
    });
    let services = vec![service("api", 1, "startup/2s live/60s ready/60s")];
    let mut scene = Scene::new(services, ask);
    scene.state("api", State::Healthy).await;
    let passed = *scene.ask.times("api", "startup").last().unwrap();
    assert!((7000..9100).contains(&passed));
    // They are asked when it has passed, not when their next minute has come.
    assert_eq!(scene.ask.times("api", "live"), [passed]);
    assert_eq!(scene.ask.times("api", "ready"), [passed]);
}

#[tokio::test(start_paused = true)]
async fn probe_now_asks_beside_the_grid_and_leaves_it_alone() {
    let ask = Scripted::new(|_, _, _| PASS);
    let services = vec![service("a", 1, "live/10s"), service("b", 2, "live/10s")];
    let mut scene = Scene::new(services, ask);
    scene.state("a", State::Healthy).await;
    scene.state("b", State::Healthy).await;
    let begun = scene.ask.times("a", "live").len();
    scene.handle.send(Input::ProbeNow {
        service: Some("a".to_owned()),
    });
    scene.handle.send(Input::ProbeNow {
        service: Some("nobody".to_owned()),
    });
    scene.snapshot(|snapshot| snapshot.info.name == "a").await;
    assert_eq!(scene.ask.times("a", "live").len(), begun + 1);
    assert_eq!(scene.ask.times("b", "live").len(), begun);
    scene.handle.send(Input::ProbeNow { service: None });
    scene.snapshot(|snapshot| snapshot.info.name == "b").await;
    assert_eq!(scene.ask.times("b", "live").len(), begun + 1);
    scene.seconds(60).await;
    let times = scene.ask.times("a", "live");
    assert_eq!(gaps(&times[4..]), vec![10_000; times.len() - 5]);
}

#[tokio::test(start_paused = true)]
async fn a_paused_service_is_not_asked_until_it_goes_on() {
    let services = vec![service("a", 1, "live/1s"), service("b", 2, "live/1s")];
    let mut scene = Scene::new(services, Scripted::new(|_, _, _| PASS));
    scene.seconds(2).await;
    let pause = |on| Input::Pause {
        service: "a".to_owned(),
        on,
    };
    scene.handle.send(pause(true));
    let told = scene.snapshot(|it| it.flags.contains(&Flag::Paused)).await;
    assert_eq!(told.info.name, "a");
    let before = scene.ask.times("a", "live").len();
    let load = scene.seconds(10).await;
    assert_eq!(scene.ask.times("a", "live").len(), before);
    assert_eq!(load.skipped, 0);
    scene.handle.send(pause(false));
    let known = told.probes[0].counters.success;
    scene
        .snapshot(|it| it.info.name == "a" && it.probes[0].counters.success > known)
        .await;
    // At once, not at the next grid point.
    assert_eq!(scene.ask.times("a", "live").len(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_was_asked_to_stop_is_watched_closely_until_it_has() {
    let ask = Scripted::new(|_, _, at| {
        if at < Duration::from_secs(8) {
            PASS
        } else {
            Reply::Refuse
        }
    });
    let mut scene = Scene::new(vec![service("api", 1, "live/60s ready/60s")], ask);
    scene.state("api", State::Healthy).await;
    scene.seconds(4).await;
    scene.handle.send(step(StepKind::Accepted));
    scene.state("api", State::Stopped).await;
    let stopped = scene.ask.elapsed();
    assert!(stopped < Duration::from_millis(8300), "{stopped:?}");
    let asked = scene.ask.times("api", "live").len();
    scene.seconds(20).await;
    assert_eq!(scene.ask.times("api", "live").len(), asked);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_comes_back_is_asked_all_at_once() {
    let ask = Scripted::new(|_, _, at| {
        if (8..20).contains(&at.as_secs()) {
            Reply::Refuse
        } else {
            PASS
        }
    });
    let services = vec![service("api", 1, "live/2s ready/600s")];
    let mut scene = Scene::new(services, ask);
    scene.state("api", State::Healthy).await;
    scene.handle.send(step(StepKind::Accepted));
    scene.state("api", State::Stopped).await;
    scene.state("api", State::Healthy).await;
    let back = scene.ask.elapsed();
    assert!(back < Duration::from_secs(23), "{back:?}");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_we_started_is_asked_at_once() {
    let ask = Scripted::new(|_, _, at| {
        if at < Duration::from_secs(5) {
            Reply::Refuse
        } else {
            PASS
        }
    });
    let mut scene = Scene::new(vec![service("api", 1, "live/60s")], ask);
    scene.state("api", State::Unhealthy).await;
    scene.seconds(6).await;
    scene.handle.send(step(StepKind::Started));
    scene.state("api", State::Healthy).await;
    assert!(scene.ask.elapsed() < Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn a_step_and_a_result_are_published_after_the_snapshot_that_shows_their_effect() {
    let ask = Scripted::new(|_, _, at| {
        if at < Duration::from_secs(5) {
            PASS
        } else {
            Reply::Refuse
        }
    });
    let mut scene = Scene::new(vec![service("api", 1, "live/60s")], ask);
    scene.state("api", State::Healthy).await;
    scene.seconds(6).await;
    scene.handle.send(step(StepKind::Accepted));
    scene.state("api", State::Stopped).await;
    scene.handle.send(step(StepKind::Silent));
    assert_eq!(scene.until_message().await, ["draining", "Silent"]);
    scene.handle.send(result(Verdict::Stopped));
    assert_eq!(scene.until_message().await, ["stopped", "stopped"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_seen_is_told() {
    let ask = Scripted::new(|_, _, _| PASS);
    let mut scene = Scene::with(vec![service("api", 1, "live/60s")], ask, CAPS, false);
    scene.state("api", State::Healthy).await;
    for on in [true, false] {
        scene.handle.send(Input::HostFinding {
            service: "api".to_owned(),
            finding: Box::new(HostFinding {
                foreign: on.then(|| "nginx listens there".to_owned()),
                ..HostFinding::default()
            }),
        });
        scene
            .snapshot(|snapshot| {
                snapshot.flags.contains(&Flag::Foreign) == on
                    && snapshot
                        .notes
                        .iter()
                        .any(|note| note == "foreign: nginx listens there")
                        == on
            })
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_prober_that_panics_is_a_local_fault_and_nothing_else_suffers() {
    let ask = Scripted::new(|name, _, _| if name == "bad" { Reply::Panic } else { PASS });
    let services = vec![service("bad", 1, "live/1s"), service("good", 2, "live/1s")];
    let mut scene = Scene::new(services, ask);
    let snapshot = scene
        .snapshot(|snapshot| snapshot.info.name == "bad" && snapshot.probes[0].latest.is_some())
        .await;
    assert_eq!(
        snapshot.probes[0].latest,
        Some(crate::health::ProbeResult::Unknown)
    );
    let load = scene.seconds(10).await;
    assert_eq!(load.skipped, 0);
    assert!(scene.ask.times("bad", "live").len() >= 9);
}

#[tokio::test(start_paused = true)]
async fn the_end_does_not_wait_for_what_hangs() {
    let ask = Scripted::new(|_, _, _| Reply::Hang);
    let mut scene = Scene::new(fleet(3, "live/60s"), ask);
    scene.seconds(1).await;
    let before = scene.ask.elapsed();
    assert_eq!(scene.ask.most().2, 3);
    let Scene {
        ask,
        handle,
        mut events,
    } = scene;
    handle.stop().await;
    assert_eq!(ask.elapsed(), before);
    while events.recv().await.is_some() {}
    assert_eq!(ask.account.lock().unwrap().now, 0);
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_nobody_holds_ends() {
    let Scene {
        handle, mut events, ..
    } = Scene::new(fleet(3, "live/1s"), Scripted::new(|_, _, _| PASS));
    drop(handle);
    while events.recv().await.is_some() {}
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_never_reads_delays_nothing() {
    let ask = Scripted::new(|_, _, at| {
        if at.as_secs() % 2 == 0 {
            PASS
        } else {
            Reply::Fail(Duration::ZERO)
        }
    });
    let mut scene = Scene::new(fleet(100, "live/1s"), ask.clone());
    // Nobody takes anything for a minute of the paused clock.
    tokio::time::sleep(Duration::from_secs(60)).await;
    let mut snapshots = 0;
    let mut load = None;
    while let Some(event) = scene.events.try_recv() {
        match event {
            Event::Snapshot { snapshot, changed } => {
                snapshots += 1;
                assert!(snapshot.at.mono >= Duration::from_secs(58));
                assert!(changed.contains(&crate::health::Change::State));
            }
            Event::Load(told) => load = Some(told),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(snapshots, 100);
    let load = load.unwrap();
    assert!(load.asked >= 5_900, "{load:?}");
    assert!(load.worst_lateness <= Duration::from_millis(2), "{load:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_changes_is_not_told_of_figures() {
    let ask = Scripted::new(|_, _, _| PASS);
    let mut scene = Scene::with(vec![service("api", 1, "live/1s")], ask, CAPS, false);
    scene.state("api", State::Healthy).await;
    for _ in 0..20 {
        match scene.events.recv().await {
            Some(Event::Load(_)) => {}
            other => panic!("{other:?}"),
        }
    }
}
