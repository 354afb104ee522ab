//! `warren`: a supervisor of three tasks, each a process of its own: `web` is checked by HTTP, `cache` by TCP,
//! `worker` by a command. An unhealthy task is replaced.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /` | `Health: 3/3 healthy`, and a line for each task |
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
use serde::Serialize;

use crate::demo::Error;
use crate::demo::protocol::Endpoints;
use crate::demo::simulation::Simulation;
use monitor::{TaskMonitor, TaskState, TaskStatus};
use task::TaskKind;

type Monitors = Arc<Vec<Arc<TaskMonitor>>>;

#[derive(Serialize)]
struct TaskList {
    status: TaskStatus,
    message: String,
    tasks: Vec<TaskState>,
}

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
    let Json(list) = list(State(monitors)).await;
    let mut text = format!("{}\n", list.message);
    for task in &list.tasks {
        let (name, status, check, replaced) =
            (task.name, task.status.word(), task.check, task.replaced);
        let error = task.error.as_deref().map(|error| format!(", {error}"));
        let error = error.unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "  {name:<7} {status:<10} {check} check, replaced {replaced} times{error}"
        );
    }
    text
}

async fn list(State(monitors): State<Monitors>) -> Json<TaskList> {
    let tasks: Vec<_> = monitors.iter().map(|monitor| monitor.state()).collect();
    let is_healthy = |task: &&TaskState| task.status == TaskStatus::Healthy;
    let healthy = tasks.iter().filter(is_healthy).count();
    let worst = tasks.iter().map(|task| task.status).max();
    Json(TaskList {
        status: worst.unwrap_or(TaskStatus::Healthy),
        message: format!("Health: {healthy}/{} healthy", tasks.len()),
        tasks,
    })
}
