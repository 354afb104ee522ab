//! Durations as payloads write them: numbers with a unit that only the profile knows, Go's texts, .NET's time spans.

use std::time::Duration;

/// What a number, or a text, at a place counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// Nanoseconds: a Go duration serialised as an integer.
    Nanoseconds,
    /// Microseconds.
    Microseconds,
    /// Milliseconds.
    Milliseconds,
    /// Seconds.
    Seconds,
    /// A text with units in it: `1h2m3.5s`, `6s`, `2 days`.
    Text,
    /// A .NET time span: `[-][d.]hh:mm:ss[.fffffff]`.
    Timespan,
}

impl Unit {
    /// The spellings in a profile.
    pub(super) const NAMES: &'static [&'static str] = &["ns", "us", "ms", "s", "text", "timespan"];

    /// The unit with this spelling.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "ns" => Self::Nanoseconds,
            "us" => Self::Microseconds,
            "ms" => Self::Milliseconds,
            "s" => Self::Seconds,
            "text" => Self::Text,
            "timespan" => Self::Timespan,
            _ => return None,
        })
    }

    /// How many seconds one of it is; `None` for texts.
    pub(super) const fn seconds(self) -> Option<f64> {
        match self {
            Self::Nanoseconds => Some(1e-9),
            Self::Microseconds => Some(1e-6),
            Self::Milliseconds => Some(1e-3),
            Self::Seconds => Some(1.0),
            Self::Text | Self::Timespan => None,
        }
    }
}

/// Seconds of a number in this unit; a text unit has none.
pub(super) fn of_number(number: f64, unit: Unit) -> Option<f64> {
    let seconds = number * unit.seconds()?;
    seconds.is_finite().then_some(seconds)
}

/// Seconds of a text, as the unit says; without a unit, whichever of the spellings fits. A text that is a mere
/// number counts in the unit, and in seconds where there is none.
pub(super) fn of_text(text: &str, unit: Option<Unit>) -> Option<f64> {
    let text = text.trim();
    let number = || text.parse::<f64>().ok().filter(|number| number.is_finite());
    match unit {
        Some(Unit::Text) => with_units(text),
        Some(Unit::Timespan) => timespan(text),
        Some(unit) => number()
            .and_then(|number| of_number(number, unit))
            .or_else(|| with_units(text)),
        None => number()
            .or_else(|| with_units(text))
            .or_else(|| timespan(text)),
    }
}

/// The duration of that many seconds; `None` for one that is negative or that nothing can have lasted.
pub(super) fn duration(seconds: f64) -> Option<Duration> {
    // Ten thousand years: what is longer is a mistake in the unit, and would overflow a date.
    const LONGEST: f64 = 315_576_000_000.0;
    if seconds > LONGEST {
        return None;
    }
    Duration::try_from_secs_f64(seconds).ok()
}

/// `1h2m3.5s`, `6s`, `1 day, 2 hours`, `-3ms`.
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
        total += number.parse::<f64>().ok()? * named(name)?;
        rest = after.trim_start_matches(|c: char| c.is_whitespace() || c == ',');
    }
    let seconds = sign * total;
    seconds.is_finite().then_some(seconds)
}

/// Seconds in a unit of a text.
fn named(name: &str) -> Option<f64> {
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

/// `00:00:00.0123456`, `1.02:03:04`.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Unit, duration, of_number, of_text};

    #[test]
    fn texts() {
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
            let found = of_text(written, unit);
            let same = match (found, expected) {
                (Some(found), Some(expected)) => (found - expected).abs() < 1e-9,
                (found, expected) => found.is_none() && expected.is_none(),
            };
            assert!(same, "{written:?} {unit:?}: {found:?}");
        }
    }

    #[test]
    fn numbers_and_their_limits() {
        let nano = of_number(2_186_121.0, Unit::Nanoseconds).and_then(duration);
        assert_eq!(nano, Some(Duration::from_nanos(2_186_121)));
        assert_eq!(of_number(f64::MAX, Unit::Seconds).and_then(duration), None);
        assert_eq!(duration(-0.1), None);
        assert_eq!(duration(f64::NAN), None);
        assert_eq!(duration(0.0), Some(Duration::ZERO));
        for name in Unit::NAMES {
            assert!(Unit::parse(name).is_some(), "{name}");
        }
    }
}
