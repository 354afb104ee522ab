//! Reads the fields of a profile: a pointer, a header, `{at, unit, never, words}`, or a list of these.

use super::field::{FieldSpec, FieldSpecs, PayloadPath, WordSpecs};
use super::time::Unit;
use super::words::{Vocabulary, WordMap};
use crate::profile::request::is_token;
use crate::text::nearest;
use crate::yaml::{Entry, Fields, Node, Place, Problem, Problems, Value};

/// `format:` of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyFormat {
    Json,
    /// The whole body is the status word.
    Text,
    /// Each line is an entry.
    Lines,
    /// The body is not read.
    None,
}

/// Reads one `decode:` or `reply:`.
pub(super) struct Parser<'p> {
    pub(super) format: BodyFormat,
    /// The place of `format:`, or of the map that lacks it.
    pub(super) format_place: &'p Place,
    pub(super) problems: &'p mut Problems,
}

/// The kind of a field: it tells which keys may describe its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FieldKind {
    /// Only which values mean never: text, flags, counters.
    Text,
    /// The unit of an epoch.
    Time,
    /// The unit of a duration, of an age or of an epoch.
    Duration,
    /// The words of a status.
    Word,
}

/// A field as it was written, with its words not read yet.
struct WrittenField<'n> {
    spec: FieldSpec,
    words: Option<&'n Entry>,
}

/// The description of a field for messages.
const FIELD: &str = "a place such as `/status` or `header:NAME`";

