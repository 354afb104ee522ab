//! The settings that `defaults`, a profile, a service and a probe may all have.

use std::sync::Arc;
use std::time::Duration;

use crate::health::Role;
use crate::yaml::{Entry, Fields, Problem, Problems};

use super::super::kind::ProbeKind;
use super::super::setting::{Spanned, settings};
use super::super::{Decode, Expect};
use super::expect::RawExpect;
use super::read::{duration, positive_duration};
use super::request::RawRequest;

settings! {
    /// The flat settings of a probe as written.
    raw RawProbeSettings;
    /// A probe of a service, every default applied.
    #[derive(Debug, Clone)]
    resolved Probe {
        name: String = String::new(),
        role: Role = Role::Named,
        kind: ProbeKind = ProbeKind::default(),
        /// Set where the failure of a named probe makes the service unhealthy, not only degraded.
        required: bool = false,
        expect: Expect = Expect::default(),
        /// The decoding of the payload; `None` where it is not read.
        decode: Option<Arc<Decode>> = None,
    }

    /// Time between two answers of one probe; at least 10 ms.
    interval: Duration, default(Duration::from_secs(5)), "duration", since "0.1", interval;
    /// The deadline around all of a probe: lookup, connection, TLS, answer, body.
    timeout: Duration, default(Duration::from_secs(2)), "duration", since "0.1", positive_duration;
    /// Failures in a row after which a probe counts as failing.
    failure_threshold or "retries": u32, default(3), "number", since "0.1", threshold;
    /// Successes in a row after which a failing probe counts as passing.
    success_threshold: u32, default(1), "number", since "0.1", threshold;
    /// The largest body, decoded, and the largest output of a command.
    max_body: u64, default(1 << 20), "size", since "0.1", max_body;
}

impl Probe {
    /// Returns whether its payload can tell of dependencies.
    pub(crate) fn reports_dependencies(&self) -> bool {
        let decode = self.decode.as_ref();
        decode.is_some_and(|decode| decode.reports_dependencies())
    }
}

settings! {
    /// The settings as written that hold for a whole service and may stand in `defaults` and in a profile too.
    raw RawSharedSettings;
    /// The settings that hold for a whole service and may stand in `defaults` and in a profile too.
    #[derive(Debug, Clone)]
    resolved SharedSettings {}

    /// Time after a known start of the service in which failures do not count.
    start_period: Duration, default(Duration::ZERO), "duration", since "0.1", duration;
}

/// The settings of one level.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawOptions {
    pub(crate) probe: RawProbeSettings,
    /// Empty for a single probe.
    pub(crate) shared: RawSharedSettings,
    pub(crate) request: RawRequest,
    pub(crate) expect: RawExpect,
}

impl RawOptions {
    /// Takes the settings of `defaults`, of a profile or of a service.
    pub(crate) fn take(fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        Self {
            shared: RawSharedSettings::take(fields, problems),
            ..Self::take_of_probe(fields, problems)
        }
    }

    /// Takes the settings of a single probe.
    pub(crate) fn take_of_probe(fields: &mut Fields<'_>, problems: &mut Problems) -> Self {
        Self {
            probe: RawProbeSettings::take(fields, problems),
            shared: RawSharedSettings::default(),
            request: RawRequest::take(fields, problems),
            expect: fields
                .read_key("expect", problems, RawExpect::read)
                .unwrap_or_default(),
        }
    }
}

fn interval(entry: &Entry, problems: &mut Problems) -> Option<Spanned<Duration>> {
    /// A probe with a shorter interval would do nothing but start.
    const SHORTEST: Duration = Duration::from_millis(10);
    let value = positive_duration(entry, problems)?;
    if value.value < SHORTEST {
        let message = format!("{} is too short between two probes", entry.value.shown());
        return Problem::at(&value.place, message)
            .label("expected at least `10ms`")
            .reject(problems);
    }
    Some(value)
}

fn threshold(entry: &Entry, problems: &mut Problems) -> Option<Spanned<u32>> {
    let value = entry.value.whole(1..=1_000_000, problems)?;
    let value = u32::try_from(value).unwrap_or(u32::MAX);
    Some(Spanned::new(value, &entry.value))
}

fn max_body(entry: &Entry, problems: &mut Problems) -> Option<Spanned<u64>> {
    /// The largest limit: a larger body would take too much memory.
    const LARGEST: u64 = 1 << 30;
    let value = entry.value.size(problems)?;
    if !(1..=LARGEST).contains(&value) {
        return entry
            .value
            .problem("is no limit to work with")
            .label("expected from `1B` to `1GiB`")
            .reject(problems);
    }
    Some(Spanned::new(value, &entry.value))
}
