//! The levels that may say something of a service, of its probes and of its actions, the weakest first: `defaults`, the
//! profile, the profile's probe or action, the service, its probe or action.

use crate::profile::Profile;
use crate::profile::annotated::AnnotatedYaml;
use crate::profile::kind::{Context, RawProbeKind, RequestLevel};
use crate::profile::raw::action::RawAction;
use crate::profile::raw::expect::RawExpect;
use crate::profile::raw::options::{
    RawOptions, RawProbeSettings, RawSharedSettings, SharedSettings,
};
use crate::profile::raw::probe::RawProbe;
use crate::profile::setting::{Declared, Level};

use super::raw::RawService;

/// Everything that a service is made of.
#[derive(Debug, Clone)]
pub(super) struct ServiceLevels<'a> {
    /// `defaults` of its files.
    pub(super) defaults: Vec<&'a RawOptions>,
    pub(super) profile: Option<&'a Profile>,
    /// Whether the service names a profile that could not be read: what that would have brought is unknown.
    pub(super) profile_missing: bool,
    pub(super) raw: &'a RawService,
}

/// What the levels say of one probe.
#[derive(Debug, Clone)]
pub(super) struct ProbeLevels<'a> {
    pub(super) own: Option<&'a RawProbe>,
    pub(super) of_profile: Option<&'a RawProbe>,
    pub(super) options: Vec<(Level<'a>, &'a RawOptions)>,
    pub(super) kinds: Vec<(Level<'a>, &'a RawProbeKind)>,
    pub(super) context: Context<'a>,
}

impl<'a> ProbeLevels<'a> {
    /// Returns the probes as written, the stronger one first.
    pub(super) fn written(&self) -> impl Iterator<Item = &'a RawProbe> + use<'a> {
        [self.own, self.of_profile].into_iter().flatten()
    }

    pub(super) fn settings(&self) -> Vec<(Level<'a>, &'a RawProbeSettings)> {
        let levels = self.options.iter();
        levels
            .map(|(level, options)| (*level, &options.probe))
            .collect()
    }

    pub(super) fn expects(&self) -> Vec<(Level<'a>, &'a RawExpect)> {
        let levels = self.options.iter();
        levels
            .map(|(level, options)| (*level, &options.expect))
            .collect()
    }
}

impl<'a> ServiceLevels<'a> {
    fn options(
        &self,
        of_profile: Option<&'a RawOptions>,
        own: Option<&'a RawOptions>,
    ) -> Vec<(Level<'a>, &'a RawOptions, bool)> {
        let defaults = self
            .defaults
            .iter()
            .map(|options| (Level::Defaults, *options, false));
        let profile = self.profile.iter().flat_map(|profile| {
            let shared = (profile.level(), &profile.options, false);
            std::iter::once(shared).chain(of_profile.map(|own| (profile.level(), own, true)))
        });
        let service = (Level::Service, &self.raw.options, false);
        let own = own.map(|own| (Level::Service, own, true));
        defaults
            .chain(profile)
            .chain([service])
            .chain(own)
            .collect()
    }

    fn context(&self, what: String, default_method: &'static str) -> Context<'a> {
        let raw = self.raw;
        Context {
            service: &raw.name,
            url: raw.settings.url.as_ref(),
            has_url: raw.has_url,
            what,
            default_method,
            requests: Vec::new(),
            exec_settings: Vec::new(),
        }
    }

    /// Returns what the levels say of the probe of this name.
    pub(super) fn probe(&self, name: &str) -> ProbeLevels<'a> {
        let of_profile = self.profile.and_then(|profile| profile.probes.get(name));
        let own = self
            .raw
            .probes
            .iter()
            .find(|probe| probe.name.value == name);
        let profile = self.profile.map_or(Level::Service, Profile::level);
        let written = [(profile, of_profile), (Level::Service, own)];
        let written = written
            .into_iter()
            .filter_map(|(level, probe)| Some((level, probe?)));
        let options = self.options(of_profile.map(|it| &it.options), own.map(|it| &it.options));
        ProbeLevels {
            own,
            of_profile,
            kinds: written
                .clone()
                .filter_map(|(level, probe)| Some((level, probe.kind.as_ref()?)))
                .collect(),
            context: Context {
                requests: options
                    .iter()
                    .map(|(level, options, own)| RequestLevel {
                        level: *level,
                        request: &options.request,
                        own: *own,
                    })
                    .collect(),
                exec_settings: written
                    .map(|(level, probe)| (level, &probe.exec_settings))
                    .collect(),
                ..self.context(format!("`{name}`"), "GET")
            },
            options: options
                .into_iter()
                .map(|(level, options, _)| (level, options))
                .collect(),
        }
    }

    /// Returns what the levels say of requests and commands of an action, which is written here, the weakest first.
    pub(super) fn action(&self, written: &[(Level<'a>, &'a RawAction)], name: &str) -> Context<'a> {
        let mut requests = Vec::new();
        for (level, options, _) in self.options(None, None) {
            requests.push(RequestLevel {
                level,
                request: &options.request,
                own: false,
            });
        }
        for (level, action) in written {
            let own = RequestLevel {
                level: *level,
                request: &action.request,
                own: true,
            };
            // The profile's action is weaker than the service itself.
            let at = match level {
                Level::Service => requests.len(),
                _ => requests.len() - 1,
            };
            requests.insert(at, own);
        }
        Context {
            requests,
            exec_settings: written
                .iter()
                .map(|(level, it)| (*level, &it.exec_settings))
                .collect(),
            ..self.context(format!("the action `{name}`"), "POST")
        }
    }

    fn shared(&self) -> Vec<(Level<'a>, &'a RawSharedSettings)> {
        let levels = self.options(None, None).into_iter();
        levels
            .map(|(level, options, _)| (level, &options.shared))
            .collect()
    }

    /// Merges the settings of the whole service that other levels may have too.
    pub(super) fn shared_settings(&self) -> SharedSettings {
        RawSharedSettings::resolve(&self.shared())
    }

    pub(super) fn show_shared(&self, out: &mut AnnotatedYaml) {
        let levels = self.shared();
        for Declared { show, .. } in RawSharedSettings::DECLARED {
            show(&levels, out);
        }
    }
}
