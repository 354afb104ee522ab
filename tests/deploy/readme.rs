//! The README's section for authors of services, followed to the letter in an empty folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use regex::Regex;

use crate::support::demo::ask;
use crate::support::process::free_port;
use crate::support::scene::{Scene, program};
use crate::support::started::{MARK, Stage};
use crate::support::waiting::wait_until;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the text below a heading, up to the next one of its level or above.
fn section(heading: &str) -> String {
    let text = fs::read_to_string(root().join("README.md")).expect("it can be read");
    let (_, rest) = text
        .split_once(&format!("\n{heading}\n"))
        .expect("the README has the heading");
    let level = heading.split(' ').next().expect("it has a level").len();
    let ends: Vec<String> = (1..=level)
        .map(|level| format!("\n{} ", "#".repeat(level)))
        .collect();
    let end = ends.iter().filter_map(|end| rest.find(end)).min();
    rest[..end.unwrap_or(rest.len())].to_owned()
}

/// Returns the snippets of a text, each with its language.
fn snippets(text: &str) -> Vec<(String, String)> {
    let parts: Vec<&str> = text.split("```").collect();
    assert_eq!(parts.len() % 2, 1, "each snippet has an end");
    let snippets = parts.into_iter().skip(1).step_by(2);
    snippets
        .map(|snippet| {
            let (language, code) = snippet.split_once('\n').expect("it has lines");
            (language.to_owned(), code.to_owned())
        })
        .collect()
}

const STEPS: &str = "### In Rust, from an empty folder";
const MORE_STEPS: &str = "### A second check, and TLS";

#[test]
fn the_program_that_is_shown_is_the_one_that_is_tested() {
    let shown: Vec<_> = snippets(&section(STEPS))
        .into_iter()
        .filter(|(language, _)| language == "rust")
        .collect();
    let tested = fs::read_to_string(root().join("tests/kit/mailroom.rs")).expect("it is there");
    assert_eq!(shown, [("rust".to_owned(), tested)]);
}

/// A newcomer who has a checkout of healthctl and the program types what the README says.
struct Newcomer {
    stage: Stage,
    folder: PathBuf,
    port: u16,
}

impl Newcomer {
    fn new() -> Self {
        let scene = Scene::new();
        let checkout = scene.path().join("healthctl");
        std::os::unix::fs::symlink(root(), checkout).expect("a link can be made");
        let folder = scene.path().to_owned();
        Self {
            stage: Stage::of(scene),
            folder,
            port: free_port(),
        }
    }

    /// Returns a snippet with a port of its own.
    fn own(&self, text: &str) -> String {
        text.replace(":8000", &format!(":{}", self.port))
    }

    /// Writes a file in the folder of the project.
    fn write(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        fs::write(path, self.own(text)).expect("it can be written");
    }

    /// Types these lines, each of which has to succeed, and returns what they show.
    fn types(&self, lines: &str) -> String {
        let tools = program();
        let tools = tools.parent().expect("a program is in a folder");
        let path = std::env::var("PATH").expect("there is a path");
        let mut shell = Command::new("sh");
        let environment = self.stage.scene().command(&[]);
        for (name, value) in environment.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        // What the tools of Rust keep is where it always is.
        let home = std::env::var("HOME").expect("there is a home");
        let kept = |name: &str, folder: &str| {
            std::env::var(name).unwrap_or_else(|_| format!("{home}/{folder}"))
        };
        shell
            .args(["-e", "-c", &self.own(lines)])
            .current_dir(&self.folder)
            .env("PATH", format!("{}:{path}", tools.display()))
            .env("CARGO_HOME", kept("CARGO_HOME", ".cargo"))
            .env("RUSTUP_HOME", kept("RUSTUP_HOME", ".rustup"))
            .env_remove("CARGO_TARGET_DIR")
            .env(MARK, self.stage.scene().path());
        let output = shell.output().expect("there is a shell");
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{lines}\n{shown}\n{errors}");
        shown
    }

    /// Puts another text in the place of one that is in a file.
    fn edit(&self, name: &str, old: &str, new: &str) {
        let path = self.folder.join(name);
        let text = fs::read_to_string(&path).expect("it can be read");
        let (old, new) = (self.own(old), self.own(new));
        assert_eq!(text.matches(&old).count(), 1, "{old:?} in\n{text}");
        fs::write(path, text.replace(&old, &new)).expect("it can be written");
    }

