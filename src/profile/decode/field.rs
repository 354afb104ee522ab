//! Where a value is found in a response, and how it is read as text, flag, count, duration or time.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::Value;

use super::pointer;
use super::time::{self, TimePoint, Unit};
use super::words::{Vocabulary, WordMap, meaning, plain};
use crate::health::{Age, Beat, Moment};
use crate::text::clean;

/// Above 2^53 a float does not count exactly, so such a counter is a fault of the service.
const LARGEST_COUNT: f64 = 9_007_199_254_740_992.0;

/// The number of seconds from which on a number in a heartbeat is a time since 1970 and not an age (30 years).
const FIRST_EPOCH: f64 = 1e9;

/// The path of a value in a response.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum PayloadPath {
    /// An RFC 6901 pointer into the JSON body; `""` is the whole body.
    Pointer(String),
    /// A header, by its lower-case name.
    Header(String),
}

/// A path, with what the profile says about the value there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct FieldSpec {
    pub(super) path: PayloadPath,
    /// The unit of a number there.
    pub(super) unit: Option<Unit>,
    /// Values that mean *never*.
    pub(super) never: Vec<Value>,
}

/// Alternative paths of a field: the first one with a value counts. Empty when the profile does not describe the field.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct FieldSpecs(pub(super) Vec<FieldSpec>);

/// Alternative paths of a status word, each with its own words if it has any.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct WordSpecs<S>(pub(super) Vec<(FieldSpec, Option<WordMap<S>>)>);

/// The part of a response in which paths are looked up.
#[derive(Debug, Clone, Copy)]
pub(super) struct PayloadView<'a> {
    /// The JSON body, or one entry of it.
    pub(super) json: Option<&'a Value>,
    /// Headers with lower-case names.
    pub(super) headers: &'a [(String, String)],
}

impl<'a> PayloadView<'a> {
    /// Returns the view of one entry.
    pub(super) fn within<'v>(self, entry: &'v Value) -> PayloadView<'v>
    where
        'a: 'v,
    {
        PayloadView {
            json: Some(entry),
            ..self
        }
    }
}

/// A value read as a duration, an age or a time.
#[derive(Debug, Clone, Copy, PartialEq)]
enum TimeValue {
    /// The value cannot be read.
    Unreadable,
    /// The value means never.
    Never,
    Seconds(f64),
    At(TimePoint),
}

/// Returns whether a value says anything: `null`, `{}` and blank text do not.
pub(super) fn has_content(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => true,
    }
}

/// Returns the value as a word or a line of text; a list or a map as JSON.
pub(super) fn as_text(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    }
}

/// Returns whether a flag is set: `true`, a number other than zero, or a word for it.
pub(super) fn truthy(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64().is_some_and(|number| number != 0.0),
        Value::String(text) => matches!(plain(text).as_str(), "true" | "yes" | "on" | "1"),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

/// Returns whether two values are the same to a person: `1` and `1.0`, `true` and `"true"`.
pub(super) fn alike(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Number(found), Value::Number(wanted)) => {
            found == wanted || found.as_f64() == wanted.as_f64()
        }
        (Value::Null, wanted) | (wanted, Value::Null) => !has_content(wanted),
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => {
            found == wanted
        }
        (found, wanted) => plain(&as_text(found)) == plain(&as_text(wanted)),
    }
}

impl PayloadPath {
    /// Returns the value at the path, even one without content.
    pub(super) fn look_up<'a>(&self, view: PayloadView<'a>) -> Option<Cow<'a, Value>> {
        match self {
            Self::Pointer(pointer) => pointer::at(view.json?, pointer).map(Cow::Borrowed),
            Self::Header(name) => {
                let mut headers = view.headers.iter();
                let (_, value) =
                    headers.find(|(known, value)| known == name && !value.trim().is_empty())?;
                Some(Cow::Owned(Value::String(value.trim().to_owned())))
            }
        }
    }
}

impl std::fmt::Display for PayloadPath {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pointer(pointer) if pointer.is_empty() => f.write_str("the root"),
            Self::Pointer(pointer) => write!(f, "`{pointer}`"),
            Self::Header(name) => write!(f, "header `{name}`"),
        }
    }
}

