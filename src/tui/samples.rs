//! Services as tests need them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::health::{
    CheckVerdict, Counters, DependencySnapshot, DependencyStatus, Identity, Moment, Phases,
    ProbeInfo, ProbeResult, ProbeSnapshot, Role, ServiceInfo, ServiceSnapshot, State,
    VerdictPolicy,
};

/// When everything in the samples happened.
pub(crate) fn at() -> Moment {
    Moment::at_seconds(10_000.0)
}

/// A service that answered once.
pub(crate) fn snapshot(name: &str, state: State) -> ServiceSnapshot {
    let result = match state {
        State::Unhealthy | State::Stopped => ProbeResult::Fail,
        _ => ProbeResult::Pass,
    };
    ServiceSnapshot {
        probes: vec![answered(probe("live", Role::Live), result)],
        live: Some(result == ProbeResult::Pass),
        state,
        verdict: state.verdict(VerdictPolicy::Fail, VerdictPolicy::Fail),
        ..waiting(name)
    }
}

/// The same, shared.
pub(crate) fn shared(name: &str, state: State) -> Arc<ServiceSnapshot> {
    Arc::new(snapshot(name, state))
}

/// A service that was not asked yet.
pub(crate) fn waiting(name: &str) -> ServiceSnapshot {
    ServiceSnapshot {
        info: Arc::new(ServiceInfo::new(name)),
        state: State::Unknown,
        since: at(),
        ready: None,
        live: None,
        verdict: CheckVerdict::Unknown,
        flags: BTreeSet::new(),
        undetermined: std::collections::BTreeMap::new(),
        reasons: Vec::new(),
        notes: Vec::new(),
        heartbeat: None,
        blocked_by: None,
        service: None,
        version: None,
        started: None,
        uptime: None,
        resources: BTreeMap::new(),
        probes: vec![probe("live", Role::Live)],
        dependencies: Vec::new(),
        code_changed: None,
        process: None,
        identity: Identity::default(),
        at: at(),
    }
}

/// A probe that was not asked yet.
pub(crate) fn probe(name: &str, role: Role) -> ProbeSnapshot {
    ProbeSnapshot {
        info: Arc::new(ProbeInfo {
            name: name.to_owned(),
            role,
            kind: "http",
            target: format!("http://127.0.0.1:8000/health/{name}"),
            failure_threshold: 3,
            success_threshold: 1,
            required: false,
            interval: Duration::from_secs(5),
            reports_dependencies: false,
        }),
        address: None,
        latest: None,
        counted: None,
        failure: None,
        latency: None,
        phases: Phases::default(),
        code: None,
        checked_at: None,
        counters: Counters::default(),
        consecutive_successes: 0,
        consecutive_failures: 0,
        last_success: None,
        last_failure: None,
        flapping: false,
        history: VecDeque::new(),
    }
}

/// The probe after twelve answers of which the last had this result.
pub(crate) fn answered(probe: ProbeSnapshot, result: ProbeResult) -> ProbeSnapshot {
    let good = matches!(result, ProbeResult::Pass | ProbeResult::Warn);
    let latency = |tenths: u64| good.then(|| Duration::from_micros(tenths * 100));
    ProbeSnapshot {
        address: Some("127.0.0.1:8000".to_owned()),
        latest: Some(result),
        counted: Some(result),
        latency: latency(31),
        phases: Phases {
            resolve: None,
            connect: latency(3),
            head: latency(26),
            body: latency(2),
        },
        code: good.then_some(200),
        checked_at: Some(at()),
        counters: Counters {
            success: if good { 12 } else { 9 },
            failure: if good { 0 } else { 3 },
        },
        consecutive_successes: if good { 12 } else { 0 },
        consecutive_failures: if good { 0 } else { 3 },
        last_success: Some(if good {
            at()
        } else {
            at().minus(Duration::from_secs(94))
        }),
        last_failure: (!good).then(at),
        history: [24, 31, 28, 64, 31].into_iter().map(latency).collect(),
        ..probe
    }
}

/// A dependency as a service with counters reports it.
pub(crate) fn dependency(name: &str, status: DependencyStatus) -> DependencySnapshot {
    let failing = status == DependencyStatus::Error;
    DependencySnapshot {
        name: name.to_owned(),
        status,
        word: Some(status.as_str().to_owned()),
        required: false,
        error: None,
        success_count: Some(1_204),
        failure_count: Some(if failing { 7 } else { 0 }),
        success_total: Some(1_204),
        failure_total: Some(if failing { 7 } else { 0 }),
        last_success: Some(at().minus(Duration::from_secs(if failing { 94 } else { 1 }))),
        last_failure: failing.then(|| at().minus(Duration::from_secs(1))),
        latency: None,
        heartbeat: None,
        observed_at: at(),
        details: Arc::default(),
    }
}
