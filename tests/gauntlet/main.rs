//! Programs as newcomers run them, each started twice: by healthctl, and by hand in a terminal exactly as the inventory says.
//! Each is checked, edited, restarted, killed and shut down, and in the end nothing of it is left and no stranger was touched.
//!
//! They need packages of Debian, and of Python, npm and Maven under `target/gauntlet`, so they are ignored by a plain
//! `cargo test`; the gate installs what they need and runs them with `cargo test --test gauntlet -- --ignored`.

#[path = "../support/mod.rs"]
mod support;

mod course;
mod programs;
