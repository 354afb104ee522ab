//! Reads the entries of a payload.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    DependencyList, DependencyTable, EntryKind, MOST_DEPENDENCIES, Required, Shape, UniqueNames,
};
use crate::health::{Age, Dependency, DependencyStatus, Moment};
use crate::profile::decode::field::{PayloadPath, PayloadView, as_text, truthy};
use crate::profile::decode::words::{LONGEST_WORD, meaning};
use crate::profile::decode::{details, json, pointer};
use crate::text::clean;

/// The longest name, in characters.
const LONGEST_NAME: usize = 128;
/// The longest error, in characters.
const LONGEST_ERROR: usize = 500;

impl DependencyTable {
    /// Returns the dependencies of a payload, or `None` when it has no such table.
    pub(crate) fn read(&self, view: PayloadView<'_>, now: Moment) -> Option<DependencyList> {
        let mut reader = DependencyReader {
            table: self,
            view,
            now,
            found: DependencyList::default(),
            names: UniqueNames::default(),
            lacks_ages: Vec::new(),
            reports: false,
        };
        match self.entries(view) {
            Some(entries) => reader.read(&entries, None),
            // When only failures are listed, no list means no failure.
            None if self.failures_only => {}
            None => return None,
        }
        Some(reader.finish())
    }

    /// Returns the table at the first path with a value, else the first table without entries.
    fn entries<'a>(&self, view: PayloadView<'a>) -> Option<Cow<'a, Value>> {
        if let Some((_, value)) = self.at.find(view) {
            return self.fits(&value).then_some(value);
        }
        let mut all = self.at.0.iter();
        all.find_map(|spec| spec.path.look_up(view).filter(|value| self.fits(value)))
    }

    /// Returns whether a value is such a table. One without entries is a table in either shape: some languages cannot
    /// tell them apart.
    fn fits(&self, value: &Value) -> bool {
        match value {
            Value::Object(map) => map.is_empty() || self.shape != Some(Shape::Array),
            Value::Array(items) => items.is_empty() || self.shape != Some(Shape::Map),
            _ => false,
        }
    }

    fn status_of(&self, entry: &Value, view: PayloadView<'_>) -> EntryStatus<'_> {
        if let Value::Bool(_) | Value::Number(_) | Value::String(_) = entry {
            return self.status_of_scalar(entry);
        }
        let mut status = EntryStatus::default();
        if let Some(word) = self.status.find(view, self.words.as_ref()) {
            let (known, text) = word.meaning();
            status.status = known;
            status.word = Some(clean(&text, LONGEST_WORD));
            status.path = Some(word.path);
        }
        status
    }

    /// Returns the status of an entry that is a flag, a word or the text of an error.
    fn status_of_scalar(&self, entry: &Value) -> EntryStatus<'_> {
        let text = as_text(entry);
        let is_flag = self.kind == Some(EntryKind::Bool);
        if text.is_empty() && !is_flag {
            return EntryStatus::default();
        }
        let words = self.words.as_ref().or(self.status.first_words());
        let known = meaning(words, &text);
        // In such a table, a word that is not known is the text of an error.
        let texts = self.kind == Some(EntryKind::Text) || self.failures_only;
        let is_error = known.is_none() && !is_flag && texts;
        EntryStatus {
            status: match known {
                None if is_error || is_flag && !truthy(entry) => Some(DependencyStatus::Error),
                None if is_flag => Some(DependencyStatus::Working),
                known => known,
            },
            error: is_error.then(|| clean(&text, LONGEST_ERROR)),
            word: Some(clean(&text, LONGEST_WORD)),
            path: None,
        }
    }
}

/// The status of one entry.
#[derive(Default)]
struct EntryStatus<'t> {
    status: Option<DependencyStatus>,
    word: Option<String>,
    /// The error, when the word itself is one.
    error: Option<String>,
    /// The path of the word.
    path: Option<&'t PayloadPath>,
}

/// Reads the dependencies of one payload.
struct DependencyReader<'a> {
    table: &'a DependencyTable,
    /// The whole payload.
    view: PayloadView<'a>,
    now: Moment,
    found: DependencyList,
    names: UniqueNames,
    /// In the order of `found.list`: whether the payload lacks the last success, and the last failure, of that entry.
    lacks_ages: Vec<[bool; 2]>,
    /// True when any entry has a counter or an age: then their absence elsewhere means *never*.
    reports: bool,
}

