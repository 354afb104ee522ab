//! Durations as people write and read them.

use std::time::Duration;

pub use humantime::format_duration;

/// The longest duration that is accepted: longer than any interval, timeout or age, and far from overflow in sums.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// The widest text of [`short_age`] and [`short_latency`], in cells.
pub const SHORT_WIDTH: usize = 6;

/// Reads a duration such as `500ms`, `2s` or `1m 30s`.
///
/// # Errors
///
/// Returns the reason, to be written after the text (`has no unit`), and a hint with what was probably meant.
pub fn parse_duration(text: &str) -> Result<Duration, (String, Option<String>)> {
    let trimmed = text.trim();
    let unit = |reason: &str, hint: String| Err((reason.to_owned(), Some(hint)));
    if trimmed.is_empty() {
        return Err(("is not a duration".to_owned(), None));
    }
    if let Ok(number) = trimmed.parse::<f64>() {
        return unit("has no unit", likely(trimmed, number));
    }
    if trimmed.starts_with('-') {
        return unit(
            "is negative",
            format!("did you mean `{}`?", trimmed.trim_start_matches(['-', ' '])),
        );
    }
    // The largest unit that people mean by `M` is a minute; humantime takes it for a month.
    if has_unit(trimmed, "M") {
        return unit(
            "counts in months",
            format!(
                "`M` is a month; did you mean `{}`?",
                trimmed.replace('M', "m")
            ),
        );
    }
    match humantime::parse_duration(trimmed) {
        Ok(duration) if duration > LONGEST => unit(
            "is longer than a year",
            "nothing here waits that long".to_owned(),
        ),
        Ok(duration) => Ok(duration),
        Err(_) => {
            let lower = trimmed.to_lowercase().replace(',', ".");
            let hint = if humantime::parse_duration(&lower).is_ok() {
                format!("did you mean `{lower}`?")
            } else {
                "units are `ms`, `s`, `m`, `h` and `d`, as in `1m 30s`".to_owned()
            };
            unit("is not a duration", hint)
        }
    }
}

/// Returns whether a number in the text is followed by exactly this unit.
fn has_unit(text: &str, unit: &str) -> bool {
    text.split(|c: char| c.is_ascii_digit() || c.is_whitespace() || c == '.')
        .any(|word| word == unit)
}

fn likely(text: &str, number: f64) -> String {
    if number < 100.0 {
        format!("did you mean `{text}s`?")
    } else {
        format!("did you mean `{text}ms` or `{text}s`?")
    }
}

/// Returns whether a word was meant as a duration: it is one, or it is a number without a unit.
pub fn is_duration(word: &str) -> bool {
    let number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    number || humantime::parse_duration(word).is_ok()
}

/// Formats a duration in two units at the most and [`SHORT_WIDTH`] cells: `42s`, `1m04s`, `2h05m`, `3d04h`, `123d`.
pub fn short_age(span: Duration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{minutes}m{:02}s", seconds % 60),
        3_600..86_400 => format!("{hours}h{:02}m", minutes % 60),
        86_400..8_640_000 => format!("{days}d{:02}h", hours % 24),
        8_640_000..8_640_000_000 => format!("{days}d"),
        _ => "ages".to_owned(),
    }
}

/// Formats a latency in [`SHORT_WIDTH`] cells: `0.4ms`, `3.1ms`, `42ms`, `1.2s`, `31s`.
pub fn short_latency(span: Duration) -> String {
    let millis = span.as_secs_f64() * 1_000.0;
    if span > Duration::ZERO && millis < 0.05 {
        "<0.1ms".to_owned()
    } else if millis < 9.95 {
        format!("{millis:.1}ms")
    } else if millis < 999.5 {
        format!("{millis:.0}ms")
    } else if millis < 9_950.0 {
        format!("{:.1}s", millis / 1_000.0)
    } else if millis < 999_500.0 {
        format!("{:.0}s", millis / 1_000.0)
    } else {
        short_age(span)
    }
}

/// Formats a duration in two units at the most, with a space between them: `42s`, `3m 7s`, `5h 12m`, `3d 4h`.
pub fn long_age(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    if days > 0 {
        format!("{days}d {}h", hours % 24)
    } else if hours > 0 {
        format!("{hours}h {}m", minutes % 60)
    } else if minutes > 0 {
        format!("{minutes}m {}s", seconds % 60)
    } else {
        format!("{seconds}s")
    }
}

/// Formats a latency with a space before the unit and three digits at the most: `3.1 ms`, `87 ms`, `1.24 s`.
pub fn long_latency(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1e3;
    if ms < 9.95 {
        format!("{ms:.1} ms")
    } else if ms < 999.5 {
        format!("{ms:.0} ms")
    } else {
        format!("{:.2} s", ms / 1e3)
    }
}

