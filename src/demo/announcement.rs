//! Where a service is, or a task: what it tells whoever keeps it when it is up.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Where a service is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Announcement {
    /// Where it listens; an agent does not.
    pub(super) address: Option<SocketAddr>,
    /// Where the tasks listen that it runs.
    pub(super) tasks: BTreeMap<String, SocketAddr>,
}

impl Announcement {
    /// Says it to whoever has started this process, in one line of JSON.
    pub(super) fn make(&self) -> std::io::Result<()> {
        let line = serde_json::to_string(self)?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}")?;
        out.flush()
    }
}
