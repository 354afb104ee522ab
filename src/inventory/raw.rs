//! An inventory as written: mirrors its files, every value with its place, no default filled in.

use std::sync::Arc;

use crate::profile::raw::action::RawActions;
use crate::profile::raw::options::RawOptions;
use crate::profile::raw::probe::RawProbe;
use crate::profile::raw::read::check_name;
use crate::profile::raw::secret::Variables;
use crate::profile::setting::Spanned;
use crate::yaml::{Entry, Fields, Node, Place, Problem, Problems, Value};

use super::service::RawServiceSettings;

/// The files of an inventory, merged.
#[derive(Debug, Default)]
pub(super) struct RawInventory {
    /// `defaults` of each file, by the number of the file.
    pub(super) defaults: Vec<RawOptions>,
    pub(super) services: Vec<RawService>,
    /// The entries of `profiles:`, still to be parsed.
    pub(super) profiles: Vec<Entry>,
}

/// A file of which the services and profiles are still to be read.
#[derive(Debug, Default)]
pub(super) struct RawFile {
    pub(super) defaults: RawOptions,
    pub(super) services: Vec<Entry>,
    pub(super) profiles: Vec<Entry>,
    /// The place where missing services are reported.
    pub(super) begins: Option<Place>,
}

/// A service as written.
#[derive(Debug)]
pub(super) struct RawService {
    pub(super) name: Spanned<String>,
    /// The numbers of the files whose `defaults` hold for the service, the weakest first.
    pub(super) defaults: Vec<usize>,
    /// The variables that the `env_file` of its file sets.
    pub(super) variables: Arc<Variables>,
    pub(super) settings: RawServiceSettings,
    pub(super) options: RawOptions,
    pub(super) probes: Vec<RawProbe>,
    /// Set where a probe is written that could not be read.
    pub(super) broken_probes: bool,
    pub(super) actions: RawActions,
    /// Set where a `url` is written, even if it could not be read.
    pub(super) has_url: bool,
    /// Set where `start` is written, even if it could not be read.
    pub(super) has_start: bool,
}

impl RawInventory {
    /// Returns the `defaults` that hold for a service, the weakest first.
    pub(super) fn defaults_of(&self, service: &RawService) -> Vec<&RawOptions> {
        let numbers = service.defaults.iter();
        numbers
            .filter_map(|number| self.defaults.get(*number))
            .collect()
    }
}

/// Returns whether only a service has a key.
fn is_of_service(key: &str) -> bool {
    let mut declared = RawServiceSettings::DECLARED.iter();
    matches!(key, "probes" | "actions") || declared.any(|declared| declared.name == key)
}

impl RawFile {
    /// Reads all of a file but its services and profiles, which are taken out of the tree.
    pub(super) fn read(node: &mut Node, problems: &mut Problems) -> Option<Self> {
        let mut file = Self::read_keys(node, problems)?;
        file.services = take_entries(node, "services");
        file.profiles = take_entries(node, "profiles");
        Some(file)
    }

    fn read_keys(node: &Node, problems: &mut Problems) -> Option<Self> {
        let mut fields = Fields::read(node, "an inventory: a map with `services`", problems)?;
        let defaults = fields.take("defaults").and_then(|entry| {
            let mut fields =
                Fields::read(&entry.value, "a map such as `{interval: 5s}`", problems)?;
            let options = RawOptions::take(&mut fields, problems);
            fields.finish_with(problems, |key| {
                is_of_service(key).then(|| format!("`{key}` belongs to a single service"))
            });
            Some(options)
        });
        let services = fields.take("services");
        if let Some(entry) = services {
            entry.value.map("a map of services by name", problems);
        }
        let profiles = fields.take("profiles");
        if let Some(entry) = profiles {
            entry.value.map("a map of profiles by name", problems);
        }
        let include = fields.take("include");
        fields.take("env_file");
        fields.finish_with(problems, |key| {
            if key.starts_with("x-") || key.starts_with('.') {
                return Some(
                    "there are no keys of your own: an anchor can stand where it is used first"
                        .to_owned(),
                );
            }
            if is_of_service(key) {
                return Some(format!("`{key}` belongs to a service, under `services`"));
            }
            matches!(
                key,
                "interval" | "timeout" | "retries" | "headers" | "auth" | "tls"
            )
            .then(|| format!("`{key}` belongs under `defaults`, or to a service"))
        });
        let begins = match services {
            Some(entry) => entry.key_place.clone(),
            None => first_line(node),
        };
        if services.is_none() && profiles.is_none() && include.is_none() && defaults.is_none() {
            problems.push(no_services(&begins));
        }
        Some(Self {
            defaults: defaults.unwrap_or_default(),
            begins: Some(begins),
            ..Self::default()
        })
    }
}

