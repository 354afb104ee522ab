//! End to end: what the program is started with, apart from its words: environment, limits.

use std::process::{Command, Stdio};

use crate::support::fake::Fake;
use crate::support::scene::{Ran, Scene};

fn scene() -> (Fake, Scene) {
    let fake = Fake::http(|_, _| (200, String::new()));
    let url = fake.url();
    let inventory = format!("services:\n  api: {{profile: http, url: \"{url}\", timeout: 20s}}\n");
    (fake, Scene::with_inventory(&inventory))
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let (_fake, scene) = scene();
    for words in [vec!["check", "--exit-code"], vec!["list"], vec![]] {
        let mut command = scene.command(&words);
        for flag in [
            "FILE", "COLOR", "WAIT", "OUTPUT", "URL", "PROFILE", "FAIL_ON",
        ] {
            command.env(format!("HEALTHCTL_{flag}"), "");
        }
        let ran = Ran::of(&mut command);
        assert_eq!(ran.code, 0, "{words:?}: {ran:?}");
        assert!(ran.stdout.contains("api"), "{words:?}: {ran:?}");
    }
}

#[test]
fn too_few_descriptors_are_a_plain_error() {
    let (_fake, scene) = scene();
    for limit in ["4", "6", "7", "8", "9"] {
        let plain = scene.command(&["check"]);
        let mut command = Command::new("sh");
        command
            .args(["-c", "ulimit -n \"$0\" && exec \"$@\"", limit])
            .arg(plain.get_program())
            .args(plain.get_args())
            .current_dir(scene.path())
            .stdin(Stdio::null());
        let ran = Ran::of(&mut command);
        assert_eq!(ran.code, 2, "{limit}: {ran:?}");
        assert!(
            ran.stderr
                .starts_with("error: cannot begin: Too many open files"),
            "{limit}: {ran:?}"
        );
        assert_eq!(ran.stderr.lines().count(), 2, "{limit}: {ran:?}");
    }
}
