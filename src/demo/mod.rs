//! The demo fleet: real services in processes of their own, built on `service/`.
//!
//! ```text
//! demo (supervisor) ── stdin: break, mend; its end ends the service ──▶ service process
//!        ▲          ◀─ stdout: its address, then an answer per order ──
//!        └── control socket beside the inventory file ◀── `demo break`, `demo mend`
//! ```
//!
//! The supervisor never starts a service again: one that was shut down stays down.

mod control;
mod error;
mod fleet;
mod inventory;
mod life;
mod order;
mod place;
mod process;
mod supervisor;
mod traffic;

pub(crate) use control::send;
pub(crate) use error::Error;
pub(crate) use order::{Order, Verb};
pub(crate) use process::run as run_service;
pub(crate) use supervisor::Demo;
