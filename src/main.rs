//! Hooks, parse, run, exit code; nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    // One TLS provider for all clients; it fails only where one is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    healthctl::run(std::env::args_os().collect())
}
