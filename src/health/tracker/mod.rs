//! The state machine of one service: outcomes of its probes go in, its state and snapshot come out.
//!
//! `probe` and `thresholds` say what the answers of one probe amount to, `process` whose answers they are, `lifecycle` how far
//! start and shutdown have come, `dependencies` and `heartbeat` what the service reports on. This file decides in which
//! order they see an outcome; `assessment` derives the state from them, `snapshot` what is shown.

mod assessment;
mod dependencies;
mod heartbeat;
mod lifecycle;
mod probe;
mod process;
mod snapshot;
mod thresholds;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use self::dependencies::Dependencies;
pub use self::lifecycle::{LifecycleEvent, StartProgress};
use self::lifecycle::{ShutdownState, StartupState};
use self::probe::{PhaseClaim, ProbeState, Reachability, broke_off, is_whole};
use self::process::{AnsweredBy, Processes, identity_of};
use super::{
    Flag, HostFinding, Identity, Moment, OnRecord, Outcome, ProbeResult, Reading, Role,
    ServiceInfo, State,
};

/// The state of a service and the reasons for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Assessment {
    pub(super) state: State,
    /// The reasons, most important first.
    pub(super) reasons: Vec<String>,
}

impl Assessment {
    fn new(state: State, reason: impl Into<String>) -> Self {
        Self {
            state,
            reasons: vec![reason.into()],
        }
    }
}

/// The state machine of one service: probe results go in, a [`ServiceSnapshot`](super::ServiceSnapshot) comes out.
#[derive(Debug)]
pub struct Tracker {
    info: Arc<ServiceInfo>,
    probes: Vec<ProbeState>,
    processes: Processes,
    startup: StartupState,
    shutdown: ShutdownState,
    dependencies: Dependencies,
    /// Flags that no probe can know.
    flags: BTreeMap<Flag, String>,
    /// The findings on this machine.
    host: HostFinding,
    /// The shutdown on record after which it has answered again: it explains nothing any more.
    past_shutdown: Option<Timestamp>,
    /// The root cause, where another service keeps this one from working.
    blocked_by: Option<String>,
    assessment: Assessment,
    /// When that was assessed.
    assessed_at: Moment,
    since: Moment,
    /// When time alone changes what is assessed.
    due: Option<Moment>,
}

impl Tracker {
    /// A service of which nothing is known yet.
    pub fn new(info: impl Into<Arc<ServiceInfo>>, now: Moment) -> Self {
        let info = info.into();
        let has_startup = info.probes.iter().any(|probe| probe.role == Role::Startup);
        let probes = info.probes.iter().cloned();
        let probes = probes.map(|probe| ProbeState::new(Arc::new(probe)));
        let mut tracker = Self {
            probes: probes.collect(),
            processes: Processes::default(),
            startup: StartupState::new(has_startup, info.start_period),
            shutdown: ShutdownState::new(info.shutdown_timeout),
            dependencies: Dependencies::default(),
            flags: BTreeMap::new(),
            host: HostFinding::default(),
            past_shutdown: None,
            blocked_by: None,
            assessment: Assessment::default(),
            assessed_at: now,
            since: now,
            due: None,
            info,
        };
        tracker.reassess(now);
        tracker
    }

    /// Returns the configuration of the service.
    pub fn info(&self) -> &ServiceInfo {
        &self.info
    }

    /// Returns the state of the service.
    pub const fn state(&self) -> State {
        self.assessment.state
    }

    /// Whether this probe is to be asked now: `startup` holds the others back until it has passed, and is not asked
    /// again after that.
    pub fn wants(&self, probe: usize) -> bool {
        let probe = self.probes.get(probe);
        probe.is_some_and(|it| (it.info.role == Role::Startup) == self.startup.holds_back)
    }