impl FieldSpec {
    /// A path about which the profile says nothing more.
    pub(super) const fn at(path: PayloadPath) -> Self {
        Self {
            path,
            unit: None,
            never: Vec::new(),
        }
    }

    pub(super) fn pointer(pointer: &str) -> Self {
        Self::at(PayloadPath::Pointer(pointer.to_owned()))
    }

    fn means_never(&self, value: &Value) -> bool {
        self.never.iter().any(|never| alike(value, never))
    }

    fn time_value(&self, value: &Value) -> TimeValue {
        if self.means_never(value) {
            return TimeValue::Never;
        }
        let seconds = match value {
            Value::String(text) if plain(text) == "never" => return TimeValue::Never,
            Value::Number(number) => number
                .as_f64()
                .and_then(|number| self.unit.unwrap_or(Unit::Seconds).in_seconds(number)),
            Value::String(text) => match time::point_of_text(text) {
                Some(point) if point.is_zero() => return TimeValue::Never,
                Some(point) => return TimeValue::At(point),
                None => time::seconds_of_text(text, self.unit),
            },
            _ => None,
        };
        // `-1` in whatever unit is how programs without an option type write *never*.
        let minus_one = |number: f64| (number + 1.0).abs() < f64::EPSILON;
        match seconds {
            Some(_) if as_text(value).parse().is_ok_and(minus_one) => TimeValue::Never,
            // The clock of the service was set back, or is ahead of ours: this was just now.
            Some(seconds) if (-1.0..0.0).contains(&seconds) => TimeValue::Seconds(0.0),
            Some(seconds) => TimeValue::Seconds(seconds),
            None => TimeValue::Unreadable,
        }
    }
}

impl FieldSpecs {
    pub(super) fn pointers(pointers: &[&str]) -> Self {
        Self(pointers.iter().copied().map(FieldSpec::pointer).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the first path as text for people.
    pub(super) fn first_path(&self) -> String {
        let first = self.0.first();
        first.map_or_else(String::new, |spec| spec.path.to_string())
    }

    /// Returns the first path with a value, and the value.
    pub(super) fn find<'a>(&self, view: PayloadView<'a>) -> Option<(&FieldSpec, Cow<'a, Value>)> {
        self.0.iter().find_map(|spec| {
            let value = spec.path.look_up(view)?;
            has_content(&value).then_some((spec, value))
        })
    }

    /// Like [`Self::find`]; `None` where the value means *never*.
    fn find_unless_never<'a>(&self, view: PayloadView<'a>) -> Option<(&FieldSpec, Cow<'a, Value>)> {
        self.find(view)
            .filter(|(spec, value)| !spec.means_never(value))
    }

    /// Returns one line of text, cleaned and cut to `limit` characters.
    pub(super) fn text(&self, view: PayloadView<'_>, limit: usize) -> Option<String> {
        let (_, value) = self.find_unless_never(view)?;
        Some(clean(&as_text(&value), limit))
    }

    pub(super) fn flag(&self, view: PayloadView<'_>) -> bool {
        self.find(view).is_some_and(|(_, value)| truthy(&value))
    }

