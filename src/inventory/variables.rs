//! What an `env_file` adds: a value for each secret that names one of its variables, and for each command that is run.

use std::collections::BTreeMap;

use crate::profile::kind::ProbeKind;
use crate::profile::raw::request::HttpRequest;
use crate::profile::{Auth, Secret};

use super::env_file::Variables;
use super::service::{Means, Service};

/// Lets the service see the variables wherever it looks into the environment.
pub(super) fn add(service: &mut Service, variables: &Variables) {
    if variables.is_empty() {
        return;
    }
    for probe in &mut service.probes {
        match &mut probe.kind {
            ProbeKind::Http(request) => of_request(request, variables),
            ProbeKind::Tcp { .. } => {}
            ProbeKind::Exec(exec) => of_command(&mut exec.env, variables),
        }
    }
    if let Some(start) = &mut service.start {
        of_command(&mut start.exec.env, variables);
    }
    if let Some(hook) = &mut service.on_change {
        of_command(&mut hook.exec.env, variables);
    }
    let actions = &mut service.actions;
    let actions = [
        &mut actions.shutdown,
        &mut actions.schedule,
        &mut actions.reload,
        &mut actions.restart,
    ];
    for action in actions.into_iter().flatten() {
        match &mut action.means {
            Means::Http(request) => of_request(request, variables),
            Means::Signal(_) => {}
            Means::Exec(exec) => of_command(&mut exec.env, variables),
        }
    }
}

fn of_command(env: &mut BTreeMap<String, Secret>, variables: &Variables) {
    for secret in env.values_mut() {
        of_secret(secret, variables);
    }
    for (name, value) in variables {
        env.entry(name.clone()).or_insert_with(|| Secret::EnvOr {
            name: name.clone(),
            otherwise: value.clone(),
        });
    }
}

fn of_request(request: &mut HttpRequest, variables: &Variables) {
    for (_, secret) in &mut request.headers {
        of_secret(secret, variables);
    }
    match &mut request.auth {
        Some(
            Auth::Bearer(secret)
            | Auth::Basic {
                password: secret, ..
            },
        ) => {
            of_secret(secret, variables);
        }
        None => {}
    }
}

fn of_secret(secret: &mut Secret, variables: &Variables) {
    if let Secret::Env(name) = secret
        && let Some(value) = variables.get(name)
    {
        *secret = Secret::EnvOr {
            name: std::mem::take(name),
            otherwise: value.clone(),
        };
    }
}
