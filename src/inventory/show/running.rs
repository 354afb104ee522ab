//! How a service comes to run, and what its code is.

use serde_yaml::Value;

use crate::profile::Secret;
use crate::profile::raw::{At, Variable};
use crate::text;
use crate::yaml::is_secret_name;

use super::super::raw;
use super::super::service::{Hook, Service, StartSpec};
use super::command::shown_words;
use super::lines::Lines;
use super::request::{show_secret, written};
use super::{BUILT_IN, duration};

/// `start`, `sources`, `supervised`, `restart_on`, `on_change`.
pub(super) fn show(lines: &mut Lines, service: &Service, raw: &raw::Service) {
    let said = &raw.running;
    if let (Some(start), Some(raw)) = (&service.start, &said.start) {
        show_start(lines, start, raw);
    }
    if let (Some(sources), Some(at)) = (&service.sources, &said.sources) {
        let patterns: Vec<Value> = sources
            .patterns
            .iter()
            .map(|pattern| pattern.as_str().into())
            .collect();
        lines.leaf("sources", patterns, at.place.short());
    }
    let from = said
        .supervised
        .as_ref()
        .map_or_else(|| BUILT_IN.to_owned(), |at| at.place.short());
    lines.leaf("supervised", service.supervised, from);
    let causes: Vec<Value> = service
        .restart_on
        .iter()
        .map(|cause| cause.as_str().into())
        .collect();
    let from = said
        .restart_on
        .as_ref()
        .map_or_else(|| BUILT_IN.to_owned(), |at| at.place.short());
    lines.leaf("restart_on", causes, from);
    if let (Some(hook), Some(raw)) = (&service.on_change, &said.on_change) {
        show_hook(lines, hook, raw);
    }
}

fn show_start(lines: &mut Lines, start: &StartSpec, raw: &raw::Start) {
    lines.open("start", None);
    let words = shown_words(&start.exec.shown, &start.exec.command);
    lines.leaf("command", words, raw.command.command.place.short());
    lines.leaf(
        "cwd",
        path(&start.exec.cwd),
        place_or_built_in(raw.cwd.as_ref()),
    );
    env(lines, &start.exec.env, &raw.env);
    if let (Some(log), Some(at)) = (&start.log, &raw.log) {
        lines.leaf("log", path(log), at.place.short());
    }
    lines.leaf(
        "ready_timeout",
        duration(start.ready_timeout),
        place_or_built_in(raw.ready_timeout.as_ref()),
    );
    lines.close();
}

fn show_hook(lines: &mut Lines, hook: &Hook, raw: &raw::Hook) {
    lines.open("on_change", None);
    let words = shown_words(&hook.exec.shown, &hook.exec.command);
    lines.leaf("exec", words, raw.command.command.place.short());
    env(lines, &hook.exec.env, &raw.env);
    lines.leaf(
        "timeout",
        duration(hook.timeout),
        place_or_built_in(raw.timeout.as_ref()),
    );
    lines.close();
}

/// What an `env_file` adds was said of all services, not here.
fn env(lines: &mut Lines, env: &std::collections::BTreeMap<String, Secret>, said: &[Variable]) {
    if said.is_empty() {
        return;
    }
    lines.open("env", None);
    for Variable { name, value, .. } in said {
        let Some(secret) = env.get(&name.value) else {
            continue;
        };
        let from = value.place.short();
        match (secret, written(value)) {
            (Secret::Plain(_), Some(text)) => lines.leaf(&name.value, text, from),
            (Secret::Plain(text), None) if !is_secret_name(&name.value) => {
                lines.leaf(&name.value, text.as_str(), from);
            }
            _ => show_secret(lines, &name.value, secret, &from),
        }
    }
    lines.close();
}

fn place_or_built_in<T>(at: Option<&At<T>>) -> String {
    at.map_or_else(|| BUILT_IN.to_owned(), |at| at.place.short())
}

fn path(path: &std::path::Path) -> String {
    if path == std::path::Path::new("") {
        return ".".to_owned();
    }
    text::clean(&path.display().to_string(), 300)
}
