//! Which services a command is about: selectors over the inventory, or a single URL without one.

use std::sync::Arc;

use super::{Context, Error, candidate};
use crate::engine::{Caps, Rounds};
use crate::health::Selection;
use crate::host::Clock;
use crate::inventory::{AdHoc, Loaded, Service};
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
        conflicts_with = "selectors"
    )]
    pub(crate) url: Option<String>,
    /// The convention that the URL follows: see `healthctl profiles`.
    #[arg(
        long,
        value_name = "PROFILE",
        requires = "url",
        env = "HEALTHCTL_PROFILE"
    )]
    pub(crate) profile: Option<String>,
}

/// The services chosen.
#[derive(Debug)]
pub(crate) struct Chosen {
    /// The inventory that they are of.
    pub(crate) loaded: Loaded,
    /// All that have to be probed, in inventory order.
    pub(crate) services: Vec<Arc<Service>>,
    /// Tells, after a round of probes, which of them are meant.
    pub(crate) selection: Selection,
}

impl Choice {
    /// Reads the inventory, tells its warnings and chooses.
    ///
    /// # Errors
    /// Mistakes of the inventory, and selectors that match nothing in it.
    pub(crate) fn services(&self, context: &Context) -> Result<Chosen, Error> {
        let loaded = match &self.url {
            Some(url) => {
                let typed = AdHoc {
                    url,
                    profile: self.profile.as_deref(),
                    ..AdHoc::default()
                };
                context.adhoc(&typed)?
            }
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
    pub(crate) async fn settle(&mut self, asker: &Asker, clock: Clock) {
        if !self.selection.needs_picture() {
            return;
        }
        let caps = Caps::of_this_machine();
        let mut rounds = Rounds::new(self.services.clone(), asker.clone(), caps, clock);
        rounds.ask_all(|_| ()).await;
        let meant: Vec<_> = rounds
            .pictures()
            .into_iter()
            .filter(|picture| self.selection.matches(picture))
            .map(|picture| picture.name.clone())
            .collect();
        self.services
            .retain(|service| meant.contains(&service.name));
    }
}
