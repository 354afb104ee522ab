//! Runs the `on_change` commands of the services when their states change. Nothing waits for a command.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinSet;

use crate::action::{StateTransition, TransitionQueue};
use crate::event::{Event, Input};
use crate::inventory::{Exec, Hook, Secret, Service};
use crate::probe;
use crate::text;

/// The number of commands that run at once.
const MAX_RUNNING: usize = 4;
/// The length of a command in a notice.
const MAX_SHOWN: usize = 200;

pub(super) struct Hooks {
    services: HashMap<String, HookState>,
    permits: Arc<Semaphore>,
    running: JoinSet<HookResult>,
    engine: UnboundedSender<Input>,
}

/// The command of one service.
struct HookState {
    hook: Arc<Hook>,
    transitions: TransitionQueue,
}

/// A command that has ended.
struct HookResult {
    service: String,
    error: Option<String>,
}

impl Hooks {
    pub(super) fn new(services: &[Arc<Service>], engine: UnboundedSender<Input>) -> Self {
        let services = services.iter().filter_map(|service| {
            let hook = Arc::new(service.on_change.clone()?);
            let transitions = TransitionQueue::default();
            Some((service.name.clone(), HookState { hook, transitions }))
        });
        Self {
            services: services.collect(),
            permits: Arc::new(Semaphore::new(MAX_RUNNING)),
            running: JoinSet::new(),
            engine,
        }
    }

    pub(super) fn observe(&mut self, event: &Event) {
        if let Event::Snapshot { snapshot, .. } = event
            && let Some(state) = self.services.get_mut(&snapshot.info.name)
            && let Some(transition) = state.transitions.observe(snapshot)
        {
            let hook = Arc::clone(&state.hook);
            self.run(snapshot.info.name.clone(), hook, transition);
        }
    }

    /// Waits until a command has ended, and goes on from there. Loses nothing when it is cancelled.
    pub(super) async fn proceed(&mut self) {
        let result = match self.running.join_next().await {
            Some(Ok(result)) => result,
            // A panic was reported where it happened. The command of that service is not run any more.
            Some(Err(_)) => return,
            None => pending().await,
        };
        let Some(state) = self.services.get_mut(&result.service) else {
            return;
        };
        let next = state.transitions.ended();
        let hook = Arc::clone(&state.hook);
        if let Some(error) = result.error {
            let command = text::clean(&hook.exec.shown.join(" "), MAX_SHOWN);
            let text = format!("{}: on_change `{command}` failed: {error}", result.service);
            // An engine that has ended publishes nothing any more.
            let _ = self.engine.send(Input::Notice { text });
        }
        if let Some(transition) = next {
            self.run(result.service, hook, transition);
        }
    }

    fn run(&mut self, service: String, hook: Arc<Hook>, transition: StateTransition) {
        let permits = Arc::clone(&self.permits);
        self.running.spawn(async move {
            // The semaphore is never closed.
            let _permit = permits.acquire().await;
            let exec = with_transition(&hook.exec, &service, transition);
            let result = probe::run(&exec, hook.timeout).await;
            HookResult {
                service,
                error: result.err().map(|failure| failure.message),
            }
        });
    }
}

/// Adds the transition to the environment of a command.
fn with_transition(exec: &Exec, service: &str, transition: StateTransition) -> Exec {
    let mut exec = exec.clone();
    let at = transition.at.wall.strftime("%FT%TZ");
    exec.env.extend(
        [
            ("HEALTHCTL_SERVICE", service.to_owned()),
            ("HEALTHCTL_STATE", transition.state.to_string()),
            ("HEALTHCTL_PREVIOUS_STATE", transition.previous.to_string()),
            ("HEALTHCTL_REASON", transition.reason),
            ("HEALTHCTL_AT", at.to_string()),
        ]
        .map(|(name, value)| (name.to_owned(), Secret::Plain(value))),
    );
    exec
}
