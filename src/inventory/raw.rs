//! An inventory as written: mirrors its files, every value with its place, nothing filled in.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::health::DegradedPolicy;
use crate::profile::Target;
use crate::profile::raw::{Actions, At, Options, Probe, Scope, check_name, read_path, read_target};
use crate::yaml::{Entry, Fields, Node, Place, Problem, Problems, Value};

use super::resolve::Variables;

mod running;

pub(super) use running::{Hook, Running, Start};

/// All files together.
#[derive(Debug, Default)]
pub(super) struct Inventory {
    /// What each file says for all its services, by the number of the file.
    pub(super) defaults: Vec<Options>,
    pub(super) services: Vec<Service>,
    /// `profiles:`, each still to be parsed.
    pub(super) profiles: Vec<Entry>,
}

/// One file, its services still to be read.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) defaults: Options,
    pub(super) services: Vec<Entry>,
    pub(super) profiles: Vec<Entry>,
    /// Where a missing service is missed.
    pub(super) begins: Option<Place>,
}

/// One service.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) name: At<String>,
    /// The files whose `defaults` hold for it, by number, the weakest first.
    pub(super) defaults: Vec<usize>,
    /// What the `env_file` of its file says.
    pub(super) variables: Arc<Variables>,
    pub(super) description: Option<At<String>>,
    pub(super) group: Option<At<String>>,
    pub(super) labels: Vec<(At<String>, String)>,
    pub(super) profile: Option<At<String>>,
    pub(super) url: Option<At<Target>>,
    /// A `url` is written, even if it could not be read.
    pub(super) has_url: bool,
    pub(super) degraded: Option<At<DegradedPolicy>>,
    pub(super) required: Vec<At<String>>,
    pub(super) max_success_age: Option<At<Duration>>,
    pub(super) depends_on: Vec<At<String>>,
    pub(super) options: Options,
    pub(super) probes: Vec<Probe>,
    /// A probe is written that could not be read.
    pub(super) broken_probes: bool,
    pub(super) actions: Actions,
    /// How it comes to run.
    pub(super) running: Running,
    /// `start` is written, even if it could not be read.
    pub(super) has_start: bool,
    pub(super) pid_file: Option<At<PathBuf>>,
    pub(super) replicas: Option<At<bool>>,
    pub(super) protected: Option<At<bool>>,
}

impl Inventory {
    /// What the files say for all their services, as far as it holds for this one; the weakest first.
    pub(super) fn defaults_of(&self, service: &Service) -> Vec<&Options> {
        let numbers = service.defaults.iter();
        numbers
            .filter_map(|number| self.defaults.get(*number))
            .collect()
    }
}

