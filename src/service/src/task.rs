//! Runs code of the program in a task of its own, so that a panic or a hang ends nothing else.

use std::fmt::Display;
use std::pin::Pin;
use std::time::Duration;

/// A boxed future, as stored for handlers of the program.
pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Why a handler of the program did not succeed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TaskError {
    /// The handler returned this error.
    #[error("{0}")]
    Failed(String),
    /// The handler panicked; its message is on the standard error stream.
    #[error("panicked")]
    Panicked,
    /// The handler was not done within this time and was dropped.
    #[error("timed out after {0:?}")]
    TimedOut(Duration),
}

/// Boxes the future of a handler; an error becomes its text.
pub(crate) fn boxed<T, E: Display>(
    future: impl Future<Output = Result<T, E>> + Send + 'static,
) -> BoxFuture<Result<T, String>> {
    Box::pin(async move { future.await.map_err(|error| error.to_string()) })
}

/// Runs the handler that `start` creates in a task of its own and waits for it, at most for
/// `timeout`. A panic in `start` itself is caught too.
pub(crate) async fn run_isolated<T: Send + 'static>(
    timeout: Duration,
    start: impl FnOnce() -> BoxFuture<Result<T, String>> + Send + 'static,
) -> Result<T, TaskError> {
    let mut task = tokio::spawn(async move { start().await });
    match tokio::time::timeout(timeout, &mut task).await {
        Ok(Ok(result)) => result.map_err(TaskError::Failed),
        Ok(Err(_)) => Err(TaskError::Panicked),
        Err(_) => {
            task.abort();
            Err(TaskError::TimedOut(timeout))
        }
    }
}
