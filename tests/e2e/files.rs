//! End to end: inventories of several files, and variables from a file.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use crate::support::fake::Fake;
use crate::support::scene::{Ran, Scene};

fn names(ran: &Ran) -> Vec<String> {
    let report: serde_json::Value =
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    let services = report["services"]
        .as_array()
        .expect("services is a list")
        .iter();
    services
        .map(|service| service["name"].as_str().expect("a name is text").to_owned())
        .collect()
}

#[test]
fn included_files_are_part_of_the_inventory() {
    let fake = Fake::http(|_, _| (200, String::new()));
    let entry = |name: &str| {
        format!(
            "services: {{{name}: {{profile: http, url: \"{}\", timeout: 20s}}}}\n",
            fake.url()
        )
    };
    let scene = Scene::with_inventory(&format!("include: [services/*.yaml]\n{}", entry("root")));
    scene.write("services/two.yaml", &entry("two"));
    scene.write("services/one.yaml", &entry("one"));
    scene.write("services/.hidden.yaml", &entry("hidden"));
    let ran = scene.run(&["check", "--exit-code", "-o", "json"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(names(&ran), ["root", "one", "two"]);
    let ran = scene.run(&["validate"]);
    assert_eq!(
        (ran.code, ran.stdout.as_str()),
        (0, "healthctl.yaml: 3 services, 3 probes\n"),
        "{ran:?}"
    );
    // One of them alone is an inventory, too.
    let ran = scene.run(&["validate", "services/one.yaml"]);
    assert_eq!(ran.stdout, "services/one.yaml: 1 service, 1 probe\n");
    // From a folder below, paths are those that the user can open.
    let ran = Ran::from(
        scene
            .command(&["show", "two"])
            .current_dir(scene.path().join("services"))
            .output()
            .unwrap(),
    );
    assert!(ran.stdout.contains("# ../services/two.yaml:1"), "{ran:?}");
}

#[test]
fn a_name_in_two_files_is_told_with_both_places() {
    let scene = Scene::with_inventory(
        "include: [more.yaml]\nservices:\n  api: {profile: http, url: http://localhost}\n",
    );
    scene.write(
        "more.yaml",
        "services:\n  api: {profile: http, url: http://localhost}\n",
    );
    let ran = scene.run(&["check"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert_eq!(
        ran.stderr,
        "\
error: there is a service `api` already
 --> more.yaml:2:3
  |
2 |   api: {profile: http, url: http://localhost}
  |   ^^^ here again
  |
 ::: healthctl.yaml:3:3
  |
3 |   api: {profile: http, url: http://localhost}
  |   --- first here
  |
  = hint: give one of them another name
"
    );
}

/// What is found is trusted as a whole or not at all: included files and variables decide what is run.
#[test]
fn what_others_may_write_is_not_included_into_what_is_found() {
    let api = "services: {api: {profile: http, url: http://localhost}}\n";
    for (key, file, text) in [
        ("include: [more.yaml]", "more.yaml", api),
        ("env_file: more.env", "more.env", "A=b\n"),
    ] {
        let root = "services: {root: {profile: http, url: http://localhost}}\n";
        let scene = Scene::with_inventory(&format!("{key}\n{root}"));
        let path = scene.write(file, text);
        assert_eq!(scene.run(&["list"]).code, 0, "{key}");
        std::fs::set_permissions(path, Permissions::from_mode(0o666)).unwrap();
        let ran = scene.run(&["list"]);
        assert_eq!(ran.code, 2, "{ran:?}");
        let told = format!("`{file}` may be written by others than its owner (mode 0666)");
        assert!(ran.stderr.contains(&told), "{ran:?}");
        assert!(ran.stderr.contains(" --> healthctl.yaml:1:"), "{ran:?}");
        // Who names the inventory has read it.
        assert_eq!(scene.run(&["list", "-f", "healthctl.yaml"]).code, 0);
    }
}

#[test]
fn variables_come_from_a_file_and_the_environment_wins() {
    let fake = Fake::http(|_, path| (if path == "/from-env" { 204 } else { 404 }, String::new()));
    let scene = Scene::with_inventory(&format!(
        "env_file: .env\nservices:\n  api:\n    url: {}/${{PLACE}}\n    timeout: 20s\n    probes:\n      live: {{http: ''}}\n      \
         command: {{exec: [sh, -c, 'test \"$$PLACE/$$ALONE/$$OWN/$$SECRET\" = from-env/yes/own/hu\"\"sh'], env: {{OWN: own, SECRET: {{env: HIDDEN}}}}}}\n",
        fake.url()
    ));
    scene.write(
        ".env",
        "PLACE=from-file\nALONE=yes\nOWN=not this\nHIDDEN='hush'\n",
    );
    let run = |words: &[&str], place: Option<&str>| {
        let mut command = scene.command(words);
        if let Some(place) = place {
            command.env("PLACE", place);
        }
        Ran::of(&mut command)
    };
    let ran = run(&["check", "--exit-code"], Some("from-env"));
    assert_eq!(ran.code, 0, "{ran:?}");
    let ran = run(&["check", "--exit-code"], None);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("404"), "{ran:?}");
    let ran = run(&["show", "api"], None);
    assert!(
        !ran.stdout.contains("hush") && ran.stdout.contains("env: HIDDEN"),
        "{ran:?}"
    );
}

#[test]
fn a_bearer_token_comes_from_the_file_when_it_is_used() {
    use std::io::Write;
    let fake = Fake::tcp(|mut stream| {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if std::io::Read::read(&mut stream, &mut byte).unwrap_or(0) == 0 {
                return;
            }
            head.extend(byte);
        }
        let head = String::from_utf8_lossy(&head).to_lowercase();
        let good = head.contains("authorization: bearer of-the-file");
        let code = if good { 204 } else { 401 };
        // Whoever asked may have gone.
        let _ = write!(stream, "HTTP/1.1 {code} X\r\nconnection: close\r\n\r\n");
    });
    let scene = Scene::with_inventory(&format!(
        "env_file: .env\nservices: {{api: {{profile: http, url: \"{}\", timeout: 20s, auth: {{bearer: {{env: API_TOKEN}}}}}}}}\n",
        fake.url()
    ));
    scene.write(".env", "API_TOKEN=of-the-file\n");
    let ran = scene.run(&["check", "--exit-code"]);
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn later_files_are_laid_over_earlier_ones() {
    let fake = Fake::http(|_, path| (if path == "/good" { 200 } else { 500 }, String::new()));
    let scene = Scene::new();
    scene.write(
        "base.yaml",
        &format!(
            "services:\n  api: {{url: {}, timeout: 20s, probes: {{live: {{http: /bad}}, ready: {{http: /good}}}}}}\n",
            fake.url()
        ),
    );
    scene.write(
        "local.yaml",
        "services:\n  api: {probes: {live: {http: /good}}}\n",
    );
    let base = scene.run(&["check", "--exit-code", "-f", "base.yaml"]);
    assert_eq!(base.code, 1, "{base:?}");
    let both = ["-f", "base.yaml", "-f", "local.yaml"];
    let ran = scene.run(&[&["check", "--exit-code"], &both[..]].concat());
    assert_eq!(ran.code, 0, "{ran:?}");
    let ran = scene.run(&[&["validate"], &both[..]].concat());
    assert_eq!(
        ran.stdout, "base.yaml and local.yaml: 1 service, 2 probes\n",
        "{ran:?}"
    );
    // The order counts, and a file that is missing is told.
    let turned = [
        "check",
        "--exit-code",
        "-f",
        "local.yaml",
        "-f",
        "base.yaml",
    ];
    assert_eq!(scene.run(&turned).code, 1);
    let ran = scene.run(&["check", "-f", "base.yaml", "-f", "none.yaml"]);
    assert_eq!(ran.code, 2);
    assert!(ran.stderr.contains("cannot read `none.yaml`"), "{ran:?}");
}
