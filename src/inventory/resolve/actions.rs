//! The actions of a service: the profile's with the service's own laid over them.

use std::sync::Arc;

use crate::profile::Signal;
use crate::profile::raw::{self, Action};
use crate::yaml::{Problem, Problems};

use super::super::service::{ActionSpec, Means, ServiceActions};
use super::layers::action_layers;
use super::{Parts, assemble, command, defaults};

/// What may be done to the service.
pub(super) fn actions(parts: &Parts<'_>, problems: &mut Problems) -> ServiceActions {
    let of_profile = parts.profile.map(|profile| &profile.actions);
    let own = &parts.raw.actions;
    let mut resolve = |get: fn(&raw::Actions) -> Option<&Action>| {
        action(parts, of_profile.and_then(get), get(own), problems)
    };
    ServiceActions {
        shutdown: resolve(|actions| actions.shutdown.as_ref()),
        schedule: resolve(|actions| actions.schedule.as_ref()),
        reload: resolve(|actions| actions.reload.as_ref()),
        restart: resolve(|actions| actions.restart.as_ref()),
    }
}

fn action(
    parts: &Parts<'_>,
    of_profile: Option<&Action>,
    own: Option<&Action>,
    problems: &mut Problems,
) -> Option<ActionSpec> {
    if own.is_some_and(|own| own.off) {
        return None;
    }
    let of_profile = of_profile.filter(|action| !action.off);
    let name = &own.or(of_profile)?.name;
    // Where the service does it in another way, only the profile's time-out still means something.
    let replaced = own.is_some_and(|own| {
        own.means.is_some()
            && (own.http().is_none() || of_profile.is_some_and(|action| action.http().is_none()))
    });
    let under = of_profile.filter(|_| !replaced);
    let waits = [own, under]
        .into_iter()
        .flatten()
        .find_map(|action| action.waits.as_ref());
    if let Some(waits) = waits.filter(|waits| waits.value && name.value == "schedule") {
        problems.push(
            Problem::at(&waits.place, "`schedule` asks and returns")
                .label("a reply that waits belongs to `shutdown`")
                .hint("take it out, or name the action `shutdown`"),
        );
    }
    let means = [own, under]
        .into_iter()
        .flatten()
        .find_map(|action| action.means.as_ref());
    // What its keys mean depends on how the profile does it, so only here can it be told.
    if let Some(own) = own.filter(|own| own.means.is_none()) {
        own.check_keys(means.map_or("signal", raw::Means::name), problems);
    }
    let means = match means {
        Some(raw::Means::Http(_)) => {
            let layers = action_layers(parts.defaults, parts.profile, under, parts.raw, own);
            let what = format!("the action `{}`", name.value);
            Means::Http(Box::new(assemble::request(
                parts, &layers, &what, "POST", problems,
            )?))
        }
        Some(raw::Means::Signal(signal)) => Means::Signal(signal.value),
        Some(raw::Means::Exec(written)) => {
            let is_own = own.is_some_and(|own| own.exec().is_some());
            let said = [own, under].into_iter().flatten();
            let cwd = said.clone().find_map(|action| action.cwd.as_ref());
            let cwd = command::cwd(parts, written, is_own, cwd);
            let env = said.flat_map(|action| &action.env);
            Means::Exec(command::exec(written, env, cwd))
        }
        // No signal means either to every process.
        None if matches!(name.value.as_str(), "reload" | "restart") => {
            let example = match name.value.as_str() {
                "reload" => "{signal: HUP}",
                _ => "{exec: [systemctl, restart, api]}",
            };
            problems.push(
                Problem::at(
                    &name.place,
                    format!("the action `{}` does not say how", name.value),
                )
                .label("expected `http`, `signal` or `exec`")
                .hint(format!("for example `{example}`")),
            );
            return None;
        }
        // It says how long, not how: as every process is asked to stop.
        None => Means::Signal(Signal::Term),
    };
    Some(ActionSpec {
        means,
        waits: waits.is_some_and(|waits| waits.value),
        timeout: [own, of_profile]
            .into_iter()
            .flatten()
            .find_map(|action| action.timeout.as_ref())
            .map_or(defaults::ACTION_TIMEOUT, |timeout| timeout.value),
        reply: [own, under]
            .into_iter()
            .flatten()
            .find_map(|action| action.reply.as_ref())
            .map(|reply| Arc::clone(&reply.value)),
    })
}
