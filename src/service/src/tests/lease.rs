//! Tests of the client for leases, against the API server of the demo.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::service::Service as _;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::payloads::service;
use crate::lease::{ApiServer, LeaseError, LeaseHolder, LeaseSettings, LeaseState, SendRequest};
use crate::{Health, Need, Service, ShutdownCause};

#[path = "../../../demo/services/leases.rs"]
mod leases;

const PATH: &str = "http://api/apis/coordination.k8s.io/v1/namespaces/kcp-system/leases";
const INTERVAL: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);

/// The behaviour of the network between a replica and the API server.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Network {
    Well,
    Refuses,
    Hangs,
    /// Requests arrive, and their answers do not.
    LosesAnswers,
}

/// An API server, and a directory with the token for it.
struct Cluster {
    router: Router,
    directory: tempfile::TempDir,
}

struct Replica {
    service: Service,
    lease: LeaseHolder,
    network: Arc<Mutex<Network>>,
    /// Each is written to the API server just before one write of the replica arrives there.
    intruders: Arc<Mutex<VecDeque<Value>>>,
}

impl Cluster {
    fn new() -> Self {
        let cluster = Self {
            router: leases::routes(),
            directory: tempfile::tempdir().unwrap(),
        };
        cluster.set_token(leases::TOKEN);
        cluster
    }

    fn set_token(&self, token: &str) {
        std::fs::write(self.directory.path().join("token"), format!("{token}\n")).unwrap();
    }

    /// Starts a replica that waits for the lease or holds it.
    fn replica(&self, name: &str) -> Replica {
        self.replica_with(LeaseSettings::new("kcp-system", "syncer", name))
    }

    fn replica_with(&self, settings: LeaseSettings) -> Replica {
        let service = service("kcp-syncer", "1.0");
        let network = Arc::new(Mutex::new(Network::Well));
        let intruders = Arc::new(Mutex::new(VecDeque::new()));
        let (router, state, queue) = (
            self.router.clone(),
            Arc::clone(&network),
            Arc::clone(&intruders),
        );
        let send: Arc<SendRequest> = Arc::new(move |request| {
            let (router, state) = (router.clone(), *state.lock().unwrap());
            let intruder = if request.method() == Method::GET {
                None
            } else {
                queue.lock().unwrap().pop_front()
            };
            Box::pin(async move {
                match state {
                    Network::Refuses => return Err("connection refused".to_owned()),
                    Network::Hangs => std::future::pending().await,
                    Network::Well | Network::LosesAnswers => {}
                }
                if let Some(lease) = intruder {
                    write(&router, lease).await;
                }
                let answer = exchange(router, request).await;
                match state {
                    Network::LosesAnswers => Err("connection reset".to_owned()),
                    _ => Ok(answer),
                }
            })
        });
        let api = ApiServer {
            address: "http://api/".to_owned(),
            ca: None,
            token: Some(self.directory.path().join("token")),
        };
        let lease = service.hold_lease_through(send, &api, settings).unwrap();
        service.register_check("lease", Need::Required, SECOND, lease.check());
        Replica {
            service,
            lease,
            network,
            intruders,
        }
    }

    /// Returns the lease as the API server keeps it.
    async fn lease(&self) -> Value {
        read(&self.router).await
    }

    /// Returns the holder, and how often it has changed.
    async fn holder(&self) -> (String, u64) {
        let lease = self.lease().await;
        let spec = &lease["spec"];
        let holder = spec["holderIdentity"].as_str().unwrap_or_default();
        (
            holder.to_owned(),
            spec["leaseTransitions"].as_u64().unwrap(),
        )
    }
}

impl Replica {
    fn set_network(&self, network: Network) {
        *self.network.lock().unwrap() = network;
    }

    /// Has another client write a lease just before the next write of this replica arrives.
    fn intrude(&self, lease: Value) {
        self.intruders.lock().unwrap().push_back(lease);
    }