impl DependencyReader<'_> {
    /// Reads the entries of a table; `parent` is the name of the entry that holds it.
    fn read(&mut self, table: &Value, parent: Option<&str>) {
        match table {
            Value::Object(map) => {
                for (key, entry) in map {
                    self.entry(json::key(key), entry, parent, false);
                }
            }
            Value::Array(items) => {
                for (index, entry) in items.iter().enumerate() {
                    // A list of plain names is a list of what fails.
                    let name = match entry {
                        Value::String(name) => name.clone(),
                        _ => index.to_string(),
                    };
                    self.entry(&name, entry, parent, true);
                }
            }
            _ => {}
        }
    }

    /// Reads one entry. `listed`: it is an item of a list, so `key` is only its position, and its field `name` is tried.
    fn entry(&mut self, key: &str, entry: &Value, parent: Option<&str>, listed: bool) {
        let ignored = |name: &str| self.table.ignore.iter().any(|ignored| ignored == name);
        // Inside an entry, a value without a status is a detail and no dependency.
        if ignored(key) || (parent.is_some() && !self.is_entry(entry)) {
            return;
        }
        let view = self.view.within(entry);
        let own = self.table.name.text(view, LONGEST_NAME).or_else(|| {
            let unnamed = listed && self.table.name.is_empty();
            let name = entry.get("name").filter(|_| unnamed)?.as_str()?;
            Some(clean(name.trim(), LONGEST_NAME)).filter(|name| !name.is_empty())
        });
        if own.as_deref().is_some_and(ignored) {
            return;
        }
        let mut name = own.unwrap_or_else(|| clean(key.trim(), LONGEST_NAME));
        if name.is_empty() {
            "(no name)".clone_into(&mut name);
        }
        if let Some(parent) = parent {
            name = clean(&format!("{parent}/{name}"), LONGEST_NAME);
        }
        self.keep(&name, entry, view);
        for path in &self.table.recurse {
            if let Some(nested) = path.look_up(view)
                && (nested.is_object() || nested.is_array())
            {
                self.read(&nested, Some(&name));
            }
        }
    }

    /// Returns whether a value inside an entry is an entry itself.
    fn is_entry(&self, value: &Value) -> bool {
        match self.table.kind {
            Some(EntryKind::Text) => value.is_string(),
            Some(EntryKind::Bool) => value.is_boolean(),
            Some(EntryKind::Object) | None => {
                value.is_object()
                    && self
                        .table
                        .status
                        .find(self.view.within(value), None)
                        .is_some()
            }
        }
    }

    fn keep(&mut self, name: &str, entry: &Value, view: PayloadView<'_>) {
        let table = self.table;
        let of_entry = table.status_of(entry, view);
        let mut status = of_entry.status.unwrap_or(DependencyStatus::Unknown);
        // What is listed among failures has failed, whatever its word says.
        if table.failures_only && status != DependencyStatus::Degraded {
            status = DependencyStatus::Error;
        }
        let heartbeat = table.heartbeat.as_ref();
        let heartbeat = heartbeat.map(|heartbeat| heartbeat.read(view));
        let (heartbeat, unreadable) = match heartbeat.transpose() {
            Ok(heartbeat) => (heartbeat.flatten(), None),
            Err(why) => (None, Some(why)),
        };
        if unreadable.is_some() && status == DependencyStatus::Working {
            status = DependencyStatus::Unknown;
        }
        if heartbeat.as_ref().is_some_and(|beat| beat.is_final) {
            // It has ended, and nobody expects it to be there.
            status = DependencyStatus::NotUsed;
        }
        if self.found.list.len() >= MOST_DEPENDENCIES {
            self.found.left_out += 1;
            if status == DependencyStatus::Error && self.found.left_out_error.is_none() {
                self.found.left_out_error = Some(name.to_owned());
            }
            return;
        }
        let works = matches!(
            status,
            DependencyStatus::Working | DependencyStatus::NotUsed
        );
        // `connected` of one that works is no error; it stays among the details.
        let own_error = of_entry.error;
        let error =
            own_error.or_else(|| (!works).then(|| table.error.text(view, LONGEST_ERROR))?);
        let error = error.or(unreadable);
        self.reports |= [
            &table.last_success,
            &table.last_failure,
            &table.success_count,
            &table.failure_count,
        ]
        .into_iter()
        .any(|field| field.exists(view));
        let checked = self.last_check(status, view);
        let last_success = table.last_success.age(view, self.now).or(checked[0]);
        let last_failure = table.last_failure.age(view, self.now).or(checked[1]);
        self.lacks_ages
            .push([last_success.is_none(), last_failure.is_none()]);
        let unique = self.names.unique(name);
        let dependency = Dependency {
            repeats: (unique != name).then(|| name.to_owned()),
            word: of_entry.word,
            required: match &table.required {
                Required::Names(names) => names.iter().any(|known| known == name),
                Required::Flag(field) => field.flag(view),
            },
            details: self.details(entry, of_entry.path, error.is_some()).into(),
            error,
            success_count: table.success_count.count(view),
            failure_count: table.failure_count.count(view),
            last_success: last_success.unwrap_or_default(),
            last_failure: last_failure.unwrap_or_default(),
            latency: table.latency.duration(view),
            heartbeat,
            ..Dependency::new(unique, status)
        };
        self.found.list.push(dependency);
    }

    /// Returns the time of the last check as that of the last success or of the last failure, whichever it was. A
    /// dependency that was never checked has neither.
    fn last_check(&self, status: DependencyStatus, view: PayloadView<'_>) -> [Option<Age>; 2] {
        let age = self.table.last_check.age(view, self.now);
        match (age, status) {
            (Some(Age::Never), _) => [age, age],
            (_, DependencyStatus::Working | DependencyStatus::Degraded) => [age, None],
            (_, DependencyStatus::Error) => [None, age],
            (_, DependencyStatus::NotUsed | DependencyStatus::Unknown) => [None, None],
        }
    }

    /// Returns all of an entry that was not read as a field.
    fn details(
        &self,
        entry: &Value,
        word: Option<&PayloadPath>,
        error_used: bool,
    ) -> BTreeMap<String, Value> {
        let (table, view) = (self.table, self.view.within(entry));
        let flag = match &table.required {
            Required::Flag(field) => Some(field),
            Required::Names(_) => None,
        };
        let fields = [
            &table.name,
            &table.latency,
            &table.success_count,
            &table.failure_count,
            &table.last_success,
            &table.last_failure,
            &table.last_check,
        ];
        let mut read: Vec<&PayloadPath> = word.into_iter().collect();
        read.extend(table.error.consumed(view, error_used));
        for field in fields.into_iter().chain(flag) {
            read.extend(field.consumed(view, true));
        }
        if let Some(heartbeat) = &table.heartbeat {
            read.extend(heartbeat.consumed(view));
        }
        let nested = self.nested(view);
        read.extend(nested.iter());
        details::rest(entry, &read)
    }

    /// Returns the paths inside an entry that became dependencies: whole tables, or single entries of one that has
    /// other things in it too.
    fn nested(&self, view: PayloadView<'_>) -> Vec<PayloadPath> {
        let mut nested = Vec::new();
        for path in &self.table.recurse {
            let PayloadPath::Pointer(pointer) = path else {
                continue;
            };
            match path.look_up(view).as_deref() {
                Some(Value::Object(map)) if !map.values().all(|value| self.is_entry(value)) => {
                    let entries = map.iter().filter(|(_, value)| self.is_entry(value));
                    let within = |key: &str| PayloadPath::Pointer(pointer::within(pointer, key));
                    nested.extend(entries.map(|(key, _)| within(key)));
                }
                Some(Value::Object(_)) => nested.push(path.clone()),
                // An item of a list cannot be removed without moving the others.
                Some(Value::Array(items)) if items.iter().all(|item| self.is_entry(item)) => {
                    nested.push(path.clone());
                }
                _ => {}
            }
        }
        nested
    }

    /// Adds the dependencies that the profile requires and the payload does not name.
    fn add_absent(&mut self) {
        let Required::Names(names) = &self.table.required else {
            return;
        };
        // When only failures are listed, an absent one works; when some are left out, it may be among them.
        if self.table.failures_only || self.found.left_out > 0 {
            return;
        }
        for name in names {
            if !self.found.list.iter().any(|known| known.name == *name) {
                self.lacks_ages.push([false, false]);
                self.found.list.push(Dependency {
                    required: true,
                    error: Some("not reported".to_owned()),
                    ..Dependency::new(name.clone(), DependencyStatus::Unknown)
                });
            }
        }
    }

    fn finish(mut self) -> DependencyList {
        self.add_absent();
        // A service that reports counters or ages, and none here, means *never*. For one that reports none at all, the
        // ages are those of our own observation.
        if self.reports {
            let fields = [&self.table.last_success, &self.table.last_failure];
            let [success, failure] = fields.map(|field| !field.is_empty());
            for (dependency, lacks) in self.found.list.iter_mut().zip(&self.lacks_ages) {
                if lacks[0] && success {
                    dependency.last_success = Age::Never;
                }
                if lacks[1] && failure {
                    dependency.last_failure = Age::Never;
                }
            }
        }
        self.found
    }
}
