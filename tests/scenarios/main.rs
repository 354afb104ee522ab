//! Plays the scenarios of the state machine: every file `*.yaml` beside this one.
//!
//! `README.md` in the same folder tells how to write one. A scenario that fails is named with its step and with what
//! was expected and found; all are played, so that one run shows every failure. `random.rs` holds what must be true of
//! any sequence of answers.

mod expectation;
mod notation;
mod play;
mod random;

use std::fs;
use std::path::{Path, PathBuf};

use serde_yaml::{Mapping, Value};

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<_> = fs::read_dir(folder)
        .expect("the folder of this file can be read")
        .map(|entry| entry.expect("so can its entries").path())
        .filter(|path| path.extension().is_some_and(|it| it == "yaml"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_scenario_ends_as_it_says() {
    let mut failures = Vec::new();
    let mut played = 0;
    for file in files() {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let scenarios: Mapping = match serde_yaml::from_str(&text) {
            Ok(scenarios) => scenarios,
            Err(error) => {
                failures.push(format!("{name}: {error}"));
                continue;
            }
        };
        for (title, scenario) in &scenarios {
            let title = title.as_str().unwrap_or("?");
            played += 1;
            if let Err(failure) = play::scenario(scenario) {
                failures.push(format!("{name}: {title}\n    {failure}"));
            }
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {played} scenarios:\n\n{}\n",
        failures.len(),
        failures.join("\n\n")
    );
    assert!(played >= 40, "only {played} scenarios were found");
}

#[test]
fn a_scenario_with_a_mistake_is_refused() {
    for (scenario, expected) in [
        (
            "{steps: [{t: 0s, live: fial}]}",
            "live: `fial` is no result",
        ),
        (
            "{steps: [{t: 0s, lvie: pass}]}",
            "`lvie` is neither a probe nor an event",
        ),
        ("{steps: [{live: pass}]}", "step 1 has no `t`"),
        (
            "{steps: [{t: 0s, live: pass, then: {stat: healthy}}]}",
            "`stat` is nothing that can be expected",
        ),
        (
            "{steps: [{t: 0s, live: pass, then: wealthy}]}",
            "`wealthy` is no state",
        ),
        ("{steps: [{t: 0s, live: pass}]}", "nothing is expected"),
        ("{stepps: []}", "`stepps` is no key of a scenario"),
        (
            "{service: {required: [a], probe: {}}, steps: []}",
            "`probe` is no key of a service",
        ),
    ] {
        let scenario: Value = serde_yaml::from_str(scenario).unwrap();
        let failure = play::scenario(&scenario).unwrap_err();
        assert!(failure.contains(expected), "{failure}");
    }
}

#[test]
fn a_wrong_expectation_fails() {
    for (then, expected) in [
        ("unhealthy", "state is healthy, expected unhealthy"),
        ("{reasons: [x]}", "reasons is [], expected [x]"),
        ("{flags: [stale]}", "flags is [], expected [stale]"),
        (
            "{counted: {live: fail}}",
            "counted.live is pass, expected fail",
        ),
        (
            "{probes: {live: {success_count: 2}}}",
            "probes.live.success_count is 1, expected 2",
        ),
    ] {
        let scenario = format!("{{steps: [{{t: 0s, live: pass, then: {then}}}]}}");
        let scenario: Value = serde_yaml::from_str(&scenario).unwrap();
        let failure = play::scenario(&scenario).unwrap_err();
        assert!(failure.contains(expected), "{failure}");
    }
}
