//! In which order the halves of a plan are done, what may go on at once, and what is left undone when one fails.
//!
//! Whoever needs another stops before it and starts after it. What this run has stopped is started again even when a
//! later stop fails.

use std::collections::HashSet;

use super::Verdict;
use crate::inventory::Inventory;

#[cfg(test)]
mod tests;

/// How a plan for several services is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RolloutPolicy {
    /// So many services are acted on at once; at least 1.
    pub parallel: usize,
    /// What does not build on a failure goes on after it.
    pub keep_going: bool,
    /// What is down when a stop fails is not started again.
    pub leave_stopped: bool,
}

impl Default for RolloutPolicy {
    fn default() -> Self {
        Self {
            parallel: 1,
            keep_going: false,
            leave_stopped: false,
        }
    }
}

/// One service of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RolloutNode {
    /// Its name.
    pub name: String,
    /// Its end is a half of its own; so is what leaves it up and is done in the same order: a reload.
    pub goes_down: bool,
    /// It is started, or replaced by something else.
    pub comes_up: bool,
    /// The members that it needs, directly or through services that are no members.
    pub needs: Vec<usize>,
}

/// One half of what is done to a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActionPhase {
    /// It is stopped.
    Stop,
    /// It is started; where it has no half that stops it, the whole of its action.
    Start,
}

/// What to begin now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RolloutTask {
    /// Which member.
    pub node: usize,
    /// Which half.
    pub phase: ActionPhase,
}

/// How far a half has come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Progress {
    /// There is no such half.
    #[default]
    None,
    Waiting,
    Running,
    Good,
    Failed,
    Left(String),
}

impl Progress {
    const fn planned(planned: bool) -> Self {
        if planned { Self::Waiting } else { Self::None }
    }
}

/// Whether a half may begin.
enum Gate {
    Open,
    Wait,
    Shut(String),
}

/// A plan under way.
#[derive(Debug, Clone)]
pub struct Rollout {
    members: Vec<RolloutNode>,
    /// For each member those that need it.
    needed_by: Vec<Vec<usize>>,
    down: Vec<Progress>,
    up: Vec<Progress>,
    /// For each member whether it was down when a stop failed, and is to be left so.
    left_down: Vec<bool>,
    manner: RolloutPolicy,
    /// The first that failed, and how it ended.
    failure: Option<(usize, Verdict)>,
    interrupted: bool,
}

impl Rollout {
    /// A plan for these members, in the order in which they stop.
    pub fn new(members: Vec<RolloutNode>, manner: RolloutPolicy) -> Self {
        let mut needed_by = vec![Vec::new(); members.len()];
        for (index, member) in members.iter().enumerate() {
            for &need in &member.needs {
                if let Some(dependents) = needed_by.get_mut(need) {
                    dependents.push(index);
                }
            }
        }
        Self {
            down: members
                .iter()
                .map(|member| Progress::planned(member.goes_down))
                .collect(),
            up: members
                .iter()
                .map(|member| Progress::planned(member.comes_up))
                .collect(),
            left_down: vec![false; members.len()],
            needed_by,
            members,
            manner,
            failure: None,
            interrupted: false,
        }
    }

    /// What else may begin now, if anything. Who came down comes up before another goes down.
    pub fn begin(&mut self) -> Option<RolloutTask> {
        while self.leave_out() {}
        let running = |halves: &[Progress]| {
            halves
                .iter()
                .filter(|half| **half == Progress::Running)
                .count()
        };
        if running(&self.down) + running(&self.up) >= self.manner.parallel.max(1) {
            return None;
        }
        let ups = (0..self.members.len()).rev().map(|node| RolloutTask {
            node,
            phase: ActionPhase::Start,
        });
        let downs = (0..self.members.len()).map(|node| RolloutTask {
            node,
            phase: ActionPhase::Stop,
        });
        let task = ups
            .chain(downs)
            .find(|task| self.is_waiting(*task) && matches!(self.gate(*task), Gate::Open))?;
        self.set(task, Progress::Running);
        Some(task)
    }

    /// A half has ended with this verdict.
    pub fn ended(&mut self, task: RolloutTask, verdict: Verdict) {
        if verdict.exit_code() == 0 {
            self.set(task, Progress::Good);
        } else {
            self.set(task, Progress::Failed);
            self.failure.get_or_insert((task.node, verdict));
            if self.manner.leave_stopped && self.is_stop(task, verdict) {
                self.leave_down();
            }
        }
    }

    /// Whether a half that has failed is one that stops its member. What something else starts again has one half for
    /// both, and its verdict tells how far that came.
    fn is_stop(&self, task: RolloutTask, verdict: Verdict) -> bool {
        let replaced = self.down.get(task.node) == Some(&Progress::None);
        let stays = matches!(
            verdict,
            Verdict::SameProcess | Verdict::StillAnswering | Verdict::StillDraining
        );
        task.phase == ActionPhase::Stop || (replaced && stays)
    }

    /// Those that are down now are left so; those that are stopped later are not.
    fn leave_down(&mut self) {
        let halves = self.down.iter().zip(&self.up);
        for ((down, up), left) in halves.zip(&mut self.left_down) {
            *left |= *down == Progress::Good && *up == Progress::Waiting;
        }
    }

    /// The halves in the order in which they begin where each ends well before the next.
    pub fn rehearsed(mut self) -> Vec<RolloutTask> {
        let mut tasks = Vec::new();
        while let Some(task) = self.begin() {
            self.set(task, Progress::Good);
            tasks.push(task);
        }
        tasks
    }

    /// Nothing more begins.
    pub const fn interrupt(&mut self) {
        self.interrupted = true;
    }

