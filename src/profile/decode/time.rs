//! Durations and points in time as payloads write them: numbers with a unit that only the profile knows, Go's texts,
//! .NET's time spans, RFC 3339 and epochs.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The unit of a number or a text in a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Nanoseconds: a Go duration serialised as an integer.
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Seconds,
    /// A text with units in it: `1h2m3.5s`, `6s`, `2 days`.
    Text,
    /// A .NET time span: `[-][d.]hh:mm:ss[.fffffff]`.
    Timespan,
}

impl Unit {
    /// The spellings in a profile.
    pub(super) const WORDS: [(&'static str, Self); 6] = [
        ("ns", Self::Nanoseconds),
        ("us", Self::Microseconds),
        ("ms", Self::Milliseconds),
        ("s", Self::Seconds),
        ("text", Self::Text),
        ("timespan", Self::Timespan),
    ];

    /// Returns how many nanoseconds one of the unit is, or `None` for texts.
    pub(super) const fn nanoseconds(self) -> Option<u32> {
        match self {
            Self::Nanoseconds => Some(1),
            Self::Microseconds => Some(1_000),
            Self::Milliseconds => Some(1_000_000),
            Self::Seconds => Some(1_000_000_000),
            Self::Text | Self::Timespan => None,
        }
    }

    /// Returns the seconds of a number in this unit, or `None` for a text unit and for what is not finite.
    pub(super) fn in_seconds(self, number: f64) -> Option<f64> {
        let seconds = number * (f64::from(self.nanoseconds()?) / 1e9);
        seconds.is_finite().then_some(seconds)
    }
}

/// Reads a text in the given unit; without a unit, whichever of the spellings fits. A text that is a mere number
/// counts in the unit, and in seconds when there is none.
pub(super) fn seconds_of_text(text: &str, unit: Option<Unit>) -> Option<f64> {
    let text = text.trim();
    let number = || text.parse::<f64>().ok().filter(|number| number.is_finite());
    match unit {
        Some(Unit::Text) => with_units(text),
        Some(Unit::Timespan) => timespan(text),
        Some(unit) => number()
            .and_then(|number| unit.in_seconds(number))
            .or_else(|| with_units(text)),
        None => number()
            .or_else(|| with_units(text))
            .or_else(|| timespan(text)),
    }
}

/// Returns the duration of that many seconds, or `None` for one that is negative or longer than anything can last.
pub(super) fn duration(seconds: f64) -> Option<Duration> {
    // Ten thousand years: a longer duration is a mistake in the unit, and would overflow a date.
    const LONGEST: f64 = 315_576_000_000.0;
    if seconds > LONGEST {
        return None;
    }
    Duration::try_from_secs_f64(seconds).ok()
}

/// Reads `1h2m3.5s`, `6s`, `1 day, 2 hours`, `-3ms`.
fn with_units(text: &str) -> Option<f64> {
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest.trim_start()),
        None => (1.0, text),
    };
    if rest.is_empty() {
        return None;
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let letters = after
            .find(|c: char| !c.is_alphabetic())
            .unwrap_or(after.len());
        let (name, after) = after.split_at(letters);
        total += number.parse::<f64>().ok()? * seconds_in(name)?;
        rest = after.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
    }
    let seconds = sign * total;
    seconds.is_finite().then_some(seconds)
}

/// Returns the seconds of a unit in a text.
fn seconds_in(name: &str) -> Option<f64> {
    const MINUTE: f64 = 60.0;
    const HOUR: f64 = 60.0 * MINUTE;
    const DAY: f64 = 24.0 * HOUR;
    Some(match name {
        "ns" => 1e-9,
        // Both micro signs: U+00B5 and the Greek letter.
        "us" | "µs" | "μs" => 1e-6,
        "ms" | "msec" => 1e-3,
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => MINUTE,
        "h" | "hr" | "hrs" | "hour" | "hours" => HOUR,
        "d" | "day" | "days" => DAY,
        "w" | "week" | "weeks" => 7.0 * DAY,
        "y" | "year" | "years" => 365.0 * DAY,
        _ => return None,
    })
}

/// Reads a time span of .NET: `00:00:00.0123456`, `1.02:03:04`.
fn timespan(text: &str) -> Option<f64> {
    let (sign, text) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    let mut parts = text.split(':');
    let (first, minutes, seconds) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    let (days, hours) = first.split_once('.').unwrap_or(("0", first));
    let whole = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| part.parse::<f64>().ok()).flatten()
    };
    let fraction = seconds.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let seconds = fraction.then(|| seconds.parse::<f64>().ok()).flatten()?;
    let total = ((whole(days)? * 24.0 + whole(hours)?) * 60.0 + whole(minutes)?) * 60.0 + seconds;
    Some(sign * total)
}

/// A time and its resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimePoint {
    pub(super) at: Timestamp,
    /// Two times closer than this may be the same.
    pub(super) resolution: Duration,
}

