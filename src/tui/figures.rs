//! Figures as people read them: ages, latencies, counts. Each has a largest width, so that a column of them
//! never jumps.

use std::time::Duration;

use crate::health::Moment;

/// The widest age: `12h05m`.
pub(crate) const AGE_WIDTH: usize = 6;
/// The widest latency: `999ms`, with one place to spare.
pub(crate) const LATENCY_WIDTH: usize = 6;

/// A span of time in at most two units: `42s`, `1m04s`, `2h05m`, `3d04h`, `123d`.
pub(crate) fn age(span: Duration) -> String {
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

/// How long before `now` something was: an age, or `never`.
pub(crate) fn ago(now: Moment, then: Option<Moment>) -> String {
    then.map_or_else(|| "never".to_owned(), |then| age(now.since(then)))
}

/// A latency with as many places as help: `0.4ms`, `3.1ms`, `42ms`, `1.2s`, `31s`.
pub(crate) fn latency(span: Duration) -> String {
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
        age(span)
    }
}

/// A count in at most six places: `1204`, `880123`, `1.2M`.
pub(crate) fn count(number: u64) -> String {
    const UNITS: [(u64, &str); 5] = [
        (1_000_000_000_000_000_000, "E"),
        (1_000_000_000_000_000, "P"),
        (1_000_000_000_000, "T"),
        (1_000_000_000, "G"),
        (1_000_000, "M"),
    ];
    for (unit, letter) in UNITS {
        if number >= unit {
            let tenths = number / (unit / 10);
            return if tenths < 1_000 {
                format!("{}.{}{letter}", tenths / 10, tenths % 10)
            } else {
                format!("{}{letter}", tenths / 10)
            };
        }
    }
    number.to_string()
}

/// The latest latencies as blocks, newest at the right; `✗` stands where no answer came.
///
/// A steady latency draws at half height: only what leaves its own middle stands out.
pub(crate) fn sparkline<'a>(
    history: impl DoubleEndedIterator<Item = &'a Option<Duration>>,
    width: usize,
) -> String {
    // Without the full block: two rows of them would run into each other.
    const BLOCKS: [char; 7] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇'];
    let mut latest: Vec<Option<Duration>> = history.rev().take(width).copied().collect();
    latest.reverse();
    let mut known: Vec<Duration> = latest.iter().flatten().copied().collect();
    known.sort_unstable();
    let median = known.get(known.len() / 2).copied().unwrap_or_default();
    let top = known
        .last()
        .copied()
        .unwrap_or_default()
        .max(median.saturating_mul(2))
        .as_secs_f64()
        .max(f64::MIN_POSITIVE);
    let mut out = " ".repeat(width.saturating_sub(latest.len()));
    out.extend(latest.into_iter().map(|latency| {
        latency.map_or('✗', |latency| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a share of 0 to 7 rounded up"
            )]
            let level = (latency.as_secs_f64() / top * 7.0).ceil() as usize;
            BLOCKS[level.clamp(1, BLOCKS.len()) - 1]
        })
    }));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_two_units_and_a_largest_width() {
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
            let text = age(Duration::from_secs_f64(seconds));
            assert_eq!(text, expected);
            assert!(text.len() <= AGE_WIDTH, "{text}");
        }
        assert!(age(Duration::MAX).len() <= AGE_WIDTH);
    }

    #[test]
    fn never_is_a_word() {
        assert_eq!(ago(Moment::at_seconds(9.0), None), "never");
        assert_eq!(
            ago(Moment::at_seconds(9.0), Some(Moment::at_seconds(2.0))),
            "7s"
        );
    }

    #[test]
    fn latencies_keep_the_places_that_help() {
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
            let text = latency(Duration::from_micros(micros));
            assert_eq!(text, expected);
            assert!(text.len() <= LATENCY_WIDTH, "{text}");
        }
    }

    #[test]
    fn counts_never_outgrow_their_column() {
        let cases = [
            (0, "0"),
            (999_999, "999999"),
            (1_000_000, "1.0M"),
            (99_990_000, "99.9M"),
            (880_000_000, "880M"),
            (1_234_567_890, "1.2G"),
            (u64::MAX, "18.4E"),
        ];
        for (number, expected) in cases {
            assert_eq!(count(number), expected);
        }
    }

    #[test]
    fn a_sparkline_shows_gaps_and_what_stands_out() {
        let ms = |n: u64| Some(Duration::from_millis(n));
        let draw = |history: &[Option<Duration>], width| sparkline(history.iter(), width);
        assert_eq!(draw(&[], 4), "    ");
        assert_eq!(draw(&[ms(5), ms(5), ms(5)], 4), " ▄▄▄");
        assert_eq!(draw(&[ms(1), ms(8), None, ms(1)], 4), "▁▇✗▁");
        assert_eq!(draw(&[ms(8), ms(1), ms(1)], 2), "▄▄");
        assert_eq!(draw(&[ms(0), None], 2), "▁✗");
    }
}
