//! The demo fleet: real services in processes of their own, built on `service/`.
//!
//! ```text
//! demo (supervisor) ◀── control socket beside the inventory ◀── `demo break`, `demo mend`
//!    a seat for each  ◀── a service attaches; gets its assignment, says where it is,
//!    service          ──▶ and takes orders; when the connection closes the service ends
//! ```
//!
//! Who has started the service does not matter: the demo at first, later whoever runs the `start`
//! command of the inventory. The supervisor itself never starts one again. However the demo ends, its
//! connections close, and no service outlives it.
//!
//! `control-plane` is assigned first: `edge` beats to it, and `syncer` renews its lease there. `warren`
//! has tasks of its own, which it starts and ends by their standard input.

mod announcement;
mod attachment;
mod code;
mod control;
mod error;
mod exchange;
mod fleet;
mod inventory;
mod life;
mod line;
mod news;
mod order;
mod place;
mod port;
mod process;
mod program;
mod seat;
mod services;
mod stage;
mod supervisor;
mod traffic;

pub(crate) use control::send;
pub(crate) use error::Error;
pub(crate) use news::News;
pub(crate) use order::{Order, Reached, Verb, choices};
pub(crate) use process::run as run_service;
pub(crate) use services::warren::task::run as run_task;
pub(crate) use supervisor::Demo;
