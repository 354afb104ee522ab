//! Carries out automatic restarts, one after another. `action` decides which service is restarted, and when.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Arc;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::action::{Action, AutoRestart, RestartOutcome, RestartRequest, Verdict};
use crate::event::{ActionResult, AutoRestartStatus, Event, Input};
use crate::execute::Executor;
use crate::host::Clock;
use crate::inventory::{Inventory, Service};

/// Carries out automatic restarts.
pub(super) struct Restarts {
    decision: AutoRestart,
    executor: Executor,
    clock: Clock,
    inventory: Arc<Inventory>,
    engine: UnboundedSender<Input>,
    /// The restart in progress.
    running: Option<JoinHandle<(RestartOutcome, Vec<ActionResult>)>>,
    stop: CancellationToken,
}

impl Restarts {
    pub(super) fn new(
        executor: Executor,
        clock: Clock,
        inventory: Arc<Inventory>,
        watched: &[Arc<Service>],
        engine: UnboundedSender<Input>,
        stop: CancellationToken,
    ) -> Self {
        let watched: BTreeSet<&str> = watched.iter().map(|it| it.name.as_str()).collect();
        Self {
            decision: AutoRestart::new(&inventory, |name| watched.contains(name)),
            executor,
            clock,
            inventory,
            engine,
            running: None,
            stop,
        }
    }

    pub(super) fn observe(&mut self, event: &Event) {
        match event {
            Event::Snapshot { snapshot, .. } => {
                let said = self.decision.observe(snapshot);
                self.notify(said);
            }
            Event::ActionResult(result)
                if result.verdict != Verdict::Refused && !result.details.automatic =>
            {
                self.decision.acted(&result.service);
            }
            _ => {}
        }
    }

    pub(super) fn toggle(&mut self) {
        let said = self.decision.switch(!self.decision.is_on());
        self.notify(Some(said));
    }

    pub(super) fn status(&self) -> AutoRestartStatus {
        AutoRestartStatus {
            on: self.decision.is_on(),
            given_up: self.decision.given_up(),
        }
    }

    /// Waits until a restart has ended or is due, and goes on from there. Loses nothing when it is cancelled.
    pub(super) async fn proceed(&mut self) {
        if let Some(running) = &mut self.running {
            let ended = running.await;
            self.running = None;
            let outcome = ended.map_or_else(
                |_| RestartOutcome::Refused {
                    reason: "it was interrupted".to_owned(),
                    busy: false,
                    code_rejected: false,
                },
                |(outcome, _)| outcome,
            );
            let said = self.decision.ended(outcome, self.clock.now());
            self.notify(said);
            return;
        }
        match self.decision.due() {
            Some(due) => sleep(due.since(self.clock.now())).await,
            None => pending().await,
        }
        if let Some(request) = self.decision.begin(self.clock.now()) {
            let executor = self
                .executor
                .called_for(&format!(
                    "healthctl watch, automatic restart of what is {}",
                    request.cause
                ))
                .only_running(request.precondition.expects_running());
            let inventory = Arc::clone(&self.inventory);
            let (engine, stop) = (self.engine.clone(), self.stop.clone());
            let restart = restart(executor, inventory, request, engine, stop);
            self.running = Some(tokio::spawn(restart));
        }
    }

    /// Returns the results of the restart in progress once that has been interrupted.
    pub(super) async fn end(self) -> Vec<ActionResult> {
        let Some(running) = self.running else {
            return Vec::new();
        };
        running
            .await
            .map_or_else(|_| Vec::new(), |(_, results)| results)
    }

    fn notify(&self, text: Option<String>) {
        if let Some(text) = text {
            // An engine that has ended publishes nothing any more.
            let _ = self.engine.send(Input::Notice { text });
        }
    }
}

/// Restarts a service if that is still called for.
async fn restart(
    executor: Executor,
    inventory: Arc<Inventory>,
    request: RestartRequest,
    engine: UnboundedSender<Input>,
    stop: CancellationToken,
) -> (RestartOutcome, Vec<ActionResult>) {
    let service = &request.service;
    let names = [service.clone()];
    let results = match executor.prepare(Action::Restart, &inventory, &names).await {
        Err(refusals) => executor.refuse(&refusals, None),
        Ok(prepared) => {
            let current = prepared.present(service);
            let shut_down = executor.stopped_since(&inventory, service);
            if shut_down.is_some_and(|at| request.precondition.is_shut_down(at)) {
                return (RestartOutcome::ShutDown, Vec::new());
            }
            if !request.precondition.holds(current.as_ref()) {
                return (RestartOutcome::Superseded, Vec::new());
            }
            let (inputs, received) = unbounded_channel();
            let run = async move { executor.run(prepared, &inputs, &stop).await };
            let (results, ()) = tokio::join!(run, forward(received, &request, &engine));
            results
        }
    };
    let outcome = match results.last() {
        None => RestartOutcome::Superseded,
        Some(result) if result.verdict == Verdict::Refused => RestartOutcome::Refused {
            reason: result.text.clone(),
            busy: result.details.busy,
            code_rejected: result.details.code_rejected,
        },
        Some(result) => RestartOutcome::Ended {
            verdict: result.verdict,
            stopped: result.details.times.drain.is_some(),
        },
    };
    (outcome, results)
}

/// Forwards to the engine what the executor reports, from when the restart really begins. One that ends before that is
/// no news beside the notice about it, and its result must not be taken for that of somebody else's action.
async fn forward(
    mut received: UnboundedReceiver<Input>,
    request: &RestartRequest,
    engine: &UnboundedSender<Input>,
) {
    let mut begun = false;
    while let Some(mut input) = received.recv().await {
        match &mut input {
            Input::ActionStep(_) if !begun => {
                let text = format!("{}: automatic restart: {}", request.service, request.reason);
                let _ = engine.send(Input::Notice { text });
            }
            Input::ActionResult(result) if result.verdict == Verdict::Refused && !begun => continue,
            Input::ActionResult(result) => result.details.automatic = true,
            _ => {}
        }
        begun = true;
        let _ = engine.send(input);
    }
}
