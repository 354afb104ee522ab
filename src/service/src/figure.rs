//! Figures that are collected at a fixed interval, with their trend and a mark where one is far outside
//! of its own recent range.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use parking_lot::Mutex;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::Service;

/// The number of values of a figure that are remembered.
const REMEMBERED: usize = 60;
/// The number of values from which the recent range of a figure counts as known.
const ENOUGH: usize = 12;
/// The distance of Tukey's outer fences from the quartiles, in interquartile ranges. What lies beyond
/// them he calls far out.
const OUTER_FENCE: f64 = 3.0;
/// The least distance of the fences from the quartiles, as a share of the median, so that a figure that
/// has hardly moved may move a little.
const LEAST_SHARE: f64 = 0.5;

/// One value of a figure, as the program collects it.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// The name, in lower case with underscores, as in metrics.
    pub name: String,
    /// The value now.
    pub value: f64,
    /// The distance from its recent range that never counts as far, in the unit of the figure: what
    /// rises from 0 to this value is no anomaly.
    pub tolerance: f64,
}

impl Figure {
    /// Creates a figure of which a difference below `tolerance` is never remarkable.
    pub fn new(name: impl Into<String>, value: f64, tolerance: f64) -> Self {
        Self {
            name: name.into(),
            value,
            tolerance,
        }
    }
}

/// A figure with what follows from its last 60 values.
#[derive(Debug, Clone, PartialEq)]
pub struct FigureTrend {
    /// The name.
    pub name: String,
    /// The last value.
    pub value: f64,
    /// The rise a second, in the unit of the figure: the slope of the straight line that fits the
    /// remembered values best.
    pub per_second: f64,
    /// The recent range: the quartiles of the values before the last one, and beyond them three times
    /// the distance between them, half of the median or the tolerance, whichever is most. `None` as
    /// long as fewer than 12 values are known.
    pub range: Option<(f64, f64)>,
    /// True if the last value is outside of the recent range.
    pub is_anomalous: bool,
}

type Source = Arc<dyn Fn() -> Vec<Figure> + Send + Sync>;

/// The collected figures of a service, and where they come from.
#[derive(Default)]
pub(crate) struct Figures {
    sources: Mutex<Vec<Source>>,
    histories: Mutex<IndexMap<String, FigureHistory>>,
}

impl std::fmt::Debug for Figures {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Figures").finish_non_exhaustive()
    }
}

/// The last values of one figure, each with its time.
#[derive(Debug, Default)]
struct FigureHistory {
    values: VecDeque<(Instant, f64)>,
    tolerance: f64,
}

impl FigureHistory {
    fn record(&mut self, value: f64, tolerance: f64, at: Instant) {
        if self.values.len() > REMEMBERED {
            self.values.pop_front();
        }
        self.values.push_back((at, value));
        self.tolerance = tolerance;
    }

    fn trend(&self, name: &str) -> Option<FigureTrend> {
        let (_, value) = *self.values.back()?;
        let range = self.range();
        Some(FigureTrend {
            name: name.to_owned(),
            value,
            per_second: self.slope(),
            range,
            is_anomalous: range.is_some_and(|(low, high)| value < low || value > high),
        })
    }

    /// Returns the range in which the last value is expected, from those before it.
    fn range(&self) -> Option<(f64, f64)> {
        let before = self.values.len().checked_sub(1)?;
        if before < ENOUGH {
            return None;
        }
        let mut sorted: Vec<f64> = self.values.iter().take(before).map(|(_, it)| *it).collect();
        sorted.sort_by(f64::total_cmp);
        let at = |share: usize| sorted.get((before - 1) * share / 4).copied();
        let (low, median, high) = (at(1)?, at(2)?, at(3)?);
        let margin = (OUTER_FENCE * (high - low))
            .max(LEAST_SHARE * median.abs())
            .max(self.tolerance);
        Some((low - margin, high + margin))
    }

