//! One service resolved, as YAML that could stand in an inventory, with where each value comes from.
//!
//! Secrets are shown as where they come from, or as `***`.

mod command;
mod lines;
mod request;
mod running;

use serde_yaml::Value;

use crate::profile::raw::At;
use crate::text;

use super::library::Known;
use super::resolve::{LayerKind, Parts, Said, action_layers, option, probe_layers};
use super::service::{ActionSpec, Means, Probe, ProbeKind, Service};
use super::{Loaded, raw};
use lines::Lines;

/// Where a value comes from.
fn origin<T>(at: &At<T>, kind: LayerKind, known: Option<&Known>) -> String {
    match (kind, known) {
        (LayerKind::Defaults, _) => format!("defaults, {}", at.place.short()),
        (LayerKind::Profile, Some(known)) if known.builtin => {
            format!("profile {}", known.profile.name)
        }
        (LayerKind::Profile, Some(known)) => {
            format!("profile {}, {}", known.profile.name, at.place.short())
        }
        (LayerKind::Profile, None) | (LayerKind::Service, _) => at.place.short(),
    }
}

/// What nobody said.
const BUILT_IN: &str = "built in";

/// The service of this name.
pub fn show(loaded: &Loaded, name: &str) -> Option<String> {
    let service = loaded.inventory.services.get(name)?;
    let raw = loaded
        .raw
        .services
        .iter()
        .find(|raw| raw.name.value == name)?;
    let known = loaded.profiles.get(name);
    let defaults = loaded.raw.defaults_of(raw);
    let parts = Parts {
        defaults: &defaults,
        profile: known.map(|known| &*known.profile),
        profile_missing: false,
        raw,
    };
    let mut lines = Lines::default();
    lines.open("services", None);
    lines.open(name, Some(raw.name.place.short()));
    head(&mut lines, service, &parts, known);
    lines.open("probes", None);
    for probe in &service.probes {
        show_probe(&mut lines, probe, &parts, known);
    }
    lines.close();
    show_actions(&mut lines, service, &parts, known);
    running::show(&mut lines, service, raw);
    tail(&mut lines, service, raw);
    Some(lines.finish())
}

fn head(lines: &mut Lines, service: &Service, parts: &Parts<'_>, known: Option<&Known>) {
    let raw = parts.raw;
    for (key, text) in [("description", &raw.description), ("group", &raw.group)] {
        if let Some(text) = text {
            lines.leaf(key, text.value.as_str(), text.place.short());
        }
    }
    if let Some((first, _)) = raw.labels.first() {
        lines.open("labels", Some(first.place.short()));
        for (key, value) in &raw.labels {
            lines.leaf(&key.value, value.as_str(), key.place.short());
        }
        lines.close();
    }
    if let Some(profile) = &raw.profile {
        lines.leaf("profile", profile.value.as_str(), profile.place.short());
    }
    if let (Some(url), Some(at)) = (&service.url, &raw.url) {
        lines.leaf("url", url.to_string(), at.place.short());
    }
    let or_built_in = |place: Option<String>| place.unwrap_or_else(|| BUILT_IN.to_owned());
    lines.leaf(
        "degraded",
        service.degraded.as_str(),
        or_built_in(raw.degraded.as_ref().map(|at| at.place.short())),
    );
    if let Some(first) = raw.required.first() {
        let names: Vec<Value> = service
            .required
            .iter()
            .map(|name| name.as_str().into())
            .collect();
        lines.leaf("required", names, first.place.short());
    }
    if let Some(age) = &raw.max_success_age {
        lines.leaf("max_success_age", duration(age.value), age.place.short());
    }
    if let Some(first) = raw.depends_on.first() {
        let names: Vec<Value> = service
            .depends_on
            .iter()
            .map(|name| name.as_str().into())
            .collect();
        lines.leaf("depends_on", names, first.place.short());
    }
    let start_period = match (&raw.options.start_period, parts.profile) {
        (Some(at), _) => origin(at, LayerKind::Service, known),
        (None, Some(profile)) if profile.options.start_period.is_some() => profile
            .options
            .start_period
            .as_ref()
            .map_or_else(String::new, |at| origin(at, LayerKind::Profile, known)),
        _ => parts.default_start_period().map_or_else(
            || BUILT_IN.to_owned(),
            |at| origin(at, LayerKind::Defaults, known),
        ),
    };
    lines.leaf("start_period", duration(service.start_period), start_period);
}

