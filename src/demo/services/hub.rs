//! `control-plane`: its agents report to it, leases are kept at it, and it reads its configuration
//! again by itself when the file changes.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Part as Role, agents, file, leases};
use crate::demo::Error;
use crate::demo::stage::Stage;
use healthctl_service::control_plane;
use healthctl_service::reload::{ConfigPart, Configuration};

/// Its configuration, relative to the demo's directory, in which every service runs.
const FILE: &str = "control-plane.json";

/// What is in the file.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Config {
    /// Agents whose reports it does not take.
    pub(super) refused_agents: BTreeSet<String>,
}

/// Sees to it that there is a file, and reads it from then on.
pub(super) fn open(stage: &Stage) -> Result<Role, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::new(format!("cannot configure: {error}"));
    let path = Path::new(FILE);
    file::keep_or_write(path, &Config::default(), |_| true).map_err(|error| failed(&error))?;
    let parse = |text: &str| serde_json::from_str::<Config>(text);
    let refused = ConfigPart::new("refused_agents", |config: &Config| &config.refused_agents)
        .summarize_with(|config| config.refused_agents.len());
    let configuration = Configuration::open(&stage.service, path, parse, vec![refused])
        .map_err(|error| failed(&error))?;
    configuration.reload_on_change();
    let work = agents::routes(configuration).merge(leases::routes());
    Ok(Role::busy(control_plane::routes(&stage.service), work))
}
