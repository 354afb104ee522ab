use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::action::{Verdict, samples};
use crate::health::{Flag, Fleet, LocalProcess, ProbeInfo, RestartCause, Role, State};
use crate::inventory::Service;

mod saving;

fn at(seconds: f64) -> Moment {
    Moment::at_seconds(seconds)
}

/// A service that permits both causes.
fn permitting(name: &str, needs: &str) -> Service {
    let mut service = samples::service(name, "", "");
    service.restart_on = RestartCause::ALL.iter().copied().collect();
    service.depends_on = needs.split_whitespace().map(str::to_owned).collect();
    service
}

fn rules(service: &Service) -> crate::health::ServiceInfo {
    let mut rules = service.info();
    rules.probes.push(ProbeInfo {
        name: "live".to_owned(),
        role: Role::Live,
        kind: "tcp",
        target: "localhost:1".to_owned(),
        failure_threshold: 1,
        success_threshold: 1,
        required: false,
        interval: Duration::from_secs(1),
        reports_dependencies: false,
    });
    rules
}

/// Services, the snapshots of them, and what is decided.
struct Scene {
    auto_restart: AutoRestart,
    snapshots: BTreeMap<String, ServiceSnapshot>,
}

impl Scene {
    fn new(services: Vec<Service>) -> Self {
        let rules = services.iter().map(rules).collect();
        let snapshots = Fleet::new(rules, at(0.0)).snapshots();
        let mut inventory = Inventory::default();
        for service in services {
            inventory
                .services
                .insert(service.name.clone(), Arc::new(service));
        }
        let mut auto_restart = AutoRestart::new(&inventory, |_| true);
        auto_restart.switch(true);
        Self {
            auto_restart,
            snapshots: snapshots
                .into_iter()
                .map(|snapshot| (snapshot.info.name.clone(), (*snapshot).clone()))
                .collect(),
        }
    }

    /// At this second the service is seen as the words say: `stale`, `dead`, `blocked`, `stopped`, `draining`,
    /// `code=7` (changed at that second), `pid=7`; else it is healthy.
    fn see(&mut self, seconds: f64, name: &str, words: &str) -> Option<String> {
        let snapshot = self.snapshots.get_mut(name).unwrap();
        snapshot.at = at(seconds);
        snapshot.state = State::Healthy;
        snapshot.live = Some(true);
        let well = !["dead", "stopped", "draining"]
            .iter()
            .any(|word| words.contains(word));
        if well {
            snapshot.probes[0].last_success = Some(at(seconds));
        }
        snapshot.probes[0].consecutive_failures = 0;
        snapshot.flags.clear();
        snapshot.notes.clear();
        snapshot.process = None;
        for word in words.split_whitespace() {
            match word {
                "stale" => {
                    snapshot.flags.insert(Flag::Stale);
                    snapshot
                        .notes
                        .push("stale: app.py changed 2s ago, 1s after it started".to_owned());
                }
                "dead" => {
                    snapshot.state = State::Unhealthy;
                    snapshot.live = Some(false);
                    snapshot.probes[0].consecutive_failures = 1;
                    snapshot.reasons = vec!["live: refused".to_owned()];
                }
                "blocked" => drop(snapshot.flags.insert(Flag::Blocked)),
                "stopped" => {
                    snapshot.state = State::Stopped;
                    snapshot.live = Some(false);
                }
                "draining" => snapshot.state = State::Draining,
                word => match word.split_once('=').unwrap() {
                    ("code", time) => {
                        snapshot.code_changed = Some(at(time.parse().unwrap()).wall);
                    }
                    (_, pid) => {
                        snapshot.process = Some(LocalProcess {
                            pid: pid.parse().unwrap(),
                            started: at(0.0).wall,
                        });
                    }
                },
            }
        }
        self.auto_restart.observe(&self.snapshots[name].clone())
    }

    /// Who is restarted at this second.
    fn begin(&mut self, seconds: f64) -> Option<String> {
        self.auto_restart
            .begin(at(seconds))
            .map(|request| request.service)
    }

