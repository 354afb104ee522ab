//! `profiles`: the conventions known, one in full, what it makes of a reply or of a running service.

use std::io::Write;

use healthctl::profile::builtin;

use crate::support::fake::{Fake, request};
use crate::support::scene::Scene;

/// A saved reply of the samples.
fn sample(name: &str) -> String {
    let root = env!("CARGO_MANIFEST_DIR");
    format!("{root}/tests/profiles/{name}.http")
}

#[test]
fn the_list_names_every_profile() {
    let ran = Scene::new().run(&["profiles"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let mut lines = ran.stdout.lines();
    let titles: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    assert_eq!(
        titles,
        ["PROFILE", "TITLE", "SOURCE", "PROBES", "ACTIONS", "FROM"]
    );
    let rows: Vec<&str> = lines.collect();
    assert_eq!(rows.len(), builtin().len());
    for ((name, _), row) in builtin().iter().zip(&rows) {
        assert!(
            row.starts_with(&format!("{name} ")) && row.ends_with("built in"),
            "{row}"
        );
    }
    let hephaestus = rows
        .iter()
        .find(|row| row.starts_with("hephaestus "))
        .unwrap();
    let words: Vec<&str> = hephaestus.split_whitespace().collect();
    let expected = "hephaestus MinIO-style health and shutdown routes captured live status shutdown schedule built in";
    assert_eq!(words.join(" "), expected);
}

#[test]
fn the_list_for_programs() {
    let ran = Scene::new().run(&["profiles", "-o", "json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let list: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let profiles = list["profiles"].as_array().unwrap();
    let http = profiles.iter().find(|profile| profile["name"] == "http");
    let expected = serde_json::json!({
        "name": "http", "title": "Any HTTP address that answers 200 to 299", "source": "docs", "probes": ["live"],
        "actions": [], "from": "built in", "mistakes": 0,
    });
    assert_eq!(http, Some(&expected));
}

#[test]
fn one_in_full_is_a_profile_file() {
    let scene = Scene::new();
    let ran = scene.run(&["profiles", "hephaestus"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    // What is printed can be taken as a start for one's own.
    scene.write("profiles/mine.yaml", &ran.stdout);
    let ran = scene.run(&["profiles", "mine"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert!(ran.stdout.contains("  live: {http: /health/live}\n"));
}

#[test]
fn a_name_that_is_none_gets_a_hint() {
    let ran = Scene::new().run(&["profiles", "promtheus"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    let expected = "error: there is no profile `promtheus`\nhint: did you mean `prometheus`?\n";
    assert_eq!(ran.stderr, expected);
}

#[test]
fn own_profiles_are_listed_and_stand_before_the_built_in_ones() {
    let scene = Scene::with_inventory(
        "profiles:\n  inline:\n    title: In the inventory\n    probes:\n      live: {http: /up}\nservices: {}\n",
    );
    scene.write(
        "profiles/http.yaml",
        "title: Ours\nprobes: {live: {http: /up}}\n",
    );
    scene.write("profiles/broken.yaml", "title: Broken\nprobe: {}\n");
    scene.write(
        "config/healthctl/profiles/everywhere.yaml",
        "title: Of the user\nprobes: {ready: {http: /r}}\n",
    );
    let ran = scene.run(&["profiles"]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let rows: Vec<String> = ran
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    for row in [
        "broken cannot be used: 1 mistake, see `healthctl validate` - - - profiles/broken.yaml",
        "everywhere Of the user - ready - config/healthctl/profiles/everywhere.yaml",
        "http Ours - live - profiles/http.yaml",
        "inline In the inventory - live - healthctl.yaml:2",
    ] {
        assert!(
            rows.iter().any(|found| found == row),
            "{row}\n{}",
            ran.stdout
        );
    }
    let ran = scene.run(&["profiles", "inline"]);
    let expected = "title: In the inventory\nprobes:\n  live: {http: /up}\n";
    assert_eq!((ran.code, ran.stdout.trim_end()), (0, expected.trim_end()));
    let ran = scene.run(&["profiles", "broken"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.contains("unknown key `probe`"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("did you mean `probes`?"),
        "{}",
        ran.stderr
    );
}

#[test]
fn a_saved_reply_is_tried() {
    let file = sample("hephaestus/status");
    let ran = Scene::new().run(&["profiles", "hephaestus", "--try", &file]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    assert_eq!(
        ran.stdout,
        "\
hephaestus live: pass

hephaestus status: warn
  state      degraded (reports `healthy`)
  version    1.2.3
  service    hephaestus-mcp
  started    2026-11-22T12:29:13.130288Z (to 1µs)
  uptime     2s
  resources  background_tasks=1 open_connections=3
  DEPENDENCY  STATUS    OK  FAILED  LAST SUCCESS  LAST FAILURE  LATENCY  ERROR               DETAILS
  database    working   42  0       1s ago        never         -        -                   pool_size=5
  qdrant      error     0   7       never         now           -        connection refused  collections=null
  openai      not_used  -   -       never         never         -        -                   -
  anthropic   not_used  0   0       never         never         -        -                   provider=null
  lmstudio    working   10  1       30s ago       1h 0m ago     -        -                   embedding_enabled=true review_enabled=false
"
    );
}

#[test]
fn a_mere_body_is_tried_as_json() {
    let scene = Scene::new();
    scene.write(
        "body.json",
        "{\"status\":\"shutting_down\",\"version\":\"\\u001b[31m2\"}",
    );
    let words = [
        "profiles",
        "hephaestus",
        "--try",
        "body.json",
        "--probe",
        "status",
        "-o",
        "json",
    ];
    let ran = scene.run(&words);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let found: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let tried = &found["tries"][0];
    assert_eq!(found["tries"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&tried["state"], &tried["word"]),
        (&"draining".into(), &"shutting_down".into())
    );
    assert_eq!(tried["version"], "\\u{1b}[31m2");
}

#[test]
fn without_a_name_every_profile_is_tried() {
    let file = sample("control-plane/ready-degraded-503");
    let ran = Scene::new().run(&["profiles", "--try", &file, "--probe", "ready"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let heads: Vec<&str> = ran
        .stdout
        .lines()
        .filter(|line| line.contains(": fail"))
        .collect();
    // Of each profile that has such a probe, in the order of their names.
    let ready = |text: &str| text.lines().any(|line| line.starts_with("  ready:"));
    let expected: Vec<String> = builtin()
        .iter()
        .filter(|(_, text)| ready(text))
        .map(|(name, _)| format!("{name} ready: fail"))
        .collect();
    assert!(expected.len() > 1, "{expected:?}");
    assert_eq!(heads, expected);
    assert!(
        ran.stdout
            .contains("state      unready (reports `degraded`)"),
        "{}",
        ran.stdout
    );
}

#[test]
fn what_cannot_be_tried_is_said() {
    let scene = Scene::new();
    for (words, expected) in [
        (
            &["profiles", "http", "--try", "nothing.http"][..],
            "error: cannot read `nothing.http`: No such file or directory (os error 2)\n\
             hint: a reply as `curl -i` saves it, a mere body, `-`, or a URL\n",
        ),
        (
            &["profiles", "--try", "http://localhost:1"],
            "error: which profile should be tried on it?\n\
             hint: `healthctl profiles NAME --try URL`; `healthctl profiles` lists the names\n",
        ),
        (
            &["profiles", "http", "--try", "-", "--probe", "ready"],
            "error: the profile `http` has no probe `ready`\nhint: its probes: live\n",
        ),
    ] {
        let ran = scene.run(words);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{words:?}");
        assert_eq!(ran.stderr, expected, "{words:?}");
    }
}

#[test]
fn a_running_service_is_tried() {
    let read = |name: &str| std::fs::read(sample(name)).unwrap();
    let (live, status) = (
        read("hephaestus/live"),
        read("hephaestus/status-shutting-down"),
    );
    let service = Fake::tcp(move |mut stream| {
        let (_, path) = request(&mut stream).unwrap();
        let reply = if path == "/health/live" {
            &live
        } else {
            &status
        };
        stream.write_all(reply).unwrap();
    });
    let url = service.url();
    let ran = Scene::new().run(&["profiles", "hephaestus", "--try", &url]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    let live = format!("hephaestus live: pass ({url}/health/live)\n");
    let status = format!(
        "\nhephaestus status: warn ({url}/health/status)\n  state      draining (reports `shutting_down`)\n"
    );
    assert!(
        ran.stdout.starts_with(&format!("{live}{status}")),
        "{}",
        ran.stdout
    );
}