impl Parser<'_> {
    /// Reads a field without words; returns no specs when it is left out.
    pub(super) fn field(&mut self, entry: Option<&Entry>, kind: FieldKind) -> FieldSpecs {
        entry.map_or_else(FieldSpecs::default, |entry| {
            self.field_at(&entry.value, kind)
        })
    }

    /// Takes a key whose field has neither words nor a unit.
    pub(super) fn take_text(&mut self, fields: &mut Fields<'_>, key: &'static str) -> FieldSpecs {
        self.field(fields.take(key), FieldKind::Text)
    }

    /// Takes a key whose field is a duration or an age.
    pub(super) fn take_duration(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
    ) -> FieldSpecs {
        self.field(fields.take(key), FieldKind::Duration)
    }

    pub(super) fn field_at(&mut self, node: &Node, kind: FieldKind) -> FieldSpecs {
        let written = self.written(node, kind).into_iter();
        FieldSpecs(written.map(|written| written.spec).collect())
    }

    /// Takes the field of a status word.
    pub(super) fn take_word<S: Vocabulary>(
        &mut self,
        fields: &mut Fields<'_>,
        key: &'static str,
    ) -> WordSpecs<S> {
        self.word(fields.take(key))
    }

    /// Reads the field of a status word; returns no specs when it is left out.
    pub(super) fn word<S: Vocabulary>(&mut self, entry: Option<&Entry>) -> WordSpecs<S> {
        let written = entry.map(|entry| self.written(&entry.value, FieldKind::Word));
        let written = written
            .unwrap_or_default()
            .into_iter()
            .map(|written| (written.spec, WordMap::parse(written.words, self.problems)));
        WordSpecs(written.collect())
    }

    fn written<'n>(&mut self, node: &'n Node, kind: FieldKind) -> Vec<WrittenField<'n>> {
        match &node.value {
            Value::List(items) => {
                if items.is_empty() {
                    self.problems.push(node.wrong(FIELD));
                }
                let mut written = Vec::new();
                for item in items {
                    match &item.value {
                        Value::List(_) => self.problems.push(item.wrong(FIELD)),
                        _ => written.extend(self.written(item, kind)),
                    }
                }
                written
            }
            Value::Map(_) => self.described(node, kind),
            _ => {
                let spec = self.path(node).map(FieldSpec::at);
                let written = spec.map(|spec| WrittenField { spec, words: None });
                written.into_iter().collect()
            }
        }
    }

    /// Reads `{at, unit, never, words}`; all but `at` holds for each path of a list in `at`.
    fn described<'n>(&mut self, node: &'n Node, kind: FieldKind) -> Vec<WrittenField<'n>> {
        let Some(mut fields) = Fields::read(node, FIELD, self.problems) else {
            return Vec::new();
        };
        let at = fields.take("at");
        let unit = match kind {
            FieldKind::Time | FieldKind::Duration => fields.take("unit"),
            FieldKind::Text | FieldKind::Word => None,
        };
        let words = match kind {
            FieldKind::Word => fields.take("words"),
            _ => None,
        };
        let never = fields.take("never").map(|entry| entry.value.one_or_many());
        let never: Vec<_> = never.into_iter().flatten().map(Node::to_json).collect();
        fields.finish_with(self.problems, |key| match key {
            "unit" => Some("a unit has no meaning here; take it out".to_owned()),
            "words" => Some("words have no meaning here; take them out".to_owned()),
            _ => None,
        });
        let unit = unit.and_then(|entry| {
            let mut units = Unit::WORDS.to_vec();
            units.retain(|(_, unit)| kind != FieldKind::Time || unit.nanoseconds().is_some());
            entry.value.word(&units, self.problems)
        });
        let Some(at) = at else {
            self.problems
                .push(Problem::at(&node.place, "a place without `at`").expected(FIELD));
            return Vec::new();
        };
        if let Value::Map(_) = &at.value.value {
            self.problems.push(at.value.wrong(FIELD));
            return Vec::new();
        }
        let mut written = self.written(&at.value, kind);
        for field in &mut written {
            field.spec.unit = field.spec.unit.or(unit);
            if field.spec.never.is_empty() {
                field.spec.never.clone_from(&never);
            }
            field.words = field.words.or(words);
        }
        written
    }

    /// Returns the name of the format when its body has no paths.
    pub(super) fn format_without_paths(&self) -> Option<&'static str> {
        match self.format {
            BodyFormat::Json | BodyFormat::Lines => None,
            BodyFormat::Text => Some("text"),
            BodyFormat::None => Some("none"),
        }
    }

    /// Reads one pointer or header.
    pub(super) fn path(&mut self, node: &Node) -> Option<PayloadPath> {
        let Value::Text(text) = &node.value else {
            return node.wrong(FIELD).reject(self.problems);
        };
        let shown = node.shown();
        let (message, hint) = if let Some(name) = text.strip_prefix("header:") {
            let name = name.trim();
            if is_token(name) {
                return Some(PayloadPath::Header(name.to_ascii_lowercase()));
            }
            (format!("{shown} names no header"), None)
        } else if !text.is_empty() && !text.starts_with('/') {
            let hint = match text.split_once(':') {
                Some((scheme, name)) if nearest(scheme, ["header"]).is_some() => {
                    format!("did you mean `header:{name}`?")
                }
                _ => format!("did you mean `/{text}`?"),
            };
            (format!("{shown} is no place"), Some(hint))
        } else if has_bad_escape(text) {
            let hint = "`~` is written `~0` in a pointer, and `/` inside a name `~1`";
            (format!("{shown} is no JSON pointer"), Some(hint.to_owned()))
        } else if let Some(format) = self.format_without_paths() {
            (
                format!("{shown} is in a JSON body, and the format is `{format}`"),
                Some("only headers, as `header:NAME`, can be read there".to_owned()),
            )
        } else {
            return Some(PayloadPath::Pointer(text.clone()));
        };
        let problem = Problem::at(&node.place, message).expected(FIELD);
        problem.maybe_hint(hint).reject(self.problems)
    }

    /// Reads a list of names; returns none when it is left out.
    pub(super) fn names(&mut self, entry: Option<&Entry>, expected: &str) -> Vec<String> {
        let items = entry.and_then(|entry| entry.value.list(expected, self.problems));
        let items = items.unwrap_or_default().iter();
        items
            .filter_map(|item| item.text("a name", self.problems))
            .collect()
    }

    /// Reports that a map lacks a key that it needs.
    pub(super) fn missing(&mut self, place: &Place, message: impl Into<String>, expected: &str) {
        self.problems
            .push(Problem::at(place, message).expected(expected));
    }
}

/// Returns whether a `~` is not followed by `0` or `1`.
fn has_bad_escape(pointer: &str) -> bool {
    let mut parts = pointer.split('~').skip(1);
    parts.any(|after| !after.starts_with(['0', '1']))
}
