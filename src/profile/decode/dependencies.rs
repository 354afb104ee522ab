//! The components that a payload reports on: a map or a list of entries, each to one [`Dependency`].

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::details;
use super::place::{Document, Place, Places, Source, holds, raw, truthy};
use super::words::{Words, meaning};
use crate::health::text::clean;
use crate::health::{Age, Dependency, DependencyStatus, Moment, State};

/// Entries kept of one payload; the rest counts towards the state and is left out of the table.
pub(super) const MOST_DEPENDENCIES: usize = 1_000;
/// Characters of a name.
const LONGEST_NAME: usize = 128;
/// Characters of a word.
pub(super) const LONGEST_WORD: usize = 100;
/// Characters of an error.
const LONGEST_ERROR: usize = 500;

/// `dependencies:` of a profile.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Table {
    /// Where the entries are.
    pub(super) at: Places,
    /// The name of an entry; the key of a map where it is left out.
    pub(super) name: Places,
    /// Keys that are no dependencies.
    pub(super) ignore: Vec<String>,
    /// A map or a list; whichever comes where it is left out.
    pub(super) shape: Option<Shape>,
    /// What an entry is; whatever comes where it is left out.
    pub(super) kind: Option<EntryKind>,
    /// Only what fails is listed.
    pub(super) failures_only: bool,
    /// Where an entry has entries of its own.
    pub(super) recurse: Vec<Source>,
    /// Which ones the service cannot do without.
    pub(super) required: Required,
    /// The status word, each place with its own words.
    pub(super) status: Vec<(Place, Option<Words<DependencyStatus>>)>,
    /// The words of the table where a place has none of its own.
    pub(super) words: Option<Words<DependencyStatus>>,
    /// What is wrong.
    pub(super) error: Places,
    /// When it last worked.
    pub(super) last_success: Places,
    /// When it last failed.
    pub(super) last_failure: Places,
    /// How often it worked.
    pub(super) success_count: Places,
    /// How often it failed.
    pub(super) failure_count: Places,
    /// How long its check took.
    pub(super) latency: Places,
}

/// `shape:` how the entries stand together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// By name.
    Map,
    /// One after another.
    Array,
}

/// `value:` what an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryKind {
    /// A map with places in it.
    Object,
    /// A word, or the text of what is wrong.
    Text,
    /// True where it works.
    Bool,
}

/// `required:` of a profile.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Required {
    /// These names.
    Names(Vec<String>),
    /// Those whose entry says so.
    Says(Places),
}

/// The dependencies of one payload.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Found {
    /// In payload order.
    pub(super) list: Vec<Dependency>,
    /// How many there were beyond [`MOST_DEPENDENCIES`].
    pub(super) left_out: usize,
    /// One that was left out is in error, with the first one's name.
    pub(super) left_out_error: Option<String>,
}

impl Table {
    /// The entries of a payload; `None` where it has no such table.
    pub(super) fn read(&self, document: Document<'_>, now: Moment) -> Option<Found> {
        let table = self.entries(document);
        let mut reader = Reader {
            table: self,
            headers: document.headers,
            now,
            found: Found::default(),
            names: HashMap::new(),
            absent: Vec::new(),
            reports: false,
        };
        match table {
            Some(table) => reader.read(&table, None),
            // Where only failures are listed, no list is the best news.
            None if self.failures_only => {}
            None => return None,
        }
        Some(reader.finish())
    }

    /// The first place that holds something, else the first that holds a table without entries.
    fn entries<'a>(&self, document: Document<'a>) -> Option<Cow<'a, Value>> {
        if let Some((_, value)) = self.at.find(document) {
            return self.fits(&value).then_some(value);
        }
        let mut all = self.at.0.iter();
        all.find_map(|place| place.source.look(document).filter(|value| self.fits(value)))
    }

    /// Whether a value is such a table. One without entries is, in either shape: some languages cannot tell them
    /// apart.
    fn fits(&self, value: &Value) -> bool {
        match value {
            Value::Object(map) => map.is_empty() || self.shape != Some(Shape::Array),
            Value::Array(items) => items.is_empty() || self.shape != Some(Shape::Map),
            _ => false,
        }
    }
}

