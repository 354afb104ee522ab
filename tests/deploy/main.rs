//! What the README tells the authors of services, held against real processes: the programs that it shows, and the
//! examples of how to deploy one.
//!
//! What needs Python, Go, Node or a checker of somebody else's formats is ignored by a plain `cargo test`; the gate
//! installs what it needs and runs it with `cargo test --test deploy -- --ignored`.

#[path = "../support/mod.rs"]
mod support;

mod course;
mod mailroom;
mod manifests;
mod prometheus;
mod readme;
mod systemd;
