//! A probe as written.

use std::sync::Arc;

use crate::health::Role;
use crate::yaml::{Entry, Fields, Node, Problem, Problems, Value};

use super::super::{Decode, HostPort};
use super::way::particular;
use super::{
    At, Exec, Http, Options, Probe, Scope, Way, bad_address, check_name, exec, is_off, read_path,
};

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
            tcp: None,
            exec: None,
            env: Vec::new(),
            cwd: None,
            particular: Vec::new(),
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
        let asks = ["http", "tcp", "exec"].map(|key| fields.take(key));
        let [http, tcp, exec] = asks;
        one_of(&asks, problems);
        probe.http = http.and_then(|entry| Http::read(entry, problems));
        probe.tcp = tcp.and_then(|entry| read_tcp(&entry.value, problems));
        probe.exec = exec.and_then(|entry| Exec::read(entry, problems));
        probe.env = fields
            .take("env")
            .map(|entry| exec::env(entry, problems))
            .unwrap_or_default();
        probe.cwd = fields
            .take("cwd")
            .and_then(|entry| read_path(&entry.value, "the path of a directory", problems));
        probe.options = Options::take(&mut fields, Scope::Probe, problems);
        probe.required = fields
            .take("required")
            .and_then(|entry| required(entry, &probe.name, problems));
        if let Some(entry) = fields.take("decode") {
            probe.decode = Decode::parse(&entry.value, problems)
                .map(|decode| At::new(Arc::new(decode), &entry.value));
            probe.decode_written = Some(entry.value.to_json());
        }
        fields.not_yet("grpc", problems);
        let written = asks.iter().flatten().count() > 0 || node.get("grpc").is_some();
        probe.broken = written && probe.way().is_none();
        probe.particular = particular(node);
        if let Some(way) = probe.way() {
            probe.check_keys(way, problems);
        }
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

    /// How it asks, where it says so.
    pub fn way(&self) -> Option<Way> {
        if self.http.is_some() {
            Some(Way::Http)
        } else if self.tcp.is_some() {
            Some(Way::Tcp)
        } else {
            self.exec.as_ref().map(|_| Way::Exec)
        }
    }

    /// Whether it says how an answer is read and not where to ask for one: of a profile, such a probe waits for an
    /// inventory that does.
    pub fn waits(&self) -> bool {
        self.way().is_none() && !self.broken && self.decode_written.is_some()
    }
}

/// A probe asks in one way.
fn one_of(asks: &[Option<&Entry>], problems: &mut Problems) {
    let given: Vec<&Entry> = asks.iter().copied().flatten().collect();
    if let [first, second, ..] = given.as_slice() {
        problems.push(
            Problem::at(
                &second.key_place,
                format!("both `{}` and `{}`", first.key, second.key),
            )
            .label("expected one of them")
            .related(&first.key_place, "the other one")
            .hint("a probe asks in one way; a second question is a second probe"),
        );
    }
}

/// `HOST:PORT`
fn read_tcp(node: &Node, problems: &mut Problems) -> Option<At<HostPort>> {
    const EXPECTED: &str = "a host and a port such as `localhost:6379`";
    let Some(text) = node.as_text() else {
        let hint = matches!(node.value, Value::List(_))
            .then(|| "an IPv6 address needs quotes: `\"[::1]:6379\"`".to_owned());
        problems.push(node.wrong(EXPECTED).maybe_hint(hint));
        return None;
    };
    match HostPort::parse(text) {
        Ok(parsed) => Some(At::new(parsed, node)),
        Err(bad) => {
            problems.push(bad_address(node, bad, EXPECTED));
            None
        }
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
