//! The actions of a service: the profile's with the service's own laid over them; resolved and shown.

use std::sync::Arc;
use std::time::Duration;

use serde_yaml::Mapping;

use crate::profile::Signal;
use crate::profile::annotated::AnnotatedYaml;
use crate::profile::kind::http::{self, RawHttp};
use crate::profile::kind::{KindContext, RawKind};
use crate::profile::raw::action::{RawAction, RawMeans};
use crate::profile::raw::command::{self, RawExec};
use crate::profile::setting::{
    Level, Origin, Setting, SettingValue, Spanned, origin, select, strongest,
};
use crate::yaml::{Problem, Problems};

use super::levels::ServiceLevels;
use super::service::{ActionSpec, DEFAULT_TIMEOUT, Means, ServiceActions};

/// An action as the profile and the service write it.
struct ActionLevels<'a> {
    own: Option<&'a RawAction>,
    /// Both, the weaker first.
    all: Vec<(Level<'a>, &'a RawAction)>,
    /// Both, without the profile's where the service does it in another way: then only its time-out counts.
    written: Vec<(Level<'a>, &'a RawAction)>,
    context: KindContext<'a>,
}

impl<'a> ActionLevels<'a> {
    /// Returns `None` for an action that nobody names or that is switched off.
    fn of(service: &ServiceLevels<'a>, name: &str) -> Option<Self> {
        let own = service.raw.actions.get(name);
        if own.is_some_and(|own| own.off) {
            return None;
        }
        // Whoever takes the shutdown away does not mean the other route to the same end.
        let no_shutdown = service.raw.actions.get("shutdown").is_some_and(|it| it.off);
        if name == "schedule" && no_shutdown && own.is_none() {
            return None;
        }
        let of_profile = service.profile.and_then(|it| it.actions.get(name));
        let of_profile = of_profile.filter(|action| !action.off);
        let all = service.own(of_profile, own);
        all.last()?;
        let replaced = own.is_some_and(|own| {
            own.means.is_some() && all.iter().any(|(_, action)| action.http().is_none())
        });
        let of_profile = of_profile.filter(|_| !replaced);
        Some(Self {
            written: service.own(of_profile, own),
            context: service.action(name, of_profile, own),
            own,
            all,
        })
    }

