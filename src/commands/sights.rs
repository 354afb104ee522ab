//! Scans this machine while services are probed: once, or periodically.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::Context;
use crate::event::Input;
use crate::execute::{HostScan, HostSnapshot};
use crate::health::HostFinding;
use crate::inventory::{Inventory, Service};

/// The limits of the period between two scans, as long as a scan is cheap.
const SOONEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_secs(5);
/// A scan takes at most one part in this many of the time.
const SHARE: u32 = 50;

/// A scan of this machine for some services.
#[derive(Debug)]
pub(crate) struct Sights {
    survey: Option<HostScan>,
    period: Duration,
}

/// Periodic scans, until this is dropped.
#[derive(Debug)]
pub(crate) struct Looking {
    /// The problems of the scans, each reported once.
    pub(crate) problems: UnboundedReceiver<String>,
    task: JoinHandle<()>,
}

impl Sights {
    pub(crate) fn new(context: &Context, services: &[Arc<Service>], inventory: &Inventory) -> Self {
        let intervals = services
            .iter()
            .flat_map(|service| service.probes.iter().map(|probe| probe.interval));
        let period = intervals.min().unwrap_or(LATEST).clamp(SOONEST, LATEST);
        Self {
            survey: HostScan::new(services, inventory, context.policy().records),
            period,
        }
    }

    async fn look(&mut self) -> HostSnapshot {
        match &mut self.survey {
            Some(survey) => survey.look().await,
            None => HostSnapshot::default(),
        }
    }

    /// Scans once, sends the findings to an engine and returns the problems.
    pub(crate) async fn send_to(&mut self, engine: UnboundedSender<Input>) -> Vec<String> {
        let seen = self.look().await;
        for (service, sight) in seen.sights {
            let sight = Box::new(sight);
            // An engine that has ended needs to know nothing.
            let _ = engine.send(Input::HostFinding {
                service,
                finding: sight,
            });
        }
        seen.problems
    }

    /// Starts periodic scans, the first one at once, and sends each new finding to an engine.
    pub(crate) fn keep_looking(self, engine: UnboundedSender<Input>) -> Looking {
        let (complain, problems) = unbounded_channel();
        let task = tokio::spawn(async move {
            let Some(mut survey) = self.survey else {
                return;
            };
            let mut known: HashMap<String, HostFinding> = HashMap::new();
            let mut told: BTreeSet<String> = BTreeSet::new();
            loop {
                let began = Instant::now();
                let seen = survey.look().await;
                for problem in seen.problems {
                    if told.insert(problem.clone()) {
                        // A closed receiver ends the loop below.
                        let _ = complain.send(problem);
                    }
                }
                for (name, sight) in seen.sights {
                    if known.get(&name) == Some(&sight) {
                        continue;
                    }
                    known.insert(name.clone(), sight.clone());
                    let (service, sight) = (name, Box::new(sight));
                    if engine
                        .send(Input::HostFinding {
                            service,
                            finding: sight,
                        })
                        .is_err()
                    {
                        return;
                    }
                }
                let took = began.elapsed();
                sleep(self.period.max(took * SHARE)).await;
            }
        });
        Looking { problems, task }
    }
}

impl Looking {
    /// Returns the problems so far.
    pub(crate) fn problems(mut self) -> Vec<String> {
        let mut problems = Vec::new();
        while let Ok(problem) = self.problems.try_recv() {
            problems.push(problem);
        }
        problems
    }
}

impl Drop for Looking {
    fn drop(&mut self) {
        self.task.abort();
    }
}