/// Reads RFC 3339, with `T` or a space between date and time; without a zone the time is UTC.
pub(super) fn point_of_text(text: &str) -> Option<TimePoint> {
    let (text, digits) = cut_fraction(text.trim())?;
    let at = text.parse::<Timestamp>().ok().or_else(|| {
        let naive = text.parse::<DateTime>().ok()?;
        TimeZone::UTC.to_timestamp(naive).ok()
    })?;
    let resolution = match digits {
        Some(digits) => Duration::from_nanos(10_u64.pow(9 - digits)),
        // `2026-11-22T10:00` is exact to the minute.
        None if text
            .get(10..)
            .is_some_and(|time| time.matches(':').count() < 2)
            && !has_zone(&text) =>
        {
            Duration::from_secs(60)
        }
        None => Duration::from_secs(1),
    };
    Some(TimePoint { at, resolution })
}

/// Returns whether a zone follows the time of day.
fn has_zone(text: &str) -> bool {
    text.get(10..)
        .is_some_and(|time| time.contains(['Z', 'z', '+', '-']))
}

/// Cuts the fraction of a time to nine digits (more is finer than any clock) and returns how many there are.
/// Returns `None` for what does not look like date and time: a bare date is no start of a process.
fn cut_fraction(text: &str) -> Option<(String, Option<u32>)> {
    let time = text.get(10..)?;
    if !text.starts_with(|c: char| c.is_ascii_digit()) || !time.starts_with(['T', 't', ' ']) {
        return None;
    }
    let Some(point) = time.find(['.', ',']) else {
        return Some((text.to_owned(), None));
    };
    let (before, fraction) = time.split_at(point);
    let fraction = fraction.get(1..)?;
    let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
    let (fraction, zone) = fraction.split_at(length);
    let kept = fraction.get(..length.min(9))?;
    let digits = u32::try_from(kept.len()).ok()?;
    let date = text.get(..10)?;
    Some((format!("{date}{before}.{kept}{zone}"), Some(digits)))
}

/// Reads a time since 1970 in this unit, in seconds when none is given. `written` is the number as the payload has it:
/// its decimals are its resolution.
pub(super) fn point_of_epoch(written: &str, unit: Option<Unit>) -> Option<TimePoint> {
    let written = written.trim();
    let number: f64 = written
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())?;
    let nanoseconds = unit.unwrap_or(Unit::Seconds).nanoseconds()?;
    let scale = f64::from(nanoseconds) / 1e9;
    let at = if let Ok(whole) = written.parse::<i64>() {
        // Whole numbers are exact: nanoseconds since 1970 are more than a float holds.
        Timestamp::from_nanosecond(i128::from(whole) * i128::from(nanoseconds)).ok()?
    } else {
        let seconds = number * scale;
        let since = Duration::try_from_secs_f64(seconds.abs()).ok()?;
        let epoch = Timestamp::UNIX_EPOCH;
        if seconds < 0.0 {
            epoch.checked_sub(since).ok()?
        } else {
            epoch.checked_add(since).ok()?
        }
    };
    let decimals = match written.split_once('.') {
        Some((_, decimals)) if decimals.bytes().all(|b| b.is_ascii_digit()) => decimals.len(),
        _ => 0,
    };
    let exponent = i32::try_from(decimals.min(9)).ok()?;
    // A float near today's epoch is exact to a quarter of a microsecond.
    let finest = if decimals == 0 { 1e-9 } else { 1e-6 };
    let resolution = (scale * 10_f64.powi(-exponent)).max(finest);
    Some(TimePoint {
        at,
        resolution: Duration::try_from_secs_f64(resolution).ok()?,
    })
}