    /// Returns the health and the message of the component.
    async fn component(&self) -> (Health, String) {
        let check = self.service.check("lease").unwrap();
        check.run().await;
        let component = self.service.components().remove(0);
        (component.health, component.message.unwrap_or_default())
    }
}

async fn exchange(
    router: Router,
    request: Request<Full<hyper::body::Bytes>>,
) -> (StatusCode, hyper::body::Bytes) {
    let answer = TowerToHyperService::new(router)
        .call(request)
        .await
        .unwrap();
    let status = answer.status();
    (
        status,
        answer.into_body().collect().await.unwrap().to_bytes(),
    )
}

async fn request(router: &Router, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {}", leases::TOKEN))
        .header("content-type", "application/json")
        .body(Full::from(body.to_string()))
        .unwrap();
    let (status, body) = exchange(router.clone(), request).await;
    (status, serde_json::from_slice(&body).unwrap())
}

async fn read(router: &Router) -> Value {
    request(router, Method::GET, &format!("{PATH}/syncer"), &Value::Null)
        .await
        .1
}

/// Writes a lease, whatever is there now, as a client does that has just read it.
async fn write(router: &Router, mut lease: Value) {
    let now = read(router).await;
    let version = &now["metadata"]["resourceVersion"];
    let answer = if version.is_null() {
        request(router, Method::POST, PATH, &lease).await
    } else {
        lease["metadata"]["resourceVersion"] = version.clone();
        request(router, Method::PUT, &format!("{PATH}/syncer"), &lease).await
    };
    assert!(answer.0.is_success(), "{answer:?}");
}

