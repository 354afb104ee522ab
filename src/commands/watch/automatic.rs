//! Restarts services by themselves while the dashboard runs, where the inventory permits it and `a` has switched it on.
//!
//! Who is restarted, and when, is decided in `action`; this carries it out as a task of its own.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::action::{Action, AutoRestart, RestartOutcome, RestartRequest, Verdict};
use crate::event::{ActionResult, Event, Input};
use crate::execute::Executor;
use crate::host::Clock;
use crate::inventory::Inventory;

/// How long an interrupted restart may take to write its account.
const ACCOUNT: Duration = Duration::from_secs(2);

/// What restarts services by themselves.
pub(super) struct Automation {
    decision: AutoRestart,
    executor: Executor,
    inventory: Arc<Inventory>,
    engine: UnboundedSender<Input>,
    clock: Clock,
    /// The one restart under way; gives its end.
    running: Option<JoinHandle<Carried>>,
    /// Services of whose restart by itself the end is told from now on. It comes by the same way as that of somebody's
    /// action.
    ending: UnboundedSender<String>,
    ended: UnboundedReceiver<String>,
    /// Those that were not told yet.
    untold: Vec<String>,
    stop: CancellationToken,
}

impl Automation {
    /// Of these services; switched off.
    pub(super) fn new(
        executor: Executor,
        inventory: Arc<Inventory>,
        engine: UnboundedSender<Input>,
        clock: Clock,
        watched: &BTreeSet<String>,
    ) -> Self {
        let (ending, ended) = unbounded_channel();
        Self {
            decision: AutoRestart::new(&inventory, |name| watched.contains(name)),
            executor,
            inventory,
            engine,
            clock,
            running: None,
            ending,
            ended,
            untold: Vec::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Takes in what is told of the services.
    pub(super) fn see(&mut self, event: &Event) {
        match event {
            Event::Picture { picture, .. } => {
                if let Some(text) = self.decision.observe(picture) {
                    self.tell(text);
                }
            }
            Event::ActionResult(done) if done.verdict != Verdict::Refused => {
                self.hear_of_an_end(&done.service);
            }
            _ => {}
        }
    }

    /// The end of an action on this service is told: of a restart by itself, or of what somebody has done.
    fn hear_of_an_end(&mut self, service: &str) {
        while let Ok(service) = self.ended.try_recv() {
            self.untold.push(service);
        }
        let own = self.untold.iter().position(|untold| untold == service);
        match own {
            Some(place) => drop(self.untold.swap_remove(place)),
            None => self.decision.acted(service),
        }
    }

    /// Switches it on or off.
    pub(super) fn toggle(&mut self) {
        let text = self.decision.switch(!self.decision.is_on());
        self.tell(text);
    }

    /// What the dashboard has to know of it: whether it is on, and whom it has given up on.
    pub(super) fn standing(&self) -> (bool, BTreeSet<String>) {
        (self.decision.is_on(), self.decision.given_up())
    }

    /// Goes on when something has ended or is due. Loses nothing when it is cancelled.
    pub(super) async fn go_on(&mut self) {
        let now = self.clock.now();
        let due = self.decision.due();
        let ended = async {
            match &mut self.running {
                Some(running) => running.await,
                None => pending().await,
            }
        };
        let begins = async {
            match due {
                Some(due) => sleep(due.since(now)).await,
                None => pending().await,
            }
        };
        let dones = tokio::select! {
            dones = ended => Some(dones),
            () = begins => None,
        };
        match dones {
            Some(dones) => {
                self.running = None;
                let outcome = dones.map_or_else(|_| broken_off(), Carried::outcome);
                if let Some(text) = self.decision.ended(outcome, self.clock.now()) {
                    self.tell(text);
                }
            }
            None => {
                if let Some(order) = self.decision.begin(self.clock.now()) {
                    self.carry_out(order);
                }
            }
        }
    }

    fn carry_out(&mut self, order: RestartRequest) {
        let call = format!(
            "healthctl watch, automatic restart of what is {}",
            order.cause
        );
        let executor = self.executor.called_for(&call);
        let executor = executor.only_running(order.precondition.expects_running());
        let inventory = Arc::clone(&self.inventory);
        let engine = self.engine.clone();
        let stop = self.stop.clone();
        let ending = self.ending.clone();
        let task = async move {
            let names = [order.service.clone()];
            let prepared = executor.prepare(Action::Restart, &inventory, &names).await;
            match prepared {
                Ok(prepared) => {
                    let present = prepared.present(&order.service);
                    let down = executor.put_down_since(&inventory, &order.service);
                    if down.is_some_and(|at| order.precondition.is_shut_down(at)) {
                        return Carried::PutDown;
                    }
                    if !order.precondition.holds(present.as_ref()) {
                        return Carried::Superseded;
                    }
                    let (account, told) = unbounded_channel();
                    let run = async move { executor.run(prepared, &account, &stop).await };
                    let (dones, ()) = tokio::join!(run, pass_on(told, &order, &engine, &ending));
                    Carried::Out(dones)
                }
                Err(refusals) => Carried::Out(executor.refuse(&refusals, None)),
            }
        };
        self.running = Some(tokio::spawn(task));
    }

    /// Begins nothing more; gives what was and was not done of what is under way.
    pub(super) async fn end(self) -> Vec<ActionResult> {
        self.stop.cancel();
        match self.running {
            Some(running) => {
                let account = tokio::time::timeout(ACCOUNT, running).await;
                match account.ok().and_then(Result::ok) {
                    Some(Carried::Out(dones)) => dones,
                    Some(Carried::PutDown | Carried::Superseded) | None => Vec::new(),
                }
            }
            None => Vec::new(),
        }
    }

    fn tell(&self, text: String) {
        // As below.
        let _ = self.engine.send(Input::Notice { text });
    }
}

/// What has become of a restart.
enum Carried {
    /// It was carried out, or refused.
    Out(Vec<ActionResult>),
    /// Somebody wants the service to be down.
    PutDown,
    /// It was not called for any more.
    Superseded,
}

impl Carried {
    /// What is to be learnt from its end.
    fn outcome(self) -> RestartOutcome {
        let dones = match self {
            Self::Out(dones) => dones,
            Self::PutDown => return RestartOutcome::ShutDown,
            Self::Superseded => return RestartOutcome::Superseded,
        };
        match dones.last() {
            None => RestartOutcome::Superseded,
            Some(done) if done.verdict == Verdict::Refused => RestartOutcome::Refused {
                reason: done.text.clone(),
                busy: done.details.busy,
            },
            Some(done) => RestartOutcome::Ended {
                verdict: done.verdict,
                stopped: done.details.times.drain.is_some(),
            },
        }
    }
}

fn broken_off() -> RestartOutcome {
    RestartOutcome::Refused {
        reason: "it was broken off".to_owned(),
        busy: false,
    }
}

/// Tells of a restart from when it really begins. One that came to nothing before is no news beside the remark on it, and
/// may not stand for the end of what somebody else does to the service meanwhile.
async fn pass_on(
    mut account: UnboundedReceiver<Input>,
    order: &RestartRequest,
    engine: &UnboundedSender<Input>,
    ending: &UnboundedSender<String>,
) {
    let mut begun = false;
    while let Some(input) = account.recv().await {
        match &input {
            Input::ActionStep(_) if !begun => {
                let text = format!("{}: restarted by itself: {}", order.service, order.reason);
                // The dashboard has gone where nobody is told.
                let _ = engine.send(Input::Notice { text });
            }
            Input::ActionResult(done) if done.verdict != Verdict::Refused => {
                let _ = ending.send(done.service.clone());
            }
            Input::ActionResult(_) if !begun => continue,
            _ => {}
        }
        begun = true;
        let _ = engine.send(input);
    }
}
