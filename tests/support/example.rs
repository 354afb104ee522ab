//! The example programs of the kit, built on demand.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Builds an example of the kit, if need be, and returns the path of its program.
pub fn example(name: &str) -> PathBuf {
    example_with(name, &[])
}

/// Builds an example of the kit with these features.
pub fn example_with(name: &str, features: &[&str]) -> PathBuf {
    let mut command = cargo();
    command
        .args(["build", "--quiet", "--package", "healthctl-service"])
        // One build of the kit serves all examples.
        .arg("--all-features")
        .args(["--message-format", "json", "--example", name])
        .args(["--features", &features.join(",")])
        .stderr(Stdio::inherit());
    let output = command.output().expect("cargo can be run");
    assert!(output.status.success(), "the example {name} is not built");
    let text = String::from_utf8(output.stdout).expect("cargo says text");
    let program = text.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).expect("a message is JSON");
        let built = message["target"]["name"] == name;
        built.then(|| message["executable"].as_str().map(PathBuf::from))?
    });
    program.expect("an example is a program")
}

/// Returns cargo, without the variables that it has set for this test and that would cause a new build.
fn cargo() -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO_MANIFEST_") || name.starts_with("CARGO_PKG_") {
            command.env_remove(name);
        }
    }
    command
}
