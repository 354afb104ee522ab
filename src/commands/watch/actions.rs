//! Between the dashboard and what carries out actions: prepares, keeps what was prepared until somebody decides, runs it.
//!
//! Everything runs as tasks of its own; the loop never waits for one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::action::{Action, Refusal};
use crate::event::{ActionResult, Input};
use crate::execute::{Executor, PreparedAction};
use crate::inventory::Inventory;
use crate::tui::{Message, Ticket};

/// How long an interrupted action may take to write its account.
const ACCOUNT: Duration = Duration::from_secs(2);

/// Carries out what the dashboard asks for.
pub(super) struct Actions {
    executor: Executor,
    inventory: Arc<Inventory>,
    engine: UnboundedSender<Input>,
    answers: UnboundedSender<Answer>,
    answered: UnboundedReceiver<Answer>,
    prepared: HashMap<Ticket, PreparedAction>,
    running: JoinSet<Vec<ActionResult>>,
    stop: CancellationToken,
}

/// What came of a preparation.
pub(super) struct Answer {
    ticket: Ticket,
    result: Result<PreparedAction, Vec<Refusal>>,
}

impl Actions {
    /// The steps and results of actions are sent to the engine, which publishes them.
    pub(super) fn new(
        executor: Executor,
        inventory: Arc<Inventory>,
        engine: UnboundedSender<Input>,
    ) -> Self {
        let (answers, answered) = unbounded_channel();
        Self {
            executor,
            inventory,
            engine,
            answers,
            answered,
            prepared: HashMap::new(),
            running: JoinSet::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Finds out what an action would be; the answer comes by [`next`](Self::next).
    pub(super) fn prepare(&self, ticket: Ticket, services: Vec<String>, action: Action) {
        let executor = self.executor.clone();
        let inventory = Arc::clone(&self.inventory);
        let answers = self.answers.clone();
        let engine = self.engine.clone();
        tokio::spawn(async move {
            let result = executor.prepare(action, &inventory, &services).await;
            if let Err(refusals) = &result {
                for done in executor.refuse(refusals, None) {
                    let _ = engine.send(Input::ActionResult(Box::new(done)));
                }
            }
            // Nobody waits for it any more where the dashboard has ended.
            let _ = answers.send(Answer { ticket, result });
        });
    }

    /// The next answer, as the dashboard is told it. Loses nothing when it is cancelled.
    pub(super) async fn next(&mut self) -> Message {
        // This holds a sender itself, so the channel never ends.
        match self.answered.recv().await {
            Some(Answer { ticket, result }) => Message::Prepared {
                ticket,
                result: result.map(|prepared| {
                    let proposal = prepared.proposal();
                    self.prepared.insert(ticket, prepared);
                    proposal
                }),
            },
            None => std::future::pending().await,
        }
    }

    /// Carries out what was prepared.
    pub(super) fn run(&mut self, ticket: Ticket) {
        let Some(prepared) = self.prepared.remove(&ticket) else {
            return;
        };
        let executor = self.executor.clone();
        let engine = self.engine.clone();
        let stop = self.stop.clone();
        self.running
            .spawn(async move { executor.run(prepared, &engine, &stop).await });
    }

    /// Throws it away.
    pub(super) fn forget(&mut self, ticket: Ticket) {
        self.prepared.remove(&ticket);
    }

    /// Sends nothing more and watches nothing more; gives what was and was not done by what was still under way.
    pub(super) async fn end(mut self) -> Vec<ActionResult> {
        while self.running.try_join_next().is_some() {}
        self.stop.cancel();
        let mut ended = Vec::new();
        let account = async {
            while let Some(Ok(done)) = self.running.join_next().await {
                ended.extend(done);
            }
        };
        // What takes longer than this has been sent, and stands in the audit file.
        let _ = tokio::time::timeout(ACCOUNT, account).await;
        ended
    }
}