    /// Returns a counter: a whole number that is not negative, in whatever notation.
    pub(super) fn count(&self, view: PayloadView<'_>) -> Option<u64> {
        let (_, value) = self.find_unless_never(view)?;
        let number: f64 = match &*value {
            Value::Number(number) => match number.as_u64() {
                Some(count) => return Some(count),
                None => number.as_f64()?,
            },
            Value::String(text) => match text.trim().parse() {
                Ok(count) => return Some(count),
                Err(_) => text.trim().parse().ok()?,
            },
            _ => return None,
        };
        let is_count = (0.0..=LARGEST_COUNT).contains(&number) && number.fract() == 0.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range is checked above"
        )]
        is_count.then_some(number as u64)
    }

    /// Returns a duration, or `None` when it is negative, endless or never.
    pub(super) fn duration(&self, view: PayloadView<'_>) -> Option<Duration> {
        let (spec, value) = self.find(view)?;
        match spec.time_value(&value) {
            // What was just now for an age is negative as a duration.
            TimeValue::Seconds(_) if as_text(&value).starts_with('-') => None,
            TimeValue::Seconds(seconds) => time::duration(seconds),
            TimeValue::Unreadable | TimeValue::Never | TimeValue::At(_) => None,
        }
    }

    /// Returns how long ago something was at `now`, or `None` when the payload has no such field: whether absence
    /// means *never* depends on what else the payload reports. A value that cannot be an age is `NotReported`.
    pub(super) fn age(&self, view: PayloadView<'_>, now: Moment) -> Option<Age> {
        let Some((spec, value)) = self.find(view) else {
            // A field without a value was reported as empty, not left out.
            return self.exists(view).then_some(Age::Never);
        };
        Some(match spec.time_value(&value) {
            TimeValue::Unreadable => Age::NotReported,
            TimeValue::Never => Age::Never,
            TimeValue::Seconds(seconds) => {
                time::duration(seconds).map_or(Age::NotReported, Age::Ago)
            }
            TimeValue::At(point) => Age::Ago(
                Duration::try_from(now.wall.duration_since(point.at)).unwrap_or(Duration::ZERO),
            ),
        })
    }

    /// Returns when a heartbeat was sent, or `None` when no time can be read.
    pub(super) fn beat(&self, view: PayloadView<'_>) -> Option<Beat> {
        let Some((spec, value)) = self.find(view) else {
            return self.exists(view).then_some(Beat::Never);
        };
        match spec.time_value(&value) {
            TimeValue::Unreadable => None,
            TimeValue::Never => Some(Beat::Never),
            TimeValue::At(point) => Some(Beat::At(point.at)),
            TimeValue::Seconds(seconds) if seconds >= FIRST_EPOCH => {
                let point = time::point_of_epoch(&as_text(&value), spec.unit)?;
                Some(Beat::At(point.at))
            }
            TimeValue::Seconds(seconds) => time::duration(seconds).map(Beat::Ago),
        }
    }

    /// Returns whether any of the paths exists, even without a value.
    pub(super) fn exists(&self, view: PayloadView<'_>) -> bool {
        let mut specs = self.0.iter();
        specs.any(|spec| spec.path.look_up(view).is_some())
    }

    /// Returns the paths that need not be shown as details: those without a value, and the first one with a value
    /// when that value was `used`.
    pub(super) fn consumed(
        &self,
        view: PayloadView<'_>,
        used: bool,
    ) -> impl Iterator<Item = &PayloadPath> {
        let mut found = false;
        let paths = self.0.iter().map(|spec| &spec.path);
        paths.filter(move |path| match path.look_up(view) {
            Some(value) if has_content(&value) => {
                let first = !std::mem::replace(&mut found, true);
                used && first
            }
            _ => true,
        })
    }

    /// Returns a point in time: RFC 3339, or an epoch in the unit of the field.
    pub(super) fn time(&self, view: PayloadView<'_>) -> Option<TimePoint> {
        let (spec, value) = self.find_unless_never(view)?;
        let point = match &*value {
            Value::Number(number) => time::point_of_epoch(&number.to_string(), spec.unit),
            Value::String(text) => {
                time::point_of_text(text).or_else(|| time::point_of_epoch(text, spec.unit))
            }
            _ => None,
        }?;
        // A start before 1970 means that the process has not started, or that the unit is wrong.
        (point.at > jiff::Timestamp::UNIX_EPOCH).then_some(point)
    }
}

/// A status word that was found.
pub(super) struct FoundWord<'t, 'a, S> {
    pub(super) path: &'t PayloadPath,
    pub(super) words: Option<&'t WordMap<S>>,
    pub(super) value: Cow<'a, Value>,
}

impl<S: Vocabulary> FoundWord<'_, '_, S> {
    /// Returns the meaning of the word, if it is known, and the word.
    pub(super) fn meaning(&self) -> (Option<S>, String) {
        let text = as_text(&self.value);
        (meaning(self.words, &text), text)
    }
}

