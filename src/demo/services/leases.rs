//! Leases of `coordination.k8s.io/v1`, as the API server of Kubernetes keeps them: each write gets a new resource
//! version, and an update that was made from an older one is refused. The tests of the kit use this server too.
//!
//! | request to `/apis/coordination.k8s.io/v1/namespaces/NAMESPACE/leases` | answer |
//! | --- | --- |
//! | `POST` | 201; 409 `AlreadyExists` |
//! | `GET /NAME` | 200; 404 `NotFound` |
//! | `PUT /NAME` | 200; 404 `NotFound`; 409 `Conflict` with a resource version that is not the present one |
//! | `DELETE /NAME` | 200; 404 `NotFound` |
//!
//! Reading is free; a write needs the bearer token, and is answered with 401 `Unauthorized` without it.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Mutex;

/// The token without which nothing is written.
pub(super) const TOKEN: &str = "demo-token";
/// The most leases that are kept: anybody with the token may add one.
const CAPACITY: usize = 100;
/// The format of the times of a lease: an API server accepts six digits and no other number.
const MICROSECONDS: &str = "%Y-%m-%dT%H:%M:%S%.6fZ";

#[derive(Debug, Default)]
struct LeaseStore {
    /// The last resource version that was given out.
    version: u64,
    leases: BTreeMap<LeaseName, Lease>,
}

/// The namespace and the name of a lease.
type LeaseName = (String, String);
type SharedStore = Arc<Mutex<LeaseStore>>;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lease {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    api_version: String,
    metadata: Metadata,
    #[serde(default)]
    spec: LeaseSpec,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    name: String,
    namespace: String,
    uid: String,
    resource_version: String,
    creation_timestamp: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LeaseSpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    holder_identity: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_duration_seconds: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acquire_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    renew_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease_transitions: Option<i32>,
}

/// Why a request is refused: the status code, the reason in one word, and the message for people.
type Refused = (StatusCode, &'static str, String);

/// Returns the routes of a server without any lease.
pub(super) fn routes() -> Router {
    let leases = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases";
    Router::new()
        .route(leases, post(create))
        .route(
            &format!("{leases}/{{name}}"),
            get(read).put(update).delete(delete),
        )
        .layer(from_fn(require_token))
        .with_state(SharedStore::default())
}

async fn require_token(request: Request, next: Next) -> Response {
    let expected = format!("Bearer {TOKEN}");
    let given = request.headers().get(header::AUTHORIZATION);
    if request.method() == Method::GET || given.is_some_and(|given| given == expected.as_str()) {
        return next.run(request).await;
    }
    refusal((
        StatusCode::UNAUTHORIZED,
        "Unauthorized",
        "Unauthorized".to_owned(),
    ))
}

async fn create(
    State(store): State<SharedStore>,
    Path(namespace): Path<String>,
    Json(mut lease): Json<Lease>,
) -> Response {
    let mut store = store.lock().await;
    let name = (namespace, lease.metadata.name.clone());
    let refused = if store.leases.contains_key(&name) {
        Some(conflict("AlreadyExists", &name, "already exists"))
    } else if store.leases.len() >= CAPACITY {
        let message = "exceeded quota".to_owned();
        Some((StatusCode::FORBIDDEN, "Forbidden", message))
    } else if name.1.is_empty() {
        Some(invalid("metadata.name: Required value"))
    } else if !lease.metadata.resource_version.is_empty() {
        let message = "resourceVersion should not be set on objects to be created".to_owned();
        Some((StatusCode::BAD_REQUEST, "BadRequest", message))
    } else {
        lease.spec.validate().err()
    };
    if let Some(refused) = refused {
        return refusal(refused);
    }
    lease.metadata.creation_timestamp =
        Some(Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    lease.metadata.uid = format!("00000000-0000-4000-8000-{:012x}", store.version);
    (StatusCode::CREATED, store.write(name, lease)).into_response()
}

async fn read(State(store): State<SharedStore>, Path(name): Path<LeaseName>) -> Response {
    match store.lock().await.leases.get(&name) {
        Some(lease) => Json(lease).into_response(),
        None => refusal(not_found(&name)),
    }
}

async fn update(
    State(store): State<SharedStore>,
    Path(name): Path<LeaseName>,
    Json(mut lease): Json<Lease>,
) -> Response {
    let mut store = store.lock().await;
    let Some(old) = store.leases.get(&name) else {
        return refusal(not_found(&name));
    };
    let refused = match &*lease.metadata.resource_version {
        "" => Some(invalid(
            "metadata.resourceVersion: Invalid value: 0x0: must be specified for an update",
        )),
        version if version != old.metadata.resource_version => Some(conflict(
            "Conflict",
            &name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )),
        _ => lease.spec.validate().err(),
    };
    if let Some(refused) = refused {
        return refusal(refused);
    }
    // Neither of them ever changes.
    lease.metadata.uid.clone_from(&old.metadata.uid);
    lease
        .metadata
        .creation_timestamp
        .clone_from(&old.metadata.creation_timestamp);
    store.write(name, lease).into_response()
}

async fn delete(State(store): State<SharedStore>, Path(name): Path<LeaseName>) -> Response {
    match store.lock().await.leases.remove(&name) {
        Some(_) => {
            Json(json!({"kind": "Status", "apiVersion": "v1", "status": "Success"})).into_response()
        }
        None => refusal(not_found(&name)),
    }
}

impl LeaseStore {
    /// Stores a lease under the next resource version and returns it.
    fn write(&mut self, name: LeaseName, mut lease: Lease) -> Json<Lease> {
        self.version = self.version.saturating_add(1);
        "Lease".clone_into(&mut lease.kind);
        "coordination.k8s.io/v1".clone_into(&mut lease.api_version);
        (lease.metadata.namespace, lease.metadata.name) = name.clone();
        lease.metadata.resource_version = self.version.to_string();
        self.leases.insert(name, lease.clone());
        Json(lease)
    }
}

impl LeaseSpec {
    fn validate(&self) -> Result<(), Refused> {
        for time in [&self.acquire_time, &self.renew_time].into_iter().flatten() {
            let parsed = time.parse::<Timestamp>();
            if !parsed.is_ok_and(|at| at.strftime(MICROSECONDS).to_string() == *time) {
                let message = format!("parsing time {time:?}: six digits of a second are needed");
                return Err((StatusCode::BAD_REQUEST, "BadRequest", message));
            }
        }
        if self
            .lease_duration_seconds
            .is_some_and(|seconds| seconds < 1)
        {
            return Err(invalid("spec.leaseDurationSeconds: must be greater than 0"));
        }
        if self.lease_transitions.is_some_and(|count| count < 0) {
            return Err(invalid(
                "spec.leaseTransitions: must be greater than or equal to 0",
            ));
        }
        Ok(())
    }
}

fn conflict(reason: &'static str, (_, name): &LeaseName, message: &str) -> Refused {
    let message = format!("leases.coordination.k8s.io \"{name}\" {message}");
    (StatusCode::CONFLICT, reason, message)
}

fn not_found((_, name): &LeaseName) -> Refused {
    let message = format!("leases.coordination.k8s.io \"{name}\" not found");
    (StatusCode::NOT_FOUND, "NotFound", message)
}

fn invalid(message: &str) -> Refused {
    let message = format!("Lease.coordination.k8s.io is invalid: {message}");
    (StatusCode::UNPROCESSABLE_ENTITY, "Invalid", message)
}

fn refusal((code, reason, message): Refused) -> Response {
    let status = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code.as_u16(),
    });
    (code, Json(status)).into_response()
}
