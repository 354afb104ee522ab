//! Keeps the map true: which module may use which, what pure modules may not touch, and that `src/lib.rs` names
//! every module. A failure gives file and line.

#![expect(
    clippy::unwrap_used,
    reason = "a source tree that cannot be read ends the test"
)]

use std::collections::{BTreeMap, BTreeSet};
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
        "automation",
        &[
            "health",
            "profile",
            "inventory",
            "action",
            "probe",
            "host",
            "event",
            "execute",
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

/// Files that name each other are read together or not at all.
const MOST_CYCLES: usize = 3;
const LONGEST_CYCLE: usize = 3;

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

/// Code by file, as the search for cycles reads it.
type Sources = BTreeMap<PathBuf, String>;

/// A module as its path: the folder of its crate's root, then a name a level.
type ModulePath = Vec<String>;

/// Cycles of files below `src`: an edge is a path or an import that names something which another file declares. A plain
/// re-export is looked through, as it names nothing by itself.
fn file_cycles(sources: &Sources, crate_roots: &[PathBuf]) -> Vec<Vec<PathBuf>> {
    let by_module: BTreeMap<ModulePath, &PathBuf> = sources
        .keys()
        .map(|path| (module_path(path), path))
        .collect();
    let mut exports: BTreeMap<ModulePath, ModulePath> = BTreeMap::new();
    let mut named: Vec<(&PathBuf, ModulePath, ModulePath)> = Vec::new();
    for (path, text) in sources {
        let module = module_path(path);
        let root = crate_roots
            .iter()
            .filter(|root| path.starts_with(root))
            .max_by_key(|root| root.components().count())
            .map_or_else(Vec::new, |root| segments(root));
        for Use { path: used, export } in uses(text) {
            let target = match used.first().map(String::as_str) {
                Some("crate") => [&root, &used[1..]].concat(),
                Some("self" | "super") => {
                    let keywords = used.iter().take_while(|it| *it == "self" || *it == "super");
                    let (keywords, supers) = keywords.fold((0, 0), |(all, supers), it| {
                        (all + 1, supers + usize::from(it == "super"))
                    });
                    let base = &module[..module.len().saturating_sub(supers)];
                    [base, &used[keywords..]].concat()
                }
                _ => continue,
            };
            match export {
                Some(name) => {
                    exports.insert([module.as_slice(), &[name]].concat(), target);
                }
                None => named.push((path, target, root.clone())),
            }
        }
    }
    let mut edges: BTreeMap<&PathBuf, BTreeSet<&PathBuf>> = BTreeMap::new();
    for (path, mut target, root) in named {
        for _ in 0..8 {
            let known = (1..=target.len())
                .rev()
                .find(|end| exports.contains_key(&target[..*end]));
            let Some(end) = known.filter(|_| !by_module.contains_key(&target)) else {
                break;
            };
            target = [exports[&target[..end]].as_slice(), &target[end..]].concat();
        }
        while !target.is_empty() && !by_module.contains_key(&target) {
            target.pop();
        }
        // The root of a crate only declares and re-exports.
        if !target.is_empty() && target != root && by_module[&target] != path {
            edges.entry(path).or_default().insert(by_module[&target]);
        }
    }
    let reachable: BTreeMap<&PathBuf, BTreeSet<&PathBuf>> = edges
        .keys()
        .map(|path| (*path, reachable_from(path, &edges)))
        .collect();
    let mut cycles = BTreeSet::new();
    for (path, reached) in &reachable {
        if reached.contains(path) {
            let returns = |other: &&&PathBuf| {
                reachable
                    .get(**other)
                    .is_some_and(|back| back.contains(path))
            };
            let cycle: Vec<PathBuf> = reached
                .iter()
                .filter(returns)
                .map(|it| (*it).clone())
                .collect();
            cycles.insert(cycle);
        }
    }
    cycles.into_iter().collect()
}

fn reachable_from<'a>(
    from: &PathBuf,
    edges: &BTreeMap<&'a PathBuf, BTreeSet<&'a PathBuf>>,
) -> BTreeSet<&'a PathBuf> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&PathBuf> = edges.get(from).into_iter().flatten().copied().collect();
    while let Some(path) = next.pop() {
        if reached.insert(path) {
            next.extend(edges.get(path).into_iter().flatten());
        }
    }
    reached
}

fn segments(path: &Path) -> ModulePath {
    let parts = path.iter().skip(1);
    parts
        .map(|part| part.to_str().unwrap().to_owned())
        .collect()
}

/// `[a, b]` for `src/a/b.rs` and `src/a/b/mod.rs`.
fn module_path(path: &Path) -> ModulePath {
    let mut module = segments(&path.with_extension(""));
    if module
        .last()
        .is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str()))
    {
        module.pop();
    }
    module
}

