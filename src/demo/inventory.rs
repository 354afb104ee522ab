//! The demo's inventory file: a real one, as a user would write it.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

use super::announcement::Announcement;
use super::fleet::{Convention, Member};
use super::services::edge;
use super::services::warren::task::{Kind, WORKER_FILE};

/// The name of the file in the demo's directory.
pub(super) const FILE: &str = "healthctl.yaml";

/// The folder of the process ids, beside the file.
pub(super) const PID_FILES: &str = "run";

/// Where the lease of the syncer is, at the control plane.
pub(super) const LEASE_ROUTE: &str =
    "/apis/coordination.k8s.io/v1/namespaces/kcp-system/leases/syncer";

/// The folder of what the services write.
pub(super) const LOGS: &str = "logs";

const HEAD: &str = "# The fleet of `healthctl demo`: real processes on this machine; all of it goes when the demo ends.
# Try, in another terminal, in the folder of this file:
#   healthctl demo break orders database   orders is unhealthy, until `healthctl demo mend orders database`
#   healthctl restart orders               its process goes, another one comes, and that is proved
#   touch code/search.py                   stands for its code: search is `stale`, it runs what was there before
#   healthctl restart flag:stale           not any more
#   touch code/orders.py                   with `a` switched on in the dashboard, orders is restarted by itself
defaults:
  interval: 1s
  timeout: 1s
  failure_threshold: 1   # a demo shows at once what others would see three times first
services:
";

/// Where a service's process id stands, relative to the file.
pub(super) fn pid_file(member: &Member) -> String {
    format!("{PID_FILES}/{}.pid", member.name)
}

/// Where a service writes, relative to the file.
pub(super) fn log(service: &str) -> String {
    format!("{LOGS}/{service}.log")
}

/// What starts a service, after the name of the program, in the folder of the file.
pub(super) const fn command(member: &Member) -> [&'static str; 3] {
    ["demo", "service", member.name]
}

/// The whole text, for services that announced this and are started by this program.
pub(super) fn text(members: &[(&Member, Announcement)], program: &Path) -> String {
    let mut text = String::from(HEAD);
    let control_plane = members
        .iter()
        .find(|(member, _)| member.convention == Convention::ControlPlane)
        .and_then(|(_, announcement)| announcement.address);
    for (member, announcement) in members {
        // Who has no port is asked after where it reports to.
        let address = announcement.address.or(control_plane);
        let Some(address) = address else { continue };
        // Writing to a string cannot fail.
        let _ = entry(&mut text, member, address, program);
        let _ = match (member.convention, control_plane) {
            (Convention::EdgeAgent, _) => agent(&mut text),
            (Convention::KcpSyncer, Some(address)) => lease(&mut text, member, address),
            (Convention::Warren, _) => warren(&mut text, announcement),
            _ => Ok(()),
        };
    }
    text
}

fn entry(
    text: &mut String,
    member: &Member,
    address: SocketAddr,
    program: &Path,
) -> std::fmt::Result {
    writeln!(text, "  {}:", member.name)?;
    writeln!(text, "    description: {}", member.description)?;
    writeln!(text, "    group: {}", member.group)?;
    writeln!(text, "    labels: {{{}}}", labels(member))?;
    writeln!(text, "    profile: {}", member.convention.profile())?;
    writeln!(text, "    url: http://{address}")?;
    writeln!(text, "    pid_file: {}", pid_file(member))?;
    let (program, words) = (quoted(program), command(member).join(", "));
    let log = log(member.name);
    writeln!(
        text,
        "    start: {{command: [{program}, {words}], cwd: ., log: {log}, ready_timeout: 10s}}"
    )?;
    // The word of an ingestor says already what it can do without.
    let required = match member.convention {
        Convention::ScryIngestor => &[],
        _ => member.required,
    };
    for (key, names) in [
        ("required", required),
        ("depends_on", member.depends_on),
        ("sources", member.sources),
        ("restart_on", member.restart_on),
    ] {
        if !names.is_empty() {
            writeln!(text, "    {key}: [{}]", names.join(", "))?;
        }
    }
    Ok(())
}

