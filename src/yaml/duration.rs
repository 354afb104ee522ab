//! Durations as people write them.

use std::time::Duration;

/// Longer than any interval, time-out or age that is meant; it keeps sums of times far from overflow.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Reads `500ms`, `2s`, `1m 30s`.
///
/// # Errors
///
/// Why it is none, to stand behind the text (`has no unit`), and what was probably meant.
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

/// Whether a number in the text is followed by exactly this unit.
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

#[cfg(test)]
mod tests {
    use super::parse_duration;

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
}
