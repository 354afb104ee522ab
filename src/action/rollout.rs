//! The order in which the phases of a plan run, which of them may run at once, and which are skipped after a failure.
//!
//! A service stops before the services that it needs and starts after them. What this run has stopped is started again
//! even when a later stop fails.

use super::Verdict;

#[cfg(test)]
mod tests;

/// The policy by which a plan for several services is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RolloutPolicy {
    /// The number of services that are acted on at once; at least 1. The default is 4.
    pub(crate) parallel: usize,
    /// After a failure the services that do not depend on the failed one go on.
    pub(crate) keep_going: bool,
    /// Services that are stopped at the time of a failed stop are not started again.
    pub(crate) leave_stopped: bool,
}

impl Default for RolloutPolicy {
    fn default() -> Self {
        Self {
            parallel: 4,
            keep_going: false,
            leave_stopped: false,
        }
    }
}

/// A service of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct RolloutNode {
    pub(crate) name: String,
    /// The service has a stop phase. A reload has one too: it runs in the same order.
    pub(crate) stops: bool,
    /// The service has a start phase: healthctl starts it, or something else replaces it.
    pub(crate) starts: bool,
    /// Something else replaces it, so that its one phase stops it as well.
    pub(crate) is_replaced: bool,
    /// The nodes that this service needs, directly or through services that are not in the plan.
    pub(crate) needs: Vec<usize>,
}

/// A phase of an action: every action has one or both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ActionPhase {
    /// The service is stopped.
    Stop,
    /// The service is started. Without a stop phase this is the whole action.
    Start,
}

/// A phase of a node, to be carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RolloutTask {
    pub(crate) node: usize,
    pub(crate) phase: ActionPhase,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum PhaseState {
    /// The node has no such phase.
    NotPlanned,
    Waiting,
    Running,
    Succeeded,
    Failed,
    /// The phase will not begin any more, for this reason.
    Skipped(String),
}

/// Why a waiting phase may not begin.
enum Obstacle {
    /// Another phase has to end first.
    Blocked,
    /// The phase will never begin: why.
    Impossible(String),
}

#[derive(Debug, Clone)]
struct NodeState {
    node: RolloutNode,
    needed_by: Vec<usize>,
    /// The state of each phase, by the number of the phase.
    phases: [PhaseState; 2],
    /// The node was stopped when another stop failed, and the policy leaves it so.
    stays_stopped: bool,
}

/// A plan that is being carried out.
#[derive(Debug, Clone)]
pub(crate) struct Rollout {
    nodes: Vec<NodeState>,
    policy: RolloutPolicy,
    /// The node that failed first, with its verdict.
    failure: Option<(usize, Verdict)>,
    interrupted: bool,
}

impl Rollout {
    /// Creates a plan from its nodes in the order in which they stop.
    pub(crate) fn new(nodes: Vec<RolloutNode>, policy: RolloutPolicy) -> Self {
        let mut needed_by = vec![Vec::new(); nodes.len()];
        for (index, node) in nodes.iter().enumerate() {
            for &need in &node.needs {
                needed_by[need].push(index);
            }
        }
        let state = |planned| {
            if planned {
                PhaseState::Waiting
            } else {
                PhaseState::NotPlanned
            }
        };
        let nodes = nodes.into_iter().zip(needed_by);
        Self {
            nodes: nodes
                .map(|(node, needed_by)| NodeState {
                    phases: [node.stops, node.starts].map(state),
                    stays_stopped: false,
                    needed_by,
                    node,
                })
                .collect(),
            policy,
            failure: None,
            interrupted: false,
        }
    }

    /// Returns the next task that may begin and marks it as running. Starts come before further stops.
    pub(crate) fn begin(&mut self) -> Option<RolloutTask> {
        while self.skip_impossible() {}
        let phases = self.nodes.iter().flat_map(|node| &node.phases);
        let running = phases.filter(|state| **state == PhaseState::Running);
        if running.count() >= self.policy.parallel.max(1) {
            return None;
        }
        let task = self.waiting().find(|task| self.may_begin(*task).is_ok())?;
        self.set(task, PhaseState::Running);
        Some(task)
    }

    /// Records that a task has ended with this verdict.
    pub(crate) fn ended(&mut self, task: RolloutTask, verdict: Verdict) {
        if verdict.exit_code() == 0 {
            self.set(task, PhaseState::Succeeded);
            return;
        }
        self.set(task, PhaseState::Failed);
        self.failure.get_or_insert((task.node, verdict));
        if self.policy.leave_stopped && self.is_failed_stop(task, verdict) {
            for node in &mut self.nodes {
                node.stays_stopped |= node.phases == [PhaseState::Succeeded, PhaseState::Waiting];
            }
        }
    }

    /// Tells whether a failed task was the stop of its node. A node that something else replaces has one phase for both,
    /// and its verdict tells how far that came.
    fn is_failed_stop(&self, task: RolloutTask, verdict: Verdict) -> bool {
        let replaced = self.nodes[task.node].node.is_replaced;
        let still_runs = matches!(
            verdict,
            Verdict::SameProcess | Verdict::StillAnswering | Verdict::StillDraining
        );
        task.phase == ActionPhase::Stop || (replaced && still_runs)
    }

