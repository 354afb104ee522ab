//! What has to be done before the end: last registered first, each isolated and bounded in time.

use std::fmt::{self, Display};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How one clean-up handler went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CleanUpResult {
    /// The name it was registered under.
    pub name: String,
    /// What came of it.
    pub outcome: Result<(), CleanUpError>,
    /// How long it took.
    pub took: Duration,
}

/// Why a clean-up handler did not do its work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CleanUpError {
    /// It said so itself.
    #[error("{0}")]
    Failed(String),
    /// It panicked.
    #[error("panicked")]
    Panicked,
    /// It was not done within its limit and was dropped.
    #[error("not done within {0:?}")]
    TimedOut(Duration),
}

type Handler = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = Result<(), String>> + Send>> + Send>;

/// The registered handlers.
#[derive(Default)]
pub(super) struct CleanUps {
    handlers: Mutex<Vec<(String, Handler)>>,
}

impl fmt::Debug for CleanUps {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CleanUps").finish_non_exhaustive()
    }
}

impl CleanUps {
    pub(super) fn register<F, R, E>(&self, name: String, handler: F)
    where
        F: FnOnce() -> R + Send + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: Display,
    {
        let handler: Handler = Box::new(move || {
            let running = handler();
            Box::pin(async move { running.await.map_err(|error| error.to_string()) })
        });
        self.lock().push((name, handler));
    }

    /// Runs each handler, the last one registered first; one registered meanwhile runs next.
    pub(super) async fn run(&self, limit: Duration) -> Vec<CleanUpResult> {
        let mut done = Vec::new();
        loop {
            let Some((name, handler)) = self.lock().pop() else {
                return done;
            };
            let begin = Instant::now();
            let outcome = run_one(handler, limit).await;
            if let Err(error) = &outcome {
                tracing::error!(handler = name, reason = %error, "clean-up failed");
            }
            done.push(CleanUpResult {
                name,
                outcome,
                took: begin.elapsed(),
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(String, Handler)>> {
        self.handlers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// In a task of its own, so that a panic ends the task and not the clean-up.
async fn run_one(handler: Handler, limit: Duration) -> Result<(), CleanUpError> {
    let mut task = tokio::spawn(async move { handler().await });
    match tokio::time::timeout(limit, &mut task).await {
        Ok(Ok(result)) => result.map_err(CleanUpError::Failed),
        Ok(Err(_)) => Err(CleanUpError::Panicked),
        Err(_) => {
            task.abort();
            Err(CleanUpError::TimedOut(limit))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Pending = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

    #[tokio::test(start_paused = true)]
    async fn last_registered_runs_first_and_none_stops_the_rest() {
        let limit = Duration::from_secs(10);
        let clean_ups = CleanUps::default();
        clean_ups.register("first".into(), || async { Ok::<(), String>(()) });
        clean_ups.register("hangs".into(), std::future::pending::<Result<(), String>>);
        clean_ups.register("panics".into(), || -> Pending {
            Box::pin(async { panic!("in the future") })
        });
        clean_ups.register("panics early".into(), || -> Pending {
            panic!("before there is a future")
        });
        clean_ups.register("fails".into(), || async { Err("disk full") });
        let done: Vec<_> = clean_ups
            .run(limit)
            .await
            .into_iter()
            .map(|clean_up| (clean_up.name, clean_up.outcome, clean_up.took))
            .collect();
        let at_once = Duration::ZERO;
        let expected = [
            (
                "fails",
                Err(CleanUpError::Failed("disk full".into())),
                at_once,
            ),
            ("panics early", Err(CleanUpError::Panicked), at_once),
            ("panics", Err(CleanUpError::Panicked), at_once),
            ("hangs", Err(CleanUpError::TimedOut(limit)), limit),
            ("first", Ok(()), at_once),
        ]
        .map(|(name, outcome, took)| (name.to_owned(), outcome, took));
        assert_eq!(done, expected);
    }
}
