//! A circuit breaker, which stops calling a dependency that fails again and again.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::Service;
use crate::circuit::{CallRole, Circuit, CircuitState};
use crate::dependency::Dependency;

/// Guards the calls to one dependency.
///
/// After a number of failures in a row the circuit opens and calls are refused at once. After a
/// pause it is half-open and lets one call through: success closes the circuit, failure opens it
/// again. Results of calls that began before the circuit opened change nothing. Clones refer to the
/// same circuit.
///
/// Each call is recorded with the [`Dependency`], a panic as a failure. While the circuit is not
/// closed, the dependency's message and its detail `circuit_breaker` say so in every payload.
///
/// The service's readiness neither waits for a first call nor for the one that closes the circuit:
/// without a check, the component is unhealthy while the circuit is open, and degraded while it is
/// half-open, since the call that decides comes only to a service that is ready.
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
/// assert_eq!(payments.state(), CircuitState::Open);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct CircuitBreaker {
    dependency: Dependency,
    circuit: Arc<Mutex<Circuit>>,
}

/// Why a call through a circuit breaker gave no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError<E> {
    /// The circuit is open, so the call was not made.
    #[error("{}", refusal(*.retry_in))]
    Open {
        /// The time until a call is let through; zero while the trial call runs.
        retry_in: Duration,
    },
    /// The call was made and failed.
    #[error(transparent)]
    Failed(E),
}

fn refusal(retry_in: Duration) -> String {
    if retry_in.is_zero() {
        "the circuit is half-open and its trial call is running".to_owned()
    } else {
        format!("the circuit is open for another {retry_in:.1?}")
    }
}

/// A call that was let through; its result is counted on drop, so that a panic counts too.
struct GuardedCall<'a> {
    breaker: &'a CircuitBreaker,
    role: CallRole,
    succeeded: Option<bool>,
}

impl Drop for GuardedCall<'_> {
    fn drop(&mut self) {
        let dependency = &self.breaker.dependency;
        if std::thread::panicking() {
            dependency.record_failure("panicked");
            self.succeeded = Some(false);
        }
        let now = Instant::now();
        let mut circuit = self.breaker.circuit.lock();
        let before = circuit.state(now);
        circuit.leave(self.role, self.succeeded, now);
        let after = circuit.state(now);
        drop(circuit);
        if before != after {
            tracing::warn!(
                dependency = dependency.name(),
                circuit = after.as_str(),
                "circuit breaker changed state"
            );
        }
    }
}

impl CircuitBreaker {
    /// Returns the dependency that the circuit breaker guards.
    pub fn dependency(&self) -> &Dependency {
        &self.dependency
    }

    /// Returns the present state of the circuit.
    pub fn state(&self) -> CircuitState {
        self.circuit.lock().state(Instant::now())
    }

    /// Makes a call if the circuit lets it through, and records its result and duration with the
    /// dependency.
    ///
    /// # Errors
    ///
    /// [`CallError::Failed`] with the call's own error, [`CallError::Open`] when it was not made.
    pub async fn call<T, E: Display>(
        &self,
        call: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CallError<E>> {
        let entered = self.circuit.lock().enter(Instant::now());
        let mut guarded = GuardedCall {
            breaker: self,
            role: entered.map_err(|retry_in| CallError::Open { retry_in })?,
            succeeded: None,
        };
        let result = self.dependency.observe(call).await;
        guarded.succeeded = Some(result.is_ok());
        result.map_err(CallError::Failed)
    }
}

impl Service {
    /// Returns the circuit breaker of the dependency of this name. It opens after
    /// `failure_threshold` failures in a row and is half-open after the time `open_for`.
    ///
    /// The first call creates it; a later one sets these limits and leaves the state as it is.
    pub fn circuit_breaker(
        &self,
        name: &str,
        failure_threshold: u32,
        open_for: Duration,
    ) -> CircuitBreaker {
        let dependency = self.dependency(name);
        let circuit = dependency.circuit();
        circuit.lock().configure(failure_threshold, open_for);
        CircuitBreaker {
            dependency,
            circuit,
        }
    }
}
