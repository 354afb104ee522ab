//! `healthctl show`: one service resolved, with where each value comes from; with `--live` what it says of itself, too.

use std::sync::Arc;

use serde_json::Value;

use super::{Context, Error};
use crate::engine::{Caps, Rounds};
use crate::exit::Exit;
use crate::host::Clock;
use crate::inventory::{self, Service};
use crate::output::{FailOn, Report};
use crate::probe::Asker;

/// The flags of `show`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The name of a service.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Ask its probes once and show below what it says of itself, in the words of the JSON report.
    #[arg(long, env = "HEALTHCTL_LIVE", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) live: bool,
}

/// What stands in the first document already.
const TOLD: [&str; 5] = ["name", "group", "labels", "profile", "url"];

/// Runs `healthctl show`.
pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let loaded = context.inventory()?;
    let Some(text) = inventory::show(&loaded, &args.name) else {
        return Err(Error::unknown_service(&loaded.inventory, &args.name));
    };
    context.print(&text)?;
    if args.live
        && let Some(service) = loaded.inventory.services.get(&args.name)
    {
        context.print(&live(Arc::clone(service)).await?)?;
    }
    Ok(Exit::Done)
}

/// A second document with what one round of its probes has found.
async fn live(service: Arc<Service>) -> Result<String, Error> {
    let clock = Clock::start();
    let asker = Asker::new(clock);
    let mut rounds = Rounds::new(vec![service], asker, Caps::of_this_machine(), clock);
    rounds.ask_all(|_| ()).await;
    let snapshots = rounds.snapshots();
    let now = clock.now();
    let report = Report::new(snapshots.iter().map(AsRef::as_ref), &FailOn::default(), now);
    let mut found =
        serde_json::to_value(report.services.first()).map_err(color_eyre::Report::from)?;
    if let Value::Object(map) = &mut found {
        map.retain(|key, _| !TOLD.contains(&key.as_str()));
    }
    let found = told(found).unwrap_or_default();
    let yaml = serde_yaml::to_string(&found).map_err(color_eyre::Report::from)?;
    Ok(format!("---\n# asked at {:.0}\n{yaml}", now.wall))
}

/// A value without what holds nothing.
fn told(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Object(map) => {
            let told: serde_json::Map<_, _> = map
                .into_iter()
                .filter_map(|(key, value)| Some((key, told(value)?)))
                .collect();
            (!told.is_empty()).then_some(Value::Object(told))
        }
        Value::Array(items) => {
            let told: Vec<_> = items.into_iter().filter_map(told).collect();
            (!told.is_empty()).then_some(Value::Array(told))
        }
        other => Some(other),
    }
}