/// Returns a lease of another replica, for so many seconds.
fn foreign(seconds: u64) -> Value {
    json!({
        "metadata": {"name": "syncer"},
        "spec": {
            "holderIdentity": "other", "leaseDurationSeconds": seconds, "leaseTransitions": 4,
            "acquireTime": "2001-01-01T00:00:00.000000Z", "renewTime": "2001-01-01T00:00:00.000000Z",
        },
    })
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_created_and_renewed_from_the_last_version() {
    let cluster = Cluster::new();
    let replica = cluster.replica("syncer-0");
    replica.lease.attempted().await;
    let created = cluster.lease().await;
    assert_eq!(created["metadata"]["resourceVersion"], "1");
    let spec = &created["spec"];
    let expected = json!({
        "holderIdentity": "syncer-0", "leaseDurationSeconds": 30, "leaseTransitions": 0,
        "acquireTime": spec["renewTime"], "renewTime": spec["renewTime"],
    });
    assert_eq!(spec, &expected);
    let time = spec["renewTime"].as_str().unwrap();
    assert_eq!(time.len(), "2026-11-22T09:59:57.123456Z".len(), "{time}");

    sleep(INTERVAL * 3 + SECOND).await;
    let renewed = cluster.lease().await;
    assert_eq!(renewed["metadata"]["resourceVersion"], "4");
    assert_eq!(renewed["spec"]["acquireTime"], spec["acquireTime"]);
    assert_ne!(renewed["spec"]["renewTime"], spec["renewTime"]);
    assert!(replica.lease.is_held());
    assert_eq!(replica.lease.heartbeats().counts().sent, 4);
    let held = (Health::Healthy, "held by syncer-0".to_owned());
    assert_eq!(replica.component().await, held);
}

#[tokio::test(start_paused = true)]
async fn of_two_that_create_it_at_the_same_time_one_holds_it() {
    let cluster = Cluster::new();
    let replica = cluster.replica("syncer-0");
    replica.intrude(foreign(30));
    replica.lease.attempted().await;
    assert_eq!(replica.lease.state(), LeaseState::HeldBy("other".into()));
    assert_eq!(cluster.holder().await, ("other".into(), 4));
    let standing_by = (Health::Healthy, "held by other".to_owned());
    assert_eq!(replica.component().await, standing_by);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_resolved_by_another_look() {
    let cluster = Cluster::new();
    let replica = cluster.replica("syncer-0");
    replica.lease.attempted().await;
    // Somebody has labelled it: the label stays, and the lease is renewed within the same attempt.
    let mut labelled = cluster.lease().await;
    labelled["metadata"]["labels"] = json!({"team": "core"});
    replica.intrude(labelled.clone());
    sleep(INTERVAL + SECOND).await;
    let lease = cluster.lease().await;
    assert_eq!(lease["metadata"]["labels"], json!({"team": "core"}));
    assert_eq!(lease["metadata"]["resourceVersion"], "3");
    assert!(replica.lease.is_held());
    assert_eq!(replica.lease.heartbeats().counts().missed, 0);

    // Somebody who is faster each time makes it a missed renewal.
    for _ in 0..3 {
        replica.intrude(labelled.clone());
    }
    sleep(INTERVAL).await;
    assert_eq!(replica.lease.heartbeats().counts().missed, 1);
    sleep(INTERVAL).await;
    assert_eq!(replica.lease.heartbeats().counts().missed_in_a_row, 0);

    // Somebody has taken it: it is not overwritten, although the clock of the other one is wrong.
    replica.intrude(foreign(30));
    sleep(INTERVAL).await;
    assert_eq!(cluster.lease().await["spec"], foreign(30)["spec"]);
    assert_eq!(replica.lease.state(), LeaseState::HeldBy("other".into()));
    let taken = "taken over by other from syncer-0".to_owned();
    assert_eq!(replica.component().await, (Health::Healthy, taken));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_has_expired_is_taken_over_and_no_other() {
    let cluster = Cluster::new();
    write(&cluster.router, foreign(25)).await;
    let replica = cluster.replica("syncer-0");
    let begin = Instant::now();
    sleep(INTERVAL * 2 + SECOND).await;
    assert_eq!(cluster.holder().await, ("other".into(), 4));
    // A renewal begins its time anew.
    let mut renewed = foreign(25);
    renewed["spec"]["renewTime"] = json!("2001-01-01T00:00:10.000000Z");
    write(&cluster.router, renewed).await;
    replica.lease.held().await;
    // Seen at 30 s, it has expired at 55 s, which the look at 60 s finds.
    assert_eq!(begin.elapsed(), INTERVAL * 6);
    assert_eq!(cluster.holder().await, ("syncer-0".into(), 5));
    let lease = cluster.lease().await;
    assert_eq!(lease["spec"]["acquireTime"], lease["spec"]["renewTime"]);
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_steps_down_is_followed_at_the_next_look() {
    let cluster = Cluster::new();
    let first = cluster.replica("syncer-0");
    first.lease.held().await;
    let second = cluster.replica("syncer-1");
    second.lease.attempted().await;
    assert_eq!(second.lease.state(), LeaseState::HeldBy("syncer-0".into()));
    sleep(SECOND).await;

    first.lease.step_down().await.unwrap();
    assert_eq!(first.lease.state(), LeaseState::Free);
    let spec = cluster.lease().await["spec"].take();
    assert_eq!(
        (&spec["holderIdentity"], &spec["leaseDurationSeconds"]),
        (&json!(""), &json!(1))
    );
    let released = Instant::now();
    second.lease.held().await;
    assert!(released.elapsed() <= INTERVAL, "{:?}", released.elapsed());
    assert_eq!(cluster.holder().await, ("syncer-1".into(), 1));
    sleep(INTERVAL + SECOND).await;
    assert_eq!(first.lease.state(), LeaseState::HeldBy("syncer-1".into()));

    // The end of a service is a step down too, after the rest of the clean-up.
    let lease = second.lease.clone();
    second.service.on_shutdown("queue", move || async move {
        assert!(lease.is_held());
        Ok::<(), String>(())
    });
    second.service.shut_down(ShutdownCause::Program);
    let report = second.service.run().await.unwrap();
    let ended: Vec<_> = report
        .clean_ups
        .iter()
        .map(|end| (&*end.name, &end.outcome))
        .collect();
    assert_eq!(
        ended,
        [
            ("queue", &Ok(())),
            ("heartbeat to lease kcp-system/syncer", &Ok(()))
        ]
    );
    assert_eq!(cluster.holder().await.0, "");
    sleep(INTERVAL).await;
    assert_eq!(cluster.holder().await, ("syncer-0".into(), 2));
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_is_alone_takes_the_lease_again_after_its_duration() {
    let cluster = Cluster::new();
    let replica = cluster.replica("syncer-0");
    replica.lease.held().await;
    replica.lease.step_down().await.unwrap();
    let begin = Instant::now();
    replica.lease.held().await;
    assert_eq!(begin.elapsed(), INTERVAL * 3);
}

#[tokio::test(start_paused = true)]
async fn renewals_that_fail_are_missed_and_the_lease_ends_with_its_duration() {
    let cluster = Cluster::new();
    let replica = cluster.replica("syncer-0");
    replica.lease.held().await;
    let begin = Instant::now();
    // After each renewal there is time for one that hangs.
    sleep(Duration::from_secs(6)).await;
    let table = [
        (
            Network::Refuses,
            Health::Degraded,
            "missed 1: no answer from the API server: connection refused",
            true,
        ),
        (
            Network::Hangs,
            Health::Degraded,
            "missed 2: timed out after 5s",
            true,
        ),
        (
            Network::Refuses,
            Health::Unhealthy,
            "missed 3: no answer from the API server: connection refused",
            false,
        ),
        (Network::Well, Health::Healthy, "held by syncer-0", true),
    ];
    let holder = replica.lease.clone();
    let lost = tokio::spawn(async move {
        holder.lost().await;
        Instant::now()
    });
    for (network, health, message, held) in table {
        replica.set_network(network);
        sleep(INTERVAL).await;
        assert_eq!(replica.component().await, (health, message.to_owned()));
        assert_eq!(replica.lease.is_held(), held, "{network:?}");
    }
    assert_eq!(lost.await.unwrap() - begin, Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn times_and_threshold_are_settable() {
    let cluster = Cluster::new();
    let replica = cluster.replica_with(LeaseSettings {
        interval: Duration::from_secs(2),
        duration: Duration::from_millis(6500),
        failure_threshold: 2,
        timeout: Duration::from_millis(500),
        ..LeaseSettings::new("kcp-system", "syncer", "syncer-0")
    });
    replica.lease.held().await;
    assert_eq!(cluster.lease().await["spec"]["leaseDurationSeconds"], 7);
    replica.set_network(Network::Hangs);
    sleep(Duration::from_millis(2600)).await;
    let late = "missed 1: timed out after 500ms".to_owned();
    assert_eq!(replica.component().await, (Health::Degraded, late));
    sleep(Duration::from_secs(2)).await;
    let late = "missed 2: timed out after 500ms".to_owned();
    assert_eq!(replica.component().await, (Health::Unhealthy, late));
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_is_lost_does_no_harm() {
    let cluster = Cluster::new();
    let replica = cluster.replica("syncer-0");
    replica.lease.held().await;
    replica.set_network(Network::LosesAnswers);
    sleep(INTERVAL + SECOND).await;
    assert_eq!(cluster.lease().await["metadata"]["resourceVersion"], "2");
    replica.set_network(Network::Well);
    sleep(INTERVAL).await;
    assert_eq!(cluster.lease().await["metadata"]["resourceVersion"], "3");
    assert_eq!(cluster.holder().await, ("syncer-0".into(), 0));
    assert!(replica.lease.is_held());
}

#[tokio::test(start_paused = true)]
async fn a_step_down_that_fails_is_made_up_for() {
    let cluster = Cluster::new();
    let replica = cluster.replica("syncer-0");
    replica.lease.held().await;
    replica.set_network(Network::Refuses);
    let refused = replica.lease.step_down().await;
    assert!(
        matches!(refused, Err(LeaseError::NoAnswer(_))),
        "{refused:?}"
    );
    assert!(!replica.lease.is_held());
    replica.set_network(Network::Well);
    sleep(INTERVAL + SECOND).await;
    assert_eq!(cluster.holder().await.0, "");
}

#[tokio::test(start_paused = true)]
async fn a_process_that_was_killed_goes_on_with_its_own_lease() {
    let cluster = Cluster::new();
    let killed = cluster.replica("syncer-0");
    killed.lease.held().await;
    let before = cluster.lease().await;
    killed.set_network(Network::Refuses);
    let begin = Instant::now();
    let next = cluster.replica("syncer-0");
    next.lease.held().await;
    assert_eq!(begin.elapsed(), Duration::ZERO);
    assert_eq!(cluster.holder().await, ("syncer-0".into(), 0));
    let after = cluster.lease().await;
    assert_eq!(after["spec"]["acquireTime"], before["spec"]["acquireTime"]);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_deleted_is_created_again() {
    let cluster = Cluster::new();
    let replica = cluster.replica("syncer-0");
    replica.lease.held().await;
    let path = format!("{PATH}/syncer");
    let deleted = request(&cluster.router, Method::DELETE, &path, &Value::Null).await;
    assert_eq!(deleted.0, StatusCode::OK);
    sleep(INTERVAL + SECOND).await;
    assert!(replica.lease.is_held());
    assert_eq!(cluster.holder().await, ("syncer-0".into(), 0));
}

#[tokio::test(start_paused = true)]
async fn a_token_is_read_for_each_request() {
    let cluster = Cluster::new();
    cluster.set_token("revoked");
    let replica = cluster.replica("syncer-0");
    replica.lease.attempted().await;
    let refused = "missed 1: the API server answered 401: Unauthorized".to_owned();
    assert_eq!(replica.component().await, (Health::Degraded, refused));
    cluster.set_token(leases::TOKEN);
    replica.lease.held().await;
}

#[tokio::test(start_paused = true)]
async fn contradictions_are_refused() {
    let service = service("kcp-syncer", "1.0");
    let well = ApiServer {
        address: "http://127.0.0.1:1".into(),
        ..ApiServer::default()
    };
    let check = |api: &ApiServer, change: fn(&mut LeaseSettings), expected: &str| {
        let mut settings = LeaseSettings::new("kcp-system", "syncer", "syncer-0");
        change(&mut settings);
        let refused = service.hold_lease(api, settings).unwrap_err().to_string();
        assert!(refused.contains(expected), "{refused}");
    };
    check(
        &well,
        |it| it.namespace = "a/b".into(),
        "`a/b` is no name of a namespace",
    );
    check(
        &well,
        |it| it.name = "..".into(),
        "`..` is no name of a lease",
    );
    check(&well, |it| it.holder.clear(), "no identity");
    check(
        &well,
        |it| it.duration = it.interval,
        "the duration, 10s, must be longer than the interval, 10s",
    );
    check(&well, |it| it.interval = Duration::ZERO, "longer than zero");
    check(&well, |it| it.failure_threshold = 0, "at least 1");
    let api = |address: &str, ca: Option<&str>| ApiServer {
        address: address.to_owned(),
        ca: ca.map(Into::into),
        token: None,
    };
    check(
        &api("10.0.0.1:443", None),
        |_| (),
        "is not like https://HOST:PORT",
    );
    check(
        &api("https://10.0.0.1", None),
        |_| (),
        "https needs the certificate of a CA",
    );
    check(
        &api("https://10.0.0.1", Some("/nowhere/ca.crt")),
        |_| (),
        "cannot read /nowhere/ca.crt: ",
    );
    assert!(service.heartbeat_senders().is_empty(), "nothing was begun");
}
