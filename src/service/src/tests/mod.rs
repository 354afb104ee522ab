//! A service on listeners and connections in memory, under a paused clock: every duration is exact.

mod checks;
mod circuit_breaker;
mod components;
mod heartbeat;
mod log;
mod metrics;
mod payloads;
mod reload;
mod shutdown;
mod wire;
