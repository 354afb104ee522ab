//! Programs that nobody here wrote, started as their users start them, watched, checked and shut down.
//!
//! They need Debian packages, or packages for Python under `target/python`, so they are ignored by a plain
//! `cargo test`; the gate installs what they need and runs them with `cargo test --test real -- --ignored`.

#[path = "../support/mod.rs"]
mod support;

mod caddy;
mod checkout;
mod hephaestus;
mod postgresql;
mod prometheus;
mod promtool;
mod redis;
