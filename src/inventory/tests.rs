//! Inventories as files: each valid one with what it resolves to, each invalid one with the mistakes reported.
//!
//! A case is `tests/inventory/{valid,invalid}/NAME.yaml` with `NAME.expected` beside it; `NAME.2.yaml` and so on are laid over it,
//! as by a second `-f`. With `REWRITE_INVENTORY`
//! set the expected files are written instead of compared: read the difference before it is committed.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::find::InventoryFiles;
use super::service::RawServiceSettings;
use super::start::{RawHookSettings, RawStartSettings};
use super::{Environment, FileStatus, load, show};
use crate::profile::raw::options::{RawProbeSettings, RawSharedSettings};
use crate::profile::raw::request::{RawRequestSettings, RawTls};
use crate::profile::setting::Declaration;
use crate::run::tests::readme;
use crate::yaml::Problems;

const REWRITE: &str = "REWRITE_INVENTORY";

/// A profile that is always there, so that cases do not change with the built-in ones.
const BUILTIN: [(&str, &str); 2] = [
    ("http", "probes:\n  live: {http: \"\"}\n"),
    (
        "full",
        "interval: 30s\nprobes:\n  live: {http: /live}\n  status: {http: /status, timeout: 9s, headers: {X-From: profile}}\n\
         actions:\n  shutdown: {http: {method: POST, path: /stop}, waits: true, timeout: 50s}\n  schedule: {http: /stop/schedule}\n\
         decode: {format: json, status: /status}\n",
    ),
];

/// What the environment of every case holds.
fn env(name: &str) -> Option<String> {
    let value = match name {
        "PORT" => "8000",
        "EMPTY" => "",
        "INTERVAL" => "7s",
        "TOKEN" => "env-secret",
        "WRONG" => "nonsense: [not yaml",
        _ => return None,
    };
    Some(value.to_owned())
}

fn folder(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/inventory")
        .join(kind)
}

fn check(kind: &str, render: impl Fn(Result<super::LoadedInventory, Problems>) -> String) {
    let folder = folder(kind);
    let look = |path: &Path| {
        let metadata = fs::metadata(folder.join(path)).ok()?;
        Some(FileStatus {
            directory: metadata.is_dir(),
            owner: 1000,
            mode: 0o644,
        })
    };
    let list = |path: &Path| {
        let entries = fs::read_dir(folder.join(path)).into_iter().flatten();
        let names = entries.flatten().map(|entry| entry.file_name());
        names
            .map(|name| name.to_string_lossy().into_owned())
            .collect()
    };
    let read = |path: &Path| -> io::Result<Vec<u8>> { fs::read(folder.join(path)) };
    let environment = Environment {
        env: &env,
        read: &read,
        status: &look,
        list: &list,
        directory: Path::new("/work"),
        config: None,
        user: 1000,
        builtin: &BUILTIN,
    };
    let mut names: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "yaml"))
        .filter(|path| Path::new(path.file_stem().unwrap()).extension().is_none())
        .collect();
    names.sort();
    assert!(!names.is_empty());
    let mut differences = String::new();
    for path in names {
        let name = PathBuf::from(path.file_name().unwrap());
        let over = (2..).map(|number| name.with_extension(format!("{number}.yaml")));
        let over = over.take_while(|over| folder.join(over).is_file());
        let chosen = InventoryFiles {
            files: std::iter::once(name.clone()).chain(over).collect(),
            found: true,
            warnings: Problems::default(),
        };
        let found = render(load(chosen, &environment));
        let file = path.with_extension("expected");
        if std::env::var_os(REWRITE).is_some() {
            fs::write(&file, &found).unwrap();
            continue;
        }
        let expected = fs::read_to_string(&file).unwrap_or_default();
        if found != expected {
            let _ = writeln!(
                differences,
                "--- {}: expected\n{expected}\n--- found\n{found}",
                name.display()
            );
        }
    }
    assert!(
        differences.is_empty(),
        "{differences}\nrun with {REWRITE}=1 to accept what is found"
    );
}

#[test]
fn valid_inventories_resolve_to_what_is_expected() {
    check("valid", |loaded| {
        let loaded = loaded.unwrap_or_else(|problems| panic!("{}", problems.render(false)));
        let mut text = loaded.warnings.render(false);
        for name in loaded.inventory.services.keys() {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&show(&loaded, name).unwrap());
        }
        text
    });
}

