//! The demo fleet: real services in processes of their own, built on the crate `healthctl-service`.
//!
//! ```text
//! demo ── supervisor ◀── control socket beside the inventory ◀── `demo break`, `demo mend`
//!            │    ▲
//!   starts   │    │ each service attaches: it receives its assignment, reports where it listens,
//!            ▼    │ applies the faults sent to it, and exits when the connection closes
//!         services
//! ```
//!
//! A service may be started by the demo or by the `start` command of the inventory; the supervisor treats both
//! alike, and never restarts a service itself. However the demo ends, its connections close, so no service
//! outlives it.
//!
//! `control-plane` is assigned first: `edge` sends its heartbeats to it, and `syncer` renews its lease there.
//! `warren` supervises tasks of its own.

mod client;
mod component;
mod config_file;
mod directory;
mod error;
mod fault;
mod fleet;
mod http;
mod inventory;
mod load;
mod process;
mod program;
mod protocol;
mod services;
mod simulation;
mod supervisor;

pub(crate) use client::send;
pub(crate) use component::FaultAction;
pub(crate) use error::Error;
pub(crate) use fault::{FaultApplied, FaultCommand, choices};
pub(crate) use process::run as run_service;
pub(crate) use services::warren::task::run as run_task;
pub(crate) use supervisor::{Demo, ProcessChange};
