//! The last resort, where it was asked for: signals to the processes that are proved to be the service's; and what
//! a started service left of its session when its leader went.

use std::time::Duration;

use rustix::process::Signal;
use tokio::select;
use tokio::time::{Instant, interval};

use super::choose::name;
use super::look::{lives, look_at};
use super::{Executor, Sending};
use crate::action::{APART, Life, Look, Verdict};
use crate::event::StepKind;
use crate::health::Process;
use crate::host::records::Record;
use crate::host::signals::SignalError;
use crate::host::{Running, signals};

use super::ending::Ending;
use super::halves::With;
use super::identify::Found;
use super::run::Teller;

/// So long SIGTERM has where the time is up already, unless less was given to all of it.
const AFTER_TERM: Duration = Duration::from_secs(5);
/// Only a process stuck in the kernel takes longer to go.
const REAPING: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(25);

impl Executor {
    /// Ends what has not stopped by other means, and looks whether it is gone: whoever has had no signal gets SIGTERM
    /// first, with what is `left` of the time for that; then comes SIGKILL.
    pub(super) async fn force(
        &self,
        found: &Found,
        sending: &Sending,
        left: Duration,
        ending: Ending,
        with: With<'_>,
    ) -> Ending {
        let teller = with.teller;
        let processes = || {
            let mut processes: Vec<Running> = found.processes();
            if let Some(record) = &found.record {
                for member in record.session(found.led) {
                    if !processes.iter().any(|one| one.process == member.process) {
                        processes.push(member);
                    }
                }
            }
            processes.retain(|one| signals::may_send(one.process).is_ok());
            processes
        };
        let first = processes();
        if first.is_empty() {
            return Ending {
                text: format!("{}; no process is known that could be killed", ending.text),
                ..ending
            };
        }
        let mut evidence = ending.evidence;
        evidence.push(format!("before it was forced: {}", ending.text));
        let mut why = ending.text;
        let unasked: Vec<Running> = first
            .iter()
            .filter(|one| Some(one.process) != sending.signalled)
            .cloned()
            .collect();
        if !unasked.is_empty() {
            let patience = left.max(AFTER_TERM.min(sending.method.timeout));
            self.send_to(&unasked, Signal::TERM, &why, &mut evidence, teller);
            let gone = select! {
                biased;
                gone = self.has_gone(found, &first, patience) => gone,
                () = with.stop.cancelled() => {
                    let text = format!(
                        "interrupted: SIGTERM was sent to {}; whether it ends was not waited for",
                        names(&unasked)
                    );
                    return with_evidence(Verdict::Unverified, text, evidence);
                }
            };
            if gone {
                return self.forced(&first, "was ended by SIGTERM", evidence, teller);
            }
            "SIGTERM has not ended it".clone_into(&mut why);
        }
        let mut killed = processes();
        if killed.is_empty() {
            let text = format!(
                "{} was ended by SIGTERM, and something listens at its address all the same",
                names(&first)
            );
            return with_evidence(Verdict::GoneThenBack, text, evidence);
        }
        self.send_to(&killed, Signal::KILL, &why, &mut evidence, teller);
        // Whoever of the first ones went by itself has to be gone as well.
        killed.extend(first);
        if self.has_gone(found, &killed, REAPING).await {
            killed.sort_by_key(|one| one.process.pid);
            killed.dedup_by_key(|one| one.process);
            return self.forced(&killed, "did not stop and was killed", evidence, teller);
        }
        let text = "SIGKILL was sent, and it is still there".to_owned();
        with_evidence(Verdict::StillAnswering, text, evidence)
    }

    fn send_to(
        &self,
        processes: &[Running],
        signal: Signal,
        why: &str,
        evidence: &mut Vec<String>,
        teller: Teller<'_>,
    ) {
        let word = if signal == Signal::KILL {
            "SIGKILL"
        } else {
            "SIGTERM"
        };
        teller.step(
            self.clock.now(),
            StepKind::Remark,
            &format!("{why}; sending {word} to {}", names(processes)),
        );
        for one in processes {
            match signals::send(one.process, signal) {
                Ok(()) | Err(SignalError::Gone) => {}
                Err(error) => {
                    evidence.push(format!(
                        "{word} could not be sent to {}: {error}",
                        name(one)
                    ));
                }
            }
        }
    }

    fn forced(
        &self,
        processes: &[Running],
        how: &str,
        evidence: Vec<String>,
        teller: Teller<'_>,
    ) -> Ending {
        teller.step(self.clock.now(), StepKind::Gone, "it is gone");
        let text = format!("{} {how}", names(processes));
        with_evidence(Verdict::Stopped, text, evidence)
    }

    /// In two looks, apart from each other.
    async fn has_gone(&self, found: &Found, processes: &[Running], patience: Duration) -> bool {
        let processes: Vec<Process> = processes.iter().map(|one| one.process).collect();
        let deadline = Instant::now() + patience;
        let mut ticks = interval(TICK);
        let mut since: Option<Instant> = None;
        while Instant::now() < deadline {
            ticks.tick().await;
            let looks = look_at(&found.endpoints).await;
            let gone = lives(&processes).iter().all(|life| *life == Life::Exited)
                && !looks.contains(&Look::Accepted);
            if !gone {
                since = None;
            } else if since.get_or_insert_with(Instant::now).elapsed() >= APART {
                return true;
            }
        }
        false
    }

    /// Ends what still runs of the session of a process that we started and that is gone, and gives who stays. The
    /// process itself was `seen` to run before, or it was not.
    pub(super) async fn end_session(
        &self,
        record: &Record,
        seen: bool,
        patience: Duration,
        ending: &mut Ending,
        teller: Teller<'_>,
    ) -> Vec<String> {
        let session = || record.session(seen);
        let left = session();
        if left.is_empty() {
            return Vec::new();
        }
        let asked = std::mem::take(&mut ending.signalled);
        let unasked = left.iter().filter(|one| !asked.contains(&one.process));
        let unasked: Vec<Running> = unasked.cloned().collect();
        if !unasked.is_empty() {
            let what = format!("SIGTERM to {}, which it left behind", names(&unasked));
            teller.step(
                self.clock.now(),
                StepKind::Remark,
                &format!("sending {what}"),
            );
            ending.evidence.push(format!("sent {what}"));
        }
        for one in &unasked {
            // Whoever has gone meanwhile needs none, and who stays is told below.
            let _ = signals::send(one.process, Signal::TERM);
        }
        if !ends(&session, patience).await && self.policy.force {
            let still = names(&session());
            let what = format!("SIGTERM has not ended them; sending SIGKILL to {still}");
            teller.step(self.clock.now(), StepKind::Remark, &what);
            let what = format!("SIGKILL was sent to {still}, which it left behind");
            ending.evidence.push(what);
            for one in session() {
                // As above.
                let _ = signals::send(one.process, Signal::KILL);
            }
            ends(&session, REAPING).await;
        }
        session().iter().map(name).collect()
    }
}

fn with_evidence(verdict: Verdict, text: String, evidence: Vec<String>) -> Ending {
    let mut ending = Ending::new(verdict, text);
    ending.evidence = evidence;
    ending
}

fn names(processes: &[Running]) -> String {
    let names: Vec<String> = processes.iter().map(name).collect();
    names.join(", ")
}

/// Whether nothing of it is left in time.
async fn ends(session: &(impl Fn() -> Vec<Running> + Sync), patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    let mut ticks = interval(TICK);
    loop {
        ticks.tick().await;
        if session().is_empty() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
    }
}
