//! The seam between when and how: the engine asks through this, the tests script it.

use crate::health::Outcome;
use crate::inventory::{Probe, Service};
use crate::probe::Prober;

/// Asks one probe of a service.
pub(crate) trait Ask: Clone + Send + Sync + 'static {
    /// Asks it. Ends by itself within the probe's time-out.
    fn ask(&self, service: &Service, probe: &Probe) -> impl Future<Output = Outcome> + Send;
}

impl Ask for Prober {
    async fn ask(&self, _service: &Service, probe: &Probe) -> Outcome {
        self.probe(probe, None).await
    }
}
