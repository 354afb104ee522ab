//! The levels that may say something of a service, of its probes and of its actions, the weakest first: `defaults`, the
//! profile, the profile's probe or action, the service, its probe or action.

use crate::profile::Profile;
use crate::profile::kind::KindContext;
use crate::profile::raw::action::RawAction;
use crate::profile::raw::options::{RawOptions, RawSharedSettings};
use crate::profile::raw::probe::RawProbe;
use crate::profile::raw::request::RawRequest;
use crate::profile::setting::{Level, select};

use super::raw::RawService;

/// Everything that a service is made of.
#[derive(Debug, Clone)]
pub(super) struct ServiceLevels<'a> {
    /// `defaults` of its files.
    pub(super) defaults: Vec<&'a RawOptions>,
    pub(super) profile: Option<&'a Profile>,
    /// Set where the service names a profile that could not be read: what that would have brought is unknown.
    pub(super) profile_missing: bool,
    pub(super) raw: &'a RawService,
}

/// The levels of one probe.
#[derive(Debug, Clone)]
pub(super) struct ProbeLevels<'a> {
    pub(super) own: Option<&'a RawProbe>,
    /// The profile's probe and the service's own.
    pub(super) written: Vec<(Level<'a>, &'a RawProbe)>,
    pub(super) options: Vec<(Level<'a>, &'a RawOptions)>,
    pub(super) context: KindContext<'a>,
}

impl<'a> ProbeLevels<'a> {
    /// Returns the probes as written, the stronger one first.
    pub(super) fn probes(&self) -> impl Iterator<Item = &'a RawProbe> {
        self.written.iter().rev().map(|(_, probe)| *probe)
    }
}

impl<'a> ServiceLevels<'a> {
    /// Returns all levels: what all probes and actions share, and what one of them adds.
    fn levels<T>(
        &self,
        shared: impl Fn(&'a RawOptions) -> &'a T,
        of_profile: Option<&'a T>,
        own: Option<&'a T>,
    ) -> Vec<(Level<'a>, &'a T)> {
        let defaults = self.defaults.iter().copied();
        let defaults = defaults.map(|options| (Level::Defaults, shared(options)));
        let profile = self.profile;
        let of_profile = profile.zip(of_profile);
        let service = (Level::Service { own: false }, shared(&self.raw.options));
        defaults
            .chain(profile.map(|it| (it.level(false), shared(&it.options))))
            .chain(of_profile.map(|(it, own)| (it.level(true), own)))
            .chain([service])
            .chain(own.map(|own| (Level::Service { own: true }, own)))
            .collect()
    }

    /// Returns what is written for one probe or action alone, with its level.
    pub(super) fn own<T>(
        &self,
        of_profile: Option<&'a T>,
        own: Option<&'a T>,
    ) -> Vec<(Level<'a>, &'a T)> {
        let of_profile = self.profile.zip(of_profile);
        let of_profile = of_profile.map(|(it, own)| (it.level(true), own));
        let own = own.map(|own| (Level::Service { own: true }, own));
        of_profile.into_iter().chain(own).collect()
    }

    fn context(
        &self,
        (what, default_method): (String, &'static str),
        requests: Vec<(Level<'a>, &'a RawRequest)>,
    ) -> KindContext<'a> {
        let raw = self.raw;
        KindContext {
            service: &raw.name,
            url: raw.settings.url.as_ref(),
            has_url: raw.has_url,
            what,
            default_method,
            requests,
            exec_settings: Vec::new(),
        }
    }

    /// Returns what the levels say of the probe of this name.
    pub(super) fn probe(&self, name: &str) -> ProbeLevels<'a> {
        let of_profile = self.profile.and_then(|it| it.probes.get(name));
        let mut probes = self.raw.probes.iter();
        let own = probes.find(|probe| probe.name.value == name);
        let written = self.own(of_profile, own);
        let options = self.levels(
            |options| options,
            of_profile.map(|it| &it.options),
            own.map(|it| &it.options),
        );
        let requests = select(&options, |options| Some(&options.request));
        ProbeLevels {
            own,
            context: KindContext {
                exec_settings: select(&written, |probe| Some(&probe.exec_settings)),
                ..self.context((format!("`{name}`"), "GET"), requests)
            },
            written,
            options,
        }
    }

    /// Returns what the levels say of the requests and commands of an action.
    pub(super) fn action(
        &self,
        name: &str,
        of_profile: Option<&'a RawAction>,
        own: Option<&'a RawAction>,
    ) -> KindContext<'a> {
        let requests = self.levels(
            |options| &options.request,
            of_profile.map(|it| &it.request),
            own.map(|it| &it.request),
        );
        let written = self.own(of_profile, own);
        KindContext {
            exec_settings: select(&written, |action| Some(&action.exec_settings)),
            ..self.context((format!("the action `{name}`"), "POST"), requests)
        }
    }

    /// Returns what the levels say of the whole service.
    pub(super) fn shared(&self) -> Vec<(Level<'a>, &'a RawSharedSettings)> {
        self.levels(|options| &options.shared, None, None)
    }
}
