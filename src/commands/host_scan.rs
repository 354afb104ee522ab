//! Scans of this machine while services are probed: once, or periodically.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::select;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until};

use super::Context;
use crate::event::Input;
use crate::execute::HostScan;
use crate::health::HostFinding;
use crate::inventory::{Inventory, Service};

/// The limits of the period between two scans, as long as a scan is cheap.
const SOONEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_secs(5);
/// A scan takes at most one part in this many of the time.
const SHARE: u32 = 50;
/// The same for a scan that was asked for.
const SHARE_WHEN_ASKED: u32 = 10;

/// A scanner of this machine for some services.
#[derive(Debug)]
pub(crate) struct HostScanner {
    /// `None` where no service can be found on this machine.
    scan: Option<HostScan>,
    period: Duration,
}

/// Periodic scans, until this is dropped.
#[derive(Debug)]
pub(crate) struct PeriodicScans {
    /// The problems of the scans, each reported once.
    pub(crate) problems: UnboundedReceiver<String>,
    /// Completes, or is dropped, when the findings of the first scan have been sent.
    pub(crate) first: oneshot::Receiver<()>,
    task: JoinHandle<()>,
}

impl HostScanner {
    pub(crate) fn new(context: &Context, services: &[Arc<Service>], inventory: &Inventory) -> Self {
        let intervals = services
            .iter()
            .flat_map(|service| service.probes.iter().map(|probe| probe.interval));
        let period = intervals.min().unwrap_or(LATEST).clamp(SOONEST, LATEST);
        Self {
            scan: HostScan::new(services, inventory, context.policy().records),
            period,
        }
    }

    /// Scans once, sends the findings to an engine and returns the problems.
    pub(crate) async fn scan_once(&mut self, engine: UnboundedSender<Input>) -> Vec<String> {
        let Some(scan) = &mut self.scan else {
            return Vec::new();
        };
        let snapshot = scan.look().await;
        for (service, finding) in snapshot.findings {
            // An engine that has ended needs no finding.
            let _ = send(&engine, service, finding);
        }
        snapshot.problems
    }

    /// Starts periodic scans, the first one at once and another one soon after each call of `wake`, and sends each new
    /// finding to an engine.
    pub(crate) fn start(self, engine: UnboundedSender<Input>, wake: Arc<Notify>) -> PeriodicScans {
        let (sender, problems) = unbounded_channel();
        let (scanned, first) = oneshot::channel();
        let task = tokio::spawn(async move {
            let Some(mut scan) = self.scan else {
                return;
            };
            let mut known: HashMap<String, HostFinding> = HashMap::new();
            let mut reported: BTreeSet<String> = BTreeSet::new();
            let mut scanned = Some(scanned);
            loop {
                let began = Instant::now();
                let snapshot = scan.look().await;
                for problem in snapshot.problems {
                    if reported.insert(problem.clone()) {
                        // Nobody reads the problems any more once their reader has ended.
                        let _ = sender.send(problem);
                    }
                }
                for (service, finding) in snapshot.findings {
                    if known.get(&service) == Some(&finding) {
                        continue;
                    }
                    known.insert(service.clone(), finding.clone());
                    if !send(&engine, service, finding) {
                        return;
                    }
                }
                // Nobody may wait for it.
                let _ = scanned.take().map(|scanned| scanned.send(()));
                let took = began.elapsed();
                let period = self.period.max(took * SHARE);
                let asked = async {
                    wake.notified().await;
                    sleep_until(began + took * SHARE_WHEN_ASKED).await;
                };
                select! {
                    () = sleep(period) => {}
                    () = scan.process_end() => {}
                    () = asked => {}
                }
            }
        });
        PeriodicScans {
            problems,
            first,
            task,
        }
    }
}

/// Sends a finding to an engine. Returns whether the engine still runs.
fn send(engine: &UnboundedSender<Input>, service: String, finding: HostFinding) -> bool {
    let finding = Box::new(finding);
    let input = Input::HostFinding { service, finding };
    engine.send(input).is_ok()
}

impl PeriodicScans {
    /// Returns the problems so far.
    pub(crate) fn problems(mut self) -> Vec<String> {
        std::iter::from_fn(|| self.problems.try_recv().ok()).collect()
    }
}

impl Drop for PeriodicScans {
    fn drop(&mut self) {
        self.task.abort();
    }
}
