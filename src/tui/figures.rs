//! Figures that only the dashboard shows: ages of moments, and sparklines.

use std::time::Duration;

use crate::health::Moment;
use crate::text::short_age;

/// How long before `now` something was: an age, or `never`.
pub(crate) fn ago(now: Moment, then: Option<Moment>) -> String {
    then.map_or_else(|| "never".to_owned(), |then| short_age(now.since(then)))
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
    fn never_is_a_word() {
        assert_eq!(ago(Moment::at_seconds(9.0), None), "never");
        assert_eq!(
            ago(Moment::at_seconds(9.0), Some(Moment::at_seconds(2.0))),
            "7s"
        );
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
