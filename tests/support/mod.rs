//! Shared by the tests: the binary, and processes that end with their test.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::exit,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "each test binary uses its part of this"
)]

pub mod acting;
pub mod demo;
pub mod example;
pub mod fake;
pub mod faulty;
pub mod process;
pub mod scene;
pub mod started;
pub mod terminal;
pub mod waiting;
pub mod watching;