    /// The restart is carried out and stops the service.
    fn end(&mut self, seconds: f64, verdict: Verdict) -> Option<String> {
        let stopped = true;
        self.auto_restart
            .ended(RestartOutcome::Ended { verdict, stopped }, at(seconds))
    }

    /// It is carried out and does not come to the end of the service.
    fn end_in_vain(&mut self, seconds: f64, verdict: Verdict) -> Option<String> {
        let stopped = false;
        self.auto_restart
            .ended(RestartOutcome::Ended { verdict, stopped }, at(seconds))
    }

    fn refuse(&mut self, seconds: f64, busy: bool) -> Option<String> {
        let reason = "another healthctl acts on it".to_owned();
        let code_rejected = false;
        let refused = RestartOutcome::Refused {
            reason,
            busy,
            code_rejected,
        };
        self.auto_restart.ended(refused, at(seconds))
    }

    /// Its precheck fails.
    fn fail_precheck(&mut self, seconds: f64) -> Option<String> {
        let refused = RestartOutcome::Refused {
            reason: "its precheck failed".to_owned(),
            busy: false,
            code_rejected: true,
        };
        self.auto_restart.ended(refused, at(seconds))
    }
}

#[test]
fn nothing_happens_unless_it_is_switched_on_and_permitted() {
    let mut protected = permitting("vault", "");
    protected.protected = true;
    let mut scene = Scene::new(vec![
        permitting("api", ""),
        samples::service("db", "", ""),
        protected,
    ]);
    for name in ["api", "db", "vault"] {
        scene.see(1.0, name, "stale dead");
    }
    scene.auto_restart.switch(false);
    assert_eq!(scene.begin(10.0), None);
    assert_eq!(
        scene.auto_restart.switch(true),
        "automatic restart is on for api (stale, unhealthy)"
    );
    assert_eq!(scene.begin(10.0).as_deref(), Some("api"));
    scene.end(11.0, Verdict::Restarted);
    scene.see(11.0, "api", "");
    assert_eq!(scene.begin(100.0), None);
}

#[test]
fn a_notice_says_that_no_service_permits_it() {
    let mut scene = Scene::new(vec![samples::service("db", "", "")]);
    assert!(scene.auto_restart.switch(true).contains("stays off"));
    assert!(!scene.auto_restart.is_on());
}

#[test]
fn a_restart_waits_until_the_files_are_quiet() {
    let mut scene = Scene::new(vec![permitting("api", "")]);
    scene.see(0.0, "api", "code=0");
    scene.see(1.0, "api", "stale code=1");
    assert_eq!(scene.begin(1.9), None);
    assert_eq!(scene.auto_restart.due(), Some(at(2.0)));
    scene.see(1.9, "api", "stale code=1.5");
    assert_eq!(scene.begin(2.5), None);
    assert_eq!(scene.begin(2.9).as_deref(), Some("api"));
}

#[test]
fn services_are_restarted_one_at_a_time_dependencies_first() {
    let mut scene = Scene::new(vec![
        permitting("api", "db"),
        permitting("db", ""),
        permitting("web", "api"),
    ]);
    for name in ["api", "db", "web"] {
        scene.see(1.0, name, "stale");
    }
    for name in ["db", "api", "web"] {
        assert_eq!(scene.begin(5.0).as_deref(), Some(name));
        assert_eq!(scene.begin(6.0), None, "{name} is under way");
        scene.end(6.0, Verdict::Restarted);
        scene.see(6.0, name, "");
    }
    assert_eq!(scene.begin(9.0), None);
}

#[test]
fn attempts_come_ever_later_and_end_with_a_notice() {
    let mut scene = Scene::new(vec![permitting("api", "")]);
    let mut now = 1.0;
    for delay in [1.0, 2.0, 4.0, 8.0] {
        scene.see(now, "api", "dead");
        assert_eq!(scene.begin(now).as_deref(), Some("api"));
        let told = scene.end(now, Verdict::NotReady);
        assert!(told.unwrap().contains("follows in"));
        scene.see(now, "api", "dead");
        assert_eq!(scene.begin(now + delay - 0.1), None, "after {delay} s");
        now += delay;
    }
    assert_eq!(scene.begin(now).as_deref(), Some("api"));
    let told = scene.end(now, Verdict::NotReady).unwrap();
    assert!(told.contains("5 automatic restarts in a row"), "{told}");
    scene.see(now + 1.0, "api", "dead");
    assert_eq!(scene.begin(now + 1000.0), None);
    scene.auto_restart.switch(true);
    assert_eq!(scene.begin(now + 1001.0).as_deref(), Some("api"));
}

