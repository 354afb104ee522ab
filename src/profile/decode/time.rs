//! Points in time as payloads write them, and how exactly they are known.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::unit::Unit;

/// A time and its resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Point {
    /// UTC.
    pub(super) at: Timestamp,
    /// Two times closer than this may be the same.
    pub(super) resolution: Duration,
}

/// RFC 3339, `T` or a space between date and time; without a zone it is UTC.
pub(super) fn of_text(text: &str) -> Option<Point> {
    let (text, digits) = cut_fraction(text.trim())?;
    let at = text.parse::<Timestamp>().ok().or_else(|| {
        let naive = text.parse::<DateTime>().ok()?;
        TimeZone::UTC.to_timestamp(naive).ok()
    })?;
    let resolution = match digits {
        Some(digits) => Duration::from_nanos(10_u64.pow(9 - digits)),
        // `2026-11-22T10:00` is told to the minute.
        None if text
            .get(10..)
            .is_some_and(|time| time.matches(':').count() < 2)
            && !has_zone(&text) =>
        {
            Duration::from_secs(60)
        }
        None => Duration::from_secs(1),
    };
    Some(Point { at, resolution })
}

/// Whether something stands behind the time of day.
fn has_zone(text: &str) -> bool {
    text.get(10..)
        .is_some_and(|time| time.contains(['Z', 'z', '+', '-']))
}

/// The text with at most nine digits in its fraction (more is finer than any clock), and how many there are.
/// `None` for what does not look like date and time at all: a bare date is no start of a process.
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

/// Time since 1970 in this unit, seconds where none is given. `written` is the number as the payload has it: its
/// decimals are its resolution.
pub(super) fn of_epoch(written: &str, unit: Option<Unit>) -> Option<Point> {
    let written = written.trim();
    let number: f64 = written
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())?;
    let scale = unit.unwrap_or(Unit::Seconds).seconds()?;
    let at = if let Ok(whole) = written.parse::<i64>() {
        // Whole numbers are exact: nanoseconds since 1970 are more than a float holds.
        let nanos = i128::from(whole).checked_mul(nanoseconds(unit.unwrap_or(Unit::Seconds))?)?;
        Timestamp::from_nanosecond(nanos).ok()?
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
    Some(Point {
        at,
        resolution: Duration::try_from_secs_f64(resolution).ok()?,
    })
}

/// Nanoseconds in one of the unit.
const fn nanoseconds(unit: Unit) -> Option<i128> {
    match unit {
        Unit::Nanoseconds => Some(1),
        Unit::Microseconds => Some(1_000),
        Unit::Milliseconds => Some(1_000_000),
        Unit::Seconds => Some(1_000_000_000),
        Unit::Text | Unit::Timespan => None,
    }
}

/// Whether it is a time that programs write for *never*: the zero of Go and .NET, or of Unix.
pub(super) fn is_zero(at: Timestamp) -> bool {
    const YEAR_ONE: i64 = -62_135_596_800;
    at == Timestamp::UNIX_EPOCH || at.as_second() <= YEAR_ONE + 86_400
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{is_zero, of_epoch, of_text};
    use crate::profile::decode::unit::Unit;

    #[test]
    fn texts() {
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
            let found = of_text(text).map(|point| (point.at.to_string(), point.resolution));
            let expected = expected.map(|(at, resolution)| (at.to_owned(), resolution));
            assert_eq!(found, expected, "{text:?}");
        }
    }

    #[test]
    fn epochs() {
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
                of_epoch(written, unit).map(|point| (point.at.to_string(), point.resolution));
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
                of_text(text).is_some_and(|point| is_zero(point.at)),
                "{text}"
            );
        }
        assert!(of_text("2026-11-22T10:00:00Z").is_some_and(|point| !is_zero(point.at)));
    }
}