/// Takes the entries of a map in a map.
fn take_entries(node: &mut Node, key: &str) -> Vec<Entry> {
    let Value::Map(entries) = &mut node.value else {
        return Vec::new();
    };
    let entry = entries.iter_mut().find(|entry| entry.key == key);
    match entry.map(|entry| &mut entry.value.value) {
        Some(Value::Map(entries)) => std::mem::take(entries),
        _ => Vec::new(),
    }
}

pub(super) fn no_services(place: &Place) -> Problem {
    Problem::at(place, "no services")
        .label("expected `services:` with at least one service in it")
        .hint("`healthctl init --stdout` shows an example")
}

/// Returns the first line of a file, for what is missing in it.
fn first_line(node: &Node) -> Place {
    let mut place = node.place.clone();
    let line = place.text().lines().next().map_or(0, str::len);
    place.end = place.start + line;
    place
}

impl RawService {
    pub(super) fn read(entry: &Entry, problems: &mut Problems) -> Option<Self> {
        let named = check_name("a service", &entry.key, &entry.key_place, problems);
        let node = &entry.value;
        let Some(mut fields) = Fields::read(node, "a service: a map such as `{url: …}`", problems)
        else {
            if let Some(last) = problems.list.last_mut()
                && let Some(text) = node.as_text().filter(|text| text.contains("://"))
            {
                last.hint = Some(format!("did you mean `{{profile: http, url: {text}}}`?"));
            }
            return None;
        };
        let settings = RawServiceSettings::take(&mut fields, problems);
        let options = RawOptions::take(&mut fields, problems);
        let (probes, broken_probes) = probes(&mut fields, problems);
        let actions = fields.read_key("actions", problems, RawActions::read);
        fields.finish_with(problems, explain);
        named.then(|| Self {
            name: Spanned::key(entry),
            defaults: Vec::new(),
            variables: Arc::default(),
            settings,
            options,
            probes,
            broken_probes,
            actions: actions.unwrap_or_default(),
            has_url: node.get("url").is_some(),
            has_start: node.get("start").is_some(),
        })
    }
}

/// Returns what to do about a key that a service does not have.
fn explain(key: &str) -> Option<String> {
    match key {
        "live" | "ready" | "startup" | "status" => {
            Some(format!("it stands under `probes`: `probes: {{{key}: …}}`"))
        }
        "http" | "tcp" | "exec" | "grpc" | "path" => Some(format!(
            "it stands inside a probe: `probes: {{live: {{{key}: …}}}}`"
        )),
        "decode" => Some("it stands inside a probe, or in a profile".to_owned()),
        "shutdown" | "schedule" | "reload" | "restart" => Some(format!(
            "it stands under `actions`: `actions: {{{key}: …}}`"
        )),
        "host" | "port" | "address" | "endpoint" => {
            Some("did you mean `url: http://HOST:PORT`?".to_owned())
        }
        "name" => Some("the key before the colon is the name of the service".to_owned()),
        "tags" => Some("did you mean `labels`?".to_owned()),
        "command" | "cmd" => Some("did you mean `start: {command: […]}`?".to_owned()),
        "log" | "cwd" | "ready_timeout" => Some(format!(
            "it stands under `start`: `start: {{command: […], {key}: …}}`"
        )),
        "watch" | "files" => Some("did you mean `sources`?".to_owned()),
        _ => None,
    }
}

fn probes(fields: &mut Fields<'_>, problems: &mut Problems) -> (Vec<RawProbe>, bool) {
    let Some(entry) = fields.take("probes") else {
        return (Vec::new(), false);
    };
    let Some(entries) = entry.value.map("a map of probes by name", problems) else {
        return (Vec::new(), true);
    };
    let mut broken = false;
    let mut probes = Vec::with_capacity(entries.len());
    for entry in entries {
        match RawProbe::read(entry, problems) {
            Some(probe) => probes.push(probe),
            None => broken = true,
        }
    }
    (probes, broken)
}
