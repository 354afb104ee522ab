//! The probes of a service: the profile's with the service's own laid over them; resolved and shown.

use std::sync::Arc;

use crate::health::Role;
use crate::profile::annotated::AnnotatedYaml;
use crate::profile::kind::{self, ProbeKind};
use crate::profile::raw::expect::RawExpect;
use crate::profile::raw::options::{Probe, RawProbeSettings};
use crate::profile::raw::probe::RawProbe;
use crate::profile::setting::{Spanned, select};
use crate::profile::{Decode, Profile};
use crate::text::nearest;
use crate::yaml::{Problem, Problems};

use super::levels::ServiceLevels;

/// Resolves all probes: `startup` first, then `live`, `ready`, `status`, then the user's in the order of the file.
pub(super) fn resolve(service: &ServiceLevels<'_>, problems: &mut Problems) -> Vec<Probe> {
    let profile = service.profile;
    let own = &service.raw.probes;
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
                if !service.profile_missing {
                    problems.push(nothing_to_switch_off(probe, profile));
                }
            }
            (false, Some(_)) => {}
            (false, None) => names.push(name),
        }
    }
    // A profile's probe that says how to read an answer, but not where to ask, waits for a service that does.
    names.retain(|name| {
        let probe = service.probe(name);
        probe.own.is_some() || !probe.probes().any(RawProbe::waits)
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
    let mut broken = service.raw.broken_probes || service.profile_missing;
    for name in &names {
        let shared = profile
            .filter(|_| decoding == Some(*name))
            .and_then(|profile| profile.decode.as_ref());
        match probe(service, name, shared, problems) {
            Some(probe) => probes.push(probe),
            None => broken = true,
        }
    }
    if probes.is_empty() && !broken {
        problems.push(none_left(service));
    }
    probes
}

/// Returns the probe that the profile's `decode` belongs to: `status`, else `ready`, else `live`, of the profile; where
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
    service: &ServiceLevels<'_>,
    name: &str,
    shared_decode: Option<&Spanned<Arc<Decode>>>,
    problems: &mut Problems,
) -> Option<Probe> {
    let levels = service.probe(name);
    if levels.probes().any(|probe| probe.broken) {
        return None;
    }
    let kinds = select(&levels.written, |probe| probe.kind.as_ref());
    let Some((_, kind)) = kinds.last() else {
        if let Some(own) = levels.own.filter(|_| !service.profile_missing) {
            problems.push(missing_question(own, service.profile));
        }
        return None;
    };
    // What the keys mean depends on how the profile asks, so only here they can be checked.
    if let Some(own) = levels.own.filter(|own| own.kind.is_none()) {
        kind::check_keys(kind.name(), &own.kind_keys, problems);
    }
    let resolved = ProbeKind::resolve(&kinds, &levels.context, problems);
    let settings = select(&levels.options, |options| Some(&options.probe));
    let mut probe = RawProbeSettings::resolve(&settings);
    if !kind::accepts_key(kind.name(), "max_body") {
        probe.max_body = Probe::default().max_body;
    }
    if kind::accepts_key(kind.name(), "decode") {
        let expects = select(&levels.options, |options| Some(&options.expect));
        let own = levels.probes().find_map(|probe| probe.decode.as_ref());
        let decode = own
            .or(shared_decode)
            .map(|decode| Arc::clone(&decode.value));
        probe.expect = RawExpect::resolve(&expects);
        let bodiless = kind::without_body(&kinds);
        let (expect, read, max_body) = (&probe.expect, decode.as_deref(), probe.max_body);
        RawExpect::check(&expects, expect, read, max_body, bodiless, problems);
        probe.decode = decode;
    }
    let required = levels.probes().find_map(|probe| probe.required.as_ref());
    Some(Probe {
        name: name.to_owned(),
        role: Role::of(name),
        kind: resolved?,
        required: required.is_some_and(|required| required.value),
        ..probe
    })
}

/// Shows a probe with the origin of each value.
pub(super) fn show(service: &ServiceLevels<'_>, probe: &Probe, out: &mut AnnotatedYaml) {
    let levels = service.probe(&probe.name);
    let kinds = select(&levels.written, |probe| probe.kind.as_ref());
    let settings = select(&levels.options, |options| Some(&options.probe));
    let expects = select(&levels.options, |options| Some(&options.expect));
    let kind = probe.kind.name();
    out.open(&probe.name, None);
    probe.kind.show(&kinds, &levels.context, out);
    for setting in RawProbeSettings::DECLARED {
        if kind::accepts_key(kind, setting.name) {
            (setting.show)(&settings, out);
        }
    }
    probe.kind.show_request(&kinds, &levels.context, out);
    RawExpect::show(&expects, &probe.expect, out);
    let of_profile = service
        .profile
        .map(|profile| format!("profile {}", profile.name));
    if let Some(required) = levels.own.and_then(|own| own.required.as_ref()) {
        out.leaf("required", required.value, required.place.short());
    } else if probe.required {
        out.leaf("required", true, of_profile.clone().unwrap_or_default());
    }
    let own = levels
        .own
        .and_then(|own| own.decode_written.as_ref().zip(own.decode.as_ref()));
    if let Some((written, at)) = own {
        let value = serde_yaml::to_value(written).unwrap_or_default();
        out.leaf("decode", value, at.place.short());
    } else if let (Some(_), Some(profile)) = (&probe.decode, of_profile) {
        out.remark(&format!("its payload is read as the {profile} says"));
    }
    out.close();
}

fn missing_question(own: &RawProbe, profile: Option<&Profile>) -> Problem {
    let problem = kind::asks_nothing(&own.name);
    let Some(profile) = profile else {
        return problem;
    };
    let near = nearest(&own.name.value, profile.probes.keys().map(String::as_str));
    problem.maybe_hint(near.map(|near| format!("did you mean the profile's `{near}`?")))
}

fn nothing_to_switch_off(probe: &RawProbe, profile: Option<&Profile>) -> Problem {
    let names: Vec<&str> = profile
        .iter()
        .flat_map(|profile| profile.probes.keys().map(String::as_str))
        .collect();
    let hint = match nearest(&probe.name.value, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if names.is_empty() => "take it out".to_owned(),
        None => format!("the profile has: {}", names.join(", ")),
    };
    let message = format!("there is no probe `{}` to switch off", probe.name.value);
    Problem::at(&probe.name.place, message)
        .label("`off` takes away a probe of the profile")
        .hint(hint)
}

fn none_left(service: &ServiceLevels<'_>) -> Problem {
    let name = &service.raw.name;
    let hint = match (service.profile, &service.raw.settings.url) {
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
