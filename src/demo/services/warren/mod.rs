//! `warren`: a supervisor of three tasks, each a process of its own: `web` is checked by HTTP, `cache` by TCP,
//! `worker` by a command. An unhealthy task is replaced.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /` | `Health: 3/3 healthy`, and a line for each task; `Health: 1/3 healthy, 2/2 restarting` while both that are not healthy are replaced |
//! | `GET /tasks` | the same as JSON |
//! | `GET /healthz` | that the supervisor itself is running |

mod monitor;
pub(in crate::demo) mod task;

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::demo::Error;
use crate::demo::protocol::Endpoints;
use crate::demo::simulation::Simulation;
use monitor::{HEALTHY, RESTARTING, STARTING, TaskMonitor, TaskState, UNHEALTHY};
use task::TaskKind;

type Monitors = Arc<Vec<Arc<TaskMonitor>>>;

/// Starts the tasks on the ports that they had before, waits until each reports its address, adds those to `tasks`,
/// and returns the routes.
pub(super) async fn open(
    simulation: &Simulation,
    before: &Endpoints,
    tasks: &mut Endpoints,
) -> Result<Router, Error> {
    let mut monitors = Vec::new();
    for kind in TaskKind::ALL {
        let name = kind.name();
        let port = before.get(name).map_or(0, SocketAddr::port);
        let (monitor, address) = TaskMonitor::start(simulation, kind, port)
            .await
            .map_err(|error| Error::new(format!("cannot start the task {name}: {error}")))?;
        tasks.extend(address.map(|address| (name.to_owned(), address)));
        monitors.push(monitor);
    }
    Ok(Router::new()
        .route("/", get(text))
        .route("/tasks", get(list))
        .route("/healthz", get(async || "ok\n"))
        .with_state(Arc::new(monitors)))
}

async fn text(State(monitors): State<Monitors>) -> String {
    let (message, tasks) = states(&monitors);
    let mut text = format!("{message}\n");
    for task in tasks {
        let error = task.error.map(|error| format!(", {error}"));
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "  {:<7} {:<10} {} check, replaced {} times{}",
            task.name,
            task.status,
            task.check,
            task.replaced,
            error.unwrap_or_default()
        );
    }
    text
}

async fn list(State(monitors): State<Monitors>) -> Json<Value> {
    let (message, tasks) = states(&monitors);
    let has = |status: &&str| tasks.iter().any(|task| task.status == *status);
    let worst = [UNHEALTHY, RESTARTING, STARTING].into_iter().find(has);
    let status = worst.unwrap_or(HEALTHY);
    Json(json!({"status": status, "message": message, "tasks": tasks}))
}

fn states(monitors: &Monitors) -> (String, Vec<TaskState>) {
    let states: Vec<_> = monitors.iter().map(|monitor| monitor.state()).collect();
    let count = |status| states.iter().filter(|task| task.status == status).count();
    let (all, healthy, restarting) = (states.len(), count(HEALTHY), count(RESTARTING));
    let mut message = format!("Health: {healthy}/{all} healthy");
    let trouble = restarting + count(UNHEALTHY);
    if trouble > 0 {
        // Writing to a string cannot fail.
        let _ = write!(message, ", {restarting}/{trouble} restarting");
    }
    (message, states)
}
