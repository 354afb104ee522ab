//! Who may say something about a probe or an action, the weakest first.

use crate::profile::Profile;
use crate::profile::raw::{Action, At, Header, Http, Options, Probe, Request};

use super::super::raw;

/// What one place says.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Layer<'a> {
    pub(in super::super) kind: LayerKind,
    /// Nothing for an action, which has a request only.
    pub(in super::super) options: Option<&'a Options>,
    pub(in super::super) request: &'a Request,
    /// The headers of the request itself.
    pub(in super::super) http: Option<&'a Http>,
    /// It says so of this one probe or action, not of all.
    pub(in super::super) own: bool,
}

/// Where a layer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum LayerKind {
    /// `defaults:`
    Defaults,
    /// The profile.
    Profile,
    /// The service, its probe or its action.
    Service,
}

fn of_options(kind: LayerKind, options: &Options) -> Layer<'_> {
    Layer {
        kind,
        options: Some(options),
        request: &options.request,
        http: None,
        own: false,
    }
}

fn of_defaults<'a>(defaults: &[&'a Options]) -> impl Iterator<Item = Layer<'a>> {
    defaults
        .iter()
        .map(|options| of_options(LayerKind::Defaults, options))
}

fn of_probe(kind: LayerKind, probe: &Probe) -> Layer<'_> {
    Layer {
        http: probe.http.as_ref(),
        own: true,
        ..of_options(kind, &probe.options)
    }
}

fn of_action(kind: LayerKind, action: &Action) -> Layer<'_> {
    Layer {
        kind,
        options: None,
        request: &action.request,
        http: action.http(),
        own: true,
    }
}

/// The layers of a probe: `defaults`, the profile, the profile's probe, the service, its probe.
pub(in super::super) fn probe_layers<'a>(
    defaults: &[&'a Options],
    profile: Option<&'a Profile>,
    service: &'a raw::Service,
    name: &str,
) -> Vec<Layer<'a>> {
    let of_profile = profile.and_then(|profile| profile.probes.get(name));
    let own = service.probes.iter().find(|probe| probe.name.value == name);
    let layers = [
        profile.map(|profile| of_options(LayerKind::Profile, &profile.options)),
        of_profile.map(|probe| of_probe(LayerKind::Profile, probe)),
        Some(of_options(LayerKind::Service, &service.options)),
        own.map(|probe| of_probe(LayerKind::Service, probe)),
    ];
    of_defaults(defaults)
        .chain(layers.into_iter().flatten())
        .collect()
}

/// The layers of an action.
pub(in super::super) fn action_layers<'a>(
    defaults: &[&'a Options],
    profile: Option<&'a Profile>,
    of_profile: Option<&'a Action>,
    service: &'a raw::Service,
    own: Option<&'a Action>,
) -> Vec<Layer<'a>> {
    let layers = [
        profile.map(|profile| of_options(LayerKind::Profile, &profile.options)),
        of_profile.map(|action| of_action(LayerKind::Profile, action)),
        Some(of_options(LayerKind::Service, &service.options)),
        own.map(|action| of_action(LayerKind::Service, action)),
    ];
    of_defaults(defaults)
        .chain(layers.into_iter().flatten())
        .collect()
}

/// The strongest layer that says something.
pub(in super::super) fn pick<'a, T>(
    layers: &[Layer<'a>],
    get: impl Fn(&Layer<'a>) -> Option<&'a At<T>>,
) -> Option<(&'a At<T>, LayerKind)> {
    layers
        .iter()
        .rev()
        .find_map(|layer| get(layer).map(|value| (value, layer.kind)))
}

/// Like [`pick`], for options.
pub(in super::super) fn option<'a, T>(
    layers: &[Layer<'a>],
    get: impl Fn(&'a Options) -> Option<&'a At<T>>,
) -> Option<(&'a At<T>, LayerKind)> {
    pick(layers, |layer| layer.options.and_then(&get))
}

/// Like [`pick`], for what says how requests are made.
pub(in super::super) fn request<'a, T>(
    layers: &[Layer<'a>],
    get: impl Fn(&'a Request) -> Option<&'a At<T>>,
) -> Option<(&'a At<T>, LayerKind)> {
    pick(layers, |layer| get(layer.request))
}

/// Like [`pick`], for the request itself.
pub(in super::super) fn http<'a, T>(
    layers: &[Layer<'a>],
    get: impl Fn(&'a Http) -> Option<&'a At<T>>,
) -> Option<(&'a At<T>, LayerKind)> {
    pick(layers, |layer| layer.http.and_then(&get))
}

/// Every header once, the strongest of each name, in the order in which the names were first written.
pub(in super::super) fn headers<'a>(layers: &[Layer<'a>]) -> Vec<(&'a Header, LayerKind, bool)> {
    let mut list: Vec<(&Header, LayerKind, bool)> = Vec::new();
    for layer in layers {
        let of_http = layer.http.map(|http| http.headers.as_slice());
        let headers = layer
            .request
            .headers
            .iter()
            .chain(of_http.unwrap_or_default());
        for header in headers {
            let said = (header, layer.kind, layer.own);
            let known = list
                .iter_mut()
                .find(|(known, ..)| known.name.value.eq_ignore_ascii_case(&header.name.value));
            match known {
                Some(known) => *known = said,
                None => list.push(said),
            }
        }
    }
    list
}
