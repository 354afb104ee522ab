//! Reloads the configuration when its file changes and when SIGHUP arrives.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

use super::configuration::Configuration;
use super::result::ReloadTrigger;

/// The time without events after which a change counts as complete: one save is several events.
const QUIET: Duration = Duration::from_millis(150);
/// The time after which the file is read even if events go on.
const MAX_UNQUIET: Duration = Duration::from_secs(2);
/// The interval at which the file is read without an event, since some file systems report none.
const POLL_WATCHED: Duration = Duration::from_secs(30);
/// The same interval where the directory of the file cannot be watched.
const POLL_UNWATCHED: Duration = Duration::from_secs(2);

impl<C: Clone + Send + Sync + 'static> Configuration<C> {
    /// Reloads on SIGHUP, until the shutdown. The signal handler is installed on return.
    ///
    /// # Errors
    ///
    /// When the signal handler cannot be installed.
    pub fn reload_on_hangup(&self) -> io::Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        let configuration = self.clone();
        self.inner.service.background(async move {
            while hangup.recv().await.is_some() {
                configuration.reload(ReloadTrigger::Hangup).await;
            }
        });
        Ok(())
    }

    /// Reloads when the content of the file changes, until the shutdown. A file that is replaced, as
    /// editors and Kubernetes do it, counts as changed.
    pub fn reload_on_change(&self) {
        let events = Arc::new(Notify::new());
        let watcher = watch_directory(self.path(), &events);
        let interval = match &watcher {
            Ok(_) => POLL_WATCHED,
            Err(error) => {
                tracing::warn!(reason = %error, "the configuration's directory cannot be watched");
                POLL_UNWATCHED
            }
        };
        let configuration = self.clone();
        self.inner.service.background(async move {
            // Dropping the watcher would end the watch.
            let _watcher = watcher;
            loop {
                tokio::select! {
                    () = events.notified() => quiet(&events).await,
                    () = sleep(interval) => {}
                }
                if configuration.has_changed().await {
                    configuration.reload(ReloadTrigger::File).await;
                }
            }
        });
    }
}

/// Watches the directory of the file, since a watch of the file itself would end when it is replaced.
fn watch_directory(file: &Path, events: &Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let directory = match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let events = Arc::clone(events);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading the file causes an event too.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            events.notify_one();
        }
    })?;
    watcher.watch(directory, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

/// Waits until there has been no event for a while.
async fn quiet(events: &Notify) {
    let begin = Instant::now();
    while begin.elapsed() < MAX_UNQUIET && timeout(QUIET, events.notified()).await.is_ok() {}
}