#[test]
fn invalid_inventories_report_every_mistake() {
    check("invalid", |loaded| {
        let problems = loaded.expect_err("this case is meant to be wrong");
        assert!(problems.has_errors());
        problems.render(false)
    });
}

/// A service as text, its headers sorted: their order follows the layers they came from.
fn in_order(service: &super::Service) -> String {
    let mut service = service.clone();
    for probe in &mut service.probes {
        if let super::ProbeKind::Http(http) = &mut probe.kind {
            http.headers.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
    }
    format!("{service:#?}")
}

/// What `show` prints is an inventory that resolves to the same.
#[test]
fn the_output_of_show_is_an_inventory_that_resolves_to_the_same() {
    let folder = folder("valid");
    let environment = |text: &str, then: &dyn Fn(&Environment<'_>)| {
        let read = |path: &Path| match path.to_str() {
            Some("healthctl.yaml") => Ok(text.as_bytes().to_vec()),
            _ => fs::read(folder.join(path)),
        };
        then(&Environment {
            env: &env,
            read: &read,
            status: &|path| {
                folder.join(path).is_file().then_some(FileStatus {
                    directory: false,
                    owner: 1000,
                    mode: 0o644,
                })
            },
            list: &|_| Vec::new(),
            directory: Path::new("/work"),
            config: None,
            user: 1000,
            builtin: &BUILTIN,
        });
    };
    let chosen = || InventoryFiles {
        files: vec![PathBuf::from("healthctl.yaml")],
        found: false,
        warnings: Problems::default(),
    };
    let text = fs::read_to_string(folder.join("everything.yaml")).unwrap();
    environment(&text, &|world| {
        let first = load(chosen(), world).unwrap();
        let shown = show(&first, "api").unwrap();
        // What it depends on is not part of it.
        let shown = format!("{shown}  postgres: {{profile: http, url: http://localhost}}\n");
        environment(&shown, &|world| {
            let second = load(chosen(), world)
                .unwrap_or_else(|problems| panic!("{shown}\n{}", problems.render(false)));
            let (first, second) = (
                &first.inventory.services["api"],
                &second.inventory.services["api"],
            );
            let (first, second) = (in_order(first), in_order(second));
            let differing = first.lines().zip(second.lines()).find(|(a, b)| a != b);
            assert_eq!(differing, None, "{shown}");
            assert_eq!(first.lines().count(), second.lines().count());
        });
    });
}

#[test]
fn damaged_inventories_are_reported_and_never_panic() {
    let folder = folder("valid");
    let text = fs::read(folder.join("everything.yaml")).unwrap();
    let noise = b"{}[]:,&*#?|->'\"%@`!~ \t\n\r$\\0a\xff\xc3\xa4\x1b";
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % below.max(1) as u64).unwrap()
    };
    let (mut good, mut bad) = (0, 0);
    for _ in 0..1_500 {
        let mut bytes = text.clone();
        for _ in 0..=random(3) {
            let at = random(bytes.len());
            let end = (at + random(12)).min(bytes.len());
            match random(3) {
                0 => bytes[at] = noise[random(noise.len())],
                1 => drop(bytes.drain(at..end)),
                _ => {
                    let part = bytes[at..end].to_vec();
                    let to = random(bytes.len());
                    bytes.splice(to..to, part);
                }
            }
        }
        let read = |_: &Path| Ok(bytes.clone());
        let environment = Environment {
            env: &env,
            read: &read,
            status: &|_| None,
            list: &|_| Vec::new(),
            directory: Path::new("/work"),
            config: None,
            user: 1000,
            builtin: &BUILTIN,
        };
        let chosen = InventoryFiles {
            files: vec![PathBuf::from("mutilated.yaml")],
            found: false,
            warnings: Problems::default(),
        };
        match load(chosen, &environment) {
            Ok(loaded) => {
                good += 1;
                for name in loaded.inventory.services.keys() {
                    assert!(show(&loaded, name).is_some());
                }
            }
            Err(problems) => {
                bad += 1;
                let reported = problems.render(false);
                let hostile = |c: char| c.is_control() && c != '\n';
                assert!(
                    !reported.is_empty() && !reported.contains(hostile),
                    "{reported:?}"
                );
            }
        }
    }
    assert!(good > 20 && bad > 100, "{good} {bad}");
}

