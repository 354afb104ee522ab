//! `control-plane`: agents report to it, and leases are kept at it. It reloads its configuration when the file
//! changes.
//!
//! | route | does |
//! | --- | --- |
//! | `POST /api/v1/agents/ID/heartbeat` | stores an [`AgentReport`] with the time; 403 if the configuration refuses the agent |
//! | `GET /api/v1/agents` | lists all agents that ever reported, with their last report |
//! | `GET`, `PUT /apis/coordination.k8s.io/v1/namespaces/NAMESPACE/leases/NAME` | a lease, as the Kubernetes API keeps it |

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use healthctl_service::control_plane;
use healthctl_service::reload::{ConfigPart, Configuration};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{config_error, write_config_unless_valid};
use crate::demo::Error;
use crate::demo::simulation::Simulation;

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

/// The body of an agent's heartbeat.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct AgentReport {
    pub(super) status: AgentStatus,
    pub(super) heartbeat_interval_seconds: f64,
    pub(super) vms: VirtualMachines,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum AgentStatus {
    Running,
    ShuttingDown,
}

/// The numbers of an agent's virtual machines.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct VirtualMachines {
    pub(super) running: usize,
    pub(super) total: usize,
}

/// The body of a lease, as its holder writes it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Lease {
    pub(super) spec: LeaseSpec,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LeaseSpec {
    pub(super) holder_identity: String,
    pub(super) lease_duration_seconds: u64,
    pub(super) renew_time: String,
    #[serde(default)]
    pub(super) acquire_time: Option<String>,
    #[serde(default)]
    pub(super) lease_transitions: u64,
}

#[derive(Clone)]
struct Agents {
    /// The last report of each agent, as it is listed.
    reports: Arc<Mutex<BTreeMap<String, Value>>>,
    configuration: Configuration<Config>,
}

/// Leases by namespace and name.
type Leases = Arc<Mutex<BTreeMap<(String, String), LeaseSpec>>>;

/// Writes the configuration file unless there is one, and returns the health routes and those of the work.
pub(super) fn open(simulation: &Simulation) -> Result<(Router, Router), Error> {
    let path = Path::new(FILE);
    write_config_unless_valid(path, &Config::default(), |_| true).map_err(config_error)?;
    let parse = |text: &str| serde_json::from_str::<Config>(text);
    let refused = ConfigPart::new("refused_agents", |config: &Config| &config.refused_agents)
        .summarize_with(|config| config.refused_agents.len());
    let service = &simulation.service;
    let configuration =
        Configuration::open(service, path, parse, vec![refused]).map_err(config_error)?;
    configuration.reload_on_change();
    let agents = Agents {
        reports: Arc::default(),
        configuration,
    };
    let agents = Router::new()
        .route("/api/v1/agents", get(list_agents))
        .route("/api/v1/agents/{id}/heartbeat", post(receive_heartbeat))
        .with_state(agents);
    let lease = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{name}";
    let leases = Router::new()
        .route(lease, get(read_lease).put(write_lease))
        .with_state(Leases::default());
    Ok((control_plane::routes(service), agents.merge(leases)))
}

async fn list_agents(State(agents): State<Agents>) -> Json<Value> {
    let reports = agents
        .reports
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let agents: Vec<_> = reports.values().collect();
    Json(json!({ "agents": agents }))
}

async fn receive_heartbeat(
    State(agents): State<Agents>,
    UrlPath(id): UrlPath<String>,
    Json(report): Json<AgentReport>,
) -> StatusCode {
    if agents.configuration.current().refused_agents.contains(&id) {
        return StatusCode::FORBIDDEN;
    }
    let mut reports = agents
        .reports
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if reports.len() >= CAPACITY && !reports.contains_key(&id) {
        return StatusCode::INSUFFICIENT_STORAGE;
    }
    let listed = json!({
        "agent_id": id,
        "last_heartbeat": Timestamp::now(),
        "status": report.status,
        "heartbeat_interval_seconds": report.heartbeat_interval_seconds,
        "vms": report.vms,
    });
    reports.insert(id, listed);
    StatusCode::NO_CONTENT
}

async fn read_lease(
    State(leases): State<Leases>,
    UrlPath(key): UrlPath<(String, String)>,
) -> Response {
    let leases = leases.lock().unwrap_or_else(PoisonError::into_inner);
    match leases.get(&key) {
        Some(spec) => lease_object(&key, spec),
        None => failure(StatusCode::NOT_FOUND, "NotFound"),
    }
}

async fn write_lease(
    State(leases): State<Leases>,
    UrlPath(key): UrlPath<(String, String)>,
    Json(Lease { mut spec }): Json<Lease>,
) -> Response {
    let mut leases = leases.lock().unwrap_or_else(PoisonError::into_inner);
    if leases.len() >= CAPACITY && !leases.contains_key(&key) {
        return failure(StatusCode::FORBIDDEN, "Forbidden");
    }
    match leases.get(&key) {
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
    let response = lease_object(&key, &spec);
    leases.insert(key, spec);
    response
}

fn lease_object((namespace, name): &(String, String), spec: &LeaseSpec) -> Response {
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
