//! Where in an answer a value stands, and what it amounts to as text, flag, count, duration or time.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::Value;

use super::pointer;
use super::time::{self, Point};
use super::unit::{self, Unit};
use super::words::plain;
use crate::health::{Age, Beat, Moment};
use crate::text::clean;

/// Beyond 2^53 a float counts nothing exactly, and such a counter is a fault of the service.
const LARGEST_COUNT: f64 = 9_007_199_254_740_992.0;

/// Seconds from which on a number is no age of a heartbeat but a time since 1970: nobody is missed for 30 years.
const FIRST_EPOCH: f64 = 1e9;

/// Where a value stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Source {
    /// An RFC 6901 pointer into the JSON body; `""` is the whole of it.
    Pointer(String),
    /// A header, by its lower-case name.
    Header(String),
}

/// A place with what the profile says of the value there.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    /// Where.
    pub(super) source: Source,
    /// What a number there counts.
    pub(super) unit: Option<Unit>,
    /// Values that mean *never*.
    pub(super) never: Vec<Value>,
}

/// Several places: the first that holds something counts. Empty where the profile names none.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Places(pub(super) Vec<Place>);

/// What places are looked up in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Document<'a> {
    /// The JSON body, or one entry of it.
    pub(super) json: Option<&'a Value>,
    /// Lower-case names.
    pub(super) headers: &'a [(String, String)],
}

/// What stands at a place for a duration or an age.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Amount {
    /// Nothing, or nothing that can be read.
    None,
    /// A value that means never.
    Never,
    /// So many seconds.
    Seconds(f64),
    /// A point in time.
    At(Point),
}

/// `null`, `{}` and `""` hold nothing; neither does text without anything to see.
pub(super) fn holds(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Object(map) => !map.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => true,
    }
}

/// The value as a word or a line of text; a structure in its JSON spelling.
pub(super) fn raw(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    }
}

/// Whether a flag is set: true, or a word for it.
pub(super) fn truthy(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64().is_some_and(|number| number != 0.0),
        Value::String(text) => matches!(plain(text).as_str(), "true" | "yes" | "on" | "1"),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

/// Whether two values are the same to a person: `1` and `1.0`, `true` and `"true"`.
pub(super) fn alike(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Number(found), Value::Number(wanted)) => {
            found == wanted || found.as_f64() == wanted.as_f64()
        }
        (Value::Null, wanted) | (wanted, Value::Null) => !holds(wanted),
        (Value::Array(_) | Value::Object(_), _) | (_, Value::Array(_) | Value::Object(_)) => {
            found == wanted
        }
        (found, wanted) => plain(&raw(found)) == plain(&raw(wanted)),
    }
}

impl Source {
    /// What stands there, nothing included.
    pub(super) fn look<'a>(&self, document: Document<'a>) -> Option<Cow<'a, Value>> {
        match self {
            Self::Pointer(place) => pointer::at(document.json?, place).map(Cow::Borrowed),
            Self::Header(name) => document
                .headers
                .iter()
                .find(|(known, value)| known == name && !value.trim().is_empty())
                .map(|(_, value)| Cow::Owned(Value::String(value.trim().to_owned()))),
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pointer(pointer) if pointer.is_empty() => f.write_str("the root"),
            Self::Pointer(pointer) => write!(f, "`{pointer}`"),
            Self::Header(name) => write!(f, "header `{name}`"),
        }
    }
}

impl Place {
    /// A place of which nothing more is said.
    pub(super) const fn plain(source: Source) -> Self {
        Self {
            source,
            unit: None,
            never: Vec::new(),
        }
    }