#[test]
fn a_service_that_starts_and_dies_again_and_again_reaches_the_limit() {
    let mut scene = Scene::new(vec![permitting("api", "")]);
    let mut now = 0.0;
    for _ in 0..5 {
        now += 20.0;
        scene.see(now, "api", "dead");
        assert_eq!(scene.begin(now).as_deref(), Some("api"));
        scene.end(now + 1.0, Verdict::Restarted);
        scene.see(now + 2.0, "api", "");
    }
    scene.see(now + 30.0, "api", "dead");
    assert_eq!(scene.begin(now + 30.0), None);
}

#[test]
fn attempts_are_counted_anew_after_a_service_has_lived_for_a_while() {
    let mut scene = Scene::new(vec![permitting("api", "")]);
    for round in 0..20 {
        let now = 100.0 * f64::from(round);
        scene.see(now, "api", "dead");
        assert_eq!(scene.begin(now).as_deref(), Some("api"), "round {round}");
        scene.end(now + 1.0, Verdict::Restarted);
        scene.see(now + 70.0, "api", "");
    }
}

#[test]
fn a_service_that_failed_to_start_is_started_when_its_code_changes() {
    let mut scene = Scene::new(vec![permitting("api", "")]);
    scene.see(0.0, "api", "code=0");
    scene.see(1.0, "api", "stale code=1");
    assert_eq!(scene.begin(2.0).as_deref(), Some("api"));
    scene.end(3.0, Verdict::Died);
    // Nothing runs, so nothing is stale; and we have stopped it ourselves.
    scene.see(3.5, "api", "stopped code=1");
    scene.see(20.0, "api", "stopped code=20");
    assert_eq!(scene.begin(20.5), None, "the files have to come to rest");
    assert_eq!(scene.begin(21.0).as_deref(), Some("api"));
}

#[test]
fn a_service_that_somebody_has_stopped_is_left_alone() {
    let mut scene = Scene::new(vec![permitting("api", "")]);
    scene.see(1.0, "api", "stopped stale");
    assert_eq!(scene.begin(10.0), None);
    scene.see(11.0, "api", "stale");
    assert_eq!(scene.begin(12.0).as_deref(), Some("api"));
    scene.end(13.0, Verdict::Died);
    scene.auto_restart.acted("api");
    scene.see(14.0, "api", "stopped");
    assert_eq!(scene.begin(100.0), None);
}

#[test]
fn a_service_that_is_unready_or_blocked_is_not_restarted() {
    let mut scene = Scene::new(vec![permitting("api", "")]);
    scene.see(1.0, "api", "dead blocked");
    assert_eq!(scene.begin(10.0), None);
    let snapshot = scene.snapshots.get_mut("api").unwrap();
    snapshot.state = State::Unready;
    snapshot.ready = Some(false);
    snapshot.live = Some(true);
    snapshot.flags.clear();
    let snapshot = snapshot.clone();
    scene.auto_restart.observe(&snapshot);
    assert_eq!(scene.begin(10.0), None);
}

#[test]
fn code_that_is_rejected_is_not_tried_twice() {
    for fails in ["precheck", "start"] {
        let mut scene = Scene::new(vec![permitting("api", "")]);
        scene.see(100.0, "api", "code=50 pid=7");
        scene.see(101.0, "api", "stale code=101 pid=7");
        assert_eq!(scene.begin(103.0).as_deref(), Some("api"));
        let (said, then) = match fails {
            "precheck" => (scene.fail_precheck(104.0), "stale code=101 pid=7"),
            _ => (scene.end(104.0, Verdict::Died), "dead code=101"),
        };
        assert!(said.unwrap().contains("next change"), "{fails}");
        scene.see(200.0, "api", then);
        assert_eq!(scene.begin(900.0), None, "{fails}");
        scene.see(1000.0, "api", &then.replace("code=101", "code=1000"));
        assert_eq!(scene.begin(1100.0).as_deref(), Some("api"), "{fails}");
    }
}

