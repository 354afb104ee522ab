//! Places as a profile writes them: a pointer, a header, `{at, unit, never, words}`, or a list of these.

use super::{Parser, meant};
use crate::profile::decode::Format;
use crate::profile::decode::place::{Place, Places, Source};
use crate::profile::decode::unit::Unit;
use crate::profile::decode::words::{Vocabulary, Words};
use crate::yaml::{Entry, Fields, Node, Problem, Value};

/// What may be said of the value at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    /// Nothing more than which values are none: text, flags, counters.
    Text,
    /// The unit of an epoch.
    Time,
    /// The unit of a number or text.
    Duration,
    /// The unit of an age or of an epoch.
    Age,
    /// Words, which the caller reads.
    Word,
}

/// Places of status words, each with words of its own.
pub(super) type WordPlaces<S> = Vec<(Place, Option<Words<S>>)>;

/// A place as it was written, the node of its words not read yet.
struct Written<'n> {
    place: Place,
    words: Option<&'n Node>,
}

impl Parser<'_> {
    /// The places of a field without words; none where the field is left out.
    pub(super) fn places(&mut self, entry: Option<&Entry>, setting: Setting) -> Places {
        entry.map_or_else(Places::default, |entry| {
            self.places_at(&entry.value, setting)
        })
    }

    /// The places that a node names.
    pub(super) fn places_at(&mut self, node: &Node, setting: Setting) -> Places {
        let written = self.written(node, setting).into_iter();
        Places(written.map(|written| written.place).collect())
    }

    /// The places of a status word.
    pub(super) fn places_with_words<S: Vocabulary>(
        &mut self,
        entry: Option<&Entry>,
    ) -> WordPlaces<S> {
        let Some(entry) = entry else {
            return Vec::new();
        };
        let mut places = WordPlaces::new();
        for written in self.written(&entry.value, Setting::Word) {
            let words = written.words.and_then(|node| self.words(node));
            places.push((written.place, words));
        }
        places
    }

    fn written<'n>(&mut self, node: &'n Node, setting: Setting) -> Vec<Written<'n>> {
        match &node.value {
            Value::List(items) if items.is_empty() => {
                self.problems.push(node.wrong(PLACE));
                Vec::new()
            }
            Value::List(items) => items
                .iter()
                .flat_map(|item| match &item.value {
                    Value::List(_) => {
                        self.problems.push(item.wrong(PLACE));
                        Vec::new()
                    }
                    _ => self.written(item, setting),
                })
                .collect(),
            Value::Map(_) => self.described(node, setting),
            _ => self
                .source(node)
                .map(Place::plain)
                .map(bare)
                .into_iter()
                .collect(),
        }
    }

    /// `{at, unit, never, words}`: what is said holds for each place of a list in `at`.
    fn described<'n>(&mut self, node: &'n Node, setting: Setting) -> Vec<Written<'n>> {
        let Some(mut fields) = Fields::read(node, PLACE, self.problems) else {
            return Vec::new();
        };
        let at = fields.take("at");
        let unit = match setting {
            Setting::Time | Setting::Duration | Setting::Age => fields.take("unit"),
            Setting::Text | Setting::Word => None,
        };
        let words = match setting {
            Setting::Word => fields.take("words"),
            _ => None,
        };
        let never = fields.take("never").map(|entry| match &entry.value.value {
            Value::List(items) => items.iter().map(Node::to_json).collect(),
            _ => vec![entry.value.to_json()],
        });
        fields.finish_with(self.problems, |key| match key {
            "unit" => Some("a unit has no meaning here; take it out".to_owned()),
            "words" => Some("words have no meaning here; take them out".to_owned()),
            _ => None,
        });
        let unit = unit.and_then(|entry| self.unit(&entry.value, setting));
        let Some(at) = at else {
            self.problems.push(
                Problem::at(&node.place, "a place without `at`").label(format!("expected {PLACE}")),
            );
            return Vec::new();
        };
        let mut written = match &at.value.value {
            Value::Map(_) => {
                self.problems.push(at.value.wrong(PLACE));
                Vec::new()
            }
            _ => self.written(&at.value, setting),
        };
        for one in &mut written {
            one.place.unit = one.place.unit.or(unit);
            if one.place.never.is_empty() {
                one.place.never = never.clone().unwrap_or_default();
            }
            one.words = one.words.or(words.map(|entry| &entry.value));
        }
        written
    }

    fn unit(&mut self, node: &Node, setting: Setting) -> Option<Unit> {
        let numbers_only = setting == Setting::Time;
        let words: Vec<_> = Unit::NAMES
            .iter()
            .filter_map(|name| Some((*name, Unit::parse(name)?)))
            .filter(|(_, unit)| !numbers_only || unit.seconds().is_some())
            .collect();
        node.word(&words, self.problems)
    }

    /// The name of a format in whose body no place can be looked up.
    pub(super) fn without_places(&self) -> Option<&'static str> {
        match self.format {
            Format::Json | Format::Lines => None,
            Format::Text => Some("text"),
            Format::None => Some("none"),
        }
    }

    /// One pointer or header.
    pub(super) fn source(&mut self, node: &Node) -> Option<Source> {
        let Value::Text(text) = &node.value else {
            self.problems.push(node.wrong(PLACE));
            return None;
        };
        let refuse = |message: String, hint: Option<String>| {
            Problem::at(&node.place, message)
                .label(format!("expected {PLACE}"))
                .maybe_hint(hint)
        };
        let problem = if let Some(name) = text.strip_prefix("header:") {
            let name = name.trim();
            if is_header_name(name) {
                return Some(Source::Header(name.to_ascii_lowercase()));
            }
            refuse(format!("{} names no header", node.shown()), None)
        } else if !text.is_empty() && !text.starts_with('/') {
            let hint = match text.split_once(':') {
                Some((scheme, name)) if meant(scheme, ["header"]).is_some() => {
                    format!("did you mean `header:{name}`?")
                }
                _ => format!("did you mean `/{text}`?"),
            };
            refuse(format!("{} is no place", node.shown()), Some(hint))
        } else if has_bad_escape(text) {
            let hint = "`~` is written `~0` in a pointer, and `/` inside a name `~1`";
            refuse(
                format!("{} is no JSON pointer", node.shown()),
                Some(hint.to_owned()),
            )
        } else if let Some(format) = self.without_places() {
            refuse(
                format!(
                    "{} is in a JSON body, and the format is `{format}`",
                    node.shown()
                ),
                Some("only headers, as `header:NAME`, can be read there".to_owned()),
            )
        } else {
            return Some(Source::Pointer(text.clone()));
        };
        self.problems.push(problem);
        None
    }
}

/// What a place is, for messages.
const PLACE: &str = "a place such as `/status` or `header:NAME`";

fn bare<'n>(place: Place) -> Written<'n> {
    Written { place, words: None }
}

/// Characters of an HTTP token.
fn is_header_name(name: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(token)
}

/// A `~` that is not followed by `0` or `1`.
fn has_bad_escape(pointer: &str) -> bool {
    pointer
        .split('~')
        .skip(1)
        .any(|after| !after.starts_with(['0', '1']))
}
