//! What must be true of any sequence of answers, tried on many that a seeded generator makes up.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use healthctl::health::{
    Age, Beat, Dependency, DependencyStatus, Failure, FailureKind, Flag, Fleet, Heartbeat,
    Identity, LifecycleEvent, Moment, Outcome, ProbeInfo, ProbeResult, Process, Reading, Role,
    ServiceInfo, ServiceSnapshot, Start, State, StatusWord, Tracker, VerdictPolicy,
};

/// SplitMix64: the same numbers in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.roll() % limit.max(1) as u64).unwrap_or(0)
    }

    fn one_in(&mut self, limit: usize) -> bool {
        self.below(limit) == 0
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn count(&mut self) -> u64 {
        match self.below(8) {
            0 => u64::MAX,
            1 => 0,
            _ => self.roll() % 50,
        }
    }

    fn duration(&mut self) -> Duration {
        match self.below(12) {
            0 => Duration::MAX,
            1 => Duration::ZERO,
            _ => Duration::from_millis(self.roll() % 100_000),
        }
    }
}

const NAMES: &[&str] = &["startup", "live", "ready", "status", "cache", "schema"];

fn rules(dice: &mut Dice, name: &str, depends_on: Vec<String>) -> ServiceInfo {
    let mut probes: Vec<&str> = NAMES.to_vec();
    probes.retain(|_| dice.one_in(2));
    if probes.is_empty() {
        probes.push("live");
    }
    ServiceInfo {
        probes: probes
            .into_iter()
            .map(|name| ProbeInfo {
                name: name.to_owned(),
                role: Role::of(name),
                kind: "http",
                target: dice
                    .of(&["http://a:1/x", "http://a:2/y", "", "://"])
                    .to_owned(),
                failure_threshold: dice.of(&[0, 1, 2, 3, u32::MAX]),
                success_threshold: dice.of(&[0, 1, 2, u32::MAX]),
                required: dice.one_in(2),
                interval: Duration::from_secs(5),
                reports_dependencies: dice.one_in(2),
            })
            .collect(),
        required: BTreeSet::from(["db".to_owned()]),
        degraded: VerdictPolicy::Fail,
        max_success_age: dice.one_in(2).then(|| dice.duration()),
        start_period: dice.of(&[Duration::ZERO, Duration::from_secs(30), Duration::MAX]),
        shutdown_timeout: dice.of(&[Duration::ZERO, Duration::from_secs(20), Duration::MAX]),
        depends_on,
        replicas: dice.one_in(4),
        ..ServiceInfo::new(name)
    }
}

fn heartbeat(dice: &mut Dice, at: Moment) -> Heartbeat {
    Heartbeat {
        beat: match dice.below(5) {
            0 => Beat::Never,
            1 => Beat::At(jiff::Timestamp::MIN),
            2 => Beat::At(jiff::Timestamp::MAX),
            3 => Beat::At(at.minus(Duration::from_secs(dice.roll() % 60)).wall),
            _ => Beat::Ago(dice.duration()),
        },
        fresh_for: dice.one_in(2).then(|| dice.duration()),
        every: dice.one_in(2).then(|| dice.duration()),
        holder: dice
            .one_in(2)
            .then(|| ["a", "b"][usize::from(dice.one_in(2))].to_owned()),
        is_final: dice.one_in(4),
        message: dice.one_in(4).then(|| "stopping".to_owned()),
    }
}

fn reading(dice: &mut Dice, at: Moment) -> Reading {
    let dependencies = dice.one_in(2).then(|| {
        let mut names = vec!["db", "cache", "queue", "\u{1b}[31m"];
        names.retain(|_| !dice.one_in(3));
        names
            .into_iter()
            .map(|name| Dependency {
                required: dice.one_in(4),
                error: dice.one_in(2).then(|| "gone".to_owned()),
                success_count: dice.one_in(2).then(|| dice.count()),
                failure_count: dice.one_in(2).then(|| dice.count()),
                last_success: match dice.below(3) {
                    0 => Age::Never,
                    1 => Age::NotReported,
                    _ => Age::Ago(dice.duration()),
                },
                heartbeat: dice.one_in(3).then(|| heartbeat(dice, at)),
                ..Dependency::new(name, dice.of(DependencyStatus::ALL))
            })
            .collect()
    });
    let start = |dice: &mut Dice| Start {
        at: match dice.below(5) {
            0 => jiff::Timestamp::MIN,
            1 => jiff::Timestamp::MAX,
            _ => at.minus(Duration::from_secs(dice.roll() % 60)).wall,
        },
        tolerance: dice.duration(),
        derived: dice.one_in(2),
    };
    Reading {
        status: dice.one_in(2).then(|| StatusWord {
            state: dice.of(State::ALL),
            raw: None,
        }),
        draining: dice.one_in(8),
        instance: dice.one_in(3).then(|| dice.of(&["a", "b", "c"]).to_owned()),
        started: dice.one_in(3).then(|| start(dice)),
        uptime: dice.one_in(4).then(|| dice.duration()),
        ignores_dependencies: dice.one_in(8),
        lists_failures_only: dice.one_in(8),
        heartbeat: dice.one_in(4).then(|| heartbeat(dice, at)),
        dependencies,
        ..Reading::default()
    }
}

