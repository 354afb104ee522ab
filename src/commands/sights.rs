//! Looks at this machine while services are asked: once, or again and again.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::Context;
use crate::execute::{HostScan, HostSnapshot};
use crate::health::Sight;
use crate::inventory::{Inventory, Service};

/// No look comes sooner after the one before, and none later, as long as it is cheap.
const SOONEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_secs(5);
/// Looking takes at most so small a part of the time.
const SHARE: u32 = 50;

/// What can be looked at.
#[derive(Debug)]
pub(crate) struct Sights {
    survey: Option<HostScan>,
    /// Between two looks.
    period: Duration,
}

/// Looks again and again, until it is dropped.
#[derive(Debug)]
pub(crate) struct Looking {
    /// What was seen, where it is not what was seen before, by the name of the service.
    pub(crate) sights: UnboundedReceiver<(String, Sight)>,
    /// What could not be looked at, each said once.
    pub(crate) problems: UnboundedReceiver<String>,
    task: JoinHandle<()>,
}

impl Sights {
    /// Of these services.
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

    /// Looks once.
    pub(crate) async fn look(&mut self) -> HostSnapshot {
        match &mut self.survey {
            Some(survey) => survey.look().await,
            None => HostSnapshot::default(),
        }
    }

    /// Begins to look, at once and then again and again.
    pub(crate) fn keep_looking(self) -> Looking {
        let (tell, sights) = unbounded_channel();
        let (complain, problems) = unbounded_channel();
        let task = tokio::spawn(async move {
            let Some(mut survey) = self.survey else {
                return;
            };
            let mut known: HashMap<String, Sight> = HashMap::new();
            let mut told: BTreeSet<String> = BTreeSet::new();
            loop {
                let began = Instant::now();
                let seen = survey.look().await;
                for problem in seen.problems {
                    if told.insert(problem.clone()) {
                        // Whoever asked has gone; the next one ends this.
                        let _ = complain.send(problem);
                    }
                }
                for (name, sight) in seen.sights {
                    if known.get(&name) == Some(&sight) {
                        continue;
                    }
                    known.insert(name.clone(), sight.clone());
                    if tell.send((name, sight)).is_err() {
                        return;
                    }
                }
                let took = began.elapsed();
                sleep(self.period.max(took * SHARE)).await;
            }
        });
        Looking {
            sights,
            problems,
            task,
        }
    }
}

impl Looking {
    /// What could not be looked at so far.
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