    /// Returns the status code of its readiness route.
    fn ready(&self) -> u16 {
        let address = ([127, 0, 0, 1], self.port).into();
        ask(address, "GET /readyz").expect("it answers").status
    }
}

/// Asserts that these texts are shown, in this order.
#[track_caller]
fn assert_shown(shown: &str, expected: &[&str]) {
    let mut rest = shown;
    for text in expected {
        let Some(found) = rest.find(text) else {
            panic!("no {text:?} where it should be in\n{shown}");
        };
        rest = &rest[found..];
    }
}

#[test]
#[ignore = "needs packages from crates.io, and builds them"]
fn a_newcomer_gets_from_an_empty_folder_to_a_service_with_all_of_it() {
    let mut newcomer = Newcomer::new();
    let steps = snippets(&section(STEPS));
    let languages: Vec<&str> = steps
        .iter()
        .map(|(language, _)| language.as_str())
        .collect();
    assert_eq!(languages, ["sh", "rust", "yaml", "sh", "sh", "sh"]);
    let texts: Vec<&str> = steps.iter().map(|(_, text)| text.as_str()).collect();
    let [project, program, inventory, start, broken, changes] = texts[..] else {
        unreachable!("they were counted");
    };

    newcomer.types(project);
    newcomer.folder.push("mailroom");
    newcomer.write("src/main.rs", program);
    newcomer.write("healthctl.yaml", inventory);
    let shown = newcomer.types(start);
    assert_shown(
        &shown,
        &[
            "mailroom: started: pid ",
            "1 healthy; verdict pass",
            "thank you",
        ],
    );

    wait_until("unready", || newcomer.ready() == 503);
    let shown = newcomer.types(broken);
    assert_shown(
        &shown,
        &[
            "✗ mailroom: unhealthy: dependency inbox: error: No such file or directory",
            "HTTP/1.1 503 ",
            "HTTP/1.1 200 OK",
        ],
    );

    wait_until("ready", || newcomer.ready() == 200);
    let shown = newcomer.types(changes);
    assert_shown(
        &shown,
        &[
            "mailroom: reloaded: ",
            "many thanks",
            "! mailroom: stale: src/main.rs changed",
            "mailroom: restarted: pid ",
            "2 letters are waiting",
            "service_ready 1\n",
            "mailroom: stopped: ",
        ],
    );

    let steps = snippets(&section(MORE_STEPS));
    let texts: Vec<&str> = steps.iter().map(|(_, text)| text.as_str()).collect();
    let [check, tls, imports, commands] = texts[..] else {
        panic!("four snippets: {steps:?}");
    };
    let (file, every) = ("src/main.rs", "    service.check_every(");
    newcomer.edit(file, every, &format!("{check}{every}"));
    let (server, _) = program
        .split_once("    let server = ")
        .and_then(|(_, rest)| rest.split_once('\n'))
        .expect("a server is made");
    newcomer.edit(file, &format!("    let server = {server}\n"), tls);
    let first = "use axum::Router;\n";
    newcomer.edit(file, first, &format!("{imports}{first}"));
    for told in ["`https://localhost:8000`", "`tls: {ca: cert.pem}`"] {
        assert!(section(MORE_STEPS).contains(told), "{told}");
    }
    let inventory = "    url: https://localhost:8000\n    tls: {ca: cert.pem}\n";
    newcomer.edit(
        "healthctl.yaml",
        "    url: http://127.0.0.1:8000\n",
        inventory,
    );
    let shown = newcomer.types(commands);
    assert_shown(
        &shown,
        &[
            "mailroom: started: pid ",
            "mailroom: degraded: dependency archive: error: Connection refused",
            "\"archive\":{\"status\":\"error\"",
            "mailroom: stopped: ",
        ],
    );
    wait_until("nothing runs", || newcomer.stage.running().is_empty());
}

