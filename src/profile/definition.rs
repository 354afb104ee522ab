//! A profile: one convention, read from one file.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::yaml::{Fields, Node, Problem, Problems};

use super::raw::{Actions, At, Options, Probe, Scope};
use super::{Decode, Expect};

/// One convention of other people's health routes.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Its name: that of its file, or its key under `profiles:`.
    pub name: String,
    /// One line for people.
    pub title: Option<String>,
    /// How we know.
    pub source: Option<Source>,
    /// What its probes have in common.
    pub options: Options,
    /// The probes by name, in the order of the file.
    pub probes: IndexMap<String, Probe>,
    /// The actions.
    pub actions: Actions,
    /// How a payload is read: that of `status`, else `ready`, else `live`.
    pub decode: Option<At<Arc<Decode>>>,
}

/// How a convention is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Replies of the real thing were captured.
    Captured,
    /// Its source was read.
    Source,
    /// Its documentation was read.
    Docs,
}

impl Source {
    /// The word used in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Captured => "captured",
            Self::Source => "source",
            Self::Docs => "docs",
        }
    }
}

impl Profile {
    /// Reads a profile; what is wrong goes to `problems`.
    pub fn parse(name: &str, node: &Node, problems: &mut Problems) -> Option<Self> {
        let mut fields = Fields::read(
            node,
            "a profile: a map with `probes`, `actions` and `decode`",
            problems,
        )?;
        let title = fields
            .take("title")
            .and_then(|entry| entry.value.line("one line for people", problems));
        let source = fields.take("source").and_then(|entry| {
            let words = [
                ("captured", Source::Captured),
                ("source", Source::Source),
                ("docs", Source::Docs),
            ];
            entry.value.word(&words, problems)
        });
        let options = Options::take(&mut fields, Scope::Service, problems);
        let mut probes = IndexMap::new();
        if let Some(entry) = fields.take("probes") {
            let entries = entry.value.map("a map of probes", problems);
            for entry in entries.unwrap_or_default() {
                let Some(probe) = Probe::read(entry, problems) else {
                    continue;
                };
                if probe.off {
                    problems.push(
                        Problem::at(&entry.value.place, "a profile has nothing to switch off")
                            .label("expected a map such as `{http: /health}`")
                            .hint("leave the probe out"),
                    );
                    continue;
                }
                // One that says only how to read an answer waits for an inventory that says where to ask.
                if probe.way().is_none() && !probe.broken && !probe.waits() {
                    problems.push(super::raw::asks_nothing(&probe.name));
                }
                probes.insert(entry.key.clone(), probe);
            }
        }
        let actions = fields
            .take("actions")
            .map(|entry| Actions::read(entry, problems))
            .unwrap_or_default();
        let decode = fields.take("decode").and_then(|entry| {
            let decode = Decode::parse(&entry.value, problems)?;
            Some(At::new(Arc::new(decode), &entry.value))
        });
        fields.finish_with(problems, |key| match key {
            "services" => {
                Some("this is a profile; an inventory stands in a file of its own".to_owned())
            }
            "name" => Some("the name of the file is the name of the profile".to_owned()),
            _ => None,
        });
        Some(Self {
            name: name.to_owned(),
            title,
            source,
            options,
            probes,
            actions,
            decode,
        })
    }

    /// How the payload of a probe is read: as the probe itself says, else as the profile does, whose `decode` belongs
    /// to `status`, else `ready`, else `live`.
    pub fn decode_of(&self, probe: &str) -> Option<&Arc<Decode>> {
        let own = self.probes.get(probe)?.decode.as_ref();
        let shared = || {
            let order = ["status", "ready", "live"];
            let owner = order
                .into_iter()
                .find(|name| self.probes.contains_key(*name));
            self.decode.as_ref().filter(|_| owner == Some(probe))
        };
        own.or_else(shared).map(|decode| &decode.value)
    }

    /// What the answer to a probe has to be, as far as the profile says; an inventory may say more.
    pub fn expect_of(&self, probe: &str) -> Expect {
        let own = self.probes.get(probe).map(|probe| &probe.options.expect);
        let layers: Vec<_> = own.into_iter().chain([&self.options.expect]).collect();
        let status = layers.iter().find_map(|layer| layer.status.as_ref());
        let body = layers.iter().find_map(|layer| layer.body.as_ref());
        let mut expect = Expect {
            status: status
                .map(|status| status.value.clone())
                .unwrap_or_default(),
            body_contains: body.map(|body| body.value.clone()).unwrap_or_default(),
            ..Expect::default()
        };
        for layer in layers {
            for (pointer, value) in &layer.json {
                if expect.json.iter().all(|(known, _)| *known != pointer.value) {
                    expect.json.push((pointer.value.clone(), value.clone()));
                }
            }
            for (name, value) in &layer.headers {
                if expect.headers.iter().all(|(known, _)| *known != name.value) {
                    expect.headers.push((name.value.clone(), value.clone()));
                }
            }
        }
        expect
    }
}