    /// Returns all tasks in the order in which they begin when none runs beside another.
    pub(crate) fn rehearsed(mut self) -> Vec<RolloutTask> {
        let mut tasks = Vec::new();
        while let Some(task) = self.begin() {
            self.set(task, PhaseState::Succeeded);
            tasks.push(task);
        }
        tasks
    }

    /// From now on nothing begins.
    pub(crate) const fn interrupt(&mut self) {
        self.interrupted = true;
    }

    /// Returns why a planned phase of this node will not begin any more; of two, the stop.
    pub(crate) fn skipped(&self, node: usize) -> Option<(ActionPhase, &str)> {
        match &self.nodes[node].phases {
            [PhaseState::Skipped(why), _] => Some((ActionPhase::Stop, why)),
            [_, PhaseState::Skipped(why)] => Some((ActionPhase::Start, why)),
            _ => None,
        }
    }

    /// Skips the waiting tasks that can no longer begin; tells whether there was one.
    fn skip_impossible(&mut self) -> bool {
        let mut any = false;
        let waiting: Vec<RolloutTask> = self.waiting().collect();
        for task in waiting {
            if let Err(Obstacle::Impossible(why)) = self.may_begin(task) {
                self.set(task, PhaseState::Skipped(why));
                any = true;
            }
        }
        any
    }

    fn may_begin(&self, task: RolloutTask) -> Result<(), Obstacle> {
        match task.phase {
            ActionPhase::Stop => self.may_stop(task.node),
            ActionPhase::Start => self.may_start(task.node),
        }
    }

    fn may_stop(&self, node: usize) -> Result<(), Obstacle> {
        if let Some(why) = self.halted() {
            return Err(Obstacle::Impossible(why));
        }
        for &dependent in &self.nodes[node].needed_by {
            match self.nodes[dependent].phases[0] {
                PhaseState::Waiting | PhaseState::Running => return Err(Obstacle::Blocked),
                PhaseState::Failed | PhaseState::Skipped(_) => {
                    return Err(Obstacle::Impossible(format!(
                        "nothing was sent: {}, which needs it, has not stopped",
                        self.name(dependent)
                    )));
                }
                PhaseState::Succeeded | PhaseState::NotPlanned => {}
            }
        }
        Ok(())
    }

    fn may_start(&self, index: usize) -> Result<(), Obstacle> {
        let node = &self.nodes[index];
        let impossible = |why: &str| Err(Obstacle::Impossible(why.to_owned()));
        let undone = match &node.phases[0] {
            PhaseState::Waiting | PhaseState::Running => return Err(Obstacle::Blocked),
            PhaseState::Failed => return impossible("it has not stopped"),
            PhaseState::Skipped(why) => return impossible(why),
            PhaseState::Succeeded if self.interrupted => {
                return impossible("it was stopped and not started again: interrupted");
            }
            PhaseState::Succeeded if node.stays_stopped => {
                return impossible("it was stopped and is left stopped, as requested");
            }
            PhaseState::Succeeded => "it was stopped and not started again",
            PhaseState::NotPlanned if node.node.is_replaced => {
                // It stops on the way, so the rules of a stop apply.
                self.may_stop(index)?;
                "nothing was done"
            }
            PhaseState::NotPlanned if self.interrupted => {
                return impossible("nothing was done: interrupted");
            }
            // What fails elsewhere is no reason to leave it down.
            PhaseState::NotPlanned => "nothing was done",
        };
        for &need in &node.node.needs {
            match &self.nodes[need].phases {
                // The service that is needed has never been down.
                [PhaseState::Failed | PhaseState::Skipped(_), _] => {}
                [_, PhaseState::Waiting | PhaseState::Running]
                | [PhaseState::Waiting | PhaseState::Running, _] => return Err(Obstacle::Blocked),
                [
                    PhaseState::Succeeded,
                    PhaseState::Failed | PhaseState::Skipped(_),
                ]
                | [_, PhaseState::Failed] => {
                    let need = self.name(need);
                    return impossible(&format!(
                        "{undone}: {need}, which it needs, did not come up"
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Returns why nothing new may begin, where that is so.
    fn halted(&self) -> Option<String> {
        if self.interrupted {
            return Some("nothing was sent: interrupted".to_owned());
        }
        let (node, verdict) = self.failure.filter(|_| !self.policy.keep_going)?;
        Some(format!(
            "nothing was sent: {} ended as {verdict}; `--keep-going` continues after a failure",
            self.name(node)
        ))
    }

    fn name(&self, node: usize) -> &str {
        &self.nodes[node].node.name
    }

    /// Returns the waiting tasks, those to be begun first in front.
    fn waiting(&self) -> impl Iterator<Item = RolloutTask> {
        let task = |phase| move |node| RolloutTask { node, phase };
        let nodes = 0..self.nodes.len();
        let starts = nodes.clone().rev().map(task(ActionPhase::Start));
        let tasks = starts.chain(nodes.map(task(ActionPhase::Stop)));
        tasks
            .filter(|task| self.nodes[task.node].phases[task.phase as usize] == PhaseState::Waiting)
    }

    fn set(&mut self, task: RolloutTask, state: PhaseState) {
        self.nodes[task.node].phases[task.phase as usize] = state;
    }
}