    fn name(&self) -> Option<&'a Spanned<String>> {
        self.all.last().map(|(_, action)| &action.name)
    }

    fn https(&self) -> Vec<(Level<'a>, &'a RawHttp)> {
        select(&self.written, RawAction::http)
    }

    fn execs(&self) -> Vec<(Level<'a>, &'a RawExec)> {
        select(&self.written, RawAction::exec)
    }

    fn resolve(&self, problems: &mut Problems) -> Option<ActionSpec> {
        let name = self.name()?;
        let waits = strongest(&self.written, |action| action.waits.as_ref());
        if let Some(Setting {
            value: true,
            origin: Origin::Written(_, place),
        }) = waits.map(Setting::copied)
            && name.value == "schedule"
        {
            Problem::at(place, "`schedule` asks and returns")
                .label("a reply that waits belongs to `shutdown`")
                .hint("take it out, or name the action `shutdown`")
                .report(problems);
        }
        let mut strongest_first = self.written.iter().rev();
        let means = strongest_first.find_map(|(_, action)| action.means.as_ref());
        // What the keys mean depends on how the profile does it, so only here they can be checked.
        if let Some(own) = self.own.filter(|own| own.means.is_none()) {
            own.check_keys(means.map_or("signal", RawMeans::name), problems);
        }
        let means = match means {
            Some(RawMeans::Http(_)) => {
                Means::Http(RawHttp::resolve(&self.https(), &self.context, problems)?)
            }
            Some(RawMeans::Signal(signal)) => Means::Signal(signal.value),
            Some(RawMeans::Exec(_)) => {
                let settings = &self.context.exec_settings;
                let service = &self.context.service.place;
                Means::Exec(command::resolve(&self.execs(), settings, service)?)
            }
            // No signal means either to every process.
            None if matches!(name.value.as_str(), "reload" | "restart") => {
                return no_means(name).reject(problems);
            }
            // The action says how long, not how: as every process is asked to stop.
            None => Means::Signal(Signal::Term),
        };
        let reply = strongest(&self.written, |action| action.reply.as_ref());
        let then = strongest(&self.written, |action| action.then.as_ref());
        let then = then.and_then(|then| *then.value);
        Some(ActionSpec {
            then: then.filter(|_| matches!(means, Means::Http(_))),
            means,
            waits: waits.is_some_and(|waits| *waits.value),
            timeout: self.timeout().value,
            reply: reply.map(|reply| Arc::clone(reply.value)),
        })
    }

    fn timeout(&self) -> Setting<'a, Duration> {
        let written = strongest(&self.all, |action| action.timeout.as_ref());
        written.map_or(Setting::built_in(DEFAULT_TIMEOUT), Setting::copied)
    }

    fn show(&self, action: &ActionSpec, out: &mut AnnotatedYaml) {
        let name = self.name().map_or("", |name| name.value.as_str());
        out.open(name, None);
        match &action.means {
            Means::Http(sent) => {
                RawHttp::show(sent, &self.https(), &self.context, out);
                if name != "reload" {
                    let origin = origin(&self.written, |action| action.waits.as_ref());
                    out.leaf("waits", action.waits, origin);
                }
                if let Some(then) = action.then {
                    let origin = origin(&self.written, |action| action.then.as_ref());
                    let mut written = Mapping::new();
                    written.insert("signal".into(), then.signal.as_str().into());
                    written.insert("after".into(), then.after.yaml());
                    out.leaf("then", written, origin);
                }
                http::show_request(sent, &self.https(), &self.context, out);
            }
            Means::Signal(signal) => {
                let origin = origin(&self.written, |action| match &action.means {
                    Some(RawMeans::Signal(signal)) => Some(signal),
                    _ => None,
                });
                out.leaf("signal", signal.as_str(), origin);
            }
            Means::Exec(exec) => {
                command::show(exec, &self.execs(), &self.context.exec_settings, out);
            }
        }
        let timeout = self.timeout();
        out.leaf("timeout", timeout.value.yaml(), timeout.origin);
        let mut strongest_first = self.written.iter().rev();
        let reply = strongest_first.find_map(|(level, action)| {
            let written = action.reply_written.as_ref()?;
            let origin = Origin::Written(*level, &action.reply.as_ref()?.place);
            Some((serde_yaml::to_value(written).unwrap_or_default(), origin))
        });
        if let Some((written, origin)) = reply {
            out.leaf("reply", written, origin);
        }
        out.close();
    }
}

fn no_means(name: &Spanned<String>) -> Problem {
    let example = match name.value.as_str() {
        "reload" => "{signal: HUP}",
        _ => "{exec: [systemctl, restart, api]}",
    };
    let message = format!("the action `{}` does not say how", name.value);
    Problem::at(&name.place, message)
        .label("expected `http`, `signal` or `exec`")
        .hint(format!("for example `{example}`"))
}

impl ServiceActions {
    /// Resolves the actions of a service.
    pub(super) fn resolve(service: &ServiceLevels<'_>, problems: &mut Problems) -> Self {
        let mut action = |name| ActionLevels::of(service, name)?.resolve(problems);
        Self {
            shutdown: action("shutdown"),
            schedule: action("schedule"),
            reload: action("reload"),
            restart: action("restart"),
        }
    }

    pub(super) fn show(&self, service: &ServiceLevels<'_>, out: &mut AnnotatedYaml) {
        let mut offered = self.named().into_iter();
        if offered.all(|(_, action)| action.is_none()) {
            return;
        }
        out.open("actions", None);
        for (name, action) in self.named() {
            if let (Some(action), Some(levels)) = (action, ActionLevels::of(service, name)) {
                levels.show(action, out);
            }
        }
        out.close();
    }
}
