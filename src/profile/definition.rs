//! Profiles: each is one convention, read from one file.

use std::sync::Arc;

use indexmap::IndexMap;

use crate::yaml::{Fields, Node, Problem, Problems};

use super::extends::laid_over_base;
use super::kind;
use super::raw::action::RawActions;
use super::raw::expect::RawExpect;
use super::raw::options::RawOptions;
use super::raw::probe::RawProbe;
use super::setting::{Level, Spanned};
use super::{Decode, Expect, ReplyDecode};

/// A convention of other people's health routes.
#[derive(Debug, Clone)]
pub struct Profile {
    /// The name of the profile: that of its file, or its key under `profiles:`.
    pub name: String,
    /// The title: one line for people.
    pub title: Option<String>,
    /// The source of our knowledge.
    pub source: Option<ProfileSource>,
    /// True for a profile that is part of healthctl, so that its places mean nothing to a user.
    pub(crate) builtin: bool,
    pub(crate) options: RawOptions,
    /// The probes by name, in the order of the file.
    pub(crate) probes: IndexMap<String, RawProbe>,
    pub(crate) actions: RawActions,
    /// The decoding of the payload of `status`, else of `ready`, else of `live`.
    pub(crate) decode: Option<Spanned<Arc<Decode>>>,
}

/// The source of our knowledge of a convention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfileSource {
    /// Replies of the real thing were captured.
    Captured,
    /// The source code was read.
    Source,
    /// The documentation was read.
    Docs,
}

impl ProfileSource {
    /// Returns the word used in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Captured => "captured",
            Self::Source => "source",
            Self::Docs => "docs",
        }
    }
}

impl Profile {
    /// Reads a profile, and adds mistakes to `problems`.
    pub fn parse(name: &str, node: &Node, problems: &mut Problems) -> Option<Self> {
        let extended = laid_over_base(node, problems);
        if extended.is_none() && node.get("extends").is_some() {
            return None;
        }
        let mut fields = Fields::read(
            extended.as_ref().unwrap_or(node),
            "a profile: a map with `probes`, `actions` and `decode`",
            problems,
        )?;
        fields.take("extends");
        let title = fields.read_key("title", problems, |entry, problems| {
            entry.value.line("one line for people", problems)
        });
        let source = fields.take("source").and_then(|entry| {
            let words = [
                ("captured", ProfileSource::Captured),
                ("source", ProfileSource::Source),
                ("docs", ProfileSource::Docs),
            ];
            entry.value.word(&words, problems)
        });
        let options = RawOptions::take(&mut fields, problems);
        let mut probes = IndexMap::new();
        if let Some(entry) = fields.take("probes") {
            let entries = entry.value.map("a map of probes", problems);
            for entry in entries.unwrap_or_default() {
                let Some(probe) = RawProbe::read(entry, problems) else {
                    continue;
                };
                if probe.off && extended.is_some() {
                    continue;
                }
                if probe.off {
                    Problem::at(&entry.value.place, "a profile has nothing to switch off")
                        .label("expected a map such as `{http: /health}`")
                        .hint("leave the probe out")
                        .report(problems);
                    continue;
                }
                // One that says only how to read an answer waits for an inventory that says where to ask.
                if probe.kind.is_none() && !probe.broken && !probe.waits() {
                    problems.push(kind::asks_nothing(&probe.name));
                }
                probes.insert(entry.key.clone(), probe);
            }
        }
        let actions = fields.read_key("actions", problems, RawActions::read);
        let decode = fields.take("decode").and_then(|entry| {
            let decode = Decode::parse(&entry.value, problems)?;
            Some(Spanned::new(Arc::new(decode), &entry.value))
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
            builtin: false,
            options,
            probes,
            actions: actions.unwrap_or_default(),
            decode,
        })
    }

    /// Returns the decoding of a probe: its own, else that of the profile, which belongs to `status`, else `ready`, else
    /// `live`.
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

    /// Returns the expectations of a probe in the profile; an inventory may have more.
    pub fn expect_of(&self, probe: &str) -> Expect {
        let own = self.probes.get(probe).map(|probe| &probe.options.expect);
        let expects = std::iter::once(&self.options.expect).chain(own);
        let levels: Vec<_> = expects.map(|expect| (self.level(false), expect)).collect();
        RawExpect::resolve(&levels)
    }

    /// Returns the names of the probes, in the order of the file.
    pub fn probe_names(&self) -> impl Iterator<Item = &str> {
        self.probes.keys().map(String::as_str)
    }

    /// Returns how the reply to a reload is read, if it is.
    pub fn reload_reply(&self) -> Option<&ReplyDecode> {
        let reply = self.actions.get("reload")?.reply.as_ref();
        reply.map(|reply| &*reply.value)
    }

    /// Returns whether the profile has settings for the probes of an inventory.
    pub fn has_settings(&self) -> bool {
        self.options.probe.interval.is_some()
    }

    /// Returns the level of the settings of the profile: those of all its probes and actions, or (`own`) of one.
    pub(crate) fn level(&self, own: bool) -> Level<'_> {
        Level::Profile {
            name: &self.name,
            builtin: self.builtin,
            own,
        }
    }
}