#[test]
fn a_refusal_does_not_count_as_an_attempt() {
    let mut scene = Scene::new(vec![permitting("api", "")]);
    scene.see(1.0, "api", "stale");
    let mut now = 2.0;
    for delay in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
        assert_eq!(scene.begin(now).as_deref(), Some("api"));
        let told = scene.refuse(now, true);
        assert_eq!(told.is_some(), now < 2.5, "it is told once: {told:?}");
        scene.see(now, "api", "stale");
        assert_eq!(scene.begin(now + delay - 0.1), None, "after {delay} s");
        now += delay;
    }
    // Whoever had it has restarted it.
    scene.see(now, "api", "");
    assert_eq!(scene.begin(now + 100.0), None);
    // The next change is another matter.
    scene.see(now + 101.0, "api", "stale");
    assert_eq!(scene.begin(now + 102.0).as_deref(), Some("api"));
    let told = scene.end_in_vain(now + 103.0, Verdict::StillDraining);
    assert!(told.unwrap().contains("attempt 2 of 5"));
}

#[test]
fn a_service_that_is_shut_down_while_its_restart_is_refused_is_left_alone() {
    for (words, busy) in [("stopped", true), ("dead", true), ("stopped", false)] {
        let mut service = permitting("api", "");
        service.restart_on = [RestartCause::Stale].into();
        let mut scene = Scene::new(vec![service]);
        scene.see(1.0, "api", "stale");
        assert_eq!(scene.begin(2.0).as_deref(), Some("api"));
        scene.refuse(2.1, busy);
        scene.see(2.5, "api", words);
        assert_eq!(scene.begin(1000.0), None, "{words}");
        assert_eq!(scene.auto_restart.due(), None);
    }
}

#[test]
fn a_service_that_a_failed_restart_has_not_stopped_is_not_started() {
    for verdict in [
        Verdict::StillAnswering,
        Verdict::SameProcess,
        Verdict::StillDraining,
        Verdict::Unverified,
        Verdict::Died,
    ] {
        let mut service = permitting("api", "");
        service.restart_on = [RestartCause::Stale].into();
        let mut scene = Scene::new(vec![service]);
        scene.see(1.0, "api", "stale");
        assert_eq!(scene.begin(2.0).as_deref(), Some("api"));
        let told = scene.end_in_vain(3.0, verdict).unwrap();
        assert!(told.contains("if it is still needed"), "{told}");
        scene.see(4.0, "api", "stopped");
        assert_eq!(scene.begin(1000.0), None, "{verdict}");
    }
}

#[test]
fn a_service_that_somebody_else_has_started_is_left_alone() {
    let mut scene = Scene::new(vec![permitting("api", "")]);
    scene.see(1.0, "api", "stale");
    assert_eq!(scene.begin(2.0).as_deref(), Some("api"));
    scene.end(3.0, Verdict::GoneThenBack);
    scene.see(4.0, "api", "stopped");
    assert_eq!(scene.begin(1000.0), None);
}

/// We have taken it down and it did not come up; the time of its code is not known.
fn taken_down(verdict: Verdict) -> Scene {
    let mut service = permitting("api", "");
    service.restart_on = [RestartCause::Stale].into();
    let mut scene = Scene::new(vec![service]);
    scene.see(1.0, "api", "stale");
    assert_eq!(scene.begin(2.0).as_deref(), Some("api"));
    scene.end(3.0, verdict);
    scene.see(3.5, "api", "dead");
    scene
}

