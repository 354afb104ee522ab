//! Keeps the map true: which module may use which, what pure modules may not touch, and that `src/lib.rs` names
//! every module. A failure gives file and line.

#![expect(
    clippy::unwrap_used,
    reason = "a source tree that cannot be read ends the test"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Module, what it may use of ours. The same table stands in the documentation of `src/lib.rs`.
const MAY_USE: &[(&str, &[&str])] = &[
    ("text", &[]),
    ("yaml", &[]),
    ("health", &[]),
    ("service", &[]),
    ("profile", &["health", "yaml"]),
    ("inventory", &["health", "yaml", "profile"]),
    ("action", &["health", "yaml", "profile", "inventory"]),
    ("event", &["health", "action"]),
    ("host", &["health"]),
    ("probe", &["health", "profile", "inventory", "host"]),
    (
        "engine",
        &["health", "profile", "inventory", "probe", "host", "event"],
    ),
    (
        "execute",
        &[
            "health",
            "profile",
            "inventory",
            "action",
            "probe",
            "host",
            "event",
        ],
    ),
    (
        "output",
        &["health", "profile", "inventory", "action", "event"],
    ),
    ("tui", &["health", "action", "event"]),
    ("demo", &["service"]),
];

/// Every module may use this one.
const LEAF: &str = "text";

/// Modules that wire the others together and may use all of them.
const WIRING: &[&str] = &["commands", "cli", "run", "main", "lib", "exit"];

/// Modules that touch nothing outside: no clock, file, environment, process, socket or runtime.
const PURE: &[&str] = &[
    "text",
    "yaml",
    "health",
    "profile",
    "inventory",
    "action",
    "event",
];

/// What a pure module may not name, with what to do instead.
const BANNED_IN_PURE: &[(&str, &str)] = &[
    ("Instant::now", "take a `Moment` as an argument"),
    ("SystemTime::now", "take a `Moment` as an argument"),
    ("Timestamp::now", "take a `Moment` as an argument"),
    ("std::fs", "take the text, or a function that reads it"),
    (
        "std::env",
        "take the values, or a function that looks them up",
    ),
    (
        "std::process",
        "processes belong to `host`, `probe` and `execute`",
    ),
    ("std::thread", "threads belong to effects"),
    ("std::net::Tcp", "sockets belong to `probe`"),
    ("tokio::", "the runtime belongs to effects"),
    ("reqwest::", "HTTP belongs to `probe`"),
    ("println!", "text leaves through `commands`"),
];

/// What a view may not name: it draws from `&App` and changes nothing.
const BANNED_IN_VIEWS: &[(&str, &str)] = &[
    ("&mut App", "a view draws from `&App`"),
    ("Instant::now", "the time is a field of `App`"),
    ("Timestamp::now", "the time is a field of `App`"),
    (".await", "a view awaits nothing"),
];

