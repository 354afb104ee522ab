//! A circuit breaker: what fails again and again is left alone for a while.

mod machine;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::time::Duration;

use tokio::time::Instant;

use super::Service;
use super::dependency::Dependency;
use machine::Pass;

pub(super) use machine::Machine;

/// Guards the calls to one dependency. After so many failures in a row the circuit opens and calls
/// are refused at once; after a pause it is half-open, and one call is let through: its success
/// closes the circuit, its failure opens it again. What comes of calls that were under way before
/// it opened changes nothing any more. Copies share everything.
///
/// Each call is recorded with the [`Dependency`], one that panics as a failure; while the circuit is
/// not closed, its message and its detail `circuit_breaker` say so in every payload.
///
/// ```
/// use std::time::Duration;
/// use healthctl_service::{CallError, CircuitState, Service, Settings};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let service = Service::new("orders-api", "2.4.1", Settings::default());
/// let payments = service.circuit_breaker("payments", 2, Duration::from_secs(30));
/// for _ in 0..2 {
///     let result: Result<(), _> = payments.call(async { Err("502") }).await;
///     assert!(matches!(result, Err(CallError::Failed("502"))));
/// }
/// let refused: Result<(), CallError<&str>> = payments.call(async { Ok(()) }).await;
/// assert!(matches!(refused, Err(CallError::Open { .. })));
/// assert_eq!(payments.circuit(), CircuitState::Open);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct CircuitBreaker {
    dependency: Dependency,
}

/// How a circuit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CircuitState {
    /// Calls go through.
    Closed,
    /// Calls are refused.
    Open,
    /// One call is let through, to see.
    HalfOpen,
}

/// Why there is no result of a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError<E> {
    /// It was not made.
    #[error("{}", refusal(*.retry_in))]
    Open {
        /// How long until one is let through; zero while one is on its way.
        retry_in: Duration,
    },
    /// It was made and failed.
    #[error(transparent)]
    Failed(E),
}

fn refusal(retry_in: Duration) -> String {
    if retry_in.is_zero() {
        "the circuit is half-open and its trial is under way".to_owned()
    } else {
        format!("the circuit is open for another {retry_in:.1?}")
    }
}

impl CircuitState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Closed, Self::Open, Self::HalfOpen];

    /// Its word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
        }
    }
}

/// A call on its way.
struct Passage<'a> {
    breaker: &'a CircuitBreaker,
    pass: Pass,
    succeeded: Option<bool>,
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.breaker.dependency.record_failure("panicked");
            self.succeeded = Some(false);
        }
        let (pass, succeeded) = (self.pass, self.succeeded);
        let before = self.breaker.circuit();
        self.breaker
            .with(|machine| machine.leave(pass, succeeded, Instant::now()));
        let after = self.breaker.circuit();
        if before != after {
            let dependency = self.breaker.dependency.name();
            tracing::warn!(dependency, circuit = after.word(), "circuit breaker");
        }
    }
}

impl CircuitBreaker {
    /// The dependency that it guards.
    pub fn dependency(&self) -> &Dependency {
        &self.dependency
    }

    /// How the circuit is now.
    pub fn circuit(&self) -> CircuitState {
        self.with(|machine| machine.circuit(Instant::now()))
            .unwrap_or(CircuitState::Closed)
    }

    /// Makes a call, if the circuit lets it through, and records how it went and how long it took.
    ///
    /// # Errors
    ///
    /// The call's own, or that it was not made.
    pub async fn call<T, E: Display>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CallError<E>> {
        let pass = self.with(|machine| machine.enter(Instant::now()));
        let pass = pass.unwrap_or(Ok(Pass::Ordinary(0)));
        let mut passage = Passage {
            breaker: self,
            pass: pass.map_err(|retry_in| CallError::Open { retry_in })?,
            succeeded: None,
        };
        let result = self.dependency.observe(call).await;
        passage.succeeded = Some(result.is_ok());
        result.map_err(CallError::Failed)
    }

    fn with<T>(&self, act: impl FnOnce(&mut Machine) -> T) -> Option<T> {
        self.dependency.with_machine(act)
    }
}

impl Service {
    /// The circuit breaker for the dependency of this name: it opens after so many failures in a row
    /// and is half-open after the pause. Made at the first call; a later one gives it these settings
    /// and leaves the circuit as it is.
    pub fn circuit_breaker(&self, name: &str, failures: u32, pause: Duration) -> CircuitBreaker {
        let dependency = self.dependency(name);
        dependency.set_machine(Machine::new(failures, pause));
        CircuitBreaker { dependency }
    }
}