    /// Returns the slope of the line of least squares through all values.
    fn slope(&self) -> f64 {
        let Some((first, _)) = self.values.front() else {
            return 0.0;
        };
        let points = || {
            let seconds = |at: &Instant| at.saturating_duration_since(*first).as_secs_f64();
            self.values
                .iter()
                .map(move |(at, value)| (seconds(at), *value))
        };
        let count = self.values.len() as f64;
        let mean_time = points().map(|(time, _)| time).sum::<f64>() / count;
        let mean_value = points().map(|(_, value)| value).sum::<f64>() / count;
        let spread: f64 = points().map(|(time, _)| (time - mean_time).powi(2)).sum();
        if spread <= 0.0 {
            return 0.0;
        }
        let both = points().map(|(time, value)| (time - mean_time) * (value - mean_value));
        both.sum::<f64>() / spread
    }
}

impl Service {
    /// Adds figures of the program to those that [`Service::collect_figures`] collects. `source` is
    /// called at each interval, and must not block. Values that are not finite are left out.
    ///
    /// ```
    /// use std::time::Duration;
    /// use healthctl_service::{Figure, Service, Settings};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let service = Service::new("orders-api", "2.4.1", Settings::default());
    /// service.add_figures(|| vec![Figure::new("orders_waiting", 3.0, 10.0)]);
    /// service.collect_figures(Duration::from_secs(10));
    ///
    /// let figures = service.figures();
    /// let waiting = figures.iter().find(|figure| figure.name == "orders_waiting");
    /// assert_eq!(waiting.map(|figure| (figure.value, figure.is_anomalous)), Some((3.0, false)));
    /// # }
    /// ```
    pub fn add_figures(&self, source: impl Fn() -> Vec<Figure> + Send + Sync + 'static) {
        self.inner.figures.sources.lock().push(Arc::new(source));
    }

    /// Collects all figures now and then once per interval, until the clean-up of a shutdown begins:
    /// `memory_bytes`, `cpu` and `tasks` as [`Service::resource_usage`] measures them, `check_rate` and
    /// `check_error_rate` (attempts at all components per second, and the share of them that failed),
    /// and those of [`Service::add_figures`].
    pub fn collect_figures(&self, interval: Duration) {
        let interval = interval.max(Duration::from_millis(1));
        let begin = Instant::now();
        let mut before = self.collect(None, begin);
        let service = self.downgrade();
        self.background(async move {
            let mut ticks = interval_at(begin + interval, interval);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                let now = ticks.tick().await;
                let Some(service) = service.upgrade() else {
                    return;
                };
                before = service.collect(Some(before), now);
            }
        });
    }

    /// Records a value of each figure, and returns the attempts until now.
    fn collect(&self, before: Option<Attempts>, now: Instant) -> Attempts {
        let attempts = Attempts::of(self, now);
        let mut figures = self.resource_figures();
        figures.extend(before.into_iter().flat_map(|it| attempts.figures(it)));
        // A source may add another one.
        let sources = self.inner.figures.sources.lock().clone();
        figures.extend(sources.iter().flat_map(|source| source()));
        self.record_figures(figures, now);
        attempts
    }

    fn record_figures(&self, figures: Vec<Figure>, at: Instant) {
        let mut histories = self.inner.figures.histories.lock();
        for figure in figures {
            if figure.value.is_finite() {
                let history = histories.entry(figure.name).or_default();
                history.record(figure.value, figure.tolerance, at);
            }
        }
    }

    /// Returns all figures that were collected, in the order in which each came up first.
    pub fn figures(&self) -> Vec<FigureTrend> {
        let histories = self.inner.figures.histories.lock();
        let trends = histories.iter();
        trends
            .filter_map(|(name, history)| history.trend(name))
            .collect()
    }
}

/// The numbers of attempts at all components of a service until a time.
#[derive(Debug, Clone, Copy)]
struct Attempts {
    at: Instant,
    all: u64,
    failed: u64,
}