    /// Why a half of this member that was planned has not been begun and will not be; the half that stops it first.
    pub fn left_out(&self, member: usize) -> Option<(ActionPhase, &str)> {
        match (self.down.get(member), self.up.get(member)) {
            (Some(Progress::Left(why)), _) => Some((ActionPhase::Stop, why)),
            (_, Some(Progress::Left(why))) => Some((ActionPhase::Start, why)),
            _ => None,
        }
    }

    /// Leaves out what can no longer begin; true where there was any.
    fn leave_out(&mut self) -> bool {
        let mut any = false;
        for phase in [ActionPhase::Stop, ActionPhase::Start] {
            for node in 0..self.members.len() {
                let task = RolloutTask { node, phase };
                if !self.is_waiting(task) {
                    continue;
                }
                if let Gate::Shut(why) = self.gate(task) {
                    self.set(task, Progress::Left(why));
                    any = true;
                }
            }
        }
        any
    }

    fn gate(&self, task: RolloutTask) -> Gate {
        match task.phase {
            ActionPhase::Stop => self.gate_down(task.node),
            ActionPhase::Start => self.gate_up(task.node),
        }
    }

    fn gate_down(&self, member: usize) -> Gate {
        if let Some(why) = self.halted() {
            return Gate::Shut(why);
        }
        self.after_those_that_need(member)
    }

    fn gate_up(&self, member: usize) -> Gate {
        let Some(own) = self.members.get(member) else {
            return Gate::Wait;
        };
        let was_stopped = match self.down.get(member) {
            Some(Progress::Waiting | Progress::Running) => return Gate::Wait,
            Some(Progress::Failed) => return Gate::Shut("it has not stopped".to_owned()),
            Some(Progress::Left(why)) => return Gate::Shut(why.clone()),
            Some(Progress::Good) => true,
            Some(Progress::None) | None => false,
        };
        if was_stopped {
            if self.interrupted {
                return Gate::Shut("it was stopped and not started again: interrupted".to_owned());
            }
            if self.left_down.get(member) == Some(&true) {
                return Gate::Shut("it was stopped and is left so, as asked for".to_owned());
            }
        } else {
            if let Some(why) = self.halted() {
                return Gate::Shut(why);
            }
            // It takes itself down on its way, so it waits for the same as a stop.
            match self.after_those_that_need(member) {
                Gate::Open => {}
                other => return other,
            }
        }
        for &need in &own.needs {
            match (self.down.get(need), self.up.get(need)) {
                // It has never been down.
                (Some(Progress::Failed | Progress::Left(_)), _) => {}
                (_, Some(Progress::Waiting | Progress::Running))
                | (Some(Progress::Waiting | Progress::Running), _) => return Gate::Wait,
                (Some(Progress::Good), Some(Progress::Failed | Progress::Left(_)))
                | (_, Some(Progress::Failed)) => {
                    let before = if was_stopped {
                        "it was stopped and not started again"
                    } else {
                        "nothing was done"
                    };
                    return Gate::Shut(format!(
                        "{before}: {}, which it needs, did not come up",
                        self.name(need)
                    ));
                }
                _ => {}
            }
        }
        Gate::Open
    }

    /// Those that need a member go down before it does.
    fn after_those_that_need(&self, member: usize) -> Gate {
        let dependents = self.needed_by.get(member).map_or(&[][..], Vec::as_slice);
        for &dependent in dependents {
            match self.down.get(dependent) {
                Some(Progress::Waiting | Progress::Running) => return Gate::Wait,
                Some(Progress::Failed | Progress::Left(_)) => {
                    return Gate::Shut(format!(
                        "nothing was sent: {}, which needs it, has not stopped",
                        self.name(dependent)
                    ));
                }
                Some(Progress::Good | Progress::None) | None => {}
            }
        }
        Gate::Open
    }

    /// Why nothing new is begun, where that is so.
    fn halted(&self) -> Option<String> {
        if self.interrupted {
            return Some("nothing was sent: interrupted before".to_owned());
        }
        let (member, verdict) = self.failure.filter(|_| !self.manner.keep_going)?;
        Some(format!(
            "nothing was sent: {} before it ended as {verdict}; `--keep-going` goes on",
            self.name(member)
        ))
    }

    fn name(&self, member: usize) -> &str {
        self.members
            .get(member)
            .map_or("", |member| member.name.as_str())
    }

    fn is_waiting(&self, task: RolloutTask) -> bool {
        self.half(task) == Some(&Progress::Waiting)
    }

    fn half(&self, task: RolloutTask) -> Option<&Progress> {
        match task.phase {
            ActionPhase::Stop => self.down.get(task.node),
            ActionPhase::Start => self.up.get(task.node),
        }
    }

    fn set(&mut self, task: RolloutTask, progress: Progress) {
        let half = match task.phase {
            ActionPhase::Stop => self.down.get_mut(task.node),
            ActionPhase::Start => self.up.get_mut(task.node),
        };
        if let Some(half) = half {
            *half = progress;
        }
    }
}

/// For each of the targets the others that it needs, directly or through services that are no targets, by number.
pub(crate) fn needs(inventory: &Inventory, targets: &[String]) -> Vec<Vec<usize>> {
    let number = |name: &str| targets.iter().position(|target| target == name);
    targets
        .iter()
        .map(|target| {
            let mut seen: HashSet<&str> = HashSet::from([target.as_str()]);
            let mut open: Vec<&str> = vec![target];
            let mut found = Vec::new();
            while let Some(name) = open.pop() {
                let Some(service) = inventory.services.get(name) else {
                    continue;
                };
                for need in &service.depends_on {
                    if seen.insert(need) {
                        found.extend(number(need));
                        open.push(need);
                    }
                }
            }
            found
        })
        .collect()
}
