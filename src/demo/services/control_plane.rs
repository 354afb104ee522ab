//! `control-plane`: agents report to it, and leases are kept at it. It reloads its configuration when the file
//! changes.
//!
//! | route | does |
//! | --- | --- |
//! | `POST /api/v1/agents/ID/heartbeat` | stores the report of an agent with the time; 403 if the configuration refuses the agent |
//! | `GET /api/v1/agents` | lists all agents that ever reported, with their last report |
//! | `GET`, `PUT /apis/coordination.k8s.io/v1/namespaces/NAMESPACE/leases/NAME` | a lease, as the Kubernetes API keeps it |

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use healthctl_service::control_plane;
use healthctl_service::reload::{ConfigPart, Configuration};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use crate::demo::simulation::Simulation;
use crate::demo::{Error, config_file};

/// The configuration file, in the directory of the demo, in which every service runs.
const FILE: &str = "control-plane.json";
/// The most agents and the most leases that are kept: anybody may add one.
const CAPACITY: usize = 100;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The agents whose reports are refused.
    refused_agents: BTreeSet<String>,
}

struct ControlPlane {
    configuration: Configuration<Config>,
    /// The last report of each agent, as it is listed.
    agents: Mutex<BTreeMap<String, Map<String, Value>>>,
    /// The leases by namespace and name.
    leases: Mutex<BTreeMap<LeaseName, LeaseSpec>>,
}

type LeaseName = (String, String);

#[derive(Debug, Deserialize)]
struct Lease {
    spec: LeaseSpec,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LeaseSpec {
    holder_identity: String,
    lease_duration_seconds: u64,
    renew_time: String,
    #[serde(default)]
    acquire_time: Option<String>,
    #[serde(default)]
    lease_transitions: u64,
}

/// Writes the configuration file unless there is one, and returns the health routes and those of the work.
pub(super) fn open(simulation: &Simulation) -> Result<(Router, Router), Error> {
    let path = Path::new(FILE);
    let config = Config::default();
    config_file::write_unless_valid(path, &config, |_| true).map_err(config_file::error)?;
    let parse = |text: &str| serde_json::from_str::<Config>(text);
    let refused = ConfigPart::new("refused_agents", |config: &Config| &config.refused_agents)
        .summarize_with(|config| config.refused_agents.len());
    let service = &simulation.service;
    let configuration =
        Configuration::open(service, path, parse, vec![refused]).map_err(config_file::error)?;
    configuration.reload_on_change();
    let control_plane = ControlPlane {
        configuration,
        agents: Mutex::default(),
        leases: Mutex::default(),
    };
    let lease = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}";
    let work = Router::new()
        .route("/api/v1/agents", get(list_agents))
        .route("/api/v1/agents/{id}/heartbeat", post(receive_heartbeat))
        .route(lease, get(read_lease).put(write_lease))
        .with_state(Arc::new(control_plane));
    Ok((control_plane::routes(service), work))
}

async fn list_agents(State(state): State<Arc<ControlPlane>>) -> Json<Value> {
    let agents: Vec<_> = state.agents.lock().await.values().cloned().collect();
    Json(json!({ "agents": agents }))
}

async fn receive_heartbeat(
    State(state): State<Arc<ControlPlane>>,
    UrlPath(id): UrlPath<String>,
    Json(report): Json<Map<String, Value>>,
) -> StatusCode {
    if state.configuration.current().refused_agents.contains(&id) {
        return StatusCode::FORBIDDEN;
    }
    let mut agents = state.agents.lock().await;
    if agents.len() >= CAPACITY && !agents.contains_key(&id) {
        return StatusCode::INSUFFICIENT_STORAGE;
    }
    let time = Timestamp::now().to_string();
    let mut listed = Map::from_iter([
        ("agent_id".to_owned(), Value::from(id.clone())),
        ("last_heartbeat".to_owned(), Value::from(time)),
    ]);
    listed.extend(report);
    agents.insert(id, listed);
    StatusCode::NO_CONTENT
}

async fn read_lease(
    State(state): State<Arc<ControlPlane>>,
    UrlPath(name): UrlPath<LeaseName>,
) -> Response {
    match state.leases.lock().await.get(&name) {
        Some(spec) => lease_object(&name, spec),
        None => failure(StatusCode::NOT_FOUND, "NotFound"),
    }
}

async fn write_lease(
    State(state): State<Arc<ControlPlane>>,
    UrlPath(name): UrlPath<LeaseName>,
    Json(Lease { mut spec }): Json<Lease>,
) -> Response {
    let mut leases = state.leases.lock().await;
    if leases.len() >= CAPACITY && !leases.contains_key(&name) {
        return failure(StatusCode::FORBIDDEN, "Forbidden");
    }
    match leases.get(&name) {
        // In Kubernetes the client counts transitions; here it need not read the lease before it writes it.
        Some(old) if old.holder_identity == spec.holder_identity => {
            spec.acquire_time.clone_from(&old.acquire_time);
            spec.lease_transitions = old.lease_transitions;
        }
        old => {
            spec.acquire_time = Some(spec.renew_time.clone());
            spec.lease_transitions = old.map_or(0, |old| old.lease_transitions.saturating_add(1));
        }
    }
    let response = lease_object(&name, &spec);
    leases.insert(name, spec);
    response
}

fn lease_object((namespace, name): &LeaseName, spec: &LeaseSpec) -> Response {
    let lease = json!({
        "kind": "Lease",
        "apiVersion": "coordination.k8s.io/v1",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    });
    Json(lease).into_response()
}

fn failure(code: StatusCode, reason: &str) -> Response {
    let status = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "code": code.as_u16(),
    });
    (code, Json(status)).into_response()
}
