//! `healthctl show`: one service with every value and its origin; with `--live` also what the service reports.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::mpsc::unbounded_channel;

use super::{Context, Error};
use crate::engine::{self, Until};
use crate::exit::Exit;
use crate::host::Clock;
use crate::inventory::{self, Service};
use crate::output::{FailOn, Report, json_service};
use crate::probe::Prober;

/// The flags of `show`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The name of a service.
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// Probe the service once and show below what it reports, in the words of the JSON report.
    #[arg(long, env = "HEALTHCTL_LIVE", value_parser = clap::builder::FalseyValueParser::new())]
    pub(crate) live: bool,
}

/// The keys that the first document has already.
const SHOWN: [&str; 5] = ["name", "group", "labels", "profile", "url"];

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

/// Returns a second document with the result of one round of probes.
async fn live(service: Arc<Service>) -> Result<String, Error> {
    let clock = Clock::start();
    // Nothing is sent to the engine.
    let (_, inputs) = unbounded_channel();
    let until = Until::EachAnswered;
    let checked = engine::check(
        vec![service],
        Prober::new(clock),
        until,
        clock,
        inputs,
        |_| (),
    )
    .await;
    let now = clock.now();
    let report = Report::new(checked.snapshots, &FailOn::default(), now);
    let service = report.services.first();
    let mut found = service.map_or(Value::Null, |service| json_service(service, now));
    if let Value::Object(map) = &mut found {
        map.retain(|key, _| !SHOWN.contains(&key.as_str()));
    }
    let found = non_empty(found).unwrap_or_default();
    let yaml = serde_yaml::to_string(&found).map_err(color_eyre::Report::from)?;
    Ok(format!("---\n# asked at {:.0}\n{yaml}", now.wall))
}

/// Returns a value without its empty parts.
fn non_empty(value: Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Object(map) => {
            let kept: serde_json::Map<_, _> = map
                .into_iter()
                .filter_map(|(key, value)| Some((key, non_empty(value)?)))
                .collect();
            (!kept.is_empty()).then_some(Value::Object(kept))
        }
        Value::Array(items) => {
            let kept: Vec<_> = items.into_iter().filter_map(non_empty).collect();
            (!kept.is_empty()).then_some(Value::Array(kept))
        }
        other => Some(other),
    }
}
