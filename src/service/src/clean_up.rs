//! Clean-up handlers: they run at the end, the last registered first, each isolated and bounded in time.

use std::fmt::{self, Display};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::Service;
use crate::task::{BoxFuture, TaskError, run_isolated};

/// The result of one clean-up handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CleanUpResult {
    /// The name under which the handler was registered.
    pub name: String,
    /// Success, or the reason why the handler did not finish its work.
    pub outcome: Result<(), TaskError>,
    /// The time that the handler took.
    pub took: Duration,
}

type Handler = Box<dyn FnOnce() -> BoxFuture<Result<(), String>> + Send>;

/// The registered handlers, in the order of their registration.
#[derive(Default)]
pub(crate) struct CleanUps(Mutex<Vec<(String, Handler)>>);

impl fmt::Debug for CleanUps {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("CleanUps").finish_non_exhaustive()
    }
}

impl Service {
    /// Registers a clean-up handler for the shutdown; the handler registered last runs first.
    pub fn on_shutdown<F, R, E>(&self, name: impl Into<String>, handler: F)
    where
        F: FnOnce() -> R + Send + 'static,
        R: Future<Output = Result<(), E>> + Send + 'static,
        E: Display,
    {
        let handler: Handler = Box::new(move || {
            let running = handler();
            Box::pin(async move { running.await.map_err(|error| error.to_string()) })
        });
        self.inner.clean_ups.0.lock().push((name.into(), handler));
    }

    /// Runs each handler, the last registered first. A handler that is registered meanwhile runs next.
    pub(crate) async fn clean_up(&self, timeout: Duration) -> Vec<CleanUpResult> {
        let mut results = Vec::new();
        loop {
            let Some((name, handler)) = self.inner.clean_ups.0.lock().pop() else {
                return results;
            };
            let begin = Instant::now();
            let outcome = run_isolated(timeout, handler).await;
            if let Err(error) = &outcome {
                tracing::error!(handler = name, reason = %error, "clean-up failed");
            }
            results.push(CleanUpResult {
                name,
                outcome,
                took: begin.elapsed(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Settings;

    #[tokio::test(start_paused = true)]
    async fn the_last_registered_runs_first_and_none_stops_the_rest() {
        let limit = Duration::from_secs(10);
        let service = Service::new("orders", "1.0", Settings::default());
        service.on_shutdown("first", || async { Ok::<(), String>(()) });
        service.on_shutdown("hangs", std::future::pending::<Result<(), String>>);
        service.on_shutdown("panics", || -> BoxFuture<Result<(), String>> {
            Box::pin(async { panic!("in the future") })
        });
        service.on_shutdown("panics early", || -> BoxFuture<Result<(), String>> {
            panic!("before there is a future")
        });
        service.on_shutdown("fails", || async { Err("disk full") });
        let results: Vec<_> = service
            .clean_up(limit)
            .await
            .into_iter()
            .map(|clean_up| (clean_up.name, clean_up.outcome, clean_up.took))
            .collect();
        let at_once = Duration::ZERO;
        let expected = [
            ("fails", Err(TaskError::Failed("disk full".into())), at_once),
            ("panics early", Err(TaskError::Panicked), at_once),
            ("panics", Err(TaskError::Panicked), at_once),
            ("hangs", Err(TaskError::TimedOut(limit)), limit),
            ("first", Ok(()), at_once),
        ]
        .map(|(name, outcome, took)| (name.to_owned(), outcome, took));
        assert_eq!(results, expected);
    }
}
