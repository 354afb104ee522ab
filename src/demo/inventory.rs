//! The inventory of the demo: a real one, as a user would write it, with the addresses of this run filled in.

use std::path::Path;

use super::protocol::Endpoints;

/// `@program@` stands for the path of this program, `@NAME@` for the address of a service or a task.
const TEMPLATE: &str = include_str!("inventory.yaml");

/// Returns the text of the inventory for services that listen there and are started by this program.
pub(super) fn text(endpoints: &Endpoints, program: &Path) -> String {
    // A JSON string is a YAML scalar that is taken literally; `$` would begin a variable.
    let program = program.to_string_lossy().replace('$', "$$");
    let program = serde_json::Value::from(program).to_string();
    let text = TEMPLATE.replace("@program@", &program);
    endpoints.iter().fold(text, |text, (name, address)| {
        text.replace(&format!("@{name}@"), &address.to_string())
    })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::demo::directory::{log_file, pid_file};
    use crate::demo::fleet::{Convention, FLEET};
    use crate::demo::services::{edge, syncer, warren};

    #[test]
    fn each_service_has_its_entry() {
        let names = FLEET.iter().map(|definition| definition.name);
        let endpoints: Endpoints = names
            .chain(["web", "cache"])
            .zip(8001..)
            .map(|(name, port)| (name.to_owned(), SocketAddr::from(([127, 0, 0, 1], port))))
            .collect();
        let text = text(&endpoints, Path::new("/opt/a \"b\" $c/healthctl"));
        assert!(!text.contains('@'), "{text}");
        for definition in FLEET {
            let name = definition.name;
            let (_, entry) = text
                .split_once(&format!("\n  {name}:\n"))
                .unwrap_or_else(|| panic!("{name} has no entry:\n{text}"));
            // The agent is seen at the control plane.
            let at = match definition.convention {
                Convention::EdgeAgent => "control-plane",
                _ => name,
            };
            let (pid_file, log, address) = (pid_file(name), log_file(name), endpoints[at]);
            let expected = format!(
                "
    url: http://{address}
    pid_file: {pid_file}
    start: {{command: [\"/opt/a \\\"b\\\" $$c/healthctl\", demo, service, {name}], cwd: ., log: {log}, ready_timeout: 10s}}
"
            );
            let begin = entry.find("\n    url:").expect("it has a URL");
            assert!(entry[begin..].starts_with(&expected), "{name}:\n{entry}");
        }
        let (web, cache) = (endpoints["web"], endpoints["cache"]);
        for line in [
            format!(
                "    url: http://{}{}\n",
                endpoints["control-plane"],
                syncer::LEASE_PATH
            ),
            format!("    required: [{}]\n", edge::AGENT_ID),
            format!("      web: {{http: http://{web}/, required: true}}\n"),
            format!("      cache: {{tcp: \"{cache}\", required: true}}\n"),
            format!(
                "      worker: {{exec: [cat, {}]}}\n",
                warren::task::WORKER_FILE
            ),
        ] {
            assert!(text.contains(&line), "{line} is missing:\n{text}");
        }
    }

    #[test]
    fn names_in_the_inventory_refer_to_each_other() {
        let inventory = TEMPLATE.replace("@program@", "healthctl").replace('@', "");
        let inventory: serde_yaml::Value = serde_yaml::from_str(&inventory).expect("it is YAML");
        let services = inventory["services"].as_mapping().expect("a map");
        let names = |entry: &serde_yaml::Value, key: &str| -> Vec<String> {
            let names = entry[key].as_sequence().cloned().unwrap_or_default();
            let names = names
                .iter()
                .map(|name| name.as_str().expect("a name").to_owned());
            names.collect()
        };
        for (name, entry) in services {
            let name = name.as_str().expect("a name");
            for dependency in names(entry, "depends_on") {
                assert!(
                    services.contains_key(dependency.as_str()),
                    "{name} needs {dependency}"
                );
            }
            let definition = FLEET.iter().find(|definition| definition.name == name);
            for required in names(entry, "required") {
                let is_component = |target: &str| target == required;
                let is_known = definition.is_some_and(|it| it.targets().any(is_component));
                assert!(
                    is_known || required == edge::AGENT_ID,
                    "{name} requires {required}"
                );
            }
        }
    }
}