/// A path that the code names.
struct Use {
    path: Vec<String>,
    /// The name under which it is re-exported.
    export: Option<String>,
}

/// Names, `::` and single characters.
fn tokens(text: &str) -> Vec<&str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = if is_name(first) {
            rest.find(|c| !is_name(c)).unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

/// Every path of ours that the code names: by `use`, or in the code itself.
fn uses(text: &str) -> Vec<Use> {
    let tokens = tokens(text);
    let declared: BTreeSet<&str> = tokens
        .windows(3)
        .filter(|window| window[0] == "mod" && window[2] == ";")
        .map(|window| window[1])
        .collect();
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let rest = &tokens[at..];
        let (public, import) = match rest {
            ["pub", "use", ..] => (true, Some(2)),
            ["pub", "(", ..] => {
                let end = rest.iter().position(|it| *it == ")").unwrap_or(0);
                let is_use = rest.get(end + 1) == Some(&"use");
                (true, is_use.then_some(end + 2))
            }
            ["use", ..] => (false, Some(1)),
            _ => (false, None),
        };
        if let Some(start) = import {
            let length = rest.iter().position(|it| *it == ";").unwrap_or(rest.len());
            let mut paths = Vec::new();
            expand(&rest[start.min(length)..length], &[], &mut paths);
            for mut path in paths {
                let export = path.last().filter(|_| public).cloned();
                if path
                    .first()
                    .is_some_and(|it| declared.contains(it.as_str()))
                {
                    path.insert(0, "self".to_owned());
                }
                found.push(Use { path, export });
            }
            at += length;
            continue;
        }
        let length = path_length(rest);
        let begins = at == 0 || !["::", "."].contains(&tokens[at - 1]);
        if length > 1 && begins {
            let names = rest[..length].iter().filter(|it| **it != "::");
            let mut path: Vec<String> = names.map(|it| (*it).to_owned()).collect();
            if declared.contains(rest[0]) {
                path.insert(0, "self".to_owned());
            }
            found.push(Use { path, export: None });
        }
        at += length.max(1);
    }
    found
}

/// The number of tokens of the path at the beginning: `a`, `::`, `b`.
fn path_length(tokens: &[&str]) -> usize {
    let is_name = |token: &&str| token.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    let mut length = 0;
    while tokens.get(length).is_some_and(is_name) {
        length += 1;
        if tokens.get(length) != Some(&"::") || !tokens.get(length + 1).is_some_and(is_name) {
            break;
        }
        length += 1;
    }
    length
}

