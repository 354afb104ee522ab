//! `control-plane`: agents report to it, and [leases] are kept at it. It reloads its configuration when the file
//! changes.
//!
//! | route | does |
//! | --- | --- |
//! | `POST /api/v1/agents/ID/heartbeat` | stores the report of an agent with the time; 403 if the configuration refuses the agent |
//! | `GET /api/v1/agents` | lists all agents that ever reported, with their last report |

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use axum::extract::{Path as UrlPath, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use healthctl_service::control_plane;
use healthctl_service::reload::{ConfigPart, Configuration};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use super::leases;
use crate::demo::simulation::Simulation;
use crate::demo::{Error, config_file};

/// The configuration file, in the directory of the demo, in which every service runs.
const FILE: &str = "control-plane.json";
/// The most agents that are kept: anybody may add one.
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
    };
    let work = Router::new()
        .route("/api/v1/agents", get(list_agents))
        .route("/api/v1/agents/{id}/heartbeat", post(receive_heartbeat))
        .with_state(Arc::new(control_plane))
        .merge(leases::routes());
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
