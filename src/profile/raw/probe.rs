//! Probes as written.

use std::sync::Arc;

use crate::health::Role;
use crate::yaml::{Entry, Fields, Problem, Problems, Value};

use super::super::Decode;
use super::super::kind::{self, RawProbeKind};
use super::super::setting::Spanned;
use super::command::RawExecSettings;
use super::options::RawOptions;
use super::read::{check_name, is_off, keys_where};

/// A probe as written: laid over another one, or switched off.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawProbe {
    pub(crate) name: Spanned<String>,
    /// `off`: takes away the profile's probe of this name.
    pub(crate) off: bool,
    pub(crate) kind: Option<RawProbeKind>,
    pub(crate) exec_settings: RawExecSettings,
    /// The keys to which only some kinds give a meaning.
    pub(crate) kind_keys: Vec<Spanned<String>>,
    /// Set where a kind is written that could not be read, which is reported.
    pub(crate) broken: bool,
    pub(crate) options: RawOptions,
    pub(crate) required: Option<Spanned<bool>>,
    pub(crate) decode: Option<Spanned<Arc<Decode>>>,
    /// `decode` as it was written, for showing it again.
    pub(crate) decode_written: Option<serde_json::Value>,
}

impl RawProbe {
    /// Reads one entry of `probes:`.
    pub(crate) fn read(entry: &Entry, problems: &mut Problems) -> Option<Self> {
        let named = check_name("a probe", &entry.key, &entry.key_place, problems);
        let mut probe = Self {
            name: Spanned::key(entry),
            off: is_off(&entry.value),
            ..Self::default()
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
            return node
                .wrong("a map such as `{http: /health}`, or `off`")
                .maybe_hint(hint)
                .reject(problems);
        }
        let mut fields = Fields::read(node, "a map such as `{http: /health}`, or `off`", problems)?;
        let (kind, written) = RawProbeKind::take(&mut fields, problems);
        probe.exec_settings = RawExecSettings::take(&mut fields, problems);
        probe.options = RawOptions::take_of_probe(&mut fields, problems);
        probe.required = fields
            .take("required")
            .and_then(|entry| required(entry, &probe.name, problems));
        if let Some(entry) = fields.take("decode") {
            probe.decode = Decode::parse(&entry.value, problems)
                .map(|decode| Spanned::new(Arc::new(decode), &entry.value));
            probe.decode_written = Some(entry.value.to_json());
        }
        fields.not_yet(kind::GRPC, problems);
        probe.broken = (written || node.get(kind::GRPC).is_some()) && kind.is_none();
        probe.kind_keys = keys_where(node, kind::is_kind_specific);
        if let Some(kind) = &kind {
            kind::check_keys(kind.name(), &probe.kind_keys, problems);
        }
        probe.kind = kind;
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

    /// Returns whether the probe says how an answer is read and not where to ask for one. In a profile such a probe
    /// waits for an inventory that does.
    pub(crate) fn waits(&self) -> bool {
        self.kind.is_none() && !self.broken && self.decode_written.is_some()
    }
}

/// Reads `required` of a named probe.
fn required(
    entry: &Entry,
    name: &Spanned<String>,
    problems: &mut Problems,
) -> Option<Spanned<bool>> {
    if matches!(entry.value.value, Value::List(_)) {
        return entry
            .value
            .wrong("`true` or `false`")
            .hint("the list of required dependencies belongs to the service, beside `probes`")
            .reject(problems);
    }
    let value = entry.value.boolean(problems)?;
    let meaning = match Role::of(&name.value) {
        Role::Named => return Some(Spanned::new(value, &entry.value)),
        Role::Live => "a failing `live` always makes the service unhealthy",
        Role::Ready => "a failing `ready` always makes the service unready",
        Role::Startup => "a failing `startup` always makes the service unhealthy",
        Role::Status => "`status` says itself how the service is",
    };
    let message = format!("`required` means nothing to `{}`", name.value);
    Problem::at(&entry.key_place, message)
        .label("only probes with a name of your own have it")
        .hint(meaning)
        .reject(problems)
}
