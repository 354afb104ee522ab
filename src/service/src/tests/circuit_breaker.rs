//! Tests of the circuit breaker under a paused clock.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use crate::{CallError, CircuitBreaker, CircuitState, Health, Service, Settings};

const PAUSE: Duration = Duration::from_secs(30);

struct Scene {
    service: Service,
    breaker: CircuitBreaker,
}

impl Scene {
    fn new() -> Self {
        let service = Service::new("orders", "1.0", Settings::default());
        let breaker = service.circuit_breaker("payments", 3, PAUSE);
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
        assert_eq!(self.breaker.state(), CircuitState::Open);
    }
}

#[tokio::test(start_paused = true)]
async fn the_circuit_opens_after_failures_in_a_row() {
    let scene = Scene::new();
    for succeeds in [false, false, true, false, false] {
        let _ = scene.call(succeeds).await;
        assert_eq!(scene.breaker.state(), CircuitState::Closed);
    }
    let _ = scene.call(false).await;
    tokio::time::advance(Duration::from_secs(10)).await;
    let retry_in = Duration::from_secs(20);
    assert_eq!(scene.call(true).await, Err(CallError::Open { retry_in }));
    let snapshot = scene.service.dependencies().remove(0);
    assert_eq!(snapshot.failure_count, 5, "what was refused was no attempt");
    assert_eq!(snapshot.circuit, Some(CircuitState::Open));
    assert_eq!(snapshot.error.as_deref(), Some("502 (circuit open)"));
    assert_eq!(snapshot.details["circuit_breaker"], "open");
    assert_eq!(scene.service.health(), Health::Unhealthy);
}

#[tokio::test(start_paused = true)]
async fn a_half_open_circuit_lets_one_call_through() {
    let scene = Scene::new();
    scene.fail().await;
    tokio::time::advance(PAUSE).await;
    assert_eq!(scene.breaker.state(), CircuitState::HalfOpen);
    let trial = scene.breaker.call(async {
        let zero = Duration::ZERO;
        let refused = scene.call(true).await;
        assert_eq!(refused, Err(CallError::Open { retry_in: zero }));
        Err("503")
    });
    assert_eq!(trial.await, Err::<(), _>(CallError::Failed("503")));
    assert_eq!(
        scene.breaker.state(),
        CircuitState::Open,
        "for another pause"
    );

    tokio::time::advance(PAUSE).await;
    assert_eq!(scene.call(true).await, Ok(()));
    assert_eq!(scene.breaker.state(), CircuitState::Closed);
    let snapshot = scene.service.dependencies().remove(0);
    assert_eq!((snapshot.error, snapshot.message), (None, None));
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_trial_makes_room_for_another() {
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

/// Starts a call and returns a function that ends it, with success or failure.
async fn start_call(scene: &Scene) -> impl AsyncFnOnce(bool) {
    let (sender, receiver) = oneshot::channel();
    let (breaker, begun) = (scene.breaker.clone(), Arc::new(Notify::new()));
    let let_through = Arc::clone(&begun);
    let call = tokio::spawn(async move {
        let call = async {
            let_through.notify_one();
            if receiver.await.unwrap_or(false) {
                Ok(())
            } else {
                Err("502")
            }
        };
        let _ = breaker.call(call).await;
    });
    begun.notified().await;
    async move |succeeds| {
        sender.send(succeeds).expect("it waits");
        call.await.expect("it ends");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_from_before_the_circuit_opened_decides_nothing() {
    for succeeds in [true, false] {
        let scene = Scene::new();
        let late = start_call(&scene).await;
        scene.fail().await;
        late(succeeds).await;
        assert_eq!(scene.breaker.state(), CircuitState::Open, "{succeeds}");

        // Neither does it take the place of the trial.
        let late = {
            tokio::time::advance(PAUSE).await;
            assert_eq!(scene.call(true).await, Ok(()));
            let late = start_call(&scene).await;
            scene.fail().await;
            late
        };
        tokio::time::advance(PAUSE).await;
        let trial = start_call(&scene).await;
        late(succeeds).await;
        assert_eq!(scene.breaker.state(), CircuitState::HalfOpen, "{succeeds}");
        let refused = scene.call(true).await.unwrap_err();
        let expected = "the circuit is half-open and its trial call is running";
        assert_eq!(refused.to_string(), expected);
        trial(true).await;
        assert_eq!(scene.breaker.state(), CircuitState::Closed, "{succeeds}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_second_circuit_breaker_of_the_same_name_shares_the_circuit() {
    let scene = Scene::new();
    scene.fail().await;
    let again = scene.service.circuit_breaker("payments", 5, PAUSE * 2);
    tokio::time::advance(PAUSE).await;
    assert_eq!(again.state(), CircuitState::Open, "with the new pause");
    tokio::time::advance(PAUSE).await;
    assert_eq!(scene.breaker.state(), CircuitState::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn the_longest_pause_does_not_overflow() {
    let service = Service::new("orders", "1.0", Settings::default());
    let breaker = service.circuit_breaker("payments", 1, Duration::MAX);
    let _ = breaker.call(async { Err::<(), _>("502") }).await;
    let refused = breaker.call(async { Ok::<(), &str>(()) }).await;
    assert!(
        matches!(refused, Err(CallError::Open { .. })),
        "{refused:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failure() {
    let scene = Scene::new();
    for _ in 0..3 {
        let breaker = scene.breaker.clone();
        let call = async move {
            breaker
                .call(async { panic!("no luck") as Result<(), &str> })
                .await
        };
        assert!(tokio::spawn(call).await.is_err());
    }
    assert_eq!(scene.breaker.state(), CircuitState::Open);
    let snapshot = scene.service.dependencies().remove(0);
    assert_eq!(snapshot.error.as_deref(), Some("panicked (circuit open)"));
}

#[tokio::test(start_paused = true)]
async fn a_dependency_that_a_check_finds_healthy_is_not_reported_as_failed() {
    let scene = Scene::new();
    scene.fail().await;
    scene.breaker.dependency().record_success();
    let snapshot = scene.service.dependencies().remove(0);
    assert_eq!(
        (snapshot.error, snapshot.message.as_deref()),
        (None, Some("circuit open"))
    );
}

/// A service that is not ready gets no call, and only a call closes the circuit.
#[tokio::test(start_paused = true)]
async fn readiness_waits_for_no_call() {
    let scene = Scene::new();
    assert!(scene.service.is_ready(), "nothing has called it yet");
    scene.fail().await;
    assert!(!scene.service.is_ready(), "it is required");
    tokio::time::advance(PAUSE).await;
    assert_eq!(scene.breaker.state(), CircuitState::HalfOpen);
    assert_eq!(scene.service.health(), Health::Degraded);
    assert!(scene.service.is_ready(), "for the call that decides");
    let _ = scene.call(false).await;
    assert!(!scene.service.is_ready());

    tokio::time::advance(PAUSE).await;
    let limit = Duration::from_secs(1);
    let check = || async { Err::<(), _>("refused") };
    let check = scene
        .service
        .register_check("payments", crate::Need::Required, limit, check);
    check.run().await;
    assert!(!scene.service.is_ready(), "a check finds it out itself");
}
