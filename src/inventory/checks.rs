//! Checks across keys and services: `depends_on` names services and has no cycle, an automatic restart has a cause and a
//! means.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::health::{HotFiles, RestartCause, Role};
use crate::profile::setting::Spanned;
use crate::text::nearest;
use crate::yaml::{Problem, Problems};

use super::Probe;
use super::raw::RawService;
use super::service::Service;

fn dependencies(service: &RawService) -> &[Spanned<String>] {
    let names = service.settings.depends_on.as_ref();
    names.map_or(&[], |names| &names.value)
}

/// Reports unknown names and cycles.
pub(super) fn check_dependencies(services: &[RawService], problems: &mut Problems) {
    let index: HashMap<&str, usize> = services
        .iter()
        .enumerate()
        .map(|(index, service)| (service.name.value.as_str(), index))
        .collect();
    // The search for the nearest of many names takes time, and nobody reads that many hints.
    let mut hints = 100;
    for service in services {
        for name in dependencies(service) {
            if index.contains_key(name.value.as_str()) {
                continue;
            }
            hints -= i32::from(hints > 0);
            let near = nearest(&name.value, index.keys().copied().filter(|_| hints > 0));
            let hint = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => "`depends_on` names services of this inventory; what a service reports on itself needs no entry".to_owned(),
            };
            Problem::at(&name.place, format!("there is no service `{}`", name.value))
                .label("expected the name of a service")
                .hint(hint)
                .report(problems);
        }
    }
    cycles(services, &index, problems);
}

/// Reports each cycle once, where it closes. A path may be as long as the inventory, so it is kept in a list.
fn cycles(services: &[RawService], index: &HashMap<&str, usize>, problems: &mut Problems) {
    // The services visited: whether all below each was followed; until then it is on the path from the root.
    let mut visited: HashMap<usize, bool> = HashMap::with_capacity(services.len());
    for root in 0..services.len() {
        let mut path: Vec<(usize, usize)> = vec![(root, 0)];
        if visited.contains_key(&root) {
            continue;
        }
        visited.insert(root, false);
        while let Some((at, next)) = path.last_mut() {
            let edge: Option<&Spanned<String>> = services
                .get(*at)
                .and_then(|service| dependencies(service).get(*next));
            *next += 1;
            let Some(edge) = edge else {
                visited.insert(*at, true);
                path.pop();
                continue;
            };
            let Some(&to) = index.get(edge.value.as_str()) else {
                continue;
            };
            match visited.get(&to) {
                None => {
                    visited.insert(to, false);
                    path.push((to, 0));
                }
                Some(false) => problems.push(cycle(services, &path, to, edge)),
                Some(true) => {}
            }
        }
    }
}

fn cycle(
    services: &[RawService],
    path: &[(usize, usize)],
    to: usize,
    edge: &Spanned<String>,
) -> Problem {
    let start = path.iter().position(|(at, _)| *at == to).unwrap_or(0);
    let mut names: Vec<String> = path
        .iter()
        .skip(start)
        .filter_map(|(at, _)| services.get(*at))
        .map(|service| format!("`{}`", service.name.value))
        .collect();
    names.push(format!("`{}`", edge.value));
    let message = match names.as_slice() {
        [one, _] => format!("{one} depends on itself"),
        _ => format!("dependency cycle: {}", names.join(" -> ")),
    };
    Problem::at(&edge.place, message)
        .label("closes the cycle")
        .hint("take one of these out: none of them could be started or stopped first")
}

/// Reports dependencies that are required of a service none of whose probes can tell of dependencies.
pub(super) fn check_required(service: &Service, raw: &RawService, problems: &mut Problems) {
    let required = raw.settings.required.as_ref();
    let first = required.and_then(|required| required.value.first());
    let cannot = !service.probes.iter().any(Probe::reports_dependencies);
    if let Some(first) = first.filter(|_| cannot && !service.probes.is_empty()) {
        let message = "no probe of the service tells of its dependencies";
        Problem::at(&first.place, message)
            .label("nothing can report it")
            .hint("a `profile` with `dependencies`, or a `decode: {dependencies: {at: …}}` in a probe, can")
            .report(problems);
    }
}

