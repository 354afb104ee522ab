//! The demo fleet, built on `service/`.
