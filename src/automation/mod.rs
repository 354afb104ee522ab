//! What happens by itself while `watch` runs: automatic restart and the `on_change` commands of the services.
//!
//! One task receives the events of the engine, carries out what `action` decides, and sends what came of it to the engine.
//! It must not draw or print.

mod hooks;
mod restarts;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use self::hooks::Hooks;
use self::restarts::Restarts;
use crate::event::{ActionResult, AutoRestartStatus, Event, Input};
use crate::execute::Executor;
use crate::host::Clock;
use crate::inventory::{Inventory, Service};

/// The time that an interrupted restart has to record its result.
const LAST_RESULT: Duration = Duration::from_secs(2);

/// The task that automates.
#[derive(Debug)]
pub(crate) struct Automation {
    pub(crate) status: watch::Receiver<AutoRestartStatus>,
    toggles: UnboundedSender<()>,
    stop: CancellationToken,
    task: JoinHandle<Vec<ActionResult>>,
}

impl Automation {
    /// Starts the task for the services that are watched. It ends with the events. `restart` switches automatic restart on
    /// before anything is observed.
    pub(crate) fn start(
        restart: bool,
        executor: Executor,
        clock: Clock,
        inventory: Arc<Inventory>,
        watched: &[Arc<Service>],
        events: impl Stream<Item = Event> + Send + 'static,
        engine: UnboundedSender<Input>,
    ) -> Self {
        let (toggles, mut requests) = unbounded_channel();
        let stop = CancellationToken::new();
        let mut hooks = Hooks::new(watched, engine.clone());
        let mut restarts = Restarts::new(executor, clock, inventory, watched, engine, stop.clone());
        if restart {
            restarts.toggle();
        }
        let (sender, status) = watch::channel(restarts.status());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut events = pin!(events);
            loop {
                tokio::select! {
                    () = stopped.cancelled() => break,
                    event = events.next() => match event {
                        Some(event) => {
                            hooks.observe(&event);
                            restarts.observe(&event);
                        }
                        None => break,
                    },
                    Some(()) = requests.recv() => restarts.toggle(),
                    () = hooks.proceed() => {}
                    () = restarts.proceed() => {}
                }
                let status = restarts.status();
                sender.send_if_modified(|old| {
                    let modified = *old != status;
                    *old = status;
                    modified
                });
            }
            restarts.end().await
        });
        Self {
            status,
            toggles,
            stop,
            task,
        }
    }

    /// Switches automatic restart on or off.
    pub(crate) fn toggle_restarts(&self) {
        // The task ends before this only together with the engine.
        let _ = self.toggles.send(());
    }

    /// Begins nothing more. Returns the results of the restart in progress.
    pub(crate) async fn end(self) -> Vec<ActionResult> {
        self.stop.cancel();
        let results = tokio::time::timeout(LAST_RESULT, self.task).await;
        results.ok().and_then(Result::ok).unwrap_or_default()
    }
}
