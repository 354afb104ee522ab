//! The agents of the control plane: they report to it, and it lists them.
//!
//! | route | does |
//! | --- | --- |
//! | `POST /api/v1/agents/ID/heartbeat` | takes a [`Sign`] and stamps it with the time; 403 where its configuration refuses the agent |
//! | `GET /api/v1/agents` | all that ever reported, with their last one |

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::hub::Config;
use healthctl_service::reload::Configuration;

/// More agents than any demo has; a list that anybody may add to needs an end.
const MOST: usize = 100;

/// What an agent says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Sign {
    pub(super) status: Status,
    pub(super) heartbeat_interval_seconds: f64,
    pub(super) vms: Vms,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Running,
    ShuttingDown,
}

/// Its virtual machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Vms {
    pub(super) running: usize,
    pub(super) total: usize,
}

#[derive(Serialize)]
struct List {
    agents: Vec<Agent>,
}

#[derive(Clone, Serialize)]
#[expect(clippy::struct_field_names, reason = "the names on the wire")]
struct Agent {
    agent_id: String,
    last_heartbeat: Timestamp,
    #[serde(flatten)]
    sign: Sign,
}

#[derive(Clone)]
struct Agents {
    listed: Arc<Mutex<BTreeMap<String, Agent>>>,
    configuration: Configuration<Config>,
}

impl Agents {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Agent>> {
        self.listed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The two routes, with nobody listed.
pub(super) fn routes(configuration: Configuration<Config>) -> Router {
    let agents = Agents {
        listed: Arc::default(),
        configuration,
    };
    Router::new()
        .route("/api/v1/agents", get(list))
        .route("/api/v1/agents/{id}/heartbeat", post(heartbeat))
        .with_state(agents)
}

async fn list(State(agents): State<Agents>) -> Json<List> {
    let agents = agents.lock().values().cloned().collect();
    Json(List { agents })
}

async fn heartbeat(
    State(agents): State<Agents>,
    Path(id): Path<String>,
    Json(sign): Json<Sign>,
) -> StatusCode {
    if agents.configuration.current().refused_agents.contains(&id) {
        return StatusCode::FORBIDDEN;
    }
    let mut agents = agents.lock();
    if agents.len() >= MOST && !agents.contains_key(&id) {
        return StatusCode::INSUFFICIENT_STORAGE;
    }
    let agent = Agent {
        agent_id: id.clone(),
        last_heartbeat: Timestamp::now(),
        sign,
    };
    agents.insert(id, agent);
    StatusCode::NO_CONTENT
}
