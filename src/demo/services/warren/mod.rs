//! `warren`: a small supervisor of three tasks, each a process of its own: `web` is checked by HTTP,
//! `cache` by TCP, `worker` by a command. One that is unhealthy is replaced.
//!
//! | route | answer |
//! | --- | --- |
//! | `GET /` | `Health: 3/3 healthy`, and a line for each task |
//! | `GET /tasks` | the same as JSON |
//! | `GET /healthz` | that the supervisor itself lives |

mod check;
mod keeper;
pub(in super::super) mod task;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::Part;
use crate::demo::Error;
use crate::demo::stage::Stage;
use keeper::{Keeper, View};
use task::TASKS;

type Keepers = Arc<Vec<Keeper>>;

/// Starts the tasks, where they were before, and waits until each says where it is.
pub(super) async fn open(
    stage: &Stage,
    before: &BTreeMap<String, SocketAddr>,
) -> Result<Part, Error> {
    let mut keepers = Vec::new();
    for kind in TASKS {
        let address = before.get(kind.name()).copied();
        let keeper = Keeper::open(stage, kind, address).await.map_err(|error| {
            Error::new(format!("cannot start the task {}: {error}", kind.name()))
        })?;
        keepers.push(keeper);
    }
    let tasks = keepers
        .iter()
        .filter_map(|keeper| Some((keeper.name().to_owned(), keeper.address()?)))
        .collect();
    let health = Router::new()
        .route("/", get(text))
        .route("/tasks", get(list))
        .route("/healthz", get(async || "ok\n"))
        .with_state(Arc::new(keepers));
    Ok(Part {
        routes: Some((health, Router::new())),
        tasks,
        is_busy: false,
    })
}

#[derive(Serialize)]
struct List {
    status: &'static str,
    message: String,
    tasks: Vec<View>,
}

async fn text(State(keepers): State<Keepers>) -> String {
    let list = look(&keepers);
    let mut text = format!("{}\n", list.message);
    for task in &list.tasks {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "  {:<7} {:<10} {}",
            task.name,
            task.status.word(),
            task.told()
        );
    }
    text
}

async fn list(State(keepers): State<Keepers>) -> Json<List> {
    Json(look(&keepers))
}

fn look(keepers: &[Keeper]) -> List {
    let tasks: Vec<_> = keepers.iter().map(Keeper::view).collect();
    let healthy = tasks
        .iter()
        .filter(|task| task.status == keeper::Status::Healthy)
        .count();
    let worst = tasks.iter().map(|task| task.status).max();
    List {
        status: worst.unwrap_or(keeper::Status::Healthy).word(),
        message: format!("Health: {healthy}/{} healthy", tasks.len()),
        tasks,
    }
}