/// Warns of services that are started at the address of another one: only one of them can run.
pub(super) fn check_addresses(
    services: &IndexMap<String, Arc<Service>>,
    raw: &[RawService],
    problems: &mut Problems,
) {
    let mut known: HashMap<(String, Option<u16>), &str> = HashMap::new();
    for service in raw {
        let name = service.name.value.as_str();
        // A service that only sends heartbeats to another one is asked for at that one's address.
        let tells_of_others =
            |probe: &Probe| probe.decode.as_ref().is_some_and(|it| it.is_of_others());
        let is_started = services.get(name).is_some_and(|one| {
            let mut own = one.probes.iter().filter(|it| it.role != Role::Named);
            one.start.is_some() && own.any(|probe| !tells_of_others(probe))
        });
        let Some(url) = service.settings.url.as_ref().filter(|_| is_started) else {
            continue;
        };
        let target = &url.value;
        let address = match (&target.socket, target.url.host_str()) {
            (Some(socket), _) => (socket.display().to_string(), None),
            (None, Some(host)) => {
                let host = host.replace("localhost", "127.0.0.1");
                (host, target.url.port_or_known_default())
            }
            (None, None) => continue,
        };
        if let Some(other) = known.get(&address) {
            Problem::at(&url.place, format!("`{name}` has the address of `{other}`"))
                .label("the same address")
                .hint("only one of them can run there, and none is stopped in place of the other")
                .warning()
                .report(problems);
        } else {
            known.insert(address, name);
        }
    }
}

/// Warns of services with one pid file: nothing proves whose the process is that it names.
pub(super) fn check_pid_files(
    services: &IndexMap<String, Arc<Service>>,
    raw: &[RawService],
    problems: &mut Problems,
) {
    let mut known: HashMap<&Path, &str> = HashMap::new();
    for service in raw {
        let name = service.name.value.as_str();
        let file = services.get(name).and_then(|it| it.pid_file.as_deref());
        let (Some(file), Some(written)) = (file, &service.settings.pid_file) else {
            continue;
        };
        if let Some(other) = known.get(file) {
            Problem::at(
                &written.place,
                format!("`{name}` has the pid file of `{other}`"),
            )
            .label("the same file")
            .hint("it proves nothing of either: neither is stopped by a signal")
            .warning()
            .report(problems);
        } else {
            known.insert(file, name);
        }
    }
}

/// Warns of `hot_reload` where the service declares none of the files that it names.
pub(super) fn check_hot_reload(service: &Service, raw: &RawService, problems: &mut Problems) {
    let Some(hot) = &raw.settings.hot_reload else {
        return;
    };
    let declared = |files: &HotFiles| match files {
        HotFiles::Sources => service.sources.is_some(),
        HotFiles::ConfigFiles => service.config_files.is_some(),
    };
    if !hot.value.is_empty() && !hot.value.iter().any(|files| declared(&files.value)) {
        Problem::at(&hot.place, "names files that the service does not declare")
            .label("changes nothing")
            .hint("add `sources: […]` or `config_files: […]`")
            .warning()
            .report(problems);
    }
}

/// Reports an automatic restart without a cause or a means.
pub(super) fn check_restart_on(service: &Service, raw: &RawService, problems: &mut Problems) {
    let Some(causes) = &raw.settings.restart_on else {
        return;
    };
    let Some(first) = causes.value.first() else {
        return;
    };
    let broken_start = raw.settings.start.is_none() && raw.has_start;
    let can_restart = service.start.is_some()
        || service.supervised
        || service.actions.restart.is_some()
        || broken_start;
    if !can_restart {
        Problem::at(&first.place, "nothing is known to start it again")
            .label("cannot be restarted automatically")
            .hint("add `start: {command: […]}`, `supervised: true` or `actions: {restart: …}`")
            .report(problems);
    }
    for cause in &causes.value {
        let needs_code = cause.value == RestartCause::Stale
            && service.sources.is_none()
            && service.config_files.is_none()
            && service.start.is_none()
            && !broken_start;
        if needs_code && can_restart {
            Problem::at(&cause.place, "nothing tells whether it is stale")
                .label("needs `sources` or `start`")
                .hint("add what its code is made of: `sources: [\"src/**/*.py\"]`")
                .report(problems);
        }
        let has_life = service.probes.iter().any(|probe| probe.role == Role::Live);
        if cause.value == RestartCause::Unhealthy && !has_life && !service.probes.is_empty() {
            Problem::at(&cause.place, "no probe tells whether it lives")
                .label("means the probe `live`")
                .hint("readiness is never a reason to restart; add `probes: {live: …}`")
                .report(problems);
        }
    }
}
