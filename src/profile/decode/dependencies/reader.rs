//! Walks the entries of a payload.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::super::details;
use super::super::place::{Document, Source, raw};
use super::super::pointer;
use super::told::Told;
use super::{EntryKind, Found, LONGEST_ERROR, LONGEST_NAME, MOST_DEPENDENCIES, Required, Table};
use crate::health::{Age, Dependency, DependencyStatus, Moment};
use crate::text::clean;

/// Reads one payload.
pub(super) struct Reader<'a> {
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

impl<'a> Reader<'a> {
    /// A reader that has read nothing yet.
    pub(super) fn new(table: &'a Table, document: Document<'a>, now: Moment) -> Self {
        Self {
            table,
            headers: document.headers,
            now,
            found: Found::default(),
            names: HashMap::new(),
            absent: Vec::new(),
            reports: false,
        }
    }

    /// Reads the entries of a table, `under` being the name of the entry that holds it.
    pub(super) fn read(&mut self, table: &Value, under: Option<&str>) {
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
        let mut told = self.told(entry, document);
        let heartbeat = self.table.heartbeat.as_ref();
        let heartbeat = heartbeat.and_then(|pulse| pulse.read(document));
        if heartbeat.as_ref().is_some_and(|beat| beat.is_final) {
            // It is not there any more, and nobody expects it to be.
            told.status = DependencyStatus::NotUsed;
        }
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
        let [checked_well, checked_ill] = self.last_check(told.status, document);
        let last_success = table.last_success.age(document, self.now).or(checked_well);
        let last_failure = table.last_failure.age(document, self.now).or(checked_ill);
        self.absent
            .push([last_success.is_none(), last_failure.is_none()]);
        let dependency = Dependency {
            word: told.word,
            required: match &table.required {
                Required::Names(names) => names.iter().any(|known| known == name),
                Required::Says(places) => places.flag(document),
            },
            details: self
                .details(entry, document, told.at.as_ref(), error.is_some())
                .into(),
            error,
            success_count: table.success_count.count(document),
            failure_count: table.failure_count.count(document),
            last_success: last_success.unwrap_or_default(),
            last_failure: last_failure.unwrap_or_default(),
            latency: table.latency.duration(document),
            heartbeat,
            ..Dependency::new(self.unique(name), told.status)
        };
        self.found.list.push(dependency);
    }

    /// The time of the last check as that of the last success, or of the last failure, whichever it was. One that was
    /// never checked has neither.
    fn last_check(&self, status: DependencyStatus, document: Document<'_>) -> [Option<Age>; 2] {
        let age = self.table.last_check.age(document, self.now);
        match (age, status) {
            (Some(Age::Never), _) => [age, age],
            (_, DependencyStatus::Working | DependencyStatus::Degraded) => [age, None],
            (_, DependencyStatus::Error) => [None, age],
            (_, DependencyStatus::NotUsed | DependencyStatus::Unknown) => [None, None],
        }
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
            &table.last_check,
        ];
        for places in fields {
            read.extend(places.read(document, true));
        }
        if let Some(pulse) = &table.heartbeat {
            read.extend(pulse.taken(document));
        }
        if let Required::Says(places) = &table.required {
            read.extend(places.read(document, true));
        }
        let nested = self.nested(document);
        read.extend(nested.iter());
        details::rest(entry, &read)
    }

    /// What inside an entry became dependencies: whole tables, or single entries of one that has other things in it too.
    fn nested(&self, document: Document<'_>) -> Vec<Source> {
        let is_entry = |value: &Value| {
            let inner = Document {
                json: Some(value),
                headers: self.headers,
            };
            self.is_entry(value, inner)
        };
        let mut nested = Vec::new();
        for source in &self.table.recurse {
            let Source::Pointer(pointer) = source else {
                continue;
            };
            match source.look(document).as_deref() {
                Some(Value::Object(map)) if !map.values().all(is_entry) => {
                    let entries = map.iter().filter(|(_, value)| is_entry(value));
                    nested.extend(
                        entries.map(|(key, _)| Source::Pointer(pointer::within(pointer, key))),
                    );
                }
                Some(Value::Object(_)) => nested.push(source.clone()),
                // An item of a list cannot be taken out without moving the others.
                Some(Value::Array(items)) if items.iter().all(is_entry) => {
                    nested.push(source.clone());
                }
                _ => {}
            }
        }
        nested
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

    /// Those that the profile requires and the payload does not name: nothing is known of them.
    fn add_absent(&mut self) {
        let Required::Names(names) = &self.table.required else {
            return;
        };
        // Where only failures are listed, not to be there is good news; where some are left out, it may be among them.
        if self.table.failures_only || self.found.left_out > 0 {
            return;
        }
        for name in names {
            if !self.found.list.iter().any(|known| known.name == *name) {
                self.absent.push([false, false]);
                self.found.list.push(Dependency {
                    required: true,
                    error: Some("not reported".to_owned()),
                    ..Dependency::new(name.clone(), DependencyStatus::Unknown)
                });
            }
        }
    }

    /// All that was read.
    pub(super) fn finish(mut self) -> Found {
        self.add_absent();
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