/// A row of the reference for a key whose type reads and shows itself: name, type in words, documentation.
type ReferenceRow = (&'static str, &'static str, &'static str);

const SERVICE: &[ReferenceRow] = &[
    (
        "probes",
        "map of probes",
        "Questions by name: `live`, `ready`, `startup`, `status` and your own, each by `http`, `tcp` or `exec`; `off` takes the profile's away.",
    ),
    (
        "actions",
        "map of actions",
        "`shutdown`, `schedule`, `reload` and `restart`, each by `http`, `signal` or `exec`; `off` takes the profile's away, `shutdown: off` its `schedule` too unless the service names one.",
    ),
];

const REQUEST: &[ReferenceRow] = &[
    (
        "headers",
        "map of secrets",
        "Headers of each request, by name.",
    ),
    (
        "auth",
        "map or `none`",
        "Credentials: `{bearer: SECRET}` or `{basic: {user, password: SECRET}}`. A secret is `{env: NAME}`, `{file: PATH}` or text.",
    ),
    ("tls", "map, see below", "TLS settings."),
];

const EXPECT: &[ReferenceRow] = &[(
    "expect",
    "map",
    "What an answer has to be: `status` (codes and ranges), `body: {contains: TEXT}`, `json` (pointers to values), `headers`.",
)];

const PROBE: &[ReferenceRow] = &[
    (
        "required",
        "`true` or `false`",
        "Whether the failure of a named probe makes the service unhealthy, not only degraded.",
    ),
    ("decode", "map", "How the payload is read; as in a profile."),
];

const COMMAND: &[ReferenceRow] = &[
    (
        "env",
        "map of secrets",
        "Variables that are added to the environment of the command.",
    ),
    (
        "cwd",
        "path",
        "The directory in which the command runs; left out, that of the file.",
    ),
];

/// The rows of a table of the reference.
fn declared<R>(settings: &[Declaration<R>]) -> String {
    let rows = settings.iter().map(|setting| {
        let alias = setting.alias.map(|alias| format!(" or `{alias}`"));
        let default = (setting.default)().map(|value| match serde_json::to_string(&value) {
            Ok(text) => format!("`{}`", text.trim_matches('"')),
            Err(error) => panic!("{}: {error}", setting.name),
        });
        let since = match setting.since {
            "0.1" => String::new(),
            since => format!(" Since {since}."),
        };
        let Declaration {
            name, kind, doc, ..
        } = setting;
        let (alias, default) = (alias.unwrap_or_default(), default.unwrap_or_default());
        format!(
            "| `{name}`{alias} | {kind} | {default} | {}{since} |\n",
            doc.trim()
        )
    });
    rows.collect()
}

fn nested(rows: &[ReferenceRow]) -> String {
    let rows = rows.iter();
    let rows = rows.map(|(name, kind, doc)| format!("| `{name}` | {kind} | | {doc} |"));
    rows.fold(String::new(), |text, row| text + &row + "\n")
}

#[test]
fn the_reference_of_keys_in_the_readme_matches_the_declarations() {
    let table = |title: &str, rows: &[String]| {
        let head = "| key | type | default | meaning |\n| --- | --- | --- | --- |";
        format!("{title}\n\n{head}\n{}\n", rows.concat())
    };
    let start = (
        "command",
        "list of text",
        "The program and its arguments; no shell.",
    );
    let hook = ("exec", start.1, start.2);
    let sections = [
        table(
            "A service:",
            &[declared(RawServiceSettings::DECLARED), nested(SERVICE)],
        ),
        table(
            "`defaults`, a profile, a service and a probe, the later ones over the earlier ones:",
            &[
                declared(RawProbeSettings::DECLARED),
                nested(REQUEST),
                declared(RawRequestSettings::DECLARED),
                nested(EXPECT),
            ],
        ),
        table(
            "The same places, but not a probe:",
            &[declared(RawSharedSettings::DECLARED)],
        ),
        table(
            "A probe alone; `env` and `cwd` belong to `exec`:",
            &[nested(PROBE), nested(COMMAND)],
        ),
        table("`tls`:", &[declared(RawTls::DECLARED)]),
        table(
            "`start`:",
            &[
                nested(&[start]),
                nested(COMMAND),
                declared(RawStartSettings::DECLARED),
            ],
        ),
        table(
            "`on_change`:",
            &[
                nested(&[hook]),
                nested(&COMMAND[..1]),
                declared(RawHookSettings::DECLARED),
            ],
        ),
    ];
    readme::assert_section("inventory keys", &sections.concat());
}