fn outcome(dice: &mut Dice, at: Moment) -> Outcome {
    let result = dice.of(ProbeResult::ALL);
    let mut outcome = Outcome::bare(result, at);
    if !result.is_success() {
        let kind = dice.of(FailureKind::ALL);
        outcome.failure = dice.one_in(9).then_some(Failure::new(kind, "because"));
        outcome.refused = dice.one_in(3);
    }
    outcome.code = dice.one_in(2).then_some(503);
    outcome.latency = dice.one_in(2).then(|| dice.duration());
    if dice.one_in(2) && !outcome.refused {
        outcome.reading = Some(reading(dice, at));
    }
    if dice.one_in(4) {
        outcome.identity = Some(Identity {
            process: Some(Process {
                pid: 7,
                start_ticks: dice.roll() % 3,
            }),
            ..Identity::default()
        });
    }
    outcome
}

/// One thing that happens to a tracker.
#[derive(Clone)]
enum Act {
    Answer(usize, Box<Outcome>),
    Accepted(Moment),
    Started(Moment),
    Tick(Moment),
}

impl Act {
    fn on(self, tracker: &mut Tracker) {
        match self {
            Self::Answer(probe, outcome) => tracker.record(probe, *outcome),
            Self::Accepted(at) => tracker.lifecycle(LifecycleEvent::ShutdownAccepted, at),
            Self::Started(at) => tracker.lifecycle(LifecycleEvent::Started, at),
            Self::Tick(at) => {
                tracker.tick(at);
            }
        }
    }
}

/// A service and what happens to it, with the moment after each.
fn story(seed: u64, mut change: impl FnMut(&mut Outcome)) -> (ServiceInfo, Vec<(Moment, Act)>) {
    let mut dice = Dice(seed);
    let rules = rules(&mut dice, "api", Vec::new());
    let mut now = 0.0;
    let acts = (0..60)
        .map(|_| {
            // Now and then an answer is told after a later one.
            now += dice.of(&[0.0, 0.01, 1.0, 5.0, 5.0, 30.0, -1.0]);
            let at = Moment::at_seconds(now);
            let act = match dice.below(20) {
                0 => Act::Accepted(at),
                1 => Act::Started(at),
                2 => Act::Tick(at),
                _ => {
                    // One more than there are: it is passed over.
                    let probe = dice.below(rules.probes.len() + 1);
                    let mut outcome = outcome(&mut dice, at);
                    change(&mut outcome);
                    Act::Answer(probe, Box::new(outcome))
                }
            };
            (at, act)
        })
        .collect();
    (rules, acts)
}

const STORIES: u64 = 150;

fn play(
    rules: ServiceInfo,
    acts: Vec<(Moment, Act)>,
    mut check: impl FnMut(Moment, &ServiceSnapshot),
) {
    let mut tracker = Tracker::new(rules, Moment::at_seconds(0.0));
    for (at, act) in acts {
        act.on(&mut tracker);
        let snapshot = tracker.snapshot(at);
        assert_eq!(snapshot, tracker.snapshot(at), "a snapshot changes nothing");
        check(at, &snapshot);
    }
}

#[test]
fn the_same_answers_give_the_same_snapshots() {
    for seed in 0..STORIES {
        let mut first = Vec::new();
        let (rules, acts) = story(seed, |_| {});
        play(rules, acts, |_, snapshot| first.push(snapshot.clone()));
        let (rules, acts) = story(seed, |_| {});
        let mut again = first.iter();
        play(rules, acts, |_, snapshot| {
            assert_eq!(Some(snapshot), again.next(), "story {seed}");
        });
    }
}