impl<S> WordSpecs<S> {
    pub(super) fn pointer(pointer: &str) -> Self {
        Self(vec![(FieldSpec::pointer(pointer), None)])
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the words of the first path.
    pub(super) fn first_words(&self) -> Option<&WordMap<S>> {
        self.0.first().and_then(|(_, words)| words.as_ref())
    }

    /// Returns the first word with a value. `shared` are the words where a path has none of its own.
    pub(super) fn find<'t, 'a>(
        &'t self,
        view: PayloadView<'a>,
        shared: Option<&'t WordMap<S>>,
    ) -> Option<FoundWord<'t, 'a, S>> {
        self.0.iter().find_map(|(spec, words)| {
            let value = spec.path.look_up(view)?;
            has_content(&value).then_some(FoundWord {
                path: &spec.path,
                words: words.as_ref().or(shared),
                value,
            })
        })
    }
}

impl<S> Default for WordSpecs<S> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::{FieldSpec, FieldSpecs, PayloadPath, PayloadView, alike, truthy};
    use crate::health::{Age, Moment};
    use crate::profile::decode::time::Unit;

    fn specs(list: &[&str]) -> FieldSpecs {
        let source = |text: &&str| match text.strip_prefix("header:") {
            Some(name) => PayloadPath::Header(name.to_owned()),
            None => PayloadPath::Pointer((*text).to_owned()),
        };
        FieldSpecs(
            list.iter()
                .map(|text| FieldSpec::at(source(text)))
                .collect(),
        )
    }

    fn counted(unit: Unit) -> FieldSpecs {
        let mut specs = specs(&["/x"]);
        specs.0[0].unit = Some(unit);
        specs
    }

    fn view<'a>(json: &'a Value, headers: &'a [(String, String)]) -> PayloadView<'a> {
        PayloadView {
            json: Some(json),
            headers,
        }
    }

    #[test]
    fn the_first_path_with_a_value_counts() {
        let json = json!({"a": null, "b": {}, "c": "", "d": "  ", "e": 0, "m~n": {"o/p": ["x", "y"]}, "": "empty key"});
        let headers = [("x-version".to_owned(), " 1.8 ".to_owned())];
        let cases: &[(&[&str], Option<&str>)] = &[
            (&["/a", "/b", "/c", "/d", "/e"], Some("0")),
            (&["/a", "/nothing"], None),
            (&["/a/deeper"], None),
            (&["/m~0n/o~1p/1"], Some("y")),
            (&["/m~0n/o~1p/01"], None),
            (&["/m~0n/o~1p/-"], None),
            (&["/m~0n/o~1p/99999999999999999999"], None),
            (&["/"], Some("empty key")),
            (&["header:x-version", "/e"], Some("1.8")),
            (&["header:x-other"], None),
            (&[], None),
        ];
        for (list, expected) in cases {
            let found = specs(list).text(view(&json, &headers), 99);
            assert_eq!(found.as_deref(), *expected, "{list:?}");
        }
        let none = PayloadView {
            json: None,
            headers: &[],
        };
        assert_eq!(specs(&[""]).text(none, 9), None);
    }

    #[test]
    fn counts() {
        let cases = [
            (json!(12), Some(12)),
            (json!(12.0), Some(12)),
            (json!("12"), Some(12)),
            (json!(u64::MAX), Some(u64::MAX)),
            (json!(-1), None),
            (json!(1e300), None),
            (json!("many"), None),
            (json!([1]), None),
            (json!(null), None),
        ];
        for (value, expected) in cases {
            let json = json!({"x": value});
            assert_eq!(specs(&["/x"]).count(view(&json, &[])), expected, "{value}");
        }
    }

