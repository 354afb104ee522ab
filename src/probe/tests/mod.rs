//! The real prober against servers that do what servers should not.
//!
//! The tests assert the outcome: result, kind and message. Time limits are given to the prober, never measured here.

mod addresses;
mod answers;
mod commands;
mod connections;
mod deadline;
mod encryption;
mod requests;
mod server;

use std::time::Duration;

use crate::health::{FailureKind, Outcome, ProbeResult, Role};
use crate::host::Clock;
use crate::inventory::{Connection, HttpRequest, Probe, ProbeKind, Target};
use crate::profile::Expect;

use super::Prober;

/// Enough for whatever is to arrive.
const AMPLE: Duration = Duration::from_secs(60);

/// Short, for what never arrives while other things do.
const SHORT: Duration = Duration::from_millis(400);

/// A question about this URL, to be changed by each test.
fn get(url: &str) -> HttpRequest {
    let (url, socket) = match url.strip_prefix("unix:") {
        Some(path) => ("http://localhost/".parse().unwrap(), Some(path.into())),
        None => (url.parse().unwrap(), None),
    };
    HttpRequest {
        target: Target { url, socket },
        ..HttpRequest::default()
    }
}

/// A probe with ample time that does not need the body.
fn probe(request: HttpRequest) -> Probe {
    Probe {
        name: "status".to_owned(),
        role: Role::Status,
        kind: ProbeKind::Http(Box::new(request)),
        timeout: AMPLE,
        max_body: 64 * 1024,
        ..Probe::default()
    }
}

/// A probe that has to read the body: it expects `ok` in it.
fn reading(request: HttpRequest) -> Probe {
    Probe {
        expect: Expect {
            body_contains: vec!["ok".to_owned()],
            ..Expect::default()
        },
        ..probe(request)
    }
}

/// The probe with little time.
fn hurried(probe: Probe) -> Probe {
    Probe {
        timeout: SHORT,
        ..probe
    }
}

fn prober() -> Prober {
    Prober::new(Clock::start())
}

async fn run(probe: &Probe) -> Outcome {
    run_by(&prober(), probe).await
}

async fn run_by(prober: &Prober, probe: &Probe) -> Outcome {
    prober.probe(probe, None).await
}

/// The outcome is this failure: result, kind, and words in which `…` stands for anything.
#[track_caller]
fn failed(outcome: &Outcome, result: ProbeResult, kind: FailureKind, words: &str) {
    let failure = outcome.failure.as_ref().expect("a failure");
    assert_eq!(
        (outcome.result, failure.kind),
        (result, kind),
        "{}",
        failure.message
    );
    let mut rest = failure.message.as_str();
    for (index, part) in words.split('…').enumerate() {
        let at = rest.find(part);
        let fits = at.is_some_and(|at| index > 0 || at == 0);
        assert!(fits, "{:?} is not like {words:?}", failure.message);
        rest = rest.get(at.unwrap_or(0) + part.len()..).unwrap();
    }
    assert!(
        rest.is_empty() || words.ends_with('…'),
        "{:?} is not like {words:?}",
        failure.message
    );
}

#[track_caller]
fn passed(outcome: &Outcome) {
    assert_eq!(
        (outcome.result, &outcome.failure),
        (ProbeResult::Pass, &None)
    );
}
