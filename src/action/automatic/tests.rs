use std::sync::Arc;

use super::*;
use crate::action::samples;
use crate::health::{Fleet, RestartCause};
use crate::inventory::Service;

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

/// Services, the pictures of them, and what is decided.
struct Scene {
    automatic: Automatic,
    pictures: BTreeMap<String, Picture>,
}

impl Scene {
    fn new(services: Vec<Service>) -> Self {
        let rules = services.iter().map(Service::rules).collect();
        let pictures = Fleet::new(rules, at(0.0)).pictures();
        let mut inventory = Inventory::default();
        for service in services {
            inventory
                .services
                .insert(service.name.clone(), Arc::new(service));
        }
        let mut automatic = Automatic::new(&inventory, |_| true);
        automatic.switch(true);
        Self {
            automatic,
            pictures: pictures
                .into_iter()
                .map(|picture| (picture.name.clone(), (*picture).clone()))
                .collect(),
        }
    }

    /// At this second the service is seen as the words say: `stale`, `dead`, `blocked`, `stopped`, `code=7`.
    fn see(&mut self, seconds: f64, name: &str, words: &str) {
        let picture = self.pictures.get_mut(name).unwrap();
        picture.at = at(seconds);
        picture.state = State::Healthy;
        picture.live = Some(true);
        picture.flags.clear();
        picture.notes.clear();
        for word in words.split_whitespace() {
            match word {
                "stale" => {
                    picture.flags.insert(Flag::Stale);
                    picture.notes.push("stale: app.py changed".to_owned());
                }
                "dead" => {
                    picture.state = State::Unhealthy;
                    picture.live = Some(false);
                    picture.reasons = vec!["live: refused".to_owned()];
                }
                "blocked" => drop(picture.flags.insert(Flag::Blocked)),
                "stopped" => {
                    picture.state = State::Stopped;
                    picture.live = Some(false);
                }
                word => {
                    let code: i64 = word.strip_prefix("code=").unwrap().parse().unwrap();
                    picture.code_changed = Some(Timestamp::from_second(code).unwrap());
                }
            }
        }
        self.automatic.see(&self.pictures[name].clone());
    }

    /// Who is restarted at this second.
    fn begin(&mut self, seconds: f64) -> Option<String> {
        self.automatic.begin(at(seconds)).map(|order| order.service)
    }

    fn end(&mut self, seconds: f64, verdict: Verdict) -> Option<String> {
        self.automatic.ended(verdict, at(seconds))
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
    scene.automatic.switch(false);
    assert_eq!(scene.begin(10.0), None);
    assert_eq!(
        scene.automatic.switch(true),
        "automatic restart is on for api (stale, unhealthy)"
    );
    assert_eq!(scene.begin(10.0).as_deref(), Some("api"));
    scene.end(11.0, Verdict::Restarted);
    scene.see(11.0, "api", "");
    assert_eq!(scene.begin(100.0), None);
}

#[test]
fn where_nobody_permits_it_that_is_said() {
    let mut scene = Scene::new(vec![samples::service("db", "", "")]);
    assert!(scene.automatic.switch(true).contains("stays off"));
    assert!(!scene.automatic.is_on());
}

#[test]
fn files_have_to_come_to_rest_first() {
    let mut scene = Scene::new(vec![permitting("api", "")]);
    scene.see(0.0, "api", "code=1");
    scene.see(1.0, "api", "stale code=2");
    assert_eq!(scene.begin(1.9), None);
    assert_eq!(scene.automatic.due(), Some(at(2.0)));
    scene.see(1.9, "api", "stale code=3");
    assert_eq!(scene.begin(2.5), None);
    assert_eq!(scene.begin(2.9).as_deref(), Some("api"));
}

#[test]
fn one_at_a_time_and_whoever_is_needed_first() {
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
fn attempts_come_ever_later_and_end_with_a_word() {
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
    scene.automatic.switch(true);
    assert_eq!(scene.begin(now + 1001.0).as_deref(), Some("api"));
}

#[test]
fn one_that_comes_up_and_dies_again_and_again_reaches_the_limit_as_well() {
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
fn one_that_lives_for_a_while_is_counted_anew() {
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
fn saving_a_file_again_and_again_never_reaches_the_limit() {
    let mut scene = Scene::new(vec![permitting("api", "")]);
    scene.see(0.0, "api", "code=0");
    for round in 1..20 {
        let now = 5.0 * f64::from(round);
        scene.see(now, "api", &format!("stale code={round}"));
        assert_eq!(
            scene.begin(now + 1.0).as_deref(),
            Some("api"),
            "round {round}"
        );
        scene.end(now + 2.0, Verdict::Restarted);
        scene.see(now + 3.0, "api", &format!("code={round}"));
    }
}

#[test]
fn what_did_not_come_up_is_started_when_its_code_is_mended() {
    let mut scene = Scene::new(vec![permitting("api", "")]);
    scene.see(0.0, "api", "code=1");
    scene.see(1.0, "api", "stale code=2");
    assert_eq!(scene.begin(2.0).as_deref(), Some("api"));
    scene.end(3.0, Verdict::Died);
    // Nothing runs, so nothing is stale; and we have stopped it ourselves.
    scene.see(3.5, "api", "stopped code=2");
    scene.see(20.0, "api", "stopped code=3");
    assert_eq!(scene.begin(20.5), None, "the files have to come to rest");
    assert_eq!(scene.begin(21.0).as_deref(), Some("api"));
}

#[test]
fn what_somebody_has_stopped_is_let_be() {
    let mut scene = Scene::new(vec![permitting("api", "")]);
    scene.see(1.0, "api", "stopped stale");
    assert_eq!(scene.begin(10.0), None);
    scene.see(11.0, "api", "stale");
    assert_eq!(scene.begin(12.0).as_deref(), Some("api"));
    scene.end(13.0, Verdict::Died);
    scene.automatic.acted("api");
    scene.see(14.0, "api", "stopped");
    assert_eq!(scene.begin(100.0), None);
}

#[test]
fn readiness_and_a_dead_dependency_are_no_reason() {
    let mut scene = Scene::new(vec![permitting("api", "")]);
    scene.see(1.0, "api", "dead blocked");
    assert_eq!(scene.begin(10.0), None);
    let picture = scene.pictures.get_mut("api").unwrap();
    picture.state = State::Unready;
    picture.ready = Some(false);
    picture.live = Some(true);
    picture.flags.clear();
    let picture = picture.clone();
    scene.automatic.see(&picture);
    assert_eq!(scene.begin(10.0), None);
}
