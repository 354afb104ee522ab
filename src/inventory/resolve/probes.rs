//! The probes of a service: the profile's with the service's own laid over them.

use std::sync::Arc;

use crate::health::Role;
use crate::profile::raw::{self, Way, asks_nothing};
use crate::profile::{Decode, Expect, Profile};
use crate::text::nearest;
use crate::yaml::{Problem, Problems};

use super::super::service::Probe;
use super::ask::{self, Said};
use super::layers::{self, Layer, probe_layers};
use super::{Parts, defaults, expect};

/// All probes, `startup` first, then `live`, `ready`, `status`, then the user's in the order of the file.
pub(super) fn probes(parts: &Parts<'_>, problems: &mut Problems) -> Vec<Probe> {
    let profile = parts.profile;
    let own = &parts.raw.probes;
    let mut names: Vec<&str> = profile
        .iter()
        .flat_map(|profile| profile.probes.keys().map(String::as_str))
        .collect();
    for probe in own {
        let name = probe.name.value.as_str();
        let known = names.iter().position(|known| *known == name);
        match (probe.off, known) {
            (true, Some(index)) => {
                names.remove(index);
            }
            (true, None) => {
                if !parts.profile_missing {
                    problems.push(nothing_to_switch_off(probe, profile));
                }
            }
            (false, Some(_)) => {}
            (false, None) => names.push(name),
        }
    }
    // What a profile can read, but not where to ask for it, waits for a service that says so.
    names.retain(|name| {
        let said = Said::of(name, parts);
        said.own.is_some() || !said.each().any(raw::Probe::waits)
    });
    names.sort_by_key(|name| match Role::of(name) {
        Role::Startup => 0,
        Role::Live => 1,
        Role::Ready => 2,
        Role::Status => 3,
        Role::Named => 4,
    });
    let decoding = decoding(profile, &names);
    let mut probes = Vec::with_capacity(names.len());
    let mut broken = parts.raw.broken_probes || parts.profile_missing;
    for name in &names {
        let shared = profile
            .filter(|_| decoding == Some(*name))
            .and_then(|profile| profile.decode.as_ref());
        match probe(parts, name, shared, problems) {
            Some(probe) => probes.push(probe),
            None => broken = true,
        }
    }
    if probes.is_empty() && !broken {
        problems.push(none_left(parts));
    }
    probes
}

/// The probe that the profile's `decode` belongs to: `status`, else `ready`, else `live`, of the profile; where
/// the profile has none of them, of the service.
fn decoding<'a>(profile: Option<&'a Profile>, names: &[&'a str]) -> Option<&'a str> {
    let order = ["status", "ready", "live"];
    let of_profile =
        |name: &&str| profile.is_some_and(|profile| profile.probes.contains_key(*name));
    order
        .into_iter()
        .find(of_profile)
        .or_else(|| order.into_iter().find(|name| names.contains(name)))
}

fn probe(
    parts: &Parts<'_>,
    name: &str,
    shared_decode: Option<&raw::At<Arc<Decode>>>,
    problems: &mut Problems,
) -> Option<Probe> {
    let said = Said::of(name, parts);
    if said.each().any(|spec| spec.broken) {
        return None;
    }
    let Some(way) = said.way() else {
        if let Some(own) = said.own.filter(|_| !parts.profile_missing) {
            problems.push(missing_question(own, parts.profile));
        }
        return None;
    };
    let layers = probe_layers(parts.defaults, parts.profile, parts.raw, name);
    let max_body = match way {
        // Nothing is read.
        Way::Tcp => defaults::MAX_BODY,
        Way::Http | Way::Exec => value(
            &layers,
            |options| options.max_body.as_ref(),
            defaults::MAX_BODY,
        ),
    };
    let what = format!("`{name}`");
    let kind = ask::kind(parts, said, way, &layers, &what, problems);
    let (expect, decode) = if way == Way::Http {
        let decode = said
            .each()
            .find_map(|spec| spec.decode.as_ref())
            .or(shared_decode)
            .map(|decode| Arc::clone(&decode.value));
        let expect = expect::expect(&layers);
        expect::check(&expect, decode.as_deref(), max_body, &layers, problems);
        (expect, decode)
    } else {
        (Expect::default(), None)
    };
    Some(Probe {
        name: name.to_owned(),
        role: Role::of(name),
        kind: kind?,
        interval: value(
            &layers,
            |options| options.interval.as_ref(),
            defaults::INTERVAL,
        ),
        timeout: value(
            &layers,
            |options| options.timeout.as_ref(),
            defaults::TIMEOUT,
        ),
        failure_threshold: value(
            &layers,
            |options| options.failure_threshold.as_ref(),
            defaults::FAILURE_THRESHOLD,
        ),
        success_threshold: value(
            &layers,
            |options| options.success_threshold.as_ref(),
            defaults::SUCCESS_THRESHOLD,
        ),
        required: said
            .each()
            .find_map(|spec| spec.required.as_ref())
            .is_some_and(|required| required.value),
        max_body,
        expect,
        decode,
    })
}

fn value<'a, T: Copy + 'a>(
    layers: &[Layer<'a>],
    get: impl Fn(&'a raw::Options) -> Option<&'a raw::At<T>>,
    default: T,
) -> T {
    layers::option(layers, get).map_or(default, |(value, _)| value.value)
}

fn missing_question(own: &raw::Probe, profile: Option<&Profile>) -> Problem {
    let problem = asks_nothing(&own.name);
    let Some(profile) = profile else {
        return problem;
    };
    let near = nearest(&own.name.value, profile.probes.keys().map(String::as_str));
    problem.maybe_hint(near.map(|near| format!("did you mean the profile's `{near}`?")))
}

fn nothing_to_switch_off(probe: &raw::Probe, profile: Option<&Profile>) -> Problem {
    let names: Vec<&str> = profile
        .iter()
        .flat_map(|profile| profile.probes.keys().map(String::as_str))
        .collect();
    let hint = match nearest(&probe.name.value, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => "take it out".to_owned(),
        None => format!("the profile has: {}", names.join(", ")),
    };
    Problem::at(
        &probe.name.place,
        format!("there is no probe `{}` to switch off", probe.name.value),
    )
    .label("`off` takes away a probe of the profile")
    .hint(hint)
}

fn none_left(parts: &Parts<'_>) -> Problem {
    let name = &parts.raw.name;
    let hint = match (parts.profile, &parts.raw.url) {
        (Some(profile), _) if profile.probes.is_empty() => {
            format!("the profile `{}` brings none: add `probes: {{live: {{http: /health}}}}`", profile.name)
        }
        (Some(_), _) => "leave one of the profile's probes on, or add `probes:`".to_owned(),
        (None, Some(_)) => {
            "add `profile: http` to ask its `url`, another profile, or `probes: {live: {http: /health}}`".to_owned()
        }
        (None, None) => {
            "add `url: http://HOST:PORT` with a `profile:`, or `probes:`".to_owned()
        }
    };
    Problem::at(&name.place, format!("`{}` has no probe", name.value))
        .label("nothing would be asked")
        .hint(hint)
}
