//! A probe as written.

use std::sync::Arc;

use crate::health::Role;
use crate::yaml::{Entry, Fields, Problem, Problems, Value};

use super::super::Decode;
use super::{At, Http, Options, Probe, Scope, check_name, is_off};

impl Probe {
    /// Reads one entry of `probes:`.
    pub fn read(entry: &Entry, problems: &mut Problems) -> Option<Self> {
        let named = check_name("a probe", &entry.key, &entry.key_place, problems);
        let mut probe = Self {
            name: At {
                value: entry.key.clone(),
                place: entry.key_place.clone(),
            },
            off: is_off(&entry.value),
            http: None,
            broken: false,
            options: Options::default(),
            required: None,
            decode: None,
            decode_written: None,
        };
        if probe.off {
            return named.then_some(probe);
        }
        let node = &entry.value;
        if let Value::Text(text) = &node.value {
            let hint = if text.starts_with('/') || text.contains("://") {
                Some(format!("did you mean `{{http: {text}}}`?"))
            } else if text.eq_ignore_ascii_case("on") {
                Some("a probe of the profile is on without an entry here".to_owned())
            } else {
                None
            };
            problems.push(
                node.wrong("a map such as `{http: /health}`, or `off`")
                    .maybe_hint(hint),
            );
            return None;
        }
        let mut fields = Fields::read(node, "a map such as `{http: /health}`, or `off`", problems)?;
        probe.http = fields
            .take("http")
            .and_then(|entry| Http::read(entry, problems));
        probe.options = Options::take(&mut fields, Scope::Probe, problems);
        probe.required = fields
            .take("required")
            .and_then(|entry| required(entry, &probe.name, problems));
        if let Some(entry) = fields.take("decode") {
            probe.decode = Decode::parse(&entry.value, problems)
                .map(|decode| At::new(Arc::new(decode), &entry.value));
            probe.decode_written = Some(entry.value.to_json());
        }
        for key in ["tcp", "exec", "grpc", "env", "cwd"] {
            fields.not_yet(key, problems);
        }
        let asks = ["http", "tcp", "exec", "grpc"];
        probe.broken = probe.http.is_none() && asks.iter().any(|key| node.get(key).is_some());
        fields.finish_with(problems, |key| match key {
            "path" | "url" | "method" | "body" => {
                Some(format!("it stands inside `http`: `http: {{{key}: …}}`"))
            }
            "start_period" => Some("it belongs to the service, beside `probes`".to_owned()),
            "status" | "json" | "contains" => {
                Some(format!("it stands inside `expect`: `expect: {{{key}: …}}`"))
            }
            _ => None,
        });
        named.then_some(probe)
    }
}

/// `required: true` of a named probe.
fn required(entry: &Entry, name: &At<String>, problems: &mut Problems) -> Option<At<bool>> {
    if matches!(entry.value.value, Value::List(_)) {
        problems.push(
            entry
                .value
                .wrong("`true` or `false`")
                .hint("the list of required dependencies belongs to the service, beside `probes`"),
        );
        return None;
    }
    let value = entry.value.boolean(problems)?;
    let meaning = match Role::of(&name.value) {
        Role::Named => return Some(At::new(value, &entry.value)),
        Role::Live => "a failing `live` always makes the service unhealthy",
        Role::Ready => "a failing `ready` always makes the service unready",
        Role::Startup => "a failing `startup` always makes the service unhealthy",
        Role::Status => "`status` says itself how the service is",
    };
    problems.push(
        Problem::at(
            &entry.key_place,
            format!("`required` means nothing to `{}`", name.value),
        )
        .label("only probes with a name of your own have it")
        .hint(meaning),
    );
    None
}
