//! The connection or the command of a probe.

use std::path::Path;

use serde_yaml::Value;

use crate::profile::Secret;
use crate::profile::raw::{At, Probe as Raw, Variable};
use crate::yaml::is_secret_name;

use super::super::library::Known;
use super::super::resolve::{LayerKind, Said};
use super::super::service::{Exec, Probe};
use super::lines::Lines;
use super::request::{show_secret, written};
use super::{BUILT_IN, origin};

/// `tcp:`
pub(super) fn show_tcp(lines: &mut Lines, probe: &Probe, said: Said<'_>, known: Option<&Known>) {
    let from = from(said, known, |raw| raw.tcp.as_ref());
    lines.leaf("tcp", probe.kind.target(), from);
}

/// `exec:` with what belongs to it.
pub(super) fn show_exec(lines: &mut Lines, exec: &Exec, said: Said<'_>, known: Option<&Known>) {
    let place = from(said, known, |raw| Some(&raw.exec.as_ref()?.command));
    let mut cwd = from(said, known, |raw| raw.cwd.as_ref());
    if cwd.is_empty() {
        BUILT_IN.clone_into(&mut cwd);
    }
    show_words(lines, exec, place, cwd);
    let said = kinds(said).map(|(raw, kind)| (raw.env.as_slice(), kind));
    show_env(lines, exec, &said.collect::<Vec<_>>(), known);
}

/// `exec:` and `cwd:`, with where each comes from.
pub(super) fn show_words(lines: &mut Lines, exec: &Exec, place: String, cwd_place: String) {
    lines.leaf("exec", shown_words(&exec.shown, &exec.command), place);
    if exec.cwd != Path::new("") {
        lines.leaf("cwd", exec.cwd.display().to_string(), cwd_place);
    }
}

/// `env:`, as far as it was said here, the strongest first. What an `env_file` adds was said of all services.
pub(super) fn show_env(
    lines: &mut Lines,
    exec: &Exec,
    said: &[(&[Variable], LayerKind)],
    known: Option<&Known>,
) {
    let own: Vec<_> = exec
        .env
        .iter()
        .filter_map(|(name, secret)| {
            let (value, kind) = said.iter().find_map(|(env, kind)| {
                let found = env.iter().find(|it| it.name.value == *name);
                found.map(|it| (&it.value, *kind))
            })?;
            Some((name, secret, written(value), origin(value, kind, known)))
        })
        .collect();
    if own.is_empty() {
        return;
    }
    lines.open("env", None);
    for (name, secret, as_written, from) in own {
        match (secret, as_written) {
            (Secret::Plain(_), Some(text)) => lines.leaf(name, text, from),
            (Secret::Plain(text), None) if !is_secret_name(name) => {
                lines.leaf(name, text.as_str(), from);
            }
            _ => show_secret(lines, name, secret, &from),
        }
    }
    lines.close();
}

/// A command as it could stand in an inventory.
pub(super) fn shown_words(shown: &[String], command: &[String]) -> Vec<Value> {
    shown
        .iter()
        .zip(command)
        // What is not as it was written, but as it is run, has to be read as that again.
        .map(|(shown, run)| {
            if shown == run {
                run.replace('$', "$$").into()
            } else {
                shown.as_str().into()
            }
        })
        .collect()
}

fn kinds(said: Said<'_>) -> impl Iterator<Item = (&Raw, LayerKind)> {
    let own = said.own.map(|raw| (raw, LayerKind::Service));
    let of_profile = said.of_profile.map(|raw| (raw, LayerKind::Profile));
    own.into_iter().chain(of_profile)
}

fn from<T>(said: Said<'_>, known: Option<&Known>, get: impl Fn(&Raw) -> Option<&At<T>>) -> String {
    kinds(said)
        .find_map(|(raw, kind)| Some(origin(get(raw)?, kind, known)))
        .unwrap_or_default()
}
