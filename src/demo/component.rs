//! Simulated components of a service, and the result of an attempt to use one. Pure: the time is an argument.

use std::ops::Range;
use std::time::Duration;

use healthctl_service::{CheckResult, Need};
use serde::{Deserialize, Serialize};

/// A component that a service depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Component {
    pub(super) name: &'static str,
    pub(super) need: Need,
    /// Figures that the service reports with the state of the component.
    details: &'static [(&'static str, u64)],
    latency: Duration,
    normal: Normal,
    broken: Broken,
}

/// The behaviour of a component that nobody has broken.
#[derive(Debug, Clone, Copy)]
enum Normal {
    Steady,
    /// Attempts succeed for [`WORKING_TIME`], then fail for [`FAILING_TIME`], and so on.
    Cycle,
    /// Attempts succeed after a latency that varies within [`SLOW_LATENCY`]; where all is calm, after the usual one.
    Slow,
    /// The component is not configured.
    NotUsed,
}

/// The behaviour of a component that is broken.
#[derive(Debug, Clone, Copy)]
enum Broken {
    Unhealthy(&'static str),
    Degraded(&'static str),
    /// An attempt does not end before the component is mended.
    Hanging,
}

/// The two kinds of fault commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FaultAction {
    /// The target fails until it is mended.
    Break,
    /// The target works from now on.
    Mend,
}

const WORKING_TIME: Duration = Duration::from_secs(14);
const FAILING_TIME: Duration = Duration::from_secs(9);
const SLOW_LATENCY: Range<Duration> = Duration::from_millis(350)..Duration::from_millis(1_400);

impl Component {
    pub(super) const fn steady(name: &'static str, millis: u64, error: &'static str) -> Self {
        Self::new(name, millis, Normal::Steady, Broken::Unhealthy(error))
    }

    pub(super) const fn cycling(name: &'static str, millis: u64, error: &'static str) -> Self {
        Self::new(name, millis, Normal::Cycle, Broken::Unhealthy(error))
    }

    pub(super) const fn slow(name: &'static str, millis: u64, error: &'static str) -> Self {
        Self::new(name, millis, Normal::Slow, Broken::Unhealthy(error))
    }

    pub(super) const fn not_used(name: &'static str, error: &'static str) -> Self {
        Self::new(name, 0, Normal::NotUsed, Broken::Unhealthy(error))
    }

    pub(super) const fn degrading(name: &'static str, millis: u64, message: &'static str) -> Self {
        Self::new(name, millis, Normal::Steady, Broken::Degraded(message))
    }

    pub(super) const fn hanging(name: &'static str, millis: u64) -> Self {
        Self::new(name, millis, Normal::Steady, Broken::Hanging)
    }

    const fn new(name: &'static str, millis: u64, normal: Normal, broken: Broken) -> Self {
        Self {
            name,
            need: Need::Required,
            details: &[],
            latency: Duration::from_millis(millis),
            normal,
            broken,
        }
    }

    pub(super) const fn micros(mut self, micros: u64) -> Self {
        self.latency = Duration::from_micros(micros);
        self
    }

    pub(super) const fn optional(mut self) -> Self {
        self.need = Need::Optional;
        self
    }

    pub(super) const fn details(mut self, details: &'static [(&'static str, u64)]) -> Self {
        self.details = details;
        self
    }

    /// Returns the latency and the result of an attempt made `uptime` after the start of the service, or `None`
    /// when the attempt hangs or the component is not used. `fault` is the last command for the component.
    pub(super) fn attempt(
        &self,
        uptime: Duration,
        fault: Option<FaultAction>,
        calm: bool,
    ) -> Option<(Duration, CheckResult)> {
        let is_broken = fault == Some(FaultAction::Break);
        let is_calm = calm || fault == Some(FaultAction::Mend);
        let latency = match self.normal {
            Normal::Slow if is_broken => SLOW_LATENCY.end,
            Normal::Slow if !is_calm => wave(uptime, SLOW_LATENCY),
            _ => self.latency,
        };
        let period = (WORKING_TIME + FAILING_TIME).as_millis();
        let is_failing = uptime.as_millis() % period >= WORKING_TIME.as_millis();
        let result = match (self.normal, self.broken) {
            (_, Broken::Hanging) if is_broken => return None,
            (_, Broken::Degraded(message)) if is_broken => CheckResult::degraded(message),
            (_, Broken::Unhealthy(error)) if is_broken => CheckResult::unhealthy(error),
            (Normal::Cycle, Broken::Unhealthy(error)) if is_failing && !is_calm => {
                CheckResult::unhealthy(error)
            }
            (Normal::NotUsed, _) => return None,
            _ => CheckResult::healthy(),
        };
        let details = self.details.iter();
        let result = details.fold(result, |result, (key, value)| {
            result.with_detail(*key, *value)
        });
        Some((latency, result))
    }
}

/// Returns a duration that rises and falls between two bounds once in twenty seconds.
fn wave(uptime: Duration, bounds: Range<Duration>) -> Duration {
    const PERIOD: f64 = 20.0;
    let angle = uptime.as_secs_f64() / PERIOD * std::f64::consts::TAU;
    let height = f64::midpoint(1.0, -angle.cos()).clamp(0.0, 1.0);
    let width = bounds.end.saturating_sub(bounds.start);
    bounds.start + width.mul_f64(height)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_follow_the_behaviour_the_fault_command_and_the_time() {
        let (broken, mended) = (Some(FaultAction::Break), Some(FaultAction::Mend));
        let cycle = Component::cycling("qdrant", 12, "timeout after 2s");
        let slow = Component::slow("database", 2, "connection reset by peer");
        let degrading = Component::degrading("celery", 12, "1 of 4 workers");
        let hanging = Component::hanging("kafka", 12);
        let unused = Component::not_used("groq", "invalid API key");

        let after = |millis, result| Some((Duration::from_millis(millis), result));
        let healthy = |millis| after(millis, CheckResult::healthy());
        let failing = after(12, CheckResult::unhealthy("timeout after 2s"));
        let reset = after(1_400, CheckResult::unhealthy("connection reset by peer"));
        let fewer = after(12, CheckResult::degraded("1 of 4 workers"));
        let invalid = after(0, CheckResult::unhealthy("invalid API key"));
        let table = [
            ("works at first", cycle, 0, None, false, healthy(12)),
            ("works to the last", cycle, 13, None, false, healthy(12)),
            ("then fails", cycle, 14, None, false, failing.clone()),
            ("and recovers", cycle, 23, None, false, healthy(12)),
            ("never fails when calm", cycle, 14, None, true, healthy(12)),
            ("unless broken", cycle, 0, broken, true, failing),
            ("mended stays well", cycle, 14, mended, false, healthy(12)),
            ("least", slow, 0, None, false, healthy(350)),
            ("most", slow, 10, None, false, healthy(1_400)),
            ("calm is quick", slow, 10, None, true, healthy(2)),
            ("slow and broken", slow, 0, broken, true, reset),
            ("all workers", degrading, 0, None, false, healthy(12)),
            ("one worker left", degrading, 0, broken, false, fewer),
            ("answers", hanging, 0, mended, false, healthy(12)),
            ("answers no more", hanging, 0, broken, false, None),
            ("unused", unused, 0, None, false, None),
            ("broken though unused", unused, 0, broken, false, invalid),
            ("unused again", unused, 0, mended, false, None),
        ];
        for (name, component, second, fault, calm, expected) in table {
            let attempt = component.attempt(Duration::from_secs(second), fault, calm);
            assert_eq!(attempt, expected, "{name}");
        }
    }
}
