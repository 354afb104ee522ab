//! Restarts services by themselves while the dashboard runs, where the inventory permits it and `a` has switched it on.
//!
//! Who is restarted, and when, is decided in `action`; this carries it out as a task of its own.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::action::{Action, Automatic, Order, Verdict};
use crate::event::{Done, Event};
use crate::host::Clock;
use crate::inventory::Inventory;
use crate::operate::Operator;

/// How long an interrupted restart may take to write its account.
const ACCOUNT: Duration = Duration::from_secs(2);

/// What restarts services by themselves.
pub(super) struct Automation {
    decision: Automatic,
    operator: Operator,
    inventory: Arc<Inventory>,
    /// Where every step is told.
    events: UnboundedSender<Event>,
    clock: Clock,
    /// The one restart under way.
    running: Option<JoinHandle<Vec<Done>>>,
    /// Those of whose restart the end is still to be told: it comes by the same way as that of somebody's action.
    untold: Vec<String>,
    stop: CancellationToken,
}

impl Automation {
    /// Of these services; switched off.
    pub(super) fn new(
        operator: Operator,
        inventory: Arc<Inventory>,
        events: UnboundedSender<Event>,
        clock: Clock,
        watched: &BTreeSet<String>,
    ) -> Self {
        Self {
            decision: Automatic::new(&inventory, |name| watched.contains(name)),
            operator,
            inventory,
            events,
            clock,
            running: None,
            untold: Vec::new(),
            stop: CancellationToken::new(),
        }
    }

    /// Takes in what is told of the services.
    pub(super) fn see(&mut self, event: &Event) {
        match event {
            Event::Picture { picture, .. } => self.decision.see(picture),
            Event::Done(done) => {
                let own = self
                    .untold
                    .iter()
                    .position(|service| *service == done.service);
                match own {
                    Some(place) => drop(self.untold.swap_remove(place)),
                    None if done.verdict == Verdict::Refused => {}
                    None => self.decision.acted(&done.service),
                }
            }
            _ => {}
        }
    }

    /// Switches it on or off, and gives what it is now.
    pub(super) fn toggle(&mut self) -> bool {
        let text = self.decision.switch(!self.decision.is_on());
        self.tell(text);
        self.decision.is_on()
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
                let verdicts = dones.unwrap_or_else(|_| {
                    // It was broken off, so nothing is told of its end.
                    self.untold.clear();
                    Vec::new()
                });
                let verdict = verdicts
                    .last()
                    .map_or(Verdict::Refused, |done| done.verdict);
                if let Some(text) = self.decision.ended(verdict, self.clock.now()) {
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

    fn carry_out(&mut self, order: Order) {
        let Order {
            service,
            cause,
            why,
        } = order;
        self.tell(format!("{service}: restarted by itself: {why}"));
        let operator = self.operator.called_for(&format!(
            "healthctl watch, automatic restart of what is {cause}"
        ));
        let inventory = Arc::clone(&self.inventory);
        let events = self.events.clone();
        let stop = self.stop.clone();
        let names = [service.clone()];
        let task = async move {
            let prepared = operator.prepare(Action::Restart, &inventory, &names).await;
            match prepared {
                Ok(prepared) => operator.run(prepared, &events, &stop).await,
                Err(refusals) => {
                    let dones = operator.refuse(&refusals, None);
                    for done in &dones {
                        // The dashboard has gone where nobody is told.
                        let _ = events.send(Event::Done(Box::new(done.clone())));
                    }
                    dones
                }
            }
        };
        self.untold.push(service);
        self.running = Some(tokio::spawn(task));
    }

    /// Begins nothing more; gives what was and was not done of what is under way.
    pub(super) async fn end(self) -> Vec<Done> {
        self.stop.cancel();
        match self.running {
            Some(running) => {
                let account = tokio::time::timeout(ACCOUNT, running).await;
                account.ok().and_then(Result::ok).unwrap_or_default()
            }
            None => Vec::new(),
        }
    }

    fn tell(&self, text: String) {
        let at = self.clock.now();
        // As above.
        let _ = self.events.send(Event::Notice { at, text });
    }
}
