//! The services that a command is about: selectors over the inventory, or one service that was typed.

use std::sync::Arc;

use clap::ArgGroup;
use tokio::sync::mpsc::unbounded_channel;

use super::host_scan::HostScanner;
use super::{Context, Error, candidate};
use crate::engine::{self, Until};
use crate::health::Selection;
use crate::host::Clock;
use crate::inventory::{AdHocTarget, LoadedInventory, Service};
use crate::probe::Prober;

/// The arguments that select services.
#[derive(Debug, Clone, Default, clap::Args)]
#[command(
    group = ArgGroup::new("asked").args(["url", "tcp", "cmd"]).conflicts_with("selectors"),
    group = ArgGroup::new("settings")
        .args(["interval", "timeout", "retries", "start_period"])
        .multiple(true)
        .requires("asked")
)]
pub(crate) struct ServiceArgs {
    /// Services: NAME, GLOB, group:NAME, KEY=VALUE, state:STATE, flag:FLAG; all when left out.
    #[arg(value_name = "SELECTOR")]
    pub(crate) selectors: Vec<String>,
    /// Probe this URL alone, without an inventory.
    #[arg(long, value_name = "URL", env = "HEALTHCTL_URL")]
    pub(crate) url: Option<String>,
    /// The profile that the URL follows: see `healthctl profiles`.
    #[arg(
        long,
        value_name = "PROFILE",
        requires = "url",
        conflicts_with_all = ["tcp", "cmd"],
        env = "HEALTHCTL_PROFILE"
    )]
    pub(crate) profile: Option<String>,
    /// Probe this TCP port alone, without an inventory: a connection is enough.
    #[arg(long, value_name = "HOST:PORT", env = "HEALTHCTL_TCP")]
    pub(crate) tcp: Option<String>,
    /// Probe with this command alone, without an inventory: exit status 0 is good. No shell runs it, but quotes work.
    #[arg(long, value_name = "COMMAND", env = "HEALTHCTL_CMD")]
    pub(crate) cmd: Option<String>,
    /// Time between two probes (5s), without an inventory.
    #[arg(long, value_name = "DURATION", env = "HEALTHCTL_INTERVAL")]
    pub(crate) interval: Option<String>,
    /// Timeout of a probe (2s), without an inventory.
    #[arg(long, value_name = "DURATION", env = "HEALTHCTL_TIMEOUT")]
    pub(crate) timeout: Option<String>,
    /// Failures in a row that turn a probe (3), without an inventory.
    #[arg(long, value_name = "N", env = "HEALTHCTL_RETRIES")]
    pub(crate) retries: Option<String>,
    /// Time after a known start in which failures do not count (0s), without an inventory.
    #[arg(long, value_name = "DURATION", env = "HEALTHCTL_START_PERIOD")]
    pub(crate) start_period: Option<String>,
}

/// The services that the arguments select.
#[derive(Debug)]
pub(crate) struct SelectedServices {
    pub(crate) loaded: LoadedInventory,
    /// The services that have to be probed, in inventory order.
    pub(crate) services: Vec<Arc<Service>>,
    /// Selects, after a round of probes, by state and flag.
    pub(crate) selection: Selection,
}

impl ServiceArgs {
    fn target(&self) -> Option<AdHocTarget<'_>> {
        let url = self.url.as_deref().map(AdHocTarget::Url);
        let tcp = || self.tcp.as_deref().map(AdHocTarget::Tcp);
        let command = || self.cmd.as_deref().map(AdHocTarget::Command);
        url.or_else(tcp).or_else(command)
    }

    /// Returns the settings that were typed, by their keys in an inventory.
    fn settings(&self) -> Vec<(&'static str, &str)> {
        let settings = [
            ("interval", &self.interval),
            ("timeout", &self.timeout),
            ("retries", &self.retries),
            ("start_period", &self.start_period),
        ];
        let typed = settings.into_iter();
        let typed = typed.filter_map(|(key, text)| Some((key, text.as_deref()?)));
        typed.collect()
    }

    /// Reads the inventory, prints its warnings and selects.
    ///
    /// # Errors
    /// Returns the mistakes of the inventory, or the selectors that match nothing.
    pub(crate) fn services(&self, context: &Context) -> Result<SelectedServices, Error> {
        let loaded = match self.target() {
            Some(target) => context.adhoc(target, self.profile.as_deref(), &self.settings())?,
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
        Ok(SelectedServices {
            loaded,
            services,
            selection,
        })
    }
}

impl SelectedServices {
    /// Keeps the services that have the selected states and flags. Probes every service once where any is selected.
    pub(crate) async fn settle(&mut self, context: &Context, prober: &Prober, clock: Clock) {
        if !self.selection.needs_snapshot() {
            return;
        }
        let mut scanner = HostScanner::new(context, &self.services, &self.loaded.inventory);
        let (sender, inputs) = unbounded_channel();
        let services = self.services.clone();
        let until = Until::EachAnswered;
        let check = engine::check(services, prober.clone(), until, clock, inputs, |_| ());
        let (problems, checked) = tokio::join!(scanner.scan_once(sender), check);
        for problem in problems {
            context.message(&problem);
        }
        let meant: Vec<_> = checked
            .snapshots
            .into_iter()
            .filter(|snapshot| self.selection.matches(snapshot))
            .map(|snapshot| snapshot.info.name.clone())
            .collect();
        self.services
            .retain(|service| meant.contains(&service.name));
    }
}
