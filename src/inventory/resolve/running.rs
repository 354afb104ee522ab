//! How a service comes to run, and what its code is; what does not fit together is told.

use std::collections::BTreeSet;

use crate::health::RestartCause;
use crate::yaml::{Problem, Problems};

use super::super::raw;
use super::super::service::{Hook, Service, Sources, StartSpec};
use super::command::{directory, exec};
use super::defaults;

/// Fills in what the keys say, and tells what they cannot mean.
pub(super) fn fill(service: &mut Service, raw: &raw::Service, problems: &mut Problems) {
    let said = &raw.running;
    service.start = said.start.as_ref().map(start);
    service.supervised = said.supervised.as_ref().is_some_and(|flag| flag.value);
    service.sources = said
        .sources
        .as_ref()
        .filter(|patterns| !patterns.value.is_empty())
        .map(|patterns| Sources {
            root: directory(&patterns.place),
            patterns: patterns.value.clone(),
        });
    service.restart_on = said
        .restart_on
        .iter()
        .flat_map(|causes| &causes.value)
        .map(|cause| cause.value)
        .collect::<BTreeSet<_>>();
    service.on_change = said.on_change.as_ref().map(hook);
    two_starters(raw, problems);
    what_is_permitted(service, raw, problems);
}

fn start(raw: &raw::Start) -> StartSpec {
    let written = &raw.command;
    let cwd = match &raw.cwd {
        // Without the `.` at the end that `cwd: .` leaves.
        Some(cwd) => cwd.value.components().collect(),
        None => directory(&written.command.place),
    };
    StartSpec {
        exec: exec(written, &raw.env, cwd),
        log: raw.log.as_ref().map(|log| log.value.clone()),
        ready_timeout: raw
            .ready_timeout
            .as_ref()
            .map_or(defaults::READY_TIMEOUT, |timeout| timeout.value),
    }
}

fn hook(raw: &raw::Hook) -> Hook {
    let written = &raw.command;
    Hook {
        exec: exec(written, &raw.env, directory(&written.command.place)),
        timeout: raw
            .timeout
            .as_ref()
            .map_or(defaults::HOOK_TIMEOUT, |timeout| timeout.value),
    }
}

/// A service is started by us or by something else.
fn two_starters(raw: &raw::Service, problems: &mut Problems) {
    let said = &raw.running;
    if let (Some(start), Some(supervised)) = (&said.start, &said.supervised)
        && supervised.value
    {
        problems.push(
            Problem::at(
                &supervised.place,
                "`supervised: true` beside `start`: two would start it",
            )
            .label("something else starts it")
            .related(&start.key.place, "and healthctl does")
            .hint("take one of them out"),
        );
    }
}

/// An automatic restart needs something to go by, and a way.
fn what_is_permitted(service: &Service, raw: &raw::Service, problems: &mut Problems) {
    let Some(causes) = &raw.running.restart_on else {
        return;
    };
    let Some(first) = causes.value.first() else {
        return;
    };
    let broken_start = raw.running.start.is_none() && raw.has_start;
    let can_restart = service.start.is_some()
        || service.supervised
        || service.actions.restart.is_some()
        || broken_start;
    if !can_restart {
        problems.push(
            Problem::at(&first.place, "nothing is known to start it again")
                .label("cannot be restarted automatically")
                .hint("add `start: {command: […]}`, `supervised: true` or `actions: {restart: …}`"),
        );
    }
    for cause in &causes.value {
        let needs_code = cause.value == RestartCause::Stale
            && service.sources.is_none()
            && service.start.is_none()
            && !broken_start;
        if needs_code && can_restart {
            problems.push(
                Problem::at(&cause.place, "nothing tells whether it is stale")
                    .label("needs `sources` or `start`")
                    .hint("add what its code is made of: `sources: [\"src/**/*.py\"]`"),
            );
        }
        let has_life = service
            .probes
            .iter()
            .any(|probe| probe.role == crate::health::Role::Live);
        if cause.value == RestartCause::Unhealthy && !has_life && !service.probes.is_empty() {
            problems.push(
                Problem::at(&cause.place, "no probe tells whether it lives")
                    .label("means the probe `live`")
                    .hint("readiness is never a reason to restart; add `probes: {live: …}`"),
            );
        }
    }
}