/// As YAML takes it literally, whatever is in it.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy().replace('$', "$$");
    serde_json::Value::from(text).to_string()
}

fn labels(member: &Member) -> String {
    let labels: Vec<_> = member
        .labels
        .iter()
        .map(|(key, value)| format!("{key}: {value}"))
        .collect();
    labels.join(", ")
}

/// An agent has no port: it is one line of what the control plane lists, and that line is all of it.
fn agent(text: &mut String) -> std::fmt::Result {
    writeln!(text, "    required: [{}]", edge::ID)
}

/// The lease of the syncer is watched where it is kept: there it outlives its holder.
fn lease(text: &mut String, member: &Member, address: SocketAddr) -> std::fmt::Result {
    write!(
        text,
        "  {name}-lease:
    description: who holds the lease of {name}, and whether it is renewed
    group: {group}
    labels: {{{labels}}}
    profile: kubernetes-lease
    url: http://{address}{LEASE_ROUTE}
    depends_on: [control-plane]
    probes:
      status:              # as in the profile, but renewed every second instead of every ten
        decode:
          format: json
          service: /metadata/name
          heartbeat:
            at: /spec/renewTime
            fresh_for: {{at: /spec/leaseDurationSeconds, unit: s}}
            every: 1s
            holder: /spec/holderIdentity
            final: {{at: /spec/holderIdentity, is: \"\"}}
",
        name = member.name,
        group = member.group,
        labels = labels(member),
    )
}

/// The profile is what the orchestrator takes for granted; the checks are those of its tasks.
fn warren(text: &mut String, announcement: &Announcement) -> std::fmt::Result {
    let task = |kind: Kind| {
        let address = announcement.tasks.get(kind.name());
        address.map(ToString::to_string).unwrap_or_default()
    };
    let (web, cache, worker) = (Kind::Web.name(), Kind::Cache.name(), Kind::Worker.name());
    write!(
        text,
        "    interval: 1s         # the profile would ask every 30 s
    timeout: 1s
    failure_threshold: 1
    probes:
      live: {{http: /healthz}}
      startup: {{http: http://{web_at}/started, failure_threshold: 30}}
      {web}: {{http: http://{web_at}/, required: true}}
      {cache}: {{tcp: \"{cache_at}\", required: true}}
      {worker}: {{exec: [cat, {WORKER_FILE}]}}
      status:
        http: /tasks
        decode:
          format: json
          message: /message
          dependencies:
            at: /tasks
            shape: array
            name: /name
            status: {{at: /status, words: {{working: [healthy], degraded: [starting], error: [unhealthy]}}}}
            error: /error
",
        web_at = task(Kind::Web),
        cache_at = task(Kind::Cache),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::fleet::FLEET;

    #[test]
    fn every_member_has_its_entry() {
        let members: Vec<_> = FLEET
            .iter()
            .zip(8001..)
            .map(|(member, port)| {
                let address = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
                let has_port = member.convention != Convention::EdgeAgent;
                let tasks = [("web", port + 1_000), ("cache", port + 1_100)];
                let announcement = Announcement {
                    address: has_port.then(|| address(port)),
                    tasks: tasks
                        .map(|(name, port)| (name.to_owned(), address(port)))
                        .into(),
                };
                (member, announcement)
            })
            .collect();
        let program = Path::new("/opt/a \"b\" $c/healthctl");
        insta::assert_snapshot!(text(&members, program), @r#"
# The fleet of `healthctl demo`: real processes on this machine; all of it goes when the demo ends.
# Try, in another terminal, in the folder of this file:
#   healthctl demo break orders database   orders is unhealthy, until `healthctl demo mend orders database`
#   healthctl restart orders               its process goes, another one comes, and that is proved
#   touch code/search.py                   stands for its code: search is `stale`, it runs what was there before
#   healthctl restart flag:stale           not any more
#   touch code/orders.py                   with `a` switched on in the dashboard, orders is restarted by itself
defaults:
  interval: 1s
  timeout: 1s
  failure_threshold: 1   # a demo shows at once what others would see three times first
services:
  control-plane:
    description: decides what runs where; stops by signal only
    group: platform
    labels: {tier: core, team: platform}
    profile: control-plane
    url: http://127.0.0.1:8001
    pid_file: run/control-plane.pid
    start: {command: ["/opt/a \"b\" $$c/healthctl", demo, service, control-plane], cwd: ., log: logs/control-plane.log, ready_timeout: 10s}
  edge:
    description: agent without a port; beats to the control plane
    group: platform
    labels: {tier: edge, team: platform}
    profile: edge-agent
    url: http://127.0.0.1:8001
    pid_file: run/edge.pid
    start: {command: ["/opt/a \"b\" $$c/healthctl", demo, service, edge], cwd: ., log: logs/edge.log, ready_timeout: 10s}
    depends_on: [control-plane]
    required: [edge-1]
  syncer:
    description: syncs two Kubernetes API servers; holds a lease
    group: platform
    labels: {tier: core, team: platform}
    profile: kcp-syncer
    url: http://127.0.0.1:8003
    pid_file: run/syncer.pid
    start: {command: ["/opt/a \"b\" $$c/healthctl", demo, service, syncer], cwd: ., log: logs/syncer.log, ready_timeout: 10s}
    depends_on: [control-plane]
  syncer-lease:
    description: who holds the lease of syncer, and whether it is renewed
    group: platform
    labels: {tier: core, team: platform}
    profile: kubernetes-lease
    url: http://127.0.0.1:8001/apis/coordination.k8s.io/v1/namespaces/kcp-system/leases/syncer
    depends_on: [control-plane]
    probes:
      status:              # as in the profile, but renewed every second instead of every ten
        decode:
          format: json
          service: /metadata/name
          heartbeat:
            at: /spec/renewTime
            fresh_for: {at: /spec/leaseDurationSeconds, unit: s}
            every: 1s
            holder: /spec/holderIdentity
            final: {at: /spec/holderIdentity, is: ""}
  warren:
    description: supervisor of three tasks; replaces what is unhealthy
    group: platform
    labels: {tier: core, team: platform}
    profile: warren
    url: http://127.0.0.1:8004
    pid_file: run/warren.pid
    start: {command: ["/opt/a \"b\" $$c/healthctl", demo, service, warren], cwd: ., log: logs/warren.log, ready_timeout: 10s}
    interval: 1s         # the profile would ask every 30 s
    timeout: 1s
    failure_threshold: 1
    probes:
      live: {http: /healthz}
      startup: {http: http://127.0.0.1:9004/started, failure_threshold: 30}
      web: {http: http://127.0.0.1:9004/, required: true}
      cache: {tcp: "127.0.0.1:9104", required: true}
      worker: {exec: [cat, run/warren-worker.healthy]}
      status:
        http: /tasks
        decode:
          format: json
          message: /message
          dependencies:
            at: /tasks
            shape: array
            name: /name
            status: {at: /status, words: {working: [healthy], degraded: [starting], error: [unhealthy]}}
            error: /error
  ingestor:
    description: takes data in; reloads its configuration
    group: data
    labels: {tier: core, team: data}
    profile: scry-ingestor
    url: http://127.0.0.1:8005
    pid_file: run/ingestor.pid
    start: {command: ["/opt/a \"b\" $$c/healthctl", demo, service, ingestor], cwd: ., log: logs/ingestor.log, ready_timeout: 10s}
  orders:
    description: takes orders; useless without its database
    group: shop
    labels: {tier: web, team: checkout}
    profile: hephaestus
    url: http://127.0.0.1:8006
    pid_file: run/orders.pid
    start: {command: ["/opt/a \"b\" $$c/healthctl", demo, service, orders], cwd: ., log: logs/orders.log, ready_timeout: 10s}
    required: [database]
    depends_on: [search]
    sources: [code/orders.py]
    restart_on: [stale]
  search:
    description: finds things; its vector store fails now and then
    group: shop
    labels: {tier: web, team: discovery}
    profile: hephaestus
    url: http://127.0.0.1:8007
    pid_file: run/search.pid
    start: {command: ["/opt/a \"b\" $$c/healthctl", demo, service, search], cwd: ., log: logs/search.log, ready_timeout: 10s}
    required: [database]
    depends_on: [control-plane]
    sources: [code/search.py]
"#);
    }
}
