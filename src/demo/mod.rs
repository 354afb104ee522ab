//! The demo fleet: real services in processes of their own, built on `service/`.
//!
//! ```text
//! demo (supervisor) ── stdin: break, mend; its end ends the service ──▶ service process
//!        ▲          ◀─ stdout: its address, then an answer per order ──
//!        └── control socket beside the inventory file ◀── `demo break`, `demo mend`
//! ```
//!
//! `control-plane` starts first: `edge` beats to it, and `syncer` renews its lease there. `warren` has
//! tasks of its own, started and ended in the same way.
//!
//! The supervisor never starts a service again: one that was shut down stays down.

mod announcement;
mod control;
mod error;
mod exchange;
mod fleet;
mod inventory;
mod life;
mod order;
mod place;
mod process;
mod program;
mod services;
mod stage;
mod supervisor;
mod traffic;

pub(crate) use control::send;
pub(crate) use error::Error;
pub(crate) use order::{Order, Verb};
pub(crate) use process::run as run_service;
pub(crate) use services::warren::task::run as run_task;
pub(crate) use supervisor::Demo;