    #[test]
    fn ages() {
        let ago = |seconds| Age::Ago(Duration::from_secs_f64(seconds));
        let cases = [
            (json!(0.8), ago(0.8)),
            (json!(0), ago(0.0)),
            (json!("94"), ago(94.0)),
            (json!("1m30s"), ago(90.0)),
            (json!("2026-11-22T09:59:00Z"), ago(60.0)),
            // Clocks differ: what lies ahead was just now.
            (json!("2026-11-22T10:00:05Z"), ago(0.0)),
            (json!(-0.02), ago(0.0)),
            (json!(-1), Age::Never),
            (json!(-1.0), Age::Never),
            (json!("-1"), Age::Never),
            (json!("0001-01-01T00:00:00Z"), Age::Never),
            (json!(-77), Age::NotReported),
            (json!(1e300), Age::NotReported),
            (json!("soon"), Age::NotReported),
            (json!(true), Age::NotReported),
            (json!(null), Age::Never),
            (json!(""), Age::Never),
        ];
        for (value, expected) in cases {
            let json = json!({"x": value});
            let found = specs(&["/x"]).age(view(&json, &[]), Moment::at_seconds(0.0));
            assert_eq!(found, Some(expected), "{value}");
        }
        let found = specs(&["/y"]).age(view(&json!({}), &[]), Moment::at_seconds(0.0));
        assert_eq!(found, None);
        let json = json!({"x": -1});
        let found = counted(Unit::Nanoseconds).age(view(&json, &[]), Moment::at_seconds(0.0));
        assert_eq!(found, Some(Age::Never));
        let mut own = specs(&["/x"]);
        own.0[0].never = vec![json!("never"), json!(0)];
        for never in [json!("Never"), json!(0), json!(0.0), json!(-1)] {
            let json = json!({"x": never});
            let found = own.age(view(&json, &[]), Moment::at_seconds(0.0));
            assert_eq!(found, Some(Age::Never), "{never}");
        }
    }

    #[test]
    fn times() {
        let cases = [
            (
                json!("2025-11-04T12:00:00"),
                None,
                Some("2025-11-04T12:00:00Z"),
            ),
            (json!(1_795_341_600), None, Some("2026-11-22T10:00:00Z")),
            (
                json!("1795341600000"),
                Some(Unit::Milliseconds),
                Some("2026-11-22T10:00:00Z"),
            ),
            (
                json!("2025-11-04T12:00:00Z"),
                Some(Unit::Milliseconds),
                Some("2025-11-04T12:00:00Z"),
            ),
            (json!("0001-01-01T00:00:00Z"), None, None),
            (json!(0), None, None),
            (json!(-1), None, None),
            (json!(1e300), None, None),
            (json!({"a": 1}), None, None),
        ];
        for (value, unit, expected) in cases {
            let json = json!({"x": value});
            let mut place = specs(&["/x"]);
            place.0[0].unit = unit;
            let found = place
                .time(view(&json, &[]))
                .map(|point| point.at.to_string());
            assert_eq!(found.as_deref(), expected, "{value}");
        }
    }

    #[test]
    fn durations() {
        let cases = [
            (
                json!(2_186_121),
                Unit::Nanoseconds,
                Some(Duration::from_nanos(2_186_121)),
            ),
            (
                json!(1.25),
                Unit::Milliseconds,
                Some(Duration::from_micros(1250)),
            ),
            (
                json!("00:00:01.5"),
                Unit::Timespan,
                Some(Duration::from_millis(1500)),
            ),
            (json!("6s"), Unit::Text, Some(Duration::from_secs(6))),
            (json!(6), Unit::Text, None),
            (json!(-1), Unit::Seconds, None),
            (json!(-5), Unit::Seconds, None),
            (json!(f64::MAX), Unit::Seconds, None),
        ];
        for (value, unit, expected) in cases {
            let json = json!({"x": value});
            let found = counted(unit).duration(view(&json, &[]));
            assert_eq!(found, expected, "{value}");
        }
    }

    #[test]
    fn flags_and_comparing() {
        for (value, expected) in [
            (json!(true), true),
            (json!("True"), true),
            (json!(1), true),
            (json!("false"), false),
            (json!("anything"), false),
            (json!(0), false),
            (json!([]), false),
        ] {
            assert_eq!(truthy(&value), expected, "{value}");
        }
        for (found, wanted, expected) in [
            (json!(1), json!(1.0), true),
            (json!("true"), json!(true), true),
            (json!("DRAINING"), json!("draining"), true),
            (json!("1"), json!(1), true),
            (json!(null), json!(null), true),
            (json!(""), json!(null), true),
            (json!(false), json!(null), false),
            (json!([1]), json!([1]), true),
            (json!([1]), json!("[1]"), false),
        ] {
            assert_eq!(alike(&found, &wanted), expected, "{found} {wanted}");
        }
    }
}