    fn amount(&self, value: &Value) -> Amount {
        if self.never.iter().any(|never| alike(value, never)) {
            return Amount::Never;
        }
        let seconds = match value {
            Value::Number(number) => number
                .as_f64()
                .and_then(|number| unit::of_number(number, self.unit.unwrap_or(Unit::Seconds))),
            Value::String(text) => match time::of_text(text) {
                Some(point) if time::is_zero(point.at) => return Amount::Never,
                Some(point) => return Amount::At(point),
                None => unit::of_text(text, self.unit),
            },
            _ => None,
        };
        match seconds {
            // `-1` in whatever unit is how programs without an option type write *never*.
            Some(_) if is_minus_one(value) => Amount::Never,
            Some(seconds) => Amount::Seconds(seconds),
            None => Amount::None,
        }
    }
}

fn is_minus_one(value: &Value) -> bool {
    let number = match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.is_some_and(|number: f64| (number + 1.0).abs() < f64::EPSILON)
}

impl Places {
    /// Whether the profile names any.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first place that holds something, and what.
    pub(super) fn find<'a>(&self, document: Document<'a>) -> Option<(&Place, Cow<'a, Value>)> {
        self.0.iter().find_map(|place| {
            let value = place.source.look(document)?;
            holds(&value).then_some((place, value))
        })
    }

    /// One line of text, cleaned and cut to `limit` characters. What stands for *never* is no text.
    pub(super) fn text(&self, document: Document<'_>, limit: usize) -> Option<String> {
        let (place, value) = self.find(document)?;
        let said_never = place.never.iter().any(|never| alike(&value, never));
        (!said_never).then(|| clean(&raw(&value), limit))
    }

    /// Whether a flag is set there.
    pub(super) fn flag(&self, document: Document<'_>) -> bool {
        self.find(document).is_some_and(|(_, value)| truthy(&value))
    }

    /// A counter: a whole number that is not negative, however it is written.
    pub(super) fn count(&self, document: Document<'_>) -> Option<u64> {
        let (place, value) = self.find(document)?;
        if place.never.iter().any(|never| alike(&value, never)) {
            return None;
        }
        let number = match &*value {
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
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the range is checked on the same line"
        )]
        (0.0..=LARGEST_COUNT)
            .contains(&number)
            .then_some(number as u64)
            .filter(|_| number.fract() == 0.0)
    }

    /// How long something took or lasts; `None` for what is negative, endless or never.
    pub(super) fn duration(&self, document: Document<'_>) -> Option<Duration> {
        let (place, value) = self.find(document)?;
        match place.amount(&value) {
            Amount::Seconds(seconds) => unit::duration(seconds),
            Amount::None | Amount::Never | Amount::At(_) => None,
        }
    }

    /// How long ago something was at `now`; `None` where nothing stands there: whether absence means *never*
    /// depends on what else the payload reports. A value that cannot be an age is `NotReported`.
    pub(super) fn age(&self, document: Document<'_>, now: Moment) -> Option<Age> {
        let Some((place, value)) = self.find(document) else {
            // Written down and empty is said, not left out.
            return self.stands(document).then_some(Age::Never);
        };
        Some(match place.amount(&value) {
            Amount::None => Age::NotReported,
            Amount::Never => Age::Never,
            // A clock that was set back, or is ahead of ours: it was just now.
            Amount::Seconds(seconds) if (-1.0..0.0).contains(&seconds) => Age::Ago(Duration::ZERO),
            Amount::Seconds(seconds) => unit::duration(seconds).map_or(Age::NotReported, Age::Ago),
            Amount::At(point) => Age::Ago(
                Duration::try_from(now.wall.duration_since(point.at)).unwrap_or(Duration::ZERO),
            ),
        })
    }

    /// When a sign of life was given; `None` where nothing stands there that can be read as a time.
    pub(super) fn beat(&self, document: Document<'_>) -> Option<Beat> {
        let Some((place, value)) = self.find(document) else {
            return self.stands(document).then_some(Beat::Never);
        };
        match place.amount(&value) {
            Amount::None => None,
            Amount::Never => Some(Beat::Never),
            Amount::At(point) => Some(Beat::At(point.at)),
            Amount::Seconds(seconds) if seconds >= FIRST_EPOCH => {
                let written = raw(&value);
                let point = time::of_epoch(&written, place.unit)?;
                Some(Beat::At(point.at))
            }
            Amount::Seconds(seconds) if (-1.0..0.0).contains(&seconds) => {
                Some(Beat::Ago(Duration::ZERO))
            }
            Amount::Seconds(seconds) => unit::duration(seconds).map(Beat::Ago),
        }
    }

    /// Whether any of the places exists, even with nothing in it.
    pub(super) fn stands(&self, document: Document<'_>) -> bool {
        let mut places = self.0.iter();
        places.any(|place| place.source.look(document).is_some())
    }

    /// The places with nothing left to keep: those that hold nothing, and the one that was taken.
    pub(super) fn read(
        &self,
        document: Document<'_>,
        taken: bool,
    ) -> impl Iterator<Item = &Source> {
        let mut found = false;
        let sources = self.0.iter().map(|place| &place.source);
        sources.filter(move |source| match source.look(document) {
            Some(value) if holds(&value) => {
                let first = !std::mem::replace(&mut found, true);
                taken && first
            }
            _ => true,
        })
    }

    /// A point in time: RFC 3339, or an epoch in the unit of the place.
    pub(super) fn time(&self, document: Document<'_>) -> Option<Point> {
        let (place, value) = self.find(document)?;
        if place.never.iter().any(|never| alike(&value, never)) {
            return None;
        }
        let point = match &*value {
            Value::Number(number) => time::of_epoch(&number.to_string(), place.unit),
            Value::String(text) => time::of_text(text).or_else(|| time::of_epoch(text, place.unit)),
            _ => None,
        }?;
        // A process that started before computers did is one that has not started, or a wrong unit.
        (point.at > jiff::Timestamp::UNIX_EPOCH).then_some(point)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::{Value, json};

    use super::{Document, Place, Places, Source, alike, truthy};
    use crate::health::{Age, Moment};
    use crate::profile::decode::unit::Unit;

    fn places(list: &[&str]) -> Places {
        let source = |text: &&str| match text.strip_prefix("header:") {
            Some(name) => Source::Header(name.to_owned()),
            None => Source::Pointer((*text).to_owned()),
        };
        Places(list.iter().map(|text| Place::plain(source(text))).collect())
    }

    fn counted(unit: Unit) -> Places {
        let mut places = places(&["/x"]);
        places.0[0].unit = Some(unit);
        places
    }

    fn document<'a>(json: &'a Value, headers: &'a [(String, String)]) -> Document<'a> {
        Document {
            json: Some(json),
            headers,
        }
    }

    #[test]
    fn the_first_place_that_holds_something() {
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
            let found = places(list).text(document(&json, &headers), 99);
            assert_eq!(found.as_deref(), *expected, "{list:?}");
        }
        let none = Document {
            json: None,
            headers: &[],
        };
        assert_eq!(places(&[""]).text(none, 9), None);
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
            assert_eq!(
                places(&["/x"]).count(document(&json, &[])),
                expected,
                "{value}"
            );
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
            let found = places(&["/x"]).age(document(&json, &[]), Moment::at_seconds(0.0));
            assert_eq!(found, Some(expected), "{value}");
        }
        let found = places(&["/y"]).age(document(&json!({}), &[]), Moment::at_seconds(0.0));
        assert_eq!(found, None);
        let json = json!({"x": -1});
        let found = counted(Unit::Nanoseconds).age(document(&json, &[]), Moment::at_seconds(0.0));
        assert_eq!(found, Some(Age::Never));
        let mut own = places(&["/x"]);
        own.0[0].never = vec![json!("never"), json!(0)];
        for never in [json!("Never"), json!(0), json!(0.0), json!(-1)] {
            let json = json!({"x": never});
            let found = own.age(document(&json, &[]), Moment::at_seconds(0.0));
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
            let mut place = places(&["/x"]);
            place.0[0].unit = unit;
            let found = place
                .time(document(&json, &[]))
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
            let found = counted(unit).duration(document(&json, &[]));
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