struct SourceLine {
    file: PathBuf,
    number: usize,
    text: String,
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every line of code under `folder`, comments left out, and what is compiled for tests alone: tests read files.
fn code(folder: &Path) -> Vec<SourceLine> {
    let mut lines = Vec::new();
    for path in files(folder) {
        if path
            .iter()
            .any(|part| part == "tests" || part == "tests.rs")
            && folder.starts_with(root().join("src"))
        {
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for (index, line) in text.lines().enumerate() {
            if line == "mod tests {" {
                break;
            }
            let code = line.split("//").next().unwrap_or_default();
            if !code.trim().is_empty() {
                let file = path.strip_prefix(root()).unwrap().to_owned();
                lines.push(SourceLine {
                    file,
                    number: index + 1,
                    text: code.to_owned(),
                });
            }
        }
    }
    lines
}

fn files(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let mut found: Vec<_> = fs::read_dir(path)
        .unwrap()
        .flat_map(|entry| files(&entry.unwrap().path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    found.sort();
    found
}

/// The top-level modules with the place of their code.
fn modules() -> BTreeMap<String, PathBuf> {
    fs::read_dir(root().join("src"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path))
        .collect()
}

/// The modules of ours that a line of `module` names, by `crate::NAME`. `service` is the crate
/// `healthctl_service`, in which `crate::` names its own modules.
fn named<'a>(module: &str, line: &'a str) -> Vec<&'a str> {
    if module == "service" {
        return Vec::new();
    }
    let kit = line.contains("healthctl_service").then_some("service");
    line.match_indices("crate::")
        .filter_map(|(at, found)| {
            let rest = &line[at + found.len()..];
            let end = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            (end > 0).then_some(&rest[..end])
        })
        .chain(kit)
        .collect()
}

fn assert_none(problems: &str) {
    assert!(problems.is_empty(), "\n{problems}");
}

#[test]
fn modules_use_only_what_the_table_allows() {
    let mut problems = String::new();
    let table: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    let modules = modules();
    for (module, path) in &modules {
        if WIRING.contains(&module.as_str()) {
            continue;
        }
        let Some(allowed) = table.get(module.as_str()) else {
            let _ = writeln!(
                problems,
                "src/{module}: not in the table of tests/architecture.rs"
            );
            continue;
        };
        for line in code(path) {
            if module != "service" && line.text.contains("crate::{") {
                let _ = writeln!(
                    problems,
                    "{}:{}: write one `use crate::module` a line, so that this test can read it",
                    line.file.display(),
                    line.number
                );
            }
            for name in named(module, &line.text) {
                let known = name == module || name == LEAF || !modules.contains_key(name);
                if !known && !allowed.contains(&name) {
                    let _ = writeln!(
                        problems,
                        "{}:{}: `{module}` may not use `{name}`",
                        line.file.display(),
                        line.number
                    );
                }
            }
        }
    }
    assert_none(&problems);
}

#[test]
fn pure_modules_touch_nothing_outside() {
    let modules = modules();
    let mut problems = String::new();
    for module in PURE {
        for line in code(&modules[*module]) {
            for (banned, instead) in BANNED_IN_PURE {
                if line.text.contains(banned) {
                    let _ = writeln!(
                        problems,
                        "{}:{}: `{banned}` in a pure module: {instead}",
                        line.file.display(),
                        line.number
                    );
                }
            }
        }
    }
    assert_none(&problems);
}

#[test]
fn views_change_nothing() {
    let mut problems = String::new();
    for line in code(&root().join("src/tui/view")) {
        for (banned, instead) in BANNED_IN_VIEWS {
            if line.text.contains(banned) {
                let _ = writeln!(
                    problems,
                    "{}:{}: `{banned}` in a view: {instead}",
                    line.file.display(),
                    line.number
                );
            }
        }
    }
    assert_none(&problems);
}

#[test]
fn no_test_sleeps() {
    let mut problems = String::new();
    for line in code(&root().join("tests")) {
        let sleeps = ["thread::", "time::"]
            .iter()
            .any(|module| line.text.contains(&format!("{module}sleep(")));
        if sleeps && !line.file.ends_with("architecture.rs") {
            let _ = writeln!(
                problems,
                "{}:{}: wait for a named event instead of sleeping",
                line.file.display(),
                line.number
            );
        }
    }
    assert_none(&problems);
}

#[test]
fn the_map_names_every_module() {
    let map: String = fs::read_to_string(root().join("src/lib.rs"))
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("//!"))
        .collect::<Vec<_>>()
        .join("\n");
    for module in modules().keys() {
        assert!(
            map.contains(&format!("`{module}`")) || map.contains(&format!("{module}/")),
            "src/lib.rs does not name `{module}`"
        );
    }
    for (module, allowed) in MAY_USE {
        let row = map
            .lines()
            .find(|line| line.starts_with(&format!("//! | `{module}` |")))
            .unwrap_or_else(|| panic!("the table in src/lib.rs has no row for `{module}`"));
        for name in *allowed {
            assert!(
                row.contains(&format!("`{name}`")),
                "the row of `{module}` in src/lib.rs does not name `{name}`"
            );
        }
    }
}

#[test]
fn the_top_level_holds_what_it_should() {
    let known = [
        "Cargo.toml",
        "Cargo.lock",
        "src",
        "profiles",
        "tests",
        "screenshots",
        "README.md",
        "LICENSE-APACHE",
        "LICENSE-MIT",
        ".ci",
        ".git",
        ".gitignore",
        "clippy.toml",
        "target",
    ];
    for entry in fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            known.contains(&name.as_str()),
            "`{name}` does not belong at the top level"
        );
    }
}