impl TimePoint {
    /// Returns whether programs write this time for *never*: the zero of Go and .NET, or of Unix.
    pub(super) fn is_zero(self) -> bool {
        const YEAR_ONE: i64 = -62_135_596_800;
        self.at == Timestamp::UNIX_EPOCH || self.at.as_second() <= YEAR_ONE + 86_400
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_text() {
        let text = Some(Unit::Text);
        let span = Some(Unit::Timespan);
        let cases = [
            ("6s", text, Some(6.0)),
            ("1h2m3.5s", text, Some(3723.5)),
            ("1d2h3m4s", text, Some(93_784.0)),
            ("250µs", text, Some(0.000_25)),
            ("2 days, 3 hours", text, Some(183_600.0)),
            ("-3ms", text, Some(-0.003)),
            ("6", text, None),
            ("s", text, None),
            ("", text, None),
            ("-", text, None),
            ("1.2.3s", text, None),
            ("6 parsecs", text, None),
            ("00:00:00.0123456", span, Some(0.012_345_6)),
            ("1.02:03:04", span, Some(93_784.0)),
            ("-00:00:01", span, Some(-1.0)),
            ("00:00", span, None),
            ("a:b:c", span, None),
            ("1:2:3:4", span, None),
            ("12.5", Some(Unit::Milliseconds), Some(0.012_5)),
            ("5s", Some(Unit::Milliseconds), Some(5.0)),
            ("NaN", Some(Unit::Seconds), None),
            ("inf", None, None),
            ("1e400", None, None),
            ("12.5", None, Some(12.5)),
            ("90m", None, Some(5400.0)),
            ("00:01:00", None, Some(60.0)),
            ("soon", None, None),
        ];
        for (written, unit, expected) in cases {
            let found = seconds_of_text(written, unit);
            let same = match (found, expected) {
                (Some(found), Some(expected)) => (found - expected).abs() < 1e-9,
                (found, expected) => found.is_none() && expected.is_none(),
            };
            assert!(same, "{written:?} {unit:?}: {found:?}");
        }
    }

    #[test]
    fn durations_in_numbers_and_their_limits() {
        let nano = Unit::Nanoseconds.in_seconds(2_186_121.0).and_then(duration);
        assert_eq!(nano, Some(Duration::from_nanos(2_186_121)));
        assert_eq!(Unit::Seconds.in_seconds(f64::MAX).and_then(duration), None);
        assert_eq!(duration(-0.1), None);
        assert_eq!(duration(f64::NAN), None);
        assert_eq!(duration(0.0), Some(Duration::ZERO));
    }

    #[test]
    fn times_in_text() {
        let second = Duration::from_secs(1);
        let cases = [
            (
                "2025-11-04T12:00:00",
                Some(("2025-11-04T12:00:00Z", second)),
            ),
            (
                "2026-11-22T12:29:13.130288",
                Some(("2026-11-22T12:29:13.130288Z", Duration::from_micros(1))),
            ),
            (
                "2026-11-22T12:29:13.130288+02:00",
                Some(("2026-11-22T10:29:13.130288Z", Duration::from_micros(1))),
            ),
            (
                "2026-11-22T11:59:52.364339945Z",
                Some(("2026-11-22T11:59:52.364339945Z", Duration::from_nanos(1))),
            ),
            (
                "2026-11-22T11:59:52.36433994512Z",
                Some(("2026-11-22T11:59:52.364339945Z", Duration::from_nanos(1))),
            ),
            (
                "2026-11-22t11:59:52z",
                Some(("2026-11-22T11:59:52Z", second)),
            ),
            (
                "2026-11-22 11:59:52+0000",
                Some(("2026-11-22T11:59:52Z", second)),
            ),
            (
                " 2026-11-22T11:59:52.5Z\n",
                Some(("2026-11-22T11:59:52.5Z", Duration::from_millis(100))),
            ),
            (
                "2026-11-22T11:59",
                Some(("2026-11-22T11:59:00Z", Duration::from_secs(60))),
            ),
            ("2026-11-22", None),
            ("yesterday", None),
            ("20:00:00", None),
            ("2026-13-22T11:59:52Z", None),
            ("2026-11-22T11:59:52.Z", None),
            ("äöüäöüäöüäöü", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let found = point_of_text(text).map(|point| (point.at.to_string(), point.resolution));
            let expected = expected.map(|(at, resolution)| (at.to_owned(), resolution));
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn times_in_numbers() {
        let cases = [
            (
                "1795341600",
                None,
                Some(("2026-11-22T10:00:00Z", Duration::from_secs(1))),
            ),
            (
                "1795341600123",
                Some(Unit::Milliseconds),
                Some(("2026-11-22T10:00:00.123Z", Duration::from_millis(1))),
            ),
            (
                "1795341600.25",
                Some(Unit::Seconds),
                Some(("2026-11-22T10:00:00.25Z", Duration::from_millis(10))),
            ),
            (
                "1795341600123456789",
                Some(Unit::Nanoseconds),
                Some(("2026-11-22T10:00:00.123456789Z", Duration::from_nanos(1))),
            ),
            (
                "-1",
                None,
                Some(("1969-12-31T23:59:59Z", Duration::from_secs(1))),
            ),
            // Milliseconds read as seconds are no year that a process starts in.
            ("1795341600123", None, None),
            ("1e400", None, None),
            ("NaN", None, None),
            ("soon", None, None),
        ];
        for (written, unit, expected) in cases {
            let found =
                point_of_epoch(written, unit).map(|point| (point.at.to_string(), point.resolution));
            let expected = expected.map(|(at, resolution)| (at.to_owned(), resolution));
            assert_eq!(found, expected, "{written:?} {unit:?}");
        }
    }

    #[test]
    fn zero_times() {
        for text in [
            "0001-01-01T00:00:00Z",
            "0001-01-01T00:00:00",
            "1970-01-01T00:00:00Z",
        ] {
            assert!(
                point_of_text(text).is_some_and(TimePoint::is_zero),
                "{text}"
            );
        }
        assert!(point_of_text("2026-11-22T10:00:00Z").is_some_and(|point| !point.is_zero()));
    }
}