    /// The probes that are to be asked now and of which nothing counts yet, at the beginning and whenever a process was
    /// replaced: whoever asks may ask them before their time.
    pub fn unanswered(&self) -> impl Iterator<Item = usize> + '_ {
        let probes = self.probes.iter().enumerate();
        let fresh = probes.filter(|(index, it)| self.wants(*index) && it.thresholds.is_fresh());
        fresh.map(|(index, _)| index)
    }

    /// Takes in what a probe found. A probe that is not there is passed over.
    pub fn record(&mut self, probe: usize, outcome: Outcome) {
        let at = outcome.at;
        self.apply(probe, outcome);
        self.reassess(at);
    }

    /// Assesses what follows from time alone; true where something may have changed.
    pub fn tick(&mut self, now: Moment) -> bool {
        let due = self.due.is_some_and(|due| due.mono <= now.mono);
        if due {
            self.reassess(now);
        }
        due
    }

    /// Takes in what an action did to the process of the service.
    pub fn lifecycle(&mut self, event: LifecycleEvent, now: Moment) {
        match event {
            LifecycleEvent::ShutdownAccepted => self.shutdown.accepted_at = Some(now),
            LifecycleEvent::NotListening { process_runs } => {
                self.shutdown.process_runs = process_runs;
                if !process_runs {
                    self.host.process_is_gone();
                }
            }
            LifecycleEvent::Started => self.started(now),
            LifecycleEvent::Start(progress) => self.set_progress(progress, now),
        }
        self.reassess(now);
    }

    /// We started it: its start period begins, and its startup probe is asked again.
    fn started(&mut self, now: Moment) {
        self.new_process();
        // What the records said until now was of the time before.
        self.host.on_record = OnRecord::Nothing;
        self.processes.succeeded_by(&Identity::default(), now);
        self.startup.begin_period(now);
        let explained = self.startup.has_startup || !self.info.start_period.is_zero();
        // Without either of them *stopped* ends as always, at the first answer: failures would count at once.
        if explained || self.shutdown.stopped().is_none() {
            self.shutdown.reset();
        }
    }

    /// Whoever started it says whether it is waited for. Until it has come up nothing that it does not yet answer speaks
    /// against it, and once it has, no shutdown explains a silence any more.
    fn set_progress(&mut self, progress: StartProgress, now: Moment) {
        self.startup.set_progress(progress, now);
        match progress {
            StartProgress::Begun => {}
            StartProgress::Proved => {
                if self.shutdown.stopped().is_none() {
                    self.shutdown.reset();
                }
            }
            StartProgress::Failed => {
                // What was known is of the process before it. The next answer counts, and its silence is no stop.
                self.shutdown.reset();
                self.forget();
            }
            StartProgress::Abandoned => {
                // What was set aside while it was waited for puts nothing off: the next answer counts.
                for probe in &mut self.probes {
                    if probe.thresholds.counted.is_none() {
                        probe.thresholds.forget(probe.info.role != Role::Startup);
                    }
                }
            }
        }
    }

    /// Sets a flag that no probe can know, with a sentence about it that may be empty, or clears it (`None`).
    pub fn set_flag(&mut self, flag: Flag, note: Option<String>) {
        match note {
            Some(note) => self.flags.insert(flag, note),
            None => self.flags.remove(&flag),
        };
    }

    /// Takes in what was seen of it on this machine.
    pub fn update_host(&mut self, finding: HostFinding, now: Moment) {
        self.host = finding;
        let seen = self.host.process.zip(self.host.image);
        self.processes.seen_on_host(seen);
        if let Some(process) = self.host.process {
            self.startup.learn_start(process.started, now, false);
        }
        self.reassess(now);
    }

    /// Somebody begins to watch it: its start period counts from now, unless a start is known.
    pub fn begin_watch(&mut self, now: Moment) {
        self.startup.assume_start(now);
        self.reassess(now);
    }

    /// Says which service keeps this one from working, if any.
    pub(super) fn set_blocked_by(&mut self, root: Option<String>) {
        self.blocked_by = root;
    }

    /// Returns whether probes of the service fail that its own state does not explain.
    pub(super) fn is_failing_itself(&self) -> bool {
        let explained = matches!(
            self.assessment.state,
            State::Healthy | State::Stopped | State::Draining | State::Starting
        );
        let fails = |probe: &ProbeState| probe.counted() == Some(ProbeResult::Fail);
        !explained && self.probes.iter().any(fails)
    }

    fn apply(&mut self, index: usize, mut outcome: Outcome) {
        let at = outcome.at;
        let asked = at.minus(outcome.latency.unwrap_or_default());
        let reachability = Reachability::of(&outcome);
        let whole = reachability == Reachability::Answered && is_whole(&outcome);
        let identity = identity_of(&outcome);
        let reading = outcome.reading.take().map(Arc::new);
        let was_down = self.is_down_on_record(at);
        let Some(probe) = self.probes.get_mut(index) else {
            return;
        };
        probe.observe(&outcome, reachability);
        let role = probe.info.role;

        let is_trace = self
            .probes
            .get(index)
            .is_some_and(|it| self.goes_by_traces(it));
        if was_down && self.speaks_for_service(index) && reachability.is_answer() && !is_trace {
            if let OnRecord::ShutDown(at) = self.host.on_record {
                self.past_shutdown = Some(at);
            }
            self.new_process();
            self.processes.succeeded_by(&identity, asked);
        }
        if self.shutdown.stopped().is_some() {
            let ends = reachability.is_answer()
                && self.speaks_for_service(index)
                && self.shutdown.stopped_before(asked);
            // It has come up, as somebody else has seen, and is silent again: its shutdown does not explain that.
            let fell = reachability == Reachability::Refused && self.startup.was_ready(asked);
            if !ends && !fell {
                return;
            }
            self.new_process();
            self.shutdown.reset();
            self.processes.succeeded_by(&identity, asked);
        }
        let mut proved_same = false;
        if reachability == Reachability::Answered && self.speaks_for_service(index) {
            match self.processes.answered(&identity, asked) {
                AnsweredBy::Known { proved } => proved_same = proved,
                AnsweredBy::New if !self.info.replicas => self.process_replaced(),
                AnsweredBy::New => {}
                AnsweredBy::Late => return,
            }
            if let Some(start) = self.processes.start() {
                self.startup.learn_start(start.at, at, true);
            }
        }
        if let Some(reading) = &reading {
            self.read(index, reading, proved_same, asked, at);
        }
        let claims = self.update_claim(index, at, whole, reading.as_deref());
        if reachability == Reachability::Refused && self.is_silent(index) {
            let message = outcome.failure.as_ref().map(|it| it.message.as_str());
            if self.shutdown.stop(at, message) {
                self.forget_claims();
                return;
            }
        }
        if outcome.result.is_success() {
            if role == Role::Startup {
                self.startup.pass();
            } else if self.speaks_for_service(index) && !self.startup.holds_back {
                self.startup.succeeded = true;
            }
        }
        self.record_answer(index, &outcome, reachability, reading, claims);
    }

    /// Takes in what was read, and remembers the dependencies of the table that is to be shown now: where several probes
    /// report on one, it is counted once.
    fn read(
        &mut self,
        index: usize,
        reading: &Arc<Reading>,
        proved_same: bool,
        asked: Moment,
        at: Moment,
    ) {
        if let Some(probe) = self.probes.get_mut(index) {
            probe.read(reading, asked, at);
        }
        let provider = self.table().map(|(provider, _, _)| provider);
        if let Some(probe) = provider.and_then(|provider| self.probes.get_mut(provider))
            && let Some((reading, at)) = &probe.reading
            && !std::mem::replace(&mut probe.is_remembered, true)
        {
            let table = reading.dependencies.as_deref().unwrap_or_default();
            let process = self.processes.current;
            let asked = probe.asked.unwrap_or(*at);
            self.dependencies
                .record(table, process, proved_same, asked, *at);
        }
    }

    /// Has the thresholds see an answer, unless something says that it does not count.
    fn record_answer(
        &mut self,
        index: usize,
        outcome: &Outcome,
        reachability: Reachability,
        reading: Option<Arc<Reading>>,
        claims: bool,
    ) {
        let held_back = self.startup.holds_back;
        let asked = outcome.at.minus(outcome.latency.unwrap_or_default());
        let awaited = self.startup.is_awaited() && !self.startup.was_ready(asked);
        let in_period = awaited || self.startup.period_until(outcome.at).is_some();
        let explained = self.claim().is_some();
        let ends = broke_off(outcome) && self.shutdown.explains(outcome.at).is_some();
        let Some(probe) = self.probes.get_mut(index) else {
            return;
        };
        if held_back && probe.info.role != Role::Startup {
            return;
        }
        // A process that ends as announced breaks off what it was asked; the next question meets silence, or counts.
        if ends && !std::mem::replace(&mut probe.broke_off, true) {
            probe.excused = true;
            return;
        }
        let success = outcome.result.is_success();
        let answered = reachability == Reachability::Answered;
        // A draining or starting word explains codes, and readiness whatever it shows; never a time-out.
        let excused = explained
            && (claims || probe.info.role == Role::Ready || (answered && probe.claim.is_none()));
        if !success && (in_period || excused) {
            probe.thresholds.set_aside(in_period);
            probe.excused = true;
        } else {
            let turned = probe.thresholds.record_answer(outcome, reading, answered);
            if turned && probe.claim.take().is_some_and(|claim| claim.is_draining) {
                self.end_draining(false);
            }
        }
    }

    /// Takes in what an answer says of draining and starting; true where it says so. A whole answer that says nothing
    /// of it takes back what an earlier one said.
    fn update_claim(
        &mut self,
        index: usize,
        at: Moment,
        whole: bool,
        reading: Option<&Reading>,
    ) -> bool {
        // A probe of something else says nothing of how the service comes and goes.
        if !self.speaks_for_service(index) {
            return false;
        }
        let Some(probe) = self.probes.get_mut(index) else {
            return false;
        };
        let claim = reading.and_then(PhaseClaim::of);
        let claims = claim.is_some();
        if claim.as_ref().is_some_and(|claim| claim.is_draining) {
            self.shutdown.drain(at);
        }
        if claims || whole {
            let before = std::mem::replace(&mut probe.claim, claim);
            if before.is_some_and(|before| before.is_draining) {
                self.end_draining(true);
            }
        }
        claims
    }

    fn end_draining(&mut self, taken_back: bool) {
        if !self.claim().is_some_and(|claim| claim.is_draining) {
            self.shutdown.end_draining(taken_back);
        }
    }

    /// Returns the claim of the probes that explains status codes; draining comes before starting.
    fn claim(&self) -> Option<&PhaseClaim> {
        let claims = || self.probes.iter().filter_map(|probe| probe.claim.as_ref());
        claims()
            .find(|claim| claim.is_draining)
            .or_else(|| claims().next())
    }

    fn forget_claims(&mut self) {
        for probe in &mut self.probes {
            probe.claim = None;
        }
    }

    /// A new process answers although the old one was not seen to end.
    fn process_replaced(&mut self) {
        self.shutdown.reset();
        self.startup.reset();
        self.forget_claims();
        self.host.process_is_gone();
        if self.startup.has_startup {
            self.forget();
        }
    }

    /// A process begins of which nothing is known.
    fn new_process(&mut self) {
        self.startup.reset();
        self.forget();
    }

    fn forget(&mut self) {
        self.host.process_is_gone();
        for probe in &mut self.probes {
            probe.forget();
        }
    }

    /// Whether the probe asks the service itself. One of the user's own may ask anything, and speaks for the service
    /// only where nothing else does.
    fn speaks_for_service(&self, index: usize) -> bool {
        let named = |probe: &ProbeState| probe.info.role == Role::Named;
        self.probes.get(index).is_some_and(|probe| !named(probe)) || self.probes.iter().all(named)
    }

    /// Whether the refusal that this probe met is the silence of the service: not while it speaks at another endpoint.
    fn is_silent(&self, index: usize) -> bool {
        let Some(refused) = self.probes.get(index) else {
            return false;
        };
        self.speaks_for_service(index)
            && self.probes.iter().enumerate().all(|(other, probe)| {
                probe.endpoint == refused.endpoint
                    || probe.reachability != Some(Reachability::Answered)
                    || !self.speaks_for_service(other)
                    || !self.wants(other)
            })
    }

    /// Assesses the state anew.
    fn reassess(&mut self, now: Moment) {
        if self.shutdown.stopped().is_none() && self.unanswered().next().is_none() {
            self.startup.confirm();
        }
        let assessment = self.assess(now);
        if assessment.state != self.assessment.state {
            self.since = now;
        }
        self.assessment = assessment;
        self.assessed_at = now;
        self.due = self.next_due(now);
    }

    fn next_due(&self, now: Moment) -> Option<Moment> {
        let draining = self.claim().filter(|claim| claim.is_draining);
        let drained = draining.and_then(|_| self.shutdown.drain_until());
        let started = self.startup.period_until(now);
        let awaited = match self.host.on_record {
            OnRecord::StartedUntil(until) => {
                Duration::try_from(until.duration_since(now.wall)).ok()
            }
            _ => None,
        };
        let awaited = awaited.map(|left| now.plus(left));
        let dues = drained.into_iter().chain(started).chain(awaited);
        dues.chain(self.success_age_dues())
            .filter(|due| due.mono > now.mono)
            .min_by_key(|due| due.mono)
    }
}
