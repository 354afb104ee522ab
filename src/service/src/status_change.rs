//! The hook that is told of each change of status, of a component and of the whole service.

use std::fmt::{self, Display};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::Service;
use crate::component::Component;
use crate::health::Health;
use crate::task::{boxed, run_isolated};

/// The time that a hook may take for one change.
const HOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// The number of changes that wait for a hook that is slow; further ones are dropped, and logged.
const WAITING: usize = 1000;

/// A change of the health of a component, or of the whole service.
///
/// Displayed, it is a line for people: `database: healthy -> unhealthy: connection refused`.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusChange {
    /// The name of the component; `None` where it is the whole service that has changed.
    pub component: Option<String>,
    /// The health before.
    pub from: Health,
    /// The health from now on. A component that is not used any more is unknown.
    pub to: Health,
    /// The message of the component, for people.
    pub message: Option<String>,
    /// The wall-clock time of the change.
    pub at: Timestamp,
}

impl Display for StatusChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.component.as_deref().unwrap_or("service");
        let (from, to) = (self.from.as_str(), self.to.as_str());
        write!(formatter, "{name}: {from} -> {to}")?;
        match &self.message {
            Some(message) => write!(formatter, ": {message}"),
            None => Ok(()),
        }
    }
}

/// The hooks of a service, and the health that they were told of last.
#[derive(Debug, Default)]
pub(crate) struct StatusHooks(Mutex<KnownStatus>);

#[derive(Debug)]
struct KnownStatus {
    hooks: Vec<mpsc::Sender<StatusChange>>,
    components: IndexMap<String, Health>,
    service: Health,
}

impl Default for KnownStatus {
    fn default() -> Self {
        Self {
            hooks: Vec::new(),
            components: IndexMap::new(),
            service: Health::Unknown,
        }
    }
}

impl KnownStatus {
    /// Returns the changes since the last call: those of the components first.
    fn update(&mut self, components: &[Component]) -> Vec<StatusChange> {
        let at = Timestamp::now();
        let mut changes = Vec::new();
        let mut gone = std::mem::take(&mut self.components);
        for component in components {
            let from = gone.shift_remove(&component.name);
            let (from, to) = (from.unwrap_or(Health::Unknown), component.health);
            self.components.insert(component.name.clone(), to);
            if from != to {
                changes.push(StatusChange {
                    component: Some(component.name.clone()),
                    from,
                    to,
                    message: component.message.clone(),
                    at,
                });
            }
        }
        for (name, from) in gone {
            if from != Health::Unknown {
                changes.push(StatusChange {
                    component: Some(name),
                    from,
                    to: Health::Unknown,
                    message: None,
                    at,
                });
            }
        }
        let (from, to) = (self.service, Component::overall(components));
        self.service = to;
        if from != to {
            changes.push(StatusChange {
                component: None,
                from,
                to,
                message: None,
                at,
            });
        }
        changes
    }
}

impl Service {
    /// Calls `hook` for each change of the health of a component and of the whole service, in the order
    /// in which they happen, from now on.
    ///
    /// The calls follow one another, and each may take 10 seconds. A hook that fails, panics or hangs
    /// is logged, and is called for the next change all the same. A slow one delays nothing else.
    ///
    /// ```
    /// use healthctl_service::{Service, Settings, StatusChange};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let service = Service::new("orders-api", "2.4.1", Settings::default());
    /// let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    /// service.on_status_change(move |change: StatusChange| {
    ///     let sent = sender.send(change.to_string());
    ///     async move { sent }
    /// });
    ///
    /// service.dependency("database").record_failure("connection refused");
    /// let first = receiver.recv().await;
    /// assert_eq!(first.as_deref(), Some("database: unknown -> unhealthy: connection refused"));
    /// assert_eq!(receiver.recv().await.as_deref(), Some("service: unknown -> unhealthy"));
    /// # }
    /// ```
    pub fn on_status_change<F, R, E>(&self, hook: F)
    where
        F: Fn(StatusChange) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: Display,
    {
        let (sender, mut receiver) = mpsc::channel(WAITING);
        {
            let mut known = self.inner.status_hooks.0.lock();
            // What the hooks before were not told yet, they are told now.
            let changes = known.update(&self.components());
            known.tell(&changes);
            known.hooks.push(sender);
        }
        let hook = Arc::new(hook);
        tokio::spawn(async move {
            while let Some(change) = receiver.recv().await {
                let (hook, text) = (Arc::clone(&hook), change.to_string());
                let outcome = run_isolated(HOOK_TIMEOUT, move || boxed(hook(change))).await;
                if let Err(error) = outcome {
                    tracing::error!(change = text, reason = %error, "hook on a change of status failed");
                }
            }
        });
    }

    /// Tells the hooks what has changed.
    pub(crate) fn note_status(&self) {
        // The lock is held throughout, so that changes are told in the order in which they happen.
        let mut known = self.inner.status_hooks.0.lock();
        if !known.hooks.is_empty() {
            let changes = known.update(&self.components());
            known.tell(&changes);
        }
    }
}

impl KnownStatus {
    fn tell(&self, changes: &[StatusChange]) {
        for (hook, change) in self.hooks.iter().flat_map(|hook| {
            let changes = changes.iter();
            changes.map(move |change| (hook, change))
        }) {
            if hook.try_send(change.clone()).is_err() {
                tracing::error!(change = %change, "hook is not told of a change of status: it is too slow");
            }
        }
    }
}