/// The commands for the other languages are those by which the tests of `course.rs` run them, but for the place and the
/// build of the one in Go.
#[test]
fn the_pages_in_other_languages_are_there() {
    let text = section("### In Python, Go and Node");
    let snippets = snippets(&text);
    let [(language, commands), (inventory, _)] = &snippets[..] else {
        panic!("two snippets: {text}");
    };
    assert_eq!((language.as_str(), inventory.as_str()), ("sh", "yaml"));
    let expected = [
        "python3 mailroom.py 8000",
        "go run mailroom.go 8000",
        "node mailroom.mjs 8000",
    ];
    assert_eq!(commands.lines().collect::<Vec<_>>(), expected);
    for command in expected {
        let file = command
            .split(' ')
            .find(|word| word.starts_with("mailroom."))
            .expect("it names a file");
        let path = format!("tests/kit/{file}");
        assert!(text.contains(&format!("[`{file}`]({path})")), "{file}");
        let source = fs::read_to_string(root().join(&path)).expect("it is there");
        let usage = command.replace(" 8000", " [PORT]");
        assert!(source.contains(&usage), "the head of {file} says {usage}");
    }
}

#[test]
#[ignore = "needs Python"]
fn the_inventory_of_a_page_starts_restarts_and_stops_it() {
    let newcomer = Newcomer::new();
    let snippets = snippets(&section("### In Python, Go and Node"));
    let (_, inventory) = &snippets[1];
    let port = newcomer.port.to_string();
    fs::write(
        newcomer.folder.join("healthctl.yaml"),
        inventory.replace("8000", &port),
    )
    .expect("it can be written");
    fs::copy(
        root().join("tests/kit/mailroom.py"),
        newcomer.folder.join("mailroom.py"),
    )
    .expect("it can be copied");
    let shown = newcomer.types(
        "mkdir inbox\nhealthctl start --yes mailroom\nhealthctl check\n\
         sed -i 's/{len(os.listdir(INBOX))} waiting/{len(os.listdir(INBOX))} are waiting/' mailroom.py\n\
         healthctl check\nhealthctl restart --yes flag:stale\n\
         curl -s http://127.0.0.1:8000/letters\nhealthctl shutdown --yes mailroom\n",
    );
    assert_shown(
        &shown,
        &[
            "mailroom: started: pid ",
            "1 healthy; verdict pass",
            "! mailroom: stale: mailroom.py changed",
            "mailroom: restarted: pid ",
            "0 are waiting",
            "mailroom: stopped: ",
        ],
    );
    wait_until("nothing runs", || newcomer.stage.running().is_empty());
}

#[test]
fn every_file_that_the_section_links_to_is_there() {
    let text = section("## A service of your own");
    let links: Vec<&str> = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|link| !link.contains("://"))
        .collect();
    assert!(links.len() > 10, "{links:?}");
    for link in links {
        assert!(root().join(link).exists(), "{link}");
    }
}

/// Every call in the table is a public function of the kit, every setting a public field.
#[test]
fn the_table_names_functions_that_the_kit_has() {
    let table = section("### What the kit has");
    let mut kit = String::new();
    let mut folders = vec![root().join("src/service/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("it can be read") {
            let path = entry.expect("it can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                kit += &fs::read_to_string(path).expect("it is text");
            }
        }
    }
    let manifest = fs::read_to_string(root().join("src/service/Cargo.toml")).expect("it is text");
    let feature = Regex::new(r"\(feature `(\w+)`\)").expect("it is valid");
    let call = Regex::new(r"`(?:[A-Za-z_:.]*[.:])?([a-z_]+)(?:\([^`]*\))?`").expect("it is valid");
    let mut count = 0;
    for row in table.lines().filter(|row| row.starts_with("| ")) {
        let calls = row.split(" | ").nth(1).unwrap_or_default();
        for feature in feature.captures_iter(calls) {
            assert!(
                manifest.contains(&format!("\n{} = [", &feature[1])),
                "{row}"
            );
        }
        let calls = feature.replace_all(calls, "");
        for name in call.captures_iter(&calls).map(|call| call[1].to_owned()) {
            let declared = |kind: &str| {
                let declaration = format!("pub {kind} {name}");
                ["(", "<"].map(|end| kit.contains(&format!("{declaration}{end}")))
            };
            // A setting is a field.
            let is_there = declared("fn").contains(&true)
                || declared("async fn").contains(&true)
                || kit.contains(&format!("pub {name}: "));
            assert!(is_there, "{name} in {row}");
            count += 1;
        }
    }
    assert!(count > 30, "{count}");
}