fn tail(lines: &mut Lines, service: &Service, raw: &raw::Service) {
    if let (Some(path), Some(at)) = (&service.pid_file, &raw.pid_file) {
        lines.leaf("pid_file", path.display().to_string(), at.place.short());
    }
    for (key, value, at) in [
        ("replicas", service.replicas, &raw.replicas),
        ("protected", service.protected, &raw.protected),
    ] {
        let from = at
            .as_ref()
            .map_or_else(|| BUILT_IN.to_owned(), |at| at.place.short());
        lines.leaf(key, value, from);
    }
}

fn show_probe(lines: &mut Lines, probe: &Probe, parts: &Parts<'_>, known: Option<&Known>) {
    let layers = probe_layers(parts.defaults, parts.profile, parts.raw, &probe.name);
    lines.open(&probe.name, None);
    let said = Said::of(&probe.name, parts);
    match &probe.kind {
        ProbeKind::Http(http) => request::show_http(lines, http, "GET", &layers, known),
        ProbeKind::Tcp { .. } => command::show_tcp(lines, probe, said, known),
        ProbeKind::Exec(exec) => command::show_exec(lines, exec, said, known),
    }
    macro_rules! option_line {
        ($key:literal, $field:ident, $value:expr) => {
            let from = option(&layers, |options| options.$field.as_ref())
                .map_or_else(|| BUILT_IN.to_owned(), |(at, kind)| origin(at, kind, known));
            lines.leaf($key, $value, from);
        };
    }
    option_line!("interval", interval, duration(probe.interval));
    option_line!("timeout", timeout, duration(probe.timeout));
    option_line!(
        "failure_threshold",
        failure_threshold,
        probe.failure_threshold
    );
    option_line!(
        "success_threshold",
        success_threshold,
        probe.success_threshold
    );
    if !matches!(probe.kind, ProbeKind::Tcp { .. }) {
        option_line!("max_body", max_body, text::format_size(probe.max_body));
    }
    if let ProbeKind::Http(http) = &probe.kind {
        request::show_options(lines, http, &layers, known);
        show_expect(lines, probe, &layers, known);
    }
    let own = said.own;
    if let Some(required) = own.and_then(|own| own.required.as_ref()) {
        lines.leaf("required", required.value, required.place.short());
    } else if probe.required {
        lines.leaf(
            "required",
            true,
            known.map_or_else(String::new, |known| {
                format!("profile {}", known.profile.name)
            }),
        );
    }
    if let Some((written, at)) =
        own.and_then(|own| own.decode_written.as_ref().zip(own.decode.as_ref()))
    {
        let value = serde_yaml::to_value(written).unwrap_or_default();
        lines.leaf("decode", value, at.place.short());
    } else if probe.decode.is_some()
        && let Some(known) = known
    {
        lines.remark(&format!(
            "its payload is read as the profile {} says",
            known.profile.name
        ));
    }
    lines.close();
}

