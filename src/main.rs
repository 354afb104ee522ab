//! Hooks, parse, run, exit code; nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    healthctl::run(std::env::args_os().collect())
}