#[test]
fn a_snapshot_is_coherent() {
    for seed in 0..STORIES {
        let (rules, acts) = story(seed, |_| {});
        play(rules, acts, |_, snapshot| {
            let healthy = snapshot.state == State::Healthy;
            assert_eq!(
                snapshot.reasons.is_empty(),
                healthy,
                "story {seed}: {snapshot:?}"
            );
            let verdict = snapshot
                .state
                .verdict(VerdictPolicy::Fail, VerdictPolicy::Fail);
            assert_eq!(snapshot.verdict, verdict, "story {seed}");
            for probe in &snapshot.probes {
                let counters = probe.counters;
                let successes = probe.consecutive_successes;
                let in_a_row = successes <= counters.success;
                let either = successes == 0 || probe.consecutive_failures == 0;
                assert!(in_a_row && either, "story {seed}: {probe:?}");
                assert!(probe.history.len() <= 60, "story {seed}");
            }
        });
    }
}

#[test]
fn totals_never_fall_and_are_never_below_the_count() {
    for seed in 0..STORIES {
        let mut totals: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        let (rules, acts) = story(seed, |outcome| {
            let table = outcome
                .reading
                .as_mut()
                .and_then(|it| it.dependencies.as_mut());
            for dependency in table.into_iter().flatten() {
                // Either always reported or never: a total that changes its source may fall.
                dependency.success_count = dependency.success_count.or(Some(7));
                dependency.failure_count = None;
                if dependency.status == DependencyStatus::NotUsed {
                    dependency.status = DependencyStatus::Working;
                }
            }
        });
        play(rules, acts, |_, snapshot| {
            for dependency in &snapshot.dependencies {
                let count = |total: Option<u64>| total.expect("there is one");
                let success = count(dependency.success_total);
                let failure = count(dependency.failure_total);
                assert!(success >= count(dependency.success_count), "story {seed}");
                let before = totals
                    .insert(dependency.name.clone(), (success, failure))
                    .unwrap_or_default();
                assert!(
                    success >= before.0 && failure >= before.1,
                    "story {seed}: {before:?} fell to {success}, {failure}"
                );
            }
        });
    }
}

/// Takes back what a last beat announces.
fn no_last_beats(outcome: &mut Outcome) {
    let Some(reading) = &mut outcome.reading else {
        return;
    };
    let dependencies = reading.dependencies.iter_mut().flatten();
    let listed = dependencies.filter_map(|dependency| dependency.heartbeat.as_mut());
    for heartbeat in listed.chain(&mut reading.heartbeat) {
        heartbeat.is_final = false;
    }
}

#[test]
fn silence_by_time_out_is_never_stopped() {
    for seed in 0..STORIES {
        let (rules, acts) = story(seed, |outcome| {
            if outcome.refused {
                outcome.refused = false;
                outcome.failure = Some(Failure::new(FailureKind::Timeout, "no answer"));
            }
            no_last_beats(outcome);
        });
        play(rules, acts, |_, snapshot| {
            assert_ne!(snapshot.state, State::Stopped, "story {seed}");
        });
    }
}

#[test]
fn silence_that_nothing_explains_is_never_stopped() {
    for seed in 0..STORIES {
        let (rules, mut acts) = story(seed, |outcome| {
            if let Some(reading) = &mut outcome.reading {
                reading.draining = false;
                reading.status = None;
            }
            no_last_beats(outcome);
        });
        acts.retain(|(_, act)| !matches!(act, Act::Accepted(_)));
        play(rules, acts, |_, snapshot| {
            assert_ne!(snapshot.state, State::Stopped, "story {seed}");
            assert_ne!(snapshot.state, State::Draining, "story {seed}");
        });
    }
}

#[test]
fn looking_at_the_time_changes_nothing_that_answers_tell() {
    for seed in 0..STORIES {
        let (rules, acts) = story(seed, |_| {});
        let mut plain = Vec::new();
        play(rules.clone(), acts.clone(), |_, snapshot| {
            plain.push((
                snapshot.state,
                snapshot.reasons.clone(),
                snapshot.flags.clone(),
            ));
        });
        let mut tracker = Tracker::new(rules, Moment::at_seconds(0.0));
        for ((at, act), plain) in acts.into_iter().zip(plain) {
            act.on(&mut tracker);
            tracker.tick(at);
            let snapshot = tracker.snapshot(at);
            tracker.tick(at.plus(Duration::from_millis(1)));
            assert_eq!(
                (snapshot.state, snapshot.reasons, snapshot.flags),
                plain,
                "story {seed}"
            );
        }
    }
}

