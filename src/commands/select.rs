//! From selectors to the names of services, probing once where a selector asks for a state or flag.

use std::sync::Arc;

use super::{Context, Error};
use crate::engine::{Caps, Rounds};
use crate::health::{Candidate, SelectError, Selection};
use crate::host::Clock;
use crate::inventory::{Inventory, Service};
use crate::probe::Asker;

/// The names of the services that the selectors mean, in inventory order. None given means all.
pub(super) async fn names(
    context: &Context,
    inventory: &Inventory,
    selectors: &[String],
    asker: &Asker,
    clock: Clock,
) -> Result<Vec<String>, Error> {
    let selection = Selection::parse(selectors, inventory.services.values().map(candidate))
        .map_err(|errors| wrong(&errors))?;
    let possible: Vec<Arc<Service>> = inventory
        .services
        .values()
        .filter(|service| selection.matches_static(candidate(service)))
        .cloned()
        .collect();
    if !selection.needs_picture() {
        return Ok(possible.iter().map(|one| one.name.clone()).collect());
    }
    context.tell("asking every probe once, for the selectors by state and flag");
    let mut rounds = Rounds::new(possible, asker.clone(), Caps::of_this_machine(), clock);
    rounds.ask_all(|_| {}).await;
    Ok(rounds
        .pictures()
        .iter()
        .filter(|picture| selection.matches(picture))
        .map(|picture| picture.name.clone())
        .collect())
}

fn candidate(service: &Arc<Service>) -> Candidate<'_> {
    Candidate {
        name: &service.name,
        group: service.group.as_deref(),
        labels: &service.labels,
    }
}

/// All that is wrong with the selectors, at once.
fn wrong(errors: &[SelectError]) -> Error {
    let join = |texts: Vec<&str>| texts.join("; ");
    Error::Usage {
        message: join(errors.iter().map(|error| error.message.as_str()).collect()),
        hint: Some(join(
            errors
                .iter()
                .filter_map(|error| error.hint.as_deref())
                .collect(),
        ))
        .filter(|hint| !hint.is_empty()),
    }
}
