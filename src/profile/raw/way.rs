//! How a probe asks, and which keys mean something to which way.

use crate::yaml::{Node, Problem, Problems, Value};

use super::{At, Probe};

/// How a probe asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// An HTTP request.
    Http,
    /// A TCP connection.
    Tcp,
    /// A command.
    Exec,
}

impl Way {
    /// The key that stands for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Exec => "exec",
        }
    }
}

impl Probe {
    /// Tells keys that mean nothing to this way of asking.
    pub fn check_keys(&self, way: Way, problems: &mut Problems) {
        for key in &self.particular {
            let (owner, ways) = owner(&key.value);
            if ways.contains(&way) {
                continue;
            }
            let asked = way.name();
            problems.push(
                Problem::at(
                    &key.place,
                    format!("`{}` means nothing to a probe by `{asked}`", key.value),
                )
                .label(format!("belongs to {owner}"))
                .hint("take it out"),
            );
        }
    }
}

/// Keys that belong to some ways of asking only, and to which.
fn owner(key: &str) -> (&'static str, &'static [Way]) {
    match key {
        "env" | "cwd" => ("`exec`", &[Way::Exec]),
        "max_body" => ("`http` and `exec`", &[Way::Http, Way::Exec]),
        "headers" | "auth" | "tls" | "proxy" | "follow_redirects" | "connection" | "expect"
        | "decode" => ("`http`", &[Way::Http]),
        _ => ("all", &[Way::Http, Way::Tcp, Way::Exec]),
    }
}

/// The keys of a probe that belong to some ways of asking only.
pub(super) fn particular(node: &Node) -> Vec<At<String>> {
    let Value::Map(entries) = &node.value else {
        return Vec::new();
    };
    entries
        .iter()
        .filter(|entry| owner(&entry.key).1.len() < 3)
        .map(|entry| At {
            value: entry.key.clone(),
            place: entry.key_place.clone(),
        })
        .collect()
}