#[test]
fn a_service_that_an_automatic_restart_has_stopped_is_started_until_somebody_else_acts() {
    for verdict in [Verdict::Died, Verdict::NotReady] {
        let mut scene = taken_down(verdict);
        assert_eq!(scene.begin(4.0).as_deref(), Some("api"), "{verdict}");
        // A start that fails again stops nothing, and it stays ours.
        scene.end_in_vain(5.0, Verdict::Died);
        scene.see(5.5, "api", "dead");
        assert_eq!(scene.begin(7.0).as_deref(), Some("api"), "{verdict}");
        // Something stands against it, as a disk that is full.
        scene.refuse(7.1, false);
        assert_eq!(scene.begin(9.0).as_deref(), Some("api"), "{verdict}");
        // Somebody else acts on it, and has stopped it for good.
        scene.refuse(9.1, true);
        scene.see(9.5, "api", "dead");
        assert_eq!(scene.begin(1000.0), None, "{verdict}");
    }
}

#[test]
fn a_stopped_service_that_somebody_else_has_started_is_left_alone() {
    let mut scene = taken_down(Verdict::Died);
    // What was seen of it before its end proves nothing.
    let snapshot = scene.snapshots.get_mut("api").unwrap();
    snapshot.state = State::Healthy;
    snapshot.probes[0].last_success = Some(at(2.9));
    scene.auto_restart.observe(&snapshot.clone());
    assert_eq!(scene.auto_restart.due(), Some(at(4.0)));
    scene.see(3.8, "api", "");
    assert_eq!(scene.begin(1000.0), None);
}

#[test]
fn an_unready_service_that_somebody_stops_is_left_alone() {
    let mut scene = taken_down(Verdict::NotReady);
    scene.see(3.8, "api", "draining");
    scene.see(3.9, "api", "stopped");
    assert_eq!(scene.begin(1000.0), None);
}

#[test]
fn a_request_holds_for_the_process_that_was_seen() {
    let mut scene = Scene::new(vec![permitting("api", "")]);
    scene.see(1.0, "api", "stale pid=7 code=1");
    let request = scene.auto_restart.begin(at(2.0)).unwrap();
    let process = |pid, started| {
        let started = at(started).wall;
        CurrentInstance {
            process: Some(LocalProcess { pid, started }),
            ..CurrentInstance::default()
        }
    };
    assert!(request.precondition.expects_running());
    assert!(request.precondition.holds(Some(&process(7, 0.0))));
    assert!(!request.precondition.holds(Some(&process(8, 1.5))));
    assert!(!request.precondition.holds(None));
    assert_eq!(
        scene
            .auto_restart
            .ended(RestartOutcome::Superseded, at(2.1)),
        None
    );
    scene.see(2.1, "api", "stale pid=7 code=1");
    assert_eq!(scene.begin(3.0), None, "it is asked again a little later");
    assert_eq!(scene.begin(3.1).as_deref(), Some("api"));
}

#[test]
fn a_service_that_is_refused_again_and_again_does_not_delay_its_dependents() {
    let mut scene = Scene::new(vec![permitting("api", "db"), permitting("db", "")]);
    for name in ["api", "db"] {
        scene.see(1.0, name, "stale");
    }
    let mut now = 10.0;
    for _ in 0..5 {
        assert_eq!(scene.begin(now).as_deref(), Some("db"));
        scene.refuse(now, false);
        now += 20.0;
    }
    now -= 19.9;
    assert_eq!(scene.begin(now).as_deref(), Some("api"));
}

#[test]
fn attempts_on_a_stale_service_are_counted_until_it_has_lived_for_a_while() {
    let mut scene = Scene::new(vec![permitting("api", "")]);
    for (now, expected) in [(10.0, 2), (20.0, 3), (90.0, 2)] {
        scene.see(now - 1.0, "api", "");
        // Its `start` entry was changed, so no file tells of it.
        scene.see(now, "api", "stale");
        assert_eq!(scene.begin(now + 1.0).as_deref(), Some("api"));
        let told = scene.end_in_vain(now + 2.0, Verdict::StillDraining);
        let attempt = format!("attempt {expected} of 5");
        assert!(told.unwrap().contains(&attempt), "{attempt}");
    }
}