fn show_expect(
    lines: &mut Lines,
    probe: &Probe,
    layers: &[super::resolve::Layer<'_>],
    known: Option<&Known>,
) {
    let expect = &probe.expect;
    let nothing = expect.status.is_empty()
        && expect.body_contains.is_empty()
        && expect.json.is_empty()
        && expect.headers.is_empty();
    if nothing {
        return;
    }
    lines.open("expect", None);
    if let Some((at, kind)) = option(layers, |options| options.expect.status.as_ref()) {
        let ranges: Vec<Value> = expect
            .status
            .iter()
            .map(|range| {
                if range.first == range.last {
                    range.first.into()
                } else {
                    format!("{}-{}", range.first, range.last).into()
                }
            })
            .collect();
        lines.leaf("status", ranges, origin(at, kind, known));
    }
    if let Some((at, kind)) = option(layers, |options| options.expect.body.as_ref()) {
        let texts: Vec<Value> = expect
            .body_contains
            .iter()
            .map(|text| text.as_str().into())
            .collect();
        lines.open("body", None);
        lines.leaf("contains", texts, origin(at, kind, known));
        lines.close();
    }
    let places = layers
        .iter()
        .rev()
        .filter_map(|layer| Some((layer.options?, layer.kind)));
    if !expect.json.is_empty() {
        lines.open("json", None);
        for (pointer, value) in &expect.json {
            let from = places.clone().find_map(|(options, kind)| {
                let (at, _) = options
                    .expect
                    .json
                    .iter()
                    .find(|(at, _)| at.value == *pointer)?;
                Some(origin(at, kind, known))
            });
            let value = serde_yaml::to_value(value).unwrap_or_default();
            lines.leaf(pointer, value, from.unwrap_or_default());
        }
        lines.close();
    }
    if !expect.headers.is_empty() {
        lines.open("headers", None);
        for (name, value) in &expect.headers {
            let from = places.clone().find_map(|(options, kind)| {
                let (at, _) = options
                    .expect
                    .headers
                    .iter()
                    .find(|(at, _)| at.value == *name)?;
                Some(origin(at, kind, known))
            });
            lines.leaf(name, value.as_str(), from.unwrap_or_default());
        }
        lines.close();
    }
    lines.close();
}

fn show_actions(lines: &mut Lines, service: &Service, parts: &Parts<'_>, known: Option<&Known>) {
    let of_profile = parts.profile.map(|profile| &profile.actions);
    let own = &parts.raw.actions;
    let actions = [
        (
            "shutdown",
            &service.actions.shutdown,
            of_profile.and_then(|actions| actions.shutdown.as_ref()),
            own.shutdown.as_ref(),
        ),
        (
            "schedule",
            &service.actions.schedule,
            of_profile.and_then(|actions| actions.schedule.as_ref()),
            own.schedule.as_ref(),
        ),
        (
            "reload",
            &service.actions.reload,
            of_profile.and_then(|actions| actions.reload.as_ref()),
            own.reload.as_ref(),
        ),
        (
            "restart",
            &service.actions.restart,
            of_profile.and_then(|actions| actions.restart.as_ref()),
            own.restart.as_ref(),
        ),
    ];
    if actions.iter().all(|(_, action, ..)| action.is_none()) {
        return;
    }
    lines.open("actions", None);
    for (name, action, of_profile, own) in actions {
        let Some(action) = action else { continue };
        lines.open(name, None);
        show_action(lines, name, action, [own, of_profile], parts, known);
        lines.close();
    }
    lines.close();
}

fn show_action(
    lines: &mut Lines,
    name: &str,
    action: &ActionSpec,
    said: [Option<&crate::profile::raw::Action>; 2],
    parts: &Parts<'_>,
    known: Option<&Known>,
) {
    let [own, of_profile] = said;
    let kinds = [(own, LayerKind::Service), (of_profile, LayerKind::Profile)];
    let from = |get: &dyn Fn(&crate::profile::raw::Action) -> Option<String>| {
        kinds
            .iter()
            .find_map(|(action, _)| get((*action)?))
            .unwrap_or_else(|| BUILT_IN.to_owned())
    };
    let kind_of = |action: &crate::profile::raw::Action| {
        if own.is_some_and(|own| std::ptr::eq(own, action)) {
            LayerKind::Service
        } else {
            LayerKind::Profile
        }
    };
    match &action.means {
        Means::Http(http) => {
            let layers = action_layers(parts.defaults, parts.profile, of_profile, parts.raw, own);
            request::show_http(lines, http, "POST", &layers, known);
            if name != "reload" {
                let waits = from(&|said| Some(origin(said.waits.as_ref()?, kind_of(said), known)));
                lines.leaf("waits", action.waits, waits);
            }
            request::show_options(lines, http, &layers, known);
        }
        Means::Signal(signal) => {
            let place = from(&|said| match said.means.as_ref()? {
                crate::profile::raw::Means::Signal(at) => Some(origin(at, kind_of(said), known)),
                _ => None,
            });
            lines.leaf("signal", signal.as_str(), place);
        }
        Means::Exec(exec) => {
            let place = from(&|said| Some(origin(&said.exec()?.command, kind_of(said), known)));
            let cwd = from(&|said| Some(origin(said.cwd.as_ref()?, kind_of(said), known)));
            command::show_words(lines, exec, place, cwd);
            let said = kinds
                .iter()
                .filter_map(|(said, kind)| Some(((*said)?, *kind)));
            let said = said.map(|(said, kind)| (said.env.as_slice(), kind));
            command::show_env(lines, exec, &said.collect::<Vec<_>>(), known);
        }
    }
    let timeout = from(&|said| Some(origin(said.timeout.as_ref()?, kind_of(said), known)));
    lines.leaf("timeout", duration(action.timeout), timeout);
    if action.reply.is_some()
        && let Some(said) = kinds
            .iter()
            .find_map(|(said, _)| (*said).filter(|said| said.reply.is_some()))
        && let (Some(written), Some(at)) = (&said.reply_written, &said.reply)
    {
        let value = serde_yaml::to_value(written).unwrap_or_default();
        lines.leaf("reply", value, origin(at, kind_of(said), known));
    }
}

fn duration(duration: std::time::Duration) -> String {
    text::format_duration(duration).to_string()
}