/// The paths of the tree of a `use`.
fn expand(tree: &[&str], before: &[String], paths: &mut Vec<Vec<String>>) {
    let length = path_length(tree);
    let names = tree[..length].iter().filter(|it| **it != "::");
    let before: Vec<String> = before
        .iter()
        .cloned()
        .chain(names.map(|it| (*it).to_owned()))
        .collect();
    let Some(brace) = tree.iter().position(|it| *it == "{") else {
        paths.push(before);
        return;
    };
    let end = tree
        .iter()
        .rposition(|it| *it == "}")
        .unwrap_or(tree.len())
        .max(brace + 1);
    let mut depth = 0;
    let parts = tree[brace + 1..end].split(|token| {
        match *token {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        *token == "," && depth == 0
    });
    for part in parts.filter(|part| !part.is_empty()) {
        expand(part, &before, paths);
    }
}

/// The code of every file below `src` that is not compiled for tests alone.
fn sources() -> Sources {
    let mut sources = Sources::new();
    for line in code(&root().join("src")) {
        let text: &mut String = sources.entry(line.file).or_default();
        text.push_str(&line.text);
        text.push('\n');
    }
    sources.retain(|path, _| !path.ends_with("samples.rs"));
    sources
}

fn planted(files: &[(&str, &str)]) -> Sources {
    let files = files.iter();
    files
        .map(|(path, text)| (PathBuf::from(path), (*text).to_owned()))
        .collect()
}

#[test]
fn files_form_hardly_any_cycles() {
    let cycles = file_cycles(&sources(), &crate_roots());
    let mut problems = String::new();
    for cycle in &cycles {
        let files: Vec<_> = cycle
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        let _ = writeln!(problems, "{}", files.join(" <-> "));
    }
    assert!(
        cycles.len() <= MOST_CYCLES && cycles.iter().all(|cycle| cycle.len() <= LONGEST_CYCLE),
        "at most {MOST_CYCLES} cycles of at most {LONGEST_CYCLE} files:\n{problems}"
    );
}

#[test]
fn a_planted_cycle_is_found_however_it_is_written() {
    let check = |files: &[(&str, &str)], expected: &[&str]| {
        let found = file_cycles(&planted(files), &[PathBuf::from("src")]);
        let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
        let expected = if expected.is_empty() {
            vec![]
        } else {
            vec![expected]
        };
        assert_eq!(found, expected, "{files:?}");
    };
    let lib = ("src/lib.rs", "mod a; mod b;");
    // By imports.
    check(
        &[
            lib,
            ("src/a.rs", "use crate::b::B;"),
            ("src/b.rs", "use crate::a::{self, A};"),
        ],
        &["src/a.rs", "src/b.rs"],
    );
    // By a path in the code, over a folder and a re-export.
    check(
        &[
            lib,
            ("src/a.rs", "fn a() { crate::b::c::C::new() }"),
            ("src/b/mod.rs", "mod c;\npub use c::C;"),
            ("src/b/c.rs", "use crate::a::A;"),
        ],
        &["src/a.rs", "src/b/c.rs"],
    );
    // Between a folder's `mod.rs` and a file in it.
    check(
        &[
            lib,
            ("src/b/mod.rs", "mod c;\nfn b() { c::run() }"),
            ("src/b/c.rs", "use super::Settings;"),
        ],
        &["src/b/c.rs", "src/b/mod.rs"],
    );
    // A re-export alone is none.
    check(
        &[
            lib,
            ("src/a.rs", "use crate::b::C;"),
            ("src/b/mod.rs", "mod c;\nmod d;\npub(crate) use c::C;"),
            ("src/b/c.rs", "use super::d::D;"),
            ("src/b/d.rs", ""),
        ],
        &[],
    );
}

/// The root folder of every crate below `src`.
fn crate_roots() -> Vec<PathBuf> {
    let mut roots = vec![PathBuf::from("src")];
    for module in modules()
        .values()
        .filter(|path| path.join("Cargo.toml").is_file())
    {
        let folder = module.strip_prefix(root()).unwrap();
        let sources = folder.join("src");
        roots.push(if root().join(&sources).is_dir() {
            sources
        } else {
            folder.to_owned()
        });
    }
    roots
}

/// The walks of the map: how a value gets from one end of the program to the other, a step a file in which it changes its
/// type or its owner.
const WALKS: [&str; 2] = [
    "From a reply to a dependency row",
    "From a key to a verdict",
];
/// A longer way cannot be followed by a reader.
const MOST_STEPS: usize = 15;

/// The steps of a walk: file below `src`, function.
fn walk(map: &str, title: &str) -> Vec<(String, String)> {
    let (_, section) = map
        .split_once(&format!("//! ## {title}\n"))
        .unwrap_or_else(|| panic!("src/lib.rs has no walk `{title}`"));
    let section = section.split("//! #").next().unwrap_or_default();
    let steps = section.lines().filter_map(|line| {
        let (number, rest) = line.strip_prefix("//! ")?.split_once(". `")?;
        number.parse::<usize>().ok()?;
        let (file, function) = rest.split_once('`')?.0.rsplit_once("::")?;
        Some((file.to_owned(), function.to_owned()))
    });
    steps.collect()
}

#[test]
fn the_walks_of_the_map_are_those_of_the_code() {
    let map = fs::read_to_string(root().join("src/lib.rs")).unwrap();
    for title in WALKS {
        let steps = walk(&map, title);
        assert!(steps.len() > 2, "`{title}` has hardly any steps");
        assert!(
            steps.len() <= MOST_STEPS,
            "`{title}` has {} steps",
            steps.len()
        );
        for (file, function) in steps {
            let text = fs::read_to_string(root().join("src").join(&file))
                .unwrap_or_else(|error| panic!("`{title}` names {file}: {error}"));
            let declares = text.lines().any(|line| {
                let code = line.trim_start();
                !code.starts_with("//") && code.contains(&format!("fn {function}"))
            });
            assert!(declares, "`{title}`: {file} has no function `{function}`");
        }
    }
}

#[test]
fn one_file_sends_signals() {
    let mut problems = String::new();
    for line in code(&root().join("src")) {
        // `test_kill_process` sends nothing: it checks whether a process is there.
        let sends = [
            "::kill_process",
            "pidfd_send_signal",
            "killpg",
            " kill_process",
        ];
        if sends.iter().any(|call| line.text.contains(call))
            && !line.file.ends_with("host/signals.rs")
        {
            let _ = writeln!(
                problems,
                "{}:{}: signals are sent by `host/signals.rs`; a service's process gets one through `execute::signal::send_signal`",
                line.file.display(),
                line.number
            );
        }
    }
    assert_none(&problems);
}