impl File {
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
            let options = Options::take(&mut fields, Scope::Service, problems);
            fields.finish_with(problems, |key| {
                SERVICE_KEYS
                    .contains(&key)
                    .then(|| format!("`{key}` belongs to a single service"))
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
            if SERVICE_KEYS.contains(&key) {
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

/// The entries of a map in a map, taken out of it.
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

/// Keys that only a service has.
const SERVICE_KEYS: [&str; 19] = [
    "description",
    "group",
    "labels",
    "profile",
    "url",
    "degraded",
    "required",
    "max_success_age",
    "depends_on",
    "probes",
    "actions",
    "start",
    "pid_file",
    "replicas",
    "protected",
    "supervised",
    "sources",
    "restart_on",
    "on_change",
];

pub(super) fn no_services(place: &Place) -> Problem {
    Problem::at(place, "no services")
        .label("expected `services:` with at least one service in it")
        .hint("`healthctl init --stdout` shows an example")
}

/// Where a file begins, for what is missing in it.
fn first_line(node: &Node) -> Place {
    let mut place = node.place.clone();
    let line = place.text().lines().next().map_or(0, str::len);
    place.end = place.start + line;
    place
}

impl Service {
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
        let text = |fields: &mut Fields<'_>, key, what, problems: &mut Problems| {
            let entry = fields.take(key)?;
            let text = entry.value.line(what, problems)?;
            Some(At::new(text, &entry.value))
        };
        let flag = |fields: &mut Fields<'_>, key, problems: &mut Problems| {
            let entry = fields.take(key)?;
            let value = entry.value.boolean(problems)?;
            Some(At::new(value, &entry.value))
        };
        let description = fields.take("description").and_then(|entry| {
            // A description may be folded over several lines; it is shown on one.
            let mut node = entry.value.clone();
            if let Value::Text(text) = &mut node.value {
                *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            }
            let text = node.line("a sentence for people", problems)?;
            Some(At::new(text, &node))
        });
        let group = text(&mut fields, "group", "the name of a group", problems);
        let labels = fields
            .take("labels")
            .map(|entry| labels(&entry.value, problems))
            .unwrap_or_default();
        let profile = text(&mut fields, "profile", "the name of a profile", problems);
        let url_entry = fields.take("url");
        let url = url_entry.and_then(|entry| read_target(&entry.value, problems));
        let degraded = fields.take("degraded").and_then(|entry| {
            let words = DegradedPolicy::ALL
                .iter()
                .map(|word| (word.as_str(), *word))
                .collect::<Vec<_>>();
            let value = entry.value.word(&words, problems)?;
            Some(At::new(value, &entry.value))
        });
        let required = names(&mut fields, "required", "a list of dependencies", problems);
        let max_success_age = fields.take("max_success_age").and_then(|entry| {
            let value = entry.value.positive_duration(problems)?;
            Some(At::new(value, &entry.value))
        });
        let depends_on = names(&mut fields, "depends_on", "a list of services", problems);
        let options = Options::take(&mut fields, Scope::Service, problems);
        let (probes, broken_probes) = probes(&mut fields, problems);
        let actions = fields
            .take("actions")
            .map(|entry| Actions::read(entry, problems))
            .unwrap_or_default();
        let pid_file = fields
            .take("pid_file")
            .and_then(|entry| read_path(&entry.value, "the path of a pid file", problems));
        let replicas = flag(&mut fields, "replicas", problems);
        let protected = flag(&mut fields, "protected", problems);
        let running = Running::take(&mut fields, problems);
        fields.finish_with(problems, explain);
        named.then(|| Self {
            name: At {
                value: entry.key.clone(),
                place: entry.key_place.clone(),
            },
            defaults: Vec::new(),
            variables: Arc::default(),
            description,
            group,
            labels,
            profile,
            url,
            has_url: url_entry.is_some(),
            degraded,
            required,
            max_success_age,
            depends_on,
            options,
            probes,
            broken_probes,
            actions,
            running,
            has_start: node.get("start").is_some(),
            pid_file,
            replicas,
            protected,
        })
    }
}

/// What to do about a key that a service does not have.
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

fn probes(fields: &mut Fields<'_>, problems: &mut Problems) -> (Vec<Probe>, bool) {
    let Some(entry) = fields.take("probes") else {
        return (Vec::new(), false);
    };
    let Some(entries) = entry.value.map("a map of probes by name", problems) else {
        return (Vec::new(), true);
    };
    let mut broken = false;
    let mut probes = Vec::with_capacity(entries.len());
    for entry in entries {
        match Probe::read(entry, problems) {
            Some(probe) => probes.push(probe),
            None => broken = true,
        }
    }
    (probes, broken)
}

fn labels(node: &Node, problems: &mut Problems) -> Vec<(At<String>, String)> {
    const KEY: &str = "a name such as `tier` or `example.com/tier`";
    let Some(entries) = node.map("a map of labels, as in `{tier: web}`", problems) else {
        return Vec::new();
    };
    let mut labels = Vec::with_capacity(entries.len());
    for entry in entries {
        let valid = entry.key.starts_with(|c: char| c.is_alphanumeric())
            && entry
                .key
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/'));
        if !valid {
            problems.push(
                Problem::at(
                    &entry.key_place,
                    format!("`{}` cannot name a label", entry.key),
                )
                .label(format!("expected {KEY}")),
            );
            continue;
        }
        let key = At {
            value: entry.key.clone(),
            place: entry.key_place.clone(),
        };
        if let Some(value) = entry.value.line("the value of a label", problems) {
            labels.push((key, value));
        }
    }
    labels
}

/// A list of names.
fn names(
    fields: &mut Fields<'_>,
    key: &'static str,
    expected: &str,
    problems: &mut Problems,
) -> Vec<At<String>> {
    let Some(entry) = fields.take(key) else {
        return Vec::new();
    };
    let Some(items) = entry.value.list(expected, problems) else {
        return Vec::new();
    };
    items
        .iter()
        .filter_map(|item| Some(At::new(item.line("a name", problems)?, item)))
        .collect()
}
