//! The actions that somebody asks for in the dashboard. They are prepared, kept until somebody decides, and carried out, all
//! in tasks of their own: the dashboard never waits for one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::action::{Action, Refusal};
use crate::event::{ActionResult, Input};
use crate::execute::{Executor, PreparedAction};
use crate::inventory::Inventory;
use crate::tui::{Message, Ticket};

/// The time that interrupted actions have to record their results.
const LAST_RESULTS: Duration = Duration::from_secs(2);

/// All actions of the dashboard.
pub(super) struct Actions {
    executor: Executor,
    inventory: Arc<Inventory>,
    /// The engine publishes the steps and results of actions.
    engine: UnboundedSender<Input>,
    preparing: JoinSet<(Ticket, Result<PreparedAction, Vec<Refusal>>)>,
    prepared: HashMap<Ticket, PreparedAction>,
    running: JoinSet<Vec<ActionResult>>,
    stop: CancellationToken,
}

impl Actions {
    pub(super) fn new(
        executor: Executor,
        inventory: Arc<Inventory>,
        engine: UnboundedSender<Input>,
    ) -> Self {
        Self {
            executor,
            inventory,
            engine,
            preparing: JoinSet::new(),
            prepared: HashMap::new(),
            running: JoinSet::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Prepares an action. The result comes from [`next`](Self::next).
    pub(super) fn prepare(&mut self, ticket: Ticket, services: Vec<String>, action: Action) {
        let executor = self.executor.clone();
        let inventory = Arc::clone(&self.inventory);
        let engine = self.engine.clone();
        self.preparing.spawn(async move {
            let result = executor.prepare(action, &inventory, &services).await;
            if let Err(refusals) = &result {
                for refused in executor.refuse(refusals, None) {
                    let _ = engine.send(Input::ActionResult(Box::new(refused)));
                }
            }
            (ticket, result)
        });
    }

    /// Waits for the next action that is prepared, and keeps it. Loses nothing when it is cancelled.
    pub(super) async fn next(&mut self) -> Message {
        loop {
            match self.preparing.join_next().await {
                Some(Ok((ticket, result))) => {
                    let result = result.map(|prepared| {
                        let proposal = prepared.proposal();
                        self.prepared.insert(ticket, prepared);
                        proposal
                    });
                    return Message::Prepared { ticket, result };
                }
                // A panic was reported where it happened.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Carries out a prepared action.
    pub(super) fn run(&mut self, ticket: Ticket) {
        if let Some(prepared) = self.prepared.remove(&ticket) {
            let executor = self.executor.clone();
            let engine = self.engine.clone();
            let stop = self.stop.clone();
            self.running
                .spawn(async move { executor.run(prepared, &engine, &stop).await });
        }
    }

    /// Drops a prepared action.
    pub(super) fn forget(&mut self, ticket: Ticket) {
        self.prepared.remove(&ticket);
    }

    /// Interrupts the actions in progress. Returns their results.
    pub(super) async fn end(mut self) -> Vec<ActionResult> {
        while self.running.try_join_next().is_some() {}
        self.stop.cancel();
        let mut results = Vec::new();
        let last_results = async {
            while let Some(Ok(result)) = self.running.join_next().await {
                results.extend(result);
            }
        };
        // The audit file has what was sent by an action that takes longer.
        let _ = tokio::time::timeout(LAST_RESULTS, last_results).await;
        results
    }
}
