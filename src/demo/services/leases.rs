//! Leases at the routes of the Kubernetes API, served by the control plane: a stand-in for an API
//! server, which outlives whoever holds a lease in it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Where the leases are.
pub(super) const ROUTE: &str = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}";

/// More leases than any demo has.
const MOST: usize = 100;

/// What a holder writes, in Kubernetes' own shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Lease {
    pub(super) spec: Spec,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec {
    pub(super) holder_identity: String,
    pub(super) lease_duration_seconds: u64,
    pub(super) renew_time: String,
    #[serde(default)]
    pub(super) acquire_time: Option<String>,
    #[serde(default)]
    pub(super) lease_transitions: u64,
}

type Key = (String, String);

#[derive(Clone, Default)]
struct Leases(Arc<Mutex<BTreeMap<Key, Spec>>>);

impl Leases {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Spec>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `GET` and `PUT` of one lease.
pub(super) fn routes() -> Router {
    Router::new()
        .route(ROUTE, get(read).put(write))
        .with_state(Leases::default())
}

async fn read(State(leases): State<Leases>, Path(key): Path<Key>) -> Response {
    match leases.lock().get(&key) {
        Some(spec) => shown(&key, spec),
        None => status(StatusCode::NOT_FOUND, "NotFound"),
    }
}

async fn write(
    State(leases): State<Leases>,
    Path(key): Path<Key>,
    Json(lease): Json<Lease>,
) -> Response {
    let mut leases = leases.lock();
    if leases.len() >= MOST && !leases.contains_key(&key) {
        return status(StatusCode::FORBIDDEN, "Forbidden");
    }
    let mut spec = lease.spec;
    match leases.get(&key) {
        // The client counts in Kubernetes; here it need not read before it writes.
        Some(old) if old.holder_identity == spec.holder_identity => {
            spec.acquire_time.clone_from(&old.acquire_time);
            spec.lease_transitions = old.lease_transitions;
        }
        old => {
            spec.acquire_time = Some(spec.renew_time.clone());
            spec.lease_transitions = old.map_or(0, |old| old.lease_transitions.saturating_add(1));
        }
    }
    let response = shown(&key, &spec);
    leases.insert(key, spec);
    response
}

fn shown((namespace, name): &Key, spec: &Spec) -> Response {
    let lease = json!({
        "kind": "Lease",
        "apiVersion": "coordination.k8s.io/v1",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    });
    Json(lease).into_response()
}

fn status(code: StatusCode, reason: &str) -> Response {
    let status = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "code": code.as_u16(),
    });
    (code, Json(status)).into_response()
}