/// Reads one payload.
struct Reader<'a> {
    table: &'a Table,
    headers: &'a [(String, String)],
    now: Moment,
    found: Found,
    /// Names given so far, each with how often.
    names: HashMap<String, usize>,
    /// For each dependency kept, whether its last success and its last failure are not in the payload.
    absent: Vec<[bool; 2]>,
    /// Whether any entry carries a counter or an age: then their absence elsewhere means *never*.
    reports: bool,
}

/// What the word of an entry means.
struct Told {
    status: DependencyStatus,
    word: Option<String>,
    /// The text of what is wrong where the word itself is it.
    error: Option<String>,
    /// Where the word stood.
    at: Option<Source>,
}

impl Reader<'_> {
    /// Reads the entries of a table, `under` being the name of the entry that holds it.
    fn read(&mut self, table: &Value, under: Option<&str>) {
        match table {
            Value::Object(map) => {
                for (key, entry) in map {
                    if !self.table.ignore.contains(key) {
                        self.entry(key, entry, under, false);
                    }
                }
            }
            Value::Array(items) => {
                for (index, entry) in items.iter().enumerate() {
                    // A list of bare names is a list of what fails.
                    let name = match entry {
                        Value::String(name) => name.clone(),
                        _ => index.to_string(),
                    };
                    if !self.table.ignore.contains(&name) {
                        self.entry(&name, entry, under, true);
                    }
                }
            }
            _ => {}
        }
    }

    /// Reads one entry; `listed` is one of a list, whose key is only its number.
    fn entry(&mut self, key: &str, entry: &Value, under: Option<&str>, listed: bool) {
        let document = Document {
            json: Some(entry),
            headers: self.headers,
        };
        // Inside an entry, what says nothing of how it is is a detail and no dependency.
        if under.is_some() && !self.is_entry(entry, document) {
            return;
        }
        let own = self.table.name.text(document, LONGEST_NAME).or_else(|| {
            let unnamed = listed && self.table.name.is_empty();
            let name = entry
                .get("name")
                .filter(|name| unnamed && name.is_string())?;
            Some(clean(raw(name).as_str(), LONGEST_NAME)).filter(|name| !name.is_empty())
        });
        if own
            .as_ref()
            .is_some_and(|own| self.table.ignore.contains(own))
        {
            return;
        }
        let own = own.unwrap_or_else(|| clean(key.trim(), LONGEST_NAME));
        let own = if own.is_empty() {
            "(no name)".to_owned()
        } else {
            own
        };
        let name = match under {
            Some(parent) => clean(&format!("{parent}/{own}"), LONGEST_NAME),
            None => own,
        };
        self.keep(&name, entry, document);
        for source in &self.table.recurse {
            if let Some(nested) = source.look(document)
                && (nested.is_object() || nested.is_array())
            {
                self.read(&nested, Some(&name));
            }
        }
    }

    /// Whether a value inside an entry is an entry itself.
    fn is_entry(&self, value: &Value, document: Document<'_>) -> bool {
        match self.table.kind {
            Some(EntryKind::Text) => value.is_string(),
            Some(EntryKind::Bool) => value.is_boolean(),
            Some(EntryKind::Object) | None => {
                value.is_object() && self.table.word_of(document).is_some()
            }
        }
    }

    fn keep(&mut self, name: &str, entry: &Value, document: Document<'_>) {
        let told = self.told(entry, document);
        if self.found.list.len() >= MOST_DEPENDENCIES {
            self.found.left_out += 1;
            if told.status == DependencyStatus::Error && self.found.left_out_error.is_none() {
                self.found.left_out_error = Some(name.to_owned());
            }
            return;
        }
        let table = self.table;
        let wrong = !matches!(
            told.status,
            DependencyStatus::Working | DependencyStatus::NotUsed
        );
        let error = match told.error {
            Some(error) => Some(error),
            // `connected` of one that works is no error; it stays among the details.
            None if wrong => table.error.text(document, LONGEST_ERROR),
            None => None,
        };
        let counters = [&table.success_count, &table.failure_count];
        self.reports |= [&table.last_success, &table.last_failure]
            .into_iter()
            .chain(counters)
            .any(|places| places.stands(document));
        let last_success = table.last_success.age(document, self.now);
        let last_failure = table.last_failure.age(document, self.now);
        self.absent
            .push([last_success.is_none(), last_failure.is_none()]);
        let dependency = Dependency {
            status: told.status,
            word: told.word,
            required: match &table.required {
                Required::Names(names) => names.iter().any(|known| known == name),
                Required::Says(places) => places.flag(document),
            },
            details: self.details(entry, document, told.at.as_ref(), error.is_some()),
            error,
            success_count: table.success_count.count(document),
            failure_count: table.failure_count.count(document),
            last_success: last_success.unwrap_or_default(),
            last_failure: last_failure.unwrap_or_default(),
            latency: table.latency.duration(document),
            ..Dependency::new(self.unique(name), told.status)
        };
        self.found.list.push(dependency);
    }

    /// All of an entry that was not read as something of ours.
    fn details(
        &self,
        entry: &Value,
        document: Document<'_>,
        word: Option<&Source>,
        error_taken: bool,
    ) -> BTreeMap<String, Value> {
        let table = self.table;
        let mut read: Vec<&Source> = word.into_iter().collect();
        read.extend(table.error.read(document, error_taken));
        let fields = [
            &table.name,
            &table.latency,
            &table.success_count,
            &table.failure_count,
            &table.last_success,
            &table.last_failure,
        ];
        for places in fields {
            read.extend(places.read(document, true));
        }
        if let Required::Says(places) = &table.required {
            read.extend(places.read(document, true));
        }
        // A table inside an entry stays among the details where not all in it became dependencies.
        read.extend(table.recurse.iter().filter(|source| {
            let within = |value: &Value| {
                let inner = Document {
                    json: Some(value),
                    headers: self.headers,
                };
                self.is_entry(value, inner)
            };
            match source.look(document).as_deref() {
                Some(Value::Object(map)) => map.values().all(within),
                Some(Value::Array(items)) => items.iter().all(within),
                _ => false,
            }
        }));
        details::rest(entry, &read)
    }

    /// The name, or one with a number behind it where it was seen before.
    fn unique(&mut self, name: &str) -> String {
        let mut number = self.names.get(name).copied().unwrap_or(0);
        loop {
            number += 1;
            let candidate = match number {
                1 => name.to_owned(),
                _ => format!("{name}#{number}"),
            };
            // The candidate may be what another entry is called.
            if number == 1 || !self.names.contains_key(&candidate) {
                self.names.insert(name.to_owned(), number);
                self.names.entry(candidate.clone()).or_insert(1);
                return candidate;
            }
        }
    }

    fn told(&self, entry: &Value, document: Document<'_>) -> Told {
        let mut told = self.table.told(entry, document);
        // What is listed among failures has failed, whatever it calls itself.
        if self.table.failures_only && told.status != DependencyStatus::Degraded {
            told.status = DependencyStatus::Error;
        }
        told
    }

    fn finish(mut self) -> Found {
        // A service that reports counters or ages, and none here, says *never*; one that reports none at all leaves
        // them to what we see ourselves.
        if self.reports {
            let (success, failure) = (&self.table.last_success, &self.table.last_failure);
            for (dependency, absent) in self.found.list.iter_mut().zip(&self.absent) {
                let [no_success, no_failure] = *absent;
                if no_success && !success.is_empty() {
                    dependency.last_success = Age::Never;
                }
                if no_failure && !failure.is_empty() {
                    dependency.last_failure = Age::Never;
                }
            }
        }
        self.found
    }
}