impl Attempts {
    fn of(service: &Service, at: Instant) -> Self {
        let mut attempts = Self {
            at,
            all: 0,
            failed: 0,
        };
        for dependency in service.dependencies() {
            let failed = dependency.failure_count;
            let all = dependency.success_count.saturating_add(failed);
            attempts.failed = attempts.failed.saturating_add(failed);
            attempts.all = attempts.all.saturating_add(all);
        }
        attempts
    }

    /// Returns the rates since an earlier time.
    fn figures(self, before: Self) -> [Figure; 2] {
        let seconds = self.at.saturating_duration_since(before.at).as_secs_f64();
        let all = self.all.saturating_sub(before.all) as f64;
        let failed = self.failed.saturating_sub(before.failed) as f64;
        let rate = if seconds > 0.0 { all / seconds } else { 0.0 };
        let error_rate = if all > 0.0 { failed / all } else { 0.0 };
        [
            Figure::new("check_rate", rate, 10.0),
            Figure::new("check_error_rate", error_rate, 0.1),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(values: impl IntoIterator<Item = f64>, tolerance: f64) -> FigureTrend {
        let begin = Instant::now();
        let mut history = FigureHistory::default();
        for (second, value) in (0..).zip(values) {
            history.record(value, tolerance, begin + Duration::from_secs(second));
        }
        history.trend("figure").unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_trend_is_the_slope_of_the_recent_values() {
        let check = |values: &[f64], expected: f64| {
            let found = history(values.iter().copied(), 0.0).per_second;
            assert!((found - expected).abs() < 1e-9, "{values:?}: {found}");
        };
        check(&[5.0], 0.0);
        check(&[5.0, 5.0, 5.0], 0.0);
        check(&[1.0, 3.0, 5.0, 7.0], 2.0);
        check(&[9.0, 8.5, 8.0], -0.5);
        check(&[0.0, 1.0, 0.0, 1.0, 0.0], 0.0);
        // What is forgotten no longer counts.
        let rise_then_rest = (0..200).map(|second: i32| f64::from(second.min(100)));
        assert!(history(rise_then_rest, 0.0).per_second.abs() < 1e-9);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_far_outside_of_its_recent_range_is_an_anomaly() {
        let check = |before: fn(usize) -> f64, count, value, tolerance, expected| {
            let values = (0..count).map(before).chain([value]);
            let found = history(values, tolerance);
            assert_eq!(found.is_anomalous, expected, "{found:?}");
        };
        let noise = |index: usize| [10.0, 12.0, 11.0, 13.0][index % 4];
        check(noise, 40, 13.0, 0.0, false);
        check(noise, 40, 17.0, 0.0, false);
        check(noise, 40, 60.0, 0.0, true);
        check(noise, 40, -1.0, 0.0, true);
        check(noise, 40, 60.0, 100.0, false);
        // Nothing is known of a figure that is new.
        check(noise, ENOUGH - 1, 60.0, 0.0, false);
        check(noise, ENOUGH, 60.0, 0.0, true);
        // A figure that never moved may move by half.
        check(|_| 100.0, 40, 149.0, 0.0, false);
        check(|_| 100.0, 40, 151.0, 0.0, true);
        check(|_| 0.0, 40, 0.5, 1.0, false);
        check(|_| 0.0, 40, 1.5, 1.0, true);
        // A single outlier hides no second one; a level that lasts becomes the range.
        check(
            |index| if index == 39 { 1000.0 } else { 10.0 },
            40,
            1000.0,
            0.0,
            true,
        );
        check(
            |index| if index > 20 { 1000.0 } else { 10.0 },
            40,
            1000.0,
            0.0,
            false,
        );
        // A steady rise is a trend, and no anomaly.
        check(|index| index as f64, 60, 60.0, 0.0, false);
    }
}
