//! Tests of a service on connections in memory, under a paused clock, so that every duration is exact.

mod checks;
mod circuit_breaker;
mod components;
mod heartbeat;
mod in_memory;
#[cfg(feature = "lease")]
mod lease;
mod log;
mod metrics;
mod payloads;
mod ready_made;
mod reload;
mod shutdown;
mod status_change;
mod systemd;
#[cfg(feature = "tls")]
mod tls;
