//! A circuit breaker: what fails again and again is left alone for a while.

use std::fmt::Display;
use std::time::Duration;

use tokio::time::Instant;

use super::Service;
use super::dependency::Dependency;

/// Guards the calls to one dependency. After so many failures in a row the circuit opens and calls
/// are refused at once; after a pause it is half-open, and one call is let through: its success
/// closes the circuit, its failure opens it again. Copies share everything.
///
/// Each call is recorded with the [`Dependency`]; while the circuit is not closed, its message and
/// its detail `circuit_breaker` say so in every payload.
///
/// ```
/// use std::time::Duration;
/// use healthctl::service::{CallError, Circuit, Service, Settings};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let service = Service::new("orders-api", "2.4.1", Settings::default());
/// let payments = service.breaker("payments", 2, Duration::from_secs(30));
/// for _ in 0..2 {
///     let result: Result<(), _> = payments.call(async { Err("502") }).await;
///     assert!(matches!(result, Err(CallError::Failed("502"))));
/// }
/// let refused: Result<(), CallError<&str>> = payments.call(async { Ok(()) }).await;
/// assert!(matches!(refused, Err(CallError::Open { .. })));
/// assert_eq!(payments.circuit(), Circuit::Open);
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Breaker {
    dependency: Dependency,
}

/// How a circuit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Circuit {
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
    #[error("the circuit is open for another {retry_in:.1?}")]
    Open {
        /// How long until one is let through; zero while one is on its way.
        retry_in: Duration,
    },
    /// It was made and failed.
    #[error(transparent)]
    Failed(E),
}

/// When a circuit opens, and what it has seen.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    limit: u32,
    pause: Duration,
    failures: u32,
    opened: Option<Instant>,
    trial: bool,
}

impl Circuit {
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

impl Machine {
    fn new(limit: u32, pause: Duration) -> Self {
        Self {
            limit: limit.max(1),
            pause,
            failures: 0,
            opened: None,
            trial: false,
        }
    }

    pub(super) fn circuit(&self, now: Instant) -> Circuit {
        match self.opened {
            None => Circuit::Closed,
            Some(at) if now.saturating_duration_since(at) < self.pause => Circuit::Open,
            Some(_) => Circuit::HalfOpen,
        }
    }

    /// Lets a call through, or says how long it will not.
    fn enter(&mut self, now: Instant) -> Result<(), Duration> {
        match self.opened {
            None => Ok(()),
            Some(at) => {
                let left = (at + self.pause).saturating_duration_since(now);
                if left > Duration::ZERO || self.trial {
                    return Err(left);
                }
                self.trial = true;
                Ok(())
            }
        }
    }

    /// What came of a call that was let through; nothing where it was broken off.
    fn leave(&mut self, succeeded: Option<bool>, now: Instant) {
        let tried = std::mem::take(&mut self.trial);
        match succeeded {
            Some(true) => {
                self.failures = 0;
                self.opened = None;
            }
            Some(false) => {
                self.failures = self.failures.saturating_add(1);
                if tried || (self.opened.is_none() && self.failures >= self.limit) {
                    self.opened = Some(now);
                }
            }
            None => {}
        }
    }
}

/// A call on its way.
struct Passage<'a> {
    breaker: &'a Breaker,
    succeeded: Option<bool>,
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        let succeeded = self.succeeded;
        let before = self.breaker.circuit();
        self.breaker
            .with(|machine| machine.leave(succeeded, Instant::now()));
        let after = self.breaker.circuit();
        if before != after {
            let dependency = self.breaker.dependency.name();
            tracing::warn!(dependency, circuit = after.word(), "circuit breaker");
        }
    }
}

impl Breaker {
    /// The dependency that it guards.
    pub fn dependency(&self) -> &Dependency {
        &self.dependency
    }

    /// How the circuit is now.
    pub fn circuit(&self) -> Circuit {
        self.with(|machine| machine.circuit(Instant::now()))
            .unwrap_or(Circuit::Closed)
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
        if let Some(Err(retry_in)) = self.with(|machine| machine.enter(Instant::now())) {
            return Err(CallError::Open { retry_in });
        }
        let mut passage = Passage {
            breaker: self,
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
    /// A circuit breaker for the dependency of this name: it opens after so many failures in a row
    /// and is half-open after the pause.
    pub fn breaker(&self, name: &str, failures: u32, pause: Duration) -> Breaker {
        let dependency = self.dependency(name);
        dependency.set_machine(Machine::new(failures, pause));
        Breaker { dependency }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{Health, Settings};

    const PAUSE: Duration = Duration::from_secs(30);

    struct Scene {
        service: Service,
        breaker: Breaker,
    }

    impl Scene {
        fn new() -> Self {
            let service = Service::new("orders", "1.0", Settings::default());
            let breaker = service.breaker("payments", 3, PAUSE);
            Self { service, breaker }
        }

        async fn call(&self, succeeds: bool) -> Result<(), CallError<&'static str>> {
            let result = if succeeds { Ok(()) } else { Err("502") };
            self.breaker.call(async { result }).await
        }

        /// Opens the circuit.
        async fn fail(&self) {
            for _ in 0..3 {
                assert_eq!(self.call(false).await, Err(CallError::Failed("502")));
            }
            assert_eq!(self.breaker.circuit(), Circuit::Open);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_opens_after_failures_in_a_row() {
        let scene = Scene::new();
        for succeeds in [false, false, true, false, false] {
            let _ = scene.call(succeeds).await;
            assert_eq!(scene.breaker.circuit(), Circuit::Closed);
        }
        let _ = scene.call(false).await;
        tokio::time::advance(Duration::from_secs(10)).await;
        let retry_in = Duration::from_secs(20);
        assert_eq!(scene.call(true).await, Err(CallError::Open { retry_in }));
        let snapshot = scene.service.dependencies().remove(0);
        assert_eq!(snapshot.failure_count, 5, "what was refused was no attempt");
        assert_eq!(snapshot.circuit, Some(Circuit::Open));
        assert_eq!(snapshot.error.as_deref(), Some("502 (circuit open)"));
        assert_eq!(snapshot.details["circuit_breaker"], "open");
        assert_eq!(scene.service.health(), Health::Unhealthy);
    }

    #[tokio::test(start_paused = true)]
    async fn half_open_it_lets_one_through() {
        let scene = Scene::new();
        scene.fail().await;
        tokio::time::advance(PAUSE).await;
        assert_eq!(scene.breaker.circuit(), Circuit::HalfOpen);
        let trial = scene.breaker.call(async {
            let zero = Duration::ZERO;
            let refused = scene.call(true).await;
            assert_eq!(refused, Err(CallError::Open { retry_in: zero }));
            Err("503")
        });
        assert_eq!(trial.await, Err::<(), _>(CallError::Failed("503")));
        assert_eq!(scene.breaker.circuit(), Circuit::Open, "for another pause");

        tokio::time::advance(PAUSE).await;
        assert_eq!(scene.call(true).await, Ok(()));
        assert_eq!(scene.breaker.circuit(), Circuit::Closed);
        let snapshot = scene.service.dependencies().remove(0);
        assert_eq!((snapshot.error, snapshot.message), (None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_is_broken_off_gives_its_place_back() {
        let scene = Scene::new();
        scene.fail().await;
        tokio::time::advance(PAUSE).await;
        let pending = scene
            .breaker
            .call(std::future::pending::<Result<(), &str>>());
        assert!(
            tokio::time::timeout(Duration::from_secs(1), pending)
                .await
                .is_err()
        );
        assert_eq!(scene.call(true).await, Ok(()));
    }
}
