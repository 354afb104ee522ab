//! Tests of the shutdown: what is answered during it, what is waited for, and in which order.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::in_memory::{Client, Port, port};
use crate::{
    CleanUpResult, Phase, Service, Settings, ShutdownCause, ShutdownReport, TaskError,
    TerminationEvent, WhileDraining, hephaestus, scry_ingestor,
};

const SCHEDULE: &str = "POST /health/shutdown/schedule";
const SHUTDOWN: &str = "POST /health/shutdown";
const LIVE: &str = "GET /health/live";

/// A running service: `/work` takes three seconds, `/endless` never ends.
struct Scene {
    service: Service,
    port: Port,
    running: JoinHandle<ShutdownReport>,
}

impl Scene {
    fn new() -> Self {
        Self::with(WhileDraining::Answer, Router::new())
    }

    fn with(while_draining: WhileDraining, more: Router) -> Self {
        let settings = Settings {
            while_draining,
            handle_signals: false,
            ..Settings::default()
        };
        Self::with_settings(settings, more)
    }

    fn with_settings(settings: Settings, more: Router) -> Self {
        let service = Service::new("orders-api", "2.4.1", settings);
        let (port, listener) = port();
        let work = Router::new()
            .route(
                "/work",
                get(|| async {
                    sleep(Duration::from_secs(3)).await;
                    "done"
                }),
            )
            .route("/endless", get(std::future::pending::<&str>))
            .merge(more);
        let server = service.server(listener, hephaestus::routes(&service), work);
        Self {
            running: tokio::spawn(server.unwrap().run()),
            service,
            port,
        }
    }

    /// Sends a request and returns when it has reached its handler.
    async fn in_flight(&self, request: &str) -> Client {
        let mut client = self.port.connect().unwrap();
        let before = self.service.in_flight();
        client.send(request).await;
        while self.service.in_flight() == before {
            tokio::task::yield_now().await;
        }
        client
    }

    /// Sends a request for the blocking shutdown and returns when the shutdown has begun.
    async fn requests_shutdown(&self) -> Client {
        let mut client = self.port.connect().unwrap();
        client.send(SHUTDOWN).await;
        self.service.wait_for_phase(Phase::Draining).await;
        client
    }
}

#[tokio::test(start_paused = true)]
async fn during_the_drain_health_routes_answer_and_other_requests_are_refused() {
    let scene = Scene::new();
    let mut working = scene.in_flight("GET /work").await;
    assert_eq!(scene.port.request(SCHEDULE).await.status, 200);

    let live = scene.port.request(LIVE).await;
    assert_eq!(live.json()["status"], "shutting_down");
    let mut client = scene.port.connect().unwrap();
    client.send("GET /work").await;
    let refused = client.answer().await.unwrap();
    assert_eq!((refused.status, refused.closes), (503, true));
    assert!(client.ended().await, "its connection is closed");
    let unknown = scene.port.request("GET /nothing/here").await;
    assert_eq!((unknown.status, unknown.closes), (503, true));

    let done = working.answer().await.unwrap();
    assert_eq!((done.status, done.body.as_str()), (200, "done"));
    let report = scene.running.await.unwrap();
    assert_eq!(report.cause, ShutdownCause::ScheduledRequest);
    assert!(report.drained);
    assert_eq!(
        (report.aborted, report.drain_time),
        (0, Duration::from_secs(3))
    );
    assert!(scene.port.is_closed());
}

#[tokio::test(start_paused = true)]
async fn requests_that_do_not_finish_are_aborted_before_clean_up() {
    let scene = Scene::new();
    let mut endless = scene.in_flight("GET /endless").await;
    let service = scene.service.clone();
    let (seen, mut in_flight_at_clean_up) = mpsc::unbounded_channel();
    scene.service.on_shutdown("database", move || async move {
        seen.send(service.in_flight())
            .map_err(|_| "the test has ended")
    });
    let mut waiting = scene.requests_shutdown().await;

    assert!(endless.ended().await, "closed without an answer");
    assert_eq!(waiting.answer().await.unwrap().status, 200);
    let report = scene.running.await.unwrap();
    assert_eq!((report.drained, report.aborted), (false, 1));
    assert_eq!(report.drain_time, Duration::from_secs(30));
    assert_eq!(in_flight_at_clean_up.recv().await, Some(0));
}

