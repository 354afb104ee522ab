//! What a service tells the demo when it is up: one line of JSON.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Where a service is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Announcement {
    /// Where it listens; an agent does not.
    pub(super) address: Option<SocketAddr>,
    /// Where the tasks listen that it runs.
    pub(super) tasks: BTreeMap<String, SocketAddr>,
}

impl Announcement {
    /// Says it.
    pub(super) fn make(&self) -> std::io::Result<()> {
        say(&serde_json::to_string(self)?)
    }
}

/// One line to whoever has started this process.
pub(super) fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
