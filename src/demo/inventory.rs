//! The demo's inventory file: a real one, as a user would write it.

use std::fmt::Write;
use std::net::SocketAddr;

use super::fleet::Member;

/// The name of the file in the demo's directory.
pub(super) const FILE: &str = "healthctl.yaml";

/// The folder of the process ids, beside the file.
pub(super) const PID_FILES: &str = "run";

/// Where a service's process id stands, relative to the file.
pub(super) fn pid_file(member: &Member) -> String {
    format!("{PID_FILES}/{}.pid", member.name)
}

/// The whole text, for services at these addresses.
pub(super) fn text(members: &[(&Member, SocketAddr)]) -> String {
    let mut text = String::from(
        "# The fleet of `healthctl demo`: real processes on this machine; all of it goes when the demo ends.
# Try in another terminal: healthctl demo break orders database, and demo mend orders database.
defaults:
  interval: 1s
  timeout: 1s
  failure_threshold: 1   # a demo shows at once what others would see three times first
services:
",
    );
    for (member, address) in members {
        // Writing to a string cannot fail.
        let _ = entry(&mut text, member, *address);
    }
    text
}

fn entry(text: &mut String, member: &Member, address: SocketAddr) -> std::fmt::Result {
    let labels: Vec<_> = member
        .labels
        .iter()
        .map(|(key, value)| format!("{key}: {value}"))
        .collect();
    writeln!(text, "  {}:", member.name)?;
    writeln!(text, "    description: {}", member.description)?;
    writeln!(text, "    group: {}", member.group)?;
    writeln!(text, "    labels: {{{}}}", labels.join(", "))?;
    writeln!(text, "    profile: {}", member.convention.profile())?;
    writeln!(text, "    url: http://{address}")?;
    writeln!(text, "    pid_file: {}", pid_file(member))?;
    for (key, names) in [
        ("required", member.required),
        ("depends_on", member.depends_on),
    ] {
        if !names.is_empty() {
            writeln!(text, "    {key}: [{}]", names.join(", "))?;
        }
    }
    Ok(())
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
            .map(|(member, port)| (member, SocketAddr::from(([127, 0, 0, 1], port))))
            .collect();
        insta::assert_snapshot!(text(&members), @r#"
# The fleet of `healthctl demo`: real processes on this machine; all of it goes when the demo ends.
# Try in another terminal: healthctl demo break orders database, and demo mend orders database.
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
  orders:
    description: takes orders; useless without its database
    group: shop
    labels: {tier: web, team: checkout}
    profile: hephaestus
    url: http://127.0.0.1:8002
    pid_file: run/orders.pid
    required: [database]
    depends_on: [search]
  search:
    description: finds things; its vector store fails now and then
    group: shop
    labels: {tier: web, team: discovery}
    profile: hephaestus
    url: http://127.0.0.1:8003
    pid_file: run/search.pid
    required: [database]
    depends_on: [control-plane]
"#);
    }
}
