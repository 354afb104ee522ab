//! `healthctl list`: what the inventory holds, without asking anybody.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Context, Error, ListFormat, candidate};
use crate::action::{Action, plan_action};
use crate::exit::Exit;
use crate::host::RunningProcess;
use crate::host::records::Record;
use crate::inventory::{Inventory, Service, ServiceActions};
use crate::text::{Table, clean};

/// The flags of `list`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which services: names, globs, group:NAME, KEY=VALUE; all when left out.
    #[arg(value_name = "SELECTOR")]
    pub(crate) selectors: Vec<String>,
    /// Format of the list.
    #[arg(short, long, value_enum, default_value_t = ListFormat::Table)]
    pub(crate) output: ListFormat,
}

/// Runs `healthctl list`.
#[expect(clippy::unused_async, reason = "every command is run in the same way")]
pub(crate) async fn run(context: &Context, args: &Args) -> Result<Exit, Error> {
    let loaded = context.inventory()?;
    let selection = context.selection(&loaded, &args.selectors)?;
    if !selection.is_all() && selection.needs_snapshot() {
        return Err(Error::usage_hint(
            "`list` asks nobody, so it knows no state and no flag",
            "`healthctl check` with the same selectors does",
        ));
    }
    let services: Vec<&Service> = loaded
        .inventory
        .services
        .values()
        .map(|service| &**service)
        .filter(|service| selection.is_all() || selection.matches_static(candidate(service)))
        .collect();
    let started = Started::of(context, &loaded.inventory);
    let text = match args.output {
        ListFormat::Table => table(&services, &started, context.color_stdout()),
        ListFormat::Json => format!("{}\n", json_list(&services, &started)),
    };
    context.print(&text)?;
    if args.output == ListFormat::Table && selection.is_all() {
        for (record, running) in &started.others {
            context.tell(&format!(
                "pid {} runs still: healthctl has started it as `{}`, which this inventory does not hold any more",
                running.process.pid, record.service
            ));
        }
    }
    Ok(Exit::Done)
}

/// What we have started and what of it still runs.
struct Started {
    /// By the name of the service.
    records: BTreeMap<String, (Record, RunningProcess)>,
    /// Those of services that the inventory does not hold any more.
    others: Vec<(Record, RunningProcess)>,
}

impl Started {
    fn of(context: &Context, inventory: &Inventory) -> Self {
        let records = match context.policy().records {
            Some(records) => records.of_inventory(&inventory.file()),
            None => Vec::new(),
        };
        let mut started = Self {
            records: BTreeMap::new(),
            others: Vec::new(),
        };
        for record in records {
            let (record, running) = match record {
                Ok(record) => record,
                // One that is damaged says nothing of the others.
                Err(error) => {
                    context.tell(&format!(
                        "a record of what was started is left out: {error}"
                    ));
                    continue;
                }
            };
            if inventory.services.contains_key(&record.service) {
                started
                    .records
                    .insert(record.service.clone(), (record, running));
            } else {
                started.others.push((record, running));
            }
        }
        started
    }
}

fn table(services: &[&Service], started: &Started, color: bool) -> String {
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
    let mut table = Table::new(&titles, color);
    for service in services {
        let labels: Vec<String> = service
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let probes: Vec<&str> = service
            .probes
            .iter()
            .map(|probe| probe.name.as_str())
            .collect();
        let record = started.records.get(&service.name);
        let url = service.url.as_ref().map(ToString::to_string);
        table.add_row([
            service.name.clone(),
            or_dash(record.map(|(_, running)| running.process.pid.to_string())),
            or_dash(record.map(|(record, _)| format!("{:.0}", record.started_at))),
            or_dash(service.group.clone()),
            or_dash(service.profile.clone()),
            or_dash(url),
            probes.join(" "),
            or_dash(Some(actions(service).join(" "))),
            or_dash(Some(service.depends_on.join(" "))),
            or_dash(Some(labels.join(" "))),
        ]);
    }
    table.to_string()
}

fn or_dash(text: Option<String>) -> String {
    match text {
        Some(text) if !text.is_empty() => clean(&text, 200),
        _ => "-".to_owned(),
    }
}

/// What the inventory says how to do, and what follows from that: what can be started can be restarted and stopped.
fn actions(service: &Service) -> Vec<&'static str> {
    let ServiceActions {
        shutdown,
        schedule,
        reload,
        restart: _,
    } = &service.actions;
    // A signal stops whatever has a process that can be known.
    let has_process = service.start.is_some() || service.pid_file.is_some();
    [
        ("start", service.start.is_some()),
        ("restart", plan_action(service, Action::Restart).is_ok()),
        ("shutdown", shutdown.is_some() || has_process),
        (
            "schedule",
            schedule.is_some() || (has_process && plan_action(service, Action::Schedule).is_ok()),
        ),
        ("reload", reload.is_some()),
    ]
    .into_iter()
    .filter(|(_, offered)| *offered)
    .map(|(name, _)| name)
    .collect()
}

/// A process that we have started.
fn json_record((record, running): &(Record, RunningProcess)) -> Value {
    json!({
        "pid": running.process.pid,
        "started_at": record.started_at,
        "log": record.log,
    })
}

fn json_list(services: &[&Service], started: &Started) -> Value {
    let services: Vec<Value> = services
        .iter()
        .map(|service| {
            let probes: Vec<Value> = service
                .probes
                .iter()
                .map(|probe| {
                    json!({
                        "name": probe.name,
                        "kind": probe.kind.name(),
                        "target": probe.kind.target(),
                        "interval_seconds": probe.interval.as_secs_f64(),
                        "timeout_seconds": probe.timeout.as_secs_f64(),
                    })
                })
                .collect();
            json!({
                "name": service.name,
                "description": service.description,
                "group": service.group,
                "labels": service.labels,
                "profile": service.profile,
                "url": service.url.as_ref().map(ToString::to_string),
                "depends_on": service.depends_on,
                "links": service.links,
                "protected": service.protected,
                "probes": probes,
                "actions": actions(service),
                "started": started.records.get(&service.name).map(json_record),
            })
        })
        .collect();
    let others: Vec<Value> = started
        .others
        .iter()
        .map(|one| json!({"name": one.0.service, "started": json_record(one)}))
        .collect();
    json!({"schema_version": 1, "services": services, "others_started": others})
}
