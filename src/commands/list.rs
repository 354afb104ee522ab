//! `healthctl list`: the services in the inventory. It probes nothing.

use serde_json::{Value, json};

use super::{Context, Error, ListFormat, candidate};
use crate::action::{Action, plan_action};
use crate::exit::Exit;
use crate::host::RunningProcess;
use crate::host::records::Record;
use crate::inventory::{Inventory, Service, ServiceActions};
use crate::text::TextTable;

/// The flags of `list`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Services to list: NAME, GLOB, group:NAME, KEY=VALUE; all when left out.
    #[arg(value_name = "SELECTOR")]
    pub(crate) selectors: Vec<String>,
    /// Format of the list.
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table)]
    pub(crate) output: ListFormat,
}

/// A process that healthctl has started and that still runs.
type StartedProcess = (Record, RunningProcess);

#[expect(clippy::unused_async, reason = "every command is run in the same way")]
pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let loaded = context.inventory()?;
    let selection = context.selection(&loaded, &args.selectors)?;
    if !selection.is_all() && selection.needs_snapshot() {
        return Err(Error::usage_hint(
            "`list` probes nothing, so it knows no state and no flag",
            "`healthctl check` with the same selectors does",
        ));
    }
    let known = &loaded.inventory.services;
    let services: Vec<&Service> = known
        .values()
        .map(|service| &**service)
        .filter(|service| selection.is_all() || selection.matches_static(candidate(service)))
        .collect();
    let (started, orphans): (Vec<_>, Vec<_>) = started(context, &loaded.inventory)
        .into_iter()
        .partition(|(record, _)| known.contains_key(&record.service));
    let text = match args.output {
        ListFormat::Table => table(&services, &started, context.color_stdout()),
        ListFormat::Json => format!("{}\n", json_list(&services, &started, &orphans)),
    };
    context.print(&text)?;
    if args.output == ListFormat::Table && selection.is_all() {
        for (record, running) in &orphans {
            context.message(&format!(
                "pid {} runs still: healthctl has started it as `{}`, which this inventory does not hold any more",
                running.process.pid, record.service
            ));
        }
    }
    Ok(Exit::Done)
}

/// Returns the processes that healthctl has started for this inventory and that still run.
fn started(context: &Context, inventory: &Inventory) -> Vec<StartedProcess> {
    let records = context.policy().records;
    let records = records.map(|records| records.of_inventory(&inventory.files));
    let mut started = Vec::new();
    for record in records.unwrap_or_default() {
        match record {
            Ok(process) => started.push(process),
            // A damaged record says nothing about the others.
            Err(error) => context.message(&format!(
                "a record of what was started is left out: {error}"
            )),
        }
    }
    started
}

fn process_of<'a>(service: &Service, started: &'a [StartedProcess]) -> Option<&'a StartedProcess> {
    let mut started = started.iter();
    started.find(|(record, _)| record.service == service.name)
}

fn table(services: &[&Service], started: &[StartedProcess], color: bool) -> String {
    let titles = [
        "SERVICE",
        "PID",
        "STARTED",
        "GROUP",
        "PROFILE",
        "URL",
        "PROBES",
        "ACTIONS",
        "DEPENDS ON",
        "LABELS",
    ];
    let mut table = TextTable::new(&titles, color);
    for service in services {
        let labels = service.labels.iter();
        let labels: Vec<String> = labels
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let probes: Vec<&str> = service.probes.iter().map(|it| it.name.as_str()).collect();
        let process = process_of(service, started);
        table.add_texts([
            Some(service.name.clone()),
            process.map(|(_, running)| running.process.pid.to_string()),
            process.map(|(record, _)| format!("{:.0}", record.started_at)),
            service.group.clone(),
            service.profile.clone(),
            service.url.as_ref().map(ToString::to_string),
            Some(probes.join(" ")),
            Some(actions(service).join(" ")),
            Some(service.depends_on.join(" ")),
            Some(labels.join(" ")),
        ]);
    }
    table.to_string()
}

/// Returns the actions that the inventory defines, and those that follow: what can be started can be restarted and stopped.
fn actions(service: &Service) -> Vec<&'static str> {
    let ServiceActions {
        shutdown,
        schedule,
        reload,
        restart: _,
    } = &service.actions;
    // A signal stops whatever has a process that can be known.
    let has_process = service.start.is_some() || service.pid_file.is_some();
    let planned = |action| plan_action(service, action).is_ok();
    [
        ("start", service.start.is_some()),
        ("restart", planned(Action::Restart)),
        ("shutdown", shutdown.is_some() || has_process),
        (
            "schedule",
            schedule.is_some() || (has_process && planned(Action::Schedule)),
        ),
        ("reload", reload.is_some()),
    ]
    .into_iter()
    .filter(|(_, offered)| *offered)
    .map(|(name, _)| name)
    .collect()
}

fn json_process((record, running): &StartedProcess) -> Value {
    json!({
        "pid": running.process.pid,
        "started_at": record.started_at,
        "log": record.log,
    })
}

fn json_list(
    services: &[&Service],
    started: &[StartedProcess],
    orphans: &[StartedProcess],
) -> Value {
    let probes = |service: &Service| -> Vec<Value> {
        let probes = service.probes.iter();
        probes
            .map(|probe| {
                json!({
                    "name": probe.name,
                    "kind": probe.kind.name(),
                    "target": probe.kind.target(),
                    "interval_seconds": probe.interval.as_secs_f64(),
                    "timeout_seconds": probe.timeout.as_secs_f64(),
                })
            })
            .collect()
    };
    let services = services.iter().map(|service| {
        json!({
            "name": service.name,
            "description": service.description,
            "group": service.group,
            "labels": service.labels,
            "profile": service.profile,
            "url": service.url.as_ref().map(ToString::to_string),
            "links": service.links,
            "depends_on": service.depends_on,
            "protected": service.protected,
            "probes": probes(service),
            "actions": actions(service),
            "started": process_of(service, started).map(json_process),
        })
    });
    let orphans = orphans
        .iter()
        .map(|process| json!({"name": process.0.service, "started": json_process(process)}));
    json!({
        "schema_version": 1,
        "services": services.collect::<Vec<_>>(),
        "others_started": orphans.collect::<Vec<_>>(),
    })
}
