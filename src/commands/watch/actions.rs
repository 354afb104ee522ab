//! The actions that somebody asks for in the dashboard. They are prepared, kept until somebody decides, and carried out, all
//! in tasks of their own: the dashboard never waits for one.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::action::{Action, Refusal, RefusalReason};
use crate::event::{ActionResult, Input};
use crate::execute::{Executor, ForceOffer, ForceSwitch, PreparedAction};
use crate::inventory::Inventory;
use crate::tui::{Message, Permission, Ticket};

/// The time that interrupted actions have to record their results.
const LAST_RESULTS: Duration = Duration::from_secs(2);

/// All actions of the dashboard.
pub(super) struct Actions {
    executor: Executor,
    inventory: Arc<Inventory>,
    /// The engine publishes the steps and results of actions.
    engine: UnboundedSender<Input>,
    preparing: JoinSet<(Ticket, Result<Prepared, Vec<Refusal>>)>,
    prepared: HashMap<Ticket, Prepared>,
    running: JoinSet<Vec<ActionResult>>,
    stop: CancellationToken,
}

/// What waits for somebody's decision.
enum Prepared {
    /// An action, who carries it out, and the service that it kills.
    Action(Executor, PreparedAction, Option<String>),
    /// The end by force of a stop of this service that is under way.
    Force(String, ForceSwitch, ForceOffer),
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
    pub(super) fn prepare(
        &mut self,
        ticket: Ticket,
        services: Vec<String>,
        action: Action,
        permission: Permission,
    ) {
        if permission == Permission::Kill
            && let Some(forced) = services.first().and_then(|service| self.forced(service))
        {
            self.preparing.spawn(async move { (ticket, forced) });
            return;
        }
        let executor = self.executor.clone();
        let killed = services.first().filter(|_| permission.kills()).cloned();
        let executor = match permission {
            Permission::Nothing => executor,
            Permission::Kill => executor.killing(),
            Permission::Pid { pid, kills: false } => executor.naming(pid),
            Permission::Pid { pid, kills: true } => executor.killing().naming(pid),
        };
        let inventory = Arc::clone(&self.inventory);
        let engine = self.engine.clone();
        self.preparing.spawn(async move {
            let result = executor.prepare(action, &inventory, &services).await;
            if let Err(refusals) = &result {
                for refused in executor.refuse(refusals, None) {
                    let _ = engine.send(Input::ActionResult(Box::new(refused)));
                }
            }
            let prepared = result.map(|prepared| Prepared::Action(executor, prepared, killed));
            (ticket, prepared)
        });
    }

    /// Returns the end by force of a stop of the service; `None` where none is under way here. What is refused is on record.
    fn forced(&self, name: &str) -> Option<Result<Prepared, Vec<Refusal>>> {
        let switch = self.executor.force_switch(name)?;
        let offer = switch.offer(self.inventory.services.get(name)?)?;
        let forced = offer.map(|offer| Prepared::Force(name.to_owned(), switch, offer));
        Some(forced.map_err(|refusal| {
            let refusals = vec![refusal];
            self.executor.refuse(&refusals, None);
            refusals
        }))
    }

    /// Waits for the next action that is prepared, and keeps it. Loses nothing when it is cancelled.
    pub(super) async fn next(&mut self) -> Message {
        loop {
            match self.preparing.join_next().await {
                Some(Ok((ticket, result))) => {
                    let result = result.map(|prepared| {
                        let proposal = match &prepared {
                            Prepared::Action(_, action, _) => action.proposal(),
                            Prepared::Force(_, _, offer) => offer.proposal.clone(),
                        };
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

    /// Carries out a prepared action. Returns the news for the dashboard: a service is being killed, or the stop that was to
    /// be ended by force is another one now.
    pub(super) fn run(&mut self, ticket: Ticket) -> Option<Message> {
        match self.prepared.remove(&ticket)? {
            Prepared::Action(executor, prepared, killed) => {
                let engine = self.engine.clone();
                let stop = self.stop.clone();
                self.running
                    .spawn(async move { executor.run(prepared, &engine, &stop).await });
                killed.map(|service| Message::Killing { service })
            }
            Prepared::Force(name, switch, offer) => {
                let Err(why) = switch.force(&offer) else {
                    return Some(Message::Killing { service: name });
                };
                let service = self.inventory.services.get(&name)?;
                let reason = format!("nothing was killed: {why}");
                let reason = RefusalReason::new(reason, "where it still runs, `K` asks anew");
                let refusal = reason.of(service, Action::Shutdown);
                self.executor.refuse(std::slice::from_ref(&refusal), None);
                Some(Message::Refused(refusal))
            }
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
