//! Which services a command is about: selectors over the inventory, or what was typed without one.

use std::sync::Arc;

use super::sights::Sights;
use super::{Context, Error, candidate};
use crate::engine::{Caps, Rounds};
use crate::health::Selection;
use crate::host::Clock;
use crate::inventory::{AdHoc, AdHocTarget, LoadedInventory, Service};
use crate::probe::Asker;

/// The words that choose services.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Choice {
    /// Which services: NAME, GLOB, group:NAME, KEY=VALUE, state:STATE, flag:FLAG; all when left out.
    #[arg(value_name = "SELECTOR")]
    pub(crate) selectors: Vec<String>,
    /// This URL alone, without an inventory.
    #[arg(
        long,
        value_name = "URL",
        env = "HEALTHCTL_URL",
        group = "asked",
        conflicts_with = "selectors"
    )]
    pub(crate) url: Option<String>,
    /// The convention that the URL follows: see `healthctl profiles`.
    #[arg(
        long,
        value_name = "PROFILE",
        requires = "url",
        conflicts_with_all = ["tcp", "cmd"],
        env = "HEALTHCTL_PROFILE"
    )]
    pub(crate) profile: Option<String>,
    /// This TCP port alone, without an inventory: a connection is enough.
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "HEALTHCTL_TCP",
        group = "asked",
        conflicts_with = "selectors"
    )]
    pub(crate) tcp: Option<String>,
    /// This command alone, without an inventory: exit status 0 is good. No shell runs it, but quotes are understood.
    #[arg(
        long,
        value_name = "COMMAND",
        env = "HEALTHCTL_CMD",
        group = "asked",
        conflicts_with = "selectors"
    )]
    pub(crate) cmd: Option<String>,
    /// Time between two probes (5s), without an inventory.
    #[arg(
        long,
        value_name = "DURATION",
        requires = "asked",
        env = "HEALTHCTL_INTERVAL"
    )]
    pub(crate) interval: Option<String>,
    /// How long a probe may take (2s), without an inventory.
    #[arg(
        long,
        value_name = "DURATION",
        requires = "asked",
        env = "HEALTHCTL_TIMEOUT"
    )]
    pub(crate) timeout: Option<String>,
    /// Failures in a row that turn a probe (3), without an inventory.
    #[arg(long, value_name = "N", requires = "asked", env = "HEALTHCTL_RETRIES")]
    pub(crate) retries: Option<String>,
    /// How long after a known start failures do not count (0s), without an inventory.
    #[arg(
        long,
        value_name = "DURATION",
        requires = "asked",
        env = "HEALTHCTL_START_PERIOD"
    )]
    pub(crate) start_period: Option<String>,
}

/// The services chosen.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// The inventory that they are of.
    pub(crate) loaded: LoadedInventory,
    /// All that have to be probed, in inventory order.
    pub(crate) services: Vec<Arc<Service>>,
    /// Tells, after a round of probes, which of them are meant.
    pub(crate) selection: Selection,
}

impl Choice {
    /// What is asked without an inventory.
    pub(crate) fn asked(&self) -> Option<AdHocTarget<'_>> {
        let url = self.url.as_deref().map(AdHocTarget::Url);
        let tcp = || self.tcp.as_deref().map(AdHocTarget::Tcp);
        let command = || self.cmd.as_deref().map(AdHocTarget::Command);
        url.or_else(tcp).or_else(command)
    }

    /// Reads the inventory, tells its warnings and chooses.
    ///
    /// # Errors
    /// Mistakes of the inventory, and selectors that match nothing in it.
    pub(crate) fn services(&self, context: &Context) -> Result<Chosen, Error> {
        let loaded = match self.asked() {
            Some(asked) => context.adhoc(&AdHoc {
                asked,
                profile: self.profile.as_deref(),
                interval: self.interval.as_deref(),
                timeout: self.timeout.as_deref(),
                retries: self.retries.as_deref(),
                start_period: self.start_period.as_deref(),
            })?,
            None => context.inventory()?,
        };
        let selection = context.selection(&loaded, &self.selectors)?;
        let services = loaded
            .inventory
            .services
            .values()
            .filter(|service| selection.matches_static(candidate(service)))
            .cloned()
            .collect();
        Ok(Chosen {
            loaded,
            services,
            selection,
        })
    }
}

impl Chosen {
    /// Asks a round where states or flags were selected, and keeps the services that are in them now.
    pub(crate) async fn settle(&mut self, context: &Context, asker: &Asker, clock: Clock) {
        if !self.selection.needs_snapshot() {
            return;
        }
        let caps = Caps::of_this_machine();
        let mut rounds = Rounds::new(self.services.clone(), asker.clone(), caps, clock);
        let mut sights = Sights::new(context, &self.services, &self.loaded.inventory);
        let (seen, ()) = tokio::join!(sights.look(), rounds.ask_all(|_| ()));
        for problem in seen.problems {
            context.tell(&problem);
        }
        for (name, sight) in seen.sights {
            rounds.see(&name, sight);
        }
        let meant: Vec<_> = rounds
            .snapshots()
            .into_iter()
            .filter(|snapshot| self.selection.matches(snapshot))
            .map(|snapshot| snapshot.info.name.clone())
            .collect();
        self.services
            .retain(|service| meant.contains(&service.name));
    }
}
