//! Tests of the hook on changes of status.

use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::payloads::service;
use crate::{CheckResult, Need, Service, StatusChange};

/// Returns the lines of the changes that a hook is told of.
fn told(service: &Service) -> UnboundedReceiver<String> {
    let (sender, receiver) = unbounded_channel();
    service.on_status_change(move |change: StatusChange| {
        let sent = sender.send(change.to_string());
        async move { sent }
    });
    receiver
}

async fn expect(told: &mut UnboundedReceiver<String>, lines: &[&str]) {
    for line in lines {
        assert_eq!(told.recv().await.as_deref(), Some(*line));
    }
    assert!(told.is_empty(), "{:?}", told.recv().await);
}

#[tokio::test(start_paused = true)]
async fn each_change_of_a_component_and_of_the_service_is_told_once() {
    let service = service("orders-api", "2.4.1");
    let database = service.dependency("database");
    database.record_success();
    let mut told = told(&service);
    expect(&mut told, &[]).await;
    database.record_success();
    database.record_failure("refused");
    database.record_failure("refused again");
    database.record_success();
    let lines = [
        "database: healthy -> unhealthy: refused",
        "service: healthy -> unhealthy",
        "database: unhealthy -> healthy",
        "service: unhealthy -> healthy",
    ];
    expect(&mut told, &lines).await;

    // What is optional makes the service degraded, and what is needed again unhealthy.
    let cache = service.dependency("cache");
    cache.set_need(Need::Optional);
    cache.record_failure("timeout");
    cache.set_need(Need::Required);
    cache.set_not_used();
    let lines = [
        "cache: unknown -> unhealthy: timeout",
        "service: healthy -> degraded",
        "service: degraded -> unhealthy",
        "cache: unhealthy -> unknown",
        "service: unhealthy -> healthy",
    ];
    expect(&mut told, &lines).await;

    let gate = service.readiness_gate("migrations");
    gate.open();
    gate.open();
    expect(&mut told, &["migrations: unknown -> healthy"]).await;
    // A gate of the same name hides that its component works until it opens.
    let closed = service.readiness_gate("database");
    let lines = ["database: healthy -> unknown: not initialized"];
    expect(&mut told, &lines).await;
    closed.open();
    expect(&mut told, &["database: unknown -> healthy"]).await;
}

#[tokio::test(start_paused = true)]
async fn checks_are_told_of_and_a_hook_may_ask_the_service() {
    let service = service("orders-api", "2.4.1");
    let (sender, mut receiver) = unbounded_channel();
    let asked = service.clone();
    service.on_status_change(move |change: StatusChange| {
        let sent = sender.send((change.component, asked.health()));
        async move { sent.map_err(|_| "nobody listens") }
    });
    let limit = Duration::from_secs(5);
    let check = service.register_check("disk", Need::Required, limit, || async {
        CheckResult::degraded("91 % full")
    });
    check.run().await;
    let told = receiver.recv().await.unwrap();
    assert_eq!(told, (Some("disk".to_owned()), service.health()));
    assert_eq!(receiver.recv().await.unwrap().0, None);
    check.set_enabled(false);
    assert_eq!(receiver.recv().await.unwrap().0.as_deref(), Some("disk"));
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_panics_or_hangs_is_told_of_the_next_change() {
    let service = service("orders-api", "2.4.1");
    let (sender, mut receiver) = unbounded_channel();
    service.on_status_change(move |change: StatusChange| {
        let message = change.message.unwrap_or_default();
        let (sent, hangs) = (sender.send(message.clone()), message == "hangs");
        assert_ne!(message, "panics");
        async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            sent.map_err(|_| "nobody listens")?;
            Err("fails")
        }
    });
    let mut after = told(&service);
    let database = service.dependency("database");
    for message in ["hangs", "panics", "fails"] {
        database.record(CheckResult::degraded(message));
        database.record(CheckResult::unknown(""));
    }
    let mut messages = Vec::new();
    while messages.len() < 12 {
        messages.push(receiver.recv().await.unwrap());
    }
    messages.retain(|message| !message.is_empty());
    assert_eq!(messages, ["hangs", "panics", "fails"]);
    // Another hook waits for none of this.
    assert_eq!(
        after.recv().await.as_deref(),
        Some("database: unknown -> degraded: hangs")
    );
}
