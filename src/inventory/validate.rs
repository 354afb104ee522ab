//! Validation of files that may be inventories or profiles.

use std::path::{Path, PathBuf};

use crate::text::clean;
use crate::yaml::{Node, Problems, parse};

use super::environment::Environment;
use super::find::InventoryFiles;
use super::load::load;
use super::profiles::{self, ProfileLoader};

/// The result for one file.
#[derive(Debug)]
pub(crate) struct ValidationResult {
    pub(crate) problems: Problems,
    /// The summary on one line: what a good file holds, or how many mistakes a bad one has.
    pub(crate) summary: Result<String, String>,
}

/// Keys that only a profile has; `services` is what only an inventory has.
const PROFILE_KEYS: [&str; 6] = ["extends", "probes", "actions", "decode", "title", "source"];

/// Validates an inventory and the profiles within its reach.
pub(crate) fn validate(
    files: InventoryFiles,
    environment: &Environment<'_>,
) -> Vec<ValidationResult> {
    let profiles = ProfileLoader::new(&files.files, files.found, environment).files();
    let mut results = vec![inventory(files, environment)];
    results.extend(profiles.iter().map(|path| profile(path, environment)));
    results
}

/// Validates the files named.
pub(crate) fn validate_files(
    files: &[PathBuf],
    environment: &Environment<'_>,
) -> Vec<ValidationResult> {
    files
        .iter()
        .map(|path| validate_file(path, environment))
        .collect()
}

fn validate_file(path: &Path, environment: &Environment<'_>) -> ValidationResult {
    // A file that cannot be read is reported when it is validated.
    let mut ignored = Problems::default();
    let text = environment.read_source(path);
    let node = text
        .as_ref()
        .ok()
        .and_then(|file| parse(file, &mut ignored));
    if path != Path::new("-") && is_profile(path, node.as_ref()) {
        return profile(path, environment);
    }
    // Standard input can be read once only.
    let once = |path: &Path| match (&text, path == Path::new("-")) {
        (Ok(file), true) => Ok(file.text.clone().into_bytes()),
        _ => (environment.read)(path),
    };
    let environment = Environment {
        read: &once,
        ..*environment
    };
    inventory(InventoryFiles::named(vec![path.to_owned()]), &environment)
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

fn inventory(files: InventoryFiles, environment: &Environment<'_>) -> ValidationResult {
    let names: Vec<_> = files.files.iter().map(|path| shown(path)).collect();
    let name = match names.split_last() {
        Some((last, before)) if !before.is_empty() => {
            format!("{} and {last}", before.join(", "))
        }
        _ => names.concat(),
    };
    match load(files, environment) {
        Ok(loaded) => {
            let services = loaded.inventory.services;
            let probes = services.values().map(|service| service.probes.len());
            ValidationResult {
                problems: loaded.warnings,
                summary: Ok(format!(
                    "{name}: {}, {}",
                    count(services.len(), "service", "services"),
                    count(probes.sum(), "probe", "probes")
                )),
            }
        }
        Err(problems) => failed(&name, problems),
    }
}

fn profile(path: &Path, environment: &Environment<'_>) -> ValidationResult {
    let mut problems = Problems::default();
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let profile = match environment.read_source(path) {
        Ok(file) => profiles::read(&name, &file, &mut problems),
        Err(problem) => problem.reject(&mut problems),
    };
    match profile {
        Some(profile) => ValidationResult {
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

fn failed(name: &str, problems: Problems) -> ValidationResult {
    let summary = format!(
        "{name}: {}",
        count(problems.shown_errors(), "mistake", "mistakes")
    );
    ValidationResult {
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
