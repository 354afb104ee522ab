//! Simulated components of a service, and the result of an attempt to use one. Pure: the time is an argument.

use std::time::Duration;

use healthctl_service::CheckResult;

/// A component that a service depends on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Component {
    pub(super) name: &'static str,
    pub(super) is_required: bool,
    /// Figures that the service reports with the state of the component.
    pub(super) details: &'static [(&'static str, u64)],
    normal: Normal,
    broken: Broken,
}

/// The behaviour of a component that nobody has broken.
#[derive(Debug, Clone, Copy)]
enum Normal {
    /// Every attempt succeeds.
    Steady { latency: Duration },
    /// Attempts succeed for a time, then fail for a time, and so on.
    Cycle {
        works: Duration,
        fails: Duration,
        latency: Duration,
    },
    /// Attempts succeed after a latency that varies between two bounds; it is `calm` where all is calm.
    Slow {
        least: Duration,
        most: Duration,
        calm: Duration,
    },
    /// The component is not configured.
    NotUsed,
}

/// The behaviour of a component that is broken.
#[derive(Debug, Clone, Copy)]
enum Broken {
    Unhealthy(&'static str),
    Degraded(&'static str),
    /// Attempts never end.
    Hanging,
}

/// The last fault command for a component or a fault switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Intervention {
    #[default]
    None,
    Broken,
    Mended,
}

impl Component {
    pub(super) const fn steady(name: &'static str, millis: u64, error: &'static str) -> Self {
        let latency = Duration::from_millis(millis);
        Self::new(name, Normal::Steady { latency }, Broken::Unhealthy(error))
    }

    pub(super) const fn degrading(name: &'static str, millis: u64, message: &'static str) -> Self {
        let latency = Duration::from_millis(millis);
        Self::new(name, Normal::Steady { latency }, Broken::Degraded(message))
    }

    pub(super) const fn hanging(name: &'static str, millis: u64) -> Self {
        let latency = Duration::from_millis(millis);
        Self::new(name, Normal::Steady { latency }, Broken::Hanging)
    }

    pub(super) const fn not_used(name: &'static str, error: &'static str) -> Self {
        Self::new(name, Normal::NotUsed, Broken::Unhealthy(error))
    }

    /// Returns a component that works for 14 s, then fails for 9 s, and so on.
    pub(super) const fn cycling(name: &'static str, millis: u64, error: &'static str) -> Self {
        let normal = Normal::Cycle {
            works: Duration::from_secs(14),
            fails: Duration::from_secs(9),
            latency: Duration::from_millis(millis),
        };
        Self::new(name, normal, Broken::Unhealthy(error))
    }

    /// Returns a component whose latency varies between 350 ms and 1.4 s.
    pub(super) const fn slow(name: &'static str, error: &'static str) -> Self {
        let normal = Normal::Slow {
            least: Duration::from_millis(350),
            most: Duration::from_millis(1_400),
            calm: Duration::from_millis(2),
        };
        Self::new(name, normal, Broken::Unhealthy(error))
    }

    const fn new(name: &'static str, normal: Normal, broken: Broken) -> Self {
        Self {
            name,
            is_required: true,
            details: &[],
            normal,
            broken,
        }
    }

    pub(super) const fn micros(mut self, micros: u64) -> Self {
        let latency = Duration::from_micros(micros);
        self.normal = Normal::Steady { latency };
        self
    }

    pub(super) const fn optional(mut self) -> Self {
        self.is_required = false;
        self
    }

    pub(super) const fn details(mut self, details: &'static [(&'static str, u64)]) -> Self {
        self.details = details;
        self
    }

    /// Returns the latency and the result of an attempt made `uptime` after the start of the service, or `None`
    /// when the attempt never ends or the component is not used.
    pub(super) fn attempt(
        &self,
        uptime: Duration,
        intervention: Intervention,
        calm: bool,
    ) -> Option<(Duration, CheckResult)> {
        let is_broken = intervention == Intervention::Broken;
        let is_calm = calm || intervention == Intervention::Mended;
        let latency = match self.normal {
            Normal::Steady { latency } | Normal::Cycle { latency, .. } => latency,
            Normal::Slow { most, .. } if is_broken => most,
            Normal::Slow { calm, .. } if is_calm => calm,
            Normal::Slow { least, most, .. } => wave(uptime, least, most),
            Normal::NotUsed => Duration::ZERO,
        };
        let fails = match self.normal {
            Normal::Cycle { works, fails, .. } if !is_calm => {
                uptime.as_millis() % (works + fails).as_millis() >= works.as_millis()
            }
            _ => false,
        };
        let result = match (self.broken, self.normal) {
            (Broken::Hanging, _) if is_broken => return None,
            (Broken::Degraded(message), _) if is_broken => CheckResult::degraded(message),
            (Broken::Unhealthy(error), _) if is_broken || fails => CheckResult::unhealthy(error),
            (_, Normal::NotUsed) => return None,
            _ => CheckResult::healthy(),
        };
        Some((latency, result))
    }
}

/// Returns a duration that rises and falls between two bounds once in twenty seconds.
fn wave(uptime: Duration, least: Duration, most: Duration) -> Duration {
    const PERIOD: f64 = 20.0;
    let angle = uptime.as_secs_f64() / PERIOD * std::f64::consts::TAU;
    let height = f64::midpoint(1.0, -angle.cos());
    least + most.saturating_sub(least).mul_f64(height.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_follow_the_behaviour_the_intervention_and_the_time() {
        use Intervention::{Broken, Mended, None as Untouched};
        let cycle = Component::cycling("qdrant", 12, "timeout after 2s");
        let slow = Component::slow("database", "connection reset by peer");
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
            ("works at first", cycle, 0, Untouched, false, healthy(12)),
            (
                "works to the last",
                cycle,
                13,
                Untouched,
                false,
                healthy(12),
            ),
            ("then fails", cycle, 14, Untouched, false, failing.clone()),
            ("and recovers", cycle, 23, Untouched, false, healthy(12)),
            (
                "never fails when calm",
                cycle,
                14,
                Untouched,
                true,
                healthy(12),
            ),
            ("unless broken", cycle, 0, Broken, true, failing),
            ("mended stays well", cycle, 14, Mended, false, healthy(12)),
            ("least", slow, 0, Untouched, false, healthy(350)),
            ("most", slow, 10, Untouched, false, healthy(1_400)),
            ("calm is quick", slow, 10, Untouched, true, healthy(2)),
            ("slow and broken", slow, 0, Broken, true, reset),
            ("all workers", degrading, 0, Untouched, false, healthy(12)),
            ("one worker left", degrading, 0, Broken, false, fewer),
            ("answers", hanging, 0, Mended, false, healthy(12)),
            ("answers no more", hanging, 0, Broken, false, None),
            ("unused", unused, 0, Untouched, false, None),
            ("broken though unused", unused, 0, Broken, false, invalid),
            ("unused again", unused, 0, Mended, false, None),
        ];
        for (name, component, second, intervention, calm, expected) in table {
            let attempt = component.attempt(Duration::from_secs(second), intervention, calm);
            assert_eq!(attempt, expected, "{name}");
        }
    }
}
