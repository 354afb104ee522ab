//! Every problem of files that may be inventories or profiles.

use std::path::{Path, PathBuf};

use crate::text::clean;
use crate::yaml::{Node, Problems, parse};

use super::library::{self, Library};
use super::{Chosen, Surroundings, load, source};

/// What was found in one file.
#[derive(Debug)]
pub struct Validated {
    /// Mistakes and warnings.
    pub problems: Problems,
    /// One line about it: what a good file holds, or how many mistakes a bad one has.
    pub summary: Result<String, String>,
}

/// Keys that only a profile has; `services` is what only an inventory has.
const PROFILE_KEYS: [&str; 5] = ["probes", "actions", "decode", "title", "source"];

/// Validates an inventory and the profiles within its reach.
pub fn validate(chosen: Chosen, around: &Surroundings<'_>) -> Vec<Validated> {
    let profiles = Library::new(&chosen.files, chosen.found, around).files(around);
    let mut results = vec![inventory(chosen, around)];
    results.extend(profiles.iter().map(|path| profile(path, around)));
    results
}

/// Validates the files named.
pub fn validate_files(files: &[PathBuf], around: &Surroundings<'_>) -> Vec<Validated> {
    files
        .iter()
        .map(|path| validate_file(path, around))
        .collect()
}

fn validate_file(path: &Path, around: &Surroundings<'_>) -> Validated {
    // What cannot be read is told by whoever reads it in earnest.
    let mut ignored = Problems::default();
    let text = source::read(path, around);
    let node = text
        .as_ref()
        .ok()
        .and_then(|file| parse(file, &mut ignored));
    if path != Path::new("-") && is_profile(path, node.as_ref()) {
        return profile(path, around);
    }
    // Standard input can be read once only.
    let once = |asked: &Path| match (&text, asked == Path::new("-")) {
        (Ok(file), true) => Ok(file.text.clone().into_bytes()),
        _ => (around.read)(asked),
    };
    let around = Surroundings {
        read: &once,
        ..*around
    };
    let chosen = Chosen {
        files: vec![path.to_owned()],
        found: false,
        warnings: Problems::default(),
    };
    inventory(chosen, &around)
}

fn is_profile(path: &Path, node: Option<&Node>) -> bool {
    let in_profiles = path
        .parent()
        .and_then(Path::file_name)
        .is_some_and(|name| name == "profiles");
    let Some(node) = node else { return in_profiles };
    if node.get("services").is_some() {
        return false;
    }
    in_profiles || PROFILE_KEYS.iter().any(|key| node.get(key).is_some())
}

fn inventory(chosen: Chosen, around: &Surroundings<'_>) -> Validated {
    let files: Vec<_> = chosen.files.iter().map(|path| shown(path)).collect();
    let name = match files.split_last() {
        Some((last, before)) if !before.is_empty() => {
            format!("{} and {last}", before.join(", "))
        }
        _ => files.concat(),
    };
    match load(chosen, around) {
        Ok(loaded) => {
            let services = loaded.inventory.services.len();
            let probes: usize = loaded
                .inventory
                .services
                .values()
                .map(|service| service.probes.len())
                .sum();
            Validated {
                problems: loaded.warnings,
                summary: Ok(format!(
                    "{name}: {}, {}",
                    count(services, "service", "services"),
                    count(probes, "probe", "probes")
                )),
            }
        }
        Err(problems) => failed(&name, problems),
    }
}

fn profile(path: &Path, around: &Surroundings<'_>) -> Validated {
    let mut problems = Problems::default();
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let profile = match source::read(path, around) {
        Ok(file) => library::read(&name, &file, &mut problems),
        Err(problem) => {
            problems.push(*problem);
            None
        }
    };
    match profile {
        Some(profile) => Validated {
            problems,
            summary: Ok(format!(
                "{}: profile `{}`, {}",
                shown(path),
                clean(&name, 80),
                count(profile.probes.len(), "probe", "probes")
            )),
        },
        None => failed(&shown(path), problems),
    }
}

fn failed(name: &str, problems: Problems) -> Validated {
    let summary = format!(
        "{name}: {}",
        count(problems.shown_errors(), "mistake", "mistakes")
    );
    Validated {
        problems,
        summary: Err(summary),
    }
}

fn shown(path: &Path) -> String {
    if path == Path::new("-") {
        return "<stdin>".to_owned();
    }
    clean(&path.display().to_string(), 300)
}

fn count(number: usize, one: &str, several: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {several}"),
    }
}
