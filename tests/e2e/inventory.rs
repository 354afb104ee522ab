//! End to end: finding, reading, validating and showing inventories.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::Value;

use crate::support::fake::Fake;
use crate::support::scene::{Ran, Scene};

const GOOD: &str = "services:\n  api: {profile: http, url: \"http://127.0.0.1:9\"}\n";

fn mode(scene: &Scene, file: &str, mode: u32) {
    std::fs::set_permissions(scene.path().join(file), Permissions::from_mode(mode))
        .expect("permissions can be set");
}

#[test]
fn a_broken_inventory_is_2_with_the_line_marked() {
    let scene = Scene::with_inventory(
        "services:\n  api:\n    profile: http\n    url: http://localhost\n    timeuot: 5s\n",
    );
    let marked = "\
error: unknown key `timeuot`
 --> healthctl.yaml:5:5
  |
5 |     timeuot: 5s
  |     ^^^^^^^ not known here
  |
  = hint: did you mean `timeout`?
";
    for words in [
        &["check"][..],
        &["list"],
        &["show", "api"],
        &["check", "-o", "json"],
        &["watch"],
        &[],
    ] {
        let ran = scene.run(words);
        assert_eq!(
            (ran.code, ran.stdout.as_str()),
            (2, ""),
            "{words:?} {ran:?}"
        );
        assert_eq!(ran.stderr, marked, "{words:?}");
    }
    let ran = scene.run(&["validate"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert_eq!(ran.stderr, format!("{marked}healthctl.yaml: 1 mistake\n"));
}

#[test]
fn every_mistake_is_told_at_once() {
    let scene = Scene::with_inventory(
        "defaults: {interval: 5}\nservices:\n  a: {url: localhost:80, profile: htp}\n  b: {url: \"http://h\", depends_on: [c]}\n",
    );
    let ran = scene.run(&["validate"]);
    assert_eq!(ran.code, 2);
    for place in ["1:22", "3:12", "3:35", "4:3", "4:37"] {
        let place = format!(" --> healthctl.yaml:{place}\n");
        assert!(ran.stderr.contains(&place), "{place}: {}", ran.stderr);
    }
    assert!(
        ran.stderr.ends_with("healthctl.yaml: 5 mistakes\n"),
        "{}",
        ran.stderr
    );
}

#[test]
fn no_inventory_names_the_ways_out() {
    let ran = Scene::new().run(&["check"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    for way in ["`healthctl init`", "--url", "`healthctl demo`"] {
        assert!(ran.stderr.contains(way), "{}", ran.stderr);
    }
    assert_eq!(ran.stderr.lines().count(), 2, "{}", ran.stderr);
}

#[test]
fn it_is_found_above_up_to_the_root_of_the_repository() {
    let scene = Scene::with_inventory(GOOD);
    scene.write("a/b/x", "");
    let list = |folder: &str| {
        let mut command = scene.command(&["list"]);
        let output = command.current_dir(scene.path().join(folder)).output();
        Ran::from(output.unwrap())
    };
    assert_eq!(list("a/b").code, 0, "{:?}", list("a/b"));
    // `a` is a repository of its own now, and what is above it is somebody else's.
    scene.write("a/.git", "gitdir: elsewhere");
    assert_eq!(list("a/b").code, 2, "{:?}", list("a/b"));
    scene.write("a/healthctl.yml", GOOD);
    assert_eq!(list("a/b").code, 0, "{:?}", list("a/b"));
}

#[test]
fn the_flag_wins_over_the_environment_over_what_is_found() {
    let scene = Scene::with_inventory("not: it\n");
    let named = |name: &str| format!("services:\n  {name}: {{profile: http, url: \"http://h\"}}\n");
    scene.write("flag.yaml", &named("flag"));
    scene.write("env.yaml", &named("env"));
    let run = |words: &[&str]| {
        let output = scene
            .command(words)
            .env("HEALTHCTL_FILE", "env.yaml")
            .output();
        Ran::from(output.unwrap()).stdout
    };
    assert!(run(&["list"]).contains("\nenv "));
    assert!(run(&["list", "-f", "flag.yaml"]).contains("\nflag "));
    let two = run(&["list", "-f", "flag.yaml", "-f", "env.yaml"]);
    assert!(two.contains("\nflag ") && two.contains("\nenv "), "{two}");
}

#[test]
fn what_others_may_write_is_not_used_unless_it_is_named() {
    let scene = Scene::with_inventory(GOOD);
    for bits in [0o664, 0o646, 0o666] {
        mode(&scene, "healthctl.yaml", bits);
        let ran = scene.run(&["check"]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{bits:o} {ran:?}");
        assert!(
            ran.stderr.contains("chmod go-w healthctl.yaml"),
            "{}",
            ran.stderr
        );
        assert_eq!(scene.run(&["list", "-f", "healthctl.yaml"]).code, 0);
    }
    mode(&scene, "healthctl.yaml", 0o600);
    assert_eq!(scene.run(&["list"]).code, 0);
}

#[test]
fn a_profile_beside_a_found_inventory_has_to_be_as_trustworthy() {
    let scene = Scene::with_inventory("services:\n  api: {profile: mine, url: \"http://h\"}\n");
    scene.write("profiles/mine.yaml", "probes: {live: {http: /livez}}\n");
    mode(&scene, "profiles/mine.yaml", 0o644);
    assert_eq!(scene.run(&["list"]).code, 0);
    mode(&scene, "profiles/mine.yaml", 0o666);
    let ran = scene.run(&["list"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("healthctl.yaml:2:18"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("chmod go-w profiles/mine.yaml"),
        "{}",
        ran.stderr
    );
    assert_eq!(scene.run(&["list", "-f", "healthctl.yaml"]).code, 0);
}

#[test]
fn profiles_of_the_user_are_found() {
    let scene = Scene::with_inventory("services:\n  api: {profile: mine, url: \"http://h\"}\n");
    assert_eq!(scene.run(&["list"]).code, 2);
    scene.write(
        "config/healthctl/profiles/mine.yml",
        "probes: {ready: {http: /readyz}}\n",
    );
    mode(&scene, "config/healthctl/profiles/mine.yml", 0o644);
    let ran = scene.run(&["show", "api"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(
        ran.stdout.contains("url: http://h/readyz"),
        "{}",
        ran.stdout
    );
}

#[test]
fn it_can_come_in_on_standard_input() {
    let scene = Scene::new();
    for (text, code) in [(GOOD, 0), ("services: 5\n", 2)] {
        for words in [&["validate", "-"][..], &["list", "-f", "-"]] {
            let mut command = scene.command(words);
            command
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            let mut child = command.spawn().unwrap();
            child
                .stdin
                .take()
                .unwrap()
                .write_all(text.as_bytes())
                .unwrap();
            let ran = Ran::from(child.wait_with_output().unwrap());
            assert_eq!(ran.code, code, "{words:?} {ran:?}");
            assert_eq!(
                ran.stderr.contains("<stdin>:1:11"),
                code == 2,
                "{}",
                ran.stderr
            );
        }
    }
}

#[test]
fn init_writes_what_validates_and_overwrites_nothing() {
    let scene = Scene::new();
    let first = scene.run(&["init"]);
    assert_eq!((first.code, first.stdout.as_str()), (0, ""));
    let ran = scene.run(&["validate"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(ran.stdout, "healthctl.yaml: 1 service, 1 probe\n");
    let text = std::fs::read_to_string(scene.path().join("healthctl.yaml")).unwrap();
    assert_eq!(scene.run(&["init", "--stdout"]).stdout, text);

    scene.write("healthctl.yaml", "mine\n");
    let again = scene.run(&["init"]);
    assert_eq!(again.code, 2);
    assert!(
        again.stderr.contains("nothing is overwritten"),
        "{}",
        again.stderr
    );
    assert_eq!(
        std::fs::read_to_string(scene.path().join("healthctl.yaml")).unwrap(),
        "mine\n"
    );
}

#[test]
fn what_init_has_in_comments_validates_too() {
    let scene = Scene::new();
    let text = scene.run(&["init", "--stdout"]).stdout;
    let uncommented: String = text
        .lines()
        .map(|line| match line.split_once("  # ") {
            Some(("", rest)) if rest.ends_with('.') => String::new(),
            Some(("", rest)) => format!("  {rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let file = scene.write("all.yaml", &uncommented);
    let ran = scene.run(&["validate", file.to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{uncommented}\n{ran:?}");
    assert!(
        ran.stdout.contains("3 services, 5 probes"),
        "{}",
        ran.stdout
    );
}

#[test]
fn show_says_where_each_value_comes_from_and_masks_secrets() {
    let scene = Scene::with_inventory(
        "defaults:\n  interval: 9s\nservices:\n  api:\n    profile: hephaestus\n    url: http://me:hunter2@localhost:1\n    \
         headers: {X-Api-Key: \"${KEY}\", Cookie: topsecret, X-Team: core}\n    timeout: 4s\n",
    );
    let output = scene
        .command(&["show", "api"])
        .env("KEY", "fromenv")
        .output();
    let ran = Ran::from(output.unwrap());
    assert_eq!(ran.code, 0, "{ran:?}");
    for secret in ["hunter2", "topsecret", "fromenv"] {
        assert!(!ran.stdout.contains(secret), "{}", ran.stdout);
        assert!(!ran.stderr.contains(secret), "{}", ran.stderr);
    }
    let line = |text: &str| {
        let found = ran
            .stdout
            .lines()
            .find(|line| line.trim_start().starts_with(text));
        found
            .unwrap_or_else(|| panic!("{text} in {}", ran.stdout))
            .to_owned()
    };
    assert!(line("interval:").ends_with("# defaults, healthctl.yaml:2"));
    assert!(line("timeout:").ends_with("# healthctl.yaml:8"));
    assert!(line("max_body:").ends_with("# built in"));
    assert!(line("url: http://me:***@localhost:1/health").ends_with("# profile hephaestus"));
    assert!(line("X-Api-Key: ${KEY}").ends_with("# healthctl.yaml:7"));
    // A plain secret is warned about, on stderr.
    assert!(ran.stderr.starts_with("warning: "), "{}", ran.stderr);

    let unknown = scene.run(&["show", "apl", "--color", "never"]);
    assert_eq!(unknown.code, 2);
}

#[test]
fn show_live_adds_what_the_service_says_of_itself() {
    let payload = r#"{"status":"healthy","service":"mcp","version":"1.4","dependencies":{
        "db":{"status":"error","error":"no route","pool_size":5,"note":null}},"resources":{"queue_depth":7}}"#;
    let fake = Fake::http(|_, _| (200, payload.to_owned()));
    let scene = Scene::with_inventory(&format!(
        "services:\n  api: {{profile: hephaestus, url: '{}', timeout: 20s}}\n",
        fake.url()
    ));
    let ran = scene.run(&["show", "api"]);
    assert!(!ran.stdout.contains("---"), "{ran:?}");
    assert_eq!(fake.asked().len(), 0, "nobody is asked without --live");
    let ran = scene.run(&["show", "api", "--live"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let (resolved, live) = ran
        .stdout
        .split_once("\n---\n")
        .expect("there are two documents");
    assert!(resolved.starts_with("services:\n  api:"), "{ran:?}");
    let live: Value = serde_yaml::from_str(live).expect("it is YAML");
    assert_eq!(live["state"], "degraded");
    assert_eq!(live["reasons"][0], "dependency db: error: no route");
    assert_eq!(live["service"], "mcp");
    assert_eq!(live["resources"]["queue_depth"], 7);
    assert_eq!(live["dependencies"][0]["details"]["pool_size"], 5);
    let names = live["dependencies"][0]
        .as_object()
        .expect("an entry is a map");
    assert!(
        !names.contains_key("latency_ms"),
        "what holds nothing is left out: {live}"
    );
}

#[test]
fn list_shows_what_the_inventory_holds() {
    let scene = Scene::with_inventory(
        "services:\n  api: {profile: hephaestus, url: \"http://h:1\", group: back, labels: {tier: web}, depends_on: [db]}\n  \
         db: {url: \"http://h:2\", probes: {live: {http: /}}}\n",
    );
    let ran = scene.run(&["list"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let rows: Vec<Vec<&str>> = ran
        .stdout
        .lines()
        .map(|row| row.split_whitespace().collect())
        .collect();
    assert_eq!(rows[0][0], "SERVICE");
    assert_eq!(
        rows[1],
        [
            "api",
            "-",
            "-",
            "back",
            "hephaestus",
            "http://h:1",
            "live",
            "status",
            "shutdown",
            "schedule",
            "db",
            "tier=web"
        ]
    );
    assert_eq!(
        rows[2],
        [
            "db",
            "-",
            "-",
            "-",
            "-",
            "http://h:2",
            "live",
            "-",
            "-",
            "-"
        ]
    );

    let json: Value =
        serde_json::from_str(&scene.run(&["list", "-o", "json", "group:back"]).stdout).unwrap();
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["services"].as_array().unwrap().len(), 1);
    assert_eq!(
        json["services"][0]["probes"][1]["target"],
        "http://h:1/health/status"
    );

    assert_eq!(scene.run(&["list", "tier=db"]).code, 2);
    assert_eq!(scene.run(&["list", "state:healthy"]).code, 2);
}

#[test]
fn what_is_hostile_in_the_file_stays_in_the_file() {
    let scene = Scene::with_inventory(
        "services:\n  api: {profile: http, url: \"http://h\", \"\\e]0;title\\a\": 1}\n  x\u{1b}[31m: {url: \"\u{202e}\"}\n",
    );
    let ran = scene.run(&["validate"]);
    assert_eq!(ran.code, 2);
    let hostile = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!ran.stderr.contains(hostile), "{:?}", ran.stderr);
}

#[test]
fn colour_is_used_only_where_it_is_wanted() {
    let scene = Scene::with_inventory("services: 5\n");
    let colored = |words: &[&str]| scene.run(words).stderr.contains('\u{1b}');
    assert!(!colored(&["check"]));
    assert!(colored(&["check", "--color", "always"]));
    let output = scene.command(&["check", "--color", "never"]).output();
    assert!(!Ran::from(output.unwrap()).stderr.contains('\u{1b}'));
}

#[test]
fn validate_takes_inventories_and_profiles() {
    let scene = Scene::new();
    scene.write("good.yaml", GOOD);
    scene.write(
        "convention.yaml",
        "title: ours\nprobes: {live: {http: /livez}}\n",
    );
    scene.write("profiles/bad.yaml", "probes: {live: {http: livez}}\n");
    let ran = scene.run(&["validate", "good.yaml", "convention.yaml"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(
        ran.stdout,
        "good.yaml: 1 service, 1 probe\nconvention.yaml: profile `convention`, 1 probe\n"
    );
    let ran = scene.run(&["validate", "good.yaml", "profiles/bad.yaml", "none.yaml"]);
    assert_eq!(ran.code, 2);
    assert_eq!(ran.stdout, "good.yaml: 1 service, 1 probe\n");
    assert!(
        ran.stderr.contains("did you mean `/livez`?"),
        "{}",
        ran.stderr
    );
    assert!(
        ran.stderr.contains("cannot read `none.yaml`"),
        "{}",
        ran.stderr
    );
}

#[test]
fn links_are_shown_and_listed() {
    let scene = Scene::with_inventory(
        "services:\n  api:\n    profile: http\n    url: http://127.0.0.1:9\n    links: {runbook: \"https://wiki.internal/api#restart\", board: https://me:secret@grafana.internal/d/api}\n",
    );
    let shown = scene.run(&["show", "api"]);
    assert_eq!(shown.code, 0, "{shown:?}");
    for line in [
        "      runbook: https://wiki.internal/api#restart",
        "      board: https://me:***@grafana.internal/d/api",
    ] {
        assert!(shown.stdout.contains(line), "{}", shown.stdout);
    }
    assert!(
        shown.stderr.contains("a password is written in plain text"),
        "{shown:?}"
    );
    let listed = scene.run(&["list", "-o", "json"]);
    let listed: Value = serde_json::from_str(&listed.stdout).expect("the list is JSON");
    assert_eq!(
        listed["services"][0]["links"],
        serde_json::json!({
            "board": "https://me:***@grafana.internal/d/api",
            "runbook": "https://wiki.internal/api#restart",
        })
    );
}