#[tokio::test(start_paused = true)]
async fn the_order_is_drain_clean_up_reply_close_the_listener() {
    let scene = Scene::new();
    let (sender, mut events) = mpsc::unbounded_channel();
    for name in ["first registered", "last registered"] {
        let sender = sender.clone();
        scene.service.on_shutdown(name, move || async move {
            sender.send(name).map_err(|_| "the test has ended")
        });
    }
    let mut working = scene.in_flight("GET /work").await;
    // The buffer is smaller than the reply, so the reply cannot be written before it is read.
    let mut waiting = scene.port.connect_with(16).unwrap();
    waiting.send(SHUTDOWN).await;
    scene.service.wait_for_phase(Phase::Draining).await;

    assert!(
        events.try_recv().is_err(),
        "no clean-up while work is in flight"
    );
    assert_eq!(working.answer().await.unwrap().status, 200);
    scene.service.wait_for_phase(Phase::Finished).await;
    assert_eq!(events.try_recv(), Ok("last registered"));
    assert_eq!(events.try_recv(), Ok("first registered"));

    let live = scene.port.request(LIVE).await;
    assert_eq!(
        live.json()["status"],
        "shutting_down",
        "open until the reply is out"
    );
    assert!(!scene.port.is_closed());
    let reply = waiting.answer().await.unwrap();
    assert_eq!(reply.json()["status"], "shutdown_complete");
    assert!(reply.closes);
    scene.port.closed().await;
    assert!(scene.running.await.unwrap().drained);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_its_reply_does_not_delay_the_exit() {
    let scene = Scene::new();
    let mut waiting = scene.port.connect_with(16).unwrap();
    waiting.send(SHUTDOWN).await;
    let begin = Instant::now();
    scene.running.await.unwrap();
    assert_eq!(
        begin.elapsed(),
        Duration::from_secs(6),
        "the reply timeout and the finish timeout"
    );
}

#[tokio::test(start_paused = true)]
async fn a_second_request_joins_the_first() {
    let scene = Scene::new();
    let (sender, mut runs) = mpsc::unbounded_channel();
    scene.service.on_shutdown("once", move || async move {
        sender.send(()).map_err(|_| "the test has ended")
    });
    let _working = scene.in_flight("GET /work").await;
    let mut first = scene.requests_shutdown().await;
    let mut second = scene.requests_shutdown().await;
    assert_eq!(scene.port.request(SCHEDULE).await.status, 200);
    scene.service.shut_down(ShutdownCause::Signal("SIGTERM"));

    let (first, second) = tokio::join!(first.answer(), second.answer());
    for reply in [first, second] {
        assert_eq!(reply.unwrap().json()["status"], "shutdown_complete");
    }
    assert_eq!(
        scene.running.await.unwrap().cause,
        ShutdownCause::BlockingRequest
    );
    assert_eq!(runs.recv().await, Some(()));
    assert_eq!(runs.recv().await, None, "clean-up ran once");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_disconnects_does_not_cancel_the_shutdown() {
    let scene = Scene::new();
    let _working = scene.in_flight("GET /work").await;
    drop(scene.requests_shutdown().await);
    let report = scene.running.await.unwrap();
    assert_eq!(report.cause, ShutdownCause::BlockingRequest);
    assert_eq!(report.drain_time, Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn idle_connections_do_not_delay_the_exit() {
    let scene = Scene::new();
    let mut kept = scene.port.connect().unwrap();
    kept.send(LIVE).await;
    assert!(!kept.answer().await.unwrap().closes);
    let mut silent = scene.port.connect().unwrap();
    let begin = Instant::now();
    scene.service.shut_down(ShutdownCause::Program);
    scene.running.await.unwrap();
    assert_eq!(begin.elapsed(), Duration::ZERO);
    assert!(kept.ended().await && silent.ended().await);
}

#[tokio::test(start_paused = true)]
async fn half_a_request_does_not_delay_the_exit() {
    let scene = Scene::new();
    let mut half = scene.port.connect().unwrap();
    half.write("GET /health/live HTTP/1.1\r\nHos").await;
    tokio::task::yield_now().await;
    let begin = Instant::now();
    scene.service.shut_down(ShutdownCause::Program);
    scene.running.await.unwrap();
    assert_eq!(
        begin.elapsed(),
        Duration::from_secs(1),
        "closed after the finish timeout"
    );
    assert!(half.ended().await);
}

#[tokio::test(start_paused = true)]
async fn refusing_closes_the_listener_at_once_and_lets_requests_finish() {
    let scene = Scene::with(WhileDraining::Refuse, Router::new());
    let mut idle = scene.port.connect().unwrap();
    idle.send(LIVE).await;
    assert_eq!(idle.answer().await.unwrap().status, 200);
    let mut working = scene.in_flight("GET /work").await;
    let mut endless = scene.in_flight("GET /endless").await;

    let begin = Instant::now();
    scene.service.shut_down(ShutdownCause::Signal("SIGTERM"));
    scene.port.closed().await;
    assert_eq!(begin.elapsed(), Duration::ZERO);
    assert!(scene.port.connect().is_none());
    assert!(idle.ended().await);
    let done = working.answer().await.unwrap();
    assert_eq!((done.status, done.closes), (200, true));
    assert!(endless.ended().await);
    let report = scene.running.await.unwrap();
    assert_eq!((report.drained, report.aborted), (false, 1));
    assert_eq!(report.drain_time, Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_body_is_in_flight_until_its_last_byte() {
    let gate = Arc::new(Notify::new());
    let opened = Arc::clone(&gate);
    let stream = move || async move {
        Body::from_stream(futures_util::stream::once(async move {
            opened.notified().await;
            Ok::<_, std::io::Error>(Bytes::from_static(b"late"))
        }))
    };
    let scene = Scene::with(
        WhileDraining::Answer,
        Router::new().route("/late", get(stream)),
    );
    let mut client = scene.in_flight("GET /late").await;
    assert_eq!(
        client.answer().await.unwrap().status,
        200,
        "the head is here"
    );
    scene.service.shut_down(ShutdownCause::Program);
    sleep(Duration::from_secs(20)).await;
    assert_eq!(scene.service.phase(), Phase::Draining);
    gate.notify_one();
    assert!(!client.ended().await, "the body came");
    let report = scene.running.await.unwrap();
    assert_eq!(
        (report.drained, report.drain_time),
        (true, Duration::from_secs(20))
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_whose_handler_panics_is_no_longer_in_flight() {
    async fn panics() -> &'static str {
        panic!("a fault of the handler")
    }
    let scene = Scene::with(
        WhileDraining::Answer,
        Router::new().route("/panic", get(panics)),
    );
    let mut client = scene.port.connect().unwrap();
    client.send("GET /panic").await;
    assert!(client.ended().await);
    assert_eq!(scene.service.in_flight(), 0);
    assert_eq!(scene.port.request(LIVE).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn background_tasks_run_during_the_drain_and_end_before_clean_up() {
    let scene = Scene::new();
    let service = scene.service.clone();
    let (beat, mut beats) = mpsc::unbounded_channel();
    scene.service.background(async move {
        loop {
            sleep(Duration::from_secs(2)).await;
            // The test reads it after the shutdown.
            let _ = beat.send(service.phase());
        }
    });
    scene.service.on_shutdown("slow", || async {
        sleep(Duration::from_secs(60)).await;
        Ok::<(), String>(())
    });
    let _working = scene.in_flight("GET /work").await;
    scene.service.shut_down(ShutdownCause::Program);
    let report = scene.running.await.unwrap();
    let limit = Duration::from_secs(10);
    assert_eq!(report.clean_ups[0].outcome, Err(TaskError::TimedOut(limit)));
    assert_eq!(report.clean_up_time, limit);
    assert_eq!(beats.recv().await, Some(Phase::Draining));
    assert_eq!(beats.recv().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_server_closes_its_connections() {
    let scene = Scene::new();
    let mut endless = scene.in_flight("GET /endless").await;
    scene.running.abort();
    assert!(endless.ended().await);
}

/// A drain of eight seconds, of which the first four let in less and less.
fn progressive() -> Scene {
    let settings = Settings {
        drain_timeout: Some(Duration::from_secs(8)),
        initial_rejection: 0.25,
        handle_signals: false,
        ..Settings::default()
    };
    let more = Router::new().route("/now", get(async || "done"));
    Scene::with_settings(settings, more)
}

#[tokio::test(start_paused = true)]
async fn a_share_of_new_work_is_refused_that_rises_to_all() {
    let scene = progressive();
    let refused_of_eight = async || {
        let mut refused = 0;
        for _ in 0..8 {
            let answer = scene.port.request("GET /now").await;
            assert!(answer.closes || answer.status == 200);
            refused += usize::from(answer.status == 503);
        }
        refused
    };
    let _endless = scene.in_flight("GET /endless").await;
    assert_eq!(refused_of_eight().await, 0);
    scene.service.shut_down(ShutdownCause::Program);
    assert_eq!(refused_of_eight().await, 2, "a quarter at first");
    let answer = scene.port.request("GET /now").await;
    assert_eq!((answer.status, answer.closes), (200, true));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(refused_of_eight().await, 5, "five eighths half way");
    sleep(Duration::from_secs(2)).await;
    assert_eq!(refused_of_eight().await, 8, "all in the second half");
    assert_eq!(scene.service.phase(), Phase::Draining);
    let report = scene.running.await.unwrap();
    assert_eq!(
        (report.drain_time, report.aborted),
        (Duration::from_secs(8), 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_lets_work_in_lasts_until_all_is_refused() {
    let scene = progressive();
    scene.service.shut_down(ShutdownCause::Program);
    sleep(Duration::from_secs(1)).await;
    let let_in = scene.port.request("GET /work").await;
    assert_eq!((let_in.status, let_in.body.as_str()), (200, "done"));
    let report = scene.running.await.unwrap();
    assert_eq!(
        (report.drained, report.drain_time),
        (true, Duration::from_secs(4))
    );
}

#[tokio::test(start_paused = true)]
async fn each_step_of_the_shutdown_is_told_to_all_who_subscribe() {
    let scene = Scene::new();
    let all = async |service: &Service| {
        let mut events = service.termination_events();
        let mut all = Vec::new();
        while let Some(event) = events.next().await {
            all.push(event);
        }
        all
    };
    let service = scene.service.clone();
    let early = tokio::spawn(async move { all(&service).await });
    for (name, error) in [("first", None), ("last", Some("disk full"))] {
        scene
            .service
            .on_shutdown(name, move || std::future::ready(error.map_or(Ok(()), Err)));
    }
    let _working = scene.in_flight("GET /work").await;
    let _endless = scene.in_flight("GET /endless").await;
    scene.service.shut_down(ShutdownCause::Signal("SIGTERM"));
    scene.service.shut_down(ShutdownCause::Program);
    let report = scene.running.await.unwrap();

    let (limit, took) = (Duration::from_secs(30), Duration::ZERO);
    let cleaned = |name: &str, outcome| {
        let name = name.to_owned();
        TerminationEvent::CleanedUp(CleanUpResult {
            name,
            outcome,
            took,
        })
    };
    let expected = [
        TerminationEvent::Requested(ShutdownCause::Signal("SIGTERM")),
        TerminationEvent::Draining {
            in_flight: 2,
            timeout: limit,
        },
        TerminationEvent::DrainTimedOut(1),
        cleaned("last", Err(TaskError::Failed("disk full".to_owned()))),
        cleaned("first", Ok(())),
        TerminationEvent::Finished(report),
    ];
    assert_eq!(early.await.unwrap(), expected);
    assert_eq!(
        all(&scene.service).await,
        expected,
        "also to one who comes late"
    );

    let scene = Scene::new();
    scene.service.shut_down(ShutdownCause::Program);
    let drained = TerminationEvent::Drained(Duration::ZERO);
    assert_eq!(all(&scene.service).await[2], drained);
}

#[test]
fn the_drain_timeout_is_that_of_the_settings_within_the_bounds_of_the_convention() {
    let check = |drain_timeout: Option<u64>, is_ingestor: bool, expected: u64| {
        let settings = Settings {
            drain_timeout: drain_timeout.map(Duration::from_secs),
            ..Settings::default()
        };
        let service = Service::new("any", "1.0", settings);
        if is_ingestor {
            let _ = scry_ingestor::routes(&service);
        }
        let found = service.drain_timeout();
        assert_eq!(found, Duration::from_secs(expected), "{drain_timeout:?}");
    };
    check(None, false, 30);
    check(Some(90), false, 90);
    check(None, true, 2);
    check(Some(5), true, 5);
    check(Some(90), true, 30);
}