impl Table {
    /// The place of the status word that holds something, and its words.
    fn word_of<'a>(
        &self,
        document: Document<'a>,
    ) -> Option<(&Place, Option<&Words<DependencyStatus>>, Cow<'a, Value>)> {
        self.status.iter().find_map(|(place, words)| {
            let value = place.source.look(document)?;
            let words = words.as_ref().or(self.words.as_ref());
            holds(&value).then_some((place, words, value))
        })
    }

    fn told(&self, entry: &Value, document: Document<'_>) -> Told {
        let nothing = Told {
            status: DependencyStatus::Unknown,
            word: None,
            error: None,
            at: None,
        };
        let own = || {
            self.words
                .as_ref()
                .or(self.status.first().and_then(|(_, words)| words.as_ref()))
        };
        match (self.kind, entry) {
            (
                Some(EntryKind::Bool),
                value @ (Value::Bool(_) | Value::Number(_) | Value::String(_)),
            ) => {
                let status = meaning(own(), &raw(value)).unwrap_or(if truthy(value) {
                    DependencyStatus::Working
                } else {
                    DependencyStatus::Error
                });
                Told {
                    status,
                    word: Some(clean(&raw(value), LONGEST_WORD)),
                    ..nothing
                }
            }
            (kind, value @ (Value::Bool(_) | Value::Number(_) | Value::String(_))) => {
                let text = raw(value);
                if text.is_empty() {
                    return nothing;
                }
                let known = meaning(own(), &text);
                // In such a map whatever is no word for working is the text of what is wrong.
                let message =
                    known.is_none() && (kind == Some(EntryKind::Text) || self.failures_only);
                Told {
                    status: match known {
                        Some(status) => status,
                        None if message => DependencyStatus::Error,
                        None => DependencyStatus::Unknown,
                    },
                    error: message.then(|| clean(&text, LONGEST_ERROR)),
                    word: Some(clean(&text, LONGEST_WORD)),
                    at: None,
                }
            }
            _ => match self.word_of(document) {
                Some((place, words, value)) => {
                    let text = raw(&value);
                    Told {
                        status: meaning(words, &text).unwrap_or(DependencyStatus::Unknown),
                        word: Some(clean(&text, LONGEST_WORD)),
                        error: None,
                        at: Some(place.source.clone()),
                    }
                }
                None => nothing,
            },
        }
    }
}