/// Formats how long ago something was: `1m 34s ago`, `now` below a second, `never` for `None`.
pub fn ago(age: Option<Duration>) -> String {
    match age {
        None => "never".to_owned(),
        Some(age) if age < Duration::from_secs(1) => "now".to_owned(),
        Some(age) => format!("{} ago", long_age(age)),
    }
}

/// Formats a duration in its largest unit, with the next unit rounded down to a figure that matters: `3m 20s`, `2days 5h`.
pub fn approximate_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let rounded = match seconds {
        0..=59 => seconds,
        60..=3599 => seconds - seconds % 10,
        3600..=86399 => seconds - seconds % 60,
        _ => seconds - seconds % 3600,
    };
    format_duration(Duration::from_secs(rounded)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let found = match parse_duration(text) {
            Ok(duration) => format!("{duration:?}"),
            Err((reason, hint)) => format!("{reason} | {}", hint.unwrap_or_default()),
        };
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn durations_carry_a_unit() {
        for (text, expected) in [
            ("500ms", "500ms"),
            ("2s", "2s"),
            ("1m 30s", "90s"),
            ("1m30s", "90s"),
            ("1.5s", "1.5s"),
            ("0s", "0ns"),
            ("2h", "7200s"),
            ("10 seconds", "10s"),
            (" 5s ", "5s"),
            ("5", "has no unit | did you mean `5s`?"),
            ("0", "has no unit | did you mean `0s`?"),
            ("1.5", "has no unit | did you mean `1.5s`?"),
            ("500", "has no unit | did you mean `500ms` or `500s`?"),
            ("-5s", "is negative | did you mean `5s`?"),
            (
                "1M",
                "counts in months | `M` is a month; did you mean `1m`?",
            ),
            (
                "1h 30M",
                "counts in months | `M` is a month; did you mean `1h 30m`?",
            ),
            ("5S", "is not a duration | did you mean `5s`?"),
            ("1,5s", "is not a duration | did you mean `1.5s`?"),
            (
                "soon",
                "is not a duration | units are `ms`, `s`, `m`, `h` and `d`, as in `1m 30s`",
            ),
            (
                "5x",
                "is not a duration | units are `ms`, `s`, `m`, `h` and `d`, as in `1m 30s`",
            ),
            ("", "is not a duration | "),
            ("2y", "is longer than a year | nothing here waits that long"),
            (
                "99999999999999999999s",
                "is not a duration | units are `ms`, `s`, `m`, `h` and `d`, as in `1m 30s`",
            ),
        ] {
            check(text, expected);
        }
    }

    #[test]
    fn short_ages_have_two_units_and_a_largest_width() {
        let cases = [
            (0.0, "0s"),
            (0.99, "0s"),
            (59.9, "59s"),
            (60.0, "1m00s"),
            (94.0, "1m34s"),
            (3_599.0, "59m59s"),
            (3_600.0, "1h00m"),
            (86_399.0, "23h59m"),
            (86_400.0, "1d00h"),
            (8_639_999.0, "99d23h"),
            (8_640_000.0, "100d"),
            (8_640_000_000.0, "ages"),
        ];
        for (seconds, expected) in cases {
            let text = short_age(Duration::from_secs_f64(seconds));
            assert_eq!(text, expected);
            assert!(text.len() <= SHORT_WIDTH, "{text}");
        }
        assert!(short_age(Duration::MAX).len() <= SHORT_WIDTH);
    }

    #[test]
    fn short_latencies_keep_the_places_that_help() {
        let cases = [
            (0, "0.0ms"),
            (1, "<0.1ms"),
            (400, "0.4ms"),
            (3_140, "3.1ms"),
            (9_949, "9.9ms"),
            (9_960, "10ms"),
            (42_400, "42ms"),
            (999_400, "999ms"),
            (999_600, "1.0s"),
            (1_240_000, "1.2s"),
            (31_000_000, "31s"),
            (1_000_000_000, "16m40s"),
        ];
        for (micros, expected) in cases {
            let text = short_latency(Duration::from_micros(micros));
            assert_eq!(text, expected);
            assert!(text.len() <= SHORT_WIDTH, "{text}");
        }
    }

    #[test]
    fn long_latencies_keep_three_digits() {
        for (micros, expected) in [
            (80, "0.1 ms"),
            (3_140, "3.1 ms"),
            (9_960, "10 ms"),
            (87_400, "87 ms"),
            (999_600, "1.00 s"),
            (2_000_000, "2.00 s"),
        ] {
            assert_eq!(long_latency(Duration::from_micros(micros)), expected);
        }
    }

    #[test]
    fn long_ages_have_two_units_at_the_most() {
        for (seconds, expected) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m 0s"),
            (3_599, "59m 59s"),
            (3_600, "1h 0m"),
            (90_000, "1d 1h"),
        ] {
            assert_eq!(long_age(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn never_is_a_word() {
        assert_eq!(ago(None), "never");
        assert_eq!(ago(Some(Duration::from_millis(300))), "now");
        assert_eq!(ago(Some(Duration::from_secs(94))), "1m 34s ago");
    }
}
