//! The last resort, where it was asked for: SIGKILL to the processes that are proved to be the service's; and what
//! a started service left of its session when its leader went.

use std::time::Duration;

use tokio::time::{Instant, interval};

use super::Operator;
use super::choose::name;
use super::look::{lives, look_at};
use crate::action::{APART, Life, Look, Verdict};
use crate::event::StepKind;
use crate::health::Process;
use crate::host::{Running, session_of, signals};

use super::ending::Ending;
use super::identify::Found;
use super::run::Teller;

/// Only a process stuck in the kernel takes longer to go.
const REAPING: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(25);

impl Operator {
    /// Kills what has not stopped, and looks whether it is gone.
    pub(super) async fn kill(&self, found: &Found, ending: Ending, teller: Teller<'_>) -> Ending {
        let mut processes: Vec<Running> = found.processes();
        if let Some(record) = &found.record {
            processes.extend(session_of(record.process));
        }
        processes.retain(|one| signals::may_send(one.process).is_ok());
        if processes.is_empty() {
            return Ending {
                text: format!("{}; no process is known that could be killed", ending.text),
                ..ending
            };
        }
        let names: Vec<String> = processes.iter().map(name).collect();
        let names = names.join(", ");
        teller.step(
            self.clock.now(),
            StepKind::Remark,
            &format!("{}; sending SIGKILL to {names}", ending.text),
        );
        let mut evidence = ending.evidence;
        evidence.push(format!("before it was killed: {}", ending.text));
        for one in &processes {
            if let Err(error) = signals::send(one.process, rustix::process::Signal::KILL) {
                evidence.push(format!("{} could not be killed: {error}", name(one)));
            }
        }
        let killed: Vec<Process> = processes.iter().map(|one| one.process).collect();
        let mut ending = if self.has_gone(found, &killed).await {
            teller.step(self.clock.now(), StepKind::Gone, "it is gone");
            Ending::new(
                Verdict::Stopped,
                format!("{names} did not stop in time and was killed"),
            )
        } else {
            Ending::new(
                Verdict::StillAnswering,
                format!("SIGKILL was sent to {names}, and it is still there"),
            )
        };
        ending.evidence = evidence;
        ending
    }

    /// In two looks, apart from each other.
    async fn has_gone(&self, found: &Found, processes: &[Process]) -> bool {
        let deadline = Instant::now() + REAPING;
        let mut ticks = interval(TICK);
        let mut since: Option<Instant> = None;
        while Instant::now() < deadline {
            ticks.tick().await;
            let looks = look_at(&found.endpoints).await;
            let gone = lives(processes).iter().all(|life| *life == Life::Exited)
                && !looks.contains(&Look::Accepted);
            if !gone {
                since = None;
            } else if since.get_or_insert_with(Instant::now).elapsed() >= APART {
                return true;
            }
        }
        false
    }

    /// Ends what still runs of the session of a process that we started and that is gone, and gives who stays.
    pub(super) async fn end_session(
        &self,
        leader: Process,
        patience: Duration,
        teller: Teller<'_>,
    ) -> Vec<String> {
        let left = session_of(leader);
        if left.is_empty() {
            return Vec::new();
        }
        let names: Vec<String> = left.iter().map(name).collect();
        teller.step(
            self.clock.now(),
            StepKind::Remark,
            &format!(
                "sending SIGTERM to {}, which it left behind",
                names.join(", ")
            ),
        );
        let sent = |signal| {
            for one in session_of(leader) {
                // Whoever has gone meanwhile needs none, and who stays is told below.
                let _ = signals::send(one.process, signal);
            }
        };
        sent(rustix::process::Signal::TERM);
        if !self.session_ends(leader, patience).await && self.policy.force {
            sent(rustix::process::Signal::KILL);
            self.session_ends(leader, REAPING).await;
        }
        session_of(leader).iter().map(name).collect()
    }

    async fn session_ends(&self, leader: Process, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut ticks = interval(TICK);
        loop {
            ticks.tick().await;
            if session_of(leader).is_empty() {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
        }
    }
}
