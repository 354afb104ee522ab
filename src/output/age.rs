//! Durations for people, in few and steady columns.

use std::time::Duration;

/// `3.1 ms`, `87 ms`, `1.24 s`: three digits at the most, so that columns do not jump.
pub(crate) fn latency(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1e3;
    if ms < 9.95 {
        format!("{ms:.1} ms")
    } else if ms < 999.5 {
        format!("{ms:.0} ms")
    } else {
        format!("{:.2} s", ms / 1e3)
    }
}

/// `42s`, `3m 7s`, `5h 12m`, `3d 4h`: two units at the most.
pub(crate) fn short_duration(duration: Duration) -> String {
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

/// How long ago, `never` where it never was.
pub(crate) fn ago(age: Option<Duration>) -> String {
    match age {
        None => "never".to_owned(),
        Some(age) if age < Duration::from_secs(1) => "now".to_owned(),
        Some(age) => format!("{} ago", short_duration(age)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_keep_three_digits() {
        for (micros, expected) in [
            (80, "0.1 ms"),
            (3_140, "3.1 ms"),
            (9_960, "10 ms"),
            (87_400, "87 ms"),
            (999_600, "1.00 s"),
            (2_000_000, "2.00 s"),
        ] {
            assert_eq!(latency(Duration::from_micros(micros)), expected);
        }
    }

    #[test]
    fn durations_have_two_units_at_the_most() {
        for (seconds, expected) in [
            (0, "0s"),
            (59, "59s"),
            (60, "1m 0s"),
            (3_599, "59m 59s"),
            (3_600, "1h 0m"),
            (90_000, "1d 1h"),
        ] {
            assert_eq!(short_duration(Duration::from_secs(seconds)), expected);
        }
    }

    #[test]
    fn never_is_a_word() {
        assert_eq!(ago(None), "never");
        assert_eq!(ago(Some(Duration::from_millis(300))), "now");
        assert_eq!(ago(Some(Duration::from_secs(94))), "1m 34s ago");
    }
}