impl Found {
    /// What the entries together amount to; `None` where there is none that counts.
    pub(super) fn state(&self) -> Option<State> {
        use DependencyStatus::{Degraded, Error, NotUsed, Unknown, Working};
        let has = |wanted| self.list.iter().any(|entry| entry.status == wanted);
        let required = |entry: &Dependency| entry.required && entry.status == Error;
        if self.list.iter().any(required) {
            Some(State::Unhealthy)
        } else if has(Error) || has(Degraded) || self.left_out_error.is_some() {
            Some(State::Degraded)
        } else if has(Working) {
            // Some that nobody has checked yet do not speak against the others.
            Some(State::Healthy)
        } else if has(Unknown) {
            Some(State::Unknown)
        } else {
            debug_assert!(self.list.iter().all(|entry| entry.status == NotUsed));
            None
        }
    }

    /// The first required one in error, in words.
    pub(super) fn required_error(&self) -> Option<String> {
        let wrong = |entry: &&Dependency| entry.required && entry.status == DependencyStatus::Error;
        let entry = self.list.iter().find(wrong)?;
        let why = entry.error.as_deref().or(entry.word.as_deref());
        Some(format!(
            "required dependency {}: {}",
            entry.name,
            why.unwrap_or("in error")
        ))
    }

    /// A sentence on what is missing in the list.
    pub(super) fn note(&self) -> Option<String> {
        if self.left_out == 0 {
            return None;
        }
        let mut note = format!(
            "{} more dependencies are left out, {MOST_DEPENDENCIES} are the limit",
            self.left_out
        );
        if let Some(name) = &self.left_out_error {
            note.push_str(&format!("; among them {name} is in error"));
        }
        Some(note)
    }
}