/// Who is blocked by whom, worked out from scratch by the rule and not step by step.
fn blocked_by<'a>(fleet: &'a BTreeMap<&str, &'a ServiceSnapshot>, name: &str) -> Option<&'a str> {
    let causes = |name: &str| -> Vec<&'a str> {
        let needs = fleet
            .get(name)
            .map(|snapshot| snapshot.info.depends_on.as_slice());
        let needs = needs.unwrap_or_default().iter();
        needs.filter_map(|need| cause(fleet, need)).collect()
    };
    causes(name).into_iter().min()
}

fn cause<'a>(fleet: &'a BTreeMap<&str, &'a ServiceSnapshot>, name: &str) -> Option<&'a str> {
    let snapshot = fleet.get(name)?;
    match snapshot.state {
        State::Healthy => None,
        State::Stopped | State::Draining => Some(&snapshot.info.name),
        State::Unhealthy | State::Starting => {
            blocked_by(fleet, name).or(Some(snapshot.info.name.as_str()))
        }
        _ => blocked_by(fleet, name),
    }
}

#[test]
fn cause_first_holds_in_any_fleet() {
    let mut blocked = 0;
    for seed in 0..20 {
        let mut dice = Dice(seed);
        let names: Vec<String> = (0..12).map(|number| format!("s{number:02}")).collect();
        let mut all = Vec::new();
        for (number, name) in names.iter().enumerate() {
            let mut needs: Vec<String> = names[..number].to_vec();
            needs.retain(|_| dice.one_in(4));
            all.push(rules(&mut dice, name, needs));
        }
        // Their order in the inventory says nothing of who needs whom.
        let middle = dice.below(all.len());
        all.rotate_left(middle);
        let probes: Vec<usize> = all.iter().map(|rules| rules.probes.len()).collect();
        let mut fleet = Fleet::new(all, Moment::at_seconds(0.0));
        for step in 0..200_u32 {
            let at = Moment::at_seconds(f64::from(step));
            let service = dice.below(probes.len());
            let mut outcome = outcome(&mut dice, at);
            outcome.latency = None;
            fleet.record(service, dice.below(probes[service]), outcome);
            fleet.tick(at);
            let snapshots = fleet.snapshots();
            let by_name: BTreeMap<&str, &ServiceSnapshot> = snapshots
                .iter()
                .map(|snapshot| (snapshot.info.name.as_str(), snapshot.as_ref()))
                .collect();
            for snapshot in &snapshots {
                let fails = !matches!(
                    snapshot.state,
                    State::Healthy | State::Stopped | State::Draining | State::Starting
                ) && snapshot
                    .probes
                    .iter()
                    .any(|probe| probe.counted == Some(ProbeResult::Fail));
                let expected = blocked_by(&by_name, &snapshot.info.name).filter(|_| fails);
                assert_eq!(
                    snapshot.blocked_by.as_deref(),
                    expected,
                    "fleet {seed} step {step}"
                );
                assert_eq!(
                    snapshot.flags.contains(&Flag::Blocked),
                    expected.is_some(),
                    "fleet {seed} step {step}"
                );
                if let Some(root) = expected {
                    blocked += 1;
                    let root = by_name.get(root).expect("the root is watched");
                    assert_eq!(root.blocked_by, None, "a blocked service is never a cause");
                }
            }
        }
    }
    assert!(blocked > 500, "only {blocked} were ever blocked");
}

#[test]
fn a_cycle_ends() {
    let mut dice = Dice(1);
    let all = ["a", "b", "c"].map(|name| {
        let needs = ["a", "b", "c", "nobody"].map(str::to_owned).to_vec();
        ServiceInfo {
            probes: vec![ProbeInfo {
                failure_threshold: 1,
                ..rules(&mut dice, name, Vec::new()).probes.remove(0)
            }],
            ..rules(&mut dice, name, needs)
        }
    });
    let mut fleet = Fleet::new(all.to_vec(), Moment::at_seconds(0.0));
    for step in 0..300_u32 {
        let at = Moment::at_seconds(f64::from(step));
        let updates = fleet.record(dice.below(3), 0, outcome(&mut dice, at));
        assert!(updates.len() <= 3);
    }
}
