//! What makes the service read its file again by itself.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Configuration, ReloadTrigger, fingerprint};

/// How long the directory has to be quiet: one save is several events.
const QUIET: Duration = Duration::from_millis(150);
/// Where it never is, the file is looked at nonetheless.
const RESTLESS: Duration = Duration::from_secs(2);
/// How often the file is looked at beside: some file systems tell nothing.
const SELDOM: Duration = Duration::from_secs(30);
/// The same where the directory cannot be watched at all.
const OFTEN: Duration = Duration::from_secs(2);

impl<C: Clone + Send + Sync + 'static> Configuration<C> {
    /// Reloads on SIGHUP, until the shutdown. The handler stands when this returns.
    ///
    /// # Errors
    ///
    /// When it cannot be installed.
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

    /// Reloads when the content of the file has changed, until the shutdown.
    pub fn reload_on_change(&self) {
        let changed = Arc::new(Notify::new());
        // The directory, not the file: editors and Kubernetes put another file in its place.
        let watcher = watch(directory(&self.inner.path), &changed);
        if let Err(error) = &watcher {
            tracing::warn!(reason = %error, "the configuration's directory cannot be watched");
        }
        let interval = if watcher.is_ok() { SELDOM } else { OFTEN };
        let configuration = self.clone();
        self.inner.service.background(async move {
            // It ends with this task.
            let _watcher = watcher;
            loop {
                tokio::select! {
                    () = changed.notified() => quiet(&changed).await,
                    () = tokio::time::sleep(interval) => {}
                }
                if configuration.differs().await {
                    configuration.reload(ReloadTrigger::File).await;
                }
            }
        });
    }

    /// Whether the file holds something else than when it was last looked at.
    async fn differs(&self) -> bool {
        let text = self.inner.text().await;
        let found = text.as_deref().ok().map(fingerprint);
        *self.inner.seen() != found
    }
}

fn watch(directory: &Path, changed: &Arc<Notify>) -> notify::Result<RecommendedWatcher> {
    let changed = Arc::clone(changed);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Our own reading is an event too.
        if event.is_ok_and(|event| !event.kind.is_access()) {
            changed.notify_one();
        }
    })?;
    watcher.watch(directory, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Waits until nothing has happened for a while.
async fn quiet(changed: &Notify) {
    let begin = Instant::now();
    while begin.elapsed() < RESTLESS {
        if tokio::time::timeout(QUIET, changed.notified())
            .await
            .is_err()
        {
            return;
        }
    }
}
