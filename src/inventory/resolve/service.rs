//! One service.

use std::collections::BTreeSet;

use crate::health::DegradedPolicy;
use crate::profile::Profile;
use crate::profile::raw::Options;
use crate::yaml::Problems;

use super::super::raw;
use super::super::service::Service;
use super::{actions, defaults, probes, running, variables};

/// What a service is made of.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Parts<'a> {
    /// What its files say for all their services, the weakest first.
    pub(in super::super) defaults: &'a [&'a Options],
    pub(in super::super) profile: Option<&'a Profile>,
    /// It names a profile that could not be read: what that would have brought is unknown, and so is what is
    /// missing.
    pub(in super::super) profile_missing: bool,
    pub(in super::super) raw: &'a raw::Service,
}

impl Parts<'_> {
    /// `start_period`, which belongs to the whole service.
    pub(in super::super) fn start_period(
        &self,
    ) -> Option<&crate::profile::raw::At<std::time::Duration>> {
        self.raw
            .options
            .start_period
            .as_ref()
            .or_else(|| self.profile?.options.start_period.as_ref())
            .or_else(|| self.default_start_period())
    }

    /// The one that its files say.
    pub(in super::super) fn default_start_period(
        &self,
    ) -> Option<&crate::profile::raw::At<std::time::Duration>> {
        self.defaults
            .iter()
            .rev()
            .find_map(|options| options.start_period.as_ref())
    }
}

/// Resolves a service; what is wrong goes to `problems`.
pub(in super::super) fn service(parts: &Parts<'_>, problems: &mut Problems) -> Service {
    let raw = parts.raw;
    let probes = probes::probes(parts, problems);
    let actions = actions::actions(parts, problems);
    let text = |value: &Option<crate::profile::raw::At<String>>| {
        value.as_ref().map(|text| text.value.clone())
    };
    let flag = |value: &Option<crate::profile::raw::At<bool>>| {
        value.as_ref().is_some_and(|flag| flag.value)
    };
    let mut service = Service {
        name: raw.name.value.clone(),
        description: text(&raw.description),
        group: text(&raw.group),
        labels: raw
            .labels
            .iter()
            .map(|(key, value)| (key.value.clone(), value.clone()))
            .collect(),
        profile: text(&raw.profile),
        url: raw.url.as_ref().map(|url| url.value.clone()),
        degraded: raw
            .degraded
            .as_ref()
            .map_or(DegradedPolicy::Fail, |policy| policy.value),
        required: raw.required.iter().map(|name| name.value.clone()).collect(),
        max_success_age: raw.max_success_age.as_ref().map(|age| age.value),
        depends_on: unique(raw),
        start_period: parts
            .start_period()
            .map_or(defaults::START_PERIOD, |period| period.value),
        probes,
        actions,
        start: None,
        sources: None,
        restart_on: BTreeSet::new(),
        on_change: None,
        pid_file: raw.pid_file.as_ref().map(|path| path.value.clone()),
        supervised: false,
        replicas: flag(&raw.replicas),
        protected: flag(&raw.protected),
    };
    running::fill(&mut service, raw, problems);
    variables::add(&mut service, &raw.variables);
    service
}

/// `depends_on` in the order written, each name once.
fn unique(raw: &raw::Service) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(raw.depends_on.len());
    for name in &raw.depends_on {
        if !names.contains(&name.value) {
            names.push(name.value.clone());
        }
    }
    names
}
