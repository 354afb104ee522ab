//! End to end: every snippet of the README is what the program takes.

use std::fs;
use std::path::PathBuf;

use crate::support::scene::Scene;

/// The snippets of a language, in order.
fn snippets(language: &str) -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let text = fs::read_to_string(path).expect("the README can be read");
    let opening = format!("```{language}\n");
    text.split(&opening)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn inventories_and_profiles_are_valid() {
    let snippets = snippets("yaml");
    assert!(
        snippets.len() >= 2,
        "the README shows an inventory and a profile"
    );
    for snippet in snippets {
        let scene = Scene::new();
        let first = snippet.lines().next().unwrap();
        let name = first
            .strip_prefix("# ")
            .filter(|name| name.starts_with("profiles/"));
        let path = scene.write(name.unwrap_or("healthctl.yaml"), &snippet);
        // Files that an inventory names have to be there.
        for (file, text) in [
            (".env", "X=y\n"),
            (
                "services/more.yaml",
                "services: {more: {profile: http, url: 'http://localhost:1'}}\n",
            ),
        ] {
            scene.write(file, text);
        }
        let ran = Scene::run(&scene, &["validate", path.to_str().unwrap()]);
        assert_eq!(ran.code, 0, "{snippet}\n{ran:?}");
        assert!(!ran.stderr.contains("warning"), "{snippet}\n{ran:?}");
    }
}

#[test]
fn the_gate_runs_the_commands_that_the_readme_names() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let gate = fs::read_to_string(root.join(".ci/run")).unwrap();
    assert!(
        gate.lines().any(|line| line == "cargo test"),
        "the README's test command"
    );
    let manifests = ["Cargo.toml", "src/service/Cargo.toml"]
        .map(|path| fs::read_to_string(root.join(path)).unwrap())
        .concat();
    for line in snippets("sh")
        .iter()
        .flat_map(|snippet| snippet.lines())
        .filter(|line| line.starts_with("cargo"))
    {
        for (flag, name) in [
            ("--test ", "[[test]]"),
            ("--bench ", "[[bench]]"),
            ("--example ", "[[example]]"),
        ] {
            let Some((_, target)) = line.split_once(flag) else {
                continue;
            };
            let target = target.split_whitespace().next().unwrap();
            assert!(
                manifests.contains(&format!("{name}\nname = \"{target}\"")),
                "{line}"
            );
        }
    }
}

#[test]
fn its_pictures_exist() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("README.md")).unwrap();
    let pictures: Vec<_> = text
        .split("](screenshots/")
        .skip(1)
        .map(|rest| rest.split(')').next().unwrap().to_owned())
        .collect();
    assert!(!pictures.is_empty());
    for picture in pictures {
        let path = root.join("screenshots").join(&picture);
        assert!(
            path.metadata().is_ok_and(|file| file.len() > 1_000),
            "{picture}"
        );
    }
}
